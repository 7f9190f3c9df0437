//! A host that is asked by HTTP, through the one way out that this server has: addresses are checked after they are resolved, and no redirect is followed.

use std::any::Any;
use std::cell::RefCell;
use std::io::{BufRead, Cursor, Error, ErrorKind, Read, Write};
use std::rc::Rc;
use std::sync::Arc;

use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use axum::http::request::Builder;
use axum::http::{Method, StatusCode};
use bytes::{Buf as _, Bytes};
use gix::protocol::transport::Protocol;
use gix::protocol::transport::client::blocking_io::Transport;
use gix::protocol::transport::client::blocking_io::http::{self, GetResponse, Http, PostBodyDataKind, PostResponse};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::runtime::Runtime;

use super::limits::{GLANCE, Limits};
use crate::outbound::Endpoint;

/// The largest request: wants and haves.
const LARGEST_REQUEST: usize = 64 * 1024;
/// What is asked for below the URL of a repository.
const ADVERTISEMENT: &str = "info/refs?service=git-upload-pack";
const UPLOAD_PACK: &str = "git-upload-pack";
/// Hosts tell programs from people by this.
const AGENT: &str = "git/countersign";

/// Starts a conversation. Nothing is sent before the first question.
pub(super) fn connect(
    url: &str,
    endpoint: Arc<Endpoint>,
    authorization: Option<HeaderValue>,
    limits: Arc<Limits>,
) -> Result<Box<dyn Transport>, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let host = Rc::new(Host { endpoint, authorization, limits, runtime: Some(runtime) });
    let parsed = gix::Url::try_from(url).map_err(|error| Error::new(ErrorKind::InvalidInput, error.to_string()))?;
    Ok(Box::new(http::Transport::new_http(Client { host, base: url.to_owned() }, parsed, Protocol::V2, false)))
}

/// The host, and how it is asked.
struct Host {
    endpoint: Arc<Endpoint>,
    authorization: Option<HeaderValue>,
    limits: Arc<Limits>,
    runtime: Option<Runtime>,
}

impl Drop for Host {
    fn drop(&mut self) {
        // A name that is still being looked up is not waited for.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Host {
    /// Waits for something, as long as there is time.
    fn wait<T>(&self, work: impl Future<Output = T>) -> Result<T, Error> {
        let runtime = self.runtime.as_ref().ok_or_else(|| Error::other("the conversation is over"))?;
        runtime.block_on(async {
            let mut work = std::pin::pin!(work);
            loop {
                let left = self.limits.remaining()?.min(GLANCE);
                if let Ok(done) = tokio::time::timeout(left, &mut work).await {
                    return Ok(done);
                }
            }
        })
    }

    fn ask(&self, request: Builder, content: Bytes) -> Result<(Vec<u8>, Incoming), Error> {
        let request = match &self.authorization {
            Some(authorization) => request.header(AUTHORIZATION, authorization),
            None => request,
        };
        let answer = self.wait(self.endpoint.open(request, content))?.map_err(Error::other)?;
        match answer.status() {
            StatusCode::OK => {}
            status if status.is_redirection() => {
                return Err(Error::other(format!("the host answers with a redirect ({}), and none is followed", status.as_u16())));
            }
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                return Err(Error::other(format!("the host does not let us in ({}): look at `token_file`", status.as_u16())));
            }
            status => return Err(Error::other(format!("the host answers with status {}", status.as_u16()))),
        }
        let kind = answer.headers().get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
        let headers = [b"content-type: ", kind, b"\n"].concat();
        Ok((headers, answer.into_body()))
    }
}

struct Client {
    host: Rc<Host>,
    base: String,
}

impl Client {
    /// A request to what we say, whatever URL we are told: below the one that was checked.
    fn request(&self, method: Method, below: &str, headers: impl IntoIterator<Item = impl AsRef<str>>) -> Builder {
        let mut request = self.host.endpoint.request_below(method, below).header("user-agent", AGENT);
        for header in headers {
            let Some((name, value)) = header.as_ref().split_once(':') else { continue };
            if !name.eq_ignore_ascii_case("user-agent") {
                request = request.header(name.trim(), value.trim());
            }
        }
        request
    }
}

impl Http for Client {
    type Headers = Headers;
    type ResponseBody = Body;
    type PostBody = Question;

    fn get(
        &mut self,
        _url: &str,
        _base: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> gix::Result<GetResponse<Headers, Body>> {
        let exchange = Exchange::new(&self.host, self.request(Method::GET, ADVERTISEMENT, headers));
        exchange.borrow_mut().begin().map_err(gix::Error::from_error)?;
        Ok(GetResponse { headers: Headers::of(&exchange), body: Body::of(&exchange) })
    }

    fn post(
        &mut self,
        _url: &str,
        _base: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
        _kind: PostBodyDataKind,
    ) -> gix::Result<PostResponse<Headers, Body, Question>> {
        let exchange = Exchange::new(&self.host, self.request(Method::POST, UPLOAD_PACK, headers));
        Ok(PostResponse { post_body: Question(Rc::clone(&exchange)), headers: Headers::of(&exchange), body: Body::of(&exchange) })
    }

    fn configure(&mut self, _config: &dyn Any) -> gix::Result {
        Ok(())
    }

    fn redirected_base_url(&self) -> Option<String> {
        Some(self.base.clone())
    }
}

/// A question and its answer. It is asked when somebody wants to hear the answer.
struct Exchange {
    host: Rc<Host>,
    state: State,
}

enum State {
    Asking(Builder, Vec<u8>),
    Answered(Vec<u8>, Incoming),
    Over,
}

impl Exchange {
    fn new(host: &Rc<Host>, request: Builder) -> Rc<RefCell<Self>> {
        Rc::new(RefCell::new(Self { host: Rc::clone(host), state: State::Asking(request, Vec::new()) }))
    }

    fn begin(&mut self) -> Result<(), Error> {
        self.state = match std::mem::replace(&mut self.state, State::Over) {
            State::Asking(request, content) => {
                let (headers, body) = self.host.ask(request, content.into())?;
                State::Answered(headers, body)
            }
            state => state,
        };
        Ok(())
    }

    fn headers(&mut self) -> Result<Vec<u8>, Error> {
        self.begin()?;
        match &self.state {
            State::Answered(headers, _) => Ok(headers.clone()),
            _ => Ok(Vec::new()),
        }
    }

    /// The next bytes of the answer; none at its end.
    fn next(&mut self) -> Result<Bytes, Error> {
        self.begin()?;
        let State::Answered(_, body) = &mut self.state else { return Ok(Bytes::new()) };
        loop {
            let Some(frame) = self.host.wait(body.frame())? else { return Ok(Bytes::new()) };
            let frame = frame.map_err(|_| Error::new(ErrorKind::UnexpectedEof, "the answer broke off"))?;
            if let Ok(data) = frame.into_data() {
                self.host.limits.spend(data.len())?;
                if !data.is_empty() {
                    return Ok(data);
                }
            }
        }
    }
}

/// The body of a question while it is written.
struct Question(Rc<RefCell<Exchange>>);

impl Write for Question {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        match &mut self.0.borrow_mut().state {
            State::Asking(_, content) if content.len() + bytes.len() <= LARGEST_REQUEST => {
                content.extend_from_slice(bytes);
                Ok(bytes.len())
            }
            _ => Err(Error::other("the question is too long, or was asked already")),
        }
    }

    fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

/// The headers of an answer that are looked at, one a line.
struct Headers {
    exchange: Rc<RefCell<Exchange>>,
    text: Option<Cursor<Vec<u8>>>,
}

impl Headers {
    fn of(exchange: &Rc<RefCell<Exchange>>) -> Self {
        Self { exchange: Rc::clone(exchange), text: None }
    }

    fn text(&mut self) -> Result<&mut Cursor<Vec<u8>>, Error> {
        let text = match self.text.take() {
            Some(text) => text,
            None => Cursor::new(self.exchange.borrow_mut().headers()?),
        };
        Ok(self.text.insert(text))
    }
}

impl Read for Headers {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        self.text()?.read(buffer)
    }
}

impl BufRead for Headers {
    fn fill_buf(&mut self) -> Result<&[u8], Error> {
        self.text()?.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        if let Some(text) = &mut self.text {
            text.consume(count);
        }
    }
}

/// The body of an answer.
struct Body {
    exchange: Rc<RefCell<Exchange>>,
    rest: Bytes,
}

impl Body {
    fn of(exchange: &Rc<RefCell<Exchange>>) -> Self {
        Self { exchange: Rc::clone(exchange), rest: Bytes::new() }
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Body {
    fn fill_buf(&mut self) -> Result<&[u8], Error> {
        if self.rest.is_empty() {
            self.rest = self.exchange.borrow_mut().next()?;
        }
        Ok(&self.rest)
    }

    fn consume(&mut self, count: usize) {
        self.rest.advance(count.min(self.rest.len()));
    }
}
