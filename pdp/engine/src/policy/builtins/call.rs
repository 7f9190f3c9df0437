//! One call of a built-in: how it reads its arguments, and how it fails.

use regorus::unstable::{BUILTINS, Expr, Ref, Span};
use regorus::{Source, Value};

use super::Moment;
use crate::policy::json::size_within;

/// The most elements that a built-in may produce.
pub(super) const MAX_ITEMS: usize = 10_000;
/// The longest text that a built-in may produce.
pub(super) const MAX_TEXT: usize = 1024 * 1024;

/// A built-in that takes the place of the library's, or that the library lacks.
#[derive(Debug)]
pub(crate) struct Builtin {
    pub(super) name: &'static str,
    pub(super) arguments: u8,
    pub(super) momentary: bool,
    pub(super) answer: Answer,
}

pub(super) type Answer = fn(&Call<'_>) -> Result<Value, Failure>;

impl Builtin {
    /// Its answer depends on its arguments alone.
    pub(super) const fn new(name: &'static str, arguments: u8, answer: Answer) -> Self {
        Self { name, arguments, momentary: false, answer }
    }

    /// Its answer depends on the moment too.
    pub(super) const fn at_a_moment(name: &'static str, arguments: u8, answer: Answer) -> Self {
        Self { name, arguments, momentary: true, answer }
    }
}

/// Who is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The arguments.
    Operand,
    /// A bound of ours.
    Bound,
}

/// Why a built-in gave no value.
#[derive(Debug, thiserror::Error)]
#[error("`{name}`: {what}")]
pub(super) struct Failure {
    pub(super) name: &'static str,
    pub(super) fault: Fault,
    pub(super) what: String,
}

/// A name, its arguments, and the moment.
pub(super) struct Call<'a> {
    pub(super) name: &'static str,
    pub(super) values: &'a [Value],
    pub(super) moment: &'a Moment,
}

impl<'a> Call<'a> {
    /// The arguments are not what the built-in takes.
    pub(super) fn operand(&self, what: impl Into<String>) -> Failure {
        Failure { name: self.name, fault: Fault::Operand, what: what.into() }
    }

    /// The answer would be more than a built-in may give.
    pub(super) fn bound(&self, what: impl Into<String>) -> Failure {
        Failure { name: self.name, fault: Fault::Bound, what: what.into() }
    }

    pub(super) fn value(&self, at: usize) -> Result<&'a Value, Failure> {
        self.values.get(at).ok_or_else(|| self.operand("an argument is missing"))
    }

    pub(super) fn text(&self, at: usize) -> Result<&'a str, Failure> {
        self.text_of(self.value(at)?)
    }

    pub(super) fn text_of(&self, value: &'a Value) -> Result<&'a str, Failure> {
        value.as_string().map(AsRef::as_ref).map_err(|_| self.operand("a string is expected"))
    }

    pub(super) fn integer(&self, at: usize) -> Result<i64, Failure> {
        self.value(at)?.as_i64().map_err(|_| self.operand("an integer is expected"))
    }

    pub(super) fn object(&self, at: usize) -> Result<&'a regorus::value::Object, Failure> {
        self.value(at)?.as_object().map_err(|_| self.operand("an object is expected"))
    }

    pub(super) fn within(&self, size: usize, most: usize) -> Result<(), Failure> {
        if size > most { Err(self.bound(format!("the result would be larger than {most}"))) } else { Ok(()) }
    }

    /// The arguments together become no more text than an answer may be.
    pub(super) fn bounded(&self) -> Result<(), Failure> {
        self.within(self.size(), MAX_TEXT)
    }

    /// About how much text the arguments become together.
    pub(super) fn size(&self) -> usize {
        self.values.iter().map(size).fold(0, usize::saturating_add)
    }

    /// Asks the library's own form. It wants spans for its messages; there is no source here, so they are empty.
    pub(super) fn native(&self) -> Result<Value, Failure> {
        let failed = |error: anyhow::Error| self.operand(last_line(&error));
        let source = Source::from_contents(self.name.to_owned(), String::new()).map_err(failed)?;
        let span = Span { source, line: 0, col: 0, start: 0, end: 0 };
        let parameter = |_| Ref::new(Expr::Null { span: span.clone(), value: Value::Null, eidx: 0 });
        let parameters: Vec<_> = self.values.iter().map(parameter).collect();
        let (function, _) = BUILTINS.get(self.name).ok_or_else(|| self.operand("is not built in"))?;
        function(&span, &parameters, self.values, true).map_err(failed)
    }
}

/// The sentence of the library's message, without the picture of a line that is not there.
fn last_line(error: &anyhow::Error) -> String {
    let text = error.to_string();
    text.rsplit_once("error: ").map_or(text.as_str(), |(_, sentence)| sentence).to_owned()
}

/// About how much text a value becomes, counted no further than a built-in may produce.
pub(super) fn size(value: &Value) -> usize {
    size_within(value, MAX_TEXT)
}
