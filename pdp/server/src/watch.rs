//! What ends decisions that were given, told to whoever was given them: one stream of events, kept a while, followed by any number of watches.

use std::collections::VecDeque;
use std::sync::Mutex;

use countersign_sdk_types::{Ending, Epoch, Tag, Timestamp, WatchEvent, WatchName};

/// Events that are kept for a watch that comes back.
const KEPT: usize = 65_536;

/// The stream of one life of the process.
#[derive(Debug)]
pub struct Hub {
    life: u64,
    told: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    seq: u64,
    kept: VecDeque<WatchEvent>,
}

impl Hub {
    /// A stream of which nothing was told yet.
    ///
    /// # Errors
    /// When there is no randomness to name it.
    pub fn new() -> Result<Self, String> {
        let mut life = [0; 8];
        aws_lc_rs::rand::fill(&mut life).map_err(|_| "no randomness for the name of the watch stream".to_owned())?;
        Ok(Self { life: u64::from_le_bytes(life), told: Mutex::default() })
    }

    /// What has been told by now. A decision takes this before it reads any fact.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        Epoch { life: self.life, seq: self.told().seq }
    }

    /// Tells that leases which rest on any of these end.
    pub fn end(&self, reason: Ending, depends_on: Vec<Tag>) {
        self.tell(WatchEvent::Ended { reason, depends_on });
    }

    /// Tells an event to every watch, and keeps it for those that come back.
    pub fn tell(&self, event: WatchEvent) {
        let mut told = self.told();
        told.seq += 1;
        told.kept.push_back(event);
        if told.kept.len() > KEPT {
            told.kept.pop_front();
        }
    }

    /// Remembers until then that this watch holds a lease on these: it is told first.
    pub fn leased(&self, _watch: &WatchName, _depends_on: &[Tag], _until: Timestamp) {}

    fn told(&self) -> std::sync::MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
