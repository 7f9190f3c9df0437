//! Who may operate: a local process of root or of our own user, or the holder of an operator's key. Never a browser.

use std::fmt;
use std::sync::Arc;

use axum::body::HttpBody as _;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use countersign_sdk_types::Digest;
use subtle::ConstantTimeEq as _;

use super::ControlService;
use super::problem::Problem;
use crate::front_door::UnixPeer;

/// An operator who may come over the network. Only the digest of the secret is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct OperatorKey {
    name: String,
    secret: Digest,
}

/// Why a key cannot be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OperatorKeyError {
    /// The name is part of the credential, and of every event.
    #[error("the name of an operator is 1 to 64 letters, digits, `.`, `_`, `-` or `@`")]
    Name,
    /// What can be guessed is no key.
    #[error("the secret of an operator is shorter than 32 characters")]
    Short,
}

/// The shortest secret, in bytes.
const SHORTEST: usize = 32;
/// The longest that is hashed.
const LONGEST: usize = 512;

impl OperatorKey {
    /// The key of an operator. The secret itself is forgotten.
    ///
    /// # Errors
    /// When the name has other characters, or the secret is shorter than 32 characters.
    pub fn new(name: &str, secret: &str) -> Result<Self, OperatorKeyError> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-@".contains(&byte);
        if !(1..=64).contains(&name.len()) || !name.bytes().all(fits) {
            return Err(OperatorKeyError::Name);
        }
        if secret.len() < SHORTEST {
            return Err(OperatorKeyError::Short);
        }
        Ok(Self { name: name.to_owned(), secret: digest(secret) })
    }
}

impl fmt::Debug for OperatorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OperatorKey").field("name", &self.name).finish_non_exhaustive()
    }
}

fn digest(secret: &str) -> Digest {
    Digest(*blake3::Hasher::new_derive_key("countersign operator key 1").update(secret.as_bytes()).finalize().as_bytes())
}

/// The authenticated operator, as events name them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Operator(String);

impl Operator {
    pub(super) fn by(&self) -> String {
        self.0.clone()
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Lets operators pass, and nobody else. Nothing that it answers is cached or guessed at.
pub(super) async fn guard(State(service): State<Arc<ControlService>>, mut request: Request, next: Next) -> Response {
    let mut response = match admit(&service, &request) {
        Err(problem) => problem.into_response(),
        Ok(operator) => {
            request.extensions_mut().insert(operator);
            next.run(request).await
        }
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn admit(service: &ControlService, request: &Request) -> Result<Operator, Problem> {
    let headers = request.headers();
    if is_browser(headers) {
        tracing::warn!("a browser called the control API");
        return Err(Problem::browser());
    }
    let local = request.extensions().get::<UnixPeer>().and_then(local);
    let operator = local.or_else(|| remote(headers, &service.operators)).ok_or_else(Problem::unauthenticated)?;
    if !request.body().is_end_stream() && !is_json(headers) {
        return Err(Problem::not_json());
    }
    Ok(operator)
}

/// A page of any origin, also of this host under another name, sends at least one of these.
fn is_browser(headers: &HeaderMap) -> bool {
    let fetched = headers.get_all("sec-fetch-site").iter().any(|site| site.as_bytes() != b"none");
    fetched || headers.contains_key(header::ORIGIN)
}

/// A body that a page could send without asking first is not JSON.
fn is_json(headers: &HeaderMap) -> bool {
    let mut kinds = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(kind), None) = (kinds.next().and_then(|kind| kind.to_str().ok()), kinds.next()) else { return false };
    let essence = kind.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

fn local(peer: &UnixPeer) -> Option<Operator> {
    let own = rustix::process::geteuid().as_raw();
    (peer.uid == 0 || peer.uid == own).then(|| Operator(format!("uid:{}", peer.uid)))
}

/// `Authorization: Bearer NAME:SECRET`. Digests are compared, in constant time.
fn remote(headers: &HeaderMap, operators: &[OperatorKey]) -> Option<Operator> {
    let mut presented = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(presented), None) = (presented.next(), presented.next()) else { return None };
    let (scheme, credential) = presented.to_str().ok()?.split_once(' ')?;
    let (name, secret) = credential.split_once(':')?;
    if !scheme.eq_ignore_ascii_case("bearer") || !(SHORTEST..=LONGEST).contains(&secret.len()) {
        return None;
    }
    let secret = digest(secret);
    let opened = operators.iter().find(|key| bool::from(key.secret.0.ct_eq(&secret.0)) && key.name == name);
    opened.map(|key| Operator(key.name.clone()))
}
