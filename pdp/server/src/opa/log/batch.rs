//! Drops, masks and packs events. Where the rules cannot be asked, an event is told of without its input and result: better a poor log than a secret in it.

use std::io::Write as _;

use bytes::Bytes;
use countersign_pdp_engine::rego::{Document, EvalError, Question};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

use super::event::{Event, Happened};
use super::mask;

/// Where the rules are, as paths under `data`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rules {
    /// What is erased or replaced.
    pub(crate) mask: Vec<String>,
    /// Which events are not sent at all.
    pub(crate) drop: Vec<String>,
}

impl Default for Rules {
    fn default() -> Self {
        let path = |name: &str| ["system", "log", name].map(ToOwned::to_owned).to_vec();
        Self { mask: path("mask"), drop: path("drop") }
    }
}

/// A JSON array of events, compressed.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) content: Bytes,
    pub(super) events: u64,
}

/// Packs what is to be sent of these; that may be nothing.
pub(super) fn pack(happened: Vec<Happened>, rules: &Rules) -> Batch {
    let events = happened.into_iter().filter_map(|one| settled(one, rules));
    let written = events.filter_map(|event| serde_json::to_vec(&event).ok());
    let (mut json, mut count) = (vec![b'['], 0);
    for event in written {
        if count > 0 {
            json.push(b',');
        }
        json.extend_from_slice(&event);
        count += 1;
    }
    json.push(b']');
    Batch { content: gzip(&json), events: count }
}

fn gzip(bytes: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing to memory does not fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default().into()
}

/// The event as it may be sent; none when a rule drops it.
fn settled(happened: Happened, rules: &Rules) -> Option<Event> {
    let Ok(whole) = serde_json::to_value(&happened.event) else { return Some(bare(happened.event)) };
    let asked = Asked { happened: &happened, whole: &whole };
    match asked.about(&rules.drop) {
        Ok(Some(Value::Bool(true))) => return None,
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "rule that drops decisions failed; the decision is logged"),
    }
    let masks = match asked.about(&rules.mask) {
        Ok(None) => Ok(Vec::new()),
        Ok(Some(value)) => mask::parse(&value).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    match masks {
        Ok(masks) => {
            let mut event = happened.event;
            masks.iter().for_each(|mask| mask.apply(&mut event));
            if !(event.erased.is_empty() && event.masked.is_empty()) {
                erase_message(&mut event);
            }
            Some(event)
        }
        Err(error) => {
            tracing::error!(error, "rule that masks decisions failed; the decision is logged without input and result");
            Some(bare(happened.event))
        }
    }
}

struct Asked<'a> {
    happened: &'a Happened,
    whole: &'a Value,
}

impl Asked<'_> {
    fn about(&self, path: &[String]) -> Result<Option<Value>, EvalError> {
        let question = Question { input: Some(Document::from(self.whole.clone())), ..self.happened.question.clone() };
        self.happened.active.document(path, &question)
    }
}

/// What may be said of a decision whose content nobody could mask.
fn bare(mut event: Event) -> Event {
    for (part, name) in [(&mut event.input, "/input"), (&mut event.result, "/result")] {
        if part.take().is_some() {
            event.erased.push(name.to_owned());
        }
    }
    erase_message(&mut event);
    event
}

/// The message of an error may repeat what it stumbled over.
fn erase_message(event: &mut Event) {
    if let Some(error) = &mut event.error {
        "erased".clone_into(&mut error.message);
    }
}
