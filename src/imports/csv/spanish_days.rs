//! Parses weekdays in Spanish letters, such as `L M X J V S D`, `Lu Ma Mi Ju Vi` and `MJ`, and decides for a whole file
//! whether its letters are Spanish.
//!
//! `M` is Monday in English, and Tuesday (martes) or Wednesday (miércoles) in Spanish. The letters of a file are Spanish
//! if a cell has days that only Spanish has, such as `LJ`, and no cell has days that only English has, such as `TR`.

use crate::imports::csv::text::is_unknown;

const MONDAY: u8 = 1;
const TUESDAY: u8 = 1 << 1;
const WEDNESDAY: u8 = 1 << 2;
const THURSDAY: u8 = 1 << 3;
const FRIDAY: u8 = 1 << 4;
const SATURDAY: u8 = 1 << 5;
const SUNDAY: u8 = 1 << 6;

/// Names of at least two letters, longest first. `sa` is English, too.
const NAMES: [(&str, u8); 30] = [
    ("miércoles", WEDNESDAY),
    ("miercoles", WEDNESDAY),
    ("domingos", SUNDAY),
    ("sábados", SATURDAY),
    ("sabados", SATURDAY),
    ("viernes", FRIDAY),
    ("domingo", SUNDAY),
    ("martes", TUESDAY),
    ("jueves", THURSDAY),
    ("sábado", SATURDAY),
    ("sabado", SATURDAY),
    ("lunes", MONDAY),
    ("lun", MONDAY),
    ("mar", TUESDAY),
    ("mié", WEDNESDAY),
    ("mie", WEDNESDAY),
    ("jue", THURSDAY),
    ("vie", FRIDAY),
    ("sáb", SATURDAY),
    ("sab", SATURDAY),
    ("dom", SUNDAY),
    ("lu", MONDAY),
    ("ma", TUESDAY),
    ("mi", WEDNESDAY),
    ("mí", WEDNESDAY),
    ("ju", THURSDAY),
    ("vi", FRIDAY),
    ("sá", SATURDAY),
    ("sa", SATURDAY),
    ("do", SUNDAY),
];

/// How a file writes weekdays with letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum DayLetters {
    #[default]
    English,
    /// In Spanish. Wednesday has its own abbreviation, such as `X` or `Mi`, so `M` is Tuesday.
    Spanish,
    /// In Spanish. No cell shows whether `M` is Tuesday or Wednesday.
    SpanishUnclear,
}

/// The days of a cell in Spanish letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Letters {
    /// The days other than those that are written as `M`.
    bits: u8,
    /// The number of `M`s.
    ms: u32,
    /// Whether a letter or a name is a day in Spanish only.
    is_only_spanish: bool,
    /// Whether a name has at least two letters and is not English.
    has_name: bool,
    /// Whether Wednesday is written in a way other than `M`.
    has_wednesday: bool,
}

/// Why a cell in Spanish letters has no days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoDays {
    /// The cell is in another form.
    OtherForm,
    /// `M` may be Tuesday or Wednesday.
    Unclear,
}

/// Parses a cell in Spanish letters. If `is_m_tuesday`, a single `M` is Tuesday; if not, only beside `J`, as in `MJ`.
/// Of two `M`s in a cell, the second is Wednesday.
pub(super) fn days(cell: &str, is_m_tuesday: bool) -> Result<u8, NoDays> {
    let letters = letters(cell).ok_or(NoDays::OtherForm)?;
    match letters.ms {
        0 => Ok(letters.bits),
        2 => Ok(letters.bits | TUESDAY | WEDNESDAY),
        1 if is_m_tuesday || letters.bits & !(SATURDAY | SUNDAY) == THURSDAY => Ok(letters.bits | TUESDAY),
        1 => Err(NoDays::Unclear),
        _ => Err(NoDays::OtherForm),
    }
}

/// Returns whether a cell has days that only Spanish has.
pub(super) fn is_only_spanish(cell: &str) -> bool {
    letters(cell).is_some_and(|letters| letters.is_only_spanish)
}

/// What the cells of a file show about the letters of its days.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LettersEvidence {
    has_english: bool,
    has_spanish: bool,
    has_wednesday: bool,
    has_two_m: bool,
}

impl LettersEvidence {
    /// Returns whether no further cell can change the result.
    pub(super) const fn is_complete(self) -> bool {
        self.has_english
    }

    /// Adds the text of a cell of days. `is_english` returns whether the cell has days in English.
    pub(super) fn add(&mut self, cell: &str, is_english: impl FnOnce() -> bool) {
        if self.has_english || is_unknown(cell) || cell == "0" {
            return;
        }
        let is_english = is_english();
        let Some(letters) = letters(cell) else {
            self.has_english = is_english;
            return;
        };
        self.has_spanish |= if is_english { letters.has_name } else { letters.is_only_spanish };
        self.has_wednesday |= letters.has_wednesday;
        self.has_two_m |= letters.ms == 2;
    }

    /// Returns how the file writes weekdays.
    pub(super) const fn letters(self) -> DayLetters {
        match (self.has_spanish && !self.has_english, self.has_wednesday && !self.has_two_m) {
            (false, _) => DayLetters::English,
            (true, true) => DayLetters::Spanish,
            (true, false) => DayLetters::SpanishUnclear,
        }
    }
}

fn letters(cell: &str) -> Option<Letters> {
    let lower = cell.to_lowercase();
    if let Some(letters) = positional(&lower) {
        return Some(letters);
    }
    let joined = [" a ", " al ", " - ", " – "].iter().fold(lower, |text, word| text.replace(word, "-"));
    let mut all = Letters::default();
    let words = joined.split(|c: char| c.is_whitespace() || ",;/&+.".contains(c));
    for word in words.filter(|word| !["", "y", "e", "de"].contains(word)) {
        let one = token(word)?;
        all.bits |= one.bits;
        all.ms += one.ms;
        all.is_only_spanish |= one.is_only_spanish;
        all.has_name |= one.has_name;
        all.has_wednesday |= one.has_wednesday;
    }
    (all.bits != 0 || all.ms > 0).then_some(all)
}

/// Parses a cell with one position for each day of the week, such as `L-M-V--`: the position shows what `M` means.
fn positional(lower: &str) -> Option<Letters> {
    const PLACES: [&str; 7] = ["l", "m", "mxw", "j", "v", "s", "d"];
    let is_blank = |c: char| matches!(c, '-' | '_' | '.');
    let places: Vec<char> = lower.chars().collect();
    if places.len() != 7 || !places.iter().any(|c| is_blank(*c)) {
        return None;
    }
    let mut letters = Letters::default();
    for (day, place) in places.into_iter().enumerate().filter(|(_, place)| !is_blank(*place)) {
        letters.bits |= PLACES[day].contains(place).then_some(1 << day)?;
        letters.is_only_spanish |= matches!(place, 'l' | 'j' | 'v');
    }
    (letters.bits != 0).then_some(letters)
}

/// Parses days without spaces: a range from Monday to Thursday or a later day, at least three days with hyphens between
/// them, or days in succession. `M-J` may mean three days or two.
fn token(lower: &str) -> Option<Letters> {
    let parts: Vec<&str> = lower.split(['-', '–']).collect();
    match parts[..] {
        [from, to] => {
            let (from, to) = (succession(from)?, succession(to)?);
            let is_range = from.bits == MONDAY && from.ms + to.ms == 0 && to.bits.count_ones() == 1;
            let bits = (is_range && to.bits >= THURSDAY).then_some(to.bits | (to.bits - 1))?;
            Some(Letters { bits, is_only_spanish: true, has_name: from.has_name || to.has_name, ..Letters::default() })
        }
        _ => succession(&parts.concat()),
    }
}

/// Parses days in succession, such as `LMiV` and `LuMaMi`.
fn succession(lower: &str) -> Option<Letters> {
    let mut letters = Letters::default();
    let mut rest = lower;
    while let Some(first) = rest.chars().next() {
        let name = NAMES.iter().find(|(name, _)| rest.starts_with(name));
        let (bits, len) = match (name, first) {
            (Some((name, bits)), _) => (*bits, name.len()),
            (None, 'm') => (0, 1),
            (None, 'l') => (MONDAY, 1),
            // `W` beside the letters of Spanish words is the notation of Puerto Rico.
            (None, 'x' | 'w') => (WEDNESDAY, 1),
            (None, 'j') => (THURSDAY, 1),
            (None, 'v') => (FRIDAY, 1),
            (None, 's') => (SATURDAY, 1),
            (None, 'd') => (SUNDAY, 1),
            (None, _) => return None,
        };
        let is_name = len > 1 && &rest[..len] != "sa";
        letters.bits |= bits;
        letters.ms += u32::from(bits == 0);
        letters.has_name |= is_name;
        letters.is_only_spanish |= is_name || matches!(first, 'l' | 'j' | 'v');
        letters.has_wednesday |= bits == WEDNESDAY;
        rest = &rest[len..];
    }
    (!lower.is_empty()).then_some(letters)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::meeting::Days;
    use crate::imports::csv::days;

    fn shown(read: Result<u8, NoDays>) -> String {
        let names = |bits| Days::from_bits(bits).names().collect::<Vec<_>>().join(" ");
        read.map_or_else(|no| format!("{no:?}"), names)
    }

    #[test]
    fn spanish_days_are_parsed_as_colleges_write_them() {
        // The cell, its days if no cell shows what `M` is, and its days if `M` is Tuesday.
        let table = [
            ("L", "mon", "mon"),
            ("X", "wed", "wed"),
            ("D", "sun", "sun"),
            ("LXV", "mon wed fri", "mon wed fri"),
            ("LWV", "mon wed fri", "mon wed fri"),
            ("MJ", "tue thu", "tue thu"),
            ("mj", "tue thu", "tue thu"),
            ("M J S", "tue thu sat", "tue thu sat"),
            ("M", "Unclear", "tue"),
            ("LMV", "Unclear", "mon tue fri"),
            ("LMJV", "Unclear", "mon tue thu fri"),
            ("LMMJV", "mon tue wed thu fri", "mon tue wed thu fri"),
            ("L,M,M", "mon tue wed", "mon tue wed"),
            ("LMXJV", "Unclear", "mon tue wed thu fri"),
            ("Ma", "tue", "tue"),
            ("MI", "wed", "wed"),
            ("LMiV", "mon wed fri", "mon wed fri"),
            ("Lu Mi Vi", "mon wed fri", "mon wed fri"),
            ("MAJU", "tue thu", "tue thu"),
            ("Lu/Mi", "mon wed", "mon wed"),
            ("Lun, mié y vie", "mon wed fri", "mon wed fri"),
            ("lunes a viernes", "mon tue wed thu fri", "mon tue wed thu fri"),
            ("L-V", "mon tue wed thu fri", "mon tue wed thu fri"),
            ("L a J", "mon tue wed thu", "mon tue wed thu"),
            ("L-X-V", "mon wed fri", "mon wed fri"),
            ("L-M-V--", "mon wed fri", "mon wed fri"),
            ("-M-J---", "tue thu", "tue thu"),
            ("Sáb", "sat", "sat"),
            ("SD", "sat sun", "sat sun"),
            ("MMM", "OtherForm", "OtherForm"),
            ("M-J", "OtherForm", "OtherForm"),
            ("TR", "OtherForm", "OtherForm"),
            ("", "OtherForm", "OtherForm"),
            ("Jazz", "OtherForm", "OtherForm"),
        ];
        for (cell, unclear, clear) in table {
            assert_eq!((&*shown(days(cell, false)), &*shown(days(cell, true))), (unclear, clear), "{cell:?}");
        }
    }

    #[test]
    fn the_cells_of_a_file_decide_the_letters() {
        use DayLetters::{English, Spanish, SpanishUnclear};
        let table: [(&[&str], DayLetters); 15] = [
            (&["LJ", "MJ", "X"], Spanish),
            (&["MJ", "Mi"], Spanish),
            (&["LW", "MJ"], Spanish),
            (&["MJ", "LMV"], SpanishUnclear),
            // `M` is Wednesday, too.
            (&["LMMJV", "Mi"], SpanishUnclear),
            (&["MJ"], SpanishUnclear),
            (&["M", "LunMie"], Spanish),
            // One day that only English has leaves the file English.
            (&["MJ", "TR"], English),
            (&["TR", "MJ"], English),
            (&["Lunes", "MWF"], English),
            // No day is Spanish only.
            (&["M", "S", "MW", "TBA", "0", ""], English),
            (&["M", "X"], English),
            (&["M", "D"], English),
            (&["M", "Sa"], English),
            (&[], English),
        ];
        for (cells, expected) in table {
            let mut evidence = LettersEvidence::default();
            cells.iter().for_each(|cell| evidence.add(cell, || days::is_english(cell)));
            assert_eq!(evidence.letters(), expected, "{cells:?}");
        }
    }
}
