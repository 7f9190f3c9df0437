//! Writes Rego as the library reads it: keywords in references, template strings, output arguments, built-ins that replace others. Works on tokens,
//! keeps every line where it was, and leaves text without these constructs as it is. What needs a tree comes after it ([`hoist`]).

pub(crate) mod hoist;
mod lexer;
mod outputs;
mod reads;
mod references;
mod replacements;
mod rules;
mod templates;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::ops::Range;

use lexer::Token;
pub(crate) use reads::{Reads, literals, places, reads};
use references::Defined;
use replacements::Stand;
pub(crate) use rules::{Rule, package, rules};

use super::builtins::Semantics;
use super::scan::MAX_FILE;

/// The deepest nesting of template strings.
pub(crate) const MAX_TEMPLATES: usize = 8;
/// How far is looked for the other end of a reference, a pattern or a `with`: every token is looked at so often at most.
const MAX_STEPS: usize = 64;
/// The most tokens between the brackets of a call that is rewritten.
const MAX_ARGUMENTS: usize = 4_096;
/// What the name of a rule becomes that begins with a keyword.
const ESCAPE: &str = "__keyword_";

/// One replacement.
struct Edit {
    range: Range<usize>,
    with: String,
}

/// Rewrites the modules of one policy, which may name each other's rules.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rewriter {
    defined: Defined,
    stand: Stand,
}

impl Rewriter {
    /// Looks for names with keywords in them, and for built-ins that replace or are replaced.
    pub(crate) fn new<'a>(texts: impl IntoIterator<Item = &'a str>, semantics: Semantics) -> Self {
        let mut rewriter = Self::default();
        for text in texts.into_iter().filter(|text| text.len() <= MAX_FILE) {
            let tokens = lexer::tokens(text).unwrap_or_default();
            rewriter.defined.read(text, &tokens);
            rewriter.stand.read(text, &tokens, semantics);
        }
        rewriter
    }

    /// A module that the rewritten ones call, where they do.
    pub(crate) fn module(&self) -> Option<String> {
        self.stand.module()
    }

    /// The text as the parser reads it. What cannot be read here is left to the parser to complain about.
    pub(crate) fn rewrite<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match lexer::tokens(text) {
            Some(tokens) => self.apply(text, 0..text.len(), &tokens),
            None => Cow::Borrowed(text),
        }
    }

    /// What a rule is called here whose path, such as `data.authz.if`, ends with a keyword that begins its name.
    pub(crate) fn escaped(&self, path: &str) -> Option<String> {
        let (_, name) = path.rsplit_once('.').filter(|_| self.defined.rules.contains(path))?;
        Some(format!("{ESCAPE}{name}"))
    }

    fn apply<'a>(&self, text: &'a str, range: Range<usize>, tokens: &[Token]) -> Cow<'a, str> {
        let mut edits = references::edits(text, tokens, &self.defined);
        edits.extend(outputs::edits(text, tokens));
        edits.extend(self.stand.edits(text, tokens));
        edits.extend(tokens.iter().filter_map(|token| self.template(text, token)));
        edits.sort_by_key(|edit| edit.range.start);
        let unchanged = || text.get(range.clone()).unwrap_or_default();
        if edits.is_empty() {
            return Cow::Borrowed(unchanged());
        }
        let (mut written, mut at) = (String::with_capacity(range.len() + range.len() / 4), range.start);
        for edit in edits {
            // What lies within another replacement is part of it.
            if edit.range.start < at {
                continue;
            }
            written.push_str(text.get(at..edit.range.start).unwrap_or_default());
            written.push_str(&edit.with);
            at = edit.range.end;
        }
        written.push_str(text.get(at..range.end).unwrap_or_default());
        Cow::Owned(written)
    }
}

/// The name of a rule or a package as its author wrote it; nothing for what no author wrote.
pub(crate) fn unescaped(name: &str) -> Option<&str> {
    let keyword = name.strip_prefix(ESCAPE).filter(|rest| references::is_keyword(rest));
    (name != replacements::PACKAGE).then(|| keyword.unwrap_or(name))
}
