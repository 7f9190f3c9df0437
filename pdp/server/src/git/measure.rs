//! A pack is measured before anything is made of it. Whoever resolves its deltas keeps one object for each fork of a chain, so that a few kilobytes can
//! stand for gigabytes.

use std::io::{BufRead, Error, Read as _};
use std::sync::atomic::{AtomicBool, Ordering};

use flate2::bufread::ZlibDecoder;
use gix::ObjectId;
use gix::odb::pack::data::Entry;
use gix::odb::pack::data::entry::Header;

use super::limits::Bounds;

/// The longest chain of deltas: no git makes longer ones.
const DEEPEST: u32 = 4095;
/// Where the first object begins.
const FIRST: u64 = 12;
/// Of a delta, what says how long its base and its result are.
const SIZES: usize = 20;

/// Objects by the order of the pack, and what hangs together.
#[derive(Default)]
struct Measure {
    /// Where each begins.
    offsets: Vec<u64>,
    /// Each one's base in this pack, where that is known.
    bases: Vec<Option<usize>>,
    roots: Vec<Root>,
    /// How long each one is once it is resolved, and the bases that are not in the pack.
    sizes: Vec<u64>,
}

/// What an object without a known base in the pack begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Root {
    /// It is none.
    None,
    /// It is whole.
    Whole,
    /// A delta to an object that was there before.
    Known,
    /// A delta to an object that is somewhere in the pack.
    Unknown,
}

/// Reads a pack behind its head, and refuses what would take too much to resolve. `has` tells whether an object was there before.
pub(super) fn measure(
    pack: &mut impl BufRead,
    count: u32,
    bounds: &Bounds,
    over: &AtomicBool,
    has: impl Fn(ObjectId) -> bool,
) -> Result<(), Error> {
    let (mut measure, mut offset) = (Measure::default(), FIRST);
    for _ in 0..count {
        if over.load(Ordering::SeqCst) {
            return Err(Error::other("the host takes too long"));
        }
        let entry = Entry::from_read(pack, offset, gix::hash::Kind::Sha1.len_in_bytes())?;
        let (begin, read) = inflated(pack, &entry, bounds, over)?;
        measure.add(offset, &entry, &begin, bounds, &has)?;
        offset = offset.saturating_add(entry.header_size() as u64).saturating_add(read);
    }
    measure.judge(bounds.unpacked)
}

/// How an object begins, and how many bytes it takes in the pack.
fn inflated(pack: &mut impl BufRead, entry: &Entry, bounds: &Bounds, over: &AtomicBool) -> Result<(Vec<u8>, u64), Error> {
    bounded(entry.decompressed_size, bounds)?;
    let mut inflate = ZlibDecoder::new(pack);
    let (mut begin, mut buffer, mut length) = (Vec::with_capacity(SIZES), [0; 16 * 1024], 0_u64);
    loop {
        let count = inflate.read(&mut buffer)?;
        let room = SIZES.saturating_sub(begin.len()).min(count);
        begin.extend_from_slice(buffer.get(..room).unwrap_or_default());
        length = length.saturating_add(count as u64);
        // Nothing can be packed so badly, unless somebody means to.
        if length > entry.decompressed_size || inflate.total_in() > bounds.object.saturating_mul(2) || over.load(Ordering::SeqCst) {
            return Err(Error::other("the host sends an object that is longer than it says"));
        }
        if count == 0 {
            return Ok((begin, inflate.total_in()));
        }
    }
}

fn bounded(size: u64, bounds: &Bounds) -> Result<u64, Error> {
    let most = bounds.object;
    if size > most { Err(Error::other(format!("the host sends an object of more than {most} bytes"))) } else { Ok(size) }
}

impl Measure {
    fn add(&mut self, offset: u64, entry: &Entry, begin: &[u8], bounds: &Bounds, has: impl Fn(ObjectId) -> bool) -> Result<(), Error> {
        let damaged = || Error::other("the host sends a delta to nothing");
        let (base, root) = match entry.header {
            Header::OfsDelta { base_distance } => {
                let at = Header::verified_base_pack_offset(offset, base_distance).ok_or_else(damaged)?;
                (Some(self.offsets.binary_search(&at).map_err(|_| damaged())?), Root::None)
            }
            Header::RefDelta { base_id } => (None, if has(base_id) { Root::Known } else { Root::Unknown }),
            Header::Commit | Header::Tree | Header::Blob | Header::Tag => (None, Root::Whole),
        };
        if root == Root::Whole {
            self.sizes.push(entry.decompressed_size);
        } else {
            let mut rest = begin.iter();
            let of = bounded(size(&mut rest).ok_or_else(damaged)?, bounds)?;
            let result = bounded(size(&mut rest).ok_or_else(damaged)?, bounds)?;
            self.sizes.extend((root == Root::Known).then_some(of));
            self.sizes.push(result);
        }
        self.offsets.push(offset);
        self.bases.push(base);
        self.roots.push(root);
        Ok(())
    }

    /// At each fork of a chain one object is kept until the last branch is resolved, in memory that may have been a larger object's before. So all of
    /// them together are no more than the largest ones, as many as there are forks on one way.
    fn judge(mut self, most: u64) -> Result<(), Error> {
        let mut children = vec![0_u32; self.bases.len()];
        for base in self.bases.iter().flatten() {
            if let Some(count) = children.get_mut(*base) {
                *count = count.saturating_add(1);
            }
        }
        // Of each object: its depth, the forks above it and at it.
        let mut ways: Vec<(u32, usize)> = Vec::with_capacity(self.bases.len());
        let mut starts: Vec<usize> = Vec::with_capacity(self.bases.len());
        let mut worst = vec![0; self.bases.len()];
        for (at, ((base, root), children)) in self.bases.iter().zip(&self.roots).zip(children).enumerate() {
            let above = base.and_then(|base| ways.get(base).zip(starts.get(base)));
            // A base from elsewhere may have other children, and so may one that is not known.
            let outside = usize::from(matches!(root, Root::Known | Root::Unknown));
            let ((depth, forks), start) = above.map_or(((0, outside), at), |((depth, forks), start)| ((depth + 1, *forks), *start));
            if depth > DEEPEST {
                return Err(Error::other(format!("the host sends a chain of more than {DEEPEST} deltas")));
            }
            let forks = forks + usize::from(children > 1);
            if let Some(worst) = worst.get_mut(start) {
                *worst = forks.max(*worst);
            }
            ways.push((depth, forks));
            starts.push(start);
        }
        let (mut longest, mut unknown) = (0, 0_usize);
        for (root, worst) in self.roots.iter().zip(worst) {
            match root {
                Root::None => {}
                Root::Whole | Root::Known => longest = worst.max(longest),
                // Wherever they are put, they may be put one below the other.
                Root::Unknown => unknown = unknown.saturating_add(worst),
            }
        }
        // Beside them, the object in work and its base.
        let kept = longest.saturating_add(unknown).saturating_add(2);
        self.sizes.sort_unstable_by(|one, other| other.cmp(one));
        let total = self.sizes.iter().take(kept).fold(0_u64, |sum, size| sum.saturating_add(*size));
        if total > most { Err(Error::other(format!("the host sends deltas that may take more than {most} bytes at once"))) } else { Ok(()) }
    }
}

/// A number in the head of a delta, seven bits at a time.
fn size<'a>(bytes: &mut impl Iterator<Item = &'a u8>) -> Option<u64> {
    let (mut size, mut shift) = (0_u64, 0);
    loop {
        let byte = bytes.next()?;
        let part = u64::from(byte & 0x7f);
        if shift > 56 {
            return None;
        }
        size |= part << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            return Some(size);
        }
    }
}
