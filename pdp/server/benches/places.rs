//! What a score costs with a real City database in front of it: look-up, keys and score of one request, as percentiles on one thread.
//! `cargo bench -p countersign-pdp-server --bench places -- DATABASE`; `tests/setup/places` fetches one.

use std::hint::black_box;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use countersign_pdp_server::places::{Files, Places};
use countersign_risk::{Baseline, Known, Organisation, RawSighting, Salts, Sighting, Strength, SubjectSalt, Weights, observe, score};
use countersign_sdk_types::{DeviceId, Place, SessionId, Timestamp};

const NOW: Timestamp = Timestamp(1_772_409_600_000);
const REQUESTS: u32 = 200_000;
const AGENT: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36";

/// Addresses all over the globe, the same in every run.
fn address(n: u32) -> IpAddr {
    let mixed = n.wrapping_mul(2_654_435_761) ^ (n >> 3).wrapping_mul(40_503);
    IpAddr::from(((mixed % 0xDF00_0000) | 0x0100_0000).to_be_bytes())
}

fn sighting(at: i64, from: IpAddr, place: &Place, salts: &Salts) -> Option<Sighting> {
    let (cookie, session) = (DeviceId::new("laptop").ok()?, SessionId::new("sid:one").ok()?);
    let raw = RawSighting {
        address: Some(from),
        user_agent: Some(AGENT),
        cookie: Some(&cookie),
        ..RawSighting::new(Timestamp(at), place, &session)
    };
    Some(Sighting::new(&raw, salts))
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures")]
fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let done = work();
    (start.elapsed(), done)
}

#[expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
fn report(name: &str, mut took: Vec<Duration>) {
    took.sort_unstable();
    let at = |percent: usize| took.get(took.len() * percent / 100).copied().unwrap_or_default().as_nanos();
    println!("{name:<28} p50 {:>6} ns   p90 {:>6} ns   p99 {:>6} ns", at(50), at(90), at(99));
}

fn main() {
    let database = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).map(PathBuf::from);
    let places = Places::new(Files { city: database.clone(), ..Files::default() }, None);
    let known = |n: u32| places.place(Some(address(n)), NOW);
    if database.is_some() {
        assert!((0..1_000).any(|n| known(n).known().is_some()), "the database knows none of a thousand addresses");
    }
    let salts = Salts { subject: SubjectSalt::new([7; 32]), organisation: SubjectSalt::new([8; 32]) };
    let mut baseline = Baseline::empty();
    for day in 0..60_u32 {
        let place = known(day % 4);
        let seen = sighting(NOW.0 - i64::from(60 - day) * 86_400_000, address(day % 4), &place, &salts);
        seen.into_iter().for_each(|seen| drop(baseline.learn(&seen.learned(Strength::StepUp))));
    }
    let weights = Weights::default();
    let judge = |seen: &Sighting| {
        let known =
            Known { baseline: &baseline, organisation: Organisation::default(), trail: None, behavior: None, is_asked_when_unknown: true };
        score(observe(seen, &known, &weights), &weights.calibration)
    };
    let (mut looked, mut keyed, mut scored, mut all) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for n in 0..REQUESTS {
        let (look, place) = timed(|| known(black_box(n)));
        let (key, seen) = timed(|| sighting(NOW.0, address(n), &place, &salts));
        let Some(seen) = seen else { continue };
        let (score, _) = timed(|| black_box(judge(&seen)));
        looked.push(look);
        keyed.push(key);
        scored.push(score);
        all.push(look + score);
    }
    report("place of an address", looked);
    report("keys of a request", keyed);
    report("score", scored);
    report("place and score", all);
}
