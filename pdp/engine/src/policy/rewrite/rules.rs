//! The rules of a module as their text has them: what each reads of the input and of the data, what it names, and which values stand in it. Read off the
//! tokens, so it errs towards too much.

use std::collections::BTreeSet;

use serde_json::Value;

use super::lexer::{self, Kind, Part, Token};
use super::reads::{literal, path};

/// One rule: what stands from one line that is not indented to the next.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rule {
    /// The name that it defines.
    pub(crate) name: String,
    /// Where it begins, in bytes.
    pub(crate) at: usize,
    /// It takes arguments.
    pub(crate) is_function: bool,
    /// What of the input it reads, as far as the steps are names.
    pub(crate) reads: BTreeSet<Vec<String>>,
    /// What of `data` it names.
    pub(crate) data: BTreeSet<Vec<String>>,
    /// Every name in it.
    pub(crate) names: BTreeSet<String>,
    /// The strings, numbers and booleans in it.
    pub(crate) literals: Vec<Value>,
}

/// The rules of a module; none where its text cannot be taken apart.
pub(crate) fn rules(text: &str) -> Vec<Rule> {
    let tokens = lexer::tokens(text).unwrap_or_default();
    let mut rules: Vec<Rule> = Vec::new();
    for statement in statements(text, &tokens) {
        let mut names = statement.iter().filter(|token| token.kind == Kind::Name).map(|token| token.text(text));
        match names.next() {
            Some("package" | "import") => continue,
            // The other ways of the rule above.
            Some("else") => {}
            Some(first) => {
                let name = if first == "default" { names.next().unwrap_or_default() } else { first };
                let at = statement.first().map_or(0, |token| token.range.start);
                rules.push(Rule::new(name, at, takes_arguments(text, statement, name)));
            }
            None => {}
        }
        if let Some(rule) = rules.last_mut() {
            rule.read(text, statement);
        }
    }
    rules
}

/// The name of the package of a module, such as `authz`.
pub(crate) fn package(text: &str) -> Option<String> {
    let tokens = lexer::tokens(text)?;
    let at = tokens.iter().position(|token| token.kind == Kind::Name && token.text(text) == "package")?;
    let first = tokens.get(at + 1)?;
    let rest = path(text, tokens.get(at + 2..).unwrap_or_default(), first.range.end);
    Some(std::iter::once(first.text(text).to_owned()).chain(rest).collect::<Vec<_>>().join("."))
}

fn takes_arguments(text: &str, statement: &[Token], name: &str) -> bool {
    let at = statement.iter().position(|token| token.kind == Kind::Name && token.text(text) == name);
    at.and_then(|at| Some((statement.get(at)?, statement.get(at + 1)?)))
        .is_some_and(|(name, next)| next.is(b'(') && next.range.start == name.range.end)
}

/// Cuts where a token stands at the beginning of a line, outside all brackets.
fn statements<'t>(text: &str, tokens: &'t [Token]) -> Vec<&'t [Token]> {
    let (mut depth, mut cuts) = (0_usize, Vec::new());
    for (at, token) in tokens.iter().enumerate() {
        let begins_line = token.range.start.checked_sub(1).is_none_or(|before| text.as_bytes().get(before) == Some(&b'\n'));
        if depth == 0 && begins_line {
            cuts.push(at);
        }
        match token.kind {
            Kind::Mark(b'(' | b'[' | b'{') => depth += 1,
            Kind::Mark(b')' | b']' | b'}') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    let ends = cuts.iter().skip(1).copied().chain([tokens.len()]);
    cuts.iter().zip(ends).filter_map(|(from, to)| tokens.get(*from..to)).collect()
}

impl Rule {
    fn new(name: &str, at: usize, is_function: bool) -> Self {
        let (reads, data, names, literals) = Default::default();
        Self { name: name.to_owned(), at, is_function, reads, data, names, literals }
    }

    fn read(&mut self, text: &str, tokens: &[Token]) {
        for (at, token) in tokens.iter().enumerate() {
            let rest = tokens.get(at + 1..).unwrap_or_default();
            match &token.kind {
                Kind::Template { parts, .. } => {
                    for part in parts {
                        if let Part::Expression(_, tokens) = part {
                            self.read(text, tokens);
                        }
                    }
                }
                Kind::Name if !is_step(tokens, at) => {
                    let name = token.text(text);
                    match name {
                        "input" => drop(self.reads.insert(path(text, rest, token.range.end))),
                        "data" => drop(self.data.insert(path(text, rest, token.range.end))),
                        _ => drop(self.names.insert(name.to_owned())),
                    }
                    self.literals.extend(literal(text, tokens, at));
                }
                _ if is_said(text, tokens, at) => {}
                _ => self.literals.extend(literal(text, tokens, at)),
            }
        }
    }
}

/// Whether a name stands behind a dot: it is then part of what stands before.
fn is_step(tokens: &[Token], at: usize) -> bool {
    at.checked_sub(1).and_then(|before| tokens.get(before)).is_some_and(|before| before.is(b'.'))
}

/// Whether a token is a sentence that a rule gives, and not what it compares anything with.
fn is_said(text: &str, tokens: &[Token], at: usize) -> bool {
    let is_sentence = tokens.get(at).is_some_and(|token| token.kind == Kind::Text && token.text(text).contains(' '));
    let before = |back: usize| at.checked_sub(back).and_then(|before| tokens.get(before));
    let is_named = |back: usize, names: &[&str]| before(back).is_some_and(|token| names.contains(&token.text(text)));
    let is_value = before(1).is_some_and(|token| token.is(b'=')) && before(2).is_some_and(|token| token.is(b':'));
    let is_format = before(1).is_some_and(|token| token.is(b'(')) && is_named(2, &["sprintf"]);
    is_sentence && (is_value || is_format || is_named(1, &["contains"]))
}

#[cfg(test)]
mod tests {
    //! Rules are cut where people would cut them.

    use super::*;

    #[test]
    fn each_rule_has_its_own() {
        let text = "package a.b\n\nimport rego.v1\n\ndefault allow := false\n\nallow if {\n\tinput.context.risk_score < limit\n\tnot far(input.user.id, 0.5)\n} else := 3 if data.x.y\n\
             else := false\nlimit := data.thresholds.risk if input.action.name in {\"GET\", \"HEAD\"}\nfar(who, how) if who == \"bob\"\n";
        let rules = rules(text);
        let names: Vec<(&str, bool)> = rules.iter().map(|rule| (rule.name.as_str(), rule.is_function)).collect();
        assert_eq!(names, [("allow", false), ("allow", false), ("limit", false), ("far", true)]);
        let of = |at: usize| rules[at].reads.iter().map(|path| path.join(".")).collect::<Vec<_>>();
        assert_eq!((of(1), of(2)), (vec!["context.risk_score".to_owned(), "user.id".to_owned()], vec!["action.name".to_owned()]));
        assert_eq!(rules[1].data, BTreeSet::from([vec!["x".to_owned(), "y".to_owned()]]));
        assert_eq!(rules[1].literals, [serde_json::json!(0.5), serde_json::json!(3), serde_json::json!(false)]);
        assert_eq!(rules[2].literals, [serde_json::json!("GET"), serde_json::json!("HEAD")]);
        assert!(rules[1].names.contains("limit") && rules[1].names.contains("far"));
        assert_eq!(package(text).as_deref(), Some("a.b"));
    }

    #[test]
    fn sentences_that_are_given_are_no_values() {
        let text = "no contains \"not at night\" if input.user.role == \"night shift\"\nfar := sprintf(\"too far: %v\", [3])\nwhy := \"a reason\"\nlevel := \"high\"\n";
        let literals: Vec<Value> = rules(text).into_iter().flat_map(|rule| rule.literals).collect();
        assert_eq!(literals, [serde_json::json!("night shift"), serde_json::json!(3), serde_json::json!("high")]);
    }
}
