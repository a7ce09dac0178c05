//! Offers of seats to students on waitlists: made, accepted, declined and lapsed.

use eduhub::domain::attempt::{Action, AttemptResult};
use eduhub::domain::book::TermBook;
use eduhub::domain::command::{Batch, Command, StaffRequest, TermPatch};
use eduhub::domain::decide::Decision;
use eduhub::domain::offer::{OfferSettings, TermOffers, WaitlistMode};
use eduhub::domain::registration::RegistrationStatus;
use eduhub::domain::rules::LiftedCodes;
use eduhub::domain::section::{Credits, SectionStatus};
use eduhub::domain::student::HeldAction;
use eduhub::domain::term::Term;
use eduhub::domain::view::TermView;

use crate::college::{
    SectionBuilder, TestTerm, batch, capacity, crn, drop_section, hold, in_groups, minute, notices_in_words, register,
    register_or_wait, replies_in_words, section, state, status, swap, term, user,
};

/// How long seats are offered in these tests, in minutes.
const LASTS: i64 = 8;

/// Returns an open term that offers seats for [`LASTS`] minutes.
fn offering(sections: impl IntoIterator<Item = SectionBuilder>) -> TestTerm {
    let offers = TermOffers {
        mode: Some(WaitlistMode::Offer),
        offer_s: Some(60 * LASTS as u32),
        first_day_s: None,
        priority: Vec::new(),
    };
    let book = TermBook::new(Term { offers, ..term() }, Credits(0), sections.into_iter().map(|s| s.0), 1);
    TestTerm { book, now: minute(1) }
}

/// Returns a term in which `bob` is offered the only seat of X at minute 5, `cyd` and then `dan` wait for it, and Y has
/// seats.
fn bob_is_offered_a_seat() -> TestTerm {
    let mut term = offering([section("X").waitlist(3), section("Y").seats(3)]);
    term.enroll("ana", "X");
    term.join_waitlist("bob", "X");
    term.join_waitlist("cyd", "X");
    term.join_waitlist("dan", "X");
    term.now = minute(4);
    assert_eq!(term.reply(&drop_section("ana", "X")), "dropped, new");
    assert_eq!(term.status("bob", "X"), "offered");
    term
}

/// Settles the term at a minute, as the hub does at a deadline.
fn at_minute(term: &mut TestTerm, at: i64) -> Decision {
    term.now = minute(at);
    term.decide(&Command::Settle)
}

#[test]
fn a_freed_seat_is_offered_to_the_head_of_the_waitlist() {
    let term = bob_is_offered_a_seat();
    let offer = term.registration("bob", "X").unwrap().offer.unwrap();
    assert_eq!((offer.expires_at, offer.remind_at), (minute(5 + LASTS), Some(minute(5 + LASTS - 2))));
    // The offer counts as a taken seat, and the others move up.
    assert_eq!(term.numbers("X"), [1, 1, 2, 0]);
    assert_eq!(term.waitlist("X"), ["cyd", "dan"]);
    assert_eq!((term.state("X").enrolled, term.state("X").offered), (0, 1));
    assert_eq!(term.book.next_offer_deadline(), Some(minute(5 + LASTS - 2)));
}

#[test]
fn an_offer_and_its_end_are_recorded_as_notices_and_attempts() {
    let mut term = offering([section("X")]);
    term.enroll("ana", "X");
    term.join_waitlist("bob", "X");
    let offered = term.decide(&drop_section("ana", "X"));
    assert_eq!(notices_in_words(&offered.changes.notices), ["ana X dropped self", "bob X offered offer"]);
    let of_waitlist = |decision: &Decision| {
        let own = decision.attempts.iter().filter(|one| !one.action.is_request());
        own.map(|one| (one.student.to_string(), one.action, one.result, one.position)).collect::<Vec<_>>()
    };
    let granted = AttemptResult::Granted(RegistrationStatus::Offered);
    assert_eq!(of_waitlist(&offered), [("bob".to_owned(), Action::Promote, granted, Some(1))]);
    let lapsed = at_minute(&mut term, 100);
    assert_eq!(notices_in_words(&lapsed.changes.notices), ["bob X dropped lapsed"]);
    let dropped = AttemptResult::Granted(RegistrationStatus::Dropped);
    assert_eq!(of_waitlist(&lapsed), [("bob".to_owned(), Action::Lapse, dropped, None)]);
    assert_eq!(term.numbers("X"), [1, 0, 0, 1]);
}

#[test]
fn registering_accepts_an_offer_without_a_second_seat() {
    let mut term = bob_is_offered_a_seat();
    assert_eq!(term.reply(&register("bob", "X")), "enrolled, new");
    assert_eq!(term.reply(&register("bob", "X")), "enrolled, as before");
    assert_eq!(term.numbers("X"), [1, 1, 2, 0]);
    assert_eq!(term.registration("bob", "X").unwrap().offer, None);
    assert_eq!(term.book.next_offer_deadline(), None);
    at_minute(&mut term, 100);
    assert_eq!(term.status("bob", "X"), "enrolled", "an accepted offer does not lapse");
}

#[test]
fn an_offer_in_a_closed_section_and_term_can_be_accepted() {
    let mut term = bob_is_offered_a_seat();
    term.run(&crate::college::window(None, None));
    term.run(&status("X", SectionStatus::Closed));
    assert_eq!(term.reply(&register("bob", "X")), "enrolled, new");
}

#[test]
fn an_offer_in_a_cancelled_section_cannot_be_accepted() {
    let mut term = bob_is_offered_a_seat();
    term.run(&status("X", SectionStatus::Cancelled));
    assert_eq!(term.reply(&register("bob", "X")), "section_cancelled");
    assert_eq!(term.reply(&drop_section("bob", "X")), "dropped, new");
}

#[test]
fn a_declined_offer_goes_to_the_next_student() {
    let mut term = bob_is_offered_a_seat();
    assert_eq!(term.reply(&drop_section("bob", "X")), "dropped, new");
    assert_eq!((term.status("bob", "X"), term.status("cyd", "X")), ("dropped", "offered"));
    assert_eq!(term.waitlist("X"), ["dan"]);
}

#[test]
fn a_lapsed_offer_goes_to_the_next_student_before_anything_else() {
    let mut term = bob_is_offered_a_seat();
    term.now = minute(5 + LASTS - 1);
    // Requests are a minute apart, so this one is decided as the offer ends.
    assert_eq!(term.reply(&register("bob", "X")), "section_full", "too late");
    assert_eq!((term.status("bob", "X"), term.status("cyd", "X")), ("dropped", "offered"));
    let next = term.registration("cyd", "X").unwrap().offer.unwrap();
    assert_eq!(next.expires_at, minute(5 + 2 * LASTS), "from the moment of the second offer");
    assert_eq!(term.numbers("X"), [1, 1, 1, 0]);
}

#[test]
fn a_lapsed_offer_precedes_the_notices_of_a_cancellation() {
    let mut term = bob_is_offered_a_seat();
    term.now = minute(5 + LASTS);
    let decision = term.decide(&status("X", SectionStatus::Cancelled));
    let notices = notices_in_words(&decision.changes.notices);
    let expected =
        ["bob X dropped lapsed", "cyd X offered offer", "cyd X offered cancelled", "dan X waitlisted cancelled"];
    assert_eq!(notices, expected, "bob is no longer in the cancelled section, and is not notified");
}

#[test]
fn a_student_is_reminded_of_an_offer_once() {
    let mut term = bob_is_offered_a_seat();
    assert!(at_minute(&mut term, 5 + LASTS - 3).changes.is_empty(), "too early");
    let reminded = at_minute(&mut term, 5 + LASTS - 2);
    assert_eq!(notices_in_words(&reminded.changes.notices), ["bob X offered offer reminder"]);
    assert!(at_minute(&mut term, 5 + LASTS - 1).changes.is_empty(), "once");
    assert_eq!(term.reply(&register("eve", "X")), "section_full");
    assert_eq!(term.status("bob", "X"), "dropped", "the reminder does not extend the deadline");
}

#[test]
fn an_acceptance_that_a_rule_refuses_keeps_the_offer() {
    let mut term = bob_is_offered_a_seat();
    let held =
        eduhub::domain::student::StudentFacts { holds: vec![hold("1", &[HeldAction::Register])], ..Default::default() };
    term.run(&state("bob", held));
    assert_eq!(term.reply(&register("bob", "X")), "hold");
    assert_eq!(term.status("bob", "X"), "offered");
    term.run(&state("bob", in_groups(&[])));
    assert_eq!(term.reply(&register("bob", "X")), "enrolled, new");
}

#[test]
fn an_offer_counts_for_overlaps_but_not_for_credits() {
    let sections = [section("X").monday(9, 11).credits(9_000), section("Y").monday(10, 12), section("Z")];
    let mut term = offering(sections);
    term.enroll("ana", "X");
    term.join_waitlist("bob", "X");
    term.request(&drop_section("ana", "X"));
    assert_eq!(term.reply(&register("bob", "Y")), "time_conflict");
    assert_eq!(term.reply(&register("bob", "Z")), "enrolled, new");
}

#[test]
fn a_lower_capacity_keeps_offers_and_a_higher_one_makes_them() {
    let mut term = bob_is_offered_a_seat();
    term.run(&capacity("X", 0));
    assert_eq!(term.status("bob", "X"), "offered");
    assert_eq!(term.reply(&register("bob", "X")), "enrolled, new");
    term.run(&capacity("X", 2));
    assert_eq!((term.status("cyd", "X"), term.status("dan", "X")), ("offered", "waitlisted"));
    assert_eq!(term.numbers("X"), [2, 2, 1, 0]);
}

#[test]
fn an_offer_keeps_the_seat_of_a_pool_and_of_a_reservation() {
    let mut term = offering([
        section("X").in_pool("G", Some(1)).seats(2).waitlist(2).reserve("honors", 1, None),
        section("Y").in_pool("G", Some(1)).seats(2).waitlist(2),
    ]);
    for student in ["ana", "bob"] {
        term.run(&state(student, in_groups(&["honors"])));
    }
    term.enroll("ana", "X");
    term.join_waitlist("bob", "X");
    term.request(&drop_section("ana", "X"));
    assert_eq!(term.registration("bob", "X").unwrap().reserved_for.as_deref(), Some("honors"));
    assert_eq!(term.reply(&register("cyd", "Y")), "section_full");
    // The seat stays that of the group, even if the student leaves it.
    term.run(&state("bob", in_groups(&[])));
    assert_eq!(term.reply(&register("bob", "X")), "enrolled, new");
    assert_eq!(term.registration("bob", "X").unwrap().reserved_for.as_deref(), Some("honors"));
    assert_eq!(term.state("X").reserved.taken, [("honors".into(), 1)]);
}

#[test]
fn linked_sections_are_offered_and_accepted_together() {
    let lecture = section("LEC").linked(&["LAB"]).seats(1);
    let lab = section("LAB").component("lab").linked(&["LEC"]).seats(1);
    let mut term = offering([lecture, lab]);
    let both = |student: &str| Command::Batch(Batch { waitlist: true, ..batch(student, &["LEC", "LAB"], &[]) });
    term.run(&both("ana"));
    assert_eq!(replies_in_words(&term.run(&both("bob"))), ["LEC: waitlisted 1, new", "LAB: waitlisted 1, new"]);
    let dropped = Command::Batch(batch("ana", &[], &["LEC", "LAB"]));
    term.run(&dropped);
    assert_eq!((term.status("bob", "LEC"), term.status("bob", "LAB")), ("offered", "offered"));
    let accepted = term.decide(&register("bob", "LEC"));
    assert_eq!((term.status("bob", "LEC"), term.status("bob", "LAB")), ("enrolled", "enrolled"));
    let attempts: Vec<&str> = accepted.attempts.iter().map(|one| one.crn.as_str()).collect();
    assert_eq!(attempts, ["LAB", "LEC"], "each is an attempt, and the receipt is that of the request");
}

#[test]
fn a_swap_can_accept_an_offer_and_a_refused_swap_keeps_it() {
    let mut term = bob_is_offered_a_seat();
    term.enroll("bob", "Y");
    assert_eq!(replies_in_words(&term.run(&swap("bob", &["X", "404"], &["Y"])))[1], "404: not found");
    assert_eq!((term.status("bob", "X"), term.status("bob", "Y")), ("offered", "enrolled"));
    let swapped = term.run(&swap("bob", &["X"], &["Y"]));
    assert_eq!(replies_in_words(&swapped), ["X: enrolled, new", "Y: dropped, new"]);
}

#[test]
fn staff_accept_an_offer_for_a_student() {
    let mut term = bob_is_offered_a_seat();
    let accept = StaffRequest {
        student: user("bob"),
        drop: None,
        add: Some(crn("X")),
        waitlist: false,
        lifted: LiftedCodes::NONE,
    };
    let decision = term.decide(&Command::ForStudent(accept));
    assert_eq!(notices_in_words(&decision.changes.notices), ["bob X enrolled staff"]);
}

#[test]
fn deadlines_survive_a_restart() {
    let term = bob_is_offered_a_seat();
    let mut loaded = TermBook::new(term.book.term().clone(), Credits(0), term.book.sections().cloned(), 1);
    for (student, registrations) in term.book.students() {
        registrations.iter().for_each(|r| loaded.restore(student.clone(), r.clone()));
    }
    let mut term = TestTerm { book: loaded, now: term.now };
    at_minute(&mut term, 5 + LASTS);
    assert_eq!((term.status("bob", "X"), term.status("cyd", "X")), ("dropped", "offered"));
}

#[test]
fn a_change_to_the_mode_applies_to_later_seats_only() {
    let mut term = bob_is_offered_a_seat();
    let auto = TermPatch { waitlist: Some(Some(WaitlistMode::Auto)), ..TermPatch::default() };
    term.run(&Command::PutTerm(auto));
    assert_eq!(term.status("bob", "X"), "offered");
    term.request(&drop_section("bob", "X"));
    assert_eq!(term.status("cyd", "X"), "enrolled");
}

#[test]
fn the_college_offers_seats_in_terms_without_their_own_mode() {
    let college = OfferSettings { mode: WaitlistMode::Offer, offer_s: 3_600, first_day_s: 600 };
    let mut term = TestTerm::of([section("X")]);
    term.book = term.book.with_offers(college);
    term.enroll("ana", "X");
    term.join_waitlist("bob", "X");
    term.request(&drop_section("ana", "X"));
    let until = term.registration("bob", "X").unwrap().offer.unwrap().expires_at;
    assert_eq!(until, term.now + jiff::SignedDuration::from_secs(600), "on the first day");
}

#[test]
fn no_one_is_offered_a_seat_after_the_waitlists_have_ended() {
    let mut term = offering([section("X").waitlist(3)]);
    term.enroll("ana", "X");
    term.join_waitlist("bob", "X");
    term.join_waitlist("cyd", "X");
    let end = TermPatch { waitlist_until: Some(Some(minute(10))), ..TermPatch::default() };
    term.run(&Command::PutTerm(end));
    term.now = minute(5);
    term.request(&drop_section("ana", "X"));
    assert_eq!(term.registration("bob", "X").unwrap().offer.unwrap().expires_at, minute(10));
    at_minute(&mut term, 10);
    assert_eq!((term.status("bob", "X"), term.status("cyd", "X")), ("dropped", "waitlisted"));
    assert_eq!(term.numbers("X"), [1, 0, 1, 1], "the seat is open to all");
    assert_eq!(term.reply(&register_or_wait("eve", "X")), "enrolled, new");
}
