//! The pages of the application. They run one script of their own, and nothing inline.

use askama::Template;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

use countersign_sdk_types::Effect;

use super::Application;
use crate::attack::Attack;
use crate::backstage::{Place, is_night};
use crate::hand;
use crate::issuer::Standing;
use crate::timeline::{Happened, Outcome, Visit, Who};
use crate::why::Why;

const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'; trusted-types 'none'";

/// The steps of the story, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chapter {
    SignIn,
    Enrol,
    Work,
    Attack,
    Travel,
    Again,
    End,
}

impl Chapter {
    /// The first that has not happened.
    pub(super) const fn next(signed_in: bool, passkeys: usize, happened: Happened) -> Self {
        match happened {
            _ if !signed_in => Self::SignIn,
            _ if passkeys == 0 => Self::Enrol,
            Happened { worked: false, .. } => Self::Work,
            Happened { attacked: false, .. } => Self::Attack,
            Happened { travelled: false, .. } => Self::Travel,
            Happened { attacked_again: false, .. } => Self::Again,
            _ => Self::End,
        }
    }
}

#[derive(Template)]
#[template(path = "home.html")]
struct Home<'a> {
    next: Chapter,
    standing: Option<Standing>,
    passkeys: usize,
    clock: &'a str,
    place: Place,
    code: Option<&'a str>,
    enroll_url: &'a str,
    happened: Happened,
    attack: Option<&'a Attack>,
    why: Option<&'a Why>,
    visits: &'a [Visit],
}

impl Home<'_> {
    fn signed_in(&self) -> bool {
        self.standing == Some(Standing::Good)
    }

    /// The class of a step: done, the next one, or neither.
    fn mark(&self, chapter: Chapter) -> &'static str {
        match () {
            () if self.next == chapter => "next",
            () if self.is_done(chapter) => "done",
            () => "later",
        }
    }

    fn is_done(&self, chapter: Chapter) -> bool {
        match chapter {
            Chapter::SignIn => self.signed_in(),
            Chapter::Enrol => self.passkeys > 0,
            Chapter::Work => self.happened.worked,
            Chapter::Attack => self.happened.attacked,
            Chapter::Travel => self.happened.travelled,
            Chapter::Again => self.happened.attacked_again,
            Chapter::End => false,
        }
    }

    /// The class of a button: only the next thing to press is filled.
    fn weight(&self, chapter: Chapter) -> &'static str {
        if self.next == chapter { "primary" } else { "quiet" }
    }
}

#[derive(Template)]
#[template(path = "payroll.html")]
struct Payroll<'a> {
    place: Place,
    clock: &'a str,
    decision: &'a str,
}

#[derive(Template)]
#[template(path = "refused.html")]
struct Refused<'a> {
    outcome: Outcome,
    expired: bool,
    passkeys: usize,
    why: Option<&'a Why>,
}

#[derive(Template)]
#[template(path = "why.html")]
struct Explained<'a> {
    why: &'a Why,
}

#[derive(Template)]
#[template(path = "hand.html")]
struct Hand<'a> {
    signed_in: bool,
    enough: usize,
    clock: &'a str,
    place: Place,
    night: bool,
}

#[derive(Template)]
#[template(path = "trouble.html")]
struct Trouble<'a> {
    title: &'a str,
    text: &'a str,
}

pub(super) fn home(application: &Application, headers: &HeaderMap) -> Response {
    let (standing, passkeys) = (application.standing(headers), application.backstage.passkeys());
    let (happened, attack, code) = (application.timeline.happened(), application.timeline.attack(), application.code());
    let why = attack.as_ref().and_then(|attack| attack.decision.as_deref()).and_then(|decision| application.backstage.why(decision));
    page(&Home {
        next: Chapter::next(standing == Some(Standing::Good), passkeys, happened),
        standing,
        passkeys,
        clock: &application.backstage.clock(),
        place: application.scene.place(),
        code: code.as_deref(),
        enroll_url: &application.stage.url("auth", "/enroll"),
        happened,
        attack: attack.as_ref(),
        why: why.as_ref(),
        visits: &application.timeline.visits(),
    })
}

pub(super) fn payroll(place: Place, clock: &str, decision: &str) -> Response {
    page(&Payroll { place, clock, decision })
}

pub(super) fn refused(application: &Application, headers: &HeaderMap, outcome: Outcome, decision: &str) -> Response {
    let expired = application.standing(headers) == Some(Standing::Expired);
    let why = application.backstage.why(decision);
    page(&Refused { outcome, expired, passkeys: application.backstage.passkeys(), why: why.as_ref() })
}

pub(super) fn why(why: &Why) -> Response {
    page(&Explained { why })
}

pub(super) fn hand(application: &Application, signed_in: bool) -> Response {
    let (clock, place, night) = (application.backstage.clock(), application.scene.place(), is_night(application.backstage.time()));
    page(&Hand { signed_in, enough: hand::ENOUGH, clock: &clock, place, night })
}

pub(super) fn nowhere() -> Response {
    let mut page = page(&Trouble { title: "There is nothing here", text: "The page or the decision that you asked for is not known." });
    *page.status_mut() = StatusCode::NOT_FOUND;
    page
}

pub(super) fn broken(what: &str) -> Response {
    let mut page = page(&Trouble { title: "The demonstration cannot go on", text: what });
    *page.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    page
}

pub(super) async fn style() -> Response {
    asset("text/css; charset=utf-8", include_str!("../../templates/demo.css"))
}

pub(super) async fn script() -> Response {
    asset("text/javascript; charset=utf-8", include_str!("../../templates/demo.js"))
}

pub(super) async fn hand_script() -> Response {
    asset("text/javascript; charset=utf-8", include_str!("../../templates/hand.js"))
}

fn asset(kind: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")], text).into_response()
}

fn page(template: &impl Template) -> Response {
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
    ];
    match template.render() {
        Ok(text) => (fixed, Html(text)).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
