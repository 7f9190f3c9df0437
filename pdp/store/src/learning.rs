//! What the store keeps of a subject's habits: the risk crate's own fold of learned events, in log order.

pub use countersign_risk::{Baseline, LearnedEvent};
