//! `countersign doctor`: reads the configuration of a proxy and says what in it would let somebody past the decision point.
//!
//! It knows what a configuration says, not what a proxy does: settings that are computed, included or pushed at run time are out of its sight.

mod blocks;
mod caddy;
mod envoy;
mod haproxy;
mod nginx;
#[cfg(test)]
mod tests;
mod traefik;
mod tree;

use std::fmt;
use std::path::Path;

use axum::http::HeaderName;
use clap::ValueEnum;
use serde::Serialize;

use crate::adapter::identity::IdentityHeaders;

/// The largest configuration that is read.
pub const LARGEST: u64 = 1 << 20;

/// Where the decision point's own pages are on each protected host: they are not checked, and lead nowhere else.
const OWN_PATH: &str = "/.countersign/";

/// Whose configuration it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// nginx: `auth_request`.
    Nginx,
    /// HAProxy: our script, or another that sets a variable.
    Haproxy,
    /// A Caddyfile: `forward_auth`.
    Caddy,
    /// Envoy, YAML or JSON: `ext_authz`.
    Envoy,
    /// Traefik, YAML or TOML: `ForwardAuth`.
    Traefik,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It weakens a defence that has others behind it.
    Low,
    /// It lets somebody past under circumstances that a client can bring about.
    Medium,
    /// It lets somebody past.
    High,
}

/// Something that a configuration should not say, or should.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name: the proxy, a slash, what it is about.
    pub id: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// Why, in one sentence.
    pub why: &'static str,
    /// What to write instead.
    pub instead: &'static str,
}

/// A place where a rule is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule.
    pub rule: &'static Rule,
    /// The line, from one.
    pub line: usize,
    /// What is there, or what is missing there.
    pub what: String,
}

/// All rules, by proxy.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    [nginx::RULES, haproxy::RULES, caddy::RULES, envoy::RULES, traefik::RULES].into_iter().flatten().copied()
}

/// Whose configuration a file is, by its name, and for YAML and JSON by what is in it.
#[must_use]
pub fn recognize(file: &Path, text: &str) -> Option<Kind> {
    let name = file.file_name()?.to_str()?.to_ascii_lowercase();
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    match ending {
        _ if name.contains("caddyfile") => Some(Kind::Caddy),
        "cfg" => Some(Kind::Haproxy),
        "conf" => Some(Kind::Nginx),
        "toml" => Some(Kind::Traefik),
        "yaml" | "yml" | "json" => {
            let tree = tree::yaml(text).ok()?;
            if envoy::is_one(&tree) { Some(Kind::Envoy) } else { traefik::is_one(&tree).then_some(Kind::Traefik) }
        }
        _ => None,
    }
}

/// Examines one configuration: what is found, in the order of lines.
///
/// # Errors
/// When it cannot be read as one of this kind.
pub fn examine(kind: Kind, file: &Path, text: &str) -> Result<Vec<Finding>, String> {
    let is_toml = file.extension().is_some_and(|ending| ending == "toml");
    let mut found = match kind {
        Kind::Nginx => nginx::examine(&blocks::nginx(text)?),
        Kind::Haproxy => haproxy::examine(text),
        Kind::Caddy => caddy::examine(&blocks::caddy(text)?)?,
        Kind::Envoy => envoy::examine(&tree::yaml(text)?),
        Kind::Traefik => traefik::examine(&if is_toml { tree::toml(text)? } else { tree::yaml(text)? }),
    };
    found.sort_by(|one, other| (one.line, one.rule.id, &one.what).cmp(&(other.line, other.rule.id, &other.what)));
    found.dedup();
    Ok(found)
}

impl Rule {
    fn at(&'static self, line: usize, what: impl Into<String>) -> Finding {
        Finding { rule: self, line, what: what.into() }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rule { id, severity, why, instead } = self.rule;
        write!(f, "{severity} {id}: {}\n    {why}\n    instead: {instead}", self.what)
    }
}

/// Which of the headers by which an application is told who asks are not among these names.
fn missing_identity<'a>(set: impl Iterator<Item = &'a str>) -> Option<String> {
    let set: Vec<&str> = set.collect();
    let identity = IdentityHeaders::default();
    let names = identity.names().iter().map(HeaderName::as_str);
    let missing: Vec<_> = names.filter(|name| !set.iter().any(|own| own.eq_ignore_ascii_case(name))).collect();
    (!missing.is_empty()).then(|| missing.join(", "))
}

/// A network that holds every address.
fn is_everyone(network: &str) -> bool {
    matches!(network, "0.0.0.0/0" | "::/0" | "*")
}
