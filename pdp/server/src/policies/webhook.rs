//! The one thing that whoever keeps the policies may tell over the network: that there is something new. It is proved by a shared secret, believed in
//! nothing else, and wakes one look.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use axum::Router;
use axum::body::{Body, Bytes, HttpBody as _, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use countersign_sdk_types::Digest;
use subtle::ConstantTimeEq as _;
use tokio::sync::Semaphore;

use super::Policies;
use crate::metrics::{Metrics, WebhookOutcome};

/// The largest body. What is in it is not read, only signed.
const LARGEST: usize = 1024 * 1024;
/// How long a body may take.
const BODY_WITHIN: Duration = Duration::from_secs(10);
/// Bodies that are read at once. Until they are, nothing is proved, and operators come through the same listener.
const PLACES: usize = 4;
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
    proof: Proof,
    policies: Arc<Policies>,
    metrics: Arc<Metrics>,
}

/// How the secret is proved.
struct Proof {
    secret: WebhookSecret,
    places: Semaphore,
    within: Duration,
}

impl Hook {
    pub(crate) fn new(secret: WebhookSecret, policies: Arc<Policies>, metrics: Arc<Metrics>) -> Self {
        Self { proof: Proof::new(secret), policies, metrics }
    }
}

impl Proof {
    const fn new(secret: WebhookSecret) -> Self {
        Self { secret, places: Semaphore::const_new(PLACES), within: BODY_WITHIN }
    }
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
        (status = 408, description = "The body took longer than 10 seconds."),
        (status = 413, description = "The body is larger than 1 MiB."),
        (status = 503, description = "Four others are telling. `Retry-After` says when there may be room."),
    ),
    security(())
)]
pub(crate) async fn told(State(hook): State<Arc<Option<Hook>>>, request: Request) -> Response {
    let Some(hook) = hook.as_ref() else { return StatusCode::NOT_FOUND.into_response() };
    let (parts, body) = request.into_parts();
    let status = hook.proof.check(&parts.headers, body).await;
    hook.metrics.policy_webhook(if status == StatusCode::ACCEPTED { WebhookOutcome::Taken } else { WebhookOutcome::Refused });
    match status {
        StatusCode::ACCEPTED => hook.policies.wake(),
        StatusCode::SERVICE_UNAVAILABLE => return (status, [(header::RETRY_AFTER, "1")]).into_response(),
        _ => {}
    }
    status.into_response()
}

impl Proof {
    /// What is answered. A body is read only where there is a signature that could be its own, and never many, or for long: whoever sends it proved nothing.
    async fn check(&self, headers: &HeaderMap, body: Body) -> StatusCode {
        let proves = match (only(headers, &SIGNATURE), only(headers, &TOKEN)) {
            (Some(signature), None) => match signature.strip_prefix(b"sha256=").and_then(unhex) {
                Some(signature) => match self.read(body).await {
                    Ok(body) => hmac::verify(&self.secret.key, &body, &signature).is_ok(),
                    Err(status) => return status,
                },
                None => false,
            },
            (None, Some(token)) => (SHORTEST..=LONGEST).contains(&token.len()) && bool::from(digest(token).0.ct_eq(&self.secret.token.0)),
            _ => false,
        };
        if proves { StatusCode::ACCEPTED } else { StatusCode::UNAUTHORIZED }
    }

    async fn read(&self, body: Body) -> Result<Bytes, StatusCode> {
        let _place = self.places.try_acquire().map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
        if body.size_hint().lower() > LARGEST as u64 {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        let read = tokio::time::timeout(self.within, to_bytes(body, LARGEST)).await;
        read.map_err(|_| StatusCode::REQUEST_TIMEOUT)?.map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)
    }
}

fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a [u8]> {
    let mut all = headers.get_all(name).iter();
    match (all.next(), all.next()) {
        (Some(value), None) => Some(value.as_bytes()),
        _ => None,
    }
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

    fn proof() -> Proof {
        Proof::new(WebhookSecret::new(SECRET).unwrap())
    }

    fn signed(body: &[u8]) -> String {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), body);
        format!("sha256={}", tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>())
    }

    async fn check(headers: &[(&HeaderName, &str)], body: &'static [u8], expected: StatusCode) {
        let headers: HeaderMap = headers.iter().map(|(name, value)| ((*name).clone(), value.parse().unwrap())).collect();
        let answered = proof().check(&headers, Body::from(body)).await;
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

    fn claimed(signature: &str) -> HeaderMap {
        HeaderMap::from_iter([(SIGNATURE, signature.parse().unwrap())])
    }

    /// A body that never ends.
    fn endless() -> Body {
        Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>())
    }

    #[tokio::test]
    async fn a_body_is_bounded() {
        let chunks = (0..=LARGEST / 1024).map(|_| Ok::<_, std::io::Error>(Bytes::from_static(&[0; 1024])));
        let unnamed = Body::from_stream(futures_util::stream::iter(chunks));
        for body in [Body::from(vec![0; LARGEST + 1]), unnamed] {
            assert_eq!(proof().check(&claimed(&signed(b"")), body).await, StatusCode::PAYLOAD_TOO_LARGE);
        }
        let proof = Proof { within: Duration::from_millis(50), ..proof() };
        assert_eq!(proof.check(&claimed(&signed(b"")), endless()).await, StatusCode::REQUEST_TIMEOUT);
    }

    #[tokio::test]
    async fn what_cannot_prove_anything_is_not_read() {
        let refused = |headers| async move { proof().check(&headers, endless()).await };
        for headers in [HeaderMap::new(), claimed("sha256=00"), claimed(&signed(b"").replace("sha256", "sha1"))] {
            let answered = tokio::time::timeout(Duration::from_secs(5), refused(headers)).await;
            assert_eq!(answered, Ok(StatusCode::UNAUTHORIZED));
        }
    }

    #[tokio::test]
    async fn few_are_read_at_once() {
        let proof = Arc::new(proof());
        let headers = claimed(&signed(b""));
        let slow: Vec<_> = (0..PLACES)
            .map(|_| {
                let (proof, headers) = (Arc::clone(&proof), headers.clone());
                tokio::spawn(async move { proof.check(&headers, endless()).await })
            })
            .collect();
        while proof.places.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(proof.check(&headers, Body::empty()).await, StatusCode::SERVICE_UNAVAILABLE);
        let token = HeaderMap::from_iter([(TOKEN, SECRET.parse().unwrap())]);
        assert_eq!(proof.check(&token, endless()).await, StatusCode::ACCEPTED, "that takes no place");
        slow.iter().for_each(tokio::task::JoinHandle::abort);
        for slow in slow {
            let _ = slow.await;
        }
        assert_eq!(proof.check(&headers, Body::empty()).await, StatusCode::ACCEPTED);
    }

    #[test]
    fn what_can_be_guessed_is_no_secret() {
        assert!(WebhookSecret::new("short").is_err() && WebhookSecret::new(&"x".repeat(513)).is_err());
        assert!(!format!("{:?}", WebhookSecret::new(SECRET).unwrap()).contains("secret of"));
    }
}
