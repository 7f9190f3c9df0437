//! AuthZEN Authorization API 1.0, access evaluation (§6): `POST /access/v1/evaluation`. A step-up is `decision: false` with an obligation.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use countersign_pdp_engine::Denial;
use countersign_pdp_engine::decide::{Decision, Demand, Permit};
use countersign_pdp_engine::request::{Client, Pep, RawCheck, RawHttp};
use countersign_sdk_types::strict::{self, Limits};
use countersign_sdk_types::{DenialCode, EvaluationRequest, EvaluationResponse, Fault};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::enforcer;
use crate::metrics::Door;
use crate::pipeline::Answer;
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

/// `POST /access/v1/evaluation`.
pub async fn evaluate(
    State(decider): State<Arc<Decider>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut response = match enforcer(&headers, peer.ip(), &decider.enforcers) {
        Err(_) => {
            (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Countersign-Pep")], "the caller is not a known enforcement point")
                .into_response()
        }
        Ok(enforcer) => match parse(&decider, enforcer.pep.clone(), &headers, &body) {
            Err(denial) => (StatusCode::BAD_REQUEST, denial.to_string()).into_response(),
            Ok(check) => render(&decider.pdp.check(Door::Authzen, Ok(check)).await),
        },
    };
    if let Some(id) = headers.get("x-request-id") {
        response.headers_mut().insert("x-request-id", id.clone());
    }
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn parse(decider: &Decider, pep: Pep, headers: &HeaderMap, body: &[u8]) -> Result<RawCheck, Denial> {
    let malformed = |why: String| Denial::new(DenialCode::MalformedRequest, why);
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.split(';').next().map(str::trim) != Some("application/json") {
        return Err(malformed("content type is not application/json".to_owned()));
    }
    let asked: EvaluationRequest = strict::from_slice(body, Limits::REQUEST).map_err(|error| malformed(error.to_string()))?;
    let presented = asked.context.get("http").cloned().map(serde_json::from_value::<Presented>).transpose();
    let presented = presented.map_err(|error| malformed(format!("`context.http`: {error}")))?;
    let http = presented.map(|http| raw_http(http, &pep)).transpose()?;
    Ok(RawCheck { tenant: decider.tenant.clone(), pep, http, asked: Some(asked) })
}

fn raw_http(http: Presented, pep: &Pep) -> Result<RawHttp, Denial> {
    let client = match http.client_address {
        None => Client::Unknown,
        Some(address) if pep.asserts_client => Client::Asserted(address),
        Some(_) => return Err(Denial::new(DenialCode::NotAssertable, format!("`{}` may not state a client address", pep.id))),
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

fn render(answer: &Answer) -> Response {
    let (status, decision, mut context) = match &answer.decision {
        Decision::Allow(permit) => allow(permit),
        Decision::StepUp(demand) => (StatusCode::OK, false, step_up(demand, answer.ceremony.as_deref())),
        Decision::Deny(denial) => deny(denial),
    };
    context.insert("id".to_owned(), json!(answer.id));
    (status, axum::Json(EvaluationResponse { decision, context })).into_response()
}

fn allow(permit: &Permit) -> (StatusCode, bool, Map<String, Value>) {
    let obligations = permit.obligations();
    let context = if obligations.is_empty() { Map::new() } else { object(json!({"obligations": obligations})) };
    (StatusCode::OK, true, context)
}

/// The obligation of the Obligations profile, the hint of RFC 9470, and for a browser that navigates, where the ceremony begins.
fn step_up(demand: &Demand, ceremony: Option<&str>) -> Map<String, Value> {
    let (acr, max_age) = (&demand.acr, demand.max_age.0);
    let obligation = json!({"id": "step-up", "type": "step-up", "properties": {"acr_value": acr, "max_age": max_age}});
    let mut context = object(json!({"obligations": [obligation], "acr_values": acr, "max_age": max_age}));
    if let Some(url) = ceremony {
        context.insert("step_up".to_owned(), json!({"url": url}));
    }
    context
}

/// A denial is an answer; only what the caller got wrong, or what we cannot do, is an HTTP error.
fn deny(denial: &Denial) -> (StatusCode, bool, Map<String, Value>) {
    let status = match denial.fault() {
        Fault::Malformed => StatusCode::BAD_REQUEST,
        Fault::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Fault::Unauthenticated | Fault::Forbidden | Fault::Policy => StatusCode::OK,
    };
    (status, false, object(json!({"reason": denial.code()})))
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    //! No denial says true.

    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn no_denial_says_true() {
        for code in DenialCode::ALL {
            let decision = Decision::Deny(Denial::new(*code, "why"));
            let response = render(&Answer { id: "i".to_owned(), decision, subject: None, level: None, asked: None, ceremony: None });
            let body = response.into_body().collect().await.unwrap().to_bytes();
            let body: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(body["decision"], false, "{code}");
            assert_eq!(body["context"]["reason"], code.as_str());
        }
    }
}
