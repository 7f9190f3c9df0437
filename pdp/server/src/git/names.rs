//! Which names an entry of a tree may have: whatever some file system reads as something else is refused.

use gix::bstr::BStr;
use gix::validate::path::component;

/// The longest name.
const LONGEST: usize = 255;

/// What HFS+ leaves out when it compares names, and what turns the direction of text around.
const UNSEEN: [std::ops::RangeInclusive<char>; 5] =
    ['\u{200c}'..='\u{200f}', '\u{202a}'..='\u{202e}', '\u{2066}'..='\u{206f}', '\u{feff}'..='\u{feff}', '\u{ad}'..='\u{ad}'];

/// The name, if it is one.
pub(super) fn entry(name: &BStr) -> Result<&str, String> {
    let text = std::str::from_utf8(name).map_err(|_| "a file name is not UTF-8".to_owned())?;
    let refused = |why: &str| Err(format!("the name `{}` {why}", shown(text)));
    if text.len() > LONGEST {
        return refused("is too long");
    }
    // Names that only Windows cannot have are left alone: nothing is checked out.
    let options = component::Options { protect_windows: false, protect_hfs: true, protect_ntfs: true };
    if text.contains('\\') || component(name, None, options).is_err() {
        return refused("may lead out of its folder, or into `.git`");
    }
    if text.chars().any(|letter| letter.is_control() || UNSEEN.iter().any(|unseen| unseen.contains(&letter))) {
        return refused("holds what nobody sees");
    }
    Ok(text)
}

/// Text that somebody else wrote, as a message may show it: one line, nothing that a terminal would obey, and not much of it.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(100).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_read_as_something_else() {
        for name in [
            "",
            ".",
            "..",
            "a/b",
            "/etc",
            "a\\b",
            ".git",
            ".GIT",
            ".gIt",
            "git~1",
            "GIT~1",
            ".git::$INDEX_ALLOCATION",
            ".git ",
            ".git.",
            ".g\u{200c}it",
            "a\u{200d}.rego",
            "\u{202e}oger.a",
            "a\nb",
            "a\u{1b}[2J",
            "a\0b",
        ] {
            assert!(entry(name.into()).is_err(), "{name:?}");
        }
        assert!(entry(b"\xff.rego".as_slice().into()).is_err());
        assert!(entry("a".repeat(256).as_str().into()).is_err());
        for name in ["access.rego", ".manifest", ".gitignore", ".github", "git", "aux.rego", "a b", "règle.rego", "a..b"] {
            assert_eq!(entry(name.into()), Ok(name));
        }
    }
}
