//! A term as the contract describes it, in simple lists, with everything computed when it is needed. It shares only the
//! types of commands with the hub.
//!
//! Where the contract leaves a choice, the hub promises this: drops are always allowed; a batch drops first, and the
//! seats that it frees go to the waitlists before it adds; waitlists are processed in the order in which they were
//! touched, then those of the students concerned, by name; a student is notified once for each reason of being passed
//! over.

use eduhub::domain::command::{Batch, Command, SectionEdit, SectionPatch, StagedImport};
use eduhub::domain::section::{Section, SectionStatus};
use eduhub::domain::term::Term;
use jiff::Timestamp;
use jiff::civil::date;

/// The expected reply to a command, and the expected notices to students.
pub(crate) struct Expected {
    pub(crate) answer: Vec<String>,
    pub(crate) heard: Vec<String>,
}

#[derive(Clone)]
struct Class {
    section: Section,
    outside: (u32, u32),
    told_by_file: Option<(u32, u32)>,
}

#[derive(Clone, Copy, PartialEq)]
enum How {
    Enrolled,
    Waitlisted,
    Dropped,
}

impl How {
    fn word(self) -> &'static str {
        match self {
            Self::Enrolled => "enrolled",
            Self::Waitlisted => "waitlisted",
            Self::Dropped => "dropped",
        }
    }
}

#[derive(Clone)]
struct Held {
    who: String,
    crn: String,
    how: How,
    since: Timestamp,
    /// When it joined the waitlist, as a number that only grows.
    turn: u64,
    /// The last reason for being passed over that the student was notified of.
    passed: String,
}

#[derive(Clone)]
pub(crate) struct Naive {
    limit: u32,
    opens: Option<Timestamp>,
    closes: Option<Timestamp>,
    classes: Vec<Class>,
    people: Vec<Held>,
    turns: u64,
    now: Timestamp,
    heard: Vec<String>,
    /// Waitlists to process, in this order.
    touched: Vec<String>,
}

impl Naive {
    pub(crate) fn new(limit: u32, term: &Term) -> Self {
        Self {
            limit,
            opens: term.opens_at,
            closes: term.closes_at,
            classes: Vec::new(),
            people: Vec::new(),
            turns: 0,
            now: Timestamp::UNIX_EPOCH,
            heard: Vec::new(),
            touched: Vec::new(),
        }
    }

    pub(crate) fn ask(&mut self, command: &Command, now: Timestamp) -> Expected {
        self.now = now;
        self.heard.clear();
        let answer = match command {
            Command::Register { student, crn, waitlist } => {
                vec![self.register(student.as_str(), crn.as_str(), *waitlist)]
            }
            Command::Drop { student, crn } => vec![self.give_up(student.as_str(), crn.as_str())],
            Command::Batch(batch) if batch.swap => self.swap(batch),
            Command::Batch(batch) => self.batch(batch),
            Command::PatchSection { crn, patch } => vec![self.patch(crn.as_str(), patch)],
            Command::PutTerm(patch) => {
                self.opens = patch.opens_at.unwrap_or(self.opens);
                self.closes = patch.closes_at.unwrap_or(self.closes);
                vec!["term changed".to_owned()]
            }
            Command::ApplyImport(import) => vec![self.import(import)],
            Command::PutSections(edits) => vec![self.follow(edits)],
            Command::Settle => vec!["settled".to_owned()],
        };
        self.fill_seats();
        Expected { answer, heard: self.heard.clone() }
    }

    fn open_now(&self) -> bool {
        self.opens.is_some_and(|o| o <= self.now) && self.closes.is_none_or(|c| self.now < c)
    }
    fn class(&self, crn: &str) -> Option<&Class> {
        self.classes.iter().find(|c| c.section.id.crn.as_str() == crn)
    }
    /// How a section should be defined.
    pub(crate) fn definition(&self, crn: &str) -> Option<&Section> {
        self.class(crn).map(|class| &class.section)
    }
    fn held(&self, who: &str, crn: &str) -> Option<&Held> {
        self.people.iter().find(|h| h.who == who && h.crn == crn)
    }
    fn enrolled(&self, crn: &str) -> u32 {
        self.people.iter().filter(|h| h.crn == crn && h.how == How::Enrolled).count() as u32
    }
    fn line(&self, crn: &str) -> Vec<Held> {
        let mut line: Vec<Held> =
            self.people.iter().filter(|h| h.crn == crn && h.how == How::Waitlisted).cloned().collect();
        line.sort_by_key(|h| h.turn);
        line
    }
    fn waitlisted(&self, class: &Class) -> u32 {
        self.line(class.section.id.crn.as_str()).len() as u32 + class.outside.1
    }
    /// Returns the seats that are neither taken nor promised outside the hub.
    fn free(&self, class: &Class) -> u32 {
        let taken = self.enrolled(class.section.id.crn.as_str()) + class.outside.0 + class.outside.1;
        if class.section.status == SectionStatus::Cancelled || taken > class.section.capacity {
            return 0;
        }
        class.section.capacity - taken
    }
    fn open_seats(&self, class: &Class) -> u32 {
        let open = class.section.status == SectionStatus::Open && !class.section.withdrawn;
        if open { self.free(class) } else { 0 }
    }
    /// Returns what a student holds, in the order of registration.
    fn week(&self, who: &str) -> Vec<Held> {
        let mut all: Vec<Held> =
            self.people.iter().filter(|h| h.who == who && h.how != How::Dropped).cloned().collect();
        all.sort_by(|a, b| (a.since, &a.crn).cmp(&(b.since, &b.crn)));
        all
    }

    fn why_not(&self, who: &str, class: &Class, as_a_seat: bool) -> Option<String> {
        let crn = class.section.id.crn.as_str();
        let week: Vec<(Held, Class)> = self
            .week(who)
            .into_iter()
            .filter(|h| h.crn != crn)
            .map(|h| (h.clone(), self.class(&h.crn).unwrap().clone()))
            .filter(|(_, c)| c.section.status != SectionStatus::Cancelled)
            .collect();
        if let Some((same, _)) = week.iter().find(|(_, c)| same_kind(&c.section, &class.section)) {
            return Some(format!("already_in_course {}", same.crn));
        }
        let clashes: Vec<String> =
            week.iter().filter(|(_, c)| meet_at_once(&c.section, &class.section)).map(|(h, _)| h.crn.clone()).collect();
        if !clashes.is_empty() {
            return Some(format!("time_conflict {}", clashes.join(",")));
        }
        let has: u32 = week.iter().filter(|(h, _)| h.how == How::Enrolled).map(|(_, c)| c.section.credits.0).sum();
        let adds = class.section.credits.0;
        if as_a_seat && self.limit > 0 && adds > 0 && has + adds > self.limit {
            return Some(format!("credit_limit {has} {} {}", has + adds, self.limit));
        }
        None
    }

    fn register(&mut self, who: &str, crn: &str, waitlist: bool) -> String {
        let Some(class) = self.class(crn).cloned() else { return "not found".to_owned() };
        if self.held(who, crn).is_some_and(|h| h.how != How::Dropped) {
            return self.state(who, crn, false);
        }
        if !self.open_now() {
            return format!("registration_closed {:?} {:?} at {}", self.opens, self.closes, self.now);
        }
        match class.section.status {
            SectionStatus::Cancelled => return "section_cancelled".to_owned(),
            SectionStatus::Open if class.section.withdrawn => return "section_closed".to_owned(),
            SectionStatus::Closed => return "section_closed".to_owned(),
            SectionStatus::Open => {}
        }
        let seat = self.free(&class) > 0;
        if let Some(why) = self.why_not(who, &class, seat || !waitlist) {
            return why;
        }
        let waiting = self.waitlisted(&class);
        let room = waiting < class.section.waitlist_capacity;
        let how = match (seat, waitlist, room) {
            (true, _, _) => How::Enrolled,
            (false, false, _) => return format!("section_full {room} {waiting}"),
            (false, true, true) => How::Waitlisted,
            (false, true, false) => return format!("waitlist_full {waiting}"),
        };
        self.put(who, crn, how, "self");
        self.state(who, crn, true)
    }

    fn give_up(&mut self, who: &str, crn: &str) -> String {
        let Some(held) = self.held(who, crn) else { return "not found".to_owned() };
        if held.how == How::Dropped {
            return self.state(who, crn, false);
        }
        self.put(who, crn, How::Dropped, "self");
        self.touch(crn);
        self.touch_lines_of(who);
        self.state(who, crn, true)
    }

    fn batch(&mut self, batch: &Batch) -> Vec<String> {
        let who = batch.student.as_str();
        let mut drops = Vec::new();
        for crn in &batch.drop {
            drops.push(format!("{crn} {}", self.give_up(who, crn.as_str())));
            self.fill_seats();
        }
        let mut told: Vec<String> = Vec::new();
        for crn in &batch.add {
            told.push(format!("{crn} {}", self.register(who, crn.as_str(), batch.waitlist)));
        }
        told.extend(drops);
        told
    }

    fn swap(&mut self, batch: &Batch) -> Vec<String> {
        let before = self.clone();
        let who = batch.student.as_str();
        let mut drops = Vec::new();
        for crn in &batch.drop {
            drops.push((crn.as_str(), self.give_up(who, crn.as_str())));
        }
        let mut told = Vec::new();
        for crn in &batch.add {
            told.push((crn.as_str(), self.register(who, crn.as_str(), batch.waitlist)));
        }
        told.extend(drops);
        let done = |answer: &str| ["enrolled ", "waitlisted ", "dropped "].iter().any(|w| answer.starts_with(w));
        if let Some((failed, _)) = told.iter().find(|(_, answer)| !done(answer)) {
            let failed = (*failed).to_owned();
            let words = told.iter().map(|(crn, answer)| {
                if done(answer) { format!("{crn} undone {failed}") } else { format!("{crn} {answer}") }
            });
            let words = words.collect();
            *self = before;
            return words;
        }
        self.fill_seats();
        told.iter()
            .map(|(crn, answer)| {
                let became_a_seat =
                    answer.starts_with("waitlisted") && self.held(who, crn).unwrap().how == How::Enrolled;
                if became_a_seat { format!("{crn} {}", self.state(who, crn, true)) } else { format!("{crn} {answer}") }
            })
            .collect()
    }

    fn patch(&mut self, crn: &str, patch: &SectionPatch) -> String {
        let Some(at) = self.classes.iter().position(|c| c.section.id.crn.as_str() == crn) else {
            return "no such section".to_owned();
        };
        let class = &mut self.classes[at];
        let was = class.section.status;
        class.section.capacity = patch.capacity.unwrap_or(class.section.capacity);
        class.section.waitlist_capacity = patch.waitlist_capacity.unwrap_or(class.section.waitlist_capacity);
        class.section.status = patch.status.unwrap_or(was);
        class.outside.0 = patch.outside_enrolled.unwrap_or(class.outside.0);
        class.outside.1 = patch.outside_waitlisted.unwrap_or(class.outside.1);
        let is = class.section.status;
        self.touch(crn);
        if is != was {
            for member in self.members(&[crn.to_owned()]) {
                if is == SectionStatus::Cancelled {
                    self.heard.push(format!("{} {crn} {} cancelled", member.who, member.how.word()));
                }
                self.touch_lines_of(&member.who);
            }
        }
        "section changed".to_owned()
    }

    fn import(&mut self, import: &StagedImport) -> String {
        let totals_count = import.totals_count_while_open || !self.open_now();
        let mut news = Vec::new();
        for row in &import.sections {
            let crn = row.section.id.crn.as_str();
            let (seats, line) = (self.enrolled(crn), self.line(crn).len() as u32);
            let old = self.class(crn).cloned();
            let mut new =
                old.clone().unwrap_or(Class { section: (*row.section).clone(), outside: (0, 0), told_by_file: None });
            let (status, withdrawn) = (new.section.status, new.section.withdrawn);
            new.section = Section { status, withdrawn, ..(*row.section).clone() };
            if let Some((enrolled, waitlisted)) = row.totals
                && row.totals != new.told_by_file
                && (old.is_none() || totals_count)
            {
                new.outside = (enrolled - enrolled.min(seats), waitlisted - waitlisted.min(line));
                new.told_by_file = row.totals;
            }
            news.push((old, new));
        }
        self.define(news, import.unchanged)
    }

    fn follow(&mut self, edits: &[SectionEdit]) -> String {
        let mut news = Vec::new();
        for edit in edits {
            let Some(old) = self.class(edit.wanted.id.crn.as_str()).cloned() else {
                news.push((None, Class { section: (*edit.wanted).clone(), outside: (0, 0), told_by_file: None }));
                continue;
            };
            let mut new = old.clone();
            if let Some(seen) = &edit.seen {
                let (is, was, to) = (&mut new.section, seen, &edit.wanted);
                pull(&mut is.course, &was.course, &to.course);
                pull(&mut is.credits, &was.credits, &to.credits);
                pull(&mut is.meetings, &was.meetings, &to.meetings);
                pull(&mut is.component, &was.component, &to.component);
                pull(&mut is.section, &was.section, &to.section);
                pull(&mut is.title, &was.title, &to.title);
                pull(&mut is.instructor, &was.instructor, &to.instructor);
                pull(&mut is.method, &was.method, &to.method);
                pull(&mut is.campus, &was.campus, &to.campus);
                pull(&mut is.linked, &was.linked, &to.linked);
                pull(&mut is.prerequisites, &was.prerequisites, &to.prerequisites);
                pull(&mut is.capacity, &was.capacity, &to.capacity);
                pull(&mut is.waitlist_capacity, &was.waitlist_capacity, &to.waitlist_capacity);
                pull(&mut is.withdrawn, &was.withdrawn, &to.withdrawn);
            }
            news.push((Some(old), new));
        }
        self.define(news, 0)
    }

    fn define(&mut self, news: Vec<(Option<Class>, Class)>, mut unchanged: u64) -> String {
        let (mut created, mut updated) = (0, 0);
        let mut weighs_otherwise = Vec::new();
        for (old, new) in news {
            let crn = new.section.id.crn.to_string();
            match &old {
                None => created += 1,
                Some(o)
                    if o.section == new.section && o.outside == new.outside && o.told_by_file == new.told_by_file =>
                {
                    unchanged += 1;
                    continue;
                }
                Some(o) => {
                    updated += 1;
                    let (a, b) = (&o.section, &new.section);
                    if a.meetings != b.meetings || a.credits != b.credits || !same_kind(a, b) {
                        weighs_otherwise.push(crn.clone());
                    }
                }
            }
            self.classes.retain(|c| c.section.id != new.section.id);
            self.classes.push(new);
            self.touch(&crn);
        }
        for member in self.members(&weighs_otherwise) {
            self.touch_lines_of(&member.who);
        }
        format!("imported {created} {updated} {unchanged}")
    }

    /// Returns all registrations in these sections, by student.
    fn members(&self, crns: &[String]) -> Vec<Held> {
        let holds = |h: &&Held| h.how != How::Dropped && crns.contains(&h.crn);
        let mut members: Vec<Held> = self.people.iter().filter(holds).cloned().collect();
        members.sort_by(|a, b| (&a.who, &a.crn).cmp(&(&b.who, &b.crn)));
        members
    }

    fn touch(&mut self, crn: &str) {
        self.touched.push(crn.to_owned());
    }
    fn touch_lines_of(&mut self, who: &str) {
        let lines: Vec<String> =
            self.week(who).into_iter().filter(|h| h.how == How::Waitlisted).map(|h| h.crn).collect();
        self.touched.extend(lines);
    }

    /// Processes the waitlists that were touched, and then all others, where there must be nothing to do.
    fn fill_seats(&mut self) {
        let mut order = std::mem::take(&mut self.touched);
        order.extend(self.classes.iter().map(|c| c.section.id.crn.to_string()));
        for crn in order {
            let Some(class) = self.class(&crn).cloned() else { continue };
            for place in self.line(&crn) {
                if self.free(&class) == 0 {
                    break;
                }
                match self.why_not(&place.who, &class, true) {
                    None => self.put(&place.who, &crn, How::Enrolled, "promoted"),
                    Some(why) => {
                        let code = why.split(' ').next().unwrap().to_owned();
                        let held = self.people.iter_mut().find(|h| h.who == place.who && h.crn == crn).unwrap();
                        if held.passed != code {
                            self.heard.push(format!("{} {crn} waitlisted passed_over {code}", place.who));
                            held.passed = code;
                        }
                    }
                }
            }
        }
    }

    fn put(&mut self, who: &str, crn: &str, how: How, reason: &str) {
        self.people.retain(|h| !(h.who == who && h.crn == crn));
        self.turns += 1;
        let (who, crn) = (who.to_owned(), crn.to_owned());
        self.heard.push(format!("{who} {crn} {} {reason}", how.word()));
        self.people.push(Held { who, crn, how, since: self.now, turn: self.turns, passed: String::new() });
    }

    fn position(&self, held: &Held) -> Option<usize> {
        let ahead = self.line(&held.crn).iter().position(|h| h.who == held.who)?;
        Some(ahead + 1 + self.class(&held.crn)?.outside.1 as usize)
    }

    fn state(&self, who: &str, crn: &str, fresh: bool) -> String {
        let held = self.held(who, crn).unwrap();
        let credits = self.class(crn).unwrap().section.credits.0;
        let position = self.position(held);
        format!("{} {position:?} {credits} {} {}", held.how.word(), held.since, if fresh { "new" } else { "as before" })
    }

    /// Returns all contents as lines of text.
    pub(crate) fn everything(&self) -> Vec<String> {
        let mut classes: Vec<&Class> = self.classes.iter().collect();
        classes.sort_by_key(|c| c.section.id.crn.to_string());
        let mut words: Vec<String> = Vec::new();
        for class in classes {
            let crn = class.section.id.crn.as_str();
            let line = self.line(crn);
            let line: Vec<&str> = line.iter().map(|h| h.who.as_str()).collect();
            let enrolled = self.enrolled(crn) + class.outside.0;
            let seats = [class.section.capacity, enrolled, self.waitlisted(class), self.open_seats(class)];
            words.push(section_in_words(crn, seats, class.section.status.as_str(), &line));
        }
        let mut people: Vec<&Held> = self.people.iter().collect();
        people.sort_by(|a, b| (&a.who, a.since, &a.crn).cmp(&(&b.who, b.since, &b.crn)));
        for h in people {
            words.push(format!("{} {} {} {:?} {}", h.who, h.crn, h.how.word(), self.position(h), h.since));
        }
        words
    }
}

pub(crate) fn section_in_words(crn: &str, seats: [u32; 4], status: &str, line: &[&str]) -> String {
    format!("{crn} {seats:?} {status} {}", line.join(","))
}

/// Applies a change from `was` to `to`, unless the value is no longer `was`.
fn pull<T: PartialEq + Clone>(is: &mut T, was: &T, to: &T) {
    if was != to && is == was {
        *is = to.clone();
    }
}

pub(crate) fn same_kind(a: &Section, b: &Section) -> bool {
    (&a.course, &a.component) == (&b.course, &b.component)
}

/// Returns whether both meet at the same time, by trying every day and hour.
pub(crate) fn meet_at_once(a: &Section, b: &Section) -> bool {
    // Generated meetings begin and end at full hours, on dates of this September or on unknown dates.
    let meets = |s: &Section, day: i8, weekday: u8, hour: i8| {
        s.meetings.iter().any(|m| {
            let on = date(2027, 9, day);
            let hours = m.start.zip(m.end).is_some_and(|(start, end)| start.hour() <= hour && hour < end.hour());
            let dates = m.starts_on.is_none_or(|d| d <= on) && m.ends_on.is_none_or(|d| on <= d);
            m.days.bits() >> weekday & 1 == 1 && hours && dates
        })
    };
    let at_once = |day, weekday, hour| meets(a, day, weekday, hour) && meets(b, day, weekday, hour);
    (1..=30).any(|day| (0..7).any(|weekday| (0..24).any(|hour| at_once(day, weekday, hour))))
}
