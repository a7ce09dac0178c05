//! Changes facts about students in all terms.
//!
//! The facts apply in all terms, and each term decides with its own copy. A change is therefore a command to each term.
//! Changes are made one after the other, so that all terms get them in the same order.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::domain::command::{Command, FactsOfStudent};
use crate::domain::ids::{TermId, UserName};
use crate::domain::student::StudentFacts;
use crate::registration::pool::RegistrarPool;
use crate::registration::registrar::SubmitError;
use crate::registration::submitted::Submitted;
use crate::store::StoreError;
use crate::store::accounts::AuditEntry;
use crate::store::students::StudentStore;

/// How long a change is repeated for a term that does not accept it. Loading a term again takes less.
const RETRY_MAX: Duration = Duration::from_secs(10);
/// The pause before a change is repeated.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// Why facts were not changed, or not in all terms. The change may be repeated.
#[derive(Debug, thiserror::Error)]
pub enum FactsError {
    /// The store cannot be read, or it failed while there was no term.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A term did not accept the change.
    #[error(transparent)]
    Submit(#[from] SubmitError),
}

/// Numbers of students for whom a bulk change states facts for the first time, changes them, or leaves them as they
/// are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BulkTally {
    /// Students about whom nothing was stated before.
    pub created: u64,
    /// Students whose facts changed.
    pub updated: u64,
    /// Students whose facts did not change.
    pub unchanged: u64,
}

impl BulkTally {
    /// Counts one student. Returns whether the facts changed.
    pub fn count(&mut self, before: Option<&StudentFacts>, after: &StudentFacts) -> bool {
        match before {
            None => self.created += 1,
            Some(before) if before != after => self.updated += 1,
            Some(_) => self.unchanged += 1,
        }
        before != Some(after)
    }

    /// Returns the number of students whose facts change.
    #[must_use]
    pub const fn changed(&self) -> u64 {
        self.created + self.updated
    }
}

/// Changes facts about students.
pub struct StudentFactsWriter {
    pool: Arc<RegistrarPool>,
    store: Arc<dyn StudentStore>,
    /// Held during a change, which orders the changes.
    turn: Mutex<()>,
}

impl StudentFactsWriter {
    /// Creates a writer.
    #[must_use]
    pub fn new(pool: Arc<RegistrarPool>, store: Arc<dyn StudentStore>) -> Self {
        Self { pool, store, turn: Mutex::new(()) }
    }

    /// Returns the pool of the terms.
    #[must_use]
    pub fn pool(&self) -> &RegistrarPool {
        &self.pool
    }

    /// Changes facts in all terms, and in the store if there is no term. When it returns, the change is durable, and
    /// each term decides with it. The audit entry is stored in the same commit as the change in the first term. It is
    /// returned if there is no term.
    ///
    /// # Errors
    /// When the store fails, or a term does not accept the change within [`RETRY_MAX`]. Some terms may have the change
    /// then; the others have it after the next start, or when it is repeated.
    pub async fn put(
        &self,
        facts: Arc<[FactsOfStudent]>,
        audit: Option<AuditEntry>,
    ) -> Result<Option<AuditEntry>, FactsError> {
        let _turn = self.turn.lock().await;
        self.put_in_turn(facts, audit).await
    }

    /// Changes the facts about one student as [`Self::put`] does, starting from the stored ones. If `change` returns
    /// `None`, nothing is written. Returns the new facts, and the audit entry if there is no term.
    ///
    /// # Errors
    /// As [`Self::put`], and when the store cannot be read.
    pub async fn change(
        &self,
        student: &UserName,
        change: impl FnOnce(StudentFacts) -> Option<StudentFacts>,
        audit: Option<AuditEntry>,
    ) -> Result<Option<(StudentFacts, Option<AuditEntry>)>, FactsError> {
        let _turn = self.turn.lock().await;
        let Some(facts) = change(self.store.facts(student).await?.unwrap_or_default()) else { return Ok(None) };
        let audit = self.put_in_turn([(student.clone(), Some(Arc::new(facts.clone())))].into(), audit).await?;
        Ok(Some((facts, audit)))
    }

    /// Changes the facts about a student, starting from the stored ones. If `change` leaves them as they are, returns
    /// false and writes nothing. A change by [`Self::put`] at the same time is not lost.
    ///
    /// # Errors
    /// As [`Self::put`], and when the store cannot be read.
    pub async fn update(
        &self,
        student: &UserName,
        change: impl Fn(StudentFacts) -> StudentFacts,
    ) -> Result<bool, FactsError> {
        let changed = async || {
            let before = self.store.facts(student).await?.unwrap_or_default();
            let after = change(before.clone());
            Ok::<_, StoreError>((after != before).then_some(after))
        };
        // When registration opens, thousands of students sign in whose facts have not changed. They do not wait for a
        // turn.
        if changed().await?.is_none() {
            return Ok(false);
        }
        let _turn = self.turn.lock().await;
        let Some(after) = changed().await? else { return Ok(false) };
        self.put_in_turn([(student.clone(), Some(Arc::new(after)))].into(), None).await?;
        Ok(true)
    }

    /// Changes the facts about many students as [`Self::put`] does, starting from the stored ones. Each term gets all
    /// changes by one command. The audit entry is dropped if nothing changes, or if there is no term.
    ///
    /// # Errors
    /// As [`Self::put`], and when the store cannot be read.
    pub async fn change_all(
        &self,
        students: Vec<UserName>,
        change: impl Fn(&UserName, StudentFacts) -> StudentFacts,
        audit: Option<AuditEntry>,
    ) -> Result<BulkTally, FactsError> {
        let _turn = self.turn.lock().await;
        let before = self.store.facts_of(students.clone()).await?;
        let (mut tally, mut changed) = (BulkTally::default(), Vec::new());
        for (student, before) in students.into_iter().zip(before) {
            let after = change(&student, before.clone().unwrap_or_default());
            if tally.count(before.as_ref(), &after) {
                changed.push((student, Some(Arc::new(after))));
            }
        }
        if !changed.is_empty() {
            self.put_in_turn(changed.into(), audit).await?;
        }
        Ok(tally)
    }

    async fn put_in_turn(
        &self,
        facts: Arc<[FactsOfStudent]>,
        mut audit: Option<AuditEntry>,
    ) -> Result<Option<AuditEntry>, FactsError> {
        let mut done: BTreeSet<TermId> = BTreeSet::new();
        if self.pool.term_ids().is_empty() {
            self.store.put_facts(facts.clone()).await?;
        }
        // A term that is created in the meantime may have loaded the facts before the change was stored.
        while let Some(term) = self.pool.term_ids().into_iter().find(|term| !done.contains(term)) {
            if self.put_in_term(&term, &facts, audit.as_ref()).await? {
                audit = None;
            }
            done.insert(term);
        }
        Ok(audit)
    }

    /// Repeats the change until the term accepts it, for at most [`RETRY_MAX`]. Returns false if the term was removed.
    async fn put_in_term(
        &self,
        term: &TermId,
        facts: &Arc<[FactsOfStudent]>,
        audit: Option<&AuditEntry>,
    ) -> Result<bool, SubmitError> {
        let since = Instant::now();
        loop {
            let command = Submitted::from(Command::PutFacts(facts.clone())).audited(audit.cloned());
            match self.pool.submit(term, command).await {
                None => return Ok(false),
                Some(Ok(_)) => return Ok(true),
                Some(Err(error)) if since.elapsed() >= RETRY_MAX => return Err(error),
                // The change has the same result when it is repeated, so it can be repeated after an unknown outcome.
                Some(Err(SubmitError::Overloaded | SubmitError::OutcomeUnknown | SubmitError::Failed)) => {
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
            }
        }
    }
}
