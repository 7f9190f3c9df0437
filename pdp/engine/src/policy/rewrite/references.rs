//! Keywords in references: `input.in` becomes `input["in"]`, which is the same reference. Where the library wants a name (at the beginning of a
//! reference, and in the name of a function) the keyword is escaped.

use std::collections::BTreeSet;

use super::lexer::{Kind, Token};
use super::{ESCAPE, Edit, MAX_STEPS};

const KEYWORDS: &[&str] =
    &["as", "contains", "default", "else", "every", "false", "if", "import", "in", "not", "null", "package", "some", "true", "with"];

pub(super) fn is_keyword(name: &str) -> bool {
    KEYWORDS.contains(&name)
}

/// What the modules of a policy define that has a keyword in its name.
#[derive(Debug, Clone, Default)]
pub(super) struct Defined {
    /// The paths of rules whose name begins with a keyword, such as `data.authz.if`.
    rules: BTreeSet<String>,
    /// The paths of packages and of what is above them.
    packages: BTreeSet<String>,
}

impl Defined {
    pub(super) fn read(&mut self, text: &str, tokens: &[Token]) {
        let Some(package) = package(text, tokens) else { return };
        let roots = (0..tokens.len()).filter(|at| is_root(text, tokens, *at)).filter_map(|at| tokens.get(at));
        self.rules.extend(roots.map(|token| format!("data.{package}.{}", token.text(text))));
        let path = format!("data.{package}");
        self.packages.extend(path.match_indices('.').filter_map(|(at, _)| path.get(..at)).map(ToOwned::to_owned));
        self.packages.insert(path);
    }
}

/// The package that a module is of.
fn package(text: &str, tokens: &[Token]) -> Option<String> {
    let [first, rest @ ..] = tokens else { return None };
    let mut path = rest.first().filter(|_| first.text(text) == "package")?.text(text).to_owned();
    for pair in rest.get(1..)?.chunks_exact(2) {
        let [dot, name] = pair else { break };
        if !(dot.is(b'.') && name.kind == Kind::Name) {
            break;
        }
        path = path + "." + name.text(text);
    }
    Some(path)
}

/// The replacements of keywords.
pub(super) fn edits(text: &str, tokens: &[Token], defined: &Defined) -> Vec<Edit> {
    let step = |at: usize| {
        let [dot, name] = tokens.get(at..at + 2)? else { return None };
        let keyword = Some(name.text(text)).filter(|_| is_step(text, tokens, at))?;
        let path = path(text, tokens.get(..at + 2)?);
        let function = is_of_function(tokens, at + 2) && !defined.packages.contains(&path);
        let escaped = function || defined.rules.contains(&path);
        let with = if escaped { format!(".{ESCAPE}{keyword}") } else { format!("[\"{keyword}\"]") };
        Some(Edit { range: dot.range.start..name.range.end, with })
    };
    let root = |at: usize| {
        let token = tokens.get(at).filter(|_| is_root(text, tokens, at))?;
        Some(Edit { range: token.range.clone(), with: format!("{ESCAPE}{}", token.text(text)) })
    };
    (0..tokens.len()).filter_map(|at| step(at).or_else(|| root(at))).collect()
}

/// Whether the rest of a reference leads to a call, or to the head of a function.
fn is_of_function(tokens: &[Token], mut at: usize) -> bool {
    let end = at + 2 * MAX_STEPS;
    while let Some([before, dot, name]) = at.checked_sub(1).and_then(|before| tokens.get(before..before + 3)) {
        if at > end || !(dot.is(b'.') && name.kind == Kind::Name && touch(before, dot) && touch(dot, name)) {
            break;
        }
        at += 2;
    }
    let ends = at.checked_sub(1).and_then(|before| tokens.get(before..before + 2));
    ends.is_some_and(|pair| matches!(pair, [name, open] if open.is(b'(') && touch(name, open)))
}

/// Whether a dot and the keyword behind it go on with a reference.
fn is_step(text: &str, tokens: &[Token], dot: usize) -> bool {
    let Some(before) = dot.checked_sub(1) else { return false };
    let Some([reference, mark, name]) = tokens.get(before..dot + 2) else { return false };
    let referable = matches!(reference.kind, Kind::Name | Kind::Template { .. } | Kind::Mark(b']' | b')'));
    referable && mark.is(b'.') && touch(reference, mark) && touch(mark, name) && is_keyword_name(text, name)
}

/// Whether a keyword begins a reference: a dot and a name follow at once, and no dot stands before.
fn is_root(text: &str, tokens: &[Token], at: usize) -> bool {
    let Some([name, dot, step]) = tokens.get(at..at + 3) else { return false };
    let goes_on = at.checked_sub(1).and_then(|before| tokens.get(before)).is_some_and(|before| before.is(b'.') && touch(before, name));
    is_keyword_name(text, name) && dot.is(b'.') && step.kind == Kind::Name && touch(name, dot) && touch(dot, step) && !goes_on
}

fn is_keyword_name(text: &str, token: &Token) -> bool {
    token.kind == Kind::Name && is_keyword(token.text(text))
}

fn touch(first: &Token, second: &Token) -> bool {
    first.range.end == second.range.start
}

/// The reference that ends with the last token, as far as it is names with dots between them.
fn path(text: &str, tokens: &[Token]) -> String {
    let mut names = Vec::new();
    for pair in tokens.rchunks(2).take(MAX_STEPS) {
        match pair {
            [dot, name] if name.kind == Kind::Name => {
                names.push(name.text(text));
                if !dot.is(b'.') {
                    break;
                }
            }
            [name] => names.push(name.text(text)),
            _ => break,
        }
    }
    names.reverse();
    names.join(".")
}
