//! Which language an `Accept-Language` header leads to, well formed or not.

use axum::http::{HeaderMap, HeaderValue, header};

use super::Language;

#[track_caller]
fn check(accept: &str, expected: Language) {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT_LANGUAGE, HeaderValue::from_bytes(accept.as_bytes()).unwrap());
    assert_eq!(Language::of(&headers), expected, "{accept}");
}

#[test]
fn the_heavier_of_the_two_wins() {
    check("zh-CN,zh;q=0.9,en;q=0.8", Language::Chinese);
    check("en-US,en;q=0.9,zh-CN;q=0.8", Language::English);
    check("en;q=0.3, zh-Hant-TW;q=0.4", Language::Chinese);
    check("ZH", Language::Chinese);
    check("fr-FR,fr;q=0.9,zh;q=0.5,en;q=0.4", Language::Chinese);
}

#[test]
fn the_first_of_equals_wins() {
    check("zh,en", Language::Chinese);
    check("en,zh", Language::English);
    check("*,zh", Language::English);
}

#[test]
fn english_in_doubt() {
    assert_eq!(Language::of(&HeaderMap::new()), Language::English);
    for accept in ["", "fr", "zhx", "zh;q=0", "zh;q=NaN", "zh;q=inf", "zh;q=2", "zh;q=-1", "zh;level=1", ";;;,,,", "zh\u{e9}"] {
        check(accept, Language::English);
    }
}

#[test]
fn only_so_much_is_read() {
    check(&format!("{}zh", "fr,".repeat(super::MOST_RANGES)), Language::English);
    check(&format!("zh{}", " ".repeat(super::LONGEST)), Language::English);
}
