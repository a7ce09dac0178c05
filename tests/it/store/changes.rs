//! Tests of what a store reports to a hub that follows a term: the changes since a sequence.

use eduhub::domain::command::{Command, SectionEdit, TermPatch};
use eduhub::domain::section::SectionStatus;
use eduhub::store::imports::ImportStore;
use eduhub::store::terms::{TermChanges, TermStore};

use super::fixture::{StoreFixture, StoredTerm, block_on, load, other_term};
use super::histories::Image;
use crate::college::{
    capacity, drop_section, patch, register, register_or_wait, section, status, swap, term_id, window,
};

fn changes<F: StoreFixture>(term: &StoredTerm<F>, since: u64) -> TermChanges {
    block_on(term.store.changes_since(&term_id(), since)).unwrap()
}

/// Returns whether the term itself changed, and which sections and registrations did.
fn names_of(changes: &TermChanges) -> (bool, Vec<String>, Vec<String>) {
    let TermChanges { changes, counts, .. } = changes;
    let defined = changes.sections.iter().map(|state| &state.section.id.crn);
    let mut sections: Vec<_> =
        defined.chain(counts.iter().map(|counts| &counts.crn)).map(ToString::to_string).collect();
    let mut registrations: Vec<_> =
        changes.registrations.iter().map(|(student, r)| format!("{student} {}", r.crn)).collect();
    sections.sort();
    sections.dedup();
    registrations.sort();
    (changes.term.is_some(), sections, registrations)
}

fn new_section(number: &str) -> Command {
    let target = section(number).0.section;
    Command::PutSections([SectionEdit { base: None, target }].into())
}

/// The commands of a commit, whether it changes the term itself, and the sections and registrations that it changes.
type Commit = (Vec<Command>, bool, &'static [&'static str], &'static [&'static str]);

fn commits() -> Vec<Commit> {
    vec![
        (vec![register("ana", "X"), register_or_wait("bob", "X")], false, &["X"], &["ana X", "bob X"]),
        (vec![window(Some(0), Some(900))], true, &[], &[]),
        (vec![register("ana", "Y"), drop_section("ana", "Y")], false, &["Y"], &["ana Y"]),
        // A promotion.
        (vec![drop_section("ana", "X")], false, &["X"], &["ana X", "bob X"]),
        (vec![capacity("Z", 4)], false, &["Z"], &[]),
        (vec![new_section("NEW"), register("cyd", "NEW")], false, &["NEW"], &["cyd NEW"]),
        (vec![swap("bob", &["Z"], &["X"])], false, &["X", "Z"], &["bob X", "bob Z"]),
        (vec![status("Z", SectionStatus::Cancelled)], false, &["Z"], &[]),
        (vec![patch("Y", |p| p.outside_waitlisted = Some(2))], false, &["Y"], &[]),
        (vec![Command::PutTerm(TermPatch { title: Some("Autumn".into()), ..TermPatch::default() })], true, &[], &[]),
    ]
}

fn sorted_union<'w>(lists: impl Iterator<Item = &'w [&'static str]>) -> Vec<String> {
    let mut all: Vec<String> = lists.flatten().map(|&name| name.to_owned()).collect();
    all.sort();
    all.dedup();
    all
}

pub(crate) fn changes_since_a_sequence_are_those_of_later_commits<F: StoreFixture>() {
    let mut term = StoredTerm::<F>::with_sections([section("X"), section("Y"), section("Z")]);
    let mut images = vec![Image::of(&load(&term.store))];
    for (commands, ..) in commits() {
        let mut image = images.last().unwrap().clone();
        image.apply(term.run(commands).unwrap().update.as_ref().expect("the commands change the term"));
        images.push(image);
        // A batch that changes nothing adds no changes.
        term.run(vec![drop_section("eve", "X")]).unwrap();
    }
    let now = images.last().unwrap();
    for (at, image) in images.iter().enumerate() {
        let found = changes(&term, image.seq());
        let later = || commits().into_iter().skip(at);
        let term_changed = later().any(|(_, term_changed, ..)| term_changed);
        let (sections, registrations): (Vec<_>, Vec<_>) = later().map(|(_, _, s, r)| (s, r)).unzip();
        let expected = (term_changed, sorted_union(sections.into_iter()), sorted_union(registrations.into_iter()));
        assert_eq!(names_of(&found), expected, "since commit {at}");
        assert_eq!(&image.after(&found), now, "since commit {at}");
    }
}

pub(crate) fn staged_sections_change_when_they_are_applied<F: StoreFixture>() {
    let mut term = StoredTerm::<F>::with_sections([section("X"), section("Y"), section("Z")]);
    let before = Image::of(&load(&term.store));
    let import = term.stage(vec![(section("X").seats(5), None), (section("Y").seats(5), None), (section("N"), None)]);
    assert_eq!(names_of(&changes(&term, before.seq())), (false, vec![], vec![]), "staged rows are not visible");

    // Staff change a staged section before the import is applied, and a student registers in the batch of the import.
    term.run_one(status("Y", SectionStatus::Closed));
    let between = Image::of(&load(&term.store));
    term.run(vec![register("ana", "Z"), import]).unwrap();
    let after = Image::of(&load(&term.store));
    for image in [&before, &between] {
        let found = changes(&term, image.seq());
        assert!(found.changes.generation.is_some(), "a generation became visible");
        assert_eq!(names_of(&found).1, ["N", "X", "Y", "Z"]);
        assert_eq!(image.after(&found), after);
    }
    let later = changes(&term, after.seq());
    assert_eq!((names_of(&later), later.changes.generation), ((false, vec![], vec![]), None));

    // The changes include both of two imports, even after replaced rows were pruned.
    term.import(vec![(section("X").seats(7), None)]);
    term.run_one(capacity("Z", 3));
    assert_eq!(block_on(term.store.prune(&term_id(), None)).unwrap(), None, "one call prunes all rows");
    let last = Image::of(&load(&term.store));
    assert_eq!(names_of(&changes(&term, after.seq())).1, ["X", "Z"]);
    for image in [&before, &between, &after] {
        assert_eq!(image.after(&changes(&term, image.seq())), last);
    }
}

pub(crate) fn changes_survive_reopening<F: StoreFixture>() {
    let mut term = StoredTerm::<F>::with_sections([section("X"), section("Y")]);
    let seq = load(&term.store).seq;
    term.run(vec![register("ana", "X")]).unwrap();
    term.import(vec![(section("Y").seats(3), None)]);
    let before = names_of(&changes(&term, seq));
    let term = term.reopen();
    assert_eq!(names_of(&changes(&term, seq)), before);
    assert_eq!(changes(&term, seq).seq, term.loaded.seq);
}

pub(crate) fn a_refused_batch_adds_no_changes<F: StoreFixture>() {
    let mut term = StoredTerm::<F>::with_sections([section("X").seats(9), section("BAD")]);
    term.fixture.refuse_bad(&term.store);
    let seq = load(&term.store).seq;
    term.run(vec![register("ana", "X"), register("ana", "BAD")]).expect_err("the store rejects it");
    let found = changes(&term, seq);
    assert_eq!((names_of(&found), found.seq), ((false, vec![], vec![]), seq));
}

pub(crate) fn an_unknown_term_has_no_changes<F: StoreFixture>() {
    let term = StoredTerm::<F>::with_sections([section("X")]);
    let found = block_on(term.store.changes_since(&other_term(), 0)).unwrap();
    assert_eq!((names_of(&found), found.seq), ((false, vec![], vec![]), 0));
}
