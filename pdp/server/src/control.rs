//! The control API of operators, under `/countersign/v1/`: revocations, devices, users, credentials, enrolment codes, emergencies, pasts, records.
//!
//! Every request is authenticated, none may come from a browser, every change is an event in the journal that names its operator.

pub(crate) mod asked;
pub(crate) mod code;
pub(crate) mod credentials;
pub(crate) mod emergency;
mod fresh;
mod guard;
pub(crate) mod inventory;
pub(crate) mod learning;
pub(crate) mod policies;
mod problem;
pub(crate) mod records;
pub(crate) mod revocations;

#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::handler::Handler;
use axum::routing::{MethodFilter, MethodRouter, on};
use countersign_pdp_store::{AppendError, Expect, StateEvent, Store, View, ViewError};
use countersign_sdk_types::{Place, PlaceGap, Tenant, Timestamp};
use serde_json::Value;
use tokio::sync::Semaphore;

pub use code::code_digest;
pub(crate) use fresh::CONSISTENCY;
pub use guard::{OperatorKey, OperatorKeyError};
pub use policies::PolicyDesk;
use problem::Problem;
pub(crate) use problem::ProblemDocument;

use guard::Operator;

/// Where every endpoint is.
pub const BASE: &str = "/countersign/v1";

/// What operators work on.
pub struct ControlService {
    /// What must not be lost, and the view of it.
    pub store: Store,
    /// The name of its log of changes.
    pub chain: u64,
    /// The one tenant that is operated on.
    pub tenant: Tenant,
    /// The time; the demonstration has its own.
    pub now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// What is told of the active and the last refused policy. No secret in it.
    pub policy_status: Arc<dyn Fn() -> Value + Send + Sync>,
    /// The policies; none where they are part of the server.
    pub policies: Option<PolicyDesk>,
    /// The page where an enrolment code is entered.
    pub enroll_url: Option<String>,
    /// Who may come over TCP. Nobody by default.
    pub operators: Vec<OperatorKey>,
    /// Where an address is.
    pub place: Arc<dyn Fn(IpAddr) -> Place + Send + Sync>,
    /// Whether subjects of an issuer are known here.
    pub is_issuer: Arc<dyn Fn(&str) -> bool + Send + Sync>,
    /// A walk over both chains is long: one at a time.
    walks: Arc<Semaphore>,
    /// So is an import.
    imports: Arc<Semaphore>,
}

impl ControlService {
    /// A service for the local socket alone, which knows no policy and no page.
    #[must_use]
    pub fn new(store: Store, tenant: Tenant, now: Arc<dyn Fn() -> Timestamp + Send + Sync>) -> Self {
        Self {
            store,
            chain: 0,
            tenant,
            now,
            policy_status: Arc::new(|| Value::Null),
            policies: None,
            enroll_url: None,
            operators: Vec::new(),
            place: Arc::new(|_| Place::Unknown(PlaceGap::NoDatabase)),
            is_issuer: Arc::new(|_| true),
            walks: Arc::new(Semaphore::new(1)),
            imports: Arc::new(Semaphore::new(1)),
        }
    }

    fn now(&self) -> Timestamp {
        (self.now)()
    }

    /// Writes a change down, waits until it is durable, and tells the log who did it. `named` is what was changed, never a secret.
    async fn commit(&self, operator: &Operator, change: &str, named: &str, event: StateEvent) -> Result<(), Problem> {
        match self.store.append(event, Expect::Any).await {
            Ok(_) => {
                tracing::info!(operator = %operator, change, named, "control");
                Ok(())
            }
            Err(error) => {
                tracing::warn!(operator = %operator, change, named, %error, "control change was not made");
                Err(Problem::from(error))
            }
        }
    }

    /// Asks the view on a thread that may wait for the disk.
    async fn read<T: Send + 'static>(&self, ask: impl FnOnce(&View) -> Result<T, ViewError> + Send + 'static) -> Result<T, Problem> {
        let store = self.store.clone();
        let answer = tokio::task::spawn_blocking(move || ask(store.view())).await;
        answer.map_err(|_| Problem::internal("the state could not be read"))?.map_err(|error| Problem::internal(&error.to_string()))
    }
}

impl From<AppendError> for Problem {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Refused(refusal) => Self::conflict(&refusal.to_string()),
            AppendError::TooLarge(_) | AppendError::Form(_) => Self::malformed(&error.to_string()),
            AppendError::Busy => Self::busy(&error.to_string()),
            AppendError::NotWritten(_) | AppendError::Poisoned => Self::internal(&error.to_string()),
        }
    }
}

/// The endpoints, for the document of the listener.
#[derive(utoipa::OpenApi)]
#[openapi(
    paths(
        revocations::list,
        revocations::revoke,
        revocations::undo,
        inventory::list_devices,
        inventory::show_device,
        inventory::set_device,
        inventory::show_user,
        inventory::set_user,
        credentials::list,
        credentials::remove,
        code::issue,
        emergency::break_glass,
        learning::learn,
        records::why,
        policies::show,
        policies::history,
        policies::roll_back,
        policies::promote,
        policies::refresh,
        crate::policies::webhook::told,
        records::status,
        records::calibrate,
        records::verify,
    ),
    components(schemas(ProblemDocument))
)]
pub(crate) struct Described;

/// The router. It has its own fallback, which is behind the same guard: serve it on a listener of its own.
///
/// A connection of the local socket carries [`UnixPeer`](crate::front_door::UnixPeer) in its request extensions; without it only an operator's key opens.
pub fn router(service: Arc<ControlService>) -> Router {
    let routes = endpoints().into_iter();
    let router = routes.fold(Router::new(), |router, endpoint| router.route(&format!("{BASE}{}", endpoint.path), endpoint.route));
    router
        .fallback(async || Problem::unknown("there is nothing here"))
        .method_not_allowed_fallback(async || Problem::method())
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&service), fresh::tell))
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&service), guard::guard))
        .with_state(service)
}

struct Endpoint {
    #[cfg_attr(not(test), expect(dead_code, reason = "the tests go through every endpoint by it"))]
    method: MethodFilter,
    path: &'static str,
    route: MethodRouter<Arc<ControlService>>,
}

fn at<H, T>(method: MethodFilter, path: &'static str, handler: H) -> Endpoint
where
    H: Handler<T, Arc<ControlService>>,
    T: 'static,
{
    Endpoint { method, path, route: on(method, handler) }
}

/// All there is. The tests hold each of them to the guard.
fn endpoints() -> Vec<Endpoint> {
    vec![
        at(MethodFilter::GET, "/revocations", revocations::list),
        at(MethodFilter::POST, "/revocations", revocations::revoke),
        at(MethodFilter::DELETE, "/revocations", revocations::undo),
        at(MethodFilter::GET, "/devices", inventory::list_devices),
        at(MethodFilter::GET, "/devices/{id}", inventory::show_device),
        at(MethodFilter::PUT, "/devices/{id}", inventory::set_device),
        at(MethodFilter::GET, "/users/{name}", inventory::show_user),
        at(MethodFilter::PUT, "/users/{name}", inventory::set_user),
        at(MethodFilter::GET, "/credentials", credentials::list),
        at(MethodFilter::DELETE, "/credentials/{id}", credentials::remove),
        at(MethodFilter::POST, "/enroll-codes", code::issue),
        at(MethodFilter::POST, "/break-glass", emergency::break_glass),
        at(MethodFilter::POST, "/learn", learning::learn),
        at(MethodFilter::GET, "/decisions/{id}", records::why),
        at(MethodFilter::GET, "/policies", policies::show),
        at(MethodFilter::GET, "/policies/history", policies::history),
        at(MethodFilter::POST, "/policies/rollback", policies::roll_back),
        at(MethodFilter::POST, "/policies/promote", policies::promote),
        at(MethodFilter::POST, "/policies/refresh", policies::refresh),
        at(MethodFilter::GET, "/status", records::status),
        at(MethodFilter::POST, "/calibrate", records::calibrate),
        at(MethodFilter::POST, "/verify", records::verify),
    ]
}
