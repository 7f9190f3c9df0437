//! One repository on this disk, object by object. Each is measured before it is decoded, and is what its id says, whatever the store claims.

use std::fmt;
use std::path::{Path, PathBuf};

use gix::ObjectId;
use gix::discover::upwards;
use gix::objs::{CommitRef, Kind, TagRef, TreeRefIter};
use gix::sec::Trust;

use super::Follow;
use super::names::{self, shown};
use countersign_pdp_engine::policy::MAX_FILES;

use crate::policies::{DEEPEST, Files, LARGEST, is_policy};

/// The most bytes of a commit or a tag, and of a tree.
const LARGEST_TEXT: u64 = 1024 * 1024;
const LARGEST_TREE: u64 = 8 * 1024 * 1024;
/// The most entries that are looked at for one policy.
const MAX_ENTRIES: usize = 50_000;
/// What of the repository's own is not asked: its replacements and its commit graph. No object, nor the base of a delta, may take more than this.
const OVERRIDES: [&str; 3] = ["core.useReplaceRefs=false", "core.commitGraph=false", "gitoxide.objects.allocLimit=134217728"];

const MODE_TREE: u16 = 0o040_000;
const MODE_FILES: [u16; 2] = [0o100_644, 0o100_755];
const MODE_LINK: u16 = 0o120_000;
const MODE_SUBMODULE: u16 = 0o160_000;

/// Why something cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GitError {
    /// There is no repository that could be read.
    #[error("`{}` is no git repository that can be read: {why}", path.display())]
    Repository {
        /// Where it should be.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A name that leads to nothing.
    #[error("{0}")]
    Unknown(String),
    /// An object that is not there, or not what its id says.
    #[error("{0}")]
    Damaged(String),
    /// It took too long to say.
    #[error("{0}")]
    Late(String),
    /// It holds what no policy may hold.
    #[error("{0}")]
    Refused(String),
}

/// The id of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct CommitId(pub(super) ObjectId);

impl CommitId {
    /// A full id: 40 hexadecimal digits.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        (text.len() == 40).then(|| ObjectId::from_hex(text.as_bytes()).ok().map(Self)).flatten()
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// A commit as its object says it.
#[derive(Debug)]
pub(crate) struct Commit {
    pub(super) tree: ObjectId,
    pub(super) parents: Vec<CommitId>,
    /// When it was made, in seconds, by its own word.
    pub(super) made: i64,
    /// By their own word.
    pub(super) author: String,
    /// The first line of the message.
    pub(super) title: String,
    /// The object, whole.
    pub(super) raw: Vec<u8>,
}

/// A tag that is an object.
#[derive(Debug)]
pub(crate) struct Tag {
    pub(super) name: String,
    pub(super) commit: CommitId,
    pub(super) raw: Vec<u8>,
}

/// A repository.
#[derive(Debug)]
pub(crate) struct Repository(pub(super) gix::Repository);

impl Repository {
    /// A bare store, or the folder that holds `.git`.
    ///
    /// # Errors
    /// When there is none, or it borrows objects from elsewhere.
    pub(crate) fn open(path: &Path) -> Result<Self, GitError> {
        Self::own(path, options().open(path))
    }

    /// The same from any folder of its work tree.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(crate) fn discover(folder: &Path) -> Result<Self, GitError> {
        let trust = upwards::Options { trust: upwards::TrustPolicy::Assume(Trust::Reduced), ..upwards::Options::default() };
        let opened =
            gix::ThreadSafeRepository::discover_opts(folder, trust, gix::sec::trust::Mapping { full: options(), reduced: options() });
        Self::own(folder, opened)
    }

    fn own(path: &Path, opened: Result<gix::ThreadSafeRepository, gix::Error>) -> Result<Self, GitError> {
        let failed = |why: String| GitError::Repository { path: path.to_owned(), why };
        let repository = opened.map_err(|error| failed(causes(&error)))?.to_thread_local();
        let borrows = repository.objects.store_ref().alternate_db_paths().map_err(|error| failed(causes(&error)))?;
        if !borrows.is_empty() {
            return Err(failed("it borrows objects of another repository (`objects/info/alternates`)".to_owned()));
        }
        Ok(Self(repository))
    }

    /// Where it lies: its store, what it shares of another one, and its work tree.
    pub(crate) fn folders(&self) -> impl Iterator<Item = &Path> {
        [self.0.git_dir(), self.0.common_dir()].into_iter().chain(self.0.workdir())
    }

    /// What a name stands for: a branch, a tag, a commit, `main~3`.
    ///
    /// # Errors
    /// When it stands for no commit.
    pub(crate) fn resolve(&self, name: &str) -> Result<CommitId, GitError> {
        let named = self.0.rev_parse_single(name).map_err(|error| GitError::Unknown(causes(&error)))?;
        self.peel(named.detach()).map(|(_, commit)| commit)
    }

    /// What a reference points to: a commit, or a tag that is an object.
    ///
    /// # Errors
    /// When there is none of that name.
    pub(crate) fn reference(&self, name: &str) -> Result<ObjectId, GitError> {
        let unknown = |why: String| GitError::Unknown(format!("there is no `{}`{why}", shown(name)));
        let found = self.0.try_find_reference(name).map_err(|error| unknown(format!(": {}", causes(&error))))?;
        let mut found = found.ok_or_else(|| unknown(String::new()))?;
        found.follow_to_object().map(gix::Id::detach).map_err(|error| unknown(format!(": {}", causes(&error))))
    }

    /// What is followed, where it points to.
    ///
    /// # Errors
    /// When there is none of that name.
    pub(crate) fn followed(&self, follow: &Follow) -> Result<ObjectId, GitError> {
        match (follow, follow.reference()) {
            (_, Some(name)) => self.reference(&name),
            (Follow::Commit(id) | Follow::Branch(id) | Follow::Tag(id), None) => {
                CommitId::parse(id).map(|id| id.0).ok_or_else(|| GitError::Unknown(format!("`{}` is no full id of a commit", shown(id))))
            }
        }
    }

    /// From what a reference points to, to the tag, where it is an object, and the commit.
    ///
    /// # Errors
    /// When it is neither, or is not there.
    pub(crate) fn peel(&self, id: ObjectId) -> Result<(Option<Tag>, CommitId), GitError> {
        match self.kind(id)? {
            Kind::Commit => Ok((None, CommitId(id))),
            Kind::Tag => self.tag(id).map(|tag| (tag.commit, Some(tag))).map(|(commit, tag)| (tag, commit)),
            Kind::Tree | Kind::Blob => Err(GitError::Refused(format!("`{id}` is no commit"))),
        }
    }

    pub(super) fn commit(&self, id: CommitId) -> Result<Commit, GitError> {
        let raw = self.object(id.0, Kind::Commit, LARGEST_TEXT)?;
        let commit = CommitRef::from_bytes(&raw, self.0.object_hash()).map_err(|error| damaged(id.0, &error))?;
        let (tree, parents) = (commit.tree(), commit.parents().map(CommitId).collect::<Vec<_>>());
        let author = commit.author().map_or_else(|_| String::new(), |author| line(author.name));
        let title = line(commit.message.split(|byte| *byte == b'\n').find(|line| !line.is_empty()).unwrap_or_default());
        let made = commit.committer().ok().and_then(|committer| committer.time().ok()).map_or(0, |time| time.seconds);
        drop(commit);
        Ok(Commit { tree, parents, made, author, title, raw })
    }

    fn tag(&self, id: ObjectId) -> Result<Tag, GitError> {
        let raw = self.object(id, Kind::Tag, LARGEST_TEXT)?;
        let tag = TagRef::from_bytes(&raw, self.0.object_hash()).map_err(|error| damaged(id, &error))?;
        if tag.target_kind != Kind::Commit {
            return Err(GitError::Refused(format!("the tag `{id}` is of no commit")));
        }
        let (name, commit) = (line(tag.name), CommitId(tag.target()));
        Ok(Tag { name, commit, raw })
    }

    /// The files of the policy below a folder of a commit.
    ///
    /// # Errors
    /// When the tree holds what no policy may hold, or too much of it.
    pub(crate) fn files(&self, commit: CommitId, within: &str) -> Result<Files, GitError> {
        let mut walk = Walk { repository: self, files: Files::new(), left: LARGEST, entries: 0 };
        let mut tree = self.commit(commit)?.tree;
        for part in within.split('/').filter(|part| !part.is_empty()) {
            let entries = walk.entries(tree)?;
            let found = entries.into_iter().find(|entry| entry.name == part);
            let no_folder = || GitError::Refused(format!("it has no folder `{}`", shown(within)));
            tree = found.filter(|entry| entry.mode == MODE_TREE).ok_or_else(no_folder)?.id;
        }
        walk.folder(tree, "", 0)?;
        Ok(walk.files)
    }

    fn kind(&self, id: ObjectId) -> Result<Kind, GitError> {
        self.0.find_header(id).map(|header| header.kind()).map_err(|error| damaged(id, &error))
    }

    /// An object of that kind and no more bytes, and exactly the one of that id: a store may say anything.
    fn object(&self, id: ObjectId, kind: Kind, most: u64) -> Result<Vec<u8>, GitError> {
        let header = self.0.find_header(id).map_err(|error| damaged(id, &error))?;
        if header.kind() != kind {
            return Err(GitError::Refused(format!("`{id}` is no {kind}")));
        }
        if header.size() > most {
            return Err(GitError::Refused(format!("`{id}` is larger than is read: {} bytes", header.size())));
        }
        let object = self.0.find_object(id).map_err(|error| damaged(id, &error))?.detach();
        let hash = gix::objs::compute_hash(id.kind(), kind, &object.data).map_err(|error| damaged(id, &error))?;
        if object.kind != kind || hash != id {
            return Err(GitError::Damaged(format!("what is stored as `{id}` is something else")));
        }
        Ok(object.data)
    }
}

/// Nothing of a repository's configuration, nor of the environment, has a say.
pub(super) fn options() -> gix::open::Options {
    gix::open::Options::isolated().config_overrides(OVERRIDES).with(Trust::Reduced)
}

/// A walk over one tree.
struct Walk<'a> {
    repository: &'a Repository,
    files: Files,
    left: u64,
    entries: usize,
}

struct Entry {
    mode: u16,
    name: String,
    id: ObjectId,
}

impl Walk<'_> {
    fn entries(&mut self, tree: ObjectId) -> Result<Vec<Entry>, GitError> {
        let raw = self.repository.object(tree, Kind::Tree, LARGEST_TREE)?;
        let mut entries: Vec<Entry> = Vec::new();
        for entry in TreeRefIter::from_bytes(&raw, tree.kind()) {
            let entry = entry.map_err(|error| damaged(tree, &error))?;
            self.entries += 1;
            if self.entries > MAX_ENTRIES {
                return Err(GitError::Refused(format!("it has more than {MAX_ENTRIES} entries")));
            }
            let name = names::entry(entry.filename).map_err(GitError::Refused)?.to_owned();
            entries.push(Entry { mode: entry.mode.value(), name, id: entry.oid.to_owned() });
        }
        let mut names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair.first() == pair.last()).and_then(|pair| pair.first()) {
            Some(twice) => Err(GitError::Refused(format!("`{}` is there twice", shown(twice)))),
            None => Ok(entries),
        }
    }

    fn folder(&mut self, tree: ObjectId, prefix: &str, depth: usize) -> Result<(), GitError> {
        if depth > DEEPEST {
            return Err(GitError::Refused(format!("`{}` is nested too deeply", shown(prefix))));
        }
        for Entry { mode, name, id } in self.entries(tree)? {
            let path = format!("{prefix}{name}");
            let refused = |why: &str| Err(GitError::Refused(format!("`{}` {why}", shown(&path))));
            match mode {
                MODE_TREE => self.folder(id, &format!("{path}/"), depth + 1)?,
                MODE_SUBMODULE => return refused("is a submodule: what it holds is not in the commit"),
                // What a link means is not in the commit.
                MODE_LINK if is_policy(&name) => return refused("is a link: it is no regular file"),
                MODE_LINK => {}
                _ if !MODE_FILES.contains(&mode) => return refused("is no regular file"),
                _ if is_policy(&name) => self.file(path, id)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn file(&mut self, path: String, id: ObjectId) -> Result<(), GitError> {
        if self.files.len() >= MAX_FILES {
            return Err(GitError::Refused(format!("there are more than {MAX_FILES} files")));
        }
        let size = self.repository.0.find_header(id).map_err(|error| damaged(id, &error))?.size();
        if size > self.left {
            return Err(GitError::Refused(format!("its files are larger than {} MiB together", LARGEST >> 20)));
        }
        let content = self.repository.object(id, Kind::Blob, self.left)?;
        self.left = self.left.saturating_sub(content.len() as u64);
        self.files.push((path, content));
        Ok(())
    }
}

/// One line of what somebody else wrote.
fn line(text: &[u8]) -> String {
    String::from_utf8_lossy(text).chars().filter(|letter| !letter.is_control()).take(200).collect::<String>().trim().to_owned()
}

fn damaged(id: ObjectId, error: &gix::Error) -> GitError {
    GitError::Damaged(format!("`{id}` cannot be read: {}", causes(error)))
}

/// An error with what led to it, in one line that may be shown.
pub(super) fn causes(error: &gix::Error) -> String {
    let mut said: Vec<String> = error.iter_errors().map(ToString::to_string).filter(|said| !said.is_empty()).collect();
    said.dedup();
    // What was tried, and what was in the way; the steps in between say little.
    let between = said.len().saturating_sub(2).max(1);
    said.drain(1.min(said.len())..between.min(said.len()));
    said.join(": ").chars().filter(|letter| !letter.is_control()).take(400).collect()
}
