//! An axum application behind a decision point.
//!
//! ```text
//! COUNTERSIGN_SECRET=… cargo run -p countersign-sdk-pep --example axum_app -- http://127.0.0.1:8180
//! ```
//!
//! The argument is the decision listener of a running decision point that knows the enforcement point `axum-app`.

use std::error::Error;
use std::net::SocketAddr;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;
use countersign_sdk_client::Client;
use countersign_sdk_pep::{ClientAddress, EnforceLayer, Permitted};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).ok_or("the address of a decision point is missing")?;
    let point = Client::builder(url).pep("axum-app", secret()?).build()?;
    let enforce = EnforceLayer::new(point, "http://app.localhost:8080".parse()?);
    // Layers that are added later run earlier: the address is there when the question is asked.
    let app = Router::new().route("/payroll", get(payroll)).layer(enforce).layer(middleware::from_fn(address));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "an example has no configuration file")]
fn secret() -> Result<String, std::env::VarError> {
    std::env::var("COUNTERSIGN_SECRET")
}

async fn address(ConnectInfo(peer): ConnectInfo<SocketAddr>, mut request: Request, next: Next) -> Response {
    request.extensions_mut().insert(ClientAddress(peer.ip()));
    next.run(request).await
}

/// Cannot be reached without an allow: there is no other way to a [`Permitted`].
async fn payroll(permitted: Permitted) -> String {
    format!("{} {}\n", permitted.action().name, permitted.resource().id)
}
