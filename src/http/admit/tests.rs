use super::*;

#[test]
fn the_token_is_asked_for_and_pages_of_other_sites_are_not_let_in() {
    let plain = Sender { host: Some("127.0.0.1:8090"), ..Sender::default() };
    let with = |authorization| Sender { authorization: Some(authorization), ..plain };
    let from =
        |origin, host| Sender { origin: Some(origin), host: Some(host), ..Sender::default() };
    let at = |host| Sender { host: Some(host), ..Sender::default() };
    let token = Some("secret");
    // (sender, token, open, on loopback, status of the refusal)
    let table = [
        (plain, None, false, true, None),
        (Sender::default(), None, false, true, None),
        (plain, token, false, true, Some(401)),
        (plain, token, true, true, None),
        (with("Bearer secret"), token, false, true, None),
        (with("bearer  secret "), token, false, true, None),
        (with("Bearer secre"), token, false, true, Some(401)),
        (with("Bearer secretsecret"), token, false, true, Some(401)),
        (with("Bearer "), token, false, true, Some(401)),
        (with("Basic secret"), token, false, true, Some(401)),
        (with("secret"), token, false, true, Some(401)),
        (from("http://evil.example", "127.0.0.1:8090"), None, false, true, Some(403)),
        (from("null", "127.0.0.1:8090"), None, false, true, Some(403)),
        (from("http://127.0.0.1:8090", "127.0.0.1:8090"), None, false, true, None),
        (from("http://evil.example", "evil.example"), None, false, true, Some(403)),
        (at("localhost:1"), None, false, true, None),
        (at("[::1]:8090"), None, false, true, None),
        (at("evil.example:8090"), None, false, true, Some(403)),
        (at("jobs.example:8090"), None, false, false, None),
    ];
    for (sender, token, open, on_loopback, wanted) in table {
        let refusal = admit(sender, token, open, on_loopback).err().map(|refusal| refusal.status);
        assert_eq!(refusal, wanted, "{sender:?} {token:?} {open}");
    }
}
