//! What is answered from: all bundles of the moment as one library, swapped whole. A bundle that does not fit the others, or that the jail refuses,
//! changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use countersign_pdp_engine::policy::{CandidateReport, Dialects, PolicyFile, PolicySource, Problem};
use countersign_pdp_engine::rego::{Answer, EvalError, Library, Question};
use serde_json::{Map, Value};

use crate::bundle::{Bundle, package};
use crate::jail::Ended;
use crate::policies::deep;

/// How a set of modules and data is checked before it is compiled here; in production by the jail.
pub(crate) type Check = fn(&PolicySource) -> Result<CandidateReport, Ended>;

/// Why something was not activated.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotActivated {
    #[error("roots overlap: `{mine}` of this bundle and `{theirs}` of bundle `{name}`")]
    Overlap { name: String, mine: String, theirs: String },
    #[error("modules or data are refused: {}", .0.first().map_or_else(String::new, ToString::to_string))]
    Refused(Vec<Problem>),
    #[error(transparent)]
    Unchecked(#[from] Ended),
    #[error("modules could not be compiled: {0}")]
    Broken(String),
}

/// Modules, data and the revisions that they are of.
pub(crate) struct Active {
    rego: Library,
    /// The revision of each bundle, by its name.
    pub(crate) revisions: BTreeMap<String, String>,
    /// The modules, in the order of their ids.
    pub(crate) modules: Vec<PolicyFile>,
    packages: BTreeSet<Vec<String>>,
}

impl std::fmt::Debug for Active {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Active").field("revisions", &self.revisions).finish_non_exhaustive()
    }
}

impl Active {
    /// Nothing: every document is undefined.
    pub(crate) fn nothing() -> Result<Self, NotActivated> {
        Self::compile(empty(), BTreeMap::new())
    }

    fn compile(source: PolicySource, revisions: BTreeMap<String, String>) -> Result<Self, NotActivated> {
        let compiled = deep(|| Library::compile(&source.files, &source.data, &source.dialects)).map_err(NotActivated::Broken)?;
        let library = compiled.map_err(|problems| NotActivated::Broken(problems.to_string()))?;
        let packages = source.files.iter().filter_map(|file| package(&file.text)).collect();
        Ok(Self { rego: library, revisions, modules: source.files, packages })
    }

    /// The document at a path; blocks for as long as it takes.
    pub(crate) fn document(&self, path: &[String], question: &Question) -> Result<Option<Value>, EvalError> {
        let steps: Vec<&str> = path.iter().map(String::as_str).collect();
        self.rego.document(&steps, question)
    }

    /// Every way in which a query holds; blocks for as long as it takes.
    pub(crate) fn query(&self, query: &str, question: &Question) -> Result<Vec<Answer>, EvalError> {
        self.rego.query(query, question)
    }

    /// Whether a module could define the document at this path.
    pub(crate) fn has_rules_at(&self, path: &[String]) -> bool {
        self.packages.iter().any(|package| path.starts_with(package))
    }
}

fn empty() -> PolicySource {
    PolicySource { files: Vec::new(), data: Value::Object(Map::new()), dialects: Dialects::default(), package: String::new() }
}

/// Where bundles become what is answered from.
#[derive(Debug)]
pub(crate) struct Activation {
    active: ArcSwap<Active>,
    /// The bundles of the moment; the one without a name is the folder.
    bundles: tokio::sync::Mutex<BTreeMap<String, Arc<Bundle>>>,
    generation: AtomicU64,
    check: Check,
}

impl Activation {
    pub(crate) fn new(check: Check) -> Result<Self, NotActivated> {
        let active = ArcSwap::from_pointee(Active::nothing()?);
        Ok(Self { active, bundles: tokio::sync::Mutex::default(), generation: AtomicU64::new(0), check })
    }

    /// What is answered from at this moment.
    pub(crate) fn now(&self) -> Arc<Active> {
        self.active.load_full()
    }

    /// Puts a bundle in the place of the one of that name. One at a time, all or nothing.
    pub(crate) async fn activate(&self, name: &str, bundle: Bundle) -> Result<(), NotActivated> {
        let mut bundles = self.bundles.lock().await;
        let mut next = bundles.clone();
        next.insert(name.to_owned(), Arc::new(bundle));
        let (name, check, candidates) = (name.to_owned(), self.check, next.clone());
        let built = tokio::task::spawn_blocking(move || build(&name, &candidates, check)).await;
        let active = built.map_err(|error| NotActivated::Broken(error.to_string()))??;
        self.active.store(Arc::new(active));
        *bundles = next;
        self.generation.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    /// Changes with each activation: what was refused beside other bundles is worth another try.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }
}

fn build(name: &str, bundles: &BTreeMap<String, Arc<Bundle>>, check: Check) -> Result<Active, NotActivated> {
    apart(name, bundles)?;
    let source = compose(bundles).map_err(NotActivated::Broken)?;
    let report = check(&source)?;
    if !report.problems.is_empty() {
        return Err(NotActivated::Refused(report.problems));
    }
    let named = bundles.iter().filter(|(name, _)| !name.is_empty());
    Active::compile(source, named.map(|(name, bundle)| (name.clone(), bundle.revision.clone())).collect())
}

/// No two bundles may own the same part of the tree: neither could say what is in it.
fn apart(name: &str, bundles: &BTreeMap<String, Arc<Bundle>>) -> Result<(), NotActivated> {
    let Some(mine) = bundles.get(name) else { return Ok(()) };
    for (other, bundle) in bundles.iter().filter(|(other, _)| *other != name) {
        if let Some((mine, theirs)) = mine.roots.overlap(&bundle.roots) {
            return Err(NotActivated::Overlap { name: other.clone(), mine, theirs });
        }
    }
    Ok(())
}

/// One set of modules, each named by its bundle and its path, with the dialect that its own manifest gives it.
fn compose(bundles: &BTreeMap<String, Arc<Bundle>>) -> Result<PolicySource, String> {
    let mut whole = empty();
    for (name, bundle) in bundles {
        let source = &bundle.source;
        for file in &source.files {
            let path = if name.is_empty() { file.path.clone() } else { format!("{name}/{}", file.path) };
            if let Some(version) = dialect(&source.dialects, &file.path) {
                whole.dialects.files.insert(path.clone(), version);
            }
            whole.files.push(PolicyFile { path, text: file.text.clone() });
        }
        merge(&mut whole.data, &source.data)?;
    }
    whole.files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(whole)
}

fn dialect(dialects: &Dialects, path: &str) -> Option<u8> {
    let listed = dialects.files.iter().find(|(listed, _)| listed.trim_start_matches('/') == path);
    listed.map(|(_, version)| *version).or(dialects.default)
}

/// Roots that are apart leave only folders to share.
fn merge(into: &mut Value, from: &Value) -> Result<(), String> {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (name, member) in from {
                match into.get_mut(name) {
                    Some(there) => merge(there, member)?,
                    None => drop(into.insert(name.clone(), member.clone())),
                }
            }
            Ok(())
        }
        _ => Err("data documents overlap".to_owned()),
    }
}

#[cfg(test)]
pub(crate) mod tests;
