//! Tests of how a store keeps terms and imports.

use eduhub::domain::choices::WaitlistChoices;
use eduhub::domain::command::{Batch, Command, TermPatch};
use eduhub::domain::ids::{SectionId, TermId};
use eduhub::domain::offer::{Offer, WaitlistMode};
use eduhub::domain::outcome::{Outcome, RequestOutcome};
use eduhub::domain::published::PublishedTerm;
use eduhub::domain::section::{Credits, SectionStatus};
use eduhub::domain::student::StudentFacts;
use eduhub::store::StoreError;
use eduhub::store::imports::ImportStore;
use eduhub::store::rosters::RosterStore;
use eduhub::store::terms::TermStore;

use super::fixture::{StoreFixture, StoredTerm, TermOwner, block_on, load, other_term};
use super::histories::Image;
use crate::college::{
    batch, capacity, crn, drop_section, minute, move_on_waitlist, patch, priority, register, register_or_wait,
    replies_in_words, reply_in_words, section, state, status, swap, term_id, user, window,
};

/// Returns the reply to a request in words.
fn in_words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Request(outcome) => reply_in_words(outcome),
        other => panic!("{other:?}"),
    }
}

/// Returns a student's status in a section of a loaded term.
fn registration_status(loaded: &PublishedTerm, student: &str, section: &str) -> &'static str {
    let registrations =
        loaded.students.iter().find(|(name, _)| name.as_str() == student).map(|(_, registrations)| registrations);
    let found = registrations.and_then(|registrations| registrations.iter().find(|r| r.crn.as_str() == section));
    found.map_or("-", |r| r.status.as_str())
}

/// Returns capacity, taken seats, waitlisted and open seats of a section; `None` when it does not exist.
fn numbers(loaded: &PublishedTerm, section: &str) -> Option<[u32; 4]> {
    let found = loaded.sections.iter().find(|s| s.state.section.id.crn.as_str() == section)?;
    let state = &found.state;
    Some([state.section.capacity, state.taken_total(), state.waitlisted_total(), state.open_seats()])
}

/// Returns the students on the waitlist of a section of a loaded term, head first.
fn waitlist_of(loaded: &PublishedTerm, section: &str) -> Vec<String> {
    let found = loaded.sections.iter().find(|s| s.state.section.id.crn.as_str() == section);
    found.into_iter().flat_map(|section| section.waitlist.iter()).map(|entry| entry.student.to_string()).collect()
}

pub(crate) fn confirmed_commands_survive_reopening<F: StoreFixture>() {
    let mut term = StoredTerm::<F>::with_sections([section("X").waitlist(3), section("Y")]);
    for (command, expected) in [
        (register("ana", "X"), "enrolled, new"),
        (register_or_wait("bob", "X"), "waitlisted 1, new"),
        (register_or_wait("cyd", "X"), "waitlisted 2, new"),
        (register("dan", "Y"), "enrolled, new"),
        (drop_section("dan", "Y"), "dropped, new"),
    ] {
        assert_eq!(in_words(&term.run_one(command)), expected);
    }
    let mut term = term.reopen();
    for (command, expected) in [
        (register("ana", "X"), "enrolled, as before"),
        (register("cyd", "X"), "waitlisted 2, as before"),
        (drop_section("dan", "Y"), "dropped, as before"),
        (drop_section("ana", "X"), "dropped, new"),
        (register("bob", "X"), "enrolled, as before"),
    ] {
        assert_eq!(in_words(&term.run_one(command)), expected);
    }
    assert_eq!(block_on(term.store.term_ids()).unwrap(), [term_id()]);
}

pub(crate) fn a_loaded_term_equals_the_published_one<F: StoreFixture>() {
    let mut term = StoredTerm::<F>::with_sections([section("X").waitlist(3), section("Y").monday(9, 11)]);
    term.loaded = load(&term.store);
    let mut image = Image::of(&term.loaded);
    for commands in [
        vec![register("ana", "X"), register_or_wait("bob", "X"), register("ana", "Y")],
        vec![drop_section("ana", "X"), status("Y", SectionStatus::Cancelled)],
        vec![patch("X", |p| p.outside_waitlisted = Some(2)), window(Some(5), Some(50))],
    ] {
        let committed = term.run(commands).unwrap();
        image.apply(committed.update.as_ref().expect("the commands change the term"));
    }
    assert_eq!(Image::of(&load(&term.store)), image, "in the same store");
    assert_eq!(Image::of(&term.reopen().loaded), image, "after reopening");
}

pub(crate) fn offers_survive_reopening_and_lapse_afterward<F: StoreFixture>() {
    let mut term = StoredTerm::<F>::with_sections([section("X").waitlist(3)]);
    let offers =
        TermPatch { waitlist: Some(Some(WaitlistMode::Offer)), offer_s: Some(Some(600)), ..TermPatch::default() };
    let commands = [Command::PutTerm(offers), register("ana", "X"), register_or_wait("bob", "X")];
    term.run([&commands[..], &[register_or_wait("cyd", "X"), drop_section("ana", "X")]].concat()).unwrap();
    let offer_of = |loaded: &PublishedTerm, student: &str| {
        let of_student = loaded.students.iter().find(|(name, _)| name.as_str() == student).unwrap().1[0].clone();
        of_student.offer
    };
    let until = minute(11);
    let remind_at = until.checked_sub(jiff::SignedDuration::from_secs(150)).ok();
    let mut term = term.reopen();
    assert_eq!(offer_of(&term.loaded, "bob"), Some(Offer { expires_at: until, remind_at }));
    assert_eq!(numbers(&term.loaded, "X"), Some([1, 1, 1, 0]));
    term.owner.run(vec![Command::Settle], minute(9)).unwrap();
    let mut term = term.reopen();
    assert_eq!(offer_of(&term.loaded, "bob"), Some(Offer { expires_at: until, remind_at: None }), "reminded once");
    term.owner.run(vec![Command::Settle], until).unwrap();
    let mut term = term.reopen();
    assert_eq!(registration_status(&term.loaded, "bob", "X"), "dropped");
    assert_eq!(registration_status(&term.loaded, "cyd", "X"), "offered");
    let accepted = term.owner.run(vec![register("cyd", "X")], minute(12)).unwrap();
    assert_eq!(in_words(accepted.outcomes[0].as_ref().unwrap()), "enrolled, new");
    let loaded = term.reopen().loaded;
    assert_eq!(offer_of(&loaded, "cyd"), None);
    assert_eq!(numbers(&loaded, "X"), Some([1, 1, 0, 0]));
}

pub(crate) fn the_order_of_a_waitlist_survives_reopening<F: StoreFixture>() {
    let mut term = StoredTerm::<F>::with_sections([section("X").waitlist(9)]);
    let graduating = StudentFacts { groups: vec!["graduating".into()], ..StudentFacts::default() };
    let wait = ["ana", "bob", "cyd", "dan"].map(|student| register_or_wait(student, "X"));
    term.run([&[register("eve", "X"), state("dan", graduating), priority(&["graduating"])][..], &wait].concat())
        .unwrap();
    let mut term = term.reopen();
    assert_eq!(waitlist_of(&term.loaded, "X"), ["dan", "ana", "bob", "cyd"]);
    // Two moves in one batch exchange queue numbers of the same students.
    let moves = vec![move_on_waitlist("cyd", "X", 1), move_on_waitlist("dan", "X", 3)];
    term.owner.run(moves, minute(3)).unwrap();
    let mut term = term.reopen();
    assert_eq!(waitlist_of(&term.loaded, "X"), ["cyd", "ana", "dan", "bob"]);
    let id = SectionId { term: term_id(), crn: crn("X") };
    let roster = block_on(term.store.roster(&id)).unwrap().unwrap();
    let positions: Vec<(&str, Option<u32>)> = roster.iter().map(|one| (one.user.as_str(), one.position)).collect();
    assert_eq!(positions, [("eve", None), ("cyd", Some(1)), ("ana", Some(2)), ("dan", Some(3)), ("bob", Some(4))]);
    term.owner.run(vec![drop_section("eve", "X")], minute(4)).unwrap();
    assert_eq!(registration_status(&term.reopen().loaded, "cyd", "X"), "enrolled");
}

pub(crate) fn waitlist_choices_survive_reopening<F: StoreFixture>() {
    let mut term = StoredTerm::<F>::with_sections([section("A"), section("B"), section("X")]);
    let choices = WaitlistChoices { with: vec![crn("B")], any_of: Vec::new(), drop: Some(crn("X")) };
    let wait = Command::RegisterWith { student: user("bob"), crn: crn("A"), choices: choices.clone() };
    let full = [register("ana", "A"), register("ana", "B"), register("bob", "X")];
    term.run([&full[..], &[wait]].concat()).unwrap();
    let mut term = term.reopen();
    let choices_of = |loaded: &PublishedTerm, section: &str| {
        let (_, of_bob) = loaded.students.iter().find(|(name, _)| name.as_str() == "bob").unwrap();
        of_bob.iter().find(|r| r.crn.as_str() == section).unwrap().choices.as_deref().cloned()
    };
    assert_eq!(choices_of(&term.loaded, "A"), Some(choices.clone()));
    assert_eq!(choices_of(&term.loaded, "B"), Some(WaitlistChoices { with: vec![crn("A")], ..choices }));
    assert_eq!(choices_of(&term.loaded, "X"), None);
    let leave = Command::Batch(Batch { swap: true, ..batch("ana", &[], &["A", "B"]) });
    term.owner.run(vec![leave], minute(9)).unwrap();
    let loaded = term.reopen().loaded;
    let statuses = ["A", "B", "X"].map(|section| registration_status(&loaded, "bob", section));
    assert_eq!(statuses, ["enrolled", "enrolled", "dropped"]);
    assert_eq!(choices_of(&loaded, "A"), None);
}

pub(crate) fn a_batch_is_atomic<F: StoreFixture>() {
    let mut term = StoredTerm::<F>::with_sections([section("X").seats(9), section("BAD").seats(9)]);
    term.run_one(register("ana", "X"));
    term.fixture.refuse_bad(&term.store);
    let before = Image::of(&load(&term.store));
    let outcome = term.run(vec![register("bob", "X"), register("bob", "BAD"), register("cyd", "X")]);
    assert!(matches!(outcome, Err(StoreError::Refused(_))), "{outcome:?}");
    assert_eq!(Image::of(&load(&term.store)), before, "nothing of the batch is stored");
    assert_eq!(in_words(&term.run_one(register("bob", "X"))), "enrolled, new");
    let loaded = term.reopen().loaded;
    assert_eq!(registration_status(&loaded, "bob", "X"), "enrolled");
    assert_eq!(registration_status(&loaded, "bob", "BAD"), "-");
    assert_eq!(registration_status(&loaded, "cyd", "X"), "-");
}

pub(crate) fn a_refused_batch_does_not_affect_another_term<F: StoreFixture>() {
    let mut term = StoredTerm::<F>::with_sections([section("BAD").seats(9)]);
    term.fixture.refuse_bad(&term.store);
    let mut other = TermOwner::of(&term.store, other_term(), Credits(0));
    other.load().unwrap();
    // Both are in flight at the same time.
    let refused = term.owner.start(vec![register("ana", "BAD")], minute(1));
    let accepted = other.start(vec![window(Some(7), None)], minute(1));
    assert!(matches!(term.owner.finish(refused), Err(StoreError::Refused(_))));
    other.finish(accepted).unwrap();
    drop(other);
    let term = term.reopen();
    assert_eq!(block_on(term.store.load(&other_term())).unwrap().term.opens_at, Some(minute(7)));
}

pub(crate) fn the_seat_sequence_grows_by_one_per_change<F: StoreFixture>() {
    let mut term = StoredTerm::<F>::with_sections([section("X"), section("BAD")]);
    term.fixture.refuse_bad(&term.store);
    let start = load(&term.store).seq;
    let seq_after = |term: &mut StoredTerm<F>, commands| term.run(commands).unwrap().update.map(|u| u.seq);
    assert_eq!(seq_after(&mut term, vec![register("ana", "X"), drop_section("ana", "X")]), Some(start + 1));
    assert_eq!(seq_after(&mut term, vec![drop_section("ana", "X"), drop_section("eve", "X")]), None, "nothing changed");
    assert!(term.run(vec![register("ana", "BAD")]).is_err());
    assert_eq!(load(&term.store).seq, start + 1, "a refused batch is not published");
    assert_eq!(seq_after(&mut term, vec![capacity("X", 5)]), Some(start + 2));
    let mut term = term.reopen();
    assert_eq!(term.loaded.seq, start + 2);
    assert_eq!(seq_after(&mut term, vec![register("ana", "X")]), Some(start + 3));
}

pub(crate) fn an_unknown_term_loads_empty_and_closed<F: StoreFixture>() {
    let fixture = F::create();
    let store = fixture.open();
    let loaded = load(&store);
    assert_eq!((loaded.seq, loaded.sections.len(), loaded.students.len()), (0, 0, 0));
    assert!(!loaded.term.is_open(minute(1)));
    assert_eq!(block_on(store.term_ids()).unwrap(), Vec::<TermId>::new(), "loading creates nothing");
    let titled = TermPatch { title: Some("Autumn".into()), ..TermPatch::default() };
    TermOwner::of(&store, term_id(), Credits(0)).run(vec![Command::PutTerm(titled)], minute(1)).unwrap();
    assert_eq!(block_on(store.term_ids()).unwrap(), [term_id()]);
}

pub(crate) fn a_batch_decided_on_a_stale_state_is_not_written<F: StoreFixture>() {
    let term = StoredTerm::<F>::with_sections([section("X").waitlist(0)]);
    let [mut first, mut second] = [(); 2].map(|()| TermOwner::of(&term.store, term_id(), Credits(0)));
    for owner in [&mut first, &mut second] {
        owner.load().unwrap();
    }
    first.run(vec![register("ana", "X")], minute(1)).unwrap();
    // The first owner has committed since the second loaded the term. A store that several hubs share decides on the
    // new state; any other store rejects the record.
    match second.run(vec![register("bob", "X")], minute(1)) {
        Ok(committed) => assert_eq!(in_words(committed.outcomes[0].as_ref().unwrap()), "section_full"),
        Err(StoreError::Refused(_)) => {}
        Err(error) => panic!("{error}"),
    }
    let loaded = second.load().unwrap();
    assert_eq!(numbers(&loaded, "X"), Some([1, 1, 0, 0]));
    assert_eq!((registration_status(&loaded, "ana", "X"), registration_status(&loaded, "bob", "X")), ("enrolled", "-"));
    let committed = second.run(vec![register("bob", "X"), capacity("X", 2), register("bob", "X")], minute(1)).unwrap();
    assert_eq!(
        in_words(committed.outcomes[0].as_ref().unwrap()),
        "section_full",
        "decided on the contents of the store"
    );
    assert_eq!(in_words(committed.outcomes[2].as_ref().unwrap()), "enrolled, new");
}

pub(crate) fn a_character_that_a_store_rejects_does_not_fail_the_batch<F: StoreFixture>() {
    let mut term = StoredTerm::<F>::with_sections([section("X")]);
    // PostgreSQL stores no text with this character.
    let titled = TermPatch { title: Some("Au\0tumn".into()), ..TermPatch::default() };
    term.run(vec![Command::PutTerm(titled), register("ana", "X")]).unwrap();
    let term = term.reopen();
    assert_eq!(registration_status(&term.loaded, "ana", "X"), "enrolled");
    assert!(term.loaded.term.title.ends_with("tumn"), "{}", term.loaded.term.title);
}

pub(crate) fn commands_of_a_batch_see_the_changes_before_them<F: StoreFixture>() {
    let mut term = StoredTerm::<F>::with_sections([section("X").waitlist(9), section("Y")]);
    let commands = vec![
        register("ana", "X"),
        register("bob", "X"),
        register_or_wait("bob", "X"),
        swap("ana", &["Y"], &["X"]),
        register("bob", "X"),
        capacity("X", 2),
        register("cyd", "X"),
    ];
    let committed = term.run(commands).unwrap();
    let replies: Vec<String> = committed
        .outcomes
        .iter()
        .map(|outcome| match outcome.as_ref().unwrap() {
            Outcome::Request(outcome) => reply_in_words(outcome),
            batch @ Outcome::Batch(_) => replies_in_words(batch).join(" "),
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
    assert_eq!(replies, expected);
    let update = committed.update.unwrap();
    assert_eq!(update.sections.len(), 2, "each section once, after the last command");
    assert_eq!(update.students.len(), 3);
    assert_eq!(numbers(&term.reopen().loaded, "X"), Some([2, 2, 0, 0]));
}

pub(crate) fn staged_sections_are_invisible_until_they_are_applied<F: StoreFixture>() {
    let mut term = StoredTerm::<F>::with_sections([section("OLD")]);
    let import = term.stage(vec![(section("OLD").seats(7), None), (section("NEW").seats(5), None)]);
    let assert_unchanged = |loaded: &PublishedTerm| {
        assert_eq!(numbers(loaded, "OLD"), Some([1, 0, 0, 1]));
        assert_eq!(numbers(loaded, "NEW"), None);
    };
    assert_unchanged(&load(&term.store));
    assert!(matches!(term.run_one(register("ana", "NEW")), Outcome::Request(RequestOutcome::NotFound)));
    let mut term = term.reopen();
    assert_unchanged(&term.loaded);
    term.run_one(import);
    for loaded in [&load(&term.store), &term.reopen().loaded] {
        assert_eq!(numbers(loaded, "OLD"), Some([7, 0, 0, 7]));
        assert_eq!(numbers(loaded, "NEW"), Some([5, 0, 0, 5]));
    }
}

/// Discards the rows of an interrupted import, as each import does first.
fn discard_staged<S: ImportStore>(store: &S) {
    let mut from = None;
    loop {
        from = block_on(store.discard_staged(&term_id(), u64::MAX, from)).unwrap();
        if from.is_none() {
            return;
        }
    }
}

pub(crate) fn staged_sections_never_applied_are_discarded<F: StoreFixture>() {
    let mut term = StoredTerm::<F>::with_sections([section("OLD")]);
    // The rows are discarded in chunks; this import has more than one. The hub ends before the import is applied.
    let many = (0..450).map(|n| (section(&format!("G{n}")), None));
    let _never_applied = term.stage(many.chain([(section("OLD").seats(99), None)]).collect());
    let mut term = term.reopen();
    discard_staged(&term.store);
    term.import(vec![(section("NEW"), None)]);
    let loaded = term.reopen().loaded;
    let mut crns: Vec<&str> = loaded.sections.iter().map(|s| s.state.section.id.crn.as_str()).collect();
    crns.sort_unstable();
    assert_eq!(crns, ["NEW", "OLD"]);
    assert_eq!(numbers(&loaded, "OLD"), Some([1, 0, 0, 1]));
}

pub(crate) fn pruning_replaced_sections_changes_nothing_visible<F: StoreFixture>() {
    let many = |seats: u32| (0..450).map(move |n| section(&format!("S{n}")).seats(seats));
    let mut term = StoredTerm::<F>::with_sections(many(1));
    term.run_one(register("ana", "S7"));
    term.import(many(2).take(400).map(|s| (s, None)).collect());
    term.import(many(3).skip(100).map(|s| (s, None)).collect());
    let before = Image::of(&load(&term.store));
    let mut from = None;
    loop {
        from = block_on(term.store.prune(&term_id(), from)).unwrap();
        if from.is_none() {
            break;
        }
    }
    let loaded = term.reopen().loaded;
    assert_eq!(Image::of(&loaded), before);
    assert_eq!(numbers(&loaded, "S7"), Some([2, 1, 0, 1]));
    assert_eq!(numbers(&loaded, "S449"), Some([3, 0, 0, 3]));
}

/// Stages an import that sets the capacity 5. Then staff set the same capacity for X and close X, and set the number
/// of students enrolled in Y outside the hub.
fn edited_while_staged<F: StoreFixture>() -> (StoredTerm<F>, Command) {
    let mut term = StoredTerm::<F>::with_sections([section("X"), section("Y")]);
    let import = term.stage(vec![(section("X").seats(5), None), (section("Y").seats(5), None)]);
    term.run_one(patch("X", |p| {
        p.capacity = Some(5);
        p.status = Some(SectionStatus::Closed);
    }));
    term.run_one(patch("Y", |p| p.outside_enrolled = Some(2)));
    (term, import)
}

/// Checks that X has the capacity of the import and the status set by staff, and that Y has the number set by staff,
/// now and after reopening.
fn assert_closed_with_five_seats<F: StoreFixture>(term: StoredTerm<F>) {
    for loaded in [&load(&term.store), &term.reopen().loaded] {
        let x = loaded.sections.iter().find(|s| s.state.section.id.crn.as_str() == "X").unwrap();
        assert_eq!((x.state.section.capacity, x.state.section.status), (5, SectionStatus::Closed));
        assert_eq!(numbers(loaded, "Y"), Some([5, 2, 0, 3]));
    }
}

pub(crate) fn edits_made_while_an_import_was_staged_are_kept<F: StoreFixture>() {
    let (mut term, import) = edited_while_staged::<F>();
    term.run_one(import);
    assert_closed_with_five_seats(term);
}

pub(crate) fn edits_are_kept_when_a_registration_shares_the_batch<F: StoreFixture>() {
    let mut term = StoredTerm::<F>::with_sections([section("X"), section("Y")]);
    term.run_one(register("ana", "X"));
    let import = term.stage(vec![(section("X").seats(5), None), (section("Y").seats(5), None)]);
    term.run_one(patch("X", |p| {
        p.capacity = Some(5);
        p.status = Some(SectionStatus::Closed);
    }));
    term.run_one(patch("Y", |p| p.outside_enrolled = Some(2)));
    term.run(vec![drop_section("ana", "X"), import]).unwrap();
    assert_closed_with_five_seats(term);
}

pub(crate) fn alerts_are_stored_with_their_batch<F: StoreFixture>() {
    let mut term = StoredTerm::<F>::with_sections([section("X")]);
    term.run_one(register("ana", "X"));
    let own_action = term.run(vec![register_or_wait("bob", "X")]).unwrap();
    assert!(!own_action.update.unwrap().alerts_stored, "students get no alert about their own actions");
    let committed = term.run(vec![drop_section("ana", "X")]).unwrap();
    assert!(committed.update.unwrap().alerts_stored);
    let term = term.reopen();
    assert_eq!(term.alerts_of("bob"), ["You are enrolled in COURSE X"]);
    assert_eq!(term.alerts_of("ana"), Vec::<String>::new());
}

pub(crate) fn a_refused_batch_stores_no_alert<F: StoreFixture>() {
    let mut term = StoredTerm::<F>::with_sections([section("X"), section("BAD")]);
    term.run_one(register("ana", "X"));
    term.run_one(register_or_wait("bob", "X"));
    term.fixture.refuse_bad(&term.store);
    assert!(term.run(vec![drop_section("ana", "X"), register("ana", "BAD")]).is_err());
    let term = term.reopen();
    assert_eq!(term.alerts_of("bob"), Vec::<String>::new());
    assert_eq!(registration_status(&term.loaded, "ana", "X"), "enrolled");
}
