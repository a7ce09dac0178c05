//! Text as people in Plone write it: what says nothing, and what is said on one line.

/// What says "not known yet".
const UNKNOWN: [&str; 8] = ["tba", "tbd", "arr", "arranged", "n/a", "na", "-", "--"];

/// Whether a trimmed text says nothing yet.
pub(super) fn is_unknown(text: &str) -> bool {
    text.is_empty() || UNKNOWN.iter().any(|unknown| text.eq_ignore_ascii_case(unknown))
}

/// White space, line breaks too, as single blanks.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What a message repeats of a text.
pub(super) fn cut(text: &str) -> String {
    text.chars().take(60).collect()
}
