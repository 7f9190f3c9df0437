//! Real OPA as a test oracle: a child process that holds OPA as a library, and is asked line by line (`oracle/answers.py`).
//!
//! The library evaluates with strict errors of built-ins, and reads Rego v1 only.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::Deserialize;
use serde_json::Value;

use crate::process::parts;

const ANSWERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/oracle/answers.py");

/// A running OPA with one policy in it. Dropping it ends it.
#[derive(Debug)]
pub struct Opa {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// What OPA says of one document.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The document has this value.
    Value(Value),
    /// The document is undefined.
    Undefined,
    /// A built-in failed, or two rules disagree.
    Failed(String),
    /// The document holds a number that no reader here can hold.
    Beyond(String),
}

/// A question: the path of a document without `data.`, and the input as JSON text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Such as `authz.allow`.
    pub document: String,
    /// One JSON document, without line breaks and tabs.
    pub input: String,
}

#[derive(Deserialize)]
struct Envelope {
    #[serde(default)]
    result: Value,
    error: Option<Trouble>,
}

#[derive(Deserialize)]
struct Trouble {
    code: String,
    message: String,
}

impl Opa {
    /// Starts OPA with the modules (path and text) and the data of a policy.
    ///
    /// # Panics
    /// When the library is missing: a missing part is a failure.
    ///
    /// # Errors
    /// When OPA does not accept a module, or the data.
    pub fn load<'a>(modules: impl IntoIterator<Item = (&'a str, &'a str)>, data: &Value) -> Result<Self, String> {
        let folder = parts().join("opa-1.20");
        let library = folder.join("opa_bindings/libopabridge.so");
        assert!(library.is_file(), "{} is missing: run `tests/setup/oracle {}`", library.display(), parts().display());
        let mut opa = Self::start(&folder);
        for (path, text) in modules {
            opa.accept(&["module", path, &Value::from(text).to_string()])?;
        }
        opa.accept(&["data", &data.to_string()])?;
        Ok(opa)
    }

    fn start(folder: &Path) -> Self {
        let mut command = Command::new("python3");
        command.env("GOTRACEBACK", "none").args(["-I", "-B", ANSWERS]).arg(folder).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let (requests, answers) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, requests, answers }
    }

    fn accept(&mut self, request: &[&str]) -> Result<(), String> {
        writeln!(self.requests, "{}", request.join("\t")).unwrap();
        self.requests.flush().unwrap();
        match envelope(&line(&mut self.answers)).error {
            None => Ok(()),
            Some(trouble) => Err(trouble.message),
        }
    }

    /// One question.
    pub fn ask(&mut self, document: &str, input: &Value) -> Answer {
        let question = Question { document: document.to_owned(), input: input.to_string() };
        self.ask_all(&[question]).pop().unwrap()
    }

    /// Many questions, in order.
    ///
    /// # Panics
    /// When OPA ends before it has answered all of them.
    pub fn ask_all(&mut self, questions: &[Question]) -> Vec<Answer> {
        let Self { requests, answers, .. } = self;
        // Requests are written beside the reading: either pipe may be full.
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for Question { document, input } in questions {
                    assert!(!input.contains(['\t', '\n']), "an input is one line");
                    writeln!(requests, "ask\t{document}\t{input}").unwrap();
                }
                requests.flush().unwrap();
            });
            questions.iter().map(|_| answer(&line(answers))).collect()
        })
    }
}

fn line(answers: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    answers.read_line(&mut line).unwrap();
    line
}

fn envelope(line: &str) -> Envelope {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("OPA did not answer ({error}): `{line}`"))
}

fn answer(line: &str) -> Answer {
    if serde_json::from_str::<Value>(line).is_err_and(|error| error.to_string().starts_with("number out of range")) {
        return Answer::Beyond(line.to_owned());
    }
    let mut envelope = envelope(line);
    if let Some(Trouble { code, message }) = envelope.error {
        return Answer::Failed(format!("{code}: {message}"));
    }
    let value = envelope.result.pointer_mut("/0/expressions/0/value").map(Value::take);
    value.map_or(Answer::Undefined, Answer::Value)
}

impl Drop for Opa {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
