//! What the rewriting calls in place of syntax that fails in the library where it does not in OPA.

use regorus::Value;

use super::call::{Builtin, Call, Failure};
use crate::policy::rewrite::hoist::{MEMBERS, REMAINDER};

pub(super) const TABLE: &[Builtin] = &[Builtin::new(MEMBERS, 1, members), Builtin::new(REMAINDER, 2, remainder)];

/// What `some … in` iterates: there is nothing to iterate in what is no collection.
fn members(call: &Call<'_>) -> Result<Value, Failure> {
    Ok(match call.value(0)? {
        collection @ (Value::Array(_) | Value::Set(_) | Value::Object(_)) => collection.clone(),
        _ => Value::new_array(),
    })
}

/// Of integers of any size.
fn remainder(call: &Call<'_>) -> Result<Value, Failure> {
    let (Value::Number(dividend), Value::Number(divisor)) = (call.value(0)?, call.value(1)?) else {
        return Err(call.operand("numbers are expected"));
    };
    dividend.clone().modulo(divisor).map(Value::Number).map_err(|error| call.operand(error.to_string()))
}
