//! The form of a JSON document that a bundle's signature is over: members sorted, no space, texts as Go's encoder writes them with HTML left as it is,
//! numbers as they were written.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// The form of a document. The document is strict JSON: where the same was checked before, this cannot fail.
pub(super) fn canonical(document: &[u8]) -> Result<Vec<u8>, serde_json::Error> {
    let raw: &RawValue = serde_json::from_slice(document)?;
    let mut out = Vec::with_capacity(document.len());
    write(raw, &mut out)?;
    Ok(out)
}

/// As deep as the document is, which the check before has bounded.
fn write(raw: &RawValue, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    let text = raw.get();
    match text.as_bytes().first() {
        Some(b'{') => {
            let members: BTreeMap<String, &RawValue> = serde_json::from_str(text)?;
            list(out, b'{', b'}', members.into_iter(), |(name, member), out| {
                write_text(&name, out)?;
                out.push(b':');
                write(member, out)
            })
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(text)?;
            list(out, b'[', b']', items.into_iter(), write)
        }
        Some(b'"') => write_text(&serde_json::from_str::<String>(text)?, out),
        _ => {
            out.extend_from_slice(text.as_bytes());
            Ok(())
        }
    }
}

fn list<T>(
    out: &mut Vec<u8>,
    open: u8,
    close: u8,
    items: impl Iterator<Item = T>,
    mut each: impl FnMut(T, &mut Vec<u8>) -> Result<(), serde_json::Error>,
) -> Result<(), serde_json::Error> {
    out.push(open);
    for (at, item) in items.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        each(item, out)?;
    }
    out.push(close);
    Ok(())
}

/// Go escapes the two line separators of Unicode; in everything else the two encoders agree.
fn write_text(text: &str, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    let encoded = serde_json::to_string(text)?;
    let encoded = if encoded.contains(['\u{2028}', '\u{2029}']) {
        encoded.replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
    } else {
        encoded
    };
    out.extend_from_slice(encoded.as_bytes());
    Ok(())
}

#[cfg(test)]
mod tests;
