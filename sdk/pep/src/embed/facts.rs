//! Where the facts about subjects come from.

use countersign_pdp_engine::Denial;
use countersign_pdp_engine::facts::Facts;
use countersign_pdp_engine::identify::Identified;
use countersign_pdp_engine::request::Credentials;
use countersign_sdk_types::{Place, PlaceGap, Timestamp};

/// What is known of a subject.
///
/// ```
/// use countersign_pdp_engine::Denial;
/// use countersign_pdp_engine::facts::Facts;
/// use countersign_pdp_engine::identify::Identified;
/// use countersign_pdp_engine::request::Credentials;
/// use countersign_sdk_pep::embed::FactSource;
/// use countersign_sdk_types::{Place, PlaceGap, Timestamp};
///
/// /// Everybody is at a place that nobody looked up.
/// struct Placeless;
///
/// impl FactSource for Placeless {
///     fn look_up(&self, _: &Identified, _: &Credentials, _: Timestamp) -> Result<Facts, Denial> {
///         Ok(Facts::nothing(Place::Unknown(PlaceGap::NoDatabase)))
///     }
/// }
/// ```
pub trait FactSource: Send + Sync + 'static {
    /// Looks up the facts of an identified request. Called on a thread of the decision point, which waits for it.
    ///
    /// # Errors
    /// When they cannot be read: then the request is denied.
    fn look_up(&self, identified: &Identified, credentials: &Credentials, now: Timestamp) -> Result<Facts, Denial>;
}

/// Nothing is known of anybody: every flag takes its pessimistic value.
///
/// ```
/// use countersign_sdk_pep::embed::{Builder, NothingKnown};
///
/// fn unknowing(builder: Builder) -> Builder {
///     builder.facts(NothingKnown)
/// }
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct NothingKnown;

impl FactSource for NothingKnown {
    fn look_up(&self, identified: &Identified, _: &Credentials, _: Timestamp) -> Result<Facts, Denial> {
        let gap = if identified.request().client_address().is_some() { PlaceGap::NoDatabase } else { PlaceGap::NoAddress };
        Ok(Facts::nothing(Place::Unknown(gap)))
    }
}
