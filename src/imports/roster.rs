//! Maps the enrollments of a OneRoster bundle to registrations in the hub.
//!
//! A term of the bundle is the term of the hub whose id is its `sourcedId`, or otherwise the only one with its title. A
//! class is the section whose id is its `sourcedId`, as in the hub's own bundles; or the section of the term whose CRN is
//! its code, if no other class of the term has the code; or the one whose CRN is its `sourcedId`. The course must be the
//! same.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::domain::ids::{Crn, SectionId, TermId, UserName};
use crate::domain::import::Finding;
use crate::domain::registration::RegistrationStatus;
use crate::domain::student::is_same_course;
use crate::imports::csv::oneroster::roster::{Class, Roster, Session};
use crate::imports::roster_finding::RosterFinding;
use crate::registration::readmodel::{ReadModel, Snapshot, TermModel};

use crate::imports::task::LIST_LEN_MAX;

/// The file whose lines the findings cite.
pub(super) const ENROLLMENTS: &str = "enrollments.csv";

/// A registration to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RequestedEnrollment {
    pub(super) section: SectionId,
    pub(super) student: UserName,
    /// The line in the file of enrollments.
    pub(super) line: u64,
}

/// What the enrollments of a bundle would change.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// The registrations to make, ordered by term, and within a term as in the file.
    pub(super) requested: Vec<RequestedEnrollment>,
    /// The number of enrollments that the hub already has.
    pub(super) unchanged: u64,
    /// The first warnings about enrollments that are not imported.
    pub(super) warnings: Vec<Finding>,
    /// The number of all such warnings.
    pub(super) warnings_total: u64,
}

impl Plan {
    fn warn(&mut self, finding: impl FnOnce() -> Finding) {
        self.warnings_total += 1;
        if self.warnings.len() < LIST_LEN_MAX {
            self.warnings.push(finding());
        }
    }
}

/// A term of the hub.
struct KnownTerm {
    id: TermId,
    model: Arc<TermModel>,
    snapshot: Arc<Snapshot>,
    /// The sections by CRN, as the hub and as the college write it.
    crns: HashMap<String, Crn>,
}

impl KnownTerm {
    fn find(session: &Session, model: &ReadModel) -> Option<Self> {
        let terms = model.terms();
        let by_id = TermId::parse(&session.id).ok().filter(|id| terms.contains_key(id));
        let by_title = || {
            let mut same = terms.iter().filter(|(_, term)| *term.snapshot().term.title == *session.title);
            same.next().filter(|_| same.next().is_none()).map(|(id, _)| id.clone())
        };
        let id = by_id.or_else(by_title)?;
        let model = terms.get(&id)?.clone();
        let snapshot = model.snapshot();
        let mut crns = HashMap::new();
        for section in snapshot.rows().map(|row| &row.state.section) {
            crns.insert(section.crn_text().to_owned(), section.id.crn.clone());
            crns.insert(section.id.crn.to_string(), section.id.crn.clone());
        }
        Some(Self { id, model, snapshot, crns })
    }

    /// Returns the section of a class. `has_own_code` states whether no other class of the term has its code.
    fn section(&self, class: &Class, has_own_code: bool) -> Option<Crn> {
        let by_id = SectionId::parse(&class.id).ok().filter(|id| id.term == self.id).map(|id| id.crn);
        let by_id = by_id.filter(|crn| self.snapshot.row(crn).is_some());
        let by_code = || self.crns.get(&*class.code).filter(|_| has_own_code).cloned();
        by_id.or_else(by_code).or_else(|| self.crns.get(&*class.id).cloned())
    }
}

/// The section of a class of the bundle in the hub: the index of the term and the CRN, or why there is none.
type Matched = Result<(usize, Crn), Unmatched>;

/// Why the enrollments of a class are not imported.
enum Unmatched {
    Term(usize),
    Section,
    Course { section: SectionId, course: Box<str> },
}

fn matched(roster: &Roster, terms: &[Option<KnownTerm>]) -> Vec<Matched> {
    let mut codes: HashMap<(usize, &str), u32> = HashMap::new();
    for class in &roster.classes {
        *codes.entry((class.session, &class.code)).or_default() += 1;
    }
    let of_class = |class: &Class| {
        let Some(term) = terms.get(class.session).and_then(Option::as_ref) else {
            return Err(Unmatched::Term(class.session));
        };
        let has_own_code = codes.get(&(class.session, &*class.code)) == Some(&1);
        let crn = term.section(class, has_own_code).ok_or(Unmatched::Section)?;
        let course = term.snapshot.row(&crn).map(|row| row.state.section.course.clone()).unwrap_or_default();
        if !class.course.is_empty() && !is_same_course(&class.course, &course) {
            return Err(Unmatched::Course { section: SectionId { term: term.id.clone(), crn }, course });
        }
        Ok((class.session, crn))
    };
    roster.classes.iter().map(of_class).collect()
}

/// Compares the enrollments of a bundle with the registrations of the hub.
pub(super) fn plan(roster: &Roster, model: &ReadModel) -> Plan {
    let terms: Vec<_> = roster.sessions.iter().map(|session| KnownTerm::find(session, model)).collect();
    let matched = matched(roster, &terms);
    let mut plan = Plan::default();
    let mut by_term: BTreeMap<&TermId, Vec<RequestedEnrollment>> = BTreeMap::new();
    // The enrollments that are not imported: the first line and the number, by term and by class.
    let (mut of_terms, mut of_classes) = (BTreeMap::<usize, (u64, u64)>::new(), BTreeMap::<usize, (u64, u64)>::new());
    for one in &roster.enrollments {
        let (term, crn) = match &matched[one.class] {
            Ok((term, crn)) => (terms[*term].as_ref(), crn),
            Err(why) => {
                let counts = match why {
                    Unmatched::Term(session) => of_terms.entry(*session),
                    Unmatched::Section | Unmatched::Course { .. } => of_classes.entry(one.class),
                };
                counts.or_insert((one.line, 0)).1 += 1;
                continue;
            }
        };
        let Some(term) = term else { continue };
        let section = SectionId { term: term.id.clone(), crn: crn.clone() };
        let registrations = term.model.registrations(&one.student);
        let current = registrations.as_deref().and_then(|all| all.iter().find(|known| known.crn == *crn));
        let finding = |kind: &RosterFinding| kind.of_cell(one.line, Some(ENROLLMENTS), Some(&section.to_string()));
        match current.map(|known| known.status) {
            Some(RegistrationStatus::Enrolled) => plan.unchanged += 1,
            Some(RegistrationStatus::Waitlisted) => plan.warn(|| finding(&RosterFinding::EnrollmentWaiting)),
            // The file may be older than the drop.
            Some(RegistrationStatus::Dropped) => plan.warn(|| finding(&RosterFinding::EnrollmentDropped)),
            Some(RegistrationStatus::Offered) | None => {
                let (student, line) = (one.student.clone(), one.line);
                by_term.entry(&term.id).or_default().push(RequestedEnrollment { section, student, line });
            }
        }
    }
    plan.requested = by_term.into_values().flatten().collect();
    for (session, (line, n)) in of_terms {
        let term = roster.sessions.get(session).map(|session| session.title.to_string()).unwrap_or_default();
        plan.warn(|| RosterFinding::RosterOtherTerm { term, n }.of_cell(line, Some(ENROLLMENTS), None));
    }
    for (at, (line, n)) in of_classes {
        let Err(why) = &matched[at] else { continue };
        let kind = about_class(roster, &roster.classes[at], why, n);
        plan.warn(|| kind.of_cell(line, Some(ENROLLMENTS), None));
    }
    plan
}

fn about_class(roster: &Roster, class: &Class, why: &Unmatched, n: u64) -> RosterFinding {
    let id = class.id.to_string();
    match why {
        Unmatched::Course { section, course } => RosterFinding::RosterOtherCourse {
            class: id,
            written: class.course.to_string(),
            section: section.to_string(),
            course: course.to_string(),
            n,
        },
        Unmatched::Section | Unmatched::Term(_) => {
            let term = roster.sessions.get(class.session).map(|session| session.title.to_string());
            RosterFinding::RosterNoSection { term: term.unwrap_or_default(), class: id, n }
        }
    }
}
