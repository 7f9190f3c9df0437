//! Which origins may be the auth origin, and how a browser writes them.

use super::*;

#[track_caller]
fn check(origin: &str, expected: Result<&str, &str>) {
    let outcome = RelyingParty::new(origin, "Countersign").map(|party| party.origin().to_owned()).map_err(|error| error.to_string());
    assert_eq!(outcome.as_deref().map_err(String::as_str), expected, "{origin}");
}

#[test]
fn an_origin_is_written_as_a_browser_writes_it() {
    check("http://auth.localhost:8080", Ok("http://auth.localhost:8080"));
    check("http://localhost", Ok("http://localhost"));
    check("https://auth.example.com/", Ok("https://auth.example.com"));
    check("https://Auth.Example.com:443", Ok("https://auth.example.com"));
    check("https://auth.example.com:8443", Ok("https://auth.example.com:8443"));
}

#[test]
fn what_browsers_would_not_serve_is_refused() {
    for origin in [
        "auth.example.com",
        "https://a.test/x",
        "https://a.test/?x",
        "https://a.test/#x",
        "https://u@a.test",
        "https://u:p@a.test",
        "https://a.test.",
    ] {
        check(origin, Err(&format!("`{origin}` is not an origin")));
    }
    check("ftp://a.test", Err("`ftp://a.test/` is not an origin"));
    check("https://127.0.0.1", Err("`https://127.0.0.1` has no host name"));
    check("https://[::1]", Err("`https://[::1]` has no host name"));
    check("http://auth.example.com", Err("`http://auth.example.com` must use https, which only localhost and its subdomains may not"));
    check("http://evillocalhost", Err("`http://evillocalhost` must use https, which only localhost and its subdomains may not"));
    assert_eq!(RelyingParty::new("https://a.test", "").unwrap_err(), RelyingPartyError::Unnamed);
}
