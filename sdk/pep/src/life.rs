//! The life of one decision: as long as it holds, what rests on it goes on; when it ends, the same question is asked once more.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use countersign_sdk_client::{Allow, Answer, Question};
use tokio::time::Instant;

use crate::duty::{About, Duties};
use crate::point::DecisionPoint;

type Later<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Two questions about one stream are at least this far apart, however short the answers hold.
const LEAST: Duration = Duration::from_millis(200);

/// One question that was allowed, whoever decides.
pub(crate) trait Allowed: Send + Sync {
    /// Waits until this allow must not be relied on any longer.
    fn ended(self: Arc<Self>, allow: Allow) -> Later<()>;

    /// Asks again. An allow that obliges to more than the one before is one only when that is carried out.
    fn again(self: Arc<Self>, before: Allow) -> Later<Option<Allow>>;
}

/// A question and whoever decides it.
#[derive(Debug)]
pub(crate) struct Asked<P> {
    pub(crate) point: P,
    pub(crate) question: Question,
    pub(crate) duties: Arc<Duties>,
    pub(crate) about: Arc<About>,
}

impl<P: DecisionPoint> Allowed for Asked<P> {
    fn ended(self: Arc<Self>, allow: Allow) -> Later<()> {
        Box::pin(async move { self.point.ended(&allow).await })
    }

    fn again(self: Arc<Self>, before: Allow) -> Later<Option<Allow>> {
        Box::pin(async move {
            let question = self.question.clone().afresh();
            let Ok(Answer::Allow(allow)) = self.point.evaluate(&question).await else { return None };
            self.duties.carry_out(&allow, before.obligations(), &self.about).await.then_some(allow)
        })
    }
}

/// The decision is over, and the same question is not allowed any more.
///
/// ```
/// assert_eq!(countersign_sdk_pep::Ended.to_string(), "the decision that allowed this has ended");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the decision that allowed this has ended")]
pub struct Ended;

/// Looks after one thing that rests on a decision.
pub(crate) struct Life {
    question: Arc<dyn Allowed>,
    state: State,
    asked: Instant,
}

enum State {
    Holds(Allow, Later<()>),
    Asking(Later<Option<Allow>>),
    Over,
}

enum Next {
    Ask(Allow),
    Answered(Option<Allow>),
}

impl std::fmt::Debug for Life {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = match self.state {
            State::Holds(..) => "holds",
            State::Asking(_) => "asking",
            State::Over => "over",
        };
        f.debug_struct("Life").field("state", &state).finish_non_exhaustive()
    }
}

impl Life {
    pub(crate) fn begin(question: &Arc<dyn Allowed>, allow: Allow) -> Self {
        let state = holds(question, allow);
        Self { question: Arc::clone(question), state, asked: Instant::now() }
    }

    /// Ready while the decision holds, pending while it is asked about, and an error for ever after its end. The task is woken for each change.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        loop {
            let next = match &mut self.state {
                State::Holds(allow, ended) => match ended.as_mut().poll(cx) {
                    Poll::Pending => return Poll::Ready(Ok(())),
                    Poll::Ready(()) => Next::Ask(allow.clone()),
                },
                State::Asking(answer) => Next::Answered(ready!(answer.as_mut().poll(cx))),
                State::Over => return Poll::Ready(Err(Ended)),
            };
            self.state = match next {
                Next::Ask(before) => self.again(before),
                Next::Answered(Some(allow)) => {
                    self.asked = Instant::now();
                    holds(&self.question, allow)
                }
                Next::Answered(None) => State::Over,
            };
        }
    }

    fn again(&self, before: Allow) -> State {
        let (question, due) = (Arc::clone(&self.question), self.asked + LEAST);
        State::Asking(Box::pin(async move {
            tokio::time::sleep_until(due).await;
            question.again(before).await
        }))
    }
}

fn holds(question: &Arc<dyn Allowed>, allow: Allow) -> State {
    let ended = Arc::clone(question).ended(allow.clone());
    State::Holds(allow, ended)
}
