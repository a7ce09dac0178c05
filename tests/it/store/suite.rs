//! The promises of a store about terms and imports, one function each.

use eduhub::domain::command::Command;
use eduhub::domain::command::TermPatch;
use eduhub::domain::ids::TermId;
use eduhub::domain::outcome::{Outcome, RequestOutcome};
use eduhub::domain::published::PublishedTerm;
use eduhub::domain::section::{Credits, SectionStatus};
use eduhub::store::StoreError;
use eduhub::store::imports::ImportStore;
use eduhub::store::terms::TermStore;

use super::histories::Image;
use super::house::{Desk, House, TermOwner, load, other_term, wait};
use crate::college::{
    capacity, drop_of, minute, patch, register, register_or_wait, section, status, swap, term_id, told, told_each,
    window,
};

fn word(answer: &Outcome) -> String {
    match answer {
        Outcome::Request(outcome) => told(outcome),
        other => panic!("{other:?}"),
    }
}

/// Returns a student's standing in a section of a loaded term.
fn standing(loaded: &PublishedTerm, student: &str, section: &str) -> &'static str {
    let held = loaded.students.iter().find(|(who, _)| who.as_str() == student).map(|(_, held)| held);
    let found = held.and_then(|held| held.iter().find(|r| r.crn.as_str() == section));
    found.map_or("-", |r| r.standing.as_str())
}

fn numbers(loaded: &PublishedTerm, section: &str) -> Option<[u32; 4]> {
    let found = loaded.sections.iter().find(|s| s.state.section.id.crn.as_str() == section)?;
    let state = &found.state;
    Some([state.section.capacity, state.enrolled_total(), state.waitlisted_total(), state.open()])
}

pub(crate) fn answered_commands_survive_reopening<H: House>() {
    let mut desk = Desk::<H>::with([section("X").line(3), section("Y")]);
    for (command, expected) in [
        (register("ana", "X"), "enrolled, new"),
        (register_or_wait("bob", "X"), "waitlisted 1, new"),
        (register_or_wait("cyd", "X"), "waitlisted 2, new"),
        (register("dan", "Y"), "enrolled, new"),
        (drop_of("dan", "Y"), "dropped, new"),
    ] {
        assert_eq!(word(&desk.ask(command)), expected);
    }
    let mut desk = desk.reopened();
    for (command, expected) in [
        (register("ana", "X"), "enrolled, as before"),
        (register("cyd", "X"), "waitlisted 2, as before"),
        (drop_of("dan", "Y"), "dropped, as before"),
        (drop_of("ana", "X"), "dropped, new"),
        (register("bob", "X"), "enrolled, as before"),
    ] {
        assert_eq!(word(&desk.ask(command)), expected);
    }
    assert_eq!(wait(desk.store.term_ids()).unwrap(), [term_id()]);
}

pub(crate) fn a_loaded_term_equals_what_was_published<H: House>() {
    let mut desk = Desk::<H>::with([section("X").line(3), section("Y").monday(9, 11)]);
    desk.loaded = load(&desk.store);
    let mut image = Image::of(&desk.loaded);
    for commands in [
        vec![register("ana", "X"), register_or_wait("bob", "X"), register("ana", "Y")],
        vec![drop_of("ana", "X"), status("Y", SectionStatus::Cancelled)],
        vec![patch("X", |p| p.outside_waitlisted = Some(2)), window(Some(5), Some(50))],
    ] {
        let committed = desk.run(commands).unwrap();
        image.take_over(committed.update.as_ref().expect("something changed"));
    }
    assert_eq!(Image::of(&load(&desk.store)), image, "in the same store");
    assert_eq!(Image::of(&desk.reopened().loaded), image, "and opened anew");
}

pub(crate) fn a_batch_is_atomic<H: House>() {
    let mut desk = Desk::<H>::with([section("X").seats(9), section("BAD").seats(9)]);
    desk.ask(register("ana", "X"));
    desk.house.refuse_bad(&desk.store);
    let before = Image::of(&load(&desk.store));
    let outcome = desk.run(vec![register("bob", "X"), register("bob", "BAD"), register("cyd", "X")]);
    assert!(matches!(outcome, Err(StoreError::Refused(_))), "{outcome:?}");
    assert_eq!(Image::of(&load(&desk.store)), before, "memory equals the store");
    assert_eq!(word(&desk.ask(register("bob", "X"))), "enrolled, new");
    let loaded = desk.reopened().loaded;
    assert_eq!(standing(&loaded, "bob", "X"), "enrolled");
    assert_eq!(standing(&loaded, "bob", "BAD"), "-");
    assert_eq!(standing(&loaded, "cyd", "X"), "-");
}

pub(crate) fn a_refused_batch_does_not_affect_another_term<H: House>() {
    let mut desk = Desk::<H>::with([section("BAD").seats(9)]);
    desk.house.refuse_bad(&desk.store);
    let mut other = TermOwner::of(&desk.store, other_term(), Credits(0));
    other.load().unwrap();
    // Both are in flight at the same time.
    let refused = desk.owner.start(vec![register("ana", "BAD")], minute(1));
    let kept = other.start(vec![window(Some(7), None)], minute(1));
    assert!(matches!(desk.owner.finish(refused), Err(StoreError::Refused(_))));
    other.finish(kept).unwrap();
    drop(other);
    let desk = desk.reopened();
    assert_eq!(wait(desk.store.load(&other_term())).unwrap().term.opens_at, Some(minute(7)));
}

pub(crate) fn the_seat_sequence_grows_by_one_per_change<H: House>() {
    let mut desk = Desk::<H>::with([section("X"), section("BAD")]);
    desk.house.refuse_bad(&desk.store);
    let start = load(&desk.store).seq;
    let seq_after = |desk: &mut Desk<H>, commands| desk.run(commands).unwrap().update.map(|u| u.seq);
    assert_eq!(seq_after(&mut desk, vec![register("ana", "X"), drop_of("ana", "X")]), Some(start + 1));
    assert_eq!(seq_after(&mut desk, vec![drop_of("ana", "X"), drop_of("eve", "X")]), None, "nothing changed");
    assert!(desk.run(vec![register("ana", "BAD")]).is_err());
    assert_eq!(load(&desk.store).seq, start + 1, "a refused batch is not published");
    assert_eq!(seq_after(&mut desk, vec![capacity("X", 5)]), Some(start + 2));
    let mut desk = desk.reopened();
    assert_eq!(desk.loaded.seq, start + 2);
    assert_eq!(seq_after(&mut desk, vec![register("ana", "X")]), Some(start + 3));
}

pub(crate) fn an_unknown_term_loads_empty_and_closed<H: House>() {
    let house = H::build();
    let store = house.open();
    let loaded = load(&store);
    assert_eq!((loaded.seq, loaded.sections.len(), loaded.students.len()), (0, 0, 0));
    assert!(!loaded.term.is_open(minute(1)));
    assert_eq!(wait(store.term_ids()).unwrap(), Vec::<TermId>::new(), "loading creates nothing");
    let named = TermPatch { title: Some("Autumn".into()), ..TermPatch::default() };
    TermOwner::of(&store, term_id(), Credits(0)).run(vec![Command::PutTerm(named)], minute(1)).unwrap();
    assert_eq!(wait(store.term_ids()).unwrap(), [term_id()]);
}

pub(crate) fn a_batch_decided_on_an_old_state_is_not_written<H: House>() {
    let desk = Desk::<H>::with([section("X").line(0)]);
    let [mut first, mut late] = [(); 2].map(|()| TermOwner::of(&desk.store, term_id(), Credits(0)));
    for owner in [&mut first, &mut late] {
        owner.load().unwrap();
    }
    first.run(vec![register("ana", "X")], minute(1)).unwrap();
    // Another hub has committed since this one loaded the term. A store that hubs share shows that to the decision;
    // every other store rejects the record.
    match late.run(vec![register("bob", "X")], minute(1)) {
        Ok(committed) => assert_eq!(word(committed.outcomes[0].as_ref().unwrap()), "section_full"),
        Err(StoreError::Refused(_)) => {}
        Err(error) => panic!("{error}"),
    }
    let loaded = late.load().unwrap();
    assert_eq!(numbers(&loaded, "X"), Some([1, 1, 0, 0]));
    assert_eq!((standing(&loaded, "ana", "X"), standing(&loaded, "bob", "X")), ("enrolled", "-"));
    let committed = late.run(vec![register("bob", "X"), capacity("X", 2), register("bob", "X")], minute(1)).unwrap();
    assert_eq!(word(committed.outcomes[0].as_ref().unwrap()), "section_full", "decided on what is stored");
    assert_eq!(word(committed.outcomes[2].as_ref().unwrap()), "enrolled, new");
}

pub(crate) fn commands_of_a_batch_see_the_changes_before_them<H: House>() {
    let mut desk = Desk::<H>::with([section("X").line(9), section("Y")]);
    let commands = vec![
        register("ana", "X"),
        register("bob", "X"),
        register_or_wait("bob", "X"),
        swap("ana", &["Y"], &["X"]),
        register("bob", "X"),
        capacity("X", 2),
        register("cyd", "X"),
    ];
    let committed = desk.run(commands).unwrap();
    let words: Vec<String> = committed
        .outcomes
        .iter()
        .map(|outcome| match outcome.as_ref().unwrap() {
            Outcome::Request(outcome) => told(outcome),
            batch @ Outcome::Batch(_) => told_each(batch).join(" "),
            other => format!("{other:?}"),
        })
        .collect();
    let expected = [
        "enrolled, new",
        "section_full",
        "waitlisted 1, new",
        "Y: enrolled, new X: dropped, new",
        "enrolled, as before",
        "SectionChanged",
        "enrolled, new",
    ];
    assert_eq!(words, expected);
    let update = committed.update.unwrap();
    assert_eq!(update.sections.len(), 2, "each section once, as the last command left it");
    assert_eq!(update.students.len(), 3);
    assert_eq!(numbers(&desk.reopened().loaded, "X"), Some([2, 2, 0, 0]));
}

pub(crate) fn staged_sections_are_invisible_until_they_are_applied<H: House>() {
    let mut desk = Desk::<H>::with([section("OLD")]);
    let import = desk.stage(vec![(section("OLD").seats(7), None), (section("NEW").seats(5), None)]);
    let unseen = |loaded: &PublishedTerm| {
        assert_eq!(numbers(loaded, "OLD"), Some([1, 0, 0, 1]));
        assert_eq!(numbers(loaded, "NEW"), None);
    };
    unseen(&load(&desk.store));
    assert!(matches!(desk.ask(register("ana", "NEW")), Outcome::Request(RequestOutcome::NotFound)));
    let mut desk = desk.reopened();
    unseen(&desk.loaded);
    desk.ask(import);
    for desk in [&load(&desk.store), &desk.reopened().loaded] {
        assert_eq!(numbers(desk, "OLD"), Some([7, 0, 0, 7]));
        assert_eq!(numbers(desk, "NEW"), Some([5, 0, 0, 5]));
    }
}

/// Does what an import does first: discards what another one has left behind.
fn discard<S: ImportStore>(store: &S) {
    let mut from = None;
    loop {
        from = wait(store.discard_staged(&term_id(), from)).unwrap();
        if from.is_none() {
            return;
        }
    }
}

pub(crate) fn staged_sections_never_applied_are_discarded<H: House>() {
    let mut desk = Desk::<H>::with([section("OLD")]);
    // More than one chunk, and the hub ends before it is applied.
    let many = (0..450).map(|n| (section(&format!("G{n}")), None));
    let _never_applied = desk.stage(many.chain([(section("OLD").seats(99), None)]).collect());
    let mut desk = desk.reopened();
    discard(&desk.store);
    desk.import(vec![(section("NEW"), None)]);
    let loaded = desk.reopened().loaded;
    let mut crns: Vec<&str> = loaded.sections.iter().map(|s| s.state.section.id.crn.as_str()).collect();
    crns.sort_unstable();
    assert_eq!(crns, ["NEW", "OLD"]);
    assert_eq!(numbers(&loaded, "OLD"), Some([1, 0, 0, 1]));
}

pub(crate) fn pruning_replaced_sections_changes_nothing_visible<H: House>() {
    let many = |seats: u32| (0..450).map(move |n| section(&format!("S{n}")).seats(seats));
    let mut desk = Desk::<H>::with(many(1));
    desk.ask(register("ana", "S7"));
    desk.import(many(2).take(400).map(|s| (s, None)).collect());
    desk.import(many(3).skip(100).map(|s| (s, None)).collect());
    let before = Image::of(&load(&desk.store));
    let mut from = None;
    loop {
        from = wait(desk.store.prune(&term_id(), from)).unwrap();
        if from.is_none() {
            break;
        }
    }
    let loaded = desk.reopened().loaded;
    assert_eq!(Image::of(&loaded), before);
    assert_eq!(numbers(&loaded, "S7"), Some([2, 1, 0, 1]));
    assert_eq!(numbers(&loaded, "S449"), Some([3, 0, 0, 3]));
}

/// Stages an import of capacity 5; then staff give X the same capacity and close it.
fn staff_were_faster<H: House>() -> (Desk<H>, Command) {
    let mut desk = Desk::<H>::with([section("X"), section("Y")]);
    let import = desk.stage(vec![(section("X").seats(5), None), (section("Y").seats(5), None)]);
    desk.ask(patch("X", |p| {
        p.capacity = Some(5);
        p.status = Some(SectionStatus::Closed);
    }));
    desk.ask(patch("Y", |p| p.outside_enrolled = Some(2)));
    (desk, import)
}

fn closed_with_five<H: House>(desk: Desk<H>) {
    for loaded in [&load(&desk.store), &desk.reopened().loaded] {
        let x = loaded.sections.iter().find(|s| s.state.section.id.crn.as_str() == "X").unwrap();
        assert_eq!((x.state.section.capacity, x.state.section.status), (5, SectionStatus::Closed));
        assert_eq!(numbers(loaded, "Y"), Some([5, 2, 0, 3]));
    }
}

pub(crate) fn edits_made_while_an_import_was_staged_are_kept<H: House>() {
    let (mut desk, import) = staff_were_faster::<H>();
    desk.ask(import);
    closed_with_five(desk);
}

pub(crate) fn edits_are_kept_when_a_registration_shares_the_batch<H: House>() {
    let mut desk = Desk::<H>::with([section("X"), section("Y")]);
    desk.ask(register("ana", "X"));
    let import = desk.stage(vec![(section("X").seats(5), None), (section("Y").seats(5), None)]);
    desk.ask(patch("X", |p| {
        p.capacity = Some(5);
        p.status = Some(SectionStatus::Closed);
    }));
    desk.ask(patch("Y", |p| p.outside_enrolled = Some(2)));
    desk.run(vec![drop_of("ana", "X"), import]).unwrap();
    closed_with_five(desk);
}

pub(crate) fn alerts_are_stored_with_their_batch<H: House>() {
    let mut desk = Desk::<H>::with([section("X")]);
    desk.ask(register("ana", "X"));
    let own = desk.run(vec![register_or_wait("bob", "X")]).unwrap();
    assert!(!own.update.unwrap().alerts_stored, "students are not alerted of their own actions");
    let committed = desk.run(vec![drop_of("ana", "X")]).unwrap();
    assert!(committed.update.unwrap().alerts_stored);
    let desk = desk.reopened();
    assert_eq!(desk.alerts_of("bob"), ["You are enrolled in COURSE X"]);
    assert_eq!(desk.alerts_of("ana"), Vec::<String>::new());
}

pub(crate) fn a_refused_batch_stores_no_alert<H: House>() {
    let mut desk = Desk::<H>::with([section("X"), section("BAD")]);
    desk.ask(register("ana", "X"));
    desk.ask(register_or_wait("bob", "X"));
    desk.house.refuse_bad(&desk.store);
    assert!(desk.run(vec![drop_of("ana", "X"), register("ana", "BAD")]).is_err());
    let desk = desk.reopened();
    assert_eq!(desk.alerts_of("bob"), Vec::<String>::new());
    assert_eq!(standing(&desk.loaded, "ana", "X"), "enrolled");
}
