//! `/health`: whether questions can be answered, and with `bundles` or `plugins`, whether everything that is configured is in place.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use countersign_pdp_engine::rego::{BuiltinErrors, Document, Question};
use serde_json::{Value, json};

use super::Opa;
use super::failure::Failure;
use super::wire::{self, RawParams};

/// `GET /health`
pub(super) async fn health(State(opa): State<Arc<Opa>>, request: Request) -> Result<Response, Failure> {
    let params = RawParams::of(request.uri())?;
    let bundles = params.flag("bundles") || params.flag("bundle");
    if bundles && !opa.bundles.are_active() {
        return Ok(answer(Err("one or more bundles are not activated".to_owned())));
    }
    let excluded = params.list("exclude-plugin");
    let is_down = |name: &str, state: &str| state != "OK" && !excluded.iter().any(|excluded| excluded == name);
    if params.flag("plugins") && opa.plugin_states().into_iter().any(|(name, state)| is_down(name, state)) {
        return Ok(answer(Err("one or more plugins are not up".to_owned())));
    }
    Ok(answer(can_evaluate(&opa).await))
}

async fn can_evaluate(opa: &Opa) -> Result<(), String> {
    let question = question(opa, None);
    let evaluated = opa.evaluate(move |active| active.query("x = 1", &question)).await;
    match evaluated {
        Ok((Ok(answers), _)) if !answers.is_empty() => Ok(()),
        _ => Err("unable to perform evaluation".to_owned()),
    }
}

/// `GET /health/{name}`: what the policy `system.health` says of the plugins.
pub(super) async fn by_policy(State(opa): State<Arc<Opa>>, request: Request) -> Result<Response, Failure> {
    let name = wire::steps(request.uri(), "/health")?;
    let path: Vec<_> = ["system", "health"].into_iter().map(ToOwned::to_owned).chain(name).collect();
    let states = opa.plugin_states();
    if states.values().all(|state| *state == "OK") {
        opa.ready_once.store(true, Ordering::SeqCst);
    }
    let input = json!({"plugin_state": states, "plugins_ready": opa.ready_once.load(Ordering::SeqCst)});
    let (question, reference) = (question(&opa, Some(input)), wire::reference(&path));
    let (evaluated, _) = opa.evaluate(move |active| active.document(&path, &question)).await?;
    Ok(answer(match evaluated {
        Ok(Some(Value::Bool(true))) => Ok(()),
        Ok(Some(_)) => Err(format!("health check ({reference}) returned unexpected value")),
        Ok(None) => Err(format!("health check ({reference}) was undefined")),
        Err(error) => Err(error.to_string()),
    }))
}

fn question(opa: &Opa, input: Option<Value>) -> Question {
    let (now, seed, budget) = (opa.clock.now(), super::chance::seed(), opa.options.budget);
    Question { input: input.map(Document::from), now, seed, budget, builtin_errors: BuiltinErrors::Undefined }
}

fn answer(health: Result<(), String>) -> Response {
    let (status, body) = match health {
        Ok(()) => (StatusCode::OK, json!({})),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, json!({"error": error})),
    };
    (status, [(header::CONTENT_TYPE, "application/json")], format!("{body}\n")).into_response()
}
