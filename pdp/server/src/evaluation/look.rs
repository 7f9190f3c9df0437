//! A closer look at one event of a corpus: what it shows, and everything that it is compared with.

use std::path::Path;

use countersign_risk::{Assessment, Baseline, Known, Organisation, Sighting, Trail, Weights};
use countersign_sdk_types::RiskScore;

use super::{CorpusError, Evaluation, Event, Lines, asked, sighting};

/// One event with what it is compared with.
#[derive(Debug, Clone, PartialEq)]
pub struct Look {
    /// Whose it is.
    pub subject: String,
    /// What it is called, for people.
    pub label: String,
    /// What it shows.
    pub sighting: Sighting,
    /// What is normal for the subject.
    pub baseline: Baseline,
    /// What the organisation says.
    pub organisation: Organisation,
    /// Where the session was before.
    pub trail: Option<Trail>,
    /// The score.
    pub assessment: Assessment,
}

impl Look {
    /// What the event was compared with.
    #[must_use]
    pub const fn known(&self) -> Known<'_> {
        Known {
            baseline: &self.baseline,
            organisation: self.organisation,
            trail: self.trail.as_ref(),
            behavior: None,
            is_asked_when_unknown: true,
        }
    }
}

impl Evaluation {
    /// Looks at an event as [`Evaluation::take`] would, and lets the engine learn nothing of it.
    ///
    /// # Errors
    /// When a name in the event is none.
    pub fn look(&mut self, event: &Event) -> Result<Look, CorpusError> {
        let sighting = sighting(event)?;
        let assessment = self.assess(event, &sighting);
        let trail = self.trails.get(&(event.subject.clone(), sighting.session)).cloned();
        Ok(Look {
            subject: event.subject.clone(),
            label: event.label.clone(),
            baseline: self.baselines.get(&event.subject).cloned().unwrap_or_default(),
            organisation: asked(&self.organisation, &sighting),
            trail,
            sighting,
            assessment,
        })
    }
}

/// Runs a corpus up to one event, by its line from 0, and looks at that; `each` hears how far the file is read.
///
/// # Errors
/// When the file cannot be read, a line is no event, or there are not that many.
pub fn look(corpus: &Path, number: usize, weights: Weights, threshold: RiskScore, mut each: impl FnMut(u64)) -> Result<Look, CorpusError> {
    let mut lines = Lines::open(corpus)?;
    let mut evaluation = Evaluation::new(weights, threshold);
    let mut events = 0;
    while let Some(event) = lines.next_event()? {
        if events == number {
            return evaluation.look(&event);
        }
        evaluation.take(&event)?;
        events += 1;
        each(lines.bytes_read());
    }
    Err(CorpusError::Short { asked: number, events })
}
