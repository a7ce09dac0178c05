//! Why reading a spreadsheet ends early.

use crate::imports::schedule::ScheduleError;

/// Why reading a spreadsheet ends early.
#[derive(Debug)]
pub(in crate::imports) enum Stop {
    /// The file cannot be imported. The row that is concerned, or 0, and a message for staff.
    Refused(u64, String),
    /// The import was cancelled, or the file system failed.
    Failed(ScheduleError),
}

impl Stop {
    /// Creates a refusal that concerns the whole file.
    pub(super) fn refused(message: impl Into<String>) -> Self {
        Self::Refused(0, message.into())
    }

    /// Creates the refusal of a file that its format does not allow.
    pub(super) fn damaged() -> Self {
        Self::refused(
            "The workbook is damaged and cannot be read. Open it in a spreadsheet program and save it again, or save \
             the sheet as CSV",
        )
    }

    /// Creates the refusal of a file that is too large for a bound.
    pub(super) fn too_large(what: &str) -> Self {
        Self::refused(format!(
            "The workbook is too large: {what}. Save only the sheet with the schedule, as CSV or as a new workbook"
        ))
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
