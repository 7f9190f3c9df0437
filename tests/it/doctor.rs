//! `countersign doctor` as people run it: exit codes, words and JSON.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use countersign_tests::process::countersign;
use serde_json::Value;

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../sdk/examples").join(name)
}

fn doctor(arguments: &[&str], files: &[PathBuf]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = Command::new(countersign()).arg("doctor").args(arguments).args(files).output().unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[test]
fn it_finds_nothing_in_the_examples_and_names_what_it_finds() {
    let examples = ["nginx/countersign.conf", "haproxy/haproxy.cfg", "caddy/Caddyfile", "envoy/envoy-http.yaml", "traefik/dynamic.yml"];
    let (code, said, _) = doctor(&[], &examples.map(example));
    assert_eq!((code, said.lines().filter(|line| line.ends_with(": nothing found")).count()), (0, examples.len()), "{said}");

    let folder = tempfile::tempdir().unwrap();
    let bad = folder.path().join("proxy.conf");
    let text = std::fs::read_to_string(example("nginx/countersign.conf")).unwrap().replace("internal;", "internal; proxy_cache decisions;");
    std::fs::write(&bad, text).unwrap();
    let (code, said, _) = doctor(&[], &[bad.clone(), example("caddy/Caddyfile")]);
    assert!(code == 1 && said.contains("high nginx/cached-decision: proxy_cache decisions") && said.contains("instead: "), "{said}");
    let (code, said, _) = doctor(&["--json"], std::slice::from_ref(&bad));
    let found: Value = serde_json::from_str(&said).unwrap();
    let first = &found["findings"][0];
    assert_eq!((code, first["id"].as_str(), first["severity"].as_str()), (1, Some("nginx/cached-decision"), Some("high")), "{found}");
    assert!(first["line"].is_u64() && first["file"].as_str() == bad.to_str(), "{found}");
}

#[test]
fn what_it_cannot_read_it_does_not_call_sound() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    for (unreadable, why) in [
        (folder.path().join("missing.conf"), "missing.conf"),
        (folder.path().to_owned(), "not a regular file"),
        (file("torn.conf", "server {"), "is not closed"),
        (file("proxy.txt", "http {}"), "--kind"),
        (file("large.conf", &"#".repeat((1 << 20) + 1)), "larger than"),
    ] {
        let (code, said, error) = doctor(&[], &[unreadable, example("caddy/Caddyfile")]);
        assert!(code == 2 && said.is_empty() && error.contains(why), "{why}: {code} {said} {error}");
    }
    let (code, said, _) = doctor(&["--kind", "nginx"], &[file("proxy.txt", "server { location / { proxy_pass http://application; } }")]);
    assert!(code == 1 && said.contains("nginx/nothing-checked"), "{said}");
}
