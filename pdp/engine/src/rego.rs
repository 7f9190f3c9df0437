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
use std::sync::Arc;
use std::time::Duration;

use countersign_sdk_types::Timestamp;
use regorus::unstable::Parser;
use regorus::{Engine, QueryResult, QueryResults, Source, Value};
use serde_json::{Map, Value as Json};

use crate::policy::builtins::{Extensions, Moment, Semantics};
use crate::policy::check::Outline;
use crate::policy::json::{json, size_within};
use crate::policy::load::{LENGTHS, add, add_stand_ins};
use crate::policy::rewrite::{Rewriter, hoist};
use crate::policy::{Dialects, PolicyFile, check, scan, timer};

pub use crate::policy::builtins::BuiltinErrors;

pub use document::Document;
pub use fault::{Code, EvalError, Problem, Problems};

/// The most bytes of an answer, about.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

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
    outline: Arc<Outline>,
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
        let extensions = Extensions::of(outline.names.iter().map(String::as_str));
        Ok(Self { engine, rewriter, outline: Arc::new(outline), extensions })
    }

    /// The document at a path under `data`, as OPA's `/v1/data` gives it: rules and base data, whole packages as objects, sets as sorted arrays.
    /// `None` where nothing is defined there.
    ///
    /// # Errors
    /// When the evaluation fails, or used up its time.
    pub fn document(&self, path: &[&str], question: &Question) -> Result<Option<Json>, EvalError> {
        let results = self.run(self.reference(path), &self.extensions, question)?;
        let value = results.result.into_iter().next().and_then(|result| result.expressions.into_iter().next());
        value.map_or(Ok(None), |expression| Room::default().json(&expression.value))
    }

    fn reference(&self, path: &[&str]) -> String {
        let (mut written, mut names) = ("data".to_owned(), "data".to_owned());
        for step in path {
            names = names + "." + step;
            written += &indexed(self.rewriter.escaped(&names).as_deref().unwrap_or(step));
        }
        written
    }

    /// Every way in which a query holds.
    ///
    /// # Errors
    /// When the query cannot be read, the evaluation fails, or it used up its time.
    pub fn query(&self, query: &str, question: &Question) -> Result<Vec<Answer>, EvalError> {
        let failed = |text: String| EvalError::Failed { code: Code::Parse, text };
        let query = scan::rewritten(&self.rewriter, query).map_err(|error| failed(error.to_string()))?;
        let query = guarded(|| hoist::query(&query, &LENGTHS)).ok_or(EvalError::Panic)?.map_err(|error| EvalError::of(&error))?;
        let extensions = guarded(|| self.checked(&query)).ok_or(EvalError::Panic)??;
        let results = self.run(query.into_owned(), &extensions, question)?;
        let holds = |result: &&QueryResult| !result.expressions.iter().any(|expression| expression.value == Value::Bool(false));
        let mut room = Room::default();
        results.result.iter().filter(holds).map(|result| Answer::of(result, &mut room)).collect()
    }

    /// The extensions that a query needs. It comes from whoever asks, so what is checked of modules is checked of it: a name by which a bounded
    /// built-in could be stepped around, and numbers without end.
    fn checked(&self, query: &str) -> Result<Extensions, EvalError> {
        let failed = |error: anyhow::Error| EvalError::of(&error);
        let source = Source::from_contents_with_limits("query".to_owned(), query.to_owned(), LENGTHS.max_file_bytes, LENGTHS.max_lines);
        let source = source.map_err(failed)?;
        let mut parser = Parser::new(&source).map_err(failed)?;
        parser.set_max_col(LENGTHS.max_col);
        parser.enable_rego_v1().map_err(failed)?;
        let read = parser.parse_user_query().map_err(failed)?;
        let (names, findings) = self.outline.check_query(&read, Semantics::Opa);
        match findings.into_iter().next().map(Problem::from) {
            Some(Problem { code, text, .. }) => Err(EvalError::Failed { code, text }),
            None => Ok(self.extensions.and(&Extensions::of(names.iter().map(String::as_str)))),
        }
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
    fn of(result: &QueryResult, room: &mut Room) -> Result<Self, EvalError> {
        let bindings = match room.json(&result.bindings)? {
            Some(Json::Object(bindings)) => bindings.into_iter().filter(|(name, _)| !hoist::is_operand(name)).collect(),
            _ => Map::new(),
        };
        let expressions = result.expressions.iter().filter_map(|expression| room.json(&expression.value).transpose());
        Ok(Self { bindings, expressions: expressions.collect::<Result<_, _>>()? })
    }
}

/// What is left of the bytes that all values of one answer may be.
struct Room(usize);

impl Default for Room {
    fn default() -> Self {
        Self(MAX_ANSWER)
    }
}

impl Room {
    fn json(&mut self, value: &Value) -> Result<Option<Json>, EvalError> {
        let large = || EvalError::Failed {
            code: Code::Internal,
            text: format!("answer is larger than {} MiB, or nested too deeply", MAX_ANSWER >> 20),
        };
        self.0 = self.0.checked_sub(size_within(value, self.0)).ok_or_else(large)?;
        Ok(json(value))
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
