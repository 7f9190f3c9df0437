//! Verdicts that were given before, for whoever asks one policy very many times: inputs that agree in all that the policy reads are asked once.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use countersign_sdk_types::contract::{Context, Input, Verdict};
use serde::Serialize;
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
        let mut hasher = blake3::Hasher::new_derive_key("countersign policy memo 1");
        match &self.reads {
            Reads::Everything => serde_json::to_writer(&mut hasher, input).ok()?,
            Reads::Paths(paths) => paths.iter().try_for_each(|path| part(&mut hasher, input, path))?,
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

/// Adds what stands at a path. Only the part that holds it is written down: to write down the whole input takes longer than to look a verdict up.
fn part(hasher: &mut blake3::Hasher, input: &Input, path: &[String]) -> Option<()> {
    let (first, rest) = path.split_first()?;
    match first.as_str() {
        "contract" => within(hasher, &input.contract, rest),
        "tenant" => within(hasher, &input.tenant, rest),
        "subject" => within(hasher, &input.subject, rest),
        "action" => within(hasher, &input.action, rest),
        "resource" => within(hasher, &input.resource, rest),
        "user" => within(hasher, &input.user, rest),
        "device" => within(hasher, &input.device, rest),
        "session" => within(hasher, &input.session, rest),
        "token" => within(hasher, &input.token, rest),
        "request" => within(hasher, &input.request, rest),
        "context" => circumstance(hasher, &input.context, rest),
        _ => add(hasher, None::<&Value>),
    }
}

/// The largest part, by its members.
fn circumstance(hasher: &mut blake3::Hasher, context: &Context, path: &[String]) -> Option<()> {
    let Some((first, rest)) = path.split_first() else { return add(hasher, Some(context)) };
    match first.as_str() {
        "risk_score" => within(hasher, &context.risk_score, rest),
        "risk" => within(hasher, &context.risk, rest),
        "ip" => within(hasher, &context.ip, rest),
        "place" => within(hasher, &context.place, rest),
        "time" => within(hasher, &context.time, rest),
        "known" => within(hasher, &context.known, rest),
        "caller" => within(hasher, &context.caller, rest),
        asserted => match context.asserted.get(asserted) {
            Some(value) => within(hasher, value, rest),
            None => add(hasher, None::<&Value>),
        },
    }
}

fn within<T: Serialize>(hasher: &mut blake3::Hasher, part: &T, path: &[String]) -> Option<()> {
    if path.is_empty() {
        return add(hasher, Some(part));
    }
    let part = serde_json::to_value(part).ok()?;
    add(hasher, path.iter().try_fold(&part, |value, step| value.as_object()?.get(step)))
}

/// Values end where the next one begins: JSON says so by itself, and what is not there is no JSON.
fn add<T: Serialize>(hasher: &mut blake3::Hasher, value: Option<&T>) -> Option<()> {
    match value {
        Some(value) => serde_json::to_writer(&mut *hasher, value).ok()?,
        None => drop(hasher.update(b"-")),
    }
    hasher.update(b"\n");
    Some(())
}

#[cfg(test)]
mod tests {
    //! What is remembered is what would be answered.

    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::super::edges::{Edges, made};
    use super::super::lint::bases;
    use super::super::{Policy, PolicySource};
    use super::*;

    /// Every path of the contract that an input holds, and some that it does not.
    fn paths() -> Vec<Vec<String>> {
        let mut paths = vec![vec!["context".to_owned(), "none".to_owned()], vec!["none".to_owned()]];
        bases().iter().for_each(|base| collect(base, &mut Vec::new(), &mut paths));
        paths
    }

    fn collect(value: &Value, path: &mut Vec<String>, paths: &mut Vec<Vec<String>>) {
        for (name, member) in value.as_object().into_iter().flatten() {
            path.push(name.clone());
            paths.push(path.clone());
            collect(member, path, paths);
            path.pop();
        }
    }

    #[test]
    fn a_key_holds_what_stands_at_its_path_and_nothing_else() {
        for path in paths() {
            let memo = Memo::new(Reads::Paths(vec![path.clone()]), false);
            for document in bases() {
                let input: Input = serde_json::from_value(document.clone()).unwrap();
                let mut hasher = blake3::Hasher::new_derive_key("countersign policy memo 1");
                add(&mut hasher, path.iter().try_fold(&document, |value, step| value.as_object()?.get(step))).unwrap();
                let whole = path.len() < 2 || document.pointer(&format!("/{}", path.join("/"))).is_some_and(Value::is_object);
                // Members of a whole part stand in the order of its type, not in that of their names.
                assert!(whole || memo.key(&input) == Some(*hasher.finalize().as_bytes()), "{path:?}");
            }
            let keys = bases().into_iter().map(|base| memo.key(&serde_json::from_value(base).unwrap()));
            let values = bases().into_iter().map(|base| path.iter().try_fold(&base, |value, step| value.as_object()?.get(step)).cloned());
            let (keys, values): (Vec<_>, Vec<_>) = (keys.collect(), values.collect());
            assert_eq!(keys[0] == keys[1], values[0] == values[1], "{path:?}");
        }
    }

    #[test]
    fn a_policy_that_remembers_answers_as_one_that_does_not() {
        let starter = include_str!("../../../../policies/starter/access.rego");
        let data = include_bytes!("../../../../policies/starter/data.json");
        let other = "package authz\nimport rego.v1\ndefault allow := false\nallow if {\n\tinput.context.place.known.country in {\"SG\", \"FR\"}\n\tinput.token.claims.department == \"finance\"\n\
                     \tsome header in input.request.headers.accept\n\tinput.context.ticket\n}";
        for text in [starter, other] {
            let files = [("a.rego".to_owned(), text.as_bytes().to_vec()), ("data.json".to_owned(), data.to_vec())];
            let policy = Policy::compile(&PolicySource::from_files("authz", files).unwrap()).unwrap();
            let (remembering, edges) = (policy.remembering(), Edges::of(&[policy.source()]));
            let mut answers = BTreeMap::new();
            for base in bases() {
                let base: Input = serde_json::from_value(base).unwrap();
                for input in edges.combinations(&base).take(500).filter_map(|settings| made(&base, &settings)) {
                    let patience = Duration::from_secs(10);
                    let answer = policy.evaluate_within(&input, patience);
                    assert_eq!(remembering.evaluate_within(&input, patience), answer, "{input:?}");
                    assert_eq!(remembering.evaluate_within(&input, patience), answer, "asked again: {input:?}");
                    *answers.entry(format!("{answer:?}")).or_insert(0) += 1;
                }
            }
            assert!(answers.len() > 1, "{answers:?}");
        }
    }
}
