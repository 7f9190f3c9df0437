//! Output arguments: `f(a, out)` becomes `f(a) = out` where `f` is a built-in that takes one argument. The parser's library does this for its own
//! built-ins only.

use super::Edit;
use super::lexer::{Kind, Token};
use crate::policy::builtins;

/// The replacements of output arguments.
pub(super) fn edits(text: &str, tokens: &[Token]) -> Vec<Edit> {
    (0..tokens.len()).filter(|at| tokens.get(*at).is_some_and(|token| token.is(b'('))).flat_map(|open| output(text, tokens, open)).collect()
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
