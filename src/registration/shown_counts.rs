//! The counts of people that a reader sees: users see exact counts, and small ones are hidden from visitors (`[privacy]
//! small_counts`).

use crate::domain::section::SectionState;

/// Which counts of people a reader sees.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ShownCounts {
    /// Counts below this number are hidden; 0 hides none.
    hidden_below: u32,
}

/// The numbers of a section as a reader sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) enrolled: u32,
    pub(super) open: u32,
    pub(super) waitlisted: u32,
    /// Whether `enrolled` or `waitlisted` is hidden.
    pub(super) is_hidden: bool,
}

impl ShownCounts {
    /// All counts.
    pub const EXACT: Self = Self { hidden_below: 0 };

    /// Hides the counts from 1 to `number` − 1. If `number` is 0 or 1, no count is hidden.
    #[must_use]
    pub const fn hidden_below(number: u32) -> Self {
        Self { hidden_below: number }
    }

    /// Returns the number below which counts are hidden; `None` if none are.
    #[must_use]
    pub fn bound(self) -> Option<u32> {
        Some(self.hidden_below).filter(|bound| *bound > 1)
    }

    /// Returns the counts of a section. Each hidden count is stated as the greatest hidden number; a hidden enrollment
    /// that would exceed the capacity is stated as the number that fits. `open` follows from `enrolled` in most
    /// sections, so it is computed from the stated number, and remains greater than 0 if a seat is open.
    pub(super) fn of(self, state: &SectionState) -> Counts {
        let (enrolled, open, waitlisted) = (state.taken_total(), state.open_seats(), state.waitlisted_total());
        let is_small = |count: u32| (1..self.hidden_below).contains(&count);
        let greatest = self.hidden_below.saturating_sub(1);
        let mut shown = Counts { enrolled, open, waitlisted, is_hidden: is_small(enrolled) || is_small(waitlisted) };
        if is_small(waitlisted) {
            shown.waitlisted = greatest;
        }
        if is_small(enrolled) {
            // In a section with few seats, the greatest hidden number can exceed the capacity.
            let fit = state.section.capacity.saturating_sub(u32::from(open > 0)).max(enrolled);
            shown.enrolled = greatest.min(fit);
            shown.open = open.saturating_sub(shown.enrolled - enrolled).max(u32::from(open > 0));
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::SectionId;
    use crate::domain::section::{Credits, Section, SectionStatus};

    fn state(capacity: u32, enrolled: u32, waitlisted: u32) -> SectionState {
        let section = Section {
            id: SectionId::parse("202209-1").unwrap(),
            course: "MATH 151".into(),
            component: "lecture".into(),
            section: None,
            title: None,
            credits: Credits(4_000),
            instructor: None,
            method: None,
            campus: None,
            meetings: Vec::new(),
            capacity,
            waitlist_capacity: 50,
            status: SectionStatus::Open,
            linked: Vec::new(),
            cross_listed: None,
            reserved: Vec::new(),
            restrictions: Vec::new(),
            repeat_limit: None,
            prerequisites: Vec::new(),
            original_crn: None,
            withdrawn: false,
        };
        SectionState { enrolled, waitlisted, ..SectionState::new(section.into()) }
    }

    fn shown(below: u32, of: (u32, u32, u32)) -> (u32, u32, u32, bool) {
        let counts = ShownCounts::hidden_below(below).of(&state(of.0, of.1, of.2));
        (counts.enrolled, counts.open, counts.waitlisted, counts.is_hidden)
    }

    #[test]
    fn small_counts_are_stated_as_the_greatest_that_is_hidden() {
        let table = [
            // Below, (capacity, enrolled, waitlisted), (enrolled, open, waitlisted, is one hidden)
            (0, (30, 3, 2), (3, 27, 2, false)),
            (1, (30, 3, 2), (3, 27, 2, false)),
            (5, (30, 0, 0), (0, 30, 0, false)),
            (5, (30, 5, 0), (5, 25, 0, false)),
            (5, (30, 4, 0), (4, 26, 0, true)),
            (5, (30, 3, 0), (4, 26, 0, true)),
            (5, (30, 1, 0), (4, 26, 0, true)),
            (5, (30, 30, 1), (30, 0, 4, true)),
            (5, (30, 30, 5), (30, 0, 5, false)),
            // Sections that are smaller than the bound.
            (5, (3, 1, 0), (2, 1, 0, true)),
            (5, (3, 2, 0), (2, 1, 0, true)),
            (5, (3, 3, 0), (3, 0, 0, true)),
            (5, (3, 4, 0), (4, 0, 0, true)),
        ];
        for (below, of, expected) in table {
            assert_eq!(shown(below, of), expected, "{of:?} below {below}");
        }
    }

    #[test]
    fn all_hidden_counts_of_a_section_look_the_same() {
        for (capacity, below) in [(30, 5), (30, 10), (12, 10), (4, 5)] {
            let most = (below - 1).min(capacity - 1);
            let all: Vec<_> = (1..=most).map(|enrolled| shown(below, (capacity, enrolled, 0))).collect();
            assert!(all.windows(2).all(|two| two[0] == two[1]), "{capacity} seats, below {below}: {all:?}");
            let (enrolled, open, ..) = all[0];
            assert!(enrolled + open <= capacity && open > 0);
        }
    }
}
