//! Whose tokens are taken: the keys of issuers, the endpoints where they are asked, and what their clients' proofs must be.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use countersign_pdp_engine::identify::{Check, Issuer, Issuers, ProofRules};
use countersign_pdp_engine::keys::{Algorithm, KeySet, algorithm};
use countersign_sdk_types::Seconds;

use super::super::settings::{self, IntrospectionSettings, IssuerSettings};
use super::super::{ClaimMap, LARGEST};
use super::Reader;
use crate::key_sets::Source;
use crate::outbound::UrlOptions;
use crate::{files, introspection, proofs};

/// Everything that is configured for issuers, by their `iss`.
#[derive(Default)]
pub(super) struct Read {
    pub(super) issuers: Issuers,
    pub(super) key_sources: BTreeMap<String, Source>,
    pub(super) introspection: BTreeMap<String, introspection::Source>,
    pub(super) claim_maps: BTreeMap<String, ClaimMap>,
}

impl Reader<'_> {
    pub(super) fn issuers(&mut self, all: Vec<IssuerSettings>) -> Read {
        let mut read = Read { issuers: Issuers { skew: Seconds(5), ..Issuers::default() }, ..Read::default() };
        for (at, settings) in all.into_iter().enumerate() {
            let (key, iss) = (format!("issuer[{at}]"), settings.iss.clone());
            if settings.dangerous_plain_jwt {
                self.dangers.push(format!("`dangerous_plain_jwt` takes tokens of `{iss}` that do not say what they are"));
            }
            read.claim_maps.insert(iss.clone(), self.claim_map(&key, &settings.map));
            read.key_sources.extend(self.source(&key, &settings).map(|source| (iss.clone(), source)));
            if let Some(asked) = &settings.introspection {
                let source = self.introspection(&format!("{key}.introspection"), &iss, asked);
                read.introspection.extend(source.map(|source| (iss.clone(), source)));
                if asked.opaque && read.issuers.opaque.replace(iss.clone()).is_some() {
                    self.problem(
                        &format!("{key}.introspection.opaque"),
                        "one issuer is asked about tokens that name none: a token is for no other",
                    );
                }
            }
            let Some(issuer) = self.issuer(&key, settings) else { continue };
            if read.issuers.by_iss.insert(iss.clone(), issuer).is_some() {
                self.problem(&format!("{key}.iss"), &format!("`{iss}` is configured twice"));
            }
        }
        read
    }

    fn claim_map(&mut self, key: &str, settings: &BTreeMap<String, String>) -> ClaimMap {
        let mut map = ClaimMap::default();
        for (fact, claim) in settings {
            let place = match fact.as_str() {
                "role" => &mut map.role,
                "roles" => &mut map.roles,
                "device_compliant" => &mut map.device_compliant,
                "device_managed" => &mut map.device_managed,
                _ => {
                    let known = "`role`, `roles`, `device_compliant` and `device_managed`";
                    self.problem(&format!("{key}.map.{fact}"), &format!("claims can stand in for {known} only"));
                    continue;
                }
            };
            *place = Some(claim.clone());
        }
        map
    }

    fn issuer(&mut self, key: &str, settings: IssuerSettings) -> Option<Issuer> {
        let check = check(&settings);
        let algorithms = self.algorithms(&format!("{key}.algorithms"), &settings.algorithms);
        if algorithms.is_empty() && check != Check::Introspection {
            self.problem(&format!("{key}.algorithms"), "no algorithm is allowed");
        }
        if settings.audiences.is_empty() {
            self.problem(&format!("{key}.audiences"), "no audience is listed; a token for anybody is a token for an attacker");
        }
        let keys = match &settings.jwks_file {
            Some(file) => self.keys(key, file)?,
            None => KeySet::default(),
        };
        let mapped_claims: BTreeSet<String> = settings.claims.into_iter().chain(settings.map.into_values()).collect();
        Some(Issuer {
            keys,
            check,
            algorithms,
            audiences: settings.audiences,
            takes_plain_jwt: settings.dangerous_plain_jwt,
            clients: settings.clients,
            max_lifetime: Seconds(settings.max_lifetime_seconds),
            mapped_claims,
        })
    }

    fn algorithms(&mut self, key: &str, names: &[String]) -> Vec<Algorithm> {
        let named = |name: &String| algorithm(name).ok_or_else(|| format!("`{name}` is not an asymmetric algorithm that is offered"));
        names.iter().filter_map(|name| self.noted(key, named(name))).collect()
    }

    /// Where the keys come from, which is one of two places, or none where the issuer is asked about every token.
    fn source(&mut self, key: &str, settings: &IssuerSettings) -> Option<Source> {
        if settings.dangerous_private_address {
            self.dangers.push(format!("`dangerous_private_address` lets the keys of `{}` come from a private network", settings.iss));
        }
        let options =
            UrlOptions { ca_file: self.in_folder(settings.jwks_ca.clone()), dangerous_private_address: settings.dangerous_private_address };
        match (&settings.jwks_file, &settings.jwks_url) {
            (Some(file), None) => Some(Source::file(self.folder.join(file))),
            (None, Some(url)) => self.noted(&format!("{key}.jwks_url"), Source::url(url, &options)),
            (None, None) if settings.introspection.is_some() => None,
            _ => {
                self.problem(key, "it has one of `jwks_file` and `jwks_url`, or `introspection`");
                None
            }
        }
    }

    fn introspection(&mut self, key: &str, iss: &str, settings: &IntrospectionSettings) -> Option<introspection::Source> {
        if settings.dangerous_private_address {
            self.dangers.push(format!("`dangerous_private_address` lets tokens of `{iss}` be sent into a private network"));
        }
        if !(1..=300).contains(&settings.cache_seconds) {
            self.problem(
                &format!("{key}.cache_seconds"),
                "it is not a number from 1 to 300: what was revoked at the issuer counts that long",
            );
        }
        let secret = self.secret(key, &settings.secret_file)?;
        if secret.is_empty() {
            self.problem(&format!("{key}.secret_file"), "the file is empty");
        }
        let options =
            UrlOptions { ca_file: self.in_folder(settings.ca.clone()), dangerous_private_address: settings.dangerous_private_address };
        let (client, life) = ((settings.client_id.as_str(), secret.as_str()), Seconds(settings.cache_seconds));
        self.noted(&format!("{key}.url"), introspection::Source::new(&settings.url, &options, client, life))
    }

    /// Read now, so that a mistake is told at start.
    fn keys(&mut self, key: &str, file: &Path) -> Option<KeySet> {
        let file = self.folder.join(file);
        let bytes = files::read(&file, LARGEST).map_err(|error| format!("cannot read `{}`: {error}", file.display()));
        let bytes = self.noted(&format!("{key}.jwks_file"), bytes)?;
        let keys = self.noted(&format!("{key}.jwks_file"), KeySet::parse(&bytes))?;
        if keys.is_empty() {
            self.problem(&format!("{key}.jwks_file"), "no key in it can be used");
        }
        Some(keys)
    }

    /// What DPoP proofs must be.
    pub(super) fn proofs(&mut self, settings: &settings::DpopSettings) -> proofs::Settings {
        let algorithms = self.algorithms("dpop.algorithms", &settings.algorithms);
        if algorithms.is_empty() {
            self.problem("dpop.algorithms", "no algorithm is allowed, so nobody could prove a key");
        }
        if !(1..=300).contains(&settings.max_age_seconds) {
            self.problem("dpop.max_age_seconds", "it is not a number from 1 to 300");
        }
        let rules = ProofRules { algorithms, window: Seconds(settings.max_age_seconds), ..ProofRules::default() };
        proofs::Settings { rules, requires_nonce: settings.require_nonce }
    }
}

/// Without keys every token is asked about; with keys, signed ones where it is said.
fn check(settings: &IssuerSettings) -> Check {
    let has_keys = settings.jwks_file.is_some() || settings.jwks_url.is_some();
    match &settings.introspection {
        Some(_) if !has_keys => Check::Introspection,
        Some(asked) if asked.signed => Check::SignatureAndIntrospection,
        _ => Check::Signature,
    }
}
