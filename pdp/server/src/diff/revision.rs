//! A revision of a policy as somebody names it: a folder, or a commit, branch or tag of a git repository.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use countersign_pdp_engine::policy::MAX_FILES;
use countersign_pdp_engine::snapshot::Snapshot;

use crate::policies::{self, Files};

/// The most bytes of a revision.
const LARGEST: u64 = 64 * 1024 * 1024;

/// Why a revision cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RevisionError {
    /// It is neither a folder nor known to git.
    #[error("`{name}` is no folder, and git knows no such revision: {said}")]
    Unknown {
        /// What was named.
        name: String,
        /// What git said.
        said: String,
    },
    /// It is both.
    #[error("`{0}` is a folder, and a revision that git knows: write `./{0}` for the folder, or the commit")]
    Ambiguous(String),
    /// It holds what no policy may hold.
    #[error("revision `{name}` is refused: {why}")]
    Refused {
        /// What was named.
        name: String,
        /// What is wrong.
        why: String,
    },
}

/// Where a policy is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revision {
    /// In a folder.
    Folder(PathBuf),
    /// In a commit of a repository, below a folder.
    Git {
        /// The repository.
        repository: PathBuf,
        /// Branch, tag or commit.
        name: String,
        /// The folder of the policy in the commit; empty for the top.
        within: String,
    },
}

impl Revision {
    /// A folder of that name, if there is one; else a revision of the repository.
    ///
    /// # Errors
    /// When it may be either: whoever proposes a change must not decide by a folder named `main` what it is compared with.
    pub fn named(name: &str, repository: &Path, within: &str) -> Result<Self, RevisionError> {
        let folder = PathBuf::from(name);
        if !folder.is_dir() {
            return Ok(Self::Git { repository: repository.to_owned(), name: name.to_owned(), within: within.trim_matches('/').to_owned() });
        }
        let is_path = name.starts_with(['.', '/']);
        if !is_path && Git(repository).ask(&["ls-tree", "--full-tree", "--end-of-options", name], "", LARGEST).is_ok() {
            return Err(RevisionError::Ambiguous(name.to_owned()));
        }
        Ok(Self::Folder(folder))
    }

    /// Reads, checks and compiles it, as before activation.
    ///
    /// # Errors
    /// Every problem that was found.
    pub fn load(&self, package: &str) -> Result<Snapshot, String> {
        match self {
            Self::Folder(folder) => policies::load(folder, package),
            Self::Git { name, .. } => {
                let files = self.files().map_err(|error| error.to_string())?;
                policies::load_files(&format!("revision `{name}`"), files, package)
            }
        }
    }

    /// The files of a commit, as its tree has them: nothing is checked out, and no attribute, hook or filter of the repository has a say.
    fn files(&self) -> Result<Files, RevisionError> {
        let Self::Git { repository, name, within } = self else { return Ok(Files::new()) };
        let refused = |why: String| RevisionError::Refused { name: name.clone(), why };
        let tree = if within.is_empty() { name.clone() } else { format!("{name}:{within}") };
        let git = Git(repository);
        let listed = git.ask(&["ls-tree", "-r", "-z", "-l", "--full-tree", "--end-of-options", &tree], "", LARGEST);
        let listed = listed.map_err(|said| RevisionError::Unknown { name: name.clone(), said })?;
        let listed = String::from_utf8(listed).map_err(|_| refused("a file name is not UTF-8".to_owned()))?;
        let blobs = listed.split_terminator('\0').filter_map(|line| Blob::read(line).transpose());
        let blobs = blobs.collect::<Result<Vec<Blob>, String>>().map_err(refused)?;
        if blobs.len() > MAX_FILES {
            return Err(refused(format!("there are more than {MAX_FILES} files")));
        }
        if blobs.iter().map(|blob| blob.size).sum::<u64>() > LARGEST {
            return Err(refused(format!("its files are larger than {} MiB together", LARGEST >> 20)));
        }
        let wanted = blobs.iter().fold(String::new(), |all, blob| all + blob.id + "\n");
        let contents = git.ask(&["cat-file", "--batch"], &wanted, 2 * LARGEST).map_err(refused)?;
        let mut rest = contents.as_slice();
        blobs.iter().map(|blob| Ok((blob.path.to_owned(), blob.content(&mut rest)?))).collect::<Result<_, String>>().map_err(refused)
    }
}

/// The program, on one repository.
struct Git<'a>(&'a Path);

impl Git<'_> {
    /// What it answers, when it is content; else the first line that it says.
    fn ask(&self, arguments: &[&str], input: &str, most: u64) -> Result<Vec<u8>, String> {
        let mut command = Command::new("git");
        // A repository can say where objects that it lacks come from, and by what command: nothing is fetched, from nowhere. Nor may it show one object for
        // another.
        command.env("GIT_NO_LAZY_FETCH", "1").env("GIT_ALLOW_PROTOCOL", "none").env("GIT_NO_REPLACE_OBJECTS", "1");
        command.arg("-C").arg(self.0).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("git cannot be run: {error}"))?;
        let (mut answer, stdin) = (Vec::new(), child.stdin.take());
        // Ids of at most [`MAX_FILES`] files: they fit into the pipe, so nobody waits for anybody.
        let sent = stdin.map_or(Ok(()), |mut stdin| stdin.write_all(input.as_bytes()));
        let read = child.stdout.take().map_or(Ok(0), |stdout| stdout.take(most + 1).read_to_end(&mut answer));
        let ended = child.wait_with_output().map_err(|error| error.to_string())?;
        if !ended.status.success() {
            return Err(String::from_utf8_lossy(&ended.stderr).lines().next().unwrap_or("it failed").to_owned());
        }
        sent.and(read).map_err(|error| error.to_string())?;
        if answer.len() as u64 > most { Err("it holds too much".to_owned()) } else { Ok(answer) }
    }
}

/// A file of a tree.
struct Blob<'a> {
    id: &'a str,
    size: u64,
    path: &'a str,
}

impl<'a> Blob<'a> {
    /// A line of `ls-tree -l`: mode, type, id, size, a tab, and the path. Nothing for what is no part of a policy; a link is refused, because what it means
    /// is not in the commit.
    fn read(line: &'a str) -> Result<Option<Self>, String> {
        let strange = || format!("git lists what is not understood: `{line}`");
        let (about, path) = line.split_once('\t').ok_or_else(strange)?;
        let mut about = about.split_ascii_whitespace();
        let (mode, kind, id, size) = (about.next(), about.next(), about.next(), about.next());
        if !policies::is_policy(path) || kind != Some("blob") {
            return Ok(None);
        }
        if !matches!(mode, Some("100644" | "100755")) {
            return Err(format!("`{path}` is no regular file"));
        }
        let size = size.and_then(|size| size.parse().ok()).ok_or_else(strange)?;
        Ok(Some(Self { id: id.ok_or_else(strange)?, size, path }))
    }

    /// Its content, from the front of what `cat-file --batch` answers: a line with id, type and size, the bytes, and a line end.
    fn content(&self, rest: &mut &[u8]) -> Result<Vec<u8>, String> {
        let strange = || format!("git gives no content of `{}`", self.path);
        let head = format!("{} blob {}\n", self.id, self.size);
        let after = rest.strip_prefix(head.as_bytes()).ok_or_else(strange)?;
        let size = usize::try_from(self.size).map_err(|_| strange())?;
        let (content, after) = after.split_at_checked(size).ok_or_else(strange)?;
        *rest = after.strip_prefix(b"\n").ok_or_else(strange)?;
        Ok(content.to_vec())
    }
}
