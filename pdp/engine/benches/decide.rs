//! Decisions per second on one core: the seed's policy and the starter policy, from an identified request to the answer.

use std::hint::black_box;

use countersign_pdp_engine::policy::{Policy, PolicySource};
use countersign_sdk_types::contract::Input;
use criterion::{Criterion, criterion_group, criterion_main};

const GOLDEN: &str = include_str!("../../../policies/schema/input.golden.json");
const SEED: &[(&str, &str)] = &[("authz.rego", include_str!("../../../policies/examples/seed/authz.rego"))];
const STARTER: &[(&str, &str)] = &[
    ("access.rego", include_str!("../../../policies/starter/access.rego")),
    ("data.json", include_str!("../../../policies/starter/data.json")),
];

fn policy(files: &[(&str, &str)]) -> Option<Policy> {
    let files = files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()));
    Policy::compile(&PolicySource::from_files("authz", files).ok()?).ok()
}

fn decisions(criterion: &mut Criterion) {
    let Ok(input) = serde_json::from_str::<Input>(GOLDEN) else { return };
    for (name, files) in [("seed", SEED), ("starter", STARTER)] {
        let Some(policy) = policy(files) else { return };
        criterion.bench_function(&format!("evaluate/{name}"), |bencher| bencher.iter(|| policy.evaluate(black_box(&input))));
    }
}

criterion_group!(benches, decisions);
criterion_main!(benches);
