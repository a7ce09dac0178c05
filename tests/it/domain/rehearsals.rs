//! Rehearsals of registration on a copy of a term.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use eduhub::domain::book::TermBook;
use eduhub::domain::plan::PlannedSection;
use eduhub::domain::refusal::RefusalCode;
use eduhub::domain::rehearsal::{Order, Plan, Rehearsal, Run, shuffled};
use eduhub::domain::section::Credits;
use eduhub::domain::student::StudentFacts;
use eduhub::domain::term::Term;

use crate::college::{SectionBuilder, crn, id, minute, section, term_id, user};

/// The environment variable that sets the number of plans of the large rehearsal, to measure it.
const PLANS_VARIABLE: &str = "REHEARSAL_PLANS";

fn plan(student: &str, sections: &[&str]) -> Plan {
    (user(student), sections.iter().map(|name| PlannedSection::new(id(name))).collect())
}

/// Returns a term that opens at minute 10 and closes at minute 20.
fn book(sections: impl IntoIterator<Item = SectionBuilder>) -> TermBook {
    let term = Term { opens_at: Some(minute(10)), closes_at: Some(minute(20)), ..Term::new(term_id()) };
    TermBook::new(term, Credits(0), sections.into_iter().map(|one| one.0), 1)
}

fn opening(book: &mut TermBook, student: &str, at: i64) {
    book.restore_facts(user(student), Arc::new(StudentFacts { opens_at: Some(minute(at)), ..StudentFacts::default() }));
}

fn run(rehearsal: &Rehearsal) -> Run {
    rehearsal.run(1, |_| true).unwrap()
}

#[test]
fn windows_decide_who_arrives_first() {
    let mut term = book([section("X").seats(1)]);
    opening(&mut term, "bob", 5);
    let plans = vec![plan("ann", &["X"]), plan("bob", &["X"]), plan("cid", &["X"])];
    let rehearsal = Rehearsal::new(term.clone(), plans.clone(), Order::Windows, false, minute(1));
    for seed in 0..10 {
        assert_eq!(rehearsal.arrivals(seed)[0].0, user("bob"));
    }
    let expected = Run {
        fills: BTreeMap::from([(crn("X"), 1)]),
        refusals: BTreeMap::from([(RefusalCode::SectionFull, 2)]),
        complete: 1,
        nothing: 2,
    };
    assert_eq!(run(&rehearsal), expected);
    // In random order, each of them is first with some seed.
    let random = Rehearsal::new(term.clone(), plans.clone(), Order::Random, false, minute(1));
    let mut first: Vec<_> = (0..30).map(|seed| random.arrivals(seed)[0].0.clone()).collect();
    first.sort_unstable();
    first.dedup();
    assert_eq!(first.len(), 3);
    // After registration has closed, no window opens, but random order ignores windows.
    let late = |order| run(&Rehearsal::new(term.clone(), plans.clone(), order, false, minute(30)));
    assert_eq!(late(Order::Windows).refusals, BTreeMap::from([(RefusalCode::RegistrationClosed, 3)]));
    assert_eq!(late(Order::Random), expected);
}

#[test]
fn positions_and_previously_full_sections_do_not_count_as_seats() {
    let plans = vec![plan("ann", &["X", "Y", "GONE"]), plan("bob", &["X"])];
    let sections = [section("X").seats(0).waitlist(1), section("Y").seats(5)];
    let rehearsal = Rehearsal::new(book(sections), plans, Order::Windows, true, minute(1));
    let result = run(&rehearsal);
    assert_eq!((result.complete, result.nothing), (0, 1));
    assert_eq!(result.fills, BTreeMap::from([(crn("X"), 0)]));
    assert_eq!(result.refusals, BTreeMap::from([(RefusalCode::WaitlistFull, 1)]));
    assert!(rehearsal.run(1, |arrived| arrived == 0).is_none(), "cancelled after the first student");
    assert_eq!(run(&rehearsal), result, "a run changes nothing for the next one");
}

#[test]
fn alternates_and_waitlists_of_a_plan_are_tried_as_in_registration() {
    let with = |name: &str, waitlist, alternates: &[&str]| PlannedSection {
        waitlist,
        alternates: alternates.iter().map(|name| id(name)).collect(),
        ..PlannedSection::new(id(name))
    };
    let plans = || {
        vec![
            (user("ann"), vec![with("X", false, &["GONE", "Y"])]),
            (user("bob"), vec![with("X", true, &[])]),
            (user("cid"), vec![with("X", false, &[])]),
        ]
    };
    let sections = || [section("X").seats(0).waitlist(9), section("Y").seats(1)];
    let result = run(&Rehearsal::new(book(sections()), plans(), Order::Windows, false, minute(1)));
    assert_eq!((result.complete, result.nothing), (1, 2), "ann has the seat in Y");
    assert_eq!(result.refusals, BTreeMap::from([(RefusalCode::SectionFull, 1)]), "bob waits as planned");
    let rehearsal = Rehearsal::new(book(sections()), plans(), Order::Windows, true, minute(1));
    assert_eq!(rehearsal.planned(), BTreeMap::from([(&crn("X"), 3)]), "alternates are not counted");
    assert_eq!(run(&rehearsal).refusals, BTreeMap::new(), "all wait");
}

#[test]
fn shuffles_are_permutations_that_depend_on_the_seed() {
    let mut orders: Vec<Vec<usize>> = (0..20).map(|seed| shuffled(10, seed)).collect();
    assert_eq!(orders[3], shuffled(10, 3));
    for order in &orders {
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..10).collect::<Vec<_>>());
    }
    orders.sort_unstable();
    orders.dedup();
    assert_eq!(orders.len(), 20);
    assert_eq!(shuffled(0, 1), Vec::<usize>::new());
}

/// Prints how long it takes to rehearse the plans of a college. `REHEARSAL_PLANS` sets their number.
#[test]
fn the_plans_of_a_college_are_rehearsed() {
    let plans = std::env::var(PLANS_VARIABLE).ok().and_then(|text| text.parse().ok()).unwrap_or(1_000_usize);
    let sections = plans.div_ceil(15).max(20);
    let name = |at: usize| format!("S{at}");
    let term = book((0..sections).map(|at| section(&name(at)).seats(60)));
    let planned = |student: usize| {
        let first = student * 7;
        (0..5).map(|part| PlannedSection::new(id(&name((first + part * part * 13 + part) % sections)))).collect()
    };
    let all = (0..plans).map(|student| (user(&format!("student-{student:06}")), planned(student))).collect();
    let rehearsal = Rehearsal::new(term, all, Order::Random, false, minute(1));
    let started = Instant::now();
    let result = run(&rehearsal);
    println!("{plans} plans of 5 sections: {:?}, {} complete", started.elapsed(), result.complete);
    assert!(result.complete > 0 && result.complete + result.nothing <= plans);
}
