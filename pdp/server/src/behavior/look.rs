//! What a browser tells of its device: digests of components, by name. Strict, small and flat.

use std::collections::BTreeMap;

use countersign_risk::Told;
use countersign_sdk_types::strict::{self, Limits, StrictError};
use serde::Deserialize;

/// Six names with a digest each, with room for white space.
const LIMITS: Limits = Limits { bytes: 2 * 1024, depth: 3, values: 16 };
/// 64 bits in hexadecimal.
const DIGITS: usize = 16;

/// Why a look was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LookRefused {
    /// Not strict JSON of this shape.
    #[error("{0}")]
    Json(String),
    /// It is none of the components.
    #[error("`{0}` is no component")]
    Name(String),
    /// It is not what the script makes of a component.
    #[error("the digest of `{0}` is not 16 hexadecimal digits in lower case")]
    Digest(String),
    /// Nothing is told.
    #[error("a look has at least one component")]
    Nothing,
}

impl From<StrictError> for LookRefused {
    fn from(error: StrictError) -> Self {
        Self::Json(error.to_string())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    components: BTreeMap<String, String>,
}

/// Reads a body.
///
/// # Errors
/// When it is not what the script sends.
pub fn read(body: &[u8]) -> Result<Told, LookRefused> {
    let Written { components } = strict::from_slice(body, LIMITS)?;
    let mut told = Told::default();
    if components.is_empty() {
        return Err(LookRefused::Nothing);
    }
    for (name, written) in components {
        let place = Told::NAMES.iter().position(|known| *known == name).and_then(|nth| told.0.get_mut(nth));
        let Some(place) = place else { return Err(LookRefused::Name(name)) };
        *place = Some(digest(&written).ok_or(LookRefused::Digest(name))?);
    }
    Ok(told)
}

fn digest(written: &str) -> Option<u64> {
    let is_plain = written.len() == DIGITS && written.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if is_plain { u64::from_str_radix(written, 16).ok() } else { None }
}
