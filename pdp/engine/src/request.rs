//! From what an adapter read to a request without ambiguity: canonical path and host, the client's address through trusted proxies, chosen headers, and
//! the credentials kept apart, so that the request can be recorded and they cannot.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use countersign_risk::Hints;
use countersign_sdk_types::contract::{RESERVED_CONTEXT, SHADOWED_CONTEXT};
use countersign_sdk_types::{Action, DenialCode, DeviceId, Digest, Entity, EvaluationRequest, Host, PepId, Tenant};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::Denial;
use crate::path::{CanonicalPath, canonical_host};

mod headers;
mod kind;

pub use headers::{DEVICE_COOKIE, GRANT_COOKIE, IDENTITY_HEADERS, PRE_COOKIE, device_of};
pub use kind::ClientKind;

/// An enforcement point, authenticated by the server, and what it may state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pep {
    /// Its configured name.
    pub id: PepId,
    /// Its subjects are taken as stated.
    pub asserts_subject: bool,
    /// The client address that it states is taken.
    pub asserts_client: bool,
    /// Members of `context`, and properties, that it may state. `*` allows any that is not reserved.
    pub asserts: BTreeSet<String>,
}

/// Where the client's address comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Client {
    /// The peer of the connection and the `X-Forwarded-For` that it sent.
    Chain {
        /// Who connected.
        peer: IpAddr,
        /// The header as received.
        forwarded: Option<String>,
    },
    /// An enforcement point that may, says so.
    Asserted(IpAddr),
    /// Nobody says.
    Unknown,
}

/// A proxied request as an adapter read it. Nothing in it is believed yet.
#[derive(Debug, Clone)]
pub struct RawHttp {
    /// The method.
    pub method: String,
    /// `http` or `https`.
    pub scheme: String,
    /// Host and port.
    pub authority: String,
    /// Path and query as sent.
    pub target: String,
    /// The client's headers as they came.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Where the client is.
    pub client: Client,
    /// BLAKE3 is not used here: SHA-256 of the DER client certificate, base64url, from a trusted proxy (RFC 8705 §3.1).
    pub client_certificate: Option<String>,
}

/// What an adapter hands in.
#[derive(Debug, Clone)]
pub struct RawCheck {
    /// The tenant of the listener or host.
    pub tenant: Tenant,
    /// Who asks on the subject's behalf.
    pub pep: Pep,
    /// The proxied request, where there is one.
    pub http: Option<RawHttp>,
    /// The AuthZEN question, where there is one.
    pub asked: Option<EvaluationRequest>,
}

/// What is configured for a protected host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostRules {
    /// The cookie that carries the token.
    pub token_cookie: Option<String>,
    /// The application's own opaque session cookie.
    pub session_cookie: Option<String>,
}

/// What is configured for requests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestRules {
    /// Proxies whose `X-Forwarded-For` is believed. Empty by default.
    pub trusted_proxies: Vec<IpNet>,
    /// The protected hosts.
    pub hosts: BTreeMap<Host, HostRules>,
    /// Headers that policies may see, in lower case.
    pub chosen_headers: BTreeSet<String>,
    /// The header in which the proxy says the JA4 fingerprint of the TLS handshake, in lower case. The proxy must overwrite what a client sends.
    pub ja4_header: Option<String>,
}

/// What a client says of itself: its `User-Agent`, Client Hints, its languages, and what a proxy saw of its handshake.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the fields are the headers")]
pub struct Agent {
    pub user_agent: Option<String>,
    pub brands: Option<String>,
    pub platform: Option<String>,
    pub platform_version: Option<String>,
    pub model: Option<String>,
    pub mobile: Option<String>,
    pub language: Option<String>,
    pub ja4: Option<String>,
}

impl Agent {
    /// A hint that comes twice says nothing: no access hangs on it.
    fn read(headers: &headers::Headers, ja4_header: Option<&str>) -> Result<Self, Denial> {
        let one = |name: &str| headers.one(name).ok().flatten().map(ToOwned::to_owned);
        Ok(Self {
            user_agent: headers.one("user-agent")?.map(ToOwned::to_owned),
            brands: one("sec-ch-ua"),
            platform: one("sec-ch-ua-platform"),
            platform_version: one("sec-ch-ua-platform-version"),
            model: one("sec-ch-ua-model"),
            mobile: one("sec-ch-ua-mobile"),
            language: one("accept-language"),
            ja4: ja4_header.and_then(one),
        })
    }

    /// What is said beside the `User-Agent`, as the risk engine takes it.
    pub(crate) fn hints(&self) -> Hints<'_> {
        Hints {
            brands: self.brands.as_deref(),
            platform: self.platform.as_deref(),
            platform_version: self.platform_version.as_deref(),
            model: self.model.as_deref(),
            mobile: self.mobile.as_deref(),
            language: self.language.as_deref(),
            ja4: self.ja4.as_deref(),
        }
    }
}

/// The proxied request in its one form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpRequest {
    /// The method.
    pub method: String,
    /// `http` or `https`.
    pub scheme: String,
    /// The host.
    pub host: Host,
    /// The canonical path.
    pub path: CanonicalPath,
    /// The path as sent.
    pub raw_path: String,
    /// The query without `?`.
    pub query: String,
    /// The chosen headers.
    pub headers: BTreeMap<String, Vec<String>>,
    /// What kind of client asks.
    #[serde(default)]
    pub kind: ClientKind,
    /// Path and query of the page whose script asks, where it is a page of this host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<String>,
}

/// A request without ambiguity and without secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessRequest {
    pub(crate) tenant: Tenant,
    pub(crate) pep: PepId,
    pub(crate) http: Option<HttpRequest>,
    pub(crate) asserted_subject: Option<Entity>,
    pub(crate) action: Action,
    pub(crate) resource: Entity,
    pub(crate) caller: Map<String, Value>,
    pub(crate) client_address: Option<IpAddr>,
    pub(crate) agent: Agent,
    pub(crate) client_certificate: Option<String>,
    /// The types of obligations that the enforcement point supports; `None` where it does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) supported_obligations: Option<BTreeSet<String>>,
}

/// How a token was presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scheme {
    /// `Authorization: Bearer` (RFC 6750).
    Bearer,
    /// `Authorization: DPoP` (RFC 9449).
    Dpop,
    /// The configured cookie.
    Cookie,
}

/// What the request proves itself with. Never serialized, never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// The access token.
    pub token: Option<(Scheme, String)>,
    /// The DPoP proof, not yet looked at.
    pub proof: Option<String>,
    /// The application's session cookie.
    pub session_cookie: Option<String>,
    /// The device cookie.
    pub device: Option<DeviceId>,
    /// The secret of a grant.
    pub grant: Option<String>,
}

impl Credentials {
    /// What identifies the subject is a cookie: every page of this browser on this host is identified by it too.
    #[must_use]
    pub fn are_a_browsers(&self) -> bool {
        self.token.as_ref().map_or(self.session_cookie.is_some(), |(scheme, _)| *scheme == Scheme::Cookie)
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("token", &self.token.as_ref().map(|(scheme, _)| scheme)).finish_non_exhaustive()
    }
}

/// Brings a raw check into its one form.
///
/// # Errors
/// A denial of the malformed kind, or `conflicting_credentials`.
pub fn normalize(raw: RawCheck, rules: &RequestRules) -> Result<(AccessRequest, Credentials), Denial> {
    let (http, credentials, client, agent, client_certificate) = match raw.http {
        None => (None, Credentials::default(), None, Agent::default(), None),
        Some(http) => {
            let certificate = http.client_certificate.clone();
            let client = client_address(&http.client, &rules.trusted_proxies)?;
            let (http, credentials, agent) = normalize_http(http, rules)?;
            (Some(http), credentials, client, agent, certificate)
        }
    };
    let question = question(raw.asked, http.as_ref(), &raw.pep)?;
    let request = AccessRequest {
        tenant: raw.tenant,
        pep: raw.pep.id,
        http,
        asserted_subject: question.subject,
        action: question.action,
        resource: question.resource,
        caller: question.caller,
        client_address: client,
        agent,
        client_certificate,
        supported_obligations: question.supported_obligations,
    };
    Ok((request, credentials))
}

struct Question {
    subject: Option<Entity>,
    action: Action,
    resource: Entity,
    caller: Map<String, Value>,
    supported_obligations: Option<BTreeSet<String>>,
}

/// The subject by which an enforcement point says: look at the presented token.
const PRESENTED: &str = "token";

fn question(asked: Option<EvaluationRequest>, http: Option<&HttpRequest>, pep: &Pep) -> Result<Question, Denial> {
    let Some(mut asked) = asked else {
        let http = http.ok_or_else(|| Denial::new(DenialCode::MalformedRequest, "neither a question nor a proxied request"))?;
        let action = Action { name: http.method.clone(), properties: Map::new() };
        let id = format!("{}{}", http.host, http.path.as_str());
        let resource = Entity { kind: "route".to_owned(), id, properties: Map::new() };
        return Ok(Question { subject: None, action, resource, caller: Map::new(), supported_obligations: None });
    };
    asked.context.remove("http");
    let supported_obligations = asked.context.remove("supported_obligations").map(names).transpose()?;
    let is_refused = |name: &str| RESERVED_CONTEXT.contains(&name) && !SHADOWED_CONTEXT.contains(&name);
    if let Some(name) = asked.context.keys().find(|name| is_refused(name)) {
        return Err(Denial::new(DenialCode::ReservedName, format!("`context.{name}` is computed here")));
    }
    let may = |name: &String| pep.asserts.contains("*") || pep.asserts.contains(name);
    let stated = asked.context.keys().chain(asked.subject.properties.keys());
    if let Some(name) = stated.into_iter().find(|name| !may(name)) {
        return Err(Denial::new(DenialCode::NotAssertable, format!("`{}` may not state `{name}`", pep.id)));
    }
    let presented = asked.subject.kind == PRESENTED && http.is_some();
    if !presented && !pep.asserts_subject {
        return Err(Denial::new(DenialCode::NotAssertable, format!("`{}` may not state a subject", pep.id)));
    }
    let subject = (!presented).then_some(asked.subject);
    Ok(Question { subject, action: asked.action, resource: asked.resource, caller: asked.context, supported_obligations })
}

/// The most types of obligations that an enforcement point may list.
const MOST_OBLIGATIONS: usize = 64;

fn names(listed: Value) -> Result<BTreeSet<String>, Denial> {
    let why = || Denial::new(DenialCode::MalformedRequest, "`context.supported_obligations` is not a list of at most 64 texts");
    let names: BTreeSet<String> = serde_json::from_value(listed).map_err(|_| why())?;
    if names.len() > MOST_OBLIGATIONS { Err(why()) } else { Ok(names) }
}

fn normalize_http(raw: RawHttp, rules: &RequestRules) -> Result<(HttpRequest, Credentials, Agent), Denial> {
    let malformed = |why: &str| Denial::new(DenialCode::MalformedRequest, why);
    // Methods are case-sensitive tokens (RFC 9110 §9.1); `get` is not `GET`, so it is nobody's.
    let is_method = (1..=32).contains(&raw.method.len()) && raw.method.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
    if !is_method {
        return Err(malformed("method is not an upper-case token"));
    }
    if raw.method == "CONNECT" {
        return Err(malformed("a tunnel has no path to decide about"));
    }
    if !matches!(raw.scheme.as_str(), "http" | "https") {
        return Err(malformed("scheme is neither http nor https"));
    }
    let host = canonical_host(&raw.authority, &raw.scheme).map_err(|why| malformed(&why.to_string()))?;
    let host_rules = rules.hosts.get(&host).ok_or_else(|| Denial::new(DenialCode::UnknownHost, "host is not protected here"))?;
    let (raw_path, query) = raw.target.split_once('?').unwrap_or((&raw.target, ""));
    let path = CanonicalPath::parse(raw_path).map_err(|why| Denial::new(DenialCode::AmbiguousPath, why.to_string()))?;
    if !is_query(query) {
        return Err(malformed("query is too long or has characters that must be encoded"));
    }
    let headers = headers::Headers::read(&raw.headers)?;
    let credentials = headers.credentials(host_rules)?;
    let kind = ClientKind::of(&raw.method, &headers);
    let page = headers.first("referer").filter(|_| kind == ClientKind::Script).and_then(|page| page_here(page, &raw.scheme, &host));
    let agent = Agent::read(&headers, rules.ja4_header.as_deref())?;
    let chosen = headers.chosen(&rules.chosen_headers);
    let (raw_path, query) = (raw_path.to_owned(), query.to_owned());
    let http = HttpRequest { method: raw.method, scheme: raw.scheme, host, path, raw_path, query, headers: chosen, kind, page };
    Ok((http, credentials, agent))
}

fn is_query(query: &str) -> bool {
    query.len() <= 8 * 1024 && query.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
}

/// Path and query of a `Referer`, if it is a page of this origin that could be asked for itself.
fn page_here(referer: &str, scheme: &str, host: &Host) -> Option<String> {
    let rest = referer.strip_prefix(scheme)?.strip_prefix("://")?;
    let (authority, target) = rest.split_at(rest.find(['/', '?', '#'])?);
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let path = CanonicalPath::parse(path).ok()?;
    let is_here = canonical_host(authority, scheme).is_ok_and(|found| found == *host);
    (is_here && query.is_none_or(is_query))
        .then(|| query.map_or_else(|| path.as_str().to_owned(), |query| format!("{}?{query}", path.as_str())))
}

/// The most hops that a chain may have.
const HOPS: usize = 32;

/// The right-most hop that is not a trusted proxy. A hop that is no address makes the client unknown: never the next one to the left.
///
/// # Errors
/// When there are more hops than anybody has.
pub fn client_address(client: &Client, trusted: &[IpNet]) -> Result<Option<IpAddr>, Denial> {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|net| net.contains(address));
    let (peer, forwarded) = match client {
        Client::Unknown => return Ok(None),
        Client::Asserted(address) => return Ok(Some(address.to_canonical())),
        Client::Chain { peer, forwarded } => (peer.to_canonical(), forwarded.as_deref().unwrap_or_default()),
    };
    if !is_trusted(&peer) {
        return Ok(Some(peer));
    }
    let hops: Vec<&str> = forwarded.split(',').map(str::trim).filter(|hop| !hop.is_empty()).collect();
    if hops.len() > HOPS {
        return Err(Denial::new(DenialCode::MalformedRequest, "more than 32 forwarding hops"));
    }
    for hop in hops.into_iter().rev() {
        let Ok(address) = hop.parse::<IpAddr>() else { return Ok(None) };
        let address = address.to_canonical();
        if !is_trusted(&address) {
            return Ok(Some(address));
        }
    }
    Ok(None)
}

impl AccessRequest {
    /// The tenant.
    #[must_use]
    pub const fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// The proxied request.
    #[must_use]
    pub const fn http(&self) -> Option<&HttpRequest> {
        self.http.as_ref()
    }

    /// The client's address.
    #[must_use]
    pub const fn client_address(&self) -> Option<IpAddr> {
        self.client_address
    }

    /// The `User-Agent`.
    #[must_use]
    pub fn user_agent(&self) -> Option<&str> {
        self.agent.user_agent.as_deref()
    }

    /// The subject that an enforcement point stated.
    #[must_use]
    pub const fn asserted_subject(&self) -> Option<&Entity> {
        self.asserted_subject.as_ref()
    }

    /// The same question about another stated subject. A request that states none is about whom it presents, and nobody else.
    ///
    /// # Errors
    /// `not_assertable`, when the request states no subject.
    pub fn about(&self, subject: Entity) -> Result<Self, Denial> {
        if self.asserted_subject.is_none() {
            return Err(Denial::new(DenialCode::NotAssertable, "the request states no subject"));
        }
        Ok(Self { asserted_subject: Some(subject), ..self.clone() })
    }

    /// What is asked to be done.
    #[must_use]
    pub const fn action(&self) -> &Action {
        &self.action
    }

    /// With what.
    #[must_use]
    pub const fn resource(&self) -> &Entity {
        &self.resource
    }

    /// What is asked for, whoever asks: action, resource and the caller's context. A step-up is bound to it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut hasher = blake3::Hasher::new_derive_key("countersign request 1");
        let query = self.http.as_ref().map(|http| http.query.as_str());
        let bound = serde_json::to_vec(&(&self.tenant, &self.action, &self.resource, query, &self.caller)).unwrap_or_default();
        Digest(*hasher.update(&bound).finalize().as_bytes())
    }
}

#[cfg(test)]
mod tests;
