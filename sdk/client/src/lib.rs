//! Asks a decision point over HTTP, within a deadline. Anything but a clean allow is no allow.
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
//! The application names itself in `X-Countersign-Pep: <id>:<secret>`. Redirects are not followed, and no answer is kept.

mod answer;
mod client;
mod error;
mod question;

pub use answer::{Allow, Answer, Deny, StepUp};
pub use client::{Builder, Client, UNLEASED};
pub use error::{Error, ErrorKind};
pub use question::Question;
