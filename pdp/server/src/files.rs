//! Reads a file that an operator named: a regular one, and no more of it than is sensible.

use std::fs::File;
use std::io::{BufRead, BufReader, Error, ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::read::MultiGzDecoder;

/// Reads a file whole.
///
/// # Errors
/// When it cannot be opened, is no regular file (a pipe would be waited for), or is larger than `most` bytes.
pub(crate) fn read(path: &Path, most: u64) -> Result<Vec<u8>, Error> {
    let mut content = Vec::new();
    open(path)?.take(most.saturating_add(1)).read_to_end(&mut content)?;
    if u64::try_from(content.len()).unwrap_or(u64::MAX) > most {
        return Err(Error::new(ErrorKind::InvalidData, format!("larger than {most} bytes")));
    }
    Ok(content)
}

fn open(path: &Path) -> Result<File, Error> {
    // Looked at before it is opened, because opening a pipe waits for its other end.
    if !std::fs::metadata(path)?.is_file() {
        return Err(Error::new(ErrorKind::InvalidInput, "not a regular file"));
    }
    File::open(path)
}

/// A long file that is read bit by bit: plain, or gzip where its name ends in `.gz`.
pub(crate) struct Stream {
    plain: BufReader<Box<dyn Read>>,
    read: Arc<AtomicU64>,
}

/// Counts what is read of the file itself, for a progress bar.
struct Counted(File, Arc<AtomicU64>);

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.0.read(buffer)?;
        self.1.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

impl Stream {
    /// Opens a file.
    ///
    /// # Errors
    /// When it cannot be opened, or is no regular file.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let read = Arc::new(AtomicU64::new(0));
        let file = BufReader::new(Counted(open(path)?, Arc::clone(&read)));
        let is_gzip = path.extension().is_some_and(|ending| ending == "gz");
        let plain: Box<dyn Read> = if is_gzip { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
        Ok(Self { plain: BufReader::new(plain), read })
    }

    /// How many bytes of the file itself are read.
    pub(crate) fn bytes_read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.plain.read(buffer)
    }
}

impl BufRead for Stream {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        self.plain.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.plain.consume(count);
    }
}
