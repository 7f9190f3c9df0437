//! The section `[opa]` of the configuration as it is meant.

use std::collections::BTreeMap;
use std::time::Duration;

use countersign_sdk_types::Digest;
use serde::Serialize;

use super::bundles::Configured;
use super::log::LogOptions;

/// What the listener serves, to whom, and how much of it.
#[derive(Debug)]
pub struct Options {
    /// The folder and the bundles.
    pub(crate) bundles: Vec<Configured>,
    /// The token that callers bring, at rest.
    pub(crate) token: Option<Digest>,
    /// The document at `POST /`, as the steps below `data`.
    pub(crate) default_decision: Vec<String>,
    /// The document that says whether a request behind Envoy passes, as the steps below `data`.
    pub(crate) envoy_decision: Vec<String>,
    /// The time that one evaluation may take.
    pub(crate) budget: Duration,
    /// The bytes of a request's body, inflated.
    pub(crate) largest_body: usize,
    /// What each event and the status say of this server.
    pub(crate) labels: BTreeMap<String, String>,
    /// The decision log.
    pub(crate) log: Option<LogOptions>,
    /// Where bundles come from, for `/v1/config`.
    pub(crate) resources: BTreeMap<String, Resource>,
    /// Where the log goes, for the same.
    pub(crate) log_resource: Option<String>,
}

/// Where something comes from. No secret is in it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Resource {
    pub(crate) resource: String,
    pub(crate) signed: bool,
}

/// A token at rest.
pub(crate) fn token_digest(token: &str) -> Digest {
    Digest(*blake3::Hasher::new_derive_key("countersign opa token 1").update(token.as_bytes()).finalize().as_bytes())
}
