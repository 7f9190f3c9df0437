//! The values that a policy may compare what it reads with: those in the rule that reads it, in the rules that this one names, and in those that name it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::Value;

use super::super::PolicySource;
use super::super::rewrite::{Rule, places, rules};

/// The most values for one path.
const MOST: usize = 256;
/// How many values of one document are looked at.
const MOST_DATA: usize = 20_000;

/// The rules of one policy.
pub(super) struct Pool<'a> {
    rules: Vec<Rule>,
    /// Places that stand in no rule, such as imports.
    others: BTreeSet<Vec<String>>,
    data: &'a Value,
}

impl<'a> Pool<'a> {
    pub(super) fn of(source: &'a PolicySource) -> Self {
        let served = || source.files.iter().filter(|file| !file.path.ends_with("_test.rego"));
        let rules: Vec<Rule> = served().flat_map(|file| rules(&file.text)).collect();
        let read = served().flat_map(|file| places(&file.text).unwrap_or_default()).map(|place| place.path);
        let others = read.filter(|path| !rules.iter().any(|rule| rule.reads.contains(path))).collect();
        Self { rules, others, data: &source.data }
    }

    /// What is read, each with the values that it may be compared with, the nearest first.
    pub(super) fn paths(&self) -> BTreeMap<Vec<String>, Vec<Value>> {
        let mut paths: BTreeMap<Vec<String>, Distinct> = BTreeMap::new();
        for (at, rule) in self.rules.iter().enumerate() {
            for path in &rule.reads {
                let values = paths.entry(path.clone()).or_default();
                self.around(at).into_iter().for_each(|near| self.add(near, values));
            }
        }
        for path in &self.others {
            let values = paths.entry(path.clone()).or_default();
            self.rules.iter().for_each(|rule| self.add(rule, values));
        }
        paths.into_iter().map(|(path, values)| (path, values.values)).collect()
    }

    /// What each rule reads, itself or by the rules that it names.
    pub(super) fn together(&self) -> Vec<BTreeSet<Vec<String>>> {
        let read = |at| self.below(at).into_iter().flat_map(|rule| rule.reads.iter().cloned()).collect();
        (0..self.rules.len()).map(read).collect()
    }

    /// A rule and all that it names, then those that name it with all that they name, the nearest first.
    fn around(&self, at: usize) -> Vec<&Rule> {
        let name = self.rules.get(at).map(|rule| rule.name.as_str()).unwrap_or_default();
        let users = self.rules.iter().enumerate().filter(|(_, rule)| rule.names.contains(name)).map(|(user, _)| user);
        self.below(at).into_iter().chain(users.flat_map(|user| self.below(user))).collect()
    }

    fn below(&self, at: usize) -> Vec<&Rule> {
        let (mut seen, mut next, mut found) = (BTreeSet::from([at]), VecDeque::from([at]), Vec::new());
        while let Some(rule) = next.pop_front().and_then(|at| self.rules.get(at)) {
            found.push(rule);
            for (other, named) in self.rules.iter().enumerate() {
                if rule.names.contains(&named.name) && seen.insert(other) {
                    next.push_back(other);
                }
            }
        }
        found
    }

    fn add(&self, rule: &Rule, values: &mut Distinct) {
        rule.literals.iter().for_each(|literal| values.add(literal));
        for path in &rule.data {
            let named = path.iter().try_fold(self.data, |value, step| value.as_object()?.get(step));
            // The whole of `data` is no set that anything is compared with.
            if let Some(named) = named.filter(|_| !path.is_empty()) {
                let mut left = MOST_DATA;
                scalars(named, &mut left, values);
            }
        }
    }
}

/// Values in the order in which they came, each once.
#[derive(Default)]
struct Distinct {
    values: Vec<Value>,
    seen: BTreeSet<String>,
}

impl Distinct {
    fn add(&mut self, value: &Value) {
        if self.values.len() < MOST && self.seen.insert(value.to_string()) {
            self.values.push(value.clone());
        }
    }
}

/// What a document holds, names of members included: a policy looks things up by them.
fn scalars(document: &Value, left: &mut usize, values: &mut Distinct) {
    if *left == 0 || values.values.len() >= MOST {
        return;
    }
    *left -= 1;
    match document {
        Value::Array(all) => all.iter().for_each(|one| scalars(one, left, values)),
        // Values first: names are often mere labels.
        Value::Object(members) => {
            members.values().for_each(|one| scalars(one, left, values));
            members.keys().for_each(|name| values.add(&Value::from(name.as_str())));
        }
        Value::Null => {}
        scalar => values.add(scalar),
    }
}
