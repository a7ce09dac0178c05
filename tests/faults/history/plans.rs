//! The order of the calls that set and read one student's plan, found separately from all other calls.
//!
//! A plan changes only by these calls. If the whole history has an order, any order of these calls that explains their
//! responses is part of one (Herlihy and Wing 1990: linearizability is local). A plan is often read only long
//! after it was set. In a search of the whole history, a wrong choice between two overlapping changes would be found
//! only after many later calls were placed.

use super::model::Term;
use super::record::{Call, Request, Response, Student};
use super::search::search;

/// Returns the history with the calls of each plan in a fixed order: each is executed after the one before it. If a
/// change without a response was executed, it gets a response; otherwise, it is left out.
///
/// # Errors
/// A text that names the calls of a plan that no order explains.
pub(super) fn order_plans(term: impl Fn() -> Term, calls: &[Call]) -> Result<Vec<Call>, String> {
    let mut ordered = calls.to_vec();
    let mut is_left_out: Vec<bool> = calls.iter().map(|call| plan_of(call).is_some()).collect();
    let mut students: Vec<Student> = calls.iter().filter_map(plan_of).collect();
    students.sort_unstable();
    students.dedup();
    for student in students {
        let own: Vec<usize> = (0..calls.len()).filter(|call| plan_of(&calls[*call]) == Some(student)).collect();
        let history: Vec<Call> = own.iter().map(|call| calls[*call].clone()).collect();
        let order = search(&term, &history)?.order.into_iter().map(|call| own[call]);
        let mut before = None;
        for call in order {
            is_left_out[call] = false;
            ordered[call].after = before.or(ordered[call].after);
            ordered[call].response.get_or_insert(Response::Done);
            before = Some(call);
        }
    }
    let mut kept = 0;
    let indices: Vec<usize> = is_left_out
        .iter()
        .map(|is_left_out| {
            kept += usize::from(!is_left_out);
            kept - usize::from(!is_left_out)
        })
        .collect();
    let kept = ordered.into_iter().zip(is_left_out).filter(|(_, is_left_out)| !is_left_out);
    Ok(kept.map(|(call, _)| Call { after: call.after.map(|before| indices[before]), ..call }).collect())
}

/// Returns the student whose plan the call sets or reads.
const fn plan_of(call: &Call) -> Option<Student> {
    match call.request {
        Request::PutPlan { student, .. } | Request::ReadPlan { student } => Some(student),
        _ => None,
    }
}
