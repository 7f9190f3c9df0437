//! The newest events of a stream, each encoded once for all who follow it.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use countersign_sdk_types::{Epoch, WatchEvent};

use super::sse;

/// Events that are kept for watches that come back, and their bytes.
const KEPT: usize = 16_384;
const KEPT_BYTES: usize = 16 * 1024 * 1024;

/// One event, at its place in the stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its place: how many were told up to it.
    pub at: Epoch,
    /// What is told.
    pub event: WatchEvent,
    /// The same as a server-sent event.
    pub(super) frame: Bytes,
}

impl Event {
    pub(super) fn new(at: Epoch, event: WatchEvent) -> Arc<Self> {
        let frame = sse::encode(at, &event);
        Arc::new(Self { at, event, frame })
    }
}

#[derive(Debug)]
pub(super) struct Ring {
    told: Epoch,
    kept: VecDeque<Arc<Event>>,
    bytes: usize,
}

/// What comes after a position.
#[derive(Debug, PartialEq)]
pub(super) enum Next {
    Event(Arc<Event>),
    /// Nothing yet.
    Nothing,
    /// Something that is no longer kept, or that this stream never told. It stands here by now.
    Missed(u64),
}

impl Ring {
    pub(super) fn new(life: u64) -> Self {
        Self { told: Epoch { life, seq: 0 }, kept: VecDeque::new(), bytes: 0 }
    }

    pub(super) fn push(&mut self, event: WatchEvent) -> u64 {
        self.told.seq += 1;
        let event = Event::new(self.told, event);
        self.bytes += event.frame.len();
        self.kept.push_back(event);
        while self.kept.len() > KEPT || self.bytes > KEPT_BYTES {
            let Some(oldest) = self.kept.pop_front() else { break };
            self.bytes -= oldest.frame.len();
        }
        self.told.seq
    }

    pub(super) fn after(&self, seq: u64) -> Next {
        let told = self.told.seq;
        if seq == told {
            return Next::Nothing;
        }
        let missing = told.checked_sub(seq).and_then(|missing| usize::try_from(missing).ok());
        let at = missing.and_then(|missing| self.kept.len().checked_sub(missing));
        at.and_then(|at| self.kept.get(at)).map_or(Next::Missed(told), |event| Next::Event(Arc::clone(event)))
    }
}

#[cfg(test)]
mod tests {
    //! What is kept, and that nothing is skipped unnoticed.

    use countersign_sdk_types::{Ending, Tag};

    use super::*;

    fn told(ring: &Ring, after: u64) -> Option<u64> {
        match ring.after(after) {
            Next::Event(event) => Some(event.at.seq),
            Next::Nothing | Next::Missed(_) => None,
        }
    }

    #[test]
    fn each_event_comes_after_the_one_before() {
        let mut ring = Ring::new(7);
        assert_eq!(ring.after(0), Next::Nothing);
        for _ in 0..3 {
            ring.push(WatchEvent::Reset {});
        }
        assert_eq!([0, 1, 2].map(|after| told(&ring, after)), [Some(1), Some(2), Some(3)]);
        assert_eq!(ring.after(3), Next::Nothing);
        assert_eq!(ring.after(4), Next::Missed(3), "from the future: another stream's");
    }

    #[test]
    fn what_is_no_longer_kept_is_missed() {
        let mut ring = Ring::new(7);
        let count = KEPT as u64 + 10;
        for _ in 0..count {
            ring.push(WatchEvent::Reset {});
        }
        assert_eq!(ring.after(9), Next::Missed(count));
        assert_eq!(told(&ring, 10), Some(11));
    }

    #[test]
    fn large_events_are_kept_for_less_long() {
        let mut ring = Ring::new(7);
        let large = || WatchEvent::Ended { reason: Ending::Risk, depends_on: vec![Tag([1; 16]); super::super::MOST_TAGS] };
        for _ in 0..KEPT {
            ring.push(large());
        }
        assert!(ring.bytes <= KEPT_BYTES && ring.kept.len() < KEPT, "{} bytes, {} events", ring.bytes, ring.kept.len());
        assert_eq!(ring.bytes, ring.kept.iter().map(|event| event.frame.len()).sum::<usize>());
    }
}
