//! The lines of a body that is still on its way, plain or deflated: taken out one by one, and bounded however they came.

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::Buf as _;
use countersign_sdk_types::strict::Limits;
use flate2::{Decompress, FlushDecompress, Status};

use super::super::Refusal;

#[cfg(test)]
mod tests;

/// The one coding that is read and written: the `zlib` format (RFC 9110 §8.4.1.2).
pub(super) const DEFLATE: &str = "deflate";
/// The most bytes of all lines of one body.
const MOST: usize = 8 * 1024 * 1024;
/// One batch, however long the names in it are.
pub(super) const BATCH: Limits = Limits { bytes: 1024 * 1024, ..Limits::REQUEST };
/// How often they may be more than was sent, once they are more than [`GRACE`]. Lines of equal names, the longest that there may be, come to half of it.
const LARGEST_RATIO: usize = 240;
const GRACE: usize = 64 * 1024;
/// What is unpacked at once.
const PIECE: usize = 16 * 1024;

/// Reads lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    packed: Option<Packed>,
    /// What came and was not read yet, and what of it is plain.
    piece: Bytes,
    plain: Bytes,
    line: Vec<u8>,
    sent: usize,
    read: usize,
}

impl Lines {
    /// Lines in the coding that the headers name.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        let mut codings = headers.get_all(header::CONTENT_ENCODING).iter();
        let packed = match (codings.next().map(|coding| coding.as_bytes().to_ascii_lowercase()).as_deref(), codings.next()) {
            (None | Some(b"identity"), None) => None,
            (Some(coding), None) if coding == DEFLATE.as_bytes() => Some(Packed::default()),
            _ => return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "`Content-Encoding` is `deflate`, once, or absent")),
        };
        Ok(Self { packed, ..Self::default() })
    }

    /// More came. What came before was read.
    pub(super) fn came(&mut self, piece: Bytes) {
        self.sent = self.sent.saturating_add(piece.len());
        self.piece = piece;
    }

    /// The next line that has an end, with it.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, Refusal> {
        loop {
            let end = self.plain.iter().position(|byte| *byte == b'\n');
            self.line.extend_from_slice(&self.plain.split_to(end.map_or(self.plain.len(), |at| at + 1)));
            if self.line.len() > BATCH.bytes {
                return Err(too_long());
            }
            if end.is_some() {
                return Ok(Some(std::mem::take(&mut self.line)));
            }
            self.plain = match &mut self.packed {
                Some(packed) => packed.some(&mut self.piece)?,
                None => std::mem::take(&mut self.piece),
            };
            self.read = self.read.saturating_add(self.plain.len());
            let most = self.sent.saturating_mul(LARGEST_RATIO).clamp(GRACE, MOST);
            match () {
                () if self.plain.is_empty() => return Ok(None),
                () if self.read > most || self.sent > MOST => return Err(too_long()),
                () => {}
            }
        }
    }

    /// Nothing more comes.
    pub(super) fn end(self) -> Result<(), Refusal> {
        match () {
            () if self.packed.is_some_and(|packed| !packed.is_over) => Err(Refusal::malformed("the compressed body broke off")),
            () if !self.line.is_empty() => Err(Refusal::malformed("the last line has no end")),
            () => Ok(()),
        }
    }
}

fn too_long() -> Refusal {
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "a line, or all of them, are too long")
}

/// One compressed stream.
#[derive(Debug)]
struct Packed {
    stream: Decompress,
    is_over: bool,
}

impl Default for Packed {
    fn default() -> Self {
        Self { stream: Decompress::new(true), is_over: false }
    }
}

impl Packed {
    /// Unpacks a little; nothing when it needs more than there is.
    fn some(&mut self, piece: &mut Bytes) -> Result<Bytes, Refusal> {
        let mut plain = Vec::with_capacity(PIECE);
        while plain.is_empty() {
            if self.is_over {
                let nothing = if piece.is_empty() { Some(Bytes::new()) } else { None };
                return nothing.ok_or_else(|| Refusal::malformed("something follows the compressed body"));
            }
            let before = self.stream.total_in();
            let status = self.stream.decompress_vec(piece, &mut plain, FlushDecompress::None);
            let status = status.map_err(|_| Refusal::malformed("the body is not what `Content-Encoding` says"))?;
            let taken = usize::try_from(self.stream.total_in() - before).unwrap_or(usize::MAX);
            piece.advance(taken.min(piece.len()));
            self.is_over = status == Status::StreamEnd;
            if plain.is_empty() && taken == 0 && !self.is_over {
                break;
            }
        }
        Ok(plain.into())
    }
}
