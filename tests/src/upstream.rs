//! The application behind the proxy: answers every request with what reached it, as JSON; [`PAGES`] are pages that include our scripts; a WebSocket
//! is opened (RFC 6455), and then whatever comes is sent back as it is.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// A running application. Its threads end with the test process.
#[derive(Debug)]
pub struct Upstream {
    port: u16,
    served: Arc<AtomicUsize>,
}

impl Upstream {
    /// Starts on a free port.
    ///
    /// # Panics
    /// When no port can be had.
    #[track_caller]
    #[must_use]
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap_or_else(|error| panic!("no port: {error}"));
        let port = listener.local_addr().map(|address| address.port()).unwrap_or_else(|error| panic!("no address: {error}"));
        let served = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&served);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let count = Arc::clone(&count);
                std::thread::spawn(move || {
                    let _ = answer(stream, &count);
                });
            }
        });
        Self { port, served }
    }

    /// The loopback port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// How many requests reached the application, icons apart.
    #[must_use]
    pub fn served(&self) -> usize {
        self.served.load(Ordering::SeqCst)
    }
}

fn answer(stream: TcpStream, served: &AtomicUsize) -> std::io::Result<()> {
    stream.set_read_timeout(Some(crate::process::PATIENCE))?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.by_ref().take(16 * 1024).read_line(&mut line)?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default().to_owned());
    let mut headers = Map::new();
    loop {
        let mut line = String::new();
        reader.by_ref().take(16 * 1024).read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        let entry = headers.entry(name.to_ascii_lowercase()).or_insert_with(|| json!([]));
        if let Value::Array(values) = entry {
            values.push(json!(value.trim()));
        }
    }
    // A browser asks for the icon when it likes, also after the page is there.
    if target != "/favicon.ico" {
        served.fetch_add(1, Ordering::SeqCst);
    }
    if let Some(key) = headers.get("sec-websocket-key").and_then(|keys| keys[0].as_str()) {
        return echo(reader, &accepted(key));
    }
    if let Some((_, tag)) = PAGES.iter().find(|(path, _)| *path == target) {
        let page = format!("<!doctype html><title>page</title><p>reached</p><script type=module {tag}></script>");
        return respond(reader.into_inner(), &format!("text/html\r\ncontent-security-policy: {POLICY}"), &page);
    }
    let body = json!({"reached": true, "method": method, "target": target, "headers": headers}).to_string();
    respond(reader.into_inner(), "application/json", &body)
}

/// RFC 6455 §4.2.2.
fn accepted(key: &str) -> String {
    let both = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, both.as_bytes()))
}

fn echo(mut reader: BufReader<TcpStream>, accept: &str) -> std::io::Result<()> {
    let mut back = reader.get_ref().try_clone()?;
    write!(
        back,
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: {accept}\r\n\r\n"
    )?;
    std::io::copy(&mut reader, &mut back).map(|_| ())
}

/// As applications include our scripts, and what their tags say.
const PAGES: [(&str, &str); 3] = [
    ("/page", "src=/.countersign/behavior.js"),
    ("/told", "src=/.countersign/countersign.js"),
    ("/asked", "src=/.countersign/countersign.js data-consent=required"),
];

/// The strictest policy under which they work.
const POLICY: &str = "default-src 'none'; script-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
     require-trusted-types-for 'script'; trusted-types 'none'";

fn respond(mut stream: TcpStream, kind: &str, body: &str) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())?;
    stream.flush()
}
