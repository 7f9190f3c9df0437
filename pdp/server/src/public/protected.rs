//! `/.countersign/*` on a protected host: where a ceremony begins and ends, in the one browser that will hold its grant.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use countersign_pdp_engine::request::{DEVICE_COOKIE, GRANT_COOKIE, PRE_COOKIE, device_of};
use countersign_pdp_stepup::secret::{Secret, SecretDigest};

use super::visit::{Protected, counted};
use crate::metrics::StepUpStage;
use crate::pages::{Browser, Trouble};

/// A device is known for as long as browsers keep a cookie (RFC 6265bis: 400 days).
const DEVICE_LIFE: u64 = 400 * 24 * 3600;
const CEREMONY_LIFE: u64 = 600;
/// 32 bytes in base64url.
const SECRET_LENGTH: usize = 43;

type Answer = Result<Response, Trouble>;

fn answered(answer: Answer, visit: &Protected) -> Response {
    answer.unwrap_or_else(|trouble| visit.troubled(trouble))
}

/// `GET /.countersign/`: what this browser is to us. Gives it a device cookie when it has none.
#[utoipa::path(
    get,
    path = "/.countersign/",
    operation_id = "own_page",
    summary = "What is known of this browser.",
    description = "",
    responses(crate::openapi::Page)
)]
pub(super) async fn browser(visit: Protected) -> Response {
    answered(this_browser(&visit).await, &visit)
}

async fn this_browser(visit: &Protected) -> Answer {
    let (device, cookie) = device(visit)?;
    let witnessed = visit.witness().await.ok();
    let subject = witnessed.as_ref().map(|witnessed| witnessed.identified.subject().sub.as_str());
    let now = visit.public.pdp.clock.now();
    let may_enroll = witnessed.as_ref().is_some_and(|witnessed| witnessed.facts.grants.iter().any(|grant| grant.expires > now));
    let mut response = Browser { language: visit.language, device: &device, subject, enroll: may_enroll }.into_response();
    set(&mut response, cookie);
    Ok(response)
}

/// `GET /.countersign/step-up?d=…`: ties a ceremony to this browser, and sends it to the auth origin.
#[utoipa::path(
    get,
    path = "/.countersign/step-up",
    operation_id = "open_step_up",
    summary = "Opens a ceremony.",
    description = "",
    responses(crate::openapi::Page)
)]
pub(super) async fn step_up(visit: Protected) -> Response {
    let answer = begin(&visit);
    counted(&visit.public, StepUpStage::Begun, answer.as_ref());
    answered(answer, &visit)
}

fn begin(visit: &Protected) -> Answer {
    let step_up = visit.stepping_up()?;
    let demand = visit.parameter("d").ok_or(Trouble::Expired)?;
    let (pre, pre_cookie) = secret(visit, PRE_COOKIE, CEREMONY_LIFE)?;
    let (_, device_cookie) = device(visit)?;
    let ceremony = step_up.ceremonies.open(demand, &visit.host, SecretDigest::of(&pre), visit.public.pdp.clock.now())?;
    let mut response = redirect(&format!("{}/step-up/{ceremony}", step_up.ceremonies.party().origin()));
    set(&mut response, Some(pre_cookie));
    set(&mut response, device_cookie);
    Ok(response)
}

/// `GET /.countersign/return?code=…`: the browser that began the ceremony redeems its code for a grant of its own.
#[utoipa::path(
    get,
    path = "/.countersign/return",
    operation_id = "come_back",
    summary = "Redeems the code of a ceremony.",
    description = "",
    responses(crate::openapi::Page)
)]
pub(super) async fn come_back(visit: Protected) -> Response {
    let answer = redeem(&visit).await;
    counted(&visit.public, StepUpStage::Redeemed, answer.as_ref());
    answered(answer, &visit)
}

async fn redeem(visit: &Protected) -> Answer {
    let step_up = visit.stepping_up()?;
    let (code, pre) = (visit.parameter("code").ok_or(Trouble::Expired)?, visit.cookie(PRE_COOKIE).unwrap_or_default());
    let pdp = &visit.public.pdp;
    // The code is burnt whatever comes of it: in a wrong browser it must not stay good for a right one.
    let redeemed = step_up.ceremonies.redeem(code, &visit.host, pre, pdp.clock.now());
    let redeemed = redeemed.map_err(|_| Trouble::WrongBrowser)?;
    let granted = pdp.grant(step_up, redeemed, visit.witness().await?).await?;
    let mut response = redirect(&granted.return_to);
    set(&mut response, Some(cookie(GRANT_COOKIE, granted.secret.reveal(), granted.life.0)?));
    Ok(response)
}

/// `GET /.countersign/enroll`: a browser with a live grant may enrol one more passkey.
#[utoipa::path(
    get,
    path = "/.countersign/enroll",
    operation_id = "open_enroll",
    summary = "Leads to the enrolment of a passkey.",
    description = "",
    responses(crate::openapi::Page)
)]
pub(super) async fn enroll(visit: Protected) -> Response {
    answered(ticket(&visit).await, &visit)
}

async fn ticket(visit: &Protected) -> Answer {
    let step_up = visit.stepping_up()?;
    let (witnessed, pdp) = (visit.witness().await?, &visit.public.pdp);
    let (subject, now) = (witnessed.identified.subject(), pdp.clock.now());
    if witnessed.facts.is_barred(now) {
        return Err(Trouble::NotAllowed);
    }
    let grant = visit.cookie(GRANT_COOKIE).map(|secret| pdp.grant_of(subject, secret, now)).transpose()?.flatten();
    let grant = grant.ok_or(Trouble::NotAllowed)?;
    let ticket = step_up.ceremonies.ticket(subject.clone(), grant.credential, now)?;
    Ok(redirect(&format!("{}/enroll?ticket={}", step_up.ceremonies.party().origin(), ticket.reveal())))
}

/// The device's name, and the cookie to set where there is none yet.
fn device(visit: &Protected) -> Result<(String, Option<HeaderValue>), Trouble> {
    let name = |cookie: &str| device_of(cookie).map(String::from).map_err(|_| Trouble::Unavailable);
    match visit.cookie(DEVICE_COOKIE).filter(|held| held.len() == SECRET_LENGTH) {
        Some(held) => Ok((name(held)?, None)),
        None => {
            let fresh = Secret::fresh().map_err(|_| Trouble::Unavailable)?;
            Ok((name(fresh.reveal())?, Some(cookie(DEVICE_COOKIE, fresh.reveal(), DEVICE_LIFE)?)))
        }
    }
}

/// The browser's secret under a name, kept when it has one, so that two ceremonies in two tabs do not disturb each other.
fn secret(visit: &Protected, name: &str, life: u64) -> Result<(String, HeaderValue), Trouble> {
    let held = visit.cookie(name).filter(|held| held.len() == SECRET_LENGTH);
    let value = match held {
        Some(held) => held.to_owned(),
        None => Secret::fresh().map_err(|_| Trouble::Unavailable)?.reveal().to_owned(),
    };
    let cookie = cookie(name, &value, life)?;
    Ok((value, cookie))
}

/// `__Host-` cookies: this host only, every path, never over plain HTTP, never to a script.
fn cookie(name: &str, value: &str, life: u64) -> Result<HeaderValue, Trouble> {
    let text = format!("{name}={value}; Path=/; Max-Age={life}; Secure; HttpOnly; SameSite=Lax");
    HeaderValue::from_str(&text).map_err(|_| Trouble::Unavailable)
}

fn set(response: &mut Response, cookie: Option<HeaderValue>) {
    if let Some(cookie) = cookie {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

fn redirect(to: &str) -> Response {
    let Ok(location) = HeaderValue::from_str(to) else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let fixed = [(header::CACHE_CONTROL, "no-store"), (header::REFERRER_POLICY, "no-referrer")];
    (StatusCode::SEE_OTHER, fixed, [(header::LOCATION, location)]).into_response()
}
