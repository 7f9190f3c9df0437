//! Bounded forms of built-ins that no timer can stop, and those whose answers in the library differ from OPA's.

use regorus::Value;

use super::call::{Builtin, Call, Failure, MAX_ITEMS, MAX_TEXT, size};

/// The widest column and the longest fraction in a format.
const MAX_WIDTH: usize = 255;
/// The most digits of the factors of a product together.
const MAX_DIGITS: usize = 4_096;
/// The most bytes of what was replaced by a pattern or patched, were every place of it to match.
const MAX_GROWN: usize = 64 * MAX_TEXT;
/// The longest quantity, and the most digits of its exponent.
const MAX_QUANTITY: usize = 256;
const MAX_EXPONENT: usize = 3;
/// The furthest shift, in bits.
const MAX_SHIFT: i64 = 1_024;

pub(super) const TABLE: &[Builtin] = &[
    Builtin::new("strings.count", 2, count),
    Builtin::new("numbers.range", 2, range),
    Builtin::new("numbers.range_step", 3, range),
    Builtin::new("sprintf", 2, widths),
    Builtin::new("net.cidr_expand", 1, hosts),
    Builtin::new("bits.lsh", 2, shift),
    Builtin::new("concat", 2, joined),
    Builtin::new("replace", 3, replaced),
    Builtin::new("strings.replace_n", 2, replaced_n),
    Builtin::new("array.concat", 2, chained),
    Builtin::new("product", 1, multiplied),
    Builtin::new("json.marshal", 1, written),
    Builtin::new("json.marshal_with_options", 2, written),
    Builtin::new("base64.encode", 1, written),
    Builtin::new("base64url.encode", 1, written),
    Builtin::new("base64url.encode_no_pad", 1, written),
    Builtin::new("hex.encode", 1, written),
    Builtin::new("urlquery.encode", 1, written),
    Builtin::new("urlquery.encode_object", 1, written),
    Builtin::new("regex.replace", 3, matched),
    Builtin::new("units.parse", 1, quantity),
    Builtin::new("units.parse_bytes", 1, quantity),
    Builtin::new("json.patch", 2, patched),
];

/// The library counts overlapping matches and panics for an empty needle; OPA counts as Go's `strings.Count` does.
fn count(call: &Call<'_>) -> Result<Value, Failure> {
    let (haystack, needle) = (call.text(0)?, call.text(1)?);
    let found = if needle.is_empty() { haystack.chars().count() + 1 } else { haystack.matches(needle).count() };
    Ok(Value::from(found))
}

fn range(call: &Call<'_>) -> Result<Value, Failure> {
    let (from, to) = (call.integer(0)?, call.integer(1)?);
    let step = match call.values.get(2) {
        None => 1,
        // A step beyond what fits here is beyond any end that does.
        Some(Value::Number(step)) if step.is_integer() && step.is_positive() && call.integer(2).is_err() => {
            return Ok(Value::from(vec![Value::from(from)]));
        }
        Some(_) => call.integer(2)?.unsigned_abs().max(1),
    };
    call.within(usize::try_from(from.abs_diff(to) / step).unwrap_or(usize::MAX), MAX_ITEMS)?;
    call.native()
}

fn widths(call: &Call<'_>) -> Result<Value, Failure> {
    let mut width = 0_usize;
    for character in call.text(0)?.chars() {
        width = match character {
            '.' => 0,
            _ => character.to_digit(10).map_or(0, |digit| width.saturating_mul(10).saturating_add(digit as usize)),
        };
        call.within(width, MAX_WIDTH)?;
    }
    written(call)
}

/// Writing makes a text a few times longer, and what is written can be written again: without a bound some lines of a policy fill the memory.
fn written(call: &Call<'_>) -> Result<Value, Failure> {
    call.bounded()?;
    call.native()
}

/// A pattern may match between any two characters, and what is put there may name the match several times.
fn matched(call: &Call<'_>) -> Result<Value, Failure> {
    let (text, with) = (call.text(0)?, call.text(2)?);
    let references = with.matches('$').count();
    let whole = text.len().saturating_add(1).saturating_mul(with.len()).saturating_add(text.len().saturating_mul(references + 1));
    call.within(whole, MAX_GROWN)?;
    call.native()
}

fn hosts(call: &Call<'_>) -> Result<Value, Failure> {
    let text = call.text(0)?;
    let net: ipnet::IpNet = text.parse().map_err(|_| call.operand("a network is expected"))?;
    let bits = u32::from(net.max_prefix_len() - net.prefix_len());
    call.within(1_usize.checked_shl(bits).unwrap_or(usize::MAX).max(1), MAX_ITEMS)?;
    call.native()
}

fn shift(call: &Call<'_>) -> Result<Value, Failure> {
    let by = call.integer(1)?;
    match by {
        ..0 => Err(call.operand("the shift must not be negative")),
        0..=MAX_SHIFT => call.native(),
        _ => Err(call.bound(format!("the shift must be from 0 to {MAX_SHIFT}"))),
    }
}

fn joined(call: &Call<'_>) -> Result<Value, Failure> {
    let delimiter = call.text(0)?.len();
    let (items, parts) = match call.values.get(1) {
        Some(parts @ Value::Array(items)) => (items.len(), size(parts)),
        Some(parts @ Value::Set(items)) => (items.len(), size(parts)),
        _ => (0, 0),
    };
    call.within(parts.saturating_add(items.saturating_mul(delimiter)), MAX_TEXT)?;
    call.native()
}

fn grown(length: usize, pattern: usize, with: usize) -> usize {
    let places = length.checked_div(pattern).unwrap_or(length).saturating_add(1);
    length.saturating_add(places.saturating_mul(with))
}

fn replaced(call: &Call<'_>) -> Result<Value, Failure> {
    let length = |at: usize| call.text(at).map(str::len);
    call.within(grown(length(0)?, length(1)?, length(2)?), MAX_TEXT)?;
    call.native()
}

fn replaced_n(call: &Call<'_>) -> Result<Value, Failure> {
    let mut length = call.text(1)?.len();
    if let Some(Value::Object(patterns)) = call.values.first() {
        for (pattern, with) in patterns.iter() {
            length = grown(length, size(pattern), size(with));
        }
    }
    call.within(length, MAX_TEXT)?;
    call.native()
}

fn chained(call: &Call<'_>) -> Result<Value, Failure> {
    let items = call.values.iter().map(|value| value.as_array().map_or(0, regorus::value::Array::len)).sum();
    call.within(items, MAX_ITEMS)?;
    call.native()
}

/// A number with an exponent is written out: `1e1000000000` would never be done.
fn quantity(call: &Call<'_>) -> Result<Value, Failure> {
    let text = call.text(0)?;
    call.within(text.len(), MAX_QUANTITY)?;
    for exponent in text.split(['e', 'E']).skip(1) {
        let digits = exponent.trim_start_matches(['+', '-']).bytes().take_while(u8::is_ascii_digit).count();
        if digits > MAX_EXPONENT {
            return Err(call.bound(format!("the exponent has more than {MAX_EXPONENT} digits")));
        }
    }
    call.native()
}

/// Each copy can put the whole document into itself.
fn patched(call: &Call<'_>) -> Result<Value, Failure> {
    let copies = |operation: &&Value| {
        let name = operation.as_object().ok().and_then(|members| members.get(&Value::from("op")));
        name.is_some_and(|name| *name == Value::from("copy"))
    };
    let copies = call.value(1)?.as_array().map_or(0, |operations| operations.iter().filter(copies).count());
    let times = u32::try_from(copies).ok().and_then(|copies| 1_usize.checked_shl(copies)).unwrap_or(usize::MAX);
    call.within(call.size().saturating_mul(times), MAX_GROWN)?;
    call.native()
}

/// Numbers have no bound: the digits of a product are at most those of its factors together.
fn multiplied(call: &Call<'_>) -> Result<Value, Failure> {
    let digits = match call.values.first() {
        Some(Value::Array(items)) => items.iter().map(digits).sum(),
        Some(Value::Set(items)) => items.iter().map(digits).sum(),
        _ => 0,
    };
    call.within(digits, MAX_DIGITS)?;
    call.native()
}

fn digits(item: &Value) -> usize {
    if matches!(item, Value::Number(_)) { item.to_string().len() } else { 0 }
}
