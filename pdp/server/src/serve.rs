//! Puts the parts together and runs them until SIGTERM or SIGINT.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post, put};
use countersign_pdp_store::{Options, Store};
use countersign_sdk_types::strict::Limits as JsonLimits;
use countersign_sdk_types::{Host, Tenant};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::adapter::{authzen, nginx, sessions};
use crate::config::{Config, Enforcer, Site};
use crate::directory::Directory;
use crate::front_door::{self, Limits};
use crate::pipeline::Pdp;
use crate::places::Places;
use crate::policies::Policies;
use crate::{clock, operations};

/// What the decision listener's handlers share.
#[derive(Debug)]
pub struct Decider {
    /// The decision point.
    pub pdp: Pdp,
    /// The policy folder.
    pub policies: Policies,
    /// Who may ask.
    pub enforcers: Vec<Enforcer>,
    /// What each protected host is to a browser.
    pub sites: BTreeMap<Host, Site>,
    /// The tenant of this listener.
    pub tenant: Tenant,
}

/// How often files are looked at for changes.
const REFRESH: Duration = Duration::from_secs(2);
/// How often the policy folder is looked at. A change counts from the second look that shows it.
const LOOK: Duration = Duration::from_secs(1);

/// Builds a decision point from its configuration.
///
/// # Errors
/// What cannot be used, in words for an operator.
pub fn build(config: Config) -> Result<Decider, String> {
    let (policies, snapshot) = Policies::open(config.policy, config.package, config.tenant.clone())?;
    let directory = Directory::load(config.users.as_deref(), config.devices.as_deref()).map_err(|error| error.to_string())?;
    let store = Store::open(&config.store, Options::default(), clock::now()).map_err(|error| error.to_string())?;
    let incarnation = store.view().incarnation().map_err(|error| error.to_string())?;
    let pdp = Pdp {
        snapshot: ArcSwap::from_pointee(snapshot),
        rules: config.rules,
        issuers: config.issuers,
        places: Places::new(config.city, config.asn, config.places_max_age),
        directory,
        store,
        audit: config.audit,
        tenant: config.tenant.clone(),
        incarnation,
        sequence: AtomicU64::new(1),
    };
    Ok(Decider { pdp, policies, enforcers: config.enforcers, sites: config.sites, tenant: config.tenant })
}

/// The router of the decision listener.
pub fn router(decider: Arc<Decider>) -> Router {
    Router::new()
        .route("/authz/nginx", get(nginx::check))
        .route("/access/v1/evaluation", post(authzen::evaluate))
        .route("/countersign/v1/sessions", put(sessions::link))
        .layer(DefaultBodyLimit::max(JsonLimits::REQUEST.bytes))
        .with_state(decider)
}

/// Runs the decision point.
///
/// # Errors
/// What kept it from starting.
pub async fn run(config: Config) -> Result<(), String> {
    for danger in &config.dangers {
        tracing::warn!("{danger}");
    }
    let (decision, operations_at) = (bind(config.decision).await?, bind(config.operations).await?);
    let decider = Arc::new(build(config)?);
    decider.policies.begin(&decider.pdp.store)?;
    let draining = Arc::new(AtomicBool::new(false));
    let (stop, stopped) = watch::channel(false);
    let address = decision.local_addr().map_err(|error| error.to_string())?;
    tracing::info!(%address, revision = %decider.pdp.snapshot.load().revision, "deciding");
    let served = tokio::spawn(front_door::serve(decision, router(Arc::clone(&decider)), Limits::default(), stopped.clone()));
    let observed = tokio::spawn(front_door::serve(operations_at, operations::router(Arc::clone(&draining)), Limits::default(), stopped));
    let refreshed = tokio::spawn(refresh(Arc::clone(&decider)));
    let watched = tokio::spawn(watch_policies(Arc::clone(&decider)));
    wait_for_end().await?;
    tracing::info!("draining");
    draining.store(true, Ordering::SeqCst);
    decider.policies.give_up();
    let _ = stop.send(true);
    let _ = tokio::join!(served, observed);
    refreshed.abort();
    watched.abort();
    Ok(())
}

async fn bind(address: std::net::SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| format!("cannot listen on {address}: {error}"))
}

async fn refresh(decider: Arc<Decider>) {
    let mut ticks = tokio::time::interval(REFRESH);
    loop {
        ticks.tick().await;
        let decider = Arc::clone(&decider);
        let _ = tokio::task::spawn_blocking(move || decider.pdp.places.refresh()).await;
    }
}

/// Apart from the other files: a check takes as long as the candidate makes it.
async fn watch_policies(decider: Arc<Decider>) {
    let mut ticks = tokio::time::interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let decider = Arc::clone(&decider);
        let _ = tokio::task::spawn_blocking(move || decider.policies.refresh(&decider.pdp.snapshot, &decider.pdp.store)).await;
    }
}

async fn wait_for_end() -> Result<(), String> {
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    Ok(())
}
