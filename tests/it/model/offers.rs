//! The part of the naive model about offers of seats.

use std::collections::BTreeMap;

use eduhub::domain::attempt::{Action, AttemptResult, Decided};
use eduhub::domain::book::TermBook;
use eduhub::domain::command::{Command, TermPatch};
use eduhub::domain::decide::Decision;
use eduhub::domain::ids::{Crn, UserName};
use eduhub::domain::offer::WaitlistMode;
use eduhub::domain::registration::{Registration, RegistrationStatus};
use eduhub::domain::section::SectionStatus;
use eduhub::domain::view::TermView;
use jiff::{SignedDuration, Timestamp};

use super::choices::refused_by;
use super::naive::{Naive, SectionRecord, Status};
use super::seats::Companion;

/// Checks, without the model, that each offer has exactly one end among the attempts of a decision or is kept as it
/// was, and that it lapses at its time and not before.
pub(super) fn assert_ends_of_offers(
    before: &TermBook,
    after: &TermBook,
    decision: &Decision,
    command: &Command,
    now: Timestamp,
) {
    // A swap that is refused changes nothing. The next decision ends what has lapsed.
    let may_be_undone =
        matches!(command, Command::Batch(batch) if batch.swap) && decision.changes.registrations.is_empty();
    for r in after.students().flat_map(|(_, registrations)| registrations) {
        assert_eq!(r.status == RegistrationStatus::Offered, r.offer.is_some(), "{r:?}");
        assert!(may_be_undone || r.offer.is_none_or(|offer| now < offer.expires_at), "the offer has lapsed: {r:?}");
    }
    let mut attempts: BTreeMap<(&UserName, &Crn), Vec<&Decided>> = BTreeMap::new();
    for one in &decision.attempts {
        attempts.entry((&one.student, &one.crn)).or_default().push(one);
    }
    for (student, registrations) in before.students() {
        for offered in registrations.iter().filter(|r| r.status == RegistrationStatus::Offered) {
            let of_offer = attempts.get(&(student, &offered.crn)).map_or(&[][..], Vec::as_slice);
            let is = after.registrations(student).iter().find(|r| r.crn == offered.crn).unwrap();
            assert_one_end(offered, of_offer, is, now, may_be_undone);
        }
    }
    let lapses = decision.attempts.iter().filter(|one| one.action == Action::Lapse);
    for Decided { student, crn, .. } in lapses {
        let was = before.registrations(student).iter().find(|r| r.crn == *crn).and_then(|r| r.offer);
        assert!(was.is_some_and(|offer| offer.expires_at <= now), "{student} {crn} lapsed too early: {was:?}");
    }
}

/// Checks the attempts that concern one offer: the first that was granted ends it.
fn assert_one_end(was: &Registration, attempts: &[&Decided], is: &Registration, now: Timestamp, is_undone: bool) {
    let mut ends = attempts.iter().filter(|one| matches!(one.result, AttemptResult::Granted(_)) && !one.repeated);
    let lapses = attempts.iter().filter(|one| one.action == Action::Lapse).count();
    let has_lapsed = was.offer.unwrap().expires_at <= now && !is_undone;
    assert_eq!(lapses, usize::from(has_lapsed), "the time alone decides whether it lapses: {was:?} {attempts:?}");
    match ends.next() {
        None => {
            let kept = |r: &Registration| (r.status, r.at, r.offer.map(|offer| offer.expires_at));
            assert_eq!(kept(is), kept(was), "an offer without an end is kept");
        }
        Some(end) => {
            let is_end = match end.action {
                Action::Lapse => has_lapsed,
                Action::Register => end.result == AttemptResult::Granted(RegistrationStatus::Enrolled),
                Action::Drop => end.result == AttemptResult::Granted(RegistrationStatus::Dropped),
                Action::Promote | Action::Reorder => false,
            };
            assert!(is_end && has_lapsed == (end.action == Action::Lapse), "the end of {was:?} is {end:?}");
        }
    }
}

impl Naive {
    /// Ends reservations and offers whose time has come and reminds students of offers, before anything else.
    pub(super) fn handle_deadlines(&mut self) {
        let is_released = self.release_reserved();
        let has_due = self.handle_due_offers();
        if is_released || has_due {
            self.fill_seats();
        }
    }

    /// Ends the offers that are due, and sends the reminders that are due. Returns whether there were any.
    fn handle_due_offers(&mut self) -> bool {
        let mut due: Vec<(Timestamp, String, String)> = Vec::new();
        for r in &self.registrations {
            let Some((until, remind_at)) = r.offer else { continue };
            let deadline = remind_at.unwrap_or(until);
            if deadline <= self.now {
                due.push((deadline, r.student.clone(), r.crn.clone()));
            }
        }
        due.sort();
        for (_, student, crn) in &due {
            let of = self.registrations.iter_mut().find(|r| r.student == *student && r.crn == *crn).unwrap();
            let (until, remind_at) = of.offer.as_mut().unwrap();
            if *until > self.now {
                *remind_at = None;
                self.notices.push(format!("{student} {crn} offered offer reminder"));
                continue;
            }
            self.leave(student, crn, "lapsed");
        }
        !due.is_empty()
    }

    /// Gives a student on a waitlist the seat, or an offer of it. Returns which.
    pub(super) fn promote(&mut self, student: &str, crn: &str) -> Status {
        if self.offers.mode != Some(WaitlistMode::Offer) {
            self.set_status(student, crn, Status::Enrolled, "promoted");
            return Status::Enrolled;
        }
        let second = SignedDuration::from_secs(1);
        let mut lasts = i64::from(self.offers.offer_s.unwrap_or(24 * 60 * 60));
        let day = second * 60 * 60 * 24;
        if self.opens.is_some_and(|opens| opens <= self.now && self.now < opens + day) {
            lasts = lasts.min(i64::from(self.offers.first_day_s.unwrap_or(15 * 60)));
        }
        let mut until = self.now + SignedDuration::from_secs(lasts);
        if let Some(end) = self.cutoffs.waitlist_until {
            until = until.min(end);
        }
        let lasts = until.duration_since(self.now);
        let remind_at = (lasts >= second * 300).then(|| until - lasts / 4);
        let choices = self.registration(student, crn).unwrap().choices.clone();
        self.set_status(student, crn, Status::Offered, "offer");
        let of = self.registration_mut(student, crn);
        (of.offer, of.choices) = (Some((until, remind_at)), choices);
        Status::Offered
    }

    /// Accepts an offer, with its bundle. If the section requires another one that is offered, both are accepted.
    pub(super) fn accept(&mut self, student: &str, section: &SectionRecord) -> String {
        let crn = section.definition.id.crn.to_string();
        let mut set = self.bundle(student, &crn);
        if let Some((by, refusal)) = self.refusal_of_set(student, &set) {
            let linked = self.linked_set(student, &crn);
            if set.len() > 1 || linked.len() == 1 || self.refusal_of_set(student, &linked).is_some() {
                return refused_by(&crn, &by, refusal);
            }
            set = linked;
        }
        let given_up = self.given_up(student, &set);
        for other in &set[1..] {
            self.enroll_offered(student, other);
            self.note_too(student, other, "register");
        }
        for ended in given_up {
            self.leave(student, &ended, "self");
            self.note_too(student, &ended, "drop");
        }
        self.enroll_offered(student, &crn);
        self.in_words(student, &crn, true)
    }

    /// Gives a student the seat that was kept, in the reservation for which it was kept.
    fn enroll_offered(&mut self, student: &str, crn: &str) {
        let reserved_for = self.registration(student, crn).unwrap().reserved_for.clone();
        self.set_status(student, crn, Status::Enrolled, "self");
        let of = self.registrations.iter_mut().find(|r| r.student == student && r.crn == crn).unwrap();
        of.reserved_for = reserved_for;
    }

    pub(super) fn refusal_to_accept(
        &self,
        student: &str,
        section: &SectionRecord,
        with: &[Companion],
    ) -> Option<String> {
        let refusal = self.promotion_refusal(student, section, with);
        // A hold comes before a cancellation, and everything else after it.
        let is_hold = refusal.as_ref().is_some_and(|refusal| refusal.starts_with("hold"));
        let is_cancelled = section.definition.status == SectionStatus::Cancelled;
        if is_cancelled && !is_hold { Some("section_cancelled".to_owned()) } else { refusal }
    }

    pub(super) fn put_offers(&mut self, patch: &TermPatch) {
        self.offers.mode = patch.waitlist.unwrap_or(self.offers.mode);
        self.offers.offer_s = patch.offer_s.unwrap_or(self.offers.offer_s);
        self.offers.first_day_s = patch.offer_first_day_s.unwrap_or(self.offers.first_day_s);
        let priority = patch.waitlist_priority.clone().unwrap_or(self.offers.priority.clone());
        if priority != self.offers.priority {
            self.offers.priority = priority;
            let students: Vec<String> = self.registrations.iter().map(|one| one.student.clone()).collect();
            students.iter().for_each(|student| self.order_by_priority(student));
            self.affect_all();
        }
    }
}
