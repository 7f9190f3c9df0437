//! Policies: what is refused at load, what an evaluation may give, and the hostile cases that static rules stop.

use countersign_sdk_types::contract::Input;
use countersign_sdk_types::{Acr, RiskScore};

use super::*;

const SEED: &str = include_str!("../../../../policies/examples/seed/authz.rego");

fn source(text: &str) -> PolicySource {
    let file = ("authz.rego".to_owned(), text.as_bytes().to_vec());
    PolicySource::from_files("authz", [file]).expect("source")
}

fn golden() -> Input {
    serde_json::from_str(crate::input::GOLDEN).expect("golden example")
}

fn ask(text: &str) -> Result<Verdict, PolicyError> {
    Policy::compile(&source(text)).expect("policy compiles").evaluate(&golden())
}

#[track_caller]
fn refused(text: &str, because: &str) {
    match Policy::compile(&source(text)) {
        Err(PolicyError::Refused(problems)) => {
            assert!(problems.iter().any(|problem| problem.to_string().contains(because)), "`{because}` is not in {problems:?}");
        }
        other => panic!("{text}: {other:?}"),
    }
}

#[track_caller]
fn effect(text: &str, expected: Effect) {
    assert_eq!(ask(text).map(|verdict| verdict.effect), Ok(expected), "{text}");
}

fn v1(rules: &str) -> String {
    format!("package authz\nimport rego.v1\n{rules}\n")
}

#[test]
fn the_seed_is_the_text_of_the_issue() {
    let expected = "package authz\ndefault allow = false\nallow {\n  input.user.role == \"admin\"\n  input.context.risk_score < 30\n  \
                    input.device.compliant == true\n}\n";
    assert_eq!(SEED, expected);
}

#[test]
fn both_dialects_load_and_mix() {
    let files = [
        ("old.rego".to_owned(), b"package lib\nok { input.user.role == \"admin\" }\n".to_vec()),
        ("new.rego".to_owned(), v1("default allow := false\nallow if data.lib.ok").into_bytes()),
    ];
    let policy = Policy::compile(&PolicySource::from_files("authz", files).expect("source")).expect("policy");
    let mut input = golden();
    "admin".clone_into(&mut input.user.role);
    assert_eq!(policy.evaluate(&input).map(|verdict| verdict.effect), Ok(Effect::Allow));
}

#[test]
fn the_manifest_says_the_dialect() {
    let files = |version: u8| {
        let manifest = format!("{{\"file_rego_versions\":{{\"/a.rego\":{version}}}}}");
        [(".manifest".to_owned(), manifest.into_bytes()), ("a.rego".to_owned(), SEED.as_bytes().to_vec())]
    };
    let compile = |version| Policy::compile(&PolicySource::from_files("authz", files(version)).expect("source"));
    assert!(compile(0).is_ok());
    assert!(compile(1).is_err());
    assert!(compile(7).is_err());
}

#[test]
fn only_a_clean_boolean_or_verdict_answers() {
    effect(&v1("allow := true"), Effect::Allow);
    effect(&v1("allow := false"), Effect::Deny);
    effect(&v1("decision := {\"effect\": \"step_up\", \"acr\": \"phr\", \"max_age\": 60}"), Effect::StepUp);
    for value in ["\"false\"", "\"true\"", "1", "{}", "[]", "null", "{\"effect\":\"allow\"}"] {
        let answer = ask(&v1(&format!("allow := {value}")));
        assert!(matches!(answer, Err(PolicyError::Shape(_))), "{value}: {answer:?}");
    }
    for value in ["true", "{\"effect\":\"maybe\"}", "{\"effect\":\"allow\",\"x\":1}", "{}", "{\"effect\":\"allow\",\"acr\":\"phr\"}"] {
        let answer = ask(&v1(&format!("decision := {value}")));
        assert!(matches!(answer, Err(PolicyError::Shape(_))), "{value}: {answer:?}");
    }
}

#[test]
fn nothing_disagreement_and_failure_are_errors() {
    assert_eq!(ask(&v1("allow if input.user.role == \"nobody\"")), Err(PolicyError::Undefined));
    assert!(matches!(ask(&v1("allow := true\ndecision := {\"effect\": \"deny\"}")), Err(PolicyError::Conflict(_))));
    assert!(matches!(ask(&v1("allow := true\nallow := false")), Err(PolicyError::Failed(_))));
    assert!(matches!(ask(&v1("deny if 1 / (input.contract - 1) > 1\nallow if not deny")), Err(PolicyError::Failed(_))));
    assert!(matches!(ask(&v1("deny if net.cidr_contains(\"garbage\", \"10.0.0.1\")\nallow if not deny")), Err(PolicyError::Failed(_))));
}

#[test]
fn an_entry_point_must_exist() {
    refused(&v1("permit := true"), "defines neither");
    refused("package other\nallow = true", "defines neither");
}

#[test]
fn builtins_are_refused_by_name_wherever_they_stand() {
    refused(&v1("allow if http.send({\"method\": \"get\", \"url\": \"x\"}).status_code == 200"), "`http.send`");
    refused(&v1("allow if time.now_ns() > 0"), "`time.now_ns`");
    refused(&v1("allow if rand.intn(\"a\", 2) == 1"), "`rand.intn`");
    refused(&v1("allow if uuid.rfc4122(\"a\") != \"\""), "`uuid.rfc4122`");
    refused(&v1("allow if opa.runtime().env.X == \"\""), "`opa.runtime`");
    refused(&v1("allow if net.lookup_ip_addr(\"x\")"), "`net.lookup_ip_addr`");
    refused(&v1("allow if graphql.is_valid(\"x\", \"y\")"), "`graphql.is_valid`");
    refused(&v1("allow if no_such_function(1)"), "`no_such_function`");
    refused(&v1("allow if count([1]) == 1 with count as http.send"), "`http.send`");
    refused(&v1("f(x) := x\nallow if f(1) == 1 with f as time.now_ns"), "`time.now_ns`");
    refused(&v1("allow if count([x | some x in [rand.intn(\"a\", 2)]]) == 1"), "`rand.intn`");
}

#[test]
fn nothing_may_need_itself() {
    refused(&v1("f(x) := f(x)\nallow if f(1)"), "needs itself");
    refused(&v1("a if b\nb if a\nallow if a"), "needs itself");
    refused(&v1("f(x) := g(x)\ng(x) := y if { y := f(x) }\nallow if g(1)"), "needs itself");
    refused(&v1("allow if data.authz.allow"), "needs itself");
    refused(&v1("allow if data[x].allow"), "needs itself");
    // What a rule needs is at, above or below the path that it names; what is only called alike is not.
    refused(&v1("allow if count(data.authz) > 0"), "needs itself");
    refused(&v1("a.b.c if allow\nallow if a.b"), "needs itself");
    refused(&v1("a.b := {\"c\": 1} if allow\nallow if a.b.c.d"), "needs itself");
    effect(&v1("ab if allow\na := true\nallow if a"), Effect::Allow);
    effect(&v1("a.bc if allow\na.b := true\nallow if a.b"), Effect::Allow);
    effect(&v1("a[\"b-c\"] if allow\na.b := true\nallow if a.b"), Effect::Allow);
    let chain = |rules: usize| (0..rules).map(|at| format!("r{at} if r{}", at + 1)).collect::<Vec<_>>().join("\n");
    refused(&v1(&format!("{}\nr600 := true\nallow if r0", chain(600))), "chain of more than");
    effect(&v1(&format!("{}\nr90 := true\nallow if r0", chain(90))), Effect::Allow);
}

#[test]
fn numbers_cannot_be_squared_without_end() {
    let squares = (1..40).map(|at| format!("n{at} := n{0} * n{0}", at - 1)).collect::<Vec<_>>().join("\n");
    refused(&v1(&format!("n0 := 9999999\n{squares}\nallow if n39 > 1")), "multiplies computed numbers");
    let calls = (1..40).map(|at| format!("n{at} := f(n{})", at - 1)).collect::<Vec<_>>().join("; ");
    refused(&v1(&format!("f(x) := x * x\nallow if {{ n0 := 9; {calls}; n39 > 1 }}")), "multiplies computed numbers");
    effect(&v1("allow if product([2, 3]) * input.contract * 2 == 12"), Effect::Allow);
    let answer = ask(&v1("allow if product([123456789 | some _ in numbers.range(1, 9000)]) > 1"));
    assert!(matches!(answer, Err(PolicyError::Failed(_))), "{answer:?}");
}

#[test]
fn locals_and_arguments_are_not_rules() {
    effect(&v1("user := input.user.id\nallow if { user := 1; user == 1 }"), Effect::Allow);
    effect(&v1("f(allow) := allow\nallow if f(true)"), Effect::Allow);
}

#[test]
fn the_parser_never_sees_a_bracket_bomb() {
    for bomb in ["[", "{", "{\"a\":", "("] {
        refused(&v1(&format!("allow if x == {}", bomb.repeat(30))), "nested deeper");
    }
    refused(&v1("x := 1e1000000000\nallow := true"), "number is too long");
}

#[test]
fn bounded_builtins_answer_or_fail_but_never_run_away() {
    effect(&v1("allow if strings.count(\"abc\", \"\") == 4"), Effect::Allow);
    effect(&v1("allow if strings.count(\"aaaa\", \"aa\") == 2"), Effect::Allow);
    effect(&v1("allow if sprintf(\"%d-%s\", [1, \"a\"]) == \"1-a\""), Effect::Allow);
    effect(&v1("allow if numbers.range(1, 3) == [1, 2, 3]"), Effect::Allow);
    effect(&v1("allow if count(net.cidr_expand(\"10.0.0.0/30\")) == 4"), Effect::Allow);
    effect(&v1("allow if bits.lsh(1, 4) == 16"), Effect::Allow);
    effect(&v1("allow if concat(\",\", [\"a\", \"b\"]) == \"a,b\""), Effect::Allow);
    effect(&v1("allow if replace(\"aXa\", \"X\", \"b\") == \"aba\""), Effect::Allow);
    for hostile in [
        "sprintf(\"%1000000000d\", [1])",
        "sprintf(\"%.99999999f\", [1.5])",
        "numbers.range(1, 1000000000)",
        "numbers.range_step(1, 1000000000, 2)",
        "net.cidr_expand(\"0.0.0.0/0\")",
        "net.cidr_expand(\"::/0\")",
        "bits.lsh(1, 4000000000)",
    ] {
        let answer = ask(&v1(&format!("default allow := true\nallow := false if {hostile} == 1")));
        assert!(matches!(answer, Err(PolicyError::Failed(_))), "{hostile}: {answer:?}");
    }
}

#[test]
fn doubling_text_is_stopped() {
    let doubled = (1..40).map(|at| format!("t{at} := concat(\"\", [t{0}, t{0}])", at - 1)).collect::<Vec<_>>().join("\n");
    let answer = ask(&v1(&format!("t0 := \"0123456789\"\n{doubled}\nallow if t39 != \"\"")));
    assert!(matches!(answer, Err(PolicyError::Failed(_) | PolicyError::Budget)), "{answer:?}");
}

#[test]
fn a_long_loop_uses_up_its_budget() {
    let text = v1("allow if { some a in numbers.range(1, 9000); some b in numbers.range(1, 9000); a * b == -1 }");
    assert_eq!(ask(&text), Err(PolicyError::Budget));
}

#[test]
fn data_is_placed_by_its_folder_and_never_overlaps() {
    let files = |other: &str| {
        [
            ("data.json".to_owned(), b"{\"a\":{\"x\":1}}".to_vec()),
            (format!("{other}/data.json"), b"{\"y\":2}".to_vec()),
            ("p.rego".to_owned(), v1("allow if data.b.y == 2").into_bytes()),
        ]
    };
    let policy = Policy::compile(&PolicySource::from_files("authz", files("b")).expect("source")).expect("policy");
    assert_eq!(policy.evaluate(&golden()).map(|verdict| verdict.effect), Ok(Effect::Allow));
    let repeated = [("data.json".to_owned(), b"{\"a\":1,\"a\":2}".to_vec())];
    assert!(PolicySource::from_files("authz", repeated).is_err());
    let overlapping = [("data.json".to_owned(), b"{\"a\":1}".to_vec()), ("a/data.json".to_owned(), b"{\"y\":2}".to_vec())];
    assert!(PolicySource::from_files("authz", overlapping).is_err());
}

#[test]
fn problems_name_file_and_line() {
    let report = check_candidate(&source("package authz\nimport rego.v1\n\nallow if http.send({})\n"));
    let [problem] = report.problems.as_slice() else { panic!("{report:?}") };
    assert_eq!((problem.file.as_deref(), problem.line), (Some("authz.rego"), Some(4)));
    let report = check_candidate(&source("package authz\nimport rego.v1\n\nallow if {{\n"));
    assert!(report.problems.iter().any(|problem| problem.line.is_some()), "{report:?}");
}

#[test]
fn a_candidate_is_tested_and_tried() {
    let with_test = |test: &str| {
        let files =
            [("a.rego".to_owned(), v1("default allow := false").into_bytes()), ("a_test.rego".to_owned(), test.as_bytes().to_vec())];
        check_candidate(&PolicySource::from_files("authz", files).expect("source"))
    };
    let good = with_test("package authz_test\nimport rego.v1\ntest_no if not data.authz.allow\n");
    assert!(good.is_accepted() && good.tests.len() == 1, "{good:?}");
    let bad = with_test("package authz_test\nimport rego.v1\ntest_yes if data.authz.allow\n");
    assert!(!bad.is_accepted(), "{bad:?}");
    assert!(check_candidate(&source(SEED)).is_accepted());
    let backwards = check_candidate(&source(&v1("default allow := true\nallow := false if \"phr\" in input.session.acr_satisfied")));
    assert!(backwards.problems.iter().any(|problem| problem.text.contains("more assurance")), "{backwards:?}");
}

#[test]
fn a_test_file_adds_nothing_to_the_served_policy() {
    let files =
        [("a.rego".to_owned(), v1("default allow := false").into_bytes()), ("a_test.rego".to_owned(), v1("allow if true").into_bytes())];
    let policy = Policy::compile(&PolicySource::from_files("authz", files).expect("source")).expect("policy");
    assert_eq!(policy.evaluate(&golden()).map(|verdict| verdict.effect), Ok(Effect::Deny));
}

#[test]
fn assurance_and_score_reach_the_policy_typed() {
    let policy = Policy::compile(&source(SEED)).expect("seed");
    for (score, expected) in [(0, Effect::Allow), (29, Effect::Allow), (30, Effect::Deny), (100, Effect::Deny)] {
        let mut input = golden();
        "admin".clone_into(&mut input.user.role);
        input.device.compliant = true;
        input.session.acr_satisfied = [Acr::phr()].into();
        input.context.risk_score = RiskScore::new(score).expect("score");
        assert_eq!(policy.evaluate(&input).map(|verdict| verdict.effect), Ok(expected), "{score}");
    }
}

#[test]
fn a_panic_of_the_evaluator_is_an_error_and_poisons_nothing() {
    let mut engine = Engine::new();
    engine.add_extension("boom".to_owned(), 0, Box::new(|_| panic!("as some inputs make some built-ins do"))).expect("extension");
    engine.add_policy("a.rego".to_owned(), v1("allow if boom()\nfine := true")).expect("policy");
    assert_eq!(guarded(engine.clone(), "data.authz.allow"), Err(PolicyError::Panic));
    assert_eq!(guarded(engine, "data.authz.fine"), Ok(Value::Bool(true)));
}

#[test]
fn a_policy_is_shared_by_threads() {
    const fn shared<T: Send + Sync>() {}
    shared::<Policy>();
}
