//! Deadlines that pass while no command arrives: the registrar's timer handles them. The clock stands still until a
//! test sets it, so a timer that fires too early finds nothing to do.

use eduhub::domain::command::{Command, TermPatch};
use eduhub::domain::offer::{Offer, WaitlistMode};
use eduhub::domain::registration::{Registration, RegistrationStatus};
use eduhub::domain::view::TermView;
use jiff::{SignedDuration, Timestamp};

use crate::college::{crn, drop_section, minute, register, register_or_wait, section, user};

use super::harness::Harness;
use super::{reply_to, students_of};

/// Returns a deadline that the timer reaches at once, and the clock only when a test sets it.
fn soon() -> Timestamp {
    minute(1) + SignedDuration::from_millis(20)
}

/// Returns a deadline that no timer reaches during a test.
fn much_later() -> Timestamp {
    minute(600)
}

/// Returns an offer of a seat in X.
fn offered(expires_at: Timestamp, remind_at: Option<Timestamp>) -> Registration {
    Registration {
        crn: crn("X"),
        status: RegistrationStatus::Offered,
        queue_number: 0,
        at: minute(0),
        passed_over_for: None,
        reserved_for: None,
        offer: Some(Offer { expires_at, remind_at }),
        choices: None,
    }
}

/// Starts a hub whose store has an offer of the only seat of X to `bob`. `cyd` waits for the seat.
async fn started_with(offer: Registration) -> Harness {
    let mut harness = Harness::unloaded(10, None, [section("X").waitlist(9)]);
    let reply = harness.next_load().await;
    let waiting =
        Registration { status: RegistrationStatus::Waitlisted, queue_number: 1, offer: None, ..offer.clone() };
    let mut x = harness.book.section(&crn("X")).unwrap().clone();
    (x.offered, x.waitlisted) = (1, 1);
    let sections = vec![x];
    let registrations = vec![(user("bob"), offer), (user("cyd"), waiting)];
    harness.put(sections, registrations);
    reply.send(Ok(harness.rows())).unwrap();
    harness.answer_settling().await;
    harness
}

#[actix::test]
async fn an_offer_loaded_at_the_start_lapses_without_a_command() {
    let mut harness = started_with(offered(soon(), None)).await;
    harness.clock.set(soon());
    let batch = harness.next_batch().await;
    assert_eq!(students_of(&batch), ["bob", "cyd"], "the next student is part of the same commit");
    harness.commit(batch);
    harness.wait_until_published("bob", "X", "dropped").await;
}

#[actix::test]
async fn a_reminder_loaded_at_the_start_is_sent_once_without_a_command() {
    let mut harness = started_with(offered(much_later(), Some(soon()))).await;
    harness.clock.set(soon());
    let batch = harness.next_batch().await;
    assert_eq!(students_of(&batch), ["bob"]);
    harness.commit(batch);
    let reminded = harness.submit(register("eve", "X")).await;
    let batch = harness.next_batch().await;
    assert_eq!(students_of(&batch), [""; 0], "the next batch is that of the command");
    harness.commit(batch);
    assert_eq!(reply_to(reminded).await, Ok("section_full".to_owned()));
}

#[actix::test]
async fn a_deadline_before_the_awaited_one_sets_the_timer_again() {
    let mut harness = started_with(offered(much_later(), None)).await;
    let short = TermPatch { waitlist: Some(Some(WaitlistMode::Offer)), offer_s: Some(Some(1)), ..TermPatch::default() };
    let commands = [Command::PutTerm(short), drop_section("bob", "X"), register_or_wait("dan", "X")];
    for command in commands {
        let pending = harness.submit(command).await;
        let batch = harness.next_batch().await;
        harness.commit(batch);
        assert!(reply_to(pending).await.is_ok());
    }
    assert_eq!(harness.published_status("cyd", "X"), "offered");
    harness.clock.set(minute(2));
    let batch = harness.next_batch().await;
    assert_eq!(students_of(&batch), ["cyd", "dan"]);
    harness.commit(batch);
}
