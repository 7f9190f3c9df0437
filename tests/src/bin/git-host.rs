//! Hosts the git repositories in a folder on a port of this machine until it is ended: `git-host FOLDER PORT`.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command")]

use std::path::PathBuf;
use std::process::ExitCode;

use countersign_tests::git_host::GitHost;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().map(PathBuf::from).filter(|folder| folder.is_dir());
    let port = arguments.next().and_then(|port| port.parse::<u16>().ok());
    let (Some(folder), Some(port)) = (folder, port) else {
        eprintln!("usage: git-host FOLDER PORT");
        return ExitCode::from(64);
    };
    let host = GitHost::on(port, &folder);
    println!("{} is at {}", folder.display(), host.url(""));
    loop {
        std::thread::park();
    }
}
