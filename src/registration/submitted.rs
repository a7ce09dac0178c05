//! A command on its way to its registrar, with what is recorded about it.

use jiff::Timestamp;
use uuid::Uuid;

use crate::domain::attempt::{Asker, Origin};
use crate::domain::batch::Receipts;
use crate::domain::command::Command;
use crate::domain::outcome::Outcome;
use crate::store::accounts::AuditEntry;
use crate::store::lease::Fence;

/// A command with its origin.
#[derive(Debug)]
pub struct Submitted {
    /// The command.
    pub command: Command,
    /// Where it comes from.
    pub origin: Origin,
    /// The entry of the audit trail that is stored in the same commit as the changes.
    pub audit: Option<Box<AuditEntry>>,
    /// If set, the command is refused once another hub leads the job under a later fence. The rest of its batch is then
    /// refused, too; the other callers may repeat their commands.
    pub fence: Option<Fence>,
}

impl From<Command> for Submitted {
    fn from(command: Command) -> Self {
        Self { command, origin: Origin::default(), audit: None, fence: None }
    }
}

impl Submitted {
    /// Returns a student's own command, which came with an HTTP request.
    #[must_use]
    pub fn by_student(command: Command, request_id: Option<Uuid>) -> Self {
        let origin = Origin { by: Asker::Student, request_id, received_at: None };
        Self { origin, ..command.into() }
    }

    /// Returns a command of staff on a student's behalf, which came with an HTTP request.
    #[must_use]
    pub fn by_staff(command: Command, request_id: Option<Uuid>) -> Self {
        let origin = Origin { by: Asker::Staff, request_id, received_at: None };
        Self { origin, ..command.into() }
    }

    /// Returns a command of a job that this hub leads under `fence`.
    #[must_use]
    pub fn by_leader(command: Command, fence: Fence) -> Self {
        Self { fence: Some(fence), ..command.into() }
    }

    /// Sets the audit entry.
    #[must_use]
    pub fn audited(mut self, entry: Option<AuditEntry>) -> Self {
        self.audit = entry.map(Box::new);
        self
    }

    /// Sets the time at which the hub received the command.
    pub(super) fn received(&mut self, at: Timestamp) {
        self.origin.received_at = Some(at);
    }
}

/// The outcome of a command, with the receipts of its requests.
#[derive(Debug)]
pub struct Replied {
    /// The outcome.
    pub outcome: Outcome,
    /// One receipt for a single request, and one for each result of a batch.
    pub receipts: Receipts,
}
