//! Registers the students of a OneRoster bundle, as staff do one by one: the rules apply, nothing is overridden, and each
//! decision is an attempt with an entry of the audit trail.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use futures_util::future::try_join_all;

use crate::domain::command::{BATCH_LEN_MAX, Batch, Command, StaffRequest};
use crate::domain::ids::{TermId, UserName};
use crate::domain::import::Finding;
use crate::domain::outcome::{ChoiceProblem, Outcome, RequestOutcome};
use crate::domain::refusal::RefusalCode;
use crate::domain::registration::RegistrationStatus;
use crate::domain::rules::LiftedCodes;
use crate::imports::finding_parts::EndReason;
use crate::imports::findings;
use crate::imports::roster::{ENROLLMENTS, RequestedEnrollment};
use crate::imports::roster_finding::{RefusalReason, RosterFinding};
use crate::imports::task::LIST_LEN_MAX;
use crate::registration::pool::RegistrarPool;
use crate::registration::registrar::SubmitError;
use crate::registration::submitted::Submitted;
use crate::store::accounts::AuditEntry;

use super::{ATTEMPTS_MAX, CHUNK_PAUSE_MAX, RETRY_PAUSE, Run, Stop};

/// The number of concurrent requests. They share a commit, and the next ones are sent after a pause, so that students'
/// requests come between them.
const AT_ONCE: usize = 100;

/// The sections of one student in one term, which are requested together.
type Set = Vec<RequestedEnrollment>;

/// A student in a term.
type InTerm = (TermId, UserName);

fn in_term(one: &RequestedEnrollment) -> InTerm {
    (one.section.term.clone(), one.student.clone())
}

/// Returns the students with several requests in a term.
fn with_several(requested: &[RequestedEnrollment]) -> HashSet<InTerm> {
    let (mut seen, mut several) = (HashSet::new(), HashSet::new());
    for one in requested {
        if !seen.insert(in_term(one)) {
            several.insert(in_term(one));
        }
    }
    several
}

/// How the requests ended.
#[derive(Default)]
struct Results {
    created: u64,
    unchanged: u64,
    refused: Vec<Finding>,
    /// Refused requests to repeat, because another section of the same student may have made them possible.
    again: Vec<RequestedEnrollment>,
}

impl Run<'_> {
    /// Makes registrations. If a student has several requests in a term, those that are refused because they need
    /// another section are requested again together, after all others.
    pub(super) fn register_students(&mut self, requested: Vec<RequestedEnrollment>) -> Result<(), Stop> {
        let several = with_several(&requested);
        let single: Vec<Set> = requested.into_iter().map(|one| vec![one]).collect();
        let again = self.register_sets(&single, &several)?;
        drop(single);
        let mut by_student: BTreeMap<InTerm, Set> = BTreeMap::new();
        for one in again {
            by_student.entry(in_term(&one)).or_default().push(one);
        }
        let sets: Vec<Set> = by_student
            .into_values()
            .flat_map(|set| set.chunks(BATCH_LEN_MAX).map(<[_]>::to_vec).collect::<Vec<_>>())
            .collect();
        self.register_sets(&sets, &HashSet::new())?;
        Ok(())
    }

    /// Requests each set. Returns the requests to repeat, which all belong to students in `repeated`.
    fn register_sets(&mut self, sets: &[Set], repeated: &HashSet<InTerm>) -> Result<Vec<RequestedEnrollment>, Stop> {
        let mut again = Vec::new();
        for chunk in sets.chunks(AT_ONCE) {
            if self.inner.stopping.load(Ordering::Acquire) {
                return Err(in_part("the hub is stopping"));
            }
            let started = Instant::now();
            let (pool, stopping) = (&self.inner.deps.pool, &self.inner.stopping);
            let requests = chunk.iter().map(|set| request(pool, stopping, set, self.entry(set)));
            let outcomes =
                self.runtime.block_on(try_join_all(requests)).map_err(|error| in_part(&error.to_string()))?;
            let mut results = Results::default();
            for (one, outcome) in chunk.iter().flatten().zip(outcomes.into_iter().flatten()) {
                results.add(one, outcome, repeated);
            }
            again.append(&mut results.again);
            self.report_results(&results)?;
            self.publish(false);
            std::thread::sleep(started.elapsed().min(CHUNK_PAUSE_MAX));
        }
        Ok(again)
    }

    fn report_results(&self, results: &Results) -> Result<(), Stop> {
        let mut report = self.job.live.report();
        let counts = report.enrollments.get_or_insert_default();
        counts.created += results.created;
        counts.unchanged += results.unchanged;
        let refused = results.refused.len() as u64;
        counts.refused += refused;
        (report.refused, report.errors_total) = (report.refused + refused, report.errors_total + refused);
        let room = LIST_LEN_MAX.saturating_sub(report.errors.len());
        report.errors.extend(results.refused.iter().take(room).cloned());
        let errors_file = self.inner.errors_path(report.task.as_str());
        drop(report);
        if results.refused.is_empty() {
            return Ok(());
        }
        findings::append(&results.refused, &errors_file).map_err(|error| in_part(&error.to_string()))
    }

    /// Returns the entry of the audit trail about a request.
    fn entry(&self, set: &Set) -> Option<AuditEntry> {
        let entry = self.job.options.audit.clone()?;
        let first = set.first()?;
        let crns: Vec<&str> = set.iter().map(|one| one.section.crn.as_str()).collect();
        Some(AuditEntry {
            at: self.inner.deps.clock.now(),
            action: "student.registration".to_owned(),
            subject: Some(first.student.to_string()),
            section: Some(first.section.clone()),
            detail: format!("register {}; OneRoster import", crns.join(", ")).into(),
            ..entry
        })
    }
}

impl Results {
    fn add(&mut self, one: &RequestedEnrollment, outcome: RequestOutcome, repeated: &HashSet<InTerm>) {
        let kind = match outcome {
            RequestOutcome::Done(current) if current.status == RegistrationStatus::Enrolled => {
                let count = if current.is_new { &mut self.created } else { &mut self.unchanged };
                *count += 1;
                return;
            }
            // The student joined the waitlist since the comparison.
            RequestOutcome::Done(_) => RosterFinding::EnrollmentWaiting,
            RequestOutcome::Refused(refusal)
            | RequestOutcome::InChoices { problem: ChoiceProblem::Refused(refusal), .. } => {
                let code = refusal.code();
                let needs_another = [RefusalCode::LinkedSectionRequired, RefusalCode::Prerequisite].contains(&code);
                if needs_another && repeated.contains(&in_term(one)) {
                    return self.again.push(one.clone());
                }
                RosterFinding::EnrollmentRefused { why: code.into() }
            }
            RequestOutcome::NotFound
            | RequestOutcome::SwapUndone { .. }
            | RequestOutcome::InChoices { problem: ChoiceProblem::NotFound(_), .. } => {
                RosterFinding::EnrollmentRefused { why: RefusalReason::NoSuchSection }
            }
        };
        self.refused.push(kind.of_cell(one.line, Some(ENROLLMENTS), Some(&one.section.to_string())));
    }
}

/// Requests the sections of a student, and repeats the request if the registrar is busy or fails. A repeated request
/// that was decided before returns the current state. Returns an outcome for each section.
async fn request(
    pool: &RegistrarPool,
    stopping: &AtomicBool,
    set: &Set,
    audit: Option<AuditEntry>,
) -> Result<Vec<RequestOutcome>, SubmitError> {
    let not_found = || set.iter().map(|_| RequestOutcome::NotFound).collect();
    let Some(first) = set.first() else { return Ok(Vec::new()) };
    let mut attempts = 1;
    loop {
        let command = Submitted::by_staff(command(set, first), None).audited(audit.clone());
        match pool.submit(&first.section.term, command).await {
            // The term was removed.
            None => return Ok(not_found()),
            Some(Ok(Outcome::Request(outcome))) => return Ok(vec![outcome]),
            Some(Ok(Outcome::Batch(outcomes))) => {
                return Ok(outcomes.into_iter().map(|(_, outcome)| outcome).collect());
            }
            Some(Ok(_)) => return Err(SubmitError::Failed),
            Some(Err(error)) if attempts >= ATTEMPTS_MAX || stopping.load(Ordering::Acquire) => return Err(error),
            Some(Err(SubmitError::Overloaded | SubmitError::OutcomeUnknown | SubmitError::Failed)) => {
                attempts += 1;
                tokio::time::sleep(RETRY_PAUSE).await;
            }
        }
    }
}

/// Returns the request by staff for one section, or the batch for several.
fn command(set: &Set, first: &RequestedEnrollment) -> Command {
    let student = first.student.clone();
    if let [one] = &set[..] {
        let (add, lifted) = (Some(one.section.crn.clone()), LiftedCodes::NONE);
        return Command::ForStudent(StaffRequest { student, drop: None, add, waitlist: false, lifted });
    }
    Command::Batch(Batch {
        student,
        add: set.iter().map(|one| one.section.crn.clone()).collect(),
        drop: Vec::new(),
        swap: false,
        waitlist: false,
        choices: BTreeMap::new(),
    })
}

fn in_part(cause: &str) -> Stop {
    Stop::Failed { reason: EndReason::EnrollmentsInPart, cause: cause.to_owned() }
}
