//! Passes `/.countersign/` on to the decision point, as a proxy before the application would: there a browser begins and ends a step-up.

use std::error::Error;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::uri::{Authority, PathAndQuery, Scheme};
use axum::http::{HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use countersign_sdk_pep::ClientAddress;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

const PEP: HeaderName = HeaderName::from_static("x-countersign-pep");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The way to the public listener of the decision point.
#[derive(Clone)]
pub(crate) struct Ceremony {
    client: Client<HttpConnector, Body>,
    listener: Authority,
    pep: HeaderValue,
}

impl Ceremony {
    /// To the listener at a loopback port, as the enforcement point `id:secret`.
    pub(crate) fn new(port: u16, pep: &str) -> Result<Self, Box<dyn Error>> {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Ok(Self { client, listener: format!("127.0.0.1:{port}").parse()?, pep: HeaderValue::try_from(pep)? })
    }

    async fn send(&self, mut request: Request) -> Option<Response> {
        let path = request.uri().path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
        let address = request.extensions().get().map(|ClientAddress(address)| address.to_string())?;
        *request.uri_mut() = Uri::builder().scheme(Scheme::HTTP).authority(self.listener.clone()).path_and_query(path).build().ok()?;
        let headers = request.headers_mut();
        headers.remove(header::CONNECTION);
        // What the client says of itself is replaced, and `Host` is passed on as the browser sent it.
        headers.insert(FORWARDED_FOR, HeaderValue::try_from(address).ok()?);
        headers.insert(PEP, self.pep.clone());
        Some(self.client.request(request).await.ok()?.map(Body::new))
    }
}

/// The answer of the decision point, or a 503.
pub(crate) async fn pass_on(State(ceremony): State<Ceremony>, request: Request) -> Response {
    ceremony.send(request).await.unwrap_or_else(|| StatusCode::SERVICE_UNAVAILABLE.into_response())
}
