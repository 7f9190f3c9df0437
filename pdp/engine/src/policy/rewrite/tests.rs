//! The rewriting, construct by construct.

use super::*;

#[track_caller]
fn check(text: &str, expected: &str) {
    let rewriter = Rewriter::new([text], Semantics::Opa);
    let written = rewriter.rewrite(text);
    assert_eq!(written, expected, "{text}");
    assert_eq!(written.lines().count(), text.lines().count(), "lines of {text}");
}

#[track_caller]
fn same(text: &str) {
    let written = Rewriter::new([text], Semantics::Opa).rewrite(text).into_owned();
    assert_eq!(written, text);
}

#[test]
fn what_needs_nothing_stays() {
    for text in [
        "",
        "package a\n",
        "p := \"input.in $\"",
        "p := `x.in\n$`",
        "# input.in $\"{x}\"",
        "x := 1.5 # .if",
        "not input.x",
        "p if x in [1]",
    ] {
        same(text);
    }
}

#[test]
fn keywords_are_names_in_references() {
    check("p := input.in", "p := input[\"in\"]");
    check("p := input.a.default.b", "p := input.a[\"default\"].b");
    check("p := x[0].if", "p := x[0][\"if\"]");
    check("package a.if.b", "package a[\"if\"].b");
    check("import data.a.as as b", "import data.a[\"as\"] as b");
    same("p if x\n.in");
}

#[test]
fn rules_may_begin_with_a_keyword() {
    check("package a\nif.x := 1\np := if.x", "package a\n__keyword_if.x := 1\np := __keyword_if.x");
    check("package a\nif.x := 1\np := data.a.if.x", "package a\n__keyword_if.x := 1\np := data.a.__keyword_if.x");
    check("package a\ndefault default.x := 1", "package a\ndefault __keyword_default.x := 1");
    let names = ["__keyword_if", "__keyword_x", "if", "__builtins"].map(unescaped);
    assert_eq!(names, [Some("if"), Some("__keyword_x"), Some("if"), None]);
}

#[test]
fn functions_may_have_a_keyword_in_their_name() {
    check("package a\nb.in(x) := x\np := b.in(1)", "package a\nb.__keyword_in(x) := x\np := b.__keyword_in(1)");
    check("package a.in\nf(x) := x\np := data.a.in.f(1)", "package a[\"in\"]\nf(x) := x\np := data.a[\"in\"].f(1)");
}

#[test]
fn template_strings_are_calls() {
    check("p := $\"\"", "p := internal.template_string([])");
    check("p := $\"a {x} b\"", "p := internal.template_string([\"a \", {__part | __part := x}, \" b\"])");
    check("p := $\"{1}{\"b\"}{true}\"", "p := internal.template_string([1, \"b\", true])");
    check("p := $\"\\{x} \\n\"", "p := internal.template_string([\"{x} \\n\"])");
    check("p := $`a\n\\{x}`", "p := internal.template_string([`a\n{x}`])");
    check("p := $\"{$\"{x}\"}\"", "p := internal.template_string([internal.template_string([{__part | __part := x}])])");
    check("p := $\"{{x | some x in y.in}}\"", "p := internal.template_string([{__part | __part := {x | some x in y[\"in\"]}}])");
}

#[test]
fn output_arguments_are_equations() {
    check("p if { io.jwt.decode(t, [h, p, s]) }", "p if { io.jwt.decode(t) = [h, p, s] }");
    check("p if { io.jwt.decode(t,\n[h, p, s],\n) }", "p if { io.jwt.decode(t) =\n[h, p, s]\n }");
    same("p if { io.jwt.decode(t) }");
    same("p if { my.io.jwt.decode(t, [h, p, s]) }");
    same("p if { count(t, x) }");
}

#[test]
fn walks_have_an_output_argument() {
    check("p if { [path, v] := walk(x) }", "p if { some path, v; walk(x, [path, v]) }");
    check("p if { [_, v] = walk(x) }", "p if { walk(x, [_, v]) }");
    check("p if [_, v] := walk(x)", "p if walk(x, [_, v])");
    check("p := [v | [_, v] := walk(input.in)]", "p := [v | some v; walk(input[\"in\"], [_, v])]");
    same("p if { walk(x, [path, v]) }");
    same("p if { x := myown.walk(y) }");
    same("p if { input.pair = walk(x) }");
    check("p if { [a,\nb] :=\n walk(x) }", "p if { some a, b; \nwalk(x, [a,\nb]) }");
    same("package a\np := walk(x)\nq = walk(x)");
    check("package a\np if [_, v] := walk(x)", "package a\np if walk(x, [_, v])");
    check("[path, v] = walk(x)", "walk(x, [path, v])");
    same("p if { input[pair] = walk(x) }");
}

#[test]
fn builtins_may_replace_and_be_replaced() {
    let module = |text: &str| Rewriter::new([text], Semantics::Opa).module();
    let text = "p if f(1) with f as count";
    check(text, "p if f(1) with f as data.__builtins.call_count");
    assert_eq!(module(text).as_deref(), Some("package __builtins\ncall_count(a0) := count(a0)\n"));
    check(
        "p := io.jwt.decode(t)\nq if p with io.jwt.decode as f",
        "p := data.__builtins.call_io_jwt_decode(t)\nq if p with data.__builtins.call_io_jwt_decode as f",
    );
    for text in ["p if f(1) with f as count(x)", "import data.x as count", "p if q with count as f", "p if q with input.count as 1"] {
        same(text);
        assert_eq!(module(text), None);
    }
    let denied = "p if q with http.send as f";
    assert_eq!(Rewriter::new([denied], Semantics::Contract).rewrite(denied), denied);
}

#[test]
fn hostile_text_is_left_alone() {
    let deep = format!("p := {}", "$\"{".repeat(100));
    for text in
        ["$\"", "$\"{", "$\"{\"", "$`{", "\"\\", "$\"\\", "p := $\"{x", "with x as", "walk(", "= walk()", "] = walk(x)", deep.as_str()]
    {
        let _ = Rewriter::new([text], Semantics::Opa).rewrite(text);
    }
    same(&deep);
}

#[test]
fn long_text_takes_no_longer_than_it_is_long() {
    let with = "p if q with f as count\n";
    for part in [
        "(",
        "walk(",
        "= walk(",
        "] = walk(x)",
        "as ",
        "with a as ",
        ".in",
        "x.in",
        "a.",
        "if.",
        "io.jwt.decode(",
        "$\"{",
        "$\"\"",
        "\"\"",
        "`",
    ] {
        let text = format!("{with}{}", part.repeat(200_000 / part.len()));
        let _ = Rewriter::new([text.as_str()], Semantics::Opa).rewrite(&text);
    }
}
