//! Envoy's gRPC messages: whatever they hold, reading them ends with one request or with a refusal, for our own policies and for those of `opa-envoy-plugin`.

use std::collections::{BTreeMap, BTreeSet};

use countersign_pdp_engine::path::CanonicalPath;
use countersign_pdp_engine::request::{HostRules, Pep, RawCheck, RequestRules, normalize};
use countersign_pdp_server::adapter::envoy_grpc;
use countersign_pdp_server::opa::envoy;
use countersign_sdk_types::{Host, PepId, Tenant};

/// # Panics
/// When what was read could be read in another way.
pub fn check_request(bytes: &[u8]) {
    if let Ok(http) = envoy_grpc::read(bytes) {
        let pseudo = http.headers.iter().any(|(name, _)| name.starts_with(':'));
        assert!(!pseudo, "a pseudo-header is a header");
        let target = http.target.clone();
        let pep = Pep { id: PepId::new("envoy").expect("a name"), asserts_subject: false, asserts_client: false, asserts: BTreeSet::new() };
        let host = Host::new("app.example.com").expect("a host");
        let rules = RequestRules { hosts: BTreeMap::from([(host, HostRules::default())]), ..RequestRules::default() };
        let check = RawCheck { tenant: Tenant::new("main").expect("a tenant"), pep, http: Some(http), asked: None };
        if let Ok((request, _)) = normalize(check, &rules) {
            let path = request.http().expect("a request").path.clone();
            assert_eq!(CanonicalPath::parse(target.split('?').next().unwrap_or_default()), Ok(path));
        }
    }
    if let Ok(input) = envoy::read(bytes) {
        let segments = input["parsed_path"].as_array().expect("a list");
        assert!(segments.iter().all(|segment| segment.as_str().is_some_and(|text| !text.contains('/'))), "{input}");
        assert!(input["truncated_body"] == false || input["parsed_body"].is_null(), "a part of a body is shown: {input}");
    }
}
