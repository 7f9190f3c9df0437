//! DPoP: the RFC's own example, what each check refuses, and what a token with a proof identifies.

use super::*;
use crate::keys::sha256;
use crate::request::HttpRequest;

/// RFC 9449, figures 13 and 14.
const PROOF: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA";
const TOKEN: &str = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
const MADE: i64 = 1_562_262_618;

fn http(method: &str, url: &str) -> HttpRequest {
    let (scheme, rest) = url.split_once("://").unwrap();
    let (host, path) = rest.split_at(rest.find('/').unwrap());
    HttpRequest {
        method: method.to_owned(),
        scheme: scheme.to_owned(),
        host: crate::path::canonical_host(host, scheme).unwrap(),
        path: crate::path::CanonicalPath::parse(path).unwrap(),
        raw_path: path.to_owned(),
        query: String::new(),
        headers: BTreeMap::new(),
        kind: crate::request::ClientKind::default(),
        page: None,
    }
}

#[test]
fn the_example_of_the_rfc_proves_its_key() {
    let rules = ProofRules::default();
    let request = http("GET", "https://resource.example.org/protectedresource");
    let verify = |token, http: &HttpRequest, secs| verify_proof(PROOF, token, http, &rules, Seconds(5), Timestamp::from_secs(secs));
    let proof = verify(TOKEN, &request, MADE).unwrap();
    assert_eq!(proof.thumbprint, "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
    assert_eq!(verify(TOKEN, &request, MADE).unwrap().id, proof.id, "the same proof has the same name");
    let code = |refused: Result<Proof, Denial>| refused.unwrap_err().code();
    assert_eq!(code(verify("another", &request, MADE)), DenialCode::InvalidProof);
    assert_eq!(code(verify(TOKEN, &http("GET", "https://resource.example.org/other"), MADE)), DenialCode::InvalidProof);
    // The window, with the skew of clocks on both sides.
    assert!(verify(TOKEN, &request, MADE - 5).is_ok() && verify(TOKEN, &request, MADE + 65).is_ok());
    assert_eq!(code(verify(TOKEN, &request, MADE - 6)), DenialCode::InvalidProof);
    assert_eq!(code(verify(TOKEN, &request, MADE + 66)), DenialCode::InvalidProof);
}

const URL: &str = "https://app.example/a/b";

/// A proof that is good for `GET` of [`URL`] with the token `t`, but for what is changed.
fn made(signer: &Signer, header: &Value, changes: &Value) -> String {
    let mut head = json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": signer.jwk()});
    let mut claims = json!({"jti": "1", "htm": "GET", "htu": URL, "iat": NOW.secs(), "ath": sha256(b"t")});
    for (of, changes) in [(&mut head, header), (&mut claims, changes)] {
        for (name, value) in changes.as_object().unwrap() {
            match value {
                Value::Null => of.as_object_mut().unwrap().remove(name),
                value => of.as_object_mut().unwrap().insert(name.clone(), value.clone()),
            };
        }
    }
    signer.sign(&head.to_string(), &claims.to_string())
}

fn check_by(rules: &ProofRules, header: &Value, changes: &Value) -> Result<Proof, DenialCode> {
    let proof = made(&Signer::new(), header, changes);
    verify_proof(&proof, "t", &http("GET", URL), rules, Seconds(5), NOW).map_err(|denial| denial.code())
}

#[track_caller]
fn refuses_proof(header: Value, changes: Value) {
    let refused = check_by(&ProofRules::default(), &header, &changes);
    assert_eq!(refused.err(), Some(DenialCode::InvalidProof), "{header} {changes}");
}

#[test]
fn dpop_01_a_proof_is_for_one_method_and_one_url() {
    let holds = |htu: &str| check_by(&ProofRules::default(), &json!({}), &json!({"htu": htu})).is_ok();
    for same in
        [URL, "HTTPS://APP.Example:443/a/b", "https://app.example/a/b?x=1#y", "https://app.example/%61/b", "https://app.example./a/b"]
    {
        assert!(holds(same), "{same}");
    }
    for other in [
        "http://app.example/a/b",
        "https://app.example:8443/a/b",
        "https://app.example/a/b/",
        "https://app.example/A/b",
        "https://app.example/a%2Fb",
        "https://app.example/x/../a/b",
        "https://app.example//a/b",
        "https://user@app.example/a/b",
        "https://app.example",
        "https://other.example/a/b",
        "//app.example/a/b",
        "/a/b",
        "",
    ] {
        assert!(!holds(other), "{other}");
    }
    for htm in [json!("POST"), json!("get"), json!(""), json!(7), Value::Null, json!(["GET"])] {
        refuses_proof(json!({}), json!({"htm": htm}));
    }
    refuses_proof(json!({}), json!({"htu": null}));
}

#[test]
fn dpop_03_a_proof_is_for_one_token() {
    for ath in [Value::Null, json!(""), json!("x"), json!(sha256(b"another")), json!(7)] {
        refuses_proof(json!({}), json!({"ath": ath}));
    }
}

#[test]
fn dpop_04_a_proof_is_new_named_and_signed_by_a_public_key() {
    for iat in [json!(NOW.secs() - 600), json!(NOW.secs() + 600), json!(-1), json!("1"), json!(1e30), Value::Null] {
        refuses_proof(json!({}), json!({"iat": iat}));
    }
    for jti in [Value::Null, json!(""), json!(7), json!("x".repeat(257))] {
        refuses_proof(json!({}), json!({"jti": jti}));
    }
    for typ in [Value::Null, json!("JWT"), json!("at+jwt"), json!("dpop+jwt "), json!(7)] {
        refuses_proof(json!({"typ": typ}), json!({}));
    }
    for alg in ["none", "HS256", "RS256", "ES384", "es256"] {
        refuses_proof(json!({"alg": alg}), json!({}));
    }
    refuses_proof(json!({"crit": ["x"]}), json!({}));
    let public = Signer::new().jwk();
    let (mut private, mut encrypting) = (public.clone(), public.clone());
    private["d"] = json!("AAAA");
    encrypting["use"] = json!("enc");
    for jwk in [public, private, encrypting, json!({"kty": "oct", "k": "AAAA"}), json!("x"), json!([]), Value::Null] {
        refuses_proof(json!({"jwk": jwk}), json!({}));
    }
    let long = "x".repeat(9 * 1024);
    let (request, rules) = (http("GET", URL), ProofRules::default());
    for hostile in ["", ".", "..", "a.b.c", &*long, &*".".repeat(8_000)] {
        assert!(verify_proof(hostile, "t", &request, &rules, Seconds(5), NOW).is_err());
    }
}

#[test]
fn dpop_04_a_nonce_is_asked_for_once_everything_else_is_right() {
    let rules = ProofRules { nonces: Some(vec!["now".to_owned(), "before".to_owned()]), ..ProofRules::default() };
    let check = |changes: Value| check_by(&rules, &json!({}), &changes).err();
    assert_eq!([check(json!({"nonce": "now"})), check(json!({"nonce": "before"}))], [None, None]);
    for nonce in [Value::Null, json!("old"), json!("")] {
        assert_eq!(check(json!({"nonce": nonce})), Some(DenialCode::UseNonce));
    }
    assert_eq!(check(json!({"nonce": 7})), Some(DenialCode::InvalidProof));
    assert_eq!(check(json!({"nonce": "old", "htm": "POST"})), Some(DenialCode::InvalidProof));
    assert_eq!(check_by(&ProofRules::default(), &json!({}), &json!({"nonce": "whatever"})).err(), None);
}

#[test]
fn a_proof_of_before_the_book_is_refused() {
    let rules = |since| ProofRules { since, ..ProofRules::default() };
    assert!(check_by(&rules(Timestamp(NOW.0 - 1_000)), &json!({}), &json!({})).is_ok());
    assert_eq!(check_by(&rules(Timestamp(NOW.0 + 900)), &json!({}), &json!({})).err(), Some(DenialCode::InvalidProof));
}

/// A token of `claims` under a scheme, with a proof by this key for it.
fn presented(signer: &Signer, claims: Value, scheme: Scheme, by: Option<&Signer>) -> Result<Provisional, IdentifyError> {
    let token = signer.sign(HEADER, &with(claims));
    let proof = by.map(|by| made(by, &json!({}), &json!({"htu": "https://app.example/", "ath": sha256(token.as_bytes())})));
    let credentials = Credentials { token: Some((scheme, token)), proof, ..Credentials::default() };
    let issuers = issuers(signer);
    let given = Given { issuers: &issuers, proofs: &ProofRules::default(), linked: None, introspected: None, now: NOW };
    identify(request(None), &credentials, given)
}

#[test]
fn a_proved_key_is_the_session_and_the_device() {
    let (signer, client, thief) = (Signer::new(), Signer::new(), Signer::new());
    let thumbprint = crate::keys::verify_self_signed(&made(&client, &json!({}), &json!({})), &[Algorithm::ES256]).unwrap().thumbprint;
    let bound = json!({"cnf": {"jkt": thumbprint}});
    let mut used = None;
    let found = presented(&signer, bound.clone(), Scheme::Dpop, Some(&client)).unwrap();
    let found = found.confirm(|proof| {
        used = Some(*proof);
        Ok(())
    });
    let found = found.unwrap();
    assert_eq!((found.binding, found.unproved()), (BindingState::Proved, None));
    assert!(found.session.as_str().starts_with("jkt:") && used.is_some());
    assert_eq!(found.device.as_ref().map(DeviceId::as_str), Some(&*format!("jkt:{thumbprint}")));
    // What the book says against it is the answer.
    let again = presented(&signer, bound.clone(), Scheme::Dpop, Some(&client)).unwrap();
    assert!(again.confirm(|_| Err(Denial::new(DenialCode::InvalidProof, "used"))).is_err());
    // A token that is bound to a key is nothing without it: no proof, the proof of another, or as if it were a bearer's. None of these enter the book.
    let untouched = |provisional: Provisional| provisional.confirm(|_| panic!("nothing was proved")).unwrap();
    let state = |scheme, by| {
        let found = untouched(presented(&signer, bound.clone(), scheme, by).unwrap());
        assert!(found.unproved().is_some() && !found.session.as_str().starts_with("jkt:"));
        found.binding
    };
    assert_eq!(state(Scheme::Dpop, None), BindingState::Missing);
    assert_eq!(state(Scheme::Dpop, Some(&thief)), BindingState::Mismatch);
    assert_eq!(state(Scheme::Bearer, Some(&client)), BindingState::Missing);
    assert_eq!(state(Scheme::Cookie, None), BindingState::Missing);
    assert!(presented(&signer, json!({}), Scheme::Dpop, Some(&client)).is_err(), "a plain token under the scheme of bound ones");
    assert_eq!(untouched(presented(&signer, json!({}), Scheme::Bearer, Some(&client)).unwrap()).binding, BindingState::NotDeclared);
}
