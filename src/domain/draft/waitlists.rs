//! The waitlists of a draft: their students in order, positions and queue numbers.

use crate::domain::draft::Draft;
use crate::domain::ids::{Crn, UserName};
use crate::domain::registration::Registration;
use crate::domain::section::WaitlistEntry;
use crate::domain::waitlist_order::{natural_band, queue_number};

impl Draft<'_> {
    /// Iterates over the waitlist of a section, first position first.
    pub fn waitlist(&self, crn: &Crn) -> Box<dyn Iterator<Item = &WaitlistEntry> + '_> {
        let stayed = self.view.waitlist(crn).filter(|entry| !self.left_waitlists.contains(&entry.queue_number));
        let joined = self.joined_waitlists.get_key_value(crn).into_iter().flat_map(move |(crn, joined)| {
            let is_current = move |entry: &&WaitlistEntry| {
                self.registration(&entry.student, crn).is_some_and(|r| r.queue_number == entry.queue_number)
            };
            joined.iter().filter(is_current)
        });
        let all = stayed.chain(joined);
        if !self.is_reordered {
            // Students who join in this decision come after all others.
            return Box::new(all);
        }
        let mut sorted: Vec<&WaitlistEntry> = all.collect();
        sorted.sort_unstable_by_key(|entry| entry.queue_number);
        Box::new(sorted.into_iter())
    }

    /// Returns the waitlist position of the student with `queue_number`: 1 is next, and people who wait outside the hub
    /// come first.
    pub fn position(&self, crn: &Crn, queue_number: u64) -> u32 {
        let outside = self.section(crn).map_or(0, |s| s.outside_waitlisted);
        let ahead = self.waitlist(crn).take_while(|entry| entry.queue_number < queue_number).count();
        outside.saturating_add(u32::try_from(ahead).unwrap_or(u32::MAX)).saturating_add(1)
    }

    /// Returns the band of a student by the declared priority of the term.
    pub fn natural_band(&self, student: &UserName) -> u64 {
        natural_band(&self.term().offers.priority, self.facts(student).map(|facts| &**facts))
    }

    /// Returns a new queue number for a student, larger than all others of the term in the band of the student.
    pub fn take_queue_number(&mut self, student: &UserName) -> u64 {
        let band = self.natural_band(student);
        self.next_queue_number += 1;
        queue_number(band, self.next_queue_number - 1)
    }

    /// Gives a student on a waitlist another queue number.
    pub fn renumber(&mut self, student: &UserName, crn: &Crn, queue_number: u64) {
        let Some(before) = self.registration(student, crn).cloned() else { return };
        self.left_waitlists.insert(before.queue_number);
        let entry = WaitlistEntry { queue_number, student: student.clone() };
        self.joined_waitlists.entry(crn.clone()).or_default().push(entry);
        self.is_reordered = true;
        self.record(student, Registration { queue_number, ..before });
    }
}
