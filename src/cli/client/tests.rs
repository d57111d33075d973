use super::*;

fn address(http: Option<&str>, url: Option<&str>) -> Address {
    Address { http: http.map(str::to_owned), url: url.map(str::to_owned) }
}

#[test]
fn where_the_job_is() {
    for (http, url, environment, expected) in [
        (None, None, None, "http://127.0.0.1:8090"),
        (None, None, Some("10.0.0.1:80"), "http://10.0.0.1:80"),
        (Some("0.0.0.0:81"), None, Some("10.0.0.1:80"), "http://127.0.0.1:81"),
        (Some("[::]:81"), None, None, "http://[::1]:81"),
        (None, Some("http://a:1/"), Some("10.0.0.1:80"), "http://a:1"),
    ] {
        assert_eq!(base(&address(http, url), environment), expected);
    }
}

#[test]
fn what_a_refusal_says() {
    for (status, body, exit, code, message) in [
        (
            404,
            r#"{"error":{"code":"no-view","message":"no view x"}}"#,
            Exit::Usage,
            "no-view",
            "no view x",
        ),
        (410, r#"{"code":"gone","message":"oldest is 7"}"#, Exit::Failed, "gone", "oldest is 7"),
        (503, r#"{"error":"replaying"}"#, Exit::NoAnswer, "http-503", "replaying"),
        (409, r#"{"code":"config","message":"it exists"}"#, Exit::Usage, "config", "it exists"),
        (504, r#"{"code":"undecided","message":"?"}"#, Exit::Failed, "undecided", "?"),
        (401, "", Exit::Usage, "http-401", "the job asks for a token; set TIDEMARK_HTTP__TOKEN"),
        (500, "<html>", Exit::Failed, "http-500", "the job answered with status 500"),
    ] {
        let expected = Refusal { exit, code: code.into(), message: message.into() };
        assert_eq!(refusal(status, body), expected);
    }
}

#[test]
fn a_segment_stays_one() {
    assert_eq!(segment("visits-live"), "visits-live");
    assert_eq!(segment("a/b ?é"), "a%2Fb%20%3F%C3%A9");
}
