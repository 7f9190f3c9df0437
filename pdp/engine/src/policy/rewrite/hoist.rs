//! What OPA's compiler does and the library does not, written into the text, by the parser's own tree.
//!
//! OPA evaluates what a negated call needs outside of the negation: `not startswith(input.a, "x")` is undefined where `input.a` is. To the library it
//! would be true, so a rule that allows unless something is found would allow where there is nothing to look at. Written here as
//! `__operand_0 := input.a; not startswith(__operand_0, "x")`, on the same line, both say the same.
//!
//! `some x in y` over what is no collection is nothing to iterate in OPA, and an error of the library. `x % 0` is an error of a built-in in OPA, so
//! undefined where these are, and ends the library's evaluation always. Both become calls.

mod sites;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::ops::Range;

use regorus::unstable::Parser;
use regorus::{PolicyLengthConfig, Source};

use super::lexer::{self, Token};
use sites::{Site, What};

/// What the names of operands begin with.
const OPERAND: &str = "__operand_";
/// Gives a collection as it is, and an empty one for everything else.
pub(crate) const MEMBERS: &str = "internal.members";
/// The operator `%` as a call.
pub(crate) const REMAINDER: &str = "internal.remainder";
/// How much longer a text may become than files may be.
const MAX_GROWTH: usize = 2;

/// Whether a name of a variable is one of ours.
pub(crate) fn is_operand(name: &str) -> bool {
    name.starts_with(OPERAND)
}

/// A module as OPA understands it.
///
/// # Errors
/// When the module cannot be parsed, or becomes too long.
pub(crate) fn module<'a>(path: &str, text: &'a str, v0: bool, lengths: &PolicyLengthConfig) -> anyhow::Result<Cow<'a, str>> {
    parsed(path, text, v0, lengths, |parser| Ok(sites::of_module(&parser.parse()?)))
}

/// A query as OPA understands it.
///
/// # Errors
/// When the query cannot be parsed, or becomes too long.
pub(crate) fn query<'a>(text: &'a str, lengths: &PolicyLengthConfig) -> anyhow::Result<Cow<'a, str>> {
    parsed("query", text, false, lengths, |parser| Ok(sites::of_query(&*parser.parse_user_query()?)))
}

fn parsed<'a>(
    path: &str,
    text: &'a str,
    v0: bool,
    lengths: &PolicyLengthConfig,
    parse: impl FnOnce(&mut Parser<'_>) -> anyhow::Result<Vec<Site>>,
) -> anyhow::Result<Cow<'a, str>> {
    let tokens = lexer::tokens(text).unwrap_or_default();
    if !tokens.iter().any(|token| matches!(token.text(text), "not" | "some" | "%")) {
        return Ok(Cow::Borrowed(text));
    }
    let source = Source::from_contents_with_limits(path.to_owned(), text.to_owned(), lengths.max_file_bytes, lengths.max_lines)?;
    let mut parser = Parser::new(&source)?;
    parser.set_max_col(lengths.max_col);
    if !v0 {
        parser.enable_rego_v1()?;
    }
    let mut sites = parse(&mut parser)?;
    if sites.is_empty() {
        return Ok(Cow::Borrowed(text));
    }
    sites.iter_mut().for_each(|site| site.snap(&tokens));
    // What holds others comes before them.
    sites.sort_by_key(|site| (site.range.start, std::cmp::Reverse(site.range.end)));
    let most = lengths.max_file_bytes.get().saturating_mul(MAX_GROWTH);
    let mut writer = Writer { text, tokens: &tokens, sites: &sites, operands: 0, room: most };
    let written = writer.write(0..text.len(), 0);
    anyhow::ensure!(writer.room > 0, "negations and their modifiers are too long");
    Ok(Cow::Owned(written))
}

struct Writer<'a> {
    text: &'a str,
    tokens: &'a [Token],
    sites: &'a [Site],
    /// How many operands have a name.
    operands: usize,
    /// How much may still be written, everything that is nested counted each time.
    room: usize,
}

impl Writer<'_> {
    /// The text of a range, with all sites in it from this one on.
    fn write(&mut self, range: Range<usize>, from: usize) -> String {
        let (mut written, mut at) = (String::new(), range.start);
        let first = from.max(self.sites.partition_point(|site| site.range.start < range.start));
        let sites = self.sites;
        for (place, site) in sites.iter().enumerate().skip(first).take_while(|(_, site)| site.range.start < range.end) {
            // What lies within another site is written with it.
            if site.range.start < at {
                continue;
            }
            self.push(&mut written, at..site.range.start);
            written += &self.site(site, place + 1);
            at = site.range.end;
        }
        self.push(&mut written, at..range.end);
        written
    }

    fn push(&mut self, written: &mut String, range: Range<usize>) {
        self.room = self.room.saturating_sub(range.len());
        if self.room > 0 {
            written.push_str(self.text.get(range).unwrap_or_default());
        }
    }

    fn site(&mut self, site: &Site, next: usize) -> String {
        match &site.what {
            What::Negation { operands, literal } => self.negation(&site.range, operands, *literal, next),
            What::Collection => format!("{MEMBERS}({})", self.write(site.range.clone(), next)),
            What::Remainder { operator } => {
                let (left, right) = (site.range.start..*operator, operator + 1..site.range.end);
                format!("{REMAINDER}({},{})", self.write(left, next), self.write(right, next))
            }
        }
    }

    /// The operands, each under a name of its own, and the negation over these names. Modifiers are those of the operands too.
    fn negation(&mut self, range: &Range<usize>, operands: &[Range<usize>], literal: usize, next: usize) -> String {
        let (mut before, mut negation, mut at) = (String::new(), String::new(), range.start);
        for operand in operands {
            let name = format!("{OPERAND}{}", self.operands);
            self.operands += 1;
            let value = self.value(operand, next);
            let modifiers = self.write(literal..range.end, next);
            before += &format!("{name} := {value}{modifiers}; ");
            negation += &self.write(at..operand.start, next);
            negation += &name;
            at = operand.end;
        }
        negation += &self.write(at..range.end, next);
        if self.is_after_if(range.start) { format!("{{ {before}{negation} }}") } else { before + &negation }
    }

    /// The library takes `a := b` as a definition of both, and `b` for undefined before its own: a name alone is written as an element.
    fn value(&mut self, operand: &Range<usize>, next: usize) -> String {
        let value = self.write(operand.clone(), next);
        let is_name = value.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric());
        if is_name { format!("[{value}][0]") } else { value }
    }

    /// A body that is a single expression needs braces to hold more.
    fn is_after_if(&self, start: usize) -> bool {
        let before = self.tokens.partition_point(|token| token.range.start < start).checked_sub(1);
        before.and_then(|at| self.tokens.get(at)).is_some_and(|token| token.text(self.text) == "if")
    }
}
