//! Output arguments: `f(a, out)` becomes `f(a) = out` where `f` is a built-in that takes one argument, which the library knows of its own
//! built-ins only. The other way round for `walk`, which the library only walks with an output argument: `[path, value] := walk(x)` would silently
//! match nothing, and a rule that denies would never fire.

use super::Edit;
use super::lexer::{Kind, Token};
use crate::policy::builtins;

/// The replacements of output arguments.
pub(super) fn edits(text: &str, tokens: &[Token]) -> Vec<Edit> {
    let calls = (0..tokens.len()).filter(|at| tokens.get(*at).is_some_and(|token| token.is(b'(')));
    calls.flat_map(|open| walk(text, tokens, open).unwrap_or_else(|| output(text, tokens, open))).collect()
}

/// `pattern := walk(x)` as `some …; walk(x, pattern)`, and `pattern = walk(x)` as `walk(x, pattern)`.
fn walk(text: &str, tokens: &[Token], open: usize) -> Option<Vec<Edit>> {
    let called = open.checked_sub(1)?;
    let arguments = Arguments::after(tokens, open)?;
    let equals = called.checked_sub(1).filter(|at| tokens.get(*at).is_some_and(|token| token.is(b'=')))?;
    if name(text, tokens.get(..open)?)? != "walk" || !arguments.commas.is_empty() {
        return None;
    }
    let declares = equals.checked_sub(1).and_then(|at| tokens.get(at)).is_some_and(|token| token.is(b':'));
    let end = if declares { equals.checked_sub(1)? } else { equals };
    let start = pattern_start(tokens, end)?;
    let pattern = tokens.get(start..end)?;
    let range = pattern.first()?.range.start..tokens.get(called)?.range.start;
    let written = text.get(range.start..pattern.last()?.range.end)?;
    // Where the body is a single expression there is no room for a declaration.
    let alone = start.checked_sub(1).and_then(|at| tokens.get(at)).is_some_and(|before| before.text(text) == "if");
    let variables: Vec<&str> = pattern.iter().filter(|token| token.kind == Kind::Name).map(|token| token.text(text)).collect();
    let variables: Vec<&str> = variables.into_iter().filter(|name| *name != "_").collect();
    let declared = if declares && !alone && !variables.is_empty() { format!("some {}; ", variables.join(", ")) } else { String::new() };
    let close = tokens.get(arguments.close)?.range.start;
    Some(vec![Edit { range, with: declared }, Edit { range: close..close, with: format!(", {written}") }])
}

/// Where the pattern before a place begins: a name, or an array of patterns.
fn pattern_start(tokens: &[Token], end: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, token) in tokens.get(..end)?.iter().enumerate().rev() {
        match token.kind {
            Kind::Mark(b']') => depth += 1,
            Kind::Mark(b'[') => depth = depth.checked_sub(1)?,
            Kind::Name | Kind::Number | Kind::Text => {}
            Kind::Mark(b',') if depth > 0 => {}
            _ => return None,
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

fn output(text: &str, tokens: &[Token], open: usize) -> Vec<Edit> {
    let edited = || {
        let arity = builtins::extended(&name(text, tokens.get(..open)?)?)?;
        let arguments = Arguments::after(tokens, open)?;
        let separator = arguments.commas.get(usize::from(arity).checked_sub(1)?)?;
        let is_last = |at: &usize| arguments.commas.last() == Some(at) || arguments.is_trailing(tokens);
        let given = arguments.commas.len() + usize::from(!arguments.is_trailing(tokens));
        if given != usize::from(arity) + 1 || !is_last(separator) {
            return None;
        }
        let mut edits = vec![Edit { range: tokens.get(*separator)?.range.clone(), with: ") =".to_owned() }];
        if arguments.is_trailing(tokens) {
            edits.push(Edit { range: tokens.get(*arguments.commas.last()?)?.range.clone(), with: String::new() });
        }
        edits.push(Edit { range: tokens.get(arguments.close)?.range.clone(), with: String::new() });
        Some(edits)
    };
    edited().unwrap_or_default()
}

/// The commas between the arguments of a call, and its closing bracket, as places among the tokens.
struct Arguments {
    commas: Vec<usize>,
    close: usize,
}

impl Arguments {
    fn after(tokens: &[Token], open: usize) -> Option<Self> {
        let (mut depth, mut commas) = (0_usize, Vec::new());
        for (at, token) in tokens.iter().enumerate().skip(open + 1) {
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

    fn is_trailing(&self, tokens: &[Token]) -> bool {
        self.close.checked_sub(1).and_then(|at| tokens.get(at)).is_some_and(|token| token.is(b','))
    }
}

/// The dotted name right before a bracket.
fn name(text: &str, tokens: &[Token]) -> Option<String> {
    let mut start = tokens.last().filter(|token| token.kind == Kind::Name)?.range.start;
    let end = tokens.last()?.range.end;
    for pair in tokens.get(..tokens.len() - 1)?.rchunks_exact(2) {
        let [name, dot] = pair else { break };
        if !(dot.is(b'.') && dot.range.end == start && name.range.end == dot.range.start && name.kind == Kind::Name) {
            break;
        }
        start = name.range.start;
    }
    text.get(start..end).map(ToOwned::to_owned)
}
