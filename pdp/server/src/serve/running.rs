//! A decision point that runs: its doors, what it looks at again and again, and how it ends.

use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{Decider, Parts, assemble, control_router, grpc_router, public_router, router};
use crate::adapter::decision_point;
use crate::config::Config;
use crate::ext_authz::SERVICE;
use crate::front_door::{self, Limits, Listener, Protocol};
use crate::grpc::health::Health;
use crate::metrics::ListenerName;
use crate::opa::{self, Opa, Options};
use crate::operations::{self, Readiness};
use crate::policies::compare_in_the_background;
use crate::policies::webhook::{self, Hook};
use crate::tls::Tls;

/// How often files are looked at for changes.
const REFRESH: Duration = Duration::from_secs(2);
/// Connections of the decision listener, its watches included.
const MOST_CONNECTIONS: usize = 16_384;
/// Walking over the journal takes as long as the journal is.
const CONTROL: Duration = Duration::from_secs(600);

/// Runs the decision point.
///
/// # Errors
/// What kept it from starting.
pub(crate) async fn run(mut config: Config) -> Result<(), String> {
    for danger in &config.dangers {
        tracing::warn!("{danger}");
    }
    let (listen, socket, operators) = (config.listen, config.control_socket(), config.operators.clone());
    let opa = config.opa.take().map(|options| (options, config.store.clone()));
    let mut parts = Parts::load(config)?;
    let (tls, webhook) = (parts.tls.clone(), parts.webhook.take());
    let decider = Arc::new(assemble(parts)?);
    // The store is ours by now, so a socket that lies in its folder is one that a dead process left.
    let socket = bind_socket(&socket)?;
    let opa = opa.map(|(options, store)| open_opa(options, &store, &decider)).transpose()?;
    let (grpc, opa_at, opa_grpc) = (bind_if(listen.grpc).await?, bind_if(listen.opa).await?, bind_if(listen.opa_grpc).await?);
    let (public, control) = (bind_if(listen.public).await?, bind_if(listen.control).await?);
    let (operations_at, decision) = (bind(listen.operations).await?, bind(listen.decision).await?);
    if let Some(policies) = &decider.policies {
        policies.begin(&decider.pdp.store)?;
        policies.resume(&decider.pdp.served, &decider.pdp.store);
        compare_in_the_background(policies, &decider.pdp)?;
    }
    let draining = Arc::new(AtomicBool::new(false));
    let (stop, stopped) = watch::channel(false);
    let address = decision.local_addr().map_err(|error| error.to_string())?;
    tracing::info!(%address, revision = %decider.pdp.served.load().general().revision, "deciding");
    let metrics = Arc::clone(&decider.pdp.metrics);
    let encrypted = |listener: TcpListener, name: ListenerName| Listener::tcp(listener, tls.clone()).counted(metrics.listener(name));
    let socket = Listener::unix(socket).counted(metrics.listener(ListenerName::Control));
    let key_sets = Arc::clone(&decider.pdp.key_sets);
    key_sets.load().await;
    let readiness: Readiness = {
        let key_sets = Arc::clone(&key_sets);
        Arc::new(move || key_sets.ready())
    };
    let health = Health::new(&[SERVICE, decision_point::SERVICE], Arc::clone(&draining), Arc::clone(&readiness));
    let observed = operations::router(Arc::clone(&draining), readiness, Arc::clone(&metrics));
    let mut doors = JoinSet::new();
    let (usual, operating) = (Limits::default(), Limits { answer_within: CONTROL, ..Limits::default() });
    // Over HTTP/1.1 a watch holds a connection: beside them there is room for as many others as elsewhere.
    let watched = usual.connections.saturating_add(decider.pdp.lease.watches).min(MOST_CONNECTIONS);
    let watched = Limits { connections: watched, ..usual };
    doors.spawn(front_door::serve(encrypted(decision, ListenerName::Decision), router(Arc::clone(&decider)), watched, stopped.clone()));
    doors.spawn(front_door::serve(encrypted(operations_at, ListenerName::Operations), observed, usual, stopped.clone()));
    doors.spawn(front_door::serve(socket, control_router(&decider, Vec::new()), operating, stopped.clone()));
    // Calls of Envoy are counted, and refused in its own terms, where they are answered.
    let calling = Limits { in_flight: 4 * usual.in_flight, ..usual };
    let encrypted_grpc = |listener: TcpListener, name: ListenerName| encrypted(listener, name).speaking(Protocol::Http2);
    if let Some(listener) = grpc {
        let listener = encrypted_grpc(listener, ListenerName::Grpc);
        doors.spawn(front_door::serve(listener, grpc_router(&decider, health), calling, stopped.clone()));
    }
    if let Some(listener) = public {
        doors.spawn(front_door::serve(encrypted(listener, ListenerName::Public), public_router(&decider), usual, stopped.clone()));
    }
    if let Some(listener) = control {
        let hook = webhook.zip(decider.policies.clone()).map(|(secret, policies)| Hook::new(secret, policies, Arc::clone(&metrics)));
        let router = control_router(&decider, operators).merge(webhook::router(hook));
        doors.spawn(front_door::serve(encrypted(listener, ListenerName::Control), router, operating, stopped.clone()));
    }
    let mut looks = JoinSet::new();
    looks.spawn(key_sets.run(stopped.clone()));
    looks.spawn(Arc::clone(&decider.pdp.hub).run());
    looks.spawn(refresh(Arc::clone(&decider), tls.clone()));
    looks.spawn(watch_policies(Arc::clone(&decider)));
    if let Some(opa) = &opa {
        opa.start().await;
        if let Some(listener) = opa_at {
            doors.spawn(front_door::serve(encrypted(listener, ListenerName::Opa), opa::router(Arc::clone(opa)), usual, stopped.clone()));
        }
        if let Some(listener) = opa_grpc {
            let router = opa::envoy::router(Arc::clone(opa), Arc::clone(&draining));
            doors.spawn(front_door::serve(encrypted_grpc(listener, ListenerName::Opa), router, calling, stopped.clone()));
        }
        looks.spawn(Arc::clone(opa).run(stopped));
    }
    let ended = end(&mut doors, &mut looks).await;
    tracing::info!("draining");
    draining.store(true, Ordering::SeqCst);
    if let Some(policies) = &decider.policies {
        policies.give_up();
    }
    let _ = stop.send(true);
    while doors.join_next().await.is_some() {}
    if let Some(opa) = &opa {
        opa.end().await;
    }
    looks.abort_all();
    ended
}

/// What OPA's clients are answered from. It shares nothing with the decision point but the clock, what is counted, and the data folder.
fn open_opa(options: Options, store: &Path, decider: &Decider) -> Result<Arc<Opa>, String> {
    let pdp = &decider.pdp;
    Opa::new(options, store, pdp.clock.clone(), Arc::clone(&pdp.metrics)).map(Arc::new)
}

/// Until told to end, or until something that runs for good ended by itself. Better no decision point, which a supervisor starts again, than one without
/// a door, or one whose keys nobody looks at.
async fn end(doors: &mut JoinSet<()>, looks: &mut JoinSet<()>) -> Result<(), String> {
    tokio::select! {
        told = wait_for_end() => told,
        _ = doors.join_next() => Err("a listener ended by itself".to_owned()),
        () = failure(looks) => Err("a background task ended by itself".to_owned()),
    }
}

/// Until one of them fails; that there is nothing to look at is no failure.
async fn failure(looks: &mut JoinSet<()>) {
    while let Some(ended) = looks.join_next().await {
        if ended.is_err() {
            return;
        }
    }
    std::future::pending::<()>().await;
}

/// Listens on an address.
pub(crate) async fn bind(address: std::net::SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| format!("cannot listen on {address}: {error}"))
}

async fn bind_if(address: Option<std::net::SocketAddr>) -> Result<Option<TcpListener>, String> {
    match address {
        Some(address) => bind(address).await.map(Some),
        None => Ok(None),
    }
}

/// Listens on a socket that only its owner can open; who that is, is asked again of each peer.
fn bind_socket(path: &Path) -> Result<UnixListener, String> {
    let failed = |error: std::io::Error| format!("cannot listen on `{}`: {error}", path.display());
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => std::fs::remove_file(path).map_err(failed)?,
        Ok(_) => return Err(format!("cannot listen on `{}`: something that is no socket is there", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(listener)
}

async fn refresh(decider: Arc<Decider>, tls: Option<Arc<Tls>>) {
    let mut ticks = tokio::time::interval(REFRESH);
    loop {
        ticks.tick().await;
        let (decider, tls) = (Arc::clone(&decider), tls.clone());
        let look = move || {
            let pdp = &decider.pdp;
            if pdp.places.refresh() {
                pdp.hub.reset();
            }
            if let Err(error) = pdp.behaviors.follow(pdp.store.view(), &pdp.tenant, pdp.clock.now()) {
                tracing::warn!(%error, "the population of pointers was not made anew");
            }
            match tls.map(|tls| tls.refresh()) {
                Some(Ok(true)) => tracing::info!("TLS certificate was read again"),
                Some(Err(error)) => tracing::warn!(%error, "TLS certificate was not read again"),
                Some(Ok(false)) | None => {}
            }
        };
        let _ = tokio::task::spawn_blocking(look).await;
    }
}

/// Apart from the other files: a check takes as long as the candidate makes it.
async fn watch_policies(decider: Arc<Decider>) {
    let Some(policies) = decider.policies.clone() else { return };
    loop {
        policies.due().await;
        let (decider, policies) = (Arc::clone(&decider), Arc::clone(&policies));
        let look = move || policies.refresh(&decider.pdp.served, &decider.pdp.store);
        let _ = tokio::task::spawn_blocking(look).await;
    }
}

/// Until SIGTERM or SIGINT.
pub(crate) async fn wait_for_end() -> Result<(), String> {
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests;
