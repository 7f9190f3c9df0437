//! What was decided and why, what is active, and whether the journal is whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use countersign_pdp_engine::record::{Explanation, Record, explain};
use countersign_pdp_store::{JournalError, Verified};
use countersign_risk::Calibration;
use countersign_sdk_types::{DecisionId, Digest, Revision, Tenant, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::ControlService;
use super::asked::Named;
use super::problem::Problem;
use crate::openapi::{Refused, digest, instant};

/// A decision.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Why {
    /// As it is kept.
    #[schema(value_type = Object)]
    pub(crate) record: Value,
    /// In words; `None` when another version of the engine wrote it in a form that this one cannot read.
    #[schema(value_type = Option<Object>)]
    pub(crate) explanation: Option<Explanation>,
}

/// The state of this process.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Status {
    pub(crate) version: String,
    #[schema(value_type = String)]
    pub(crate) tenant: Tenant,
    #[schema(schema_with = instant)]
    pub(crate) now: Timestamp,
    /// How often this store was opened.
    pub(crate) incarnation: u64,
    /// The revision that the journal calls active; `None` before any activation.
    #[schema(value_type = Option<String>)]
    pub(crate) revision: Option<Revision>,
    /// Records of decisions that were lost since the start.
    pub(crate) lost_records: u64,
    /// As the policies' own status has it.
    #[schema(value_type = Value)]
    pub(crate) policy: Value,
}

/// What a walk over both chains found.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Soundness {
    pub(crate) sound: bool,
    /// The first bad record.
    pub(crate) damage: Option<String>,
    pub(crate) state: Option<Walked>,
    pub(crate) decisions: Option<Walked>,
}

/// One chain.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Walked {
    pub(crate) records: u64,
    /// The sequence number of the last record.
    pub(crate) seq: u64,
    /// The hash that covers all of them.
    #[schema(schema_with = digest)]
    pub(crate) hash: Digest,
}

impl From<Verified> for Walked {
    fn from(verified: Verified) -> Self {
        Self { records: verified.records, seq: verified.head.seq, hash: verified.head.hash }
    }
}

/// Why a decision was what it was.
#[utoipa::path(
    get,
    path = "/countersign/v1/decisions/{id}",
    params(("id" = String, Path, description = "The decision.", min_length = 1, max_length = 96, pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$")),
    responses((status = 200, body = Why, description = "Its record, and the same in words."), Refused)
)]
pub(super) async fn why(State(service): State<Arc<ControlService>>, Named(id): Named<DecisionId>) -> Result<Json<Why>, Problem> {
    let (store, asked) = (service.store.clone(), id.clone());
    let found = tokio::task::spawn_blocking(move || store.decision(&asked)).await;
    let found = found.map_err(|_| Problem::internal("the record could not be read"))?;
    let found = found.map_err(|error| Problem::internal(&error.to_string()))?;
    let record = found.ok_or_else(|| Problem::unknown(&format!("there is no record of decision `{id}`, or not any more")))?;
    let explanation = serde_json::from_value(record.clone()).ok().map(|record: Record| explain(&record));
    Ok(Json(Why { record, explanation }))
}

/// Has the source of policies looked at, at once or soon after the last look. What came of it, the status of the policies says.
#[utoipa::path(
    post,
    path = "/countersign/v1/policies/refresh",
    responses((status = 202, description = "It is looked at."), Refused)
)]
pub(super) async fn refresh_policies(State(service): State<Arc<ControlService>>) -> StatusCode {
    (service.look_at_policies)();
    StatusCode::ACCEPTED
}

/// The state of this process.
#[utoipa::path(
    get,
    path = "/countersign/v1/status",
    responses((status = 200, body = Status, description = "The state of this process."), Refused)
)]
pub(super) async fn status(State(service): State<Arc<ControlService>>) -> Result<Json<Status>, Problem> {
    let tenant = service.tenant.clone();
    let (incarnation, active) = service.read(move |view| Ok((view.incarnation()?, view.activation(&tenant)?))).await?;
    Ok(Json(Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        tenant: service.tenant.clone(),
        now: service.now(),
        incarnation,
        revision: active.map(|active| active.revision),
        lost_records: service.store.decisions().lost(),
        policy: (service.policy_status)(),
    }))
}

/// A map from nats to points for this tenant.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Calibrated {
    /// Sessions that were let through, each once.
    pub(crate) sessions: usize,
    /// As `risk.calibration` takes it; none for fewer than a thousand sessions.
    #[schema(value_type = Option<Object>)]
    pub(crate) calibration: Option<Calibration>,
}

/// Sessions that are looked at; the newest.
const MOST_SESSIONS: usize = 100_000;

/// From the recorded decisions that let somebody through, by themselves or after a proof; each session once, so that an application that polls does not
/// outvote people.
#[utoipa::path(
    post,
    path = "/countersign/v1/calibrate",
    responses((status = 200, body = Calibrated, description = "A map for the configuration."), Refused)
)]
pub(super) async fn calibrate(State(service): State<Arc<ControlService>>) -> Result<Json<Calibrated>, Problem> {
    let walk = Arc::clone(&service.walks).try_acquire_owned().map_err(|_| Problem::busy("another walk over the journal is under way"))?;
    let store = service.store.clone();
    let walked = tokio::task::spawn_blocking(move || {
        let mut sums = BTreeMap::new();
        let found = store.decisions().walk(|record| {
            let passed = serde_json::from_value::<Record>(record).ok().and_then(|record| record.let_through());
            if let Some((session, nats)) = passed {
                // The newest comes first within a segment's order; the highest is what had to be proved.
                sums.entry(session).and_modify(|known: &mut f64| *known = known.max(nats)).or_insert(nats);
            }
            sums.len() < MOST_SESSIONS
        });
        drop(walk);
        found.map(|()| sums.into_values().collect::<Vec<f64>>())
    });
    let sums = walked.await.map_err(|_| Problem::internal("the journal could not be read"))?;
    let sums = sums.map_err(|error| Problem::internal(&error.to_string()))?;
    Ok(Json(Calibrated { sessions: sums.len(), calibration: Calibration::of_traffic(&sums) }))
}

/// Walks over both chains of the journal.
#[utoipa::path(
    post,
    path = "/countersign/v1/verify",
    responses((status = 200, body = Soundness, description = "What the walk found."), Refused)
)]
pub(super) async fn verify(State(service): State<Arc<ControlService>>) -> Result<Json<Soundness>, Problem> {
    let walk = Arc::clone(&service.walks).try_acquire_owned().map_err(|_| Problem::busy("another walk over the journal is under way"))?;
    let store = service.store.clone();
    let walked = tokio::task::spawn_blocking(move || {
        let found = store.verify();
        drop(walk);
        found
    });
    match walked.await.map_err(|_| Problem::internal("the journal could not be read"))? {
        Ok(chains) => {
            let (state, decisions) = chains.map(|(state, decisions)| (state.into(), decisions.into())).unzip();
            Ok(Json(Soundness { sound: true, damage: None, state, decisions }))
        }
        Err(error @ JournalError::Damaged { .. }) => {
            tracing::error!(%error, "the journal is damaged");
            Ok(Json(Soundness { sound: false, damage: Some(error.to_string()), state: None, decisions: None }))
        }
        Err(error @ JournalError::Io { .. }) => Err(Problem::internal(&error.to_string())),
    }
}
