//! Server-sent events (HTML, §9.2), bounded: lines become events, and a comment says that somebody is there.

/// The longest line, and the most data of one event, in bytes.
const LONGEST: usize = 128 * 1024;

/// One event, as it was sent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Event {
    /// The last `id` of the stream by then.
    pub(crate) id: String,
    /// `message` where nothing else is said.
    pub(crate) kind: String,
    /// The lines of `data`, joined.
    pub(crate) data: String,
}

/// What a stream says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    /// Something.
    Event(Event),
    /// That it lives: a comment.
    Alive,
}

/// Larger than the bound, or not text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unreadable;

/// Takes bytes, gives events.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    line: Vec<u8>,
    after_return: bool,
    id: String,
    kind: String,
    data: Option<String>,
}

impl Reader {
    /// Reads what came. After an error the stream is of no use.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> Result<Vec<Item>, Unreadable> {
        let mut items = Vec::new();
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let (head, tail) = rest.split_at_checked(end).unwrap_or((rest, &[]));
            let is_return = tail.first() == Some(&b'\r');
            // The second half of a line's end, which may come in the next bytes.
            let is_half = self.after_return && head.is_empty() && !is_return;
            self.after_return = is_return;
            rest = tail.get(1..).unwrap_or_default();
            if !is_half {
                self.extend(head)?;
                items.extend(self.line()?);
            }
        }
        if !rest.is_empty() {
            self.after_return = false;
        }
        self.extend(rest)?;
        Ok(items)
    }

    fn extend(&mut self, bytes: &[u8]) -> Result<(), Unreadable> {
        if self.line.len() + bytes.len() > LONGEST {
            return Err(Unreadable);
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    /// A line is whole.
    fn line(&mut self) -> Result<Option<Item>, Unreadable> {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            return Ok(self.event().map(Item::Event));
        }
        let line = String::from_utf8(line).map_err(|_| Unreadable)?;
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => self.data(value)?,
            "event" => value.clone_into(&mut self.kind),
            "id" if !value.contains('\0') => value.clone_into(&mut self.id),
            "" => return Ok(Some(Item::Alive)),
            // A field that this does not know.
            _ => {}
        }
        Ok(None)
    }

    fn data(&mut self, value: &str) -> Result<(), Unreadable> {
        let data = match &mut self.data {
            None => self.data.insert(String::new()),
            Some(data) => {
                data.push('\n');
                data
            }
        };
        if data.len() + value.len() > LONGEST {
            return Err(Unreadable);
        }
        data.push_str(value);
        Ok(())
    }

    /// An empty line ends an event; without data there is none.
    fn event(&mut self) -> Option<Event> {
        let kind = std::mem::take(&mut self.kind);
        let data = self.data.take()?;
        let kind = if kind.is_empty() { "message".to_owned() } else { kind };
        Some(Event { id: self.id.clone(), kind, data })
    }
}

#[cfg(test)]
mod tests {
    //! What is read of a stream, however its bytes are cut.

    use super::*;

    fn event(id: &str, kind: &str, data: &str) -> Item {
        Item::Event(Event { id: id.to_owned(), kind: kind.to_owned(), data: data.to_owned() })
    }

    /// Whole, byte by byte, and cut in two at each place.
    #[track_caller]
    fn check(stream: &str, expected: &[Item]) {
        let bytes = stream.as_bytes();
        assert_eq!(Reader::default().read(bytes).unwrap(), expected, "whole: {stream:?}");
        let mut reader = Reader::default();
        let seen: Vec<_> = bytes.iter().flat_map(|byte| reader.read(std::slice::from_ref(byte)).unwrap()).collect();
        assert_eq!(seen, expected, "byte by byte: {stream:?}");
        for at in 0..bytes.len() {
            let mut reader = Reader::default();
            let mut seen = reader.read(&bytes[..at]).unwrap();
            seen.extend(reader.read(&bytes[at..]).unwrap());
            assert_eq!(seen, expected, "cut at {at}: {stream:?}");
        }
    }

    #[test]
    fn events_are_read_with_every_end_of_line() {
        let expected = [event("1-2", "ended", "{}"), event("1-3", "policy", "x")];
        check("id: 1-2\nevent: ended\ndata: {}\n\nid: 1-3\nevent: policy\ndata: x\n\n", &expected);
        check("id: 1-2\r\nevent: ended\r\ndata: {}\r\n\r\nid: 1-3\r\nevent: policy\r\ndata: x\r\n\r\n", &expected);
        check("id: 1-2\revent: ended\rdata: {}\r\rid: 1-3\revent: policy\rdata: x\r\r", &expected);
    }

    #[test]
    fn comments_and_unknown_fields_are_no_event() {
        check(":\n\n: heartbeat\n\nretry: 5\n\nid: 9-9\n\n", &[Item::Alive, Item::Alive]);
        check("id: 9-9\n\ndata: late\n\n", &[event("9-9", "message", "late")]);
    }

    #[test]
    fn data_is_joined_and_one_space_is_dropped() {
        check("data:a\ndata:  b\ndata\n\n", &[event("", "message", "a\n b\n")]);
    }

    #[test]
    fn what_is_not_ended_is_no_event() {
        check("data: x\n", &[]);
        check("data: x", &[]);
    }

    #[test]
    fn lines_and_events_are_bounded() {
        assert_eq!(Reader::default().read(&vec![b'a'; LONGEST + 1]), Err(Unreadable));
        let mut reader = Reader::default();
        let line = format!("data: {}\n", "a".repeat(LONGEST - 10));
        reader.read(line.as_bytes()).unwrap();
        assert_eq!(reader.read(line.as_bytes()), Err(Unreadable));
        assert_eq!(Reader::default().read(b"data: \xff\n"), Err(Unreadable));
    }
}
