//! The one thing that whoever keeps the policies may tell over the network: that there is something new. It is proved by a shared secret, believed in
//! nothing else, and wakes one look.

use std::sync::Arc;

use aws_lc_rs::hmac;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::routing::post;
use countersign_sdk_types::Digest;
use subtle::ConstantTimeEq as _;

use super::Policies;
use crate::metrics::{Metrics, WebhookOutcome};

/// The largest body. What is in it is not read, only signed.
const LARGEST: usize = 2 * 1024 * 1024;
/// The shortest secret, and the longest that is compared.
const SHORTEST: usize = 16;
const LONGEST: usize = 512;

/// GitHub, and Gitea and Forgejo after it: HMAC-SHA256 over the body, in hexadecimal.
const SIGNATURE: HeaderName = HeaderName::from_static("x-hub-signature-256");
/// GitLab: the secret itself.
const TOKEN: HeaderName = HeaderName::from_static("x-gitlab-token");

/// What whoever tells has in common with this server.
pub struct WebhookSecret {
    key: hmac::Key,
    token: Digest,
}

/// Why a secret is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the secret is not 16 to 512 characters long")]
pub struct WebhookSecretError;

impl WebhookSecret {
    /// A secret.
    ///
    /// # Errors
    /// When it can be guessed, or is longer than anybody writes.
    pub fn new(secret: &str) -> Result<Self, WebhookSecretError> {
        if !(SHORTEST..=LONGEST).contains(&secret.len()) {
            return Err(WebhookSecretError);
        }
        Ok(Self { key: hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), token: digest(secret.as_bytes()) })
    }
}

impl std::fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebhookSecret").finish_non_exhaustive()
    }
}

fn digest(secret: &[u8]) -> Digest {
    Digest(*blake3::Hasher::new_derive_key("countersign webhook token 1").update(secret).finalize().as_bytes())
}

/// What the endpoint works with.
pub(crate) struct Hook {
    pub(crate) secret: WebhookSecret,
    pub(crate) policies: Arc<Policies>,
    pub(crate) metrics: Arc<Metrics>,
}

/// The endpoint: it is not for operators, and stands outside of their guard. Without a secret nothing is behind it.
pub(crate) fn router(hook: Option<Hook>) -> Router {
    Router::new().route("/countersign/v1/policies/webhook", post(told)).with_state(Arc::new(hook))
}

/// There is something new where policies come from: it is looked at.
#[utoipa::path(
    post,
    path = "/countersign/v1/policies/webhook",
    operation_id = "policies_webhook",
    params(
        ("X-Hub-Signature-256" = Option<String>, Header, description = "`sha256=` and the HMAC-SHA256 of the body in hexadecimal: GitHub, Gitea, Forgejo."),
        ("X-Gitlab-Token" = Option<String>, Header, description = "The secret itself: GitLab."),
    ),
    responses(
        (status = 202, description = "The source is looked at, soon after the last look. Nothing of the body is believed."),
        (status = 401, description = "Neither header proves the secret."),
        (status = 404, description = "No secret is configured, so nobody may tell."),
        (status = 413, description = "The body is larger than 2 MiB."),
    ),
    security(())
)]
pub(crate) async fn told(State(hook): State<Arc<Option<Hook>>>, request: Request) -> StatusCode {
    let Some(hook) = hook.as_ref() else { return StatusCode::NOT_FOUND };
    let (parts, body) = request.into_parts();
    let status = proved(&hook.secret, &parts.headers, body).await;
    hook.metrics.policy_webhook(if status == StatusCode::ACCEPTED { WebhookOutcome::Taken } else { WebhookOutcome::Refused });
    if status == StatusCode::ACCEPTED {
        hook.policies.wake();
    }
    status
}

/// What is answered. A body is read only where its signature is there to be checked.
async fn proved(secret: &WebhookSecret, headers: &HeaderMap, body: Body) -> StatusCode {
    let proves = match (only(headers, &SIGNATURE), only(headers, &TOKEN)) {
        (Some(signature), None) => match to_bytes(body, LARGEST).await {
            Ok(body) => is_signed(secret, signature, &body),
            Err(_) => return StatusCode::PAYLOAD_TOO_LARGE,
        },
        (None, Some(token)) => (SHORTEST..=LONGEST).contains(&token.len()) && bool::from(digest(token).0.ct_eq(&secret.token.0)),
        _ => false,
    };
    if proves { StatusCode::ACCEPTED } else { StatusCode::UNAUTHORIZED }
}

fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a [u8]> {
    let mut all = headers.get_all(name).iter();
    match (all.next(), all.next()) {
        (Some(value), None) => Some(value.as_bytes()),
        _ => None,
    }
}

fn is_signed(secret: &WebhookSecret, signature: &[u8], body: &[u8]) -> bool {
    let signature = signature.strip_prefix(b"sha256=").and_then(unhex);
    signature.is_some_and(|signature| hmac::verify(&secret.key, body, &signature).is_ok())
}

fn unhex(text: &[u8]) -> Option<[u8; 32]> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut bytes = [0; 32];
    if text.len() != 2 * bytes.len() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        let &[high, low] = pair else { return None };
        *byte = digit(high)? << 4 | digit(low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "a secret of some length";

    fn signed(body: &[u8]) -> String {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), body);
        format!("sha256={}", tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>())
    }

    async fn check(headers: &[(&HeaderName, &str)], body: &'static [u8], expected: StatusCode) {
        let headers: HeaderMap = headers.iter().map(|(name, value)| ((*name).clone(), value.parse().unwrap())).collect();
        let answered = proved(&WebhookSecret::new(SECRET).unwrap(), &headers, Body::from(body)).await;
        assert_eq!(answered, expected, "{headers:?}");
    }

    #[tokio::test]
    async fn a_secret_is_proved_or_nothing_happens() {
        const BODY: &[u8] = b"{\"ref\":\"refs/heads/main\"}";
        let (good, other) = (signed(BODY), signed(b"another body"));
        check(&[(&SIGNATURE, &good)], BODY, StatusCode::ACCEPTED).await;
        check(&[(&TOKEN, SECRET)], BODY, StatusCode::ACCEPTED).await;
        check(&[(&SIGNATURE, &other)], BODY, StatusCode::UNAUTHORIZED).await;
        check(&[(&SIGNATURE, good.trim_start_matches("sha256="))], BODY, StatusCode::UNAUTHORIZED).await;
        check(&[(&SIGNATURE, &good[..good.len() - 2])], BODY, StatusCode::UNAUTHORIZED).await;
        check(&[(&SIGNATURE, &good.replace("sha256", "sha1"))], BODY, StatusCode::UNAUTHORIZED).await;
        check(&[(&TOKEN, "a secret of some lengtH")], BODY, StatusCode::UNAUTHORIZED).await;
        check(&[(&TOKEN, "")], BODY, StatusCode::UNAUTHORIZED).await;
        check(&[], BODY, StatusCode::UNAUTHORIZED).await;
        check(&[(&SIGNATURE, &good), (&TOKEN, "wrong")], BODY, StatusCode::UNAUTHORIZED).await;
    }

    #[tokio::test]
    async fn a_body_is_bounded() {
        let mut headers = HeaderMap::new();
        headers.insert(SIGNATURE, signed(b"").parse().unwrap());
        let answered = proved(&WebhookSecret::new(SECRET).unwrap(), &headers, Body::from(vec![0; LARGEST + 1])).await;
        assert_eq!(answered, StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[test]
    fn what_can_be_guessed_is_no_secret() {
        assert!(WebhookSecret::new("short").is_err() && WebhookSecret::new(&"x".repeat(513)).is_err());
        assert!(!format!("{:?}", WebhookSecret::new(SECRET).unwrap()).contains("secret of"));
    }
}
