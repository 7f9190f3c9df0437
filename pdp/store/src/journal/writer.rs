//! The one thread that writes a chain: it decides in log order, writes in groups, and answers when a group is durable.

use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, JoinHandle, Thread};

use tokio::sync::oneshot;

use super::appender::WriteFailure;
use super::{AppendError, Appender, Head, Refusal};

/// What a chain is folded into, by its writer and in its order.
pub(crate) trait Machine: Send + 'static {
    /// A record, decoded.
    type Item: Send;

    /// What the record must not share with an earlier one of the same group, because its expectation depends on it.
    fn claims(&self, item: &Self::Item) -> Vec<Vec<u8>>;

    /// Whether the record is allowed after all that was applied so far.
    fn check(&self, item: &Self::Item) -> Result<(), Reject>;

    /// A payload that goes before the next group, if there is something to say.
    fn prelude(&mut self) -> Option<Vec<u8>> {
        None
    }

    /// The prelude is durable.
    fn prelude_written(&mut self) {}

    /// The record was not written.
    fn lost(&mut self, _item: &Self::Item) {}

    /// The record is durable. An error here stops the chain.
    fn apply(&mut self, head: Head, payload: &[u8], item: Self::Item) -> Result<(), ()>;
}

/// How a check may end badly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reject {
    Refused(Refusal),
    /// The view cannot be read.
    Broken,
}

/// What an acknowledged append became.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// Where the record ended in its chain; `None` for a best-effort record, which is not waited for.
    pub head: Option<Head>,
}

type Answer = Result<Committed, AppendError>;

/// An append under way. It can be awaited, or waited for in a thread. Dropping it does not take the append back.
#[must_use = "a record is durable only after its receipt says so"]
pub struct Receipt(State);

enum State {
    Ready(Option<Answer>),
    Waiting(oneshot::Receiver<Answer>),
}

impl Receipt {
    pub(crate) fn ready(answer: Answer) -> Self {
        Self(State::Ready(Some(answer)))
    }

    /// Blocks this thread until the record is durable or refused. In asynchronous code await the receipt instead.
    ///
    /// # Errors
    /// When the record is refused, or was not or not certainly written.
    pub fn wait(mut self) -> Result<Committed, AppendError> {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut context = Context::from_waker(&waker);
        loop {
            match Pin::new(&mut self).poll(&mut context) {
                Poll::Ready(answer) => return answer,
                Poll::Pending => thread::park(),
            }
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

impl Future for Receipt {
    type Output = Result<Committed, AppendError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Ready(answer) => Poll::Ready(answer.take().unwrap_or(Err(AppendError::Poisoned))),
            State::Waiting(receiver) => Pin::new(receiver).poll(context).map(|answer| answer.unwrap_or(Err(AppendError::Poisoned))),
        }
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Receipt")
    }
}

/// One record on its way to the writer.
pub(crate) struct Request<I> {
    pub(crate) payload: Vec<u8>,
    pub(crate) item: I,
    answer: Option<oneshot::Sender<Answer>>,
}

impl<I> Request<I> {
    pub(crate) fn new(payload: Vec<u8>, item: I) -> (Self, Receipt) {
        let (sender, receiver) = oneshot::channel();
        (Self { payload, item, answer: Some(sender) }, Receipt(State::Waiting(receiver)))
    }

    fn reply(self, answer: Answer) {
        reply(self.answer, answer);
    }
}

fn reply(sender: Option<oneshot::Sender<Answer>>, answer: Answer) {
    if let Some(sender) = sender {
        // A caller that no longer listens is no error: the record stands.
        let _ = sender.send(answer);
    }
}

/// The handle of a chain. Dropping it writes what is queued, then ends the thread.
pub(crate) struct Chain<M: Machine> {
    queue: Option<SyncSender<Request<M::Item>>>,
    thread: Option<JoinHandle<()>>,
    durable: Arc<AtomicU64>,
}

impl<M: Machine> Chain<M> {
    pub(crate) fn start(name: &str, appender: Appender, machine: M, queue: usize) -> std::io::Result<Self> {
        let (sender, receiver) = sync_channel(queue.max(1));
        let durable = Arc::new(AtomicU64::new(appender.head().seq));
        let writer = Writer { appender, machine, poisoned: false, durable: Arc::clone(&durable) };
        let thread = thread::Builder::new().name(format!("journal-{name}")).spawn(move || writer.run(&receiver))?;
        Ok(Self { queue: Some(sender), thread: Some(thread), durable })
    }

    /// Hands a record to the writer; gives it back when the queue is full or the writer is gone.
    pub(crate) fn send(&self, request: Request<M::Item>) -> Result<(), AppendError> {
        use std::sync::mpsc::TrySendError;
        match self.queue.as_ref().map(|queue| queue.try_send(request)) {
            Some(Ok(())) => Ok(()),
            Some(Err(TrySendError::Full(_))) => Err(AppendError::Busy),
            Some(Err(TrySendError::Disconnected(_))) | None => Err(AppendError::Poisoned),
        }
    }

    /// The sequence number of the last durable record.
    pub(crate) fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }
}

impl<M: Machine> Drop for Chain<M> {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Writer<M: Machine> {
    appender: Appender,
    machine: M,
    poisoned: bool,
    durable: Arc<AtomicU64>,
}

const GROUP_RECORDS: usize = 1024;
const GROUP_BYTES: usize = 4 * 1024 * 1024;

impl<M: Machine> Writer<M> {
    fn run(mut self, queue: &Receiver<Request<M::Item>>) {
        let mut carried = None;
        while let Some(first) = carried.take().or_else(|| queue.recv().ok()) {
            carried = self.serve(first, queue);
        }
    }

    /// Gathers and commits one group. Returns the record that has to wait for it.
    fn serve(&mut self, first: Request<M::Item>, queue: &Receiver<Request<M::Item>>) -> Option<Request<M::Item>> {
        let mut group = Vec::new();
        let mut claimed = BTreeSet::new();
        let mut bytes = 0;
        let mut next = Some(first);
        while let Some(request) = next.take() {
            let claims = self.machine.claims(&request.item);
            if claims.iter().any(|claim| claimed.contains(claim)) {
                self.commit(group);
                return Some(request);
            }
            match self.admit(&request) {
                Ok(()) => {
                    claimed.extend(claims);
                    bytes += request.payload.len();
                    group.push(request);
                }
                Err(error) => request.reply(Err(error)),
            }
            if group.len() < GROUP_RECORDS && bytes < GROUP_BYTES {
                next = queue.try_recv().ok();
            }
        }
        self.commit(group);
        None
    }

    fn admit(&mut self, request: &Request<M::Item>) -> Result<(), AppendError> {
        if self.poisoned {
            return Err(AppendError::Poisoned);
        }
        self.machine.check(&request.item).map_err(|reject| match reject {
            Reject::Refused(refusal) => refusal.into(),
            Reject::Broken => {
                self.poisoned = true;
                AppendError::Poisoned
            }
        })
    }

    fn commit(&mut self, group: Vec<Request<M::Item>>) {
        if group.is_empty() {
            return;
        }
        let prelude = self.machine.prelude();
        let payloads: Vec<&[u8]> =
            prelude.iter().map(Vec::as_slice).chain(group.iter().map(|request| request.payload.as_slice())).collect();
        let written = if self.poisoned { Err(WriteFailure::Unknown) } else { self.appender.write(&payloads) };
        match written {
            Ok(heads) => {
                if prelude.is_some() {
                    self.machine.prelude_written();
                }
                self.acknowledge(group, heads.into_iter().skip(usize::from(prelude.is_some())));
            }
            Err(failure) => self.refuse(group, &failure),
        }
    }

    /// Every record is applied before any caller is answered: who was answered reads what he wrote.
    fn acknowledge(&mut self, group: Vec<Request<M::Item>>, heads: impl Iterator<Item = Head>) {
        let mut answers = Vec::with_capacity(group.len());
        for (request, head) in group.into_iter().zip(heads) {
            self.durable.store(head.seq, Ordering::Release);
            let applied = !self.poisoned && self.machine.apply(head, &request.payload, request.item).is_ok();
            self.poisoned |= !applied;
            let answer = if applied { Ok(Committed { head: Some(head) }) } else { Err(AppendError::Poisoned) };
            answers.push((request.answer, answer));
        }
        for (sender, answer) in answers {
            reply(sender, answer);
        }
    }

    fn refuse(&mut self, group: Vec<Request<M::Item>>, failure: &WriteFailure) {
        let error = match failure {
            WriteFailure::TakenBack(kind) => AppendError::NotWritten(*kind),
            WriteFailure::Unknown => {
                self.poisoned = true;
                AppendError::Poisoned
            }
        };
        for request in group {
            self.machine.lost(&request.item);
            request.reply(Err(error.clone()));
        }
    }
}
