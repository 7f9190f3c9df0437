//! What an allow that is kept costs: of a question that was prepared, and of one that is built anew, beside a plain map with the same key.
//!
//! The last lines are of the least disturbed of many short runs, which a busy machine changes little, and what they are of a plain map.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

#[path = "lease/served.rs"]
mod served;

use std::collections::HashMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

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

    let hit = least(|| assert!(served::hit(&client, black_box(&prepared))));
    let mut requests: Vec<_> = (0..RUNS * TURNS).map(|_| served::request()).collect();
    let built = least(|| assert!(served::hit(&client, &Question::new(requests.pop().unwrap()))));
    let plain = least(|| assert!(map.contains_key(black_box(&key))));
    println!("least disturbed of {RUNS} runs: prepared {hit:?}, built from a request {built:?}, plain HashMap {plain:?}");
    println!("of a plain HashMap: prepared {:.2}, built from a request {:.2}", hit.div_duration_f64(plain), built.div_duration_f64(plain));
}

const RUNS: u32 = 300;
const TURNS: u32 = 200;

/// The time of one turn in the run that was disturbed least.
#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn least(mut turn: impl FnMut()) -> Duration {
    let mut run = || {
        let begun = Instant::now();
        (0..TURNS).for_each(|_| turn());
        begun.elapsed() / TURNS
    };
    (0..RUNS).map(|_| run()).min().unwrap_or_default()
}

criterion_group!(benches, lease);
criterion_main!(benches);
