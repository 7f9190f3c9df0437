//! A bundle as a source of policies: asked for by its entity tag, verified and bounded before anything looks into it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use countersign_pdp_store::Origin;
use countersign_sdk_types::Digest;

use super::{Look, Offer};
use crate::bundle::{self, BundleError, Content, Found, Mark};
use crate::clock::Stopwatch;
use crate::policies::Files;
use crate::policies::folder::is_policy;
use crate::policies::pace::Pace;
use crate::policies::settings::Bundled;

/// When content that could not be judged is offered again.
const AGAIN: Duration = Duration::from_secs(60);
/// How soon a download notices that nobody waits any more.
const GLANCE: Duration = Duration::from_millis(50);

/// A bundle, and what the last look at it showed.
#[derive(Debug)]
pub(crate) struct Bundle {
    bundled: Bundled,
    pace: Arc<Pace>,
    mark: Option<Mark>,
    /// The archive that was offered or refused last.
    offered: Option<Digest>,
    retry: Option<Stopwatch>,
}

impl Bundle {
    /// A bundle that nobody asked for.
    pub(super) const fn new(bundled: Bundled, pace: Arc<Pace>) -> Self {
        Self { bundled, pace, mark: None, offered: None, retry: None }
    }

    pub(super) fn look(&mut self) -> Look {
        let due = self.retry.is_some_and(|since| since.elapsed() > AGAIN);
        let mark = if due { None } else { self.mark.take() };
        match wait(self.bundled.origin.look(mark.clone()), &self.pace) {
            Err(why) => Look::Failed(why),
            Ok(Err(error)) => Look::Failed(error.to_string()),
            Ok(Ok(Found::Unchanged)) => {
                self.mark = mark;
                Look::Nothing
            }
            Ok(Ok(Found::New(content, mark))) => {
                self.mark = mark;
                self.take(content, due)
            }
        }
    }

    pub(super) fn offer_again(&mut self) {
        self.retry = Some(Stopwatch::start());
    }

    pub(super) fn shown(&self) -> String {
        self.bundled.shown.clone()
    }

    fn take(&mut self, content: Content, due: bool) -> Look {
        let Content::Archive(archive) = content else { return Look::Failed("it is a folder".to_owned()) };
        let content = Digest(*blake3::hash(&archive).as_bytes());
        if !due && self.offered == Some(content) {
            return Look::Nothing;
        }
        (self.retry, self.offered) = (None, Some(content));
        match self.open(&archive) {
            Ok((files, origin)) => Look::Offer(Offer { content, files, origin }),
            Err(error) => Look::Refused { content, why: error.to_string() },
        }
    }

    /// The signature before the content, and both before anything is made of them.
    fn open(&self, archive: &[u8]) -> Result<(Files, Origin), BundleError> {
        let (files, signer) = bundle::verified(archive, &self.bundled.trust)?;
        let name = bundle::Bundle::of_files(files.clone())?.revision;
        let files = files.into_iter().filter(|(path, _)| is_policy(path)).collect();
        Ok((files, Origin { name: Some(name).filter(|name| !name.is_empty()), signer, ..Origin::default() }))
    }
}

/// Waits for an answer on a thread of its own, whatever runs on this one; gives up when nobody looks any more.
fn wait<T: Send>(answer: impl Future<Output = T> + Send, pace: &Pace) -> Result<T, String> {
    let waiting = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
        runtime.block_on(async {
            tokio::select! {
                answer = answer => Ok(answer),
                () = ended(pace) => Err("the server stops".to_owned()),
            }
        })
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().spawn_scoped(scope, waiting).map_err(|error| error.to_string())?;
        thread.join().map_err(|_| "reading what it answered failed".to_owned())?
    })
}

async fn ended(pace: &Pace) {
    while !pace.is_ended() {
        tokio::time::sleep(GLANCE).await;
    }
}

#[cfg(test)]
mod tests;
