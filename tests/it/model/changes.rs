//! The part of the naive model about changes that staff, imports and the catalogue make to the term, to sections and to
//! facts about students.

use std::collections::BTreeSet;

use eduhub::domain::command::{FactsOfStudent, SectionEdit, SectionPatch, StagedImport, TermPatch};
use eduhub::domain::meeting::Meeting;
use eduhub::domain::section::{Section, SectionStatus};

use super::naive::{Naive, Registration, SectionRecord, Status, same_course_and_component};

impl Naive {
    pub(super) fn patch(&mut self, crn: &str, patch: &SectionPatch) -> String {
        let Some(at) = self.sections.iter().position(|s| s.definition.id.crn.as_str() == crn) else {
            return "no such section".to_owned();
        };
        let section = &mut self.sections[at];
        let (definition_before, outside_before) = (section.definition.clone(), section.outside);
        let status_before = section.definition.status;
        section.definition.capacity = patch.capacity.unwrap_or(section.definition.capacity);
        section.definition.waitlist_capacity = patch.waitlist_capacity.unwrap_or(section.definition.waitlist_capacity);
        section.definition.status = patch.status.unwrap_or(status_before);
        section.outside.0 = patch.outside_enrolled.unwrap_or(section.outside.0);
        section.outside.1 = patch.outside_waitlisted.unwrap_or(section.outside.1);
        let before = section.definition.clone();
        let definition = &mut section.definition;
        let pool = definition.cross_listed.as_ref().map(|one| one.group.to_lowercase());
        definition.linked = patch.linked.clone().unwrap_or(definition.linked.clone());
        definition.cross_listed = patch.cross_listed.clone().unwrap_or(definition.cross_listed.clone());
        definition.reserved = patch.reserved.clone().unwrap_or(definition.reserved.clone());
        definition.restrictions = patch.restrictions.clone().unwrap_or(definition.restrictions.clone());
        definition.repeat_limit = patch.repeat_limit.unwrap_or(definition.repeat_limit);
        definition.prerequisites = patch.prerequisites.clone().unwrap_or(definition.prerequisites.clone());
        let status = section.definition.status;
        if section.definition == definition_before && section.outside == outside_before {
            return "section changed".to_owned();
        }
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
        let after = self.sections[at].definition.clone();
        self.affect_pools(&[(crn.to_owned(), pool)]);
        if changes_choices(Some(&Section { status: status_before, ..before }), &after) {
            self.affect_all_linked();
        }
        "section changed".to_owned()
    }

    pub(super) fn import(&mut self, import: &StagedImport) -> String {
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

    pub(super) fn put_sections(&mut self, edits: &[SectionEdit]) -> String {
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
                merge(&mut current.cross_listed, &base.cross_listed, &target.cross_listed);
                merge(&mut current.reserved, &base.reserved, &target.reserved);
                merge(&mut current.restrictions, &base.restrictions, &target.restrictions);
                merge(&mut current.repeat_limit, &base.repeat_limit, &target.repeat_limit);
                merge(&mut current.prerequisites, &base.prerequisites, &target.prerequisites);
                merge(&mut current.capacity, &base.capacity, &target.capacity);
                merge(&mut current.waitlist_capacity, &base.waitlist_capacity, &target.waitlist_capacity);
                merge(&mut current.withdrawn, &base.withdrawn, &target.withdrawn);
            }
            definitions.push((Some(old), new));
        }
        self.define(definitions, 0)
    }

    /// Applies definitions, each with the old one if there is one. Returns the numbers of created, updated and
    /// unchanged ones.
    fn define(&mut self, definitions: Vec<(Option<SectionRecord>, SectionRecord)>, mut unchanged: u64) -> String {
        let (mut created, mut updated) = (0, 0);
        let (mut changed_for_rules, mut pools, mut changes_links) = (Vec::new(), Vec::new(), false);
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
            let listing = old.as_ref().and_then(|old| old.definition.cross_listed.as_ref());
            changes_links |= changes_choices(old.as_ref().map(|old| &old.definition), &new.definition);
            pools.push((crn.clone(), listing.map(|one| one.group.to_lowercase())));
            self.sections.retain(|s| s.definition.id != new.definition.id);
            self.sections.push(new);
            self.affect(&crn);
        }
        for registration in self.registrations_in(&changed_for_rules) {
            self.affect_waitlists_of(&registration.student);
        }
        self.affect_pools(&pools);
        if changes_links {
            self.affect_all_linked();
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

    pub(super) fn put_cutoffs(&mut self, patch: &TermPatch) {
        let before = self.cutoffs;
        self.cutoffs.add_until = patch.add_until.unwrap_or(before.add_until);
        self.cutoffs.drop_until = patch.drop_until.unwrap_or(before.drop_until);
        self.cutoffs.waitlist_until = patch.waitlist_until.unwrap_or(before.waitlist_until);
        if self.cutoffs != before {
            self.affect_all();
        }
    }

    /// Marks every waitlist as affected.
    pub(super) fn affect_all(&mut self) {
        let mut crns: Vec<String> =
            self.registrations.iter().filter(|r| r.status == Status::Waitlisted).map(|r| r.crn.clone()).collect();
        crns.sort();
        crns.iter().for_each(|crn| self.affect(crn));
    }

    /// Marks as affected the waitlists of sections with linked sections.
    fn affect_all_linked(&mut self) {
        let mut crns: Vec<String> = Vec::new();
        for waiting in self.registrations.iter().filter(|r| r.status == Status::Waitlisted) {
            if !self.section(&waiting.crn).unwrap().definition.linked.is_empty() {
                crns.push(waiting.crn.clone());
            }
        }
        crns.sort();
        crns.iter().for_each(|crn| self.affect(crn));
    }

    /// Marks as affected the waitlists of the groups of cross-listed sections that a section left or joined.
    fn affect_pools(&mut self, changed: &[(String, Option<String>)]) {
        let mut groups = BTreeSet::new();
        for (crn, before) in changed {
            let listing = self.section(crn).unwrap().definition.cross_listed.as_ref();
            let after = listing.map(|one| one.group.to_lowercase());
            if *before != after {
                groups.extend(before.clone().into_iter().chain(after));
            }
        }
        for group in groups {
            let mut members: Vec<String> = Vec::new();
            for section in &self.sections {
                if section.definition.cross_listed.as_ref().is_some_and(|one| one.group.to_lowercase() == group) {
                    members.push(section.definition.id.crn.to_string());
                }
            }
            members.sort();
            members.iter().for_each(|crn| self.affect(crn));
        }
    }

    pub(super) fn state_facts(&mut self, stated: &[FactsOfStudent]) -> String {
        for (student, facts) in stated {
            let student = student.as_str();
            if self.facts(student) != facts.as_deref() {
                let priority = self.priority_of(student);
                self.facts.retain(|(name, _)| name != student);
                self.facts.extend(facts.iter().map(|facts| (student.to_owned(), (**facts).clone())));
                if self.priority_of(student) != priority {
                    self.order_by_priority(student);
                }
                self.affect_waitlists_of(student);
            }
        }
        "facts changed".to_owned()
    }
}

/// Changes a value from `base` to `target`, unless it is no longer `base`.
fn merge<T: PartialEq + Clone>(current: &mut T, base: &T, target: &T) {
    if base != target && current == base {
        *current = target.clone();
    }
}

/// Returns whether a change to a section changes the choices among linked sections.
fn changes_choices(before: Option<&Section>, after: &Section) -> bool {
    let is_cancelled = |section: &Section| section.status == SectionStatus::Cancelled;
    before.is_none_or(|before| !same_course_and_component(before, after) || is_cancelled(before) != is_cancelled(after))
}

/// Returns the set of meetings of which something is known: their order has no meaning in a file.
fn known_meetings(meetings: &[Meeting]) -> BTreeSet<String> {
    meetings.iter().filter(|m| **m != Meeting::default()).map(|m| format!("{m:?}")).collect()
}
