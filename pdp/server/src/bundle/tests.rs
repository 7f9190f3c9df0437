//! Archives as tests write them: honest ones, and those that no honest tool writes.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};

use super::*;

/// An archive that is being written, entry by entry.
pub(crate) struct Packed(Builder<Vec<u8>>);

impl Packed {
    pub(crate) fn new() -> Self {
        Self(Builder::new(Vec::new()))
    }

    /// A header that says what it is told to.
    pub(crate) fn header(name: &[u8], kind: EntryType, size: u64) -> Header {
        let mut header = Header::new_ustar();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name);
        header.set_entry_type(kind);
        header.set_mode(0o600);
        header.set_size(size);
        header.set_cksum();
        header
    }

    pub(crate) fn entry(mut self, name: &str, kind: EntryType, content: &[u8]) -> Self {
        let header = Self::header(name.as_bytes(), kind, content.len() as u64);
        self.0.append(&header, content).unwrap();
        self
    }

    pub(crate) fn with(mut self, change: impl FnOnce(&mut Header), name: &str, content: &[u8]) -> Self {
        let mut header = Self::header(name.as_bytes(), EntryType::Regular, content.len() as u64);
        change(&mut header);
        header.set_cksum();
        self.0.append(&header, content).unwrap();
        self
    }

    pub(crate) fn file(self, name: &str, content: &str) -> Self {
        self.entry(name, EntryType::Regular, content.as_bytes())
    }

    pub(crate) fn tar(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }

    pub(crate) fn gz(self) -> Vec<u8> {
        gzip(&self.tar())
    }
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_bundle_as_opa_builds_it() {
    let packed = Packed::new()
        .file("/data.json", r#"{"roles": {"admin": ["write"]}}"#)
        .file("/policy/authz.rego", "package authz\n\nallow if input.role == \"admin\"\n")
        .file("/policy/old.rego", "package old\n\nallow { true }\n")
        .file(
            "/.manifest",
            r#"{"revision": "r7", "roots": ["roles", "authz", "old"], "rego_version": 1, "file_rego_versions": {"/policy/old.rego": 0}}"#,
        );
    let bundle = Bundle::open(&packed.gz(), &Trust::default()).unwrap();
    assert_eq!(bundle.revision, "r7");
    assert_eq!(bundle.source.data["roles"]["admin"][0], "write");
    let paths: Vec<_> = bundle.source.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, ["policy/authz.rego", "policy/old.rego"]);
    assert_eq!(bundle.source.dialects.files["/policy/old.rego"], 0);
}

#[test]
fn a_document_in_a_folder_may_be_anything() {
    let packed = Packed::new().file("/a/b/c/data.json", "[1,2,3]").file("/a/b/d/data.json", "true").file("/a/data.json", r#"{"e": null}"#);
    let bundle = Bundle::open(&packed.gz(), &Trust::default()).unwrap();
    assert_eq!(bundle.source.data, serde_json::json!({"a": {"b": {"c": [1, 2, 3], "d": true}, "e": null}}));
    for overlapping in [[("a/data.json", "[]"), ("a/b/data.json", "{}")], [("a/b/data.json", "{}"), ("a/data.json", "[]")]] {
        let packed = overlapping.iter().fold(Packed::new(), |packed, (name, content)| packed.file(name, content));
        assert!(Bundle::open(&packed.gz(), &Trust::default()).unwrap_err().to_string().contains("overlap"), "{overlapping:?}");
    }
    let packed = Packed::new().file("data.json", "[]");
    assert!(Bundle::open(&packed.gz(), &Trust::default()).unwrap_err().to_string().contains("not an object"));
}

#[test]
fn data_keeps_to_its_folder_and_overlaps_nothing() {
    let packed = Packed::new().file("a/b/data.json", r#"{"k": 1}"#).file("data.json", r#"{"a": {"b": {"k": 2}}}"#);
    assert!(Bundle::open(&packed.gz(), &Trust::default()).unwrap_err().to_string().contains("overlap"));
    let packed = Packed::new().file("data.json", r#"{"k": 1, "k": 2}"#);
    assert!(Bundle::open(&packed.gz(), &Trust::default()).unwrap_err().to_string().contains("repeated"));
    let deep = format!("{{\"k\": {}1{}}}", "[".repeat(200), "]".repeat(200));
    let packed = Packed::new().file("data.json", &deep);
    assert!(Bundle::open(&packed.gz(), &Trust::default()).unwrap_err().to_string().contains("deep"));
}
