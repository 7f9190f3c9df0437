//! OPA's own semantics over the same evaluator: lenient errors of built-ins, free input, any document. It answers OPA's clients and OPA's cases,
//! and nothing in here can make a [`Permit`](crate::Permit).
//!
//! A library is compiled once. Each question works on a copy-on-write clone, within a time, behind a guard for panics; what would end the process
//! (recursion, nesting) is refused when the library is compiled.

mod document;
mod fault;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use countersign_sdk_types::Timestamp;
use regorus::{Engine, QueryResult, QueryResults, Value};
use serde_json::{Map, Value as Json};

use crate::policy::builtins::{Extensions, Moment, Semantics};
use crate::policy::json::json;
use crate::policy::load::{LENGTHS, add, add_stand_ins};
use crate::policy::rewrite::{Rewriter, hoist};
use crate::policy::{Dialects, PolicyFile, check, scan, timer};

pub use crate::policy::builtins::BuiltinErrors;

pub use document::Document;
pub use fault::{Code, EvalError, Problem, Problems};

/// What a question brings along. The engine reads neither a clock nor entropy, so both come from whoever asks.
#[derive(Debug, Clone)]
pub struct Question {
    /// The `input` document; undefined when there is none.
    pub input: Option<Document>,
    /// What `time.now_ns` says, and what validity of tokens and certificates is judged by.
    pub now: Timestamp,
    /// What `rand.intn` and `uuid.rfc4122` are derived from.
    pub seed: [u8; 32],
    /// The time that the evaluation may take.
    pub budget: Duration,
    /// What happens when a built-in fails.
    pub builtin_errors: BuiltinErrors,
}

/// One way in which a query holds: the values of its variables.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Answer {
    /// The variables of the query, those with generated names left out.
    pub bindings: Map<String, Json>,
    /// The values of its expressions, in order.
    pub expressions: Vec<Json>,
}

/// Modules and data that passed every static check, ready to be asked any number of times.
#[derive(Clone)]
pub struct Library {
    engine: Engine,
    rewriter: Rewriter,
    extensions: Extensions,
}

impl std::fmt::Debug for Library {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Library").finish_non_exhaustive()
    }
}

impl Library {
    /// Scans, parses, checks and prepares modules over data, which must be an object.
    ///
    /// # Errors
    /// With every problem that was found: those of a later stage only where the earlier stages found none.
    pub fn compile(modules: &[PolicyFile], data: &Json, dialects: &Dialects) -> Result<Self, Problems> {
        guarded(|| Self::compile_unguarded(modules, data, dialects)).unwrap_or_else(|| Err(Problems::one(Problem::panicked())))
    }

    fn compile_unguarded(modules: &[PolicyFile], data: &Json, dialects: &Dialects) -> Result<Self, Problems> {
        let mut engine = Engine::new();
        engine.set_strict_builtin_errors(false);
        engine.set_gather_prints(true);
        engine.set_policy_length_config(LENGTHS);
        let rewriter = Rewriter::new(modules.iter().map(|module| module.text.as_str()), Semantics::Opa);
        let parsed = modules.iter().map(|module| parse(&mut engine, &rewriter, module, dialects.of(&module.path)));
        Problems::of(parsed.filter_map(Result::err).collect())?;
        // Queries are today's Rego too.
        add_stand_ins(&mut engine, &rewriter).map_err(|error| Problems::one(Problem::of_compiler(&error)))?;
        let (outline, findings) = check::check(engine.get_modules(), Semantics::Opa);
        Problems::of(findings.into_iter().map(Problem::from).collect())?;
        engine.add_data(Value::from(data.clone())).map_err(|error| Problems::one(Problem::new(Code::Compile, &error)))?;
        // Asking anything prepares the engine; clones share what was prepared.
        engine.eval_query("true".to_owned(), false).map_err(|error| Problems::one(Problem::of_compiler(&error)))?;
        Ok(Self { engine, rewriter, extensions: Extensions::of(outline.names.iter().map(String::as_str)) })
    }

    /// The document at a path under `data`, as OPA's `/v1/data` gives it: rules and base data, whole packages as objects, sets as sorted arrays.
    /// `None` where nothing is defined there.
    ///
    /// # Errors
    /// When the evaluation fails, or used up its time.
    pub fn document(&self, path: &[&str], question: &Question) -> Result<Option<Json>, EvalError> {
        let reference = path.iter().fold("data".to_owned(), |at, step| at + &indexed(step));
        let results = self.run(reference, &self.extensions, question)?;
        let value = results.result.into_iter().next().and_then(|result| result.expressions.into_iter().next());
        Ok(value.and_then(|expression| json(&expression.value)))
    }

    /// Every way in which a query holds.
    ///
    /// # Errors
    /// When the query cannot be read, the evaluation fails, or it used up its time.
    pub fn query(&self, query: &str, question: &Question) -> Result<Vec<Answer>, EvalError> {
        let failed = |text: String| EvalError::Failed { code: Code::Parse, text };
        let query = scan::rewritten(&self.rewriter, query).map_err(|error| failed(error.to_string()))?;
        let query = guarded(|| hoist::query(&query, &LENGTHS)).ok_or(EvalError::Panic)?.map_err(|error| EvalError::of(&error))?;
        let extensions = self.extensions.and(&Extensions::in_text(&query));
        let results = self.run(query.into_owned(), &extensions, question)?;
        let holds = |result: &&QueryResult| !result.expressions.iter().any(|expression| expression.value == Value::Bool(false));
        Ok(results.result.iter().filter(holds).map(Answer::of).collect())
    }

    fn run(&self, query: String, extensions: &Extensions, question: &Question) -> Result<QueryResults, EvalError> {
        let mut engine = self.engine.clone();
        engine.set_execution_timer_config(timer(question.budget));
        if question.builtin_errors == BuiltinErrors::Fatal {
            engine.set_strict_builtin_errors(true);
        }
        if let Some(input) = &question.input {
            engine.set_input(input.value().clone());
        }
        let moment = Moment { now: question.now, seed: question.seed };
        let installed = extensions.install_fixed(&mut engine, question.builtin_errors);
        installed
            .and_then(|()| extensions.install_momentary(&mut engine, moment, question.builtin_errors))
            .map_err(|text| EvalError::Failed { code: Code::Internal, text })?;
        guarded(move || engine.eval_query(query, false)).ok_or(EvalError::Panic)?.map_err(|error| EvalError::of(&error))
    }
}

impl Answer {
    fn of(result: &QueryResult) -> Self {
        let bindings = match json(&result.bindings) {
            Some(Json::Object(bindings)) => bindings.into_iter().filter(|(name, _)| !hoist::is_operand(name)).collect(),
            _ => Map::new(),
        };
        Self { bindings, expressions: result.expressions.iter().filter_map(|expression| json(&expression.value)).collect() }
    }
}

/// The text of a module by itself as the parser reads it: newer syntax written as older, line by line.
#[must_use]
pub fn rewritten(module: &str) -> Cow<'_, str> {
    Rewriter::new([module], Semantics::Opa).rewrite(module)
}

/// One step of a path as an index. Every step is quoted as JSON, which is how Rego quotes: it can name a document, and never become syntax.
/// A step of digits may also be the place in an array.
fn indexed(step: &str) -> String {
    match step.parse::<u32>() {
        Ok(number) if number.to_string() == step => format!("[{number}]"),
        _ => format!("[{}]", Json::from(step)),
    }
}

/// A panic drops what was worked on and nothing else.
fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

/// A module that no manifest speaks of is read as today's Rego, and then as the dialect before 1.0.
fn parse(engine: &mut Engine, rewriter: &Rewriter, module: &PolicyFile, dialect: Option<u8>) -> Result<(), Problem> {
    let text = scan::rewritten(rewriter, &module.text).map_err(|error| Problem::of_scan(&module.path, &error))?;
    let added = add(engine, &module.path, &text, dialect);
    let added = added.ok_or_else(|| Problem::of_dialect(&module.path, dialect.unwrap_or_default()))?;
    added.map_err(|error| Problem::of_parser(&module.path, &error))
}
