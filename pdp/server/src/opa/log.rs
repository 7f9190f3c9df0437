//! The decision log: events in OPA's form, masked by the policy, sent in batches. The buffer is bounded; what it has no room for is counted and told of,
//! never lost in silence.

mod batch;
pub(crate) mod event;
mod mask;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{Method, StatusCode};
use bytes::Bytes;
use serde::Serialize;
use tokio::sync::{Notify, watch};

pub(crate) use batch::Rules;
pub(crate) use event::{Event, EventError, Happened};

use super::bundles::{Delay, between};
use crate::bundle::{LookError, bearer};
use crate::metrics::Metrics;
use crate::outbound::{AskError, Bounds, Endpoint};

/// How long one upload may take, and the most of an answer that is read.
const UPLOAD: Bounds = Bounds { within: Duration::from_secs(30), most: 64 * 1024 };
/// After a failed upload, doubled with each further one.
const RETRY: Duration = Duration::from_millis(500);
/// How long the end of the server waits for the rest of the log.
const FLUSH: Duration = Duration::from_secs(5);

/// Where the log goes, and how much of it waits here.
#[derive(Debug)]
pub(crate) struct LogOptions {
    /// Where batches are posted to.
    pub(crate) endpoint: Endpoint,
    /// A file with the bearer token.
    pub(crate) token: Option<PathBuf>,
    /// Between two uploads; a full batch goes out at once.
    pub(crate) delay: Delay,
    /// The bytes of a batch before it is compressed.
    pub(crate) batch_bytes: usize,
    /// What waits at most.
    pub(crate) buffer_events: usize,
    pub(crate) buffer_bytes: usize,
    /// Headers of requests that go into events.
    pub(crate) headers: Vec<String>,
    /// Where the rules are that mask and drop.
    pub(crate) rules: Rules,
}

/// Events on their way to the service.
#[derive(Debug)]
pub(crate) struct DecisionLog {
    pub(crate) options: LogOptions,
    queue: Mutex<Queue>,
    /// Enough for a batch waits.
    full: Notify,
    /// The batch that is being sent: it stays here until the service has it.
    sending: tokio::sync::Mutex<Option<batch::Batch>>,
    lost: AtomicU64,
    trouble: Mutex<Option<String>>,
    metrics: Arc<Metrics>,
}

#[derive(Debug, Default)]
struct Queue {
    events: VecDeque<Happened>,
    bytes: usize,
}

/// How the log is, for the status API.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct LogStatus {
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    metrics: LogMetrics,
}

#[derive(Debug, Clone, Serialize)]
struct LogMetrics {
    counter_decision_logs_dropped: u64,
    buffered_events: usize,
    buffered_bytes: usize,
}

#[derive(Debug, thiserror::Error)]
enum UploadError {
    #[error(transparent)]
    Token(#[from] LookError),
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error("service answered with status {0}")]
    Status(StatusCode),
}

impl DecisionLog {
    pub(crate) fn new(options: LogOptions, metrics: Arc<Metrics>) -> Self {
        Self {
            options,
            queue: Mutex::default(),
            full: Notify::new(),
            sending: tokio::sync::Mutex::default(),
            lost: AtomicU64::new(0),
            trouble: Mutex::default(),
            metrics,
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an event. Where there is no room, the oldest make it, and are counted.
    pub(crate) fn offer(&self, happened: Happened) {
        let mut queue = self.queue();
        queue.bytes += happened.size;
        queue.events.push_back(happened);
        let mut lost = 0;
        while queue.bytes > self.options.buffer_bytes || queue.events.len() > self.options.buffer_events {
            let Some(oldest) = queue.events.pop_front() else { break };
            queue.bytes = queue.bytes.saturating_sub(oldest.size);
            lost += 1;
        }
        let is_full = queue.bytes >= self.options.batch_bytes;
        drop(queue);
        if lost > 0 {
            self.lose(lost, "the buffer is full");
        }
        if is_full {
            self.full.notify_one();
        }
    }

    fn lose(&self, count: u64, why: &str) {
        self.metrics.opa_events_lost(count);
        let before = self.lost.fetch_add(count, Ordering::SeqCst);
        // The first, and then each further thousand: a full buffer must not fill the log as well.
        if before == 0 || before / 1_000 != (before + count) / 1_000 {
            tracing::error!(lost = before + count, why, "decisions are missing from the decision log");
        }
    }

    /// How many events were lost since the start.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::SeqCst)
    }

    pub(crate) fn status(&self) -> LogStatus {
        let queue = self.queue();
        let metrics =
            LogMetrics { counter_decision_logs_dropped: self.lost(), buffered_events: queue.events.len(), buffered_bytes: queue.bytes };
        let message = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
        LogStatus { code: message.is_some().then_some("decision_log_error"), message, metrics }
    }

    /// Sends what waits, again and again, until told to stop. What is left then is for [`DecisionLog::end`].
    pub(crate) async fn run(&self, mut stop: watch::Receiver<bool>) {
        let mut failures = 0_u32;
        loop {
            let pause = if failures == 0 { between(self.options.delay) } else { self.backoff(failures) };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.full.notified(), if failures == 0 => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
            failures = if self.send_all(&mut stop).await { 0 } else { failures.saturating_add(1) };
        }
    }

    fn backoff(&self, failures: u32) -> Duration {
        RETRY.saturating_mul(2_u32.saturating_pow(failures.min(16) - 1)).min(self.options.delay.max.max(RETRY))
    }

    /// Sends the rest, for a moment. Nobody offers any more.
    pub(crate) async fn end(&self) {
        self.end_within(FLUSH).await;
    }

    async fn end_within(&self, patience: Duration) {
        let (over, mut stop) = watch::channel(false);
        let timer = async {
            tokio::time::sleep(patience).await;
            let _ = over.send(true);
            std::future::pending::<()>().await;
        };
        let rest = async {
            while !self.send_all(&mut stop).await && !*stop.borrow() {
                tokio::time::sleep(RETRY).await;
            }
        };
        tokio::select! {
            () = rest => {}
            () = timer => {}
        }
        let packed = self.sending.lock().await.as_ref().map_or(0, |batch| batch.events);
        let left = packed + self.queue().events.len() as u64;
        if left > 0 {
            self.lose(left, "the service did not take them before the end");
        }
    }

    /// Sends batch after batch. False when the service did not take one, or it is time to stop: then it stays, and so does what is behind it. Only
    /// an upload is ever cut short, since what is being packed is nowhere else.
    async fn send_all(&self, stop: &mut watch::Receiver<bool>) -> bool {
        let mut sending = self.sending.lock().await;
        loop {
            if sending.is_none() {
                *sending = self.next_batch().await;
            }
            let Some(batch) = sending.as_ref() else { return true };
            let sent = tokio::select! {
                sent = self.send(batch.content.clone()) => sent,
                _ = stop.wait_for(|stop| *stop) => return false,
            };
            self.tell(sent.as_ref().err());
            if sent.is_err() {
                return false;
            }
            *sending = None;
        }
    }

    fn tell(&self, error: Option<&UploadError>) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let said = error.map(ToString::to_string);
        if let Some(error) = &said
            && trouble.as_ref() != Some(error)
        {
            tracing::warn!(error, "decision log was not sent; it is tried again");
        }
        *trouble = said;
    }

    /// Masks and packs what waits, up to the size of a batch. None when nothing is left to send.
    async fn next_batch(&self) -> Option<batch::Batch> {
        loop {
            let taken = self.take();
            if taken.is_empty() {
                return None;
            }
            let (count, rules) = (taken.len() as u64, self.options.rules.clone());
            match tokio::task::spawn_blocking(move || batch::pack(taken, &rules)).await {
                Ok(batch) if batch.events == 0 => {}
                Ok(batch) => return Some(batch),
                Err(_) => self.lose(count, "they could not be packed"),
            }
        }
    }

    fn take(&self) -> Vec<Happened> {
        let mut queue = self.queue();
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while bytes < self.options.batch_bytes {
            let Some(next) = queue.events.pop_front() else { break };
            bytes += next.size;
            taken.push(next);
        }
        queue.bytes = queue.bytes.saturating_sub(bytes);
        taken
    }

    async fn send(&self, content: Bytes) -> Result<(), UploadError> {
        let mut request =
            self.options.endpoint.request(Method::POST).header(CONTENT_TYPE, "application/json").header(CONTENT_ENCODING, "gzip");
        if let Some(token) = bearer(self.options.token.as_deref())? {
            request = request.header(AUTHORIZATION, token);
        }
        let answer = self.options.endpoint.ask(request, content, UPLOAD).await?;
        if answer.status.is_success() { Ok(()) } else { Err(UploadError::Status(answer.status)) }
    }
}
