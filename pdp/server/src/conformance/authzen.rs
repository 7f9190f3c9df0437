//! AuthZEN scenarios, over HTTP against a running decision point. A file is a list of modules, as the OpenID certification programme has them, or an object of
//! lists of requests and expected answers, as the interoperability events have them.

mod case;
mod check;
mod wire;

use std::collections::BTreeSet;

use self::case::{Case, Expected};
use self::wire::{Asked, Wire};
use super::{Outcome, Report};

/// Where the decision point is, and who asks.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// Scheme, host and port.
    pub url: &'a str,
    /// The bearer token of the caller.
    pub bearer: Option<&'a str>,
}

/// Runs the cases of a file.
///
/// # Errors
/// When the file does not hold cases of this suite, or the address is none.
pub fn run(file: &[u8], known: &BTreeSet<String>, target: Target<'_>) -> Result<Report, String> {
    let cases = case::read(file)?;
    let wire = Wire::to(target)?;
    let mut report = Report::default();
    for case in &cases {
        report.count(&case.name, outcome(case, &wire), known);
    }
    Ok(report)
}

fn outcome(case: &Case, wire: &Wire) -> Outcome {
    match run_one(case, wire) {
        Ok(()) => Outcome::Passed,
        Err(outcome) => outcome,
    }
}

fn run_one(case: &Case, wire: &Wire) -> Result<(), Outcome> {
    let failed = Outcome::Failed;
    let plain = |name: &str| name.chars().filter(|one| one.is_ascii_alphanumeric() || *one == '-').take(100).collect::<String>();
    let id = case.x_request_id.then(|| format!("conformance-{}", plain(&case.name)));
    let asked = Asked { case, id: id.as_deref(), token: None };
    let answer = wire.send(&asked)?;
    check::status(&answer, &case.status).map_err(failed)?;
    if let Some(id) = &id {
        check::echo(&answer, id).map_err(failed)?;
    }
    if !answer.is_success() {
        return Ok(());
    }
    if let Expected::Unknown(what) = &case.expected {
        return Err(Outcome::Skipped(format!("it expects `{what}`, which is not known here")));
    }
    check::answer(&answer, case).map_err(failed)?;
    if case.repeat {
        let again = wire.send(&asked)?;
        check::status(&again, &case.status).and_then(|()| check::same(&answer, &again)).map_err(failed)?;
    }
    if case.follow_pages { follow(case, wire, answer) } else { Ok(()) }
}

/// The most pages of one search.
const MOST_PAGES: usize = 1000;

fn follow(case: &Case, wire: &Wire, first: wire::Answer) -> Result<(), Outcome> {
    let (mut page, mut results) = (first, Vec::new());
    for _ in 0..MOST_PAGES {
        check::shape(&page, case).map_err(Outcome::Failed)?;
        results.extend(check::results(&page).cloned());
        let Some(token) = check::next_token(&page).map_err(Outcome::Failed)? else {
            return check::found(&results, case).map_err(Outcome::Failed);
        };
        page = wire.send(&Asked { case, id: None, token: Some(&token) })?;
        check::status(&page, &case.status).map_err(Outcome::Failed)?;
    }
    Err(Outcome::Failed(format!("more than {MOST_PAGES} pages")))
}

#[cfg(test)]
mod tests;
