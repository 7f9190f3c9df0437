//! Measures the pointer verifier on recorded sessions: trained on people's own sessions, tested on sessions under the account that they claim.
//!
//! Beside the test it reports what an unknown person would meet: weights that were trained without a block of the claimed person and of the one at the
//! pointer, once with and once without those two in the population.

mod logistic;
mod measures;
mod people;
mod report;
mod trace;

use std::collections::BTreeMap;
use std::path::Path;

use countersign_risk::pointer::{FEATURES, Feature, PointerVerifier, PointerWeights, Window, replayed};

use logistic::{Logistic, Row};
use measures::Judged;
use people::{Claim, Pair, People};

pub use measures::Measures;
pub use report::{ByActions, PointerReport, Variant};
pub use trace::{PointerError, Session};

/// Numbers of actions for which the table says how well they do.
const SIZES: [usize; 5] = [5, 10, 20, 30, 50];
/// Of the blocks of others, every third trains: nine people's blocks against one person's own are more than a fit needs.
const THINNED: usize = 3;

/// A test session with its truth.
#[derive(Debug, Clone)]
pub struct Tested {
    /// The session, under the account that it claims.
    pub session: Session,
    /// Somebody else was at the pointer.
    pub is_other: bool,
}

/// How weights come about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Trained,
    WithoutSampling,
    Default,
}

impl Method {
    const ALL: [Self; 3] = [Self::Trained, Self::WithoutSampling, Self::Default];

    const fn name(self) -> &'static str {
        match self {
            Self::Trained => "trained",
            Self::WithoutSampling => "trained, no report interval",
            Self::Default => "product default, equal weights",
        }
    }

    /// Weights from claims.
    fn weights(self, claims: &[&Claim]) -> PointerWeights {
        if self == Self::Default {
            return PointerWeights::default();
        }
        let skipped =
            |at: usize| self == Self::WithoutSampling && Feature::ALL.get(at % FEATURES).is_some_and(|feature| feature.is_sampling);
        let masked: Vec<(Vec<f64>, bool)> = claims
            .iter()
            .map(|claim| {
                let columns = claim.columns().enumerate().map(|(at, column)| if skipped(at) { 0.0 } else { column });
                (columns.collect(), claim.pair.is_other())
            })
            .collect();
        let rows: Vec<Row<'_>> = masked.iter().map(|(columns, is_other)| (columns.as_slice(), *is_other)).collect();
        let Logistic { bias, weights } = Logistic::train(&rows);
        let mut weights = weights.into_iter().map(|weight| weight.clamp(-1000.0, 1000.0));
        let likelihood = std::array::from_fn(|_| weights.next().unwrap_or(0.0));
        let distance = std::array::from_fn(|_| weights.next().unwrap_or(0.0));
        PointerWeights::new(bias, likelihood, distance).unwrap_or_default()
    }
}

/// Reads folders and labels, and measures. `step` is told how much of the work is done, and of how much.
///
/// # Errors
/// When a file cannot be read or there is too little in it.
pub fn run(train: &Path, test: &Path, labels: &Path, step: &(dyn Fn(u64, u64) + Sync)) -> Result<PointerReport, PointerError> {
    let labels = read_labels(labels)?;
    let (train, test) = (trace::list(train)?, trace::list(test)?);
    let all = train.len() + test.len();
    let mut sessions = Vec::new();
    let mut tests = Vec::new();
    for (nth, file) in train.into_iter().enumerate() {
        sessions.push(trace::read(file)?);
        step(whole(nth), whole(all));
    }
    let read = sessions.len();
    for (nth, file) in test.into_iter().enumerate() {
        if let Some(is_other) = labels.get(&(file.person.clone(), file.session.clone())).copied() {
            tests.push(Tested { session: trace::read(file)?, is_other });
        }
        step(whole(read + nth), whole(all));
    }
    measure(&sessions, &tests, step)
}

/// Measures. Training sessions are sorted by person; test sessions of people who are not enrolled do not count.
///
/// # Errors
/// When fewer than four people are enrolled, or none of their sessions is tested.
pub fn measure(sessions: &[Session], tests: &[Tested], step: &(dyn Fn(u64, u64) + Sync)) -> Result<PointerReport, PointerError> {
    let people = People::learn(sessions);
    if people.len() < 4 {
        return Err(PointerError::TooLittle("to leave two people out, at least four are needed in the training folder"));
    }
    let tests: Vec<(usize, &Tested)> = tests.iter().filter_map(|test| Some((people.find(&test.session.person)?, test))).collect();
    if tests.is_empty() {
        return Err(PointerError::TooLittle("no test session is labelled and of somebody in the training folder"));
    }
    let background = people.background(&[]);
    let claims = people.claims(&background, |_| true);
    let left_out = leave_out(&people, &claims, step);
    let variants = Method::ALL.into_iter().zip(left_out).map(|(method, [weights_only, population_too])| {
        let verifier = PointerVerifier { weights: method.weights(&training(&claims, &[])), background: background.clone() };
        let score = |person: usize, window: &Window| people.profile(person).map_or(0.0, |profile| verifier.log_odds(profile, window));
        let by_session = |tests: &[&(usize, &Tested)]| -> Vec<Judged> {
            tests.iter().map(|(person, test)| (score(*person, &Window::of(&test.session.actions)), test.is_other)).collect()
        };
        let per_person = (0..people.len()).map(|person| tests.iter().filter(|(of, _)| *of == person).collect::<Vec<_>>());
        let per_person: Vec<Measures> = per_person.filter(|own| !own.is_empty()).map(|own| Measures::of(&by_session(&own))).collect();
        let by_actions = SIZES.map(|actions| {
            let blocks = tests.iter().flat_map(|(person, test)| {
                people::windows(&test.session.actions, actions).map(|window| (score(*person, &window), test.is_other))
            });
            ByActions { actions, measures: Measures::of(&blocks.collect::<Vec<_>>()) }
        });
        Variant {
            name: method.name(),
            sessions: Measures::of(&by_session(&tests.iter().collect::<Vec<_>>())),
            mean_auc: per_person.iter().map(|one| one.auc).sum::<f64>() / measures::count(per_person.len()),
            weights_left_out: Measures::of(&weights_only),
            all_left_out: Measures::of(&population_too),
            by_actions,
        }
    });
    Ok(PointerReport {
        people: people.len(),
        training: sessions.len(),
        sessions: tests.len(),
        others: tests.iter().filter(|(_, test)| test.is_other).count(),
        silent: tests.iter().filter(|(_, test)| test.session.actions.is_empty()).count(),
        repeated: tests.iter().filter(|(person, test)| repeats(&people, *person, test)).count(),
        variants: variants.collect(),
    })
}

fn repeats(people: &People, person: usize, test: &Tested) -> bool {
    people.profile(person).is_some_and(|profile| replayed(profile, &test.session.actions) > 0)
}

/// Scores of blocks of 50 actions for each method, by weights that never saw the two people of a claim; then with these not in the population either.
type LeftOut = [[Vec<Judged>; 2]; 3];

fn leave_out(people: &People, claims: &[Claim], step: &(dyn Fn(u64, u64) + Sync)) -> LeftOut {
    let pairs: Vec<(usize, usize)> = (0..people.len()).flat_map(|a| (a + 1..people.len()).map(move |b| (a, b))).collect();
    let done = std::sync::atomic::AtomicU64::new(0);
    let work = |pairs: &[(usize, usize)]| {
        let mut scores = LeftOut::default();
        for (a, b) in pairs {
            let is_judged = |pair: Pair| [pair.claimed, pair.by].iter().all(|person| person == a || person == b);
            let strict = people.claims(&people.background(&[*a, *b]), |pair| is_judged(pair) || trains(pair, &[*a, *b]));
            for (kind, claims) in [claims, strict.as_slice()].into_iter().enumerate() {
                let fit = training(claims, &[*a, *b]);
                let judged: Vec<&Claim> = claims.iter().filter(|claim| is_judged(claim.pair)).collect();
                for (method, scores) in Method::ALL.into_iter().zip(&mut scores) {
                    let weights = method.weights(&fit);
                    let scored = judged.iter().map(|claim| (weights.log_odds(&claim.evidence), claim.pair.is_other()));
                    scores.iter_mut().skip(kind).take(1).for_each(|list| list.extend(scored.clone()));
                }
            }
            step(done.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1, whole(people.len() * (people.len() - 1) / 2));
        }
        scores
    };
    // In parallel, and joined in the order of the pairs: the report is the same on any machine.
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let share = pairs.len().div_ceil(threads).max(1);
    let parts: Vec<LeftOut> = std::thread::scope(|scope| {
        let running: Vec<_> = pairs.chunks(share).map(|pairs| scope.spawn(move || work(pairs))).collect();
        running.into_iter().map(|thread| thread.join().unwrap_or_default()).collect()
    });
    let mut all = LeftOut::default();
    for part in parts {
        let lists = all.iter_mut().flatten().zip(part.into_iter().flatten());
        lists.for_each(|(list, more)| list.extend(more));
    }
    all
}

/// The claims that train, without some people.
fn training<'a>(claims: &'a [Claim], without: &[usize]) -> Vec<&'a Claim> {
    claims.iter().filter(|claim| trains(claim.pair, without)).collect()
}

fn trains(pair: Pair, without: &[usize]) -> bool {
    let is_known = !without.contains(&pair.claimed) && !without.contains(&pair.by);
    is_known && (!pair.is_other() || pair.nth.is_multiple_of(THINNED))
}

/// Who claimed which session, and whether it was somebody else.
fn read_labels(path: &Path) -> Result<BTreeMap<(String, String), bool>, PointerError> {
    let text = trace::text(path)?;
    let mut labels = BTreeMap::new();
    for (number, line) in text.lines().enumerate().skip(1).filter(|(_, line)| !line.is_empty()) {
        let refused = || PointerError::Line {
            path: path.display().to_string(),
            line: number + 1,
            why: "not `user,session,is_illegal` with 0 or 1".to_owned(),
        };
        let mut fields = line.split(',').map(str::trim);
        let (Some(person), Some(session), Some(truth @ ("0" | "1")), None) = (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            return Err(refused());
        };
        labels.insert((person.to_owned(), session.to_owned()), truth == "1");
    }
    Ok(labels)
}

fn whole(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
