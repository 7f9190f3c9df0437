//! A host that is logged in to: the program `ssh`, told everything, so that neither a configuration nor the environment has a say.

use std::io::{Error, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use gix::protocol::transport::Protocol;
use gix::protocol::transport::client::blocking_io::Transport;
use gix::protocol::transport::client::git::ConnectMode;
use gix::protocol::transport::client::git::blocking_io::Connection;

use super::limits::{Limits, Said};
use super::location::Account;

/// The only places where the program is looked for.
const PATH: &str = "/usr/bin:/bin:/usr/local/bin";

/// What `ssh` is told whatever it reads elsewhere: no other key, no other host key, no question, no command of its own, nothing forwarded.
const OPTIONS: [&str; 19] = [
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    "GlobalKnownHostsFile=/dev/null",
    "UpdateHostKeys=no",
    "VerifyHostKeyDNS=no",
    "IdentitiesOnly=yes",
    "IdentityAgent=none",
    "PreferredAuthentications=publickey",
    "ProxyCommand=none",
    "ProxyJump=none",
    "PermitLocalCommand=no",
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "ForwardX11=no",
    "ControlMaster=no",
    "ControlPath=none",
    "CanonicalizeHostname=no",
    "ConnectTimeout=20",
    "SendEnv=GIT_PROTOCOL",
];

/// The files that say who we are, and who the host is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Keys {
    identity: Option<String>,
    known_hosts: String,
}

impl Keys {
    /// # Errors
    /// When there are no host keys to believe, or a path that `ssh` would read otherwise.
    pub(super) fn new(identity: Option<&Path>, known_hosts: Option<&Path>) -> Result<Self, String> {
        let known_hosts = known_hosts.ok_or("`ssh` needs `known_hosts_file`: no host key is believed that is not in it")?;
        Ok(Self { identity: identity.map(quoted).transpose()?, known_hosts: quoted(known_hosts)? })
    }
}

/// A path in an option, where blanks, `%`, `$` and `~` mean something.
fn quoted(path: &Path) -> Result<String, String> {
    let text =
        path.to_str().filter(|text| text.starts_with('/') && !text.contains(['"', '%', '$', '\\']) && !text.contains(char::is_control));
    text.map(|text| format!("\"{text}\"")).ok_or_else(|| format!("`{}` is no plain, absolute path", path.display()))
}

/// The command line.
pub(super) fn command(account: &Account, keys: &Keys) -> Command {
    let mut command = Command::new("ssh");
    command.env_clear().env("PATH", PATH).env("LC_ALL", "C").env("GIT_PROTOCOL", "version=2");
    command.args(["-F", "/dev/null", "-T", "-x", "-a"]);
    let ours =
        [Some(format!("UserKnownHostsFile={}", keys.known_hosts)), keys.identity.as_ref().map(|path| format!("IdentityFile={path}"))];
    for option in OPTIONS.into_iter().map(str::to_owned).chain(ours.into_iter().flatten()) {
        command.arg("-o").arg(option);
    }
    if let Some(port) = account.port {
        command.arg("-p").arg(port.to_string());
    }
    if let Some(user) = &account.user {
        command.arg("-l").arg(user);
    }
    // A home is named without the slash that a URL needs.
    let path = account.path.strip_prefix('/').filter(|path| path.starts_with('~')).unwrap_or(&account.path);
    command.arg("--").arg(&account.host).arg(format!("git-upload-pack '{path}'"));
    command
}

/// The program while it runs. It ends with whoever holds it.
#[derive(Debug, Clone)]
pub(super) struct Running(Arc<Mutex<Child>>);

impl Running {
    /// Ends it.
    pub(super) fn end(&self) {
        let mut child = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // It may have ended by itself; either way nobody is left behind.
        let _ended = child.kill().and_then(|()| child.wait());
    }
}

/// Its answer, within the limits.
struct Bounded {
    from: ChildStdout,
    limits: Arc<Limits>,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let count = self.from.read(buffer)?;
        self.limits.spend(count)?;
        Ok(count)
    }
}

/// Starts the program.
pub(super) fn connect(account: &Account, keys: &Keys, limits: &Arc<Limits>) -> Result<(Box<dyn Transport>, Running, Said), Error> {
    let mut child = command(account, keys).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let running = Running(Arc::new(Mutex::new(child)));
    let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
        running.end();
        return Err(Error::other("the program has no pipes"));
    };
    let said = Said::listen(stderr).inspect_err(|_| running.end())?;
    let from = Bounded { from: stdout, limits: Arc::clone(limits) };
    let nobody = None::<(&str, Option<u16>)>;
    let connection = Connection::new(from, stdin, Protocol::V2, account.path.as_str(), nobody, ConnectMode::Process, false);
    Ok((Box::new(connection), running, said))
}

#[cfg(test)]
mod tests;
