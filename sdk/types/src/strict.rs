//! JSON as it must be at every ingress: no repeated member names (RFC 7493 §2.3), bounded depth and size.
//!
//! serde_json lets the last of two equal names win, so that two readers of one document can see two requests.

use std::fmt;

use serde::de::{DeserializeOwned, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// What a document may be at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the whole document.
    pub bytes: usize,
    /// Levels of nesting.
    pub depth: usize,
    /// Values in the whole document: members, elements and scalars.
    pub values: usize,
}

impl Limits {
    /// For a request body: 256 KiB, 32 levels, 20,000 values.
    pub const REQUEST: Self = Self { bytes: 256 * 1024, depth: 32, values: 20_000 };
    /// For the claims of a token: 16 KiB, 16 levels, 1,000 values.
    pub const CLAIMS: Self = Self { bytes: 16 * 1024, depth: 16, values: 1_000 };
    /// For a document from a peer, such as a key set: 1 MiB, 16 levels, 50,000 values.
    pub const PEER: Self = Self { bytes: 1024 * 1024, depth: 16, values: 50_000 };
    /// For policy data: 64 MiB, 64 levels, 10,000,000 values.
    pub const DATA: Self = Self { bytes: 64 * 1024 * 1024, depth: 64, values: 10_000_000 };
}

/// Why a document was refused.
#[derive(Debug, thiserror::Error)]
pub enum StrictError {
    /// Larger than the limit.
    #[error("JSON document is larger than {0} bytes")]
    TooLarge(usize),
    /// Not JSON, a repeated name, too deep, too many values, or not of the expected shape.
    #[error("JSON document is refused: {0}")]
    Refused(#[from] serde_json::Error),
}

/// Reads a document.
///
/// # Errors
/// When it is not JSON, repeats a member name, or exceeds a limit.
pub fn value(bytes: &[u8], limits: Limits) -> Result<Value, StrictError> {
    if bytes.len() > limits.bytes {
        return Err(StrictError::TooLarge(limits.bytes));
    }
    let mut left = limits.values;
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Strict { depth: limits.depth, left: &mut left }.deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// Reads a document into a type.
///
/// # Errors
/// As [`value`], and when the document has not the shape of `T`.
pub fn from_slice<T: DeserializeOwned>(bytes: &[u8], limits: Limits) -> Result<T, StrictError> {
    Ok(serde_json::from_value(value(bytes, limits)?)?)
}

struct Strict<'a> {
    depth: usize,
    left: &'a mut usize,
}

impl Strict<'_> {
    fn take<E: serde::de::Error>(&mut self) -> Result<(), E> {
        *self.left = self.left.checked_sub(1).ok_or_else(|| E::custom("too many values"))?;
        Ok(())
    }

    fn deeper<E: serde::de::Error>(&mut self) -> Result<Strict<'_>, E> {
        let depth = self.depth.checked_sub(1).ok_or_else(|| E::custom("nested too deeply"))?;
        Ok(Strict { depth, left: self.left })
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;
    fn deserialize<D: serde::Deserializer<'de>>(mut self, reader: D) -> Result<Value, D::Error> {
        self.take()?;
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number is not finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self.deeper()?)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if object.contains_key(&name) {
                return Err(serde::de::Error::custom("a member name is repeated"));
            }
            let member = members.next_value_seed(self.deeper()?)?;
            object.insert(name, member);
        }
        Ok(Value::Object(object))
    }
}
