//! Somebody who writes policies: an SSH key made by `ssh-keygen`, and commits and tags by the real `git`, with no configuration but their own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::isolated;

/// An author, with a home of their own.
#[derive(Debug)]
pub struct Author {
    name: String,
    home: PathBuf,
}

impl Author {
    /// Somebody with a new Ed25519 key, in the folder of their name.
    ///
    /// # Panics
    /// When `ssh-keygen` cannot.
    #[track_caller]
    #[must_use]
    pub fn new(folder: &Path, name: &str) -> Self {
        Self::with_key(folder, name, &["-t", "ed25519"])
    }

    /// The same with another kind of key, as `ssh-keygen` takes it: `-t rsa -b 3072`.
    ///
    /// # Panics
    /// When `ssh-keygen` cannot.
    #[track_caller]
    #[must_use]
    pub fn with_key(folder: &Path, name: &str, kind: &[&str]) -> Self {
        let home = folder.join(name);
        std::fs::create_dir_all(&home).unwrap();
        let author = Self { name: name.to_owned(), home };
        let mut keygen = Command::new("ssh-keygen");
        keygen.args(["-q", "-N", "", "-C", &author.email()]).args(kind).arg("-f").arg(author.key());
        let made = keygen.output().unwrap_or_else(|error| panic!("no ssh-keygen ({error}); `tests/setup/system` installs it"));
        assert!(made.status.success(), "{made:?}");
        author
    }

    /// The address that commits and signers name.
    #[must_use]
    pub fn email(&self) -> String {
        format!("{}@example.com", self.name)
    }

    /// The file of the private key; the public one is beside it, with the ending `pub`.
    #[must_use]
    pub fn key(&self) -> PathBuf {
        self.home.join("key")
    }

    /// A line of an `allowed_signers` file; `options` are as ssh-keygen(1) has them, such as `namespaces="git"`.
    ///
    /// # Panics
    /// When the public key is gone.
    #[must_use]
    pub fn allowed(&self, options: &str) -> String {
        let key = std::fs::read_to_string(self.key().with_extension("pub")).unwrap();
        let space = if options.is_empty() { "" } else { " " };
        format!("{} {options}{space}{}\n", self.email(), key.trim_end())
    }

    /// What `git` does for this author in a folder.
    ///
    /// # Panics
    /// When it cannot be started.
    #[track_caller]
    #[must_use]
    pub fn try_git(&self, at: &Path, arguments: &[&str]) -> Output {
        let mut command = isolated(Command::new("git"));
        let settings = [
            format!("user.name={}", self.name),
            format!("user.email={}", self.email()),
            "gpg.format=ssh".to_owned(),
            format!("user.signingkey={}", self.key().display()),
            "init.defaultBranch=main".to_owned(),
            // No process stays behind to tidy up.
            "gc.auto=0".to_owned(),
            "maintenance.auto=false".to_owned(),
        ];
        settings.iter().for_each(|setting| {
            command.args(["-c", setting]);
        });
        command.env("HOME", &self.home).current_dir(at).args(arguments).output().unwrap()
    }

    /// The same, which must succeed: what it prints, without the last line's end.
    ///
    /// # Panics
    /// When it fails.
    #[track_caller]
    pub fn git(&self, at: &Path, arguments: &[&str]) -> String {
        let done = self.try_git(at, arguments);
        assert!(done.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).trim_end().to_owned()
    }

    /// Commits whatever stands in a work tree, signed, and gives the id.
    ///
    /// # Panics
    /// When there is nothing to commit.
    #[track_caller]
    pub fn commit(&self, at: &Path, title: &str) -> String {
        self.committed(at, title, "-S")
    }

    /// The same without a signature.
    ///
    /// # Panics
    /// When there is nothing to commit.
    #[track_caller]
    pub fn commit_unsigned(&self, at: &Path, title: &str) -> String {
        self.committed(at, title, "--no-gpg-sign")
    }

    #[track_caller]
    fn committed(&self, at: &Path, title: &str, signing: &str) -> String {
        self.git(at, &["add", "-A"]);
        self.git(at, &["commit", "-q", signing, "-m", title]);
        self.git(at, &["rev-parse", "HEAD"])
    }
}
