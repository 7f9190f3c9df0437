//! Answers for people: tables, and nothing in them that could move a cursor or turn a line around.

use countersign_sdk_types::Timestamp;

pub(super) use countersign_pdp_engine::record::rfc3339;

/// A text from elsewhere, with what a terminal would obey written out. Line ends stay.
pub(in crate::cli) fn clean(text: &str) -> String {
    let obeyed = |symbol: char| symbol.is_control() && symbol != '\n';
    // Direction marks could make a name read as another one.
    let turned = |symbol: char| matches!(symbol, '\u{061C}' | '\u{200E}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    let mut cleaned = String::with_capacity(text.len());
    for symbol in text.chars() {
        if obeyed(symbol) || turned(symbol) {
            cleaned.extend(symbol.escape_unicode());
        } else {
            cleaned.push(symbol);
        }
    }
    cleaned
}

/// Rows under a head, in columns. `nothing` stands for no rows; a list that was cut says so.
pub(super) fn table<const N: usize>(head: [&str; N], rows: &[[String; N]], nothing: &str, is_cut: bool) -> String {
    if rows.is_empty() {
        return nothing.to_owned();
    }
    let mut lines: Vec<[String; N]> = vec![head.map(ToOwned::to_owned)];
    lines.extend(rows.iter().map(|row| row.each_ref().map(|cell| clean(&cell.replace('\n', " ")))));
    let mut widths = [0; N];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text: Vec<String> = lines.iter().map(|line| aligned(line, &widths)).collect();
    if is_cut {
        text.push(format!("only the first {} are shown", rows.len()));
    }
    text.join("\n")
}

fn aligned(line: &[String], widths: &[usize]) -> String {
    let cells: Vec<String> = line.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
    cells.join("  ").trim_end().to_owned()
}

/// A flag that may be unknown.
pub(super) fn flag(flag: Option<bool>) -> String {
    flag.map_or_else(|| "unknown".to_owned(), |flag| flag.to_string())
}

/// An instant in a table: without its milliseconds.
pub(super) fn instant(at: Timestamp) -> String {
    rfc3339(Timestamp::from_secs(at.secs()))
}
