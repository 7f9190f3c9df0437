//! DPoP in this process (RFC 9449): which proofs were used, in memory and bounded, and the nonces that clients must name where they are required.
//!
//! The book is this process's own. Where several decide side by side, required nonces are what makes a proof count on one of them only: each draws its own.

use std::collections::{HashMap, HashSet};
use std::mem;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_pdp_engine::Denial;
use countersign_pdp_engine::identify::{ProofId, ProofRules};
use countersign_pdp_engine::keys;
use countersign_sdk_types::{DenialCode, Digest, Millis, Seconds, Timestamp};

/// Proofs that are remembered, of all clients and of one. Who is over is refused: forgetting one would let it be used again.
const MOST: usize = 500_000;
const MOST_OF_ONE: u32 = 50_000;
/// How long a nonce is given out; it counts as long again.
const NONCE_LIFE: Seconds = Seconds(120);

/// What is configured for proofs.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// What a proof must be. Nonces and the beginning of the book are this process's.
    pub rules: ProofRules,
    /// Proofs must name a nonce.
    pub requires_nonce: bool,
}

/// The proofs of this process's clients.
#[derive(Debug)]
pub struct Proofs {
    rules: ProofRules,
    nonces: Option<Nonces>,
    book: Mutex<Book>,
}

/// What a client must know for its next proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// The algorithms, as a challenge lists them.
    pub algorithms: String,
    /// The nonce to name.
    pub nonce: Option<String>,
}

impl Proofs {
    /// An empty book, which begins now.
    ///
    /// # Errors
    /// When there is no entropy for nonces.
    pub fn new(settings: Settings, skew: Seconds, now: Timestamp) -> Result<Self, String> {
        let nonces = if settings.requires_nonce { Some(Nonces::draw()?) } else { None };
        let rules = ProofRules { since: now, ..settings.rules };
        // A proof may be dated ahead by the skew, and counts that much longer than the window.
        let life = Millis::from(Seconds(rules.window.0 + 2 * skew.0));
        Ok(Self { rules, nonces, book: Mutex::new(Book::new(life, now)) })
    }

    /// What a proof must be now.
    #[must_use]
    pub fn rules(&self, now: Timestamp) -> ProofRules {
        ProofRules { nonces: self.nonces.as_ref().map(|nonces| nonces.accepted(now).to_vec()), ..self.rules.clone() }
    }

    /// What the next proof must be.
    #[must_use]
    pub fn terms(&self, now: Timestamp) -> Terms {
        let algorithms: Vec<_> = self.rules.algorithms.iter().map(|algorithm| keys::algorithm_name(*algorithm)).collect();
        let nonce = self.nonces.as_ref().map(|nonces| nonces.current(now));
        Terms { algorithms: algorithms.join(" "), nonce }
    }

    /// Enters a proof into the book.
    ///
    /// # Errors
    /// When it is there already, or its key used more than anybody does.
    pub fn spend(&self, proof: &ProofId, now: Timestamp) -> Result<(), Denial> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner).enter(proof, now)
    }
}

/// Two pages: one that is written, and the one before, which is thrown away whole once nothing on it could count any more.
#[derive(Debug)]
struct Book {
    life: Millis,
    begun: Timestamp,
    current: Page,
    before: Page,
}

#[derive(Debug, Default)]
struct Page {
    proofs: HashSet<Digest>,
    of_key: HashMap<Digest, u32>,
}

impl Book {
    fn new(life: Millis, now: Timestamp) -> Self {
        Self { life, begun: now, current: Page::default(), before: Page::default() }
    }

    fn enter(&mut self, proof: &ProofId, now: Timestamp) -> Result<(), Denial> {
        self.turn(now);
        if self.before.proofs.contains(&proof.proof) || self.current.proofs.contains(&proof.proof) {
            return Err(Denial::new(DenialCode::InvalidProof, "the proof was used before"));
        }
        let used = self.current.of_key.get(&proof.key).copied().unwrap_or(0);
        if used >= MOST_OF_ONE || self.current.proofs.len() + self.before.proofs.len() >= MOST {
            return Err(Denial::new(DenialCode::Overloaded, "more DPoP proofs than can be remembered"));
        }
        self.current.of_key.insert(proof.key, used + 1);
        self.current.proofs.insert(proof.proof);
        Ok(())
    }

    fn turn(&mut self, now: Timestamp) {
        let age = now.since(self.begun);
        if age <= self.life {
            return;
        }
        let current = mem::take(&mut self.current);
        self.before = if age.0 <= self.life.0.saturating_mul(2) { current } else { Page::default() };
        self.begun = now;
    }
}

/// Nonces that nobody can foresee and nobody has to store: a keyed hash of the time, in steps.
#[derive(Debug)]
struct Nonces {
    key: Key,
}

struct Key([u8; 32]);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}

impl Nonces {
    fn draw() -> Result<Self, String> {
        let mut key = [0; 32];
        aws_lc_rs::rand::fill(&mut key).map_err(|_| "no entropy for DPoP nonces".to_owned())?;
        Ok(Self { key: Key(key) })
    }

    fn current(&self, now: Timestamp) -> String {
        self.of_step(step(now))
    }

    /// This one and the one before: a client needs time to use what it was given.
    fn accepted(&self, now: Timestamp) -> [String; 2] {
        [self.of_step(step(now)), self.of_step(step(now) - 1)]
    }

    fn of_step(&self, step: i64) -> String {
        let hash = blake3::keyed_hash(&self.key.0, &step.to_le_bytes());
        URL_SAFE_NO_PAD.encode(hash.as_bytes().first_chunk::<16>().unwrap_or(&[0; 16]))
    }
}

fn step(now: Timestamp) -> i64 {
    now.secs() / i64::try_from(NONCE_LIFE.0).unwrap_or(1)
}

#[cfg(test)]
mod tests;
