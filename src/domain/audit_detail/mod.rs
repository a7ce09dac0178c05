//! Details of the audit trail: one variant for each text. An entry stores the English text, which stays as it was
//! written, and the code and the values from which a page shows the text in the reader's language (`detail.CODE` in
//! `static/js/words/admin`). Earlier versions stored no code; [`coded`] recognizes it in their texts.

mod detail;
mod reading;

use serde::Serialize;
use thiserror::Error;

use crate::domain::rights::Rights;

pub use detail::{DETAIL_CHARS_MAX, Detail};
pub use reading::coded;

/// The detail of an entry, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize)]
#[serde(tag = "code", content = "args", rename_all = "snake_case")]
pub enum AuditDetail {
    /// Data about people was read.
    #[error("{n} {}", if *n == 1 { "person" } else { "people" })]
    People {
        /// Number of people.
        n: u64,
    },
    /// The same data was read again.
    #[error("read {n} more times within {minutes} minutes of {at}")]
    ReadAgain {
        /// Number of later reads.
        n: u64,
        /// Length of the period.
        minutes: u64,
        /// The first read (RFC 3339).
        at: String,
    },
    /// A sign-in with a local account.
    #[error("local account")]
    LocalAccount,
    /// A sign-in by the hash of the last accepted password.
    #[error("{provider} did not respond; matched the last accepted password")]
    LastAccepted {
        /// The provider.
        provider: String,
    },
    /// A sign-in at the proxy's own origin.
    #[error("{provider}, at its own origin")]
    OwnOrigin {
        /// The provider.
        provider: String,
    },
    /// A failed sign-in at the proxy's own origin.
    #[error("rejected by {provider}, at its own origin")]
    RejectedAtOwnOrigin {
        /// The provider.
        provider: String,
    },
    /// A failed sign-in with a wrong username or password.
    #[error("incorrect username or password")]
    WrongCredentials,
    /// A failed sign-in with a wrong or used code.
    #[error("the code of the second factor is wrong or was used before")]
    WrongCode,
    /// A failed sign-in of a user whom the provider accepted.
    #[error("accepted by {provider} but not admitted: {reason}")]
    NotAdmitted {
        /// The provider.
        provider: String,
        /// The reason, in English.
        reason: String,
    },
    /// A failed sign-in to an account that the provider has locked.
    #[error("{provider} has locked the account: {reason}")]
    Locked {
        /// The provider.
        provider: String,
        /// The provider's own reason.
        reason: String,
    },
    /// A failed single sign-on.
    #[error("{provider}: {problem}")]
    SignOnFailed {
        /// The provider.
        provider: String,
        /// Why it failed.
        problem: Box<AuditDetail>,
    },
    /// The username belongs to a local account.
    #[error("the username belongs to a local account")]
    LocalOwner,
    /// The username belongs to a user of another provider.
    #[error("the username belongs to a user of {provider}")]
    OtherOwner {
        /// The owner's provider.
        provider: String,
    },
    /// The username belongs to another person at the same provider.
    #[error("the username belongs to another person at this provider")]
    OtherPerson,
    /// A provider or the hub is misconfigured.
    #[error("misconfigured: {why}")]
    Misconfigured {
        /// What is wrong, in English.
        why: String,
    },
    /// The provider refused the sign-in.
    #[error("refused by the provider: {why}")]
    Denied {
        /// The provider's reason.
        why: String,
    },
    /// The provider's token is not valid.
    #[error("invalid ID token: {why}")]
    InvalidToken {
        /// What is wrong, in English.
        why: String,
    },
    /// The provider states no usable username.
    #[error("no usable username: {why}")]
    NoUsername {
        /// What is wrong, in English.
        why: String,
    },
    /// The user has no role.
    #[error("no role")]
    NoRole,
    /// Sign-ins ended because the role changed.
    #[error("the role in {provider} has changed to {rights}")]
    RoleChanged {
        /// The provider.
        provider: String,
        /// The new rights.
        rights: Box<AuditDetail>,
    },
    /// Sign-ins ended because the user was deleted.
    #[error("{provider} no longer has this user")]
    UserGone {
        /// The provider.
        provider: String,
    },
    /// Sign-ins ended because the user lost all roles.
    #[error("the {provider} user no longer has a role in EduHub")]
    RoleGone {
        /// The provider.
        provider: String,
    },
    /// Sign-ins of a member ended, because a local account has the name.
    #[error("a local account now has this name")]
    NameIsLocal,
    /// Sign-ins of a member ended, because another provider has the name.
    #[error("{provider} has taken over this name")]
    NameTakenOver {
        /// The provider that has the name now.
        provider: String,
    },
    /// Sign-ins ended at the provider's request.
    #[error("signed out at {provider}: {n} sign-ins")]
    SignedOutAt {
        /// The provider.
        provider: String,
        /// Number of sign-ins.
        n: u64,
    },
    /// The rights of an account.
    #[error("{role}")]
    Rights {
        /// The role.
        role: String,
    },
    /// The rights of an account with a limit.
    #[error("{role} for {subjects}")]
    LimitedRights {
        /// The role.
        role: String,
        /// The subjects, as a list in words.
        subjects: String,
    },
    /// An account with a new password.
    #[error("{rights}, with a new password")]
    NewPassword {
        /// The rights of the account.
        rights: Box<AuditDetail>,
    },
    /// The user's own change of password failed.
    #[error("wrong current password")]
    WrongCurrentPassword,
    /// The user changed the password.
    #[error("ended all other sign-ins")]
    OtherSignInsEnded,
    /// A change of the second factor failed: the password was wrong.
    #[error("wrong password")]
    WrongPassword,
    /// A change of the second factor failed: the code was wrong.
    #[error("wrong code")]
    WrongFactor,
    /// A write through the proxy.
    #[error("{method}: status {status}")]
    PloneStatus {
        /// The HTTP method.
        method: String,
        /// Plone's status.
        status: u64,
    },
    /// A write through the proxy without a response.
    #[error("{method}: no response")]
    PloneSilent {
        /// The HTTP method.
        method: String,
    },
    /// A write through the proxy whose client left.
    #[error("{method}: ended before Plone responded")]
    PloneEnded {
        /// The HTTP method.
        method: String,
    },
    /// A write through the proxy by a user who signed in on Plone's own pages.
    #[error("{what}; Plone's own sign-in of {user}")]
    AsPloneUser {
        /// The write.
        what: Box<AuditDetail>,
        /// Plone's user.
        user: String,
    },
    /// A connection was closed.
    #[error("connection {id} from {address}")]
    Connection {
        /// Its id.
        id: String,
        /// Its address.
        address: String,
    },
    /// A connection of another hub was closed.
    #[error("connection {id}, not on this hub")]
    ConnectionElsewhere {
        /// Its id.
        id: String,
    },
    /// All rejected sections were resent.
    #[error("all")]
    AllSections,
    /// A rehearsal began.
    #[error("{n} runs of {term}")]
    Rehearsal {
        /// Number of runs.
        n: u64,
        /// The term.
        term: String,
    },
    /// An alert was corrected.
    #[error("{title} ({n} acknowledgements of the earlier text)")]
    Corrected {
        /// The title of the alert.
        title: String,
        /// Number of acknowledgements.
        n: u64,
    },
    /// A scheduled alert was not sent.
    #[error("{title}: {sender} has been limited to other subjects since it was scheduled")]
    Withheld {
        /// The title of the alert.
        title: String,
        /// Its sender.
        sender: String,
    },
    /// Names are not written to Plone.
    #[error(
        "In Plone, {reader} can read the roster field. Only counts are written, and names are removed from {n} sections. \
         Protect the field with a read permission, such as Modify portal content."
    )]
    RosterReadable {
        /// Who can read it.
        reader: Box<AuditDetail>,
        /// Number of sections.
        n: u64,
    },
    /// Every visitor, as a reader of rosters.
    #[error("every visitor")]
    EveryVisitor,
    /// A plain member, as a reader of rosters.
    #[error("a plain member ({user})")]
    PlainMember {
        /// The member.
        user: String,
    },
    /// A permit was given, or ended.
    #[error("{of}: {}; {reason}", codes.join(", "))]
    Permit {
        /// The section or the course.
        of: String,
        /// The lifted refusals.
        codes: Vec<String>,
        /// The reason that staff stated.
        reason: String,
    },
    /// A request by staff was refused.
    #[error("refused: {refusal}; {what}")]
    Refused {
        /// The code of the refusal.
        refusal: String,
        /// The request.
        what: Box<Detail>,
    },
    /// Staff registered a student.
    #[error("register")]
    Register,
    /// Staff dropped a student.
    #[error("drop")]
    Drop,
    /// Staff moved a student.
    #[error("move from {section}")]
    MoveFrom {
        /// The former section.
        section: String,
    },
    /// Staff moved all students of a section.
    #[error("move everyone from {section}")]
    MoveEveryone {
        /// The former section.
        section: String,
    },
    /// Staff moved a student on a waitlist.
    #[error("position {position}")]
    Position {
        /// The new position.
        position: u64,
    },
    /// Staff lifted refusals.
    #[error("{what}; override: {}", codes.join(", "))]
    Override {
        /// The request.
        what: Box<AuditDetail>,
        /// The lifted refusals.
        codes: Vec<String>,
    },
    /// A request with the reason that staff stated.
    #[error("{what}; {reason}")]
    WithReason {
        /// The request.
        what: Box<AuditDetail>,
        /// The reason.
        reason: String,
    },
    /// A section was closed or cancelled after a move of its students.
    #[error("status: {status}; merged into {section}; {reason}")]
    Merged {
        /// The new status.
        status: String,
        /// The section to which the students moved.
        section: String,
        /// The reason.
        reason: String,
    },
    /// A provider stated facts about a student.
    #[error("stated by {provider}")]
    StatedBy {
        /// The provider.
        provider: String,
    },
    /// Facts about students were imported.
    #[error("{n} students: {created} new, {changed} changed")]
    Students {
        /// Number of students.
        n: u64,
        /// Students without a record before.
        created: u64,
        /// Students whose record changed.
        changed: u64,
    },
}

impl AuditDetail {
    /// Returns the detail that states the rights of a user.
    #[must_use]
    pub fn of_rights(rights: &Rights) -> Self {
        let role = rights.role().to_string();
        match rights.subjects() {
            None => Self::Rights { role },
            Some(subjects) => Self::LimitedRights { role, subjects: subjects.to_string() },
        }
    }

    /// Returns the detail of an account that was added or changed.
    #[must_use]
    pub fn of_account(rights: &Rights, has_new_password: bool) -> Self {
        let rights = Self::of_rights(rights);
        if has_new_password { Self::NewPassword { rights: Box::new(rights) } } else { rights }
    }

    /// Adds the refusals that staff have lifted, if any.
    #[must_use]
    pub fn overriding(self, codes: Vec<String>) -> Self {
        if codes.is_empty() { self } else { Self::Override { what: Box::new(self), codes } }
    }

    /// Adds the reason that staff have stated.
    #[must_use]
    pub fn because(self, reason: &str) -> Self {
        Self::WithReason { what: Box::new(self), reason: reason.to_owned() }
    }
}
