//! Rows that expire, in a bounded table. Rows belong to groups, so that whoever fills a group displaces only their own.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

use countersign_sdk_types::{Seconds, Timestamp};

use crate::secret::SecretDigest;

/// The table has no place for another row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

/// Rows by the digest of what names them; each lives equally long.
pub(crate) struct Table<G, V> {
    life: Seconds,
    most: usize,
    rows: HashMap<SecretDigest, Row<G, V>>,
    /// Oldest first.
    order: BTreeMap<u64, SecretDigest>,
    /// Oldest first.
    groups: HashMap<G, Vec<SecretDigest>>,
    next: u64,
}

struct Row<G, V> {
    group: G,
    number: u64,
    expires: Timestamp,
    value: V,
}

impl<G: Clone + Eq + Hash, V> Table<G, V> {
    pub(crate) fn new(life: Seconds, most: usize) -> Self {
        Self { life, most, rows: HashMap::new(), order: BTreeMap::new(), groups: HashMap::new(), next: 0 }
    }

    /// Adds a row, unless the table is full of rows that have not expired.
    pub(crate) fn insert(&mut self, key: SecretDigest, group: G, value: V, now: Timestamp) -> Result<(), Full> {
        self.purge(now);
        if self.rows.len() >= self.most {
            return Err(Full);
        }
        self.remove(key);
        let number = self.next;
        self.next = number.wrapping_add(1);
        self.order.insert(number, key);
        self.groups.entry(group.clone()).or_default().push(key);
        self.rows.insert(key, Row { group, number, expires: now.after(self.life), value });
        Ok(())
    }

    /// The row, and when it expires.
    pub(crate) fn find(&mut self, key: SecretDigest, now: Timestamp) -> Option<(&mut V, Timestamp)> {
        let row = self.rows.get_mut(&key).filter(|row| now < row.expires)?;
        Some((&mut row.value, row.expires))
    }

    /// Takes the row out, also when it has expired; then it is gone without being given.
    pub(crate) fn take(&mut self, key: SecretDigest, now: Timestamp) -> Option<V> {
        self.remove(key).filter(|row| now < row.expires).map(|row| row.value)
    }

    /// Drops the oldest of those rows of a group that `count`, until `most` of them are left.
    pub(crate) fn leave(&mut self, group: &G, most: usize, count: impl Fn(&V) -> bool) {
        let keys = self.groups.get(group).map(Vec::as_slice).unwrap_or_default();
        let counted: Vec<_> = keys.iter().copied().filter(|key| self.rows.get(key).is_some_and(|row| count(&row.value))).collect();
        let surplus = counted.len().saturating_sub(most);
        for key in counted.into_iter().take(surplus) {
            self.remove(key);
        }
    }

    fn purge(&mut self, now: Timestamp) {
        while let Some(oldest) = self.order.first_entry() {
            if self.rows.get(oldest.get()).is_some_and(|row| now < row.expires) {
                return;
            }
            let key = oldest.remove();
            self.remove(key);
        }
    }

    fn remove(&mut self, key: SecretDigest) -> Option<Row<G, V>> {
        let row = self.rows.remove(&key)?;
        self.order.remove(&row.number);
        if let Some(keys) = self.groups.get_mut(&row.group) {
            keys.retain(|one| *one != key);
            if keys.is_empty() {
                self.groups.remove(&row.group);
            }
        }
        Some(row)
    }
}

#[cfg(test)]
mod tests;
