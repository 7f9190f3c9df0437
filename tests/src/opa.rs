//! What stands around OPA: bundles as its tools write them, and a service that serves bundles and takes decision logs.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tar::{Builder, EntryType, Header};

/// The token that the service wants.
pub const TOKEN: &str = "the token of the bundle service";

/// A bundle: regular files, as `opa build` names them.
///
/// # Panics
/// Never: it is written to memory.
#[must_use]
pub fn bundle(files: &[(&str, &str)]) -> Vec<u8> {
    let entries: Vec<_> = files.iter().map(|(name, content)| (format!("/{name}"), EntryType::Regular, content.as_bytes())).collect();
    archive(&entries.iter().map(|(name, kind, content)| (name.as_str(), *kind, *content)).collect::<Vec<_>>())
}

/// An archive of any entries, names and all as they are given.
///
/// # Panics
/// When a name does not fit into a header.
#[must_use]
pub fn archive(entries: &[(&str, EntryType, &[u8])]) -> Vec<u8> {
    let mut builder = Builder::new(GzEncoder::new(Vec::new(), Compression::best()));
    for (name, kind, content) in entries {
        let mut header = Header::new_ustar();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o600);
        header.set_size(content.len() as u64);
        header.set_cksum();
        builder.append(&header, *content).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

/// A bundle of modules with `.signatures.json`, signed by a shared secret (`HS256`) under the key id `release`.
///
/// # Panics
/// Never: it is written to memory.
#[must_use]
pub fn signed_bundle(secret: &[u8], modules: &[(&str, &str)]) -> Vec<u8> {
    let hash = |content: &str| {
        digest::digest(&digest::SHA256, content.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let file = |(name, content): &(&str, &str)| json!({"name": name, "hash": hash(content), "algorithm": "SHA-256"});
    let payload = json!({"files": modules.iter().map(file).collect::<Vec<_>>()});
    let header = json!({"alg": "HS256", "kid": "release"});
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(payload.to_string()));
    let signature = aws_lc_rs::hmac::sign(&aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret), message.as_bytes());
    let signatures = json!({"signatures": [format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))]}).to_string();
    let mut files = modules.to_vec();
    files.push((".signatures.json", &signatures));
    bundle(&files)
}

/// A service on loopback: `GET /bundle.tar.gz` with an entity tag, `POST /logs`. Its thread ends with the test process.
#[derive(Debug, Clone)]
pub struct Service {
    /// The loopback port.
    pub port: u16,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    bundle: Option<(String, Vec<u8>)>,
    is_down: bool,
    statuses: Vec<(String, u16)>,
    events: Vec<Value>,
}

impl Service {
    /// Starts with nothing to serve.
    ///
    /// # Panics
    /// When no port can be had.
    #[track_caller]
    #[must_use]
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let service = Self { port: listener.local_addr().unwrap().port(), state: Arc::default() };
        let serving = service.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = serving.answer(stream);
            }
        });
        service
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is served from now on, under a tag.
    pub fn publish(&self, tag: &str, bundle: Vec<u8>) {
        self.state().bundle = Some((format!("\"{tag}\""), bundle));
    }

    /// Answers everything with 503, or no longer.
    pub fn is_down(&self, is_down: bool) {
        self.state().is_down = is_down;
    }

    /// How often a method was answered with a status.
    #[must_use]
    pub fn count(&self, method: &str, status: u16) -> usize {
        self.state().statuses.iter().filter(|one| one.0 == method && one.1 == status).count()
    }

    /// The events that were taken.
    #[must_use]
    pub fn events(&self) -> Vec<Value> {
        self.state().events.clone()
    }

    fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let method = line.split(' ').next().unwrap_or_default().to_owned();
        let mut headers = Vec::new();
        loop {
            let mut header = String::new();
            if reader.read_line(&mut header)? == 0 || header.trim().is_empty() {
                break;
            }
            let (name, value) = header.split_once(':').unwrap_or((&header, ""));
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let header = |name: &str| headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str());
        let length = header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let authorized = header("authorization") == Some(&format!("Bearer {TOKEN}"));
        let (status, tag, content) = self.decide(&method, authorized, header("if-none-match"), &body);
        self.state().statuses.push((method, status));
        let tag = tag.map(|tag| format!("etag: {tag}\r\n")).unwrap_or_default();
        write!(stream, "HTTP/1.1 {status} X\r\n{tag}content-length: {}\r\nconnection: close\r\n\r\n", content.len())?;
        stream.write_all(&content)
    }

    fn decide(&self, method: &str, authorized: bool, known: Option<&str>, body: &[u8]) -> (u16, Option<String>, Vec<u8>) {
        let mut state = self.state();
        if state.is_down || !authorized {
            return (if authorized { 503 } else { 401 }, None, Vec::new());
        }
        if method == "POST" {
            let mut json = String::new();
            GzDecoder::new(body).read_to_string(&mut json).unwrap();
            state.events.extend(serde_json::from_str::<Vec<Value>>(&json).unwrap());
            return (204, None, Vec::new());
        }
        match &state.bundle {
            None => (404, None, Vec::new()),
            Some((tag, _)) if known == Some(tag) => (304, Some(tag.clone()), Vec::new()),
            Some((tag, bundle)) => (200, Some(tag.clone()), bundle.clone()),
        }
    }
}
