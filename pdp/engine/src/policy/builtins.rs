//! Which built-ins a policy may name, and bounded forms of those that no timer can stop.
//!
//! An extension of the same name takes the place of a built-in, so the bounded forms cannot be avoided by a policy.

use regorus::unstable::{BUILTINS, Expr, Ref, Span};
use regorus::{Engine, Source, Value};

/// The most elements that a built-in may produce.
const MAX_ITEMS: usize = 10_000;
/// The longest text that a built-in may produce.
const MAX_TEXT: usize = 1024 * 1024;
/// The widest column and the longest fraction in a format.
const MAX_WIDTH: usize = 255;
/// The most digits of the factors of a product together.
const MAX_DIGITS: usize = 4_096;
/// The furthest shift, in bits.
const MAX_SHIFT: i64 = 1_024;

/// Why a policy may not name a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It reads a clock, entropy or the environment: a record could not be replayed.
    NotDeterministic,
    /// It would leave the process, or answers `undefined` always.
    Stubbed,
    /// Its cost grows without bound and cannot be stopped.
    Unbounded,
    /// Nobody defines it.
    Missing,
}

impl Refused {
    /// The sentence about a name.
    #[must_use]
    pub fn sentence(self, name: &str) -> String {
        match self {
            Self::NotDeterministic => format!("built-in `{name}` is refused: its answer is not a function of the input"),
            Self::Stubbed => format!("built-in `{name}` is refused: a decision asks nobody else"),
            Self::Unbounded => format!("built-in `{name}` is refused: its cost has no bound"),
            Self::Missing => format!("function `{name}` is not defined"),
        }
    }
}

/// Whose rules say which built-ins there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Semantics {
    /// A policy that decides: its answer is a function of its input, and an error of a built-in ends the evaluation.
    Contract,
    /// OPA's: time and chance come with the question.
    Opa,
}

impl Semantics {
    /// What is said of a name wherever it stands in a policy: called, replaced by `with`, or used as a replacement.
    #[must_use]
    pub fn denied(self, name: &str) -> Option<Refused> {
        match name {
            "http.send" | "net.lookup_ip_addr" => Some(Refused::Stubbed),
            "graph.reachable_paths" => Some(Refused::Unbounded),
            "time.now_ns" | "rand.intn" | "uuid.rfc4122" | "opa.runtime" if self == Self::Contract => Some(Refused::NotDeterministic),
            _ => None,
        }
    }

    /// Whether a name that no rule defines may be called.
    #[must_use]
    pub fn called(self, name: &str) -> Option<Refused> {
        self.denied(name).or_else(|| (!BUILTINS.contains_key(name) && name != "print").then_some(Refused::Missing))
    }
}

/// Why a bounded built-in gave no value.
#[derive(Debug, thiserror::Error)]
#[error("`{name}`: {what}")]
struct Bound {
    name: &'static str,
    what: String,
}

type Checked = fn(&'static str, &[Value]) -> Result<Option<Value>, Bound>;

/// Each bounded built-in: its name, its number of arguments, and the check, which may answer in its place.
const BOUNDED: &[(&str, u8, Checked)] = &[
    ("strings.count", 2, count),
    ("numbers.range", 2, range),
    ("numbers.range_step", 3, range),
    ("sprintf", 2, widths),
    ("net.cidr_expand", 1, hosts),
    ("bits.lsh", 2, shift),
    ("concat", 2, joined),
    ("replace", 3, replaced),
    ("strings.replace_n", 2, replaced_n),
    ("array.concat", 2, chained),
    ("product", 1, multiplied),
];

/// Puts the bounded forms into an engine.
pub(crate) fn install(engine: &mut Engine) -> Result<(), String> {
    for &(name, arguments, check) in BOUNDED {
        let bounded = move |values: Vec<Value>| match check(name, &values) {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => native(name, &values),
            Err(bound) => Err(bound.into()),
        };
        engine.add_extension(name.to_owned(), arguments, Box::new(bounded)).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Calls the library's own form. It wants spans for its messages; there is no source here, so they are empty.
fn native(name: &'static str, values: &[Value]) -> anyhow::Result<Value> {
    let source = Source::from_contents(name.to_owned(), String::new())?;
    let span = Span { source, line: 0, col: 0, start: 0, end: 0 };
    let parameter = |_| Ref::new(Expr::Null { span: span.clone(), value: Value::Null, eidx: 0 });
    let parameters: Vec<_> = values.iter().map(parameter).collect();
    match BUILTINS.get(name) {
        Some((function, _)) => function(&span, &parameters, values, true),
        None => Err(Bound { name, what: "is not built in".to_owned() }.into()),
    }
}

fn text<'a>(name: &'static str, value: Option<&'a Value>) -> Result<&'a str, Bound> {
    match value {
        Some(Value::String(text)) => Ok(text),
        _ => Err(Bound { name, what: "a string is expected".to_owned() }),
    }
}

fn integer(name: &'static str, value: Option<&Value>) -> Result<i64, Bound> {
    value.and_then(|value| value.as_i64().ok()).ok_or_else(|| Bound { name, what: "an integer is expected".to_owned() })
}

fn within(name: &'static str, size: usize, most: usize) -> Result<Option<Value>, Bound> {
    if size > most { Err(Bound { name, what: format!("the result would be larger than {most}") }) } else { Ok(None) }
}

/// The library counts overlapping matches and panics for an empty needle; OPA counts as Go's `strings.Count` does.
fn count(name: &'static str, values: &[Value]) -> Result<Option<Value>, Bound> {
    let (haystack, needle) = (text(name, values.first())?, text(name, values.get(1))?);
    let found = if needle.is_empty() { haystack.chars().count() + 1 } else { haystack.matches(needle).count() };
    Ok(Some(Value::from(found)))
}

fn range(name: &'static str, values: &[Value]) -> Result<Option<Value>, Bound> {
    let (from, to) = (integer(name, values.first())?, integer(name, values.get(1))?);
    let step = values.get(2).map_or(Ok(1), |step| integer(name, Some(step)))?.unsigned_abs().max(1);
    within(name, usize::try_from(from.abs_diff(to) / step).unwrap_or(usize::MAX), MAX_ITEMS)
}

fn widths(name: &'static str, values: &[Value]) -> Result<Option<Value>, Bound> {
    let mut width = 0_usize;
    for character in text(name, values.first())?.chars() {
        width = match character {
            '.' => 0,
            _ => character.to_digit(10).map_or(0, |digit| width.saturating_mul(10).saturating_add(digit as usize)),
        };
        within(name, width, MAX_WIDTH)?;
    }
    let whole: usize = values.iter().map(size).sum();
    within(name, whole, MAX_TEXT)
}

fn hosts(name: &'static str, values: &[Value]) -> Result<Option<Value>, Bound> {
    let text = text(name, values.first())?;
    let net: ipnet::IpNet = text.parse().map_err(|_| Bound { name, what: "a network is expected".to_owned() })?;
    let bits = u32::from(net.max_prefix_len() - net.prefix_len());
    within(name, 1_usize.checked_shl(bits).unwrap_or(usize::MAX).max(1), MAX_ITEMS)
}

fn shift(name: &'static str, values: &[Value]) -> Result<Option<Value>, Bound> {
    let by = integer(name, values.get(1))?;
    if (0..=MAX_SHIFT).contains(&by) { Ok(None) } else { Err(Bound { name, what: format!("the shift must be from 0 to {MAX_SHIFT}") }) }
}

fn joined(name: &'static str, values: &[Value]) -> Result<Option<Value>, Bound> {
    let delimiter = text(name, values.first())?.len();
    let (items, parts) = match values.get(1) {
        Some(Value::Array(items)) => (items.len(), items.iter().map(size).sum::<usize>()),
        Some(Value::Set(items)) => (items.len(), items.iter().map(size).sum()),
        _ => (0, 0),
    };
    within(name, parts.saturating_add(items.saturating_mul(delimiter)), MAX_TEXT)
}

fn grown(length: usize, pattern: usize, with: usize) -> usize {
    let places = length.checked_div(pattern).unwrap_or(length).saturating_add(1);
    length.saturating_add(places.saturating_mul(with))
}

fn replaced(name: &'static str, values: &[Value]) -> Result<Option<Value>, Bound> {
    let length = |at: usize| text(name, values.get(at)).map(str::len);
    within(name, grown(length(0)?, length(1)?, length(2)?), MAX_TEXT)
}

fn replaced_n(name: &'static str, values: &[Value]) -> Result<Option<Value>, Bound> {
    let mut length = text(name, values.get(1))?.len();
    if let Some(Value::Object(patterns)) = values.first() {
        for (pattern, with) in patterns.iter() {
            length = grown(length, size(pattern), size(with));
        }
    }
    within(name, length, MAX_TEXT)
}

fn chained(name: &'static str, values: &[Value]) -> Result<Option<Value>, Bound> {
    let items = values.iter().map(|value| value.as_array().map_or(0, regorus::value::Array::len)).sum();
    within(name, items, MAX_ITEMS)
}

/// Numbers have no bound: the digits of a product are at most those of its factors together.
fn multiplied(name: &'static str, values: &[Value]) -> Result<Option<Value>, Bound> {
    let digits = match values.first() {
        Some(Value::Array(items)) => items.iter().map(|item| item.to_string().len()).sum(),
        Some(Value::Set(items)) => items.iter().map(|item| item.to_string().len()).sum(),
        _ => 0,
    };
    within(name, digits, MAX_DIGITS)
}

/// About how much text a value becomes.
fn size(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Set(items) => items.iter().map(size).sum(),
        Value::Object(members) => members.iter().map(|(name, member)| size(name).saturating_add(size(member))).sum(),
        _ => 16,
    }
}
