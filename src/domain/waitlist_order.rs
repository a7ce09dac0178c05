//! The order of waitlists: by the priority that the term declares, then by the time of joining, unless staff move a
//! student.
//!
//! A queue number has the band of the student in its high bits and the order of joining in its low ones, so smaller
//! numbers are ahead in every table and index, without facts about students. Band 0 is the first group of the declared
//! priority; students without priority are in the band after the last group. Without a declared priority, everyone is in
//! band 0, and a queue number is the order of joining.

use std::collections::BTreeSet;

use crate::domain::attempt::Action;
use crate::domain::command::WaitlistMove;
use crate::domain::decide::granted;
use crate::domain::draft::Draft;
use crate::domain::ids::{Crn, UserName};
use crate::domain::outcome::RequestOutcome;
use crate::domain::registration::{Registration, RegistrationStatus};
use crate::domain::section::SectionState;
use crate::domain::student::StudentFacts;

/// Maximum number of groups in the declared priority of a term.
pub const PRIORITY_GROUPS_MAX: usize = 20;
/// Bits of a queue number that hold the order of joining. A term in which a thousand students join waitlists each second
/// uses them up after 8,900 years.
const ORDER_BITS: u32 = 48;
/// A number that is larger than every order of joining that a term assigns.
pub const ORDER_UNASSIGNED: u64 = 1 << (ORDER_BITS - 1);

/// Returns the queue number of a student in a band who joined at this place in the order of joining.
#[must_use]
pub const fn queue_number(band: u64, order: u64) -> u64 {
    (band << ORDER_BITS) | order
}

/// Returns the order of joining of a queue number.
#[must_use]
pub const fn order_of(queue_number: u64) -> u64 {
    queue_number & ((1 << ORDER_BITS) - 1)
}

/// Returns the band of a queue number.
#[must_use]
pub const fn band_of(queue_number: u64) -> u64 {
    queue_number >> ORDER_BITS
}

/// Returns the band of a student by the declared priority: that of the first group to which the student belongs.
#[must_use]
pub fn natural_band(priority: &[Box<str>], facts: Option<&StudentFacts>) -> u64 {
    let first = facts.and_then(|facts| priority.iter().position(|group| facts.is_in_group(group)));
    first.unwrap_or(priority.len()) as u64
}

/// Returns the group that puts a student on a waitlist ahead of others; `None` if no group does.
#[must_use]
pub fn group_of<'p>(priority: &'p [Box<str>], facts: Option<&StudentFacts>) -> Option<&'p str> {
    priority.get(usize::try_from(natural_band(priority, facts)).ok()?).map(|group| &**group)
}

/// Moves a student on a waitlist to another position, as staff request it.
///
/// The students between the two positions move by one. The student gets the band of the new neighbors if the student's
/// own band does not fit between theirs. Within that band, the same queue numbers are redistributed in the new order,
/// so that no student of another section is affected.
pub(super) fn move_student(draft: &mut Draft<'_>, request: &WaitlistMove) -> RequestOutcome {
    let WaitlistMove { student, crn, position } = request;
    let open = draft.section(crn).map(SectionState::open_seats);
    let outcome = decide_move(draft, student, crn, *position);
    draft.note_request(student, crn, Action::Reorder, &outcome, open);
    outcome
}

fn decide_move(draft: &mut Draft<'_>, student: &UserName, crn: &Crn, position: u32) -> RequestOutcome {
    let is_waiting = |registration: &&Registration| registration.status == RegistrationStatus::Waitlisted;
    let Some(waiting) = draft.registration(student, crn).filter(is_waiting).cloned() else {
        return RequestOutcome::NotFound;
    };
    // People who wait outside the hub stay ahead.
    let outside = draft.section(crn).map_or(0, |section| section.outside_waitlisted);
    let to = position.saturating_sub(outside).saturating_sub(1) as usize;
    let natural = draft.natural_band(student);
    let waitlist: Vec<(u64, UserName)> =
        draft.waitlist(crn).map(|entry| (entry.queue_number, entry.student.clone())).collect();
    let moved = reordered(&waitlist, student, to, natural);
    if moved.is_empty() {
        return granted(draft, &waiting, false);
    }
    for (student, queue_number) in moved {
        draft.renumber(&student, crn, queue_number);
    }
    draft.queue_waitlist(crn.clone());
    let after = draft.registration(student, crn).cloned().unwrap_or(waiting);
    granted(draft, &after, true)
}

/// Returns the students of a waitlist whose queue numbers change if `student` moves to the index `to`, or to the end, with
/// their new numbers. `waitlist` is in order.
fn reordered(waitlist: &[(u64, UserName)], student: &UserName, to: usize, natural: u64) -> Vec<(UserName, u64)> {
    let Some(from) = waitlist.iter().position(|(_, one)| one == student) else { return Vec::new() };
    let mut others = waitlist.to_vec();
    let own = others.remove(from);
    let to = to.min(others.len());
    if to == from {
        return Vec::new();
    }
    let ahead = to.checked_sub(1).and_then(|at| others.get(at)).map_or(0, |(number, _)| band_of(*number));
    let behind = others.get(to).map_or(u64::MAX, |(number, _)| band_of(*number));
    let band = natural.clamp(ahead, behind);
    others.insert(to, (queue_number(band, order_of(own.0)), own.1));
    let in_band = |(number, _): &&(u64, UserName)| band_of(*number) == band;
    let numbers: BTreeSet<u64> = others.iter().filter(in_band).map(|(number, _)| *number).collect();
    let before = |student: &UserName| waitlist.iter().find(|(_, one)| one == student).map(|(number, _)| *number);
    let renumbered = others.iter().filter(in_band).zip(numbers);
    renumbered
        .filter(|((_, student), number)| before(student) != Some(*number))
        .map(|((_, student), number)| (student.clone(), number))
        .collect()
}

/// Puts a student whose priority changed into the new band on every waitlist. `before` is the earlier band.
pub(super) fn follow_facts(draft: &mut Draft<'_>, student: &UserName, before: u64) {
    let band = draft.natural_band(student);
    if band != before {
        put_in_band(draft, student, band);
    }
}

/// Orders every waitlist by a priority that staff declared.
pub(super) fn follow_priority(draft: &mut Draft<'_>) {
    // Sorted, because the order of a hash map would make decisions nondeterministic.
    let students: BTreeSet<UserName> = draft.view().students().map(|(student, _)| student.clone()).collect();
    for student in students {
        let band = draft.natural_band(&student);
        put_in_band(draft, &student, band);
    }
}

fn put_in_band(draft: &mut Draft<'_>, student: &UserName, band: u64) {
    let waiting = draft.registrations(student).iter().filter(|r| r.status == RegistrationStatus::Waitlisted);
    let renumbered: Vec<(Crn, u64)> = waiting
        .map(|r| (r.crn.clone(), r.queue_number, queue_number(band, order_of(r.queue_number))))
        .filter(|(_, before, after)| before != after)
        .map(|(crn, _, after)| (crn, after))
        .collect();
    for (crn, queue_number) in renumbered {
        draft.renumber(student, &crn, queue_number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a waitlist, each student as the name and the band. The order of joining is that of the list.
    fn waitlist(students: &[(&str, u64)]) -> Vec<(u64, UserName)> {
        let entry = |((name, band), order): (&(&str, u64), u64)| (queue_number(*band, order), user(name));
        students.iter().zip(1..).map(entry).collect()
    }

    fn user(name: &str) -> UserName {
        UserName::parse(name).unwrap()
    }

    /// Returns the waitlist after a move, each student as the name and the band.
    fn after(waitlist: &[(u64, UserName)], student: &str, to: usize, natural: u64) -> Vec<(String, u64)> {
        let moved = reordered(waitlist, &user(student), to, natural);
        let mut numbers: Vec<(u64, UserName)> = waitlist
            .iter()
            .map(|(number, name)| {
                (moved.iter().find(|(one, _)| one == name).map_or(*number, |one| one.1), name.clone())
            })
            .collect();
        numbers.sort();
        let orders: BTreeSet<u64> = numbers.iter().map(|(number, _)| order_of(*number)).collect();
        assert_eq!(orders.len(), waitlist.len(), "each order of joining is used once");
        numbers.iter().map(|(number, name)| (name.to_string(), band_of(*number))).collect()
    }

    #[test]
    fn a_moved_student_is_at_the_index_and_in_a_band_that_fits() {
        let mixed: &[(&str, u64)] = &[("ana", 0), ("bob", 0), ("cyd", 2), ("dan", 2)];
        let plain: &[(&str, u64)] = &[("ana", 0), ("bob", 0), ("cyd", 0)];
        type Expected<'e> = &'e [(&'e str, u64)];
        let table: [(Expected<'_>, &str, usize, u64, Expected<'_>); 9] = [
            (plain, "cyd", 0, 0, &[("cyd", 0), ("ana", 0), ("bob", 0)]),
            (plain, "ana", 1, 0, &[("bob", 0), ("ana", 0), ("cyd", 0)]),
            (plain, "ana", 99, 0, &[("bob", 0), ("cyd", 0), ("ana", 0)]),
            (plain, "bob", 1, 0, plain),
            (mixed, "dan", 0, 2, &[("dan", 0), ("ana", 0), ("bob", 0), ("cyd", 2)]),
            (mixed, "dan", 2, 2, &[("ana", 0), ("bob", 0), ("dan", 2), ("cyd", 2)]),
            (mixed, "ana", 3, 0, &[("bob", 0), ("cyd", 2), ("dan", 2), ("ana", 2)]),
            (mixed, "ana", 1, 0, &[("bob", 0), ("ana", 0), ("cyd", 2), ("dan", 2)]),
            (mixed, "cyd", 1, 1, &[("ana", 0), ("cyd", 0), ("bob", 0), ("dan", 2)]),
        ];
        for (before, student, to, natural, expected) in table {
            let expected: Vec<(String, u64)> =
                expected.iter().map(|(name, band)| ((*name).to_owned(), *band)).collect();
            assert_eq!(after(&waitlist(before), student, to, natural), expected, "{student} to {to}");
        }
    }

    #[test]
    fn the_first_group_of_a_student_decides_the_band() {
        let priority: [Box<str>; 2] = ["Graduating".into(), "need-based".into()];
        let table: [(&[&str], u64, Option<&str>); 4] = [
            (&[], 2, None),
            (&["honors"], 2, None),
            (&["need-based"], 1, Some("need-based")),
            (&["need-based", "graduating"], 0, Some("Graduating")),
        ];
        for (groups, band, group) in table {
            let groups = groups.iter().map(|group| (*group).into()).collect();
            let facts = StudentFacts { groups, ..StudentFacts::default() };
            assert_eq!(natural_band(&priority, Some(&facts)), band);
            assert_eq!(group_of(&priority, Some(&facts)), group);
        }
        assert_eq!((natural_band(&priority, None), natural_band(&[], None)), (2, 0));
    }
}
