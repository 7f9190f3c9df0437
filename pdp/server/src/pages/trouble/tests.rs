//! Every trouble can be read in both languages, and its answer is what the scripts expect.

use std::collections::BTreeSet;

use axum::http::header;
use axum::response::Response;
use http_body_util::BodyExt as _;

use super::Trouble;
use crate::pages::Language;

#[test]
fn every_trouble_has_its_own_texts_in_both_languages() {
    let mut seen = BTreeSet::new();
    for trouble in Trouble::ALL {
        for language in [Language::English, Language::Chinese] {
            for text in [trouble.title(language), trouble.text(language)] {
                assert!(seen.insert(text), "{text} is said twice");
                assert_eq!(text.is_ascii(), language == Language::English, "{text}");
            }
        }
    }
}

#[test]
fn codes_are_those_of_the_contract() {
    let codes: Vec<_> = Trouble::ALL.into_iter().map(Trouble::code).collect();
    let contract = [
        "expired",
        "used",
        "not_enrolled",
        "refused",
        "locked",
        "too_many",
        "unavailable",
        "wrong_browser",
        "code_invalid",
        "not_allowed",
        "not_found",
    ];
    assert_eq!(codes, contract);
}

#[test]
fn no_trouble_is_a_success() {
    for trouble in Trouble::ALL {
        assert!(trouble.status().is_client_error() || trouble.status().is_server_error(), "{trouble:?}");
    }
}

#[tokio::test]
async fn the_answer_counts_attempts_only_where_they_are_counted() {
    assert_eq!(body(Trouble::Refused.answer(Some(2))).await, r#"{"trouble":"refused","attempts_left":2}"#);
    assert_eq!(body(Trouble::Expired.answer(None)).await, r#"{"trouble":"expired"}"#);
}

#[test]
fn the_answer_is_json_that_nobody_keeps() {
    let response = Trouble::TooMany.answer(None);
    assert_eq!(response.status(), 429);
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
    assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
    assert_eq!(response.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
}

async fn body(response: Response) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}
