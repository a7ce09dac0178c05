//! Checks whether a response is the one that the rules give, and describes the expected one.

use super::model::{Outcome, Term};
use super::record::{Call, Item, Millisecond, OwnStanding, Request, Response, Section, Standing, Student};

/// Returns whether the response to a read is what the term contains.
pub(crate) fn read_matches(term: &Term, request: &Request, response: &Response) -> bool {
    match (request, response) {
        (Request::ReadSection { section }, Response::Section(view)) => term.view(*section) == *view,
        (Request::ReadRow { section }, Response::Row(row)) => term.seats(*section) == *row,
        // Its rows are separate calls, and its sequence is checked elsewhere.
        (Request::ReadSeats, Response::Seats { .. }) => true,
        (Request::ReadOwn { student }, Response::Own(items)) => own_matches(term, *student, items),
        (Request::ReadRoster { section }, Response::Roster { enrolled, waitlist }) => {
            let expected = term.roster(*section);
            expected.0 == *enrolled && expected.1 == waitlist
        }
        (Request::ReadPlan { student }, Response::Plan(plan)) => term.plan(*student) == plan,
        _ => false,
    }
}

fn own_matches(term: &Term, student: Student, items: &[(Section, OwnStanding, Millisecond)]) -> bool {
    let expected = term.own(student);
    expected.len() == items.len()
        && expected.iter().all(|(section, standing, since)| {
            let Some((_, found, at)) = items.iter().find(|(found, ..)| found == section) else { return false };
            let same = match (standing, found) {
                (Standing::Enrolled, OwnStanding::Enrolled) => true,
                (Standing::Waitlisted(position), OwnStanding::Waitlisted(found)) => {
                    found.is_none_or(|found| found == *position)
                }
                (Standing::Enrolled, OwnStanding::Waitlisted(_)) | (Standing::Waitlisted(_), OwnStanding::Enrolled) => {
                    false
                }
            };
            same && (!since.is_exact || since.at == *at)
        })
}

/// Returns whether the response to a write is the one that the rules give. `at` is when it was decided, if the response
/// states it.
pub(crate) fn write_matches(outcomes: &[Outcome], response: &Response, at: Option<Millisecond>) -> bool {
    match response {
        Response::Items(items) => {
            items.len() == outcomes.len()
                && items.iter().zip(outcomes).all(|(item, outcome)| item_matches(item, *outcome, at))
        }
        Response::Done => outcomes.is_empty(),
        Response::Section(_)
        | Response::Seats { .. }
        | Response::Row(_)
        | Response::Own(_)
        | Response::Roster { .. }
        | Response::Plan(_) => false,
    }
}

fn item_matches(item: &Item, outcome: Outcome, decided_at: Option<Millisecond>) -> bool {
    match (item, outcome) {
        (Item::Held { is_new: stated, standing: found, at }, Outcome::Held { is_new, standing, since }) => {
            *found == standing
                && stated.is_none_or(|stated| stated == is_new)
                && if is_new { Some(*at) == decided_at } else { !since.is_exact || since.at == *at }
        }
        (Item::Dropped { at }, Outcome::Dropped { is_new, since }) => {
            if is_new {
                Some(*at) == decided_at
            } else {
                !since.is_exact || since.at == *at
            }
        }
        (Item::Problem(found), Outcome::Problem(code)) => found == code,
        _ => false,
    }
}

/// Returns whether a response says that nothing was changed, so that its place in the order affects no other response.
pub(crate) fn says_nothing_changed(response: &Response) -> bool {
    match response {
        Response::Items(items) => items.iter().all(|item| match item {
            Item::Held { is_new, .. } => *is_new == Some(false),
            Item::Dropped { .. } => false,
            Item::Problem(_) => true,
        }),
        Response::Done => false,
        Response::Section(_)
        | Response::Seats { .. }
        | Response::Row(_)
        | Response::Own(_)
        | Response::Roster { .. }
        | Response::Plan(_) => true,
    }
}

/// Describes an answered call, and what the rules give at a place in the order that does not explain it.
pub(crate) fn describe_contradiction(term: &mut Term, call: &Call) -> String {
    let Some(response) = &call.response else { return format!("{}: without a response", call.request) };
    let expected = match &call.request {
        Request::ReadSection { section } | Request::ReadRow { section } => describe_sections(term, *section),
        Request::ReadSeats => "any".to_owned(),
        Request::ReadOwn { student } => format!("{:?}", term.own(*student)),
        Request::ReadRoster { section } => describe_sections(term, *section),
        Request::ReadPlan { student } => format!("{:?}", term.plan(*student)),
        write => {
            let sections: Vec<Section> = match write {
                Request::Register { section, .. } | Request::Drop { section, .. } | Request::Edit { section, .. } => {
                    vec![*section]
                }
                Request::Batch { add, drop, .. } => add.iter().chain(drop).copied().collect(),
                _ => Vec::new(),
            };
            let before: Vec<_> = sections.iter().map(|section| describe_sections(term, *section)).collect();
            let mark = term.mark();
            let outcomes = term.execute(write, call.decided_at());
            term.undo(mark);
            format!("{outcomes:?}, because before it: {}", before.join("; "))
        }
    };
    format!(
        "{} (client {}, moments {} to {})\n    was answered: {response:?}\n    the order gives: {expected}",
        call.request, call.client, call.sent, call.ended
    )
}

fn describe_sections(term: &Term, section: Section) -> String {
    let view = term.view(section);
    let ([capacity, enrolled, ..], (students, waitlist)) = (view.seats, term.roster(section));
    format!(
        "section {section} is {:?}, {enrolled} of {capacity} seats are taken by students {students:?}, \
         students {waitlist:?} wait for {} positions",
        view.status, view.waitlist_capacity
    )
}
