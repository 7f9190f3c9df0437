//! Tokens that their issuer was asked about.

use super::*;

const ISS: &str = "https://issuer.example";

fn asked(check: Check) -> (Signer, Issuers) {
    let signer = Signer::new();
    let mut issuers = issuers(&signer);
    issuers.by_iss.values_mut().for_each(|issuer| issuer.check = check);
    issuers.opaque = Some(ISS.to_owned());
    (signer, issuers)
}

fn present_with(token: &str, issuers: &Issuers, answer: Option<&Introspected>) -> Result<Identified, IdentifyError> {
    let credentials = Credentials { token: Some((Scheme::Bearer, token.to_owned())), ..Credentials::default() };
    let given = Given { issuers, proofs: &ProofRules::default(), linked: None, introspected: answer, now: NOW };
    Ok(identify(request(None), &credentials, given)?.confirm(|_| Ok(()))?)
}

fn active(changes: Value) -> String {
    let mut claims: Value = serde_json::from_str(&with(changes)).unwrap();
    claims["active"] = json!(true);
    claims.to_string()
}

#[track_caller]
fn told(answer: &str) -> Result<Identified, IdentifyError> {
    let (_, issuers) = asked(Check::Signature);
    present_with("opaque-1", &issuers, Some(&Introspected::read(ISS, "opaque-1", answer.as_bytes()).unwrap()))
}

#[track_caller]
fn refuses_told(answer: &str, code: DenialCode) {
    match told(answer) {
        Err(IdentifyError::Denied(denial)) => assert_eq!(denial.code(), code, "{answer}: {denial}"),
        other => panic!("{answer}: {other:?}"),
    }
}

#[test]
fn an_opaque_token_is_what_its_issuer_says() {
    let (_, issuers) = asked(Check::Signature);
    assert_eq!(present_with("opaque-1", &issuers, None), Err(IdentifyError::Unasked(ISS.to_owned())));
    let found = told(&active(json!({"acr": "phr", "scope": "a b", "token_type": "Bearer"}))).unwrap();
    assert_eq!((found.subject.iss.as_str(), found.subject.sub.as_str(), found.token.scopes.len()), (ISS, "alice", 2));
    // The issuer that was asked may leave itself out.
    assert_eq!(told(&active(json!({"iss": null}))).unwrap().subject.iss, ISS);
    assert_eq!(told(&active(json!({"cnf": {"jkt": "x"}, "token_type": "DPoP"}))).unwrap().binding, BindingState::Missing);
}

#[test]
fn the_rules_of_tokens_are_the_rules_of_answers() {
    refuses_told(r#"{"active":false}"#, DenialCode::InvalidToken);
    refuses_told(&format!(r#"{{"active":false,{}"#, &good().to_string()[1..]), DenialCode::InvalidToken);
    refuses_told(&active(json!({"exp": NOW.secs() - 60})), DenialCode::ExpiredToken);
    for changes in [
        json!({"exp": null}),
        json!({"exp": "soon"}),
        json!({"sub": null}),
        json!({"iss": "https://other.example"}),
        json!({"iss": [ISS]}),
        json!({"aud": "other"}),
        json!({"aud": null}),
        json!({"token_type": "refresh_token"}),
        json!({"token_type": 7}),
        json!({"events": {}}),
        json!({"cnf": {"kid": "x"}}),
        json!({"exp": NOW.secs() + 25 * 3600}),
    ] {
        refuses_told(&active(changes), DenialCode::InvalidToken);
    }
}

#[test]
fn a_client_stands_in_for_an_audience_that_is_not_told() {
    let (_, mut issuers) = asked(Check::Introspection);
    issuers.by_iss.values_mut().for_each(|issuer| issuer.clients = BTreeSet::from(["app".to_owned()]));
    let check = |changes: Value| {
        let answer = Introspected::read(ISS, "t", active(changes).as_bytes()).unwrap();
        present_with("t", &issuers, Some(&answer)).is_ok()
    };
    assert!(check(json!({"aud": null, "client_id": "app"})) && check(json!({"client_id": "app"})));
    assert!(
        !check(json!({"aud": null, "client_id": "other"}))
            && !check(json!({"aud": null}))
            && !check(json!({"aud": "x", "client_id": "app"}))
    );
}

#[test]
fn what_cannot_be_read_is_nobodys_word() {
    for answer in ["", "[]", "{}", r#"{"active":"true"}"#, r#"{"active":1}"#, r#"{"active":true,"active":false}"#, "<html>"] {
        let code = Introspected::read(ISS, "t", answer.as_bytes()).unwrap_err().code();
        assert_eq!(code, DenialCode::FactsUnavailable, "{answer}");
    }
    let deep = format!(r#"{{"active":true,"x":{}{}}}"#, "[".repeat(100), "]".repeat(100));
    assert!(Introspected::read(ISS, "t", deep.as_bytes()).is_err());
}

#[test]
fn an_answer_is_about_one_token_of_one_issuer() {
    let (_, issuers) = asked(Check::Signature);
    for (iss, token) in [(ISS, "another"), ("https://other.example", "t")] {
        let answer = Introspected::read(iss, token, active(json!({})).as_bytes()).unwrap();
        assert!(matches!(present_with("t", &issuers, Some(&answer)), Err(IdentifyError::Denied(_))));
    }
}

#[test]
fn a_signed_token_may_have_to_be_active_too() {
    let (signer, issuers) = asked(Check::SignatureAndIntrospection);
    let token = signer.sign(HEADER, &good().to_string());
    let answer = |text: &str| Introspected::read(ISS, &token, text.as_bytes()).unwrap();
    assert_eq!(present_with(&token, &issuers, None), Err(IdentifyError::Unasked(ISS.to_owned())));
    assert!(present_with(&token, &issuers, Some(&answer(r#"{"active":true}"#))).is_ok());
    assert!(present_with(&token, &issuers, Some(&answer(r#"{"active":true,"sub":"alice"}"#))).is_ok());
    assert!(present_with(&token, &issuers, Some(&answer(r#"{"active":true,"sub":"bob"}"#))).is_err());
    assert!(present_with(&token, &issuers, Some(&answer(r#"{"active":false}"#))).is_err());
    // Its issuer is asked only about what it signed.
    let forged = Signer::new().sign(HEADER, &good().to_string());
    assert!(matches!(present_with(&forged, &issuers, None), Err(IdentifyError::Denied(_))));
}

#[test]
fn a_token_that_names_an_issuer_never_goes_to_another() {
    let (signer, mut issuers) = asked(Check::Signature);
    let token = signer.sign(HEADER, &with(json!({"iss": "https://other.example"})));
    assert!(matches!(present_with(&token, &issuers, None), Err(IdentifyError::Denied(_))));
    issuers.opaque = None;
    assert!(matches!(present_with("opaque", &issuers, None), Err(IdentifyError::Denied(_))));
}
