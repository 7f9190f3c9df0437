//! What is wrong with modules, and why a question got no answer, named with OPA's codes.

use std::fmt;

use crate::policy::check::{Fault, Finding};
use crate::policy::exhausted;
use crate::policy::scan::ScanError;

/// The longest sentence that is kept of an error.
const MAX_TEXT: usize = 1024;

/// OPA's codes of errors (`ast/errors.go`, `topdown/errors.go`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// The text is not Rego.
    Parse,
    /// A rule of the language is broken.
    Compile,
    /// A name is unknown, or is used with a wrong number or type of arguments.
    Type,
    /// A variable gets no value.
    Unsafe,
    /// A rule needs itself.
    Recursion,
    /// Two values for one document.
    Conflict,
    /// A built-in failed.
    Builtin,
    /// The evaluation was stopped.
    Cancel,
    /// The evaluator failed.
    Internal,
}

impl Code {
    /// The code as OPA writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Parse => "rego_parse_error",
            Self::Compile => "rego_compile_error",
            Self::Type => "rego_type_error",
            Self::Unsafe => "rego_unsafe_var_error",
            Self::Recursion => "rego_recursion_error",
            Self::Conflict => "eval_conflict_error",
            Self::Builtin => "eval_builtin_error",
            Self::Cancel => "eval_cancel_error",
            Self::Internal => "eval_internal_error",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Something that is wrong with a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The kind.
    pub code: Code,
    /// The module, by its path; empty for what concerns all of them.
    pub file: String,
    /// The line, from 1; 0 where no place is known.
    pub line: u32,
    /// The column, from 1; 0 where no place is known.
    pub column: u32,
    /// One sentence.
    pub text: String,
}

/// Everything that is wrong with modules, never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct Problems(Vec<Problem>);

impl Problems {
    pub(super) fn one(problem: Problem) -> Self {
        Self(vec![problem])
    }

    pub(super) fn of(problems: Vec<Problem>) -> Result<(), Self> {
        if problems.is_empty() { Ok(()) } else { Err(Self(problems)) }
    }

    /// The problems, in the order of the modules.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.file.as_str(), self.line) {
            ("", _) => write!(f, "{}: {}", self.code, self.text),
            (file, 0) => write!(f, "{file}: {}: {}", self.code, self.text),
            (file, line) => write!(f, "{file}:{line}: {}: {}", self.code, self.text),
        }
    }
}

impl Problem {
    pub(super) fn new(code: Code, text: &impl ToString) -> Self {
        Self { code, file: String::new(), line: 0, column: 0, text: text.to_string() }
    }

    pub(super) fn panicked() -> Self {
        Self::new(Code::Internal, &"evaluator panicked")
    }

    pub(super) fn of_scan(file: &str, error: &ScanError) -> Self {
        let line = error.line().and_then(|line| u32::try_from(line).ok()).unwrap_or(0);
        Self { file: file.to_owned(), line, ..Self::new(Code::Parse, error) }
    }

    pub(super) fn of_dialect(file: &str, dialect: u8) -> Self {
        Self { file: file.to_owned(), ..Self::new(Code::Parse, &format!("dialect {dialect} of Rego is not known")) }
    }

    pub(super) fn of_parser(file: &str, error: &anyhow::Error) -> Self {
        let problem = Message::read(error).problem(Code::Parse);
        if problem.file.is_empty() { Self { file: file.to_owned(), ..problem } } else { problem }
    }

    pub(super) fn of_compiler(error: &anyhow::Error) -> Self {
        let message = Message::read(error);
        let code = if message.text.contains("unsafe") { Code::Unsafe } else { Code::Compile };
        message.problem(code)
    }
}

impl From<Finding> for Problem {
    fn from(finding: Finding) -> Self {
        let code = match finding.fault {
            Fault::Name => Code::Type,
            Fault::Recursion => Code::Recursion,
            Fault::Size => Code::Compile,
        };
        let (file, line, column) = finding.place.unwrap_or_default();
        Self { code, file, line, column, text: finding.text }
    }
}

/// Why a question got no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// The evaluation failed.
    #[error("{code}: {text}")]
    Failed {
        /// The kind.
        code: Code,
        /// One sentence.
        text: String,
    },
    /// The evaluation took too long.
    #[error("evaluation used up its time")]
    Budget,
    /// The evaluator panicked.
    #[error("evaluator panicked")]
    Panic,
}

impl EvalError {
    /// OPA's code for it.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Failed { code, .. } => *code,
            Self::Budget => Code::Cancel,
            Self::Panic => Code::Internal,
        }
    }

    pub(super) fn of(error: &anyhow::Error) -> Self {
        if exhausted(error) {
            return Self::Budget;
        }
        let message = Message::read(error);
        let says = |part: &str| message.text.contains(part);
        let code = match () {
            () if says("is unsafe") => Code::Unsafe,
            () if says("could not find function") || says("incorrect number of parameters") => Code::Type,
            () if says("conflict") || says("multiple outputs") || says("multiple values") => Code::Conflict,
            () if says("expecting") || says("invalid token") || says("unexpected") => Code::Parse,
            () => Code::Builtin,
        };
        Self::Failed { code, text: message.text }
    }
}

/// The library's messages: a place as `--> path:line:column`, a picture of the line, and `error: ` with the sentence.
struct Message {
    place: Option<(String, u32, u32)>,
    text: String,
}

impl Message {
    fn read(error: &anyhow::Error) -> Self {
        let whole = format!("{error:#}");
        let text = whole.rsplit_once("\nerror: ").map_or(whole.as_str(), |(_, text)| text);
        let place = whole.split_once("--> ").and_then(|(_, rest)| place(rest.lines().next()?));
        Self { place, text: text.chars().filter(|character| *character != '\n').take(MAX_TEXT).collect() }
    }

    fn problem(self, code: Code) -> Problem {
        let (file, line, column) = self.place.unwrap_or_default();
        Problem { code, file, line, column, text: self.text }
    }
}

fn place(text: &str) -> Option<(String, u32, u32)> {
    let (rest, column) = text.rsplit_once(':')?;
    let (file, line) = rest.rsplit_once(':')?;
    Some((file.to_owned(), line.parse().ok()?, column.parse().ok()?))
}
