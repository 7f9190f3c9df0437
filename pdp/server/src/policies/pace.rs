//! When the source is looked at next: at once when it or somebody tells, soon when it did not hold still, otherwise now and then. However much is told,
//! looks keep a distance.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::clock::Stopwatch;

/// The least time between two looks.
const DISTANCE: Duration = Duration::from_millis(200);
/// Until the look that shows whether a source holds still; longer for one that goes on changing.
pub(super) const SETTLING: Duration = Duration::from_millis(100);
const SLOWEST_SETTLING: Duration = Duration::from_secs(1);
/// After a look that failed, doubled with each further one.
const RETRY: Duration = Duration::from_millis(500);

/// What a look said of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Saw {
    /// It answered, and is as it is.
    Still,
    /// It changes at this moment.
    Moving,
    /// It could not be asked.
    Failure,
}

/// The pace of the looks at one source.
#[derive(Debug)]
pub(crate) struct Pace {
    poll: Duration,
    told: Notify,
    ended: AtomicBool,
    last: Mutex<Last>,
}

/// The last look.
#[derive(Debug, Clone, Copy)]
struct Last {
    at: Option<Stopwatch>,
    saw: Saw,
    /// How many looks in a row saw this.
    times: u32,
    /// Some share of 256, drawn anew after each look: many servers must not ask at once.
    chance: u8,
}

impl Pace {
    /// A source that is looked at in this interval when nothing is told.
    pub(crate) fn new(poll: Duration) -> Self {
        let last = Last { at: None, saw: Saw::Still, times: 0, chance: 0 };
        Self { poll, told: Notify::new(), ended: AtomicBool::new(false), last: Mutex::new(last) }
    }

    /// There may be something new.
    pub(crate) fn wake(&self) {
        self.told.notify_one();
    }

    /// Nothing is looked at any more: a look that is under way may end early.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
        self.wake();
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// A look ended.
    pub(crate) fn looked(&self, saw: Saw) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let times = if last.saw == saw { last.times.saturating_add(1) } else { 1 };
        *last = Last { at: Some(Stopwatch::start()), saw, times, chance: chance() };
    }

    /// Until the next look; for ever once the looks ended.
    pub(crate) async fn due(&self) {
        self.next().await;
        if self.is_ended() {
            std::future::pending::<()>().await;
        }
    }

    async fn next(&self) {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(at) = last.at else { return };
        let Wait { least, most } = last.wait(self.poll);
        tokio::select! {
            () = tokio::time::sleep(most.saturating_sub(at.elapsed())) => {}
            () = self.told.notified() => {}
        }
        tokio::time::sleep(least.saturating_sub(at.elapsed())).await;
    }
}

/// How long after the last look the next one comes: when something is told, and when nothing is.
#[derive(Debug, PartialEq, Eq)]
struct Wait {
    least: Duration,
    most: Duration,
}

impl Last {
    fn wait(&self, poll: Duration) -> Wait {
        let doubled = |first: Duration| first.saturating_mul(2_u32.saturating_pow(self.times.saturating_sub(1).min(16)));
        match self.saw {
            Saw::Still => Wait { least: DISTANCE, most: poll + poll / 10 * u32::from(self.chance) / 256 },
            Saw::Moving => {
                let soon = doubled(SETTLING).min(SLOWEST_SETTLING);
                Wait { least: soon, most: soon }
            }
            Saw::Failure => {
                let backed_off = doubled(RETRY).min(poll);
                Wait { least: DISTANCE, most: backed_off + backed_off / 4 * u32::from(self.chance) / 256 }
            }
        }
    }
}

fn chance() -> u8 {
    let mut byte = [0];
    // Without a random number, servers may ask at once: no worse than that.
    let _ = aws_lc_rs::rand::fill(&mut byte);
    let [byte] = byte;
    byte
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLL: Duration = Duration::from_secs(30);

    #[track_caller]
    fn check(saw: Saw, times: u32, least: u64, most: u64) {
        let last = Last { at: None, saw, times, chance: 0 };
        assert_eq!(last.wait(POLL), Wait { least: Duration::from_millis(least), most: Duration::from_millis(most) });
    }

    #[test]
    fn looks_keep_a_distance_and_never_stop() {
        check(Saw::Still, 1, 200, 30_000);
        check(Saw::Still, 1_000, 200, 30_000);
        check(Saw::Moving, 1, 100, 100);
        check(Saw::Moving, 3, 400, 400);
        check(Saw::Moving, u32::MAX, 1_000, 1_000);
        check(Saw::Failure, 1, 200, 500);
        check(Saw::Failure, 4, 200, 4_000);
        check(Saw::Failure, u32::MAX, 200, 30_000);
    }

    #[test]
    fn chance_adds_a_little() {
        let last = |saw| Last { at: None, saw, times: 1, chance: 255 };
        let most = last(Saw::Still).wait(POLL).most;
        assert!(most > POLL + Duration::from_millis(2_900) && most < POLL + Duration::from_secs(3), "{most:?}");
        let most = last(Saw::Failure).wait(POLL).most;
        assert!(most > RETRY && most < RETRY + Duration::from_millis(125), "{most:?}");
    }

    #[tokio::test]
    async fn nothing_is_due_after_the_end() {
        let pace = Pace::new(Duration::ZERO);
        pace.looked(Saw::Still);
        pace.end();
        assert!(tokio::time::timeout(2 * DISTANCE, pace.due()).await.is_err());
    }

    #[tokio::test]
    async fn a_storm_of_news_is_one_look() {
        let pace = Pace::new(POLL);
        pace.due().await;
        pace.looked(Saw::Still);
        for _ in 0..1_000 {
            pace.wake();
        }
        let since = Stopwatch::start();
        pace.due().await;
        assert!(since.elapsed() < POLL, "it does not wait for the poll");
        pace.looked(Saw::Still);
        let next = tokio::time::timeout(2 * DISTANCE, pace.due()).await;
        assert!(next.is_err(), "nothing was told since");
    }
}
