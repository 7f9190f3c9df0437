//! One question on its way: who asks what, the evaluation, and the event that tells of it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request};
use axum::http::HeaderMap;
use countersign_pdp_engine::rego::{Answer, BuiltinErrors, Document, EvalError, Question};
use countersign_sdk_types::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::Opa;
use super::active::Active;
use super::failure::Failure;
use super::log::{Event, EventError, Happened, event};
use super::wire::{Form, Params};
use crate::clock::Stopwatch;

/// What an event takes beside its input and result.
const EVENT_SIZE: usize = 1024;

/// A question and the circumstances that it is told of with.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) params: Params,
    pub(super) form: Form,
    /// Empty where there is no decision log: nobody could look it up.
    pub(super) decision_id: String,
    pub(super) timers: Timers,
    now: Timestamp,
    since: Stopwatch,
    peer: String,
    headers: HeaderMap,
}

/// How long things took, in nanoseconds.
#[derive(Debug, Default, Clone, Copy, Serialize)]
pub(super) struct Timers {
    timer_rego_input_parse_ns: u64,
    timer_rego_query_eval_ns: u64,
    timer_server_handler_ns: u64,
}

/// What was asked.
#[derive(Debug, Clone)]
pub(super) enum Subject {
    Document(Vec<String>),
    Query(String),
}

/// An input document, and how many bytes it came in.
#[derive(Debug, Clone, Default)]
pub(super) struct Input {
    pub(super) document: Option<Value>,
    pub(super) size: usize,
}

/// What an evaluation brought.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) result: Option<Value>,
    pub(super) active: Arc<Active>,
}

impl Asked {
    pub(super) fn of(opa: &Opa, request: &Request) -> Result<Self, Failure> {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
        Ok(Self {
            params: Params::of(request.uri())?,
            form: Form::of(request.uri(), request.headers()),
            decision_id: if opa.log.is_some() { super::chance::uuid() } else { String::new() },
            timers: Timers::default(),
            now: opa.clock.now(),
            since: Stopwatch::start(),
            peer: peer.map(|ConnectInfo(address)| address.to_string()).unwrap_or_default(),
            headers: request.headers().clone(),
        })
    }

    /// The input was read by now.
    pub(super) fn input_read(&mut self) {
        self.timers.timer_rego_input_parse_ns = nanoseconds(self.since);
    }

    /// Evaluates, and tells the decision log how it went.
    pub(super) async fn evaluate(&mut self, opa: &Opa, subject: Subject, input: Input) -> Result<Answered, Failure> {
        let question = self.question(opa, input.document.clone());
        let (asked, began) = (subject.clone(), Stopwatch::start());
        let (evaluated, active) = opa.evaluate(move |active| answer(active, &asked, &question)).await?;
        self.timers.timer_rego_query_eval_ns = nanoseconds(began);
        self.timers.timer_server_handler_ns = nanoseconds(self.since);
        self.tell(opa, &subject, input, &evaluated, &active);
        match (evaluated, subject) {
            (Ok(result), _) => Ok(Answered { result, active }),
            (Err(error), Subject::Document(_)) => Err(Failure::evaluation(&error)),
            (Err(error), Subject::Query(_)) => Err(Failure::query(&error)),
        }
    }

    fn question(&self, opa: &Opa, input: Option<Value>) -> Question {
        let builtin_errors = if self.params.strict_builtin_errors { BuiltinErrors::Fatal } else { BuiltinErrors::Undefined };
        Question {
            input: input.map(Document::from),
            now: self.now,
            seed: super::chance::seed(),
            budget: opa.options.budget,
            builtin_errors,
        }
    }

    fn tell(&self, opa: &Opa, subject: &Subject, input: Input, evaluated: &Result<Option<Value>, EvalError>, active: &Arc<Active>) {
        let Some(log) = &opa.log else { return };
        let (path, query) = match subject {
            Subject::Document(steps) => (Some(steps.join("/")), None),
            Subject::Query(query) => (None, Some(query.clone())),
        };
        let (trace_id, span_id) = trace(&self.headers).unzip();
        let result = evaluated.as_ref().ok().cloned().flatten();
        let size = EVENT_SIZE + input.size + result.as_ref().map_or(0, |result| result.to_string().len());
        let bundle = |(name, revision): (&String, &String)| (name.clone(), event::BundleInfo { revision: revision.clone() });
        let event = Event {
            labels: Arc::clone(&opa.labels),
            decision_id: self.decision_id.clone(),
            trace_id,
            span_id,
            bundles: active.revisions.iter().map(bundle).collect(),
            path,
            query,
            input: input.document,
            result,
            error: evaluated.as_ref().err().map(|error| EventError { code: error.code().as_str(), message: error.to_string() }),
            requested_by: self.peer.clone(),
            timestamp: super::rfc3339(self.now),
            metrics: self.metrics(),
            req_id: opa.next_request(),
            request_context: context(&self.headers, &log.options.headers),
            ..Event::default()
        };
        log.offer(Happened { event, active: Arc::clone(active), question: self.question(opa, None), size });
    }

    /// The timers as the API and the log show them.
    pub(super) fn metrics(&self) -> Map<String, Value> {
        match json!(self.timers) {
            Value::Object(timers) => timers,
            _ => Map::new(),
        }
    }
}

fn answer(active: &Active, subject: &Subject, question: &Question) -> Result<Option<Value>, EvalError> {
    match subject {
        Subject::Document(path) => active.document(path, question),
        Subject::Query(query) => {
            let answers = active.query(query, question)?.into_iter();
            // The evaluator also gives what an expression is where it is false, and there the query does not hold.
            let holds = |answer: &Answer| !answer.expressions.contains(&Value::Bool(false));
            let bindings: Vec<_> = answers.filter(holds).map(|answer| Value::Object(answer.bindings)).collect();
            Ok((!bindings.is_empty()).then_some(Value::Array(bindings)))
        }
    }
}

fn nanoseconds(since: Stopwatch) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// Trace and span of the caller (W3C Trace Context).
fn trace(headers: &HeaderMap) -> Option<(String, String)> {
    let mut parts = headers.get("traceparent")?.to_str().ok()?.split('-').skip(1);
    let (trace, span) = (parts.next()?, parts.next()?);
    let is_id = |text: &str, length: usize| text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_id(trace, 32) && is_id(span, 16)).then(|| (trace.to_owned(), span.to_owned()))
}

fn context(headers: &HeaderMap, wanted: &[String]) -> Option<event::RequestContext> {
    let value = |name: &String| {
        let values: Vec<_> =
            headers.get_all(name.as_str()).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect();
        (!values.is_empty()).then(|| (name.clone(), values))
    };
    let found: BTreeMap<_, _> = wanted.iter().filter_map(value).collect();
    (!found.is_empty()).then_some(event::RequestContext { http: event::HttpContext { headers: found } })
}
