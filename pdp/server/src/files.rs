//! Reads a file that an operator named: a regular one, and no more of it than is sensible.

use std::fs::File;
use std::io::{Error, ErrorKind, Read as _};
use std::path::Path;

/// Reads a file whole.
///
/// # Errors
/// When it cannot be opened, is no regular file (a pipe would be waited for), or is larger than `most` bytes.
pub(crate) fn read(path: &Path, most: u64) -> Result<Vec<u8>, Error> {
    // Looked at before it is opened, because opening a pipe waits for its other end.
    if !std::fs::metadata(path)?.is_file() {
        return Err(Error::new(ErrorKind::InvalidInput, "not a regular file"));
    }
    let mut content = Vec::new();
    File::open(path)?.take(most.saturating_add(1)).read_to_end(&mut content)?;
    if u64::try_from(content.len()).unwrap_or(u64::MAX) > most {
        return Err(Error::new(ErrorKind::InvalidData, format!("larger than {most} bytes")));
    }
    Ok(content)
}
