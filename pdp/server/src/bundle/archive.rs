//! The `.tar.gz` of a bundle as bytes in memory: regular files with names that belong into a bundle, once each, within bounds. Nothing is ever
//! unpacked, and nothing is passed over in silence: what two readers could read differently is refused.

use std::collections::BTreeSet;
use std::io::{Error, ErrorKind, Read};

use flate2::bufread::GzDecoder;
use tar::{Archive, Entry, EntryType, PaxExtensions};

use crate::policies::Files;

/// The most bytes of an archive as it is fetched.
pub(crate) const LARGEST: usize = 16 * 1024 * 1024;
/// The most bytes that it may become.
const LARGEST_INFLATED: u64 = 64 * 1024 * 1024;
/// How often it may be larger than what was fetched, once it is larger than [`GRACE`]: text reaches 30, a bomb 1,029.
const LARGEST_RATIO: u64 = 100;
const GRACE: u64 = 1024 * 1024;
/// The most entries, folders included.
const MOST_ENTRIES: usize = 5_000;
/// The longest name, and the most folders in it.
const LONGEST_NAME: usize = 512;
const DEEPEST: usize = 16;
/// The most bytes of a header that extends the next one.
const LARGEST_EXTENSION: u64 = 8 * 1024;

/// Why an archive is no bundle.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArchiveError {
    #[error("archive is larger than {} MiB", LARGEST >> 20)]
    TooLarge,
    #[error("archive inflates to more than {} MiB, or to more than {LARGEST_RATIO} times its size", LARGEST_INFLATED >> 20)]
    Bomb,
    #[error("archive cannot be read as `.tar.gz`: {0}")]
    Broken(Error),
    #[error("archive has more than {MOST_ENTRIES} entries")]
    TooMany,
    #[error("name of an entry is not UTF-8, or is longer than {LONGEST_NAME} bytes")]
    Name,
    #[error("`{0}` is not a path within the bundle")]
    Path(String),
    #[error("`{0}` is there twice, or differs from another name by case alone")]
    Repeated(String),
    #[error("`{0}` is {1}; a bundle has regular files only")]
    Kind(String, &'static str),
    #[error("`{0}` would set the user or group of who runs it")]
    SetUser(String),
    #[error("`{0}` extends its header with `{1}`, by which readers would differ")]
    Extension(String, String),
    #[error("`{0}` {1}")]
    Unwanted(String, &'static str),
    #[error("`{0}` ends before its announced size")]
    Short(String),
    #[error("something follows the end of the archive")]
    Trailing,
}

/// The files of an archive, in its order.
pub(crate) fn read(compressed: &[u8]) -> Result<Files, ArchiveError> {
    if compressed.len() > LARGEST {
        return Err(ArchiveError::TooLarge);
    }
    let most = (compressed.len() as u64).saturating_mul(LARGEST_RATIO).clamp(GRACE, LARGEST_INFLATED);
    let mut archive = Archive::new(Bounded { inner: GzDecoder::new(compressed), left: most, is_spent: false });
    let read = entries(&mut archive);
    let mut rest = archive.into_inner();
    let read = read.and_then(|files| ended(&mut rest).map(|()| files));
    if rest.is_spent { Err(ArchiveError::Bomb) } else { read }
}

fn entries(archive: &mut Archive<impl Read>) -> Result<Files, ArchiveError> {
    let mut gathered = Gathered::default();
    // Raw: extensions are read here, where a size in one of them cannot shift what follows.
    for entry in archive.entries().map_err(broken)?.raw(true) {
        gathered.take(&mut entry.map_err(broken)?)?;
    }
    match gathered.long_name {
        None => Ok(gathered.files),
        Some(name) => Err(ArchiveError::Short(name)),
    }
}

/// What was read so far.
#[derive(Default)]
struct Gathered {
    files: Files,
    /// In lower case, since some file systems do not tell case apart.
    names: BTreeSet<String>,
    entries: usize,
    /// The name of the next entry, where its own header has no room for it.
    long_name: Option<String>,
}

impl Gathered {
    fn take(&mut self, entry: &mut Entry<'_, impl Read>) -> Result<(), ArchiveError> {
        self.entries += 1;
        if self.entries > MOST_ENTRIES {
            return Err(ArchiveError::TooMany);
        }
        let kind = entry.header().entry_type();
        match kind {
            EntryType::XGlobalHeader => pax_name(&content(entry, LARGEST_EXTENSION)?).map(drop),
            EntryType::XHeader => {
                self.long_name = pax_name(&content(entry, LARGEST_EXTENSION)?)?.or(self.long_name.take());
                Ok(())
            }
            EntryType::GNULongName => {
                let bytes = content(entry, LARGEST_EXTENSION)?;
                let bytes = bytes.strip_suffix(b"\0").unwrap_or(&bytes);
                self.long_name = Some(utf8(bytes)?);
                Ok(())
            }
            _ => self.take_named(entry, kind),
        }
    }

    fn take_named(&mut self, entry: &mut Entry<'_, impl Read>, kind: EntryType) -> Result<(), ArchiveError> {
        let name = self.long_name.take().map_or_else(|| utf8(&entry.path_bytes()), Ok)?;
        let path = within(&name)?;
        let is_folder = kind == EntryType::Directory;
        if let Some(what) = unwanted_kind(kind) {
            return Err(ArchiveError::Kind(name, what));
        }
        if entry.header().mode().map_err(broken)? & 0o6000 != 0 {
            return Err(ArchiveError::SetUser(name));
        }
        if path.is_empty() {
            return if is_folder { Ok(()) } else { Err(ArchiveError::Path(name)) };
        }
        if !self.names.insert(path.to_lowercase()) {
            return Err(ArchiveError::Repeated(name));
        }
        if is_folder {
            return Ok(());
        }
        if let Some(why) = unwanted_name(&path) {
            return Err(ArchiveError::Unwanted(name, why));
        }
        self.files.push((path, content(entry, LARGEST_INFLATED)?));
        Ok(())
    }
}

const fn unwanted_kind(kind: EntryType) -> Option<&'static str> {
    match kind {
        EntryType::Regular | EntryType::Directory => None,
        EntryType::Symlink => Some("a symbolic link"),
        EntryType::Link => Some("a hard link"),
        EntryType::Fifo => Some("a pipe"),
        EntryType::Char | EntryType::Block => Some("a device"),
        EntryType::GNUSparse => Some("a sparse file"),
        _ => Some("of a kind that is not known"),
    }
}

/// What does not belong into a bundle, and what to do about it.
fn unwanted_name(path: &str) -> Option<&'static str> {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    match name {
        ".manifest" | ".signatures.json" if folder.is_empty() => None,
        "data.json" => None,
        _ if name.len() > ".rego".len() && name.ends_with(".rego") => None,
        "data.yaml" | "data.yml" => Some("is YAML, which is not read here: give the document as `data.json`"),
        "policy.wasm" => Some("is compiled: build the bundle with the target `rego`"),
        "plan.json" => Some("is a plan: build the bundle with the target `rego`"),
        "patch.json" => Some("makes this a delta bundle; snapshots only are taken"),
        _ => Some(
            "does not belong into a bundle: `data.json`, `*.rego`, `.manifest` and `.signatures.json` do, which is what `opa build` writes",
        ),
    }
}

/// The path within the bundle. `opa build` writes `/data.json` and `tar` writes `./data.json`, so one of these is taken off; the rest must be plain.
fn within(name: &str) -> Result<String, ArchiveError> {
    let bare = name.strip_prefix("./").or_else(|| name.strip_prefix('/')).unwrap_or(name);
    let bare = bare.strip_suffix('/').unwrap_or(bare);
    let steps: Vec<&str> = if bare.is_empty() || bare == "." { Vec::new() } else { bare.split('/').collect() };
    let plain = |step: &&str| {
        let step = *step;
        let dots = matches!(step, "" | "." | "..");
        !dots && !step.contains('\\') && !step.contains(':') && !step.chars().any(char::is_control) && !step.ends_with([' ', '.'])
    };
    if steps.len() > DEEPEST || !steps.iter().all(plain) {
        return Err(ArchiveError::Path(name.to_owned()));
    }
    Ok(steps.join("/"))
}

fn utf8(bytes: &[u8]) -> Result<String, ArchiveError> {
    let name = std::str::from_utf8(bytes).map_err(|_| ArchiveError::Name)?;
    if name.len() > LONGEST_NAME { Err(ArchiveError::Name) } else { Ok(name.to_owned()) }
}

/// The whole of an entry. What its header announces is believed only after it was read.
fn content(entry: &mut Entry<'_, impl Read>, most: u64) -> Result<Vec<u8>, ArchiveError> {
    let named = || String::from_utf8_lossy(&entry.path_bytes()).into_owned();
    let size = entry.header().entry_size().map_err(broken)?;
    if size > most {
        return Err(ArchiveError::Bomb);
    }
    let name = named();
    let mut bytes = Vec::new();
    entry.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(broken)?;
    if bytes.len() as u64 == size { Ok(bytes) } else { Err(ArchiveError::Short(name)) }
}

/// The name in a PAX header (POSIX.1-2001), and nothing in it that changes what the next entry is.
fn pax_name(content: &[u8]) -> Result<Option<String>, ArchiveError> {
    let mut name = None;
    for record in PaxExtensions::new(content) {
        let record = record.map_err(broken)?;
        match record.key_bytes() {
            b"path" => name = Some(utf8(record.value_bytes())?),
            key if key == b"size" || key == b"linkpath" || key.starts_with(b"GNU.sparse") => {
                let key = String::from_utf8_lossy(key).into_owned();
                return Err(ArchiveError::Extension(name.unwrap_or_default(), key));
            }
            _ => {}
        }
    }
    Ok(name)
}

/// Reads to the end, which checks the sum of the gzip stream: padding only, in both layers.
fn ended(rest: &mut Bounded<GzDecoder<&[u8]>>) -> Result<(), ArchiveError> {
    let mut buffer = [0; 4096];
    loop {
        match rest.read(&mut buffer).map_err(broken)? {
            0 => break,
            count if buffer.iter().take(count).any(|byte| *byte != 0) => return Err(ArchiveError::Trailing),
            _ => {}
        }
    }
    if rest.inner.get_ref().is_empty() { Ok(()) } else { Err(ArchiveError::Trailing) }
}

const fn broken(error: Error) -> ArchiveError {
    ArchiveError::Broken(error)
}

/// Fails, instead of ending, where more comes than may.
struct Bounded<R> {
    inner: R,
    left: u64,
    is_spent: bool,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let count = self.inner.read(buffer)?;
        let Some(left) = self.left.checked_sub(count as u64) else {
            self.is_spent = true;
            return Err(Error::new(ErrorKind::InvalidData, "too much"));
        };
        self.left = left;
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
