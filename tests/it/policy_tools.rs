//! The tools of those who write policies, through the real command: a repository to start from, and what is said of a policy.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use countersign_tests::process::countersign;
use serde_json::{Value, json};

fn policy(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(countersign()).arg("policy").args(arguments).current_dir(folder).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Code and words of `policy check` on one file.
fn check(rego: &str, more: &[&str]) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("authz.rego"), format!("package authz\nimport rego.v1\n{rego}\n")).unwrap();
    let output = policy(folder.path(), &[&["check", "."], more].concat());
    (output.status.code(), text(&output.stdout))
}

#[test]
fn a_new_repository_passes_what_its_own_ci_runs() {
    let folder = tempfile::tempdir().unwrap();
    let made = policy(folder.path(), &["new", "access"]);
    assert_eq!(made.status.code(), Some(0), "{made:?}");
    let access = folder.path().join("access");
    let path = format!("{}:{}", countersign().parent().unwrap().display(), env!("PATH"));
    let ci = Command::new("sh").arg("ci.sh").current_dir(&access).env("PATH", path).output().unwrap();
    assert!(ci.status.success(), "{ci:?}");
    assert!(text(&ci.stdout).contains("may be activated: 0 errors, 0 warnings, 8 of 8 tests passed"), "{ci:?}");
    let asked = policy(&access, &["eval", "--policy", "policy", "--input", "examples/input.json"]);
    assert_eq!((asked.status.code(), text(&asked.stdout).trim()), (Some(0), "allow"), "{asked:?}");
    let again = policy(folder.path(), &["new", "access"]);
    assert_eq!(again.status.code(), Some(2), "what is there is not written over");
    assert!(text(&again.stderr).contains("is not empty"), "{again:?}");
}

#[test]
fn a_finding_shows_its_line() {
    let (code, said) = check("default allow := false\nallow if input.usr.role == \"admin\"", &[]);
    assert_eq!(code, Some(0), "a warning alone refuses nothing: {said}");
    assert!(said.contains("authz.rego:4: the input never holds `input.usr.role`"), "{said}");
    assert!(said.contains("   4 | allow if input.usr.role == \"admin\""), "{said}");
    assert_eq!(check("default allow := false\nallow if input.usr.role == \"admin\"", &["--strict"]).0, Some(1));
}

#[test]
fn what_fails_open_is_named_with_the_value_that_it_refuses() {
    let rego = "default allow := false\nallow if not suspended\nsuspended if input.token.claims.state == \"suspended\"";
    let (code, said) = check(rego, &["--strict"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("with `input.token.claims.state` = \"suspended\" a request is refused"), "{said}");
    let (_, printed) = check(rego, &["--json"]);
    let report: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(report["warnings"]["fails_open"][0]["line"], json!(5), "{printed}");
    assert_eq!(report["accepted"], true);
}

#[test]
fn what_cannot_be_activated_is_refused() {
    for (rego, says) in [
        ("allow if time.now_ns() > 0", "authz.rego:3: built-in `time.now_ns` is refused"),
        ("allow if {", "error: authz.rego"),
        ("allow := \"yes\"", "error: asked about an example"),
    ] {
        let (code, said) = check(rego, &[]);
        assert_eq!(code, Some(1), "{rego}: {said}");
        assert!(said.contains(says) && said.contains("the policy is refused"), "{rego}: {said}");
    }
    let nowhere = policy(Path::new("/"), &["check", "/nowhere/at/all"]);
    assert_eq!(nowhere.status.code(), Some(2));
}
