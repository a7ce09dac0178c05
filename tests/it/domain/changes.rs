//! The changes of a decision are complete, deterministic and without duplicates.

use eduhub::domain::book::TermBook;
use eduhub::domain::command::Command;
use eduhub::domain::decide::decide;
use eduhub::domain::section::{Credits, SectionStatus};
use eduhub::domain::view::TermView;

use crate::college::{TestTerm, capacity, drop_section, minute, notices_in_words, register, section, status};

/// Returns a copy of a book whose hash maps have another order.
fn rebuilt(book: &TermBook) -> TermBook {
    let mut copy =
        TermBook::new(book.term().clone(), book.credit_limit(), book.sections().cloned(), book.next_queue_number());
    for (student, registrations) in book.students() {
        registrations.iter().for_each(|r| copy.restore(student.clone(), r.clone()));
    }
    copy
}

#[test]
fn deciding_does_not_change_the_book() {
    let term = TestTerm::of([section("X")]);
    let book = term.book;
    let decision = decide(&book, &register("ana", "X"), minute(1));
    assert!(!decision.changes.is_empty());
    assert_eq!(book.registrations(&crate::college::user("ana")).len(), 0);
}

#[test]
fn decisions_are_deterministic() {
    // Eight students are registered for the cancelled section, and each is waitlisted for two sections with five free
    // seats each. The promotions and their order must not depend on the order of a hash map.
    let mut term = TestTerm::with_credit_limit(
        Credits(6_000),
        [
            section("GONE").seats(99).credits(6_000),
            section("P").seats(0).waitlist(99),
            section("Q").seats(0).waitlist(99),
        ],
    );
    for number in 0..8 {
        let student = format!("s{number}");
        let waitlists = if number % 2 == 0 { ["P", "Q"] } else { ["Q", "P"] };
        for section in waitlists {
            term.join_waitlist(&student, section);
        }
        term.enroll(&student, "GONE");
    }
    term.run(&capacity("P", 5));
    term.run(&capacity("Q", 5));
    let mut first = None;
    for _ in 0..20 {
        let decision = decide(&rebuilt(&term.book), &status("GONE", SectionStatus::Cancelled), minute(9));
        let observed = (decision.changes.clone(), notices_in_words(&decision.changes.notices));
        assert_eq!(first.get_or_insert_with(|| observed.clone()), &observed);
    }
}

#[test]
fn a_drop_with_a_promotion_has_one_change_for_each_student() {
    let mut term = TestTerm::of([section("X")]);
    term.enroll("ana", "X");
    term.join_waitlist("bob", "X");
    let decision = term.decide(&drop_section("ana", "X"));
    let students: Vec<_> =
        decision.changes.registrations.iter().map(|(student, _)| student.as_str().to_owned()).collect();
    assert_eq!(students, ["ana", "bob"]);
    assert_eq!(decision.changes.sections.len(), 1);
}

#[test]
fn a_section_with_unchanged_counts_is_not_in_the_changes() {
    let mut term = TestTerm::of([section("X").waitlist(1)]);
    term.enroll("ana", "X");
    let decision = term.decide(&Command::Settle);
    assert!(decision.changes.is_empty(), "{decision:?}");
    assert_eq!(term.book.term(), &crate::college::term());
}
