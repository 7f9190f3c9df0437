//! Enrolment codes: an operator lets one subject enrol a passkey, once, for some minutes. Only a digest of the code is kept.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use countersign_pdp_store::StateEvent;
use countersign_sdk_types::{Digest, Seconds, SubjectId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ControlService;
use super::asked::{Body, Who, name};
use super::guard::Operator;
use super::problem::Problem;
use crate::openapi::{Refused, instant};

/// Asks for a code.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct IssueCode {
    pub(crate) subject: Who,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 60)]
    pub(crate) minutes: Option<u64>,
}

/// A code. It is told once.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct IssuedCode {
    pub(crate) code: String,
    #[schema(schema_with = instant)]
    pub(crate) expires: Timestamp,
    pub(crate) url: Option<String>,
}

const USUAL_MINUTES: u64 = 15;
const MOST_MINUTES: u64 = 60;

/// 32 symbols without I, L, O and U (Crockford's base32): read aloud and typed without doubt.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// 140 bits, in blocks of four.
const SYMBOLS: usize = 28;
const BLOCK: usize = 4;

/// Lets one subject enrol a passkey, once, for some minutes.
#[utoipa::path(
    post,
    path = "/countersign/v1/enroll-codes",
    request_body = IssueCode,
    responses((status = 201, body = IssuedCode, description = "The code. It is told once."), Refused)
)]
pub(super) async fn issue(
    State(service): State<Arc<ControlService>>,
    Extension(operator): Extension<Operator>,
    Body(IssueCode { subject, minutes }): Body<IssueCode>,
) -> Result<(StatusCode, Json<IssuedCode>), Problem> {
    let minutes = minutes.unwrap_or(USUAL_MINUTES);
    if !(1..=MOST_MINUTES).contains(&minutes) {
        return Err(Problem::malformed("`minutes` is a number from 1 to 60"));
    }
    let (subject, expires) = (subject.of(&service.tenant), service.now().after(Seconds(minutes * 60)));
    let named = name(&subject);
    let (code, event) = made(subject, expires, operator.by()).ok_or_else(|| Problem::internal("the system gives no random numbers"))?;
    service.commit(&operator, "issue enrolment code", &named, event).await?;
    Ok((StatusCode::CREATED, Json(IssuedCode { code, expires, url: service.enroll_url.clone() })))
}

/// A fresh code, and the event that makes it good.
pub(crate) fn made(subject: SubjectId, expires: Timestamp, by: String) -> Option<(String, StateEvent)> {
    let text = fresh()?;
    let code = code_digest(&text)?;
    Some((text, StateEvent::EnrollCodeIssued { code, subject, expires, by }))
}

fn fresh() -> Option<String> {
    let mut random = [0_u8; SYMBOLS];
    aws_lc_rs::rand::fill(&mut random).ok()?;
    let symbols: Option<Vec<u8>> = random.iter().map(|byte| ALPHABET.get(usize::from(byte & 31)).copied()).collect();
    let blocks: Option<Vec<String>> = symbols?.chunks(BLOCK).map(|block| String::from_utf8(block.to_vec()).ok()).collect();
    blocks.map(|blocks| blocks.join("-"))
}

/// The digest by which a code is known, from what a person typed: case, spaces and dashes do not matter, and O, I and L are taken for 0, 1 and 1.
/// `None` for what cannot be a code.
#[must_use]
pub fn code_digest(text: &str) -> Option<Digest> {
    if text.len() > 4 * SYMBOLS {
        return None;
    }
    let is_filling = |symbol: &char| symbol.is_whitespace() || matches!(symbol, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}');
    let read = text.chars().filter(|symbol| !is_filling(symbol)).map(|symbol| match symbol.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    });
    let normalized: String = read.collect();
    let fits = normalized.len() == SYMBOLS && normalized.bytes().all(|symbol| ALPHABET.contains(&symbol));
    let digest = || *blake3::Hasher::new_derive_key("countersign enrolment code 1").update(normalized.as_bytes()).finalize().as_bytes();
    fits.then(|| Digest(digest()))
}
