//! A bounded list of what a subject uses, by decayed weight.

use arrayvec::ArrayVec;
use serde::{Deserialize, Serialize};

use crate::Keyed;

/// What is kept of one entry: its weight fades, and so does what is counted beside it.
pub(crate) trait Fading: Copy + Default {
    fn weight(&self) -> f32;
    fn fade(&mut self, factor: f32);
}

impl Fading for f32 {
    fn weight(&self) -> f32 {
        *self
    }

    fn fade(&mut self, factor: f32) {
        *self *= factor;
    }
}

/// A weight, and how much of it was marked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Marked {
    pub(crate) weight: f32,
    pub(crate) marked: f32,
}

impl Marked {
    pub(crate) fn add(&mut self, weight: f32, marked: f32) {
        self.weight += weight;
        self.marked += marked;
    }

    /// Of a device: it proved a key more often than not.
    pub(crate) fn is_keyed(self) -> bool {
        self.marked * 2.0 > self.weight
    }
}

impl Fading for Marked {
    fn weight(&self) -> f32 {
        self.weight
    }

    fn fade(&mut self, factor: f32) {
        self.weight *= factor;
        self.marked *= factor;
    }
}

/// A weight, the newest version that was seen, and its TLS fingerprint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Versioned {
    pub(crate) weight: f32,
    pub(crate) newest: u16,
    pub(crate) tls: Option<Keyed>,
}

impl Versioned {
    /// A newer version brings its own TLS fingerprint; of one version the latest is kept.
    pub(crate) fn add(&mut self, weight: f32, version: u16, tls: Option<Keyed>) {
        self.weight += weight;
        if version >= self.newest {
            self.newest = version;
            self.tls = tls;
        }
    }
}

impl Fading for Versioned {
    fn weight(&self) -> f32 {
        self.weight
    }

    fn fade(&mut self, factor: f32) {
        self.weight *= factor;
    }
}

/// The `MOST` heaviest entries, in the order in which they came. So few are looked through faster than any index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(bound(serialize = "K: Serialize, V: Serialize", deserialize = "K: Deserialize<'de>, V: Deserialize<'de>"))]
#[serde(transparent)]
pub(crate) struct Tally<K, V, const MOST: usize>(ArrayVec<(K, V), MOST>);

impl<K, V, const MOST: usize> Default for Tally<K, V, MOST> {
    fn default() -> Self {
        Self(ArrayVec::new())
    }
}

impl<K: Ord + Copy, V: Fading, const MOST: usize> Tally<K, V, MOST> {
    pub(crate) fn get(&self, key: K) -> Option<V> {
        self.0.iter().find(|(known, _)| *known == key).map(|(_, entry)| *entry)
    }

    pub(crate) fn weight(&self, key: Option<K>) -> f32 {
        key.and_then(|key| self.get(key)).map_or(0.0, |entry| entry.weight())
    }

    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn total(&self) -> f32 {
        self.0.iter().map(|(_, entry)| entry.weight()).sum()
    }

    /// Changes an entry. A new one takes the place of the lightest where all are taken (of equals, that of the greatest key).
    pub(crate) fn change(&mut self, key: Option<K>, change: impl FnOnce(&mut V)) {
        let Some(key) = key else { return };
        if let Some((_, entry)) = self.0.iter_mut().find(|(known, _)| *known == key) {
            return change(entry);
        }
        if self.0.is_full() {
            let entries = self.0.iter().enumerate();
            let lightest = entries.min_by(|(_, a), (_, b)| a.1.weight().total_cmp(&b.1.weight()).then_with(|| b.0.cmp(&a.0)));
            if let Some((lightest, _)) = lightest {
                self.0.remove(lightest);
            }
        }
        let mut entry = V::default();
        change(&mut entry);
        self.0.push((key, entry));
    }

    pub(crate) fn fade(&mut self, factor: f32) {
        self.0.iter_mut().for_each(|(_, entry)| entry.fade(factor));
    }
}
