//! The order of the story, and what the application reads of a visitor.

use axum::http::{HeaderMap, HeaderValue, header};

use super::pages::Chapter;
use super::{MOST_IN_JAR, token};
use crate::timeline::Happened;

#[track_caller]
fn check(signed_in: bool, passkeys: usize, happened: [bool; 4], next: Chapter) {
    let [worked, attacked, travelled, attacked_again] = happened;
    assert_eq!(Chapter::next(signed_in, passkeys, Happened { worked, attacked, travelled, attacked_again, proved: travelled }), next);
}

#[test]
fn the_first_thing_that_has_not_happened_is_next() {
    check(false, 0, [false; 4], Chapter::SignIn);
    check(true, 0, [false; 4], Chapter::Enrol);
    check(true, 1, [false; 4], Chapter::Work);
    check(true, 1, [true, false, false, false], Chapter::Attack);
    check(true, 1, [true, true, false, false], Chapter::Travel);
    check(true, 1, [true, true, true, false], Chapter::Again);
    check(true, 1, [true; 4], Chapter::End);
}

#[test]
fn without_a_good_token_signing_in_is_next_whatever_has_happened() {
    check(false, 1, [true; 4], Chapter::SignIn);
}

#[test]
fn the_token_is_found_among_other_cookies() {
    let jar = |cookies: &str| HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_str(cookies).unwrap())]);
    assert_eq!(token(&jar("a=b; access_token=t.o.k; c=d")).as_deref(), Some("t.o.k"));
    assert_eq!(token(&jar("access_token=; a=b")), None);
    assert_eq!(token(&jar("my_access_token=t")), None);
    assert_eq!(token(&jar(&format!("access_token={}", "x".repeat(MOST_IN_JAR)))), None, "a jar has an end");
    assert_eq!(token(&HeaderMap::new()), None);
}
