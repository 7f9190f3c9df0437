//! Reads server-sent events of a watch: bounded, and nothing that it does not know.

use countersign_sdk_types::Epoch;
use countersign_sdk_types::strict::{self, Limits};

use super::link::Heard;

/// The longest line.
const LINE: usize = 64 * 1024;
const EVENT: Limits = Limits { bytes: LINE, depth: 8, values: 8_000 };

/// What of a stream was read so far.
#[derive(Debug, Default)]
pub(super) struct Events {
    line: Vec<u8>,
    id: Option<Epoch>,
    data: Option<Vec<u8>>,
}

/// It is no stream of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoEvent;

impl Events {
    /// Reads what came.
    pub(super) fn read(&mut self, bytes: &[u8], hear: &mut impl FnMut(Heard)) -> Result<(), NoEvent> {
        for byte in bytes {
            match byte {
                b'\n' => {
                    let line = std::mem::take(&mut self.line);
                    self.line(line.strip_suffix(b"\r").unwrap_or(&line), hear)?;
                }
                _ if self.line.len() >= LINE => return Err(NoEvent),
                byte => self.line.push(*byte),
            }
        }
        Ok(())
    }

    fn line(&mut self, line: &[u8], hear: &mut impl FnMut(Heard)) -> Result<(), NoEvent> {
        let field = |name: &[u8]| line.strip_prefix(name).map(|rest| rest.strip_prefix(b" ").unwrap_or(rest));
        if line.is_empty() {
            return self.end(hear);
        }
        if line.first() == Some(&b':') {
            hear(Heard::Beat);
        } else if let Some(id) = field(b"id:") {
            self.id = Some(std::str::from_utf8(id).ok().and_then(|id| id.parse().ok()).ok_or(NoEvent)?);
        } else if let Some(data) = field(b"data:") {
            // The data of our events is one line.
            if self.data.replace(data.to_vec()).is_some() {
                return Err(NoEvent);
            }
        }
        Ok(())
    }

    fn end(&mut self, hear: &mut impl FnMut(Heard)) -> Result<(), NoEvent> {
        let (id, Some(data)) = (self.id, self.data.take()) else { return Ok(()) };
        // An event of a later version ends who knows what: whoever does not know it hears nothing any more.
        let event = strict::from_slice(&data, EVENT).map_err(|_| NoEvent)?;
        hear(Heard::Event(id.ok_or(NoEvent)?, event));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    //! Streams in pieces, and what is none.

    use countersign_sdk_types::WatchEvent;

    use super::*;

    fn read(pieces: &[&[u8]]) -> (Vec<Heard>, Result<(), NoEvent>) {
        let (mut events, mut heard) = (Events::default(), Vec::new());
        let result = pieces.iter().try_for_each(|piece| events.read(piece, &mut |one| heard.push(one)));
        (heard, result)
    }

    #[test]
    fn events_are_read_in_any_pieces() {
        let text = b": hello\n\nid: 7-9\nevent: reset\ndata: {\"type\":\"reset\"}\n\n:\n\nid:7-10\r\ndata:{\"type\":\"reset\"}\r\n\r\n";
        let reset = |seq| Heard::Event(Epoch { life: 7, seq }, WatchEvent::Reset {});
        let expected = vec![Heard::Beat, reset(9), Heard::Beat, reset(10)];
        assert_eq!(read(&[text]), (expected.clone(), Ok(())));
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(read(&bytes), (expected, Ok(())));
    }

    #[test]
    fn what_is_no_event_ends_the_stream() {
        let refused = |text: &str| assert_eq!(read(&[text.as_bytes()]).1, Err(NoEvent), "{text}");
        refused("id: 7-9\ndata: {\"type\":\"of a later version\"}\n\n");
        refused("data: {\"type\":\"reset\"}\n\n");
        refused("id: x\n");
        refused("id: 7-9\ndata: {}\ndata: {}\n");
        refused("id: 7-9\ndata: {\"type\":\"reset\",\"type\":\"reset\"}\n\n");
        refused(&"a".repeat(LINE + 1));
    }
}
