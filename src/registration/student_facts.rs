//! Changes facts about students in all terms.
//!
//! The facts hold in all terms, and each term decides with its own copy. A change is therefore a command to each term.
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
use crate::store::StoreError;
use crate::store::students::StudentStore;

/// How long a change is repeated for a term that does not accept it. A term that is loaded again takes less.
const RETRY_MAX: Duration = Duration::from_secs(10);
/// The pause before a change is repeated.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// Why facts were not changed, or not in all terms. The change may be repeated.
#[derive(Debug, thiserror::Error)]
pub enum FactsError {
    /// The store failed while there was no term.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A term did not accept the change.
    #[error(transparent)]
    Submit(#[from] SubmitError),
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

    /// Changes facts in all terms, and in the store if there is no term. When it returns, the change is durable, and each
    /// term decides with it.
    ///
    /// # Errors
    /// When the store fails, or a term does not accept the change within [`RETRY_MAX`]. Some terms may have the change
    /// then; the others have it after the next start, or when it is repeated.
    pub async fn put(&self, facts: Arc<[FactsOfStudent]>) -> Result<(), FactsError> {
        let _turn = self.turn.lock().await;
        self.put_in_turn(facts).await
    }

    /// Changes the facts about one student as [`Self::put`] does, from those that are stored. Returns the new facts.
    ///
    /// # Errors
    /// See [`Self::put`].
    pub async fn change(
        &self,
        student: &UserName,
        change: impl FnOnce(StudentFacts) -> StudentFacts,
    ) -> Result<StudentFacts, FactsError> {
        let _turn = self.turn.lock().await;
        let facts = change(self.store.facts(student).await?.unwrap_or_default());
        self.put_in_turn([(student.clone(), Some(Arc::new(facts.clone())))].into()).await?;
        Ok(facts)
    }

    async fn put_in_turn(&self, facts: Arc<[FactsOfStudent]>) -> Result<(), FactsError> {
        let mut done: BTreeSet<TermId> = BTreeSet::new();
        if self.pool.term_ids().is_empty() {
            self.store.put_facts(facts.clone()).await?;
        }
        // A term that is created in the meantime may have loaded the facts before the change was stored.
        while let Some(term) = self.pool.term_ids().into_iter().find(|term| !done.contains(term)) {
            self.put_in_term(&term, &facts).await?;
            done.insert(term);
        }
        Ok(())
    }

    async fn put_in_term(&self, term: &TermId, facts: &Arc<[FactsOfStudent]>) -> Result<(), SubmitError> {
        let since = Instant::now();
        loop {
            match self.pool.submit(term, Command::PutFacts(facts.clone())).await {
                None | Some(Ok(_)) => return Ok(()),
                Some(Err(error)) if since.elapsed() >= RETRY_MAX => return Err(error),
                // The change has the same result when it is repeated, so an unknown outcome is no obstacle.
                Some(Err(SubmitError::Overloaded | SubmitError::OutcomeUnknown | SubmitError::Failed)) => {
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
            }
        }
    }
}
