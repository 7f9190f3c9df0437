//! The configuration in two stages: `Settings` as written, [`Config`] as meant. All problems are reported at once, each with its key.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use countersign_pdp_engine::claimed::ClaimMap;
use countersign_pdp_engine::identify::Issuers;
use countersign_pdp_engine::path::CanonicalPath;
use countersign_pdp_engine::request::{Pep, RequestRules};
use countersign_pdp_store::AuditMode;
use countersign_risk::Weights;
use countersign_sdk_types::{Digest, Host, Seconds, Tenant};
use ipnet::IpNet;

use crate::adapter::certificate::CertificateHeader;
use crate::adapter::identity::IdentityHeaders;
use crate::control::OperatorKey;
use crate::files;
use crate::introspection;
use crate::key_sets::Source;
use crate::policies;
use crate::proofs;

mod authzen;
mod lease;
mod reader;
mod settings;
mod snapshot;
#[cfg(test)]
mod tests;

pub use authzen::{Authzen, AuthzenUse, CertificateName};
pub use lease::LeaseTerms;
pub use snapshot::SnapshotTerms;

/// An enforcement point as it authenticates.
#[derive(Debug, Clone)]
pub struct Enforcer {
    /// What it may state.
    pub pep: Pep,
    /// BLAKE3 of its secret.
    pub secret: Option<Digest>,
    /// BLAKE3 of its bearer token.
    pub bearer: Option<Digest>,
    /// Its client certificates.
    pub certificates: Vec<CertificateName>,
    /// Which of AuthZEN's APIs it may use.
    pub authzen: AuthzenUse,
    /// Where it calls from.
    pub from: Vec<IpNet>,
    /// It may link sessions to subjects.
    pub links_sessions: bool,
    /// Where it hands on the certificates of its clients.
    pub certificate: Option<CertificateHeader>,
    /// It may hold the facts of subjects, and decide what is plainly safe by itself.
    pub is_edge: bool,
}

impl Enforcer {
    /// An enforcement point that calls from these networks, and has nothing yet to be known by.
    #[must_use]
    pub fn new(pep: Pep, from: Vec<IpNet>) -> Self {
        Self {
            pep,
            secret: None,
            bearer: None,
            certificates: Vec::new(),
            authzen: AuthzenUse::default(),
            from,
            links_sessions: false,
            certificate: None,
            is_edge: false,
        }
    }

    /// The secret of an enforcement point at rest.
    #[must_use]
    pub fn digest(secret: &str) -> Digest {
        Digest(*blake3::hash(secret.as_bytes()).as_bytes())
    }
}

/// What a protected host is to a browser.
#[derive(Debug, Clone)]
pub struct Site {
    /// The origin, as configured: redirects are built from it, never from a request.
    pub origin: String,
    /// Where a browser without a session is sent.
    pub login_url: Option<String>,
    /// Path prefixes in report mode.
    pub report: Vec<CanonicalPath>,
    /// CORS preflights reach the application undecided.
    pub passes_preflights: bool,
}

/// The step-up: where ceremonies run, and what they leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepUp {
    /// The auth origin, as a browser writes it.
    pub origin: String,
    /// The name that an authenticator shows.
    pub name: String,
    /// How long a grant counts.
    pub grant_life: Seconds,
    /// How old a proof may be where the policy does not say.
    pub max_age: Seconds,
}

/// How long things may take before they are a deny.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// A whole decision.
    pub deadline: Duration,
    /// One entry point of the policy.
    pub policy: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { deadline: Duration::from_millis(150), policy: countersign_pdp_engine::policy::BUDGET }
    }
}

/// The files of TLS.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The certificate chain.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The roots of client certificates.
    pub client_ca: Option<PathBuf>,
}

/// Where everything listens.
#[derive(Debug, Clone, Copy)]
pub struct Listeners {
    /// Enforcement points.
    pub decision: SocketAddr,
    /// Enforcement points that speak gRPC.
    pub grpc: Option<SocketAddr>,
    /// Browsers.
    pub public: Option<SocketAddr>,
    /// Operators, beside the local socket.
    pub control: Option<SocketAddr>,
    /// The platform.
    pub operations: SocketAddr,
    /// OPA's clients.
    pub opa: Option<SocketAddr>,
    /// Envoy, with policies of `opa-envoy-plugin`.
    pub opa_grpc: Option<SocketAddr>,
}

impl Listeners {
    /// Where `[opa]` is served, each with its key.
    fn of_opa(&self) -> Vec<(&'static str, SocketAddr)> {
        let both = [("listen.opa", self.opa), ("listen.opa_grpc", self.opa_grpc)];
        both.into_iter().filter_map(|(key, address)| Some((key, address?))).collect()
    }
}

/// The configuration as meant.
#[derive(Debug)]
pub struct Config {
    /// Where everything listens.
    pub listen: Listeners,
    /// What OPA's clients are answered from.
    pub opa: Option<crate::opa::Options>,
    /// TLS on every TCP listener.
    pub tls: Option<TlsFiles>,
    /// The one tenant of this file.
    pub tenant: Tenant,
    /// Who may ask.
    pub enforcers: Vec<Enforcer>,
    /// Who may operate over TCP.
    pub operators: Vec<OperatorKey>,
    /// How requests are read.
    pub rules: RequestRules,
    /// The headers by which applications learn who asks.
    pub identity: IdentityHeaders,
    /// What each protected host is to a browser.
    pub sites: BTreeMap<Host, Site>,
    /// Whose tokens are taken.
    pub issuers: Issuers,
    /// Where their keys come from, by issuer.
    pub key_sources: BTreeMap<String, Source>,
    /// Which of them are asked about their tokens, and where.
    pub introspection: BTreeMap<String, introspection::Source>,
    /// What DPoP proofs must be.
    pub proofs: proofs::Settings,
    /// What claims stand in for, by issuer.
    pub claim_maps: BTreeMap<String, ClaimMap>,
    /// The databases of places.
    pub places: crate::places::Files,
    /// Databases older than this are stale.
    pub places_max_age: Option<Seconds>,
    /// Users, by `sub`.
    pub users: Option<PathBuf>,
    /// Devices, by id.
    pub devices: Option<PathBuf>,
    /// Where policies come from.
    pub policy: policies::Settings,
    /// The step-up, where there is an auth origin.
    pub step_up: Option<StepUp>,
    /// How long a decision, and a policy in it, may take.
    pub patience: Patience,
    /// What AuthZEN offers.
    pub authzen: Authzen,
    /// On which terms decisions are leased.
    pub lease: LeaseTerms,
    /// On which terms snapshots and facts are handed out.
    pub snapshot: SnapshotTerms,
    /// The weights of the risk model.
    pub weights: Weights,
    /// The data folder.
    pub store: PathBuf,
    /// Whether a decision waits for its record.
    pub audit: AuditMode,
    /// Settings in force that weaken a promise, for the warning at start.
    pub dangers: Vec<String>,
}

/// The largest file of a configuration: itself, a secret, a key set.
const LARGEST: u64 = 1024 * 1024;

fn text(file: &Path) -> Result<String, String> {
    let failed = |error: &dyn std::fmt::Display| format!("cannot read `{}`: {error}", file.display());
    let bytes = files::read(file, LARGEST).map_err(|error| failed(&error))?;
    String::from_utf8(bytes).map_err(|error| failed(&error))
}

/// Everything that is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct ConfigError(pub Vec<String>);

impl Config {
    /// Reads a configuration file. Relative paths in it are relative to the file.
    ///
    /// # Errors
    /// Every problem, one a line, with the key that it is about.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        let text = text(file).map_err(|error| ConfigError(vec![error]))?;
        let settings: settings::Settings = toml::from_str(&text).map_err(|error| ConfigError(vec![error.to_string()]))?;
        reader::read(settings, file.parent().unwrap_or(Path::new(".")))
    }

    /// The socket on which the commands of this machine's operators reach a running server.
    #[must_use]
    pub fn control_socket(&self) -> PathBuf {
        self.store.join("control.sock")
    }
}
