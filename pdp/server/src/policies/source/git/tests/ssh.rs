//! A real `sshd` on loopback: whose host key is believed, and what ends with the conversation.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use super::*;

/// Serves logins with a key; one process for each connection, as `inetd` would.
fn sshd(kit: &Kit, host_key: &str, more: &str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let config = format!(
        "HostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nPidFile none\n\
         PermitRootLogin yes\n{more}\nForceCommand git -c safe.directory=* upload-pack {}\n",
        kit.at(host_key).display(),
        kit.at("user.pub").display(),
        kit.at("work").display(),
    );
    let file = kit.at(&format!("{port}.conf"));
    fs::write(&file, config).unwrap();
    // Where the program of Debian sheds its rights, when it has any.
    let _there = fs::create_dir_all("/run/sshd");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = OwnedFd::from(stream.unwrap());
            let mut command = Command::new("/usr/sbin/sshd");
            command.args(["-i", "-e", "-f"]).arg(&file).stdin(Stdio::from(stream.try_clone().unwrap())).stdout(Stdio::from(stream));
            let mut child = command.stderr(Stdio::null()).spawn().unwrap();
            // The socket must be the child's alone, or nobody learns that it ended.
            drop(command);
            child.wait().unwrap();
        }
    });
    port
}

fn user() -> String {
    String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap().trim().to_owned()
}

#[test]
fn a_login_needs_our_key_and_the_hosts() {
    let kit = scene();
    let first = kit.commit("package one", Some("ann"));
    for key in ["host", "other", "user", "stranger"] {
        kit.key(key);
    }
    for protocol in ["AcceptEnv GIT_PROTOCOL", "# the oldest of the protocol's versions"] {
        logs_in(&kit, sshd(&kit, "host", protocol), first);
    }
}

fn logs_in(kit: &Kit, port: u16, first: CommitId) {
    kit.git(&["reset", "-q", "--hard", &first.to_string()]);
    let known = |name: &str, key: &str| {
        let public = fs::read_to_string(kit.at(&format!("{key}.pub"))).unwrap();
        fs::write(kit.at(name), format!("[127.0.0.1]:{port} {public}")).unwrap();
    };
    known("known hosts", "host");
    known("wrong_hosts", "other");
    fs::write(kit.at("no_hosts"), "").unwrap();
    let ask = |known: &str, key: &str, mirror: &str| {
        let url = format!("ssh://{}@127.0.0.1:{port}/srv/policies.git", user());
        let settings = Settings { ssh_key: Some(kit.at(key)), known_hosts: Some(kit.at(known)), ..kit.settings(&url) };
        open(settings, kit.at(&format!("{port}-{mirror}")), None).unwrap()
    };
    let mut git = ask("known hosts", "user", "a");
    offered(&mut git, first);
    assert!(matches!(git.look(), Look::Nothing));
    let second = kit.commit("package two", Some("ann"));
    offered(&mut git, second);
    refused(&mut ask("wrong_hosts", "user", "b"), "Host key verification failed");
    refused(&mut ask("no_hosts", "user", "c"), "Host key verification failed");
    refused(&mut ask("known hosts", "stranger", "d"), "Permission denied");
}

#[test]
fn a_host_that_says_nothing_is_left() {
    let kit = scene();
    fs::write(kit.at("known"), "").unwrap();
    // It accepts, and that is all.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ssh://git@127.0.0.1:{}/a", listener.local_addr().unwrap().port());
    let settings = Settings { known_hosts: Some(kit.at("known")), ..kit.settings(&url) };
    let bounds = Bounds { within: Duration::from_secs(2), ..Bounds::default() };
    refused(&mut bounded(settings, kit.at("mirror"), None, bounds).unwrap(), "takes too long");
}
