//! Where a repository is, as its URL says: one of a few schemes, and nothing in it that a program would read as something else.

use std::path::PathBuf;

use percent_encoding::percent_decode_str;

/// The longest URL.
const LONGEST: usize = 2048;

/// Why a URL is none of a repository.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LocationError {
    #[error("a repository is `https://…`, `ssh://…`, `file:///…`, or `http://…` on this machine")]
    Scheme,
    #[error("a URL holds no password and no user but that of `ssh`: name a file with it instead")]
    Secret,
    #[error("`{0}` is no host that may be asked")]
    Host(String),
    #[error("the path of the URL must begin with `/` and be plain")]
    Path,
}

/// Where a repository is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Location {
    /// At a host that is asked by HTTP.
    Http(String),
    /// At a host that is logged in to.
    Ssh(Account),
    /// On this machine.
    File(PathBuf),
}

/// A path at a host, and who asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(super) user: Option<String>,
    pub(super) host: String,
    pub(super) port: Option<u16>,
    pub(super) path: String,
}

impl Location {
    /// Reads a URL.
    ///
    /// # Errors
    /// When it is none that may be asked.
    pub(crate) fn parse(url: &str) -> Result<Self, LocationError> {
        if url.len() > LONGEST || url.chars().any(|letter| letter.is_control() || letter == ' ' || letter == '\\') {
            return Err(LocationError::Path);
        }
        let (scheme, rest) = url.split_once("://").ok_or(LocationError::Scheme)?;
        let (authority, path) = rest.split_at_checked(rest.find('/').unwrap_or(rest.len())).ok_or(LocationError::Path)?;
        match scheme {
            // What stands in it of hosts and addresses is judged by whoever asks.
            "https" | "http" if authority.contains('@') => Err(LocationError::Secret),
            "https" | "http" if url.contains(['?', '#']) => Err(LocationError::Path),
            "https" | "http" => Ok(Self::Http(url.to_owned())),
            "ssh" => Account::parse(authority, path).map(Self::Ssh),
            "file" if !authority.is_empty() => Err(LocationError::Host(authority.to_owned())),
            "file" => Ok(Self::File(PathBuf::from(plain(path)?))),
            _ => Err(LocationError::Scheme),
        }
    }
}

impl Account {
    fn parse(authority: &str, path: &str) -> Result<Self, LocationError> {
        let (user, host) = authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
        if user.is_some_and(|user| user.contains(':')) {
            return Err(LocationError::Secret);
        }
        let (host, port) = match host.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')) {
            Some((host, port)) => (host, Some(port.parse().map_err(|_| LocationError::Host(host.to_owned()))?)),
            None => (host, None),
        };
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        // A program reads what begins with a dash as an option.
        let is_plain = |text: &str, also: &[char]| {
            !text.is_empty()
                && !text.starts_with('-')
                && text.chars().all(|letter| letter.is_ascii_alphanumeric() || also.contains(&letter))
        };
        if !is_plain(host, &['.', '-', ':']) || user.is_some_and(|user| !is_plain(user, &['.', '-', '_'])) {
            return Err(LocationError::Host(super::names::shown(authority)));
        }
        Ok(Self { user: user.map(str::to_owned), host: host.to_owned(), port, path: plain(path)? })
    }
}

/// A path that no shell reads as anything else.
fn plain(path: &str) -> Result<String, LocationError> {
    let path = percent_decode_str(path).decode_utf8().map_err(|_| LocationError::Path)?;
    let is_odd = |letter: char| letter.is_control() || matches!(letter, '\'' | '"' | '\\' | '`' | '!' | '$' | '\n');
    if path.starts_with("/-") || !path.starts_with('/') || path.len() < 2 || path.contains(is_odd) {
        return Err(LocationError::Path);
    }
    Ok(path.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes_that_may_be_asked() {
        for url in ["https://git.example.com/a/b.git", "http://127.0.0.1:1/a", "http://[::1]:1/a"] {
            assert_eq!(Location::parse(url), Ok(Location::Http(url.to_owned())));
        }
        assert_eq!(Location::parse("file:///srv/a%20b.git"), Ok(Location::File("/srv/a b.git".into())));
        let account = |user: Option<&str>, host: &str, port, path: &str| {
            Ok(Location::Ssh(Account { user: user.map(str::to_owned), host: host.to_owned(), port, path: path.to_owned() }))
        };
        assert_eq!(Location::parse("ssh://git@host.example/a.git"), account(Some("git"), "host.example", None, "/a.git"));
        assert_eq!(Location::parse("ssh://host:2222/~me/a"), account(None, "host", Some(2222), "/~me/a"));
        assert_eq!(Location::parse("ssh://[::1]:22/a"), account(None, "::1", Some(22), "/a"));
    }

    #[test]
    fn what_a_program_would_read_as_something_else() {
        for url in [
            "",
            "/srv/a.git",
            "git@host:a.git",
            "ext::sh -c true",
            "ext://sh",
            "git://host/a",
            "ftp://host/a",
            "HTTPS://host/a",
            "https://user:secret@host/a",
            "https://token@host/a",
            "https://host/a?b",
            "https://host/a#b",
            "https://host/a b",
            "ssh://-oProxyCommand=x/a",
            "ssh://-oProxyCommand=x@h/a",
            "ssh://git@-h/a",
            "ssh://git:secret@host/a",
            "ssh://host",
            "ssh:///a",
            "ssh://host/",
            "ssh://host:99999/a",
            "ssh://host/a'b",
            "ssh://host/a%27b",
            "ssh://host/a%0ab",
            "ssh://host/-a",
            "ssh://ho st/a",
            "ssh://host;x/a",
            "ssh://a@b@host/a",
            "file://host/a",
            "file://a",
            "file:///",
        ] {
            assert!(Location::parse(url).is_err(), "{url}");
        }
        assert_eq!(Location::parse("https://user:secret@host/a"), Err(LocationError::Secret));
    }
}
