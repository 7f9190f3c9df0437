//! Pages: their tokens, and what an answer says of its end.

use countersign_pdp_engine::request::Pep;
use countersign_pdp_engine::request::RawCheck;
use countersign_sdk_types::{PepId, Tenant};

use super::*;

fn asked(pep: &str, body: &Value) -> RawCheck {
    let asked = question(Members(body.as_object().unwrap()), SearchKind::Subject).unwrap();
    let pep =
        Pep { id: PepId::new(pep).unwrap(), asserts_subject: true, asserts_client: false, asserts: std::collections::BTreeSet::new() };
    RawCheck { tenant: Tenant::new("main").unwrap(), pep, http: None, asked: Some(asked) }
}

fn body() -> Value {
    json!({"subject": {"type": "user"}, "action": {"name": "read"}, "resource": {"type": "record", "id": "1"}, "page": {"limit": 1}})
}

#[test]
fn a_token_is_good_for_its_query_its_caller_and_its_process_only() {
    let (seal, query) = (Seal::new().unwrap(), Query::of(SearchKind::Subject, &asked("app", &body())));
    let token = seal.close("alice", &query).unwrap();
    assert_eq!(seal.open(&token, &query).as_deref(), Ok("alice"));
    assert!(!token.contains("alice"));
    let mut other = body();
    other["action"]["name"] = json!("write");
    let mut more = body();
    more["context"] = json!({"a": 1});
    for query in [
        Query::of(SearchKind::Subject, &asked("app", &other)),
        Query::of(SearchKind::Subject, &asked("app", &more)),
        Query::of(SearchKind::Subject, &asked("web", &body())),
        Query::of(SearchKind::Resource, &asked("app", &body())),
    ] {
        assert_eq!(seal.open(&token, &query).map_err(|refusal| refusal.status), Err(StatusCode::BAD_REQUEST));
    }
    assert!(Seal::new().unwrap().open(&token, &query).is_err(), "another process");
}

#[test]
fn the_size_of_a_page_may_change() {
    let (seal, mut bigger) = (Seal::new().unwrap(), body());
    bigger["page"]["limit"] = json!(10);
    let token = seal.close("alice", &Query::of(SearchKind::Subject, &asked("app", &body()))).unwrap();
    assert!(seal.open(&token, &Query::of(SearchKind::Subject, &asked("app", &bigger))).is_ok());
}

#[test]
fn a_token_that_was_changed_in_one_place_is_refused() {
    let (seal, query) = (Seal::new().unwrap(), Query::of(SearchKind::Subject, &asked("app", &body())));
    let token = seal.close("alice", &query).unwrap();
    for at in 0..token.len() {
        let mut bytes = token.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        assert!(seal.open(&String::from_utf8(bytes).unwrap(), &query).is_err(), "at {at}");
    }
    for wrong in ["", "AAAA", "not base64!", &"A".repeat(100), &"A".repeat(10_000)] {
        assert!(seal.open(wrong, &query).is_err(), "{wrong}");
    }
}

#[test]
fn a_page_has_members_of_their_types() {
    let wanted = |page: Value| Wanted::of(Members(json!({"page": page}).as_object().unwrap())).map(|wanted| (wanted.token, wanted.limit));
    assert_eq!(wanted(json!({"token": "", "limit": 0, "custom": []})), Ok((None, Some(0))));
    for refused in [
        json!(null),
        json!([]),
        json!({"token": 5}),
        json!({"token": null}),
        json!({"limit": -1}),
        json!({"limit": "1"}),
        json!({"limit": 1.5}),
    ] {
        assert!(wanted(refused.clone()).is_err(), "{refused}");
    }
}

#[test]
fn an_answer_that_is_not_complete_says_so_even_to_who_did_not_ask() {
    let unpaged = Wanted { is_paged: false, token: None, limit: None };
    let found = |ended, next: Option<&str>| Found::new(vec![Hit { name: "a".to_owned(), obligations: Vec::new() }], ended, next);
    let told = |found: Found, token: Option<&str>| {
        serde_json::to_string(&Answer::of(&found, token.map(ToOwned::to_owned), &unpaged, SearchKind::Subject, "user")).unwrap()
    };
    assert_eq!(told(found(Ended::Complete, None), None), r#"{"context":{"id":""},"results":[{"id":"a","type":"user"}]}"#);
    let partial = told(found(Ended::Deadline, Some("a")), Some("T"));
    assert!(partial.starts_with(r#"{"page":{"next_token":"T","count":1,"properties":{"ended_by":"deadline"}}"#), "{partial}");
}
