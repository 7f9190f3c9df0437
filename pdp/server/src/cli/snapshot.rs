//! Signed snapshots, for who decides in-process: made from a configuration, and looked at.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Subcommand;
use countersign_pdp_engine::identify::{Issuers, ProofRules};
use countersign_pdp_engine::keys::NamedKey;
use countersign_pdp_engine::record::rfc3339;
use countersign_pdp_engine::sealed::{LONGEST, Sealed};
use countersign_pdp_engine::snapshot::Snapshot;
use countersign_sdk_types::Timestamp;

use super::{CONFIGURATION, COULD_NOT, fail, runtime, say};
use crate::adapter::authzen::offered;
use crate::clock;
use crate::config::Config;
use crate::edge::Around;
use crate::files;
use crate::key_sets::{KeySets, Timing};
use crate::metrics::Metrics;
use crate::serve::Parts;

/// What is done with snapshots.
#[derive(Debug, Subcommand)]
pub(super) enum SnapshotCommand {
    /// Sign everything that decides and that is about no single subject as one document. Opens no store and no listener.
    Export {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
        /// The enforcement point that the snapshot is for.
        #[arg(long)]
        pep: String,
        /// The file to write; standard output where none is named.
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Check the signature of a snapshot by a key, and say what is in it.
    Show {
        /// The snapshot.
        file: PathBuf,
        /// The public key, PEM.
        #[arg(long)]
        key: PathBuf,
    },
}

/// The largest key file.
const LARGEST_KEY: u64 = 64 * 1024;

pub(super) fn run(command: SnapshotCommand) -> ExitCode {
    match command {
        SnapshotCommand::Export { config, pep, out } => match Config::load(&config) {
            Err(error) => fail(CONFIGURATION, &error.to_string()),
            Ok(config) => match export(config, &pep).and_then(|text| deliver(&text, out.as_deref())) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => fail(COULD_NOT, &error),
            },
        },
        SnapshotCommand::Show { file, key } => match show(&file, &key) {
            Ok(text) => say(&text),
            Err(error) => fail(COULD_NOT, &error),
        },
    }
}

fn export(config: Config, pep: &str) -> Result<String, String> {
    let parts = Parts::load_aside(config)?;
    let enforcer = parts.enforcers.iter().find(|enforcer| enforcer.pep.id.as_str() == pep);
    let pep = enforcer.ok_or_else(|| format!("no `[[pep]]` has the id `{pep}`"))?.pep.clone();
    let key = parts.snapshot_terms.signing_key.clone().ok_or("`snapshot.signing_key_file` names no key")?;
    let keys = KeySets::new(parts.issuers, parts.key_sources, Timing::default(), Arc::new(Metrics::new()));
    runtime()?.block_on(keys.load());
    keys.ready()?;
    let first = parts.policy.offered()?;
    let max_age = parts.step_up.as_ref().map_or(first.max_age, |step_up| step_up.max_age);
    let snapshot = Snapshot { weights: parts.weights, max_age, budget: parts.patience.policy, ..first };
    let around = Around {
        tenant: &parts.tenant,
        rules: &parts.rules,
        claims: &parts.claim_maps,
        lease: &parts.lease,
        obligations: &offered(&parts.authzen.obligations),
        audit: parts.audit,
        consistency: None,
        server: None,
    };
    let proofs = ProofRules { since: Timestamp(0), ..parts.proofs.rules };
    let sealed = around.seal(&snapshot, &pep, Issuers::clone(&keys.current()), proofs, &parts.snapshot_terms, clock::now());
    sealed.sign(&key).map_err(|error| error.to_string())
}

fn deliver(text: &str, out: Option<&Path>) -> Result<(), String> {
    match out {
        Some(file) => std::fs::write(file, text).map_err(|error| format!("cannot write `{}`: {error}", file.display())),
        None => std::io::stdout().write_all(text.as_bytes()).map_err(|error| error.to_string()),
    }
}

fn show(file: &Path, key: &Path) -> Result<String, String> {
    let read = |file: &Path, most| files::read(file, most).map_err(|error| format!("cannot read `{}`: {error}", file.display()));
    let key = NamedKey::public(&read(key, LARGEST_KEY)?).map_err(|error| error.to_string())?;
    let text = String::from_utf8(read(file, LONGEST as u64)?).map_err(|error| error.to_string())?;
    let sealed = Sealed::open(&text, &key, clock::now()).map_err(|error| error.to_string())?;
    let issuers: Vec<String> = sealed.issuers.by_iss.iter().map(|(iss, issuer)| format!("{iss} ({} keys)", issuer.keys.len())).collect();
    Ok(format!(
        "tenant      {}\nfor         {}\nrevision    {}\nmade        {}\nexpires     {}\npolicy      {} files, package `{}`\nissuers     {}\nedge        \
         risk below {}, never {:?}",
        sealed.tenant,
        sealed.pep.id,
        sealed.revision,
        rfc3339(sealed.made),
        rfc3339(sealed.expires),
        sealed.policy.files.len(),
        sealed.policy.package,
        issuers.join(", "),
        sealed.edge.risk_below,
        sealed.edge.never,
    ))
}
