//! Paths and hosts, one line a case.

use proptest::prelude::*;

use super::*;

#[track_caller]
fn reads(raw: &str, expected: &str) {
    assert_eq!(CanonicalPath::parse(raw).as_ref().map(CanonicalPath::as_str), Ok(expected), "{raw}");
}

#[track_caller]
fn refuses(raw: &str, why: Ambiguous) {
    assert_eq!(CanonicalPath::parse(raw), Err(why), "{raw}");
}

#[test]
fn plain_paths_stay() {
    ["/", "/a", "/a/", "/a/b.c", "/a/b-c_d~e", "/...", "/.well-known/x", "/a/..b", "/a:b@c!$&'()*+,="]
        .iter()
        .for_each(|path| reads(path, path));
}

#[test]
fn unreserved_octets_are_decoded_once() {
    reads("/%61dmin", "/admin");
    reads("/ad%6Din/%7e", "/admin/~");
    reads("/%C3%A9", "/%C3%A9");
    reads("/%c3%a9", "/%C3%A9");
    refuses("/a%20b", Ambiguous::Control);
}

#[test]
fn ambiguity_is_refused() {
    refuses("", Ambiguous::Relative);
    refuses("admin", Ambiguous::Relative);
    refuses("*", Ambiguous::Relative);
    refuses("/public/../admin", Ambiguous::DotSegment);
    refuses("/public/%2e%2e/admin", Ambiguous::DotSegment);
    refuses("/public/.%2E/admin", Ambiguous::DotSegment);
    refuses("/./a", Ambiguous::DotSegment);
    refuses("/a/..", Ambiguous::DotSegment);
    refuses("//admin", Ambiguous::EmptySegment);
    refuses("/x//admin", Ambiguous::EmptySegment);
    refuses("///", Ambiguous::EmptySegment);
    refuses("/a%2fb", Ambiguous::Separator);
    refuses("/a%5cb", Ambiguous::Separator);
    refuses("/a\\b", Ambiguous::Separator);
    refuses("/public/%2e%2e%2fadmin", Ambiguous::Separator);
    refuses("/admin;x=1", Ambiguous::Parameter);
    refuses("/public/..;/admin", Ambiguous::Parameter);
    refuses("/a%3bb", Ambiguous::Parameter);
    refuses("/admin#foo", Ambiguous::Fragment);
    refuses("/admin%23foo", Ambiguous::Fragment);
    refuses("/%252e%252e/admin", Ambiguous::DoubleEncoding);
    refuses("/a%00b", Ambiguous::Control);
    refuses("/a\u{1}b", Ambiguous::Control);
    refuses("/a%7Fb", Ambiguous::Control);
    refuses("/%zz", Ambiguous::BrokenEscape);
    refuses("/a%2", Ambiguous::BrokenEscape);
    refuses("/%", Ambiguous::BrokenEscape);
    refuses("/%c0%ae%c0%ae/", Ambiguous::Encoding);
    refuses("/\u{ff41}", Ambiguous::Encoding);
    refuses("/%ff", Ambiguous::Encoding);
    refuses(&format!("/{}", "a".repeat(8 * 1024)), Ambiguous::TooLong);
}

#[track_caller]
fn host(authority: &str, scheme: &str, expected: Option<&str>) {
    assert_eq!(canonical_host(authority, scheme).ok().as_ref().map(Host::as_str), expected, "{authority}");
}

#[test]
fn hosts_have_one_form() {
    host("EXAMPLE.com.", "https", Some("example.com"));
    host("example.com:443", "https", Some("example.com"));
    host("example.com:80", "http", Some("example.com"));
    host("payroll.localhost:8080", "http", Some("payroll.localhost:8080"));
    host("[::1]:8080", "http", Some("[::1]:8080"));
    host("192.0.2.1", "http", Some("192.0.2.1"));
    host("xn--example-.org", "https", None);
    for refused in [
        "",
        "a b",
        "user@example.com",
        "example.com:",
        "example.com:x",
        "example.com:99999",
        "::1",
        "[::1",
        "a..b",
        "127.1",
        "ex\u{e4}mple.com",
        "a,b",
    ] {
        host(refused, "https", None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn canonical_paths_are_fixed_points(raw in "/[a-zA-Z0-9%./;\\\\#~é-]{0,30}") {
        if let Ok(path) = CanonicalPath::parse(&raw) {
            prop_assert_eq!(CanonicalPath::parse(path.as_str()), Ok(path.clone()));
            prop_assert!(!path.as_str().split('/').any(|segment| segment == ".." || segment == "."));
        }
    }
}
