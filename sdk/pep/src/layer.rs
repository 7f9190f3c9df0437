//! The tower layer: asks, and lets pass only what is allowed.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum_core::body::Body;
use countersign_sdk_client::{Answer, Question};
use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use crate::answer::{self, Asker};
use crate::permitted::Permitted;
use crate::point::DecisionPoint;
use crate::question::{self, Origin};

/// Puts [`Enforce`] around a service. On an axum `Router`, use `layer` (it covers the fallback) rather than `route_layer`.
#[derive(Debug, Clone)]
pub struct EnforceLayer<P> {
    point: P,
    origin: Origin,
}

impl<P: DecisionPoint> EnforceLayer<P> {
    /// Asks `point` about every request to the application published at `origin`.
    pub const fn new(point: P, origin: Origin) -> Self {
        Self { point, origin }
    }
}

impl<S, P: Clone> Layer<S> for EnforceLayer<P> {
    type Service = Enforce<S, P>;
    fn layer(&self, inner: S) -> Enforce<S, P> {
        Enforce { inner, point: self.point.clone(), origin: self.origin.clone() }
    }
}

/// A service that is reached by allowed requests only.
#[derive(Debug, Clone)]
pub struct Enforce<S, P> {
    inner: S,
    point: P,
    origin: Origin,
}

impl<S, P, B> Service<Request<B>> for Enforce<S, P>
where
    S: Service<Request<B>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
    P: DecisionPoint,
    B: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The service that was polled ready is the one that is called; the clone takes its place.
        let next = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, next);
        let (point, origin) = (self.point.clone(), self.origin.clone());
        Box::pin(async move {
            match enforce(request, &point, &origin).await {
                Ok(permitted) => inner.call(permitted).await,
                Err(refusal) => Ok(*refusal),
            }
        })
    }
}

/// The request with its guard, or what the client gets instead.
async fn enforce<P: DecisionPoint, B>(request: Request<B>, point: &P, origin: &Origin) -> Result<Request<B>, Box<Response<Body>>> {
    let (mut parts, body) = request.into_parts();
    // A guard of an outer layer was for another origin.
    parts.extensions.remove::<Permitted>();
    let question = question::ask(&parts, origin).map_err(|_| answer::ambiguous())?;
    let (action, resource) = (question.action.clone(), question.resource.clone());
    match point.evaluate(&Question::new(question)).await {
        Ok(Answer::Allow(allow)) => {
            parts.extensions.insert(Permitted::new(allow, action, resource));
            Ok(Request::from_parts(parts, body))
        }
        Ok(Answer::StepUp(step_up)) => Err(Box::new(answer::step_up(&step_up, Asker::of(&parts)))),
        Ok(Answer::Deny(deny)) => Err(Box::new(answer::deny(&deny))),
        Err(_) => Err(Box::new(answer::unavailable())),
    }
}

#[cfg(test)]
mod tests;
