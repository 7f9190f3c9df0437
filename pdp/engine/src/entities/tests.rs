//! What a directory may be, and what it adds.

use serde_json::json;

use super::*;

fn entities(document: &Value) -> Result<Entities, String> {
    Entities::of(&json!({"entities": document, "thresholds": {"risk": 30}}))
}

#[test]
fn no_document_is_an_empty_directory() {
    assert_eq!(Entities::of(&json!({"thresholds": {}})), Ok(Entities::default()));
}

#[test]
fn what_the_request_states_wins_and_the_rest_is_completed() {
    let directory = entities(&json!({"resources": {"record": {"r": {"status": "archived", "owner": "bob"}}}})).expect("directory");
    let mut entity: Entity =
        serde_json::from_value(json!({"type": "record", "id": "r", "properties": {"status": "active"}})).expect("entity");
    directory.resources.complete(&mut entity);
    assert_eq!(json!(entity.properties), json!({"status": "active", "owner": "bob"}));
    let mut other: Entity = serde_json::from_value(json!({"type": "note", "id": "r"})).expect("entity");
    directory.resources.complete(&mut other);
    assert_eq!(other.properties, Map::new());
}

#[test]
fn candidates_come_in_order_after_a_position() {
    let directory = entities(&json!({"subjects": {"user": {"b": {}, "a": {}, "c": {}}}, "actions": {"record": ["write", "read"]}}));
    let directory = directory.expect("directory");
    assert_eq!(directory.subjects.ids_after("user", "").collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(directory.subjects.ids_after("user", "aa").collect::<Vec<_>>(), ["b", "c"]);
    assert_eq!(directory.subjects.ids_after("spaceship", "").count(), 0);
    assert_eq!(directory.actions_after("record", "read").collect::<Vec<_>>(), ["write"]);
}

#[test]
fn a_directory_of_another_shape_is_refused() {
    for document in [
        json!([]),
        json!({"people": {}}),
        json!({"subjects": {"user": ["alice"]}}),
        json!({"subjects": {"user": {"alice": "admin"}}}),
        json!({"actions": {"record": {"read": {}}}}),
        json!({"subjects": {"": {"alice": {}}}}),
        json!({"subjects": {"user": {"a".repeat(MAX_NAME + 1): {}}}}),
    ] {
        let refused = entities(&document).expect_err("refused");
        assert!(refused.contains("data.entities"), "{refused}");
    }
    let many: Map<String, Value> = (0..MAX_ENTITIES).map(|id| (id.to_string(), json!({}))).collect();
    assert!(entities(&json!({"subjects": {"user": many}})).is_err());
}
