//! The part of the naive model about seats: reserved seats, seats that cross-listed sections share, and seats in
//! sections that are registered together.

use eduhub::domain::command::Batch;
use eduhub::domain::prerequisite::Requirement;
use eduhub::domain::restriction::{RestrictedBy, Restriction};
use eduhub::domain::section::{Section, SectionStatus};
use eduhub::domain::student::StudentFacts;

use super::naive::{Naive, SectionRecord, Status, same_course_and_component};

/// A section that is requested together with another: its CRN, whether a waitlist position in it is requested, and
/// whether it is evaluated before the other.
#[derive(Clone)]
pub(super) struct Companion {
    pub(super) crn: String,
    pub(super) is_position: bool,
    pub(super) is_earlier: bool,
    /// Whether it is given up for the other section, and therefore ignored.
    pub(super) is_given_up: bool,
}

impl Naive {
    /// Ends the reservations whose time has come. Returns whether there were any.
    pub(super) fn release_reserved(&mut self) -> bool {
        let mut due = Vec::new();
        for section in &self.sections {
            for until in section.definition.reserved.iter().filter_map(|one| one.until) {
                if self.released_at < until && until <= self.now {
                    due.push((until, section.definition.id.crn.to_string()));
                }
            }
        }
        self.released_at = self.now;
        due.sort();
        due.iter().for_each(|(_, crn)| self.affect(crn));
        !due.is_empty()
    }

    /// Returns the number of the section's seats that are neither taken nor reserved for people outside the hub.
    fn own_free(&self, section: &SectionRecord) -> u32 {
        let taken = self.taken(section.definition.id.crn.as_str()) + section.outside.0 + section.outside.1;
        let capacity = section.definition.capacity;
        if section.definition.status == SectionStatus::Cancelled { 0 } else { capacity.saturating_sub(taken) }
    }

    /// Returns the number of reserved seats that are left for a group.
    pub(super) fn left(&self, section: &SectionRecord, group: &str) -> u32 {
        let group = group.to_lowercase();
        let mut left = 0;
        for one in &section.definition.reserved {
            let has_ended = one.until.is_some_and(|until| until <= self.released_at);
            if one.group.to_lowercase() == group && !has_ended {
                let crn = section.definition.id.crn.as_str();
                let takes = |r: &&super::naive::Registration| r.crn == crn && r.reserved_for == group;
                left = one.seats.saturating_sub(self.registrations.iter().filter(takes).count() as u32);
            }
        }
        left
    }

    fn held(&self, section: &SectionRecord) -> u32 {
        let left: u32 = section.definition.reserved.iter().map(|one| self.left(section, &one.group)).sum();
        left.min(self.own_free(section))
    }

    /// Returns the sections that share seats with a section, itself included, in order.
    pub(super) fn pool(&self, section: &Section) -> Vec<&SectionRecord> {
        let group = |section: &Section| section.cross_listed.as_ref().map(|one| one.group.to_lowercase());
        let own = group(section);
        let mut all: Vec<&SectionRecord> =
            self.sections.iter().filter(|s| own.is_some() && group(&s.definition) == own).collect();
        all.sort_by_key(|s| s.definition.id.crn.to_string());
        all
    }

    /// Returns the number of seats that some student can take.
    pub(super) fn free(&self, section: &SectionRecord) -> u32 {
        self.free_without(section, 0, 0)
    }

    /// Returns what [`Self::free`] would return if `also_taken` more seats of the pool were taken, and `released` fewer
    /// were reserved in its other sections.
    fn free_without(&self, section: &SectionRecord, also_taken: u32, released: u32) -> u32 {
        let own = self.own_free(section);
        let pool = self.pool(&section.definition);
        if pool.is_empty() {
            return own;
        }
        let taught: Vec<&&SectionRecord> =
            pool.iter().filter(|s| s.definition.status != SectionStatus::Cancelled).collect();
        let stated = pool.iter().filter_map(|s| s.definition.cross_listed.as_ref().unwrap().capacity).min();
        let capacity = stated.unwrap_or(taught.iter().map(|s| s.definition.capacity).sum());
        let taken: u32 =
            taught.iter().map(|s| self.taken(s.definition.id.crn.as_str()) + s.outside.0 + s.outside.1).sum();
        let held_by_others: u32 =
            taught.iter().filter(|s| s.definition.id != section.definition.id).map(|s| self.held(s)).sum();
        own.min(capacity.saturating_sub(taken + also_taken).saturating_sub(held_by_others.saturating_sub(released)))
    }

    /// Returns the number of seats that a student with these facts can take.
    pub(super) fn seats_for(&self, section: &SectionRecord, facts: Option<&StudentFacts>) -> u32 {
        self.seats_of(section, facts, self.free(section))
    }

    fn seats_of(&self, section: &SectionRecord, facts: Option<&StudentFacts>, free: u32) -> u32 {
        let mut own = 0;
        for one in &section.definition.reserved {
            if is_in_group(facts, &one.group) {
                own += self.left(section, &one.group);
            }
        }
        free.saturating_sub(self.held(section)).saturating_add(own).min(free)
    }

    /// Returns whether free seats are left that are reserved.
    pub(super) fn has_reserved_seats(&self, section: &SectionRecord) -> bool {
        self.free(section) > 0 && self.held(section) > 0
    }

    pub(super) fn open_seats(&self, section: &SectionRecord) -> u32 {
        let open = section.definition.status == SectionStatus::Open && !section.definition.withdrawn;
        if open { self.seats_for(section, None) } else { 0 }
    }

    /// Returns the group whose reserved seat a student takes; empty for none.
    pub(super) fn reserved_for(&self, student: &str, crn: &str) -> String {
        let section = self.section(crn).unwrap();
        let facts = self.facts(student);
        let mut own = section.definition.reserved.iter().filter(|one| is_in_group(facts, &one.group));
        own.find(|one| self.left(section, &one.group) > 0).map(|one| one.group.to_lowercase()).unwrap_or_default()
    }

    /// Returns the refusal for linked sections that a student takes neither now nor in `taken`.
    pub(super) fn lacks_linked(&self, student: &str, section: &Section, taken: &[String]) -> Option<String> {
        let taught = |crn: &str| self.section(crn).filter(|s| s.definition.status != SectionStatus::Cancelled);
        let linked: Vec<&SectionRecord> =
            section.linked.iter().filter(|id| **id != section.id).filter_map(|id| taught(id.crn.as_str())).collect();
        let mut missing = Vec::new();
        let mut choices = Vec::new();
        for one in &linked {
            let of_kind = linked.iter().filter(|other| same_course_and_component(&one.definition, &other.definition));
            if of_kind.clone().all(|other| !taken.contains(&other.definition.id.crn.to_string())) {
                missing.push(one);
            }
        }
        for one in &missing {
            let accepts = one.definition.status == SectionStatus::Open && !one.definition.withdrawn;
            if accepts && self.seats_for(one, self.facts(student)) > 0 {
                choices.push(one.definition.id.crn.to_string());
            }
        }
        (!missing.is_empty()).then(|| format!("linked_section_required {}", choices.join(",")))
    }

    /// Registers for the adds of a batch. Sections that belong together are one set.
    pub(super) fn add_all(&mut self, batch: &Batch) -> Vec<(String, String)> {
        let student = batch.student.as_str();
        let crns: Vec<String> = batch.add.iter().map(ToString::to_string).collect();
        let mut groups: Vec<Vec<String>> = Vec::new();
        for crn in &crns {
            if groups.iter().any(|group| group.contains(crn)) {
                continue;
            }
            let mut group = vec![crn.clone()];
            while let Some(next) = crns
                .iter()
                .find(|other| !group.contains(other) && group.iter().any(|one| self.belong_together(one, other)))
            {
                group.push(next.clone());
            }
            groups.push(crns.iter().filter(|crn| group.contains(crn)).cloned().collect());
        }
        let mut replies = Vec::new();
        for group in groups {
            replies.extend(self.add_set(student, &group, batch.waitlist));
        }
        crns.iter().map(|crn| replies.iter().find(|(of, _)| of == crn).unwrap().clone()).collect()
    }

    pub(super) fn belong_together(&self, a: &str, b: &str) -> bool {
        let (Some(a), Some(b)) = (self.section(a), self.section(b)) else { return false };
        let (a, b) = (&a.definition, &b.definition);
        let names = |one: &Section, other: &Section| {
            one.linked.contains(&other.id)
                || one.prerequisites.iter().any(|required| concurrent(required).contains(&other.course.to_string()))
        };
        names(a, b) || names(b, a)
    }

    fn add_set(&mut self, student: &str, crns: &[String], waitlist: bool) -> Vec<(String, String)> {
        let is_new = |crn: &&String| self.registration(student, crn).is_none_or(|r| r.status == Status::Dropped);
        let mut set: Vec<String> = crns.iter().filter(is_new).cloned().collect();
        if set.len() < 2 {
            return crns.iter().map(|crn| (crn.clone(), self.register(student, crn, waitlist))).collect();
        }
        let mut replies = Vec::new();
        'without_refused: loop {
            let seats = |crn: &String| self.seats_for(self.section(crn).unwrap(), self.facts(student));
            let mut positions: Vec<bool> = set.iter().map(|crn| waitlist && seats(crn) == 0).collect();
            let mut demoted = Vec::new();
            loop {
                let before = positions.clone();
                for at in 0..set.len() {
                    let with = others_of_set(&set, &positions, at);
                    let section = self.section(&set[at]).unwrap();
                    let Some(refusal) = self.judge(student, section, positions[at], &with) else { continue };
                    let may_wait = refusal.starts_with("linked_section") || refusal.starts_with("section_full");
                    if waitlist && may_wait && !positions[at] && self.judge(student, section, true, &with).is_none() {
                        positions[at] = true;
                        demoted.push(at);
                        continue;
                    }
                    replies.push((set.remove(at), refusal));
                    continue 'without_refused;
                }
                if positions == before {
                    break;
                }
            }
            for at in demoted {
                positions[at] = false;
                let is_refused = |one: usize| {
                    let section = self.section(&set[one]).unwrap();
                    self.judge(student, section, positions[one], &others_of_set(&set, &positions, one)).is_some()
                };
                positions[at] = (0..set.len()).any(is_refused);
            }
            for (crn, is_position) in set.iter().zip(positions) {
                let status = if is_position { Status::Waitlisted } else { Status::Enrolled };
                self.set_status(student, crn, status, "self");
                replies.push((crn.clone(), self.in_words(student, crn, true)));
            }
            break;
        }
        for crn in crns {
            if !replies.iter().any(|(of, _)| of == crn) {
                replies.push((crn.clone(), self.register(student, crn, waitlist)));
            }
        }
        replies
    }

    /// Returns the number of seats that are left for a student after those of earlier companions in the same pool.
    pub(super) fn seats_beside(&self, student: &str, section: &SectionRecord, with: &[Companion]) -> u32 {
        let pool: Vec<String> =
            self.pool(&section.definition).iter().map(|s| s.definition.id.crn.to_string()).collect();
        let earlier = with.iter().filter(|one| one.is_earlier && !one.is_position && pool.contains(&one.crn));
        let (taken, reserved): (Vec<&Companion>, Vec<&Companion>) = (
            earlier.clone().collect(),
            earlier.filter(|one| !self.reserved_for(student, &one.crn).is_empty()).collect(),
        );
        let free = self.free_without(section, taken.len() as u32, reserved.len() as u32);
        self.seats_of(section, self.facts(student), free)
    }
}

/// Returns the other sections of a set. `positions` states in which sections of the set a position is requested.
fn others_of_set(set: &[String], positions: &[bool], at: usize) -> Vec<Companion> {
    let others = (0..set.len()).filter(|other| *other != at);
    let companion = |other: usize| Companion {
        crn: set[other].clone(),
        is_position: positions[other],
        is_earlier: other < at,
        is_given_up: false,
    };
    others.map(companion).collect()
}

fn is_in_group(facts: Option<&StudentFacts>, group: &str) -> bool {
    facts.is_some_and(|facts| facts.groups.iter().any(|own| own.to_lowercase() == group.to_lowercase()))
}

/// Returns the refusal for the restrictions that a student does not meet.
pub(super) fn restricted(facts: Option<&StudentFacts>, restrictions: &[Restriction]) -> Option<String> {
    let own = |by: RestrictedBy| -> Vec<String> {
        let Some(facts) = facts else { return Vec::new() };
        match by {
            RestrictedBy::Group => facts.groups.iter().map(|own| own.to_lowercase()).collect(),
            RestrictedBy::Program => facts.program.iter().map(|own| own.to_lowercase()).collect(),
            RestrictedBy::Campus => facts.campus.iter().map(|own| own.to_lowercase()).collect(),
        }
    };
    let is_unmet = |one: &&Restriction| {
        let matches = one.values.iter().any(|value| own(one.by).contains(&value.to_lowercase()));
        matches == one.exclude
    };
    let unmet: Vec<String> = restrictions.iter().filter(is_unmet).map(ToString::to_string).collect();
    (!unmet.is_empty()).then(|| format!("restricted {}", unmet.join(";")))
}

/// Returns the courses that can be taken in the same term.
fn concurrent(required: &Requirement) -> Vec<String> {
    match required {
        Requirement::Remark(_) => Vec::new(),
        Requirement::Course(course) if course.concurrent => vec![course.course.to_string()],
        Requirement::Course(_) => Vec::new(),
        Requirement::All(parts) | Requirement::Any(parts) => parts.iter().flat_map(concurrent).collect(),
    }
}
