//! A decision point behind its gRPC door on loopback, and Envoy's side of the wire.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use axum::http::StatusCode;
use axum::http::uri::PathAndQuery;
use bytes::Bytes;
use countersign_pdp_demo::issuer::{Grantee, Issuer, MAX_LIFE};
use countersign_pdp_engine::identify::{Check, Issuer as TrustedIssuer, Issuers};
use countersign_pdp_engine::keys::{KeySet, algorithm};
use countersign_pdp_engine::path::canonical_host;
use countersign_pdp_engine::policy::{Policy, PolicySource};
use countersign_pdp_engine::request::{HostRules, Pep, RequestRules};
use countersign_pdp_engine::snapshot::Snapshot;
use countersign_sdk_types::{PepId, Revision, Seconds, Tenant};
use prost::Message;
use serde_json::Value;
use tokio::sync::watch;
use tonic::transport::Channel;
use tonic_prost::ProstCodec;

use crate::clock::Clock;
use crate::config::{CertificateName, Enforcer, Patience, Site};
use crate::ext_authz::{
    Address, AddressKind, AttributeContext, CHECK, CheckRequest, CheckResponse, DeniedHttpResponse, Entry, HeaderValueOption, HttpRequest,
    HttpResponse, OkHttpResponse, Peer, Request, SERVICE, SocketAddress,
};
use crate::front_door::{self, Limits, Listener, Protocol};
use crate::grpc::health::Health;
use crate::serve::{Decider, Parts, assemble, grpc_router};

/// What Envoy is configured to say of itself.
pub(super) const PEP: &str = "envoy:a-secret-of-this-test";

/// The certificate of the same.
pub(super) const THUMBPRINT: &str = "thumbprint-of-this-test";

const POLICY: &str = r#"
package authz

import rego.v1

default allow := false

allow if {
    input.subject.id == "alice"
    input.request.path == "/wiki"
}

allow if {
    input.request.path == "/from"
    input.context.ip == "192.0.2.7"
}
"#;

/// It runs until it is dropped.
pub(super) struct Scene {
    pub(super) decider: Arc<Decider>,
    pub(super) draining: Arc<AtomicBool>,
    address: SocketAddr,
    issuer: Issuer,
    stop: watch::Sender<bool>,
    _folder: tempfile::TempDir,
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
    }
}

impl Scene {
    pub(super) async fn open() -> Self {
        Self::with_deadline(Duration::from_secs(10)).await
    }

    pub(super) async fn with_deadline(deadline: Duration) -> Self {
        let (folder, issuer) = (tempfile::tempdir().unwrap(), Issuer::new("https://issuer.example").unwrap());
        let decider = Arc::new(assemble(parts(&issuer, folder.path(), deadline)).unwrap());
        let draining = Arc::new(AtomicBool::new(false));
        let health = Health::new(&[SERVICE], Arc::clone(&draining), Arc::new(|| Ok(())));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        let listener = Listener::tcp(listener, None).speaking(Protocol::Http2);
        tokio::spawn(front_door::serve(listener, grpc_router(&decider, health), Limits::default(), stopped));
        Self { decider, draining, address, issuer, stop, _folder: folder }
    }

    /// An `Authorization` that is good.
    pub(super) fn token(&self, sub: &str) -> String {
        let grantee = Grantee { sub, aud: "countersign", client_id: "app", sid: "s1", jti: "j1" };
        format!("Bearer {}", self.issuer.mint(grantee, Clock::system().now(), Seconds(600)).unwrap())
    }

    /// A message in whatever bytes, with whatever metadata, to whatever method.
    pub(super) async fn call<I, O>(&self, path: &'static str, message: I, pep: Option<&str>) -> Result<O, tonic::Status>
    where
        I: Message + 'static,
        O: Message + Default + 'static,
    {
        let channel = Channel::from_shared(format!("http://{}", self.address)).unwrap().connect().await.unwrap();
        let mut client = tonic::client::Grpc::new(channel);
        client.ready().await.unwrap();
        let mut request = tonic::Request::new(message);
        if let Some(pep) = pep {
            request.metadata_mut().insert("x-countersign-pep", pep.parse().unwrap());
        }
        let called = client.unary(request, PathAndQuery::from_static(path), ProstCodec::<I, O>::default()).await;
        called.map(tonic::Response::into_inner)
    }

    /// As Envoy asks.
    pub(super) async fn ask(&self, message: CheckRequest) -> CheckResponse {
        self.call(CHECK, message, Some(PEP)).await.expect("never an error")
    }
}

fn parts(issuer: &Issuer, folder: &std::path::Path, deadline: Duration) -> Parts {
    let policy = PolicySource::from_files("authz", [("authz.rego".to_owned(), POLICY.as_bytes().to_vec())]).unwrap();
    let host = canonical_host("app.example.com", "http").unwrap();
    let origin = "http://app.example.com".to_owned();
    let site = Site { origin, login_url: Some("https://login.example/".to_owned()), report: Vec::new(), passes_preflights: false };
    let enforcer = Enforcer {
        secret: Some(Enforcer::digest(PEP.split_once(':').unwrap().1)),
        certificates: vec![CertificateName::Thumbprint(THUMBPRINT.to_owned())],
        ..Enforcer::new(
            Pep { id: PepId::new("envoy").unwrap(), asserts_subject: false, asserts_client: false, asserts: BTreeSet::new() },
            vec!["127.0.0.0/8".parse().unwrap()],
        )
    };
    let trusted = TrustedIssuer {
        keys: KeySet::parse(issuer.jwks().to_string().as_bytes()).unwrap(),
        algorithms: algorithm("ES256").into_iter().collect(),
        audiences: BTreeSet::from(["countersign".to_owned()]),
        takes_plain_jwt: false,
        clients: BTreeSet::new(),
        max_lifetime: MAX_LIFE,
        mapped_claims: BTreeSet::new(),
        check: Check::Signature,
    };
    Parts {
        enforcers: vec![enforcer],
        rules: RequestRules {
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
            hosts: BTreeMap::from([(host.clone(), HostRules::default())]),
            ..RequestRules::default()
        },
        sites: BTreeMap::from([(host, site)]),
        issuers: Issuers { by_iss: BTreeMap::from([(issuer.name().to_owned(), trusted)]), opaque: None, skew: Seconds(5) },
        patience: Patience { deadline, ..Patience::default() },
        ..Parts::new(
            Snapshot::new(Revision::new("r1").unwrap(), Policy::compile(&policy).unwrap()),
            Tenant::new("main").unwrap(),
            folder.to_owned(),
        )
    }
}

/// A GET through Envoy, as it joins headers.
pub(super) fn get(path: &str, headers: &[(&str, &str)]) -> CheckRequest {
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    let headers = headers.iter().map(|(name, value)| Entry { key: bytes(name), value: bytes(value) }).collect();
    let http = HttpRequest {
        method: bytes("GET"),
        scheme: bytes("http"),
        host: bytes("app.example.com"),
        path: bytes(path),
        headers,
        ..HttpRequest::default()
    };
    let request = Some(Request { http: Some(http), ..Request::default() });
    let mut message = CheckRequest { attributes: Some(AttributeContext { request, ..AttributeContext::default() }) };
    from(&mut message, "198.51.100.1");
    message
}

/// The request in a message.
pub(super) fn http(message: &mut CheckRequest) -> &mut HttpRequest {
    message.attributes.as_mut().unwrap().request.as_mut().unwrap().http.as_mut().unwrap()
}

/// Makes a message one of a peer.
pub(super) fn from(message: &mut CheckRequest, address: &str) {
    let address = Bytes::copy_from_slice(address.as_bytes());
    let kind = Some(AddressKind::Socket(SocketAddress { address, ..SocketAddress::default() }));
    let peer = Peer { address: Some(Address { kind }), ..Peer::default() };
    message.attributes.as_mut().unwrap().source = Some(peer);
}

#[track_caller]
pub(super) fn denied(response: &CheckResponse) -> (StatusCode, DeniedHttpResponse) {
    assert_ne!(response.status.as_ref().unwrap().code, 0, "{response:?}");
    match &response.http_response {
        Some(HttpResponse::Denied(denied)) => {
            (StatusCode::from_u16(denied.status.unwrap().code.try_into().unwrap()).unwrap(), denied.clone())
        }
        other => panic!("not denied: {other:?}"),
    }
}

#[track_caller]
pub(super) fn passed(response: &CheckResponse) -> OkHttpResponse {
    match (&response.http_response, response.status.as_ref().unwrap().code) {
        (Some(HttpResponse::Ok(ok)), 0) => ok.clone(),
        other => panic!("not passed: {other:?}"),
    }
}

pub(super) fn header<'a>(headers: &'a [HeaderValueOption], name: &str) -> Option<&'a str> {
    let headers = headers.iter().filter_map(|option| option.header.as_ref());
    headers.filter(|header| header.key == name).map(|header| std::str::from_utf8(&header.value).unwrap()).next()
}

pub(super) fn metadata(response: &CheckResponse) -> Value {
    response.dynamic_metadata.clone().expect("metadata").into()
}
