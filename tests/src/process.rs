//! Programs under test: started with their output kept, waited for by condition, ended by their own id.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// How long a program may take to come up, or to end.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A running program. Dropping it ends it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a program; both of its output streams go to the file `log`.
    ///
    /// # Panics
    /// When the program cannot be started: a missing part is a failure.
    #[track_caller]
    #[must_use]
    pub fn start(command: &mut Command, log: &Path) -> Self {
        let out = File::create(log).unwrap_or_else(|error| panic!("cannot create {}: {error}", log.display()));
        let err = out.try_clone().unwrap_or_else(|error| panic!("cannot share {}: {error}", log.display()));
        let child = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn();
        let child =
            child.unwrap_or_else(|error| panic!("cannot start {command:?}: {error}; `tests/setup/system` installs what the tests drive"));
        Self { child, log: log.to_owned() }
    }

    /// What the program has printed so far.
    #[must_use]
    pub fn output(&self) -> String {
        std::fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `ready` holds.
    ///
    /// # Panics
    /// When the program ends first, or does not get there in time; the message holds its output.
    #[track_caller]
    pub fn wait_until(&mut self, what: &str, mut ready: impl FnMut(&Self) -> bool) {
        let found = wait_for(|| {
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("ended with {status} before {what}:\n{}", self.output());
            }
            ready(self)
        });
        assert!(found, "not {what} after {PATIENCE:?}:\n{}", self.output());
    }

    /// Waits until something accepts connections on a loopback port.
    #[track_caller]
    pub fn wait_for_port(&mut self, port: u16) {
        self.wait_until(&format!("listening on port {port}"), |_| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
    }

    /// Asks the program to end (SIGTERM) and waits for it.
    ///
    /// # Panics
    /// When it does not end in time.
    #[track_caller]
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait()
    }

    /// Does what Ctrl-C does (SIGINT) and waits for the end.
    ///
    /// # Panics
    /// When it does not end in time.
    #[track_caller]
    pub fn interrupt(&mut self) -> ExitStatus {
        self.signal("INT");
        self.wait()
    }

    /// Stops it in its tracks (SIGSTOP): it holds its ports and answers nothing.
    #[track_caller]
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    /// Lets it go on (SIGCONT).
    #[track_caller]
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    #[track_caller]
    fn signal(&self, name: &str) {
        let told = Command::new("kill").arg(format!("-{name}")).arg(self.id().to_string()).status();
        assert!(told.is_ok_and(|status| status.success()), "could not signal the process");
    }

    /// Waits until it ends by itself.
    ///
    /// # Panics
    /// When it does not end in time.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        let mut ended = None;
        wait_for(|| {
            ended = self.child.try_wait().ok().flatten();
            ended.is_some()
        });
        ended.unwrap_or_else(|| panic!("did not end:\n{}", self.output()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The decision point on the configuration `countersign.toml` of a folder, once it listens on these ports. Its log is `pdp.log` there.
///
/// # Panics
/// When it does not come up.
#[track_caller]
#[must_use]
pub fn serve(folder: &Path, ports: &[u16]) -> Process {
    let mut command = Command::new(countersign());
    command.arg("serve").arg("--config").arg(folder.join("countersign.toml"));
    let mut pdp = Process::start(&mut command, &folder.join("pdp.log"));
    ports.iter().for_each(|port| pdp.wait_for_port(*port));
    pdp
}

/// Polls a condition until it holds or [`PATIENCE`] is over.
pub fn wait_for(mut condition: impl FnMut() -> bool) -> bool {
    let polls = PATIENCE.as_millis() / 20;
    (0..polls).any(|_| {
        let holds = condition();
        if !holds {
            std::thread::sleep(Duration::from_millis(20));
        }
        holds
    })
}

/// `N` loopback ports that were free a moment ago, all different.
///
/// # Panics
/// When the system has none left.
#[track_caller]
#[must_use]
pub fn free_ports<const N: usize>() -> [u16; N] {
    let held: [TcpListener; N] =
        std::array::from_fn(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap_or_else(|error| panic!("no free port: {error}")));
    held.map(|listener| listener.local_addr().map(|address| address.port()).unwrap_or_else(|error| panic!("no port: {error}")))
}

/// The binary `countersign` of this build. `tests/run` and `cargo build` put it beside the test binary's folder.
///
/// # Panics
/// When it was not built.
#[must_use]
pub fn countersign() -> PathBuf {
    let here = std::env::current_exe().unwrap_or_else(|error| panic!("no own path: {error}"));
    let built = here.ancestors().skip(1).map(|folder| folder.join("countersign")).find(|path| path.is_file());
    built.unwrap_or_else(|| panic!("countersign is not built; run `cargo build -p countersign-pdp-server` first"))
}

/// The folder with the place databases that `tests/setup/places` made.
///
/// # Panics
/// When the setup did not run.
#[must_use]
pub fn parts() -> PathBuf {
    let folder = parts_folder();
    assert!(folder.join("city.mmdb").is_file(), "no place database in {}; use tests/run", folder.display());
    folder
}

/// A program that `tests/setup/proxies` put among the parts.
///
/// # Panics
/// When the setup did not run.
#[track_caller]
#[must_use]
pub fn part(name: &str) -> PathBuf {
    let folder = parts_folder();
    let program = folder.join("venv/bin").join(name);
    assert!(program.is_file(), "no {name} in {0}; run `tests/setup/proxies {0}`", folder.display());
    program
}

fn parts_folder() -> PathBuf {
    #[expect(clippy::disallowed_methods, reason = "the test command hands the folder over")]
    let folder = std::env::var("COUNTERSIGN_TEST_PARTS").map(PathBuf::from);
    folder.unwrap_or_else(|_| panic!("COUNTERSIGN_TEST_PARTS is not set; use tests/run"))
}
