//! Who was enrolled: profiles of each person, and of each person less one session.

use countersign_risk::Keyed;
use countersign_risk::pointer::{Background, Comparison, CountedAction, FEATURES, FeatureEvidence, PointerProfile, Window};
use countersign_sdk_types::Timestamp;

use super::trace::Session;

/// The actions of a training block.
pub(super) const BLOCK: usize = 50;

/// A block of a training session.
struct Block {
    person: usize,
    session: usize,
    window: Window,
}

/// What the training sessions taught.
pub(super) struct People {
    names: Vec<String>,
    profiles: Vec<PointerProfile>,
    /// For each session: its person's profile without it.
    held_out: Vec<PointerProfile>,
    blocks: Vec<Block>,
}

/// Who claims to be whom.
#[derive(Clone, Copy)]
pub(super) struct Pair {
    /// Whom a block claims to be of.
    pub(super) claimed: usize,
    /// Whom it is of.
    pub(super) by: usize,
    /// Counts up over blocks and people, to thin them evenly.
    pub(super) nth: usize,
}

impl Pair {
    pub(super) const fn is_other(self) -> bool {
        self.claimed != self.by
    }
}

/// A block against a person.
pub(super) struct Claim {
    /// Who, and as whom.
    pub(super) pair: Pair,
    /// What each feature says.
    pub(super) evidence: [FeatureEvidence; FEATURES],
}

impl Claim {
    /// All likelihoods, then all distances.
    pub(super) fn columns(&self) -> impl Iterator<Item = f64> {
        self.evidence.iter().map(|feature| feature.likelihood).chain(self.evidence.iter().map(|feature| feature.distance))
    }
}

impl People {
    /// Learns from training sessions, sorted by person.
    pub(super) fn learn(sessions: &[Session]) -> Self {
        let mut names: Vec<String> = sessions.iter().map(|session| session.person.clone()).collect();
        names.dedup();
        let fold = |name: &str, without: Option<usize>| {
            let mut profile = PointerProfile::empty();
            let own = sessions.iter().enumerate().filter(|(nth, session)| session.person == name && Some(*nth) != without);
            // The sessions have no date: all are of one day.
            own.for_each(|(nth, session)| profile.learn(Keyed(u32::try_from(nth).unwrap_or(u32::MAX)), Timestamp(0), &session.actions));
            profile
        };
        let profiles = names.iter().map(|name| fold(name, None)).collect();
        let held_out = sessions.iter().enumerate().map(|(nth, session)| fold(&session.person, Some(nth))).collect();
        let blocks = sessions.iter().enumerate().flat_map(|(nth, session)| {
            let person = names.iter().position(|name| *name == session.person).unwrap_or(0);
            windows(&session.actions, BLOCK).map(move |window| Block { person, session: nth, window })
        });
        Self { profiles, held_out, blocks: blocks.collect(), names }
    }

    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|one| one == name)
    }

    pub(super) fn profile(&self, person: usize) -> Option<&PointerProfile> {
        self.profiles.get(person)
    }

    /// The population of all people but some.
    pub(super) fn background(&self, without: &[usize]) -> Background {
        Background::of(self.profiles.iter().enumerate().filter(|(person, _)| !without.contains(person)).map(|(_, profile)| profile))
    }

    /// Blocks against people, as wanted. A person's own block meets a profile that never saw its session.
    pub(super) fn claims(&self, background: &Background, is_wanted: impl Fn(Pair) -> bool) -> Vec<Claim> {
        let compare = |profile| Comparison::new(profile, background);
        let people: Vec<Comparison> = self.profiles.iter().map(compare).collect();
        let held_out: Vec<Comparison> = self.held_out.iter().map(compare).collect();
        let mut claims = Vec::new();
        for (at, block) in self.blocks.iter().enumerate() {
            for (claimed, person) in people.iter().enumerate() {
                let pair = Pair { claimed, by: block.person, nth: at + claimed };
                if is_wanted(pair) {
                    let own = held_out.get(block.session).filter(|_| !pair.is_other());
                    claims.push(Claim { pair, evidence: own.unwrap_or(person).evidence(&block.window) });
                }
            }
        }
        claims
    }
}

/// Whole blocks of consecutive actions.
pub(super) fn windows(actions: &[CountedAction], size: usize) -> impl Iterator<Item = Window> {
    actions.chunks_exact(size).map(Window::of)
}
