//! Port for what the college states about students.
//!
//! The facts apply in all terms. A term's registrar loads them with the term, and each term commits every change to
//! them in its own sequence; see [`crate::store::terms`]. This port reads them, and writes them while there is no term.

use std::sync::Arc;

use crate::domain::command::FactsOfStudent;
use crate::domain::fold::{begins_word, fold};
use crate::domain::ids::UserName;
use crate::domain::student::StudentFacts;

use crate::store::StoreFuture;

/// A search for students.
#[derive(Debug, Clone, Default)]
pub struct StudentSearch {
    /// Texts that each begin a word of the username or the display name, folded by [`crate::domain::fold::fold`].
    pub words: Vec<String>,
    /// Only students after this username, the last one of the previous page.
    pub after: Option<UserName>,
    /// Maximum number of students.
    pub limit: usize,
}

impl StudentSearch {
    /// Returns whether each text begins a word of the student's username or display name.
    #[must_use]
    pub fn matches(&self, student: &FoundStudent) -> bool {
        let texts = [fold(student.user.as_str()), student.name.as_deref().map(fold).unwrap_or_default()];
        self.words.iter().all(|word| texts.iter().any(|text| begins_word(text, word)))
    }
}

/// A student found by a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundStudent {
    /// The username.
    pub user: UserName,
    /// The display name, if the hub knows it.
    pub name: Option<String>,
}

/// A store of facts about students.
pub trait StudentStore: Send + Sync {
    /// Returns the facts about a student; `None` when there are none.
    fn facts(&self, student: &UserName) -> StoreFuture<Option<StudentFacts>>;
    /// Returns the facts about several students, in their order.
    fn facts_of(&self, students: Vec<UserName>) -> StoreFuture<Vec<Option<StudentFacts>>>;
    /// Returns the students who have an account, were seen, or have facts, and match a search, ordered by username.
    fn find(&self, search: StudentSearch) -> StoreFuture<Vec<FoundStudent>>;
    /// Stores facts about students in one commit. `None` removes those about a student.
    fn put_facts(&self, facts: Arc<[FactsOfStudent]>) -> StoreFuture<()>;
}
