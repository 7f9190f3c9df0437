//! `grpc.health.v1.Health`: what Envoy's and other platforms' health checks ask. It serves as long as decisions can be made and the process is not draining.
//!
//! Like `/readyz` it needs no secret and says one word. Watchers are few, and are told when the process ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;
use futures_util::stream;
use prost::{Enumeration, Message};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;

use super::{read, refuse, replies, reply};
use crate::operations::Readiness;

/// The largest message that is read of anybody: it is the name of a service.
const LARGEST: usize = 1024;
/// How many may watch at once.
const WATCHERS: usize = 64;
/// How often a watched state is looked at.
const LOOK: Duration = Duration::from_millis(500);

#[derive(Clone, PartialEq, Message)]
pub(crate) struct HealthCheckRequest {
    #[prost(string, tag = "1")]
    pub(crate) service: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(crate) struct HealthCheckResponse {
    #[prost(enumeration = "Standing", tag = "1")]
    pub(crate) status: i32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Enumeration)]
#[repr(i32)]
pub(crate) enum Standing {
    Unknown = 0,
    Serving = 1,
    NotServing = 2,
    ServiceUnknown = 3,
}

impl From<Standing> for HealthCheckResponse {
    fn from(serving: Standing) -> Self {
        Self { status: serving.into() }
    }
}

/// What is asked after, and what the rest of the process says of itself.
#[derive(Clone)]
pub struct Health {
    draining: Arc<AtomicBool>,
    ready: Readiness,
    services: &'static [&'static str],
    watchers: Arc<Semaphore>,
}

impl Health {
    /// The health of these services, and of the server as a whole, which is the service without a name.
    #[must_use]
    pub fn new(services: &'static [&'static str], draining: Arc<AtomicBool>, ready: Readiness) -> Self {
        Self { draining, ready, services, watchers: Arc::new(Semaphore::new(WATCHERS)) }
    }

    fn of(&self, service: &str) -> Standing {
        match service {
            _ if !service.is_empty() && !self.services.contains(&service) => Standing::ServiceUnknown,
            _ if self.draining.load(Ordering::SeqCst) || (self.ready)().is_err() => Standing::NotServing,
            _ => Standing::Serving,
        }
    }
}

/// The routes of the service.
pub fn router(health: Health) -> Router {
    Router::new().route("/grpc.health.v1.Health/Check", post(check)).route("/grpc.health.v1.Health/Watch", post(watch)).with_state(health)
}

async fn check(State(health): State<Health>, request: Request) -> Response {
    let asked: HealthCheckRequest = match read(request, LARGEST).await {
        Ok(asked) => asked,
        Err(status) => return refuse(status),
    };
    match health.of(&asked.service) {
        Standing::ServiceUnknown => refuse(Status::not_found("no such service here")),
        serving => reply(HealthCheckResponse::from(serving)),
    }
}

async fn watch(State(health): State<Health>, request: Request) -> Response {
    let asked: HealthCheckRequest = match read(request, LARGEST).await {
        Ok(asked) => asked,
        Err(status) => return refuse(status),
    };
    let Ok(place) = Arc::clone(&health.watchers).try_acquire_owned() else {
        return refuse(Status::resource_exhausted("too many watch already"));
    };
    let watcher = Watcher { health, service: asked.service, told: None, _place: place };
    replies(stream::unfold(watcher, |mut watcher| async {
        let next = watcher.next().await?;
        Some((Ok(HealthCheckResponse::from(next)), watcher))
    }))
}

struct Watcher {
    health: Health,
    service: String,
    told: Option<Standing>,
    _place: OwnedSemaphorePermit,
}

impl Watcher {
    /// The state, once it is another one than was told. None after the process was told to end, and said so.
    async fn next(&mut self) -> Option<Standing> {
        loop {
            let is_ending = self.health.draining.load(Ordering::SeqCst);
            let state = self.health.of(&self.service);
            if self.told != Some(state) {
                self.told = Some(state);
                return Some(state);
            }
            if is_ending {
                return None;
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

#[cfg(test)]
mod tests;
