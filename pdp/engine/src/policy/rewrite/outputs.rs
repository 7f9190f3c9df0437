//! Output arguments: `f(a, out)` becomes `f(a) = out` where `f` is a built-in that takes one argument, which the library knows of its own
//! built-ins only. The other way round for `walk`, which the library only walks with an output argument: `[path, value] := walk(x)` would silently
//! match nothing, and a rule that denies would never fire.

use super::lexer::{Kind, Token};
use super::{Edit, MAX_ARGUMENTS, MAX_STEPS};
use crate::policy::builtins;

/// The replacements of output arguments.
pub(super) fn edits(text: &str, tokens: &[Token]) -> Vec<Edit> {
    // Outside brackets a module has heads of rules, where `p := walk(x)` is no condition; a query is one body.
    let is_query = tokens.first().is_some_and(|first| first.text(text) != "package");
    let (mut depth, mut edits) = (0_usize, Vec::new());
    for (at, token) in tokens.iter().enumerate() {
        if token.is(b'(') {
            let walked = walk(text, tokens, at).filter(|walk| is_query || depth > 0 || walk.is_after_if);
            edits.extend(walked.map(|walk| Vec::from(walk.edits)).or_else(|| output(text, tokens, at)).unwrap_or_default());
        }
        match token.kind {
            Kind::Mark(b'[' | b'{' | b'(') => depth += 1,
            Kind::Mark(b']' | b'}' | b')') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    edits
}

/// How a `walk` with a pattern before it is rewritten.
struct Walk {
    /// The body of the rule is this single expression.
    is_after_if: bool,
    edits: [Edit; 2],
}

/// `pattern := walk(x)` as `some …; walk(x, pattern)`, and `pattern = walk(x)` as `walk(x, pattern)`.
fn walk(text: &str, tokens: &[Token], open: usize) -> Option<Walk> {
    let called = open.checked_sub(1)?;
    let equals = called.checked_sub(1).filter(|at| tokens.get(*at).is_some_and(|token| token.is(b'=')))?;
    if name(text, tokens.get(..open)?)? != "walk" {
        return None;
    }
    let arguments = Arguments::after(tokens, open).filter(|arguments| arguments.commas.is_empty() && arguments.close > open + 1)?;
    let colon = equals.checked_sub(1).filter(|at| tokens.get(*at).is_some_and(|token| token.is(b':')));
    let end = colon.unwrap_or(equals);
    let start = pattern_start(tokens, end)?;
    let pattern = tokens.get(start..end)?;
    let range = pattern.first()?.range.start..tokens.get(called)?.range.start;
    let written = text.get(range.start..pattern.last()?.range.end)?;
    let lines = "\n".repeat(text.get(pattern.last()?.range.end..range.end)?.matches('\n').count());
    let is_after_if = start.checked_sub(1).and_then(|at| tokens.get(at)).is_some_and(|before| before.text(text) == "if");
    // A single expression leaves no room for a declaration.
    let declared = if colon.is_some() && !is_after_if { declaration(text, pattern) } else { String::new() };
    let close = tokens.get(arguments.close)?.range.start;
    Some(Walk { is_after_if, edits: [Edit { range, with: declared + &lines }, Edit { range: close..close, with: format!(", {written}") }] })
}

/// What declares the variables of a pattern.
fn declaration(text: &str, pattern: &[Token]) -> String {
    let names = pattern.iter().filter(|token| token.kind == Kind::Name).map(|token| token.text(text));
    let names: Vec<&str> = names.filter(|name| *name != "_").collect();
    if names.is_empty() { String::new() } else { format!("some {}; ", names.join(", ")) }
}

/// Where the pattern before a place begins: a name, or an array of patterns.
fn pattern_start(tokens: &[Token], end: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, token) in tokens.get(..end)?.iter().enumerate().rev().take(MAX_STEPS) {
        match token.kind {
            Kind::Mark(b']') => depth += 1,
            Kind::Mark(b'[') => depth = depth.checked_sub(1)?,
            Kind::Name | Kind::Number | Kind::Text => {}
            Kind::Mark(b',') if depth > 0 => {}
            _ => return None,
        }
        if depth == 0 {
            return Some(at).filter(|at| !is_continued(tokens, *at));
        }
    }
    None
}

/// Whether a token goes on with what stands right before it: `y` in `x.y`, the brackets in `x[y]`.
fn is_continued(tokens: &[Token], at: usize) -> bool {
    let pair = at.checked_sub(1).and_then(|before| tokens.get(before..=at));
    matches!(pair, Some([before, token]) if before.range.end == token.range.start && !matches!(before.kind, Kind::Mark(b'{' | b'(' | b'|' | b';')))
}

/// `f(a, out)` as `f(a) = out`.
fn output(text: &str, tokens: &[Token], open: usize) -> Option<Vec<Edit>> {
    let arity = usize::from(builtins::extended(&name(text, tokens.get(..open)?)?)?);
    let arguments = Arguments::after(tokens, open)?;
    let trailing = arguments.trailing(tokens);
    let between = arguments.commas.len() - usize::from(trailing.is_some());
    let separator = arguments.commas.get(arity.checked_sub(1)?).filter(|_| between == arity)?;
    let edit = |at: usize, with: &str| Some(Edit { range: tokens.get(at)?.range.clone(), with: with.to_owned() });
    let edits = [edit(*separator, ") ="), trailing.and_then(|at| edit(at, "")), edit(arguments.close, "")];
    Some(edits.into_iter().flatten().collect())
}

/// The commas between the arguments of a call, and its closing bracket, as places among the tokens.
struct Arguments {
    commas: Vec<usize>,
    close: usize,
}

impl Arguments {
    fn after(tokens: &[Token], open: usize) -> Option<Self> {
        let (mut depth, mut commas) = (0_usize, Vec::new());
        for (at, token) in tokens.iter().enumerate().skip(open + 1).take(MAX_ARGUMENTS) {
            match token.kind {
                Kind::Mark(b'[' | b'{' | b'(') => depth += 1,
                Kind::Mark(b')') if depth == 0 => return Some(Self { commas, close: at }),
                Kind::Mark(b']' | b'}' | b')') => depth = depth.checked_sub(1)?,
                Kind::Mark(b',') if depth == 0 => commas.push(at),
                _ => {}
            }
        }
        None
    }

    /// The comma right before the closing bracket.
    fn trailing(&self, tokens: &[Token]) -> Option<usize> {
        self.close.checked_sub(1).filter(|at| tokens.get(*at).is_some_and(|token| token.is(b',')))
    }
}

/// The dotted name right before a bracket.
fn name(text: &str, tokens: &[Token]) -> Option<String> {
    let mut start = tokens.last().filter(|token| token.kind == Kind::Name)?.range.start;
    let end = tokens.last()?.range.end;
    for pair in tokens.get(..tokens.len() - 1)?.rchunks_exact(2).take(MAX_STEPS) {
        let [name, dot] = pair else { break };
        if !(dot.is(b'.') && dot.range.end == start && name.range.end == dot.range.start && name.kind == Kind::Name) {
            break;
        }
        start = name.range.start;
    }
    text.get(start..end).map(ToOwned::to_owned)
}
