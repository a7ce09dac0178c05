//! A term as `docs/SEMANTICS.md` describes it, in simple lists, with everything computed when it is needed. It shares
//! only the types of commands with the hub.
//!
//! Among its guarantees: drops are always allowed, unless a hold blocks them; a batch drops first, and the seats that it
//! frees go to the waitlists before it adds; waitlists are processed in the order in which they were affected, then those of the affected
//! students, by name; a student is notified once for each reason of being passed over.

use std::collections::BTreeSet;

use eduhub::domain::command::{Batch, Command, FactsOfStudent, SectionEdit, SectionPatch, StagedImport};
use eduhub::domain::meeting::Meeting;
use eduhub::domain::section::{Section, SectionStatus};
use eduhub::domain::student::{HeldAction, StudentFacts};
use eduhub::domain::term::{GroupWindow, Term};
use jiff::Timestamp;
use jiff::civil::date;

use super::facts;

/// The expected reply to a command, and the expected notices to students.
pub(crate) struct Expected {
    pub(crate) reply: Vec<String>,
    pub(crate) notices: Vec<String>,
}

/// A section as staff, imports and the catalogue define it.
#[derive(Clone)]
struct SectionRecord {
    definition: Section,
    /// Students enrolled and waitlisted outside the hub.
    outside: (u32, u32),
    /// Totals of the last import that counted.
    file_totals: Option<(u32, u32)>,
}

#[derive(Clone, Copy, PartialEq)]
enum Status {
    Enrolled,
    Waitlisted,
    Dropped,
}

impl Status {
    fn word(self) -> &'static str {
        match self {
            Self::Enrolled => "enrolled",
            Self::Waitlisted => "waitlisted",
            Self::Dropped => "dropped",
        }
    }
}

#[derive(Clone)]
struct Registration {
    student: String,
    crn: String,
    status: Status,
    since: Timestamp,
    /// Order of joining the waitlist, a number that only grows.
    queue_number: u64,
    /// The last reason for being passed over that the student was notified of.
    passed_over_for: String,
}

/// The naive model.
#[derive(Clone)]
pub(crate) struct Naive {
    limit: u32,
    opens: Option<Timestamp>,
    closes: Option<Timestamp>,
    windows: Vec<GroupWindow>,
    facts: Vec<(String, StudentFacts)>,
    sections: Vec<SectionRecord>,
    registrations: Vec<Registration>,
    queue_numbers: u64,
    now: Timestamp,
    notices: Vec<String>,
    /// Waitlists to process, in this order.
    affected: Vec<String>,
}

impl Naive {
    pub(crate) fn new(limit: u32, term: &Term) -> Self {
        Self {
            limit,
            opens: term.opens_at,
            closes: term.closes_at,
            windows: Vec::new(),
            facts: Vec::new(),
            sections: Vec::new(),
            registrations: Vec::new(),
            queue_numbers: 0,
            now: Timestamp::UNIX_EPOCH,
            notices: Vec::new(),
            affected: Vec::new(),
        }
    }

    /// Decides and applies a command, and then processes the waitlists.
    pub(crate) fn decide(&mut self, command: &Command, now: Timestamp) -> Expected {
        self.now = now;
        self.notices.clear();
        let reply = match command {
            Command::Register { student, crn, waitlist } => {
                vec![self.register(student.as_str(), crn.as_str(), *waitlist)]
            }
            Command::Drop { student, crn } => vec![self.drop_section(student.as_str(), crn.as_str())],
            Command::Batch(batch) if batch.swap => self.swap(batch),
            Command::Batch(batch) => self.batch(batch),
            Command::PatchSection { crn, patch } => vec![self.patch(crn.as_str(), patch)],
            Command::PutTerm(patch) => {
                self.opens = patch.opens_at.unwrap_or(self.opens);
                self.closes = patch.closes_at.unwrap_or(self.closes);
                self.windows = patch.windows.clone().unwrap_or(self.windows.clone());
                vec!["term changed".to_owned()]
            }
            Command::ApplyImport(import) => vec![self.import(import)],
            Command::PutSections(edits) => vec![self.put_sections(edits)],
            Command::PutFacts(stated) => vec![self.state_facts(stated)],
            Command::Settle => vec!["settled".to_owned()],
        };
        self.fill_seats();
        Expected { reply, notices: self.notices.clone() }
    }

    /// Returns whether registration is open for the term or one of its groups.
    fn is_open_for_anyone(&self) -> bool {
        let of_group = |window: &GroupWindow| (Some(window.opens_at), window.closes_at.or(self.closes));
        let is_open_for_a_group = self.windows.iter().any(|window| self.is_within(of_group(window)));
        self.is_within((self.opens, self.closes)) || (self.opens.is_some() && is_open_for_a_group)
    }
    fn is_within(&self, (opens, closes): (Option<Timestamp>, Option<Timestamp>)) -> bool {
        opens.is_some_and(|o| o <= self.now) && closes.is_none_or(|c| self.now < c)
    }
    /// Returns what the college states about a student.
    fn facts(&self, student: &str) -> Option<&StudentFacts> {
        self.facts.iter().find(|(name, _)| name == student).map(|(_, facts)| facts)
    }
    fn section(&self, crn: &str) -> Option<&SectionRecord> {
        self.sections.iter().find(|s| s.definition.id.crn.as_str() == crn)
    }
    /// Returns the expected definition of a section.
    pub(crate) fn definition(&self, crn: &str) -> Option<&Section> {
        self.section(crn).map(|section| &section.definition)
    }
    fn registration(&self, student: &str, crn: &str) -> Option<&Registration> {
        self.registrations.iter().find(|r| r.student == student && r.crn == crn)
    }
    fn enrolled(&self, crn: &str) -> u32 {
        self.registrations.iter().filter(|r| r.crn == crn && r.status == Status::Enrolled).count() as u32
    }
    fn waitlist(&self, crn: &str) -> Vec<Registration> {
        let mut waitlist: Vec<Registration> =
            self.registrations.iter().filter(|r| r.crn == crn && r.status == Status::Waitlisted).cloned().collect();
        waitlist.sort_by_key(|r| r.queue_number);
        waitlist
    }
    fn waitlisted(&self, section: &SectionRecord) -> u32 {
        self.waitlist(section.definition.id.crn.as_str()).len() as u32 + section.outside.1
    }
    /// Returns the number of seats that are neither taken nor reserved outside the hub.
    fn free(&self, section: &SectionRecord) -> u32 {
        let taken = self.enrolled(section.definition.id.crn.as_str()) + section.outside.0 + section.outside.1;
        if section.definition.status == SectionStatus::Cancelled || taken > section.definition.capacity {
            return 0;
        }
        section.definition.capacity - taken
    }
    fn open_seats(&self, section: &SectionRecord) -> u32 {
        let open = section.definition.status == SectionStatus::Open && !section.definition.withdrawn;
        if open { self.free(section) } else { 0 }
    }
    /// Returns the seats and waitlist positions of a student, in the order of registration.
    fn registrations_of(&self, student: &str) -> Vec<Registration> {
        let mut all: Vec<Registration> = self
            .registrations
            .iter()
            .filter(|r| r.student == student && r.status != Status::Dropped)
            .cloned()
            .collect();
        all.sort_by(|a, b| (a.since, &a.crn).cmp(&(b.since, &b.crn)));
        all
    }

    /// Returns why a student cannot register for a section; only a seat counts for the credit limit.
    fn refusal(&self, student: &str, section: &SectionRecord, is_seat: bool) -> Option<String> {
        let crn = section.definition.id.crn.as_str();
        let registered: Vec<(Registration, SectionRecord)> = self
            .registrations_of(student)
            .into_iter()
            .filter(|r| r.crn != crn)
            .map(|r| (r.clone(), self.section(&r.crn).unwrap().clone()))
            .filter(|(_, s)| s.definition.status != SectionStatus::Cancelled)
            .collect();
        if let Some((same, _)) =
            registered.iter().find(|(_, s)| same_course_and_component(&s.definition, &section.definition))
        {
            return Some(format!("already_in_course {}", same.crn));
        }
        let taken: Vec<&str> = registered
            .iter()
            .filter(|(r, _)| !is_seat || r.status == Status::Enrolled)
            .map(|(_, s)| &*s.definition.course)
            .collect();
        if let Some(lacking) = facts::lacking(self.facts(student), &section.definition.prerequisites, &taken) {
            return Some(lacking);
        }
        let overlapping: Vec<String> = registered
            .iter()
            .filter(|(_, s)| overlap(&s.definition, &section.definition))
            .map(|(r, _)| r.crn.clone())
            .collect();
        if !overlapping.is_empty() {
            return Some(format!("time_conflict {}", overlapping.join(",")));
        }
        let credits: u32 =
            registered.iter().filter(|(r, _)| r.status == Status::Enrolled).map(|(_, s)| s.definition.credits.0).sum();
        let added = section.definition.credits.0;
        let limit = self.facts(student).and_then(|facts| facts.credit_limit).map_or(self.limit, |own| own.0);
        if is_seat && limit > 0 && added > 0 && credits + added > limit {
            return Some(format!("credit_limit {credits} {} {limit}", credits + added));
        }
        None
    }

    fn register(&mut self, student: &str, crn: &str, waitlist: bool) -> String {
        let Some(section) = self.section(crn).cloned() else { return "not found".to_owned() };
        if self.registration(student, crn).is_some_and(|r| r.status != Status::Dropped) {
            return self.in_words(student, crn, false);
        }
        let nothing = StudentFacts::default();
        let stated = self.facts(student).unwrap_or(&nothing);
        let (opens, closes) = facts::window(self.opens, self.closes, &self.windows, stated);
        if !self.is_within((opens, closes)) {
            return format!("registration_closed {opens:?} {closes:?} at {}", self.now);
        }
        if let Some(held) = facts::held(self.facts(student), HeldAction::Register) {
            return held;
        }
        match section.definition.status {
            SectionStatus::Cancelled => return "section_cancelled".to_owned(),
            SectionStatus::Open if section.definition.withdrawn => return "section_closed".to_owned(),
            SectionStatus::Closed => return "section_closed".to_owned(),
            SectionStatus::Open => {}
        }
        let seat = self.free(&section) > 0;
        if let Some(refusal) = self.refusal(student, &section, seat || !waitlist) {
            return refusal;
        }
        let waiting = self.waitlisted(&section);
        let room = waiting < section.definition.waitlist_capacity;
        let status = match (seat, waitlist, room) {
            (true, _, _) => Status::Enrolled,
            (false, false, _) => return format!("section_full {room} {waiting}"),
            (false, true, true) => Status::Waitlisted,
            (false, true, false) => return format!("waitlist_full {waiting}"),
        };
        self.set_status(student, crn, status, "self");
        self.in_words(student, crn, true)
    }

    fn drop_section(&mut self, student: &str, crn: &str) -> String {
        let Some(current) = self.registration(student, crn) else { return "not found".to_owned() };
        if current.status == Status::Dropped {
            return self.in_words(student, crn, false);
        }
        let is_cancelled = self.section(crn).unwrap().definition.status == SectionStatus::Cancelled;
        if current.status == Status::Enrolled
            && !is_cancelled
            && let Some(held) = facts::held(self.facts(student), HeldAction::Drop)
        {
            return held;
        }
        self.set_status(student, crn, Status::Dropped, "self");
        self.affect(crn);
        self.affect_waitlists_of(student);
        self.in_words(student, crn, true)
    }

    fn batch(&mut self, batch: &Batch) -> Vec<String> {
        let student = batch.student.as_str();
        let mut drops = Vec::new();
        for crn in &batch.drop {
            drops.push(format!("{crn} {}", self.drop_section(student, crn.as_str())));
            self.fill_seats();
        }
        let mut replies: Vec<String> = Vec::new();
        for crn in &batch.add {
            replies.push(format!("{crn} {}", self.register(student, crn.as_str(), batch.waitlist)));
        }
        replies.extend(drops);
        replies
    }

    fn swap(&mut self, batch: &Batch) -> Vec<String> {
        let before = self.clone();
        let student = batch.student.as_str();
        let mut drops = Vec::new();
        for crn in &batch.drop {
            drops.push((crn.as_str(), self.drop_section(student, crn.as_str())));
        }
        let mut replies = Vec::new();
        for crn in &batch.add {
            replies.push((crn.as_str(), self.register(student, crn.as_str(), batch.waitlist)));
        }
        replies.extend(drops);
        let succeeded = |reply: &str| ["enrolled ", "waitlisted ", "dropped "].iter().any(|w| reply.starts_with(w));
        if let Some((failed, _)) = replies.iter().find(|(_, reply)| !succeeded(reply)) {
            let failed = (*failed).to_owned();
            let undone = replies.iter().map(|(crn, reply)| {
                if succeeded(reply) { format!("{crn} undone {failed}") } else { format!("{crn} {reply}") }
            });
            let undone = undone.collect();
            *self = before;
            return undone;
        }
        self.fill_seats();
        replies
            .iter()
            .map(|(crn, reply)| {
                let was_promoted = reply.starts_with("waitlisted")
                    && self.registration(student, crn).unwrap().status == Status::Enrolled;
                if was_promoted {
                    format!("{crn} {}", self.in_words(student, crn, true))
                } else {
                    format!("{crn} {reply}")
                }
            })
            .collect()
    }

    fn patch(&mut self, crn: &str, patch: &SectionPatch) -> String {
        let Some(at) = self.sections.iter().position(|s| s.definition.id.crn.as_str() == crn) else {
            return "no such section".to_owned();
        };
        let section = &mut self.sections[at];
        let status_before = section.definition.status;
        section.definition.capacity = patch.capacity.unwrap_or(section.definition.capacity);
        section.definition.waitlist_capacity = patch.waitlist_capacity.unwrap_or(section.definition.waitlist_capacity);
        section.definition.status = patch.status.unwrap_or(status_before);
        section.outside.0 = patch.outside_enrolled.unwrap_or(section.outside.0);
        section.outside.1 = patch.outside_waitlisted.unwrap_or(section.outside.1);
        let status = section.definition.status;
        self.affect(crn);
        if status != status_before {
            for registration in self.registrations_in(&[crn.to_owned()]) {
                if status == SectionStatus::Cancelled {
                    self.notices.push(format!(
                        "{} {crn} {} cancelled",
                        registration.student,
                        registration.status.word()
                    ));
                } else if status_before == SectionStatus::Cancelled {
                    self.notices.push(format!("{} {crn} {} staff", registration.student, registration.status.word()));
                }
                self.affect_waitlists_of(&registration.student);
            }
        }
        "section changed".to_owned()
    }

    fn import(&mut self, import: &StagedImport) -> String {
        let totals_count = import.apply_totals_while_open || !self.is_open_for_anyone();
        let mut definitions = Vec::new();
        for row in &import.sections {
            let crn = row.section.id.crn.as_str();
            let (enrolled_in_hub, waitlisted_in_hub) = (self.enrolled(crn), self.waitlist(crn).len() as u32);
            let old = self.section(crn).cloned();
            let mut new = old.clone().unwrap_or(SectionRecord {
                definition: (*row.section).clone(),
                outside: (0, 0),
                file_totals: None,
            });
            let Section { status, withdrawn, meetings, .. } = new.definition;
            let same_meetings = known_meetings(&meetings) == known_meetings(&row.section.meetings);
            let meetings = if same_meetings { meetings } else { row.section.meetings.clone() };
            new.definition = Section { status, withdrawn, meetings, ..(*row.section).clone() };
            if let Some((enrolled, waitlisted)) = row.totals
                && row.totals != new.file_totals
                && (old.is_none() || totals_count)
            {
                new.outside =
                    (enrolled - enrolled.min(enrolled_in_hub), waitlisted - waitlisted.min(waitlisted_in_hub));
                new.file_totals = row.totals;
            }
            definitions.push((old, new));
        }
        self.define(definitions, import.unchanged)
    }

    fn put_sections(&mut self, edits: &[SectionEdit]) -> String {
        let mut definitions = Vec::new();
        for edit in edits {
            let Some(old) = self.section(edit.target.id.crn.as_str()).cloned() else {
                definitions.push((
                    None,
                    SectionRecord { definition: (*edit.target).clone(), outside: (0, 0), file_totals: None },
                ));
                continue;
            };
            let mut new = old.clone();
            if let Some(base) = &edit.base {
                let (current, base, target) = (&mut new.definition, base, &edit.target);
                merge(&mut current.course, &base.course, &target.course);
                merge(&mut current.credits, &base.credits, &target.credits);
                merge(&mut current.meetings, &base.meetings, &target.meetings);
                merge(&mut current.component, &base.component, &target.component);
                merge(&mut current.section, &base.section, &target.section);
                merge(&mut current.title, &base.title, &target.title);
                merge(&mut current.instructor, &base.instructor, &target.instructor);
                merge(&mut current.method, &base.method, &target.method);
                merge(&mut current.campus, &base.campus, &target.campus);
                merge(&mut current.linked, &base.linked, &target.linked);
                merge(&mut current.prerequisites, &base.prerequisites, &target.prerequisites);
                merge(&mut current.capacity, &base.capacity, &target.capacity);
                merge(&mut current.waitlist_capacity, &base.waitlist_capacity, &target.waitlist_capacity);
                merge(&mut current.withdrawn, &base.withdrawn, &target.withdrawn);
            }
            definitions.push((Some(old), new));
        }
        self.define(definitions, 0)
    }

    /// Applies definitions, each with the old one if there is one, and returns how many were created and updated.
    fn define(&mut self, definitions: Vec<(Option<SectionRecord>, SectionRecord)>, mut unchanged: u64) -> String {
        let (mut created, mut updated) = (0, 0);
        let mut changed_for_rules = Vec::new();
        for (old, new) in definitions {
            let crn = new.definition.id.crn.to_string();
            match &old {
                None => created += 1,
                Some(o)
                    if o.definition == new.definition
                        && o.outside == new.outside
                        && o.file_totals == new.file_totals =>
                {
                    unchanged += 1;
                    continue;
                }
                Some(o) => {
                    updated += 1;
                    let (a, b) = (&o.definition, &new.definition);
                    if a.meetings != b.meetings || a.credits != b.credits || !same_course_and_component(a, b) {
                        changed_for_rules.push(crn.clone());
                    }
                }
            }
            self.sections.retain(|s| s.definition.id != new.definition.id);
            self.sections.push(new);
            self.affect(&crn);
        }
        for registration in self.registrations_in(&changed_for_rules) {
            self.affect_waitlists_of(&registration.student);
        }
        format!("imported {created} {updated} {unchanged}")
    }

    /// Returns all registrations in these sections, by student.
    fn registrations_in(&self, crns: &[String]) -> Vec<Registration> {
        let holds = |r: &&Registration| r.status != Status::Dropped && crns.contains(&r.crn);
        let mut found: Vec<Registration> = self.registrations.iter().filter(holds).cloned().collect();
        found.sort_by(|a, b| (&a.student, &a.crn).cmp(&(&b.student, &b.crn)));
        found
    }

    /// Puts a waitlist last in the list of those to process, unless it is in the list.
    fn affect(&mut self, crn: &str) {
        if !self.affected.iter().any(|one| one == crn) {
            self.affected.push(crn.to_owned());
        }
    }
    fn affect_waitlists_of(&mut self, student: &str) {
        let waitlists: Vec<String> = self
            .registrations_of(student)
            .into_iter()
            .filter(|r| r.status == Status::Waitlisted)
            .map(|r| r.crn)
            .collect();
        waitlists.iter().for_each(|crn| self.affect(crn));
    }
    /// Affects the waitlists of a student where a course of the same term can be sufficient.
    fn affect_waitlists_with_concurrent_courses(&mut self, student: &str) {
        for waiting in self.registrations_of(student) {
            let required = &self.section(&waiting.crn).unwrap().definition.prerequisites;
            if waiting.status == Status::Waitlisted && required.iter().any(facts::has_concurrent) {
                self.affect(&waiting.crn);
            }
        }
    }

    fn state_facts(&mut self, stated: &[FactsOfStudent]) -> String {
        for (student, facts) in stated {
            let student = student.as_str();
            if self.facts(student) != facts.as_deref() {
                self.facts.retain(|(name, _)| name != student);
                self.facts.extend(facts.iter().map(|facts| (student.to_owned(), (**facts).clone())));
                self.affect_waitlists_of(student);
            }
        }
        "facts changed".to_owned()
    }

    /// Processes the waitlists that were affected, and then all others, which must not change.
    fn fill_seats(&mut self) {
        while !self.affected.is_empty() {
            let crn = self.affected.remove(0);
            self.fill_seats_of(&crn);
        }
        let all: Vec<String> = self.sections.iter().map(|s| s.definition.id.crn.to_string()).collect();
        all.iter().for_each(|crn| self.fill_seats_of(crn));
    }

    fn fill_seats_of(&mut self, crn: &str) {
        if let Some(section) = self.section(crn).cloned() {
            for waiting in self.waitlist(crn) {
                if self.free(&section) == 0 {
                    break;
                }
                let held = facts::held(self.facts(&waiting.student), HeldAction::Register);
                match held.or_else(|| self.refusal(&waiting.student, &section, true)) {
                    None => self.set_status(&waiting.student, crn, Status::Enrolled, "promoted"),
                    Some(refusal) => {
                        let code = refusal.split(' ').next().unwrap().to_owned();
                        let registered = self
                            .registrations
                            .iter_mut()
                            .find(|r| r.student == waiting.student && r.crn == crn)
                            .unwrap();
                        if registered.passed_over_for != code {
                            self.notices.push(format!("{} {crn} waitlisted passed_over {code}", waiting.student));
                            registered.passed_over_for = code;
                        }
                    }
                }
            }
        }
    }

    /// Sets a student's status and notifies the student.
    fn set_status(&mut self, student: &str, crn: &str, status: Status, reason: &str) {
        self.registrations.retain(|r| !(r.student == student && r.crn == crn));
        self.queue_numbers += 1;
        let (student, crn) = (student.to_owned(), crn.to_owned());
        self.notices.push(format!("{student} {crn} {} {reason}", status.word()));
        let name = student.clone();
        self.registrations.push(Registration {
            student,
            crn,
            status,
            since: self.now,
            queue_number: self.queue_numbers,
            passed_over_for: String::new(),
        });
        if status == Status::Enrolled {
            self.affect_waitlists_with_concurrent_courses(&name);
        }
    }

    fn position(&self, waiting: &Registration) -> Option<usize> {
        let ahead = self.waitlist(&waiting.crn).iter().position(|r| r.student == waiting.student)?;
        Some(ahead + 1 + self.section(&waiting.crn)?.outside.1 as usize)
    }

    /// Returns a registration in the words of a reply.
    fn in_words(&self, student: &str, crn: &str, is_new: bool) -> String {
        let current = self.registration(student, crn).unwrap();
        let credits = self.section(crn).unwrap().definition.credits.0;
        let position = self.position(current);
        format!(
            "{} {position:?} {credits} {} {}",
            current.status.word(),
            current.since,
            if is_new { "new" } else { "as before" }
        )
    }

    /// Returns all contents, one line for each section and for each registration.
    pub(crate) fn contents_in_words(&self) -> Vec<String> {
        let mut sections: Vec<&SectionRecord> = self.sections.iter().collect();
        sections.sort_by_key(|s| s.definition.id.crn.to_string());
        let mut words: Vec<String> = Vec::new();
        for section in sections {
            let crn = section.definition.id.crn.as_str();
            let waitlist = self.waitlist(crn);
            let waitlist: Vec<&str> = waitlist.iter().map(|r| r.student.as_str()).collect();
            let enrolled = self.enrolled(crn) + section.outside.0;
            let seats = [section.definition.capacity, enrolled, self.waitlisted(section), self.open_seats(section)];
            words.push(section_in_words(crn, seats, section.definition.status.as_str(), &waitlist));
        }
        let mut registrations: Vec<&Registration> = self.registrations.iter().collect();
        registrations.sort_by(|a, b| (&a.student, a.since, &a.crn).cmp(&(&b.student, b.since, &b.crn)));
        for r in registrations {
            words.push(format!("{} {} {} {:?} {}", r.student, r.crn, r.status.word(), self.position(r), r.since));
        }
        words
    }
}

pub(crate) fn section_in_words(crn: &str, seats: [u32; 4], status: &str, waitlist: &[&str]) -> String {
    format!("{crn} {seats:?} {status} {}", waitlist.join(","))
}

/// Changes a value from `base` to `target`, unless it is no longer `base`.
fn merge<T: PartialEq + Clone>(current: &mut T, base: &T, target: &T) {
    if base != target && current == base {
        *current = target.clone();
    }
}

pub(crate) fn same_course_and_component(a: &Section, b: &Section) -> bool {
    (&a.course, &a.component) == (&b.course, &b.component)
}

/// Returns the set of meetings of which something is known: their order has no meaning in a file.
fn known_meetings(meetings: &[Meeting]) -> BTreeSet<String> {
    meetings.iter().filter(|m| **m != Meeting::default()).map(|m| format!("{m:?}")).collect()
}

/// Returns whether both meet at the same time, by trying every day and hour.
pub(crate) fn overlap(a: &Section, b: &Section) -> bool {
    // Generated meetings begin and end on the hour, on dates in September 2027 or on unknown dates.
    let meets_at = |s: &Section, day: i8, weekday: u8, hour: i8| {
        s.meetings.iter().any(|m| {
            let on = date(2027, 9, day);
            let hours = m.start.zip(m.end).is_some_and(|(start, end)| start.hour() <= hour && hour < end.hour());
            let dates = m.starts_on.is_none_or(|d| d <= on) && m.ends_on.is_none_or(|d| on <= d);
            m.days.bits() >> weekday & 1 == 1 && hours && dates
        })
    };
    let both_meet_at = |day, weekday, hour| meets_at(a, day, weekday, hour) && meets_at(b, day, weekday, hour);
    (1..=30).any(|day| (0..7).any(|weekday| (0..24).any(|hour| both_meet_at(day, weekday, hour))))
}
