//! Seats of a section that are reserved for groups of students.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::student::StudentFacts;

/// Maximum number of groups for which a section reserves seats.
pub const RESERVATIONS_MAX: usize = 20;

/// Seats that only the students of a group can take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// The group. Case does not matter.
    pub group: Box<str>,
    /// Number of seats.
    pub seats: u32,
    /// When the seats that are left are released to all students; `None` if they stay reserved.
    pub until: Option<Timestamp>,
}

/// How many seats of reservations are taken, and which reservations have ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReservedCounts {
    /// For each group, in lower case, the number of students who took one of its seats; only numbers above 0, in order
    /// of the groups.
    pub taken: Vec<(Box<str>, u32)>,
    /// The time of the last release. Reservations until then have ended.
    pub released_at: Option<Timestamp>,
}

impl ReservedCounts {
    /// Returns the seats of a reservation that are left for its group.
    #[must_use]
    pub fn left(&self, reservation: &Reservation) -> u32 {
        if self.has_ended(reservation) {
            return 0;
        }
        reservation.seats.saturating_sub(self.taken_by(&reservation.group))
    }

    /// Returns whether the seats of a reservation were released.
    #[must_use]
    pub fn has_ended(&self, reservation: &Reservation) -> bool {
        reservation.until.zip(self.released_at).is_some_and(|(until, at)| until <= at)
    }

    fn taken_by(&self, group: &str) -> u32 {
        self.taken.iter().find(|(of, _)| of.eq_ignore_ascii_case(group)).map_or(0, |(_, taken)| *taken)
    }

    /// Counts a seat of a group as taken, or as free again if `is_taken` is false.
    pub fn count(&mut self, group: &str, is_taken: bool) {
        let group: Box<str> = group.to_ascii_lowercase().into();
        match self.taken.binary_search_by(|(of, _)| of.cmp(&group)) {
            Ok(at) if is_taken => self.taken[at].1 += 1,
            Ok(at) if self.taken[at].1 > 1 => self.taken[at].1 -= 1,
            Ok(at) => drop(self.taken.remove(at)),
            Err(at) if is_taken => self.taken.insert(at, (group, 1)),
            Err(_) => {}
        }
    }
}

/// Returns the reservations for groups to which a student belongs.
pub(crate) fn of_student<'r>(
    reserved: &'r [Reservation],
    facts: Option<&'r StudentFacts>,
) -> impl Iterator<Item = &'r Reservation> {
    reserved.iter().filter(move |one| facts.is_some_and(|facts| facts.is_in_group(&one.group)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_groups_stay_sorted_and_lose_zeros() {
        let mut counts = ReservedCounts::default();
        for (group, is_taken) in [("Veterans", true), ("honors", true), ("VETERANS", true), ("honors", false)] {
            counts.count(group, is_taken);
        }
        assert_eq!(counts.taken, [("veterans".into(), 2)]);
        let reservation = Reservation { group: "Veterans".into(), seats: 3, until: Some(Timestamp::UNIX_EPOCH) };
        assert_eq!(counts.left(&reservation), 1);
        counts.released_at = Some(Timestamp::UNIX_EPOCH);
        assert_eq!(counts.left(&reservation), 0, "no seat is left for the group after the release");
    }
}
