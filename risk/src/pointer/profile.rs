//! How one person moves the pointer: bounded histograms, learned session by session.

use countersign_sdk_types::Timestamp;
use serde::{Deserialize, Serialize};

use super::counted::CountedAction;
use super::feature::FEATURES;
use super::lesson::PointerLesson;
use super::window::BINS;
use crate::Keyed;

/// The layout of the bytes.
const VERSION: u8 = 1;
/// Counts halve this often, as all that is learned does.
const HALF_LIFE_MILLIS: i64 = 120 * 86_400_000;
/// Actions that one session may teach: many sessions say more of a person than many actions, and one stolen session must not become normal.
pub(super) const PER_SESSION: u8 = 128;
/// Learned actions and sessions from which on a profile says something.
const KNOWN: (u32, u16) = (100, 2);
/// Digests of actions that are remembered.
pub(super) const REMEMBERED: usize = 12;
/// Digests that one lesson leaves behind.
pub(super) const PER_LESSON: usize = 2;

/// A person's histograms: one byte a bin. Where a lesson would overfill a bin all bins of its feature halve first, so old actions fade; they also halve
/// every 120 days.
///
/// It is a fold of verified sessions in log order over whole numbers: the bytes are the state, and reading them back loses nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<u8>", into = "Vec<u8>")]
pub struct PointerProfile {
    /// Half-lives from 1970 to the last lesson.
    half_lives: u16,
    /// The session of the last lesson, and its actions that were learned.
    session: Keyed,
    of_session: u8,
    /// Sessions that taught something.
    sessions: u16,
    histograms: [[u8; BINS]; FEATURES],
    /// The newest first; zero is none.
    digests: [u32; REMEMBERED],
}

/// Bytes that are no profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// Written by another version.
    #[error("the pointer profile has version {0}, and this engine reads version {VERSION}")]
    Version(u8),
    /// Too few or too many bytes.
    #[error("the pointer profile is not {len} bytes long", len = PointerProfile::BYTES)]
    Length,
}

impl Default for PointerProfile {
    fn default() -> Self {
        Self::empty()
    }
}

impl PointerProfile {
    /// The bytes that a person costs.
    pub const BYTES: usize = 1 + 2 + 4 + 1 + 2 + FEATURES * BINS + REMEMBERED * 4;

    /// Nothing learned yet.
    #[must_use]
    pub const fn empty() -> Self {
        Self { half_lives: 0, session: Keyed(0), of_session: 0, sessions: 0, histograms: [[0; BINS]; FEATURES], digests: [0; REMEMBERED] }
    }

    /// Learns actions of a verified session, 128 of a session at most.
    pub fn learn(&mut self, session: Keyed, at: Timestamp, actions: &[CountedAction]) {
        self.absorb(session, at, &self.lesson(session, actions));
    }

    /// What actions of a session can still teach: 128 of a session at most, spread evenly over what is offered.
    #[must_use]
    pub fn lesson(&self, session: Keyed, actions: &[CountedAction]) -> PointerLesson {
        let taught = if session == self.session && self.sessions > 0 { self.of_session } else { 0 };
        let room = usize::from(PER_SESSION.saturating_sub(taught)).min(actions.len());
        PointerLesson::of((0..room).filter_map(|nth| actions.get(nth * actions.len() / room)))
    }

    /// Folds a lesson of a verified session in. One that would teach more than the session may is left out.
    pub fn absorb(&mut self, session: Keyed, at: Timestamp, lesson: &PointerLesson) {
        self.age(at);
        if session != self.session || self.sessions == 0 {
            self.session = session;
            self.of_session = 0;
            self.sessions = self.sessions.saturating_add(1);
        }
        let taught = self.of_session.saturating_add(lesson.actions());
        if taught > PER_SESSION {
            return;
        }
        self.of_session = taught;
        self.histograms.iter_mut().zip(lesson.counts()).for_each(|(histogram, counts)| count(histogram, counts));
        self.remember(lesson.digests());
    }

    fn age(&mut self, at: Timestamp) {
        let now = u16::try_from(at.0.div_euclid(HALF_LIFE_MILLIS).max(0)).unwrap_or(u16::MAX);
        let passed = if self.sessions == 0 { 0 } else { now.saturating_sub(self.half_lives) };
        self.half_lives = self.half_lives.max(now);
        let halve = |count: &mut u8| *count = count.checked_shr(u32::from(passed)).unwrap_or(0);
        self.histograms.iter_mut().flatten().for_each(halve);
    }

    /// The smallest digests of a lesson stand for it: a replay of the same actions has the same smallest (Broder 1997, min-wise sampling).
    fn remember(&mut self, digests: &[u32]) {
        let new = digests.iter().copied().filter(|digest| !self.digests.contains(digest));
        let new: Vec<u32> = new.take(PER_LESSON).collect();
        self.digests.rotate_right(new.len());
        self.digests.iter_mut().zip(&new).for_each(|(slot, digest)| *slot = *digest);
    }

    /// The decayed number of learned actions.
    #[must_use]
    pub fn actions(&self) -> u32 {
        // The first feature is in every action.
        self.histograms.first().map_or(0, |durations| durations.iter().map(|count| u32::from(*count)).sum())
    }

    /// How many sessions taught something.
    #[must_use]
    pub const fn sessions(&self) -> u16 {
        self.sessions
    }

    /// Whether enough was learned for the profile to say something: 100 actions in 2 sessions.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.actions() >= KNOWN.0 && self.sessions >= KNOWN.1
    }

    pub(super) const fn histograms(&self) -> &[[u8; BINS]; FEATURES] {
        &self.histograms
    }

    pub(super) fn remembers(&self, digest: u32) -> bool {
        self.digests.contains(&digest)
    }

    /// The state, [`PointerProfile::BYTES`] long, little-endian.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::BYTES);
        bytes.push(VERSION);
        bytes.extend(self.half_lives.to_le_bytes());
        bytes.extend(self.session.0.to_le_bytes());
        bytes.push(self.of_session);
        bytes.extend(self.sessions.to_le_bytes());
        bytes.extend(self.histograms.iter().flatten());
        bytes.extend(self.digests.iter().flat_map(|digest| digest.to_le_bytes()));
        bytes
    }

    /// Reads a state.
    ///
    /// # Errors
    /// When it has another version or length.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ProfileError> {
        let mut rest = bytes;
        let [version] = take(&mut rest)?;
        if version != VERSION {
            return Err(ProfileError::Version(version));
        }
        let mut profile = Self {
            half_lives: u16::from_le_bytes(take(&mut rest)?),
            session: Keyed(u32::from_le_bytes(take(&mut rest)?)),
            of_session: take::<1>(&mut rest)?[0],
            sessions: u16::from_le_bytes(take(&mut rest)?),
            ..Self::empty()
        };
        for histogram in &mut profile.histograms {
            *histogram = take(&mut rest)?;
        }
        for digest in &mut profile.digests {
            *digest = u32::from_le_bytes(take(&mut rest)?);
        }
        if rest.is_empty() { Ok(profile) } else { Err(ProfileError::Length) }
    }
}

/// Adds counts, which are 128 at most: one halving makes room for them.
fn count(histogram: &mut [u8; BINS], counts: &[u8; BINS]) {
    if histogram.iter().zip(counts).any(|(own, new)| own.checked_add(*new).is_none()) {
        histogram.iter_mut().for_each(|own| *own /= 2);
    }
    histogram.iter_mut().zip(counts).for_each(|(own, new)| *own = own.saturating_add(*new));
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], ProfileError> {
    let (first, others) = rest.split_first_chunk::<N>().ok_or(ProfileError::Length)?;
    *rest = others;
    Ok(*first)
}

impl From<PointerProfile> for Vec<u8> {
    fn from(profile: PointerProfile) -> Self {
        profile.to_bytes()
    }
}

impl TryFrom<Vec<u8>> for PointerProfile {
    type Error = ProfileError;

    fn try_from(bytes: Vec<u8>) -> Result<Self, ProfileError> {
        Self::from_bytes(&bytes)
    }
}
