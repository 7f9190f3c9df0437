//! From a folder to a policy: regular files only, bounded, checked with their own tests before they may decide.

use std::path::Path;

use countersign_pdp_engine::policy::{MAX_FILES, Policy, PolicySource, check_candidate};
use countersign_pdp_engine::snapshot::Snapshot;
use countersign_sdk_types::Revision;

/// The deepest folder that is read.
const DEEPEST: usize = 8;
const LARGEST: u64 = 64 * 1024 * 1024;

/// Loads, checks and compiles the policy in a folder.
///
/// # Errors
/// Every problem that was found, one a line.
pub fn load(folder: &Path, package: &str) -> Result<Snapshot, String> {
    let source = PolicySource::from_files(package, read(folder)?).map_err(|error| error.to_string())?;
    let report = check_candidate(&source);
    if !report.is_accepted() {
        return Err(format!(
            "the policy in `{}` is refused:\n{}",
            folder.display(),
            serde_json::to_string_pretty(&report).unwrap_or_default()
        ));
    }
    let policy = Policy::compile(&source).map_err(|error| error.to_string())?;
    let revision = Revision::new(source.digest().to_string()).map_err(|error| error.to_string())?;
    Ok(Snapshot::new(revision, policy))
}

/// Reads the files of a policy folder: path within it and content.
///
/// # Errors
/// When the folder cannot be read, or holds too much.
pub fn read(folder: &Path) -> Result<Vec<(String, Vec<u8>)>, String> {
    let mut files = Vec::new();
    collect(folder, "", 0, &mut files)?;
    Ok(files)
}

fn collect(folder: &Path, prefix: &str, depth: usize, files: &mut Vec<(String, Vec<u8>)>) -> Result<(), String> {
    if depth > DEEPEST {
        return Err(format!("`{}` is nested too deeply", folder.display()));
    }
    let failed = |error: std::io::Error| format!("cannot read `{}`: {error}", folder.display());
    let mut entries: Vec<_> = std::fs::read_dir(folder).and_then(Iterator::collect).map_err(failed)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().into_string().map_err(|_| format!("a file name in `{}` is not UTF-8", folder.display()))?;
        // The type of the entry itself: a symbolic link is neither a file nor a folder, so it is passed over.
        let kind = entry.file_type().map_err(failed)?;
        let path = format!("{prefix}{name}");
        if kind.is_dir() {
            collect(&entry.path(), &format!("{path}/"), depth + 1, files)?;
        } else if kind.is_file() && is_policy(&name) {
            let size = entry.metadata().map_err(failed)?.len();
            if size > LARGEST || files.len() >= MAX_FILES {
                return Err(format!("`{path}` is too large, or one file too many"));
            }
            files.push((path, std::fs::read(entry.path()).map_err(failed)?));
        }
    }
    Ok(())
}

fn is_policy(name: &str) -> bool {
    name.ends_with(".rego") || name == "data.json" || name == ".manifest"
}
