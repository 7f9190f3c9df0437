//! What is checked of a registration beside what webauthn-rs checks: the page that made it, its names, and every byte of what it attests.

use serde_json::{Map, Value};

use crate::cbor::Reader;
use crate::response::{Refusal, bytes, check_client_data, check_extensions, credential, inner};

/// A registration that is well formed and was made on our page.
#[derive(Debug)]
pub(crate) struct Screened {
    pub(crate) document: Value,
    pub(crate) backup_eligible: bool,
    pub(crate) counter: u32,
}

/// Checks a response in the shape of `PublicKeyCredential.toJSON()`, made on a page of `origin`.
pub(crate) fn screen(response: &[u8], origin: &str) -> Result<Screened, Refusal> {
    let credential = credential(response)?;
    check_extensions(&credential, &["credProps"])?;
    let inner = inner(&credential)?;
    check_client_data(inner, "webauthn.create", origin)?;
    let object = attestation_object(inner)?;
    let data = authenticator_data(&object).and_then(Attested::read).ok_or(Refusal::Member("attestationObject"))?;
    if data.id != bytes(&credential, "rawId")? {
        return Err(Refusal::TwoIds);
    }
    let (backup_eligible, counter) = (data.backup_eligible, data.counter);
    Ok(Screened { document: Value::Object(credential), backup_eligible, counter })
}

fn attestation_object(inner: &Map<String, Value>) -> Result<Vec<u8>, Refusal> {
    bytes(inner, "attestationObject")
}

/// The one `authData` of a map with text keys, each given once, and nothing after it (WebAuthn Level 3 §6.5.4).
fn authenticator_data(object: &[u8]) -> Option<&[u8]> {
    let mut reader = Reader::new(object);
    let mut names = Vec::new();
    let mut data = None;
    for _ in 0..reader.map().filter(|entries| *entries <= 5)? {
        let name = reader.text().filter(|name| !names.contains(name))?;
        names.push(name);
        match name {
            "authData" => data = Some(reader.bytes()?),
            _ => reader.skip()?,
        }
    }
    data.filter(|_| reader.is_empty())
}

struct Attested<'a> {
    id: &'a [u8],
    backup_eligible: bool,
    counter: u32,
}

impl<'a> Attested<'a> {
    /// Reads authenticator data with an attested credential (§6.1, §6.5.1), to its last byte.
    fn read(data: &'a [u8]) -> Option<Self> {
        const BACKUP_ELIGIBLE: u8 = 0x08;
        const ATTESTED: u8 = 0x40;
        const EXTENSIONS: u8 = 0x80;
        let mut reader = Reader::new(data);
        reader.take(32)?;
        let [flags] = *reader.take(1)? else { return None };
        let counter = u32::from_be_bytes(reader.take(4)?.try_into().ok()?);
        reader.take(16)?;
        let length = u16::from_be_bytes(reader.take(2)?.try_into().ok()?);
        // §6.5.1: 1,023 bytes at most.
        let id = reader.take(usize::from(length)).filter(|id| !id.is_empty() && id.len() <= 1023)?;
        reader.skip()?;
        if flags & EXTENSIONS != 0 {
            reader.skip()?;
        }
        let attested = flags & ATTESTED != 0 && reader.is_empty();
        attested.then_some(Self { id, backup_eligible: flags & BACKUP_ELIGIBLE != 0, counter })
    }
}

#[cfg(test)]
mod tests;
