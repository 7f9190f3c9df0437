//! The tools of those who write policies, through the real command: a repository to start from, and what is said of a policy.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use countersign_pdp_server::policies::{deep, starter};
use countersign_tests::decisions::records;
use countersign_tests::process::{Process, countersign, wait_for};
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

/// Runs what continuous integration of a new repository runs, and says how it ended.
fn ci(repository: &Path, more: &[(&str, &str)]) -> (Option<i32>, String) {
    let path = format!("{}:{}", countersign().parent().unwrap().display(), env!("PATH"));
    let ran = Command::new("sh").arg("ci.sh").current_dir(repository).env("PATH", path).envs(more.iter().copied()).output().unwrap();
    (ran.status.code(), text(&ran.stdout) + &text(&ran.stderr))
}

fn git(repository: &Path, arguments: &[&str]) {
    let identity = ["-c", "user.name=author", "-c", "user.email=author@example.com", "-c", "commit.gpgsign=false"];
    let done = Command::new("git").arg("-C").arg(repository).args(identity).args(arguments).output().unwrap();
    assert!(done.status.success(), "{done:?}");
}

/// Writes a file of a repository with one text in place of another.
fn edit(file: &Path, from: &str, to: &str) {
    let before = fs::read_to_string(file).unwrap();
    assert!(before.contains(from), "{from} is not in {before}");
    fs::write(file, before.replace(from, to)).unwrap();
}

#[test]
fn a_new_repository_passes_what_its_own_ci_runs() {
    let folder = tempfile::tempdir().unwrap();
    let made = policy(folder.path(), &["new", "access"]);
    assert_eq!(made.status.code(), Some(0), "{made:?}");
    let access = folder.path().join("access");
    let (code, said) = ci(&access, &[]);
    assert_eq!(code, Some(0), "{said}");
    for line in
        ["may be activated: 0 errors, 0 warnings, 17 of 17 tests passed", "PASS: 17/17", "COVERAGE: 100.0 %", "is what the policy answers"]
    {
        assert!(said.contains(line), "`{line}` is not in {said}");
    }
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

#[test]
fn every_step_of_the_ci_stops_what_it_is_for() {
    let folder = tempfile::tempdir().unwrap();
    assert!(policy(folder.path(), &["new", "access"]).status.success());
    let access = folder.path().join("access");
    let log = folder.path().join("log.jsonl");
    let lines =
        deep(|| records(&starter().unwrap(), 300, 7).map(|record| serde_json::to_string(&record).unwrap() + "\n").collect::<String>());
    fs::write(&log, lines.unwrap()).unwrap();
    for arguments in [&["init", "-q", "-b", "main"][..], &["add", "."], &["commit", "-q", "-m", "the starter policy"]] {
        git(&access, arguments);
    }
    let with_log = [("DECISIONS", log.to_str().unwrap()), ("BASE", "main")];
    let (code, said) = ci(&access, &with_log);
    assert_eq!(code, Some(0), "{said}");
    // The limit of reading falls, and admins delete nothing: a case fails; with the cases adapted, the matrix tells; with the matrix written, the log does.
    git(&access, &["checkout", "-q", "-b", "tighter"]);
    edit(&access.join("policy/data.json"), "\"reading\": 30", "\"reading\": 15");
    let refusal = "refusals contains text if text := unknown_role\n";
    let admins = "refusals contains \"admins delete nothing\" if {\n\tdestroying\n\tinput.user.role == \"admin\"\n}\n";
    edit(&access.join("policy/access.rego"), refusal, &format!("{refusal}\n{admins}"));
    let (code, said) = ci(&access, &with_log);
    assert!(code == Some(1) && said.contains("the policy is refused") && said.contains("the effect is deny, not allow"), "{said}");
    edit(&access.join("policy/access_cases.yaml"), "[GET,         29,                 allow]", "[GET,         14,                 allow]");
    edit(&access.join("policy/access_cases.yaml"), "risk 30 is not below 30", "risk 30 is not below 15");
    edit(&access.join("policy/access_test.rego"), "{\"risk_score\": 29}", "{\"risk_score\": 14}");
    let (code, said) = ci(&access, &with_log);
    assert!(code == Some(1) && said.contains("is not what the policy answers"), "{said}");
    assert!(policy(&access, &["matrix", "policy"]).status.success());
    git(&access, &["commit", "-q", "-a", "-m", "read less at risk"]);
    let (code, said) = ci(&access, &with_log);
    assert!(code == Some(1) && said.contains("new denies"), "{said}");
    assert!(access.join("policy-diff.html").is_file());
}

/// A folder with the starter policy, its tests and its cases.
fn starter_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in ["access.rego", "access_test.rego", "access_cases.yaml", "data.json"] {
        fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies/starter").join(file), folder.path().join(file)).unwrap();
    }
    folder
}

#[test]
fn the_cases_of_the_guide_pass() {
    let guide = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/policies.md")).unwrap();
    let cases = guide.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let folder = starter_folder();
    fs::write(folder.path().join("guide_cases.yaml"), cases).unwrap();
    assert_eq!(test(folder.path(), &[]), (Some(0), "PASS: 20/20\n".to_owned(), String::new()));
}

/// Code, output and complaint of `policy test`.
fn test(folder: &Path, more: &[&str]) -> (Option<i32>, String, String) {
    let output = policy(folder, &[&["test", "."], more].concat());
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn tests_end_as_opas_do() {
    let folder = starter_folder();
    assert_eq!(test(folder.path(), &[]), (Some(0), "PASS: 17/17\n".to_owned(), String::new()));
    let (code, said, _) = test(folder.path(), &["--verbose", "--run", "limit"]);
    assert_eq!(code, Some(0));
    assert!(
        said.starts_with("access_test.rego:\ndata.authz_test.test_just_below_the_limit_is_allowed: PASS (") || said.contains("PASS ("),
        "{said}"
    );
    assert!(
        said.contains(
            "access_cases.yaml:\nthe risk has a limit for each kind of action (action.name = \"GET\", context.risk_score = 29): PASS ("
        ),
        "{said}"
    );
    let (code, _, complaint) = test(folder.path(), &["--run", "nothing of that name", "--fail-on-empty"]);
    assert_eq!((code, complaint.trim()), (Some(2), "countersign: no test was run"));
    fs::write(folder.path().join("later_test.rego"), "package later\nimport rego.v1\ntodo_test_it if false\n").unwrap();
    assert_eq!(test(folder.path(), &[]).0, Some(2));
    assert_eq!(test(folder.path(), &["-z"]), (Some(0), SKIPPED.to_owned(), String::new()));
    fs::write(folder.path().join("broken.rego"), "package broken\nallow if {\n").unwrap();
    let (code, said, complaint) = test(folder.path(), &[]);
    assert!(code == Some(1) && said.is_empty() && complaint.contains("broken.rego"), "{complaint}");
    assert_eq!(test(Path::new("/"), &["/nowhere"]).0, Some(64), "one folder is tested");
    assert_eq!(policy(Path::new("/"), &["test", "/nowhere/at/all"]).status.code(), Some(1));
}

const SKIPPED: &str = "later_test.rego:\ndata.later.todo_test_it: SKIPPED\n--------------------------------------------------------------------------------\nPASS: 17/18\nSKIPPED: 1/18\n";

#[test]
fn a_failing_test_shows_its_line_and_what_it_printed() {
    let folder = starter_folder();
    edit(&folder.path().join("data.json"), "\"reading\": 30", "\"reading\": 29");
    edit(
        &folder.path().join("access_test.rego"),
        "\tauthz.allow with input as busy\n",
        "\tprint(\"busy\", busy.context.risk_score)\n\tauthz.allow with input as busy\n",
    );
    let (code, said, _) = test(folder.path(), &[]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("data.authz_test.test_just_below_the_limit_is_allowed: FAIL ("), "{said}");
    assert!(said.contains("|     authz.allow with input as busy\n") && said.contains("access_test.rego:23: busy 29"), "{said}");
    assert!(said.contains("  the effect is deny, not allow\n  because risk 29 is not below 29\n"), "{said}");
    assert!(said.ends_with("PASS: 14/17\nFAIL: 3/17\n"), "{said}");
    let (code, printed, _) = test(folder.path(), &["--json"]);
    let tests: Value = serde_json::from_str(&printed).unwrap();
    let failed: Vec<&Value> = tests.as_array().unwrap().iter().filter(|test| test["fail"] == true).collect();
    assert_eq!((code, failed.len()), (Some(2), 3), "{printed}");
    let busy = failed.iter().find(|test| test["name"] == "test_just_below_the_limit_is_allowed").unwrap();
    assert_eq!((&busy["package"], &busy["location"]["file"]), (&json!("data.authz_test"), &json!("access_test.rego")));
    assert!(busy["duration"].as_u64().unwrap() > 0 && busy["output"].is_string(), "{busy}");
    let (code, xml, _) = test(folder.path(), &["--format", "junit"]);
    assert_eq!(code, Some(2));
    assert!(
        xml.contains("<testsuites tests=\"17\" failures=\"3\" errors=\"0\" skipped=\"0\"")
            && xml.contains("<system-out>access_test.rego:23: busy 29"),
        "{xml}"
    );
}

#[test]
fn coverage_counts_and_its_threshold_ends_with_two() {
    let folder = starter_folder();
    let (code, said, _) = test(folder.path(), &["--threshold", "100"]);
    assert!(code == Some(0) && said.contains("COVERAGE: 100.0 %"), "{said}");
    fs::write(folder.path().join("unused.rego"), "package unused\nimport rego.v1\nx if {\n\tinput.user.role == \"a\"\n}\n").unwrap();
    let (code, said, complaint) = test(folder.path(), &["--threshold", "100", "--verbose"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("unused.rego: 0.0 %, not reached: 4") && said.contains("   4 |     input.user.role == \"a\""), "{said}");
    assert!(complaint.contains("code coverage threshold not met: got 9") && complaint.contains("instead of 100.00"), "{complaint}");
    let (code, printed, _) = test(folder.path(), &["--coverage", "--json"]);
    let report: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((code, &report["files"]["unused.rego"]["not_covered"]), (Some(0), &json!([{"start": {"row": 4}, "end": {"row": 4}}])));
    assert!(report["coverage"].as_f64().unwrap() < 100.0 && report["tests"].as_array().unwrap().len() == 17, "{printed}");
}

#[test]
fn hostile_tests_do_not_take_the_machine() {
    let loops = "package authz\nimport rego.v1\ntest_a if count([1 | some a in numbers.range(1, 9000); some b in numbers.range(1, 9000); a == b]) == 0\n";
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("authz.rego"), "package authz\nallow := true\n").unwrap();
    fs::write(folder.path().join("a_test.rego"), loops).unwrap();
    let (code, said, _) = test(folder.path(), &[]);
    assert!(code == Some(2) && said.contains("ERROR (") && said.contains("policy used up its budget"), "{said}");
    fs::write(folder.path().join("a_cases.yaml"), "cases:\n- name: \"\\e[2J\u{202e}\"\n  expect: deny\n").unwrap();
    let (code, said, _) = test(folder.path(), &["--run", "2J"]);
    assert!(code == Some(2) && said.contains("2J\\u{202e}: FAIL"), "{said}");
    let (_, xml, _) = test(folder.path(), &["--run", "2J", "--format", "junit"]);
    assert!(!(said + &xml).contains(['\u{1b}', '\u{202e}']), "nothing steers the terminal");
}

#[test]
fn watched_tests_run_again_after_a_change() {
    let folder = starter_folder();
    let apart = tempfile::tempdir().unwrap();
    let log = apart.path().join("watch.log");
    let mut command = Command::new(countersign());
    command.args(["policy", "test", "--watch", "."]).current_dir(folder.path());
    let watching = Process::start(&mut command, &log);
    let runs = || watching.output().matches("ran in ").count();
    assert!(wait_for(|| runs() == 1), "{}", watching.output());
    edit(&folder.path().join("data.json"), "\"reading\": 30", "\"reading\": 29");
    assert!(wait_for(|| runs() == 2 && watching.output().contains("FAIL: 3/17")), "{}", watching.output());
    // What changes nothing runs nothing, and a folder that cannot be read does not end it.
    edit(&folder.path().join("data.json"), "\"reading\": 29", "\"reading\": 30");
    assert!(wait_for(|| runs() == 3), "{}", watching.output());
    fs::write(folder.path().join("notes.txt"), "no part of a policy").unwrap();
    fs::write(folder.path().join("broken.rego"), "package").unwrap();
    assert!(wait_for(|| runs() == 4 && watching.output().contains("broken.rego")), "{}", watching.output());
    assert!(!watching.output().contains('\u{1b}'), "a file is no terminal");
}

#[test]
fn the_matrix_is_written_and_compared() {
    let folder = starter_folder();
    assert_eq!(policy(folder.path(), &["matrix", ".", "--check"]).status.code(), Some(2), "there is none");
    let wrote = policy(folder.path(), &["matrix", ".", "--roles", "employee,auditor", "--actions", "GET,DELETE"]);
    assert!(wrote.status.success(), "{wrote:?}");
    let checked = policy(folder.path(), &["matrix", ".", "--check"]);
    assert!(
        checked.status.success() && text(&checked.stdout).contains("is what the policy answers"),
        "the file says by which plan: {checked:?}"
    );
    edit(&folder.path().join("access.rego"), "input.user.role == \"\"\n", "input.user.role in {\"\", \"auditor\"}\n");
    let checked = policy(folder.path(), &["matrix", ".", "--check"]);
    let said = text(&checked.stdout);
    assert_eq!(checked.status.code(), Some(1), "{said}");
    assert!(said.contains("- auditor   yes      own       Tue 10:00     Paris      ✔      ▲\n+ auditor   yes      own       Tue 10:00     Paris      ✘      ✘"), "{said}");
    let printed = policy(folder.path(), &["matrix", ".", "--check", "--json"]);
    let told: Value = serde_json::from_slice(&printed.stdout).unwrap();
    assert!(told["written"] == false && !told["gone"].as_array().unwrap().is_empty(), "{told}");
    fs::remove_file(folder.path().join("matrix.golden")).unwrap();
    std::os::unix::fs::symlink("/tmp/elsewhere", folder.path().join("matrix.golden")).unwrap();
    assert_eq!(policy(folder.path(), &["matrix", "."]).status.code(), Some(2), "nothing is written through a link");
}

#[test]
fn what_a_policy_takes_is_told_beside_the_least() {
    let folder = starter_folder();
    let log = folder.path().join("log.jsonl");
    let lines =
        deep(|| records(&starter().unwrap(), 20, 7).map(|record| serde_json::to_string(&record).unwrap() + "\n").collect::<String>());
    fs::write(&log, lines.unwrap()).unwrap();
    let output = policy(folder.path(), &["bench", ".", "--milliseconds", "20", "--json", "--log", "log.jsonl"]);
    let lines: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    let kinds: Vec<(&str, &str)> =
        lines.as_array().unwrap().iter().map(|line| (line["entry"].as_str().unwrap(), line["inputs"].as_str().unwrap())).collect();
    let each = |entry| ["golden", "edges", "log"].map(|inputs| (entry, inputs));
    let mut expected = [each("data.authz.decision"), each("data.authz.allow")].concat();
    expected.sort_by_key(|(_, inputs)| kinds.iter().position(|(_, known)| known == inputs));
    assert_eq!(kinds, expected);
    for line in lines.as_array().unwrap() {
        assert!(
            line["p50_us"].as_f64().unwrap() > 0.0 && line["p99_us"].as_f64() >= line["p50_us"].as_f64() && line["errors"] == 0,
            "{line}"
        );
    }
}
