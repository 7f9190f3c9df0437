//! One decision as OPA's decision log writes it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};

use super::super::active::Active;
use countersign_pdp_engine::rego::Question;

/// An event. What is none is left out.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Event {
    pub(crate) labels: Arc<BTreeMap<String, String>>,
    pub(crate) decision_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) trace_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) span_id: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) bundles: BTreeMap<String, BundleInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) query: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) input: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) result: Option<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) erased: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) masked: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<EventError>,
    pub(crate) requested_by: String,
    pub(crate) timestamp: String,
    pub(crate) metrics: Map<String, Value>,
    pub(crate) req_id: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) request_context: Option<RequestContext>,
}

/// The revision of a bundle that the decision rests on.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct BundleInfo {
    pub(crate) revision: String,
}

/// Why there is no result.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct EventError {
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

/// What of the request is told.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct RequestContext {
    pub(crate) http: HttpContext,
}

/// The headers that the configuration names.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct HttpContext {
    pub(crate) headers: BTreeMap<String, Vec<String>>,
}

/// An event that was not masked yet, and what it is masked by: the policy that decided.
#[derive(Debug)]
pub(crate) struct Happened {
    pub(crate) event: Event,
    pub(crate) active: Arc<Active>,
    /// What the rules are asked with, beside the event.
    pub(crate) question: Question,
    /// About as many bytes as it takes here.
    pub(crate) size: usize,
}
