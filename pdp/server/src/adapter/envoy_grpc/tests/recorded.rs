//! What a real Envoy 1.40 made of 39 client requests: 33 it asked about, and refused or answered the others itself.

use std::collections::BTreeMap;

use bytes::Bytes;
use countersign_pdp_engine::path::canonical_host;
use countersign_pdp_engine::request::{Client, RequestRules, normalize};
use serde_json::{Map, Value};

use super::*;
use crate::ext_authz::{
    Address, AddressKind, AttributeContext, Entry, HeaderMap, HeaderValue, HttpRequest, Metadata, Peer, PortSpecifier, SocketAddress,
    Timestamp, TlsSession,
};

pub(crate) fn recordings() -> BTreeMap<String, Option<CheckRequest>> {
    let recorded: Map<String, Value> = serde_json::from_str(include_str!("../recorded.json")).unwrap();
    recorded.into_iter().map(|(name, attributes)| (name, (!attributes.is_null()).then(|| message(&attributes)))).collect()
}

/// From protobuf's JSON.
fn message(attributes: &Value) -> CheckRequest {
    let recorded = &attributes["request"]["http"];
    let bytes = |name: &str| Bytes::from(recorded[name].as_str().unwrap_or_default().to_owned());
    let headers = recorded["headers"].as_object().unwrap().iter();
    let entry = |(name, value): (&String, &Value)| Entry { key: name.clone().into(), value: value.as_str().unwrap().to_owned().into() };
    let http = HttpRequest {
        id: bytes("id"),
        method: bytes("method"),
        path: bytes("path"),
        host: bytes("host"),
        scheme: bytes("scheme"),
        protocol: bytes("protocol"),
        body: bytes("body"),
        size: recorded["size"].as_str().map_or(0, |size| size.parse().unwrap()),
        headers: headers.map(entry).collect(),
        ..HttpRequest::default()
    };
    let time = attributes["request"]["time"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let time = Some(Timestamp { seconds: time.as_second(), nanos: time.subsec_nanosecond() });
    let extensions = attributes["contextExtensions"].as_object().unwrap().iter();
    let attributes = AttributeContext {
        source: Some(peer(&attributes["source"])),
        destination: Some(peer(&attributes["destination"])),
        request: Some(crate::ext_authz::Request { time, http: Some(http) }),
        context_extensions: extensions.map(entry).collect(),
        metadata_context: Some(Metadata::default()),
        tls_session: Some(TlsSession::default()),
        route_metadata_context: Some(Metadata::default()),
    };
    CheckRequest { attributes: Some(attributes) }
}

fn peer(recorded: &Value) -> Peer {
    let socket = &recorded["address"]["socketAddress"];
    let port = socket["portValue"].as_u64().unwrap().try_into().unwrap();
    let address = SocketAddress {
        address: socket["address"].as_str().unwrap().to_owned().into(),
        port: Some(PortSpecifier::Value(port)),
        ..SocketAddress::default()
    };
    Peer { address: Some(Address { kind: Some(AddressKind::Socket(address)) }), ..Peer::default() }
}

/// The same request as Envoy sends it with `encode_raw_headers`.
fn raw(mut message: CheckRequest) -> CheckRequest {
    let http = scene::http(&mut message);
    let headers = std::mem::take(&mut http.headers).into_iter();
    let raw = |entry: Entry| HeaderValue { key: entry.key, raw_value: entry.value, ..HeaderValue::default() };
    http.header_map = Some(HeaderMap { headers: headers.map(raw).collect() });
    message
}

fn outcome(message: CheckRequest) -> String {
    let pep = countersign_pdp_engine::request::Pep {
        id: countersign_sdk_types::PepId::new("envoy").unwrap(),
        asserts_subject: false,
        asserts_client: false,
        asserts: Default::default(),
    };
    let host = canonical_host("app.example.com", "http").unwrap();
    let rules = RequestRules { hosts: BTreeMap::from([(host, Default::default())]), ..RequestRules::default() };
    let normalized = parse::http(message).and_then(|http| {
        normalize(RawCheck { tenant: countersign_sdk_types::Tenant::new("main").unwrap(), pep, http: Some(http), asked: None }, &rules)
    });
    match normalized {
        Ok((request, _)) => {
            let http = request.http().unwrap();
            assert_eq!(request.client_address(), Some("127.0.0.1".parse().unwrap()), "whatever a header says");
            format!("{} {}", http.method, http.path.as_str())
        }
        Err(denial) => denial.code().as_str().to_owned(),
    }
}

#[test]
fn each_recorded_request_is_one_request_or_is_refused() {
    let expected = [
        ("absolute-form", "unknown_host"),
        ("auth-bearer", "GET /a"),
        ("backslash", "ambiguous_path"),
        ("big-header", "GET /a"),
        ("conn-strip", ""),
        ("dot", "ambiguous_path"),
        ("dotdot", "ambiguous_path"),
        ("double-enc", "ambiguous_path"),
        ("double-slash", "ambiguous_path"),
        ("dup-headers", "ambiguous_header"),
        ("enc-dotdot", "ambiguous_path"),
        ("enc-slash", "ambiguous_path"),
        ("expect-100", "POST /a"),
        ("fragment", ""),
        ("host-dot", "GET /a"),
        ("host-port", "unknown_host"),
        ("host-upper", "GET /a"),
        ("method-custom", "PROPFIND /a"),
        ("method-delete", "DELETE /a"),
        ("method-head", "HEAD /a"),
        ("method-lower", ""),
        ("method-options", "OPTIONS /a"),
        ("method-unknown", ""),
        ("nul", "ambiguous_path"),
        ("plain", "GET /a"),
        ("post-chunked", "POST /a"),
        ("post-cl", "POST /a"),
        ("query-only-q", "GET /a"),
        ("semicolon", "ambiguous_path"),
        ("space-plus", "ambiguous_path"),
        ("spoof-forwarded", "GET /admin"),
        ("spoof-identity", "ambiguous_header"),
        ("spoof-underscore", "ambiguous_header"),
        ("star", ""),
        ("te-trailer", "GET /a"),
        ("two-hosts", "malformed_request"),
        ("utf8-enc", "GET /caf%C3%A9"),
        ("utf8-raw", ""),
        ("websocket", "GET /ws"),
    ];
    let recordings = recordings();
    assert_eq!((recordings.len(), recordings.values().flatten().count()), (39, 33));
    let found = recordings.iter().map(|(name, message)| (name.as_str(), message.clone().map(outcome).unwrap_or_default()));
    let expected = expected.map(|(name, outcome)| (name, outcome.to_owned()));
    assert_eq!(found.collect::<Vec<_>>(), expected);
}

#[test]
fn joined_and_raw_headers_are_the_same_request() {
    let mut compared = 0;
    for (name, message) in recordings().into_iter().filter_map(|(name, message)| Some((name, message?))) {
        // Two tokens that were joined are only told apart where they came apart.
        if name == "dup-headers" {
            assert_eq!(outcome(raw(message)), "ambiguous_header");
            continue;
        }
        assert_eq!(outcome(raw(message.clone())), outcome(message), "{name}");
        compared += 1;
    }
    assert_eq!(compared, 32);
}

#[test]
fn what_other_header_sets_say_is_not_read() {
    let http = parse::http(recordings().remove("spoof-forwarded").flatten().unwrap()).unwrap();
    assert_eq!((http.method.as_str(), http.authority.as_str(), http.target.as_str()), ("GET", "app.example.com", "/admin"));
    assert_eq!(http.client, Client::Chain { peer: "127.0.0.1".parse().unwrap(), forwarded: Some("6.6.6.6".to_owned()) });
    assert_eq!(http.client_certificate, None);
}
