//! What an allow that is kept costs: of a question that was prepared, and of one that is built anew, beside a plain map with the same key.

#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

#[path = "lease/served.rs"]
mod served;

use std::collections::HashMap;
use std::hint::black_box;

use countersign_sdk_client::Question;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};

fn lease(criterion: &mut Criterion) {
    let (client, _runtime) = served::client();
    let prepared = Question::new(served::request());
    assert!(served::hit(&client, &prepared), "it is not kept");
    let mut group = criterion.benchmark_group("kept allow");
    group.bench_function("prepared question", |bencher| bencher.iter(|| assert!(served::hit(&client, black_box(&prepared)))));
    group.bench_function("question built from a request", |bencher| {
        bencher.iter_batched_ref(
            || Some(served::request()),
            |request| assert!(served::hit(&client, &Question::new(request.take().unwrap()))),
            BatchSize::SmallInput,
        );
    });
    let key = serde_json::to_vec(prepared.asked()).unwrap();
    let map = HashMap::from([(key.clone(), 1_u64)]);
    group.bench_function("plain HashMap, the same bytes as key", |bencher| bencher.iter(|| assert!(map.contains_key(black_box(&key)))));
    group.finish();
}

criterion_group!(benches, lease);
criterion_main!(benches);
