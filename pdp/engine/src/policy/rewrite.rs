//! Writes newer Rego as the Rego that the parser reads: keywords in references, template strings, and output arguments of built-ins that are not
//! the library's own. Works on tokens, keeps every line where it was, and leaves text without these constructs as it is.

mod lexer;
mod outputs;
mod references;
mod templates;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;

use lexer::Token;

/// The deepest nesting of template strings.
pub(crate) const MAX_TEMPLATES: usize = 8;
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
    /// The paths of rules whose name begins with a keyword, such as `data.authz.if`.
    escaped: BTreeSet<String>,
}

impl Rewriter {
    /// Looks for rules whose name begins with a keyword.
    pub(crate) fn new<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        Self { escaped: texts.into_iter().flat_map(references::escaped).collect() }
    }

    /// The text as the parser reads it. What cannot be read here is left to the parser to complain about.
    pub(crate) fn rewrite<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match lexer::tokens(text) {
            Some(tokens) => self.apply(text, 0..text.len(), &tokens),
            None => Cow::Borrowed(text),
        }
    }

    fn apply<'a>(&self, text: &'a str, range: Range<usize>, tokens: &[Token]) -> Cow<'a, str> {
        let mut edits = references::edits(text, tokens, &self.escaped);
        edits.extend(outputs::edits(text, tokens));
        edits.extend(tokens.iter().filter_map(|token| self.template(text, token)));
        edits.sort_by_key(|edit| edit.range.start);
        let unchanged = || text.get(range.clone()).unwrap_or_default();
        if edits.is_empty() {
            return Cow::Borrowed(unchanged());
        }
        let (mut written, mut at) = (String::with_capacity(range.len() + range.len() / 4), range.start);
        for edit in edits {
            written.push_str(text.get(at..edit.range.start).unwrap_or_default());
            written.push_str(&edit.with);
            at = edit.range.end;
        }
        written.push_str(text.get(at..range.end).unwrap_or_default());
        Cow::Owned(written)
    }
}

/// The name of a rule as its author wrote it.
pub(crate) fn unescaped(name: &str) -> &str {
    name.strip_prefix(ESCAPE).filter(|rest| references::is_keyword(rest)).unwrap_or(name)
}
