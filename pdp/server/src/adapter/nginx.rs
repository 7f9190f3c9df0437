//! nginx `auth_request`: the original request is in `X-Original-*` and `X-Forwarded-For`, and of our answer nginx keeps a 2xx, a 401 or a 403.
//!
//! Other proxies' header sets ride along unread. Whatever cannot be understood is a 403; what is our own fault is a 503, which nginx turns into
//! a 500: closed in each case.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use countersign_pdp_engine::Denial;
use countersign_pdp_engine::decide::{Decision, Demand, Permit};
use countersign_pdp_engine::request::{Client, RawCheck, RawHttp};
use countersign_sdk_types::{DenialCode, Fault, Host, RiskLevel};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::{PEP_HEADER, enforcer, single};
use crate::config::Site;
use crate::metrics::Door;
use crate::pipeline::{Answer, Asked};
use crate::serve::Decider;

/// What this adapter reads itself; the rest of the headers is the client's.
const OWN: [&str; 6] = ["x-original-method", "x-original-url", "x-forwarded-for", "host", "connection", PEP_HEADER];

/// `GET /authz/nginx`.
pub async fn check(State(decider): State<Arc<Decider>>, ConnectInfo(peer): ConnectInfo<SocketAddr>, headers: HeaderMap) -> Response {
    render(&decider.pdp.check(Door::Nginx, parse(&decider, peer.ip(), &headers)).await, &decider.pdp.sites)
}

fn parse(decider: &Decider, peer: IpAddr, headers: &HeaderMap) -> Result<RawCheck, Denial> {
    let pep = enforcer(headers, peer, &decider.enforcers)?.pep.clone();
    let missing = |name: &str| Denial::new(DenialCode::MalformedRequest, format!("`{name}` is missing"));
    let method = single(headers, "x-original-method")?.ok_or_else(|| missing("X-Original-Method"))?;
    let url = single(headers, "x-original-url")?.ok_or_else(|| missing("X-Original-URL"))?;
    let (scheme, rest) = url.split_once("://").ok_or_else(|| Denial::new(DenialCode::MalformedRequest, "X-Original-URL has no scheme"))?;
    let at = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(at);
    let forwarded = single(headers, "x-forwarded-for")?.map(ToOwned::to_owned);
    let clients = headers.iter().filter(|(name, _)| !OWN.contains(&name.as_str()));
    let http = RawHttp {
        method: method.to_owned(),
        scheme: scheme.to_owned(),
        authority: authority.to_owned(),
        target: target.to_owned(),
        headers: clients.map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect(),
        client: Client::Chain { peer, forwarded },
        client_certificate: None,
    };
    Ok(RawCheck { tenant: decider.tenant.clone(), pep, http: Some(http), asked: None })
}

fn render(answer: &Answer, sites: &BTreeMap<Host, Site>) -> Response {
    let site = answer.asked.as_ref().and_then(|asked| Some((asked, sites.get(&asked.host)?)));
    let mut response = match (&answer.decision, site) {
        (Decision::Allow(permit), _) => allow(permit),
        (decision, Some((asked, site))) if reports(decision, asked, site) => report(decision),
        (Decision::StepUp(demand), _) => challenge(demand, answer.ceremony.as_deref()),
        (Decision::Deny(denial), Some((asked, site))) => login(denial, asked, site).unwrap_or_else(|| deny(denial)),
        (Decision::Deny(denial), None) => deny(denial),
    };
    let headers = response.headers_mut();
    // An identity header that is not set would leave the client's own in place: every one is set on every answer.
    for name in ["remote-user", "x-countersign-would"] {
        headers.entry(name).or_insert(HeaderValue::from_static(""));
    }
    headers.insert("x-countersign-decision", text(&answer.id));
    headers.insert("x-countersign-risk", HeaderValue::from_static(level(answer.level)));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn allow(permit: &Permit) -> Response {
    (StatusCode::OK, [("remote-user", text(&permit.subject().sub))]).into_response()
}

/// A path in report mode: what the policy would refuse is recorded and passes. Never what is malformed, unauthenticated, locked, or our own failure.
fn reports(decision: &Decision, asked: &Asked, site: &Site) -> bool {
    let reportable = match decision {
        Decision::Allow(_) => false,
        Decision::StepUp(_) => true,
        // A lock stops what looks like theft, and no policy was asked.
        Decision::Deny(denial) if denial.code() == DenialCode::Locked => false,
        Decision::Deny(denial) => matches!(denial.fault(), Fault::Forbidden | Fault::Policy),
    };
    let path = asked.path.as_str();
    let within = |prefix: &str| path == prefix || path.strip_prefix(prefix.trim_end_matches('/')).is_some_and(|rest| rest.starts_with('/'));
    reportable && site.report.iter().any(|prefix| within(prefix.as_str()))
}

fn report(decision: &Decision) -> Response {
    (StatusCode::OK, [("x-countersign-would", decision.effect().as_str())]).into_response()
}

/// A browser without a session is sent to the application's own login, with the way back. nginx keeps the `Location` of a 401 only.
fn login(denial: &Denial, asked: &Asked, site: &Site) -> Option<Response> {
    let url = site.login_url.as_ref().filter(|_| asked.navigation && denial.fault() == Fault::Unauthenticated)?;
    let back = utf8_percent_encode(&format!("{}{}", site.origin, asked.target), NON_ALPHANUMERIC).to_string();
    let mark = if url.contains('?') { '&' } else { '?' };
    Some((StatusCode::UNAUTHORIZED, [(header::LOCATION, text(&format!("{url}{mark}return={back}")))]).into_response())
}

/// RFC 9470 §3. Level and age only: the reasons are for operators and for the subject's own page. A browser that navigates is sent to the ceremony.
fn challenge(demand: &Demand, ceremony: Option<&str>) -> Response {
    let challenge = format!(
        "Bearer error=\"insufficient_user_authentication\", error_description=\"a different authentication level is required\", acr_values=\"{}\", max_age=\"{}\"",
        demand.acr, demand.max_age.0
    );
    let mut response = (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, text(&challenge))]).into_response();
    if let Some(ceremony) = ceremony {
        response.headers_mut().insert(header::LOCATION, text(ceremony));
    }
    response
}

fn deny(denial: &Denial) -> Response {
    match denial.fault() {
        Fault::Unauthenticated if denial.code() == DenialCode::NoCredentials => {
            (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")]).into_response()
        }
        Fault::Unauthenticated => {
            (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"")]).into_response()
        }
        Fault::Malformed | Fault::Forbidden | Fault::Policy => StatusCode::FORBIDDEN.into_response(),
        Fault::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")]).into_response(),
    }
}

/// A header value; a text that cannot be one becomes empty, which no backend takes for a user.
fn text(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}

const fn level(level: Option<RiskLevel>) -> &'static str {
    match level {
        None => "",
        Some(RiskLevel::Low) => "low",
        Some(RiskLevel::Medium) => "medium",
        Some(RiskLevel::High) => "high",
    }
}

#[cfg(test)]
mod tests {
    //! Every denial through the door: never a 2xx, and the identity header always set.

    use countersign_pdp_engine::path::{CanonicalPath, canonical_host};
    use countersign_sdk_types::{Acr, Seconds};

    use super::*;

    fn rendered(decision: Decision) -> Response {
        render(&Answer { id: "main.1.2".to_owned(), decision, subject: None, level: None, asked: None, ceremony: None }, &BTreeMap::new())
    }

    #[test]
    fn no_denial_is_ever_a_success() {
        for code in DenialCode::ALL {
            let response = rendered(Decision::Deny(Denial::new(*code, "why")));
            assert!(matches!(response.status().as_u16(), 401 | 403 | 503), "{code}: {}", response.status());
            assert_eq!(response.headers()["remote-user"], "", "{code}");
            assert_eq!(response.headers()["cache-control"], "no-store");
            assert!(!format!("{response:?}").contains("why"), "the detail is for operators");
        }
    }

    #[test]
    fn in_report_mode_only_what_a_policy_refused_passes() {
        let host = canonical_host("wiki.example", "https").unwrap();
        let path = CanonicalPath::parse("/new/page").unwrap();
        let sites = |report: &str| {
            let report = vec![CanonicalPath::parse(report).unwrap()];
            BTreeMap::from([(host.clone(), Site { origin: "https://wiki.example".to_owned(), login_url: None, report })])
        };
        let status = |code: DenialCode, report: &str| {
            let asked = Some(Asked { host: host.clone(), path: path.clone(), target: "/new/page".to_owned(), navigation: false });
            let decision = Decision::Deny(Denial::new(code, "why"));
            render(&Answer { id: "main.1.2".to_owned(), decision, subject: None, level: None, asked, ceremony: None }, &sites(report))
                .status()
        };
        let passes: Vec<_> = DenialCode::ALL.iter().filter(|code| status(**code, "/new") == StatusCode::OK).collect();
        let refused_by_a_policy = [
            DenialCode::PolicyDenied,
            DenialCode::NotEnrolled,
            DenialCode::StepUpExhausted,
            DenialCode::ObligationUnsupported,
            DenialCode::PolicyUndefined,
            DenialCode::PolicyShape,
            DenialCode::PolicyConflict,
            DenialCode::PolicyError,
            DenialCode::PolicyBudget,
            DenialCode::PolicyPanic,
        ];
        assert_eq!(passes, refused_by_a_policy.iter().collect::<Vec<_>>());
        assert!(DenialCode::ALL.iter().all(|code| status(*code, "/old") != StatusCode::OK));
    }

    #[test]
    fn a_step_up_is_a_challenge_without_reasons() {
        let response = rendered(Decision::StepUp(Demand { acr: Acr::phr(), max_age: Seconds(300), reasons: Vec::new() }));
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        let challenge = response.headers()[header::WWW_AUTHENTICATE].to_str().unwrap();
        assert!(
            challenge.contains("insufficient_user_authentication")
                && challenge.contains("acr_values=\"phr\"")
                && challenge.contains("max_age=\"300\"")
        );
    }
}
