//! A day of requests, through an edge and through a decision point alone: what is decided where, how much is sent, how long it takes, and whether the edge
//! was ever more permissive.

mod day;
mod report;
mod scene;

use std::collections::BTreeMap;
use std::time::Duration;

use countersign_pdp_server::clock::Stopwatch;
use countersign_sdk_client::{Answer, Error};
use countersign_sdk_types::{Millis, Timestamp};

pub use self::day::{Day, Request, Shape, Visit, Who, corpus, generated};
pub use self::report::{Bytes, Latency, Report};
use self::scene::Scene;

/// What an answer lets somebody do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Said {
    No,
    Prove,
    Yes,
}

fn said(answer: &Result<Answer, Error>) -> Said {
    match answer {
        Ok(Answer::Allow(_)) => Said::Yes,
        Ok(Answer::StepUp(_)) => Said::Prove,
        Ok(Answer::Deny(_)) | Err(_) => Said::No,
    }
}

/// Replays a day.
///
/// # Panics
/// When something does not start, or does not answer at all.
pub async fn replay(day: &Day) -> Report {
    let mut scene = Scene::start(day).await;
    scene.remember(day).await;
    scene.hear(scene::TOLD).await;
    scene.count_from_here();
    let (mut report, mut opened): (Report, Option<Timestamp>) = (Report::new(day), None);
    let mut away: BTreeMap<&str, Away> = BTreeMap::new();
    for request in day.requests() {
        if opened.is_some_and(|since| request.at.since(since) >= Millis(10)) {
            scene.edge.send().await.unwrap();
            opened = None;
        }
        scene.go_to(request.at).await;
        if request.is_end {
            scene.revoke(&request).await;
            continue;
        }
        if request.visit.who == Who::Owner && away.get(request.visit.session.as_str()).is_some_and(|away| away.is_from(&request)) {
            continue;
        }
        let question = scene.question(&request);
        let before = scene.edge.counted().local;
        let (watch, ours) = (Stopwatch::start(), scene.through_edge(&question).await);
        let took = watch.elapsed();
        let is_local = scene.edge.counted().local > before;
        let (watch, theirs) = (Stopwatch::start(), scene.alone(&question).await);
        let alone = watch.elapsed();
        if is_local {
            opened.get_or_insert(request.at);
        } else {
            // What the decision point saw may end what others hold.
            scene.hear(scene::TOLD).await;
        }
        let (ours, theirs) = (said(&ours), said(&theirs));
        if request.visit.who == Who::Owner && request.page.1 && theirs != Said::Yes {
            away.entry(&request.visit.session).or_default().turn(request.page.0);
            if theirs == Said::Prove {
                scene.prove(request.visit);
            }
        }
        report.take(&request, is_local, (ours as u8, theirs as u8), (took, alone));
    }
    scene.edge.flush().await.unwrap();
    report.end(&scene);
    report
}

/// Who is not let in: a page that is not shown asks for nothing more, and after the second one the person goes. A thief goes on.
#[derive(Debug, Default)]
struct Away {
    page: u64,
    times: u32,
}

impl Away {
    fn turn(&mut self, page: u64) {
        (self.page, self.times) = (page, self.times + 1);
    }

    fn is_from(&self, request: &Request<'_>) -> bool {
        self.times >= 2 || request.page.0 == self.page
    }
}

/// How far the clocks of a day go at once: within what a watch may be silent.
const STEP: Duration = Duration::from_secs(5);
