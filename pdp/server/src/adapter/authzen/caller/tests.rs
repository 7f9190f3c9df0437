//! Callers, and those who only look like one.

use countersign_pdp_engine::request::Pep;
use countersign_sdk_types::PepId;

use super::*;

const SECRET: &str = "a secret of this test";
const BEARER: &str = "a.bearer.token-of-this-test";

fn enforcer(id: &str, more: impl FnOnce(&mut Enforcer)) -> Enforcer {
    let pep = Pep { id: PepId::new(id).unwrap(), asserts_subject: true, asserts_client: false, asserts: std::collections::BTreeSet::new() };
    let from = vec!["127.0.0.0/8".parse().unwrap()];
    let mut enforcer = Enforcer::new(pep, from);
    more(&mut enforcer);
    enforcer
}

fn enforcers() -> [Enforcer; 3] {
    [
        enforcer("app", |app| app.secret = Some(Enforcer::digest(SECRET))),
        enforcer("api", |api| api.bearer = Some(Enforcer::digest(BEARER))),
        enforcer("mesh", |mesh| {
            mesh.certificates =
                vec![CertificateName::Alternative("uri:spiffe://example/mesh".to_owned()), CertificateName::Thumbprint("THUMB".to_owned())];
        }),
    ]
}

fn found(headers: &[(&str, &str)], certificate: Option<&ClientCertificate>, peer: &str) -> Result<String, Unknown> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(axum::http::HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap());
    }
    find(&map, certificate, peer.parse().unwrap(), &enforcers()).map(|found| found.pep.id.to_string())
}

fn certificate(thumbprint: &str, names: &[&str]) -> ClientCertificate {
    ClientCertificate(thumbprint.to_owned(), names.iter().map(|name| (*name).to_owned()).collect())
}

const HERE: &str = "127.0.0.1";

#[test]
fn each_way_to_say_who_one_is_leads_to_its_enforcement_point() {
    let pair = format!("app:{SECRET}");
    assert_eq!(found(&[("x-countersign-pep", &pair)], None, HERE).as_deref(), Ok("app"));
    assert_eq!(found(&[("authorization", &format!("Bearer {pair}"))], None, HERE).as_deref(), Ok("app"));
    assert_eq!(found(&[("authorization", &format!("bearer  {BEARER}"))], None, HERE).as_deref(), Ok("api"));
    assert_eq!(found(&[], Some(&certificate("other", &["uri:spiffe://example/mesh"])), HERE).as_deref(), Ok("mesh"));
    assert_eq!(found(&[], Some(&certificate("THUMB", &[])), HERE).as_deref(), Ok("mesh"));
}

#[test]
fn nothing_and_a_certificate_of_nobody_is_missing() {
    assert_eq!(found(&[], None, HERE), Err(Unknown::Missing));
    assert_eq!(found(&[], Some(&certificate("other", &["dns:app"])), HERE), Err(Unknown::Missing));
}

#[test]
fn what_is_wrong_is_never_made_good_by_what_is_right() {
    let (pair, right) = (format!("app:{SECRET}"), ("authorization", format!("Bearer {BEARER}")));
    for headers in [
        vec![("x-countersign-pep", "app:wrong")],
        vec![("x-countersign-pep", "other:wrong"), (right.0, right.1.as_str())],
        vec![("x-countersign-pep", pair.as_str()), ("authorization", "Bearer wrong")],
        vec![("x-countersign-pep", pair.as_str()), ("authorization", "Basic YTpi")],
        // Both are right, and of two enforcement points.
        vec![("x-countersign-pep", pair.as_str()), (right.0, right.1.as_str())],
        // Twice is once too often, even the same.
        vec![(right.0, right.1.as_str()), (right.0, right.1.as_str())],
        vec![("x-countersign-pep", pair.as_str()), ("x-countersign-pep", pair.as_str())],
        vec![("authorization", "Bearer ")],
        vec![("authorization", BEARER)],
        vec![("authorization", "Bearer app:")],
    ] {
        assert_eq!(found(&headers, None, HERE), Err(Unknown::Wrong), "{headers:?}");
    }
    let mesh = certificate("THUMB", &[]);
    assert_eq!(found(&[("x-countersign-pep", &pair)], Some(&mesh), HERE), Err(Unknown::Wrong), "two callers at once");
    let stranger = certificate("other", &[]);
    assert_eq!(found(&[("x-countersign-pep", &pair)], Some(&stranger), HERE).as_deref(), Ok("app"));
}

#[test]
fn a_secret_from_another_network_is_wrong() {
    for headers in [[("authorization", format!("Bearer {BEARER}"))], [("x-countersign-pep", format!("app:{SECRET}"))]] {
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        assert_eq!(found(&headers, None, "192.0.2.1"), Err(Unknown::Wrong));
        assert!(found(&headers, None, "::ffff:127.0.0.1").is_ok());
    }
}

#[test]
fn a_secret_is_no_bearer_token_of_another_and_no_use_is_given_by_itself() {
    assert_eq!(found(&[("authorization", &format!("Bearer {SECRET}"))], None, HERE), Err(Unknown::Wrong));
    assert_eq!(found(&[("x-countersign-pep", &format!("api:{BEARER}"))], None, HERE), Err(Unknown::Wrong));
    let caller = |authzen| Caller(enforcer("app", |app| app.authzen = authzen));
    assert_eq!(caller(AuthzenUse::Evaluate).may(AuthzenUse::Search).unwrap_err().status, StatusCode::FORBIDDEN);
    assert_eq!(caller(AuthzenUse::None).may(AuthzenUse::Evaluate).unwrap_err().status, StatusCode::FORBIDDEN);
    assert!(caller(AuthzenUse::Search).may(AuthzenUse::Evaluate).is_ok());
}
