//! A host of git repositories on loopback: the real `git http-backend` behind HTTP, as hosting services run it, for authors who commit with the real `git`.

pub mod author;
mod cgi;

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

/// Who may push, as HTTP's basic authentication has it: `name:secret`.
pub const PUSHER: &str = "author:push-secret-of-this-host";
/// Requests that are answered at once. Each is a process.
const AT_ONCE: usize = 8;

/// A running host. Dropping it closes its port.
#[derive(Debug)]
pub struct GitHost {
    runtime: Option<Runtime>,
    port: u16,
    state: Arc<State>,
}

/// What its requests share.
#[derive(Debug)]
struct State {
    /// The folder of the repositories.
    root: PathBuf,
    /// The token without which nobody reads, where there is one.
    reader: Option<String>,
    turns: Semaphore,
    asked: AtomicUsize,
    packs: AtomicUsize,
}

impl GitHost {
    /// Hosts the repositories in a folder on a free port; everybody on this machine may read.
    ///
    /// # Panics
    /// When no port can be had.
    #[track_caller]
    #[must_use]
    pub fn start(root: &Path) -> Self {
        Self::listening(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap(), root, None)
    }

    /// The same; only who brings this bearer token may read.
    ///
    /// # Panics
    /// When no port can be had.
    #[track_caller]
    #[must_use]
    pub fn private(root: &Path, token: &str) -> Self {
        Self::listening(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap(), root, Some(token.to_owned()))
    }

    /// The same repositories on a port of choice: also again, after a host was dropped.
    ///
    /// # Panics
    /// When the port cannot be had.
    #[track_caller]
    #[must_use]
    pub fn on(port: u16, root: &Path) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap_or_else(|error| panic!("no port {port}: {error}"));
        Self::listening(listener, root, None)
    }

    #[track_caller]
    fn listening(listener: TcpListener, root: &Path, reader: Option<String>) -> Self {
        let port = listener.local_addr().unwrap().port();
        listener.set_nonblocking(true).unwrap();
        let root = root.canonicalize().unwrap();
        let state = State { root, reader, turns: Semaphore::new(AT_ONCE), asked: AtomicUsize::new(0), packs: AtomicUsize::new(0) };
        let state = Arc::new(state);
        let routes = axum::Router::new().fallback(cgi::answer).with_state(Arc::clone(&state));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, routes).await
        });
        Self { runtime: Some(runtime), port, state }
    }

    /// Makes an empty bare repository and gives its folder.
    ///
    /// # Panics
    /// When git cannot.
    #[track_caller]
    pub fn create(&self, name: &str) -> PathBuf {
        let folder = self.state.root.join(name);
        let mut command = isolated(Command::new("git"));
        let made = command.args(["init", "-q", "--bare", "-b", "main"]).arg(&folder).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        folder
    }

    /// Where a repository is read.
    #[must_use]
    pub fn url(&self, name: &str) -> String {
        format!("http://127.0.0.1:{}/{name}", self.port)
    }

    /// Where its author pushes.
    #[must_use]
    pub fn push_url(&self, name: &str) -> String {
        format!("http://{PUSHER}@127.0.0.1:{}/{name}", self.port)
    }

    /// The loopback port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// How many requests it has answered.
    #[must_use]
    pub fn asked(&self) -> usize {
        self.state.asked.load(Ordering::SeqCst)
    }

    /// How many packs it was asked for: what only looks at the references asks for none.
    #[must_use]
    pub fn packs(&self) -> usize {
        self.state.packs.load(Ordering::SeqCst)
    }
}

impl Drop for GitHost {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A command that is git's, with nothing of this user's or this system's configuration.
fn isolated(mut command: Command) -> Command {
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_CONFIG_PARAMETERS", "SSH_AUTH_SOCK", "SSH_ASKPASS"] {
        command.env_remove(name);
    }
    command.envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_NOSYSTEM", "1"), ("GIT_TERMINAL_PROMPT", "0"), ("LC_ALL", "C")]);
    command
}
