//! `POST /access/v1/evaluation` (§6): one question, one decision.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use countersign_pdp_engine::decide::Decision;
use countersign_pdp_engine::request::{Client, Pep, RawCheck, RawHttp};
use countersign_sdk_types::{EvaluationRequest, EvaluationResponse, Fault, Wanted};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::body::{Document, Members};
use super::caller::Caller;
use super::{Refusal, obligations};
use crate::config::AuthzenUse;
use crate::metrics::Door;
use crate::pipeline::{Answer, Question};
use crate::serve::Decider;

/// The subject's own request, when an application hands it on whole, as `context.http`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Presented {
    method: String,
    scheme: String,
    host: String,
    target: String,
    #[serde(default)]
    headers: Vec<(String, String)>,
    client_address: Option<std::net::IpAddr>,
}

/// Answers one question.
pub(super) async fn evaluate(
    State(decider): State<Arc<Decider>>,
    caller: Caller,
    Document(members): Document,
) -> Result<Json<EvaluationResponse>, Refusal> {
    one(&decider, &caller, &members).await.map(Json)
}

/// The one way to a decision, whichever wire the question came by.
pub(in crate::adapter) async fn one(
    decider: &Decider,
    caller: &Caller,
    members: &Map<String, Value>,
) -> Result<EvaluationResponse, Refusal> {
    caller.may(AuthzenUse::Evaluate)?;
    let (check, wanted) = parse(decider, &caller.0.pep, Members(members).question()?)?;
    render(&decider.pdp.check(Door::Authzen, Question { raw: Ok(check), wanted }).await)
}

/// The member of a context by which a lease or a freshness is asked for. It is about the answer: nothing that decides sees it.
const WANTED: &str = "countersign";

/// What the pipeline takes, and what is wanted of its answer.
pub(super) fn parse(decider: &Decider, pep: &Pep, mut asked: EvaluationRequest) -> Result<(RawCheck, Wanted), Refusal> {
    let wanted = asked.context.remove(WANTED).map(wanted).transpose()?.unwrap_or_default();
    obligations::negotiate(&mut asked.context, &decider.authzen.obligations);
    let presented = asked.context.get("http").cloned().map(serde_json::from_value::<Presented>).transpose();
    let presented = presented.map_err(|error| Refusal::malformed(format!("`context.http` is refused: {error}")))?;
    let http = presented.map(|http| raw_http(http, pep)).transpose()?;
    Ok((RawCheck { tenant: decider.tenant.clone(), pep: pep.clone(), http, asked: Some(asked) }, wanted))
}

fn wanted(value: Value) -> Result<Wanted, Refusal> {
    // A list of the values in their order would be read as well.
    let is_object = value.is_object() && value.get("lease").is_none_or(Value::is_object);
    let read = if is_object { serde_json::from_value(value).map_err(|error| error.to_string()) } else { Err("it is no object".to_owned()) };
    read.map_err(|why| Refusal::malformed(format!("`context.{WANTED}` is refused: {why}")))
}

fn raw_http(http: Presented, pep: &Pep) -> Result<RawHttp, Refusal> {
    let client = match http.client_address {
        None => Client::Unknown,
        Some(address) if pep.asserts_client => Client::Asserted(address),
        Some(_) => return Err(Refusal::malformed(format!("`{}` may not state a client address", pep.id))),
    };
    let headers = http.headers.into_iter().map(|(name, value)| (name, value.into_bytes())).collect();
    Ok(RawHttp {
        method: http.method,
        scheme: http.scheme,
        authority: http.host,
        target: http.target,
        headers,
        client,
        client_certificate: None,
    })
}

/// A decision as the specification writes it. What the caller got wrong, or what we cannot do, is no decision.
pub(super) fn render(answer: &Answer) -> Result<EvaluationResponse, Refusal> {
    let (decision, mut context) = match &answer.decision {
        Decision::Allow(permit) => (true, obligations::carried(permit.obligations())),
        Decision::StepUp(demand) => (false, obligations::step_up(demand)),
        Decision::Deny(denial) => match denial.fault() {
            // The detail of a malformed question is about what this caller sent.
            Fault::Malformed => return Err(Refusal::malformed(denial.to_string())),
            Fault::Unavailable => {
                let refusal = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, denial.code().as_str());
                return Err(Refusal { decided: Some(answer.id.clone()), ..refusal });
            }
            Fault::Unauthenticated | Fault::Forbidden | Fault::Policy => {
                let mut context = obligations::carried(denial.obligations());
                context.insert("reason".to_owned(), json!(denial.code()));
                (false, context)
            }
        },
    };
    // For a browser that navigates: where the ceremony begins.
    if let Some(url) = &answer.ceremony {
        context.insert("step_up".to_owned(), json!({"url": url}));
    }
    if let Some(lease) = answer.lease.as_ref().filter(|_| decision) {
        context.insert("lease".to_owned(), json!(lease));
    }
    if let Some(consistency) = answer.consistency {
        context.insert("consistency".to_owned(), json!(consistency));
    }
    context.insert("id".to_owned(), Value::from(answer.id.clone()));
    Ok(EvaluationResponse { decision, context })
}

#[cfg(test)]
mod tests {
    //! No denial says true.

    use countersign_pdp_engine::Denial;
    use countersign_sdk_types::DenialCode;

    use super::*;

    #[test]
    fn no_denial_says_true() {
        for code in DenialCode::ALL {
            let decision = Decision::Deny(Denial::new(*code, "why"));
            let answer = Answer::of("i".to_owned(), decision);
            match render(&answer) {
                Ok(said) => assert_eq!((said.decision, said.context["reason"].as_str()), (false, Some(code.as_str()))),
                Err(refusal) => assert!(refusal.status.is_client_error() || refusal.status.is_server_error(), "{refusal:?}"),
            }
        }
    }
}
