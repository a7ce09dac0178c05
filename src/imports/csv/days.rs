//! Parses weekdays as colleges write them: `MWF`, `TR`, `TTh`, `MTWThF`, `M W`, `mon,wed`, `M-F`.

use crate::domain::meeting::Days;

use crate::imports::csv::text::is_unknown;

/// Names of days and their abbreviations, longest first.
const NAMES: [(&str, &str); 24] = [
    ("wednesday", "wed"),
    ("thursday", "thu"),
    ("saturday", "sat"),
    ("tuesday", "tue"),
    ("monday", "mon"),
    ("friday", "fri"),
    ("sunday", "sun"),
    ("thurs", "thu"),
    ("tues", "tue"),
    ("thur", "thu"),
    ("weds", "wed"),
    ("mon", "mon"),
    ("tue", "tue"),
    ("wed", "wed"),
    ("thu", "thu"),
    ("fri", "fri"),
    ("sat", "sat"),
    ("sun", "sun"),
    ("mo", "mon"),
    ("tu", "tue"),
    ("we", "wed"),
    ("fr", "fri"),
    ("sa", "sat"),
    ("su", "sun"),
];

/// The minimum length of a name in [`names`]; shorter abbreviations are parsed by [`letters`].
const NAME_LEN_MIN: usize = 3;

/// Parses a cell of weekdays. The set is empty if they are not known yet.
pub(super) fn days(cell: &str) -> Result<Days, String> {
    if is_unknown(cell) {
        return Ok(Days::NONE);
    }
    let mut bits = 0;
    for token in cell.split(|c: char| c.is_whitespace() || ",;/&+.".contains(c)).filter(|t| !t.is_empty()) {
        let found = range(token).or_else(|| list(token)).or_else(|| names(token)).or_else(|| letters(token));
        bits |= found.ok_or_else(|| format!("Unrecognized days {token:?}: use MWF, TR, TTh or mon,wed"))?;
    }
    Ok(Days::from_bits(bits))
}

/// Parses a range that starts on Monday and ends on Friday or later, such as `M-F` or `Mon-Sat`. Other ranges are not
/// accepted: `T-R` may mean three days or two.
fn range(token: &str) -> Option<u8> {
    let (from, to) = token.split_once(['-', '–'])?;
    let one = |part: &str| names(part).or_else(|| letters(part)).filter(|bits| bits.count_ones() == 1);
    let (from, to) = (one(from)?, one(to)?);
    (from == 1 && to >= 1 << 4).then(|| to | (to - 1))
}

/// Parses at least three days with hyphens between them, such as `M-W-F`. Two could be a range.
fn list(token: &str) -> Option<u8> {
    let days: Vec<&str> = token.split('-').collect();
    let bits = days.iter().try_fold(0, |bits, day| Some(bits | names(day).or_else(|| letters(day))?))?;
    (days.len() >= 3 && bits != 0).then_some(bits)
}

/// Parses names without separators: `Mon`, `tuesday`, `MonWedFri`.
fn names(token: &str) -> Option<u8> {
    let lower = token.to_lowercase();
    let mut rest = lower.as_str();
    let mut bits = 0;
    while !rest.is_empty() {
        let (name, day) = NAMES.iter().find(|(name, _)| name.len() >= NAME_LEN_MIN && rest.starts_with(name))?;
        bits |= Days::parse_one(day)?.bits();
        rest = &rest[name.len()..];
    }
    Some(bits)
}

/// Parses letters without separators: one per day (`R` Thursday, `S` Saturday, `U` Sunday), `Th` for Thursday in any
/// case, and two-letter abbreviations whose second letter is lower case (`Tu`, `Su`; `SU` is Saturday and Sunday).
fn letters(token: &str) -> Option<u8> {
    let mut rest = token;
    let mut bits = 0;
    while let Some(first) = rest.chars().next() {
        let two = rest.get(..2).filter(|two| two.eq_ignore_ascii_case("th") || two.as_bytes()[1].is_ascii_lowercase());
        let two = two.and_then(|two| {
            let lower = two.to_ascii_lowercase();
            if lower == "th" { Some("thu") } else { NAMES.iter().find(|(name, _)| *name == lower).map(|(_, day)| *day) }
        });
        let (day, len) = match two {
            Some(day) => (day, 2),
            None => (letter(first)?, 1),
        };
        bits |= Days::parse_one(day)?.bits();
        rest = &rest[len..];
    }
    Some(bits)
}

const fn letter(letter: char) -> Option<&'static str> {
    Some(match letter.to_ascii_uppercase() {
        'M' => "mon",
        'T' => "tue",
        'W' => "wed",
        'R' => "thu",
        'F' => "fri",
        'S' => "sat",
        'U' => "sun",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weekdays_are_parsed_as_colleges_write_them() {
        let table = [
            ("MWF", "mon wed fri"),
            ("TR", "tue thu"),
            ("TTh", "tue thu"),
            ("TTH", "tue thu"),
            ("tth", "tue thu"),
            ("MTWThF", "mon tue wed thu fri"),
            ("M W", "mon wed"),
            ("mon,wed", "mon wed"),
            ("Mon, Wed", "mon wed"),
            ("Tuesday/Thursday", "tue thu"),
            ("MonWedFri", "mon wed fri"),
            ("MRFSU", "mon thu fri sat sun"),
            ("S", "sat"),
            ("U", "sun"),
            ("Su", "sun"),
            ("SU", "sat sun"),
            ("TuTh", "tue thu"),
            ("MoWeFr", "mon wed fri"),
            ("THU", "thu"),
            ("Th", "thu"),
            ("R", "thu"),
            ("M-W-F", "mon wed fri"),
            ("M-F", "mon tue wed thu fri"),
            ("Mon-Sat", "mon tue wed thu fri sat"),
            ("mwf", "mon wed fri"),
            ("", ""),
            ("TBA", ""),
        ];
        for (cell, expected) in table {
            let read = days(cell).unwrap();
            assert_eq!(read.names().collect::<Vec<_>>().join(" "), expected, "{cell:?}");
        }
        for bad in ["X", "MXF", "Funday", "T-R", "1", "MWF 9:00", "M\u{e9}"] {
            assert!(days(bad).is_err(), "{bad:?}");
        }
    }
}
