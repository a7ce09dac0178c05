//! Parses weekdays as colleges write them: `MWF`, `TR`, `TTh`, `MTWThF`, `M W`, `mon,wed`, `M-F`.

use crate::domain::meeting::Days;

use crate::imports::csv::spanish_days::{self, DayLetters, NoDays};
use crate::imports::csv::text::is_unknown;
use crate::imports::finding_kind::FindingKind;

/// Names of days and their abbreviations in English and Spanish, longest first.
const NAMES: [(&str, &str); 42] = [
    ("miércoles", "wed"),
    ("miercoles", "wed"),
    ("wednesday", "wed"),
    ("thursday", "thu"),
    ("saturday", "sat"),
    ("tuesday", "tue"),
    ("viernes", "fri"),
    ("domingo", "sun"),
    ("martes", "tue"),
    ("jueves", "thu"),
    ("sábado", "sat"),
    ("sabado", "sat"),
    ("monday", "mon"),
    ("friday", "fri"),
    ("sunday", "sun"),
    ("lunes", "mon"),
    ("thurs", "thu"),
    ("tues", "tue"),
    ("thur", "thu"),
    ("weds", "wed"),
    ("lun", "mon"),
    ("mar", "tue"),
    ("mié", "wed"),
    ("mie", "wed"),
    ("jue", "thu"),
    ("vie", "fri"),
    ("sáb", "sat"),
    ("sab", "sat"),
    ("dom", "sun"),
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

/// The minimum length of a name in [`names`]; shorter abbreviations are parsed by [`pairs`] and [`letters`].
const NAME_LEN_MIN: usize = 3;

/// Parses a cell of weekdays. The set is empty if they are not known yet.
pub(super) fn days(cell: &str, letters: DayLetters) -> Result<Days, FindingKind> {
    let is_m_tuesday = match letters {
        DayLetters::English => return english(cell),
        DayLetters::Spanish => true,
        DayLetters::SpanishUnclear => false,
    };
    if is_unknown(cell) || cell == "0" {
        return Ok(Days::NONE);
    }
    spanish_days::days(cell, is_m_tuesday).map(Days::from_bits).map_err(|no| match no {
        NoDays::Unclear => FindingKind::DaysUnclear { days: cell.to_owned() },
        NoDays::OtherForm => FindingKind::DaysForm { days: cell.to_owned() },
    })
}

/// Returns whether a cell has weekdays, or states that they are not known yet, in English or Spanish.
pub(super) fn is_readable(cell: &str) -> bool {
    is_english(cell) || spanish_days::is_only_spanish(cell)
}

/// Returns whether a cell has weekdays in English letters or as names in English or Spanish, or states that they are
/// not known yet.
pub(super) fn is_english(cell: &str) -> bool {
    english(cell).is_ok()
}

/// Parses a cell of weekdays with English letters, and with names in English or Spanish.
fn english(cell: &str) -> Result<Days, FindingKind> {
    if is_unknown(cell) {
        return Ok(Days::NONE);
    }
    if cell == "0" {
        return Ok(Days::NONE);
    }
    if let Some(bits) = positional(cell) {
        return Ok(Days::from_bits(bits));
    }
    let lower = cell.to_lowercase();
    let has_words = [" to ", " thru ", " through ", " - ", " – "].iter().any(|word| lower.contains(word));
    let joined = if has_words { with_hyphens(cell) } else { cell.to_owned() };
    let mut bits = 0;
    for token in joined.split(|c: char| c.is_whitespace() || ",;/&+.".contains(c)).filter(|t| !t.is_empty()) {
        if ["and", "y"].iter().any(|word| token.eq_ignore_ascii_case(word)) {
            continue;
        }
        let known = || range(token).or_else(|| list(token)).or_else(|| names(token)).or_else(|| pairs(token));
        bits |=
            known().or_else(|| letters(token, bits)).ok_or_else(|| FindingKind::DaysForm { days: token.to_owned() })?;
    }
    Ok(Days::from_bits(bits))
}

/// Joins the days of a range such as `Monday to Friday` with a hyphen.
fn with_hyphens(cell: &str) -> String {
    let words = cell.split_whitespace().map(|word| match &*word.to_lowercase() {
        "to" | "thru" | "through" | "–" => "-",
        _ => word,
    });
    words.collect::<Vec<_>>().join(" ").replace(" - ", "-")
}

/// Parses a cell with one position for each day of the week, such as `M-W-F--`, `-T-R---` and, with Sunday first,
/// `-M-W-F-`.
fn positional(cell: &str) -> Option<u8> {
    const MONDAY_FIRST: [&str; 7] = ["M", "T", "W", "TR", "F", "S", "SU"];
    let is_blank = |c: char| matches!(c, '-' | '_' | '.');
    let places: Vec<char> = cell.to_ascii_uppercase().chars().collect();
    if places.len() != 7 || !places.iter().any(|c| is_blank(*c)) {
        return None;
    }
    let read = |first: usize| {
        places.iter().enumerate().try_fold(0, |bits, (at, place)| {
            let day = (at + 7 - first) % 7;
            let is_day = MONDAY_FIRST[day].contains(*place);
            if is_blank(*place) { Some(bits) } else { is_day.then_some(bits | 1 << day) }
        })
    };
    read(0).or_else(|| read(1))
}

/// Parses `Daily`, or a range that starts on Monday and ends on Thursday or later, such as `M-F` or `Mon-Sat`. Other
/// ranges are not accepted: `T-R` may mean three days or two.
fn range(token: &str) -> Option<u8> {
    if token.eq_ignore_ascii_case("daily") {
        return Some(0b1_1111);
    }
    let (from, to) = token.split_once(['-', '–'])?;
    let one = |part: &str| names(part).or_else(|| pairs(part)).or_else(|| letters(part, 0));
    let one = |part: &str| one(part).filter(|bits| bits.count_ones() == 1);
    let (from, to) = (one(from)?, one(to)?);
    (from == 1 && to >= 1 << 3).then(|| to | (to - 1))
}

/// Parses abbreviations of two letters in any case, such as `MOWE` and `TUTH`. `SU` is two days; see [`letters`].
fn pairs(token: &str) -> Option<u8> {
    let pairs = token.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok());
    let is_pairs = token.is_ascii() && token.len().is_multiple_of(2) && token != "SU";
    let mut bits = 0;
    for pair in pairs.take_while(|_| is_pairs) {
        let lower = pair?.to_ascii_lowercase();
        let day = if lower == "th" { "thu" } else { NAMES.iter().find(|(name, _)| *name == lower)?.1 };
        bits |= Days::parse_one(day)?.bits();
    }
    (bits != 0).then_some(bits)
}

/// Parses at least three days with hyphens between them, such as `M-W-F`. Two could be a range.
fn list(token: &str) -> Option<u8> {
    let days: Vec<&str> = token.split('-').collect();
    let bits = days.iter().try_fold(0, |bits, day| Some(bits | names(day).or_else(|| letters(day, bits))?))?;
    (days.len() >= 3 && bits != 0).then_some(bits)
}

/// Parses names without separators: `Mon`, `tuesday`, `MonWedFri`. Plurals such as `Mondays` are accepted, too.
fn names(token: &str) -> Option<u8> {
    let lower = token.to_lowercase();
    let mut rest = lower.as_str();
    let mut bits = 0;
    while !rest.is_empty() {
        let (name, day) = NAMES.iter().find(|(name, _)| name.len() >= NAME_LEN_MIN && rest.starts_with(name))?;
        bits |= Days::parse_one(day)?.bits();
        rest = &rest[name.len()..];
        if name.ends_with("day") && rest == "s" {
            break;
        }
    }
    Some(bits)
}

/// Parses letters without separators: one per day (`R` or `H` Thursday, `S` Saturday, `U` Sunday), `Th` for Thursday in
/// any case, and two-letter abbreviations whose second letter is lower case (`Tu`, `Su`; `SU` is Saturday and Sunday).
/// A `T` after a Tuesday is Thursday, and an `S` after a Saturday is Sunday; `before` has the earlier days of the
/// cell. `TU` is Tuesday.
fn letters(token: &str, before: u8) -> Option<u8> {
    const TUESDAY: u8 = 1 << 1;
    const SATURDAY: u8 = 1 << 5;
    let mut rest = token;
    let mut bits = 0;
    while let Some(first) = rest.chars().next() {
        let is_two = |two: &&str| {
            let is_tuesday = two.eq_ignore_ascii_case("tu");
            two.eq_ignore_ascii_case("th") || is_tuesday || two.as_bytes()[1].is_ascii_lowercase()
        };
        let two = rest.get(..2).filter(is_two);
        let two = two.and_then(|two| {
            let lower = two.to_ascii_lowercase();
            if lower == "th" { Some("thu") } else { NAMES.iter().find(|(name, _)| *name == lower).map(|(_, day)| *day) }
        });
        let (day, len) = match two {
            Some(day) => (day, 2),
            None if first.eq_ignore_ascii_case(&'t') && (bits | before) & TUESDAY != 0 => ("thu", 1),
            None if first.eq_ignore_ascii_case(&'s') && (bits | before) & SATURDAY != 0 => ("sun", 1),
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
        'R' | 'H' => "thu",
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
            ("M-Th", "mon tue wed thu"),
            ("Monday to Thursday", "mon tue wed thu"),
            ("M - F", "mon tue wed thu fri"),
            ("Mondays and Wednesdays", "mon wed"),
            ("Daily", "mon tue wed thu fri"),
            ("MTWTF", "mon tue wed thu fri"),
            ("T T", "tue thu"),
            ("M-T-W-T-F", "mon tue wed thu fri"),
            ("SS", "sat sun"),
            ("S, S", "sat sun"),
            ("MTWTFSS", "mon tue wed thu fri sat sun"),
            ("SMTWTFS", "mon tue wed thu fri sat sun"),
            ("MTWHF", "mon tue wed thu fri"),
            ("TUTH", "tue thu"),
            ("TU", "tue"),
            ("MTUWTHF", "mon tue wed thu fri"),
            ("MO WE", "mon wed"),
            ("SA", "sat"),
            ("M-W-F--", "mon wed fri"),
            ("-T-T---", "tue thu"),
            ("-M-W-F-", "mon wed fri"),
            ("0", ""),
            ("M-F", "mon tue wed thu fri"),
            ("Mon-Sat", "mon tue wed thu fri sat"),
            ("mwf", "mon wed fri"),
            ("Lunes, miércoles", "mon wed"),
            ("Mar/Jue", "tue thu"),
            ("", ""),
            ("TBA", ""),
        ];
        for (cell, expected) in table {
            let read = english(cell).unwrap();
            assert_eq!(read.names().collect::<Vec<_>>().join(" "), expected, "{cell:?}");
        }
        for bad in ["X", "MXF", "Funday", "T-R", "1", "MWF 9:00", "M\u{e9}"] {
            assert!(!is_english(bad), "{bad:?}");
        }
    }
}
