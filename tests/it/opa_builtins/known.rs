//! The differences that are known, in `tests/oracle/known.tsv`: how many cases of a call differ, the call, and why. The list only shrinks:
//! `UPDATE=1` writes smaller numbers into it, and never a larger one.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The list, by call: how many, and why.
pub(super) struct Known(BTreeMap<String, (usize, String)>);

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("oracle/known.tsv")
}

impl Known {
    pub(super) fn read() -> Self {
        let text = std::fs::read_to_string(path()).unwrap();
        let lines = text.lines().map(|line| match line.split('\t').collect::<Vec<_>>()[..] {
            [count, call, why] if !why.is_empty() => (call.to_owned(), (count.parse().unwrap(), why.to_owned())),
            _ => panic!("a line is a number, a call and a reason: `{line}`"),
        });
        Self(lines.collect())
    }

    /// What stands against the counts that were found, one line a call. Empty when the list says the same.
    pub(super) fn against(&self, found: &BTreeMap<String, usize>) -> Vec<String> {
        let listed = |call: &str| self.0.get(call).map_or(0, |(count, _)| *count);
        let calls = found.keys().chain(self.0.keys()).collect::<std::collections::BTreeSet<_>>();
        let wrong = calls.into_iter().filter_map(|call| match (found.get(call), listed(call)) {
            (None, _) => Some(format!("{call}: is listed, and not compared")),
            (Some(found), listed) if *found > listed => Some(format!("{call}: {found} differences where {listed} are known")),
            (Some(found), listed) if *found < listed => {
                Some(format!("{call}: only {found} differences of {listed} are left: run this with UPDATE=1"))
            }
            _ => None,
        });
        wrong.collect()
    }

    /// Writes what became less.
    pub(super) fn shrink(&self, found: &BTreeMap<String, usize>) {
        let left = self.0.iter().filter_map(|(call, (count, why))| match found.get(call).copied().unwrap_or_default().min(*count) {
            0 => None,
            left => Some((call, left, why)),
        });
        let text = left.fold(String::new(), |mut text, (call, count, why)| {
            writeln!(text, "{count}\t{call}\t{why}").unwrap();
            text
        });
        std::fs::write(path(), text).unwrap();
    }
}
