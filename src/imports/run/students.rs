//! Runs an import of facts about students: one command to each term changes all of them.

use std::sync::atomic::Ordering;

use crate::domain::ids::UserName;
use crate::domain::import::Phase;
use crate::imports::csv::students::{self, StudentFile, Students};
use crate::imports::finding_parts::EndReason;
use crate::imports::findings;
use crate::imports::schedule::{Schedule, ScheduleProgress, Severity};
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
        let students = file.into_students();
        let names: Vec<UserName> = students.names().cloned().collect();
        let tally = self.compare(&students, &names)?;
        self.report_students(tally);
        if rejected {
            return Err(Stop::Rejected);
        }
        if self.job.options.dry_run || tally.changed() == 0 {
            return self.check();
        }
        self.check()?;
        self.commit(0)?;
        self.enter(Phase::Applying);
        self.put(&students, names)
    }

    fn read_students(&mut self) -> Result<StudentFile, Stop> {
        let options = self.reading_options();
        let (file, folder) = (self.job.upload.path(), self.job.upload.folder.path());
        let read = students::read(&file, folder, &options, &mut |progress: ScheduleProgress| {
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

    fn compare(&self, students: &Students, names: &[UserName]) -> Result<BulkTally, Stop> {
        let store = self.inner.deps.students.clone();
        let before = self.retry(|| store.facts_of(names.to_vec()))?;
        let mut tally = BulkTally::default();
        for (name, before) in names.iter().zip(before) {
            let after = students.applied_to(name, before.clone().unwrap_or_default());
            tally.count(before.as_ref(), &after);
        }
        Ok(tally)
    }

    /// Changes the facts. They may have changed since the comparison, so they are compared again.
    fn put(&mut self, students: &Students, names: Vec<UserName>) -> Result<(), Stop> {
        let change = |name: &UserName, before| students.applied_to(name, before);
        let changed = self.inner.deps.facts.change_all(names, change, self.audit_entry());
        match self.runtime.block_on(changed) {
            Ok(tally) => {
                self.report_students(tally);
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
        let detail = format!("{} students: {} new, {} changed", numbers.0 + numbers.1, numbers.0, numbers.1);
        Some(AuditEntry { at: self.inner.deps.clock.now(), subject: Some(task), detail, ..entry })
    }

    fn report_students(&self, tally: BulkTally) {
        let mut report = self.job.live.report();
        (report.created, report.updated, report.unchanged) = (tally.created, tally.updated, tally.unchanged);
    }
}
