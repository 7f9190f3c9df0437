//! Puts the parts together: a decision point, its policies, and the routers of its listeners.

mod running;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{any, get, put};
use countersign_pdp_engine::identify::Issuers;
use countersign_pdp_engine::request::RequestRules;
use countersign_pdp_engine::snapshot::Snapshot;
use countersign_pdp_stepup::{Ceremonies, Limits as CeremonyLimits, RelyingParty};
use countersign_pdp_store::{AuditMode, Observer, Options, Store};
use countersign_risk::Weights;
use countersign_sdk_types::strict::Limits as JsonLimits;
use countersign_sdk_types::{Host, Tenant};

use crate::adapter::identity::IdentityHeaders;
use crate::adapter::{authzen, caddy, decision_point, envoy, envoy_grpc, haproxy, nginx, sessions, traefik, watch};
use crate::attempts::Attempts;
use crate::behavior::Behaviors;
use crate::clock::Clock;
use crate::config::{Authzen, ClaimMap, Config, Enforcer, LeaseTerms, Patience, Site, SnapshotTerms, StepUp as StepUpConfig, TlsFiles};
use crate::control::{self, ControlService, OperatorKey, PolicyDesk};
use crate::directory::Directory;
use crate::edge::Edges;
use crate::grpc;
use crate::grpc::health::Health;
use crate::introspection::{self, Introspection};
use crate::key_sets::{KeySets, Source, Timing};
use crate::metrics::Metrics;
use crate::pipeline::{Pdp, Served, fresh};
use crate::places::Places;
use crate::policies::webhook::WebhookSecret;
use crate::policies::{Opening, Policies};
use crate::proofs::{self, Proofs};
use crate::public::{self, Public};
use crate::step_up::StepUp;
use crate::tls::Tls;
use crate::trails::Trails;
use crate::watch::Hub;

pub(crate) use running::{bind, run, wait_for_end};

/// What the decision listener's handlers share.
#[derive(Debug)]
pub struct Decider {
    /// The decision point.
    pub pdp: Arc<Pdp>,
    /// Where policies come from; none where the policy is embedded.
    pub policies: Option<Arc<Policies>>,
    /// Who may ask.
    pub enforcers: Arc<[Enforcer]>,
    /// The tenant of this listener.
    pub tenant: Tenant,
    /// The headers by which applications learn who asks.
    pub identity: IdentityHeaders,
    /// What AuthZEN's APIs share.
    pub authzen: authzen::Offer,
    /// What edges are given and tell.
    pub edges: Edges,
}

/// What decides at first.
#[derive(Debug)]
pub enum Deciding {
    /// One policy, checked and compiled, for good.
    Fixed(Box<Snapshot>),
    /// What a source offers, or what was active before: the store says which.
    Sourced(Box<Opening>),
}

impl Deciding {
    /// What decides where nothing was active before.
    ///
    /// # Errors
    /// Every problem of the policy, one a line.
    pub fn offered(self) -> Result<Snapshot, String> {
        match self {
            Self::Fixed(snapshot) => Ok(*snapshot),
            Self::Sourced(opening) => opening.offered(),
        }
    }

    fn choose(self, store: &Store) -> Result<(Option<Arc<Policies>>, Snapshot), String> {
        match self {
            Self::Fixed(snapshot) => Ok((None, *snapshot)),
            Self::Sourced(opening) => opening.choose(store).map(|(policies, snapshot)| (Some(Arc::new(policies)), snapshot)),
        }
    }
}

/// Everything that a decision point is made of.
pub struct Parts {
    /// The policy.
    pub policy: Deciding,
    /// By which whoever keeps the policies may tell that there are new ones.
    pub webhook: Option<WebhookSecret>,
    /// Whose decision point it is.
    pub tenant: Tenant,
    /// Who may ask.
    pub enforcers: Vec<Enforcer>,
    /// How requests are read.
    pub rules: RequestRules,
    /// The headers by which applications learn who asks.
    pub identity: IdentityHeaders,
    /// What each protected host is to a browser.
    pub sites: BTreeMap<Host, Site>,
    /// Whose tokens are taken.
    pub issuers: Issuers,
    /// Where their keys come from.
    pub key_sources: BTreeMap<String, Source>,
    /// Which of them are asked about their tokens, and where.
    pub introspection: BTreeMap<String, introspection::Source>,
    /// What DPoP proofs must be.
    pub proofs: proofs::Settings,
    /// What claims stand in for, by issuer.
    pub claim_maps: BTreeMap<String, ClaimMap>,
    /// Where addresses are.
    pub places: Places,
    /// Users and devices.
    pub directory: Directory,
    /// The step-up, where there is an auth origin.
    pub step_up: Option<StepUpConfig>,
    /// How long a decision, and a policy in it, may take.
    pub patience: Patience,
    /// What AuthZEN offers.
    pub authzen: Authzen,
    /// On which terms decisions are leased.
    pub lease: LeaseTerms,
    /// On which terms snapshots and facts are handed out.
    pub snapshot_terms: SnapshotTerms,
    /// The weights of the risk model.
    pub weights: Weights,
    /// The data folder.
    pub store: PathBuf,
    /// Whether a decision waits for its record.
    pub audit: AuditMode,
    /// What time it is.
    pub clock: Clock,
    /// The certificate of the TCP listeners.
    pub tls: Option<Arc<Tls>>,
}

impl Parts {
    /// A decision point with a policy and a data folder, and nothing else configured: nobody may ask it.
    #[must_use]
    pub fn new(snapshot: Snapshot, tenant: Tenant, store: PathBuf) -> Self {
        Self {
            policy: Deciding::Fixed(Box::new(snapshot)),
            webhook: None,
            tenant,
            enforcers: Vec::new(),
            rules: RequestRules::default(),
            identity: IdentityHeaders::default(),
            sites: BTreeMap::new(),
            issuers: Issuers::default(),
            key_sources: BTreeMap::new(),
            introspection: BTreeMap::new(),
            proofs: proofs::Settings::default(),
            claim_maps: BTreeMap::new(),
            places: Places::table(|_| None),
            directory: Directory::default(),
            step_up: None,
            patience: Patience::default(),
            authzen: Authzen::default(),
            lease: LeaseTerms::default(),
            snapshot_terms: SnapshotTerms::default(),
            weights: Weights::default(),
            store,
            audit: AuditMode::Required,
            clock: Clock::system(),
            tls: None,
        }
    }

    /// Reads everything that a configuration names. Writes nothing and listens nowhere.
    ///
    /// # Errors
    /// What cannot be used, in words for an operator.
    pub fn load(mut config: Config) -> Result<Self, String> {
        let webhook = config.policy.webhook.take();
        let opening = Opening::new(config.policy, config.tenant.clone(), &config.store)?;
        Ok(Self {
            policy: Deciding::Sourced(Box::new(opening)),
            webhook,
            tenant: config.tenant,
            enforcers: config.enforcers,
            rules: config.rules,
            identity: config.identity,
            sites: config.sites,
            issuers: config.issuers,
            key_sources: config.key_sources,
            introspection: config.introspection,
            proofs: config.proofs,
            claim_maps: config.claim_maps,
            places: Places::new(config.places, config.places_max_age),
            directory: Directory::load(config.users.as_deref(), config.devices.as_deref()).map_err(|error| error.to_string())?,
            step_up: config.step_up,
            patience: config.patience,
            authzen: config.authzen,
            lease: config.lease,
            snapshot_terms: config.snapshot,
            weights: config.weights,
            store: config.store,
            audit: config.audit,
            clock: Clock::system(),
            tls: config.tls.as_ref().map(load_tls).transpose()?,
        })
    }
}

fn load_tls(files: &TlsFiles) -> Result<Arc<Tls>, String> {
    Tls::load(&files.certificate, &files.key, files.client_ca.as_deref()).map(Arc::new).map_err(|error| format!("tls: {error}"))
}

/// Opens the store and puts a decision point together.
///
/// # Errors
/// What cannot be used, in words for an operator.
pub fn assemble(parts: Parts) -> Result<Decider, String> {
    let store = Store::open(&parts.store, Options::default(), parts.clock.now()).map_err(|error| error.to_string())?;
    let incarnation = store.view().incarnation().map_err(|error| error.to_string())?;
    let chain = store.chain(&parts.tenant, fresh).map_err(|error| error.to_string())?;
    let (policies, snapshot) = parts.policy.choose(&store)?;
    let max_age = parts.step_up.as_ref().map_or(snapshot.max_age, |step_up| step_up.max_age);
    let node = format!("{}.{incarnation}", parts.tenant);
    let metrics = Arc::new(Metrics::new());
    let behaviors = Behaviors::default();
    behaviors.follow(store.view(), &parts.tenant, parts.clock.now()).map_err(|error| error.to_string())?;
    let authzen = authzen::Offer::new(parts.authzen, &parts.enforcers, parts.clock.now())?;
    let hub = Arc::new(Hub::new(parts.lease.clone(), snapshot.revision.clone(), Arc::clone(&metrics))?);
    store.observe(Arc::clone(&hub) as Arc<dyn Observer>);
    let snapshot = Snapshot { weights: parts.weights, max_age, budget: parts.patience.policy, ..snapshot };
    let pdp = Pdp {
        served: Served::new(snapshot, Arc::clone(&hub), Arc::clone(&metrics)),
        rules: parts.rules,
        introspection: Introspection::new(parts.introspection, parts.clock.clone()),
        proofs: Proofs::new(parts.proofs, parts.issuers.skew, parts.clock.now())?,
        key_sets: Arc::new(KeySets::new(parts.issuers, parts.key_sources, Timing::default(), Arc::clone(&metrics))),
        places: parts.places,
        directory: parts.directory,
        claim_maps: parts.claim_maps,
        sites: parts.sites,
        step_up: parts.step_up.map(|step_up| stepping_up(&step_up, &node)).transpose()?,
        attempts: Attempts::default(),
        trails: Trails::default(),
        hub,
        lease: parts.lease,
        behaviors,
        metrics,
        clock: parts.clock,
        deadline: parts.patience.deadline,
        store,
        chain,
        audit: parts.audit,
        tenant: parts.tenant.clone(),
        incarnation,
        sequence: AtomicU64::new(1),
    };
    pdp.key_sets.tell(Arc::clone(&pdp.hub));
    Ok(Decider {
        pdp: Arc::new(pdp),
        policies,
        enforcers: parts.enforcers.into(),
        tenant: parts.tenant,
        identity: parts.identity,
        authzen,
        edges: Edges::new(parts.snapshot_terms),
    })
}

fn stepping_up(step_up: &StepUpConfig, node: &str) -> Result<StepUp, String> {
    let party = RelyingParty::new(&step_up.origin, &step_up.name).map_err(|error| format!("step_up.origin: {error}"))?;
    let ceremonies = Ceremonies::new(party, node, CeremonyLimits::default()).map_err(|error| error.to_string())?;
    Ok(StepUp { ceremonies, grant_life: step_up.grant_life })
}

/// The router of the decision listener.
pub fn router(decider: Arc<Decider>) -> Router {
    Router::new()
        .route("/authz/nginx", any(nginx::check))
        .route("/authz/traefik", any(traefik::check))
        .route("/authz/caddy", any(caddy::check))
        .route("/authz/haproxy", any(haproxy::check))
        .route("/authz/envoy", any(envoy::check))
        .route("/authz/envoy/", any(envoy::check))
        .route("/authz/envoy/{*path}", any(envoy::check))
        .merge(authzen::router())
        .route("/countersign/v1/sessions", put(sessions::link))
        .route(watch::PATH, get(watch::serve))
        .layer(DefaultBodyLimit::max(JsonLimits::REQUEST.bytes))
        .with_state(decider)
}

/// The router of the gRPC listener.
pub fn grpc_router(decider: &Arc<Decider>, health: Health) -> Router {
    let watch = Router::new().route(watch::PATH, get(watch::serve)).with_state(Arc::clone(decider));
    let calls = envoy_grpc::router(Arc::clone(decider)).merge(decision_point::router(Arc::clone(decider)));
    calls.merge(grpc::health::router(health)).merge(watch).fallback(grpc::unknown)
}

/// The router of the public listener.
pub fn public_router(decider: &Decider) -> Router {
    let (pdp, enforcers) = (Arc::clone(&decider.pdp), Arc::clone(&decider.enforcers));
    public::router(Arc::new(Public { pdp, enforcers }))
}

/// The router of the control socket, and of the control listener for operators with a key.
pub fn control_router(decider: &Decider, operators: Vec<OperatorKey>) -> Router {
    let pdp = Arc::clone(&decider.pdp);
    let clock = pdp.clock.clone();
    let mut service = ControlService::new(pdp.store.clone(), decider.tenant.clone(), Arc::new(move || clock.now()));
    service.operators = operators;
    service.chain = pdp.chain;
    let (places, clock) = (Arc::clone(&pdp), pdp.clock.clone());
    service.place = Arc::new(move |address| places.places.place(Some(address), clock.now()));
    let (known, enforcers) = (Arc::clone(&pdp), Arc::clone(&decider.enforcers));
    service.is_issuer = Arc::new(move |iss| {
        let is_enforcer = |id: &str| enforcers.iter().any(|enforcer| enforcer.pep.id.as_str() == id);
        known.key_sets.current().by_iss.contains_key(iss) || iss.strip_prefix("pep:").is_some_and(is_enforcer)
    });
    service.enroll_url = pdp.step_up.as_ref().map(|step_up| format!("{}/enroll", step_up.ceremonies.party().origin()));
    service.policies = decider.policies.clone().map(|policies| PolicyDesk { policies, pdp: Arc::clone(&pdp) });
    if let Some(policies) = decider.policies.clone() {
        service.policy_status = Arc::new(move || serde_json::to_value(policies.status()).unwrap_or_default());
    }
    control::router(Arc::new(service))
}
