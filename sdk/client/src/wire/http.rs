//! AuthZEN over HTTP: `POST /access/v1/evaluation` for one question, `/access/v1/evaluations` for many.

use bytes::Bytes;
use countersign_sdk_types::strict::{self, Limits};
use countersign_sdk_types::{EvaluationRequest, EvaluationResponse};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use serde::{Deserialize, Serialize};

use super::{MAX_MANY, Said, at, body, item, most};
use crate::answer;
use crate::error::{Error, ErrorKind};

const ONE: &str = "/access/v1/evaluation";
const MANY: &str = "/access/v1/evaluations";
const LIMITS: Limits = Limits { bytes: MAX_MANY, depth: 18, values: 50_000 };

#[derive(Serialize)]
struct Questions<'a> {
    evaluations: &'a [EvaluationRequest],
}

#[derive(Deserialize)]
struct Answers {
    evaluations: Vec<EvaluationResponse>,
}

pub(super) fn request(base: &Uri, asked: &[EvaluationRequest]) -> Result<Request<Full<Bytes>>, Error> {
    let unsendable = "question cannot be written";
    let (path, body) = match asked {
        [one] => (ONE, serde_json::to_vec(one)),
        many => (MANY, serde_json::to_vec(&Questions { evaluations: many })),
    };
    let body = body.map_err(|cause| Error::because(ErrorKind::Configuration, unsendable, cause))?;
    Request::builder()
        .method(Method::POST)
        .uri(at(base, path)?)
        .header(CONTENT_TYPE, "application/json")
        .header(ACCEPT, "application/json")
        .body(Full::from(body))
        .map_err(|cause| Error::because(ErrorKind::Configuration, unsendable, cause))
}

pub(super) async fn said(response: Response<Incoming>, count: usize) -> Result<Said, Error> {
    check_status(response.status())?;
    check_type(&response)?;
    let body = body(response, most(count)).await?.to_bytes();
    if count == 1 {
        return Ok(vec![item(answer::response(&body)?)]);
    }
    let answers: Answers = strict::from_slice(&body, LIMITS)
        .map_err(|cause| Error::because(ErrorKind::Malformed, "answer is no list of evaluations", cause))?;
    Ok(answers.evaluations.into_iter().map(item).collect())
}

/// A status that is none of success. A decision point that has too much to do is one that cannot answer now.
pub(crate) fn check_status(status: StatusCode) -> Result<(), Error> {
    match status {
        StatusCode::OK => Ok(()),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => {
            Err(Error::new(ErrorKind::Unavailable, "decision point cannot answer now"))
        }
        status if status.is_client_error() => Err(Error::new(ErrorKind::Refused, "decision point refused the question or the caller")),
        status if status.is_server_error() => Err(Error::new(ErrorKind::Unavailable, "decision point cannot answer now")),
        _ => Err(Error::new(ErrorKind::Malformed, "decision point answered with an unexpected status")),
    }
}

fn check_type(response: &Response<Incoming>) -> Result<(), Error> {
    let given = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") { Ok(()) } else { Err(Error::new(ErrorKind::Malformed, "answer is not JSON")) }
}
