//! The listener for OPA's clients: documents with OPA's own semantics, bundles, decision logs. It answers questions about documents and decides nothing:
//! no `Permit` can be reached from here, and no request is let through by what it says unless whoever asked does so.

mod about;
mod active;
mod asked;
mod bundles;
mod chance;
mod data;
pub mod envoy;
mod failure;
mod health;
mod kept;
mod log;
mod options;
mod query;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, any, get, post};
use countersign_sdk_types::Timestamp;
use subtle::ConstantTimeEq as _;
use tokio::sync::{Semaphore, watch};

pub(crate) use self::bundles::{Configured, Delay};
pub(crate) use self::log::{LogOptions, Rules};
pub use self::options::Options;
pub(crate) use self::options::{Resource, token_digest};

use self::active::{Activation, Active, Check};
use self::bundles::Bundles;
use self::failure::Failure;
use self::kept::Kept;
use self::log::DecisionLog;
use crate::clock::Clock;
use crate::metrics::Metrics;

/// Evaluations at once, for each core.
const EVALUATIONS: usize = 4;
/// The longest token that is compared.
const LONGEST_TOKEN: usize = 4096;

/// Everything that the listener works with.
#[derive(Debug)]
pub struct Opa {
    options: Options,
    activation: Arc<Activation>,
    bundles: Bundles,
    log: Option<DecisionLog>,
    labels: Arc<BTreeMap<String, String>>,
    clock: Clock,
    metrics: Arc<Metrics>,
    evaluations: Arc<Semaphore>,
    requests: AtomicU64,
    /// Everything was in place at least once.
    ready_once: AtomicBool,
}

impl Opa {
    /// A listener on configured bundles. Nothing is looked at yet.
    ///
    /// # Errors
    /// Where the evaluator cannot be set up.
    pub(crate) fn new(options: Options, store: &std::path::Path, clock: Clock, metrics: Arc<Metrics>) -> Result<Self, String> {
        Self::checked_by(crate::jail::check_library, options, store, clock, metrics)
    }

    fn checked_by(
        check: Check,
        mut options: Options,
        store: &std::path::Path,
        clock: Clock,
        metrics: Arc<Metrics>,
    ) -> Result<Self, String> {
        let activation = Arc::new(Activation::new(check).map_err(|error| error.to_string())?);
        let own = [("id", chance::uuid()), ("version", env!("CARGO_PKG_VERSION").to_owned())];
        let own = own.into_iter().map(|(name, value)| (name.to_owned(), value));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            bundles: Bundles::new(std::mem::take(&mut options.bundles), Arc::clone(&activation), Kept::under(store)),
            log: options.log.take().map(|log| DecisionLog::new(log, Arc::clone(&metrics))),
            labels: Arc::new(own.chain(options.labels.clone()).collect()),
            evaluations: Arc::new(Semaphore::new(cores * EVALUATIONS)),
            requests: AtomicU64::new(1),
            ready_once: AtomicBool::new(false),
            options,
            activation,
            clock,
            metrics,
        })
    }

    /// Whether everything that is configured on this machine could be served. Writes nothing and asks nobody.
    ///
    /// # Errors
    /// Every problem, one a line.
    pub(crate) async fn check(options: &Options) -> Result<(), String> {
        let activation = Activation::new(crate::jail::check_library).map_err(|error| error.to_string())?;
        bundles::check(&options.bundles, &activation).await
    }

    /// Activates what is on this machine: folders, files, and what was kept of bundles that come from elsewhere.
    pub(crate) async fn start(&self) {
        self.bundles.start().await;
    }

    /// Keeps bundles fresh and sends the log, until told to stop.
    pub(crate) async fn run(self: Arc<Self>, stop: watch::Receiver<bool>) {
        let log = async {
            if let Some(log) = &self.log {
                log.run(stop.clone()).await;
            }
        };
        tokio::join!(self.bundles.run(stop.clone()), log);
    }

    /// Sends the rest of the log, when nobody asks any more.
    pub(crate) async fn end(&self) {
        if let Some(log) = &self.log {
            log.end().await;
        }
    }

    /// Asks what is active, on a thread that may take long: so many at once, and whoever gave up waiting still counts until it is done.
    async fn evaluate<T: Send + 'static>(&self, ask: impl FnOnce(&Active) -> T + Send + 'static) -> Result<(T, Arc<Active>), Failure> {
        let place = Arc::clone(&self.evaluations).acquire_owned().await.map_err(|_| Failure::internal("server is ending"))?;
        let active = self.activation.now();
        let asked = Arc::clone(&active);
        let evaluated = tokio::task::spawn_blocking(move || {
            let answer = ask(&asked);
            drop(place);
            answer
        });
        let answer = evaluated.await.map_err(|_| Failure::internal("evaluator panicked"))?;
        Ok((answer, active))
    }

    fn next_request(&self) -> u64 {
        self.requests.fetch_add(1, Ordering::Relaxed)
    }

    /// OPA's names for what is configured, and how it is.
    fn plugin_states(&self) -> BTreeMap<&'static str, &'static str> {
        let bundle = ("bundle", if self.bundles.are_active() { "OK" } else { "NOT_READY" });
        let log = self.log.as_ref().map(|_| ("decision_logs", "OK"));
        [bundle].into_iter().chain(log).collect()
    }

    /// Whether the caller brings the token; anybody may ask where none is configured.
    fn admits(&self, headers: &HeaderMap) -> bool {
        let Some(wanted) = &self.options.token else { return true };
        presented(headers).is_some_and(|token| bool::from(token_digest(token).0.ct_eq(&wanted.0)))
    }
}

fn presented(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && token.len() <= LONGEST_TOKEN).then_some(token)
}

/// The router of the listener.
pub(crate) fn router(opa: Arc<Opa>) -> Router {
    let data = || get(data::get).post(data::post).fallback(read_only);
    Router::new()
        .route("/", get(about::index).post(data::post_default))
        .merge(both_ways("/v0/data", post(data::post_bare)))
        .route("/v0/data/{*path}", post(data::post_bare))
        .merge(both_ways("/v1/data", data()))
        .route("/v1/data/{*path}", data())
        .merge(both_ways("/v1/query", get(query::get).post(query::post)))
        .merge(both_ways("/v1/compile", any(no_compile)))
        .route("/v1/compile/{*path}", any(no_compile))
        .merge(both_ways("/v1/policies", get(about::policies).fallback(read_only)))
        .route("/v1/policies/{*id}", get(about::policy).fallback(read_only))
        .merge(both_ways("/v1/config", get(about::config)))
        .merge(both_ways("/v1/status", get(about::status)))
        .merge(both_ways("/health", get(health::health)))
        .route("/health/{*name}", get(health::by_policy))
        .route("/metrics", get(about::measured))
        .fallback(async || Failure::not_found("there is nothing here"))
        .method_not_allowed_fallback(async || Failure::method("this cannot be done here"))
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&opa), guard))
        .with_state(opa)
}

/// Clients write it with and without a slash at its end.
fn both_ways(path: &str, answered: MethodRouter<Arc<Opa>>) -> Router<Arc<Opa>> {
    Router::new().route(path, answered.clone()).route(&format!("{path}/"), answered)
}

/// Reads the body before anybody answers: a connection whose body was left unread is closed, and clients that keep theirs would lose the next request.
async fn guard(State(opa): State<Arc<Opa>>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let mut response = match to_bytes(body, opa.options.largest_body).await {
        Ok(bytes) => admitted(&opa, Request::from_parts(parts, Body::from(bytes)), next).await,
        Err(_) => Failure::parameter("request body too large").into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Probes may ask about health without a token, and nobody about anything else.
async fn admitted(opa: &Opa, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_probe = request.method() == Method::GET && (path == "/health" || path.starts_with("/health/"));
    if is_probe || opa.admits(request.headers()) {
        return next.run(request).await;
    }
    let mut response = Failure::unauthorized().into_response();
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

async fn read_only() -> Failure {
    Failure::method("modules and data come from bundles and folders; they are not changed through this API")
}

async fn no_compile() -> Failure {
    Failure::not_implemented(
        "the Compile API needs partial evaluation, which this engine does not have: ask for whole decisions at /v1/data",
    )
}

/// As Go writes a time (RFC 3339).
fn rfc3339(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.0).unwrap_or_default().to_string()
}
