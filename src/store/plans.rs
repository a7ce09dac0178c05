//! What students plan before registration opens.

use crate::domain::ids::{SectionId, UserName};

use crate::store::StoreFuture;

/// The most sections in a plan.
pub const PLAN_LEN_MAX: usize = 50;

/// Keeps plans.
pub trait PlanStore: Send + Sync {
    /// A student's plan, in the student's order; empty when there is none.
    fn plan(&self, student: &UserName) -> StoreFuture<Vec<SectionId>>;
    /// Puts a student's plan in place of the one before.
    fn put_plan(&self, student: &UserName, sections: Vec<SectionId>) -> StoreFuture<()>;
}
