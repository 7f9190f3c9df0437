//! One changed file among very many: how long from the moment that the source has it until it decides.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::line::Line;
use super::millis;
use super::scene::{PEP, Scene, question};
use crate::git_host::GitHost;
use crate::git_host::author::Author;
use crate::http;
use crate::process::free_ports;

/// Longer is never waited.
const PATIENCE: Duration = Duration::from_secs(60);
/// What opens the webhook.
const WEBHOOK: &str = "webhook-secret-of-this-measurement";

/// What is to be done.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Files of the policy.
    pub files: u32,
    /// Changes, one after the other.
    pub changes: u32,
}

/// How long until the first decision by the new revision, in milliseconds.
#[derive(Debug, Clone, Serialize)]
pub struct Delay {
    /// Half of them took no longer.
    pub p50_ms: f64,
    /// The longest.
    pub max_ms: f64,
    /// Each, in order.
    pub all_ms: Vec<f64>,
    /// One decision by so many files, at the median.
    pub decision_ms: f64,
}

/// A folder: from the new file in it.
///
/// # Errors
/// What went wrong, in words.
///
/// # Panics
/// When a part is missing or does not start.
pub async fn by_folder(options: Options) -> Result<Delay, String> {
    let folder = tempfile::tempdir().unwrap();
    write_all(&folder.path().join("policy"), options.files);
    let scene = Scene::of(folder, "path = \"policy\"\n", &[]);
    let policy = scene.folder.path().join("policy");
    let aside = scene.folder.path().join("aside.rego");
    measure(&scene, options, |at| {
        fs::write(&aside, rule(at, true)).map_err(|error| error.to_string())?;
        let begun = Instant::now();
        fs::rename(&aside, policy.join(name(at))).map_err(|error| error.to_string())?;
        Ok(begun)
    })
    .await
}

/// A git repository over HTTP, with signed commits and a webhook: from the moved branch.
///
/// # Errors
/// What went wrong, in words.
///
/// # Panics
/// When a part is missing or does not start.
pub async fn by_git(options: Options) -> Result<Delay, String> {
    let folder = tempfile::tempdir().unwrap();
    let top = folder.path().to_owned();
    let (host, author) = (GitHost::start(&top), Author::new(&top, "author"));
    let bare = host.create("policies.git");
    author.git(&top, &["clone", "-q", &host.push_url("policies.git"), "work"]);
    let work = top.join("work");
    write_all(&work.join("policy"), options.files);
    author.commit(&work, "all of it");
    author.git(&work, &["push", "-q", "origin", "HEAD:main"]);
    fs::write(top.join("signers"), author.allowed("namespaces=\"git\"")).unwrap();
    fs::write(top.join("webhook"), WEBHOOK).unwrap();
    fs::write(top.join("operator"), "operator-secret-of-this-measurement").unwrap();
    let [control] = free_ports();
    let settings = format!(
        "git = \"{}\"\nbranch = \"main\"\nwithin = \"policy\"\nallowed_signers = \"signers\"\nwebhook_secret_file = \"webhook\"\n\
         [[operator]]\nname = \"operator\"\nsecret_file = \"operator\"\n",
        host.url("policies.git")
    );
    let scene = Scene::of(folder, &settings, &[control]);
    let hook = format!("http://127.0.0.1:{control}/countersign/v1/policies/webhook");
    let delay = measure(&scene, options, |at| {
        fs::write(work.join("policy").join(name(at)), rule(at, true)).map_err(|error| error.to_string())?;
        let commit = author.commit(&work, "one file");
        // The objects are there beforehand, so that what is measured begins when the branch moves.
        author.git(&work, &["push", "-q", "origin", "HEAD:refs/heads/next"]);
        let begun = Instant::now();
        author.git(&bare, &["update-ref", "refs/heads/main", &commit]);
        let answer = http::try_send("POST", &hook, &[("x-gitlab-token", WEBHOOK)], Some(&serde_json::json!({})))?;
        if answer.status == 202 { Ok(begun) } else { Err(format!("the webhook answers {answer:?}")) }
    })
    .await;
    drop(host);
    delay
}

/// Changes one file after the other and asks until its rule decides.
async fn measure(scene: &Scene, options: Options, change: impl Fn(u32) -> Result<Instant, String>) -> Result<Delay, String> {
    let mut line = Line::open(scene.decision, PEP).await.map_err(|error| error.to_string())?;
    let (mut all_ms, mut decisions) = (Vec::new(), Vec::new());
    for at in 1..=options.changes {
        let at = at * 7 % options.files;
        if !is_allowed(&mut line, at, &mut decisions).await? {
            return Err(format!("resource {at} is closed before its rule"));
        }
        let begun = change(at)?;
        while is_allowed(&mut line, at, &mut decisions).await? {
            if begun.elapsed() > PATIENCE {
                return Err(format!("the change is not live after {PATIENCE:?}:\n{}", scene.output()));
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        all_ms.push(millis(begun.elapsed()));
    }
    let median = |all: &[f64]| {
        let mut sorted = all.to_vec();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or_default()
    };
    Ok(Delay { p50_ms: median(&all_ms), max_ms: all_ms.iter().copied().fold(0.0, f64::max), decision_ms: median(&decisions), all_ms })
}

async fn is_allowed(line: &mut Line, at: u32, decisions: &mut Vec<f64>) -> Result<bool, String> {
    let begun = Instant::now();
    let (status, body) = line.ask(&question(at, &format!("resource-{at}"))).await.map_err(|error| error.to_string())?;
    decisions.push(millis(begun.elapsed()));
    let answer: serde_json::Value = serde_json::from_str(&body).map_err(|_| format!("status {status}: {body}"))?;
    match (answer["decision"].as_bool(), answer["context"]["reason"].as_str()) {
        (Some(true), _) => Ok(true),
        (Some(false), Some("policy_denied")) => Ok(false),
        _ => Err(format!("status {status}: {body}")),
    }
}

/// The starter policy's rules and data, and a rule of its own for each resource, in as many files.
fn write_all(policy: &Path, files: u32) {
    fs::create_dir_all(policy.join("rules")).unwrap();
    let starter = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies/starter");
    for file in ["access.rego", "data.json"] {
        fs::copy(starter.join(file), policy.join(file)).unwrap();
    }
    (0..files.saturating_sub(2)).for_each(|at| fs::write(policy.join(name(at)), rule(at, false)).unwrap());
}

fn name(at: u32) -> PathBuf {
    Path::new("rules").join(format!("resource_{at}.rego"))
}

/// A rule by which one resource is closed, or not.
fn rule(at: u32, is_closed: bool) -> String {
    let actions = if is_closed { "{\"read\", \"export\"}" } else { "{\"export\"}" };
    format!(
        "package authz\n\nimport rego.v1\n\n# METADATA\n# title: What resource {at} is closed for\n\
         refusals contains \"resource {at} is closed\" if {{\n\tinput.resource.id == \"resource-{at}\"\n\tinput.action.name in {actions}\n}}\n"
    )
}
