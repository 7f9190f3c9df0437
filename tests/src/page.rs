//! A page of documentation whose commands are run as they stand: its `sh` blocks in their order in one shell, and what each prints is what the `text` block
//! after it says. Without one, it prints nothing.
//!
//! In such a block `…` stands for whatever differs from one run to the next: within a line for any text, alone in a line for any lines.

use std::fmt::Write as _;

/// The character that ends what one block printed.
const END: char = '\u{1e}';

/// One block of commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Where its first command stands.
    pub line: usize,
    /// Its commands.
    pub commands: String,
    /// What they print.
    pub prints: String,
}

/// The blocks of a page.
///
/// # Panics
/// When a block does not end, or one of output has no commands before it.
#[must_use]
pub fn blocks(page: &str) -> Vec<Block> {
    let (mut blocks, mut open) = (Vec::<Block>::new(), None);
    for (at, line) in page.lines().enumerate() {
        match (open, line.strip_prefix("```")) {
            (None, Some("sh")) => {
                blocks.push(Block { line: at + 2, commands: String::new(), prints: String::new() });
                open = Some("sh");
            }
            (None, Some(kind)) => open = Some(if kind == "text" { "text" } else { "" }),
            (Some(_), Some("")) => open = None,
            (Some("sh"), _) => blocks.last_mut().unwrap().commands.extend([line, "\n"]),
            (Some("text"), _) => blocks.last_mut().expect("commands before their output").prints.extend([line, "\n"]),
            (Some(_), _) | (None, None) => {}
        }
    }
    assert_eq!(open, None, "a block does not end");
    blocks
}

/// A script of all commands. It tells apart what each block prints; at its end it prints what `last_words` do, for whoever must find out what went wrong.
#[must_use]
pub fn script(blocks: &[Block], last_words: &str) -> String {
    let mut script = "exec 2>&1\n".to_owned();
    for block in blocks {
        let _ = writeln!(script, "{}printf '\\036'", block.commands);
    }
    script + last_words + "\n"
}

/// Compares what a script printed with what its page says.
///
/// # Errors
/// The first difference, with all that was printed from there on.
pub fn compare(blocks: &[Block], printed: &str) -> Result<(), String> {
    let mut parts = printed.split(END);
    for block in blocks {
        let part = parts.next().unwrap_or_default();
        let (expected, actual): (Vec<&str>, Vec<&str>) = (block.prints.lines().collect(), part.lines().collect());
        if !lines_match(&expected, &actual) {
            let rest: Vec<&str> = parts.collect();
            return Err(format!(
                "line {}:\n{}\nshould print:\n{}\nand printed:\n{part}\nand after it:\n{}",
                block.line,
                block.commands,
                block.prints,
                rest.join("\n")
            ));
        }
    }
    Ok(())
}

fn lines_match(expected: &[&str], actual: &[&str]) -> bool {
    match (expected, actual) {
        ([], []) => true,
        (["…", more @ ..], _) => (0..=actual.len()).any(|skipped| lines_match(more, &actual[skipped..])),
        ([first, more @ ..], [line, rest @ ..]) => line_matches(first, line) && lines_match(more, rest),
        _ => false,
    }
}

fn line_matches(expected: &str, line: &str) -> bool {
    let Some((start, more)) = expected.split_once('…') else { return expected == line };
    let Some(rest) = line.strip_prefix(start) else { return false };
    rest.char_indices().map(|(at, _)| at).chain([rest.len()]).any(|at| line_matches(more, &rest[at..]))
}
