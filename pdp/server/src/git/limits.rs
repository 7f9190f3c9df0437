//! What one conversation with a host may take: a time until its last byte, and bytes. It ends with the server too.

use std::io::{Error, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::GitError;
use crate::clock::Stopwatch;
use crate::policies::Pace;

/// How soon it is noticed that the server stops.
pub(super) const GLANCE: Duration = Duration::from_millis(50);

/// Bounds of a conversation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Until its end.
    pub(crate) within: Duration,
    /// Bytes while it is about names.
    pub(crate) listed: u64,
    /// Bytes of the objects.
    pub(crate) received: u64,
    /// How many objects.
    pub(crate) objects: u32,
    /// Bytes of one object, or of the base of a delta.
    pub(crate) object: u64,
    /// Bytes of the objects that are in work at once.
    pub(crate) unpacked: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        let (object, unpacked) = (16 << 20, 512 << 20);
        Self { within: Duration::from_secs(120), listed: 8 << 20, received: 256 << 20, objects: 1_000_000, object, unpacked }
    }
}

/// Until when somebody computes. It comes with the end of the server at the latest.
#[derive(Debug)]
pub(crate) struct Deadline {
    within: Duration,
    since: Stopwatch,
    pace: Arc<Pace>,
}

impl Deadline {
    /// That long from now.
    pub(crate) fn within(within: Duration, pace: Arc<Pace>) -> Self {
        Self { within, since: Stopwatch::start(), pace }
    }

    /// Whether there is time left.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn check(&self) -> Result<(), GitError> {
        if self.pace.is_ended() {
            return Err(GitError::Late("the server stops".to_owned()));
        }
        let late = || GitError::Late(format!("what is new in the repository could not be judged within {} s", self.within.as_secs()));
        if self.since.elapsed() > self.within { Err(late()) } else { Ok(()) }
    }
}

/// What is left of the bounds.
#[derive(Debug)]
pub(super) struct Limits {
    within: Duration,
    since: Stopwatch,
    left: AtomicU64,
    /// The time is over: whoever computes stops.
    pub(super) over: AtomicBool,
    /// Whether anybody looks at the source any more.
    pace: Arc<Pace>,
}

impl Limits {
    pub(super) fn new(bounds: Bounds, pace: Arc<Pace>) -> Self {
        let (left, over) = (AtomicU64::new(bounds.listed), AtomicBool::new(false));
        Self { within: bounds.within, since: Stopwatch::start(), left, over, pace }
    }

    /// From now on that many bytes.
    pub(super) fn allow(&self, bytes: u64) {
        self.left.store(bytes, Ordering::SeqCst);
    }

    /// Bytes that came.
    pub(super) fn spend(&self, bytes: usize) -> Result<(), Error> {
        self.remaining()?;
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let spent = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(bytes));
        spent.map(drop).map_err(|_| Error::new(ErrorKind::InvalidData, "the host sends too much"))
    }

    /// How much time is left.
    pub(super) fn remaining(&self) -> Result<Duration, Error> {
        if self.pace.is_ended() {
            return Err(Error::new(ErrorKind::TimedOut, "the server stops"));
        }
        let left = self.within.checked_sub(self.since.elapsed()).filter(|left| !left.is_zero());
        left.ok_or_else(|| Error::new(ErrorKind::TimedOut, "the host takes too long"))
    }
}

/// Tells when the time is over, to whoever computes and cannot look at a clock.
#[derive(Debug)]
pub(super) struct Watch {
    done: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Starts a watch. `end` is called when the time is over, at most once.
    pub(super) fn start(limits: &Arc<Limits>, end: impl FnOnce() + Send + 'static) -> Result<Self, Error> {
        let (done, waits): (_, Receiver<()>) = channel();
        let limits = Arc::clone(limits);
        let watch = move || {
            while let Ok(left) = limits.remaining() {
                if waits.recv_timeout(left.min(GLANCE)) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
            limits.over.store(true, Ordering::SeqCst);
            end();
        };
        let thread = std::thread::Builder::new().name("git-watch".to_owned()).spawn(watch)?;
        Ok(Self { done: Some(done), thread: Some(thread) })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        drop(self.done.take());
        // It ends at once: its other end is gone.
        let _ended = self.thread.take().map(JoinHandle::join);
    }
}

/// What a program says beside its answer, kept for a message.
#[derive(Debug)]
pub(super) struct Said {
    listener: Option<JoinHandle<Vec<u8>>>,
}

impl Said {
    const MOST: usize = 4096;

    /// Keeps what is said first, and listens on without keeping, so that nobody waits to be heard.
    pub(super) fn listen(mut to: impl std::io::Read + Send + 'static) -> Result<Self, Error> {
        let listen = move || {
            let (mut said, mut buffer) = (Vec::new(), [0; 1024]);
            while let Ok(count @ 1..) = to.read(&mut buffer) {
                let room = Self::MOST.saturating_sub(said.len()).min(count);
                said.extend_from_slice(buffer.get(..room).unwrap_or_default());
            }
            said
        };
        let listener = std::thread::Builder::new().name("git-ssh".to_owned()).spawn(listen)?;
        Ok(Self { listener: Some(listener) })
    }

    /// The last line of it that says something. Waits for the end of the program.
    pub(super) fn line(&mut self) -> String {
        let said = self.listener.take().and_then(|listener| listener.join().ok()).unwrap_or_default();
        let said = String::from_utf8_lossy(&said).into_owned();
        let line = said.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
        line.chars().filter(|letter| !letter.is_control()).take(300).collect()
    }
}
