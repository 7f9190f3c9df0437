//! Obligations of a policy as they reach an enforcement point, and a step-up that is always a no.

use countersign_tests::authzen::Pdp;
use serde_json::{Value, json};

const POLICY: &str = r#"
package authz

import rego.v1

notify := {"id": "n", "type": "notification", "properties": {"to": "sec@example.org", "body": "somebody read it", "topic": "risk"}}

watermark := {"id": "w", "type": "watermark"}

stop := {"id": "s", "type": "session_termination", "properties": {"subject": {"type": "user", "id": input.subject.id}}}

default decision := {"effect": "deny"}

decision := {"effect": "allow", "obligations": [notify]} if input.action.name == "read"

decision := {"effect": "allow", "obligations": [watermark]} if input.action.name == "print"

decision := {"effect": "deny", "obligations": [stop], "final": true} if input.action.name == "steal"

decision := {"effect": "allow", "obligations": [{"id": "u", "type": "step-up"}]} if input.action.name == "forge"
"#;

struct Scene(Pdp);

impl Scene {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("authz.rego"), POLICY).unwrap();
        let entities = json!({"entities": {"subjects": {"user": {"alice": {}}}, "actions": {"doc": ["read", "print", "steal", "forge"]}}});
        std::fs::write(folder.path().join("data.json"), entities.to_string()).unwrap();
        let pdp =
            Pdp::with_policy(folder.path(), "[authzen]\nobligations = [\"watermark\"]\nidentifier = \"https://pdp.example\"\n", |_| {});
        Self(pdp)
    }

    fn ask(&self, action: &str, context: &Value) -> Value {
        let question = json!({"subject": {"type": "user", "id": "alice"}, "action": {"name": action}, "resource": {"type": "doc", "id": "1"}, "context": context});
        self.0.ask("/access/v1/evaluation", &question).json()
    }
}

#[test]
fn obligations_come_with_the_answers_that_the_policy_gives() {
    let scene = Scene::start();
    let read = scene.ask("read", &json!({}));
    assert_eq!(read["decision"], true);
    let notify =
        json!([{"id": "n", "type": "notification", "properties": {"to": "sec@example.org", "body": "somebody read it", "topic": "risk"}}]);
    assert_eq!(read["context"]["obligations"], notify);
    let steal = scene.ask("steal", &json!({}));
    let stop = json!([{"id": "s", "type": "session_termination", "properties": {"subject": {"type": "user", "id": "alice"}}}]);
    assert_eq!((&steal["decision"], &steal["context"]["obligations"]), (&json!(false), &stop));
    // A policy cannot say of an allow that it is a step-up: it would be one that a careless caller lets pass.
    let forge = scene.ask("forge", &json!({}));
    assert_eq!((&forge["decision"], &forge["context"]["reason"]), (&json!(false), &json!("policy_shape")));
}

#[test]
fn what_a_caller_does_not_support_is_not_allowed_to_it() {
    let scene = Scene::start();
    let supports = |action: &str, types: Value| scene.ask(action, &json!({"supported_obligations": types}));
    assert_eq!(supports("read", json!(["notification", "unheard-of"]))["decision"], true);
    for types in [json!([]), json!(["step-up"]), json!(["unheard-of"])] {
        let answer = supports("read", types);
        assert_eq!((&answer["decision"], &answer["context"]["reason"]), (&json!(false), &json!("obligation_unsupported")));
    }
    assert_eq!(supports("print", json!(["watermark"]))["decision"], true, "the configuration offers it");
    let question = json!({"subject": {"type": "user", "id": "alice"}, "action": {"name": "read"}, "resource": {"type": "doc", "id": "1"}});
    for malformed in [json!("notification"), json!([5]), json!(null)] {
        let mut question = question.clone();
        question["context"] = json!({"supported_obligations": malformed});
        assert_eq!(scene.0.ask("/access/v1/evaluation", &question).status, 400, "{malformed}");
    }
}

#[test]
fn obligations_of_a_search_are_at_each_result() {
    let scene = Scene::start();
    let query = json!({"subject": {"type": "user", "id": "alice"}, "resource": {"type": "doc", "id": "1"}});
    let answer = scene.0.ask("/access/v1/search/action", &query).json();
    let names: Vec<&str> = answer["results"].as_array().unwrap().iter().map(|result| result["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["print", "read"]);
    assert_eq!(answer["results"][0]["context"]["obligations"][0]["type"], "watermark");
    let mut query = query;
    query["context"] = json!({"supported_obligations": ["notification"]});
    let answer = scene.0.ask("/access/v1/search/action", &query).json();
    assert_eq!(answer["results"].as_array().unwrap().len(), 1, "only what the caller can carry out: {answer}");
}
