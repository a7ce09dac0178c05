//! Waitlist choices: bundles, alternatives, and sections that are dropped when the student gets a seat.

use eduhub::domain::attempt::{Action, AttemptResult};
use eduhub::domain::book::TermBook;
use eduhub::domain::choices::WaitlistChoices;
use eduhub::domain::command::{Batch, Command, StaffRequest};
use eduhub::domain::decide::Decision;
use eduhub::domain::offer::{TermOffers, WaitlistMode};
use eduhub::domain::plan::PlannedSection;
use eduhub::domain::rules::LiftedCodes;
use eduhub::domain::section::Credits;
use eduhub::domain::student::{HeldAction, StudentFacts};
use eduhub::domain::term::Term;

use crate::college::{
    SectionBuilder, TestTerm, batch, capacity, crn, drop_section, hold, id, minute, notices_in_words, patch, register,
    register_or_wait, replies_in_words, section, state, term, user,
};

/// Returns choices from text such as `with A B`, `any_of A`, `drop X` or `with A, drop X`.
fn choices(text: &str) -> WaitlistChoices {
    let mut choices = WaitlistChoices::default();
    for part in text.split(", ") {
        let (name, list) = part.split_once(' ').unwrap();
        let crns = list.split(' ').map(crn).collect();
        match name {
            "with" => choices.with = crns,
            "any_of" => choices.any_of = crns,
            _ => choices.drop = crns.into_iter().next(),
        }
    }
    choices
}

fn wait_with(student: &str, section: &str, text: &str) -> Command {
    Command::RegisterWith { student: user(student), crn: crn(section), choices: choices(text) }
}

/// Returns a term whose sections are full: `ana` has each seat that she can have, and `eve` the others. Seats are
/// offered for eight minutes if `offers` is set.
fn full(sections: impl IntoIterator<Item = SectionBuilder>, offers: bool) -> TestTerm {
    let mode = offers.then_some(WaitlistMode::Offer);
    let offers = TermOffers { mode, offer_s: Some(480), first_day_s: None, priority: Vec::new() };
    let sections: Vec<_> = sections.into_iter().map(|s| s.waitlist(5).0).collect();
    let crns: Vec<String> = sections.iter().map(|s| s.section.id.crn.to_string()).collect();
    let book = TermBook::new(Term { offers, ..term() }, Credits(0), sections, 1);
    let mut term = TestTerm { book, now: minute(1) };
    for crn in &crns {
        if term.reply(&register("ana", crn)) != "enrolled, new" {
            term.enroll("eve", crn);
        }
    }
    term
}

/// Returns the status of a student in each of these sections.
fn statuses(term: &TestTerm, student: &str, sections: &[&str]) -> String {
    sections.iter().map(|crn| term.status(student, crn)).collect::<Vec<_>>().join(" ")
}

/// Returns the attempts of a decision: `STUDENT CRN ACTION RESULT`.
fn attempts(decision: &Decision) -> Vec<String> {
    let in_words = |one: &eduhub::domain::attempt::Decided| {
        let (action, result) = (<&str>::from(one.action), one.result.as_str());
        format!("{} {} {action} {result}", one.student, one.crn)
    };
    decision.attempts.iter().map(in_words).collect()
}

#[test]
fn a_swapped_seat_goes_to_the_next_student_on_its_waitlist() {
    let mut term = full([section("A"), section("B")], false);
    term.run(&drop_section("ana", "B"));
    term.enroll("bob", "B");
    assert_eq!(term.reply(&wait_with("bob", "A", "drop B")), "waitlisted 1, new");
    term.join_waitlist("cyd", "B");
    let mut of_other_hub = term.book.clone();
    let decision = term.decide(&drop_section("ana", "A"));
    assert_eq!(statuses(&term, "bob", &["A", "B"]), "enrolled dropped");
    assert_eq!(term.status("cyd", "B"), "enrolled", "the seat that bob gives up goes to the next student");
    assert_eq!(
        notices_in_words(&decision.changes.notices),
        ["ana A dropped self", "bob A enrolled promoted", "bob B dropped promoted", "cyd B enrolled promoted"]
    );
    let mut followed = notices_in_words(&of_other_hub.follow(2, &decision.changes).notices);
    followed.sort_unstable();
    assert_eq!(followed, notices_in_words(&decision.changes.notices), "another hub states the same reasons");
    assert_eq!(
        attempts(&decision),
        ["ana A drop dropped", "bob A promote enrolled", "bob B promote dropped", "cyd B promote enrolled"]
    );
}

#[test]
fn a_chain_of_swaps_is_one_decision() {
    let crns = ["1", "2", "3", "4", "5", "6"];
    let mut term = full(crns.map(section), false);
    for (at, student) in ["s2", "s3", "s4", "s5", "s6"].into_iter().enumerate() {
        let (wants, has) = (crns[at], crns[at + 1]);
        term.run(&drop_section("ana", has));
        term.enroll(student, has);
        term.run(&wait_with(student, wants, &format!("drop {has}")));
    }
    term.join_waitlist("last", "6");
    let decision = term.decide(&drop_section("ana", "1"));
    assert_eq!(term.status("last", "6"), "enrolled");
    assert_eq!(decision.changes.notices.len(), 1 + 5 * 2 + 1);
    assert!(crns.iter().all(|crn| term.numbers(crn) == [1, 1, 0, 0]), "no seat is left open");
}

#[test]
fn the_section_to_drop_does_not_conflict_with_the_new_one() {
    let same = |crn| section(crn).course("MATH 1").monday(9, 10);
    let mut term = full([same("A")], false);
    term.book = TermBook::new(
        term.book.published(0).term,
        Credits(5_000),
        [same("A").waitlist(5), same("B"), section("C").monday(9, 10)].map(|s| s.0),
        1,
    );
    term.enroll("ana", "A");
    term.enroll("bob", "B");
    assert_eq!(term.reply(&register_or_wait("bob", "A")), "already_in_course");
    assert_eq!(term.reply(&wait_with("bob", "A", "drop B")), "waitlisted 1, new");
    term.run(&drop_section("ana", "A"));
    assert_eq!(statuses(&term, "bob", &["A", "B"]), "enrolled dropped");
    // A free seat is taken at once, in the same way.
    assert_eq!(term.reply(&wait_with("bob", "B", "drop A")), "enrolled, new");
    assert_eq!(statuses(&term, "bob", &["A", "B"]), "dropped enrolled");
}

#[test]
fn invalid_choices_are_refused_and_change_nothing() {
    let mut term = full([section("A"), section("B"), section("C").monday(9, 10), section("D").monday(9, 10)], false);
    term.run(&drop_section("eve", "D"));
    term.enroll("bob", "D");
    term.join_waitlist("cyd", "B");
    let table = [
        ("bob", "A", "drop B", "in B drop not found"),
        ("bob", "A", "with 404", "in 404 with not found"),
        ("bob", "A", "any_of 404", "in 404 any_of not found"),
        ("bob", "404", "with A", "not found"),
        ("bob", "A", "with C", "in C time_conflict"),
        ("bob", "C", "with A", "time_conflict"),
        ("bob", "A", "any_of B C", "in C time_conflict"),
        ("cyd", "A", "with B", "in B already_in_course"),
        ("cyd", "A", "any_of B", "in B already_in_course"),
    ];
    for (student, crn, text, expected) in table {
        let decision = term.decide(&wait_with(student, crn, text));
        let eduhub::domain::outcome::Outcome::Request(outcome) = &decision.outcome else { panic!("a request") };
        assert_eq!(crate::college::reply_in_words(outcome), expected, "{student} {crn} {text}");
        assert!(decision.changes.is_empty(), "{student} {crn} {text}");
        assert_eq!(decision.attempts.len(), 1, "{student} {crn} {text}");
    }
}

#[test]
fn the_first_seat_among_alternatives_ends_the_others() {
    let same = |crn| section(crn).course("BIOL 1");
    let mut term = full([section("X")], false);
    term.book =
        TermBook::new(term.book.published(0).term, Credits(0), ["A", "B", "C"].map(|crn| same(crn).waitlist(5).0), 1);
    for (student, crn) in [("ana", "A"), ("bea", "B"), ("cia", "C")] {
        term.enroll(student, crn);
    }
    assert_eq!(term.reply(&wait_with("bob", "A", "any_of B C")), "waitlisted 1, new");
    assert_eq!(statuses(&term, "bob", &["A", "B", "C"]), "waitlisted waitlisted waitlisted");
    let decision = term.decide(&drop_section("bea", "B"));
    assert_eq!(statuses(&term, "bob", &["A", "B", "C"]), "dropped enrolled dropped");
    assert_eq!(attempts(&decision)[1..], ["bob B promote enrolled", "bob A promote dropped", "bob C promote dropped"]);
    assert!(term.registration("bob", "B").unwrap().choices.is_none());
    // A free seat in an alternative is taken at once, in the order of the request.
    term.run(&drop_section("cia", "C"));
    term.run(&drop_section("ana", "A"));
    term.enroll("ana", "A");
    let granted = term.decide(&wait_with("dan", "A", "any_of B C"));
    assert_eq!(statuses(&term, "dan", &["A", "B", "C"]), "- - enrolled");
    assert_eq!(attempts(&granted), ["dan C register enrolled"]);
}

#[test]
fn leaving_an_alternative_removes_it_from_the_others() {
    let mut term = full(["A", "B", "C"].map(section), false);
    term.run(&wait_with("bob", "A", "any_of B C"));
    term.run(&drop_section("bob", "B"));
    let choices = |crn: &str| term.registration("bob", crn).unwrap().choices.as_deref().unwrap().any_of.clone();
    assert_eq!((choices("A"), choices("C")), (vec![crn("C")], vec![crn("A")]));
}

#[test]
fn a_bundle_becomes_seats_together_or_is_passed_over() {
    let mut term = full([section("LEC"), section("LAB").component("lab")], false);
    assert_eq!(term.reply(&wait_with("bob", "LEC", "with LAB")), "waitlisted 1, new");
    term.join_waitlist("cyd", "LEC");
    let decision = term.decide(&drop_section("ana", "LEC"));
    // The lab has no seat, so the lecture goes to the next student, and bob is notified once and keeps the position.
    assert_eq!(
        notices_in_words(&decision.changes.notices)[1..],
        ["bob LEC waitlisted passed_over section_full", "cyd LEC enrolled promoted"]
    );
    assert_eq!(term.waitlist("LEC"), ["bob"]);
    // The lab alone does not help: its seat is open to others, and bob is notified.
    let decision = term.decide(&drop_section("ana", "LAB"));
    assert_eq!(notices_in_words(&decision.changes.notices)[1..], ["bob LAB waitlisted passed_over section_full"]);
    assert_eq!(term.numbers("LAB"), [1, 0, 1, 1]);
    let decision = term.decide(&drop_section("cyd", "LEC"));
    assert_eq!(statuses(&term, "bob", &["LEC", "LAB"]), "enrolled enrolled");
    assert_eq!(attempts(&decision)[1..], ["bob LEC promote enrolled", "bob LAB promote enrolled"]);
}

#[test]
fn a_bundle_gets_no_seat_before_students_who_waited_longer() {
    let mut term = full([section("LEC"), section("LAB").component("lab")], false);
    term.join_waitlist("cyd", "LAB");
    term.run(&wait_with("bob", "LEC", "with LAB"));
    // One decision frees both seats. cyd is ahead in the lab.
    let leave = Batch { swap: true, ..batch("ana", &[], &["LEC", "LAB"]) };
    term.run(&Command::Batch(leave));
    assert_eq!(
        (term.status("cyd", "LAB"), statuses(&term, "bob", &["LEC", "LAB"])),
        ("enrolled", "waitlisted waitlisted".to_owned())
    );
    // The head of both waitlists gets both.
    term.run(&drop_section("cyd", "LAB"));
    assert_eq!(statuses(&term, "bob", &["LEC", "LAB"]), "enrolled enrolled");
}

#[test]
fn a_bundle_takes_seats_at_once_only_if_there_are_enough() {
    let mut term = full([section("LEC"), section("LAB").component("lab")], false);
    term.run(&capacity("LEC", 2));
    assert_eq!(term.reply(&wait_with("bob", "LEC", "with LAB")), "waitlisted 1, new");
    assert_eq!(statuses(&term, "bob", &["LEC", "LAB"]), "waitlisted waitlisted");
    term.run(&drop_section("bob", "LEC"));
    assert_eq!(statuses(&term, "bob", &["LEC", "LAB"]), "dropped dropped", "a bundle is left as a whole");
    term.run(&capacity("LAB", 2));
    assert_eq!(term.reply(&wait_with("bob", "LEC", "with LAB")), "enrolled, new");
    assert_eq!(statuses(&term, "bob", &["LEC", "LAB"]), "enrolled enrolled");
}

#[test]
fn a_bundle_of_one_pool_takes_the_seats_of_each_section() {
    let mut term =
        TestTerm::of([section("A").in_pool("XL1", None), section("B").component("lab").seats(2).in_pool("XL1", None)]);
    assert_eq!(term.reply(&wait_with("bob", "B", "with A")), "enrolled, new");
    assert_eq!(statuses(&term, "bob", &["A", "B"]), "enrolled enrolled");
}

#[test]
fn offers_of_a_bundle_are_accepted_declined_and_lapse_together() {
    let mut term = full([section("LEC"), section("LAB").component("lab")], true);
    for student in ["bob", "cyd", "dan"] {
        term.run(&wait_with(student, "LEC", "with LAB"));
    }
    term.run(&Command::Batch(Batch { swap: true, ..batch("ana", &[], &["LEC", "LAB"]) }));
    assert_eq!(statuses(&term, "bob", &["LEC", "LAB"]), "offered offered");
    let declined = term.decide(&drop_section("bob", "LAB"));
    assert_eq!(attempts(&declined)[..2], ["bob LEC drop dropped", "bob LAB drop dropped"]);
    assert_eq!(statuses(&term, "cyd", &["LEC", "LAB"]), "offered offered");
    term.now = minute(30);
    let lapsed = term.decide(&Command::Settle);
    assert_eq!(attempts(&lapsed)[..2], ["cyd LAB lapse dropped", "cyd LEC lapse dropped"]);
    assert_eq!(statuses(&term, "dan", &["LEC", "LAB"]), "offered offered");
    let accepted = term.decide(&register("dan", "LEC"));
    assert_eq!(statuses(&term, "dan", &["LEC", "LAB"]), "enrolled enrolled");
    assert_eq!(attempts(&accepted), ["dan LAB register enrolled", "dan LEC register enrolled"]);
}

#[test]
fn only_an_accepted_offer_ends_alternatives_and_drops_a_section() {
    let mut term = full(["A", "B", "X"].map(section), true);
    term.run(&drop_section("ana", "X"));
    term.enroll("bob", "X");
    term.run(&wait_with("bob", "A", "any_of B, drop X"));
    term.run(&drop_section("ana", "A"));
    assert_eq!(statuses(&term, "bob", &["A", "B", "X"]), "offered waitlisted enrolled");
    // A second offer would keep a seat from others, so bob is passed over and notified.
    let decision = term.decide(&drop_section("ana", "B"));
    assert_eq!(notices_in_words(&decision.changes.notices)[1..], ["bob B waitlisted passed_over already_in_course"]);
    let accepted = term.decide(&register("bob", "A"));
    assert_eq!(statuses(&term, "bob", &["A", "B", "X"]), "enrolled dropped dropped");
    assert_eq!(attempts(&accepted), ["bob B drop dropped", "bob X drop dropped", "bob A register enrolled"]);
}

#[test]
fn a_declined_offer_leaves_the_other_alternatives() {
    let mut term = full(["A", "B"].map(section), true);
    term.run(&wait_with("bob", "A", "any_of B"));
    term.run(&drop_section("ana", "A"));
    term.run(&drop_section("ana", "B"));
    assert_eq!(statuses(&term, "bob", &["A", "B"]), "offered waitlisted");
    term.run(&drop_section("bob", "A"));
    assert_eq!(statuses(&term, "bob", &["A", "B"]), "dropped offered", "the free seat is offered now");
}

#[test]
fn a_hold_on_drops_refuses_the_swap() {
    let mut term = full(["A", "X"].map(section), false);
    term.run(&drop_section("ana", "X"));
    term.enroll("bob", "X");
    term.run(&wait_with("bob", "A", "drop X"));
    let held = StudentFacts { holds: vec![hold("library", &[HeldAction::Drop])], ..StudentFacts::default() };
    term.run(&state("bob", held));
    let decision = term.decide(&drop_section("ana", "A"));
    assert_eq!(notices_in_words(&decision.changes.notices)[1..], ["bob A waitlisted passed_over hold"]);
    term.run(&state("bob", StudentFacts::default()));
    assert_eq!(statuses(&term, "bob", &["A", "X"]), "enrolled dropped");
}

#[test]
fn dropping_the_section_of_a_swap_removes_the_swap() {
    let mut term = full(["A", "X"].map(section), false);
    term.run(&drop_section("ana", "X"));
    term.enroll("bob", "X");
    term.run(&wait_with("bob", "A", "drop X"));
    term.run(&drop_section("bob", "X"));
    assert!(term.registration("bob", "A").unwrap().choices.is_none());
    term.enroll("bob", "X");
    term.run(&drop_section("ana", "A"));
    assert_eq!(statuses(&term, "bob", &["A", "X"]), "enrolled enrolled");
}

#[test]
fn staff_can_take_one_section_out_of_a_bundle() {
    let mut term = full([section("LEC"), section("LAB").component("lab")], false);
    term.run(&wait_with("bob", "LEC", "with LAB"));
    let (student, lifted) = (user("bob"), LiftedCodes::NONE);
    term.run(&Command::ForStudent(StaffRequest {
        student,
        drop: Some(crn("LAB")),
        add: None,
        waitlist: false,
        lifted,
    }));
    assert_eq!(statuses(&term, "bob", &["LEC", "LAB"]), "waitlisted dropped");
    term.run(&drop_section("ana", "LEC"));
    assert_eq!(term.status("bob", "LEC"), "enrolled");
}

#[test]
fn each_section_of_a_batch_has_its_own_choices() {
    let mut term = full(["A", "B", "C"].map(section), false);
    term.run(&patch("C", |p| p.capacity = Some(2)));
    let adds =
        Batch { waitlist: true, choices: [(crn("A"), choices("any_of B"))].into(), ..batch("bob", &["A", "C"], &[]) };
    let decision = term.decide(&Command::Batch(adds));
    assert_eq!(replies_in_words(&decision.outcome), ["A: waitlisted 1, new", "C: enrolled, new"]);
    assert_eq!(statuses(&term, "bob", &["A", "B", "C"]), "waitlisted waitlisted enrolled");
    assert_eq!(
        attempts(&decision),
        ["bob C register enrolled", "bob B register waitlisted", "bob A register waitlisted"]
    );
    let free = Batch {
        waitlist: true,
        swap: true,
        choices: [(crn("A"), choices("any_of C"))].into(),
        ..batch("cyd", &["A"], &[])
    };
    term.run(&capacity("C", 3));
    assert_eq!(replies_in_words(&term.run(&Command::Batch(free))), ["C: enrolled, new"]);
}

#[test]
fn results_of_a_batch_show_positions_that_later_parts_ended() {
    let requests = || batch("bob", &["B", "A"], &[]);
    let planned = |crn: &str| PlannedSection { waitlist: true, ..PlannedSection::new(id(crn)) };
    let choices = [(crn("A"), choices("with B"))].into();
    let commands = [
        Command::Batch(requests()),
        Command::Batch(Batch { swap: true, ..requests() }),
        Command::Batch(Batch { waitlist: true, choices, ..requests() }),
        Command::RegisterPlan { student: user("bob"), plan: [planned("B"), planned("A")].into() },
    ];
    for command in commands {
        let mut term = full(["A", "B"].map(section), true);
        term.run(&wait_with("bob", "A", "any_of B"));
        term.run(&capacity("A", 2));
        assert_eq!(statuses(&term, "bob", &["A", "B"]), "offered waitlisted");
        let decision = term.decide(&command);
        assert_eq!(replies_in_words(&decision.outcome), ["B: dropped, new", "A: enrolled, new"], "{command:?}");
        assert_eq!(
            attempts(&decision),
            ["bob B register waitlisted", "bob B drop dropped", "bob A register enrolled"],
            "{command:?}"
        );
    }
}

#[test]
fn registering_again_keeps_the_first_choices() {
    let mut term = full(["A", "B"].map(section), false);
    term.run(&wait_with("bob", "A", "any_of B"));
    let again = term.decide(&wait_with("bob", "A", "with B"));
    assert!(again.changes.is_empty());
    let granted = AttemptResult::Granted(eduhub::domain::registration::RegistrationStatus::Waitlisted);
    assert_eq!((again.attempts[0].action, again.attempts[0].result), (Action::Register, granted));
    assert_eq!(term.registration("bob", "A").unwrap().choices.as_deref(), Some(&choices("any_of B")));
}
