//! Decisions per second on one core: the seed's policy and the starter policy, from an identified request to the answer.

use std::hint::black_box;

use countersign_pdp_engine::decide;
use countersign_pdp_engine::facts::{DirectoryUser, Facts, Inventory};
use countersign_pdp_engine::identify::{Given, Identified, Issuers, ProofRules, identify};
use countersign_pdp_engine::lease::{Made, Terms, mint};
use countersign_pdp_engine::policy::{Policy, PolicySource};
use countersign_pdp_engine::request::{Credentials, Pep, RawCheck, RequestRules, normalize};
use countersign_pdp_engine::snapshot::Snapshot;
use countersign_risk::{Salts, SubjectSalt};
use countersign_sdk_types::{Action, Entity, EvaluationRequest, Millis, PepId, Place, PlaceGap, Revision, RiskScore, Tenant, Timestamp};
use criterion::{Criterion, criterion_group, criterion_main};

const NOW: Timestamp = Timestamp(1_772_528_400_000);
const SEED: &[(&str, &str)] = &[("authz.rego", include_str!("../../../policies/examples/seed/authz.rego"))];
const STARTER: &[(&str, &str)] = &[
    ("access.rego", include_str!("../../../policies/starter/access.rego")),
    ("data.json", include_str!("../../../policies/starter/data.json")),
];

fn snapshot(files: &[(&str, &str)]) -> Option<Snapshot> {
    let files = files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()));
    let policy = Policy::compile(&PolicySource::from_files("authz", files).ok()?).ok()?;
    Some(Snapshot::new(Revision::new("bench").ok()?, policy))
}

fn identified() -> Option<Identified> {
    let entity = |kind: &str, id: &str| Entity { kind: kind.to_owned(), id: id.to_owned(), properties: serde_json::Map::new() };
    let action = Action { name: "GET".to_owned(), properties: serde_json::Map::new() };
    let pep =
        Pep { id: PepId::new("bench").ok()?, asserts_subject: true, asserts_client: false, asserts: std::collections::BTreeSet::new() };
    let asked =
        EvaluationRequest { subject: entity("user", "alice"), action, resource: entity("record", "1"), context: serde_json::Map::new() };
    let raw = RawCheck { tenant: Tenant::new("default").ok()?, pep, http: None, asked: Some(asked) };
    let (request, credentials) = normalize(raw, &RequestRules::default()).ok()?;
    let (issuers, proofs) = (Issuers::default(), ProofRules::default());
    let given = Given { issuers: &issuers, proofs: &proofs, linked: None, introspected: None, now: NOW };
    identify(request, &credentials, given).ok()?.confirm(|_| Ok(())).ok()
}

fn facts() -> Facts {
    let salts = Salts { subject: SubjectSalt::new([7; 32]), organisation: SubjectSalt::new([8; 32]) };
    let mut facts = Facts::unknown(salts, Place::Unknown(PlaceGap::NoAddress));
    facts.user = Some(DirectoryUser { role: "admin".to_owned(), roles: std::collections::BTreeSet::new() });
    facts.device.inventory = Some(Inventory { compliant: Some(true), managed: Some(true) });
    facts
}

fn decisions(criterion: &mut Criterion) {
    let facts = facts();
    for (name, files) in [("seed", SEED), ("starter", STARTER)] {
        let (Some(snapshot), Some(identified)) = (snapshot(files), identified()) else {
            criterion.bench_function(&format!("decide/{name} could not be set up"), |bencher| bencher.iter(|| black_box(0)));
            continue;
        };
        criterion
            .bench_function(&format!("decide/{name}"), |bencher| bencher.iter(|| decide(black_box(&identified), &facts, &snapshot, NOW)));
    }
}

/// A decision with its lease: how much it costs to know that it holds to the end. Within the minute there is one more look, across its end there are two.
fn leases(criterion: &mut Criterion) {
    let (facts, credentials, never) = (facts(), Credentials::default(), std::collections::BTreeSet::new());
    let terms = Terms { ttl: Millis(30_000), risk_below: RiskScore::clamp(100.0), never: &never, until: None, also: &[] };
    for (name, now) in [("one look", NOW), ("two looks", NOW.after(Millis(45_000)))] {
        let (Some(snapshot), Some(identified)) = (snapshot(SEED), identified()) else { return };
        let lease = |identified: &Identified| {
            let decided = decide(identified, &facts, &snapshot, now);
            let made = Made { identified, credentials: &credentials, facts: &facts, snapshot: &snapshot, now, decided: &decided };
            mint(&made, &terms)
        };
        let name = if lease(&identified).is_some() { name } else { "none was given" };
        criterion.bench_function(&format!("decide and lease/seed, {name}"), |bencher| bencher.iter(|| lease(black_box(&identified))));
    }
}

criterion_group!(benches, decisions, leases);
criterion_main!(benches);
