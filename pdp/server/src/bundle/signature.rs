//! Who made a bundle: `.signatures.json` holds exactly one signed list of files and hashes, and the bundle is exactly these files.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_lc_rs::digest;
use countersign_pdp_engine::keys::{NamedKey, SignatureError as JwsError, key_id, unverified_payload};
use countersign_sdk_types::strict::{self, Limits, StrictError};
use serde::Deserialize;

use super::canonical::canonical;
use crate::policies::Files;

const SIGNATURES: &str = ".signatures.json";

/// A key of the configuration.
#[derive(Debug, Clone)]
pub(crate) struct BundleKey {
    /// What verifies.
    pub(crate) key: NamedKey,
    /// The scope that its signatures name, where they name one.
    pub(crate) scope: Option<String>,
}

/// Whose bundles are taken.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trust {
    /// The keys of the configuration, by id. While there are none, bundles are not signed; with any, every bundle is.
    pub(crate) keys: Arc<BTreeMap<String, BundleKey>>,
    /// The id of the one key that this bundle must be signed with.
    pub(crate) key_id: Option<String>,
    /// The scope that its signature must name, in place of the key's.
    pub(crate) scope: Option<String>,
}

/// Why a bundle is not by whom it should be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignatureError {
    #[error("bundle is not signed, and with a configured key it must be")]
    Unsigned,
    #[error("bundle is signed, and no key is configured to check it by")]
    NoKeys,
    #[error("`{SIGNATURES}`: {0}")]
    Shape(#[from] StrictError),
    #[error("`{SIGNATURES}` holds {0} signatures in place of one")]
    Count(usize),
    #[error("`{SIGNATURES}` asks for the verifier `{0}`")]
    Plugin(String),
    #[error("signature: {0}")]
    Jws(#[from] JwsError),
    #[error("signature names no key, and neither does the configuration of the bundle")]
    NoKeyId,
    #[error("signature names the key `{0}`, which is not configured")]
    UnknownKey(String),
    #[error("signature is for scope `{0}` in place of `{1}`")]
    Scope(String, String),
    #[error("signature lists `{0}` twice")]
    Repeated(String),
    #[error("`{0}` is not in the signature")]
    Unlisted(String),
    #[error("signature lists `{0}`, which is not in the bundle")]
    Missing(String),
    #[error("`{0}` is hashed by `{1}`; SHA-256, SHA-384, SHA-512 and SHA-512-256 are read here")]
    Algorithm(String, String),
    #[error("`{0}` is not what was signed")]
    Changed(String),
    #[error("`{0}` cannot be hashed: {1}")]
    Unhashable(String, StrictError),
}

#[derive(Deserialize)]
struct Document {
    signatures: Vec<String>,
    #[serde(default)]
    plugin: String,
}

#[derive(Deserialize)]
struct Payload {
    files: Vec<FileHash>,
    #[serde(default)]
    scope: String,
    /// The older place of the key's id.
    keyid: Option<String>,
}

#[derive(Deserialize)]
struct FileHash {
    name: String,
    hash: String,
    algorithm: String,
}

impl Trust {
    /// Checks that the files are all that was signed, and nothing else; gives the id of the key.
    pub(super) fn check(&self, files: &Files) -> Result<Option<String>, SignatureError> {
        let signatures = files.iter().find(|(path, _)| path == SIGNATURES).map(|(_, bytes)| bytes);
        match (signatures, self.keys.is_empty()) {
            (None, true) => Ok(None),
            (None, false) => Err(SignatureError::Unsigned),
            (Some(_), true) => Err(SignatureError::NoKeys),
            (Some(signatures), false) => {
                let (signer, listed) = self.listed(signatures)?;
                compare(listed, files).map(|()| Some(signer))
            }
        }
    }

    fn listed(&self, signatures: &[u8]) -> Result<(String, Vec<FileHash>), SignatureError> {
        let document: Document = strict::from_slice(signatures, Limits::PEER)?;
        if !document.plugin.is_empty() {
            return Err(SignatureError::Plugin(document.plugin));
        }
        let [token] = document.signatures.as_slice() else { return Err(SignatureError::Count(document.signatures.len())) };
        let (id, key) = self.key(token)?;
        let payload: Payload = strict::from_slice(&key.key.verify(token)?, Limits::PEER)?;
        let wanted = self.scope.as_deref().or(key.scope.as_deref()).unwrap_or_default();
        if payload.scope != wanted {
            return Err(SignatureError::Scope(payload.scope, wanted.to_owned()));
        }
        Ok((id, payload.files))
    }

    /// The id is the configuration's, else the header's, else the claim's; from the signature it only chooses among keys that are trusted anyway.
    fn key(&self, token: &str) -> Result<(String, &BundleKey), SignatureError> {
        let id = match &self.key_id {
            Some(id) => id.clone(),
            None => key_id(token)?.map_or_else(|| claimed(token), Ok)?,
        };
        match self.keys.get(&id) {
            Some(key) => Ok((id, key)),
            None => Err(SignatureError::UnknownKey(id)),
        }
    }
}

/// The claim `keyid` of a payload that nobody has verified yet.
fn claimed(token: &str) -> Result<String, SignatureError> {
    let payload: Payload = strict::from_slice(&unverified_payload(token)?, Limits::PEER)?;
    payload.keyid.filter(|id| !id.is_empty()).ok_or(SignatureError::NoKeyId)
}

fn compare(listed: Vec<FileHash>, files: &Files) -> Result<(), SignatureError> {
    let mut left: BTreeMap<String, FileHash> = BTreeMap::new();
    for file in listed {
        let name = file.name.trim_start_matches('/').to_owned();
        if left.contains_key(&name) {
            return Err(SignatureError::Repeated(name));
        }
        left.insert(name, file);
    }
    for (path, bytes) in files.iter().filter(|(path, _)| path != SIGNATURES) {
        let file = left.remove(path).ok_or_else(|| SignatureError::Unlisted(path.clone()))?;
        if !hash(path, bytes, &file.algorithm)?.eq_ignore_ascii_case(&file.hash) {
            return Err(SignatureError::Changed(path.clone()));
        }
    }
    left.into_keys().next().map_or(Ok(()), |missing| Err(SignatureError::Missing(missing)))
}

/// Structured files by their form, so that space does not matter; others by their bytes.
fn hash(path: &str, bytes: &[u8], algorithm: &str) -> Result<String, SignatureError> {
    let algorithm = match algorithm {
        "SHA-256" => &digest::SHA256,
        "SHA-384" => &digest::SHA384,
        "SHA-512" => &digest::SHA512,
        "SHA-512-256" => &digest::SHA512_256,
        other => return Err(SignatureError::Algorithm(path.to_owned(), other.to_owned())),
    };
    let name = path.rsplit('/').next().unwrap_or(path);
    let hashed = if matches!(name, "data.json" | ".manifest") {
        let unhashable = |error: StrictError| SignatureError::Unhashable(path.to_owned(), error);
        strict::value(bytes, Limits::DATA).map_err(unhashable)?;
        digest::digest(algorithm, &canonical(bytes).map_err(|error| unhashable(error.into()))?)
    } else {
        digest::digest(algorithm, bytes)
    };
    Ok(hashed.as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests;
