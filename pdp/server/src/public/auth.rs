//! The auth origin: the one place where passkeys live. Its pages, and the four calls that their scripts make.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use countersign_pdp_stepup::{Authorization, Failure};
use countersign_sdk_types::strict::{self, Limits};
use serde::Deserialize;
use serde_json::{Value, json};

use super::visit::{Auth, parameter};
use crate::control::code_digest;
use crate::metrics::StepUpStage;
use crate::pages::{Enroll, Home, StepUp, Trouble};
use crate::step_up::is_proof_failure;

/// What a script sends: small, flat, strict.
const LIMITS: Limits = Limits { bytes: 64 * 1024, depth: 10, values: 500 };

/// `GET /`.
pub(super) async fn home(visit: Auth) -> Response {
    Home { language: visit.language }.into_response()
}

/// `GET /step-up/{ceremony}`.
pub(super) async fn step_up(Path(ceremony): Path<String>, visit: Auth) -> Response {
    let page = || -> Result<Response, Trouble> {
        let now = visit.public.pdp.clock.now();
        let page = visit.stepping_up()?.ceremonies.page(&ceremony, now)?;
        let expires_in = Duration::from_secs(page.expires.since(now).secs().0);
        Ok(StepUp { language: visit.language, host: page.host.as_str(), ceremony: &ceremony, expires_in }.into_response())
    };
    page().unwrap_or_else(|trouble| visit.troubled(trouble))
}

/// `POST /step-up/{ceremony}/challenge`.
pub(super) async fn challenge(Path(ceremony): Path<String>, visit: Auth) -> Response {
    let options = visit.stepping_up().and_then(|step_up| visit.public.pdp.challenge(step_up, &ceremony));
    options.map_or_else(|trouble| trouble.answer(None), |options| Json(options).into_response())
}

/// `POST /step-up/{ceremony}/proof`.
pub(super) async fn proof(Path(ceremony): Path<String>, visit: Auth, body: Bytes) -> Response {
    let answered = prove(&ceremony, &visit, &body).await;
    visit.counted(StepUpStage::Asserted, answered.as_ref());
    answered.unwrap_or_else(|trouble| trouble.answer(None))
}

async fn prove(ceremony: &str, visit: &Auth, body: &[u8]) -> Result<Response, Trouble> {
    let (step_up, pdp) = (visit.stepping_up()?, &visit.public.pdp);
    let now = pdp.clock.now();
    let subject = step_up.ceremonies.subject(ceremony, now)?;
    let proved = match step_up.ceremonies.prove(ceremony, body, now) {
        Ok(proved) => proved,
        Err(failure) => {
            if is_proof_failure(&failure) {
                pdp.failed(&subject, visit.address(), now);
            }
            tracing::warn!(subject = subject.sub, %failure, "step-up proof is refused");
            if let Failure::CounterRegressed { credential } = failure {
                pdp.regressed(&subject, credential);
            }
            return Err(Trouble::Refused);
        }
    };
    let host = proved.demanded().host.clone();
    let code = pdp.proved(step_up, proved).await?;
    let origin = pdp.origin_of(&host).ok_or(Trouble::Unavailable)?;
    Ok(Json(json!({"location": format!("{origin}/.countersign/return?code={}", code.reveal())})).into_response())
}

/// `GET /enroll`, with a ticket or without.
pub(super) async fn enroll(RawQuery(query): RawQuery, visit: Auth) -> Response {
    Enroll { language: visit.language, ticket: parameter(query.as_deref(), "ticket") }.into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Begin {
    code: Option<String>,
    ticket: Option<String>,
}

/// `POST /enroll/begin`: a one-time code of an operator, or the ticket of a browser with a live grant, says who enrols. A token never does.
pub(super) async fn begin(visit: Auth, body: Bytes) -> Response {
    begun(&visit, &body).unwrap_or_else(|trouble| trouble.answer(None))
}

fn begun(visit: &Auth, body: &[u8]) -> Result<Response, Trouble> {
    let (step_up, pdp) = (visit.stepping_up()?, &visit.public.pdp);
    let now = pdp.clock.now();
    let asked: Begin = strict::from_slice(body, LIMITS).map_err(|_| Trouble::CodeInvalid)?;
    let (subject, authorization) = match (asked.code, asked.ticket) {
        (Some(code), None) => {
            let digest = code_digest(&code);
            let found = digest.map(|digest| pdp.store.view().enroll_code(&pdp.tenant, &digest, now)).transpose()?.flatten();
            // 140 bits are not guessed, so a wrong code is nobody's failure: else anybody could raise the risk of a whole address.
            let (Some(digest), Some(code)) = (digest, found) else { return Err(Trouble::CodeInvalid) };
            (code.subject, Authorization::Code(digest))
        }
        (None, Some(ticket)) => {
            let (subject, passkey) = step_up.ceremonies.spend_ticket(&ticket, now)?;
            (subject, Authorization::Grant(passkey))
        }
        _ => return Err(Trouble::CodeInvalid),
    };
    let (enrolment, Value::Object(mut options)) = pdp.begin_enrolment(step_up, subject, authorization)? else {
        return Err(Trouble::Unavailable);
    };
    options.insert("enrolment".to_owned(), Value::String(enrolment));
    Ok(Json(options).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Finish {
    enrolment: String,
    #[serde(default)]
    label: String,
    credential: Value,
}

/// `POST /enroll/finish`.
pub(super) async fn finish(visit: Auth, body: Bytes) -> Response {
    let answered = finished(&visit, &body).await;
    visit.counted(StepUpStage::Enrolled, answered.as_ref());
    answered.unwrap_or_else(|trouble| trouble.answer(None))
}

async fn finished(visit: &Auth, body: &[u8]) -> Result<Response, Trouble> {
    let (step_up, pdp) = (visit.stepping_up()?, &visit.public.pdp);
    let now = pdp.clock.now();
    let sent: Finish = strict::from_slice(body, LIMITS).map_err(|_| Trouble::Refused)?;
    let credential = serde_json::to_vec(&sent.credential).map_err(|_| Trouble::Refused)?;
    let new = step_up.ceremonies.finish_enrolment(&sent.enrolment, &credential, now).map_err(|failure| {
        tracing::warn!(%failure, "enrolment is refused");
        Trouble::Refused
    })?;
    pdp.enrolled(new, &sent.label).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
