//! The registrar between its callers and its store. The test itself answers each call to the store, so that it controls
//! when a commit succeeds or fails. (The tests in `store` check real stores against the same port.)

mod deadlines;
mod harness;

use std::time::Duration;

use actix::clock::timeout;
use eduhub::bus::Event;
use eduhub::domain::ids::TermId;
use eduhub::domain::outcome::Outcome;
use eduhub::domain::registration::{Registration, RegistrationStatus};
use eduhub::registration::registrar::{Reply, SubmitError};
use eduhub::store::StoreError;
use tokio::task::JoinHandle;

use crate::college::{crn, drop_section, minute, register, register_or_wait, reply_in_words, section, user};
use harness::{Harness, PendingCommit, WAIT_MAX};

/// Waits for the reply to a command and returns it in words.
async fn reply_to(pending: JoinHandle<Reply>) -> Result<String, SubmitError> {
    timeout(WAIT_MAX, pending).await.expect("a reply").unwrap().map(|outcome| match outcome {
        Outcome::Request(outcome) => reply_in_words(&outcome),
        other => format!("{other:?}"),
    })
}

/// Returns the students whose registrations a batch changes, by name.
fn students_of((record, _): &PendingCommit) -> Vec<String> {
    let changed = record.iter().flat_map(|record| record.changes.registrations.keys());
    changed.map(|(student, _)| student.to_string()).collect()
}

#[actix::test]
async fn replies_and_snapshots_wait_for_the_commit() {
    let mut harness = Harness::loaded(10, [section("X")]).await;
    let pending = harness.submit(register("ana", "X")).await;
    let batch = harness.next_batch().await;
    let seq = harness.published_seq();
    assert!(!pending.is_finished(), "the reply waits for the commit");
    assert_eq!(harness.published_status("ana", "X"), "-");
    harness.commit(batch);
    assert_eq!(reply_to(pending).await, Ok("enrolled, new".to_owned()));
    assert_eq!(harness.published_status("ana", "X"), "enrolled", "published before the reply");
    assert_eq!(harness.published_seq(), seq + 1);
}

#[actix::test]
async fn a_repeated_command_waits_for_the_commit_before_it() {
    let mut harness = Harness::loaded(10, [section("X")]).await;
    let first = harness.submit(register("ana", "X")).await;
    let batch = harness.next_batch().await;
    let again = harness.submit(register("ana", "X")).await;
    assert!(!again.is_finished(), "the reply waits for the first commit");
    harness.commit(batch);
    assert_eq!(reply_to(first).await, Ok("enrolled, new".to_owned()));
    let batch = harness.next_batch().await;
    let changes = &batch.0.as_ref().expect("a record").changes;
    assert!(!changes.changes_term() && changes.attempts.attempts.len() == 1, "only an attempt: {changes:?}");
    harness.commit(batch);
    assert_eq!(reply_to(again).await, Ok("enrolled, as before".to_owned()));
}

#[actix::test]
async fn one_batch_is_in_flight_and_later_commands_form_the_next() {
    // With one seat, the waitlist shows the order of the commands, which is not the order of the names.
    let mut harness = Harness::loaded(10, [section("X").waitlist(9)]).await;
    let mut pending = vec![harness.submit(register("s0", "X")).await];
    let first = harness.next_batch().await;
    assert_eq!(students_of(&first), ["s0"]);
    for student in ["s3", "s1", "s2"] {
        pending.push(harness.submit(register_or_wait(student, "X")).await);
        harness.assert_store_is_idle();
    }
    harness.commit(first);
    let second = harness.next_batch().await;
    assert_eq!(students_of(&second), ["s1", "s2", "s3"]);
    harness.commit(second);
    let expected = ["enrolled, new", "waitlisted 1, new", "waitlisted 2, new", "waitlisted 3, new"];
    for (pending, expected) in pending.into_iter().zip(expected) {
        assert_eq!(reply_to(pending).await, Ok(expected.to_owned()));
    }
}

#[actix::test]
async fn after_a_failed_commit_the_term_is_reloaded_first() {
    let mut harness = Harness::loaded(10, [section("X").seats(9)]).await;
    let lost = harness.submit(register("ana", "X")).await;
    let (record, reply) = harness.next_batch().await;
    let next = harness.submit(register("bob", "X")).await;
    reply.send(Err(StoreError::CommitFailed("the disk is gone".to_owned()))).unwrap();
    assert_eq!(reply_to(lost).await, Err(SubmitError::OutcomeUnknown));
    assert_eq!(harness.published_status("ana", "X"), "-", "an unknown outcome is not published");
    let reply = harness.next_load().await;
    harness.assert_store_is_idle();
    // The store did commit the batch although it reported a failure.
    harness.write(*record.unwrap());
    reply.send(Ok(harness.rows())).unwrap();
    harness.answer_settling().await;
    let batch = harness.next_batch().await;
    assert_eq!(students_of(&batch), ["bob"], "the waiting command runs once, and the failed one is not repeated");
    harness.commit(batch);
    assert_eq!(reply_to(next).await, Ok("enrolled, new".to_owned()));
    assert_eq!(harness.published_status("ana", "X"), "enrolled");
}

#[actix::test]
async fn a_seat_that_was_not_committed_is_free_after_the_reload() {
    let mut harness = Harness::loaded(10, [section("X")]).await;
    let lost = harness.submit(register("ana", "X")).await;
    let (_, reply) = harness.next_batch().await;
    let next = harness.submit(register("bob", "X")).await;
    reply.send(Err(StoreError::CommitFailed("the disk is gone".to_owned()))).unwrap();
    assert_eq!(reply_to(lost).await, Err(SubmitError::OutcomeUnknown));
    harness.answer_load().await;
    let batch = harness.next_batch().await;
    harness.commit(batch);
    assert_eq!(reply_to(next).await, Ok("enrolled, new".to_owned()), "decided on the contents of the store");
    assert_eq!(harness.published_status("ana", "X"), "-");
}

#[actix::test]
async fn each_store_error_maps_to_its_reply() {
    let text = || "a reason".to_owned();
    for (error, expected) in [
        (StoreError::CommitFailed(text()), SubmitError::OutcomeUnknown),
        (StoreError::Corrupt(text()), SubmitError::OutcomeUnknown),
        (StoreError::Refused(text()), SubmitError::Failed),
        (StoreError::Unavailable(text()), SubmitError::Overloaded),
        (StoreError::Overloaded, SubmitError::Overloaded),
    ] {
        let mut harness = Harness::loaded(10, [section("X")]).await;
        let pending = harness.submit(register("ana", "X")).await;
        let (_, reply) = harness.next_batch().await;
        reply.send(Err(error.clone())).unwrap();
        assert_eq!(reply_to(pending).await, Err(expected), "{error}");
        harness.answer_load().await;
        harness.wait_until_all_are_answered().await;
    }
}

#[actix::test]
async fn commands_past_the_bound_are_refused_at_once() {
    let mut harness = Harness::loaded(2, [section("X").seats(9)]).await;
    let first = harness.submit(register("s0", "X")).await;
    let batch = harness.next_batch().await;
    let second = harness.submit(register("s1", "X")).await;
    let third = harness.submit(register("s2", "X")).await;
    assert_eq!(reply_to(third).await, Err(SubmitError::Overloaded), "refused before the store answers");
    harness.commit(batch);
    assert_eq!(reply_to(first).await, Ok("enrolled, new".to_owned()));
    let batch = harness.next_batch().await;
    assert_eq!(students_of(&batch), ["s1"]);
    harness.commit(batch);
    assert_eq!(reply_to(second).await, Ok("enrolled, new".to_owned()));
    harness.wait_until_all_are_answered().await;
}

#[actix::test]
async fn an_abandoned_command_is_discarded_undecided() {
    let mut harness = Harness::loaded(10, [section("X").seats(9)]).await;
    let first = harness.submit(register("s0", "X")).await;
    let batch = harness.next_batch().await;
    let abandoned = harness.submit(register("s1", "X")).await;
    let waiting = harness.submit(register("s2", "X")).await;
    abandoned.abort();
    assert!(abandoned.await.unwrap_err().is_cancelled());
    harness.commit(batch);
    assert!(reply_to(first).await.is_ok());
    let batch = harness.next_batch().await;
    assert_eq!(students_of(&batch), ["s2"]);
    harness.commit(batch);
    assert!(reply_to(waiting).await.is_ok());
    harness.wait_until_all_are_answered().await;
}

#[actix::test]
async fn an_expired_command_is_refused_undecided() {
    let mut harness = Harness::unloaded(10, Some(Duration::ZERO), [section("X")]);
    let reply = harness.next_load().await;
    let pending = harness.submit(register("ana", "X")).await;
    reply.send(Ok(harness.rows())).unwrap();
    harness.answer_settling().await;
    assert_eq!(reply_to(pending).await, Err(SubmitError::Overloaded));
    harness.assert_store_is_idle();
}

#[actix::test]
async fn a_failed_decision_fails_only_its_caller() {
    let mut harness = Harness::loaded(10, [section("X").seats(9), section("Y").seats(9)]).await;
    let first = harness.submit(register("s0", "X")).await;
    let batch = harness.next_batch().await;
    harness.commit(batch);
    assert!(reply_to(first).await.is_ok());
    // The next load returns counts without s0, so that the drop of s0 fails: it would make them negative.
    let failing = harness.submit(register("s9", "Y")).await;
    let (_, reply) = harness.next_batch().await;
    let (bad, good) = (harness.submit(drop_section("s0", "X")).await, harness.submit(register("s2", "X")).await);
    reply.send(Err(StoreError::CommitFailed("the disk is gone".to_owned()))).unwrap();
    assert_eq!(reply_to(failing).await, Err(SubmitError::OutcomeUnknown));
    let reply = harness.next_load().await;
    let mut rows = harness.rows();
    rows.sections.iter_mut().for_each(|state| state.enrolled = 0);
    reply.send(Ok(rows)).unwrap();
    harness.answer_settling().await;
    let batch = harness.next_batch().await;
    assert_eq!(students_of(&batch), ["s2"], "a failed decision changes nothing");
    harness.commit(batch);
    assert_eq!(reply_to(bad).await, Err(SubmitError::Failed));
    assert_eq!(reply_to(good).await, Ok("enrolled, new".to_owned()));
    let next = harness.submit(register("s3", "X")).await;
    let batch = harness.next_batch().await;
    harness.commit(batch);
    assert!(reply_to(next).await.is_ok());
}

#[actix::test]
async fn a_failed_load_answers_waiting_callers_and_is_retried() {
    let mut harness = Harness::unloaded(10, None, [section("X")]);
    let reply = harness.next_load().await;
    let pending = harness.submit(register("ana", "X")).await;
    reply.send(Err(StoreError::Unavailable("not yet".to_owned()))).unwrap();
    assert_eq!(reply_to(pending).await, Err(SubmitError::Overloaded));
    harness.answer_load().await;
    let pending = harness.submit(register("ana", "X")).await;
    let batch = harness.next_batch().await;
    harness.commit(batch);
    assert!(reply_to(pending).await.is_ok());
}

#[actix::test]
async fn a_failed_settling_answers_waiting_callers_and_reloads() {
    let mut harness = Harness::unloaded(10, None, [section("X")]);
    let reply = harness.next_load().await;
    let pending = harness.submit(register("ana", "X")).await;
    reply.send(Ok(harness.rows())).unwrap();
    let (_, reply) = harness.next_batch().await;
    reply.send(Err(StoreError::Refused("a row that cannot be written".to_owned()))).unwrap();
    assert_eq!(reply_to(pending).await, Err(SubmitError::Overloaded), "the reply does not wait for the reload");
    harness.answer_load().await;
}

#[actix::test]
async fn waitlists_are_settled_before_the_first_command() {
    let mut harness = Harness::unloaded(10, None, [section("X").waitlist(9)]);
    let reply = harness.next_load().await;
    let pending = harness.submit(register("ana", "X")).await;
    let mut rows = harness.rows();
    let registration = Registration {
        crn: crn("X"),
        status: RegistrationStatus::Waitlisted,
        queue_number: 1,
        at: minute(0),
        passed_over_for: None,
        reserved_for: None,
        offer: None,
        choices: None,
    };
    rows.registrations.push((user("bob"), registration));
    rows.sections[0].waitlisted = 1;
    reply.send(Ok(rows)).unwrap();
    let settling = harness.next_batch().await;
    assert_eq!(students_of(&settling), ["bob"]);
    harness.commit(settling);
    let batch = harness.next_batch().await;
    harness.commit(batch);
    assert_eq!(reply_to(pending).await, Ok("section_full".to_owned()));
    assert_eq!(harness.published_status("bob", "X"), "enrolled");
}

#[actix::test]
async fn a_command_for_an_unknown_term_is_not_accepted() {
    let harness = Harness::loaded(10, []).await;
    let unknown = TermId::parse("2099").unwrap();
    assert!(harness.pool.submit(&unknown, register("ana", "X")).await.is_none());
    assert_eq!(harness.pool.accepted(), 0);
}

#[actix::test]
async fn events_name_everyone_who_was_promoted_or_moved_up() {
    let mut harness = Harness::loaded(10, [section("X").waitlist(9)]).await;
    for command in
        [register("ana", "X"), register_or_wait("bob", "X"), register_or_wait("cyd", "X"), drop_section("ana", "X")]
    {
        let pending = harness.submit(command).await;
        let batch = harness.next_batch().await;
        harness.commit(batch);
        assert!(reply_to(pending).await.is_ok());
    }
    let mut published = Vec::new();
    let mut alerts = 0;
    for event in harness.events.0.lock().unwrap().drain(..) {
        match event {
            Event::RegistrationsChanged { registrations, positions, .. } => {
                published.extend(registrations.iter().map(|change| {
                    let (student, status) = (&change.notice.student, change.notice.status.as_str());
                    format!("{student} {status} {:?}", change.position)
                }));
                published
                    .extend(positions.iter().map(|moved| format!("{} moved to {}", moved.student, moved.position)));
            }
            Event::AlertsStored { .. } => alerts += 1,
            other => panic!("{other:?}"),
        }
    }
    let expected = [
        "ana enrolled None",
        "bob waitlisted Some(1)",
        "cyd waitlisted Some(2)",
        "ana dropped None",
        "bob enrolled None",
        "cyd moved to 1",
    ];
    assert_eq!(published, expected);
    assert_eq!(alerts, 1, "the promotion stores an alert");
}
