//! The doors of the proxies: whatever a client sends through one of them, under a policy that denies, nothing passes and nothing panics.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request};
use countersign_pdp_demo::issuer::{Grantee, Issuer, MAX_LIFE};
use countersign_pdp_engine::facts::DirectoryUser;
use countersign_pdp_engine::identify::{Check, Issuer as TrustedIssuer, Issuers};
use countersign_pdp_engine::keys::{KeySet, algorithm};
use countersign_pdp_engine::policy::Policy;
use countersign_pdp_engine::request::{HostRules, Pep, RequestRules};
use countersign_pdp_engine::snapshot::Snapshot;
use countersign_pdp_server::adapter::PEP_HEADER;
use countersign_pdp_server::clock::Clock;
use countersign_pdp_server::config::{Enforcer, Patience, Site};
use countersign_pdp_server::directory::Directory;
use countersign_pdp_server::policies::{deep, source};
use countersign_pdp_server::serve::{Parts, assemble, router};
use countersign_pdp_store::AuditMode;
use countersign_sdk_types::{Host, PepId, Revision, Seconds, Tenant};
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt as _;

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const SECRET: &str = "a-secret-of-this-target";
const HOST: &str = "app.example";

/// A decision point that denies everybody, and a good token of somebody.
struct Denying {
    router: Router,
    token: String,
    runtime: Runtime,
    _data: tempfile::TempDir,
}

static DENYING: LazyLock<Denying> = LazyLock::new(Denying::new);

/// The first line is method, host and target of a client's request, the others are its headers, `name: value`.
///
/// # Panics
/// When something passes.
pub fn adapters(bytes: &[u8]) {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let first = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
    let mut words = first.splitn(3, ' ');
    let (method, host, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let clients: Vec<_> = lines.take(64).filter_map(header).collect();
    for (path, own) in questions(method, host, target) {
        let status = DENYING.ask(&path, &own, &clients);
        assert!(status.is_none_or(|status| matches!(status, 400 | 401 | 403 | 404 | 503)), "{path}: {status:?}");
    }
}

fn header(line: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let at = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = line.split_at(at);
    Some((HeaderName::from_bytes(name).ok()?, HeaderValue::from_bytes(value.get(1..)?.trim_ascii()).ok()?))
}

/// As each proxy would ask, where it could.
fn questions(method: &str, host: &str, target: &str) -> Vec<(String, Vec<(&'static str, String)>)> {
    let forwarded = |path: &str| {
        let own = [
            ("x-forwarded-method", method),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", host),
            ("x-forwarded-uri", target),
            ("host", host),
        ];
        (format!("/authz/{path}"), own.map(|(name, value)| (name, value.to_owned())).to_vec())
    };
    let nginx =
        vec![("x-original-method", method.to_owned()), ("x-original-url", format!("https://{host}{target}")), ("host", "pdp".to_owned())];
    let envoy = vec![("x-forwarded-proto", "https".to_owned()), ("host", host.to_owned())];
    vec![
        forwarded("traefik"),
        forwarded("caddy"),
        forwarded("haproxy"),
        ("/authz/nginx".to_owned(), nginx),
        (format!("/authz/envoy{target}"), envoy),
    ]
}

impl Denying {
    fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        let issuer = Issuer::new("https://issuer.example").unwrap();
        let clock = Clock::system();
        let alice = Grantee { sub: "alice", aud: "app", client_id: "app", sid: "s1", jti: "t1" };
        let token = issuer.mint(alice, clock.now(), MAX_LIFE).unwrap();
        let decider = assemble(parts(&issuer, clock, data.path())).unwrap();
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().thread_stack_size(16 << 20).build().unwrap();
        Self { router: router(Arc::new(decider)), token, runtime, _data: data }
    }

    /// The status of the answer, if the question can be asked.
    fn ask(&self, path: &str, own: &[(&str, String)], clients: &[(HeaderName, HeaderValue)]) -> Option<u16> {
        let mut headers = HeaderMap::new();
        for (name, value) in own {
            let _: bool = headers.append(HeaderName::try_from(*name).ok()?, HeaderValue::from_bytes(value.as_bytes()).ok()?);
        }
        for (name, value) in clients {
            let _: bool = headers.append(name, value.clone());
        }
        let known = headers.contains_key("authorization") || headers.contains_key("cookie");
        if !known {
            let _: Option<HeaderValue> = headers.insert("authorization", format!("Bearer {}", self.token).parse().ok()?);
        }
        let _: Option<HeaderValue> = headers.insert(PEP_HEADER, format!("proxy:{SECRET}").parse().ok()?);
        let mut request = Request::builder().uri(path).body(Body::empty()).ok()?;
        *request.headers_mut() = headers;
        let _: Option<ConnectInfo<SocketAddr>> = request.extensions_mut().insert(ConnectInfo(SocketAddr::new(PEER, 40_000)));
        let asked = self.router.clone().oneshot(request);
        let answer = self.runtime.block_on(async { tokio::spawn(asked).await });
        Some(answer.unwrap_or_else(|error| panic!("the door panicked: {error}")).unwrap_or_else(|never| match never {}).status().as_u16())
    }
}

fn parts(issuer: &Issuer, clock: Clock, data: &std::path::Path) -> Parts {
    let source = source("authz", vec![("access.rego".to_owned(), b"package authz\ndefault allow = false".to_vec())]).unwrap();
    let policy = deep(|| Policy::compile(&source)).unwrap().unwrap();
    let pep = Pep { id: PepId::new("proxy").unwrap(), asserts_subject: false, asserts_client: false, asserts: BTreeSet::new() };
    let enforcer = Enforcer { secret: Some(Enforcer::digest(SECRET)), ..Enforcer::new(pep, vec![PEER.into()]) };
    let host = Host::new(HOST).unwrap();
    let site = Site { origin: format!("https://{HOST}"), login_url: None, report: Vec::new(), passes_preflights: false };
    let trusted = TrustedIssuer {
        check: Check::Signature,
        keys: KeySet::parse(issuer.jwks().to_string().as_bytes()).unwrap(),
        algorithms: algorithm("ES256").into_iter().collect(),
        audiences: BTreeSet::from(["app".to_owned()]),
        takes_plain_jwt: false,
        clients: BTreeSet::new(),
        max_lifetime: MAX_LIFE,
        mapped_claims: BTreeSet::new(),
    };
    Parts {
        enforcers: vec![enforcer],
        rules: RequestRules {
            trusted_proxies: vec![PEER.into()],
            hosts: BTreeMap::from([(host.clone(), HostRules { token_cookie: Some("access_token".to_owned()), session_cookie: None })]),
            ..RequestRules::default()
        },
        sites: BTreeMap::from([(host, site)]),
        issuers: Issuers { by_iss: BTreeMap::from([(issuer.name().to_owned(), trusted)]), opaque: None, skew: Seconds(5) },
        directory: Directory::of_users([("alice".to_owned(), DirectoryUser::new(Some("clerk".to_owned()), []))]),
        patience: Patience { deadline: Duration::from_secs(20), policy: Duration::from_secs(5) },
        audit: AuditMode::BestEffort,
        clock,
        ..Parts::new(Snapshot::new(Revision::new("denies").unwrap(), policy), Tenant::new("main").unwrap(), data.to_owned())
    }
}
