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
pub(super) struct Pool {
    rules: Vec<Rule>,
    /// The rules that bear a name.
    named: BTreeMap<String, Vec<usize>>,
    /// The rules in which a name stands.
    users: BTreeMap<String, Vec<usize>>,
    /// Places that stand in no rule, such as imports.
    others: BTreeSet<Vec<String>>,
    /// What the documents hold that the rules name: each is walked once, however many rules name it.
    data: BTreeMap<Vec<String>, Vec<Value>>,
}

impl Pool {
    pub(super) fn of(source: &PolicySource) -> Self {
        let served = || source.files.iter().filter(|file| !file.path.ends_with("_test.rego"));
        let rules: Vec<Rule> = served().flat_map(|file| rules(&file.text)).collect();
        let read = served().flat_map(|file| places(&file.text).unwrap_or_default()).map(|place| place.path);
        let in_rules: BTreeSet<&Vec<String>> = rules.iter().flat_map(|rule| &rule.reads).collect();
        let others = read.filter(|path| !in_rules.contains(path)).collect();
        // The whole of `data` is no set that anything is compared with.
        let named: BTreeSet<&Vec<String>> = rules.iter().flat_map(|rule| &rule.data).filter(|path| !path.is_empty()).collect();
        let data = named.into_iter().map(|path| (path.clone(), held(&source.data, path))).collect();
        let (mut names, mut users) = (BTreeMap::<String, Vec<usize>>::new(), BTreeMap::<String, Vec<usize>>::new());
        for (at, rule) in rules.iter().enumerate() {
            names.entry(rule.name.clone()).or_default().push(at);
            rule.names.iter().for_each(|name| users.entry(name.clone()).or_default().push(at));
        }
        Self { rules, named: names, users, others, data }
    }

    /// What is read, each with the values that it may be compared with, the nearest first.
    pub(super) fn paths(&self) -> BTreeMap<Vec<String>, Vec<Value>> {
        let mut paths: BTreeMap<Vec<String>, Distinct> = BTreeMap::new();
        for (name, rules) in &self.named {
            let near = self.around(name);
            let own = || rules.iter().filter_map(|at| self.rules.get(*at));
            let reads: BTreeSet<&Vec<String>> = own().flat_map(|rule| &rule.reads).collect();
            for path in reads {
                let values = paths.entry(path.clone()).or_default();
                // The rules that read it before those that only bear the same name.
                let nearest = own().filter(|rule| rule.reads.contains(path)).chain(near.iter().copied());
                nearest.for_each(|near| self.add(near, values));
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
        let rule = |at: usize| self.rules.get(at);
        let read = |at| {
            self.below(std::iter::once(at), &mut BTreeSet::new())
                .into_iter()
                .filter_map(rule)
                .flat_map(|rule| rule.reads.iter().cloned())
                .collect()
        };
        (0..self.rules.len()).map(read).collect()
    }

    /// The rules of a name and all that they name, then those that name it with all that they name, the nearest first.
    fn around(&self, name: &str) -> Vec<&Rule> {
        let mut seen = BTreeSet::new();
        let own = self.below(self.named.get(name).into_iter().flatten().copied(), &mut seen);
        let users = self.below(self.users.get(name).into_iter().flatten().copied(), &mut seen);
        own.into_iter().chain(users).filter_map(|near| self.rules.get(near)).collect()
    }

    /// Rules and all that they name, the nearest first, but for what was seen before. Each rule is looked at once, however many bear one name.
    fn below(&self, from: impl Iterator<Item = usize>, seen: &mut BTreeSet<usize>) -> Vec<usize> {
        let mut next: VecDeque<usize> = from.filter(|at| seen.insert(*at)).collect();
        let (mut found, mut expanded) = (Vec::new(), BTreeSet::new());
        while let Some((at, rule)) = next.pop_front().and_then(|at| Some((at, self.rules.get(at)?))) {
            found.push(at);
            for name in rule.names.iter().filter(|name| expanded.insert(name.as_str())) {
                next.extend(self.named.get(name).into_iter().flatten().filter(|other| seen.insert(**other)));
            }
        }
        found
    }

    fn add(&self, rule: &Rule, values: &mut Distinct) {
        let named = rule.data.iter().filter_map(|path| self.data.get(path)).flatten();
        rule.literals.iter().chain(named).for_each(|value| values.add(value));
    }
}

/// The values in a document, below a path.
fn held(data: &Value, path: &[String]) -> Vec<Value> {
    let (mut values, mut left) = (Distinct::default(), MOST_DATA);
    if let Some(named) = path.iter().try_fold(data, |value, step| value.as_object()?.get(step)) {
        scalars(named, &mut left, &mut values);
    }
    values.values
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
