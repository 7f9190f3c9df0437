//! Walks over CBOR (RFC 8949) as CTAP2 writes it: definite lengths, no tags, little depth. Never allocates for a declared length.

const DEPTH: usize = 6;

/// What is left to be read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a>(&'a [u8]);

const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next `length` bytes.
    pub(crate) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// The number of entries of the map that comes next.
    pub(crate) fn map(&mut self) -> Option<usize> {
        self.head_of(MAP)
    }

    /// The text that comes next.
    pub(crate) fn text(&mut self) -> Option<&'a str> {
        let length = self.head_of(TEXT)?;
        std::str::from_utf8(self.take(length)?).ok()
    }

    /// The byte string that comes next.
    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.head_of(BYTES)?;
        self.take(length)
    }

    /// Passes over one item, whatever it is.
    pub(crate) fn skip(&mut self) -> Option<()> {
        self.skip_within(DEPTH)
    }

    fn skip_within(&mut self, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        let (major, argument) = self.head()?;
        match major {
            0 | 1 | 7 => Some(()),
            BYTES | TEXT => self.take(argument).map(drop),
            // Each item takes one byte at least, so the bytes that are there bound the loop.
            ARRAY => (0..argument).try_for_each(|_| self.skip_within(depth)),
            MAP => (0..argument.checked_mul(2)?).try_for_each(|_| self.skip_within(depth)),
            _ => None,
        }
    }

    fn head_of(&mut self, wanted: u8) -> Option<usize> {
        let (major, argument) = self.head()?;
        (major == wanted).then_some(argument)
    }

    /// Major type and argument (§3); reserved and indefinite lengths are refused.
    fn head(&mut self) -> Option<(u8, usize)> {
        let [first] = *self.take(1)? else { return None };
        let argument = match first & 0x1f {
            small @ 0..=23 => u64::from(small),
            more @ 24..=27 => self.take(1 << (more - 24))?.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
            _ => return None,
        };
        Some((first >> 5, usize::try_from(argument).ok()?))
    }
}

#[cfg(test)]
mod tests;
