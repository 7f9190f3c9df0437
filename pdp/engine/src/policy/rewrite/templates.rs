//! Template strings: `$"a {x}"` becomes a call of OPA's `internal.template_string` over the texts and, for each expression, the set of its values,
//! which is empty where the expression is undefined.

use std::ops::Range;

use super::lexer::{Kind, Part, Token};
use super::{Edit, Rewriter};

impl Rewriter {
    /// The replacement of a template string.
    pub(super) fn template(&self, text: &str, token: &Token) -> Option<Edit> {
        let Kind::Template { raw, parts } = &token.kind else { return None };
        let written = parts.iter().map(|part| match part {
            Part::Literal(range) => literal(text, range.clone(), *raw),
            Part::Expression(range, tokens) => self.expression(text, range.clone(), tokens),
        });
        let with = format!("internal.template_string([{}])", written.collect::<Vec<_>>().join(", "));
        Some(Edit { range: token.range.clone(), with })
    }

    /// Constants and templates are never undefined, so they need no set around them: brackets are dear in the parser.
    fn expression(&self, text: &str, range: Range<usize>, tokens: &[Token]) -> String {
        let written = self.apply(text, range, tokens);
        let constant = match tokens {
            [only] => match &only.kind {
                Kind::Name => matches!(only.text(text), "true" | "false" | "null"),
                Kind::Mark(_) => false,
                Kind::Number | Kind::Text | Kind::Template { .. } => true,
            },
            _ => false,
        };
        if constant { written.into_owned() } else { format!("{{__part | __part := {written}}}") }
    }
}

/// The text as a string of the same kind, so that its lines stay.
fn literal(text: &str, range: Range<usize>, raw: bool) -> String {
    let text = text.get(range).unwrap_or_default();
    if raw { format!("`{}`", text.replace("\\{", "{")) } else { format!("\"{}\"", unbraced(text)) }
}

/// `\{` stands for a brace; every other escape is as in any string.
fn unbraced(text: &str) -> String {
    let (mut written, mut characters) = (String::with_capacity(text.len()), text.chars());
    while let Some(character) = characters.next() {
        match (character, characters.as_str().chars().next()) {
            ('\\', Some('{')) => {}
            ('\\', Some(next)) => {
                written.extend(['\\', next]);
                characters.next();
            }
            _ => written.push(character),
        }
    }
    written
}
