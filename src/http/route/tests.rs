#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;

#[test]
fn each_path_has_its_route() {
    let view = |read| Route::View { view: "a b".into(), read };
    let table = [
        ("GET", "/", "", Route::Page),
        ("HEAD", "/healthz", "", Route::Health),
        ("GET", "/readyz", "", Route::Ready),
        ("GET", "/metrics", "", Route::Metrics),
        ("GET", "/api/v1/job", "", Route::Job),
        ("GET", "/api/v1/job/ticks/7", "", Route::Record(7)),
        ("POST", "/api/v1/job/savepoint", "", Route::Savepoint),
        ("POST", "/api/v1/job/stop", "", Route::Stop),
        ("GET", "/api/v1/views", "", Route::Views),
        ("GET", "/api/v1/views/a%20b", "", view(Read::default())),
        (
            "GET",
            "/api/v1/views/a%20b",
            "key=%22x+y%22&limit=5&as_of=9",
            view(Read {
                key: Some("\"x y\"".into()),
                limit: Some(5),
                as_of: Some(9),
                ..Read::default()
            }),
        ),
        (
            "GET",
            "/api/v1/views/a%20b",
            "from=1&to=&after=3",
            view(Read {
                from: Some("1".into()),
                to: Some(String::new()),
                after: Some(3),
                ..Read::default()
            }),
        ),
        (
            "GET",
            "/api/v1/views/v/changes",
            "from_tick=3",
            Route::Changes { view: "v".into(), from_tick: Some(3) },
        ),
    ];
    for (method, path, query, wanted) in table {
        assert_eq!(route(method, path, query).unwrap(), wanted, "{method} {path}?{query}");
    }
}

#[test]
fn what_is_refused_names_what_is_allowed() {
    let table = [
        ("GET", "/nothing", "", 404, "there is nothing at /nothing"),
        ("GET", "/api/v1/views/", "", 404, "there is nothing at /api/v1/views/"),
        ("POST", "/api/v1/job", "", 405, "allowed: GET, HEAD"),
        ("GET", "/api/v1/job/stop", "", 405, "allowed: POST"),
        ("HEAD", "/api/v1/views/v/changes", "", 405, "allowed: GET"),
        ("GET", "/api/v1/job/ticks/-1", "", 400, "the tick in the path = \"-1\""),
        ("GET", "/api/v1/job", "pretty=1", 400, "unknown parameter \"pretty\"; allowed: none"),
        (
            "GET",
            "/api/v1/views/v",
            "keys=1",
            400,
            "unknown parameter \"keys\"; allowed: key, from, to, limit, as_of, after, next",
        ),
        ("GET", "/api/v1/views/v", "key=1&key=2", 400, "parameter key is given twice"),
        ("GET", "/api/v1/views/v", "key=1&to=2", 400, "key= and to= do not go together"),
        ("GET", "/api/v1/views/v", "as_of=1&after=2", 400, "as_of= and after= do not go together"),
        ("GET", "/api/v1/views/v", "next=x&as_of=2", 400, "next= and as_of= do not go together"),
        ("GET", "/api/v1/views/v", "limit=0", 400, "limit=0"),
        ("GET", "/api/v1/views/v", "limit=many", 400, "limit = \"many\" is no whole number"),
        ("GET", "/api/v1/views/v", "key=%2", 400, "two hex digits"),
        ("GET", "/api/v1/views/v", "key=%ff", 400, "not UTF-8"),
        ("GET", "/api/v1/views/v/changes", "from=1", 400, "allowed: from_tick"),
    ];
    for (method, path, query, status, text) in table {
        let refusal = route(method, path, query).unwrap_err();
        assert_eq!(refusal.status, status, "{method} {path}?{query}");
        assert!(refusal.message.contains(text), "{}", refusal.message);
    }
}
