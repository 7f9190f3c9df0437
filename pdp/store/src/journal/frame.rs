//! The bytes of one frame: length, CRC-32, sequence number, chain hash, payload.

use countersign_sdk_types::Digest;

use super::Head;

/// Bytes before the payload.
pub(super) const HEADER: usize = 4 + 4 + 8 + 32;

/// Appends the frame of `payload`, which ends at `head`, to `out`.
pub(super) fn encode(head: Head, payload: &[u8], out: &mut Vec<u8>) {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes();
    out.extend_from_slice(&length);
    out.extend_from_slice(&checksum(length, head, payload).to_le_bytes());
    out.extend_from_slice(&head.seq.to_le_bytes());
    out.extend_from_slice(&head.hash.0);
    out.extend_from_slice(payload);
}

/// Why the bytes at some place are no frame that continues the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bad {
    /// The bytes end before the frame does, or were never written (zeros).
    Torn,
    /// The bytes are there and wrong.
    Wrong(&'static str),
}

impl Bad {
    pub(super) fn what(self) -> &'static str {
        match self {
            Self::Torn => "the record is incomplete",
            Self::Wrong(what) => what,
        }
    }
}

/// Reads the frame at the start of `bytes`, which has to continue `previous`.
pub(super) fn decode(bytes: &[u8], previous: Head) -> Result<(Head, &[u8]), Bad> {
    let torn = if bytes.iter().all(|byte| *byte == 0) { Bad::Torn } else { Bad::Wrong("the length is wrong") };
    let (length, rest) = bytes.split_first_chunk::<4>().ok_or(Bad::Torn)?;
    let (crc, rest) = rest.split_first_chunk::<4>().ok_or(Bad::Torn)?;
    let (seq, rest) = rest.split_first_chunk::<8>().ok_or(Bad::Torn)?;
    let (hash, rest) = rest.split_first_chunk::<32>().ok_or(Bad::Torn)?;
    let size = u32::from_le_bytes(*length) as usize;
    if size == 0 {
        return Err(torn);
    }
    let payload = rest.get(..size).ok_or(Bad::Torn)?;
    let head = Head { seq: u64::from_le_bytes(*seq), hash: Digest(*hash) };
    match () {
        () if checksum(*length, head, payload) != u32::from_le_bytes(*crc) => Err(Bad::Wrong("the checksum is wrong")),
        () if head != previous.next(payload) => Err(Bad::Wrong("the hash does not continue the chain")),
        () => Ok((head, payload)),
    }
}

fn checksum(length: [u8; 4], head: Head, payload: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&length);
    crc.update(&head.seq.to_le_bytes());
    crc.update(&head.hash.0);
    crc.update(payload);
    crc.finalize()
}
