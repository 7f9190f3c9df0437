//! The introspection endpoint of an issuer (RFC 7662): says of each token what a test wants, and counts how often it is asked.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// Who may ask: `id:secret`.
pub const CLIENT: &str = "countersign:introspection-secret";

/// A running endpoint. Its threads end with the test process.
#[derive(Debug)]
pub struct Endpoint {
    port: u16,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    tokens: BTreeMap<String, Value>,
    asked: usize,
    is_down: bool,
}

impl Endpoint {
    /// Starts on a free port. No token is active.
    ///
    /// # Panics
    /// When no port can be had.
    #[track_caller]
    #[must_use]
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::<Mutex<State>>::default();
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || answer(stream, &shared));
            }
        });
        Self { port, state }
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/introspect", self.port)
    }

    /// What it says of a token from now on.
    ///
    /// # Panics
    /// When a thread of it panicked.
    pub fn say(&self, token: &str, answer: Value) {
        self.state.lock().unwrap().tokens.insert(token.to_owned(), answer);
    }

    /// From now on it hangs up on whoever asks.
    ///
    /// # Panics
    /// When a thread of it panicked.
    pub fn fail(&self) {
        self.state.lock().unwrap().is_down = true;
    }

    /// How often it was asked.
    ///
    /// # Panics
    /// When a thread of it panicked.
    #[must_use]
    pub fn asked(&self) -> usize {
        self.state.lock().unwrap().asked
    }
}

fn answer(stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(crate::process::PATIENCE))?;
    let mut reader = BufReader::new(stream);
    let (mut length, mut client) = (0, String::new());
    loop {
        let mut line = String::new();
        reader.by_ref().take(16 * 1024).read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        let Some((name, value)) = line.trim_end().split_once(':') else { continue };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap_or(0),
            "authorization" => client = value.trim().to_owned(),
            _ => {}
        }
    }
    let mut form = Vec::new();
    reader.by_ref().take(length).read_to_end(&mut form)?;
    let form = String::from_utf8_lossy(&form).into_owned();
    let token = form.strip_prefix("token=").and_then(|rest| rest.split('&').next()).unwrap_or_default();
    let said = {
        let mut state = state.lock().unwrap();
        state.asked += 1;
        (!state.is_down).then(|| state.tokens.get(token).cloned().unwrap_or_else(|| json!({"active": false})))
    };
    let Some(said) = said else { return Ok(()) };
    // Percent-encoding leaves letters and digits, of which the id and the secret here are made but for the hyphen.
    let expected = format!("Basic {}", STANDARD.encode(CLIENT.replace('-', "%2D")));
    let (status, body) = if client == expected { ("200 OK", said.to_string()) } else { ("401 Unauthorized", "{}".to_owned()) };
    let mut stream = reader.into_inner();
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )?;
    stream.flush()
}
