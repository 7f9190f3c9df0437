//! The last good archive of each bundle on the disk, so that a start does not need the server that bundles come from.

use std::fs::{self, File};
use std::io::{Error, Write as _};
use std::path::{Path, PathBuf};

use crate::bundle::LARGEST;
use crate::files;

/// A folder with one archive for each bundle.
#[derive(Debug, Clone)]
pub(crate) struct Kept(PathBuf);

impl Kept {
    /// In the data folder.
    pub(crate) fn under(store: &Path) -> Self {
        Self(store.join("opa-bundles"))
    }

    /// The archive that was kept of a bundle. It is checked like any other before it counts.
    pub(crate) fn read(&self, name: &str) -> Option<Vec<u8>> {
        match files::read(&self.path(name), LARGEST as u64) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::warn!(bundle = name, %error, "kept bundle cannot be read");
                None
            }
        }
    }

    /// Replaces it: after a crash there is the old one or the new one.
    pub(crate) fn write(&self, name: &str, archive: &[u8]) -> Result<(), Error> {
        fs::create_dir_all(&self.0)?;
        let mut next = tempfile::NamedTempFile::new_in(&self.0)?;
        next.write_all(archive)?;
        next.as_file().sync_all()?;
        next.persist(self.path(name)).map_err(|error| error.error)?;
        File::open(&self.0)?.sync_all()
    }

    /// Names of bundles are names of files: the configuration sees to that.
    fn path(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.tar.gz"))
    }
}
