//! Keywords in references: `input.in` becomes `input["in"]`, which is the same reference; a name that begins with a keyword is escaped.

use std::collections::BTreeSet;

use super::lexer::{self, Kind, Token};
use super::{ESCAPE, Edit};

const KEYWORDS: &[&str] = &[
    "as", "contains", "default", "else", "every", "false", "if", "import", "in", "not", "null", "package", "some", "true", "with",
];

pub(super) fn is_keyword(name: &str) -> bool {
    KEYWORDS.contains(&name)
}

/// The paths of rules in a module whose name begins with a keyword.
pub(super) fn escaped(text: &str) -> Vec<String> {
    let Some(tokens) = lexer::tokens(text) else { return Vec::new() };
    let Some(package) = package(text, &tokens) else { return Vec::new() };
    let roots = (0..tokens.len()).filter(|at| is_root(text, &tokens, *at)).filter_map(|at| tokens.get(at));
    roots.map(|token| format!("data.{package}.{}", token.text(text))).collect::<BTreeSet<_>>().into_iter().collect()
}

fn package(text: &str, tokens: &[Token]) -> Option<String> {
    let at = tokens.iter().position(|token| token.kind == Kind::Name && token.text(text) == "package")?;
    let mut path = tokens.get(at + 1)?.text(text).to_owned();
    for pair in tokens.get(at + 2..)?.chunks_exact(2) {
        let [dot, name] = pair else { break };
        if !(dot.is(b'.') && name.kind == Kind::Name) {
            break;
        }
        path = path + "." + name.text(text);
    }
    Some(path)
}

/// The replacements of keywords.
pub(super) fn edits(text: &str, tokens: &[Token], escaped: &BTreeSet<String>) -> Vec<Edit> {
    let step = |at: usize| {
        let [dot, name] = tokens.get(at..at + 2)? else { return None };
        let keyword = Some(name.text(text)).filter(|_| is_step(text, tokens, at))?;
        let path = path(text, tokens.get(..at + 2)?);
        let with = if escaped.contains(&path) { format!(".{ESCAPE}{keyword}") } else { format!("[\"{keyword}\"]") };
        Some(Edit { range: dot.range.start..name.range.end, with })
    };
    let root = |at: usize| {
        let token = tokens.get(at).filter(|_| is_root(text, tokens, at))?;
        Some(Edit { range: token.range.clone(), with: format!("{ESCAPE}{}", token.text(text)) })
    };
    (0..tokens.len()).filter_map(|at| step(at).or_else(|| root(at))).collect()
}

/// Whether a dot and the keyword behind it go on with a reference.
fn is_step(text: &str, tokens: &[Token], dot: usize) -> bool {
    let Some(before) = dot.checked_sub(1) else { return false };
    let Some([reference, mark, name]) = tokens.get(before..dot + 2) else { return false };
    let referable = reference.kind == Kind::Name || reference.is(b']') || reference.is(b')');
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
    for pair in tokens.rchunks(2) {
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
