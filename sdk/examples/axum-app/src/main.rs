//! An axum application that asks a decision point on each request. `sdk/examples/axum-app/run` starts both.
//!
//! | route | shows |
//! |---|---|
//! | `/` | what is open to everybody |
//! | `/payroll` | the layer and the extractor |
//! | `/report` | an obligation: somebody is told before the report is shown |
//! | `/payments` | a step-up: a browser is led to its passkey, a program gets the challenge of RFC 9470 |
//! | `/events` | a stream that ends when its decision does |
//! | `/socket` | a WebSocket that does |

mod ceremony;

use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::sse::{Event, Sse};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{any, get};
use countersign_sdk_client::Client;
use countersign_sdk_pep::{ClientAddress, Duty, EnforceLayer, Permitted};
use futures_util::{SinkExt as _, Stream, StreamExt as _, stream};

use crate::ceremony::Ceremony;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { port, decision, public, folder } = arguments()?;
    let secret = std::fs::read_to_string(folder.join("secret"))?.trim().to_owned();
    let client =
        Client::builder(format!("http://127.0.0.1:{decision}")).pep("axum-app", &*secret).deadline(Duration::from_secs(3)).build()?;
    let enforce = EnforceLayer::new(client, format!("http://app.localhost:{port}").parse()?).obligation("notification", announce);
    let ceremony = Ceremony::new(public, &format!("axum-app:{secret}"))?;

    let protected = Router::new()
        .route("/payroll", get(payroll))
        .route("/report", get(report))
        .route("/payments", get(payments))
        .route("/events", get(events))
        .route("/socket", get(socket))
        .layer(enforce);
    let open = Router::new()
        .route("/", get(home))
        .route("/sign-in", get(sign_in))
        .with_state(folder)
        .route("/.countersign/", any(ceremony::pass_on))
        .route("/.countersign/{*path}", any(ceremony::pass_on))
        .with_state(ceremony);
    // Layers that are added later run earlier: the address is there when the question is asked.
    let app = protected.merge(open).layer(middleware::from_fn(address));

    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}

struct Arguments {
    port: u16,
    decision: u16,
    public: u16,
    folder: PathBuf,
}

fn arguments() -> Result<Arguments, Box<dyn Error>> {
    let mut given = std::env::args().skip(1);
    let mut next = || given.next().ok_or("usage: axum-app PORT DECISION_PORT PUBLIC_PORT FOLDER");
    Ok(Arguments { port: next()?.parse()?, decision: next()?.parse()?, public: next()?.parse()?, folder: next()?.into() })
}

/// Where the client is, as the connection says.
async fn address(ConnectInfo(peer): ConnectInfo<SocketAddr>, mut request: Request, next: Next) -> Response {
    request.extensions_mut().insert(ClientAddress(peer.ip()));
    next.run(request).await
}

async fn home() -> Html<&'static str> {
    Html(include_str!("home.html"))
}

/// Stands in for a log-in: the token comes from a file.
async fn sign_in(State(folder): State<PathBuf>) -> Response {
    match token(&folder, "alice") {
        Ok(token) => {
            ([(header::SET_COOKIE, format!("access_token={token}; Path=/; HttpOnly; SameSite=Lax"))], Redirect::to("/")).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn token(folder: &Path, who: &str) -> std::io::Result<String> {
    Ok(std::fs::read_to_string(folder.join(format!("{who}.token")))?.trim().to_owned())
}

/// Cannot be reached without an allow: there is no other way to a [`Permitted`].
async fn payroll(permitted: Permitted) -> String {
    let decision = permitted.decision_id().map(ToString::to_string).unwrap_or_default();
    format!("The payroll, by decision {decision}\n")
}

/// What an allow with a `notification` obliges to. An error would refuse the request.
#[expect(clippy::print_stdout, reason = "an example sends no mail")]
async fn announce(duty: Duty) -> Result<(), String> {
    let text = |name: &str| duty.properties().get(name).and_then(|value| value.as_str()).ok_or(format!("no `{name}`"));
    println!("to {}: {} ({} {})", text("to")?, text("body")?, duty.action().name, duty.resource().id);
    Ok(())
}

async fn report(_permitted: Permitted) -> &'static str {
    "The report, of which somebody was told\n"
}

async fn payments(_permitted: Permitted) -> Html<&'static str> {
    Html("<!doctype html><title>Payments</title><p>Payments: your passkey was accepted.</p>")
}

/// Goes on for as long as it is allowed. Nothing in here knows of it: the layer ends the body.
async fn events(_permitted: Permitted) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let ticks = stream::unfold((tokio::time::interval(Duration::from_millis(500)), 0_u64), |(mut clock, count)| async move {
        clock.tick().await;
        Some((Ok(Event::default().data(format!("tick {count}"))), (clock, count + 1)))
    });
    Sse::new(ticks)
}

/// Says back what it hears, for as long as it is allowed.
async fn socket(permitted: Permitted, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(|socket| async move {
        let mut socket = permitted.guard(socket);
        while let Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) = socket.next().await {
            if socket.send(message).await.is_err() {
                break;
            }
        }
        goodbye(socket.into_inner()).await;
    })
}

async fn goodbye(mut socket: WebSocket) {
    // Whoever is gone does not hear it.
    let _ = socket.send(Message::Close(None)).await;
}
