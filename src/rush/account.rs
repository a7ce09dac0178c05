//! What students believe they hold, against what the hub says they hold.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::rush::report::HotSection;

/// What one student was told, by index of section.
#[derive(Debug, Default)]
pub(super) struct Belief {
    /// Seats that were answered 201 and not given up since.
    pub(super) held: BTreeSet<usize>,
    /// Sections of which an answer was lost: whatever they turn out to be is right.
    pub(super) unknown: BTreeSet<usize>,
}

/// What it comes to, summed over all students.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) told: u64,
    pub(super) held: u64,
    pub(super) oversold: u64,
    pub(super) lost: u64,
}

/// What the load reads of `GET /api/v1/me/registrations`.
#[derive(Deserialize)]
struct Registrations {
    items: Vec<Registration>,
}

#[derive(Deserialize)]
struct Registration {
    section: String,
    status: String,
}

/// What the load reads of `GET /api/v1/seats`: of each section its id, capacity, enrolled, waitlisted and open seats.
#[derive(Deserialize)]
struct Seats {
    seats: Vec<(String, u64, u64, u64, u64)>,
}

/// Reads the sections in which a student holds a seat from a body of `GET /api/v1/me/registrations`.
pub(super) fn seats_of(body: &[u8], hot: &[HotSection]) -> Option<BTreeSet<usize>> {
    let Registrations { items } = serde_json::from_slice(body).ok()?;
    let enrolled = items.iter().filter(|item| item.status == "enrolled");
    enrolled.map(|item| hot.iter().position(|hot| item.section == hot.id)).collect()
}

/// Reads how many are enrolled in each section from a body of `GET /api/v1/seats`.
pub(super) fn enrolled_of(body: &[u8], hot: &[HotSection]) -> Option<Vec<u64>> {
    let Seats { seats } = serde_json::from_slice(body).ok()?;
    hot.iter().map(|hot| Some(seats.iter().find(|row| row.0 == hot.id)?.2)).collect()
}

/// Settles the account: what each believes and holds, and the hub's own numbers.
pub(super) fn settle(hot: &[HotSection], students: &[(Belief, BTreeSet<usize>)], enrolled: &[u64]) -> Account {
    let mut account = Account::default();
    let mut told = vec![0_u64; hot.len()];
    let mut held = vec![0_u64; hot.len()];
    for (belief, holds) in students {
        belief.held.iter().for_each(|at| told[*at] += 1);
        holds.iter().for_each(|at| held[*at] += 1);
        let lost = belief.held.difference(holds).filter(|at| !belief.unknown.contains(at)).count();
        account.lost += lost as u64;
    }
    (account.told, account.held) = (told.iter().sum(), held.iter().sum());
    for (at, hot) in hot.iter().enumerate() {
        let most = told[at].max(held[at]).max(enrolled.get(at).copied().unwrap_or(0));
        account.oversold += most.saturating_sub(hot.capacity.into());
    }
    account
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hot() -> Vec<HotSection> {
        ["t-1", "t-2"].map(|id| HotSection { id: id.to_owned(), capacity: 1 }).into()
    }

    fn student(told: &[usize], unknown: &[usize], holds: &[usize]) -> (Belief, BTreeSet<usize>) {
        let set = |of: &[usize]| of.iter().copied().collect();
        (Belief { held: set(told), unknown: set(unknown) }, set(holds))
    }

    #[test]
    fn a_seat_that_was_told_and_is_not_held_is_lost() {
        let account = settle(&hot(), &[student(&[0, 1], &[], &[1])], &[0, 1]);
        assert_eq!(account, Account { told: 2, held: 1, oversold: 0, lost: 1 });
    }

    #[test]
    fn a_seat_of_somebody_else_does_not_make_up_for_a_lost_one() {
        let account = settle(&hot(), &[student(&[0], &[], &[]), student(&[], &[], &[0])], &[1, 0]);
        assert_eq!(account, Account { told: 1, held: 1, oversold: 0, lost: 1 });
    }

    #[test]
    fn a_seat_above_capacity_is_oversold_whoever_says_so() {
        let both = [student(&[0], &[], &[0]), student(&[0], &[], &[0])];
        assert_eq!(settle(&hot(), &both, &[1, 0]).oversold, 1);
        assert_eq!(settle(&hot(), &[], &[3, 1]).oversold, 2);
    }

    #[test]
    fn what_was_never_answered_is_not_held_against_the_hub() {
        let account = settle(&hot(), &[student(&[0], &[0], &[]), student(&[], &[1], &[1])], &[0, 1]);
        assert_eq!((account.lost, account.oversold), (0, 0));
    }

    #[test]
    fn answers_of_the_hub_are_read() {
        let body = br#"{"items":[{"section":"t-2","status":"enrolled"},{"section":"t-1","status":"waitlisted"}]}"#;
        assert_eq!(seats_of(body, &hot()), Some(BTreeSet::from([1])));
        assert_eq!(seats_of(b"{}", &hot()), None);
        assert_eq!(enrolled_of(br#"{"seq":1,"seats":[["t-1",1,4,0,0],["t-2",1,0,0,1]]}"#, &hot()), Some(vec![4, 0]));
    }
}
