//! A decision point with a policy of the test's own, asked through its router.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use axum::response::Response;
use countersign_pdp_demo::issuer::{Grantee, Issuer, MAX_LIFE};
use countersign_pdp_engine::facts::DirectoryUser;
use countersign_pdp_engine::identify::{Check, Issuer as TrustedIssuer, Issuers};
use countersign_pdp_engine::keys::{KeySet, algorithm};
use countersign_pdp_engine::policy::Policy;
use countersign_pdp_engine::request::{HostRules, Pep, RequestRules};
use countersign_pdp_engine::snapshot::Snapshot;
use countersign_pdp_store::{AuditMode, Expect, StateEvent, StoredCredential};
use countersign_sdk_types::{CredentialId, Host, PepId, Revision, Seconds, SubjectId, Tenant, Timestamp};
use tower::ServiceExt as _;

use super::super::PEP_HEADER;
use super::{Asked, PEER};
use crate::clock::Clock;
use crate::config::{Enforcer, Patience, Site, StepUp};
use crate::directory::Directory;
use crate::policies::{deep, source};
use crate::serve::{self, Decider, Parts};

pub(super) const HOST: &str = "app.example";
pub(super) const PEP: &str = "proxy:a-secret-of-these-tests";
pub(super) const ALLOWS: &str = "package authz\nimport rego.v1\ndefault allow := true\n";
/// Whoever proved it with a passkey.
pub(super) const ASKS: &str = "package authz\nimport rego.v1\ndefault allow := false\nallow if \"phr\" in input.session.acr_satisfied\n";
pub(super) const DENIES: &str = "package authz\nimport rego.v1\ndefault allow := false\n";

pub(super) struct Scene {
    pub(super) decider: Arc<Decider>,
    token: String,
    runtime: tokio::runtime::Runtime,
    _data: tempfile::TempDir,
}

impl Scene {
    pub(super) fn with(policy: &str) -> Self {
        Self::within(policy, Duration::from_secs(20))
    }

    /// Answers after the deadline are refusals.
    pub(super) fn within(policy: &str, deadline: Duration) -> Self {
        let data = tempfile::tempdir().unwrap();
        let issuer = Issuer::new("https://issuer.example").unwrap();
        let clock = Clock::system();
        let alice = Grantee { sub: "alice", aud: "app", client_id: "app", sid: "s1", jti: "t1" };
        let token = issuer.mint(alice, clock.now(), Seconds(3600)).unwrap();
        let parts = parts(policy, deadline, &issuer, clock, data.path());
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().thread_stack_size(16 << 20).build().unwrap();
        let scene = Self { decider: Arc::new(serve::assemble(parts).unwrap()), token, runtime, _data: data };
        scene.enroll();
        scene
    }

    /// Alice has a passkey, of which nothing is verified here.
    fn enroll(&self) {
        let subject = SubjectId { tenant: Tenant::new("main").unwrap(), iss: "https://issuer.example".to_owned(), sub: "alice".to_owned() };
        let credential = StoredCredential {
            id: CredentialId::new("AAAA").unwrap(),
            passkey: serde_json::json!({}),
            label: "passkey".to_owned(),
            created: Timestamp(0),
            backup_eligible: false,
            counter: 0,
        };
        let store = self.decider.pdp.store.clone();
        self.block_on(async move { store.append(StateEvent::CredentialAdded { subject, credential }, Expect::Any).await.unwrap() });
    }

    /// As this subject's own request: the token is added, and what authenticates the proxy.
    pub(super) fn ask(&self, asked: Asked) -> Response {
        let bearer = format!("Bearer {}", self.token);
        self.ask_with(asked, &[("authorization", &bearer), (PEP_HEADER, PEP)], PEER, Body::empty())
    }

    pub(super) fn ask_with(&self, asked: Asked, more: &[(&str, &str)], peer: IpAddr, body: Body) -> Response {
        let mut request = Request::builder().method(asked.method).uri(asked.uri).body(body).unwrap();
        *request.headers_mut() = asked.headers;
        for (name, value) in more {
            let _: bool = request.headers_mut().append(axum::http::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        request.extensions_mut().insert(ConnectInfo(SocketAddr::new(peer, 40_000)));
        let router = serve::router(Arc::clone(&self.decider));
        self.runtime.block_on(async { tokio::spawn(router.oneshot(request)).await.unwrap().unwrap() })
    }

    pub(super) fn token(&self) -> &str {
        &self.token
    }

    pub(super) fn block_on<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        self.runtime.block_on(async { tokio::spawn(work).await.unwrap() })
    }
}

fn parts(policy: &str, deadline: Duration, issuer: &Issuer, clock: Clock, data: &std::path::Path) -> Parts {
    let source = source("authz", vec![("access.rego".to_owned(), policy.as_bytes().to_vec())]).unwrap();
    let policy = deep(|| Policy::compile(&source)).unwrap().unwrap();
    let pep = Pep { id: PepId::new("proxy").unwrap(), asserts_subject: false, asserts_client: false, asserts: BTreeSet::new() };
    let (_, secret) = PEP.split_once(':').unwrap();
    let enforcer = Enforcer { secret: Some(Enforcer::digest(secret)), ..Enforcer::new(pep, vec![PEER.into()]) };
    let host = Host::new(HOST).unwrap();
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
    let user = DirectoryUser::new(Some("clerk".to_owned()), ["auditor".to_owned(), "a,b".to_owned()]);
    Parts {
        enforcers: vec![enforcer],
        rules: RequestRules {
            trusted_proxies: vec![PEER.into()],
            hosts: BTreeMap::from([(host.clone(), HostRules { token_cookie: Some("access_token".to_owned()), session_cookie: None })]),
            chosen_headers: BTreeSet::from(["x-forwarded-prefix".to_owned()]),
            ..RequestRules::default()
        },
        sites: BTreeMap::from([(
            host,
            Site { origin: format!("https://{HOST}"), login_url: None, report: Vec::new(), passes_preflights: false },
        )]),
        issuers: Issuers { by_iss: BTreeMap::from([(issuer.name().to_owned(), trusted)]), opaque: None, skew: Seconds(5) },
        directory: Directory::of_users([("alice".to_owned(), user)]),
        step_up: Some(StepUp {
            origin: "https://auth.example".to_owned(),
            name: "Countersign".to_owned(),
            grant_life: Seconds(900),
            max_age: Seconds(300),
        }),
        patience: Patience { deadline, policy: Duration::from_secs(5) },
        audit: AuditMode::BestEffort,
        clock,
        ..Parts::new(Snapshot::new(Revision::new("of-this-test").unwrap(), policy), Tenant::new("main").unwrap(), data.to_owned())
    }
}
