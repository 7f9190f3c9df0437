//! What a decision becomes for the client that waits behind a proxy: one negotiation for every proxy, before anything is put into that proxy's terms.
//!
//! | client | step-up | no session | other refusal |
//! |---|---|---|---|
//! | navigation | redirect to the ceremony | redirect to the login, else 401 | 403 |
//! | script of the same host | 401, problem with the ceremony's address | 401, problem with the login's address | 403, problem |
//! | other program | 401 with the challenge of RFC 9470, problem | 401 with a challenge, problem | 403, problem |
//! | gRPC | 401 and `grpc-status` 16 | the same | 403 and `grpc-status` 7 |
//! | WebSocket handshake | 401 with the challenge | 401 with a challenge | 403 |
//! | preflight | – | 403, or passed where its host is configured so | 403 |
//!
//! A status of success is an allow on every one of these wires, so no refusal has one: a proxy that makes HTTP 200 with `grpc-status` of a refused gRPC
//! call, as it should reach the client, does so from what is here.

mod challenge;
mod problem;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use countersign_pdp_engine::Denial;
use countersign_pdp_engine::decide::{Decision, Demand, Permit};
use countersign_pdp_engine::request::{ClientKind, RawCheck, RawHttp};
use countersign_sdk_types::{DenialCode, Effect, Fault, Host, RiskLevel};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use self::problem::Problem;
use super::identity::{self, IdentityHeaders};
use super::{certificate, enforcer};
use crate::config::Site;
use crate::metrics::Door;
use crate::pipeline::{Answer, Asked};
use crate::proofs::Terms;
use crate::serve::Decider;

/// What a proxy is told, whichever it is.
#[derive(Debug)]
pub enum Reply {
    /// The request passes, with all of these headers set on it: the ones without a value must not reach the application.
    Pass(HeaderMap),
    /// The client gets this answer.
    Refuse(Refusal),
}

/// An answer for the client. Its status is never one of success.
#[derive(Debug)]
pub struct Refusal {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Refusal {
    /// 302 and 303 with a `Location`, 400, 401, 403 or 503.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// `Location`, `WWW-Authenticate`, `Cache-Control` and the id of the decision.
    #[must_use]
    pub const fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The text, often none.
    #[must_use]
    pub fn body(&self) -> &str {
        &self.body
    }

    /// The same in a status that the proxy can carry; what would be a success becomes 403.
    #[must_use]
    pub fn with_status(self, status: StatusCode) -> Self {
        let status = if status.is_success() || status.is_informational() { StatusCode::FORBIDDEN } else { status };
        Self { status, ..self }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, self.headers, self.body).into_response()
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        match self {
            Self::Pass(headers) => (StatusCode::OK, [(header::CACHE_CONTROL, NO_STORE)], headers).into_response(),
            Self::Refuse(refusal) => refusal.into_response(),
        }
    }
}

impl Decider {
    /// Decides about a request that an authenticated proxy passed on, and says it for the client that waits. Nothing is read for a stranger.
    pub(crate) async fn proxied(
        &self,
        door: Door,
        peer: SocketAddr,
        headers: &HeaderMap,
        read: impl FnOnce() -> Result<RawHttp, Denial>,
    ) -> Reply {
        let raw = enforcer(headers, peer.ip(), &self.enforcers).and_then(|enforcer| {
            let client_certificate = certificate::presented(headers, enforcer.certificate.as_ref())?;
            let http = RawHttp { client_certificate, ..read()? };
            Ok(RawCheck { tenant: self.tenant.clone(), pep: enforcer.pep.clone(), http: Some(http), asked: None })
        });
        self.reply(door, raw).await
    }

    /// Decides what an adapter read, and says it for the client that waits.
    pub(crate) async fn reply(&self, door: Door, raw: Result<RawCheck, Denial>) -> Reply {
        reply(self.pdp.check(door, raw).await, &self.pdp.sites, &self.identity)
    }
}

/// Negotiates. The allow arm takes the `Permit`.
#[must_use]
pub fn reply(answer: Answer, sites: &BTreeMap<Host, Site>, identity: &IdentityHeaders) -> Reply {
    let Answer { id, decision, level, asked, ceremony, .. } = answer;
    let site = asked.as_ref().and_then(|asked| sites.get(&asked.host));
    let waiting = Waiting { id: &id, asked: asked.as_ref(), site };
    let pass = |mut headers: HeaderMap| {
        headers.insert(identity::DECISION, text(&id));
        headers.insert(identity::RISK, HeaderValue::from_static(band(level)));
        Reply::Pass(identity.completed(headers))
    };
    match decision {
        Decision::Allow(permit) => pass(allow(&permit)),
        Decision::StepUp(_) if waiting.reports() => pass(would(Effect::StepUp)),
        Decision::Deny(denial) if waiting.lets_pass(&denial) => pass(would(Effect::Deny)),
        Decision::StepUp(demand) => Reply::Refuse(waiting.step_up(&demand, ceremony)),
        Decision::Deny(denial) => Reply::Refuse(waiting.deny(&denial)),
    }
}

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

fn allow(permit: &Permit) -> HeaderMap {
    let roles: Vec<&str> = permit.roles().iter().map(String::as_str).filter(|role| is_role(role)).collect();
    HeaderMap::from_iter([(identity::USER, text(&permit.subject().sub)), (identity::GROUPS, text(&roles.join(",")))])
}

/// A role with a comma would read as two, and one with a space at an end as another role.
fn is_role(role: &str) -> bool {
    !role.is_empty() && !role.contains(',') && role.trim() == role
}

/// A refusal that passes names nobody.
fn would(effect: Effect) -> HeaderMap {
    HeaderMap::from_iter([(identity::WOULD, HeaderValue::from_static(effect.as_str()))])
}

/// The client that waits for an answer.
struct Waiting<'a> {
    id: &'a str,
    asked: Option<&'a Asked>,
    site: Option<&'a Site>,
}

impl Waiting<'_> {
    fn kind(&self) -> ClientKind {
        self.asked.map(|asked| asked.kind).unwrap_or_default()
    }

    /// What the client's next proof of its key must be, where it proves one.
    fn proving(&self) -> Option<&Terms> {
        self.asked?.proving.as_ref()
    }

    /// The path is in report mode.
    fn reports(&self) -> bool {
        let (Some(asked), Some(site)) = (self.asked, self.site) else { return false };
        let path = asked.path.as_str();
        let within =
            |prefix: &str| path == prefix || path.strip_prefix(prefix.trim_end_matches('/')).is_some_and(|rest| rest.starts_with('/'));
        site.report.iter().any(|prefix| within(prefix.as_str()))
    }

    /// In report mode what the policy would refuse passes: never what is malformed, unauthenticated, locked, or our own failure. A preflight, which cannot
    /// authenticate, passes where its host is configured so.
    fn lets_pass(&self, denial: &Denial) -> bool {
        match (denial.code(), denial.fault()) {
            // A lock stops what looks like theft, and no policy was asked; what an allow obliges to would not be done.
            (DenialCode::Locked | DenialCode::ObligationUnsupported, _) => false,
            (DenialCode::NoCredentials, _) => self.kind() == ClientKind::Preflight && self.site.is_some_and(|site| site.passes_preflights),
            (_, Fault::Forbidden | Fault::Policy) => self.reports(),
            (_, Fault::Malformed | Fault::Unauthenticated | Fault::Unavailable) => false,
        }
    }

    /// Level and age only: the reasons are for operators and for the subject's own page.
    fn step_up(&self, demand: &Demand, ceremony: Option<String>) -> Refusal {
        let problem = Problem::step_up(demand, ceremony.clone());
        self.unauthenticated(&challenge::step_up(demand, self.proving()), ceremony, problem)
    }

    fn deny(&self, denial: &Denial) -> Refusal {
        match denial.fault() {
            _ if self.kind() == ClientKind::Preflight => self.refusal(StatusCode::FORBIDDEN, Problem::refused(denial)),
            Fault::Unauthenticated => {
                let login = self.login();
                let problem = Problem::without_session(denial, login.clone());
                self.unauthenticated(&challenge::refused(denial, self.proving()), login, problem)
            }
            Fault::Malformed => self.refusal(StatusCode::BAD_REQUEST, Problem::refused(denial)),
            Fault::Forbidden | Fault::Policy => self.refusal(StatusCode::FORBIDDEN, Problem::refused(denial)),
            Fault::Unavailable => {
                let mut refusal = self.refusal(StatusCode::SERVICE_UNAVAILABLE, Problem::refused(denial));
                refusal.headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
                refusal
            }
        }
    }

    /// What the client can change by proving something: a redirect for whoever follows one, else a challenge.
    fn unauthenticated(&self, challenge: &str, page: Option<String>, problem: Problem) -> Refusal {
        let mut refusal = self.refusal(StatusCode::UNAUTHORIZED, problem);
        refusal.headers.insert(header::WWW_AUTHENTICATE, text(challenge));
        refusal.headers.extend(challenge::nonce(self.proving()).map(|nonce| (challenge::NONCE, nonce)));
        // Where a proxy replaces the body, this is what it can still hand to a script.
        if let Some(page) = page.as_deref().filter(|_| self.kind() == ClientKind::Script) {
            refusal.headers.insert(PAGE, text(page));
        }
        let page = page.filter(|_| self.kind() == ClientKind::Navigation).and_then(|page| HeaderValue::try_from(page).ok());
        if let Some(page) = page {
            // 302 lets some browsers repeat a POST; 303 never does (RFC 9110 §15.4.4).
            refusal.status = if self.asked.is_some_and(|asked| asked.is_safe) { StatusCode::FOUND } else { StatusCode::SEE_OTHER };
            refusal.headers.insert(header::LOCATION, page);
            refusal.body.clear();
        }
        refusal
    }

    fn refusal(&self, status: StatusCode, problem: Problem) -> Refusal {
        let mut headers = HeaderMap::from_iter([(header::CACHE_CONTROL, NO_STORE), (identity::DECISION, text(self.id))]);
        let (kind, body) = match self.kind() {
            ClientKind::Navigation => (Some("text/plain; charset=utf-8"), problem.text(status, self.id)),
            ClientKind::Script | ClientKind::Program | ClientKind::WebSocket => {
                (Some("application/problem+json"), problem.document(status, self.id))
            }
            ClientKind::Preflight => (None, String::new()),
            ClientKind::Grpc => {
                let (number, message) = grpc_status(status);
                headers.insert("grpc-status", HeaderValue::from_static(number));
                headers.insert("grpc-message", HeaderValue::from_static(message));
                (Some("application/grpc"), String::new())
            }
        };
        headers.extend(kind.map(|kind| (header::CONTENT_TYPE, HeaderValue::from_static(kind))));
        Refusal { status, headers, body }
    }

    /// The application's own login, with the way back; for a browser only.
    fn login(&self) -> Option<String> {
        let (asked, site) = (self.asked?, self.site?);
        let url = site.login_url.as_ref().filter(|_| matches!(asked.kind, ClientKind::Navigation | ClientKind::Script))?;
        // Proxies refuse long headers, and the whole answer with them.
        let back = Some(asked.back()).filter(|back| back.len() <= LONGEST_RETURN).unwrap_or("/");
        let back = utf8_percent_encode(&format!("{}{back}", site.origin), NON_ALPHANUMERIC).to_string();
        let mark = if url.contains('?') { '&' } else { '?' };
        Some(format!("{url}{mark}return={back}"))
    }
}

/// Where a script should send its page: to the ceremony, or to the login.
const PAGE: HeaderName = HeaderName::from_static("x-countersign-page");

const LONGEST_RETURN: usize = 1024;

/// The codes of gRPC, by number as they go over the wire.
const fn grpc_status(status: StatusCode) -> (&'static str, &'static str) {
    match status {
        StatusCode::BAD_REQUEST => ("3", "the request cannot be read"),
        StatusCode::UNAUTHORIZED => ("16", "authentication is required"),
        StatusCode::SERVICE_UNAVAILABLE => ("14", "no decision can be made now"),
        _ => ("7", "access was refused"),
    }
}

/// A header value; a text that cannot be one becomes empty, which no backend takes for a user. Nor can one with a space at an end: whoever reads a header
/// takes that away (RFC 9110 §5.5), and `admin ` would be `admin`.
fn text(text: &str) -> HeaderValue {
    let kept = if text.trim() == text { text } else { "" };
    HeaderValue::from_str(kept).unwrap_or(HeaderValue::from_static(""))
}

const fn band(level: Option<RiskLevel>) -> &'static str {
    match level {
        None => "",
        Some(RiskLevel::Low) => "low",
        Some(RiskLevel::Medium) => "medium",
        Some(RiskLevel::High) => "high",
    }
}

#[cfg(test)]
pub(super) mod tests;
