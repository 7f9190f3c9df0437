//! The section `[opa]` as it is written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct OpaSettings {
    /// A folder of modules and data that are served as they are.
    pub(in crate::config) path: Option<PathBuf>,
    /// The document at `POST /`.
    pub(in crate::config) default_decision: String,
    /// The document that says whether a request behind Envoy passes.
    pub(in crate::config) envoy_decision: String,
    /// A file whose first line is the token that callers bring.
    pub(in crate::config) token_file: Option<PathBuf>,
    /// The time that one evaluation may take.
    pub(in crate::config) budget_ms: u64,
    /// The largest body of a request.
    pub(in crate::config) body_kib: usize,
    /// What events and the status say of this server.
    pub(in crate::config) labels: BTreeMap<String, String>,
    pub(in crate::config) key: Vec<KeySettings>,
    pub(in crate::config) bundle: Vec<BundleSettings>,
    pub(in crate::config) decision_log: Option<LogSettings>,
}

impl Default for OpaSettings {
    fn default() -> Self {
        Self {
            path: None,
            default_decision: "/system/main".to_owned(),
            envoy_decision: "/envoy/authz/allow".to_owned(),
            token_file: None,
            budget_ms: 1_000,
            body_kib: 1024,
            labels: BTreeMap::new(),
            key: Vec::new(),
            bundle: Vec::new(),
            decision_log: None,
        }
    }
}

/// A key that bundles are signed with.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct KeySettings {
    pub(in crate::config) id: String,
    pub(in crate::config) algorithm: String,
    /// A public key in PEM; for `HS…` a file that holds the secret.
    pub(in crate::config) file: PathBuf,
    pub(in crate::config) scope: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct BundleSettings {
    pub(in crate::config) name: String,
    /// A `.tar.gz` on this machine.
    pub(in crate::config) file: Option<PathBuf>,
    /// Where one is served.
    pub(in crate::config) url: Option<String>,
    /// Certificates that the URL must be signed by, in place of the system's, PEM.
    pub(in crate::config) ca: Option<PathBuf>,
    #[serde(default)]
    pub(in crate::config) dangerous_private_address: bool,
    /// A file whose first line is the bearer token for the URL.
    pub(in crate::config) token_file: Option<PathBuf>,
    #[serde(default = "minute")]
    pub(in crate::config) min_delay_seconds: u64,
    #[serde(default = "two_minutes")]
    pub(in crate::config) max_delay_seconds: u64,
    /// The one key that it is signed with.
    pub(in crate::config) key: Option<String>,
    pub(in crate::config) scope: Option<String>,
}

const fn minute() -> u64 {
    60
}

const fn two_minutes() -> u64 {
    120
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct LogSettings {
    /// The service; events are posted to `/logs` below it.
    pub(in crate::config) url: String,
    pub(in crate::config) ca: Option<PathBuf>,
    #[serde(default)]
    pub(in crate::config) dangerous_private_address: bool,
    pub(in crate::config) token_file: Option<PathBuf>,
    #[serde(default = "five")]
    pub(in crate::config) min_delay_seconds: u64,
    #[serde(default = "ten")]
    pub(in crate::config) max_delay_seconds: u64,
    #[serde(default = "batch")]
    pub(in crate::config) batch_kib: usize,
    #[serde(default = "events")]
    pub(in crate::config) buffer_events: usize,
    #[serde(default = "buffer")]
    pub(in crate::config) buffer_kib: usize,
    /// Headers of requests that go into events.
    #[serde(default)]
    pub(in crate::config) headers: BTreeSet<String>,
    #[serde(default = "mask")]
    pub(in crate::config) mask_decision: String,
    #[serde(default = "drop")]
    pub(in crate::config) drop_decision: String,
}

const fn five() -> u64 {
    5
}

const fn ten() -> u64 {
    10
}

const fn batch() -> usize {
    512
}

const fn events() -> usize {
    10_000
}

const fn buffer() -> usize {
    16 * 1024
}

fn mask() -> String {
    "/system/log/mask".to_owned()
}

fn drop() -> String {
    "/system/log/drop".to_owned()
}
