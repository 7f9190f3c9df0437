//! Threads with stacks as large as the checks of policies assume. An application's own are smaller, and a policy must not be what finds out.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use countersign_sdk_client::Error;
use tokio::sync::oneshot;

use super::{deadline, unavailable};

/// As the decision point's own.
const STACK: usize = 16 * 1024 * 1024;
/// Questions that wait for a thread; more are refused.
const WAITING: usize = 1024;

type Job = Box<dyn FnOnce() + Send>;

/// The threads. They end with it.
pub(crate) struct Pool(SyncSender<Job>);

impl Pool {
    pub(crate) fn new(threads: usize) -> std::io::Result<Self> {
        let (jobs, waiting) = sync_channel(WAITING);
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..threads {
            let waiting = Arc::clone(&waiting);
            std::thread::Builder::new().name("countersign".to_owned()).stack_size(STACK).spawn(move || work(&waiting))?;
        }
        Ok(Self(jobs))
    }

    /// Runs something on a thread and waits for it, as long as may be.
    pub(crate) async fn run<T: Send + 'static>(&self, within: Duration, job: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
        let (done, result) = oneshot::channel();
        let job: Job = Box::new(move || drop(done.send(job())));
        self.0.try_send(job).map_err(|_| unavailable("too many questions wait for a decision"))?;
        let result = tokio::time::timeout(within, result).await.map_err(|_| deadline())?;
        result.map_err(|_| unavailable("decision panicked"))
    }

    /// The same, where nothing can be awaited.
    pub(crate) fn block<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let (done, result) = sync_channel(1);
        let job: Job = Box::new(move || drop(done.send(job())));
        self.0.send(job).ok()?;
        result.recv().ok()
    }
}

fn work(waiting: &Mutex<Receiver<Job>>) {
    loop {
        let job = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        // The one who waits sees that nothing came; the thread goes on.
        drop(catch_unwind(AssertUnwindSafe(job)));
    }
}
