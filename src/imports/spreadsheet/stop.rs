//! Why reading a spreadsheet ends early.

use crate::imports::finding_kind::FindingKind;
use crate::imports::finding_parts::ExceededBound;
use crate::imports::schedule::ScheduleError;
use crate::imports::spreadsheet::kind::Foreign;

/// Why reading a spreadsheet ends early.
#[derive(Debug)]
pub(in crate::imports) enum Stop {
    /// The file cannot be imported: the row with the problem, or 0 for the whole file, and the problem.
    Refused(u64, FindingKind),
    /// The import was cancelled, or the file system failed.
    Failed(ScheduleError),
}

impl Stop {
    /// Creates a refusal that concerns the whole file.
    pub(super) const fn refused(kind: FindingKind) -> Self {
        Self::Refused(0, kind)
    }

    /// Creates the refusal of a file that violates its format.
    pub(super) fn damaged() -> Self {
        Self::refused(FindingKind::WorkbookDamaged)
    }

    /// Creates the refusal of a file that is too large for a bound.
    pub(super) const fn too_large(what: ExceededBound) -> Self {
        Self::refused(FindingKind::WorkbookTooLarge { what })
    }

    /// Creates the refusal of a file of another kind.
    pub(super) const fn foreign(file: Foreign) -> Self {
        Self::refused(FindingKind::ForeignFile { file })
    }
}

impl From<ScheduleError> for Stop {
    fn from(error: ScheduleError) -> Self {
        Self::Failed(error)
    }
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error.into())
    }
}
