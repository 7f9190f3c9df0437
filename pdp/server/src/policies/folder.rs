//! A policy folder as bytes: regular files only, bounded, and a cheap way to see that nothing changed.

use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use countersign_pdp_engine::policy::{MAX_FILES, is_cases};
use countersign_sdk_types::Digest;

/// The deepest folder that is read.
pub(crate) const DEEPEST: usize = 8;
/// The most bytes of a whole folder.
pub(crate) const LARGEST: u64 = 64 * 1024 * 1024;

/// Path within the folder and content of each file.
pub type Files = Vec<(String, Vec<u8>)>;

/// One file as its folder lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    path: String,
    at: PathBuf,
    size: u64,
    stamp: Stamp,
}

/// Changes with the content: the inode when a file is replaced, the change time, which nobody can set back, when it is written to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    changed: (i64, i64),
}

/// Reads the files of a policy folder.
///
/// # Errors
/// When the folder cannot be read, or holds too much.
pub fn read(folder: &Path) -> Result<Files, String> {
    let mut left = LARGEST;
    list(folder)?.iter().map(|listed| Ok((listed.path.clone(), content(listed, &mut left)?))).collect()
}

/// Lists the files of a policy folder in order, without opening one.
pub(crate) fn list(folder: &Path) -> Result<Vec<Listed>, String> {
    let mut files = Vec::new();
    collect(folder, "", 0, &mut files)?;
    Ok(files)
}

/// A name for exactly these bytes under these paths.
pub(crate) fn digest(files: &Files) -> Digest {
    let mut hasher = blake3::Hasher::new_derive_key("countersign policy folder 1");
    for part in files.iter().flat_map(|(path, bytes)| [path.as_bytes(), bytes]) {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
    }
    Digest(*hasher.finalize().as_bytes())
}

fn collect(folder: &Path, prefix: &str, depth: usize, files: &mut Vec<Listed>) -> Result<(), String> {
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
            if files.len() >= MAX_FILES {
                return Err(format!("`{path}` is one file too many"));
            }
            let metadata = entry.metadata().map_err(failed)?;
            let stamp = Stamp { inode: metadata.ino(), changed: (metadata.ctime(), metadata.ctime_nsec()) };
            files.push(Listed { path, at: entry.path(), size: metadata.len(), stamp });
        }
    }
    Ok(())
}

/// Reads no more than is left, also of a file that grows meanwhile.
fn content(listed: &Listed, left: &mut u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = std::fs::File::open(&listed.at).and_then(|file| file.take(*left + 1).read_to_end(&mut bytes));
    read.map_err(|error| format!("cannot read `{}`: {error}", listed.path))?;
    *left = left.checked_sub(bytes.len() as u64).ok_or_else(|| format!("`{}` makes the folder too large", listed.path))?;
    Ok(bytes)
}

/// Whether a file of this path is part of a policy.
pub(crate) fn is_policy(path: &str) -> bool {
    let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
    name.ends_with(".rego") || name == "data.json" || name == ".manifest" || is_cases(name)
}
