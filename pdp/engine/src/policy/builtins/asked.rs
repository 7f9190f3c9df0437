//! Built-ins whose answers come with the question: time, and what OPA draws by chance.

use std::collections::BTreeMap;

use regorus::Value;

use super::call::{Builtin, Call, Failure};

pub(super) const TABLE: &[Builtin] = &[
    Builtin::at_a_moment("time.now_ns", 0, now),
    Builtin::at_a_moment("rand.intn", 2, integer),
    Builtin::at_a_moment("uuid.rfc4122", 1, uuid),
    Builtin::new("opa.runtime", 0, runtime),
    Builtin::new("trace", 1, trace),
];

fn now(call: &Call<'_>) -> Result<Value, Failure> {
    Ok(Value::from(call.moment.now.0.saturating_mul(1_000_000)))
}

/// The same name and bound give the same number all through one question.
fn integer(call: &Call<'_>) -> Result<Value, Failure> {
    let bound = call.integer(1)?.unsigned_abs();
    let [a, b, c, d, e, f, g, h, ..] = drawn(call, &format!("intn {bound} {}", call.text(0)?));
    Ok(Value::from(u64::from_le_bytes([a, b, c, d, e, f, g, h]).checked_rem(bound).unwrap_or(0)))
}

/// A random UUID (RFC 4122 §4.4), the same for the same name all through one question.
fn uuid(call: &Call<'_>) -> Result<Value, Failure> {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, ..] = drawn(call, &format!("uuid {}", call.text(0)?));
    let number = u128::from_be_bytes([a, b, c, d, e, f, g & 0x0f | 0x40, h, i & 0x3f | 0x80, j, k, l, m, n, o, p]);
    let digits = format!("{number:032x}");
    let groups = [0..8, 8..12, 12..16, 16..20, 20..32].map(|range| digits.get(range).unwrap_or_default().to_owned());
    Ok(Value::from(groups.join("-")))
}

fn drawn(call: &Call<'_>, what: &str) -> [u8; 32] {
    *blake3::keyed_hash(&call.moment.seed, what.as_bytes()).as_bytes()
}

/// Nothing of the environment is told.
fn runtime(_: &Call<'_>) -> Result<Value, Failure> {
    Ok(Value::from(BTreeMap::from([(Value::from("env"), Value::new_object())])))
}

/// Nobody listens; the note holds.
fn trace(call: &Call<'_>) -> Result<Value, Failure> {
    call.text(0).map(|_| Value::from(true))
}
