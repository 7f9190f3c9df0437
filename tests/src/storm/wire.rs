//! As much of HTTP/2 as a load of watches needs: many streams on one connection, written once and read in place. A full client would cost more than the
//! server that it measures.

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEAD: usize = 9;
/// The server's largest frame by default (RFC 9113, §6.5.2).
const LARGEST: usize = 16_384;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
/// The setting for the window of each stream.
const INITIAL_WINDOW: u8 = 4;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// Indexed `:status: 200` (RFC 7541, appendix A).
const STATUS_200: u8 = 0x88;

/// What came on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Came<'a> {
    /// The server accepted a stream.
    Accepted(u32),
    /// The server answered a stream with something else.
    Refused(u32),
    /// Bytes of a stream's body.
    Body(u32, &'a [u8]),
    /// A stream ended.
    Ended(u32),
    /// The connection will end.
    Leaving,
}

/// One connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
}

impl Connection {
    /// Connects, and gives the server all the window that it can use.
    ///
    /// # Errors
    /// When it cannot.
    pub async fn open(port: u16) -> io::Result<Self> {
        Self::with_window(port, 65_535).await
    }

    /// The same, with room for so many bytes of each stream, of which no more is ever given.
    ///
    /// # Errors
    /// When it cannot.
    pub async fn with_window(port: u16, window: u32) -> io::Result<Self> {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        let mut hello = PREFACE.to_vec();
        let [a, b, c, d] = window.to_be_bytes();
        frame(&mut hello, SETTINGS, 0, 0, &[0, INITIAL_WINDOW, a, b, c, d]);
        frame(&mut hello, WINDOW_UPDATE, 0, 0, &0x3fff_ffff_u32.to_be_bytes());
        stream.write_all(&hello).await?;
        Ok(Self { stream, buffer: vec![0; HEAD + LARGEST], filled: 0 })
    }

    /// Opens streams for these targets, with the ids 1, 3, 5 and so on.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn get(&mut self, targets: &[String], pep: &str) -> io::Result<()> {
        let mut requests = Vec::new();
        for (id, target) in (1..).step_by(2).zip(targets) {
            let mut block = vec![0x82, 0x86];
            literal(&mut block, ":path", target);
            literal(&mut block, ":authority", "localhost");
            literal(&mut block, "accept", "text/event-stream");
            literal(&mut block, "x-countersign-pep", pep);
            frame(&mut requests, HEADERS, END_STREAM | END_HEADERS, id, &block);
        }
        self.stream.write_all(&requests).await
    }

    /// Waits for something, and hands over everything that came.
    ///
    /// # Errors
    /// When the connection ends or breaks.
    pub async fn read(&mut self, mut came: impl FnMut(Came<'_>)) -> io::Result<()> {
        let length = self.stream.read(&mut self.buffer[self.filled..]).await?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.filled += length;
        let (mut at, mut answers) = (0, Vec::new());
        while let Some(head) = self.buffer[at..self.filled].first_chunk::<HEAD>() {
            let size = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
            if size > LARGEST {
                return Err(io::Error::other("a frame is larger than agreed"));
            }
            let Some(payload) = self.buffer[at + HEAD..self.filled].get(..size) else { break };
            let id = u32::from_be_bytes([head[5], head[6], head[7], head[8]]) & 0x7fff_ffff;
            take(head[3], head[4], id, payload, &mut answers, &mut came)?;
            at += HEAD + size;
        }
        self.buffer.copy_within(at..self.filled, 0);
        self.filled -= at;
        if !answers.is_empty() {
            self.stream.write_all(&answers).await?;
        }
        Ok(())
    }
}

fn take(kind: u8, flags: u8, id: u32, payload: &[u8], answers: &mut Vec<u8>, came: &mut impl FnMut(Came<'_>)) -> io::Result<()> {
    match kind {
        DATA if !payload.is_empty() => came(Came::Body(id, payload)),
        HEADERS if payload.first() == Some(&STATUS_200) => came(Came::Accepted(id)),
        HEADERS => came(Came::Refused(id)),
        RST_STREAM => came(Came::Ended(id)),
        SETTINGS if flags & ACK == 0 => frame(answers, SETTINGS, ACK, 0, &[]),
        PING if flags & ACK == 0 => frame(answers, PING, ACK, 0, payload),
        GOAWAY => came(Came::Leaving),
        _ => {}
    }
    if matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0 {
        came(Came::Ended(id));
    }
    Ok(())
}

fn frame(to: &mut Vec<u8>, kind: u8, flags: u8, id: u32, payload: &[u8]) {
    let [_, size @ ..] = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    to.extend_from_slice(&size);
    to.extend_from_slice(&[kind, flags]);
    to.extend_from_slice(&id.to_be_bytes());
    to.extend_from_slice(payload);
}

/// A header without an index or a code: names and values of less than 127 bytes have a length of one byte.
fn literal(to: &mut Vec<u8>, name: &str, value: &str) {
    to.push(0);
    for text in [name, value] {
        to.push(u8::try_from(text.len()).ok().filter(|length| *length < 127).expect("a short header"));
        to.extend_from_slice(text.as_bytes());
    }
}
