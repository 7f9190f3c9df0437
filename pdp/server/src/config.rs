//! The configuration in two stages: [`Settings`] as written, [`Config`] as meant. All problems are reported at once, each with its key.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use countersign_pdp_engine::identify::{Issuer, Issuers};
use countersign_pdp_engine::keys::{KeySet, algorithm};
use countersign_pdp_engine::path::{CanonicalPath, canonical_host};
use countersign_pdp_engine::request::{HostRules, Pep, RequestRules};
use countersign_pdp_store::AuditMode;
use countersign_sdk_types::{Digest, Host, PepId, Seconds, Tenant};
use ipnet::IpNet;
use serde::Deserialize;

/// The file as written. Unknown keys are refused.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    listen: Listen,
    #[serde(default)]
    proxy: Proxy,
    #[serde(default)]
    pep: Vec<PepSettings>,
    #[serde(default)]
    host: Vec<HostSettings>,
    #[serde(default)]
    issuer: Vec<IssuerSettings>,
    #[serde(default)]
    places: Places,
    #[serde(default)]
    directory: Directory,
    policy: PolicySettings,
    store: StoreSettings,
    #[serde(default)]
    audit: AuditSettings,
    #[serde(default)]
    request: RequestSettings,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listen {
    /// Where enforcement points ask.
    decision: String,
    /// Where `/livez` and `/readyz` are.
    operations: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Proxy {
    /// Networks whose `X-Forwarded-For` is believed. None by default.
    trusted: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PepSettings {
    id: String,
    /// A file whose first line is the secret.
    secret_file: PathBuf,
    /// Networks from which this enforcement point calls.
    from: Vec<String>,
    #[serde(default)]
    may_assert: MayAssert,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct MayAssert {
    subject: bool,
    client_address: bool,
    /// Whose browser a session cookie is, by handing in a token of its subject.
    session: bool,
    names: BTreeSet<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HostSettings {
    /// The origin as the browser sees it, such as `https://payroll.example`.
    origin: String,
    token_cookie: Option<String>,
    /// The application's own opaque session cookie, for applications that know nothing else.
    session_cookie: Option<String>,
    /// Where a browser without a session is sent.
    login_url: Option<String>,
    /// Path prefixes whose denials are reported and let pass.
    #[serde(default)]
    dangerous_report: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct IssuerSettings {
    iss: String,
    /// A file with the issuer's JSON Web Key Set.
    jwks_file: PathBuf,
    algorithms: Vec<String>,
    audiences: BTreeSet<String>,
    #[serde(default)]
    dangerous_plain_jwt: bool,
    #[serde(default)]
    clients: BTreeSet<String>,
    #[serde(default = "day")]
    max_lifetime_seconds: u64,
    #[serde(default)]
    claims: BTreeSet<String>,
}

const fn day() -> u64 {
    24 * 3600
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Places {
    city: Option<PathBuf>,
    asn: Option<PathBuf>,
    max_age_days: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Directory {
    users: Option<PathBuf>,
    devices: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicySettings {
    /// A folder of Rego files and data documents.
    path: PathBuf,
    #[serde(default = "package")]
    package: String,
}

fn package() -> String {
    countersign_pdp_engine::policy::DEFAULT_PACKAGE.to_owned()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoreSettings {
    /// The data folder.
    dir: PathBuf,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct AuditSettings {
    mode: Audit,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Audit {
    /// An allow waits until its record is on the disk, and is a deny when it cannot be written.
    #[default]
    Required,
    /// Lost records are counted.
    BestEffort,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RequestSettings {
    /// Headers that policies may see.
    headers: BTreeSet<String>,
}

/// An enforcement point as it authenticates.
#[derive(Debug, Clone)]
pub struct Enforcer {
    /// What it may state.
    pub pep: Pep,
    /// BLAKE3 of its secret.
    pub secret: Digest,
    /// Where it calls from.
    pub from: Vec<IpNet>,
    /// It may link sessions to subjects.
    pub links_sessions: bool,
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
}

/// The configuration as meant.
#[derive(Debug)]
pub struct Config {
    /// The decision listener.
    pub decision: SocketAddr,
    /// The operations listener.
    pub operations: SocketAddr,
    /// The one tenant of this file.
    pub tenant: Tenant,
    /// Who may ask.
    pub enforcers: Vec<Enforcer>,
    /// How requests are read.
    pub rules: RequestRules,
    /// What each protected host is to a browser.
    pub sites: BTreeMap<Host, Site>,
    /// Whose tokens are taken.
    pub issuers: Issuers,
    /// The City database.
    pub city: Option<PathBuf>,
    /// The ASN database.
    pub asn: Option<PathBuf>,
    /// Databases older than this are stale.
    pub places_max_age: Option<Seconds>,
    /// Users, by `sub`.
    pub users: Option<PathBuf>,
    /// Devices, by id.
    pub devices: Option<PathBuf>,
    /// The policy folder.
    pub policy: PathBuf,
    /// The package that is asked.
    pub package: String,
    /// The data folder.
    pub store: PathBuf,
    /// Whether a decision waits for its record.
    pub audit: AuditMode,
    /// Settings in force that weaken a promise, for the warning at start.
    pub dangers: Vec<String>,
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
        let text =
            std::fs::read_to_string(file).map_err(|error| ConfigError(vec![format!("cannot read `{}`: {error}", file.display())]))?;
        let settings: Settings = toml::from_str(&text).map_err(|error| ConfigError(vec![error.to_string()]))?;
        Reader { folder: file.parent().unwrap_or(Path::new(".")), problems: Vec::new() }.config(settings)
    }
}

/// Collects problems while it reads.
struct Reader<'a> {
    folder: &'a Path,
    problems: Vec<String>,
}

impl Reader<'_> {
    fn config(mut self, settings: Settings) -> Result<Config, ConfigError> {
        let listeners =
            (self.address("listen.decision", &settings.listen.decision), self.address("listen.operations", &settings.listen.operations));
        let trusted_proxies = self.networks("proxy.trusted", &settings.proxy.trusted);
        let enforcers: Vec<_> =
            settings.pep.into_iter().enumerate().filter_map(|(at, pep)| self.enforcer(&format!("pep[{at}]"), pep)).collect();
        let mut dangers = Vec::new();
        let (mut hosts, mut sites) = (BTreeMap::new(), BTreeMap::new());
        for (at, settings) in settings.host.into_iter().enumerate() {
            let Some((host, rules, site)) = self.host(&format!("host[{at}]"), settings) else { continue };
            dangers
                .extend(site.report.iter().map(|path| format!("`dangerous_report` lets pass what is denied at `{host}{}`", path.as_str())));
            sites.insert(host.clone(), site);
            hosts.insert(host, rules);
        }
        let plain = settings.issuer.iter().filter(|issuer| issuer.dangerous_plain_jwt);
        dangers.extend(plain.map(|issuer| format!("`dangerous_plain_jwt` takes tokens of `{}` that do not say what they are", issuer.iss)));
        let mut by_iss = BTreeMap::new();
        for (at, issuer) in settings.issuer.into_iter().enumerate() {
            let iss = issuer.iss.clone();
            if let Some(issuer) = self.issuer(&format!("issuer[{at}]"), issuer)
                && by_iss.insert(iss.clone(), issuer).is_some()
            {
                self.problem(&format!("issuer[{at}].iss"), &format!("`{iss}` is configured twice"));
            }
        }
        let tenant = Tenant::new("main").map_err(|error| self.problem("tenant", &error.to_string()));
        let in_folder = |path: Option<PathBuf>| path.map(|path| self.folder.join(path));
        let (city, asn) = (in_folder(settings.places.city), in_folder(settings.places.asn));
        let (users, devices) = (in_folder(settings.directory.users), in_folder(settings.directory.devices));
        let (policy, store) = (self.folder.join(settings.policy.path), self.folder.join(settings.store.dir));
        let audit = match settings.audit.mode {
            Audit::Required => AuditMode::Required,
            Audit::BestEffort => AuditMode::BestEffort,
        };
        if enforcers.is_empty() {
            self.problem("pep", "no enforcement point may ask, so nothing could be decided");
        }
        let chosen_headers = settings.request.headers.iter().map(|name| name.to_ascii_lowercase()).collect();
        match (listeners, tenant) {
            ((Some(decision), Some(operations)), Ok(tenant)) if self.problems.is_empty() => Ok(Config {
                decision,
                operations,
                tenant,
                enforcers,
                rules: RequestRules { trusted_proxies, hosts, chosen_headers },
                sites,
                issuers: Issuers { by_iss, skew: Seconds(5) },
                city,
                asn,
                places_max_age: settings.places.max_age_days.map(|days| Seconds(days.saturating_mul(24 * 3600))),
                users,
                devices,
                policy,
                package: settings.policy.package,
                store,
                audit,
                dangers,
            }),
            _ => Err(ConfigError(self.problems)),
        }
    }

    fn problem(&mut self, key: &str, what: &str) {
        self.problems.push(format!("{key}: {what}"));
    }

    fn noted<T, E: std::fmt::Display>(&mut self, key: &str, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.problem(key, &error.to_string())).ok()
    }

    fn address(&mut self, key: &str, text: &str) -> Option<SocketAddr> {
        let parsed = text.parse().map_err(|_| format!("`{text}` is not an address with a port, such as `127.0.0.1:9180`"));
        self.noted(key, parsed)
    }

    fn networks(&mut self, key: &str, texts: &[String]) -> Vec<IpNet> {
        let parse = |text: &String| {
            let single = text.parse::<IpAddr>().map(IpNet::from);
            text.parse::<IpNet>().or(single).map_err(|_| format!("`{text}` is not a network, such as `10.0.0.0/8`"))
        };
        texts.iter().filter_map(|text| self.noted(key, parse(text))).collect()
    }

    fn enforcer(&mut self, key: &str, settings: PepSettings) -> Option<Enforcer> {
        let id = self.noted(&format!("{key}.id"), PepId::new(settings.id));
        let file = self.folder.join(settings.secret_file);
        let text = std::fs::read_to_string(&file).map_err(|error| format!("cannot read `{}`: {error}", file.display()));
        let text = self.noted(&format!("{key}.secret_file"), text)?;
        let secret = text.lines().next().unwrap_or_default().trim();
        if secret.len() < 16 {
            self.problem(&format!("{key}.secret_file"), "the secret is shorter than 16 characters");
        }
        let from = self.networks(&format!("{key}.from"), &settings.from);
        if from.is_empty() {
            self.problem(&format!("{key}.from"), "no network is listed, so nobody could be this enforcement point");
        }
        let may = settings.may_assert;
        let links_sessions = may.session;
        let pep = Pep { id: id?, asserts_subject: may.subject, asserts_client: may.client_address, asserts: may.names };
        Some(Enforcer { pep, secret: Digest(*blake3::hash(secret.as_bytes()).as_bytes()), from, links_sessions })
    }

    fn host(&mut self, key: &str, settings: HostSettings) -> Option<(Host, HostRules, Site)> {
        let origin = settings.origin.trim_end_matches('/').to_owned();
        let split = origin.split_once("://").filter(|(scheme, _)| matches!(*scheme, "http" | "https"));
        let (scheme, authority) = self.noted(&format!("{key}.origin"), split.ok_or("an origin is `https://` and a host"))?;
        let host = self.noted(&format!("{key}.origin"), canonical_host(authority, scheme))?;
        let report = settings.dangerous_report.iter();
        let report = report.filter_map(|path| self.noted(&format!("{key}.dangerous_report"), CanonicalPath::parse(path))).collect();
        if settings.login_url.as_ref().is_some_and(|url| !url.starts_with("http://") && !url.starts_with("https://")) {
            self.problem(&format!("{key}.login_url"), "it does not begin with `https://`");
        }
        let origin = format!("{scheme}://{host}");
        let rules = HostRules { token_cookie: settings.token_cookie, session_cookie: settings.session_cookie };
        Some((host, rules, Site { origin, login_url: settings.login_url, report }))
    }

    fn issuer(&mut self, key: &str, settings: IssuerSettings) -> Option<Issuer> {
        let names = settings.algorithms.iter();
        let named = |name: &String| algorithm(name).ok_or_else(|| format!("`{name}` is not an asymmetric algorithm that is offered"));
        let algorithms: Vec<_> = names.filter_map(|name| self.noted(&format!("{key}.algorithms"), named(name))).collect();
        if algorithms.is_empty() {
            self.problem(&format!("{key}.algorithms"), "no algorithm is allowed");
        }
        if settings.audiences.is_empty() {
            self.problem(&format!("{key}.audiences"), "no audience is listed; a token for anybody is a token for an attacker");
        }
        let file = self.folder.join(settings.jwks_file);
        let bytes = std::fs::read(&file).map_err(|error| format!("cannot read `{}`: {error}", file.display()));
        let bytes = self.noted(&format!("{key}.jwks_file"), bytes)?;
        let keys = self.noted(&format!("{key}.jwks_file"), KeySet::parse(&bytes))?;
        if keys.is_empty() {
            self.problem(&format!("{key}.jwks_file"), "no key in it can be used");
        }
        Some(Issuer {
            keys,
            algorithms,
            audiences: settings.audiences,
            takes_plain_jwt: settings.dangerous_plain_jwt,
            clients: settings.clients,
            max_lifetime: Seconds(settings.max_lifetime_seconds),
            mapped_claims: settings.claims,
        })
    }
}

#[cfg(test)]
mod tests;
