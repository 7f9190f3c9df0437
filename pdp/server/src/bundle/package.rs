//! The package that a module says it is in, read from its text: roots are checked before a parser sees the module.

/// The steps of the package's path below `data`; none where the text does not begin with a package.
pub(crate) fn package(text: &str) -> Option<Vec<String>> {
    let rest = after_comments(text.trim_start_matches('\u{feff}')).strip_prefix("package")?;
    let mut rest = rest.strip_prefix(char::is_whitespace)?.trim_start();
    let mut steps = Vec::new();
    loop {
        let (step, after) = if let Some(after) = rest.strip_prefix('[') { quoted(after)? } else { plain(rest)? };
        steps.push(step);
        rest = match after.strip_prefix('.') {
            Some(after) => after,
            None if after.starts_with('[') => after,
            None => return Some(steps),
        };
    }
}

fn after_comments(text: &str) -> &str {
    let mut rest = text.trim_start();
    while rest.starts_with('#') {
        rest = rest.split_once('\n').map_or("", |(_, next)| next).trim_start();
    }
    rest
}

fn plain(text: &str) -> Option<(String, &str)> {
    let end = text.find(|character: char| !character.is_ascii_alphanumeric() && character != '_').unwrap_or(text.len());
    let (step, rest) = text.split_at(end);
    (!step.is_empty()).then(|| (step.to_owned(), rest))
}

/// What stands in brackets is a JSON string.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut strings = serde_json::Deserializer::from_str(text).into_iter::<String>();
    let step = strings.next()?.ok()?;
    let rest = text.get(strings.byte_offset()..)?.trim_start().strip_prefix(']')?;
    Some((step, rest))
}

#[cfg(test)]
mod tests;
