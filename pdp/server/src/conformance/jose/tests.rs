//! The four files of Wycheproof, every case counted.

use super::*;

#[track_caller]
fn check(file: &str, [cases, passed, known, skipped]: [usize; 4]) -> Report {
    let report = run(file.as_bytes(), &BTreeSet::new()).unwrap();
    assert!(!report.is_surprising(), "{report}");
    assert_eq!([report.cases, report.passed, report.failed, report.skipped], [cases, passed, known, skipped], "{report}");
    report
}

#[test]
fn signatures() {
    let report = check(include_str!("../../../../../tests/data/jose/json_web_signature_test.json"), [401, 387, 14, 0]);
    assert!(report.failures.iter().all(|failure| failure.known));
}

#[test]
fn keys() {
    check(include_str!("../../../../../tests/data/jose/json_web_key_test.json"), [26, 22, 4, 0]);
}

#[test]
fn operations() {
    check(include_str!("../../../../../tests/data/jose/json_web_crypto_test.json"), [83, 79, 2, 2]);
}

#[test]
fn encrypted_tokens_are_no_access_tokens() {
    check(include_str!("../../../../../tests/data/jose/json_web_encryption_test.json"), [139, 74, 0, 65]);
}

/// A file of one case, which says `result`, with the token of a valid case of the suite or another.
fn one(result: &str, change: impl Fn(&mut String)) -> String {
    let suite: Value = serde_json::from_str(include_str!("../../../../../tests/data/jose/json_web_crypto_test.json")).unwrap();
    let group = suite["testGroups"].as_array().unwrap().iter().find(|group| group["comment"] == "jws_ec").unwrap();
    let mut token = group["tests"][0]["jws"].as_str().unwrap().to_owned();
    change(&mut token);
    let case = json!({"tcId": 7, "comment": "x", "jws": token, "result": result, "flags": []});
    json!({"numberOfTests": 1, "testGroups": [{"public": group["public"], "tests": [case]}]}).to_string()
}

#[test]
fn a_case_can_fail() {
    let same = |_: &mut String| {};
    let broken = |token: &mut String| token.push('A');
    let outcome = |file: String| {
        let report = run(file.as_bytes(), &BTreeSet::new()).unwrap();
        (report.passed, report.failed, report.is_surprising())
    };
    assert_eq!(outcome(one("valid", same)), (1, 0, false));
    assert_eq!(outcome(one("invalid", same)), (0, 1, true));
    assert_eq!(outcome(one("valid", broken)), (0, 1, true));
    assert_eq!(outcome(one("invalid", broken)), (1, 0, false));
    assert_eq!(outcome(one("acceptable", broken)), (1, 0, false));
    let known = run(one("invalid", same).as_bytes(), &BTreeSet::from(["7 x".to_owned()])).unwrap();
    assert!(known.failed == 1 && !known.is_surprising());
}

#[test]
fn what_is_no_file_of_the_suite_is_refused() {
    let short = one("valid", |_| {}).replace("\"numberOfTests\":1", "\"numberOfTests\":2");
    for file in ["", "[]", "{}", r#"{"numberOfTests":0}"#, r#"{"numberOfTests":1,"testGroups":[{"tests":[]}]}"#, &short] {
        assert!(run(file.as_bytes(), &BTreeSet::new()).is_err(), "{file}");
    }
}
