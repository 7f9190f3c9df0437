//! What a refused client reads: `application/problem+json` (RFC 9457) for programs, a line of text for people.

use axum::http::StatusCode;
use countersign_pdp_engine::Denial;
use countersign_pdp_engine::decide::Demand;
use countersign_sdk_types::Fault;
use serde_json::{Map, Value, json};

/// What may be said of a refusal. What a denial says to operators is not in it.
#[derive(Debug, Default)]
pub(super) struct Problem {
    /// The error of RFC 9470, or what is wrong with a malformed request.
    code: Option<&'static str>,
    /// Level and age, as RFC 9470 names them.
    demand: Option<(String, u64)>,
    /// Where the ceremony begins.
    step_up: Option<String>,
    /// Where a session begins.
    login: Option<String>,
}

impl Problem {
    pub(super) fn step_up(demand: &Demand, begins_at: Option<String>) -> Self {
        let code = Some("insufficient_user_authentication");
        Self { code, demand: Some((demand.acr.to_string(), demand.max_age.0)), step_up: begins_at, login: None }
    }

    /// What the caller got wrong is named; why somebody may not do something is for operators.
    pub(super) fn refused(denial: &Denial) -> Self {
        Self { code: (denial.fault() == Fault::Malformed).then(|| denial.code().as_str()), ..Self::default() }
    }

    pub(super) fn without_session(denial: &Denial, begins_at: Option<String>) -> Self {
        Self { login: begins_at, ..Self::refused(denial) }
    }

    pub(super) fn text(&self, status: StatusCode, decision: &str) -> String {
        format!("{}\n{}\ndecision {decision}\n", reason(status), self.sentence(status))
    }

    pub(super) fn document(self, status: StatusCode, decision: &str) -> String {
        let detail = self.sentence(status);
        let always = json!({
            "type": "about:blank", "title": reason(status), "status": status.as_u16(), "detail": detail, "decision": decision,
        });
        let mut document = if let Value::Object(members) = always { members } else { Map::new() };
        document.extend(self.code.map(|code| ("code".to_owned(), json!(code))));
        if let Some((acr, max_age)) = self.demand {
            document.extend([("acr_values".to_owned(), json!(acr)), ("max_age".to_owned(), json!(max_age))]);
        }
        let pages = [("step_up", self.step_up), ("login", self.login)];
        document.extend(pages.into_iter().filter_map(|(name, url)| Some((name.to_owned(), json!({"url": url?})))));
        Value::Object(document).to_string()
    }

    fn sentence(&self, status: StatusCode) -> &'static str {
        match status {
            StatusCode::UNAUTHORIZED if self.demand.is_some() => "this needs a fresh proof of who asks",
            StatusCode::UNAUTHORIZED => "this needs a session or an access token",
            StatusCode::BAD_REQUEST => "the request could mean more than one thing, or nothing",
            StatusCode::SERVICE_UNAVAILABLE => "no decision can be made now, so nothing passes",
            _ => "access was refused",
        }
    }
}

fn reason(status: StatusCode) -> &'static str {
    status.canonical_reason().unwrap_or_default()
}
