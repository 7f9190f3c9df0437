//! What goes between an edge and its decision point compressed: the lines that it tells, and the facts that it is given.

use std::io::{self, Read as _, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use flate2::Compression;
use flate2::bufread::ZlibDecoder;
use flate2::write::ZlibEncoder;
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use hyper::body::Frame;
use tokio::sync::mpsc;

/// The `zlib` format (RFC 9110 §8.4.1.2).
pub(super) const DEFLATE: &str = "deflate";

/// Lines as one compressed stream, which is flushed after each, so that it arrives at once.
#[derive(Debug)]
pub(super) struct Packed {
    lines: mpsc::Receiver<Bytes>,
    /// `None` when the stream is over.
    encoder: Option<ZlibEncoder<Vec<u8>>>,
}

impl Packed {
    pub(super) fn new(lines: mpsc::Receiver<Bytes>) -> Self {
        Self { lines, encoder: Some(ZlibEncoder::new(Vec::new(), Compression::best())) }
    }

    fn next(&mut self, line: Option<&Bytes>) -> io::Result<Bytes> {
        match (line, &mut self.encoder) {
            (Some(line), Some(encoder)) => {
                encoder.write_all(line)?;
                encoder.flush()?;
                Ok(std::mem::take(encoder.get_mut()).into())
            }
            _ => self.encoder.take().map_or_else(|| Ok(Vec::new()), ZlibEncoder::finish).map(Into::into),
        }
    }
}

impl http_body::Body for Packed {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.encoder.is_none() {
            return Poll::Ready(None);
        }
        let line = ready!(self.lines.poll_recv(cx));
        Poll::Ready(Some(self.next(line.as_ref()).map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.encoder.is_none()
    }
}

/// The body of an answer in the coding that its headers name: nothing else than one whole stream, and no more than so many bytes.
pub(super) fn unpacked(headers: &HeaderMap, body: Bytes, most: usize) -> Option<Bytes> {
    let mut codings = headers.get_all(CONTENT_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, None) => return Some(body),
        (Some(coding), None) if coding == DEFLATE => {}
        _ => return None,
    }
    let (mut plain, mut decoder) = (Vec::new(), ZlibDecoder::new(&*body));
    decoder.by_ref().take(most as u64 + 1).read_to_end(&mut plain).ok()?;
    (plain.len() <= most && decoder.get_ref().is_empty()).then(|| plain.into())
}

#[cfg(test)]
mod tests;
