//! Follows what a decision point tells of decisions that ended: one stream at a time, resumed where it broke off, on another address where there is one.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use countersign_sdk_types::strict::{self, Limits};
use countersign_sdk_types::{Epoch, WatchEvent};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;

use crate::client::Shared;
use crate::clock::Tick;
use crate::error::{Error, ErrorKind};
use crate::lease::Next;
use crate::sse::{Event, Item, Reader};
use crate::wire;

/// How long a stream may take to begin.
const BEGINS: Duration = Duration::from_secs(5);

/// The first wait after a loss is up to this long, each further one up to twice as long as the one before, up to the longest.
const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(10);

/// A stream that lived for less counts as a failure: what ends again and again is not asked for more and more.
const LIVED: Duration = Duration::from_secs(5);

/// What one event may be at most.
const LIMITS: Limits = Limits { bytes: 128 * 1024, depth: 8, values: 5_000 };

/// Why a stream is followed no longer.
enum Lost {
    /// It ended, broke, or was silent for too long.
    Ended,
    /// The decision point said that it is about to end, and the time to go has come.
    Draining,
    /// It never said hello.
    NeverBegan,
}

/// Follows for as long as the client lives: whoever drops the client ends this.
pub(crate) async fn follow(shared: Arc<Shared>) {
    let mut failures = 0_u32;
    let mut at = shared.answering();
    loop {
        let begun = shared.clock.now();
        let lost = stream(&shared, at).await;
        let now = shared.clock.now();
        shared.rules.lost(now);
        shared.watched(None);
        failures = if begun.until(now) < LIVED { failures.saturating_add(1) } else { 0 };
        // The address that answers is the one whose watch counts; where it does not tell, the next is tried.
        at = match lost {
            Lost::Ended => shared.answering(),
            Lost::Draining | Lost::NeverBegan => shared.next(at),
        };
        if !matches!(lost, Lost::Draining) {
            tokio::time::sleep(wait(failures)).await;
        }
    }
}

/// Full jitter, after a loss that was the first in a while as well: all clients of a decision point that ended come back at different times.
fn wait(failures: u32) -> Duration {
    FIRST.saturating_mul(1 << failures.saturating_sub(1).min(8)).min(LONGEST).mul_f64(fastrand::f64())
}

/// Follows one stream until it is lost.
async fn stream(shared: &Shared, at: usize) -> Lost {
    let Ok(Ok(response)) = tokio::time::timeout(BEGINS, open(shared, at)).await else { return Lost::NeverBegan };
    let mut stream = Stream { body: response.into_body(), reader: Reader::default(), has_begun: false, leave: None };
    loop {
        match stream.step(shared, at).await {
            Some(()) => {}
            None if stream.is_time_to_leave(shared.clock.now()) => return Lost::Draining,
            None if stream.has_begun => return Lost::Ended,
            None => return Lost::NeverBegan,
        }
    }
}

async fn open(shared: &Shared, at: usize) -> Result<Response<Incoming>, Error> {
    let address = shared.address(at)?;
    let heartbeat = shared.heartbeat.map(|heartbeat| format!("&heartbeat_ms={}", heartbeat.as_millis())).unwrap_or_default();
    let path = format!("/countersign/v1/watch?watch={}{heartbeat}", shared.name.as_str());
    let mut request = Request::builder().method(Method::GET).uri(wire::at(&address.base, &path)?).header(ACCEPT, "text/event-stream");
    if let Some(position) = shared.rules.position() {
        request = request.header("last-event-id", position.to_string());
    }
    let unsendable = |cause| Error::because(ErrorKind::Configuration, "watch cannot be asked for", cause);
    let mut request = request.body(Full::<Bytes>::default()).map_err(unsendable)?;
    request.headers_mut().extend(shared.credentials.clone());
    let response = address.watch(request).await?;
    wire::check_status(response.status())?;
    let kind = response.headers().get(CONTENT_TYPE).map(http::HeaderValue::as_bytes).unwrap_or_default();
    let is_stream = kind.get(..17).is_some_and(|kind| kind.eq_ignore_ascii_case(b"text/event-stream"));
    if is_stream { Ok(response) } else { Err(Error::new(ErrorKind::Malformed, "watch is no stream of events")) }
}

struct Stream {
    body: Incoming,
    reader: Reader,
    has_begun: bool,
    leave: Option<Tick>,
}

impl Stream {
    /// Takes what comes next. None when the stream is of no more use.
    async fn step(&mut self, shared: &Shared, at: usize) -> Option<()> {
        let now = shared.clock.now();
        let silence = if self.has_begun { shared.rules.silence() } else { BEGINS };
        let patience = self.leave.map_or(silence, |leave| silence.min(now.until(leave)));
        let frame = tokio::time::timeout(patience, self.body.frame()).await.ok()??.ok()?;
        let Ok(bytes) = frame.into_data() else { return Some(()) };
        let now = shared.clock.now();
        shared.rules.heard(now).ok()?;
        for item in self.reader.read(&bytes).ok()? {
            match item {
                Item::Event(event) => self.take(shared, at, now, &event)?,
                Item::Alive => shared.rules.quiet(),
            }
        }
        Some(())
    }

    fn take(&mut self, shared: &Shared, at: usize, now: Tick, event: &Event) -> Option<()> {
        let position: Epoch = event.id.parse().ok()?;
        let known = strict::from_slice(event.data.as_bytes(), LIMITS).ok().filter(|known| is_named(known, &event.kind));
        // What a later version tells may end anything.
        let known = known.unwrap_or(WatchEvent::Reset {});
        match shared.rules.told(now, position, &known).ok()? {
            Next::Follow => {}
            Next::Leave(within) => self.leave = Some(now.after(within.mul_f64(fastrand::f64()))),
        }
        if matches!(known, WatchEvent::Hello { .. }) {
            self.has_begun = true;
            shared.watched(Some(at));
        }
        Some(())
    }

    fn is_time_to_leave(&self, now: Tick) -> bool {
        self.leave.is_some_and(|leave| now >= leave)
    }
}

/// The name of the event and its `type` are one.
fn is_named(event: &WatchEvent, kind: &str) -> bool {
    let name = match event {
        WatchEvent::Hello { .. } => "hello",
        WatchEvent::Ended { .. } => "ended",
        WatchEvent::Policy { .. } => "policy",
        WatchEvent::Reset {} => "reset",
        WatchEvent::Draining { .. } => "draining",
    };
    name == kind
}
