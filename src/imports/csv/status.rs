//! Parses the status of a section.

/// What a file says about the status of a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileStatus {
    /// It is taught. A snapshot's "closed", "full" and "waitlist" mean that its seats are taken.
    Active,
    /// It is not taught.
    Cancelled,
    /// It may be taught: planned, pending, on hold.
    Tentative,
}

// A lone `C` is closed in one system and cancelled in another, so it is not known.
const ACTIVE: [&str; 11] =
    ["a", "active", "open", "closed", "close", "full", "waitlist", "wait list", "waitlisted", "scheduled", "running"];
const CANCELLED: [&str; 10] =
    ["x", "cancelled", "canceled", "cancel", "can", "canc", "cxl", "deleted", "inactive", "not offered"];
const TENTATIVE: [&str; 8] = ["t", "tentative", "tent", "pending", "planned", "proposed", "hold", "on hold"];

/// Parses a status; `None` for a blank cell.
///
/// # Errors
/// When the text is not a known status.
pub(super) fn parse(cell: &str) -> Result<Option<FileStatus>, ()> {
    let text = cell.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    let text = text.trim_matches(['*', '.', '(', ')']);
    let of = |names: &[&str]| names.contains(&text);
    match text {
        "" | "-" => Ok(None),
        _ if of(&ACTIVE) => Ok(Some(FileStatus::Active)),
        _ if of(&CANCELLED) || text.starts_with("cancel") => Ok(Some(FileStatus::Cancelled)),
        _ if of(&TENTATIVE) => Ok(Some(FileStatus::Tentative)),
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
            ("Tentative", Some(FileStatus::Tentative)),
            ("", None),
        ];
        for (cell, expected) in table {
            assert_eq!(parse(cell), Ok(expected), "{cell}");
        }
        assert!(parse("purple").is_err());
    }
}
