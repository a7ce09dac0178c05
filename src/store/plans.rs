//! Port for plans: the sections that students prepare before registration opens.

use crate::domain::ids::{SectionId, TermId, UserName};
use crate::domain::rehearsal::Plan;

use crate::store::StoreFuture;

/// Maximum number of sections in a plan.
pub const PLAN_LEN_MAX: usize = 50;

/// A store of plans.
pub trait PlanStore: Send + Sync {
    /// Returns a student's plan, in the student's order; empty when there is none.
    fn plan(&self, student: &UserName) -> StoreFuture<Vec<SectionId>>;
    /// Stores a student's plan, replacing the earlier one.
    fn put_plan(&self, student: &UserName, sections: Vec<SectionId>) -> StoreFuture<()>;
    /// Returns what each student plans for a term, by student; at most `max` plans. Without students who plan nothing
    /// for it.
    fn plans_for(&self, term: &TermId, max: usize) -> StoreFuture<Vec<Plan>>;
}
