//! The bodies of the fuzz targets, so that stable `cargo test` replays what a fuzzer found.

mod adapters;
mod check_request;

use std::collections::BTreeMap;

pub use adapters::adapters;
pub use check_request::check_request;
use countersign_pdp_engine::identify::{ProofRules, verify_proof};
use countersign_pdp_engine::keys::KeySet;
use countersign_pdp_engine::path::{self, CanonicalPath};
use countersign_pdp_engine::policy::{Dialects, PolicyFile};
use countersign_pdp_engine::rego::{self, Library};
use countersign_pdp_engine::request::{ClientKind, HttpRequest};
use countersign_pdp_server::adapter::certificate::{self, Form};
use countersign_pdp_server::behavior::Batch;
use countersign_pdp_server::learn::{self, Format};
use countersign_pdp_stepup::assertion::{Expected, screen};
use countersign_risk::Keyed;
use countersign_risk::pointer::{PointerProfile, PointerVerifier};
use countersign_risk::{
    Baseline, Hints, Known, Organisation, RawSighting, Salts, Sighting, Strength, SubjectSalt, Trail, Weights, observe, score,
};
use countersign_sdk_types::strict::{self, Limits};
use countersign_sdk_types::{Asn, Country, DeviceId, Place, PlaceRecord, SessionId};
use countersign_sdk_types::{Seconds, Timestamp};

/// Strict JSON: what is accepted has a second reading that is equal, and nothing is accepted that repeats a member name.
///
/// # Panics
/// When the property does not hold.
pub fn strict_json(bytes: &[u8]) {
    let Ok(value) = strict::value(bytes, Limits::REQUEST) else { return };
    let text = value.to_string();
    let again = strict::value(text.as_bytes(), Limits { bytes: text.len(), ..Limits::REQUEST });
    assert_eq!(again.ok().as_ref(), Some(&value), "a second reading differs");
}

/// Paths: what is accepted is canonical, so reading it again changes nothing, and nothing in it could mean another place to another server.
///
/// # Panics
/// When the property does not hold.
pub fn canonical_path(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(path) = CanonicalPath::parse(text) else { return };
    let canonical = path.as_str();
    assert_eq!(CanonicalPath::parse(canonical).as_ref(), Ok(&path), "a second reading differs");
    let plain = |segment: &str| !matches!(segment, "." | "..") && !segment.contains(['\\', ';', '#', '\0']);
    assert!(canonical.starts_with('/') && !canonical.contains("//") && canonical.split('/').all(plain), "{canonical}");
    let hidden = ["%2f", "%5c", "%2e", "%00", "%25"];
    assert!(!hidden.iter().any(|escape| canonical.to_ascii_lowercase().contains(escape)), "{canonical}");
}

/// Rego as the parser reads it: every line stays where it was, also the second time, text without references, calls, templates and `with` stays as it
/// is, and a module is compiled or refused.
///
/// # Panics
/// When the property does not hold.
pub fn rego(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let written = rego::rewritten(text);
    let lines = |text: &str| text.matches('\n').count();
    assert_eq!(lines(&written), lines(text), "lines moved: {written}");
    assert_eq!(lines(&rego::rewritten(&written)), lines(text), "lines moved the second time: {written}");
    if !text.contains(['.', '(', '$']) && !text.contains("with") {
        assert_eq!(written, text, "there was nothing to rewrite");
    }
    let module = PolicyFile { path: "m.rego".to_owned(), text: text.to_owned() };
    let _ = Library::compile(&[module], &serde_json::json!({}), &Dialects::default());
}

/// Hosts: one form, lower case, without a dot at the end.
///
/// # Panics
/// When the property does not hold.
pub fn canonical_host(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for scheme in ["http", "https"] {
        let Ok(host) = path::canonical_host(text, scheme) else { continue };
        assert_eq!(path::canonical_host(host.as_str(), scheme).as_ref(), Ok(&host), "a second reading differs");
        assert_eq!(host.as_str(), host.as_str().to_ascii_lowercase());
        assert!(!host.as_str().contains(['/', '@', ' ', '\\']), "{host}");
    }
}

/// Logs of providers: whatever they hold, each record is counted once, and the same records in an array are the same log.
///
/// # Panics
/// When the property does not hold.
pub fn past_log(bytes: &[u8]) {
    let now = Timestamp(1_772_505_600_000);
    for format in [Format::Okta, Format::Entra, Format::Keycloak, Format::Jsonl] {
        let counts = learn::count(bytes, format, now).ok();
        assert!(counts.as_ref().is_none_or(learn::Counts::add_up), "{counts:?}");
        let is_one_object = strict::value(bytes, Limits::REQUEST).is_ok_and(|value| value.is_object() && value.get("value").is_none());
        if is_one_object {
            let array = [b"[", bytes, b"]"].concat();
            assert!(counts.is_some(), "an object is a record");
            assert_eq!(learn::count(&array, format, now).ok(), counts, "another log in an array");
        }
    }
}

/// Tokens: no bytes verify under a key that never signed.
///
/// # Panics
/// When some do.
pub fn token(bytes: &[u8]) {
    // The P-256 key of RFC 7515, appendix A.3, whose only signature below is over another payload.
    const KEYS: &[u8] = br#"{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let keys = KeySet::parse(KEYS).expect("the key of the RFC");
    let verified = keys.verify(text, &countersign_pdp_engine::keys::ALGORITHMS);
    let of_the_rfc = text.ends_with("DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q");
    assert!(verified.is_err() || of_the_rfc, "a signature that nobody made");
    let _ = KeySet::parse(bytes);
}

/// DPoP proofs: no bytes prove a key for a request but the proof of the RFC, which is for that request, that token and that minute.
///
/// # Panics
/// When some do, or the proof of the RFC does elsewhere.
pub fn dpop_proof(bytes: &[u8]) {
    const TOKEN: &str = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let request = |path: &str| HttpRequest {
        method: "GET".to_owned(),
        scheme: "https".to_owned(),
        host: path::canonical_host("resource.example.org", "https").expect("a host"),
        path: CanonicalPath::parse(path).expect("a path"),
        raw_path: path.to_owned(),
        query: String::new(),
        headers: BTreeMap::new(),
        kind: ClientKind::default(),
        page: None,
    };
    let now = Timestamp::from_secs(1_562_262_618);
    let verified = |token, path| verify_proof(text, token, &request(path), &ProofRules::default(), Seconds(5), now);
    let of_the_rfc = text.ends_with("2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA");
    assert!(verified(TOKEN, "/protectedresource").is_err() || of_the_rfc, "a proof that nobody made");
    assert!(verified("another", "/protectedresource").is_err() && verified(TOKEN, "/other").is_err());
}

/// Certificates in headers: what is read is a thumbprint, and of several hops the last one's.
///
/// # Panics
/// When the property does not hold.
pub fn client_certificate(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for form in [Form::Xfcc, Form::EscapedPem, Form::Base64Der] {
        let Some(read) = certificate::thumbprint(text, form) else { continue };
        assert!(read.len() == 43 && read.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{read}");
    }
    let hop = format!("Hash={}", "ab".repeat(32));
    let last = certificate::thumbprint(&hop, Form::Xfcc);
    assert!(last.is_some());
    let quoted = text.replace(['"', '\\'], "");
    for before in [format!("Subject=\"{quoted}\",{hop}"), format!("Hash=\"{quoted}\",{hop}")] {
        assert!(
            before.len() > 16 * 1024 || certificate::thumbprint(&before, Form::Xfcc) == last,
            "an earlier hop speaks for the last: {before}"
        );
    }
}

/// Assertions: a response that passes the screen was made on our page for our user, as far as it says.
///
/// # Panics
/// When the property does not hold.
pub fn assertion(bytes: &[u8]) {
    let expected = Expected { origin: "http://auth.localhost:8080", user_handle: b"0123456789abcdef" };
    let Ok(credential) = screen(bytes, expected) else { return };
    assert_eq!(credential["type"], "public-key");
    assert_eq!(credential["id"], credential["rawId"]);
}

/// Risk: whatever a stored baseline, an address and an agent say, a score is in range, its points add up to it, a proof never raises it, and what was
/// learned is stored and read back as the same bytes. The input is an agent up to the first zero byte, then a baseline.
///
/// # Panics
/// When the property does not hold.
pub fn risk(bytes: &[u8]) {
    let (agent, stored) = bytes.split_at(bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len()));
    let mut baseline = Baseline::from_bytes(stored.get(1..).unwrap_or_default()).unwrap_or_default();
    let agent = String::from_utf8_lossy(agent);
    let (session, device) = (SessionId::new("sid:fuzz").expect("a name"), DeviceId::new("laptop").expect("a name"));
    let octets: [u8; 4] = std::array::from_fn(|at| bytes.get(at).copied().unwrap_or(1));
    let place = Place::Known(PlaceRecord { country: Country::new("FR"), asn: Some(Asn(u32::from(octets[0]))), ..PlaceRecord::default() });
    let raw = RawSighting {
        address: Some(octets.into()),
        user_agent: Some(&agent),
        hints: Hints { brands: Some(&agent), language: Some(&agent), platform: Some(&agent), mobile: Some(&agent), ..Hints::default() },
        cookie: Some(&device),
        ..RawSighting::new(Timestamp(1_772_409_600_000 + i64::try_from(bytes.len()).unwrap_or(0) * 3_600_000), &place, &session)
    };
    let salts = Salts { subject: SubjectSalt::new([1; 32]), organisation: SubjectSalt::new([2; 32]) };
    let (sighting, weights) = (Sighting::new(&raw, &salts), Weights::default());
    let trail = Trail::begin(&sighting);
    let known = Known {
        baseline: &baseline,
        organisation: Organisation::default(),
        trail: Some(&trail),
        is_asked_when_unknown: true,
        behavior: None,
    };
    let assessment = score(observe(&sighting, &known, &weights), &weights.calibration);
    let points: i32 = assessment.reasons().iter().map(|reason| i32::from(reason.points)).sum();
    assert_eq!(points, i32::from(assessment.inherent().value()), "{assessment:?}");
    assert!(assessment.remaining(&assessment.answerable()) <= assessment.inherent());
    assert!(assessment.evidence().items().iter().all(|item| item.nats.is_finite()), "{assessment:?}");
    baseline.learn(&sighting.learned(Strength::StepUp));
    let stored = baseline.to_bytes();
    assert_eq!(Baseline::from_bytes(&stored).map(|again| again.to_bytes()), Ok(stored));
}

/// Batches of pointer actions: what is accepted has 1 to 50 actions, and teaches and is judged without a number that is none.
///
/// # Panics
/// When the property does not hold.
pub fn pointer_batch(bytes: &[u8]) {
    let Ok(batch) = Batch::read(bytes) else { return };
    let actions = batch.actions();
    assert!((1..=50).contains(&actions.len()) && bytes.len() <= 64 * 1024);
    let mut profile = PointerProfile::empty();
    profile.learn(Keyed(1), Timestamp(0), actions);
    assert_eq!(usize::try_from(profile.actions()), Ok(actions.len()), "each action has a duration");
    let nats = PointerVerifier::default().judge(&profile, actions).raise();
    assert!((0.0..=3.0).contains(&nats), "{nats}");
}
