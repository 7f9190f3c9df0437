//! Built-ins that replace others, and that are replaced: `with f as count` and `with io.jwt.decode as f`. The library replaces nothing by its
//! built-ins, and knows of no other built-ins, so such a built-in is called through a function of a package of our own.

use std::collections::BTreeMap;

use super::lexer::{Kind, Token};
use super::{Edit, MAX_STEPS};
use crate::policy::builtins::{self, Semantics};

/// The package of the functions.
pub(super) const PACKAGE: &str = "__builtins";

/// The built-ins that a policy needs as functions, with their numbers of arguments.
#[derive(Debug, Clone, Default)]
pub(super) struct Stand {
    ins: BTreeMap<String, In>,
}

#[derive(Debug, Clone, Copy)]
struct In {
    arguments: u8,
    /// It is replaced somewhere, so that every call of it must go through the function.
    replaced: bool,
}

impl Stand {
    /// Notes the built-ins that a module replaces or replaces by. A name that may not be called at all stays where it is, to be refused there.
    pub(super) fn read(&mut self, text: &str, tokens: &[Token], semantics: Semantics) {
        for at in 0..tokens.len() {
            let (name, replaced) = match word(text, tokens, at) {
                "as" if is_replacement(text, tokens, at) => (dotted(text, tokens, at + 1), false),
                "with" => (dotted(text, tokens, at + 1).filter(|name| builtins::extended(name.text).is_some()), true),
                _ => continue,
            };
            let Some(name) = name.filter(|name| semantics.denied(name.text).is_none()) else { continue };
            let Some(arguments) = builtins::arity(name.text).filter(|_| !is_open(tokens, name.end)) else { continue };
            self.ins.entry(name.text.to_owned()).or_insert(In { arguments, replaced }).replaced |= replaced;
        }
    }

    /// The replacements of names.
    pub(super) fn edits(&self, text: &str, tokens: &[Token]) -> Vec<Edit> {
        if self.ins.is_empty() {
            return Vec::new();
        }
        let edit = |at: usize| {
            let name = starts(tokens, at).then(|| dotted(text, tokens, at))??;
            let found = self.ins.get(name.text)?;
            let before = at.checked_sub(1).map_or("", |before| word(text, tokens, before));
            let replaces = before == "as" && is_replacement(text, tokens, at - 1);
            let through = found.replaced && (before == "with" || is_open(tokens, name.end));
            let range = tokens.get(at)?.range.start..tokens.get(name.end - 1)?.range.end;
            (replaces || through).then(|| Edit { range, with: format!("data.{PACKAGE}.{}", flat(name.text)) })
        };
        (0..tokens.len()).filter_map(edit).collect()
    }

    /// The module with the functions, where any is needed.
    pub(super) fn module(&self) -> Option<String> {
        let function = |(name, found): (&String, &In)| {
            let arguments = (0..found.arguments).map(|at| format!("a{at}")).collect::<Vec<_>>().join(", ");
            format!("{}({arguments}) := {name}({arguments})\n", flat(name))
        };
        (!self.ins.is_empty()).then(|| format!("package {PACKAGE}\n{}", self.ins.iter().map(function).collect::<String>()))
    }
}

/// The name of the function: not the built-in's own, which would call itself.
fn flat(name: &str) -> String {
    format!("call_{}", name.replace('.', "_"))
}

/// A dotted name, and the place behind it.
struct Dotted<'a> {
    text: &'a str,
    end: usize,
}

fn dotted<'a>(text: &'a str, tokens: &[Token], at: usize) -> Option<Dotted<'a>> {
    let first = tokens.get(at).filter(|token| token.kind == Kind::Name)?;
    let mut end = at + 1;
    while let Some([dot, name]) = tokens.get(end..end + 2) {
        if !(dot.is(b'.') && name.kind == Kind::Name) {
            break;
        }
        end += 2;
    }
    // What goes on with an index is another name.
    let last = tokens.get(end - 1)?.range.end;
    if tokens.get(end).is_some_and(|next| next.is(b'[') && next.range.start == last) {
        return None;
    }
    Some(Dotted { text: text.get(first.range.start..tokens.get(end - 1)?.range.end)?, end })
}

fn word<'a>(text: &'a str, tokens: &[Token], at: usize) -> &'a str {
    tokens.get(at).map_or("", |token| token.text(text))
}

fn is_open(tokens: &[Token], at: usize) -> bool {
    tokens.get(at).is_some_and(|token| token.is(b'('))
}

/// Whether a name goes on from nothing before it.
fn starts(tokens: &[Token], at: usize) -> bool {
    !at.checked_sub(1).and_then(|before| tokens.get(before)).is_some_and(|before| before.is(b'.'))
}

/// Whether an `as` is that of a `with`, and not of an import.
fn is_replacement(text: &str, tokens: &[Token], at: usize) -> bool {
    let before = tokens.get(..at).unwrap_or_default().iter().rev().take(MAX_STEPS);
    let mut words = before.take_while(|token| matches!(token.kind, Kind::Name | Kind::Text | Kind::Mark(b'.' | b'[' | b']')));
    words.find(|token| matches!(token.text(text), "with" | "import")).is_some_and(|token| token.text(text) == "with")
}
