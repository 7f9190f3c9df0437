//! A map from the names of subjects in a log to those in tokens: `ID,SUB`, one a line.

use std::collections::BTreeMap;
use std::path::Path;

use crate::files;

/// The largest map.
const LARGEST: u64 = 64 * 1024 * 1024;
/// The longest name, in bytes.
pub(super) const LONGEST: usize = 512;

/// What subjects of a log are called in tokens.
#[derive(Debug, Default)]
pub(crate) struct Subjects(BTreeMap<String, String>);

impl Subjects {
    /// Reads a map. A first line `id,sub` is a heading.
    ///
    /// # Errors
    /// When the file cannot be read, a line has not two plain names, or a name of the log is there twice.
    pub(crate) fn load(path: &Path) -> Result<Self, String> {
        let bytes = files::read(path, LARGEST).map_err(|error| error.to_string())?;
        let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
        Self::parse(&text)
    }

    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut map = BTreeMap::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim_start_matches('\u{feff}').trim();
            if line.is_empty() || (number == 0 && line.eq_ignore_ascii_case("id,sub")) {
                continue;
            }
            let refused = |what: &str| format!("line {}: {what}", number + 1);
            let (id, sub) = line.split_once(',').ok_or_else(|| refused("it is not `ID,SUB`"))?;
            let (id, sub) = (id.trim(), sub.trim());
            if ![id, sub].into_iter().all(is_plain) {
                return Err(refused("a name is empty, longer than 512 bytes, or has a quote, a comma or a control character"));
            }
            if map.insert(id.to_owned(), sub.to_owned()).is_some() {
                return Err(refused("this name of the log was there before"));
            }
        }
        Ok(Self(map))
    }

    /// What a subject of the log is called in tokens.
    pub(crate) fn named(&self, id: &str) -> Option<&str> {
        self.0.get(id).map(String::as_str)
    }
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.len() <= LONGEST && !name.chars().any(|letter| letter.is_control() || letter == '"' || letter == ',')
}
