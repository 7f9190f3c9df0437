//! Documents: values of the evaluator that were made from JSON, and JSON that is made from values.

use regorus::{Engine, Value};
use serde_json::Value as Json;

use super::{Code, EvalError, guarded};
use crate::policy::scan;

/// An `input` document.
#[derive(Debug, Clone, PartialEq)]
pub struct Document(Value);

impl Document {
    /// Reads a term of Rego, which may hold what JSON cannot, such as sets.
    ///
    /// # Errors
    /// When it is not one term without variables.
    pub fn term(text: &str) -> Result<Self, EvalError> {
        scan::scan(text).map_err(|error| EvalError::Failed { code: Code::Parse, text: error.to_string() })?;
        let mut engine = Engine::new();
        let read = guarded(|| engine.eval_query(text.to_owned(), false)).ok_or(EvalError::Panic)?;
        let results = read.map_err(|error| EvalError::of(&error))?;
        match results.result.first().map(|result| result.expressions.as_slice()) {
            Some([expression]) => Ok(Self(expression.value.clone())),
            _ => Err(EvalError::Failed { code: Code::Parse, text: "one term is expected".to_owned() }),
        }
    }

    pub(super) const fn value(&self) -> &Value {
        &self.0
    }
}

impl From<Json> for Document {
    fn from(json: Json) -> Self {
        Self(Value::from(json))
    }
}
