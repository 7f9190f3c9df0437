//! What a sighting is compared with.

use crate::{Baseline, Behavior, Organisation, Trail};

/// Everything that is known when a sighting is judged.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The subject's normal.
    pub baseline: &'a Baseline,
    /// What the organisation says of the network and the device.
    pub organisation: Organisation,
    /// Where the session was seen before, if this is not its first sighting.
    pub trail: Option<&'a Trail>,
    /// How the pointer of the session moved, where that was told.
    pub behavior: Option<&'a Behavior>,
    /// Who is asked for a proof while nothing verified is known of them: those who can give one, and privileged subjects.
    pub is_asked_when_unknown: bool,
}
