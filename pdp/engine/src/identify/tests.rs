//! Tokens, one line a case, signed with a real key.

#![allow(clippy::needless_pass_by_value, reason = "a case reads better as a literal")]

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_sdk_types::{PepId, Tenant};
use serde_json::json;

use super::*;
use crate::keys::KeySetError;
use crate::request::{Client, HostRules, Pep, RawCheck, RawHttp, RequestRules, normalize};

pub(super) const NOW: Timestamp = Timestamp(1_800_000_000_000);

pub(super) struct Signer(EcdsaKeyPair);

impl Signer {
    pub(super) fn new() -> Self {
        Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    pub(super) fn jwk(&self) -> Value {
        let point = self.0.public_key().as_ref();
        json!({"kty": "EC", "crv": "P-256", "x": URL_SAFE_NO_PAD.encode(&point[1..33]), "y": URL_SAFE_NO_PAD.encode(&point[33..])})
    }

    fn key_set(&self) -> KeySet {
        let mut key = self.jwk();
        key["kid"] = json!("k1");
        KeySet::parse(json!({"keys": [key]}).to_string().as_bytes()).unwrap()
    }

    pub(super) fn sign(&self, header: &str, payload: &str) -> String {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let signature = self.0.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }
}

fn issuers(signer: &Signer) -> Issuers {
    let issuer = Issuer {
        keys: signer.key_set(),
        check: Check::Signature,
        algorithms: vec![Algorithm::ES256],
        audiences: BTreeSet::from(["pdp".to_owned()]),
        takes_plain_jwt: false,
        clients: BTreeSet::new(),
        max_lifetime: Seconds(24 * 3600),
        mapped_claims: BTreeSet::from(["role".to_owned()]),
    };
    Issuers { by_iss: BTreeMap::from([("https://issuer.example".to_owned(), issuer)]), opaque: None, skew: Seconds(5) }
}

fn request(certificate: Option<&str>) -> AccessRequest {
    let pep = Pep { id: PepId::new("nginx").unwrap(), asserts_subject: false, asserts_client: false, asserts: BTreeSet::new() };
    let http = RawHttp {
        method: "GET".to_owned(),
        scheme: "https".to_owned(),
        authority: "app.example".to_owned(),
        target: "/".to_owned(),
        headers: Vec::new(),
        client: Client::Unknown,
        client_certificate: certificate.map(ToOwned::to_owned),
    };
    let hosts = BTreeMap::from([(countersign_sdk_types::Host::new("app.example").unwrap(), HostRules::default())]);
    let rules = RequestRules { hosts, ..RequestRules::default() };
    normalize(RawCheck { tenant: Tenant::new("main").unwrap(), pep, http: Some(http), asked: None }, &rules).unwrap().0
}

const HEADER: &str = r#"{"alg":"ES256","kid":"k1","typ":"at+jwt"}"#;

fn good() -> Value {
    json!({"iss": "https://issuer.example", "sub": "alice", "aud": "pdp", "iat": NOW.secs() - 60, "exp": NOW.secs() + 600})
}

fn with(changes: Value) -> String {
    let mut claims = good();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(name),
            value => claims.as_object_mut().unwrap().insert(name.clone(), value.clone()),
        };
    }
    claims.to_string()
}

fn present(signer: &Signer, token: String, scheme: Scheme, certificate: Option<&str>) -> Result<Identified, IdentifyError> {
    let credentials = Credentials { token: Some((scheme, token)), ..Credentials::default() };
    identified(request(certificate), &credentials, &issuers(signer))
}

fn identified(request: AccessRequest, credentials: &Credentials, issuers: &Issuers) -> Result<Identified, IdentifyError> {
    let given = Given { issuers, proofs: &ProofRules::default(), linked: None, introspected: None, now: NOW };
    Ok(identify(request, credentials, given)?.confirm(|_| panic!("no proof is used"))?)
}

#[track_caller]
fn accepts(claims: Value) -> Identified {
    let signer = Signer::new();
    let token = signer.sign(HEADER, &with(claims.clone()));
    present(&signer, token, Scheme::Bearer, None).unwrap_or_else(|error| panic!("{claims}: {error:?}"))
}

#[track_caller]
fn refuses(header: &str, payload: &str, code: DenialCode) {
    let signer = Signer::new();
    match present(&signer, signer.sign(header, payload), Scheme::Bearer, None) {
        Err(IdentifyError::Denied(denial)) => assert_eq!(denial.code(), code, "{header} {payload}: {denial}"),
        other => panic!("{header} {payload}: {other:?}"),
    }
}

#[track_caller]
fn refuses_claims(changes: Value) {
    refuses(HEADER, &with(changes), DenialCode::InvalidToken);
}

#[test]
fn a_good_token_identifies_its_subject() {
    let found = accepts(json!({"acr": "phr", "amr": ["hwk"], "scope": "a b", "role": "admin", "other": 1, "aud": ["x", "pdp"]}));
    assert_eq!((found.subject.iss.as_str(), found.subject.sub.as_str()), ("https://issuer.example", "alice"));
    assert_eq!(found.token.scopes.len(), 2);
    assert_eq!(found.token.claims, json!({"role": "admin"}).as_object().unwrap().clone());
    assert_eq!((found.by, found.binding), (IdentifiedBy::Token, BindingState::NotDeclared));
}

#[test]
fn clocks_may_differ_by_the_skew_and_no_more() {
    accepts(json!({"exp": NOW.secs() - 4}));
    refuses(HEADER, &with(json!({"exp": NOW.secs() - 5})), DenialCode::ExpiredToken);
    accepts(json!({"nbf": NOW.secs() + 5}));
    refuses(HEADER, &with(json!({"nbf": NOW.secs() + 6})), DenialCode::ExpiredToken);
    refuses_claims(json!({"iat": NOW.secs() + 6}));
    refuses_claims(json!({"auth_time": NOW.secs() + 6}));
}

#[test]
fn claims_have_one_type() {
    for time in [json!("1"), json!({}), json!([1]), json!(true), json!(-1), json!(1e30), json!(u64::MAX)] {
        refuses_claims(json!({"exp": time}));
        refuses_claims(json!({"nbf": time}));
        refuses_claims(json!({"iat": time}));
    }
    for aud in [json!(null), json!({}), json!(7), json!([]), json!(["other"]), json!(["pdp", 7]), json!("pdp2")] {
        refuses_claims(json!({"aud": aud}));
    }
    for sub in [json!(null), json!(""), json!(7), json!({}), json!("a\u{0}b"), json!("a".repeat(256))] {
        refuses_claims(json!({"sub": sub}));
    }
    refuses_claims(json!({"exp": null}));
    refuses_claims(json!({"iss": ["https://issuer.example", "https://evil.example"]}));
    refuses_claims(json!({"iss": "https://issuer.example/"}));
    refuses_claims(json!({"acr": 7}));
    refuses_claims(json!({"scope": ["a"]}));
    refuses_claims(json!({"cnf": "x"}));
    refuses_claims(json!({"cnf": {"kid": "x"}}));
    refuses_claims(json!({"events": {}}));
    refuses_claims(json!({"exp": NOW.secs() + 25 * 3600}));
    refuses_claims(json!({"iat": null, "exp": NOW.secs() + 25 * 3600}));
    refuses(HEADER, r#"{"iss":"https://issuer.example","sub":"a","sub":"b","aud":"pdp","exp":1800000600}"#, DenialCode::InvalidToken);
    refuses(HEADER, "[]", DenialCode::InvalidToken);
}

#[test]
fn headers_that_change_the_meaning_are_refused() {
    for header in [
        r#"{"alg":"none","kid":"k1","typ":"at+jwt"}"#,
        r#"{"alg":"HS256","kid":"k1","typ":"at+jwt"}"#,
        r#"{"alg":"es256","kid":"k1","typ":"at+jwt"}"#,
        r#"{"alg":"ES384","kid":"k1","typ":"at+jwt"}"#,
        r#"{"alg":"ES256","alg":"none","kid":"k1","typ":"at+jwt"}"#,
        r#"{"alg":"ES256","kid":"k1","typ":"at+jwt","crit":["x"]}"#,
        r#"{"alg":"ES256","kid":"k1","typ":"at+jwt","b64":false}"#,
        r#"{"alg":"ES256","kid":"k1","typ":"at+jwt","zip":"DEF"}"#,
        r#"{"alg":"ES256","kid":"k1","typ":"JWT"}"#,
        r#"{"alg":"ES256","kid":"k1"}"#,
        r#"{"alg":"ES256","kid":"k1","typ":"dpop+jwt"}"#,
        r#"{"alg":"ES256","kid":"k1","typ":"secevent+jwt"}"#,
        r#"{"alg":"ES256","kid":7,"typ":"at+jwt"}"#,
        "{}",
    ] {
        refuses(header, &good().to_string(), DenialCode::InvalidToken);
    }
}

#[test]
fn an_unknown_key_names_its_issuer() {
    let signer = Signer::new();
    let token = signer.sign(r#"{"alg":"ES256","kid":"../../etc/passwd","typ":"at+jwt"}"#, &good().to_string());
    assert_eq!(present(&signer, token, Scheme::Bearer, None), Err(IdentifyError::UnknownKey("https://issuer.example".to_owned())));
}

#[test]
fn foreign_and_broken_signatures_are_refused() {
    let (signer, other) = (Signer::new(), Signer::new());
    let foreign = other.sign(HEADER, &good().to_string());
    assert!(matches!(present(&signer, foreign, Scheme::Bearer, None), Err(IdentifyError::Denied(_))));
    let token = signer.sign(HEADER, &good().to_string());
    for broken in
        [token.clone() + "=", token.clone() + ".x", token.replace('.', ".."), format!("{token}A"), ".".repeat(100_000), String::new()]
    {
        assert!(matches!(present(&signer, broken, Scheme::Bearer, None), Err(IdentifyError::Denied(_))));
    }
    assert!(matches!(present(&signer, token, Scheme::Dpop, None), Err(IdentifyError::Denied(_))));
}

#[test]
fn a_bound_token_needs_its_key() {
    let signer = Signer::new();
    let token = signer.sign(HEADER, &with(json!({"cnf": {"x5t#S256": "thumb"}})));
    let binding = |certificate| present(&signer, token.clone(), Scheme::Bearer, certificate).unwrap().binding;
    assert_eq!(binding(Some("thumb")), BindingState::Proved);
    assert_eq!(binding(Some("other")), BindingState::Mismatch);
    assert_eq!(binding(None), BindingState::Missing);
    assert_eq!(accepts(json!({"cnf": {"jkt": "x"}})).binding, BindingState::Missing);
    let refused =
        |certificate| present(&signer, token.clone(), Scheme::Bearer, certificate).unwrap().unproved().map(|denial| denial.code());
    assert_eq!(
        [refused(Some("thumb")), refused(Some("other")), refused(None)],
        [None, Some(DenialCode::InvalidToken), Some(DenialCode::InvalidToken)]
    );
    // The scheme of DPoP is for tokens that are bound to such a key.
    for claims in [json!({"cnf": {"x5t#S256": "thumb"}}), json!({})] {
        let token = signer.sign(HEADER, &with(claims));
        assert!(matches!(present(&signer, token, Scheme::Dpop, Some("thumb")), Err(IdentifyError::Denied(_))));
    }
    refuses_claims(json!({"cnf": {"jkt": "x", "x5t#S256": "y"}}));
    refuses_claims(json!({"cnf": {"jkt": 7}}));
}

#[test]
fn a_session_is_its_keys_and_its_subjects() {
    let signer = Signer::new();
    let found = |changes: Value, certificate| {
        let mut claims = json!({"cnf": {"x5t#S256": certificate}, "sid": "s1"});
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        present(&signer, signer.sign(HEADER, &with(claims)), Scheme::Bearer, Some(certificate)).unwrap()
    };
    let one = found(json!({}), "thumb");
    assert!(one.session.as_str().starts_with("x5t:"), "{:?}", one.session);
    assert_eq!(one.device.as_ref().map(DeviceId::as_str), Some("x5t:thumb"));
    assert_eq!(one.session, found(json!({"jti": "refreshed", "sid": "s2"}), "thumb").session);
    assert_ne!(one.session, found(json!({"sub": "bob"}), "thumb").session, "a client that acts for many has one key");
    assert_ne!(one.session, found(json!({}), "other").session);
}

#[test]
fn a_refreshed_token_is_the_same_session() {
    let one = accepts(json!({"sid": "s1", "jti": "1"}));
    let two = accepts(json!({"sid": "s1", "jti": "2"}));
    assert_eq!(one.session, two.session);
    assert_ne!(one.session, accepts(json!({"sid": "s2"})).session);
    assert_ne!(one.token.digest, two.token.digest);
}

#[test]
fn nothing_identifies_nobody() {
    let signer = Signer::new();
    let nobody = identified(request(None), &Credentials::default(), &issuers(&signer));
    assert!(matches!(nobody, Err(IdentifyError::Denied(denial)) if denial.code() == DenialCode::NoCredentials));
    // A cookie that nobody linked is no session.
    let credentials = Credentials { session_cookie: Some("forged".to_owned()), ..Credentials::default() };
    assert!(identified(request(None), &credentials, &issuers(&signer)).is_err());
}

#[test]
fn no_record_holds_a_token() {
    let signer = Signer::new();
    let token = signer.sign(HEADER, &good().to_string());
    let found = present(&signer, token.clone(), Scheme::Bearer, None).unwrap();
    let kept = serde_json::to_string(&found).unwrap();
    assert!(token.split('.').all(|part| !kept.contains(part)), "{kept}");
}

#[test]
fn key_sets_take_public_signature_keys_only() {
    let set = |keys: Value| KeySet::parse(json!({"keys": keys}).to_string().as_bytes());
    let n = URL_SAFE_NO_PAD.encode([0xc5; 256]);
    let short = URL_SAFE_NO_PAD.encode([0xc5; 64]);
    assert_eq!(set(json!([{"kty": "RSA", "n": n, "e": "AQAB"}])).unwrap().len(), 1);
    assert_eq!(set(json!([{"kty": "RSA", "n": short, "e": "AQAB"}])).unwrap().len(), 0);
    assert_eq!(set(json!([{"kty": "RSA", "n": n, "e": "AQ"}])).unwrap().len(), 0);
    assert_eq!(set(json!([{"kty": "RSA", "n": n, "e": "AQAB", "use": "enc"}])).unwrap().len(), 0);
    assert_eq!(set(json!([{"kty": "RSA", "n": n, "e": "AQAB", "alg": "HS256"}])).unwrap().len(), 0);
    assert_eq!(set(json!([{"kty": "oct", "k": "c2VjcmV0"}])).unwrap().len(), 0);
    assert!(matches!(set(json!([{"kty": "oct", "kid": "a"}, {"kty": "RSA", "kid": "a"}])), Err(KeySetError::Repeated(_))));
    assert!(matches!(set(json!(vec![json!({"kty": "oct"}); 101])), Err(KeySetError::TooMany)));
    assert!(KeySet::parse(b"[]").is_err());
}

/// As issuers write them that know no `at+jwt` and are configured as `dangerous_plain_jwt`.
#[track_caller]
fn plain(header: &str, changes: Value) -> Result<Identified, IdentifyError> {
    let signer = Signer::new();
    let mut issuers = issuers(&signer);
    issuers.by_iss.values_mut().for_each(|issuer| issuer.takes_plain_jwt = true);
    let credentials = Credentials { token: Some((Scheme::Bearer, signer.sign(header, &with(changes)))), ..Credentials::default() };
    identified(request(None), &credentials, &issuers)
}

#[test]
fn jwt_03_no_other_kind_of_token_is_an_access_token() {
    const PLAIN: &str = r#"{"alg":"ES256","kid":"k1","typ":"JWT"}"#;
    assert!(plain(PLAIN, json!({})).is_ok() && plain(r#"{"alg":"ES256","kid":"k1"}"#, json!({"typ": "Bearer"})).is_ok());
    // A type that says something else, whatever an issuer is configured to take.
    for typ in
        ["dpop+jwt", "secevent+jwt", "application/secevent+jwt", "logout+jwt", "token-introspection+jwt", "oauth-authz-req+jwt", "JOSE", ""]
    {
        let header = json!({"alg": "ES256", "kid": "k1", "typ": typ}).to_string();
        assert!(plain(&header, json!({})).is_err(), "{typ}");
        refuses(&header, &good().to_string(), DenialCode::InvalidToken);
    }
    // The shapes of ID tokens, logout tokens and events, of refresh tokens, where the type does not say.
    for shape in [
        json!({"nonce": "n"}),
        json!({"at_hash": "h"}),
        json!({"c_hash": "h"}),
        json!({"events": {"http://schemas.openid.net/event/backchannel-logout": {}}}),
        json!({"events": {}}),
        json!({"typ": "ID"}),
        json!({"typ": "Refresh"}),
        json!({"typ": "Logout"}),
        json!({"typ": 7}),
        json!({"token_use": "id"}),
        json!({"token_type": "refresh_token"}),
    ] {
        assert!(plain(PLAIN, shape.clone()).is_err(), "{shape}");
    }
    // An access token that says what it is may carry a nonce of its issuer's own.
    accepts(json!({"nonce": "n"}));
}

#[test]
fn jwt_09_what_is_encrypted_or_compressed_is_refused() {
    let signer = Signer::new();
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let jwe = format!("{}.{}.{}.{}.{}", part(r#"{"alg":"dir","enc":"A256GCM","iss":"https://issuer.example"}"#), "", "aa", "aa", "aa");
    let pbes = format!("{}.aa.aa.aa.aa", part(r#"{"alg":"PBES2-HS512+A256KW","p2c":1000000000,"enc":"A256GCM"}"#));
    for token in [jwe, pbes] {
        assert!(matches!(present(&signer, token, Scheme::Bearer, None), Err(IdentifyError::Denied(_))));
    }
    refuses(r#"{"alg":"ES256","kid":"k1","typ":"at+jwt","zip":"DEF"}"#, &good().to_string(), DenialCode::InvalidToken);
}

mod introspection;
mod proofs;
