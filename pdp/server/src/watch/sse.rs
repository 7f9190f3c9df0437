//! Server-sent events: the frames, and the body of a response that sends them.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::HttpBody;
use bytes::{Bytes, BytesMut};
use countersign_sdk_types::{Epoch, WatchEvent};
use futures_util::Stream as _;
use hyper::body::Frame;

use super::follow::{Following, Told};

/// Says that the watch lives: a comment, which is no event.
const ALIVE: &[u8] = b":\n\n";

/// The name of an event in the `event` field.
pub(crate) const fn name(event: &WatchEvent) -> &'static str {
    match event {
        WatchEvent::Hello { .. } => "hello",
        WatchEvent::Ended { .. } => "ended",
        WatchEvent::Policy { .. } => "policy",
        WatchEvent::Reset {} => "reset",
        WatchEvent::Draining { .. } => "draining",
    }
}

/// One event. JSON of one line holds no line break that could end a field.
pub(super) fn encode(at: Epoch, event: &WatchEvent) -> Bytes {
    // Without content it is read as nothing known, and that ends all leases.
    let data = serde_json::to_vec(event).unwrap_or_default();
    let mut frame = BytesMut::with_capacity(data.len() + 96);
    for part in [b"id: ".as_slice(), at.to_string().as_bytes(), b"\nevent: ", name(event).as_bytes(), b"\ndata: ", &data, b"\n\n"] {
        frame.extend_from_slice(part);
    }
    frame.freeze()
}

/// The body of a watch.
#[derive(Debug)]
pub struct SseBody(pub Following);

impl HttpBody for SseBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.0).poll_next(context).map(|told| {
            told.map(|told| {
                Ok(Frame::data(match told {
                    Told::Event(event) => event.frame.clone(),
                    Told::Alive => Bytes::from_static(ALIVE),
                }))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    //! The form of a frame.

    use countersign_sdk_types::{Ending, Tag};

    use super::*;

    #[test]
    fn a_frame_has_one_form() {
        let event = WatchEvent::Ended { reason: Ending::Revoked, depends_on: vec![Tag([1; 16])] };
        let text = "id: 7-9\nevent: ended\ndata: {\"type\":\"ended\",\"reason\":\"revoked\",\"depends_on\":[\"01010101010101010101010101010101\"]}\n\n";
        assert_eq!(encode(Epoch { life: 7, seq: 9 }, &event), text.as_bytes());
    }
}
