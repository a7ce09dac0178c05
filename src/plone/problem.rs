//! What administrators read about Plone: one variant for each text, with its English text. The pages have the texts of
//! all codes (`plone.problem.CODE` in `static/js/words/admin`).

use serde::Serialize;
use thiserror::Error;

use crate::domain::fields::SectionField;

use crate::plone::port::PloneError;
use crate::plone::pull::PullError;

/// Why the last pull failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error, Serialize)]
#[serde(tag = "code", content = "args", rename_all = "snake_case")]
pub enum PullFailure {
    /// Too many calls wait for Plone.
    #[error("Too many requests to the college website (Plone) are waiting.")]
    CallsWaiting,
    /// Plone did not respond to earlier calls, and nothing was sent.
    #[error("The college website (Plone) is not responding.")]
    NotResponding,
    /// Plone did not respond.
    #[error("The college website (Plone) did not respond.")]
    DidNotRespond,
    /// An internal error of Plone.
    #[error("The college website (Plone) reported an error.")]
    ErrorReported,
    /// An item is locked.
    #[error("Another user is editing an item on the college website (Plone).")]
    BeingEdited,
    /// The hub's account lacks a right.
    #[error("The college website (Plone) does not allow EduHub to do this.")]
    NotAllowed,
    /// Plone refused the request.
    #[error("The college website (Plone) refused this request.")]
    RequestRefused,
    /// Another hub leads.
    #[error("Another hub reads the content from Plone.")]
    OtherHub,
    /// The list of content is unstable.
    #[error("The list of content in Plone changed repeatedly while it was read.")]
    ListUnstable,
    /// Too many items.
    #[error("Plone has more items of one type than EduHub accepts.")]
    TooManyItems,
    /// The store failed.
    #[error("The content from Plone could not be stored.")]
    NotStored,
    /// A registrar failed.
    #[error("The content from Plone could not be applied.")]
    NotApplied,
}

impl From<&PloneError> for PullFailure {
    fn from(error: &PloneError) -> Self {
        match error {
            PloneError::Busy => Self::CallsWaiting,
            PloneError::Open => Self::NotResponding,
            PloneError::Unavailable(_) => Self::DidNotRespond,
            PloneError::Failed(_) => Self::ErrorReported,
            PloneError::Occupied(_) => Self::BeingEdited,
            PloneError::Unauthenticated | PloneError::Forbidden | PloneError::Locked(_) => Self::NotAllowed,
            PloneError::NotFound | PloneError::Refused(_) => Self::RequestRefused,
        }
    }
}

impl From<&PullError> for PullFailure {
    fn from(error: &PullError) -> Self {
        match error {
            PullError::Plone(error) => error.into(),
            PullError::NotLeader => Self::OtherHub,
            PullError::ListUnstable => Self::ListUnstable,
            PullError::TooMany => Self::TooManyItems,
            PullError::Store(_) => Self::NotStored,
            PullError::Registrar(_) => Self::NotApplied,
        }
    }
}

/// Why an item of Plone could not be read or written. The reason for a refused write is stored as its English text, in
/// which [`Self::read`] recognizes it.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize)]
#[serde(tag = "code", content = "args", rename_all = "snake_case")]
pub enum ItemProblem {
    /// Too many calls wait for Plone.
    #[error("too many calls are waiting for Plone")]
    Busy,
    /// Plone did not respond to earlier calls, and nothing was sent.
    #[error("Plone is not responding")]
    Open,
    /// Plone did not respond.
    #[error("Plone did not respond: {why}")]
    Unavailable {
        /// A technical reason, in English.
        why: String,
    },
    /// An internal error of Plone.
    #[error("Plone failed: {why}")]
    Failed {
        /// Plone's status or message.
        why: String,
    },
    /// The item is locked, or another write conflicted with this one.
    #[error("the item is in use in Plone: {why}")]
    Occupied {
        /// The reason, in English.
        why: String,
    },
    /// The hub's credentials are wrong.
    #[error("Plone rejected the credentials")]
    Unauthenticated,
    /// The hub's account is locked.
    #[error("Plone has locked the account: {why}")]
    AccountLocked {
        /// Plone's message.
        why: String,
    },
    /// The hub's account lacks a right.
    #[error("Plone denied permission")]
    Forbidden,
    /// There is no such item.
    #[error("Plone has no such item")]
    NoItem,
    /// Plone refused the request.
    #[error("Plone refused the request: {why}")]
    Refused {
        /// Plone's status or message.
        why: String,
    },
    /// The item of a section is gone.
    #[error("Plone no longer has an item at {path}, or does not show it to the hub's user.")]
    ItemGone {
        /// Its path.
        path: String,
    },
    /// The folder of the sections is gone.
    #[error("Plone no longer has the folder of the sections, or does not show it to the hub's user.")]
    FolderGone,
    /// A new section has the short name of another one.
    #[error("{path} already exists and is another section")]
    AnotherSection {
        /// The path of the other section.
        path: String,
    },
    /// Two items have one term and CRN.
    #[error("{path} already has this term and CRN")]
    SameCrn {
        /// The path of the other item.
        path: String,
    },
    /// Entries of Plone's catalogue are broken.
    #[error("{n} entries have no UID, address, or time: rebuild the catalogue in Plone")]
    BrokenEntries {
        /// Number of entries.
        n: u64,
    },
    /// A field cannot be read.
    #[error("{field}: {problem}")]
    Field {
        /// The hub's name of the field.
        field: String,
        /// What is wrong.
        problem: FieldProblem,
    },
}

/// What is wrong with a field of an item, for its editor.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize)]
#[serde(tag = "code", content = "args", rename_all = "snake_case")]
pub enum FieldProblem {
    /// A required field is empty.
    #[error("the field is empty")]
    Empty,
    /// The text is too long.
    #[error("the text is longer than {max} characters")]
    TooLong {
        /// The limit.
        max: usize,
    },
    /// The text is not the id of a term.
    #[error("must be up to 24 letters, digits, `.`, `_`, and `-`, not {text:?}")]
    TermForm {
        /// The text.
        text: String,
    },
    /// The text is not a CRN.
    #[error("must have letters or digits and at most 100 characters; {text:?} is not valid")]
    CrnForm {
        /// The text.
        text: String,
    },
    /// The credits are not a number.
    #[error("must be a number from 0 to 1,000, such as 3 or 1.5")]
    CreditsForm,
    /// The text is not a number within the limit.
    #[error("must be a whole number from 0 to {max}, not {text:?}")]
    NumberForm {
        /// The text.
        text: String,
        /// The limit.
        max: u32,
    },
    /// Too many meetings.
    #[error("there are more than {max} meetings")]
    TooManyMeetings {
        /// The limit.
        max: usize,
    },
    /// A meeting cannot be read.
    #[error("{problem} in {text:?}; a correct line is MWF 09:30-10:50 2026-01-12..2026-05-08 Room")]
    Meeting {
        /// What is wrong.
        problem: MeetingProblem,
        /// The line.
        text: String,
    },
}

/// What is wrong with the line of a meeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error, Serialize)]
#[serde(tag = "code", content = "args", rename_all = "snake_case")]
pub enum MeetingProblem {
    /// The weekdays cannot be read.
    #[error("the days are not valid")]
    Days,
    /// The text before the dates cannot be read.
    #[error("the text before the dates is not valid")]
    BeforeDates,
    /// The name of the room is too long.
    #[error("the room is longer than {max} characters")]
    RoomTooLong {
        /// The limit.
        max: usize,
    },
    /// The time cannot be read.
    #[error("the time is not valid")]
    Time,
    /// The end is not after the start.
    #[error("the meeting ends before it starts")]
    EndsBeforeStart,
    /// The last date is before the first one.
    #[error("the date range ends before it starts")]
    DatesReversed,
    /// The dates cannot be read.
    #[error("the dates are not valid")]
    Dates,
}

impl From<PloneError> for ItemProblem {
    fn from(error: PloneError) -> Self {
        match error {
            PloneError::Busy => Self::Busy,
            PloneError::Open => Self::Open,
            PloneError::Unavailable(why) => Self::Unavailable { why },
            PloneError::Failed(why) => Self::Failed { why },
            PloneError::Occupied(why) => Self::Occupied { why },
            PloneError::Unauthenticated => Self::Unauthenticated,
            PloneError::Locked(why) => Self::AccountLocked { why },
            PloneError::Forbidden => Self::Forbidden,
            PloneError::NotFound => Self::NoItem,
            PloneError::Refused(why) => Self::Refused { why },
        }
    }
}

impl ItemProblem {
    /// Returns the problem with a field.
    #[must_use]
    pub fn field(field: SectionField, problem: FieldProblem) -> Self {
        Self::Field { field: field.as_str().to_owned(), problem }
    }

    /// Recognizes the stored reason for a refused write; `None` for a reason of another version.
    #[must_use]
    pub fn read(reason: &str) -> Option<Self> {
        if reason == Self::Forbidden.to_string() {
            return Some(Self::Forbidden);
        }
        if reason == Self::FolderGone.to_string() {
            return Some(Self::FolderGone);
        }
        if let Some(rest) = reason.strip_prefix("Plone no longer has an item at ") {
            let path = rest.strip_suffix(", or does not show it to the hub's user.")?.to_owned();
            return Some(Self::ItemGone { path });
        }
        if let Some(why) = reason.strip_prefix("Plone refused the request: ") {
            return Some(match why.strip_suffix(" already exists and is another section") {
                Some(path) => Self::AnotherSection { path: path.to_owned() },
                None => Self::Refused { why: why.to_owned() },
            });
        }
        let why = reason.strip_prefix("Plone failed: ")?.to_owned();
        Some(Self::Failed { why })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_reasons_of_refused_writes_are_recognized() {
        let path = || "/courses/202701-10001".to_owned();
        for problem in [
            ItemProblem::Forbidden,
            ItemProblem::FolderGone,
            ItemProblem::ItemGone { path: path() },
            ItemProblem::Refused { why: "status 400: a field is missing".to_owned() },
            ItemProblem::Failed { why: "status 500".to_owned() },
        ] {
            assert_eq!(ItemProblem::read(&problem.to_string()), Some(problem));
        }
        let stored = format!("Plone refused the request: {}", ItemProblem::AnotherSection { path: path() });
        assert_eq!(ItemProblem::read(&stored), Some(ItemProblem::AnotherSection { path: path() }));
        assert_eq!(ItemProblem::read("Plone did not accept this."), None);
    }

    #[test]
    fn problems_from_calls_have_the_texts_of_the_log() {
        let why = || "status 500".to_owned();
        for error in [
            PloneError::Busy,
            PloneError::Open,
            PloneError::Unavailable(why()),
            PloneError::Failed(why()),
            PloneError::Occupied(why()),
            PloneError::Unauthenticated,
            PloneError::Locked(why()),
            PloneError::Forbidden,
            PloneError::NotFound,
            PloneError::Refused(why()),
        ] {
            assert_eq!(ItemProblem::from(error.clone()).to_string(), error.to_string());
        }
    }
}
