//! Every body that is refused, with its sentence.

use axum::body::Body;
use axum::http::HeaderValue;
use serde_json::json;

use super::*;

fn question(body: &str) -> Result<EvaluationRequest, String> {
    Document::read(body.as_bytes()).and_then(|document| Members(&document.0).question()).map_err(|refusal| {
        assert_eq!(refusal.status, StatusCode::BAD_REQUEST);
        refusal.message
    })
}

const WHOLE: &str = r#"{"subject":{"type":"user","id":"a"},"action":{"name":"read"},"resource":{"type":"r","id":"1"}}"#;

#[test]
fn a_whole_question_is_taken_and_unknown_members_are_ignored() {
    let plain = question(WHOLE).unwrap();
    let more =
        WHOLE.replace("\"id\":\"a\"", "\"id\":\"a\",\"x\":[1]").replace("\"name\"", "\"y\":{},\"name\"").replacen('{', "{\"foo\":1,", 1);
    assert_eq!(question(&more), Ok(plain));
}

#[test]
fn what_is_missing_or_of_another_type_is_named() {
    for (from, to, message) in [
        ("\"subject\":{\"type\":\"user\",\"id\":\"a\"},", "", "`subject` is missing"),
        ("{\"type\":\"user\",\"id\":\"a\"}", "\"alice\"", "`subject` is no object"),
        ("{\"type\":\"user\",\"id\":\"a\"}", "null", "`subject` is no object"),
        ("\"id\":\"a\"", "\"id\":5", "`subject.id` is no text"),
        ("\"id\":\"a\"", "\"id\":null", "`subject.id` is no text"),
        (",\"id\":\"1\"", "", "`resource.id` is missing"),
        ("\"name\":\"read\"", "", "`action.name` is missing"),
        ("\"name\":\"read\"", "\"name\":[]", "`action.name` is no text"),
        ("\"name\":\"read\"", "\"name\":\"read\",\"properties\":[]", "`action.properties` is no object"),
        ("\"id\":\"1\"", "\"id\":\"1\",\"properties\":null", "`resource.properties` is no object"),
        ("\"action\"", "\"context\":null,\"action\"", "`context` is no object"),
    ] {
        assert_eq!(question(&WHOLE.replace(from, to)), Err(message.to_owned()));
    }
}

#[test]
fn what_two_readers_could_read_differently_is_refused() {
    let deep = format!("{{\"context\":{}{}}}", "[".repeat(40), "]".repeat(40));
    for body in [
        "",
        "null",
        "5",
        "[]",
        "{",
        "{}{}",
        "\u{feff}{}",
        r#"{"subject":{"type":"user","id":"a","id":"b"}}"#,
        r#"{"action":{"name":"read"},"action":{"name":"write"}}"#,
        r#"{"context":{"a":"\ud800"}}"#,
        r#"{"context":{"a":"\udc00\ud800"}}"#,
        r#"{"context":{"a":1e999}}"#,
        &deep,
    ] {
        assert!(Document::read(body.as_bytes()).is_err(), "{body}");
    }
    assert!(Document::read(b"{\"a\":\"\xff\"}").is_err());
}

#[test]
fn a_searched_entity_needs_no_id_and_any_is_ignored() {
    let document = json!({"subject": {"type": "user", "id": 5, "properties": {"a": 1}}});
    let kind = Members(document.as_object().unwrap()).kind("subject").unwrap();
    assert_eq!((kind.kind.as_str(), kind.id.as_str(), json!(kind.properties)), ("user", "", json!({"a": 1})));
}

#[test]
fn only_json_in_utf8_is_taken() {
    let check = |types: &[&str]| {
        let headers = types.iter().map(|kind| (header::CONTENT_TYPE, HeaderValue::from_str(kind).unwrap()));
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name, value);
        }
        check_type(&map).is_ok()
    };
    for taken in
        ["application/json", "application/json; charset=utf-8", "Application/JSON;charset=\"UTF-8\"", "application/json; profile=x"]
    {
        assert!(check(&[taken]), "{taken}");
    }
    for refused in
        ["", "text/plain", "application/jsonx", "application/json; charset=utf-16", "application/x-www-form-urlencoded", "text/json"]
    {
        assert!(!check(&[refused]), "{refused}");
    }
    assert!(!check(&[]) && !check(&["application/json", "text/plain"]));
}

#[tokio::test]
async fn the_type_is_looked_at_before_the_body() {
    let request = Request::builder().header("content-type", "text/plain").body(Body::from(WHOLE)).unwrap();
    let refusal = Document::from_request(request, &()).await.unwrap_err();
    assert_eq!((refusal.status, refusal.message.as_str()), (StatusCode::BAD_REQUEST, "the content type is not `application/json`"));
}
