//! The other side of the tests: repositories that the program `git` makes, and hosts that serve them, or lie.

use std::fs;
use std::io::{BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;

use super::{CommitId, Follow, Repository, Settings};

/// The work tree of a kit, below its folder.
pub(crate) const WORK: &str = "work";

/// A work tree with a bare twin beside it, keys, and a file of signers.
pub(crate) struct Kit(TempDir);

impl Kit {
    pub(crate) fn new() -> Self {
        let kit = Self(tempfile::tempdir().unwrap());
        fs::create_dir(kit.at("work")).unwrap();
        kit.git(&["init", "-q", "-b", "main"]);
        kit
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn repository(&self) -> Repository {
        Repository::open(&self.at("work")).unwrap()
    }

    fn command(&self) -> Command {
        let mut command = Command::new("git");
        for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY"] {
            command.env_remove(name);
        }
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").arg("-C").arg(self.at("work"));
        command.args([
            "-c",
            "user.name=Ann Author",
            "-c",
            "user.email=ann@example.com",
            "-c",
            "gpg.format=ssh",
            "-c",
            "protocol.file.allow=always",
        ]);
        command
    }

    #[track_caller]
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        self.feed(arguments, b"")
    }

    #[track_caller]
    pub(crate) fn feed(&self, arguments: &[&str], input: &[u8]) -> String {
        let child = self.command().args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = child.unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let done = child.wait_with_output().unwrap();
        assert!(done.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap().trim_end().to_owned()
    }

    /// Makes a key and answers its public half.
    pub(crate) fn key(&self, name: &str) -> String {
        self.key_of(name, "ed25519", "")
    }

    pub(crate) fn key_of(&self, name: &str, kind: &str, bits: &str) -> String {
        let mut command = Command::new("ssh-keygen");
        command.args(["-q", "-t", kind, "-N", "", "-C", name, "-f"]).arg(self.at(name));
        if !bits.is_empty() {
            command.args(["-b", bits]);
        }
        assert!(command.status().unwrap().success());
        let public = fs::read_to_string(self.at(&format!("{name}.pub"))).unwrap();
        public.split(' ').take(2).collect::<Vec<_>>().join(" ")
    }

    /// Commits a policy with that text, signed by a key where one is named.
    #[track_caller]
    pub(crate) fn commit(&self, text: &str, key: Option<&str>) -> CommitId {
        fs::create_dir_all(self.at("work/policy")).unwrap();
        fs::write(self.at("work/policy/a.rego"), text).unwrap();
        self.git(&["add", "-A"]);
        self.record(&["commit", "-q", "--allow-empty", "-m", text], key)
    }

    /// Runs a command of git that makes a commit, and answers the commit.
    #[track_caller]
    pub(crate) fn record(&self, arguments: &[&str], key: Option<&str>) -> CommitId {
        let signing = key.map(|key| format!("user.signingkey={}", self.at(key).display()));
        let mut all: Vec<&str> = signing.iter().flat_map(|signing| ["-c", signing]).collect();
        all.extend(["-c", if key.is_some() { "commit.gpgsign=true" } else { "commit.gpgsign=false" }]);
        all.extend(arguments);
        self.git(&all);
        self.head()
    }

    pub(crate) fn head(&self) -> CommitId {
        CommitId::parse(&self.git(&["rev-parse", "HEAD"])).unwrap()
    }

    /// Makes or moves a tag that is an object.
    pub(crate) fn tag(&self, name: &str, key: Option<&str>) {
        let signing = key.map(|key| format!("user.signingkey={}", self.at(key).display()));
        let mut all: Vec<&str> = signing.iter().flat_map(|signing| ["-c", signing]).collect();
        all.extend(["tag", "-f", "-m", "a tag", if key.is_some() { "-s" } else { "-a" }, name]);
        self.git(&all);
    }

    /// Writes an object of whatever content, and answers its id.
    pub(crate) fn object(&self, kind: &str, content: &[u8]) -> String {
        self.feed(&["hash-object", "--literally", "-t", kind, "-w", "--stdin"], content)
    }

    /// A commit of a tree with these entries, which nobody checked: mode, name, id.
    pub(crate) fn tree(&self, entries: &[(&str, &[u8], &str)]) -> String {
        let mut raw = Vec::new();
        for (mode, name, id) in entries {
            let id: Vec<u8> = (0..20).map(|at| u8::from_str_radix(&id[2 * at..2 * at + 2], 16).unwrap()).collect();
            raw.extend([mode.as_bytes(), b" ", name, b"\0", &id].concat());
        }
        self.object("tree", &raw)
    }

    pub(crate) fn commit_of(&self, tree: &str) -> CommitId {
        CommitId::parse(&self.git(&["commit-tree", "-m", "by hand", tree])).unwrap()
    }

    pub(crate) fn signers(&self, lines: &str) {
        fs::write(self.at("allowed_signers"), lines).unwrap();
    }

    /// The work tree's own repository, opened where it is.
    pub(crate) fn here(&self) -> Settings {
        self.settings(&format!("file://{}", self.at("work/.git").display()))
    }

    pub(crate) fn settings(&self, url: &str) -> Settings {
        Settings {
            url: url.to_owned(),
            follow: Follow::Branch("main".to_owned()),
            within: "policy".to_owned(),
            token: None,
            ca_file: None,
            dangerous_private_address: false,
            ssh_key: None,
            known_hosts: None,
            allowed_signers: self.at("allowed_signers").exists().then(|| self.at("allowed_signers")),
        }
    }
}

/// What a host does with the answer to a request, given as its first line and headers, instead of sending it.
pub(crate) type Twist = Box<dyn Fn(&Asked, Vec<u8>, &mut dyn Write) + Send + Sync>;

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) line: String,
    pub(crate) headers: String,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    /// Whether it asks for objects.
    pub(crate) fn is_fetch(&self) -> bool {
        self.line.starts_with("POST") && String::from_utf8_lossy(&self.body).contains("command=fetch")
    }
}

/// A host on loopback that runs the real `git http-backend`.
pub(crate) struct Host {
    pub(crate) url: String,
    pub(crate) asked: Arc<Mutex<Vec<Asked>>>,
    twist: Arc<Mutex<Option<Twist>>>,
}

impl Host {
    /// Serves what lies in a folder. The thread ends with the process of the test.
    pub(crate) fn start(root: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/{WORK}/.git", listener.local_addr().unwrap());
        let host = Self { url, asked: Arc::default(), twist: Arc::default() };
        let (root, asked, twist) = (root.to_owned(), Arc::clone(&host.asked), Arc::clone(&host.twist));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let request = read(&mut BufReader::new(stream.try_clone().unwrap()));
                let answer = backend(&root, &request);
                asked.lock().unwrap().push(request.clone());
                match &*twist.lock().unwrap() {
                    Some(twist) => twist(&request, answer, &mut stream),
                    None => stream.write_all(&answer).unwrap(),
                }
            }
        });
        host
    }

    pub(crate) fn twist(&self, twist: impl Fn(&Asked, Vec<u8>, &mut dyn Write) + Send + Sync + 'static) {
        *self.twist.lock().unwrap() = Some(Box::new(twist));
    }

    pub(crate) fn behave(&self) {
        *self.twist.lock().unwrap() = None;
    }

    pub(crate) fn fetches(&self) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| asked.is_fetch()).count()
    }
}

pub(crate) fn read(stream: &mut impl std::io::BufRead) -> Asked {
    let (mut line, mut headers) = (String::new(), String::new());
    stream.read_line(&mut line).unwrap();
    while !headers.ends_with("\r\n\r\n") && headers != "\r\n" {
        assert!(stream.read_line(&mut headers).unwrap() > 0 || headers.is_empty());
        if headers.is_empty() {
            break;
        }
    }
    let length = header(&headers, "content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    Asked { line, headers, body }
}

pub(crate) fn header(headers: &str, wanted: &str) -> Option<String> {
    let found = headers.lines().find_map(|line| line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case(wanted)));
    found.map(|(_, value)| value.trim().to_owned())
}

pub(crate) fn backend(root: &Path, asked: &Asked) -> Vec<u8> {
    let mut words = asked.line.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut command = Command::new("git");
    command.args(["-c", "safe.directory=*", "-c", "uploadpack.allowAnySHA1InWant=true", "http-backend"]);
    command
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_PROJECT_ROOT", root);
    command.env("REQUEST_METHOD", method).env("PATH_INFO", path).env("QUERY_STRING", query).env("REMOTE_ADDR", "127.0.0.1");
    for (name, variable) in [("content-type", "CONTENT_TYPE"), ("git-protocol", "HTTP_GIT_PROTOCOL"), ("content-length", "CONTENT_LENGTH")]
    {
        if let Some(value) = header(&asked.headers, name) {
            command.env(variable, value);
        }
    }
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&asked.body).unwrap();
    let done = child.wait_with_output().unwrap().stdout;
    let end = done.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let (head, body) = done.split_at(end + 4);
    let head = String::from_utf8(head.to_vec()).unwrap();
    let status = header(&head, "status").unwrap_or_else(|| "200 OK".to_owned());
    let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n{head}", body.len());
    [head.as_bytes(), body].concat()
}
