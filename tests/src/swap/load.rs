//! Requests by the clock: each is due at its time, and an answer is as late as it is after that.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep_until};

use super::line::Line;
use super::scene::PEP;

/// Connections. As many requests are under way at most; what is due beyond waits, and its time runs.
const LINES: usize = 32;

/// One request.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Its place.
    pub number: u32,
    /// When it was due, since the load began.
    pub due: Duration,
    /// From then until its answer.
    pub took: Duration,
    /// The answer, or why there is none.
    pub said: Result<Said, String>,
}

/// What a policy answered.
#[derive(Debug, Clone)]
pub struct Said {
    /// The id of the decision.
    pub id: String,
    /// The answer.
    pub allows: bool,
}

/// Asks so many questions, so many a second, and gives them in their order.
pub(super) async fn ask(port: u16, rate: u32, count: u32, question: impl Fn(u32) -> String) -> Vec<Sample> {
    let questions: Arc<Vec<String>> = Arc::new((0..count).map(question).collect());
    let (next, begun) = (Arc::new(AtomicU32::new(0)), Instant::now());
    let mut lines = tokio::task::JoinSet::new();
    for _ in 0..LINES {
        lines.spawn(one_line(port, rate, Arc::clone(&questions), Arc::clone(&next), begun));
    }
    let mut all: Vec<Sample> = lines.join_all().await.into_iter().flatten().collect();
    all.sort_unstable_by_key(|sample| sample.number);
    all
}

async fn one_line(port: u16, rate: u32, questions: Arc<Vec<String>>, next: Arc<AtomicU32>, begun: Instant) -> Vec<Sample> {
    let (mut line, mut samples) = (None, Vec::new());
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let Some(question) = questions.get(number as usize) else { return samples };
        let due = Duration::from_secs(u64::from(number)) / rate;
        sleep_until(begun + due).await;
        let said = said(&mut line, port, question).await;
        samples.push(Sample { number, due, took: begun.elapsed().saturating_sub(due), said });
    }
}

async fn said(line: &mut Option<Line>, port: u16, question: &str) -> Result<Said, String> {
    let mut open = match line.take() {
        Some(open) => open,
        None => Line::open(port, PEP).await.map_err(|error| format!("no connection: {error}"))?,
    };
    let (status, body) = open.ask(question).await.map_err(|error| format!("no answer: {error}"))?;
    *line = Some(open);
    let answer: Value = serde_json::from_str(&body).map_err(|_| format!("status {status}: {body}"))?;
    // What fails is a deny as well: only a policy's own no is an answer here.
    let is_policys = answer["decision"] == true || answer["context"]["reason"] == "policy_denied";
    match (status, is_policys, answer["context"]["id"].as_str()) {
        (200, true, Some(id)) => Ok(Said { id: id.to_owned(), allows: answer["decision"] == true }),
        _ => Err(format!("status {status}: {body}")),
    }
}
