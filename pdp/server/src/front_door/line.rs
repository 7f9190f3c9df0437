//! The connection that a request came by, for answers that outlive their handler: they hear when it is about to end, and can end it.

use std::sync::Arc;

use tokio::sync::{Notify, watch};

/// An extension of every request.
#[derive(Debug, Clone)]
pub struct Line {
    leaving: watch::Receiver<bool>,
    hangup: Hangup,
}

/// Ends a connection.
#[derive(Debug, Clone, Default)]
pub struct Hangup(Arc<Notify>);

impl Line {
    pub(crate) const fn new(leaving: watch::Receiver<bool>, hangup: Hangup) -> Self {
        Self { leaving, hangup }
    }

    /// Resolves when the connection is about to end: what goes on should come to its end.
    pub fn leaving(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut leaving = self.leaving.clone();
        async move {
            // Without anybody to say so the connection is as good as over.
            let _ = leaving.wait_for(|leaving| *leaving).await;
        }
    }

    /// What ends the connection.
    #[must_use]
    pub fn hangup(&self) -> Hangup {
        self.hangup.clone()
    }
}

impl Hangup {
    /// Ends the connection now, whatever is still to be written.
    pub fn now(&self) {
        self.0.notify_one();
    }

    pub(crate) async fn wanted(&self) {
        self.0.notified().await;
    }
}
