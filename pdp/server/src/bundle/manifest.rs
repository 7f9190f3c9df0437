//! The `.manifest` of a bundle: its revision, and the roots of the document tree that it owns and must keep to.

use std::collections::BTreeMap;

use countersign_pdp_engine::policy::PolicySource;
use countersign_sdk_types::strict::{self, Limits, StrictError};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::package;

/// The most roots, and the longest of each and of the revision.
const MOST_ROOTS: usize = 1_000;
const LONGEST: usize = 512;

/// What is read of a manifest here; the dialects are read with the modules.
#[derive(Debug, Default)]
pub(super) struct Manifest {
    pub(super) revision: String,
    pub(super) roots: Roots,
}

/// Why a manifest is refused, or what does not keep to it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ManifestError {
    #[error("`.manifest`: {0}")]
    Shape(#[from] StrictError),
    #[error("`.manifest`: revision or root is longer than {LONGEST} bytes, or there are more than {MOST_ROOTS} roots")]
    Long,
    #[error("`.manifest`: roots `{0}` and `{1}` overlap")]
    Overlap(String, String),
    #[error("`.manifest` names compiled modules: build the bundle with the target `rego`")]
    Wasm,
    #[error("`.manifest`: `file_rego_versions` has the pattern `{0}`; whole paths are read here")]
    Pattern(String),
    #[error("module `{0}` is in package `{1}`, outside the bundle's roots")]
    Module(String, String),
    #[error("module `{0}` does not begin with a package")]
    NoPackage(String),
    #[error("data at `{0}` is outside the bundle's roots")]
    Data(String),
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    revision: String,
    roots: Option<Vec<String>>,
    #[serde(default)]
    wasm: Vec<Value>,
    #[serde(default)]
    file_rego_versions: BTreeMap<String, u8>,
}

impl Manifest {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        let document: Document = strict::from_slice(bytes, Limits::PEER)?;
        if !document.wasm.is_empty() {
            return Err(ManifestError::Wasm);
        }
        if let Some(pattern) = document.file_rego_versions.keys().find(|path| path.contains(['*', '?', '[', '{'])) {
            return Err(ManifestError::Pattern(pattern.clone()));
        }
        let roots = document.roots.as_deref().map_or_else(|| Ok(Roots::default()), Roots::new)?;
        if document.revision.len() > LONGEST {
            return Err(ManifestError::Long);
        }
        Ok(Self { revision: document.revision, roots })
    }
}

/// Parts of the document tree, none within another, each as the steps below `data`. By default it is the whole tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Roots(Vec<Vec<String>>);

impl Default for Roots {
    fn default() -> Self {
        Self(vec![Vec::new()])
    }
}

impl Roots {
    fn new(written: &[String]) -> Result<Self, ManifestError> {
        if written.len() > MOST_ROOTS || written.iter().any(|root| root.len() > LONGEST) {
            return Err(ManifestError::Long);
        }
        let steps = |root: &String| root.split('/').filter(|step| !step.is_empty()).map(ToOwned::to_owned).collect::<Vec<_>>();
        let mut roots: Vec<_> = written.iter().map(steps).collect();
        roots.sort();
        // Sorted, a root stands right before what lies within it.
        for pair in roots.windows(2) {
            if let [outer, inner] = pair
                && inner.starts_with(outer)
            {
                return Err(ManifestError::Overlap(outer.join("/"), inner.join("/")));
            }
        }
        Ok(Self(roots))
    }

    /// A root of one and a root of the other of which one lies within the other.
    pub(crate) fn overlap(&self, other: &Self) -> Option<(String, String)> {
        let pairs = self.0.iter().flat_map(|ours| other.0.iter().map(move |theirs| (ours, theirs)));
        let mut meeting = pairs.filter(|(ours, theirs)| ours.starts_with(theirs) || theirs.starts_with(ours));
        meeting.next().map(|(ours, theirs)| (ours.join("/"), theirs.join("/")))
    }

    fn cover(&self, path: &[String]) -> bool {
        self.0.iter().any(|root| path.starts_with(root))
    }

    fn lead_on_from(&self, path: &[String]) -> bool {
        self.0.iter().any(|root| root.starts_with(path))
    }

    /// Every module and every document must be within the roots.
    pub(super) fn check(&self, source: &PolicySource) -> Result<(), ManifestError> {
        for file in &source.files {
            let steps = package(&file.text).ok_or_else(|| ManifestError::NoPackage(file.path.clone()))?;
            if !self.cover(&steps) {
                return Err(ManifestError::Module(file.path.clone(), steps.join(".")));
            }
        }
        source.data.as_object().map_or(Ok(()), |data| self.check_data(&mut Vec::new(), data))
    }

    fn check_data(&self, path: &mut Vec<String>, members: &Map<String, Value>) -> Result<(), ManifestError> {
        if self.cover(path) {
            return Ok(());
        }
        for (name, member) in members {
            path.push(name.clone());
            match member {
                _ if self.cover(path) => {}
                Value::Object(members) if self.lead_on_from(path) => self.check_data(path, members)?,
                _ => return Err(ManifestError::Data(path.join("/"))),
            }
            path.pop();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
