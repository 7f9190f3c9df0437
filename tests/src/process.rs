//! Programs under test: started with their output kept, waited for by condition, ended by their own id.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
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
    ///
    /// # Panics
    /// When it does not stop.
    #[track_caller]
    pub fn freeze(&self) {
        self.signal("STOP");
        // The signal is on its way when it is sent; it has arrived when every thread stands still.
        let tasks = format!("/proc/{}/task", self.id());
        let is_stopped = |task: std::fs::DirEntry| {
            let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
            stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('T'))
        };
        assert!(wait_for(|| std::fs::read_dir(&tasks).is_ok_and(|mut all| all.all(|task| task.is_ok_and(is_stopped)))), "it does not stop");
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

    /// Whether it has ended.
    #[must_use]
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
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
pub fn wait_for(condition: impl FnMut() -> bool) -> bool {
    wait_within(PATIENCE, condition)
}

/// Polls a condition until it holds, or for so long.
pub fn wait_within(patience: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let polls = patience.as_millis() / 20;
    (0..polls).any(|_| {
        let holds = condition();
        if !holds {
            std::thread::sleep(Duration::from_millis(20));
        }
        holds
    })
}

/// `N` loopback ports that were free a moment ago, and that this process gives out once. The system takes none of them for a connection: those it takes from above.
///
/// # Panics
/// When none is left.
#[track_caller]
#[must_use]
pub fn free_ports<const N: usize>() -> [u16; N] {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    std::array::from_fn(|_| {
        let next = || {
            PORTS.start
                + (std::process::id().wrapping_mul(211) % 20_000 + GIVEN.fetch_add(1, Ordering::Relaxed)) % (PORTS.end - PORTS.start)
        };
        let ports = PORTS.map(|_| u16::try_from(next()).unwrap_or_default());
        let free = ports.into_iter().find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok());
        free.unwrap_or_else(|| panic!("no free port in {PORTS:?}"))
    })
}

/// Below what Linux takes for outgoing connections (`ip_local_port_range`).
const PORTS: Range<u32> = 11_000..32_000;

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

/// A program of the virtual environment that another script of `tests/setup` made.
///
/// # Panics
/// When the setup did not run.
#[track_caller]
#[must_use]
pub fn part_of(setup: &str, name: &str) -> PathBuf {
    let folder = parts_folder();
    let program = folder.join(setup).join("bin").join(name);
    assert!(program.is_file(), "no {name} in {0}/{setup}; run `tests/setup/{setup} {0}`", folder.display());
    program
}

fn parts_folder() -> PathBuf {
    #[expect(clippy::disallowed_methods, reason = "the test command hands the folder over")]
    let folder = std::env::var("COUNTERSIGN_TEST_PARTS").map(PathBuf::from);
    folder.unwrap_or_else(|_| panic!("COUNTERSIGN_TEST_PARTS is not set; use tests/run"))
}
