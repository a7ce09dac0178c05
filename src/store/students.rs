//! Port for what the college states about students.
//!
//! The facts hold in all terms. A term's registrar loads them with the term, and each term commits every change of them in
//! its own sequence, see [`crate::store::terms`]. This port reads them, and writes them while there is no term.

use std::sync::Arc;

use crate::domain::command::FactsOfStudent;
use crate::domain::ids::UserName;
use crate::domain::student::StudentFacts;

use crate::store::StoreFuture;

/// A store of facts about students.
pub trait StudentStore: Send + Sync {
    /// Returns the facts about a student; `None` when there are none.
    fn facts(&self, student: &UserName) -> StoreFuture<Option<StudentFacts>>;
    /// Returns the facts about several students, in their order.
    fn facts_of(&self, students: Vec<UserName>) -> StoreFuture<Vec<Option<StudentFacts>>>;
    /// Stores facts about students in one commit. `None` removes those about a student.
    fn put_facts(&self, facts: Arc<[FactsOfStudent]>) -> StoreFuture<()>;
}
