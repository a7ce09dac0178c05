//! Text as editors of Plone write it.

/// Words for "not known yet".
const UNKNOWN: [&str; 8] = ["tba", "tbd", "arr", "arranged", "n/a", "na", "-", "--"];

/// Returns true when a trimmed text is empty or says "not known yet".
pub(super) fn is_unknown(text: &str) -> bool {
    text.is_empty() || UNKNOWN.iter().any(|unknown| text.eq_ignore_ascii_case(unknown))
}

/// Replaces runs of white space, line breaks included, by single spaces.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Shortens a text that a message quotes.
pub(super) fn cut(text: &str) -> String {
    text.chars().take(60).collect()
}
