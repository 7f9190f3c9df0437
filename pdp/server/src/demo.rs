//! `countersign demo`: the real decision point on embedded defaults, with the demonstration's people around it. Listens on loopback only.

mod backstage;
mod front;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use countersign_pdp_demo::application::{AUDIENCE, Application};
use countersign_pdp_demo::authenticator::SoftAuthenticator;
use countersign_pdp_demo::backstage::Scene;
use countersign_pdp_demo::issuer::{Issuer, MAX_LIFE};
use countersign_pdp_demo::places::PlaceTable;
use countersign_pdp_demo::story::{self, Played};
use countersign_pdp_demo::visitor::Stage;
use countersign_pdp_engine::identify::{Check, Issuer as TrustedIssuer, Issuers};
use countersign_pdp_engine::keys::{KeySet, algorithm};
use countersign_pdp_engine::path::canonical_host;
use countersign_pdp_engine::request::{HostRules, Pep, RequestRules};
use countersign_pdp_engine::snapshot::Snapshot;
use countersign_pdp_stepup::secret::Secret;
use countersign_sdk_client::Client;
use countersign_sdk_types::{PepId, Seconds, Tenant};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::clock::Clock;
use crate::config::{Enforcer, Patience, Site, StepUp};
use crate::front_door::{self, Limits};
use crate::places::Places;
use crate::policies;
use crate::serve::{self, Decider, Parts};
use crate::watch::Hub;
use backstage::PdpBackstage;
use front::Front;

/// What `countersign demo` was asked for.
#[derive(Debug, Clone)]
pub struct Demo {
    /// The port of all its hosts; 0 takes any.
    pub port: u16,
    /// The data folder; without one it is a temporary one that goes with the process.
    pub data: Option<PathBuf>,
}

/// A demonstration that runs.
struct Running {
    stage: Stage,
    backstage: Arc<PdpBackstage>,
    stop: watch::Sender<bool>,
    doors: JoinSet<()>,
}

/// Runs the demonstration for a person with a browser, until it is told to end.
///
/// # Errors
/// What kept it from starting.
pub async fn run(demo: Demo, announce: impl FnOnce(&str)) -> Result<(), String> {
    // From here on a signal is an end, not a death: the temporary folder goes with the process.
    let end = end()?;
    let (_temporary, data) = folder(demo.data.as_deref())?;
    let running = start(Setting { port: demo.port, iss: ISS.to_owned(), policy: policies::starter()? }, &data).await?;
    announce(&running.stage.url("payroll", "/"));
    let _ = end.await;
    running.end().await
}

/// Plays the story in the terminal, with a software authenticator in place of a passkey.
///
/// # Errors
/// What kept it from being played.
pub async fn script(demo: Demo) -> Result<Played, String> {
    let end = end()?;
    let (_temporary, data) = folder(demo.data.as_deref())?;
    tokio::select! {
        played = play(Setting { port: demo.port, iss: format!("{ISS}/{}", fresh()?), policy: policies::starter()? }, &data) => played,
        _ = end => Err("the story was ended before it was over".to_owned()),
    }
}

async fn play(setting: Setting, data: &Path) -> Result<Played, String> {
    let running = start(setting, data).await?;
    let backstage = Arc::clone(&running.backstage);
    let played = story::play(running.stage.clone(), backstage, SoftAuthenticator::new()).await.map_err(|error| error.to_string());
    running.end().await?;
    played
}

/// Until SIGTERM, Ctrl-C, or the end of the terminal. Runs from the moment that it is called, so that nothing is left behind however early one comes.
fn end() -> Result<JoinHandle<()>, String> {
    let mut hangup = signal(SignalKind::hangup()).map_err(|error| error.to_string())?;
    Ok(tokio::spawn(async move {
        tokio::select! {
            ended = serve::wait_for_end() => drop(ended),
            _ = hangup.recv() => {}
        }
    }))
}

impl Running {
    async fn end(self) -> Result<(), String> {
        let _ = self.stop.send(true);
        self.doors.join_all().await;
        self.backstage.mark().await
    }
}

fn folder(data: Option<&Path>) -> Result<(Option<tempfile::TempDir>, PathBuf), String> {
    match data {
        Some(data) => Ok((None, data.to_owned())),
        None => {
            let temporary = tempfile::Builder::new().prefix("countersign-demo-").tempdir().map_err(|error| error.to_string())?;
            let data = temporary.path().join("data");
            Ok((Some(temporary), data))
        }
    }
}

/// The one port that people see.
async fn front_door_at(port: u16) -> Result<TcpListener, String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
    listener.map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => {
            format!("port {port} is taken by another program: choose one with `--port`, or `--port 0` for any that is free")
        }
        _ => format!("cannot listen on port {port}: {error}"),
    })
}

/// What differs between the demonstration for a person, the script, and a test.
struct Setting {
    port: u16,
    /// The issuer's name, and with it which alice it is: a person finds the same one in the next run, the script's story needs a new one.
    iss: String,
    policy: Snapshot,
}

/// It does not hang on the port.
const ISS: &str = "http://issuer.localhost";

fn fresh() -> Result<String, String> {
    Secret::fresh().map(|secret| secret.reveal().to_owned()).map_err(|error| error.to_string())
}

async fn start(Setting { port, iss, policy }: Setting, data: &Path) -> Result<Running, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let front_at = front_door_at(port).await?;
    let decision_at = serve::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    let port = front_at.local_addr().map_err(|error| text(&error))?.port();
    let decision = decision_at.local_addr().map_err(|error| text(&error))?;
    let (stage, pep_secret) = (Stage { port, secret: fresh()? }, fresh()?);
    let issuer = Issuer::new(&*iss).map_err(|error| text(&error))?;
    let decider = Arc::new(decider(&stage, &issuer, &pep_secret, data, policy)?);
    let backstage = Arc::new(PdpBackstage::new(Arc::clone(&decider.pdp), iss));
    backstage.go_on().await?;
    let client = Client::builder(format!("http://{decision}")).pep(PEP, pep_secret).build().map_err(|error| text(&error))?;
    let scene = Arc::new(Scene::default());
    let application = Application::new(stage.clone(), Arc::clone(&scene), Arc::clone(&backstage) as _, issuer);
    let front = Front::new(&stage, scene, &decider, application, client)?;
    let (stop, stopped) = watch::channel(false);
    let mut doors = JoinSet::new();
    doors.spawn(door(front_at, front.router(), stopped.clone()));
    doors.spawn(telling(Arc::clone(&decider.pdp.hub), stopped.clone()));
    doors.spawn(door(decision_at, serve::router(decider), stopped));
    Ok(Running { stage, backstage, stop, doors })
}

async fn telling(hub: Arc<Hub>, mut stop: watch::Receiver<bool>) {
    tokio::select! {
        () = hub.run() => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
}

async fn door(listener: TcpListener, router: axum::Router, stop: watch::Receiver<bool>) {
    front_door::serve(listener, router, Limits::default(), stop).await;
}

const PEP: &str = "payroll";

/// The decision point of the demonstration: everything embedded, nothing from files but its data.
fn decider(stage: &Stage, issuer: &Issuer, pep_secret: &str, data: &Path, policy: Snapshot) -> Result<Decider, String> {
    let host = |name: &str| {
        let origin = stage.url(name, "");
        canonical_host(origin.trim_start_matches("http://"), "http").map(|host| (host, origin)).map_err(|error| error.to_string())
    };
    let (payroll, origin) = host("payroll")?;
    let (_, auth) = host("auth")?;
    let pep = Pep {
        id: PepId::new(PEP).map_err(|error| error.to_string())?,
        asserts_subject: false,
        asserts_client: true,
        asserts: std::collections::BTreeSet::new(),
    };
    let enforcer =
        Enforcer { secret: Some(Enforcer::digest(pep_secret)), ..Enforcer::new(pep, vec![IpAddr::V4(Ipv4Addr::LOCALHOST).into()]) };
    let rules = HostRules { token_cookie: Some(countersign_pdp_demo::attack::TOKEN_COOKIE.to_owned()), session_cookie: None };
    let table = PlaceTable::demo();
    let clock = Clock::starting_at(backstage::a_tuesday_morning(Clock::system().now()));
    serve::assemble(Parts {
        enforcers: vec![enforcer],
        rules: RequestRules { hosts: BTreeMap::from([(payroll.clone(), rules)]), ..RequestRules::default() },
        sites: BTreeMap::from([(payroll, Site { origin, login_url: None, report: Vec::new(), passes_preflights: false })]),
        issuers: Issuers { by_iss: BTreeMap::from([(issuer.name().to_owned(), trusted(issuer)?)]), opaque: None, skew: Seconds(5) },
        places: Places::table(move |address| table.find(address).cloned()),
        directory: backstage::directory(),
        step_up: Some(StepUp { origin: auth, name: "Countersign demo".to_owned(), grant_life: Seconds(900), max_age: Seconds(300) }),
        // No proxy waits here, and the disk of a laptop may be busy.
        patience: Patience { deadline: Duration::from_secs(2), ..Patience::default() },
        clock,
        ..Parts::new(policy, Tenant::new("demo").map_err(|error| error.to_string())?, data.to_owned())
    })
}

fn trusted(issuer: &Issuer) -> Result<TrustedIssuer, String> {
    let keys = KeySet::parse(issuer.jwks().to_string().as_bytes()).map_err(|error| error.to_string())?;
    Ok(TrustedIssuer {
        keys,
        check: Check::Signature,
        algorithms: algorithm("ES256").into_iter().collect(),
        audiences: std::collections::BTreeSet::from([AUDIENCE.to_owned()]),
        takes_plain_jwt: false,
        clients: std::collections::BTreeSet::new(),
        max_lifetime: MAX_LIFE,
        mapped_claims: std::collections::BTreeSet::new(),
    })
}

#[cfg(test)]
mod tests;
