//! Every decision for every kind of client.

use countersign_pdp_engine::path::{CanonicalPath, canonical_host};
use countersign_sdk_types::{Acr, Seconds};
use serde_json::Value;

use super::*;

pub(in crate::adapter) const KINDS: [ClientKind; 6] =
    [ClientKind::Navigation, ClientKind::Script, ClientKind::Program, ClientKind::Grpc, ClientKind::WebSocket, ClientKind::Preflight];

const CEREMONY: &str = "https://wiki.example/.countersign/step-up?d=secret";

fn asked(kind: ClientKind) -> Asked {
    Asked {
        host: canonical_host("wiki.example", "https").unwrap(),
        path: CanonicalPath::parse("/new/page").unwrap(),
        target: "/new/page?x=1".to_owned(),
        kind,
        page: Some("/rows".to_owned()),
        is_safe: true,
        proving: None,
    }
}

fn sites(site: Site) -> BTreeMap<Host, Site> {
    BTreeMap::from([(canonical_host("wiki.example", "https").unwrap(), site)])
}

fn site() -> Site {
    let login_url = Some("https://login.example/in?app=wiki".to_owned());
    Site { origin: "https://wiki.example".to_owned(), login_url, report: Vec::new(), passes_preflights: false }
}

pub(in crate::adapter) fn demand() -> Decision {
    Decision::StepUp(Demand { acr: Acr::phr(), max_age: Seconds(300), reasons: Vec::new() })
}

pub(in crate::adapter) fn deny(code: DenialCode) -> Decision {
    Decision::Deny(Denial::new(code, "for operators"))
}

fn answer(decision: Decision, asked: Option<Asked>) -> Answer {
    let opens = asked.as_ref().is_some_and(|asked| matches!(asked.kind, ClientKind::Navigation | ClientKind::Script));
    let ceremony = (opens && matches!(decision, Decision::StepUp(_))).then(|| CEREMONY.to_owned());
    Answer { asked, ceremony, ..Answer::of("main.1.2".to_owned(), decision) }
}

#[track_caller]
pub(in crate::adapter) fn refused(decision: Decision, kind: ClientKind) -> Refusal {
    match reply(answer(decision, Some(asked(kind))), &sites(site()), &IdentityHeaders::default()) {
        Reply::Refuse(refusal) => refusal,
        Reply::Pass(headers) => panic!("{kind:?} passes: {headers:?}"),
    }
}

fn header<'a>(refusal: &'a Refusal, name: &str) -> &'a str {
    refusal.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

#[test]
fn no_refusal_is_a_success_whoever_asks() {
    let all = || DenialCode::ALL.iter().map(|code| deny(*code)).chain([demand()]);
    for kind in KINDS {
        for decision in all() {
            let what = format!("{kind:?} {decision:?}");
            let refusal = refused(decision, kind);
            assert!(matches!(refusal.status().as_u16(), 302 | 400 | 401 | 403 | 503), "{what}: {}", refusal.status());
            assert_eq!(refusal.status().is_redirection(), refusal.headers().contains_key("location"), "{what}");
            assert!(!refusal.status().is_redirection() || kind == ClientKind::Navigation, "{what}");
            assert_eq!(header(&refusal, "cache-control"), "no-store", "{what}");
            assert_eq!(header(&refusal, "x-countersign-decision"), "main.1.2", "{what}");
            assert!(!format!("{refusal:?}").contains("for operators"), "{what}");
            assert!(!refusal.headers().contains_key("x-countersign-risk"), "the client of a refusal learns nothing of its risk");
        }
    }
    // What could not be read is nobody's.
    for decision in all() {
        assert!(matches!(reply(answer(decision, None), &BTreeMap::new(), &IdentityHeaders::default()), Reply::Refuse(_)));
    }
}

#[test]
fn nobody_becomes_another_by_a_space() {
    let sent = |name: &str| text(name).to_str().unwrap().to_owned();
    assert_eq!((sent("admin"), sent("Ada Lovelace")), ("admin".to_owned(), "Ada Lovelace".to_owned()));
    for name in ["admin ", " admin", "\tadmin", "admin\u{a0}", "admin\r\nx: y"] {
        assert_eq!(sent(name), "", "{name:?}");
    }
    assert!(is_role("admin") && is_role("team lead"));
    assert!(!["", " admin", "admin ", "a,admin"].into_iter().any(is_role));
}

#[test]
fn a_refusal_cannot_be_made_a_success() {
    for status in [StatusCode::OK, StatusCode::NO_CONTENT, StatusCode::SWITCHING_PROTOCOLS] {
        assert_eq!(refused(demand(), ClientKind::Program).with_status(status).status(), StatusCode::FORBIDDEN);
    }
}

#[test]
fn a_navigation_is_redirected() {
    let ceremony = refused(demand(), ClientKind::Navigation);
    assert_eq!((ceremony.status(), header(&ceremony, "location"), ceremony.body()), (StatusCode::FOUND, CEREMONY, ""));
    let login = refused(deny(DenialCode::NoCredentials), ClientKind::Navigation);
    let expected = "https://login.example/in?app=wiki&return=https%3A%2F%2Fwiki%2Eexample%2Fnew%2Fpage%3Fx%3D1";
    assert_eq!((login.status(), header(&login, "location")), (StatusCode::FOUND, expected));
    let posted = Asked { is_safe: false, ..asked(ClientKind::Navigation) };
    let Reply::Refuse(posted) = reply(answer(demand(), Some(posted)), &sites(site()), &IdentityHeaders::default()) else { panic!() };
    assert_eq!(posted.status(), StatusCode::SEE_OTHER);
    // Where there is no login, and where nothing could be proved, a person reads a line.
    let refusal = refused(deny(DenialCode::PolicyDenied), ClientKind::Navigation);
    assert_eq!((refusal.status(), header(&refusal, "content-type")), (StatusCode::FORBIDDEN, "text/plain; charset=utf-8"));
    assert!(refusal.body().contains("main.1.2"), "{}", refusal.body());
}

#[test]
fn an_address_that_is_too_long_to_come_back_to_leads_home() {
    let far = Asked { target: format!("/{}", "a".repeat(2000)), ..asked(ClientKind::Navigation) };
    let answer = answer(deny(DenialCode::NoCredentials), Some(far));
    let Reply::Refuse(login) = reply(answer, &sites(site()), &IdentityHeaders::default()) else { panic!() };
    assert_eq!(header(&login, "location"), "https://login.example/in?app=wiki&return=https%3A%2F%2Fwiki%2Eexample%2F");
}

#[test]
fn a_script_reads_where_its_page_should_go() {
    let document = |refusal: &Refusal| {
        assert_eq!(header(refusal, "content-type"), "application/problem+json");
        serde_json::from_str::<Value>(refusal.body()).unwrap()
    };
    let refusal = refused(demand(), ClientKind::Script);
    assert_eq!(refusal.status(), StatusCode::UNAUTHORIZED);
    let challenge = header(&refusal, "www-authenticate");
    for part in ["Bearer error=\"insufficient_user_authentication\"", "acr_values=\"phr\"", "max_age=\"300\""] {
        assert!(challenge.contains(part), "{challenge}");
    }
    let expected = serde_json::json!({
        "type": "about:blank", "title": "Unauthorized", "status": 401, "detail": "this needs a fresh proof of who asks", "decision": "main.1.2",
        "code": "insufficient_user_authentication", "acr_values": "phr", "max_age": 300, "step_up": {"url": CEREMONY},
    });
    assert_eq!(document(&refusal), expected);
    assert_eq!(header(&refusal, "x-countersign-page"), CEREMONY);
    let login = document(&refused(deny(DenialCode::NoCredentials), ClientKind::Script));
    assert_eq!(login["login"]["url"], "https://login.example/in?app=wiki&return=https%3A%2F%2Fwiki%2Eexample%2Frows");
    let denied = document(&refused(deny(DenialCode::PolicyDenied), ClientKind::Script));
    assert_eq!((&denied["status"], &denied["code"], &denied["step_up"]), (&Value::from(403), &Value::Null, &Value::Null));
    let malformed = document(&refused(deny(DenialCode::AmbiguousPath), ClientKind::Script));
    assert_eq!((&malformed["status"], &malformed["code"]), (&Value::from(400), &Value::from("ambiguous_path")));
}

#[test]
fn a_program_gets_the_challenge_and_no_page() {
    let refusal = refused(demand(), ClientKind::Program);
    assert!(header(&refusal, "www-authenticate").contains("insufficient_user_authentication"));
    assert!(!refusal.headers().contains_key("x-countersign-page"));
    assert!(!refusal.body().contains("step-up?d=") && refusal.body().contains("acr_values"), "{}", refusal.body());
    let nobody = refused(deny(DenialCode::NoCredentials), ClientKind::Program);
    assert_eq!((nobody.status(), header(&nobody, "www-authenticate")), (StatusCode::UNAUTHORIZED, "Bearer"));
    assert!(!nobody.body().contains("login.example"));
    let expired = refused(deny(DenialCode::ExpiredToken), ClientKind::Program);
    assert_eq!(header(&expired, "www-authenticate"), "Bearer error=\"invalid_token\"");
    assert_eq!(header(&refused(deny(DenialCode::Overloaded), ClientKind::Program), "retry-after"), "1");
}

#[test]
fn grpc_is_told_in_its_own_status() {
    let told = |decision: Decision| {
        let refusal = refused(decision, ClientKind::Grpc);
        assert_eq!((header(&refusal, "content-type"), refusal.body()), ("application/grpc", ""));
        (refusal.status().as_u16(), header(&refusal, "grpc-status").to_owned())
    };
    assert_eq!(told(demand()), (401, "16".to_owned()));
    assert_eq!(told(deny(DenialCode::NoCredentials)), (401, "16".to_owned()));
    assert_eq!(told(deny(DenialCode::PolicyDenied)), (403, "7".to_owned()));
    assert_eq!(told(deny(DenialCode::AmbiguousPath)), (400, "3".to_owned()));
    assert_eq!(told(deny(DenialCode::Deadline)), (503, "14".to_owned()));
}

#[test]
fn p11_a_websocket_handshake_is_refused_plainly() {
    for decision in [demand(), deny(DenialCode::NoCredentials), deny(DenialCode::PolicyDenied)] {
        let refusal = refused(decision, ClientKind::WebSocket);
        assert!(matches!(refusal.status().as_u16(), 401 | 403) && !refusal.headers().contains_key("location"));
        assert!(!refusal.body().contains("url"), "{}", refusal.body());
    }
}

#[test]
fn a_preflight_passes_only_where_it_may_and_only_for_want_of_credentials() {
    let said = |code: DenialCode, kind: ClientKind, passes_preflights: bool| {
        let site = Site { passes_preflights, ..site() };
        match reply(answer(deny(code), Some(asked(kind))), &sites(site), &IdentityHeaders::default()) {
            Reply::Pass(headers) => {
                assert_eq!((&headers["remote-user"], &headers["x-countersign-would"]), (&text(""), &text("deny")));
                200
            }
            Reply::Refuse(refusal) => {
                assert!(kind != ClientKind::Preflight || !refusal.headers().contains_key("www-authenticate"));
                refusal.status().as_u16()
            }
        }
    };
    assert_eq!(said(DenialCode::NoCredentials, ClientKind::Preflight, false), 403);
    for code in DenialCode::ALL {
        let expected = if *code == DenialCode::NoCredentials { 200 } else { 403 };
        assert_eq!(said(*code, ClientKind::Preflight, true), expected, "{code}");
    }
    for kind in KINDS.into_iter().filter(|kind| *kind != ClientKind::Preflight) {
        assert_ne!(said(DenialCode::NoCredentials, kind, true), 200, "{kind:?}");
    }
}

#[test]
fn in_report_mode_only_what_a_policy_refused_passes() {
    let passes = |decision: Decision, report: &str| {
        let site = Site { report: vec![CanonicalPath::parse(report).unwrap()], ..site() };
        let reply = reply(answer(decision, Some(asked(ClientKind::Program))), &sites(site), &IdentityHeaders::default());
        match reply {
            Reply::Pass(headers) => {
                assert_eq!(headers["remote-user"], "");
                Some(headers["x-countersign-would"].to_str().unwrap().to_owned())
            }
            Reply::Refuse(_) => None,
        }
    };
    let codes: Vec<_> = DenialCode::ALL.iter().filter(|code| passes(deny(**code), "/new").is_some()).collect();
    let refused_by_a_policy = [
        DenialCode::PolicyDenied,
        DenialCode::NotEnrolled,
        DenialCode::StepUpExhausted,
        DenialCode::PolicyUndefined,
        DenialCode::PolicyShape,
        DenialCode::PolicyConflict,
        DenialCode::PolicyError,
        DenialCode::PolicyBudget,
        DenialCode::PolicyPanic,
    ];
    assert_eq!(codes, refused_by_a_policy.iter().collect::<Vec<_>>());
    assert_eq!(passes(demand(), "/new").as_deref(), Some("step_up"));
    assert!(DenialCode::ALL.iter().all(|code| passes(deny(*code), "/old").is_none()));
    assert_eq!(passes(deny(DenialCode::PolicyDenied), "/ne"), None, "a prefix of a segment is not a prefix of the path");
}

#[test]
fn a_client_that_proves_a_key_is_challenged_in_its_scheme() {
    let terms = |nonce: Option<&str>| Terms { algorithms: "ES256 EdDSA".to_owned(), nonce: nonce.map(ToOwned::to_owned) };
    let told = |decision, nonce| {
        let asked = Asked { proving: Some(terms(nonce)), ..asked(ClientKind::Program) };
        match reply(answer(decision, Some(asked)), &sites(site()), &IdentityHeaders::default()) {
            Reply::Refuse(refusal) => {
                (refusal.status().as_u16(), header(&refusal, "www-authenticate").to_owned(), header(&refusal, "dpop-nonce").to_owned())
            }
            Reply::Pass(headers) => panic!("{headers:?}"),
        }
    };
    for (code, error) in [
        (DenialCode::InvalidProof, "invalid_dpop_proof"),
        (DenialCode::UseNonce, "use_dpop_nonce"),
        (DenialCode::InvalidToken, "invalid_token"),
        (DenialCode::ExpiredToken, "invalid_token"),
    ] {
        let challenge = format!("DPoP error=\"{error}\", algs=\"ES256 EdDSA\"");
        assert_eq!(told(deny(code), None), (401, challenge.clone(), String::new()));
        assert_eq!(told(deny(code), Some("n1")), (401, challenge, "n1".to_owned()));
    }
    let (status, challenge, _) = told(demand(), None);
    assert_eq!(status, 401);
    assert!(
        challenge.starts_with("DPoP error=\"insufficient_user_authentication\"") && challenge.contains("acr_values=\"phr\""),
        "{challenge}"
    );
    assert!(challenge.ends_with("algs=\"ES256 EdDSA\""), "{challenge}");
}
