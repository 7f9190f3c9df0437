//! How the pointer of the person at the browser moves, against how alice moves it, as the decision point sees it at this moment.

use std::net::IpAddr;

use serde::Serialize;

/// A request of the person's browser, as far as it says whose session it is.
#[derive(Debug, Clone)]
pub struct Browsing {
    /// The host as the browser names it.
    pub authority: String,
    /// What the browser sends, its cookies among it.
    pub headers: Vec<(String, Vec<u8>)>,
    /// From where.
    pub from: IpAddr,
}

/// What a request of this browser would score now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Hand {
    /// The risk, 0 to 100.
    pub score: u8,
    /// Of these, the points of the pointer.
    pub points: i8,
    /// What the decision point says of the pointer; nothing before the page has told of it.
    pub says: Option<String>,
    /// Movements that the decision point has of the session.
    pub movements: usize,
    /// It knows how alice moves the pointer.
    pub known: bool,
    /// Where the policy begins to ask for a passkey.
    pub asks_from: u8,
}

/// Movements that it takes to know a hand.
pub const ENOUGH: usize = 100;
