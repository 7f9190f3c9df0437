//! Requests: provenance, headers, cookies, forwarding.

use serde_json::json;

use super::*;

const NGINX: &str = "127.0.0.1";

fn pep(asserts_subject: bool, asserts: &[&str]) -> Pep {
    let asserts = asserts.iter().map(ToString::to_string).collect();
    Pep { id: PepId::new("nginx").unwrap(), asserts_subject, asserts_client: true, asserts }
}

fn rules() -> RequestRules {
    let host = HostRules { token_cookie: Some("access_token".to_owned()), session_cookie: Some("sid".to_owned()) };
    RequestRules {
        trusted_proxies: vec!["127.0.0.0/8".parse().unwrap(), "10.0.0.0/8".parse().unwrap()],
        hosts: BTreeMap::from([(Host::new("app.example").unwrap(), host)]),
        ja4_header: Some("x-ja4".to_owned()),
        chosen_headers: BTreeSet::from(["accept-language".to_owned(), "cookie".to_owned()]),
    }
}

fn http(target: &str, headers: &[(&str, &str)]) -> RawHttp {
    RawHttp {
        method: "GET".to_owned(),
        scheme: "https".to_owned(),
        authority: "app.example".to_owned(),
        target: target.to_owned(),
        headers: headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect(),
        client: Client::Chain { peer: NGINX.parse().unwrap(), forwarded: Some("203.0.113.9".to_owned()) },
        client_certificate: None,
    }
}

fn check(http: RawHttp) -> Result<(AccessRequest, Credentials), Denial> {
    normalize(RawCheck { tenant: Tenant::new("main").unwrap(), pep: pep(false, &[]), http: Some(http), asked: None }, &rules())
}

#[track_caller]
fn refused(http: RawHttp, code: DenialCode) {
    let found = check(http);
    assert_eq!(found.as_ref().map_err(Denial::code).err(), Some(code), "{found:?}");
}

#[test]
fn a_proxied_request_becomes_action_and_route() {
    let (request, _) = check(http("/pay%72oll?year=2026", &[("Accept-Language", "fr"), ("Cookie", "a=b")])).unwrap();
    assert_eq!((request.action.name.as_str(), request.resource.id.as_str()), ("GET", "app.example/payroll"));
    let http = request.http().unwrap();
    assert_eq!((http.raw_path.as_str(), http.query.as_str()), ("/pay%72oll", "year=2026"));
    assert_eq!(http.headers.keys().collect::<Vec<_>>(), ["accept-language"], "credentials are never chosen");
}

#[test]
fn ambiguity_is_a_denial() {
    refused(http("/public/../admin", &[]), DenialCode::AmbiguousPath);
    refused(http("/a?b#c", &[]), DenialCode::MalformedRequest);
    refused(RawHttp { method: "get".to_owned(), ..http("/", &[]) }, DenialCode::MalformedRequest);
    refused(RawHttp { method: "CONNECT".to_owned(), ..http("/", &[]) }, DenialCode::MalformedRequest);
    refused(RawHttp { scheme: "ftp".to_owned(), ..http("/", &[]) }, DenialCode::MalformedRequest);
    refused(RawHttp { authority: "evil.example".to_owned(), ..http("/", &[]) }, DenialCode::UnknownHost);
    refused(RawHttp { authority: "app.example@evil".to_owned(), ..http("/", &[]) }, DenialCode::MalformedRequest);
    refused(http("/", &[("Authorization", "Bearer a"), ("authorization", "Bearer b")]), DenialCode::AmbiguousHeader);
    refused(http("/", &[("X_Forwarded_Uri", "/x")]), DenialCode::AmbiguousHeader);
    refused(http("/", &[("X.Forwarded.For", "1.2.3.4")]), DenialCode::AmbiguousHeader);
    refused(http("/", &[("Authorization", "Bearer a, DPoP b")]), DenialCode::AmbiguousHeader);
    refused(http("/", &[("Remote_User", "admin")]), DenialCode::AmbiguousHeader);
    refused(http("/", &[("X-Countersign_Risk", "low")]), DenialCode::AmbiguousHeader);
    refused(http("/", &[("Cookie", "sid=a; sid=b")]), DenialCode::AmbiguousHeader);
    refused(http("/", &[("Cookie", &format!("{GRANT_COOKIE}=a; {GRANT_COOKIE}=b"))]), DenialCode::AmbiguousHeader);
    refused(http("/", &[("User-Agent", "a\nb")]), DenialCode::MalformedRequest);
    refused(http("/", &[("Authorization", "Bearer a"), ("Cookie", "access_token=b")]), DenialCode::ConflictingCredentials);
}

#[test]
fn p04_what_a_proxy_joined_is_not_one_credential() {
    for joined in
        ["Bearer two, Bearer one", "Bearer one,Bearer two", "Basic dTpw, Bearer a", "Digest username=\"u\", dpop b", "Bearer a, Basic b"]
    {
        refused(http("/", &[("Authorization", joined), ("Cookie", "access_token=c")]), DenialCode::AmbiguousHeader);
    }
    for joined in ["a=1; y=2,access_token=b", "access_token=a; x=1, sid=b", &format!("x=1,{GRANT_COOKIE}=g"), "sid=a,sid=b"] {
        refused(http("/", &[("Cookie", joined)]), DenialCode::AmbiguousHeader);
    }
    // A comma in a cookie of the application's own is its own business, and so is a scheme with commas.
    let (_, credentials) =
        check(http("/", &[("Cookie", "theme=a,b=c; sid=s"), ("Authorization", "Digest username=\"u\", realm=\"r\"")])).unwrap();
    assert_eq!((credentials.session_cookie.as_deref(), credentials.token), (Some("s"), None));
}

#[test]
fn no_second_session_hides_from_the_decision() {
    // An application that reads the other one would act for somebody else than was decided about: last wins, names are trimmed, decoded or read in any case.
    let many = format!("sid=a;{} sid=b", " x;".repeat(300));
    refused(http("/", &[("Cookie", &many)]), DenialCode::MalformedRequest);
    for hidden in [
        "sid=a; x,sid=b",
        "x,sid=b; sid=a",
        "sid =b; sid=a",
        "sid=a; sid\u{a0}=b",
        "sid=a; SID=b",
        "%73id=b; sid=a",
        "sid=a; x=1, SiD=b",
        "access.token=b; access_token=a",
        "Sid=b",
    ] {
        refused(http("/", &[("Cookie", hidden)]), DenialCode::AmbiguousHeader);
    }
    let (_, credentials) = check(http("/", &[("Cookie", "sids=x; flag; x_sid=y; a,b; sid = s ")])).unwrap();
    assert_eq!(credentials.session_cookie.as_deref(), Some("s"));
}

#[test]
fn credentials_are_read_and_kept_apart() {
    let cookie = format!("x=y; access_token=secret-token; sid=secret-session; {GRANT_COOKIE}=secret-grant; {DEVICE_COOKIE}=secret-device");
    let (request, credentials) = check(http("/", &[("Cookie", &cookie)])).unwrap();
    assert_eq!(credentials.token, Some((Scheme::Cookie, "secret-token".to_owned())));
    assert_eq!(credentials.session_cookie.as_deref(), Some("secret-session"));
    assert_eq!(credentials.grant.as_deref(), Some("secret-grant"));
    assert_eq!(credentials.device, device_of("secret-device").ok());
    let shown = format!("{request:?} {credentials:?} {}", serde_json::to_string(&request).unwrap());
    assert!(!shown.contains("secret"), "{shown}");
    let (_, same) = check(http("/", &[("Authorization", "bearer t"), ("Cookie", "access_token=t")])).unwrap();
    assert_eq!(same.token, Some((Scheme::Bearer, "t".to_owned())));
    let (_, basic) = check(http("/", &[("Authorization", "Basic dTpw")])).unwrap();
    assert_eq!(basic.token, None);
}

#[test]
fn a_device_cookie_proves_a_name_that_nobody_can_present() {
    let named = |cookie: &str| {
        let cookie = format!("{DEVICE_COOKIE}={cookie}");
        check(http("/", &[("Cookie", &cookie)])).map(|(_, credentials)| credentials.device.unwrap().as_str().to_owned())
    };
    let name = named("cookie-of-a-laptop").unwrap();
    assert!(name.starts_with("browser:") && name.len() == 40, "{name}");
    assert_eq!(named("cookie-of-a-laptop").unwrap(), name);
    // Neither its own name, nor that of a key or of an inventory, is what a cookie names.
    for known in [name.as_str(), "x5t:thumbprint", "laptop"] {
        assert_ne!(named(known).unwrap(), known);
    }
    assert!(named("").is_err() && named(&"c".repeat(129)).is_err());
}

#[track_caller]
fn client(peer: &str, forwarded: &str, expected: Option<&str>) {
    let chain = Client::Chain { peer: peer.parse().unwrap(), forwarded: Some(forwarded.to_owned()) };
    let found = client_address(&chain, &rules().trusted_proxies).unwrap();
    assert_eq!(found, expected.map(|address| address.parse().unwrap()), "{peer} {forwarded}");
}

#[test]
fn the_client_is_the_right_most_untrusted_hop() {
    client(NGINX, "203.0.113.9", Some("203.0.113.9"));
    client(NGINX, "1.1.1.1, 203.0.113.9", Some("203.0.113.9"));
    client(NGINX, "203.0.113.9, 10.0.0.2", Some("203.0.113.9"));
    client(NGINX, "::ffff:203.0.113.9", Some("203.0.113.9"));
    client(NGINX, "203.0.113.9, junk", None);
    client(NGINX, "fe80::1%eth0", None);
    client(NGINX, "10.0.0.3", None);
    client(NGINX, "", None);
    // Whoever is not a trusted proxy speaks for itself only.
    client("198.51.100.4", "203.0.113.9", Some("198.51.100.4"));
    let long = Client::Chain { peer: NGINX.parse().unwrap(), forwarded: Some("1.1.1.1,".repeat(40)) };
    assert!(client_address(&long, &rules().trusted_proxies).is_err());
}

#[track_caller]
fn ask(pep: Pep, body: Value) -> Result<(AccessRequest, Credentials), Denial> {
    let asked = serde_json::from_value(body).unwrap();
    normalize(RawCheck { tenant: Tenant::new("main").unwrap(), pep, http: None, asked: Some(asked) }, &rules())
}

#[test]
fn an_enforcement_point_states_only_what_it_may() {
    let body = |context: Value, properties: Value| {
        json!({"subject": {"type": "user", "id": "alice", "properties": properties}, "action": {"name": "read"},
            "resource": {"type": "record", "id": "1"}, "context": context})
    };
    let code = |result: Result<(AccessRequest, Credentials), Denial>| result.err().map(|denial| denial.code());
    assert_eq!(code(ask(pep(true, &[]), body(json!({}), json!({})))), None);
    assert_eq!(code(ask(pep(false, &[]), body(json!({}), json!({})))), Some(DenialCode::NotAssertable));
    assert_eq!(code(ask(pep(true, &[]), body(json!({"mood": 1}), json!({})))), Some(DenialCode::NotAssertable));
    assert_eq!(code(ask(pep(true, &["mood"]), body(json!({"mood": 1}), json!({})))), None);
    assert_eq!(code(ask(pep(true, &["role"]), body(json!({}), json!({"role": "admin"})))), None);
    assert_eq!(code(ask(pep(true, &[]), body(json!({}), json!({"role": "admin"})))), Some(DenialCode::NotAssertable));
    for name in RESERVED_CONTEXT {
        let refused = Some(DenialCode::ReservedName).filter(|_| !SHADOWED_CONTEXT.contains(&name));
        assert_eq!(code(ask(pep(true, &["*"]), body(json!({name: 0}), json!({})))), refused, "{name}");
    }
    for name in SHADOWED_CONTEXT {
        assert_eq!(code(ask(pep(true, &["mood"]), body(json!({name: 0}), json!({})))), Some(DenialCode::NotAssertable), "{name}");
    }
}

#[test]
fn a_step_up_is_bound_to_what_was_asked() {
    let digest = |target: &str| check(http(target, &[])).unwrap().0.digest();
    assert_eq!(digest("/a"), digest("/%61"));
    assert_ne!(digest("/a"), digest("/b"));
    assert_ne!(digest("/a?x=1"), digest("/a?x=2"));
}

#[track_caller]
fn kind(method: &str, headers: &[(&str, &str)], expected: ClientKind) {
    let (request, _) = check(RawHttp { method: method.to_owned(), ..http("/", headers) }).unwrap();
    assert_eq!(request.http().unwrap().kind, expected, "{method} {headers:?}");
}

#[test]
fn a_client_is_of_one_kind() {
    use ClientKind as K;
    kind("GET", &[("Sec-Fetch-Mode", "navigate")], K::Navigation);
    kind("POST", &[("Sec-Fetch-Mode", "navigate")], K::Navigation);
    kind("GET", &[("Accept", "text/html,*/*")], K::Navigation);
    kind("POST", &[("Accept", "text/html,*/*")], K::Program);
    kind("GET", &[("Accept", "text/html"), ("X-Requested-With", "XMLHttpRequest")], K::Script);
    kind("GET", &[("Sec-Fetch-Mode", "cors"), ("Accept", "text/html")], K::Script);
    kind("PUT", &[("Sec-Fetch-Mode", "same-origin"), ("Sec-Fetch-Site", "same-origin")], K::Script);
    kind("GET", &[("Sec-Fetch-Mode", "cors"), ("Sec-Fetch-Site", "cross-site")], K::Program);
    kind("GET", &[("Sec-Fetch-Mode", "no-cors"), ("Accept", "image/png")], K::Program);
    kind("GET", &[("Accept", "application/json"), ("Cookie", "sid=a")], K::Script);
    kind("GET", &[("Accept", "application/json")], K::Program);
    kind("GET", &[], K::Program);
    kind("POST", &[("Content-Type", "application/grpc+proto"), ("Accept", "text/html")], K::Grpc);
    kind("POST", &[("Content-Type", "application/graphql")], K::Program);
    kind("GET", &[("Upgrade", "h2c, WebSocket"), ("Accept", "text/html")], K::WebSocket);
    kind("GET", &[("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="), ("Accept", "text/html")], K::WebSocket);
    let asks = [("Origin", "https://spa.example"), ("Access-Control-Request-Method", "PUT")];
    kind("OPTIONS", &asks, K::Preflight);
    kind("GET", &asks, K::Program);
    kind("OPTIONS", &[asks[0]], K::Program);
    // What no browser sends with a preflight makes it another request.
    for more in [("Cookie", "sid=a"), ("Authorization", "Bearer a"), ("X-HTTP-Method-Override", "DELETE"), ("Origin", "https://b.example")]
    {
        kind("OPTIONS", &[asks[0], asks[1], more], K::Program);
    }
}

#[test]
fn a_script_belongs_to_a_page_of_its_own_host_or_to_none() {
    let page = |referer: &str| {
        let script = [("Sec-Fetch-Mode", "cors"), ("Referer", referer)];
        check(http("/api/rows", &script)).unwrap().0.http().unwrap().page.clone()
    };
    assert_eq!(page("https://app.example/rows?year=2026").as_deref(), Some("/rows?year=2026"));
    assert_eq!(page("https://APP.example:443/r%6Fws").as_deref(), Some("/rows"));
    let others = [
        "https://evil.example/",
        "http://app.example/",
        "https://app.example",
        "https://app.example//evil.example",
        "https://app.example/\\evil.example",
        "https://app.example@evil.example/",
        "https://app.example.evil.example/",
        "https://app.example/a#b",
        "https://app.example/a?b#c",
        "/rows",
        "",
    ];
    for other in others {
        assert_eq!(page(other), None, "{other}");
    }
    let (navigating, _) = check(http("/", &[("Sec-Fetch-Mode", "navigate"), ("Referer", "https://app.example/x")])).unwrap();
    assert_eq!(navigating.http().unwrap().page, None);
}

#[test]
fn only_cookies_are_a_browsers() {
    let browsers = |headers: &[(&str, &str)]| check(http("/", headers)).unwrap().1.are_a_browsers();
    assert!(browsers(&[("Cookie", "sid=a")]));
    assert!(browsers(&[("Cookie", "access_token=a")]));
    assert!(!browsers(&[("Cookie", "sid=a"), ("Authorization", "Bearer a")]));
    assert!(!browsers(&[("Cookie", "other=a")]));
}
