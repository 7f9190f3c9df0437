//! The protected application, and the page from which the demonstration is driven. The payroll itself is behind the SDK's layer.

mod pages;
mod witness;

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use countersign_sdk_client::Client;
use countersign_sdk_pep::{ClientAddress, EnforceLayer, Origin, Permitted};
use countersign_sdk_types::{Seconds, Timestamp};

use crate::attack::{self, TOKEN_COOKIE};
use crate::backstage::{ALICE, Backstage, CODE_LIFE, MORNING, NIGHT, Place, Scene, is_night};
use crate::hand::Browsing;
use crate::issuer::{Grantee, Issuer, Standing};
use crate::timeline::Timeline;
use crate::visitor::Stage;

/// The `aud` of the demonstration's tokens.
pub const AUDIENCE: &str = "payroll";
const TOKEN_LIFE: Seconds = Seconds(24 * 3600);
const MOST_IN_JAR: usize = 8 * 1024;

/// What the handlers share.
pub struct Application {
    stage: Stage,
    scene: Arc<Scene>,
    backstage: Arc<dyn Backstage>,
    issuer: Issuer,
    timeline: Timeline,
    code: Mutex<Option<Code>>,
}

/// The one-time code that was asked for last.
#[derive(Debug, Clone)]
struct Code {
    text: String,
    expires: Timestamp,
    /// How many passkeys there were: one more, and it is spent.
    passkeys: usize,
}

impl Application {
    /// The application on a stage, with its person somewhere in the scene, and a decision point behind it.
    #[must_use]
    pub fn new(stage: Stage, scene: Arc<Scene>, backstage: Arc<dyn Backstage>, issuer: Issuer) -> Self {
        Self { stage, scene, backstage, issuer, timeline: Timeline::default(), code: Mutex::new(None) }
    }

    /// What the visitor's token is; `None` without one.
    fn standing(&self, headers: &HeaderMap) -> Option<Standing> {
        token(headers).map(|token| self.issuer.standing(&token, self.backstage.now()))
    }

    /// A request of the browser that sent these headers.
    fn browsing(&self, headers: &HeaderMap) -> Browsing {
        let all = headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()));
        let authority = format!("payroll.localhost:{}", self.stage.port);
        Browsing { authority, headers: all.collect(), from: self.scene.place().address() }
    }

    /// The code, while it can be used.
    fn code(&self) -> Option<String> {
        let code = self.code.lock().ok()?.clone()?;
        let usable = self.backstage.now() < code.expires && self.backstage.passkeys() == code.passkeys;
        usable.then_some(code.text)
    }
}

type Shared = State<Arc<Application>>;

/// The router of the application's host.
pub fn router(application: Arc<Application>, client: Client, origin: Origin) -> Router {
    let payroll = Router::new()
        .route("/payroll", get(payroll))
        .layer(EnforceLayer::new(client, origin))
        .layer(middleware::from_fn_with_state(Arc::clone(&application), witness::witnessed));
    let stage = Router::new()
        .route("/", get(home))
        .route("/why/{decision}", get(why))
        .route("/hand", get(hand))
        .route("/hand/now", get(hand_now))
        .route("/hand/learn", post(learn_hand))
        .route("/hand.js", get(pages::hand_script))
        .route("/demo.css", get(pages::style))
        .route("/demo.js", get(pages::script))
        .route("/sign-in", post(sign_in))
        .route("/sign-out", post(sign_out))
        .route("/enroll-code", post(enroll_code))
        .route("/attack", post(be_the_attacker))
        .route("/go/{what}", post(go))
        .fallback(nowhere)
        .layer(middleware::from_fn(own_pages_only));
    payroll.merge(stage).with_state(application)
}

/// Where a visitor is, for the layer that asks the decision point about them.
#[must_use]
pub const fn from(address: IpAddr) -> ClientAddress {
    ClientAddress(address)
}

async fn home(State(application): Shared, headers: HeaderMap) -> Response {
    pages::home(&application, &headers)
}

/// Cannot be reached without an allow: there is no other way to a [`Permitted`].
async fn payroll(State(application): Shared, permitted: Permitted) -> Response {
    let decision = permitted.decision_id().map(ToString::to_string).unwrap_or_default();
    witness::named(pages::payroll(application.scene.place(), &application.backstage.clock(), &decision), &decision)
}

async fn why(State(application): Shared, Path(decision): Path<String>) -> Response {
    application.backstage.why(&decision).map_or_else(pages::nowhere, |why| pages::why(&why))
}

/// The page that shows how the score follows the hand.
async fn hand(State(application): Shared, headers: HeaderMap) -> Response {
    pages::hand(&application, application.standing(&headers) == Some(Standing::Good))
}

/// What this browser's session scores now.
async fn hand_now(State(application): Shared, headers: HeaderMap) -> Response {
    match application.backstage.hand(application.browsing(&headers)).await {
        Ok(Some(hand)) => ([(header::CACHE_CONTROL, "no-store")], Json(hand)).into_response(),
        Ok(None) => StatusCode::UNAUTHORIZED.into_response(),
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

async fn learn_hand(State(application): Shared, headers: HeaderMap) -> Response {
    match application.backstage.learn_hand(application.browsing(&headers)).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(_) => StatusCode::CONFLICT.into_response(),
    }
}

async fn nowhere() -> Response {
    pages::nowhere()
}

/// Signs alice in: a token in a cookie, and a past in this browser.
async fn sign_in(State(application): Shared, headers: HeaderMap) -> Response {
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let now = application.backstage.now();
    let id = format!("demo-{}", now.0);
    let grantee = Grantee { sub: ALICE, aud: AUDIENCE, client_id: "demo", sid: &id, jti: &id };
    let Ok(token) = application.issuer.mint(grantee, now, TOKEN_LIFE) else { return pages::broken("the token could not be signed") };
    if let Err(error) = application.backstage.remember(agent).await {
        return pages::broken(&error);
    }
    let cookie = format!("{TOKEN_COOKIE}={token}; Path=/; Max-Age={}; HttpOnly; SameSite=Lax", TOKEN_LIFE.0);
    ([(header::SET_COOKIE, cookie)], Redirect::to("/")).into_response()
}

async fn sign_out() -> Response {
    ([(header::SET_COOKIE, format!("{TOKEN_COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"))], Redirect::to("/")).into_response()
}

async fn enroll_code(State(application): Shared) -> Response {
    let (passkeys, expires) = (application.backstage.passkeys(), application.backstage.now().after(CODE_LIFE));
    match application.backstage.enroll_code().await {
        Ok(text) => {
            if let Ok(mut code) = application.code.lock() {
                *code = Some(Code { text, expires, passkeys });
            }
            Redirect::to("/#enrol").into_response()
        }
        Err(error) => pages::broken(&error),
    }
}

/// The token leaks; it is night in Paris; somebody in Singapore uses it. A token that is over by then is not worth stealing.
async fn be_the_attacker(State(application): Shared, headers: HeaderMap) -> Response {
    let Some(stolen) = token(&headers) else { return Redirect::to("/").into_response() };
    if !is_night(application.backstage.time()) {
        application.backstage.wait_until(NIGHT);
    }
    if application.standing(&headers) != Some(Standing::Good) {
        return Redirect::to("/").into_response();
    }
    match attack::attack(&application.stage, &stolen, application.backstage.clock()).await {
        Ok(attack) => {
            application.timeline.attacked(attack);
            let again = application.timeline.happened().attacked_again;
            Redirect::to(if again { "/#again" } else { "/#attack" }).into_response()
        }
        Err(error) => pages::broken(&error.to_string()),
    }
}

/// Lets the person travel, or time pass.
async fn go(State(application): Shared, Path(what): Path<String>, headers: HeaderMap) -> Response {
    match what.as_str() {
        "paris" => application.scene.travel(Place::Paris),
        "singapore" => application.scene.travel(Place::Singapore),
        "morning" => application.backstage.wait_until(MORNING),
        "night" => application.backstage.wait_until(NIGHT),
        _ => return pages::nowhere(),
    }
    let from_hand = headers.get(header::REFERER).is_some_and(|page| page.as_bytes().ends_with(b"/hand"));
    Redirect::to(match what.as_str() {
        _ if from_hand => "/hand",
        "singapore" => "/#travel",
        _ => "/",
    })
    .into_response()
}

fn token(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get(header::COOKIE)?.to_str().ok().filter(|cookies| cookies.len() <= MOST_IN_JAR)?;
    let mut pairs = cookies.split(';').filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, value)| *name == TOKEN_COOKIE && !value.is_empty()).map(|(_, value)| value.to_owned())
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

#[cfg(test)]
mod tests;
