//! Asks a decision point, within a deadline. Anything but a clean allow is no allow.
//!
//! ```no_run
//! # async fn ask(question: countersign_sdk_client::Question) -> Result<(), countersign_sdk_client::Error> {
//! use countersign_sdk_client::{Answer, Client};
//!
//! let client = Client::builder("https://pdp.example").pep("payroll", "the shared secret").build()?;
//! match client.evaluate(&question).await? {
//!     Answer::Allow(allow) => println!("allowed by decision {:?}", allow.decision_id()),
//!     Answer::StepUp(step_up) => println!("prove it again: {}", step_up.acr()),
//!     Answer::Deny(deny) => println!("refused: {:?}", deny.code()),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! - Several addresses are asked in the order in which they were given, those that fail are left alone for a while ([`Builder::circuit`]).
//! - Allows are kept where the client is built to ([`Builder::leases`]), for as long as the decision point leases them, and never after it said that they ended.
//! - Redirects are not followed.
//!
//! Features: `tls` (on unless turned off), `grpc`.

mod address;
mod answer;
mod breaker;
mod builder;
mod client;
mod clock;
mod error;
#[cfg(test)]
mod fake;
mod key;
mod lease;
mod question;
mod sse;
mod status;
#[cfg(feature = "tls")]
mod tls;
mod watch;
mod wire;

pub use answer::{Allow, Answer, Deny, StepUp};
pub use builder::Builder;
pub use client::{Client, UNLEASED};
pub use error::{Error, ErrorKind};
pub use question::Question;
pub use status::{AddressStatus, Circuit, Status, Watching};
