//! Whoever decides: a remote decision point through the client, or another one.

use std::future::Future;

use countersign_sdk_client::{Answer, Client, Error};
use countersign_sdk_types::EvaluationRequest;

/// Answers evaluation requests. An [`Answer`] is only ever read from a response ([`Answer::from_response`]).
pub trait DecisionPoint: Clone + Send + Sync + 'static {
    /// Answers one question.
    fn evaluate(&self, question: EvaluationRequest) -> impl Future<Output = Result<Answer, Error>> + Send;
}

impl DecisionPoint for Client {
    async fn evaluate(&self, question: EvaluationRequest) -> Result<Answer, Error> {
        Self::evaluate(self, &question).await
    }
}
