//! Merges the rows of each student.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;

use crate::domain::ids::UserName;
use crate::domain::import::Finding;
use crate::domain::student::{COMPLETED_MAX, CompletedCourse, GROUPS_MAX, HOLDS_MAX, StudentFacts};
use crate::imports::csv::names::normalized;
use crate::imports::finding_kind::FindingKind;
use crate::imports::schedule::ScheduleOptions;

use crate::imports::csv::students::StudentFile;
use crate::imports::csv::students::cells::{self, HoldCells};
use crate::imports::csv::students::columns::{Header, StudentColumn};

/// The students of a file, and what it states about each.
#[derive(Debug, Default)]
pub(in crate::imports) struct Students {
    facts: BTreeMap<UserName, StudentFacts>,
    stated: Stated,
    /// Whether the file only adds completed courses.
    only_adds: bool,
}

/// Which facts a file has columns for. The others keep their values.
#[derive(Debug, Clone, Copy, Default)]
struct Stated {
    holds: bool,
    credit_min: bool,
    credit_limit: bool,
    groups: bool,
    program: bool,
    campus: bool,
    opens_at: bool,
    closes_at: bool,
    completed: bool,
}

impl Students {
    /// Returns the students of a file that only adds these completed courses.
    pub(super) fn with_added(completed: BTreeMap<UserName, Vec<CompletedCourse>>) -> Self {
        let facts = |added| StudentFacts { completed: Some(added), ..StudentFacts::default() };
        let facts = completed.into_iter().map(|(student, added)| (student, facts(added))).collect();
        Self { facts, stated: Stated::default(), only_adds: true }
    }

    /// Returns whether the file states nothing about a student except that the student exists.
    pub(in crate::imports) fn only_names(&self, student: &UserName) -> bool {
        let completed = self.facts.get(student).and_then(|facts| facts.completed.as_ref());
        self.only_adds && completed.is_none_or(Vec::is_empty)
    }

    /// Returns whether the file only adds completed courses.
    pub(in crate::imports) const fn only_adds(&self) -> bool {
        self.only_adds
    }

    pub(in crate::imports) fn len(&self) -> usize {
        self.facts.len()
    }

    pub(in crate::imports) fn names(&self) -> impl Iterator<Item = &UserName> {
        self.facts.keys()
    }

    /// Returns the facts about a student after the import. Facts for which the file has no column, and permits, stay.
    /// If the file only adds completed courses, the grade of a course that is already known in the same term is replaced.
    pub(in crate::imports) fn applied_to(&self, student: &UserName, before: StudentFacts) -> StudentFacts {
        let Some(facts) = self.facts.get(student).cloned() else { return before };
        if self.only_adds {
            return with_courses(before, facts.completed.unwrap_or_default());
        }
        let Stated { holds, credit_min, credit_limit, groups, program, campus, opens_at, closes_at, completed } =
            self.stated;
        StudentFacts {
            holds: if holds { facts.holds } else { before.holds },
            credit_min: if credit_min { facts.credit_min } else { before.credit_min },
            credit_limit: if credit_limit { facts.credit_limit } else { before.credit_limit },
            groups: if groups { facts.groups } else { before.groups },
            program: if program { facts.program } else { before.program },
            campus: if campus { facts.campus } else { before.campus },
            opens_at: if opens_at { facts.opens_at } else { before.opens_at },
            closes_at: if closes_at { facts.closes_at } else { before.closes_at },
            completed: if completed { facts.completed } else { before.completed },
            permits: before.permits,
        }
    }
}

/// Returns the facts with these completed courses in addition to the others.
fn with_courses(mut facts: StudentFacts, added: Vec<CompletedCourse>) -> StudentFacts {
    for course in added {
        let all = facts.completed.get_or_insert_default();
        match all.iter_mut().find(|known| known.is_of_same_course_and_term(&course)) {
            Some(known) => known.grade = course.grade,
            None => all.push(course),
        }
    }
    facts
}

/// A merge of a file's rows in progress.
pub(super) struct Merge<'h> {
    header: &'h Header,
    names: &'h [&'h str],
    zone: TimeZone,
    students: Students,
    /// Students with a rejected row. None of their rows is imported.
    refused: BTreeSet<UserName>,
    pub(super) rows: u64,
    pub(super) rejected_rows: u64,
    pub(super) errors: Vec<Finding>,
    warnings: Vec<Finding>,
}

impl<'h> Merge<'h> {
    pub(super) fn new(header: &'h Header, names: &'h [&'h str], options: &ScheduleOptions) -> Self {
        use StudentColumn::{Campus, ClosesAt, Completed, CreditLimit, CreditMin, Groups, Hold, OpensAt, Program};
        let stated = Stated {
            holds: header.has(Hold),
            credit_min: header.has(CreditMin),
            credit_limit: header.has(CreditLimit),
            groups: header.has(Groups),
            program: header.has(Program),
            campus: header.has(Campus),
            opens_at: header.has(OpensAt),
            closes_at: header.has(ClosesAt),
            completed: header.has(Completed),
        };
        Self {
            header,
            names,
            zone: options.zone.clone(),
            students: Students { facts: BTreeMap::new(), stated, only_adds: false },
            refused: BTreeSet::new(),
            rows: 0,
            rejected_rows: 0,
            errors: Vec::new(),
            warnings: Vec::new(),
        }
    }

    pub(super) fn students_len(&self) -> usize {
        self.students.len()
    }

    /// Adds a row. Blank rows and repeated headers do not count.
    pub(super) fn add(&mut self, line: u64, record: &csv::StringRecord) {
        let is_header = record.len() == self.names.len()
            && record.iter().zip(self.names).all(|(cell, name)| normalized(cell) == normalized(name));
        if is_header || record.iter().all(|cell| cell.trim().is_empty()) {
            return;
        }
        self.rows += 1;
        let name = self.header.text(record, StudentColumn::User);
        let Ok(user) = UserName::parse(&name) else {
            return self.reject(line, StudentColumn::User, &FindingKind::UsernameForm);
        };
        let before = self.students.facts.remove(&user).unwrap_or_default();
        match self.merged(line, record, before) {
            Ok(facts) => _ = self.students.facts.insert(user, facts),
            Err((column, kind)) => {
                self.reject(line, column, &kind);
                self.refused.insert(user);
            }
        }
    }

    fn reject(&mut self, line: u64, column: StudentColumn, kind: &FindingKind) {
        self.rejected_rows += 1;
        let finding = self.finding(line, column, kind);
        self.errors.push(finding);
    }

    /// Creates a finding without the text of the cell, because tasks are stored, and the cell is about a person.
    fn finding(&self, line: u64, column: StudentColumn, kind: &FindingKind) -> Finding {
        let at = (0..self.names.len()).find(|at| self.header.column_of(*at) == Some(column));
        kind.of_cell(line, at.map(|at| self.names[at].trim()), None)
    }

    /// Merges a row with the earlier ones of its student.
    fn merged(
        &mut self,
        line: u64,
        record: &csv::StringRecord,
        mut facts: StudentFacts,
    ) -> Result<StudentFacts, (StudentColumn, FindingKind)> {
        use StudentColumn::{
            Blocks, Campus, ClosesAt, Completed, CompletedTerm, CreditLimit, CreditMin, Grade, Groups, Hold, HoldId,
            Office, OpensAt, Program, Url,
        };
        let header = self.header;
        let cell = |column| header.text(record, column);
        let of = |column| move |kind: FindingKind| (column, kind);
        let id = cell(HoldId);
        let (text, office, url, blocks) = (cell(Hold), cell(Office), cell(Url), cell(Blocks));
        let hold = HoldCells { id: &id, text: &text, office: &office, url: &url, blocks: &blocks };
        if let Some(hold) = cells::hold(&hold).map_err(of(Hold))?
            && !facts.holds.iter().any(|known| known.id == hold.id)
        {
            facts.holds.push(hold);
        }
        for group in cells::names(&cell(Groups)).map_err(of(Groups))? {
            if !facts.groups.iter().any(|known| known.eq_ignore_ascii_case(&group)) {
                facts.groups.push(group);
            }
        }
        if header.has(Completed) {
            let read = cells::courses(&cell(Completed), &cell(Grade), &cell(CompletedTerm)).map_err(of(Completed))?;
            let completed = facts.completed.get_or_insert_default();
            completed.extend(read.into_iter().filter(|one| !completed.contains(one)).collect::<Vec<_>>());
        }
        let mut differing: Vec<StudentColumn> = Vec::new();
        let credit_min = cells::credits(&cell(CreditMin)).map_err(of(CreditMin))?;
        set(&mut facts.credit_min, credit_min, CreditMin, &mut differing);
        let credit_limit = cells::credits(&cell(CreditLimit)).map_err(of(CreditLimit))?;
        set(&mut facts.credit_limit, credit_limit, CreditLimit, &mut differing);
        set(&mut facts.program, cells::name(&cell(Program)).map_err(of(Program))?, Program, &mut differing);
        set(&mut facts.campus, cells::name(&cell(Campus)).map_err(of(Campus))?, Campus, &mut differing);
        let opens_at = cells::time(&cell(OpensAt), &self.zone).map_err(of(OpensAt))?;
        set(&mut facts.opens_at, opens_at, OpensAt, &mut differing);
        let closes_at = cells::time(&cell(ClosesAt), &self.zone).map_err(of(ClosesAt))?;
        set(&mut facts.closes_at, closes_at, ClosesAt, &mut differing);
        if facts.opens_at.zip(facts.closes_at).is_some_and(|(opens, closes)| closes <= opens) {
            return Err((ClosesAt, FindingKind::ClosesBeforeOpening));
        }
        let limits = [
            (Hold, facts.holds.len(), HOLDS_MAX),
            (Groups, facts.groups.len(), GROUPS_MAX),
            (Completed, facts.completed.as_ref().map_or(0, Vec::len), COMPLETED_MAX),
        ];
        if let Some((column, _, most)) = limits.into_iter().find(|(_, count, most)| count > most) {
            return Err((column, FindingKind::TooManyFacts { max: most }));
        }
        for column in differing {
            let warning = self.finding(line, column, &FindingKind::FactsDiffer);
            self.warnings.push(warning);
        }
        Ok(facts)
    }

    /// Puts the result into the file.
    pub(super) fn finish(mut self, file: &mut StudentFile) {
        self.students.facts.retain(|user, _| !self.refused.contains(user));
        (file.rows, file.rejected_rows) = (self.rows, self.rejected_rows);
        (file.errors, file.warnings, file.students) = (self.errors, self.warnings, self.students);
    }
}

/// Sets a value unless an earlier row has one.
fn set<T: PartialEq>(
    value: &mut Option<T>,
    read: Option<T>,
    column: StudentColumn,
    differing: &mut Vec<StudentColumn>,
) {
    match (&value, &read) {
        (None, Some(_)) => *value = read,
        (Some(known), Some(new)) if known != new => differing.push(column),
        (None | Some(_), _) => {}
    }
}
