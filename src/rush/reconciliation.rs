//! Compares the seats that the hub confirmed to students during a run with those that it has stored at its end.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::rush::report::HotSection;

/// The seats that one student expects to have, as indexes into the hot sections.
#[derive(Debug, Default)]
pub(super) struct ExpectedSeats {
    /// Seats that the hub confirmed and that the student has not dropped since.
    pub(super) confirmed: BTreeSet<usize>,
    /// Sections for which a response was lost or unexpected: the student may or may not have the seat.
    pub(super) uncertain: BTreeSet<usize>,
}

/// The numbers of seats in a run, summed over all students or sections. See [`Row`](crate::rush::report::Row) for the
/// fields.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reconciliation {
    pub(super) confirmed: u64,
    pub(super) stored: u64,
    pub(super) oversold: u64,
    pub(super) lost: u64,
}

/// The part of a response to `GET /api/v1/me/registrations` that is read.
#[derive(Deserialize)]
struct Registrations {
    items: Vec<Registration>,
}

#[derive(Deserialize)]
struct Registration {
    section: String,
    status: String,
}

/// The part of a response to `GET /api/v1/seats` that is read: id, capacity, enrolled, waitlisted and open of each
/// section.
#[derive(Deserialize)]
struct Seats {
    seats: Vec<(String, u64, u64, u64, u64)>,
}

/// Parses a response body of `GET /api/v1/me/registrations`. Returns the sections in which the student is enrolled;
/// `None` if the body is malformed or names a section that is not in `hot`.
pub(super) fn parse_enrolled(body: &[u8], hot: &[HotSection]) -> Option<BTreeSet<usize>> {
    let Registrations { items } = serde_json::from_slice(body).ok()?;
    let enrolled = items.iter().filter(|item| item.status == "enrolled");
    enrolled.map(|item| hot.iter().position(|hot| item.section == hot.id)).collect()
}

/// Parses a response body of `GET /api/v1/seats`. Returns the number of enrolled students in each section of `hot`;
/// `None` if the body is malformed or lacks a section.
pub(super) fn parse_enrolled_counts(body: &[u8], hot: &[HotSection]) -> Option<Vec<u64>> {
    let Seats { seats } = serde_json::from_slice(body).ok()?;
    hot.iter().map(|hot| Some(seats.iter().find(|row| row.0 == hot.id)?.2)).collect()
}

/// Compares the expected and the actual seats of each student, and the hub's own number of enrolled students in each
/// section. A section is oversold if any of the three counts exceeds its capacity.
pub(super) fn reconcile(
    hot: &[HotSection],
    students: &[(ExpectedSeats, BTreeSet<usize>)],
    enrolled: &[u64],
) -> Reconciliation {
    let mut totals = Reconciliation::default();
    let mut confirmed = vec![0_u64; hot.len()];
    let mut stored = vec![0_u64; hot.len()];
    for (expected, actual) in students {
        expected.confirmed.iter().for_each(|index| confirmed[*index] += 1);
        actual.iter().for_each(|index| stored[*index] += 1);
        let lost = expected.confirmed.difference(actual).filter(|index| !expected.uncertain.contains(index)).count();
        totals.lost += lost as u64;
    }
    (totals.confirmed, totals.stored) = (confirmed.iter().sum(), stored.iter().sum());
    for (index, section) in hot.iter().enumerate() {
        let highest = confirmed[index].max(stored[index]).max(enrolled.get(index).copied().unwrap_or(0));
        totals.oversold += highest.saturating_sub(section.capacity.into());
    }
    totals
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hot() -> Vec<HotSection> {
        ["t-1", "t-2"].map(|id| HotSection { id: id.to_owned(), capacity: 1 }).into()
    }

    /// Returns a student's expected seats, and the stored ones.
    fn student(expected: &[usize], uncertain: &[usize], stored: &[usize]) -> (ExpectedSeats, BTreeSet<usize>) {
        let set = |indexes: &[usize]| indexes.iter().copied().collect();
        (ExpectedSeats { confirmed: set(expected), uncertain: set(uncertain) }, set(stored))
    }

    #[test]
    fn a_confirmed_seat_that_is_not_stored_is_lost() {
        let totals = reconcile(&hot(), &[student(&[0, 1], &[], &[1])], &[0, 1]);
        assert_eq!(totals, Reconciliation { confirmed: 2, stored: 1, oversold: 0, lost: 1 });
    }

    #[test]
    fn a_seat_of_another_student_does_not_offset_a_lost_one() {
        let totals = reconcile(&hot(), &[student(&[0], &[], &[]), student(&[], &[], &[0])], &[1, 0]);
        assert_eq!(totals, Reconciliation { confirmed: 1, stored: 1, oversold: 0, lost: 1 });
    }

    #[test]
    fn seats_above_capacity_in_any_count_are_oversold() {
        let both = [student(&[0], &[], &[0]), student(&[0], &[], &[0])];
        assert_eq!(reconcile(&hot(), &both, &[1, 0]).oversold, 1);
        assert_eq!(reconcile(&hot(), &[], &[3, 1]).oversold, 2);
    }

    #[test]
    fn seats_with_a_lost_response_are_neither_lost_nor_oversold() {
        let totals = reconcile(&hot(), &[student(&[0], &[0], &[]), student(&[], &[1], &[1])], &[0, 1]);
        assert_eq!((totals.lost, totals.oversold), (0, 0));
    }

    #[test]
    fn responses_of_the_hub_are_parsed() {
        let body = br#"{"items":[{"section":"t-2","status":"enrolled"},{"section":"t-1","status":"waitlisted"}]}"#;
        assert_eq!(parse_enrolled(body, &hot()), Some(BTreeSet::from([1])));
        assert_eq!(parse_enrolled(b"{}", &hot()), None);
        assert_eq!(
            parse_enrolled_counts(br#"{"seq":1,"seats":[["t-1",1,4,0,0],["t-2",1,0,0,1]]}"#, &hot()),
            Some(vec![4, 0])
        );
    }
}
