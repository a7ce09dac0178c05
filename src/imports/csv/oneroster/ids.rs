//! Texts of OneRoster files that combine several values: identifiers and meetings.

use std::fmt::Write;

use crate::domain::meeting::{Meeting, hour_minute_text};
use crate::imports::csv::export::day_letters;

/// The characters with a meaning in the text of a meeting, which are escaped in its location.
const RESERVED: [char; 3] = ['%', '|', ';'];

/// Returns a text as a `sourcedId`: OneRoster allows ASCII letters and digits and some punctuation. Other bytes, and
/// `_`, become `_` and two hexadecimal digits, so that different texts stay different.
pub(super) fn sourced_id(kind: &str, text: &str) -> String {
    let mut id = format!("{kind}-");
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'@') {
            id.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(id, "_{byte:02X}");
        }
    }
    id
}

/// Returns a meeting as `DAYS|START|END|FIRST DAY|LAST DAY|LOCATION`, in which unknown parts are empty. `%`, `|` and `;` in
/// the location become `%25`, `%7C` and `%3B`; meetings are separated by `;`.
pub(super) fn meeting_text(meeting: &Meeting) -> String {
    let Meeting { days, start, end, starts_on, ends_on, location } = meeting;
    let time = |time: &Option<jiff::civil::Time>| time.map(hour_minute_text).unwrap_or_default();
    let date = |date: &Option<jiff::civil::Date>| date.map(|date| date.to_string()).unwrap_or_default();
    let mut text =
        format!("{}|{}|{}|{}|{}|", day_letters(*days), time(start), time(end), date(starts_on), date(ends_on));
    for c in location.as_deref().unwrap_or_default().chars() {
        match c {
            c if RESERVED.contains(&c) => text += &format!("%{:02X}", u32::from(c)),
            c => text.push(c),
        }
    }
    text
}

/// Returns the parts of each meeting in a text of [`meeting_text`]s; `None` for a text of another form.
pub(super) fn meetings(text: &str) -> Option<Vec<[String; 6]>> {
    let meeting = |text: &str| -> Option<[String; 6]> {
        let parts: Vec<String> = text.split('|').map(unescaped).collect();
        parts.try_into().ok()
    };
    text.split(';').filter(|text| !text.trim().is_empty()).map(meeting).collect()
}

fn unescaped(text: &str) -> String {
    let replaced = |text: String, c: &char| text.replace(&format!("%{:02X}", u32::from(*c)), &c.to_string());
    RESERVED.iter().rev().fold(text.to_owned(), replaced)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::meeting::{Days, END_OF_DAY};
    use jiff::civil::{date, time};

    #[test]
    fn different_texts_have_different_ids_of_allowed_characters() {
        let texts = ["MATH 151", "MATH_151", "MATH__151", "MATH_20151", "MATH.151", "Ñ", "_C3_91", "ann@example.edu"];
        let ids: Vec<String> = texts.iter().map(|text| sourced_id("course", text)).collect();
        assert_eq!((ids[0].as_str(), ids[7].as_str()), ("course-MATH_20151", "course-ann@example.edu"));
        let unique: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(unique.len(), texts.len(), "{ids:?}");
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || "-_.@/".contains(c);
        assert!(ids.iter().flat_map(|id| id.chars()).all(is_allowed), "{ids:?}");
    }

    #[test]
    fn meetings_are_read_as_they_were_written() {
        let odd = Meeting {
            days: Days::from_bits(0b100_0010),
            start: Some(time(18, 30, 0, 0)),
            end: Some(END_OF_DAY),
            starts_on: Some(date(2031, 1, 6)),
            ends_on: None,
            location: Some("50%7C; A|B".into()),
        };
        let text = [&odd, &Meeting::default()].map(meeting_text).join(";");
        let parts = ["T U", "18:30", "24:00", "2031-01-06", "", "50%7C; A|B"].map(str::to_owned);
        assert_eq!(meetings(&text), Some(vec![parts, [(); 6].map(|()| String::new())]));
        assert_eq!(meetings(""), Some(Vec::new()));
        assert_eq!(meetings("MWF 9:00"), None);
    }
}
