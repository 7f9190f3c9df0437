//! Fixed numbers of weights, as serde writes tuples: no length is read, so none can be too large.

use std::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::ser::SerializeTuple as _;
use serde::{Deserializer, Serializer};

pub(super) fn serialize<S: Serializer, const N: usize>(weights: &[u16; N], to: S) -> Result<S::Ok, S::Error> {
    let mut tuple = to.serialize_tuple(N)?;
    weights.iter().try_for_each(|weight| tuple.serialize_element(weight))?;
    tuple.end()
}

pub(super) fn deserialize<'de, D: Deserializer<'de>, const N: usize>(from: D) -> Result<[u16; N], D::Error> {
    from.deserialize_tuple(N, Weights)
}

struct Weights<const N: usize>;

impl<'de, const N: usize> Visitor<'de> for Weights<N> {
    type Value = [u16; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{N} weights")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<[u16; N], A::Error> {
        let mut weights = [0; N];
        for (i, weight) in weights.iter_mut().enumerate() {
            *weight = from.next_element()?.ok_or_else(|| A::Error::invalid_length(i, &self))?;
        }
        Ok(weights)
    }
}
