//! A request of a browser: on which host it is, from where it comes, and what it presents.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Uri, header};
use axum::response::{IntoResponse as _, Response};
use countersign_pdp_engine::path::canonical_host;
use countersign_pdp_engine::request::{Client, Pep, RawCheck, RawHttp};
use countersign_sdk_types::{Host, PepId};

use super::Public;
use crate::adapter::{PEP_HEADER, certificate, enforcer, single};
use crate::metrics::{StepUpOutcome, StepUpStage};
use crate::pages::{Language, Problem, Site, Trouble};
use crate::pipeline::Witnessed;
use crate::step_up::StepUp;

/// A visit to a protected host.
pub(super) struct Protected {
    pub(super) public: Arc<Public>,
    pub(super) host: Host,
    pub(super) language: Language,
    /// Path and query.
    pub(super) uri: Uri,
    headers: HeaderMap,
    client: Client,
    certificate: Option<String>,
    scheme: &'static str,
}

/// A visit to the auth origin.
pub(super) struct Auth {
    pub(super) public: Arc<Public>,
    pub(super) language: Language,
    client: Client,
}

/// What an adapter reads itself, and what hop-by-hop headers say; the rest is the browser's.
const NOT_THE_BROWSERS: [&str; 5] = ["host", "connection", "x-forwarded-for", PEP_HEADER, "content-length"];

impl FromRequestParts<Arc<Public>> for Protected {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, public: &Arc<Public>) -> Result<Self, Response> {
        let language = Language::of(&parts.headers);
        let place = origins(&parts.headers).find_map(|(scheme, host, origin)| {
            let site = public.pdp.sites.get(&host)?;
            (site.origin == origin).then_some((scheme, host))
        });
        let (scheme, host) = place.ok_or_else(|| told(Site::Protected, language, Trouble::NotFound))?;
        // As on the auth origin: a page of another site may not act here.
        if parts.method == Method::POST && !is_own(&parts.headers, &format!("{scheme}://{host}")) {
            return Err(Trouble::NotAllowed.answer(None));
        }
        let (client, certificate) = client(parts, public).map_err(|trouble| told(Site::Protected, language, trouble))?;
        let (uri, headers) = (parts.uri.clone(), parts.headers.clone());
        Ok(Self { public: Arc::clone(public), host, language, uri, headers, client, certificate, scheme })
    }
}

impl FromRequestParts<Arc<Public>> for Auth {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, public: &Arc<Public>) -> Result<Self, Response> {
        let language = Language::of(&parts.headers);
        let auth = public.pdp.step_up.as_ref().map(|step_up| step_up.ceremonies.party().origin());
        let here = auth.is_some_and(|auth| origins(&parts.headers).any(|(_, _, origin)| origin == auth));
        if !here {
            return Err(told(Site::Auth, language, Trouble::NotFound));
        }
        // A page of another site may not act here: a POST names its origin, and it is this one.
        if parts.method == Method::POST && !is_own(&parts.headers, auth.unwrap_or_default()) {
            return Err(Trouble::NotAllowed.answer(None));
        }
        let (client, _) = client(parts, public).map_err(|trouble| told(Site::Auth, language, trouble))?;
        Ok(Self { public: Arc::clone(public), language, client })
    }
}

fn told(site: Site, language: Language, trouble: Trouble) -> Response {
    Problem { language, site, trouble }.into_response()
}

/// The two origins that a `Host` header can mean.
fn origins(headers: &HeaderMap) -> impl Iterator<Item = (&'static str, Host, String)> {
    let authority = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default().to_owned();
    ["https", "http"].into_iter().filter_map(move |scheme| {
        let host = canonical_host(&authority, scheme).ok()?;
        let origin = format!("{scheme}://{host}");
        Some((scheme, host, origin))
    })
}

fn is_own(headers: &HeaderMap, origin: &str) -> bool {
    let is = |name: &str, wanted: &str| matches!(single(headers, name), Ok(Some(value)) if value == wanted);
    let site = headers.get("sec-fetch-site").is_none() || is("sec-fetch-site", "same-origin");
    let json = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    is("origin", origin) && site && json.split(';').next().map(str::trim) == Some("application/json")
}

/// Where the browser is and which certificate it has: what a proxy that proves itself says, else who connected.
fn client(parts: &Parts, public: &Public) -> Result<(Client, Option<String>), Trouble> {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
    let Some(peer) = peer else { return Ok((Client::Unknown, None)) };
    if !parts.headers.contains_key(PEP_HEADER) {
        return Ok((Client::Chain { peer, forwarded: None }, None));
    }
    let enforcer = enforcer(&parts.headers, peer, &public.enforcers).map_err(|_| Trouble::NotAllowed)?;
    let certificate = certificate::presented(&parts.headers, enforcer.certificate.as_ref()).map_err(|_| Trouble::NotAllowed)?;
    let forwarded = single(&parts.headers, "x-forwarded-for").map_err(|_| Trouble::NotAllowed)?;
    Ok((Client::Chain { peer, forwarded: forwarded.map(ToOwned::to_owned) }, certificate))
}

impl Protected {
    /// The page that says what went wrong.
    pub(super) fn troubled(&self, trouble: Trouble) -> Response {
        told(Site::Protected, self.language, trouble)
    }

    /// One parameter of the query, as it stands: what we make needs no decoding.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        parameter(self.uri.query(), name)
    }

    /// The value of one of our cookies. More than one of a name is none.
    pub(super) fn cookie(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let (Some(cookies), None) = (found.next(), found.next()) else { return None };
        let mut values = cookies.split(';').filter_map(|pair| pair.trim().split_once('=')).filter(|(own, _)| *own == name);
        match (values.next(), values.next()) {
            (Some((_, value)), None) => Some(value),
            _ => None,
        }
    }

    /// The step-up, where there is one.
    pub(super) fn stepping_up(&self) -> Result<&StepUp, Trouble> {
        self.public.pdp.step_up.as_ref().ok_or(Trouble::Unavailable)
    }

    /// Whose browser this is and what it shows, by the same steps as a decision.
    pub(super) async fn witness(&self) -> Result<Witnessed, Trouble> {
        let browsers = self.headers.iter().filter(|(name, _)| !NOT_THE_BROWSERS.contains(&name.as_str()));
        let http = RawHttp {
            method: Method::GET.to_string(),
            scheme: self.scheme.to_owned(),
            authority: self.host.as_str().to_owned(),
            target: self.uri.path().to_owned(),
            headers: browsers.map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect(),
            client: self.client.clone(),
            client_certificate: self.certificate.clone(),
        };
        let id = PepId::new("browser").map_err(|_| Trouble::Unavailable)?;
        // A browser states nothing about itself.
        let pep = Pep { id, asserts_subject: false, asserts_client: false, asserts: std::collections::BTreeSet::new() };
        let raw = RawCheck { tenant: self.public.pdp.tenant.clone(), pep, http: Some(http), asked: None };
        self.public.pdp.witness(raw).await.map_err(|denial| match denial.fault() {
            countersign_sdk_types::Fault::Unavailable => Trouble::Unavailable,
            _ => Trouble::WrongBrowser,
        })
    }
}

impl Auth {
    /// The page that says what went wrong.
    pub(super) fn troubled(&self, trouble: Trouble) -> Response {
        told(Site::Auth, self.language, trouble)
    }

    /// The step-up; a visit to the auth origin is only one where there is one.
    pub(super) fn stepping_up(&self) -> Result<&StepUp, Trouble> {
        self.public.pdp.step_up.as_ref().ok_or(Trouble::Unavailable)
    }

    pub(super) fn counted(&self, stage: StepUpStage, answer: Result<&Response, &Trouble>) {
        counted(&self.public, stage, answer);
    }

    /// The address that failures count for.
    pub(super) fn address(&self) -> Option<std::net::IpAddr> {
        self.public.pdp.client_address(&self.client)
    }
}

/// Counts how a step of a ceremony ended.
pub(super) fn counted(public: &Public, stage: StepUpStage, answer: Result<&Response, &Trouble>) {
    let outcome = match answer {
        Ok(_) => StepUpOutcome::Succeeded,
        Err(Trouble::Expired | Trouble::Used) => StepUpOutcome::Expired,
        Err(_) => StepUpOutcome::Failed,
    };
    public.pdp.metrics.stepped_up(stage, outcome);
}

pub(super) fn parameter<'a>(query: Option<&'a str>, name: &str) -> Option<&'a str> {
    query?.split('&').filter_map(|pair| pair.split_once('=')).find(|(own, _)| *own == name).map(|(_, value)| value)
}
