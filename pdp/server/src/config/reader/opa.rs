//! What the section `[opa]` means.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use countersign_pdp_engine::keys::NamedKey;
use countersign_sdk_types::Digest;

use super::super::settings::opa::{BundleSettings, KeySettings, LogSettings, OpaSettings};
use super::super::{LARGEST, TlsFiles};
use super::Reader;
use crate::bundle::{BundleKey, Origin, Remote, Trust};
use crate::files;
use crate::opa::{Configured, Delay, LogOptions, Options, Resource, Rules, token_digest};
use crate::outbound::{Endpoint, UrlOptions};

/// Between two looks at what is on this machine the delay says nothing.
const NO_DELAY: Delay = Delay { min: Duration::ZERO, max: Duration::ZERO };

/// The URL as it may be shown: what stands behind a `?` may be a secret.
pub(super) fn bare(url: &str) -> String {
    url.split('?').next().unwrap_or_default().to_owned()
}

impl Reader<'_> {
    /// The listeners, each with its key, and what they serve come together.
    pub(super) fn opa(&mut self, listen: &[(&str, SocketAddr)], tls: Option<&TlsFiles>, settings: Option<OpaSettings>) -> Option<Options> {
        let settings = match (listen, settings) {
            ([], None) => return None,
            ([(key, _), ..], None) => {
                self.problem("opa", &format!("`{key}` is given, and no section says what is served there"));
                return None;
            }
            ([], Some(_)) => {
                self.problem("listen.opa", "the section `[opa]` is given, and no address to serve it at");
                return None;
            }
            (listen, Some(settings)) => {
                listen.iter().for_each(|(key, listen)| self.who_may_ask(key, *listen, tls, &settings));
                settings
            }
        };
        if settings.path.is_none() && settings.bundle.is_empty() {
            self.problem("opa", "neither `path` nor a `[[opa.bundle]]` says what is served");
        }
        if !(1..=5_000).contains(&settings.budget_ms) {
            self.problem("opa.budget_ms", "it is not a number from 1 to 5000");
        }
        if !(1..=16 * 1024).contains(&settings.body_kib) {
            self.problem("opa.body_kib", "it is not a number from 1 to 16384");
        }
        let token = settings.token_file.map(|file| self.token("opa", &file));
        let keys = Arc::new(self.each("opa.key", settings.key, Self::bundle_key).into_iter().collect());
        let mut resources = BTreeMap::new();
        let folder = settings.path.map(|path| Configured {
            name: String::new(),
            origin: Origin::Folder(self.folder.join(path)),
            trust: Trust::default(),
            delay: NO_DELAY,
        });
        let mut bundles: Vec<_> = folder.into_iter().collect();
        for (at, bundle) in settings.bundle.into_iter().enumerate() {
            let Some((configured, resource)) = self.bundle(&format!("opa.bundle[{at}]"), bundle, &keys) else { continue };
            if resources.insert(configured.name.clone(), resource).is_some() {
                self.problem("opa.bundle", &format!("`{}` is configured twice", configured.name));
            }
            bundles.push(configured);
        }
        let log_resource = settings.decision_log.as_ref().map(|log| bare(&log.url));
        Some(Options {
            bundles,
            token: token.flatten(),
            default_decision: self.decision("opa.default_decision", &settings.default_decision),
            envoy_decision: self.decision("opa.envoy_decision", &settings.envoy_decision),
            budget: Duration::from_millis(settings.budget_ms),
            largest_body: settings.body_kib.saturating_mul(1024),
            labels: settings.labels,
            log: settings.decision_log.and_then(|log| self.decision_log(log)),
            resources,
            log_resource,
        })
    }

    /// Whoever reaches the listener can ask about any input, so it is for this machine, or for those who prove who they are.
    fn who_may_ask(&mut self, key: &str, listen: SocketAddr, tls: Option<&TlsFiles>, settings: &OpaSettings) {
        let proves = settings.token_file.is_some() || tls.is_some_and(|tls| tls.client_ca.is_some());
        if !listen.ip().is_loopback() && !proves {
            self.problem(key, "anybody in the network could ask: give `opa.token_file`, `tls.client_ca`, or a loopback address");
        }
        if !listen.ip().is_loopback() && settings.token_file.is_some() && tls.is_none() {
            self.problem(key, "the token would cross the network in the clear: give `[tls]`, or a loopback address");
        }
    }

    fn token(&mut self, key: &str, file: &Path) -> Option<Digest> {
        let token = self.secret(key, file)?;
        if token.len() < 16 {
            self.problem(&format!("{key}.token_file"), "the token is shorter than 16 characters");
        }
        Some(token_digest(&token))
    }

    pub(super) fn bundle_key(&mut self, key: &str, settings: KeySettings) -> Option<(String, BundleKey)> {
        let KeySettings { id, algorithm, file, scope } = settings;
        let file = self.folder.join(file);
        let material = files::read(&file, LARGEST).map_err(|error| format!("cannot read `{}`: {error}", file.display()));
        let material = self.noted(&format!("{key}.file"), material)?;
        // A secret in a file ends with the line.
        let material = if algorithm.starts_with("HS") { material.trim_ascii_end() } else { &material };
        let verifying = self.noted(key, NamedKey::new(&algorithm, material))?;
        Some((id, BundleKey { key: verifying, scope }))
    }

    fn bundle(&mut self, key: &str, settings: BundleSettings, keys: &Arc<BTreeMap<String, BundleKey>>) -> Option<(Configured, Resource)> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let name = &settings.name;
        if !(1..=64).contains(&name.len()) || !name.bytes().all(fits) || name.starts_with('.') {
            self.problem(&format!("{key}.name"), "a name is 1 to 64 letters, digits, `.`, `_` or `-`, and does not begin with `.`");
        }
        if let Some(id) = settings.key.as_ref().filter(|id| !keys.contains_key(*id)) {
            self.problem(&format!("{key}.key"), &format!("there is no `[[opa.key]]` with the id `{id}`"));
        }
        let delay = self.delay(key, settings.min_delay_seconds, settings.max_delay_seconds);
        let (origin, resource) = match (settings.file, settings.url) {
            (Some(file), None) => {
                let file = self.folder.join(file);
                let resource = format!("file://{}", file.display());
                (Origin::File(file), resource)
            }
            (None, Some(url)) => {
                let endpoint = self.endpoint(&format!("{key}.url"), &url, settings.ca, settings.dangerous_private_address)?;
                (Origin::Url(Box::new(Remote { endpoint, token: self.in_folder(settings.token_file) })), bare(&url))
            }
            _ => {
                self.problem(key, "it has one of `file` and `url`");
                return None;
            }
        };
        let trust = Trust { keys: Arc::clone(keys), key_id: settings.key, scope: settings.scope };
        let resource = Resource { resource, signed: !keys.is_empty() };
        Some((Configured { name: settings.name, origin, trust, delay }, resource))
    }

    fn endpoint(&mut self, key: &str, url: &str, ca: Option<PathBuf>, dangerous_private_address: bool) -> Option<Endpoint> {
        if dangerous_private_address {
            self.dangers.push(format!("`dangerous_private_address` lets `{key}` lead to a private network"));
        }
        let options = UrlOptions { ca_file: self.in_folder(ca), dangerous_private_address };
        self.noted(key, Endpoint::new(url, &options))
    }

    fn delay(&mut self, key: &str, min: u64, max: u64) -> Delay {
        if min == 0 || max < min || max > 24 * 3600 {
            self.problem(&format!("{key}.min_delay_seconds"), "it is not a number from 1 to `max_delay_seconds`, and that at most 86400");
        }
        Delay { min: Duration::from_secs(min), max: Duration::from_secs(max) }
    }

    fn decision(&mut self, key: &str, path: &str) -> Vec<String> {
        let steps: Vec<_> = path.split('/').filter(|step| !step.is_empty()).map(ToOwned::to_owned).collect();
        if steps.is_empty() {
            self.problem(key, "it is not a path such as `/system/main`");
        }
        steps
    }

    fn decision_log(&mut self, settings: LogSettings) -> Option<LogOptions> {
        let key = "opa.decision_log";
        let url = format!("{}/logs", settings.url.trim_end_matches('/'));
        let delay = self.delay(key, settings.min_delay_seconds, settings.max_delay_seconds);
        let bounded = (1..=16 * 1024).contains(&settings.batch_kib)
            && (1..=1_000_000).contains(&settings.buffer_events)
            && (settings.batch_kib..=1024 * 1024).contains(&settings.buffer_kib);
        if !bounded {
            self.problem(key, "`batch_kib` is 1 to 16384, `buffer_events` 1 to 1000000, and `buffer_kib` from `batch_kib` to 1048576");
        }
        let forbidden = ["authorization", "cookie", "proxy-authorization"];
        let headers: Vec<_> = settings.headers.iter().map(|name| name.to_ascii_lowercase()).collect();
        if headers.iter().any(|name| forbidden.contains(&name.as_str())) {
            self.problem(&format!("{key}.headers"), "headers that carry credentials are not logged");
        }
        let rules = Rules {
            mask: self.decision(&format!("{key}.mask_decision"), &settings.mask_decision),
            drop: self.decision(&format!("{key}.drop_decision"), &settings.drop_decision),
        };
        Some(LogOptions {
            endpoint: self.endpoint(&format!("{key}.url"), &url, settings.ca, settings.dangerous_private_address)?,
            token: self.in_folder(settings.token_file),
            delay,
            batch_bytes: settings.batch_kib.saturating_mul(1024),
            buffer_events: settings.buffer_events,
            buffer_bytes: settings.buffer_kib.saturating_mul(1024),
            headers,
            rules,
        })
    }
}
