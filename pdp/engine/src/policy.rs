//! Loads policies and asks them.
//!
//! The interpreter decides, with strict errors of built-ins: the library's bytecode machine swallows errors and then allows. A policy is compiled
//! once; each evaluation works on a copy-on-write clone, so a panic poisons nothing.

pub mod builtins;
pub mod candidate;
mod cases;
pub(crate) mod check;
mod coverage;
mod document;
pub mod edges;
pub mod held;
pub(crate) mod json;
pub mod lint;
pub(crate) mod load;
mod memo;
pub mod nearest;
pub mod outcome;
pub(crate) mod rewrite;
pub(crate) mod scan;
pub mod testing;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use countersign_sdk_types::contract::{Input, Verdict};
use countersign_sdk_types::strict::{self, Limits};
use countersign_sdk_types::{Digest, Effect, Timestamp};
use regorus::utils::limits::ExecutionTimerConfig;
use regorus::{Engine, LimitError, Value};
use serde::{Deserialize, Serialize};
use serde_json::Map;

use crate::entities::Entities;

use builtins::Extensions;
use load::{Loaded, load};
use memo::Memo;
use rewrite::reads;

pub use builtins::{BuiltinErrors, Moment, Semantics};
pub use candidate::{CandidateReport, Problem, check_candidate};
pub use cases::is_cases;
pub use check::{MAX_CHAIN, MAX_IMPORTS, MAX_PRODUCTS, MAX_RULES};
pub use coverage::{Coverage, FileCoverage};
pub use scan::{MAX_DEPTH, MAX_FILE, MAX_OPERATORS, ScanError};
pub use testing::{Outcome, TestOptions, TestReport, TestResult, run_tests};

/// The most files of a policy.
pub const MAX_FILES: usize = 4_000;
/// The package that is asked where the configuration names none.
pub const DEFAULT_PACKAGE: &str = "authz";
/// The time that one entry point may take. Hundreds of times what a real policy needs: a busy machine must not turn an allow into a deny.
pub const BUDGET: Duration = Duration::from_millis(50);
/// The obligation by which a step-up is told; a policy says `effect` instead.
pub const STEP_UP: &str = "step-up";
const MAX_TEXTS: usize = 32;
const MAX_TEXT: usize = 512;

/// The files of a policy before anything looked into them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PolicySource {
    /// The `.rego` files, by path.
    pub files: Vec<PolicyFile>,
    /// Files of YAML cases, by path: tests that say an input and what is wanted of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cases: Vec<PolicyFile>,
    /// The data documents, merged.
    pub data: serde_json::Value,
    /// Which dialect each file is written in.
    pub dialects: Dialects,
    /// The package whose `decision` or `allow` is asked, such as `authz`.
    pub package: String,
}

/// One file of Rego, or of cases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyFile {
    /// Its path in the bundle.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// The dialects that a `.manifest` declares (OPA, bundle file format).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dialects {
    /// For files that are not listed.
    #[serde(default, rename = "rego_version")]
    pub default: Option<u8>,
    /// By path; a leading slash is optional.
    #[serde(default, rename = "file_rego_versions")]
    pub files: BTreeMap<String, u8>,
}

impl Dialects {
    /// What is declared of a file.
    #[must_use]
    pub fn of(&self, path: &str) -> Option<u8> {
        let bare = path.trim_start_matches('/');
        self.files.iter().find(|(listed, _)| listed.trim_start_matches('/') == bare).map(|(_, version)| *version).or(self.default)
    }
}

/// Why a policy cannot be loaded, or gave no verdict.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// It is refused before it is ever asked.
    #[error("policy is refused: {}", first(.0))]
    Refused(Vec<Problem>),
    /// The entry point gave nothing.
    #[error("policy gives no result")]
    Undefined,
    /// The result is neither a boolean `allow` nor a `decision` object.
    #[error("policy gives a result of the wrong shape: {0}")]
    Shape(String),
    /// Two results disagree.
    #[error("results of the policy disagree: {0}")]
    Conflict(String),
    /// The evaluation failed.
    #[error("policy failed: {0}")]
    Failed(String),
    /// The evaluation took too long or too much.
    #[error("policy used up its budget")]
    Budget,
    /// The evaluator panicked.
    #[error("evaluator panicked")]
    Panic,
}

fn first(problems: &[Problem]) -> String {
    problems.first().map_or_else(|| "no reason is known".to_owned(), ToString::to_string)
}

impl PolicySource {
    /// Sorts the files of a folder or bundle: Rego, `data.json` (placed by its folder, as OPA does), `.manifest` and cases. Other files are passed over.
    ///
    /// # Errors
    /// When there are too many files, one is not text, or a document is refused.
    pub fn from_files(package: &str, files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Result<Self, PolicyError> {
        let mut source = Self {
            files: Vec::new(),
            cases: Vec::new(),
            data: serde_json::Value::Object(Map::new()),
            dialects: Dialects::default(),
            package: package.to_owned(),
        };
        for (path, bytes) in files {
            let path = path.trim_start_matches('/').to_owned();
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
            match name {
                ".manifest" if folder.is_empty() => source.dialects = manifest(&bytes).map_err(|error| refused_file(&path, &error))?,
                "data.json" => {
                    let document = strict::value(&bytes, Limits::DATA).map_err(|error| refused_file(&path, &error))?;
                    graft(&mut source.data, folder, document).map_err(|error| refused_file(&path, &error))?;
                }
                _ if has_extension(name) || is_cases(name) => {
                    let text = String::from_utf8(bytes).map_err(|_| refused_file(&path, &"file is not UTF-8"))?;
                    let kind = if is_cases(&path) { &mut source.cases } else { &mut source.files };
                    kind.push(PolicyFile { path, text });
                }
                _ => {}
            }
            if source.files.len() + source.cases.len() > MAX_FILES {
                return Err(PolicyError::Refused(vec![Problem::new(format!("policy has more than {MAX_FILES} files"))]));
            }
        }
        source.files.sort_by(|a, b| a.path.cmp(&b.path));
        source.cases.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(source)
    }

    /// A digest of everything that can change an answer; a revision where no other name is known.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let bytes = serde_json::to_vec(self).unwrap_or_default();
        Digest(*blake3::Hasher::new_derive_key("countersign policy source v1").update(&bytes).finalize().as_bytes())
    }
}

fn has_extension(name: &str) -> bool {
    std::path::Path::new(name).extension().is_some_and(|extension| extension == "rego")
}

fn manifest(bytes: &[u8]) -> Result<Dialects, strict::StrictError> {
    strict::from_slice(bytes, Limits::REQUEST)
}

fn refused_file(path: &str, error: &impl ToString) -> PolicyError {
    PolicyError::Refused(vec![Problem { file: Some(path.to_owned()), line: None, text: error.to_string() }])
}

/// Puts a document where its folder says. What is no object, such as a list, is the whole of what is there.
fn graft(data: &mut serde_json::Value, folder: &str, document: serde_json::Value) -> Result<(), &'static str> {
    const OVERLAP: &str = "data documents overlap";
    let (way, members) = match (document, folder.rsplit_once('/').unwrap_or(("", folder))) {
        (serde_json::Value::Object(members), _) => (folder, members),
        (_, (_, "")) => return Err("data document at the top is not an object"),
        (other, (way, name)) => (way, Map::from_iter([(name.to_owned(), other)])),
    };
    let mut at = data;
    for name in way.split('/').filter(|name| !name.is_empty()) {
        let object = at.as_object_mut().ok_or(OVERLAP)?;
        at = object.entry(name).or_insert_with(|| serde_json::Value::Object(Map::new()));
    }
    let object = at.as_object_mut().ok_or(OVERLAP)?;
    for (name, member) in members {
        if object.insert(name, member).is_some() {
            return Err(OVERLAP);
        }
    }
    Ok(())
}

/// A policy that passed every static check, ready to be asked any number of times.
#[derive(Clone)]
pub struct Policy {
    engine: Engine,
    extensions: Extensions,
    decision: Option<String>,
    allow: Option<String>,
    entities: Arc<Entities>,
    source: Arc<PolicySource>,
    memo: Option<Arc<Memo>>,
}

impl std::fmt::Debug for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Policy").field("decision", &self.decision).field("allow", &self.allow).finish_non_exhaustive()
    }
}

impl Policy {
    /// Scans, parses, checks and prepares a policy. Files that end in `_test.rego` are not part of it.
    ///
    /// # Errors
    /// [`PolicyError::Refused`] with every problem that was found.
    pub fn compile(source: &PolicySource) -> Result<Self, PolicyError> {
        let served = |file: &&PolicyFile| !file.path.ends_with("_test.rego");
        let Loaded { engine, outline, extensions } = load(source, source.files.iter().filter(served), BUDGET)?;
        let entry = |name: &str| {
            let path = format!("data.{}.{name}", source.package);
            outline.rules.contains(&path).then_some(path)
        };
        let entities = Entities::of(&source.data).map_err(|text| PolicyError::Refused(vec![Problem::new(text)]))?;
        let files = source.files.iter().filter(served).cloned().collect();
        let source_served = PolicySource { files, cases: Vec::new(), ..source.clone() };
        let (decision, allow, entities, source_served) = (entry("decision"), entry("allow"), Arc::new(entities), Arc::new(source_served));
        let policy = Self { engine, extensions, decision, allow, entities, source: source_served, memo: None };
        if policy.decision.is_none() && policy.allow.is_none() {
            let text = format!("package `{}` defines neither `decision` nor `allow`", source.package);
            return Err(PolicyError::Refused(vec![Problem::new(text)]));
        }
        Ok(policy)
    }

    /// The same policy, which remembers what it answered: for very many inputs that differ in what no policy reads.
    #[must_use]
    pub fn remembering(&self) -> Self {
        let reads = reads(self.source.files.iter().map(|file| file.text.as_str()));
        let memo = Memo::new(reads, self.extensions.know_the_moment());
        Self { memo: Some(Arc::new(memo)), ..self.clone() }
    }

    /// The files that it was compiled from, without its tests.
    #[must_use]
    pub fn source(&self) -> &PolicySource {
        &self.source
    }

    /// The rules that are asked, as full paths.
    #[must_use]
    pub fn entries(&self) -> Vec<String> {
        self.decision.iter().chain(&self.allow).cloned().collect()
    }

    /// The entity directory that lies beside the policy.
    #[must_use]
    pub fn entities(&self) -> &Entities {
        &self.entities
    }

    /// Asks the policy. Same input, same answer.
    ///
    /// # Errors
    /// Every error is a deny: nothing, a wrong shape, a disagreement, a failure, an exhausted budget, a panic.
    pub fn evaluate(&self, input: &Input) -> Result<Verdict, PolicyError> {
        self.evaluate_within(input, BUDGET)
    }

    /// Asks the policy, with another time for each entry point.
    ///
    /// # Errors
    /// As [`Policy::evaluate`].
    pub fn evaluate_within(&self, input: &Input, budget: Duration) -> Result<Verdict, PolicyError> {
        let known = self.memo.as_ref().and_then(|memo| Some((memo, memo.key(input)?)));
        let Some((memo, key)) = known else { return self.evaluate_anew(input, budget) };
        memo.given(&key).unwrap_or_else(|| {
            let given = self.evaluate_anew(input, budget);
            memo.keep(key, &given);
            given
        })
    }

    /// Asks one of [`Policy::entries`] alone, and looks at nothing that it gives: for whoever measures.
    ///
    /// # Errors
    /// As [`Policy::evaluate`], for want of any value too.
    pub fn evaluate_entry(&self, entry: &str, input: &Input, budget: Duration) -> Result<(), PolicyError> {
        let moment = Moment { now: Timestamp(input.context.time), seed: [0; 32] };
        let input = document::value(input).map_err(|error| PolicyError::Failed(error.to_string()))?;
        match self.ask(Some(entry), &input, moment, budget)? {
            Value::Undefined => Err(PolicyError::Undefined),
            _ => Ok(()),
        }
    }

    fn evaluate_anew(&self, input: &Input, budget: Duration) -> Result<Verdict, PolicyError> {
        let moment = Moment { now: Timestamp(input.context.time), seed: [0; 32] };
        let input = document::value(input).map_err(|error| PolicyError::Failed(error.to_string()))?;
        let decision = self.ask(self.decision.as_deref(), &input, moment, budget)?;
        let allow = self.ask(self.allow.as_deref(), &input, moment, budget)?;
        settle(decision, allow)
    }

    fn ask(&self, entry: Option<&str>, input: &Value, moment: Moment, budget: Duration) -> Result<Value, PolicyError> {
        let Some(entry) = entry else { return Ok(Value::Undefined) };
        let mut engine = self.engine.clone();
        engine.set_execution_timer_config(timer(budget));
        engine.set_input(input.clone());
        self.extensions.install_momentary(&mut engine, moment, BuiltinErrors::Fatal).map_err(PolicyError::Failed)?;
        guarded(engine, entry)
    }
}

/// Evaluates one rule; a panic in the evaluator drops this clone and nothing else.
fn guarded(mut engine: Engine, entry: &str) -> Result<Value, PolicyError> {
    catch_unwind(AssertUnwindSafe(move || asked(&mut engine, entry))).unwrap_or(Err(PolicyError::Panic))
}

/// Evaluates one rule. Whoever calls this minds panics.
fn asked(engine: &mut Engine, entry: &str) -> Result<Value, PolicyError> {
    let failed =
        |error: anyhow::Error| if exhausted(&error) { PolicyError::Budget } else { PolicyError::Failed(shortened(&format!("{error:#}"))) };
    engine.eval_rule(entry.to_owned()).map_err(failed)
}

pub(crate) fn exhausted(error: &anyhow::Error) -> bool {
    error.downcast_ref::<LimitError>().is_some() || error.to_string().contains("execution exceeded time limit")
}

fn shortened(text: &str) -> String {
    text.chars().filter(|character| *character != '\n').take(MAX_TEXT).collect()
}

pub(crate) fn timer(limit: Duration) -> ExecutionTimerConfig {
    ExecutionTimerConfig { limit, check_interval: NonZeroU32::new(32).unwrap_or(NonZeroU32::MIN) }
}

fn settle(decision: Value, allow: Value) -> Result<Verdict, PolicyError> {
    let allow = match allow {
        Value::Undefined => None,
        Value::Bool(allow) => Some(allow),
        other => return Err(PolicyError::Shape(format!("`allow` is {}", kind(&other)))),
    };
    let verdict = match decision {
        Value::Undefined => return allow.map(plain_verdict).ok_or(PolicyError::Undefined),
        Value::Object(_) => verdict(&decision)?,
        other => return Err(PolicyError::Shape(format!("`decision` is {}", kind(&other)))),
    };
    match allow {
        Some(allow) if allow != (verdict.effect == Effect::Allow) => Err(PolicyError::Conflict("`decision` and `allow`".to_owned())),
        _ => Ok(verdict),
    }
}

fn plain_verdict(allow: bool) -> Verdict {
    let effect = if allow { Effect::Allow } else { Effect::Deny };
    Verdict { effect, acr: None, max_age: None, reasons: Vec::new(), obligations: Vec::new(), is_final: false }
}

fn verdict(decision: &Value) -> Result<Verdict, PolicyError> {
    let json = decision.to_json_str().map_err(|error| PolicyError::Shape(shortened(&error.to_string())))?;
    let verdict: Verdict =
        strict::from_slice(json.as_bytes(), Limits::REQUEST).map_err(|error| PolicyError::Shape(shortened(&error.to_string())))?;
    let levels = verdict.effect != Effect::StepUp && (verdict.acr.is_some() || verdict.max_age.is_some());
    let long = verdict.reasons.len() > MAX_TEXTS
        || verdict.obligations.len() > MAX_TEXTS
        || verdict.reasons.iter().any(|text| text.len() > MAX_TEXT);
    let step_up = verdict.obligations.iter().any(|obligation| obligation.kind == STEP_UP);
    match () {
        () if step_up => Err(PolicyError::Shape("a step-up is an effect, not an obligation".to_owned())),
        () if levels => Err(PolicyError::Shape("`acr` and `max_age` belong to a step-up".to_owned())),
        () if long => Err(PolicyError::Shape("too many or too long reasons or obligations".to_owned())),
        () => Ok(verdict),
    }
}

const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Set(_) => "a set",
        Value::Object(_) => "an object",
        _ => "nothing",
    }
}
