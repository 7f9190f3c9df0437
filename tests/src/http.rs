//! A plain HTTP client for tests: no redirects followed, no status is an error, time and size bounded.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::process::PATIENCE;

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body as text.
    pub body: String,
}

impl Answer {
    /// The first value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is no JSON.
    #[track_caller]
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_global(Some(Duration::from_secs(60)))
        .build()
        .new_agent()
}

/// Sends a request; a body goes out as JSON.
///
/// # Panics
/// When there is no answer.
#[track_caller]
#[must_use]
pub fn send(method: &str, url: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Answer {
    try_send(method, url, headers, body).unwrap_or_else(|error| panic!("{method} {url}: {error}"))
}

/// Sends bytes as they are and gives the answer as text: what came until the connection closed, or until `enough` of it is there.
///
/// # Panics
/// When nobody listens.
#[track_caller]
#[must_use]
pub fn raw(port: u16, request: &[u8], enough: impl Fn(&str) -> bool) -> String {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap_or_else(|error| panic!("port {port}: {error}"));
    let _ = stream.set_read_timeout(Some(PATIENCE)).and_then(|()| stream.write_all(request));
    let (mut answer, mut some) = (Vec::new(), [0; 4096]);
    while let Ok(length @ 1..) = stream.read(&mut some) {
        answer.extend_from_slice(&some[..length]);
        if enough(&String::from_utf8_lossy(&answer)) {
            break;
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// As [`send`], where there may be no answer.
///
/// # Errors
/// What went wrong on the way.
pub fn try_send(method: &str, url: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Result<Answer, String> {
    let mut request = ureq::http::Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = match body {
        Some(body) => {
            let request = request.header("content-type", "application/json").body(body.to_string()).map_err(|error| error.to_string())?;
            agent().run(request)
        }
        None => agent().run(request.body(()).map_err(|error| error.to_string())?),
    };
    let mut answer = answer.map_err(|error| error.to_string())?;
    let headers = answer.headers().iter();
    let headers = headers.map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())).collect();
    let body = answer.body_mut().with_config().limit(4 << 20).read_to_string().map_err(|error| error.to_string())?;
    Ok(Answer { status: answer.status().as_u16(), headers, body })
}
