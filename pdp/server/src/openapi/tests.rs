//! The schemas against the messages that are really read and written, and the documents against the routers.

use countersign_sdk_types as types;
use countersign_sdk_types::{Epoch, Millis, Revision, RiskScore, Tag};
use serde::Serialize;
use serde_json::{Value, json};

use super::*;

/// The schema of a type as the document has it, with its members and whether each is needed.
fn schema(listener: Listener, name: &str) -> Value {
    let document = serde_json::to_value(listener.document()).unwrap();
    document["components"]["schemas"][name].clone()
}

/// Every member of the message is in the schema, and every member that the schema needs is in the message.
#[track_caller]
fn fits(schema: &Value, message: &impl Serialize) {
    let message = serde_json::to_value(message).unwrap();
    let (properties, members) = (schema["properties"].as_object().unwrap(), message.as_object().unwrap());
    members.keys().for_each(|name| assert!(properties.contains_key(name), "`{name}` is not described: {schema}"));
    let needed = schema["required"].as_array().cloned().unwrap_or_default();
    needed.iter().for_each(|name| assert!(members.contains_key(name.as_str().unwrap()), "{name} is not always there: {message}"));
}

#[test]
fn a_question_is_described_as_it_is_written() {
    let entity = |kind: &str| types::Entity { kind: kind.to_owned(), id: "1".to_owned(), properties: Default::default() };
    let full = types::Entity { properties: serde_json::from_value(json!({"a": 1})).unwrap(), ..entity("user") };
    let action = types::Action { name: "read".to_owned(), properties: full.properties.clone() };
    let context = serde_json::from_value(json!({"http": {}})).unwrap();
    let question = types::EvaluationRequest { subject: full.clone(), action: action.clone(), resource: entity("record"), context };
    fits(&schema(Listener::Decision, "EvaluationRequest"), &question);
    fits(&schema(Listener::Decision, "Entity"), &full);
    fits(&schema(Listener::Decision, "Entity"), &entity("user"));
    fits(&schema(Listener::Decision, "Action"), &action);
    let lease = types::WantedLease { ttl: Millis(1), watch: types::WatchName::try_from("w".to_owned()).ok() };
    fits(&schema(Listener::Decision, "WantedLease"), &lease);
    let at_least = types::Consistency::try_from("00000000000000ff-7".to_owned()).ok();
    fits(&schema(Listener::Decision, "Wanted"), &types::Wanted { lease: Some(lease), at_least });
}

#[test]
fn an_answer_is_described_as_it_is_written() {
    let lease = types::Lease {
        ttl: Millis(1),
        epoch: Epoch { life: 1, seq: 2 },
        revision: Revision::new("r").unwrap(),
        risk_below: RiskScore::new(30).unwrap(),
        depends_on: vec![Tag([1; 16])],
    };
    fits(&schema(Listener::Decision, "Lease"), &lease);
    let obligation = types::Obligation { id: "o".to_owned(), kind: "step-up".to_owned(), properties: Default::default() };
    fits(&schema(Listener::Decision, "Obligation"), &obligation);
    let context = serde_json::from_value(json!({"id": "d"})).unwrap();
    fits(&schema(Listener::Decision, "EvaluationResponse"), &types::EvaluationResponse { decision: true, context });
}

#[test]
fn events_are_described_as_they_are_written() {
    use types::WatchEvent as Event;
    let revision = || Revision::new("r").unwrap();
    let events = [
        Event::Hello { heartbeat: Millis(1), floor: Millis(1), revision: revision() },
        Event::Ended { reason: types::Ending::Risk, depends_on: vec![Tag([0; 16])] },
        Event::Policy { revision: revision() },
        Event::Reset {},
        Event::Draining { within: Millis(1) },
    ];
    let described = schema(Listener::Decision, "WatchEvent");
    let variants = described["oneOf"].as_array().unwrap();
    assert_eq!(variants.len(), events.len());
    for (event, variant) in events.iter().zip(variants) {
        fits(variant, event);
        let kind = serde_json::to_value(event).unwrap()["type"].clone();
        assert_eq!(variant["properties"]["type"]["enum"], json!([kind]));
    }
    let endings = [types::Ending::Revoked, types::Ending::Locked, types::Ending::Risk, types::Ending::Device, types::Ending::Subject];
    assert_eq!(schema(Listener::Decision, "Ending")["enum"], json!(endings));
}

#[test]
fn documents_are_of_openapi_3_1_and_name_their_version() {
    for listener in Listener::ALL {
        let document = serde_json::to_value(listener.document()).unwrap();
        assert_eq!((&document["openapi"], &document["info"]["version"]), (&json!("3.1.0"), &json!(env!("CARGO_PKG_VERSION"))));
        let operations = document["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap().values());
        let mut ids: Vec<&str> = operations.map(|operation| operation["operationId"].as_str().unwrap()).collect();
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all, "an id of an operation is used twice: {}", listener.name());
    }
}
