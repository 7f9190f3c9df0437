//! From our own types to the evaluator's values in one step: half the time of going through JSON, and what cannot be said is an error, never `undefined`.

use std::collections::BTreeMap;
use std::fmt;

use regorus::Value;
use serde::Serialize;
use serde::ser::{self, Impossible, SerializeMap, SerializeSeq, SerializeStruct, SerializeTuple};

/// Why a document cannot be said in Rego's values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unsayable(String);

impl fmt::Display for Unsayable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unsayable {}

impl ser::Error for Unsayable {
    fn custom<T: fmt::Display>(what: T) -> Self {
        Self(what.to_string())
    }
}

/// The value of a document, as its JSON would be read.
pub(super) fn value<T: Serialize>(document: &T) -> Result<Value, Unsayable> {
    document.serialize(Document)
}

fn never<T>(what: &str) -> Result<T, Unsayable> {
    Err(Unsayable(format!("{what} has no place in an input document")))
}

#[derive(Clone, Copy)]
struct Document;

/// Elements in order.
struct List(Vec<Value>);

/// Members by name.
#[derive(Default)]
struct Members {
    members: BTreeMap<Value, Value>,
    name: Option<Value>,
}

impl ser::Serializer for Document {
    type Ok = Value;
    type Error = Unsayable;
    type SerializeSeq = List;
    type SerializeTuple = List;
    type SerializeTupleStruct = Impossible<Value, Unsayable>;
    type SerializeTupleVariant = Impossible<Value, Unsayable>;
    type SerializeMap = Members;
    type SerializeStruct = Members;
    type SerializeStructVariant = Impossible<Value, Unsayable>;

    fn serialize_bool(self, value: bool) -> Result<Value, Unsayable> {
        Ok(Value::Bool(value))
    }

    fn serialize_i8(self, value: i8) -> Result<Value, Unsayable> {
        self.serialize_i64(value.into())
    }

    fn serialize_i16(self, value: i16) -> Result<Value, Unsayable> {
        self.serialize_i64(value.into())
    }

    fn serialize_i32(self, value: i32) -> Result<Value, Unsayable> {
        self.serialize_i64(value.into())
    }

    fn serialize_i64(self, value: i64) -> Result<Value, Unsayable> {
        // As JSON would be read: a number that is not negative is unsigned.
        u64::try_from(value).map_or_else(|_| Ok(Value::from(value)), |value| Ok(Value::from(value)))
    }

    fn serialize_u8(self, value: u8) -> Result<Value, Unsayable> {
        self.serialize_u64(value.into())
    }

    fn serialize_u16(self, value: u16) -> Result<Value, Unsayable> {
        self.serialize_u64(value.into())
    }

    fn serialize_u32(self, value: u32) -> Result<Value, Unsayable> {
        self.serialize_u64(value.into())
    }

    fn serialize_u64(self, value: u64) -> Result<Value, Unsayable> {
        Ok(Value::from(value))
    }

    fn serialize_f32(self, value: f32) -> Result<Value, Unsayable> {
        self.serialize_f64(value.into())
    }

    /// The library would make a null of what is not finite, and `null < 30` holds in Rego.
    fn serialize_f64(self, value: f64) -> Result<Value, Unsayable> {
        if value.is_finite() { Ok(Value::from(value)) } else { never("a number that is not finite") }
    }

    fn serialize_char(self, value: char) -> Result<Value, Unsayable> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<Value, Unsayable> {
        Ok(Value::from(value))
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<Value, Unsayable> {
        never("a byte string")
    }

    fn serialize_none(self) -> Result<Value, Unsayable> {
        Ok(Value::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Value, Unsayable> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Value, Unsayable> {
        Ok(Value::Null)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Value, Unsayable> {
        Ok(Value::Null)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<Value, Unsayable> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<Value, Unsayable> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Value, Unsayable> {
        Ok(Value::from(BTreeMap::from([(Value::from(variant), value.serialize(self)?)])))
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<List, Unsayable> {
        // A length is only a hint; a wrong one must not allocate much.
        Ok(List(Vec::with_capacity(length.unwrap_or(0).min(64))))
    }

    fn serialize_tuple(self, length: usize) -> Result<List, Unsayable> {
        self.serialize_seq(Some(length))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeTupleStruct, Unsayable> {
        never("a tuple struct")
    }

    fn serialize_tuple_variant(self, _: &'static str, _: u32, _: &'static str, _: usize) -> Result<Self::SerializeTupleVariant, Unsayable> {
        never("a tuple variant")
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Members, Unsayable> {
        Ok(Members::default())
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Members, Unsayable> {
        Ok(Members::default())
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Unsayable> {
        never("a struct variant")
    }
}

impl SerializeSeq for List {
    type Ok = Value;
    type Error = Unsayable;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, element: &T) -> Result<(), Unsayable> {
        self.0.push(element.serialize(Document)?);
        Ok(())
    }

    fn end(self) -> Result<Value, Unsayable> {
        Ok(Value::from(self.0))
    }
}

impl SerializeTuple for List {
    type Ok = Value;
    type Error = Unsayable;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, element: &T) -> Result<(), Unsayable> {
        SerializeSeq::serialize_element(self, element)
    }

    fn end(self) -> Result<Value, Unsayable> {
        SerializeSeq::end(self)
    }
}

impl Members {
    /// Two members of one name would be two requests to two readers.
    fn put(&mut self, name: Value, member: Value) -> Result<(), Unsayable> {
        match self.members.insert(name, member) {
            None => Ok(()),
            Some(_) => never("a repeated name"),
        }
    }
}

impl SerializeMap for Members {
    type Ok = Value;
    type Error = Unsayable;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, name: &T) -> Result<(), Unsayable> {
        match name.serialize(Document)? {
            name @ Value::String(_) => self.name = Some(name),
            _ => return never("a name that is no text"),
        }
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, member: &T) -> Result<(), Unsayable> {
        let name = self.name.take().map_or_else(|| never("a member without a name"), Ok)?;
        self.put(name, member.serialize(Document)?)
    }

    fn end(self) -> Result<Value, Unsayable> {
        Ok(Value::from(self.members))
    }
}

impl SerializeStruct for Members {
    type Ok = Value;
    type Error = Unsayable;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, member: &T) -> Result<(), Unsayable> {
        self.put(Value::from(name), member.serialize(Document)?)
    }

    fn end(self) -> Result<Value, Unsayable> {
        Ok(Value::from(self.members))
    }
}

#[cfg(test)]
mod tests;
