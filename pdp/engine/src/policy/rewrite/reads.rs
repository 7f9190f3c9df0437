//! What of its input a policy reads: two inputs that agree there get the same verdict. Read off the tokens, so it errs towards too much.

use serde_json::Value;

use super::lexer::{self, Kind, Part, Token};

/// What a policy reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reads {
    /// It cannot be told, or the policy takes the input as a whole.
    Everything,
    /// The values at these paths, and nothing else.
    Paths(Vec<Vec<String>>),
}

/// A place where a module reads its input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Read {
    /// Where it begins, in bytes.
    pub(crate) at: usize,
    /// The steps, as far as they are names.
    pub(crate) path: Vec<String>,
}

/// Every place where a module reads its input; `None` where its text cannot be taken apart.
pub(crate) fn places(text: &str) -> Option<Vec<Read>> {
    let mut places = Vec::new();
    collect(text, &lexer::tokens(text)?, &mut places);
    Some(places)
}

/// The strings, numbers and booleans that stand in a module, as JSON writes them.
pub(crate) fn literals(text: &str) -> Vec<Value> {
    let tokens = lexer::tokens(text).unwrap_or_default();
    (0..tokens.len()).filter_map(|at| literal(text, &tokens, at)).collect()
}

/// The string, number or boolean that a token is, or begins.
pub(super) fn literal(text: &str, tokens: &[Token], at: usize) -> Option<Value> {
    let token = tokens.get(at)?;
    match token.kind {
        Kind::Text => plain(token.text(text)).map(Value::from),
        Kind::Number => {
            let is_fraction =
                at.checked_sub(2).and_then(|from| tokens.get(from..at)).is_some_and(|before| is_number_and_dot(before, token));
            let fraction = tokens.get(at + 1..at + 3).and_then(|after| match after {
                [dot, digits] if digits.kind == Kind::Number && is_number_and_dot(&[token.clone(), dot.clone()], digits) => {
                    Some(digits.range.end)
                }
                _ => None,
            });
            let end = fraction.unwrap_or(token.range.end);
            if is_fraction { None } else { serde_json::from_str(text.get(token.range.start..end)?).ok() }
        }
        Kind::Name => matches!(token.text(text), "true" | "false").then(|| Value::from(token.text(text) == "true")),
        Kind::Template { .. } | Kind::Mark(_) => None,
    }
}

/// `0.5` comes as three tokens without space between them.
fn is_number_and_dot(before: &[Token], next: &Token) -> bool {
    match before {
        [number, dot] => {
            number.kind == Kind::Number && dot.is(b'.') && number.range.end == dot.range.start && dot.range.end == next.range.start
        }
        _ => false,
    }
}

/// What the modules of a policy read together.
pub(crate) fn reads<'a>(texts: impl IntoIterator<Item = &'a str>) -> Reads {
    let mut paths = Vec::new();
    for text in texts {
        let Some(places) = places(text) else { return Reads::Everything };
        paths.extend(places.into_iter().map(|place| place.path));
    }
    if paths.iter().any(Vec::is_empty) {
        return Reads::Everything;
    }
    paths.sort();
    paths.dedup();
    // A path within another one is read with it; sorted, the shorter one stands right before those within it.
    paths.dedup_by(|longer, shorter| longer.starts_with(shorter));
    Reads::Paths(paths)
}

fn collect(text: &str, tokens: &[Token], places: &mut Vec<Read>) {
    for (at, token) in tokens.iter().enumerate() {
        if let Kind::Template { parts, .. } = &token.kind {
            for part in parts {
                if let Part::Expression(_, tokens) = part {
                    collect(text, tokens, places);
                }
            }
        }
        let is_step = at.checked_sub(1).and_then(|before| tokens.get(before)).is_some_and(|before| before.is(b'.'));
        if token.kind == Kind::Name && token.text(text) == "input" && !is_step {
            let path = path(text, tokens.get(at + 1..).unwrap_or_default(), token.range.end);
            places.push(Read { at: token.range.start, path });
        }
    }
}

/// The steps that follow, as far as they are names.
pub(super) fn path(text: &str, mut tokens: &[Token], mut end: usize) -> Vec<String> {
    let mut path = Vec::new();
    while tokens.first().is_some_and(|next| next.range.start == end) {
        let (step, used) = match tokens {
            [dot, name, ..] if dot.is(b'.') && name.kind == Kind::Name => (name.text(text).to_owned(), 2),
            [open, name, close, ..] if open.is(b'[') && name.kind == Kind::Text && close.is(b']') => match plain(name.text(text)) {
                Some(name) => (name.to_owned(), 3),
                None => break,
            },
            _ => break,
        };
        path.push(step);
        end = tokens.get(used - 1).map_or(end, |last| last.range.end);
        tokens = tokens.get(used..).unwrap_or_default();
    }
    path
}

/// The content of a string without escapes.
fn plain(quoted: &str) -> Option<&str> {
    quoted.strip_prefix('"')?.strip_suffix('"').filter(|inner| !inner.contains('\\'))
}

#[cfg(test)]
mod tests {
    //! Everything that could be read is in it.

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let seen = match reads([text]) {
            Reads::Everything => vec!["*".to_owned()],
            Reads::Paths(paths) => paths.iter().map(|path| path.join(".")).collect(),
        };
        assert_eq!(seen, expected, "{text}");
    }

    #[test]
    fn references_are_read_as_far_as_they_are_names() {
        check("allow if input.user.role == \"admin\"", &["user.role"]);
        check("allow if input[\"user\"].roles[_] == \"admin\"", &["user.roles"]);
        check("x := input.context[name]", &["context"]);
        check("x := input.user.role\ny := input.user", &["user"]);
        check("x := input.user.role\ny := input.username", &["user.role", "username"]);
        check("x := input.user.id\nx := input.user.id", &["user.id"]);
        check("import input.token as t\nx := t.sub", &["token"]);
        check("x := $\"{input.user.id} of {input.tenant}\"", &["tenant", "user.id"]);
    }

    #[test]
    fn the_whole_input_is_everything() {
        check("walk(input, [p, v])", &["*"]);
        check("x := input[name]", &["*"]);
        check("x := input[\"a\\u0062\"]", &["*"]);
        check("import input as i", &["*"]);
        check("x := \"an open string", &["*"]);
        check("x := input .user", &["*"]);
    }

    #[test]
    fn what_only_looks_like_it_is_not_read() {
        check("x := data.input.user", &[]);
        check("# input.user\nx := \"input.user\"", &[]);
        check("x := inputs.user", &[]);
    }
}
