//! Built-ins through the library, where errors are undefined unless said otherwise, and through policies that decide.

use std::time::Duration;

use countersign_sdk_types::Effect;
use serde_json::{Value as Json, json};

use super::*;
use crate::policy::{Dialects, Policy, PolicyError, PolicySource};
use crate::rego::{Library, Question};

/// 1750000000 seconds since the epoch.
const NOW: Timestamp = Timestamp::from_secs(1_750_000_000);
/// A token that expires a second after [`NOW`], under the key `secret`.
const SIGN: &str = "io.jwt.encode_sign({\"alg\": \"HS256\"}, {\"exp\": 1750000001}, {\"kty\": \"oct\", \"k\": \"c2VjcmV0\"})";

fn ask(expression: &str, builtin_errors: BuiltinErrors) -> Result<Option<Json>, String> {
    let question = Question { input: None, now: NOW, seed: [1; 32], budget: Duration::from_secs(5), builtin_errors };
    let library = Library::compile(&[], &json!({}), &Dialects::default()).expect("library");
    let answers = library.query(&format!("x = {expression}"), &question).map_err(|error| error.to_string())?;
    Ok(answers.into_iter().next().and_then(|mut answer| answer.bindings.remove("x")))
}

#[track_caller]
fn check(expression: &str, expected: impl Into<Option<Json>>) {
    assert_eq!(ask(expression, BuiltinErrors::Undefined), Ok(expected.into()), "{expression}");
}

#[track_caller]
fn fails(expression: &str, because: &str) {
    let error = ask(expression, BuiltinErrors::Fatal).expect_err(expression);
    assert!(error.contains(because), "`{because}` is not in `{error}`");
}

/// Ends the evaluation even where errors are lenient.
#[track_caller]
fn is_bounded(expression: &str) {
    assert!(ask(expression, BuiltinErrors::Undefined).is_err(), "{expression}");
}

#[test]
fn digests() {
    check("crypto.md5(\"\")", json!("d41d8cd98f00b204e9800998ecf8427e"));
    check("crypto.sha1(\"abc\")", json!("a9993e364706816aba3e25717850c26c9cd0d89d"));
    check("crypto.sha256(\"abc\")", json!("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
    check(
        "crypto.hmac.sha256(\"what do ya want for nothing?\", \"Jefe\")",
        json!("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
    );
    check("crypto.hmac.equal(\"a\", \"b\")", json!(false));
    check("crypto.sha256(1)", None);
    fails("crypto.sha256(1)", "`crypto.sha256`: a string is expected");
}

#[test]
fn tokens_are_verified_as_they_say_and_as_they_must() {
    check(&format!("io.jwt.decode_verify({SIGN}, {{\"secret\": \"secret\"}})[0]"), json!(true));
    check(&format!("io.jwt.decode_verify({SIGN}, {{\"secret\": \"secret\", \"time\": 1750000001000000000}})[0]"), json!(false));
    check(&format!("io.jwt.decode_verify({SIGN}, {{\"secret\": \"secret\", \"alg\": \"HS384\"}})[0]"), json!(false));
    check(&format!("io.jwt.decode_verify({SIGN}, {{\"secret\": \"secret\", \"aud\": \"a\"}})[0]"), json!(false));
    check(&format!("io.jwt.decode_verify({SIGN}, {{\"secret\": \"other\"}})[0]"), json!(false));
    check(&format!("io.jwt.verify_hs256({SIGN}, \"secret\")"), json!(true));
    check(&format!("io.jwt.verify_hs384({SIGN}, \"secret\")"), json!(false));
    check(&format!("io.jwt.decode_verify({SIGN}, {{}})"), None);
    fails(&format!("io.jwt.decode_verify({SIGN}, {{\"secret\": \"secret\", \"leeway\": 5}})"), "`leeway` is not known");
    fails(&format!("io.jwt.decode_verify({SIGN}, {{\"secret\": \"s\", \"cert\": \"c\"}})"), "both");
}

#[test]
fn hostile_tokens_prove_nothing() {
    let token = |header: &str, claims: &str| {
        format!("concat(\".\", [base64url.encode_no_pad(`{header}`), base64url.encode_no_pad(`{claims}`), \"\"])")
    };
    let verified = |token: &str| format!("io.jwt.decode_verify({token}, {{\"secret\": \"\"}})[0]");
    check(&verified(&token("{\"alg\": \"none\"}", "{}")), None);
    check(&verified(&token("{\"alg\": \"HS256\", \"crit\": [\"x\"]}", "{}")), json!(false));
    check(&verified(&token("{\"alg\": \"RS256\"}", "{}")), json!(false));
    check(&verified(&token("{\"alg\": \"HS256\", \"alg\": \"none\"}", "{}")), None);
    check(&format!("io.jwt.decode({})", token("{\"enc\": \"A128GCM\"}", "{}")), None);
    check(&format!("io.jwt.decode({})", token("{}", "{\"sub\": \"a\", \"sub\": \"b\"}")), None);
    check(&format!("io.jwt.decode({})", token("{}", "[]")), None);
    check("io.jwt.decode(\"a.b\")", None);
    // A public key must never serve as a secret.
    check(&format!("io.jwt.decode_verify({SIGN}, {{\"cert\": `{{\"kty\": \"oct\", \"k\": \"c2VjcmV0\"}}`}})[0]"), json!(false));
    fails("io.jwt.verify_rs256(\"e30.e30.\", \"-----BEGIN NOTHING-----\")", "neither a certificate");
    fails("io.jwt.encode_sign({\"alg\": \"ES256\"}, {}, {\"kty\": \"EC\"})", "without chance");
}

#[test]
fn networks() {
    check("net.cidr_contains(\"10.0.0.0/8\", \"10.1.2.3\")", json!(true));
    check("net.cidr_contains(\"10.0.0.0/8\", \"10.1.0.0/16\")", json!(true));
    check("net.cidr_contains(\"10.1.0.0/16\", \"10.0.0.0/8\")", json!(false));
    check("net.cidr_contains(\"10.0.0.0/8\", \"::ffff:10.1.2.3\")", json!(true));
    check("net.cidr_contains(\"::ffff:10.0.0.0/104\", \"10.1.2.3\")", json!(true));
    check("net.cidr_contains(\"10.0.0.0/8\", \"010.1.2.3\")", None);
    check("net.cidr_contains(\"fe80::/10\", \"fe80::1%eth0\")", None);
    check("net.cidr_intersects(\"10.0.0.0/8\", \"10.1.0.0/16\")", json!(true));
    check("net.cidr_merge([\"10.0.0.0/9\", \"10.128.0.0/9\"])", json!(["10.0.0.0/8"]));
    check("net.cidr_merge([\"192.168.1.1\"])", json!(["192.168.1.0/24"]));
    check("net.cidr_contains_matches({\"a\": \"10.0.0.0/8\"}, [\"10.0.0.1\", \"11.0.0.1\"])", json!([["a", 0]]));
    fails("net.cidr_merge([\"::1\"])", "needs a prefix length");
}

#[test]
fn texts_and_collections() {
    check("json.is_valid(1)", json!(false));
    check("array.flatten([1, [2, [3]]])", json!([1, 2, [3]]));
    check("regex.globs_match(\"a.a.[0-9]+z\", \"b.b.[0-9]+z\")", json!(false));
    check("regex.globs_match(\"[a-z]+\", \"[0-9]*\")", json!(false));
    check("regex.globs_match(\"[a-z]+b*\", \".*b\")", json!(true));
    check("regex.globs_match(\"[\", \"a\")", None);
    check("$\"{1} {[\"a\", {2}]} {input.x} {set()}\"", json!("1 [\"a\", {2}] <undefined> set()"));
    check("graph.reachable_paths({\"a\": [\"b\", \"c\"], \"b\": [], \"c\": [\"a\"]}, {\"a\"})", json!([["a", "b"], ["a", "c"]]));
    is_bounded("graph.reachable_paths({i: numbers.range(1, 18) | some i in numbers.range(1, 18)}, {1})");
    is_bounded("numbers.range(1, 1000000000)");
    is_bounded("not http.send({})");
}

#[test]
fn templates() {
    let render = |template: &str, expected: Option<&str>| {
        let expression =
            format!("strings.render_template(`{template}`, {{\"a\": {{\"b\": 1}}, \"xs\": [\"p\", \"q\"], \"no\": false, \"e\": []}})");
        check(&expression, expected.map(Json::from));
    };
    render("{{.a.b}}", Some("1"));
    render("x {{- /* a comment */ -}} y", Some("xy"));
    render("{{if .no}}1{{else if .a.b}}2{{else}}3{{end}}", Some("2"));
    render("{{range .xs}}<{{.}}>{{end}}{{range .e}}{{else}}none{{end}}", Some("<p><q>none"));
    render("{{range $i, $x := .xs}}{{$i}}{{$x}} {{end}}", Some("0p 1q "));
    for wrong in ["{{.missing}}", "{{", "{{end}}", "{{if .no}}", "{{range .a.b}}{{end}}", "{{printf .a}}", "{{$x}}", "{{.a | len}}"] {
        render(wrong, None);
    }
    render(&"{{if .a}}".repeat(40), None);
    let nested = "{{range $i, $x := .n}}{{range .n}}{{end}}{{end}}";
    is_bounded(&format!(
        "strings.render_template(`{nested}`, {{\"n\": [{{\"n\": numbers.range(1, 9999)}} | some _ in numbers.range(1, 20)]}})"
    ));
}

#[test]
fn certificates() {
    check("crypto.x509.parse_certificates(\"YmFkc3RyaW5n\")", None);
    check("crypto.x509.parse_certificates(\"\")", None);
    check("crypto.x509.parse_and_verify_certificates(\"AAAA\")", None);
    check("crypto.x509.parse_rsa_private_key(\"AAAA\")", None);
    check("crypto.parse_private_keys(\"\")", json!(null));
    check("crypto.parse_private_keys(\"nope\")", json!([]));
}

#[test]
fn chance_is_the_same_all_through_a_question() {
    check("count({y | some _ in [1, 2, 3]; y := uuid.rfc4122(\"k\")})", json!(1));
    check("uuid.parse(uuid.rfc4122(\"k\")).version", json!(4));
    check("rand.intn(\"k\", 10) < 10", json!(true));
    check("rand.intn(\"k\", 0)", json!(0));
    check("time.now_ns()", json!(1_750_000_000_000_000_000_i64));
}

#[track_caller]
fn decides(rule: &str) -> Result<Effect, PolicyError> {
    let text = format!("package authz\nimport rego.v1\n{rule}\n");
    let source = PolicySource::from_files("authz", [("a.rego".to_owned(), text.into_bytes())]).expect("source");
    let input = serde_json::from_str(crate::input::GOLDEN).expect("golden example");
    Policy::compile(&source)?.evaluate(&input).map(|verdict| verdict.effect)
}

#[test]
fn a_policy_judges_tokens_by_the_time_of_its_decision() {
    let expiring = |at: &str| {
        decides(&format!(
            "allow := io.jwt.decode_verify(io.jwt.encode_sign({{\"alg\": \"HS256\"}}, {{\"exp\": (input.context.time / 1000) {at}}}, \
             {{\"kty\": \"oct\", \"k\": \"c2VjcmV0\"}}), {{\"secret\": \"secret\"}})[0]"
        ))
    };
    assert_eq!(expiring("+ 1"), Ok(Effect::Allow));
    assert_eq!(expiring("- 1"), Ok(Effect::Deny));
}

#[test]
fn a_failing_built_in_is_a_deny_in_a_policy() {
    for rule in ["not io.jwt.decode(\"x\")", "not crypto.x509.parse_certificates(\"x\")", "not net.cidr_merge([\"::1\"])"] {
        assert!(matches!(decides(&format!("allow if {rule}")), Err(PolicyError::Failed(_))), "{rule}");
    }
    assert!(matches!(decides("allow if input.x == 1 with http.send as count"), Err(PolicyError::Refused(_))));
    assert!(matches!(decides("allow if input.x == 1 with count as http.send"), Err(PolicyError::Refused(_))));
}

#[test]
fn a_walk_with_a_pattern_matches() {
    assert_eq!(
        decides("default allow := true\nallow := false if {\n\t[path, value] := walk(input.device)\n\tpath == [\"id\"]\n}"),
        Ok(Effect::Deny)
    );
}

#[test]
fn no_two_extensions_have_one_name() {
    let names: Vec<&str> = FAMILIES.iter().copied().flatten().map(|builtin| builtin.name).collect();
    let distinct: BTreeSet<&str> = names.iter().copied().collect();
    assert_eq!(names.len(), distinct.len());
}

#[test]
fn what_grows_is_bounded() {
    let long = format!("concat(\"\", [\"{}\" | some i in numbers.range(1, 10000)])", "a".repeat(100));
    check(&format!("count({long})"), json!(1_000_000));
    for name in ["hex.encode", "base64.encode", "base64url.encode", "base64url.encode_no_pad"] {
        check(&format!("{name}({name}(\"\"))"), json!(""));
        is_bounded(&format!("{name}({name}({long}))"));
    }
    is_bounded(&format!("regex.replace({long}, \"\", {long})"));
    check("regex.replace(\"a-b\", \"-\", \"$0$0\")", json!("a--b"));
    check("urlquery.encode(\"a b\")", json!("a+b"));
}

/// Found as a text of the input: a quantity of twelve characters that no timer stops.
#[test]
fn a_quantity_is_bounded() {
    for name in ["units.parse", "units.parse_bytes"] {
        is_bounded(&format!("{name}(\"1e1000000000\")"));
        is_bounded(&format!("{name}(\"1E+99999Ki\")"));
        is_bounded(&format!("{name}(\"{}\")", "9".repeat(300)));
    }
    check("units.parse(\"1e3\")", json!(1000));
    check("units.parse_bytes(\"2MiB\")", json!(2_097_152));
}

#[test]
fn a_patch_is_bounded() {
    let copies = |count: usize| {
        format!("json.patch([1], [{{\"op\": \"copy\", \"from\": \"\", \"path\": \"/0\"}} | some i in numbers.range(1, {count})])")
    };
    is_bounded(&copies(40));
    is_bounded(&copies(100));
    check(&format!("count({})", copies(2)), json!(3));
}
