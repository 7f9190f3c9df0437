//! Verdicts that were given before, for whoever asks one policy very many times: inputs that agree in all that the policy reads are asked once.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use countersign_sdk_types::contract::{Input, Verdict};
use serde_json::Value;

use super::PolicyError;
use super::rewrite::Reads;

/// The most verdicts that are kept; later ones are asked again. A policy may say much: this bounds what it takes.
const MOST: usize = 200_000;

/// What an input is to a policy: a hash over all that it reads.
pub(super) type Key = [u8; 32];

/// The verdicts of one policy.
#[derive(Debug)]
pub(super) struct Memo {
    reads: Reads,
    given: Mutex<HashMap<Key, Result<Verdict, PolicyError>>>,
}

impl Memo {
    /// Nothing is known yet. A policy whose built-ins know the time reads the time.
    pub(super) fn new(reads: Reads, knows_time: bool) -> Self {
        let reads = match reads {
            Reads::Paths(mut paths) if knows_time => {
                paths.push(vec!["context".to_owned(), "time".to_owned()]);
                Reads::Paths(paths)
            }
            other => other,
        };
        Self { reads, given: Mutex::default() }
    }

    /// Nothing for an input that cannot be written down.
    pub(super) fn key(&self, input: &Input) -> Option<Key> {
        let input = serde_json::to_value(input).ok()?;
        let mut hasher = blake3::Hasher::new_derive_key("countersign policy memo 1");
        match &self.reads {
            Reads::Everything => drop(serde_json::to_writer(&mut hasher, &input).ok()?),
            Reads::Paths(paths) => {
                for path in paths {
                    let value = path.iter().try_fold(&input, |value, step| value.as_object()?.get(step));
                    add(&mut hasher, value)?;
                }
            }
        }
        Some(*hasher.finalize().as_bytes())
    }

    pub(super) fn given(&self, key: &Key) -> Option<Result<Verdict, PolicyError>> {
        self.lock().get(key).cloned()
    }

    /// Keeps what would be the same again: a budget that was used up, or a panic, may be the machine's fault.
    pub(super) fn keep(&self, key: Key, given: &Result<Verdict, PolicyError>) {
        if matches!(given, Err(PolicyError::Budget | PolicyError::Panic)) {
            return;
        }
        let mut all = self.lock();
        if all.len() < MOST {
            all.insert(key, given.clone());
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Result<Verdict, PolicyError>>> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Values end where the next one begins: JSON says so by itself, and what is not there is no JSON.
fn add(hasher: &mut blake3::Hasher, value: Option<&Value>) -> Option<()> {
    match value {
        Some(value) => serde_json::to_writer(&mut *hasher, value).ok()?,
        None => drop(hasher.update(b"-")),
    }
    hasher.update(b"\n");
    Some(())
}
