//! The configuration file as it is written. Unknown keys are refused; what the keys mean is decided by the reader beside it.

pub(super) mod opa;
pub(super) mod policy;
pub(super) mod rollout;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use countersign_pdp_engine::identify::ProofRules;
use countersign_pdp_engine::keys::algorithm_name;
use countersign_risk::Weights;
use serde::Deserialize;

use super::{AuthzenUse, LeaseTerms, Patience};

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    pub(super) listen: Listen,
    pub(super) tls: Option<TlsSettings>,
    #[serde(default)]
    pub(super) proxy: Proxy,
    #[serde(default)]
    pub(super) pep: Vec<PepSettings>,
    #[serde(default)]
    pub(super) operator: Vec<OperatorSettings>,
    #[serde(default)]
    pub(super) host: Vec<HostSettings>,
    #[serde(default)]
    pub(super) issuer: Vec<IssuerSettings>,
    #[serde(default)]
    pub(super) dpop: DpopSettings,
    #[serde(default)]
    pub(super) places: Places,
    #[serde(default)]
    pub(super) directory: Directory,
    pub(super) policy: policy::PolicySettings,
    pub(super) step_up: Option<StepUpSettings>,
    pub(super) store: StoreSettings,
    #[serde(default)]
    pub(super) audit: AuditSettings,
    #[serde(default)]
    pub(super) decision: DecisionSettings,
    #[serde(default)]
    pub(super) authzen: AuthzenSettings,
    #[serde(default)]
    pub(super) lease: LeaseSettings,
    #[serde(default)]
    pub(super) risk: Weights,
    #[serde(default)]
    pub(super) request: RequestSettings,
    pub(super) opa: Option<opa::OpaSettings>,
    pub(super) snapshot: Option<SnapshotSettings>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SnapshotSettings {
    /// A private key on P-256, PEM, by which snapshots are signed.
    pub(super) signing_key_file: PathBuf,
    /// How long a snapshot is good.
    #[serde(default = "day")]
    pub(super) life_seconds: u64,
    /// How long an edge may hold the facts of a subject, while its watch lives.
    #[serde(default = "quarter_of_an_hour_ms")]
    pub(super) facts_ttl_ms: u64,
}

const fn quarter_of_an_hour_ms() -> u64 {
    900_000
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listen {
    /// Where enforcement points ask.
    pub(super) decision: String,
    /// Where enforcement points ask over gRPC: Envoy's external authorization.
    pub(super) grpc: Option<String>,
    /// Where browsers meet `/.countersign/*` and the auth origin's pages.
    pub(super) public: Option<String>,
    /// The control API over TCP. The local socket in the data folder is always there.
    pub(super) control: Option<String>,
    /// Where `/livez`, `/readyz` and `/metrics` are.
    pub(super) operations: String,
    /// Where OPA's clients ask. Off by default.
    pub(super) opa: Option<String>,
    /// Where Envoy asks as it asks `opa-envoy-plugin`.
    pub(super) opa_grpc: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TlsSettings {
    /// The certificate chain, PEM.
    pub(super) certificate: PathBuf,
    /// Its private key, PEM.
    pub(super) key: PathBuf,
    /// Certificates of clients must be signed by one of these, PEM.
    pub(super) client_ca: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Proxy {
    /// Networks whose `X-Forwarded-For` is believed. None by default.
    pub(super) trusted: Vec<String>,
    /// Further headers from which applications take who asks: emptied on every allow.
    pub(super) identity_headers: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PepSettings {
    pub(super) id: String,
    /// A file whose first line is the secret.
    pub(super) secret_file: Option<PathBuf>,
    /// A file whose first line is a bearer token, for AuthZEN.
    pub(super) bearer_file: Option<PathBuf>,
    /// Names or fingerprints of client certificates, for AuthZEN.
    #[serde(default)]
    pub(super) certificates: Vec<String>,
    /// Which of AuthZEN's APIs it may use.
    #[serde(default)]
    pub(super) authzen: AuthzenUse,
    /// Networks from which this enforcement point calls.
    pub(super) from: Vec<String>,
    #[serde(default)]
    pub(super) may_assert: MayAssert,
    /// It may hold the facts of subjects, and decide what is plainly safe by itself.
    #[serde(default)]
    pub(super) edge: bool,
    /// How it hands on the certificates of its clients.
    pub(super) client_certificate: Option<String>,
    /// The header in which it does, where it is not the usual one.
    pub(super) client_certificate_header: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct MayAssert {
    pub(super) subject: bool,
    pub(super) client_address: bool,
    /// Whose browser a session cookie is, by handing in a token of its subject.
    pub(super) session: bool,
    pub(super) names: BTreeSet<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OperatorSettings {
    pub(super) name: String,
    /// A file whose first line is the secret.
    pub(super) secret_file: PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HostSettings {
    /// The origin as the browser sees it, such as `https://payroll.example`.
    pub(super) origin: String,
    pub(super) token_cookie: Option<String>,
    /// The application's own opaque session cookie, for applications that know nothing else.
    pub(super) session_cookie: Option<String>,
    /// Where a browser without a session is sent.
    pub(super) login_url: Option<String>,
    /// CORS preflights, which carry no credentials, reach the application undecided.
    #[serde(default)]
    pub(super) dangerous_pass_preflight: bool,
    /// Path prefixes whose denials are reported and let pass.
    #[serde(default)]
    pub(super) dangerous_report: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IssuerSettings {
    pub(super) iss: String,
    /// A file with the issuer's JSON Web Key Set.
    pub(super) jwks_file: Option<PathBuf>,
    /// Where the issuer publishes it.
    pub(super) jwks_url: Option<String>,
    /// Certificates that the URL must be signed by, in place of the system's, PEM.
    pub(super) jwks_ca: Option<PathBuf>,
    #[serde(default)]
    pub(super) dangerous_private_address: bool,
    /// Where the issuer is asked about its tokens.
    pub(super) introspection: Option<IntrospectionSettings>,
    #[serde(default)]
    pub(super) algorithms: Vec<String>,
    pub(super) audiences: BTreeSet<String>,
    #[serde(default)]
    pub(super) dangerous_plain_jwt: bool,
    #[serde(default)]
    pub(super) clients: BTreeSet<String>,
    #[serde(default = "day")]
    pub(super) max_lifetime_seconds: u64,
    #[serde(default)]
    pub(super) claims: BTreeSet<String>,
    #[serde(default)]
    pub(super) map: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IntrospectionSettings {
    pub(super) url: String,
    /// Who this decision point is to the issuer.
    pub(super) client_id: String,
    /// A file whose first line is the secret.
    pub(super) secret_file: PathBuf,
    /// Certificates that the URL must be signed by, in place of the system's, PEM.
    pub(super) ca: Option<PathBuf>,
    #[serde(default)]
    pub(super) dangerous_private_address: bool,
    #[serde(default = "minute")]
    pub(super) cache_seconds: u64,
    /// It is asked about tokens that name no issuer.
    #[serde(default = "yes")]
    pub(super) opaque: bool,
    /// It is asked about tokens that it signed too.
    #[serde(default)]
    pub(super) signed: bool,
}

const fn minute() -> u64 {
    60
}

const fn yes() -> bool {
    true
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct DpopSettings {
    /// What clients may sign their proofs with.
    pub(super) algorithms: Vec<String>,
    /// How old a proof may be.
    pub(super) max_age_seconds: u64,
    /// A proof names a nonce that this server gave.
    pub(super) require_nonce: bool,
}

impl Default for DpopSettings {
    fn default() -> Self {
        let rules = ProofRules::default();
        let algorithms = rules.algorithms.iter().map(|algorithm| algorithm_name(*algorithm).to_owned()).collect();
        Self { algorithms, max_age_seconds: rules.window.0, require_nonce: false }
    }
}

const fn day() -> u64 {
    24 * 3600
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Places {
    pub(super) city: Option<PathBuf>,
    pub(super) second_city: Option<PathBuf>,
    pub(super) asn: Option<PathBuf>,
    pub(super) anonymous: Option<PathBuf>,
    pub(super) max_age_days: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Directory {
    pub(super) users: Option<PathBuf>,
    pub(super) devices: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StepUpSettings {
    /// The auth origin: the one place where passkeys live. Its exact host is the relying party's id.
    pub(super) origin: String,
    /// The name that an authenticator shows.
    #[serde(default = "name")]
    pub(super) name: String,
    #[serde(default = "quarter_of_an_hour")]
    pub(super) grant_life_seconds: u64,
    #[serde(default = "five_minutes")]
    pub(super) max_age_seconds: u64,
}

fn name() -> String {
    "Countersign".to_owned()
}

const fn quarter_of_an_hour() -> u64 {
    900
}

const fn five_minutes() -> u64 {
    300
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoreSettings {
    /// The data folder.
    pub(super) dir: PathBuf,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AuditSettings {
    pub(super) mode: Audit,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Audit {
    /// An allow waits until its record is on the disk, and is a deny when it cannot be written.
    #[default]
    Required,
    /// Lost records are counted.
    BestEffort,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct DecisionSettings {
    /// An answer that takes longer is a deny: proxies stop waiting soon after.
    pub(super) deadline_ms: u64,
    /// The time that one entry point of the policy may take.
    pub(super) policy_budget_ms: u64,
}

impl Default for DecisionSettings {
    fn default() -> Self {
        let Patience { deadline, policy } = Patience::default();
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self { deadline_ms: ms(deadline), policy_budget_ms: ms(policy) }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LeaseSettings {
    /// The longest time for which an allow may be repeated without asking again; 0 gives no leases.
    pub(super) ttl_ms: u64,
    /// How long an enforcement point may use a lease without a living watch.
    pub(super) floor_ms: u64,
    /// A watch hears something at least this often.
    pub(super) heartbeat_ms: u64,
    /// Only an allow with less risk than this is leased.
    pub(super) risk_below: u8,
    /// Actions whose allows are never leased.
    pub(super) never: BTreeSet<String>,
    /// The most watches at once.
    pub(super) watches: usize,
}

impl Default for LeaseSettings {
    fn default() -> Self {
        let LeaseTerms { ttl, floor, heartbeat, risk_below, never, watches } = LeaseTerms::default();
        Self { ttl_ms: ttl.0, floor_ms: floor.0, heartbeat_ms: heartbeat.0, risk_below: risk_below.value(), never, watches }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RequestSettings {
    /// Headers that policies may see.
    pub(super) headers: BTreeSet<String>,
    /// The header in which the proxy says the JA4 fingerprint of the handshake.
    pub(super) ja4_header: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AuthzenSettings {
    /// The identifier of this decision point, such as `https://pdp.example`; without it there is no metadata.
    pub(super) identifier: Option<String>,
    /// A private key on P-256, PEM, by which the metadata is signed.
    pub(super) signing_key: Option<PathBuf>,
    /// Types of obligations that policies use beside those of the profile.
    pub(super) obligations: BTreeSet<String>,
    /// A batch, and a page of a search, end after this time.
    pub(super) deadline_ms: u64,
    /// The most evaluations of a batch.
    pub(super) most_evaluations: usize,
    /// The most candidates that one page of a search looks at.
    pub(super) most_candidates: usize,
}

impl Default for AuthzenSettings {
    fn default() -> Self {
        Self {
            identifier: None,
            signing_key: None,
            obligations: BTreeSet::new(),
            deadline_ms: 1000,
            most_evaluations: 1000,
            most_candidates: 1000,
        }
    }
}
