//! `WWW-Authenticate`, in the scheme of the client: Bearer (RFC 6750 §3), or DPoP (RFC 9449 §7.1) for one that proves a key with each request.

use axum::http::{HeaderName, HeaderValue};
use countersign_pdp_engine::Denial;
use countersign_pdp_engine::decide::Demand;
use countersign_sdk_types::DenialCode;

use super::text;
use crate::proofs::Terms;

/// The header in which a client learns the nonce for its next proof (RFC 9449 §8.1).
pub(super) const NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// RFC 9470 §3. Level and age only: the reasons are for operators and for the subject's own page.
pub(super) fn step_up(demand: &Demand, proving: Option<&Terms>) -> String {
    let error = format!(
        "error=\"insufficient_user_authentication\", error_description=\"a different authentication level is required\", acr_values=\"{}\", max_age=\"{}\"",
        demand.acr, demand.max_age.0
    );
    scheme(Some(error), proving)
}

/// What a client without a session, or with a token that is none, is told.
pub(super) fn refused(denial: &Denial, proving: Option<&Terms>) -> String {
    let error = match denial.code() {
        DenialCode::NoCredentials => None,
        DenialCode::InvalidProof | DenialCode::UseNonce => Some(denial.code().as_str()),
        _ => Some("invalid_token"),
    };
    scheme(error.map(|error| format!("error=\"{error}\"")), proving)
}

fn scheme(error: Option<String>, proving: Option<&Terms>) -> String {
    let algorithms = proving.map(|terms| format!("algs=\"{}\"", terms.algorithms));
    let parameters: Vec<_> = error.into_iter().chain(algorithms).collect();
    let scheme = if proving.is_some() { "DPoP" } else { "Bearer" };
    format!("{scheme} {}", parameters.join(", ")).trim_end().to_owned()
}

/// The nonce for the next proof, where one is needed.
pub(super) fn nonce(proving: Option<&Terms>) -> Option<HeaderValue> {
    proving?.nonce.as_deref().map(text)
}
