//! A question and its answer as the decision point reads and writes them, without the wire between.

use std::collections::BTreeSet;
use std::net::IpAddr;

use countersign_pdp_engine::Denial;
use countersign_pdp_engine::decide::{Decision, Demand};
use countersign_pdp_engine::policy::STEP_UP;
use countersign_pdp_engine::request::{Client, RawCheck, RawHttp};
use countersign_pdp_engine::sealed::Sealed;
use countersign_sdk_client::{Error, ErrorKind, Question};
use countersign_sdk_types::strict::{self, Limits};
use countersign_sdk_types::{Acr, DecisionId, DenialCode, EvaluationRequest, EvaluationResponse, Fault, Obligation};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::unavailable;

const SUPPORTED: &str = "supported_obligations";

/// The subject's own request, as `context.http` hands it on.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Presented {
    method: String,
    scheme: String,
    host: String,
    target: String,
    #[serde(default)]
    headers: Vec<(String, String)>,
    client_address: Option<IpAddr>,
}

/// The question as it is sent: with what the enforcement point carries out.
pub(crate) fn asked(question: &Question) -> EvaluationRequest {
    let mut asked = question.asked().clone();
    if !question.supported().is_empty() {
        asked.context.insert(SUPPORTED.to_owned(), json!(question.supported()));
    }
    asked
}

/// What the pipeline takes.
pub(crate) fn raw(sealed: &Sealed, question: &Question) -> Result<RawCheck, Denial> {
    let mut asked = asked(question);
    bounded(&asked)?;
    negotiate(&mut asked.context, &sealed.obligations);
    let presented = asked.context.get("http").cloned().map(serde_json::from_value::<Presented>).transpose();
    let presented = presented.map_err(|error| malformed(format!("`context.http` is refused: {error}")))?;
    let http = presented.map(|http| raw_http(http, sealed)).transpose()?;
    Ok(RawCheck { tenant: sealed.tenant.clone(), pep: sealed.pep.clone(), http, asked: Some(asked) })
}

fn malformed(why: impl Into<String>) -> Denial {
    Denial::new(DenialCode::MalformedRequest, why)
}

/// As large, as deep and as manifold as a body may be that is sent.
fn bounded(asked: &EvaluationRequest) -> Result<(), Denial> {
    let bytes = serde_json::to_vec(asked).map_err(|error| malformed(error.to_string()))?;
    strict::value(&bytes, Limits::REQUEST).map(drop).map_err(|error| malformed(error.to_string()))
}

/// Leaves of what the enforcement point supports what is offered.
fn negotiate(context: &mut Map<String, Value>, offered: &BTreeSet<String>) {
    if let Some(Value::Array(supported)) = context.get_mut(SUPPORTED) {
        supported.retain(|one| one.as_str().is_none_or(|one| offered.contains(one)));
    }
}

fn raw_http(http: Presented, sealed: &Sealed) -> Result<RawHttp, Denial> {
    let client = match http.client_address {
        None => Client::Unknown,
        Some(address) if sealed.pep.asserts_client => Client::Asserted(address),
        Some(_) => return Err(malformed(format!("`{}` may not state a client address", sealed.pep.id))),
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

/// A decision as a response. What the question got wrong, or what cannot be done, is an error.
pub(crate) fn response(id: &DecisionId, decision: &Decision) -> Result<EvaluationResponse, Error> {
    let (decision, mut context) = match decision {
        Decision::Allow(permit) => (true, carried(permit.obligations())),
        Decision::StepUp(demand) => (false, step_up(demand)),
        Decision::Deny(denial) => match denial.fault() {
            Fault::Malformed => return Err(Error::new(ErrorKind::Refused, "decision point refused the question or the caller")),
            Fault::Unavailable => return Err(unavailable("decision point cannot answer now")),
            Fault::Unauthenticated | Fault::Forbidden | Fault::Policy => {
                let mut context = carried(denial.obligations());
                context.insert("reason".to_owned(), json!(denial.code()));
                (false, context)
            }
        },
    };
    context.insert("id".to_owned(), json!(id));
    Ok(EvaluationResponse { decision, context })
}

fn carried(obligations: &[Obligation]) -> Map<String, Value> {
    let mut context = Map::new();
    if !obligations.is_empty() {
        context.insert("obligations".to_owned(), json!(obligations));
    }
    context
}

fn step_up(demand: &Demand) -> Map<String, Value> {
    let (acr, max_age) = (&demand.acr, demand.max_age.0);
    let mut properties = Map::from_iter([("acr_value".to_owned(), json!(acr)), ("max_age".to_owned(), json!(max_age))]);
    let mut hint = Map::from_iter([("acr_values".to_owned(), json!(acr)), ("max_age".to_owned(), json!(max_age))]);
    let methods = match () {
        () if *acr == Acr::phr() => Some(["pop", "user"]),
        () if *acr == Acr::phrh() => Some(["hwk", "user"]),
        () => None,
    };
    if let Some(methods) = methods {
        properties.insert("amr_values".to_owned(), json!(methods));
        hint.insert("amr_values".to_owned(), json!(methods.join(" ")));
    }
    let obligation = Obligation { id: STEP_UP.to_owned(), kind: STEP_UP.to_owned(), properties };
    carried(&[obligation]).into_iter().chain(hint).collect()
}
