//! From settings to what they mean. Problems are collected, so that one run names all of them.

mod issuers;
mod opa;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::http::HeaderName;
use countersign_pdp_engine::path::{CanonicalPath, canonical_host};
use countersign_pdp_engine::request::{HostRules, Pep, RequestRules};
use countersign_pdp_stepup::RelyingParty;
use countersign_pdp_store::AuditMode;
use countersign_risk::Weights;
use countersign_sdk_types::{Digest, Host, PepId, Seconds, Tenant};
use ipnet::IpNet;

use super::settings::{self, Settings};
use super::{Config, ConfigError, Enforcer, Listeners, Patience, Site, StepUp, TlsFiles, text};
use crate::adapter::certificate::CertificateHeader;
use crate::adapter::identity::IdentityHeaders;
use crate::control::OperatorKey;

mod authzen;
mod lease;
mod policy;
mod rollout;
mod snapshot;

pub(super) fn read(settings: Settings, folder: &Path) -> Result<Config, ConfigError> {
    let mut reader = Reader { folder, problems: Vec::new(), dangers: Vec::new() };
    match (reader.config(settings), reader.problems) {
        (Some(config), problems) if problems.is_empty() => Ok(config),
        (_, problems) => Err(ConfigError(problems)),
    }
}

/// Collects problems and dangers while it reads.
struct Reader<'a> {
    folder: &'a Path,
    problems: Vec<String>,
    dangers: Vec<String>,
}

impl Reader<'_> {
    fn config(&mut self, settings: Settings) -> Option<Config> {
        let listen = self.listeners(&settings.listen);
        let in_the_clear = |listen: &Listeners| settings.tls.is_none() && listen.control.is_some_and(|at| !at.ip().is_loopback());
        if listen.as_ref().is_some_and(in_the_clear) {
            self.problem(
                "listen.control",
                "the keys of operators would cross the network in the clear: give `[tls]`, or a loopback address",
            );
        }
        let identity = self.identity(&settings.proxy.identity_headers);
        let trusted_proxies = self.networks("proxy.trusted", &settings.proxy.trusted);
        let enforcers = self.each("pep", settings.pep, Self::enforcer);
        self.tell_apart(&enforcers, settings.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some()));
        if enforcers.is_empty() {
            self.problem("pep", "no enforcement point may ask, so nothing could be decided");
        }
        let operators = self.each("operator", settings.operator, Self::operator);
        let (hosts, sites) = self.hosts(settings.host);
        let issuers::Read { issuers, key_sources, introspection, claim_maps } = self.issuers(settings.issuer);
        let proofs = self.proofs(&settings.dpop);
        let step_up = settings.step_up.and_then(|step_up| self.step_up(step_up, &sites, settings.listen.public.is_some()));
        let patience = self.patience(&settings.decision);
        let authzen = self.authzen(settings.authzen);
        let lease = self.lease(settings.lease);
        let snapshot = self.snapshot(settings.snapshot, &enforcers);
        let policy = self.policy(settings.policy, settings.listen.control.is_some());
        let weights = self.weights(settings.risk);
        let tenant = self.noted("tenant", Tenant::new("main"));
        let ja4_header = settings.request.ja4_header.as_ref().map(|name| name.to_ascii_lowercase());
        let chosen_headers = settings.request.headers.iter().map(|name| name.to_ascii_lowercase()).collect();
        let tls = settings.tls.map(|tls| TlsFiles {
            certificate: self.folder.join(tls.certificate),
            key: self.folder.join(tls.key),
            client_ca: self.in_folder(tls.client_ca),
        });
        let opa_at = listen.as_ref().map(Listeners::of_opa).unwrap_or_default();
        let opa = self.opa(&opa_at, tls.as_ref(), settings.opa);
        Some(Config {
            listen: listen?,
            opa,
            tls,
            tenant: tenant?,
            enforcers,
            operators,
            rules: RequestRules { trusted_proxies, hosts, chosen_headers, ja4_header },
            identity,
            sites,
            issuers,
            key_sources,
            introspection,
            proofs,
            claim_maps,
            places: crate::places::Files {
                city: self.in_folder(settings.places.city),
                second_city: self.in_folder(settings.places.second_city),
                asn: self.in_folder(settings.places.asn),
                anonymous: self.in_folder(settings.places.anonymous),
            },
            places_max_age: settings.places.max_age_days.map(|days| Seconds(days.saturating_mul(24 * 3600))),
            users: self.in_folder(settings.directory.users),
            devices: self.in_folder(settings.directory.devices),
            policy: policy?,
            step_up,
            patience,
            authzen,
            lease,
            snapshot,
            weights,
            store: self.folder.join(settings.store.dir),
            audit: match settings.audit.mode {
                settings::Audit::Required => AuditMode::Required,
                settings::Audit::BestEffort => AuditMode::BestEffort,
            },
            dangers: std::mem::take(&mut self.dangers),
        })
    }

    fn problem(&mut self, key: &str, what: &str) {
        self.problems.push(format!("{key}: {what}"));
    }

    fn noted<T, E: std::fmt::Display>(&mut self, key: &str, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.problem(key, &error.to_string())).ok()
    }

    fn each<S, T>(&mut self, key: &str, all: Vec<S>, read: fn(&mut Self, &str, S) -> Option<T>) -> Vec<T> {
        all.into_iter().enumerate().filter_map(|(at, one)| read(self, &format!("{key}[{at}]"), one)).collect()
    }

    fn in_folder(&self, path: Option<PathBuf>) -> Option<PathBuf> {
        path.map(|path| self.folder.join(path))
    }

    fn listeners(&mut self, listen: &settings::Listen) -> Option<Listeners> {
        let decision = self.address("listen.decision", &listen.decision);
        let operations = self.address("listen.operations", &listen.operations);
        let grpc = listen.grpc.as_deref().map(|text| self.address("listen.grpc", text));
        let public = listen.public.as_deref().map(|text| self.address("listen.public", text));
        let control = listen.control.as_deref().map(|text| self.address("listen.control", text));
        let opa = listen.opa.as_deref().map(|text| self.address("listen.opa", text));
        let opa_grpc = listen.opa_grpc.as_deref().map(|text| self.address("listen.opa_grpc", text));
        Some(Listeners {
            decision: decision?,
            grpc: grpc.flatten(),
            public: public.flatten(),
            control: control.flatten(),
            operations: operations?,
            opa: opa.flatten(),
            opa_grpc: opa_grpc.flatten(),
        })
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

    fn identity(&mut self, names: &[String]) -> IdentityHeaders {
        let parse = |name: &String| HeaderName::try_from(name.as_str()).map_err(|_| format!("`{name}` is not the name of a header"));
        IdentityHeaders::with(names.iter().filter_map(|name| self.noted("proxy.identity_headers", parse(name))))
    }

    /// The first line of a file.
    fn secret(&mut self, key: &str, file: &Path) -> Option<String> {
        let file = self.folder.join(file);
        let text = self.noted(key, text(&file))?;
        Some(text.lines().next().unwrap_or_default().trim().to_owned())
    }

    fn enforcer(&mut self, key: &str, settings: settings::PepSettings) -> Option<Enforcer> {
        let id = self.noted(&format!("{key}.id"), PepId::new(settings.id));
        let secret = self.shared(&format!("{key}.secret_file"), settings.secret_file.as_deref());
        let bearer = self.shared(&format!("{key}.bearer_file"), settings.bearer_file.as_deref());
        let certificates = self.certificates(&format!("{key}.certificates"), &settings.certificates);
        if settings.secret_file.is_none() && settings.bearer_file.is_none() && settings.certificates.is_empty() {
            self.problem(key, "it has none of `secret_file`, `bearer_file` and `certificates`, so nobody could be this enforcement point");
        }
        let from = self.networks(&format!("{key}.from"), &settings.from);
        if from.is_empty() {
            self.problem(&format!("{key}.from"), "no network is listed, so nobody could be this enforcement point");
        }
        let certificate = self.certificate_header(key, settings.client_certificate, settings.client_certificate_header);
        let may = settings.may_assert;
        let links_sessions = may.session;
        let pep = Pep { id: id?, asserts_subject: may.subject, asserts_client: may.client_address, asserts: may.names };
        Some(Enforcer {
            pep,
            secret,
            bearer,
            certificates,
            authzen: settings.authzen,
            from,
            links_sessions,
            certificate,
            is_edge: settings.edge,
        })
    }

    fn certificate_header(&mut self, key: &str, kind: Option<String>, name: Option<String>) -> Option<CertificateHeader> {
        let key = format!("{key}.client_certificate");
        let Some(kind) = kind else {
            if name.is_some() {
                self.problem(&key, "a header is named, and not how it is written");
            }
            return None;
        };
        let unknown = || format!("`{kind}` is not one of `xfcc`, `nginx`, `haproxy` and `traefik`");
        let mut header = self.noted(&key, CertificateHeader::of(&kind).ok_or_else(unknown))?;
        if let Some(name) = name {
            let parsed = name.parse::<HeaderName>().map_err(|_| format!("`{name}` is not the name of a header"));
            header.name = self.noted(&format!("{key}_header"), parsed)?.as_str().to_owned();
        }
        Some(header)
    }

    /// A secret that is shared with an enforcement point.
    fn shared(&mut self, key: &str, file: Option<&Path>) -> Option<Digest> {
        let secret = self.secret(key, file?)?;
        if secret.len() < 16 {
            self.problem(key, "the secret is shorter than 16 characters");
        }
        Some(Enforcer::digest(&secret))
    }

    fn operator(&mut self, key: &str, settings: settings::OperatorSettings) -> Option<OperatorKey> {
        let settings::OperatorSettings { name, secret_file } = settings;
        let secret = self.secret(&format!("{key}.secret_file"), &secret_file)?;
        self.noted(key, OperatorKey::new(&name, &secret))
    }

    fn hosts(&mut self, all: Vec<settings::HostSettings>) -> (BTreeMap<Host, HostRules>, BTreeMap<Host, Site>) {
        let (mut rules, mut sites) = (BTreeMap::new(), BTreeMap::new());
        for (host, own, site) in self.each("host", all, Self::host) {
            for path in &site.report {
                self.dangers.push(format!("`dangerous_report` lets pass what is denied at `{host}{}`", path.as_str()));
            }
            if site.passes_preflights {
                self.dangers.push(format!("`dangerous_pass_preflight` lets preflights reach `{host}` undecided"));
            }
            if sites.insert(host.clone(), site).is_some() {
                self.problem("host", &format!("`{host}` is configured twice"));
            }
            rules.insert(host, own);
        }
        (rules, sites)
    }

    fn host(&mut self, key: &str, settings: settings::HostSettings) -> Option<(Host, HostRules, Site)> {
        let (host, origin) = self.origin(&format!("{key}.origin"), &settings.origin)?;
        let report = settings.dangerous_report.iter();
        let report = report.filter_map(|path| self.noted(&format!("{key}.dangerous_report"), CanonicalPath::parse(path))).collect();
        if settings.login_url.as_ref().is_some_and(|url| !url.starts_with("http://") && !url.starts_with("https://")) {
            self.problem(&format!("{key}.login_url"), "it does not begin with `https://`");
        }
        let rules = HostRules { token_cookie: settings.token_cookie, session_cookie: settings.session_cookie };
        let passes_preflights = settings.dangerous_pass_preflight;
        Some((host, rules, Site { origin, login_url: settings.login_url, report, passes_preflights }))
    }

    /// An origin in its one form, and the host in it.
    fn origin(&mut self, key: &str, text: &str) -> Option<(Host, String)> {
        let split = text.trim_end_matches('/').split_once("://").filter(|(scheme, _)| matches!(*scheme, "http" | "https"));
        let (scheme, authority) = self.noted(key, split.ok_or("an origin is `https://` and a host"))?;
        let host = self.noted(key, canonical_host(authority, scheme))?;
        let origin = format!("{scheme}://{host}");
        Some((host, origin))
    }

    fn step_up(&mut self, settings: settings::StepUpSettings, sites: &BTreeMap<Host, Site>, public: bool) -> Option<StepUp> {
        let (host, origin) = self.origin("step_up.origin", &settings.origin)?;
        // Browsers tell cookies and relying parties of two ports of a host not apart.
        let name = |host: &Host| host.as_str().rsplit_once(':').map_or(host.as_str(), |(name, _)| name).to_owned();
        if sites.keys().any(|site| name(site) == name(&host)) {
            self.problem("step_up.origin", "it is a protected host; passkeys live on a host of their own");
        }
        if !public {
            self.problem("listen.public", "without it no browser could reach the pages of `step_up.origin`");
        }
        if !(60..=8 * 3600).contains(&settings.grant_life_seconds) {
            self.problem("step_up.grant_life_seconds", "it is not a number from 60 to 28800");
        }
        self.noted("step_up.origin", RelyingParty::new(&origin, &settings.name));
        let (grant_life, max_age) = (Seconds(settings.grant_life_seconds), Seconds(settings.max_age_seconds));
        Some(StepUp { origin, name: settings.name, grant_life, max_age })
    }

    fn patience(&mut self, settings: &settings::DecisionSettings) -> Patience {
        let settings::DecisionSettings { deadline_ms, policy_budget_ms } = *settings;
        if !(10..=10_000).contains(&deadline_ms) {
            self.problem("decision.deadline_ms", "it is not a number from 10 to 10000");
        }
        if !(1..=deadline_ms).contains(&policy_budget_ms) {
            self.problem("decision.policy_budget_ms", "it is not a number from 1 to the deadline");
        }
        Patience { deadline: Duration::from_millis(deadline_ms), policy: Duration::from_millis(policy_budget_ms) }
    }

    fn weights(&mut self, weights: Weights) -> Weights {
        self.noted("risk", weights.validate());
        weights
    }
}
