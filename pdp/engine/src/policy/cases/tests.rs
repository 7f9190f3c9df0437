//! What is read as a case, what is refused with which line, and how cases stand beside the tests in Rego.

use super::super::{Coverage, Outcome, Policy, PolicySource, TestOptions, check_candidate, run_tests};
use super::*;

const POLICY: &str = "package authz
import rego.v1
default decision := {\"effect\": \"deny\", \"reasons\": [\"not for you\"]}
decision := {\"effect\": \"allow\", \"obligations\": [{\"id\": \"1\", \"type\": \"log\", \"properties\": {\"to\": \"siem\", \"level\": 3}}]} if {
\tinput.user.role == \"admin\"
\tinput.context.risk_score < 30
}
";

fn named(text: &str) -> Result<Vec<Case>, Vec<String>> {
    let file = PolicyFile { path: "a_cases.yaml".to_owned(), text: text.to_owned() };
    read(&file).map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

#[track_caller]
fn refused(text: &str, because: &[&str]) {
    assert_eq!(named(text).expect_err(text), because, "{text}");
}

fn source(rego: &str, cases: &str) -> PolicySource {
    let files = [("authz.rego", rego), ("authz_cases.yaml", cases)];
    PolicySource::from_files("authz", files.map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()))).expect("source")
}

/// The outcome of each case, and what is said of it.
fn outcomes(cases: &str) -> Vec<(String, Outcome, String)> {
    let report = run_tests(&source(POLICY, cases), &TestOptions::default(), &|| 0);
    assert_eq!(report.problems, [], "{cases}");
    report.tests.into_iter().map(|test| (test.name, test.outcome, test.why.join("; "))).collect()
}

#[track_caller]
fn passes(cases: &str) {
    let outcomes = outcomes(cases);
    assert!(!outcomes.is_empty() && outcomes.iter().all(|(_, outcome, _)| *outcome == Outcome::Passed), "{cases}: {outcomes:?}");
}

#[track_caller]
fn fails(cases: &str, because: &str) {
    let outcomes = outcomes(cases);
    assert!(outcomes.iter().any(|(_, outcome, why)| outcome.is_against() && why.contains(because)), "{cases}: {outcomes:?}");
}

#[test]
fn files_of_cases_are_known_by_their_name() {
    for path in ["cases.yaml", "a/access_cases.yaml", "a_cases.yml"] {
        assert!(is_cases(path), "{path}");
    }
    for path in ["showcases.yaml", "cases.json", "cases.yaml.rego", "cases/a.yaml", "_cases"] {
        assert!(!is_cases(path), "{path}");
    }
}

#[test]
fn a_case_is_an_example_with_changes() {
    passes("cases: [{name: a, expect: allow}]");
    passes("cases: [{name: a, set: {user.role: clerk}, expect: deny}]");
    passes("cases: [{name: a, set: {user: {id: bob, role: clerk, roles: []}}, expect: {effect: deny, reasons: [for you]}}]");
    passes("cases: [{name: a, set: {'context.known[\"device.compliant\"]': false, user.roles.0: x, token.claims.a.b: 1}, expect: allow}]");
    passes("cases: [{name: a, remove: [token.claims.department, context.caller.ticket], expect: allow}]");
    passes(
        "bases: {clerk: {set: {user.role: clerk}}, boss: {base: clerk, set: {user.role: admin}}}\ncases: [{name: a, base: boss, expect: allow}]",
    );
    let golden = crate::input::GOLDEN.replace('\n', " ");
    passes(&format!("bases: {{real: {{input: {golden}}}}}\ncases: [{{name: a, base: real, expect: allow}}]"));
}

#[test]
fn the_level_follows_the_score_unless_it_was_set() {
    let level = |set: &str| named(&format!("cases: [{{name: a, set: {set}, expect: deny}}]")).expect(set)[0].input.context.risk.level;
    assert_eq!(level("{context.risk_score: 95}"), countersign_sdk_types::RiskScore::MAX.level());
    assert_eq!(level("{context.risk_score: 95, context.risk.level: low}"), level("{}"));
    let table = "cases: [{name: a, table: [[context.risk_score], [95]], expect: deny}]";
    assert_eq!(named(table).expect(table)[0].input.context.risk.level, countersign_sdk_types::RiskScore::MAX.level());
}

#[test]
fn the_schema_knows_what_the_reader_knows() {
    let schema: serde_json::Value = serde_json::from_str(include_str!("../../../../../policies/schema/cases.schema.json")).expect("schema");
    let check = |pointer: &str, known: &[&str]| {
        let listed = schema.pointer(pointer).expect(pointer);
        let listed: BTreeSet<&str> = match listed.as_array() {
            Some(names) => names.iter().filter_map(serde_json::Value::as_str).collect(),
            None => listed.as_object().expect(pointer).keys().map(String::as_str).collect(),
        };
        assert_eq!(listed, known.iter().copied().collect(), "{pointer}");
    };
    check("/properties", &FILE);
    check("/properties/bases/additionalProperties/properties", &given::BASE);
    check("/properties/cases/items/properties", &CASE);
    check("/$defs/expect/oneOf/1/properties", &wanted::EXPECT);
    check("/$defs/effect/enum", &wanted::EFFECTS);
}

#[test]
fn tables_are_cases() {
    let table =
        "cases:\n- name: limits\n  expect: allow\n  table:\n  - [context.risk_score, expect]\n  - [29, allow]\n  - [30, {effect: deny}]\n";
    passes(table);
    let names: Vec<(usize, String)> = named(table).expect(table).into_iter().map(|case| (case.line, case.name)).collect();
    let name = |score: u8| format!("limits (context.risk_score = {score})");
    assert_eq!(names, [(6, name(29)), (7, name(30))]);
    let rows = "cases: [{name: a, expect: allow, table: [[name, context.risk_score], [calm, 0], [busy, 29]]}]";
    passes(rows);
    assert_eq!(named(rows).expect(rows)[1].name, "a (busy)");
}

#[test]
fn what_is_wanted_is_compared() {
    fails("cases: [{name: a, expect: deny}]", "the effect is allow, not deny");
    fails("cases: [{name: a, set: {context.risk_score: 30}, expect: allow}]", "the effect is deny, not allow; because not for you");
    fails("cases: [{name: a, expect: {effect: allow, final: true}}]", "`final` is false, not true");
    fails("cases: [{name: a, expect: {effect: allow, acr: phr}}]", "`acr` is nothing, not phr");
    fails("cases: [{name: a, expect: {effect: allow, max_age: 5}}]", "`max_age` is nothing, not 5");
    fails("cases: [{name: a, expect: {effect: allow, reasons: [late]}}]", "no reason says `late`");
    passes("cases: [{name: a, expect: {effect: allow, obligations: [{type: log, properties: {to: siem}}]}}]");
    fails("cases: [{name: a, expect: {effect: allow, obligations: [{type: log, properties: {to: disk}}]}}]", "there is no obligation");
    fails("cases: [{name: a, expect: {error: budget}}]", "the verdict is allow, and an error with `budget` was expected");
}

#[test]
fn a_policy_without_a_verdict_meets_only_who_expects_that() {
    let undefined = "package authz\nimport rego.v1\nallow if input.user.role == \"nobody\"\n";
    let run =
        |expect: &str| run_tests(&source(undefined, &format!("cases: [{{name: a, expect: {expect}}}]")), &TestOptions::default(), &|| 0);
    assert_eq!(run("{error: no result}").tests[0].outcome, Outcome::Passed);
    assert_eq!(run("deny").tests[0].outcome, Outcome::Error);
}

#[test]
fn what_is_no_case_is_refused_with_its_line() {
    refused("cases:\n- name: a\n  expect: maybe\n", &["a_cases.yaml:3: an effect is `allow`, `deny` or `step_up`"]);
    refused("cases:\n- name: a\n", &["a_cases.yaml:2: case has no `expect`"]);
    refused("cases:\n- expect: deny\n", &["a_cases.yaml:2: case has no `name`"]);
    refused("cases: []\n", &["a_cases.yaml:1: the list is empty"]);
    refused("bases: {}\n", &["a_cases.yaml:1: file has no `cases`"]);
    assert!(named("cases:\n- name: [a\n").expect_err("open")[0].starts_with("a_cases.yaml:3: no YAML: "));
    refused("- a\n", &["a_cases.yaml:1: a map was expected"]);
    refused(
        "cases:\n- name: a\n  sets: {}\n  expect: deny\n",
        &["a_cases.yaml:3: `sets` is not known here; known are `name`, `base`, `set`, `remove`, `expect`, `table`"],
    );
    refused("cases:\n- name: a\n  expect: deny\n  expect: allow\n", &["a_cases.yaml:4: `expect` is said twice"]);
    refused("cases:\n- {name: a, expect: deny}\n- {name: a, expect: deny}\n", &["a_cases.yaml:3: another case is named `a` too"]);
    refused("cases:\n- {name: a, base: b, expect: deny}\n", &["a_cases.yaml:2: no example is named `b`; there is `golden`"]);
    refused("cases:\n- {name: a, remove: [user.rule], expect: deny}\n", &["a_cases.yaml:2: the example has no `user.rule`"]);
    refused(
        "cases:\n- {name: a, set: {user.role.x: 1}, expect: deny}\n",
        &["a_cases.yaml:2: nothing can be set at `user.role.x`: above `x` is no object, or a list that is too short"],
    );
    for path in ["''", "a..b", ".a", "a.", "'a[b]'", "'a[\"\"]'"] {
        let problems = named(&format!("cases:\n- {{name: a, set: {{{path}: 1}}, expect: deny}}\n")).expect_err(path);
        assert!(problems[0].contains("is no path such as"), "{path}: {problems:?}");
    }
    refused(
        "cases:\n- name: a\n  expect: deny\n  table:\n  - [x, y]\n  - [1]\n",
        &["a_cases.yaml:6: row has 1 cells, and the table 2 columns"],
    );
    refused("cases:\n- name: a\n  expect: {acr: phr}\n", &["a_cases.yaml:3: `expect` says neither an `effect` nor an `error`"]);
}

#[test]
fn what_is_asked_about_is_an_input_of_the_contract() {
    for (set, says) in [
        ("set: {context.risk_score: 101}", "risk"),
        ("set: {device.compliant: 'false'}", "boolean"),
        ("set: {usr.role: admin}", "it holds no `usr`"),
        ("set: {device.complaint: true}", "it holds no `device.complaint`"),
        ("remove: [user]", "missing field `user`"),
    ] {
        let problems = named(&format!("cases:\n- name: a\n  {set}\n  expect: deny\n")).expect_err(set);
        assert!(problems[0].starts_with("a_cases.yaml:2: what is asked about is no input of contract 1"), "{problems:?}");
        assert!(problems[0].contains(says), "{problems:?}");
    }
}

#[test]
fn every_fault_of_a_file_is_named_and_bounds_hold() {
    assert_eq!(named("cases:\n- {name: a}\n- {name: b}\n").expect_err("two faults").len(), 2);
    assert!(named(&"[".repeat(200)).is_err());
    assert!(named(&format!("cases: [{}]", "{name: a, expect: deny}, ".repeat(2_001))).is_err());
    assert!(named(&" ".repeat(MAX_FILE + 1)).is_err());
    assert!(named("a: &a [x, x]\nb: &b [*a, *a]\ncases: *c\n").is_err());
}

#[test]
fn a_candidate_with_a_failing_case_is_refused() {
    let good = source(POLICY, "cases: [{name: admins read, expect: allow}]");
    let report = check_candidate(&good);
    assert!(report.is_accepted() && report.tests.len() == 1, "{report:?}");
    let bad = check_candidate(&source(POLICY, "cases:\n- name: admins read\n  expect: deny\n"));
    assert!(!bad.is_accepted());
    assert_eq!(bad.problems[0].to_string(), "authz_cases.yaml:2: test `admins read` does not hold: the effect is allow, not deny");
    let unreadable = check_candidate(&source(POLICY, "cases: {}"));
    assert!(!unreadable.is_accepted() && unreadable.problems[0].to_string().contains("a list was expected"), "{unreadable:?}");
}

#[test]
fn cases_are_part_of_a_revision_and_no_part_of_what_serves() {
    let (with, without) = (source(POLICY, "cases: [{name: a, expect: allow}]"), PolicySource { cases: Vec::new(), ..source(POLICY, "") });
    assert_ne!(with.digest(), without.digest());
    assert_eq!(Policy::compile(&with).expect("policy").source().cases, []);
}

#[test]
fn lines_count_where_the_author_wrote_them() {
    let rego = "package authz
import rego.v1
default allow := false

allow if {
\tnot startswith(input.user.role, \"a\")
\tsome role in input.user.roles
\trole == $\"{input.user.role}\"
\tinput.context.risk_score % 2 == 0
}

allow if
\tinput.user.role == \"root\"

allow if {
\tinput.user.role == \"admin\"
\tinput.request.in == 1
}
";
    let options = TestOptions { coverage: true, ..TestOptions::default() };
    let report = run_tests(&source(rego, "cases: [{name: a, set: {user.role: boss}, expect: deny}]"), &options, &|| 0);
    assert_eq!(report.problems, []);
    let file = report.coverage.expect("coverage").files.remove("authz.rego").expect("file");
    assert_eq!(file.covered.into_iter().collect::<Vec<_>>(), [3, 6, 7, 8, 13, 16]);
    assert_eq!(file.not_covered.into_iter().collect::<Vec<_>>(), [9, 17]);
}

#[test]
fn a_file_that_no_test_touches_counts() {
    let mut policy = source(POLICY, "cases: [{name: a, expect: allow}]");
    policy.files.push(PolicyFile {
        path: "more.rego".to_owned(),
        text: "package more\nimport rego.v1\nx := 1 if input.user.role == \"x\"\n".to_owned(),
    });
    policy.files.push(PolicyFile { path: "more_test.rego".to_owned(), text: "package more\nimport rego.v1\ntest_x if true\n".to_owned() });
    let report = run_tests(&policy, &TestOptions { coverage: true, ..TestOptions::default() }, &|| 0);
    let Coverage { files } = report.coverage.expect("coverage");
    assert_eq!(files.keys().collect::<Vec<_>>(), ["authz.rego", "more.rego"], "tests are not what is covered");
    assert_eq!(files["more.rego"].not_covered.len(), 1);
    assert_eq!(Coverage { files }.lines(), (4, 5));
}

#[test]
fn rules_say_how_far_they_got_and_what_they_print() {
    let rego = "package authz
import rego.v1
allow := true
test_good if allow
test_bad if {
\tallow
\tprint(\"score\", 7)
\t1 == 2
\tallow
}
todo_test_later if false
test_wrong := 5
";
    let options = TestOptions { for_people: true, ..TestOptions::default() };
    let ticks = std::cell::Cell::new(0);
    let tests = run_tests(&source(rego, "cases: [{name: a, expect: allow}]"), &options, &|| {
        ticks.set(ticks.get() + 5);
        ticks.get()
    });
    let shown: Vec<_> =
        tests.tests.iter().map(|test| (test.name.as_str(), test.line, test.outcome, test.reached, test.nanoseconds)).collect();
    assert_eq!(
        shown,
        [
            ("data.authz.test_good", 4, Outcome::Passed, None, 5),
            ("data.authz.test_bad", 5, Outcome::Failed, Some(8), 5),
            ("data.authz.todo_test_later", 11, Outcome::Skipped, None, 5),
            ("data.authz.test_wrong", 12, Outcome::Failed, Some(12), 5),
            ("a", 1, Outcome::Passed, None, 5),
        ]
    );
    assert_eq!(tests.tests[1].output, ["authz.rego:7: score 7"]);
    assert_eq!(tests.tests[3].why, ["it is a number and not `true`"]);
}

#[test]
fn a_pattern_chooses() {
    let run = |only: &str| {
        run_tests(
            &source(POLICY, "cases: [{name: ab, expect: allow}, {name: b, expect: allow}]"),
            &TestOptions { only: Some(only.to_owned()), ..TestOptions::default() },
            &|| 0,
        )
    };
    assert_eq!(run("^b").tests.len(), 1);
    assert_eq!(run("b").tests.len(), 2);
    assert!(run("(").problems[0].text.contains("is no pattern of names"));
    assert!(run(&"a".repeat(1_001)).problems[0].text.contains("longer"));
}
