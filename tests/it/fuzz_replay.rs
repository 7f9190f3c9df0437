//! Replays the corpora of the fuzz targets through the same bodies, on the stable toolchain.

use std::path::Path;

/// What logs are made of.
const LOG_PARTS: [&str; 16] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    " ",
    "\n",
    "\"value\":[",
    "\"at\":1772500000000",
    "\"sub\":\"ada\"",
    "\"methods\":[\"passkey\"]",
    "null",
    "{\"at\":1772500000000,\"sub\":\"ada\",\"methods\":[\"otp\"]}",
];

fn replay(target: &str, body: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let mut replayed = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        body(&std::fs::read(entry.unwrap().path()).unwrap());
        replayed += 1;
    }
    assert!(replayed > 0, "no corpus in {}", folder.display());
}

#[test]
fn risk() {
    replay("risk", countersign_tests::fuzz::risk);
    // What a fuzzer would find first: seeds cut short, and with one byte changed.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/risk");
    for entry in std::fs::read_dir(folder).unwrap() {
        let seed = std::fs::read(entry.unwrap().path()).unwrap();
        for at in 0..seed.len() {
            countersign_tests::fuzz::risk(&seed[..at]);
            let mut changed = seed.clone();
            changed[at] ^= 0x80;
            countersign_tests::fuzz::risk(&changed);
        }
    }
}

#[test]
fn strict_json() {
    replay("strict_json", countersign_tests::fuzz::strict_json);
}

#[test]
fn canonical_path() {
    replay("canonical_path", countersign_tests::fuzz::canonical_path);
}

#[test]
fn canonical_host() {
    replay("canonical_host", countersign_tests::fuzz::canonical_host);
}

#[test]
fn token() {
    replay("token", countersign_tests::fuzz::token);
}

#[test]
fn assertion() {
    replay("assertion", countersign_tests::fuzz::assertion);
}

#[test]
fn pointer_batch() {
    replay("pointer_batch", countersign_tests::fuzz::pointer_batch);
}

#[test]
fn adapters() {
    replay("adapters", countersign_tests::fuzz::adapters);
}

#[test]
fn past_log() {
    replay("past_log", countersign_tests::fuzz::past_log);
}

proptest::proptest! {
    #[test]
    fn any_text_holds_the_properties(text in "[ -~]{0,60}") {
        countersign_tests::fuzz::canonical_path(text.as_bytes());
        countersign_tests::fuzz::canonical_path(format!("/{text}").as_bytes());
        countersign_tests::fuzz::canonical_host(text.as_bytes());
        countersign_tests::fuzz::token(text.as_bytes());
        countersign_tests::fuzz::assertion(text.as_bytes());
        countersign_tests::fuzz::pointer_batch(format!(r#"{{"features":["duration","distance"],"actions":[[1,{text}]]}}"#).as_bytes());
        countersign_tests::fuzz::past_log(text.as_bytes());
    }

    #[test]
    fn any_request_is_denied(method in "[A-Z]{1,8}|[ -~]{0,5}", host in "app\\.example|[ -~]{0,20}", target in "/[ -~]{0,40}", headers in proptest::collection::vec("[A-Za-z_.-]{1,24}: [ -~]{0,40}", 0..8)) {
        let request = format!("{method} {host} {target}\n{}", headers.join("\n"));
        countersign_tests::fuzz::adapters(request.as_bytes());
    }

    #[test]
    fn any_log_holds_the_properties(parts in proptest::collection::vec(0..LOG_PARTS.len(), 0..40)) {
        let log: String = parts.into_iter().map(|part| LOG_PARTS[part]).collect();
        countersign_tests::fuzz::past_log(log.as_bytes());
        countersign_tests::fuzz::past_log(format!("[{log}]").as_bytes());
        countersign_tests::fuzz::past_log(format!("{{\"x\":1,{log}}}").as_bytes());
    }

    #[test]
    fn any_numbers_are_a_batch_or_none(rows in proptest::collection::vec(proptest::collection::vec(proptest::option::of(proptest::num::f64::ANY), 2), 0..60)) {
        let body = serde_json::json!({"features": ["duration", "mean speed"], "actions": rows});
        countersign_tests::fuzz::pointer_batch(body.to_string().as_bytes());
    }
}
