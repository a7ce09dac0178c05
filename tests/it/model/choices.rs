//! The part of the naive model about waitlist choices.

use std::collections::BTreeMap;

use eduhub::domain::attempt::{Action, Decided};
use eduhub::domain::book::TermBook;
use eduhub::domain::choices::WaitlistChoices;
use eduhub::domain::command::{Batch, Command};
use eduhub::domain::decide::Decision;
use eduhub::domain::ids::{Crn, UserName};
use eduhub::domain::registration::{Registration, RegistrationStatus};
use eduhub::domain::section::SectionStatus;
use eduhub::domain::student::HeldAction;
use eduhub::domain::view::TermView;

use super::facts;
use super::naive::{Naive, Status};
use super::seats::Companion;

/// The choices of a student who joined a waitlist.
#[derive(Clone, Default, PartialEq)]
pub(super) struct Choices {
    pub(super) with: Vec<String>,
    pub(super) any_of: Vec<String>,
    pub(super) drop: Option<String>,
}

impl Choices {
    fn of(choices: &WaitlistChoices) -> Self {
        let texts = |crns: &[Crn]| crns.iter().map(ToString::to_string).collect();
        let drop = choices.drop.as_ref().map(ToString::to_string);
        Self { with: texts(&choices.with), any_of: texts(&choices.any_of), drop }
    }

    /// Returns the choices as seen from one of the sections in which the student waits.
    fn seen_from(&self, requested: &str, crn: &str) -> Self {
        let mut seen = self.clone();
        for list in [&mut seen.with, &mut seen.any_of] {
            if !list.is_empty() {
                list.insert(0, requested.to_owned());
                list.retain(|other| other != crn);
            }
        }
        seen
    }

    pub(super) fn in_words(&self) -> String {
        format!("{} {} {:?}", self.with.join("+"), self.any_of.join("|"), self.drop)
    }
}

/// Returns real choices in the words of the model.
pub(super) fn choices_in_words(registration: &Registration) -> String {
    registration.choices.as_deref().map(Choices::of).unwrap_or_default().in_words()
}

impl Naive {
    /// Registers with choices. Returns the section of the reply, and the reply.
    pub(super) fn register_with(&mut self, student: &str, crn: &str, choices: &WaitlistChoices) -> (String, String) {
        let is_registered =
            |naive: &Self, crn: &str| naive.registration(student, crn).is_some_and(|r| r.status != Status::Dropped);
        if self.section(crn).is_none() || is_registered(self, crn) {
            return (crn.to_owned(), self.register(student, crn, true));
        }
        let choices = Choices::of(choices);
        let with = choices.with.iter().map(|other| (other, "with"));
        for (other, field) in with.chain(choices.any_of.iter().map(|other| (other, "any_of"))) {
            if self.section(other).is_none() {
                return (crn.to_owned(), format!("in {other} not found {field}"));
            }
            if is_registered(self, other) {
                return (crn.to_owned(), format!("in {other} already_in_course {other}"));
            }
        }
        let is_enrolled = |crn: &String| self.registration(student, crn).is_some_and(|r| r.status == Status::Enrolled);
        if let Some(dropped) = choices.drop.as_ref().filter(|crn| !is_enrolled(crn)) {
            return (crn.to_owned(), format!("in {dropped} not found drop"));
        }
        let given_up: Vec<String> = choices.drop.iter().cloned().collect();
        let own = [crn.to_owned()];
        let together: Vec<String> = own.iter().chain(&choices.with).cloned().collect();
        let mut sets: Vec<Vec<String>> = own.iter().chain(&choices.any_of).map(|crn| vec![crn.clone()]).collect();
        if choices.any_of.is_empty() {
            sets = vec![together];
        }
        let with_seats = sets.iter().find(|set| self.has_seats(student, set)).cloned();
        let is_position = with_seats.is_none();
        let judged = with_seats.map_or(sets, |set| vec![set]);
        let mut refusal = None;
        for set in &judged {
            for at in 0..set.len() {
                let companions = companions(set, at, is_position, &given_up);
                let section = self.section(&set[at]).unwrap();
                let found = self.judge(student, section, is_position, &companions);
                refusal = refusal.or(found.map(|refusal| (set[at].clone(), refusal)));
            }
        }
        if let Some((by, refusal)) = refusal.or_else(|| self.refusal_to_give_up(student, &given_up)) {
            return (crn.to_owned(), refused_by(crn, &by, refusal));
        }
        let gets: Vec<String> = judged.into_iter().flatten().collect();
        if !is_position {
            for dropped in &given_up {
                self.leave(student, dropped, "self");
                self.note_too(student, dropped, "drop");
            }
        }
        for one in &gets {
            self.set_status(student, one, if is_position { Status::Waitlisted } else { Status::Enrolled }, "self");
            if is_position {
                self.registration_mut(student, one).choices = choices.seen_from(crn, one);
            }
        }
        gets[1..].iter().for_each(|other| self.note_too(student, other, "register"));
        (gets[0].clone(), self.in_words(student, &gets[0], true))
    }

    fn has_seats(&self, student: &str, set: &[String]) -> bool {
        (0..set.len()).all(|at| {
            let section = self.section(&set[at]).unwrap();
            self.seats_beside(student, section, &companions(set, at, false, &[])) > 0
        })
    }

    /// Registers for the adds of a batch: those with choices after the others.
    pub(super) fn add_with_choices(&mut self, batch: &Batch) -> Vec<(String, String)> {
        let plain = batch.add.iter().filter(|crn| !batch.choices.contains_key(*crn)).cloned().collect();
        let mut replies: BTreeMap<String, (String, String)> = BTreeMap::new();
        for (crn, reply) in self.add_all(&Batch { add: plain, ..batch.clone() }) {
            replies.insert(crn.clone(), (crn, reply));
        }
        for crn in &batch.add {
            if let Some(choices) = batch.choices.get(crn) {
                replies.insert(crn.to_string(), self.register_with(batch.student.as_str(), crn.as_str(), choices));
            }
        }
        batch.add.iter().map(|crn| replies.remove(crn.as_str()).unwrap()).collect()
    }

    /// Records what a request changes in addition to its own section.
    pub(super) fn note_too(&mut self, student: &str, crn: &str, action: &str) {
        let reply = self.in_words(student, crn, true);
        self.changed_too.push((student.to_owned(), crn.to_owned(), action.to_owned(), reply));
    }

    /// Removes a student from a section, which is then no longer a choice.
    pub(super) fn leave(&mut self, student: &str, crn: &str, reason: &str) {
        self.set_status(student, crn, Status::Dropped, reason);
        for registration in self.registrations.iter_mut().filter(|r| r.student == student) {
            let choices = &mut registration.choices;
            choices.with.retain(|other| other != crn);
            choices.any_of.retain(|other| other != crn);
            choices.drop = choices.drop.take().filter(|other| other != crn);
        }
        self.affect(crn);
        self.affect_waitlists_of(student);
    }

    /// Returns the sections that the student gives up for seats in a set: alternatives, and sections of swaps.
    pub(super) fn given_up(&self, student: &str, set: &[String]) -> Vec<String> {
        let mut given_up = Vec::new();
        for crn in set {
            let choices = self.registration(student, crn).unwrap().choices.clone();
            for other in choices.any_of.into_iter().chain(choices.drop) {
                let is_held = self.registration(student, &other).is_some_and(|r| r.status != Status::Dropped);
                if is_held && !set.contains(&other) && !given_up.contains(&other) {
                    given_up.push(other);
                }
            }
        }
        given_up
    }

    /// Returns why a student cannot drop a section now.
    pub(super) fn refusal_of_drop(&self, student: &str, crn: &str) -> Option<String> {
        let is_seat = self.registration(student, crn).unwrap().status == Status::Enrolled;
        if !is_seat || self.section(crn).unwrap().definition.status == SectionStatus::Cancelled {
            return None;
        }
        if self.is_past(self.cutoffs.drop_until) {
            let stated = self.facts(student).cloned().unwrap_or_default();
            let (opens, _) = facts::window(self.opens, self.closes, &self.windows, &stated);
            return Some(format!("registration_closed {opens:?} {:?} at {} Drop", self.cutoffs.drop_until, self.now));
        }
        facts::held(self.facts(student), HeldAction::Drop)
    }

    fn refusal_to_give_up(&self, student: &str, given_up: &[String]) -> Option<(String, String)> {
        given_up.iter().find_map(|crn| Some((crn.clone(), self.refusal_of_drop(student, crn)?)))
    }

    /// Returns why a student cannot get the seats of a set, and the section that refuses it.
    pub(super) fn refusal_of_set(&self, student: &str, set: &[String]) -> Option<(String, String)> {
        let given_up = self.given_up(student, set);
        for at in 0..set.len() {
            let with = companions(set, at, false, &given_up);
            if let Some(refusal) = self.refusal_to_accept(student, self.section(&set[at]).unwrap(), &with) {
                return Some((set[at].clone(), refusal));
            }
        }
        self.refusal_to_give_up(student, &given_up)
    }

    /// Returns a section and the others of its bundle in which the student has the same status.
    pub(super) fn bundle(&self, student: &str, crn: &str) -> Vec<String> {
        let own = self.registration(student, crn).unwrap();
        let is_same = |other: &&String| self.registration(student, other).is_some_and(|r| r.status == own.status);
        let others: Vec<String> = own.choices.with.iter().filter(is_same).cloned().collect();
        std::iter::once(crn.to_owned()).chain(others).collect()
    }

    /// Returns a section and those linked with it, in which the student has the same status.
    pub(super) fn linked_set(&self, student: &str, crn: &str) -> Vec<String> {
        let status = self.registration(student, crn).unwrap().status;
        let mut set = vec![crn.to_owned()];
        for other in self.registrations_of(student) {
            let is_alternative = other.choices.any_of.iter().any(|alternative| set.contains(alternative));
            let is_bundle = !other.choices.with.is_empty();
            if other.status == status
                && other.crn != crn
                && !is_alternative
                && !is_bundle
                && !self.is_offered_alternative(student, &other.crn)
                && self.belong_together(crn, &other.crn)
                && self.is_candidate(student, &other.crn, status)
            {
                set.push(other.crn);
            }
        }
        set
    }

    fn is_candidate(&self, student: &str, crn: &str, status: Status) -> bool {
        let seats = self.seats_for(self.section(crn).unwrap(), self.facts(student));
        status == Status::Offered || (seats > 0 && !self.affected.iter().any(|one| one == crn))
    }

    fn is_offered_alternative(&self, student: &str, crn: &str) -> bool {
        let any_of = &self.registration(student, crn).unwrap().choices.any_of;
        any_of.iter().any(|other| self.registration(student, other).is_some_and(|r| r.status == Status::Offered))
    }

    /// Returns the sections in which a student on a waitlist gets seats now, or the code with which the student is
    /// passed over. The code is empty if other students come first.
    pub(super) fn promotable(&self, student: &str, crn: &str) -> Result<Vec<String>, String> {
        if self.is_offered_alternative(student, crn) {
            return Err("already_in_course".to_owned());
        }
        let set = self.bundle(student, crn);
        if let Some((_, refusal)) = self.refusal_of_set(student, &set) {
            let together = self.linked_set(student, crn);
            let is_possible = set.len() == 1
                && together.len() > 1
                && self.has_seats(student, &together)
                && self.refusal_of_set(student, &together).is_none();
            return if is_possible { Ok(together) } else { Err(refusal.split(' ').next().unwrap().to_owned()) };
        }
        if set.len() > 1 && !self.has_seats(student, &set) {
            return Err("section_full".to_owned());
        }
        let are_others_first = |other: &String| self.affected.contains(other) && !self.has_seat_behind(student, other);
        if set[1..].iter().any(are_others_first) { Err(String::new()) } else { Ok(set) }
    }

    /// Returns whether a seat is left for a student if everyone ahead takes one.
    fn has_seat_behind(&self, student: &str, crn: &str) -> bool {
        let section = self.section(crn).unwrap();
        let pool = self.pool(&section.definition);
        let mut crns: Vec<String> = pool.iter().map(|s| s.definition.id.crn.to_string()).collect();
        if crns.is_empty() {
            crns.push(crn.to_owned());
        }
        let own = self.registration(student, crn).unwrap();
        let own = (own.priority, own.queue_number);
        let ahead = crns
            .iter()
            .flat_map(|crn| self.waitlist(crn))
            .filter(|other| (other.priority, other.queue_number) < own)
            .count();
        self.seats_for(section, self.facts(student)) as usize > ahead
    }

    /// Gives a student seats, or offers of them. With seats, the student gives up the chosen sections.
    pub(super) fn promote_set(&mut self, student: &str, set: &[String]) {
        let given_up = self.given_up(student, set);
        let are_seats = set.iter().fold(true, |_, crn| self.promote(student, crn) == Status::Enrolled);
        if are_seats {
            given_up.iter().for_each(|crn| self.leave(student, crn, "promoted"));
        }
    }
}

/// Returns the other sections of a set, and those that are given up.
pub(super) fn companions(set: &[String], at: usize, is_position: bool, given_up: &[String]) -> Vec<Companion> {
    let others = (0..set.len()).filter(|other| *other != at);
    let others = others.map(|other| Companion {
        crn: set[other].clone(),
        is_position,
        is_earlier: other < at,
        is_given_up: false,
    });
    let given_up = given_up.iter().map(|crn| Companion {
        crn: crn.clone(),
        is_position: true,
        is_earlier: false,
        is_given_up: true,
    });
    others.chain(given_up).collect()
}

/// Returns a refusal in the words of the reply to a request for `crn`.
pub(super) fn refused_by(crn: &str, by: &str, refusal: String) -> String {
    if crn == by { refusal } else { format!("in {by} {refusal}") }
}

/// Checks the hub's guarantees about waitlist choices, without the model.
pub(super) fn assert_choices(before: &TermBook, after: &TermBook, decision: &Decision, command: &Command) {
    for (student, registrations) in after.students() {
        registrations.iter().for_each(|registration| assert_consistent(after, student, registration));
    }
    // A batch that drops one section of a bundle leaves all of them first. Its adds are new requests.
    let is_left_by_batch = |student: &UserName, choices: &WaitlistChoices| match command {
        Command::Batch(batch) => batch.student == *student && choices.with.iter().any(|crn| batch.drop.contains(crn)),
        _ => false,
    };
    for (student, changed) in &decision.changes.registrations {
        let was = before.registrations(student).iter().find(|r| r.crn == changed.crn);
        let Some((was, choices)) = was.and_then(|was| Some((was, was.choices.as_deref()?))) else { continue };
        // The choices of an offer end when it lapses. The command's requests are then new, too.
        let is_lapse =
            |one: &Decided| one.action == Action::Lapse && (&one.student, &one.crn) == (student, &changed.crn);
        if is_left_by_batch(student, choices) || decision.attempts.iter().any(is_lapse) {
            continue;
        }
        let status_of = |crn: &Crn| after.registrations(student).iter().find(|r| r.crn == *crn).unwrap().status;
        let is_seat = changed.status == RegistrationStatus::Enrolled;
        if is_seat || (changed.status == RegistrationStatus::Offered && changed.status != was.status) {
            for other in &choices.with {
                assert_eq!(status_of(other), changed.status, "{student} got half of {changed:?}, {choices:?}");
            }
        }
        if is_seat {
            for ended in choices.any_of.iter().chain(&choices.drop) {
                assert_eq!(status_of(ended), RegistrationStatus::Dropped, "{student} keeps {ended} beside {changed:?}");
            }
        }
    }
}

/// Checks that each choice of a registration refers back to it, and has the required status.
fn assert_consistent(book: &TermBook, student: &UserName, registration: &Registration) {
    let Some(choices) = registration.choices.as_deref() else { return };
    let is_waiting = |status| matches!(status, RegistrationStatus::Waitlisted | RegistrationStatus::Offered);
    assert!(is_waiting(registration.status) && !choices.is_empty(), "{registration:?}");
    let other = |crn: &Crn| book.registrations(student).iter().find(|r| r.crn == *crn).unwrap();
    for member in choices.with.iter().map(other) {
        assert_eq!((member.status, member.offer), (registration.status, registration.offer), "{student} {member:?}");
        assert!(member.bundle().contains(&registration.crn), "{student} {member:?}");
    }
    let alternatives: Vec<&Registration> = choices.any_of.iter().map(other).collect();
    for alternative in &alternatives {
        let its = alternative.choices.as_deref().unwrap();
        assert!(is_waiting(alternative.status) && its.any_of.contains(&registration.crn), "{student} {alternative:?}");
    }
    let offers = alternatives.into_iter().chain([registration]);
    assert!(offers.filter(|one| one.status == RegistrationStatus::Offered).count() < 2, "{student} has two offers");
    if let Some(dropped) = choices.drop.as_ref().map(other) {
        assert_eq!(dropped.status, RegistrationStatus::Enrolled, "{student} {dropped:?}");
    }
}
