//! Parses the status of a section.

/// The status of a section, as a file states it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileStatus {
    /// It is taught. "Closed", "full" and "waitlist" mean only that its seats are taken.
    Active,
    /// It is not taught.
    Cancelled,
    /// It may be taught: planned, pending, on hold.
    Tentative,
}

// A lone `C` is in none of these lists: it is closed in one system and cancelled in another; see [`LetterC`].
const ACTIVE_WORDS: [&str; 9] =
    ["active", "open", "closed", "full", "waitlist", "waitlisted", "available", "restricted", "permission"];
const ACTIVE: [&str; 15] = [
    "a",
    "o",
    "active",
    "open",
    "closed",
    "close",
    "full",
    "waitlist",
    "wait list",
    "waitlisted",
    "scheduled",
    "running",
    "stop further enrollment",
    "stop enrl",
    "confirmed",
];
const CANCELLED: [&str; 17] = [
    "x",
    "cancelled",
    "canceled",
    "cancel",
    "can",
    "canc",
    "cncl",
    "cancld",
    "cx",
    "cxl",
    "cxld",
    "deleted",
    "inactive",
    "not offered",
    "not running",
    "will not run",
    "withdrawn",
];
/// Words after which `cancelled` is not the current status, such as `Open (was cancelled)`.
const NEGATIONS: [&str; 7] = ["not", "no", "never", "non", "if", "was", "previously"];
const TENTATIVE: [&str; 10] =
    ["t", "tentative", "tent", "pending", "planned", "proposed", "hold", "on hold", "preliminary", "draft"];

/// What a lone `C` means in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum LetterC {
    /// Not known.
    #[default]
    Unknown,
    /// Closed, in a file with `O` for open sections.
    Closed,
    /// Cancelled, in a file with `A` for active sections and no `X` for cancelled ones.
    Cancelled,
}

/// The letters among the statuses of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Letters {
    has_a: bool,
    has_o: bool,
    has_x: bool,
}

impl Letters {
    /// Adds a status.
    pub(super) fn add(&mut self, cell: &str) {
        self.has_a |= cell.eq_ignore_ascii_case("a");
        self.has_o |= cell.eq_ignore_ascii_case("o");
        self.has_x |= cell.eq_ignore_ascii_case("x");
    }

    /// Returns what `C` means beside these letters.
    pub(super) const fn letter_c(self) -> LetterC {
        match self {
            Self { has_o: true, .. } => LetterC::Closed,
            Self { has_a: true, has_x: false, .. } => LetterC::Cancelled,
            _ => LetterC::Unknown,
        }
    }
}

/// Returns whether a text has a word that begins with `cancel`, such as `Section Cancelled`, and does not negate it.
fn is_cancelled(text: &str) -> bool {
    let mut words = text.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty());
    let mut before = "";
    words.any(|word| {
        let is_negated = NEGATIONS.contains(&std::mem::replace(&mut before, word));
        word.starts_with("cancel") && !is_negated
    })
}

/// Parses a status; `None` for a blank cell.
///
/// # Errors
/// When the text is not a known status.
pub(super) fn parse(cell: &str, letter_c: LetterC) -> Result<Option<FileStatus>, ()> {
    let text = cell.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    // `** CANCELLED **`.
    let text = text.trim_matches(|c: char| c.is_whitespace() || "*.()[]!".contains(c));
    let of = |names: &[&str]| names.contains(&text);
    let of_word = |names: &[&str]| text.split(|c: char| !c.is_alphabetic()).next().is_some_and(|w| names.contains(&w));
    match text {
        "" | "-" => Ok(None),
        "c" if letter_c == LetterC::Closed => Ok(Some(FileStatus::Active)),
        "c" if letter_c == LetterC::Cancelled => Ok(Some(FileStatus::Cancelled)),
        _ if of(&ACTIVE) => Ok(Some(FileStatus::Active)),
        _ if of(&CANCELLED) || is_cancelled(text) => Ok(Some(FileStatus::Cancelled)),
        _ if of(&TENTATIVE) => Ok(Some(FileStatus::Tentative)),
        // `Open (5 seats)`, `Closed - Waitlist`, `Restricted: see counselor`.
        _ if of_word(&ACTIVE_WORDS) => Ok(Some(FileStatus::Active)),
        _ => Err(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_of_several_systems_are_parsed() {
        let table = [
            ("Active", Some(FileStatus::Active)),
            ("Closed", Some(FileStatus::Active)),
            ("Wait List", Some(FileStatus::Active)),
            ("X", Some(FileStatus::Cancelled)),
            ("CANCELLED", Some(FileStatus::Cancelled)),
            ("Cancelled Section", Some(FileStatus::Cancelled)),
            ("** CANCELLED **", Some(FileStatus::Cancelled)),
            ("Section Cancelled", Some(FileStatus::Cancelled)),
            ("Class - Canceled 1/5", Some(FileStatus::Cancelled)),
            ("Closed (cancelled)", Some(FileStatus::Cancelled)),
            ("* CXL *", Some(FileStatus::Cancelled)),
            ("[ Closed ]", Some(FileStatus::Active)),
            ("Open (was cancelled)", Some(FileStatus::Active)),
            ("Tentative", Some(FileStatus::Tentative)),
            ("Preliminary", Some(FileStatus::Tentative)),
            ("CNCL", Some(FileStatus::Cancelled)),
            ("Not Running", Some(FileStatus::Cancelled)),
            ("Stop Further Enrollment", Some(FileStatus::Active)),
            ("", None),
        ];
        for (cell, expected) in table {
            assert_eq!(parse(cell, LetterC::Unknown), Ok(expected), "{cell}");
        }
        assert!(parse("Not cancelled", LetterC::Unknown).is_err());
        assert!(parse("purple", LetterC::Unknown).is_err());
    }
}
