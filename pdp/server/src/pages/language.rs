//! Which language a reader gets: English, or Simplified Chinese when `Accept-Language` prefers any Chinese.

use axum::http::{HeaderMap, header};

/// Browsers send some tens of bytes; what is longer is not read.
const LONGEST: usize = 512;
const MOST_RANGES: usize = 16;

/// A language that every page and every trouble has its texts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// English, also for a reader of neither.
    #[default]
    English,
    /// Chinese in simplified characters, also for readers of traditional ones: closer to them than English.
    Chinese,
}

impl Language {
    /// The better of the two by the weights of `Accept-Language` (RFC 9110, section 12.5.4); the first of equals; English in doubt.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let Some(text) = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()) else {
            return Self::default();
        };
        if text.len() > LONGEST {
            return Self::default();
        }
        let mut best = (Self::default(), 0.0);
        for (language, weight) in text.split(',').take(MOST_RANGES).filter_map(weighed) {
            if weight > best.1 {
                best = (language, weight);
            }
        }
        best.0
    }

    /// The tag of the `lang` attribute (BCP 47).
    #[must_use]
    pub const fn tag(self) -> &'static str {
        self.say("en", "zh-Hans")
    }

    /// One text, written in both languages side by side, so that neither can be forgotten.
    #[must_use]
    pub const fn say<'a>(self, english: &'a str, chinese: &'a str) -> &'a str {
        match self {
            Self::English => english,
            Self::Chinese => chinese,
        }
    }
}

/// `zh-CN;q=0.8` → Chinese, 0.8. Nothing for another language or a malformed weight.
fn weighed(range: &str) -> Option<(Language, f32)> {
    let mut parts = range.split(';');
    let tag = parts.next()?.trim();
    let language = match tag.split('-').next()? {
        primary if primary.eq_ignore_ascii_case("zh") => Language::Chinese,
        primary if primary.eq_ignore_ascii_case("en") || primary == "*" => Language::English,
        _ => return None,
    };
    let weight = match parts.next() {
        None => 1.0,
        Some(weight) => weight.trim().strip_prefix("q=")?.parse().ok().filter(|weight| (0.0..=1.0).contains(weight))?,
    };
    Some((language, weight))
}

#[cfg(test)]
mod tests;
