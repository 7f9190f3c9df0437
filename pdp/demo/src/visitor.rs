//! A browser, as far as the story needs one: it keeps cookies by host, says who it is, and is somewhere.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use http::header::{self, HeaderName};
use http::{Method, Request, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// The header by which a visitor of the demonstration says where it is; believed only with the secret of this run.
pub const FROM: &str = "x-demo-from";
const MOST: usize = 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(20);

/// Who visits, and from where.
#[derive(Debug, Clone)]
pub struct Visitor {
    stage: Stage,
    agent: String,
    from: IpAddr,
    cookies: BTreeMap<(String, String), String>,
}

/// Where the demonstration runs, and the secret by which its own visitors may say where they are.
#[derive(Debug, Clone)]
pub struct Stage {
    /// The loopback port of every host.
    pub port: u16,
    /// Made at start, known to this process alone.
    pub secret: String,
}

impl Stage {
    /// An address on one of the hosts.
    #[must_use]
    pub fn url(&self, host: &str, target: &str) -> String {
        format!("http://{host}.localhost:{}{target}", self.port)
    }
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Page {
    /// Where it came from.
    pub url: String,
    /// The status.
    pub status: u16,
    /// Where the visitor is sent.
    pub location: Option<String>,
    /// The id of the decision, where one was made.
    pub decision: Option<String>,
    /// The text.
    pub body: String,
}

/// Why a visit failed: the text says at which address and how.
#[derive(Debug, thiserror::Error)]
#[error("{url}: {what}")]
pub struct VisitError {
    url: String,
    what: String,
}

impl Visitor {
    /// A visitor with an empty jar.
    #[must_use]
    pub fn new(stage: Stage, agent: &str, from: IpAddr) -> Self {
        Self { stage, agent: agent.to_owned(), from, cookies: BTreeMap::new() }
    }

    /// Is somewhere else from now on.
    pub fn travel(&mut self, to: IpAddr) {
        self.from = to;
    }

    /// A cookie that a host has set.
    #[must_use]
    pub fn cookie(&self, host: &str, name: &str) -> Option<&str> {
        self.cookies.get(&(self.host(host), name.to_owned())).map(String::as_str)
    }

    /// Puts a cookie into the jar: this is how a thief uses what he stole.
    pub fn hold(&mut self, host: &str, name: &str, value: &str) {
        self.cookies.insert((self.host(host), name.to_owned()), value.to_owned());
    }

    fn host(&self, host: &str) -> String {
        format!("{host}.localhost:{}", self.stage.port)
    }

    /// Navigates to an address, without following a redirect.
    ///
    /// # Errors
    /// When nothing, or too much, comes back.
    pub async fn get(&mut self, url: &str) -> Result<Page, VisitError> {
        self.send(Method::GET, url, None).await
    }

    /// Navigates, and follows at most five redirects.
    ///
    /// # Errors
    /// When a visit on the way fails.
    pub async fn follow(&mut self, url: &str) -> Result<Page, VisitError> {
        let mut page = self.get(url).await?;
        for _ in 0..5 {
            let Some(location) = page.location.clone() else { break };
            page = self.get(&location).await?;
        }
        Ok(page)
    }

    /// Posts JSON as a script of the page's own origin does.
    ///
    /// # Errors
    /// When nothing, or too much, comes back.
    pub async fn post(&mut self, url: &str, body: &Value) -> Result<Page, VisitError> {
        self.send(Method::POST, url, Some(body.to_string())).await
    }

    async fn send(&mut self, method: Method, url: &str, body: Option<String>) -> Result<Page, VisitError> {
        let failed = |what: String| VisitError { url: url.to_owned(), what };
        let sent = tokio::time::timeout(PATIENCE, self.exchange(method, url, body)).await;
        let page = sent.map_err(|_| failed("no answer in time".to_owned()))?.map_err(|error| failed(error.to_string()))?;
        Ok(page)
    }

    async fn exchange(
        &mut self,
        method: Method,
        url: &str,
        body: Option<String>,
    ) -> Result<Page, Box<dyn std::error::Error + Send + Sync>> {
        let uri: Uri = url.parse()?;
        let host = uri.authority().ok_or("the address names no host")?.to_string();
        let request = self.request(method, &uri, &host, body)?;
        // Every host of the demonstration is this machine: no name is looked up.
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.stage.port)).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let driven = tokio::spawn(connection);
        let response = sender.send_request(request).await?;
        let (parts, body) = response.into_parts();
        for cookie in parts.headers.get_all(header::SET_COOKIE) {
            self.keep(&host, cookie.to_str()?);
        }
        let text = |name: HeaderName| parts.headers.get(name).and_then(|value| value.to_str().ok()).map(ToOwned::to_owned);
        let bytes = Limited::new(body, MOST).collect().await?.to_bytes();
        driven.abort();
        Ok(Page {
            url: url.to_owned(),
            status: parts.status.as_u16(),
            location: text(header::LOCATION),
            decision: text(HeaderName::from_static("x-countersign-decision")).filter(|id| !id.is_empty()),
            body: String::from_utf8_lossy(&bytes).into_owned(),
        })
    }

    fn request(&self, method: Method, uri: &Uri, host: &str, body: Option<String>) -> Result<Request<Full<bytes::Bytes>>, http::Error> {
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        let mut request = Request::builder()
            .method(method)
            .uri(target)
            .header(header::HOST, host)
            .header(header::USER_AGENT, &self.agent)
            .header(FROM, format!("{} {}", self.stage.secret, self.from));
        let cookies: Vec<String> =
            self.cookies.iter().filter(|((of, _), _)| of == host).map(|((_, name), value)| format!("{name}={value}")).collect();
        if !cookies.is_empty() {
            request = request.header(header::COOKIE, cookies.join("; "));
        }
        request = match body {
            Some(_) => request
                .header(header::CONTENT_TYPE, "application/json")
                .header(header::ORIGIN, format!("http://{host}"))
                .header("sec-fetch-site", "same-origin"),
            None => request.header(header::ACCEPT, "text/html").header("sec-fetch-mode", "navigate"),
        };
        request.body(Full::from(body.unwrap_or_default()))
    }

    fn keep(&mut self, host: &str, cookie: &str) {
        let pair = cookie.split(';').next().unwrap_or_default();
        if let Some((name, value)) = pair.split_once('=') {
            self.cookies.insert((host.to_owned(), name.trim().to_owned()), value.trim().to_owned());
        }
    }
}

#[cfg(test)]
mod tests;
