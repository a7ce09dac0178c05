//! Helpers for text that editors write in Plone.

/// Placeholders for unknown values.
const UNKNOWN: [&str; 8] = ["tba", "tbd", "arr", "arranged", "n/a", "na", "-", "--"];

/// Returns true if a trimmed text is empty or a placeholder for an unknown value.
pub(super) fn is_unknown(text: &str) -> bool {
    text.is_empty() || UNKNOWN.iter().any(|unknown| text.eq_ignore_ascii_case(unknown))
}

/// Replaces each sequence of white space, including line breaks, with a single space.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Shortens a text that is quoted in a message.
pub(super) fn cut(text: &str) -> String {
    text.chars().take(60).collect()
}
