//! A storm of watches: one server, very many streams over HTTP/2, and revocations that must reach all of them soon, and those whose lease they end sooner.
//!
//! Server and load are two processes. Every stream's events are counted by their place, so that one that is lost or comes twice is seen.

pub mod wire;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use self::wire::{Came, Connection};
use crate::http;
use crate::watched::{self, PEP, Server};

/// The watch whose leases end.
const HOLDER: &str = "holder";
/// Connections that open their streams at once.
const OPENING: usize = 16;
/// How long everything may take to get somewhere.
const PATIENCE: Duration = Duration::from_secs(120);

/// What is to be done.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Watches.
    pub streams: usize,
    /// Connections that they share.
    pub connections: usize,
    /// Revocations.
    pub revocations: usize,
}

/// What was seen.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct Report {
    /// Watches.
    pub streams: usize,
    /// Connections of the load.
    pub connections: usize,
    /// Open files of the server that are sockets, at most.
    pub server_sockets: usize,
    /// Growth of the server's resident memory, divided by the watches, in bytes.
    pub bytes_per_stream: usize,
    /// Revocations.
    pub revocations: usize,
    /// Each watch was told of each, in order and once.
    pub complete: bool,
    /// The revoked subject had a lease by the holder's watch, each time.
    pub leased: bool,
    /// From the request to revoke until a watch was told, over all watches and revocations, in milliseconds.
    pub all_mean_ms: f64,
    /// Half of them.
    pub all_p50_ms: f64,
    /// 99 of 100.
    pub all_p99_ms: f64,
    /// The slowest.
    pub all_max_ms: f64,
    /// The same, until the watch that holds the lease was told.
    pub own_mean_ms: f64,
    /// The slowest of those.
    pub own_max_ms: f64,
    /// From the request to revoke until the operator's answer, which waits for the disk.
    pub answered_mean_ms: f64,
    /// Seconds of processor time that the server took for all revocations.
    pub server_cpu_s: f64,
    /// Seconds until all watches were open.
    pub opened_s: f64,
}

/// What all connections count together.
#[derive(Debug)]
struct Tally {
    hellos: AtomicUsize,
    /// How often the revocation with this place was told.
    told: Vec<AtomicUsize>,
    /// When, in microseconds since the storm began, and how often at once.
    times: Vec<Mutex<Vec<(u64, u32)>>>,
    own: Vec<AtomicU64>,
    begun: Instant,
    wrong: Mutex<Option<String>>,
}

impl Tally {
    fn new(revocations: usize) -> Self {
        Self {
            hellos: AtomicUsize::new(0),
            told: (0..revocations).map(|_| AtomicUsize::new(0)).collect(),
            times: (0..revocations).map(|_| Mutex::default()).collect(),
            own: (0..revocations).map(|_| AtomicU64::new(0)).collect(),
            begun: Instant::now(),
            wrong: Mutex::default(),
        }
    }

    fn wrong(&self, what: String) {
        self.wrong.lock().unwrap().get_or_insert(what);
    }

    fn check(&self) -> Result<(), String> {
        self.wrong.lock().unwrap().clone().map_or(Ok(()), Err)
    }
}

/// Makes a storm.
///
/// # Errors
/// What went wrong, in words.
///
/// # Panics
/// When the server does not start.
pub async fn rage(options: Options) -> Result<Report, String> {
    let Options { streams, connections, revocations } = options;
    let server = Server::start(&format!("[lease]\nwatches = {}\n", streams + 1));
    let before = server.resident()?;
    let tally = Arc::new(Tally::new(revocations));
    let opening = Arc::new(Semaphore::new(OPENING));
    let mut load = tokio::task::JoinSet::new();
    // The holder comes last, so that nothing but its lease puts it first.
    for at in 0..connections {
        let share = streams / connections + usize::from(at < streams % connections);
        let names = (0..share).map(|one| format!("pep-{at}-{one}")).collect();
        load.spawn(follow(server.grpc, names, Arc::clone(&tally), Arc::clone(&opening)));
    }
    until(&tally, "all watches are open", || tally.hellos.load(Ordering::Relaxed) == streams).await?;
    load.spawn(follow(server.grpc, vec![HOLDER.to_owned()], Arc::clone(&tally), opening));
    until(&tally, "the holder's watch is open", || tally.hellos.load(Ordering::Relaxed) == streams + 1).await?;
    let opened_s = tally.begun.elapsed().as_secs_f64();
    let mut report = Report { streams, connections: connections + 1, revocations, opened_s, leased: true, ..Report::default() };
    let (mut resident, cpu) = (server.resident()?, server.cpu()?);
    report.server_sockets = server.sockets()?;
    let mut sent = Vec::new();
    for at in 0..revocations {
        let subject = format!("subject-{at}");
        report.leased &= lease(&server, &subject).await;
        let begun = tally.begun.elapsed();
        revoke(&server, &subject).await?;
        report.answered_mean_ms += millis(tally.begun.elapsed().saturating_sub(begun)) / count(revocations);
        sent.push(begun);
        until(&tally, "everybody is told", || tally.told[at].load(Ordering::Relaxed) > streams).await?;
        resident = resident.max(server.resident()?);
    }
    report.server_cpu_s = server.cpu()? - cpu;
    report.bytes_per_stream = resident.saturating_sub(before) / streams;
    tally.check()?;
    report.complete = tally.told.iter().all(|told| told.load(Ordering::Relaxed) == streams + 1);
    report.reckon(&tally, &sent);
    load.abort_all();
    Ok(report)
}

impl Report {
    fn reckon(&mut self, tally: &Tally, sent: &[Duration]) {
        let since = |at: u64, sent: &Duration| millis(Duration::from_micros(at).saturating_sub(*sent));
        let mut all: Vec<(f64, u32)> = Vec::new();
        for (times, sent) in tally.times.iter().zip(sent) {
            all.extend(times.lock().unwrap().iter().map(|(at, often)| (since(*at, sent), *often)));
        }
        all.sort_by(|one, other| one.0.total_cmp(&other.0));
        let total: u64 = all.iter().map(|(_, often)| u64::from(*often)).sum();
        let quantile = |part: f64| {
            let mut left = count(usize::try_from(total).unwrap_or(usize::MAX)) * part;
            let reached = all.iter().find(|(_, often)| {
                left -= f64::from(*often);
                left <= 0.0
            });
            reached.or(all.last()).map_or(0.0, |(at, _)| *at)
        };
        (self.all_p50_ms, self.all_p99_ms, self.all_max_ms) = (quantile(0.5), quantile(0.99), quantile(1.0));
        self.all_mean_ms = all.iter().map(|(at, often)| at * f64::from(*often)).sum::<f64>() / count(usize::try_from(total).unwrap_or(1));
        let own: Vec<f64> = tally.own.iter().zip(sent).map(|(at, sent)| since(at.load(Ordering::Relaxed), sent)).collect();
        self.own_mean_ms = own.iter().sum::<f64>() / count(own.len());
        self.own_max_ms = own.iter().copied().fold(0.0, f64::max);
    }

    /// The bars that are missed.
    #[must_use]
    pub fn missed(&self) -> Vec<String> {
        let bars = [
            (self.complete, "every watch is told of every revocation, once and in order".to_owned()),
            (self.leased, "the holder has a lease before each revocation".to_owned()),
            (self.server_sockets <= 15_000, format!("{} sockets, at most 15000", self.server_sockets)),
            (self.bytes_per_stream <= 20 * 1024, format!("{} bytes a stream, at most 20480", self.bytes_per_stream)),
            (self.all_p99_ms < 1_000.0, format!("{:.0} ms at p99, less than 1000", self.all_p99_ms)),
            (self.own_mean_ms < 50.0, format!("{:.1} ms on average for the holder, less than 50", self.own_mean_ms)),
            (self.revocations >= 50, format!("{} revocations, at least 50", self.revocations)),
        ];
        bars.into_iter().filter(|(holds, _)| !holds).map(|(_, bar)| bar).collect()
    }
}

/// Follows the watches of one connection until it breaks.
async fn follow(port: u16, names: Vec<String>, tally: Arc<Tally>, opening: Arc<Semaphore>) {
    if let Err(error) = follow_until(port, &names, &tally, &opening).await {
        tally.wrong(format!("a connection broke: {error}"));
    }
}

async fn follow_until(port: u16, names: &[String], tally: &Tally, opening: &Semaphore) -> std::io::Result<()> {
    let mut opens = opening.acquire().await.ok();
    let is_holder = names.first().is_some_and(|name| name == HOLDER);
    let mut connection = Connection::open(port).await?;
    let targets: Vec<_> = names.iter().map(|name| format!("/countersign/v1/watch?watch={name}&heartbeat_ms=60000")).collect();
    connection.get(&targets, PEP).await?;
    // Where each stream stands: before its first event, nowhere.
    let mut places: Vec<Option<u64>> = vec![None; names.len()];
    let mut hellos = 0;
    loop {
        let mut now_told: Vec<(usize, u32)> = Vec::new();
        connection
            .read(|came| match came {
                Came::Body(id, body) => match heard(body) {
                    Heard::Alive => {}
                    Heard::Event("hello", place) => {
                        places[(id / 2) as usize] = Some(place);
                        hellos += 1;
                        tally.hellos.fetch_add(1, Ordering::Relaxed);
                    }
                    Heard::Event("ended", place) => {
                        let stands = &mut places[(id / 2) as usize];
                        if stands.map(|stands| stands + 1) != Some(place) {
                            tally.wrong(format!("after {stands:?} came {place}"));
                        }
                        *stands = Some(place);
                        let at = usize::try_from(place).unwrap_or(usize::MAX) - 1;
                        match now_told.iter_mut().find(|(known, _)| *known == at) {
                            Some((_, often)) => *often += 1,
                            None => now_told.push((at, 1)),
                        }
                    }
                    Heard::Event(..) | Heard::Nonsense => tally.wrong(format!("unexpected: {}", String::from_utf8_lossy(body))),
                },
                Came::Accepted(_) => {}
                Came::Refused(_) | Came::Ended(_) | Came::Leaving => tally.wrong(format!("unexpected: {came:?}")),
            })
            .await?;
        let micros = u64::try_from(tally.begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        for (at, often) in now_told {
            let (Some(told), Some(times)) = (tally.told.get(at), tally.times.get(at)) else { continue };
            times.lock().unwrap().push((micros, often));
            if is_holder {
                tally.own[at].store(micros, Ordering::Relaxed);
            }
            told.fetch_add(often as usize, Ordering::Relaxed);
        }
        if hellos == names.len() {
            opens = None;
        }
        let _ = &opens;
    }
}

enum Heard<'a> {
    Alive,
    Event(&'a str, u64),
    Nonsense,
}

/// One server-sent event, as the server writes them: each in a frame of its own.
fn heard(body: &[u8]) -> Heard<'_> {
    let text = std::str::from_utf8(body).unwrap_or_default();
    if text == ":\n\n" {
        return Heard::Alive;
    }
    let read = || {
        let (id, rest) = text.strip_prefix("id: ")?.split_once('\n')?;
        let (name, rest) = rest.strip_prefix("event: ")?.split_once('\n')?;
        rest.ends_with("\n\n").then_some(())?;
        Some(Heard::Event(name, id.split_once('-')?.1.parse().ok()?))
    };
    read().unwrap_or(Heard::Nonsense)
}

/// Gets a lease for the holder's watch; false where the server gives none.
async fn lease(server: &Server, subject: &str) -> bool {
    let (url, question) = (server.evaluation(), Server::question(subject, "read", Some(HOLDER)));
    let asked = tokio::task::spawn_blocking(move || http::try_send("POST", &url, &[("x-countersign-pep", PEP)], Some(&question)));
    let Ok(Ok(answer)) = asked.await else { return false };
    serde_json::from_str::<Value>(&answer.body).is_ok_and(|answer| answer["decision"] == true && answer["context"]["lease"].is_object())
}

async fn revoke(server: &Server, subject: &str) -> Result<(), String> {
    let (socket, subject) = (server.control(), subject.to_owned());
    tokio::task::spawn_blocking(move || watched::revoke(&socket, &subject)).await.map_err(|error| error.to_string())?
}

async fn until(tally: &Tally, what: &str, holds: impl Fn() -> bool) -> Result<(), String> {
    let begun = Instant::now();
    while !holds() {
        tally.check()?;
        if begun.elapsed() > PATIENCE {
            return Err(format!("it is not so that {what}, {} hellos", tally.hellos.load(Ordering::Relaxed)));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
const fn count(of: usize) -> f64 {
    of as f64
}
