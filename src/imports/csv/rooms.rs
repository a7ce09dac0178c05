//! Recognizes what cannot be a room: times and dates in the rest of a cell of meetings.

use std::borrow::Cow;

use crate::imports::csv::dates::{self, DayOrder};
use crate::imports::csv::times::{self, Clock};
use crate::imports::csv::{component, days, text};

/// The number of words of a date such as `Sep 07, 2022`.
const DATE_WORDS: usize = 3;

/// Returns the room that a text names. Fails without a message if the text contains a time, a date or a line break, or
/// is too long.
pub(super) fn room(text: &str) -> Result<Option<String>, ()> {
    let starts_with_days = || text.split_whitespace().next().is_some_and(days::is_english);
    let has_range = || text.split_whitespace().any(is_range);
    if text.contains(['\n', '\r']) || holds_clock_time(text) || holds_date(text) || (starts_with_days() && has_range())
    {
        return Err(());
    }
    text::text(text).map_err(|_| ())
}

/// Removes a component in parentheses after the room, such as `Elm Hall, 105 (Lecture)`.
pub(super) fn without_component(room: &str) -> &str {
    let split = room.trim_end_matches(')').rsplit_once('(');
    split
        .filter(|(_, word)| component::known(word.trim()).is_some())
        .map_or(room, |(room, _)| room.trim_end_matches([' ', ',']))
}

/// The labels in the cells of Banner's class search, each with what precedes its value in a cell without labels.
const LABELS: [(&str, &str); 5] =
    [("type:", ""), ("building:", ""), ("room:", ""), ("start date:", ""), ("end date:", " - ")];

/// Removes the labels from a part such as `MW 9:00 AM - 9:50 AM Type: Class Building: Elm Hall Room: 105 Start Date:
/// 01/20/2031 End Date: 05/15/2031`, and the type of the meeting.
pub(super) fn without_labels(part: &str) -> Cow<'_, str> {
    let lower = part.to_ascii_lowercase();
    let mut found: Vec<(usize, &str, &str)> =
        LABELS.iter().filter_map(|(label, before)| Some((lower.find(label)?, *label, *before))).collect();
    if found.len() < 2 {
        return Cow::Borrowed(part);
    }
    found.sort_unstable();
    let mut plain = part[..found[0].0].trim_end().to_owned();
    for (at, (from, label, before)) in found.iter().enumerate() {
        let to = found.get(at + 1).map_or(part.len(), |(next, ..)| *next);
        let value = part[from + label.len()..to].trim();
        if *label != "type:" && !text::is_unknown(value) && !value.eq_ignore_ascii_case("none") {
            plain = [plain.as_str(), if before.is_empty() { " " } else { before }, value].concat();
        }
    }
    Cow::Owned(plain)
}

/// Returns whether a word is a range of times. `105-107` is one too, although it may be two rooms.
pub(super) fn is_range(word: &str) -> bool {
    times::range(word, Clock::AsWritten).is_ok_and(|(range, _)| range.start.is_some())
}

/// Returns whether a text contains a time with a colon or with am or pm.
fn holds_clock_time(text: &str) -> bool {
    let words: Vec<&str> = text.split(|c: char| c.is_whitespace() || "-–,()".contains(c)).collect();
    let is_digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    let has_colon = |word: &str| {
        word.split_once(':').is_some_and(|(h, m)| is_digit(h.chars().last()) && is_digit(m.chars().next()))
    };
    let has_half = |text: &str| {
        let is_marked = text.trim_end_matches('.').ends_with(['m', 'M']);
        is_marked && times::single(text).is_ok_and(|time| time.is_some())
    };
    let has_half_after = words.windows(2).any(|pair| has_half(&pair.join(" ")));
    has_half_after || words.iter().any(|word| has_colon(word) || has_half(word))
}

/// Returns whether a text contains what looks like a date, even one that does not exist in the order of the file.
pub(super) fn holds_date(text: &str) -> bool {
    let words: Vec<&str> =
        text.split_whitespace().map(|word| word.trim_matches(|c: char| ",():;".contains(c))).collect();
    let is_range = |word: &str| word.split_once(['-', '–']).is_some_and(|(from, to)| is_date(from) || is_date(to));
    let is_undated = |word: &str| word.contains('-') && dates::lacks_year(word);
    // `Sep 07, 2022` has a word of letters; three numbers may be a room.
    let is_named = |three: &[&str]| {
        three.iter().any(|word| word.chars().all(char::is_alphabetic)) && is_known_date(&three.join(" "))
    };
    dates::lacks_year(text)
        || words.iter().any(|word| is_date(word) || is_range(word) || is_undated(word))
        || words.windows(DATE_WORDS).any(is_named)
}

fn is_known_date(text: &str) -> bool {
    let orders = [DayOrder::MonthFirst, DayOrder::DayFirst];
    orders.into_iter().any(|order| dates::single(text, order).is_ok_and(|date| date.is_some()))
}

/// Returns whether a word is a date, or has the form of one: `20/01/2031`, `2031-13-01`.
fn is_date(word: &str) -> bool {
    let parts: Vec<&str> = word.split(['/', '-', '.']).collect();
    let has_form = parts.len() == 3
        && parts.iter().all(|part| matches!(part.len(), 1 | 2 | 4) && part.bytes().all(|b| b.is_ascii_digit()))
        && (word.contains('/') || parts.iter().any(|part| part.len() == 4));
    has_form || (word.len() > 5 && is_known_date(word))
}

/// Removes each `Room to be Announced`, `Days to be Announced` and so on. Returns whether there was one.
pub(super) fn without_announcements(part: &str) -> (String, bool) {
    const PHRASE: &str = "to be announced";
    const SUBJECTS: [&str; 8] = ["room", "rooms", "day", "days", "time", "times", "location", "building"];
    let (mut found, mut rest) = (String::new(), part);
    while let Some(at) = rest.to_ascii_lowercase().find(PHRASE) {
        let before = rest[..at].trim_end();
        let word = before.rfind([' ', ',', '(']).map_or(0, |at| at + 1);
        let is_subject = SUBJECTS.iter().any(|subject| before[word..].eq_ignore_ascii_case(subject));
        found.push_str(if is_subject { &before[..word] } else { before });
        found.push(' ');
        rest = &rest[at + PHRASE.len()..];
    }
    let has_phrase = rest.len() < part.len();
    (found + rest, has_phrase)
}
