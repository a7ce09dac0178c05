//! Runs an import of facts about students: one command to each term changes all of them. A OneRoster bundle also has
//! enrollments, which follow.

use std::sync::atomic::Ordering;

use crate::domain::audit_detail::AuditDetail;
use crate::domain::ids::UserName;
use crate::domain::import::{EnrollmentTally, Phase};
use crate::domain::student::COMPLETED_MAX;
use crate::imports::csv::students::{self, StudentFile, Students};
use crate::imports::finding_kind::FindingKind;
use crate::imports::finding_parts::EndReason;
use crate::imports::findings;
use crate::imports::roster::{self, Plan, RequestedEnrollment};
use crate::imports::roster_finding::RosterFinding;
use crate::imports::schedule::{Schedule, ScheduleProgress, Severity};
use crate::imports::task::LIST_LEN_MAX;
use crate::registration::student_facts::{BulkTally, FactsError};
use crate::store::accounts::AuditEntry;

use super::{Run, Stop};

impl Run<'_> {
    /// Imports facts about students, or reports what would change.
    pub(super) fn import_students(&mut self) -> Result<(), Stop> {
        self.enter(Phase::Reading);
        let file = self.read_students()?;
        let errors_file = self.inner.errors_path(self.job.live.report().task.as_str());
        let found = findings::collect(&file, &errors_file)?;
        {
            let mut report = self.job.live.report();
            found.put_into(&mut report);
            report.students = Some(file.students());
        }
        let has_errors = file.findings_total(Severity::Error) > 0;
        let rejected = file.is_rejected() || (has_errors && !self.job.options.partial);
        // A dry run also shows what the valid rows would change.
        if file.is_rejected() || (rejected && !self.job.options.dry_run) {
            return Err(Stop::Rejected);
        }
        self.enter(Phase::Comparing);
        let (students, roster) = file.into_parts();
        let plan = roster.map(|roster| roster::plan(&roster, &self.inner.deps.model));
        let (known, names): (Vec<_>, Vec<_>) =
            students.names().cloned().partition(|name| self.is_known(&students, name));
        let tally = self.compare(&students, &known, &names)?;
        self.report_students(tally);
        let requested = plan.map(|plan| self.report_plan(plan)).unwrap_or_default();
        if rejected {
            return Err(Stop::Rejected);
        }
        if self.job.options.dry_run || (tally.changed() == 0 && requested.is_empty()) {
            return self.check();
        }
        self.check()?;
        self.commit(0)?;
        self.enter(Phase::Applying);
        if tally.changed() > 0 {
            self.put(&students, names, known.len() as u64)?;
        }
        self.register_students(requested)
    }

    /// Returns whether the file states nothing new about a student: only that the student exists, which a term shows
    /// already.
    fn is_known(&self, students: &Students, name: &UserName) -> bool {
        let terms = || self.inner.deps.model.terms();
        students.only_names(name) && terms().values().any(|term| term.registrations(name).is_some())
    }

    /// Reports what the enrollments of a bundle would change. Returns the registrations to make.
    fn report_plan(&self, plan: Plan) -> Vec<RequestedEnrollment> {
        let mut report = self.job.live.report();
        // What an applied import changes is counted when it is decided.
        let created = if self.job.options.dry_run { plan.requested.len() as u64 } else { 0 };
        report.enrollments = Some(EnrollmentTally { created, unchanged: plan.unchanged, refused: 0 });
        report.warnings_total += plan.warnings_total;
        let room = LIST_LEN_MAX.saturating_sub(report.warnings.len());
        report.warnings.extend(plan.warnings.into_iter().take(room));
        plan.requested
    }

    fn read_students(&mut self) -> Result<StudentFile, Stop> {
        let options = self.reading_options();
        let (file, folder) = (self.job.upload.path(), self.job.upload.folder.path());
        let today = options.zone.to_datetime(self.inner.deps.clock.now()).date();
        let read = students::read(&file, folder, &options, today, &mut |progress: ScheduleProgress| {
            {
                let mut report = self.job.live.report();
                (report.rows, report.bytes, report.refused) = (progress.rows, progress.bytes, progress.rejected);
            }
            self.publish(false);
            self.check().is_ok()
        });
        self.check()?;
        Ok(read?)
    }

    /// Compares the facts about `names` with the stored ones. Rejects a file after which a student would have too many
    /// completed courses. `known` are the students whose facts do not change.
    fn compare(&self, students: &Students, known: &[UserName], names: &[UserName]) -> Result<BulkTally, Stop> {
        let store = self.inner.deps.students.clone();
        let before = self.retry(|| store.facts_of(names.to_vec()))?;
        let mut tally = BulkTally { unchanged: known.len() as u64, ..BulkTally::default() };
        let mut first_completed = 0;
        for (name, before) in names.iter().zip(before) {
            let after = students.applied_to(name, before.clone().unwrap_or_default());
            if after.completed.as_ref().is_some_and(|all| all.len() > COMPLETED_MAX) {
                let kind = FindingKind::TooManyFacts { max: COMPLETED_MAX };
                return Err(self.reject(vec![kind.of_cell(1, Some("completed"), None)]));
            }
            let was_stated = before.as_ref().is_some_and(|facts| facts.completed.is_some());
            first_completed += u64::from(!was_stated && after.completed.is_some());
            tally.count(before.as_ref(), &after);
        }
        if first_completed > 0 && students.only_adds() {
            let warning = RosterFinding::RosterFirstCompleted { n: first_completed }.of_cell(1, None, None);
            let mut report = self.job.live.report();
            report.warnings_total += 1;
            report.warnings.insert(0, warning);
            report.warnings.truncate(LIST_LEN_MAX);
        }
        Ok(tally)
    }

    /// Changes the facts. They may have changed since the comparison, so they are compared again.
    fn put(&mut self, students: &Students, names: Vec<UserName>, known: u64) -> Result<(), Stop> {
        let change = |name: &UserName, before| students.applied_to(name, before);
        let changed = self.inner.deps.facts.change_all(names, change, self.audit_entry());
        match self.runtime.block_on(changed) {
            Ok(tally) => {
                self.report_students(BulkTally { unchanged: tally.unchanged + known, ..tally });
                Ok(())
            }
            Err(error) => {
                let is_stopping = self.inner.stopping.load(Ordering::Acquire);
                log::error!("facts about students were not stored in all terms (stopping: {is_stopping}): {error}");
                let cause = match error {
                    FactsError::Store(error) => error.to_string(),
                    FactsError::Submit(error) => error.to_string(),
                };
                Err(Stop::Failed { reason: EndReason::FactsInSomeTerms, cause })
            }
        }
    }

    /// Returns the audit entry of the change, which is stored in the commit of the first term.
    fn audit_entry(&self) -> Option<AuditEntry> {
        let report = self.job.live.report();
        let numbers = (report.created, report.updated);
        let task = report.task.to_string();
        drop(report);
        let entry = self.job.options.audit.clone()?;
        let (created, changed) = numbers;
        let detail = AuditDetail::Students { n: created + changed, created, changed }.into();
        Some(AuditEntry { at: self.inner.deps.clock.now(), subject: Some(task), detail, ..entry })
    }

    fn report_students(&self, tally: BulkTally) {
        let mut report = self.job.live.report();
        (report.created, report.updated, report.unchanged) = (tally.created, tally.updated, tally.unchanged);
    }
}
