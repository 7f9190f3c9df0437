//! The command line, and what it never holds.

use std::path::PathBuf;

use super::*;
use crate::git::Location;

fn line(url: &str) -> Vec<String> {
    let Location::Ssh(account) = Location::parse(url).unwrap() else { panic!("{url}") };
    let keys = Keys::new(Some(Path::new("/etc/a key")), Some(Path::new("/etc/known"))).unwrap();
    command(&account, &keys).get_args().map(|argument| argument.to_str().unwrap().to_owned()).collect()
}

#[test]
fn the_program_is_told_everything() {
    let line = line("ssh://git@host.example:2222/srv/a b.git".replace(' ', "%20").as_str());
    for option in [
        "StrictHostKeyChecking=yes",
        "BatchMode=yes",
        "IdentityAgent=none",
        "ProxyCommand=none",
        "UserKnownHostsFile=\"/etc/known\"",
        "IdentityFile=\"/etc/a key\"",
    ] {
        let at = line.iter().position(|argument| argument == option).unwrap_or_else(|| panic!("{option}"));
        assert_eq!(line[at - 1], "-o");
    }
    assert_eq!(line[..2], ["-F", "/dev/null"]);
    assert_eq!(line[line.len() - 7..], ["-p", "2222", "-l", "git", "--", "host.example", "git-upload-pack '/srv/a b.git'"]);
}

#[test]
fn a_home_is_named_without_a_slash() {
    assert_eq!(line("ssh://host/~me/a").last().unwrap(), "git-upload-pack '~me/a'");
}

#[test]
fn nothing_of_our_environment_is_passed_on() {
    let Location::Ssh(account) = Location::parse("ssh://host/a").unwrap() else { panic!() };
    let keys = Keys::new(None, Some(Path::new("/etc/known"))).unwrap();
    let command = command(&account, &keys);
    let names: Vec<_> = command.get_envs().map(|(name, _)| name.to_str().unwrap().to_owned()).collect();
    assert_eq!(names, ["GIT_PROTOCOL", "LC_ALL", "PATH"]);
    assert!(command.get_args().all(|argument| !argument.to_str().unwrap().starts_with("IdentityFile")));
}

#[test]
fn paths_that_the_program_would_read_otherwise() {
    let keys = |path: &str| Keys::new(Some(&PathBuf::from(path)), Some(Path::new("/etc/known")));
    for path in ["relative", "~/.ssh/id", "/a%h", "/a${HOME}", "/a\"b", "/a\nb", "/a\\b", ""] {
        assert!(keys(path).is_err(), "{path}");
    }
    assert!(keys("/etc/a key").is_ok());
    assert!(Keys::new(None, None).unwrap_err().contains("known_hosts_file"));
}
