//! `regex.globs_match`: whether two patterns have a text in common. The patterns are those of OPA: characters, `.`, sets in brackets, each with `*`
//! or `+` behind.

use std::collections::BTreeSet;

use regorus::Value;

use super::call::{Builtin, Call, Failure};

/// The longest pattern, in characters.
const MAX_PATTERN: usize = 1_000;

pub(super) const TABLE: &[Builtin] = &[Builtin::new("regex.globs_match", 2, globs_match)];

#[derive(Clone, Copy, PartialEq)]
enum Times {
    Once,
    Any,
    Some,
}

/// One character of a text, and how often.
struct Step {
    /// Ranges of characters.
    of: Vec<(char, char)>,
    times: Times,
}

impl Step {
    fn meets(&self, other: &Self) -> bool {
        self.of.iter().any(|(from, to)| other.of.iter().any(|(start, end)| from <= end && start <= to))
    }
}

fn globs_match(call: &Call<'_>) -> Result<Value, Failure> {
    let read = |at: usize| {
        let text = call.text(at)?;
        call.within(text.len(), MAX_PATTERN)?;
        steps(text).ok_or_else(|| call.operand("pattern cannot be read"))
    };
    Ok(Value::from(intersect(&read(0)?, &read(1)?)))
}

fn steps(text: &str) -> Option<Vec<Step>> {
    let (mut steps, mut characters) = (Vec::<Step>::new(), text.chars());
    while let Some(character) = characters.next() {
        let of = match character {
            '*' | '+' => {
                let last = steps.last_mut().filter(|last| last.times == Times::Once)?;
                last.times = if character == '*' { Times::Any } else { Times::Some };
                continue;
            }
            '.' => vec![('\0', char::MAX)],
            '[' => set(&mut characters)?,
            ']' => return None,
            '\\' => characters.next().map(|escaped| vec![(escaped, escaped)])?,
            plain => vec![(plain, plain)],
        };
        steps.push(Step { of, times: Times::Once });
    }
    Some(steps)
}

fn set(characters: &mut std::str::Chars<'_>) -> Option<Vec<(char, char)>> {
    let mut ranges = Vec::new();
    loop {
        let from = match characters.next()? {
            ']' => return Some(ranges).filter(|ranges| !ranges.is_empty()),
            '\\' => characters.next()?,
            plain => plain,
        };
        let mut ahead = characters.clone();
        let to = match (ahead.next(), ahead.next()) {
            (Some('-'), Some(to)) if to != ']' => {
                *characters = ahead;
                to
            }
            _ => from,
        };
        ranges.push((from, to));
    }
}

/// Walks both patterns at once. A place is how far each pattern is, and whether its repeated step was taken already.
fn intersect(a: &[Step], b: &[Step]) -> bool {
    type Place = (usize, bool);
    let skips = |steps: &[Step], (at, taken): Place| {
        steps.get(at).is_some_and(|step| step.times == Times::Any || (step.times == Times::Some && taken))
    };
    let after = |steps: &[Step], (at, _): Place| match steps.get(at) {
        Some(step) if step.times != Times::Once => (at, true),
        _ => (at + 1, false),
    };
    let (mut open, mut seen) = (vec![((0, false), (0, false))], BTreeSet::new());
    while let Some((left, right)) = open.pop() {
        if !seen.insert((left, right)) {
            continue;
        }
        match (a.get(left.0), b.get(right.0)) {
            (None, None) => return true,
            (Some(one), Some(other)) if one.meets(other) => open.push((after(a, left), after(b, right))),
            _ => {}
        }
        if skips(a, left) {
            open.push(((left.0 + 1, false), right));
        }
        if skips(b, right) {
            open.push((left, (right.0 + 1, false)));
        }
    }
    false
}
