//! The changes of a decision: complete, each named once, and deterministic.

use eduhub::domain::book::TermBook;
use eduhub::domain::command::Command;
use eduhub::domain::decide::decide;
use eduhub::domain::section::{Credits, SectionStatus};
use eduhub::domain::view::TermView;

use crate::college::{Office, capacity, drop_of, heard, minute, register, section, status, term};

/// Rebuilds a term, so that its hash maps have another order.
fn anew(book: &TermBook) -> TermBook {
    let mut copy = TermBook::new(book.term().clone(), book.credit_limit(), book.sections().cloned(), book.next_place());
    for (student, held) in book.students() {
        held.iter().for_each(|r| copy.restore(student.clone(), r.clone()));
    }
    copy
}

#[test]
fn deciding_does_not_change_the_book() {
    let office = Office::of([section("X")]);
    let book = office.book;
    let decision = decide(&book, &register("ana", "X"), minute(1));
    assert!(!decision.changes.is_empty());
    assert_eq!(book.registrations(&crate::college::user("ana")).len(), 0);
}

#[test]
fn decisions_are_deterministic() {
    // Many students hold the cancelled section, and each is waitlisted for two sections with free seats, of which only
    // one fits. Which one they get must not depend on the order of a hash map.
    let mut office = Office::limited(
        Credits(6_000),
        [section("GONE").seats(99).credits(6_000), section("P").seats(0).line(99), section("Q").seats(0).line(99)],
    );
    for number in 0..8 {
        let student = format!("s{number}");
        let lines = if number % 2 == 0 { ["P", "Q"] } else { ["Q", "P"] };
        for line in lines {
            office.place(&student, line);
        }
        office.seat(&student, "GONE");
    }
    office.ask(&capacity("P", 5));
    office.ask(&capacity("Q", 5));
    let mut first = None;
    for _ in 0..20 {
        let decision = decide(&anew(&office.book), &status("GONE", SectionStatus::Cancelled), minute(9));
        let told = (decision.changes.clone(), heard(&decision.changes.notices));
        assert_eq!(first.get_or_insert_with(|| told.clone()), &told);
    }
}

#[test]
fn a_drop_with_a_promotion_names_each_change_once() {
    let mut office = Office::of([section("X")]);
    office.seat("ana", "X");
    office.place("bob", "X");
    let decision = office.decide(&drop_of("ana", "X"));
    let named: Vec<_> = decision.changes.registrations.iter().map(|(who, _)| who.as_str().to_owned()).collect();
    assert_eq!(named, ["ana", "bob"]);
    assert_eq!(decision.changes.sections.len(), 1);
}

#[test]
fn a_section_with_unchanged_counts_is_not_in_the_changes() {
    let mut office = Office::of([section("X").line(1)]);
    office.seat("ana", "X");
    let decision = office.decide(&Command::Settle);
    assert!(decision.changes.is_empty(), "{decision:?}");
    assert_eq!(office.book.term(), &term());
}
