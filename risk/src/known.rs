//! What a sighting is compared with.

use crate::{Baseline, Behavior, Organisation, Sighting, Trail};

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

/// Other subjects from which on a device, or a key, is a shared one.
pub(crate) const KIOSK: u8 = 3;

impl Known<'_> {
    /// Key continuity: the sighting proved a key that the subject proved before, and that is not one of many subjects.
    ///
    /// Whoever can prove it is at the device that holds it, thief or not, so from where says nothing any more: an address that changes with the key is the
    /// device that travels, or its relay. An address that changes without one is what a copied token looks like.
    #[must_use]
    pub fn is_continuous(&self, sighting: &Sighting) -> bool {
        self.organisation.device < KIOSK && sighting.key.is_some_and(|key| self.baseline.knows_device(key))
    }
}
