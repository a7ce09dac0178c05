//! Port for plans: the sections that students prepare before registration opens.

use crate::domain::ids::{TermId, UserName};
use crate::domain::plan::{PlanName, PlannedSection};
use crate::domain::rehearsal;

use crate::store::StoreFuture;

/// A plan of a student.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The name, which is unique among the student's plans.
    pub name: PlanName,
    /// The sections, in the student's order.
    pub sections: Vec<PlannedSection>,
}

/// The outcome of [`PlanStore::put_plan`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutPlan {
    /// There was no plan with this name.
    Created,
    /// The plan with this name was replaced.
    Replaced,
    /// The student has [`PLANS_MAX`](crate::domain::plan::PLANS_MAX) plans with other names, so nothing was stored. The
    /// plan with the name [`PlanName::DEFAULT`] can always be stored.
    Full,
}

/// A store of plans.
pub trait PlanStore: Send + Sync {
    /// Returns a student's plan with this name; `None` if there is none.
    fn plan(&self, student: &UserName, name: &PlanName) -> StoreFuture<Option<Vec<PlannedSection>>>;
    /// Returns all plans of a student, by name.
    fn plans(&self, student: &UserName) -> StoreFuture<Vec<Plan>>;
    /// Stores a student's plan, replacing the earlier one with its name.
    fn put_plan(&self, student: &UserName, plan: Plan) -> StoreFuture<PutPlan>;
    /// Deletes a student's plan. Returns whether there was one.
    fn remove_plan(&self, student: &UserName, name: &PlanName) -> StoreFuture<bool>;
    /// Returns what each student plans for a term in the plan with the name [`PlanName::DEFAULT`], by student; at
    /// most `max` plans. Students who plan nothing for it are left out.
    fn plans_for(&self, term: &TermId, max: usize) -> StoreFuture<Vec<rehearsal::Plan>>;
}
