//! A decision point for tests: it says what it is told to, and ends what it allowed when it is told to.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use countersign_sdk_client::{Allow, Answer, Error, ErrorKind, Question};
use countersign_sdk_types::EvaluationResponse;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::DecisionPoint;

/// Answers with one response, or fails when there is none.
#[derive(Clone)]
pub(crate) struct Fake {
    said: Arc<Mutex<Option<Value>>>,
    asked: Arc<AtomicUsize>,
    last: Arc<Mutex<Option<Question>>>,
    endings: watch::Sender<u64>,
}

impl Fake {
    pub(crate) fn saying(response: Option<Value>) -> Self {
        Self { said: Arc::new(Mutex::new(response)), asked: Arc::default(), last: Arc::default(), endings: watch::Sender::new(0) }
    }

    pub(crate) fn allowing() -> Self {
        Self::saying(Some(json!({"decision": true})))
    }

    /// From now on, this is the answer.
    pub(crate) fn say(&self, response: Option<Value>) {
        *self.said.lock().unwrap() = response;
    }

    /// Every allow that was given ends.
    pub(crate) fn end(&self) {
        self.endings.send_modify(|count| *count += 1);
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    pub(crate) fn last(&self) -> Question {
        self.last.lock().unwrap().clone().unwrap()
    }
}

impl DecisionPoint for Fake {
    async fn evaluate(&self, question: &Question) -> Result<Answer, Error> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        *self.last.lock().unwrap() = Some(question.clone());
        let mut response = self.said.lock().unwrap().clone().ok_or(Error::new(ErrorKind::Deadline, "too late"))?;
        if response["context"]["id"].is_null() {
            response["context"]["id"] = json!(format!("fake.1.{}", *self.endings.borrow()));
        }
        let response: EvaluationResponse = serde_json::from_value(response).map_err(|_| Error::new(ErrorKind::Malformed, "no response"))?;
        Answer::from_response(&response, question)
    }

    /// The id of a decision says how many endings there were before it.
    async fn ended(&self, allow: &Allow) {
        let before: u64 = allow.decision_id().unwrap().as_str().rsplit('.').next().unwrap().parse().unwrap();
        let _ = self.endings.subscribe().wait_for(|count| *count > before).await;
    }
}
