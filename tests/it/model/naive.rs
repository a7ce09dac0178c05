//! A term as `docs/SEMANTICS.md` describes it, in simple lists, with everything computed when it is needed. It shares
//! only types with the hub, such as those of commands and sections, and none of its rules.
//!
//! Among its guarantees: drops are allowed, unless a hold or the deadline for drops refuses them; a batch drops first,
//! and the seats that it frees go to the waitlists before it adds; waitlists are processed in the order in which they
//! were affected, then those of the affected students, by name; a student is notified once for each reason for being
//! passed over.

use eduhub::domain::command::{Batch, Command, WaitlistMove};
use eduhub::domain::offer::TermOffers;
use eduhub::domain::section::Section;
use eduhub::domain::student::StudentFacts;
use eduhub::domain::term::{Cutoffs, GroupWindow, Term};
use jiff::Timestamp;
use jiff::civil::date;

use super::choices::Choices;
use super::facts;

/// The expected reply to a command, and the expected notices to students.
pub(crate) struct Expected {
    pub(crate) reply: Vec<String>,
    /// The reply to each request at the time of its decision. A later decision may change it.
    pub(crate) at_first: Vec<String>,
    pub(crate) notices: Vec<String>,
    /// The changes of a request to other sections: the student, the section, the action and the reply to it.
    pub(crate) changed_too: Vec<ChangedToo>,
    /// Whether a swap changed nothing.
    pub(crate) is_undone: bool,
    /// The section of the reply to a request with choices: the requested one, or an alternative in which the student
    /// got a seat.
    pub(crate) instead: Option<String>,
}

/// The beginnings of the replies to requests that were granted.
const GRANTED: [&str; 3] = ["enrolled ", "waitlisted ", "dropped "];

fn in_lines(replies: &[(String, String)]) -> impl Iterator<Item = String> {
    replies.iter().map(|(crn, reply)| format!("{crn} {reply}"))
}

/// See [`Expected::changed_too`].
pub(crate) type ChangedToo = (String, String, String, String);

/// A section as staff, imports and the catalogue define it.
#[derive(Clone)]
pub(super) struct SectionRecord {
    pub(super) definition: Section,
    /// Numbers of students enrolled and waitlisted outside the hub.
    pub(super) outside: (u32, u32),
    /// Totals of the last import that counted.
    pub(super) file_totals: Option<(u32, u32)>,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Status {
    Enrolled,
    Offered,
    Waitlisted,
    Dropped,
}

impl Status {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Enrolled => "enrolled",
            Self::Offered => "offered",
            Self::Waitlisted => "waitlisted",
            Self::Dropped => "dropped",
        }
    }
}

#[derive(Clone)]
pub(super) struct Registration {
    pub(super) student: String,
    pub(super) crn: String,
    pub(super) status: Status,
    pub(super) since: Timestamp,
    /// The priority on the waitlist: 0 is first.
    pub(super) priority: usize,
    /// The order among students of the same priority. A student who joins gets a higher number than all before.
    pub(super) queue_number: u64,
    /// The last reason for being passed over that the student was notified of.
    passed_over_for: String,
    /// The group for which the seat was reserved, or empty.
    pub(super) reserved_for: String,
    /// When an offer lapses, and when the student is reminded of it.
    pub(super) offer: Option<(Timestamp, Option<Timestamp>)>,
    pub(super) choices: Choices,
}

/// The term in the naive model.
#[derive(Clone)]
pub(crate) struct Naive {
    pub(super) limit: u32,
    pub(super) opens: Option<Timestamp>,
    pub(super) closes: Option<Timestamp>,
    pub(super) windows: Vec<GroupWindow>,
    pub(super) cutoffs: Cutoffs,
    pub(super) facts: Vec<(String, StudentFacts)>,
    pub(super) sections: Vec<SectionRecord>,
    pub(super) registrations: Vec<Registration>,
    queue_numbers: u64,
    pub(super) now: Timestamp,
    pub(super) notices: Vec<String>,
    /// Waitlists to process, in this order.
    pub(super) affected: Vec<String>,
    /// The time up to which reservations were released.
    pub(super) released_at: Timestamp,
    pub(super) offers: TermOffers,
    pub(super) changed_too: Vec<ChangedToo>,
    /// The replies to the requests of a batch; see [`Expected::at_first`].
    at_first: Vec<String>,
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
            released_at: Timestamp::UNIX_EPOCH,
            cutoffs: Cutoffs::default(),
            offers: TermOffers::default(),
            changed_too: Vec::new(),
            at_first: Vec::new(),
        }
    }

    /// Decides and applies a command, and then processes the waitlists.
    pub(crate) fn decide(&mut self, command: &Command, now: Timestamp) -> Expected {
        let before = self.clone();
        self.now = now;
        self.notices.clear();
        self.changed_too.clear();
        self.at_first.clear();
        self.handle_deadlines();
        let mut instead = None;
        let reply = match command {
            Command::Register { student, crn, waitlist } => {
                vec![self.register(student.as_str(), crn.as_str(), *waitlist)]
            }
            Command::RegisterWith { student, crn, choices } => {
                let (of, reply) = self.register_with(student.as_str(), crn.as_str(), choices);
                instead = Some(of);
                vec![reply]
            }
            Command::Drop { student, crn } => vec![self.drop_section(student.as_str(), crn.as_str())],
            Command::Batch(batch) if batch.swap => match self.swap(batch) {
                Ok(replies) => replies,
                Err(reply) => {
                    let changed_too = std::mem::replace(self, before).changed_too;
                    let (at_first, notices) = (reply.clone(), Vec::new());
                    return Expected { reply, at_first, notices, changed_too, is_undone: true, instead: None };
                }
            },
            Command::Batch(batch) => self.batch(batch),
            Command::RegisterPlan { .. } => unreachable!("no history has plans"),
            Command::ForStudent(_) => unreachable!("no history has requests by staff"),
            Command::MoveOnWaitlist(WaitlistMove { student, crn, position }) => {
                vec![self.move_on_waitlist(student.as_str(), crn.as_str(), *position)]
            }
            Command::PatchSection { crn, patch } => vec![self.patch(crn.as_str(), patch)],
            Command::PutTerm(patch) => {
                self.opens = patch.opens_at.unwrap_or(self.opens);
                self.closes = patch.closes_at.unwrap_or(self.closes);
                self.windows = patch.windows.clone().unwrap_or(self.windows.clone());
                self.put_cutoffs(patch);
                self.put_offers(patch);
                vec!["term changed".to_owned()]
            }
            Command::ApplyImport(import) => vec![self.import(import)],
            Command::PutSections(edits) => vec![self.put_sections(edits)],
            Command::PutFacts(stated) => vec![self.state_facts(stated)],
            Command::Settle => {
                self.affect_all();
                vec!["settled".to_owned()]
            }
        };
        self.fill_seats();
        let (notices, changed_too) = (self.notices.clone(), self.changed_too.clone());
        let at_first = if self.at_first.is_empty() { reply.clone() } else { self.at_first.clone() };
        Expected { reply, at_first, notices, changed_too, is_undone: false, instead }
    }

    /// Returns whether registration is open for the term or one of its groups.
    pub(super) fn is_open_for_anyone(&self) -> bool {
        let of_group = |window: &GroupWindow| (Some(window.opens_at), window.closes_at.or(self.closes));
        let is_open_for_a_group = self.windows.iter().any(|window| self.is_within(of_group(window)));
        self.is_within((self.opens, self.closes)) || (self.opens.is_some() && is_open_for_a_group)
    }
    pub(super) fn is_within(&self, (opens, closes): (Option<Timestamp>, Option<Timestamp>)) -> bool {
        opens.is_some_and(|o| o <= self.now) && closes.is_none_or(|c| self.now < c)
    }
    /// Returns the facts about a student.
    pub(super) fn facts(&self, student: &str) -> Option<&StudentFacts> {
        self.facts.iter().find(|(name, _)| name == student).map(|(_, facts)| facts)
    }
    pub(super) fn section(&self, crn: &str) -> Option<&SectionRecord> {
        self.sections.iter().find(|s| s.definition.id.crn.as_str() == crn)
    }
    /// Returns the expected definition of a section.
    pub(crate) fn definition(&self, crn: &str) -> Option<&Section> {
        self.section(crn).map(|section| &section.definition)
    }
    pub(super) fn registration(&self, student: &str, crn: &str) -> Option<&Registration> {
        self.registrations.iter().find(|r| r.student == student && r.crn == crn)
    }
    pub(super) fn registration_mut(&mut self, student: &str, crn: &str) -> &mut Registration {
        self.registrations.iter_mut().find(|r| r.student == student && r.crn == crn).unwrap()
    }
    pub(super) fn enrolled(&self, crn: &str) -> u32 {
        self.registrations.iter().filter(|r| r.crn == crn && r.status == Status::Enrolled).count() as u32
    }
    /// Returns the number of seats that students have or are offered.
    pub(super) fn taken(&self, crn: &str) -> u32 {
        let counts = |r: &&Registration| r.crn == crn && [Status::Enrolled, Status::Offered].contains(&r.status);
        self.registrations.iter().filter(counts).count() as u32
    }
    pub(super) fn waitlist(&self, crn: &str) -> Vec<Registration> {
        let mut waitlist: Vec<Registration> =
            self.registrations.iter().filter(|r| r.crn == crn && r.status == Status::Waitlisted).cloned().collect();
        waitlist.sort_by_key(|r| (r.priority, r.queue_number));
        waitlist
    }
    pub(super) fn waitlisted(&self, section: &SectionRecord) -> u32 {
        self.waitlist(section.definition.id.crn.as_str()).len() as u32 + section.outside.1
    }
    /// Returns the seats and waitlist positions of a student, in the order of registration.
    pub(super) fn registrations_of(&self, student: &str) -> Vec<Registration> {
        let mut all: Vec<Registration> = self
            .registrations
            .iter()
            .filter(|r| r.student == student && r.status != Status::Dropped)
            .cloned()
            .collect();
        all.sort_by(|a, b| (a.since, &a.crn).cmp(&(b.since, &b.crn)));
        all
    }

    pub(super) fn register(&mut self, student: &str, crn: &str, waitlist: bool) -> String {
        let Some(section) = self.section(crn).cloned() else { return "not found".to_owned() };
        match self.registration(student, crn).map(|r| r.status) {
            Some(Status::Offered) => return self.accept(student, &section),
            Some(Status::Enrolled | Status::Waitlisted) => return self.in_words(student, crn, false),
            Some(Status::Dropped) | None => {}
        }
        let is_position = waitlist && self.seats_for(&section, self.facts(student)) == 0;
        if let Some(refusal) = self.judge(student, &section, is_position, &[]) {
            return refusal;
        }
        self.set_status(student, crn, if is_position { Status::Waitlisted } else { Status::Enrolled }, "self");
        self.in_words(student, crn, true)
    }

    pub(super) fn is_past(&self, until: Option<Timestamp>) -> bool {
        until.is_some_and(|until| until <= self.now)
    }

    fn drop_section(&mut self, student: &str, crn: &str) -> String {
        let Some(current) = self.registration(student, crn) else { return "not found".to_owned() };
        if current.status == Status::Dropped {
            return self.in_words(student, crn, false);
        }
        if let Some(refusal) = self.refusal_of_drop(student, crn) {
            return refusal;
        }
        for other in self.registration(student, crn).unwrap().choices.with.clone() {
            self.leave(student, &other, "self");
            self.note_too(student, &other, "drop");
        }
        self.leave(student, crn, "self");
        self.in_words(student, crn, true)
    }

    fn batch(&mut self, batch: &Batch) -> Vec<String> {
        let student = batch.student.as_str();
        let mut drops = Vec::new();
        for crn in &batch.drop {
            drops.push(format!("{crn} {}", self.drop_section(student, crn.as_str())));
            self.fill_seats();
        }
        let replies = self.add_with_choices(batch);
        self.at_first = in_lines(&replies).chain(drops.clone()).collect();
        let mut replies: Vec<String> = replies.iter().map(|added| self.reply_afterwards(student, added)).collect();
        replies.extend(drops);
        replies
    }

    /// Returns the reply to an add or drop of a batch, whose registration may have changed after its decision.
    fn reply_afterwards(&self, student: &str, (crn, reply): &(String, String)) -> String {
        let is_granted = GRANTED.iter().any(|word| reply.starts_with(word));
        let status = self.registration(student, crn).map(|now| now.status.word());
        match status {
            Some(status) if is_granted && !reply.starts_with(status) => {
                format!("{crn} {}", self.in_words(student, crn, true))
            }
            _ => format!("{crn} {reply}"),
        }
    }

    fn swap(&mut self, batch: &Batch) -> Result<Vec<String>, Vec<String>> {
        let student = batch.student.as_str();
        let mut drops = Vec::new();
        for crn in &batch.drop {
            drops.push((crn.to_string(), self.drop_section(student, crn.as_str())));
        }
        let mut replies = self.add_with_choices(batch);
        replies.extend(drops);
        let succeeded = |reply: &str| GRANTED.iter().any(|word| reply.starts_with(word));
        if let Some((failed, _)) = replies.iter().find(|(_, reply)| !succeeded(reply)) {
            let undone = replies.iter().map(|(crn, reply)| {
                if succeeded(reply) { format!("{crn} undone {failed}") } else { format!("{crn} {reply}") }
            });
            return Err(undone.collect());
        }
        self.fill_seats();
        self.at_first = in_lines(&replies).collect();
        Ok(replies.iter().map(|decided| self.reply_afterwards(student, decided)).collect())
    }

    /// Puts a waitlist last in the list of those to process, unless it is in the list.
    pub(super) fn affect(&mut self, crn: &str) {
        if !self.affected.iter().any(|one| one == crn) {
            self.affected.push(crn.to_owned());
        }
    }
    pub(super) fn affect_waitlists_of(&mut self, student: &str) {
        let waitlists: Vec<String> = self
            .registrations_of(student)
            .into_iter()
            .filter(|r| r.status == Status::Waitlisted)
            .map(|r| r.crn)
            .collect();
        waitlists.iter().for_each(|crn| self.affect(crn));
    }
    /// Marks as affected the waitlists of a student for which another section of the same term can be required.
    fn affect_waitlists_with_concurrent_courses(&mut self, student: &str) {
        for waiting in self.registrations_of(student) {
            let definition = &self.section(&waiting.crn).unwrap().definition;
            let needs = !definition.linked.is_empty() || definition.prerequisites.iter().any(facts::has_concurrent);
            if waiting.status == Status::Waitlisted && needs {
                self.affect(&waiting.crn);
            }
        }
    }

    /// Processes the waitlists that were affected, and then all others, which must not change.
    pub(super) fn fill_seats(&mut self) {
        while !self.affected.is_empty() {
            let crn = self.affected.remove(0);
            self.fill_seats_of(&crn, true);
        }
        let all: Vec<String> = self.sections.iter().map(|s| s.definition.id.crn.to_string()).collect();
        // A seat elsewhere may change the reason. The student is notified of it when the waitlist is processed again.
        all.iter().for_each(|crn| self.fill_seats_of(crn, false));
    }

    fn fill_seats_of(&mut self, crn: &str, notifies: bool) {
        let Some(section) = self.section(crn).cloned() else { return };
        if self.is_past(self.cutoffs.waitlist_until) {
            return;
        }
        let pool: Vec<String> =
            self.pool(&section.definition).iter().map(|s| s.definition.id.crn.to_string()).collect();
        let crns = if pool.is_empty() { vec![crn.to_owned()] } else { pool };
        let mut students: Vec<Registration> = crns.iter().flat_map(|crn| self.waitlist(crn)).collect();
        students.sort_by_key(|waiting| (waiting.priority, waiting.queue_number));
        for Registration { student, crn, .. } in students {
            let section = self.section(&crn).unwrap();
            let is_waiting = self.registration(&student, &crn).is_some_and(|r| r.status == Status::Waitlisted);
            if !is_waiting || self.seats_for(section, self.facts(&student)) == 0 {
                continue;
            }
            let code = match self.promotable(&student, &crn) {
                Ok(set) => {
                    self.promote_set(&student, &set);
                    continue;
                }
                Err(code) => code,
            };
            let registered = self.registration_mut(&student, &crn);
            if notifies && !code.is_empty() && registered.passed_over_for != code {
                registered.passed_over_for.clone_from(&code);
                self.notices.push(format!("{student} {crn} waitlisted passed_over {code}"));
            }
        }
    }

    /// Sets a student's status and notifies the student.
    pub(super) fn set_status(&mut self, student: &str, crn: &str, status: Status, reason: &str) {
        self.registrations.retain(|r| !(r.student == student && r.crn == crn));
        self.queue_numbers += 1;
        let is_seat = [Status::Enrolled, Status::Offered].contains(&status);
        let reserved_for = if is_seat { self.reserved_for(student, crn) } else { String::new() };
        let (student, crn) = (student.to_owned(), crn.to_owned());
        self.notices.push(format!("{student} {crn} {} {reason}", status.word()));
        let name = student.clone();
        self.registrations.push(Registration {
            student,
            crn,
            status,
            since: self.now,
            priority: self.priority_of(&name),
            queue_number: self.queue_numbers,
            passed_over_for: String::new(),
            reserved_for,
            offer: None,
            choices: Choices::default(),
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
    pub(super) fn in_words(&self, student: &str, crn: &str, is_new: bool) -> String {
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
            let taken = self.taken(crn) + section.outside.0;
            let seats = [section.definition.capacity, taken, self.waitlisted(section), self.open_seats(section)];
            words.push(section_in_words(crn, seats, section.definition.status.as_str(), &waitlist));
        }
        let mut registrations: Vec<&Registration> = self.registrations.iter().collect();
        registrations.sort_by(|a, b| (&a.student, a.since, &a.crn).cmp(&(&b.student, b.since, &b.crn)));
        for r in registrations {
            let position = self.position(r);
            let (status, choices) = (r.status.word(), r.choices.in_words());
            words.push(format!("{} {} {status} {position:?} {} {:?} {choices}", r.student, r.crn, r.since, r.offer));
        }
        words
    }
}

pub(crate) fn section_in_words(crn: &str, seats: [u32; 4], status: &str, waitlist: &[&str]) -> String {
    format!("{crn} {seats:?} {status} {}", waitlist.join(","))
}

pub(crate) fn same_course_and_component(a: &Section, b: &Section) -> bool {
    (&a.course, &a.component) == (&b.course, &b.component)
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
