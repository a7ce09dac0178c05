//! The part of the naive model about refusals: the rules, in their order.

use eduhub::domain::section::SectionStatus;
use eduhub::domain::student::{HeldAction, StudentFacts};
use eduhub::domain::term::Cutoffs;
use jiff::Timestamp;

use super::naive::{Naive, SectionRecord, Status, overlap, same_course_and_component};
use super::seats::Companion;
use super::{facts, seats};

impl Naive {
    /// Returns why a student cannot register for a section together with others; only a seat counts for the credit
    /// limit.
    fn refusal(&self, student: &str, section: &SectionRecord, is_seat: bool, with: &[Companion]) -> Option<String> {
        let crn = section.definition.id.crn.as_str();
        let mut registered: Vec<(String, bool, SectionRecord)> = self
            .registrations_of(student)
            .into_iter()
            .filter(|r| r.crn != crn && with.iter().all(|other| other.crn != r.crn))
            .map(|r| (r.crn.clone(), r.status == Status::Enrolled, self.section(&r.crn).unwrap().clone()))
            .filter(|(_, _, s)| s.definition.status != SectionStatus::Cancelled)
            .collect();
        let companion = |one: &Companion| (one.crn.clone(), !one.is_position, self.section(&one.crn).unwrap().clone());
        registered.extend(with.iter().filter(|one| one.is_earlier).map(companion));
        if let Some((same, ..)) =
            registered.iter().find(|(_, _, s)| same_course_and_component(&s.definition, &section.definition))
        {
            return Some(format!("already_in_course {same}"));
        }
        if let Some(refusal) = facts::too_often(self.facts(student), &section.definition) {
            return Some(refusal);
        }
        let later: Vec<_> = with.iter().filter(|one| !one.is_earlier && !one.is_given_up).map(companion).collect();
        let all = registered.iter().chain(&later);
        let taken: Vec<&SectionRecord> =
            all.filter(|(_, is_enrolled, _)| !is_seat || *is_enrolled).map(|(_, _, s)| s).collect();
        let courses: Vec<&str> = taken.iter().map(|s| &*s.definition.course).collect();
        if let Some(lacking) = facts::lacking(self.facts(student), &section.definition.prerequisites, &courses) {
            return Some(lacking);
        }
        let crns: Vec<String> = taken.iter().map(|s| s.definition.id.crn.to_string()).collect();
        if let Some(lacking) = self.lacks_linked(student, &section.definition, &crns) {
            return Some(lacking);
        }
        let overlapping: Vec<String> = registered
            .iter()
            .filter(|(_, _, s)| overlap(&s.definition, &section.definition))
            .map(|(crn, ..)| crn.clone())
            .collect();
        if !overlapping.is_empty() {
            return Some(format!("time_conflict {}", overlapping.join(",")));
        }
        let credits: u32 =
            registered.iter().filter(|(_, is_enrolled, _)| *is_enrolled).map(|(_, _, s)| s.definition.credits.0).sum();
        let added = section.definition.credits.0;
        let limit = self.facts(student).and_then(|facts| facts.credit_limit).map_or(self.limit, |own| own.0);
        if is_seat && limit > 0 && added > 0 && credits + added > limit {
            return Some(format!("credit_limit {credits} {} {limit}", credits + added));
        }
        seats::restricted(self.facts(student), &section.definition.restrictions)
    }

    /// Returns why a student on the waitlist of a section cannot get a seat.
    pub(super) fn promotion_refusal(
        &self,
        student: &str,
        section: &SectionRecord,
        with: &[Companion],
    ) -> Option<String> {
        let held = facts::held(self.facts(student), HeldAction::Register);
        held.or_else(|| self.refusal(student, section, true, with))
    }

    /// Returns why a student cannot get a seat, or a waitlist position.
    pub(super) fn judge(
        &self,
        student: &str,
        section: &SectionRecord,
        is_position: bool,
        with: &[Companion],
    ) -> Option<String> {
        let nothing = StudentFacts::default();
        let stated = self.facts(student).unwrap_or(&nothing);
        let (opens, closes) = facts::window(self.opens, self.closes, &self.windows, stated);
        let closed = |closes: Option<Timestamp>, what: &str| {
            Some(format!("registration_closed {opens:?} {closes:?} at {} {what}", self.now))
        };
        let Cutoffs { add_until, waitlist_until, .. } = self.cutoffs;
        if !self.is_within((opens, closes)) {
            return closed(closes, "Register");
        }
        if self.is_past(add_until) {
            return closed(add_until, "Add");
        }
        if is_position && self.is_past(waitlist_until) {
            return closed(waitlist_until, "Wait");
        }
        if let Some(held) = facts::held(self.facts(student), HeldAction::Register) {
            return Some(held);
        }
        match section.definition.status {
            SectionStatus::Cancelled => return Some("section_cancelled".to_owned()),
            SectionStatus::Open if section.definition.withdrawn => return Some("section_closed".to_owned()),
            SectionStatus::Closed => return Some("section_closed".to_owned()),
            SectionStatus::Open => {}
        }
        if let Some(refusal) = self.refusal(student, section, !is_position, with) {
            return Some(refusal);
        }
        let waiting = self.waitlisted(section);
        let room = waiting < section.definition.waitlist_capacity;
        if is_position {
            return (!room).then(|| format!("waitlist_full {waiting}"));
        }
        let room = room && !self.is_past(waitlist_until);
        let reserved = self.has_reserved_seats(section);
        (self.seats_beside(student, section, with) == 0).then(|| format!("section_full {room} {waiting} {reserved}"))
    }
}
