//! The part of the naive model about the order of waitlists: a declared priority, and moves by staff.

use super::naive::{Naive, Registration, Status};

impl Naive {
    /// Returns the number of the first group of the declared priority that a student is in; the number of groups if the
    /// student is in none.
    pub(super) fn priority_of(&self, student: &str) -> usize {
        let mut first = 0;
        for group in &self.offers.priority {
            let groups = self.facts(student).map(|facts| facts.groups.clone()).unwrap_or_default();
            if groups.iter().any(|own| own.to_lowercase() == group.to_lowercase()) {
                break;
            }
            first += 1;
        }
        first
    }

    /// Sets the priority of a student's waitlist positions to the student's current one.
    pub(super) fn order_by_priority(&mut self, student: &str) {
        let priority = self.priority_of(student);
        for one in &mut self.registrations {
            if one.student == student && one.status == Status::Waitlisted {
                one.priority = priority;
            }
        }
    }

    /// Moves a student to a position on a waitlist, and returns the reply.
    pub(super) fn move_on_waitlist(&mut self, student: &str, crn: &str, position: u32) -> String {
        let mut waitlist = self.waitlist(crn);
        let Some(from) = waitlist.iter().position(|one| one.student == student) else { return "not found".to_owned() };
        let outside = self.section(crn).unwrap().outside.1;
        let mut to = 0;
        while to + 1 < waitlist.len() && outside + 1 + (to as u32) < position {
            to += 1;
        }
        if to == from {
            return self.in_words(student, crn, false);
        }
        let mut moved = waitlist.remove(from);
        let (ahead, behind) =
            (to.checked_sub(1).map(|at| waitlist[at].priority), waitlist.get(to).map(|one| one.priority));
        let mut priority = self.priority_of(student);
        if ahead.is_some_and(|ahead| priority < ahead) {
            priority = ahead.unwrap();
        } else if behind.is_some_and(|behind| priority > behind) {
            priority = behind.unwrap();
        }
        moved.priority = priority;
        waitlist.insert(to, moved);
        // Students of the same priority exchange their queue numbers.
        let same: Vec<Registration> = waitlist.into_iter().filter(|one| one.priority == priority).collect();
        let mut numbers: Vec<u64> = same.iter().map(|one| one.queue_number).collect();
        numbers.sort_unstable();
        for (one, queue_number) in same.into_iter().zip(numbers) {
            let own = self.registration_mut(&one.student, crn);
            (own.priority, own.queue_number) = (one.priority, queue_number);
        }
        self.affect(crn);
        self.in_words(student, crn, true)
    }
}
