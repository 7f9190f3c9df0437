//! The protected application, and the page from which the demonstration is driven. The payroll itself is behind the SDK's layer.

use std::net::IpAddr;
use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use countersign_sdk_client::Client;
use countersign_sdk_pep::{ClientAddress, EnforceLayer, Origin, Permitted};
use countersign_sdk_types::Seconds;

use crate::attack::{self, Attack, TOKEN_COOKIE};
use crate::backstage::{ALICE, Backstage, MORNING, NIGHT, Place, Scene, TimeOfDay};
use crate::issuer::{Grantee, Issuer};
use crate::visitor::Stage;

/// The `aud` of the demonstration's tokens.
pub const AUDIENCE: &str = "payroll";
const TOKEN_LIFE: Seconds = Seconds(24 * 3600);
const MOST_IN_JAR: usize = 8 * 1024;

/// What the handlers share.
pub struct Application {
    /// Where the demonstration runs.
    pub stage: Stage,
    /// Where its person is.
    pub scene: Arc<Scene>,
    /// The decision point behind it.
    pub backstage: Arc<dyn Backstage>,
    /// Who signs tokens.
    pub issuer: Issuer,
}

/// The router of the application's host.
pub fn router(application: Arc<Application>, client: Client, origin: Origin) -> Router {
    let payroll =
        Router::new().route("/payroll", get(payroll)).layer(EnforceLayer::new(client, origin)).layer(middleware::from_fn(explained));
    let stage = Router::new()
        .route("/", get(home))
        .route("/why/{decision}", get(why))
        .route("/demo.css", get(style))
        .route("/sign-in", post(sign_in))
        .route("/sign-out", post(sign_out))
        .route("/enroll-code", post(enroll_code))
        .route("/attack", post(be_the_attacker))
        .route("/go/{what}", post(go))
        .layer(middleware::from_fn(own_pages_only));
    payroll.merge(stage).with_state(application)
}

/// Where a visitor is, for the layer that asks the decision point about them.
#[must_use]
pub const fn from(address: IpAddr) -> ClientAddress {
    ClientAddress(address)
}

#[derive(Template)]
#[template(path = "home.html")]
struct Home<'a> {
    signed_in: bool,
    passkeys: usize,
    clock: &'a str,
    place: &'a str,
    code: Option<&'a str>,
    enroll_url: &'a str,
    attack: Option<&'a Attack>,
    why: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "payroll.html")]
struct Payroll<'a> {
    decision: &'a str,
}

#[derive(Template)]
#[template(path = "refused.html")]
struct Refused<'a> {
    status: u16,
    decision: &'a str,
}

#[derive(Template)]
#[template(path = "why.html")]
struct Why<'a> {
    why: &'a str,
}

fn page(template: &impl Template) -> Response {
    let policy = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
    let fixed =
        [(header::CONTENT_SECURITY_POLICY, policy), (header::CACHE_CONTROL, "no-store"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
    match template.render() {
        Ok(text) => (fixed, Html(text)).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

impl Application {
    fn home(&self, headers: &HeaderMap, code: Option<&str>, attack: Option<&Attack>) -> Response {
        let why = attack.and_then(|attack| attack.decision.as_deref()).and_then(|decision| self.backstage.why(decision));
        page(&Home {
            signed_in: token(headers).is_some(),
            passkeys: self.backstage.passkeys(),
            clock: &self.backstage.clock(),
            place: self.scene.place().name(),
            code,
            enroll_url: &self.stage.url("auth", "/enroll"),
            attack,
            why: why.as_deref(),
        })
    }
}

type Shared = State<Arc<Application>>;

async fn home(State(application): Shared, headers: HeaderMap) -> Response {
    application.home(&headers, None, None)
}

/// Cannot be reached without an allow: there is no other way to a [`Permitted`].
async fn payroll(permitted: Permitted) -> Response {
    let decision = permitted.decision_id().map(ToString::to_string).unwrap_or_default();
    page(&Payroll { decision: &decision })
}

async fn why(State(application): Shared, Path(decision): Path<String>) -> Response {
    match application.backstage.why(&decision) {
        Some(why) => page(&Why { why: &why }),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("../templates/demo.css")).into_response()
}

/// Signs alice in: a token in a cookie, and a past in this browser.
async fn sign_in(State(application): Shared, headers: HeaderMap) -> Response {
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let now = application.backstage.now();
    let id = format!("demo-{}", now.0);
    let grantee = Grantee { sub: ALICE, aud: AUDIENCE, client_id: "demo", sid: &id, jti: &id };
    let Ok(token) = application.issuer.mint(grantee, now, TOKEN_LIFE) else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    if application.backstage.remember(agent).await.is_err() {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let cookie = format!("{TOKEN_COOKIE}={token}; Path=/; Max-Age={}; HttpOnly; SameSite=Lax", TOKEN_LIFE.0);
    ([(header::SET_COOKIE, cookie)], Redirect::to("/")).into_response()
}

async fn sign_out() -> Response {
    ([(header::SET_COOKIE, format!("{TOKEN_COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"))], Redirect::to("/")).into_response()
}

async fn enroll_code(State(application): Shared, headers: HeaderMap) -> Response {
    match application.backstage.enroll_code().await {
        Ok(code) => application.home(&headers, Some(&code), None),
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// The token leaks; it is night in Paris; somebody in Singapore uses it.
async fn be_the_attacker(State(application): Shared, headers: HeaderMap) -> Response {
    let Some(stolen) = token(&headers) else { return Redirect::to("/").into_response() };
    application.backstage.wait_until(NIGHT);
    match attack::attack(&application.stage, &stolen).await {
        Ok(attack) => application.home(&headers, None, Some(&attack)),
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// Lets the person travel, or time pass.
async fn go(State(application): Shared, Path(what): Path<String>) -> Response {
    let until = |time: TimeOfDay| application.backstage.wait_until(time);
    match what.as_str() {
        "paris" => application.scene.travel(Place::Paris),
        "singapore" => application.scene.travel(Place::Singapore),
        "morning" => until(MORNING),
        "night" => until(NIGHT),
        _ => return StatusCode::NOT_FOUND.into_response(),
    }
    Redirect::to("/").into_response()
}

fn token(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get(header::COOKIE)?.to_str().ok().filter(|cookies| cookies.len() <= MOST_IN_JAR)?;
    let mut pairs = cookies.split(';').filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, value)| *name == TOKEN_COOKIE && !value.is_empty()).map(|(_, value)| value.to_owned())
}

/// A refusal of the layer, as a person reads it; programs keep the bare status.
async fn explained(request: Request, next: Next) -> Response {
    let reads =
        request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).is_some_and(|accept| accept.contains("text/html"));
    let response = next.run(request).await;
    let (status, refused) = (response.status(), response.status().is_client_error() || response.status().is_server_error());
    if !reads || !refused {
        return response;
    }
    let decision = response.headers().get("x-countersign-decision").cloned();
    let id = decision.as_ref().and_then(|id| id.to_str().ok()).unwrap_or_default();
    let mut page = page(&Refused { status: status.as_u16(), decision: id });
    *page.status_mut() = status;
    if let Some(decision) = decision {
        page.headers_mut().insert("x-countersign-decision", decision);
    }
    page
}

/// Another site must not press the buttons of this one.
async fn own_pages_only(request: Request, next: Next) -> Response {
    let site = request.headers().get("sec-fetch-site").map(HeaderValue::as_bytes);
    let own = matches!(site, None | Some(b"same-origin" | b"none"));
    if request.method() == http::Method::POST && !own {
        return StatusCode::FORBIDDEN.into_response();
    }
    next.run(request).await
}
