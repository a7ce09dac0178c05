//! The promises of a store to a follower of a term: the changes since a sequence.

use eduhub::domain::command::{Command, SectionEdit, TermPatch};
use eduhub::domain::section::SectionStatus;
use eduhub::store::imports::ImportStore;
use eduhub::store::terms::{TermChanges, TermStore};

use super::histories::Image;
use super::house::{Desk, House, load, other_term, wait};
use crate::college::{capacity, drop_of, patch, register, register_or_wait, section, status, swap, term_id, window};

fn changes<H: House>(desk: &Desk<H>, since: u64) -> TermChanges {
    wait(desk.store.changes_since(&term_id(), since)).unwrap()
}

/// Returns what changed: whether the term did, which sections, which registrations.
fn named(changes: &TermChanges) -> (bool, Vec<String>, Vec<String>) {
    let changes = &changes.changes;
    let mut sections: Vec<_> = changes.sections.iter().map(|s| s.section.id.crn.to_string()).collect();
    let mut registrations: Vec<_> = changes.registrations.iter().map(|(who, r)| format!("{who} {}", r.crn)).collect();
    sections.sort();
    registrations.sort();
    (changes.term.is_some(), sections, registrations)
}

fn new_section(number: &str) -> Command {
    let wanted = section(number).0.section;
    Command::PutSections([SectionEdit { seen: None, wanted }].into())
}

/// The commands of a commit, and what it changes: the term, sections, registrations.
type Commit = (Vec<Command>, bool, &'static [&'static str], &'static [&'static str]);

fn commits() -> Vec<Commit> {
    vec![
        (vec![register("ana", "X"), register_or_wait("bob", "X")], false, &["X"], &["ana X", "bob X"]),
        (vec![window(Some(0), Some(900))], true, &[], &[]),
        (vec![register("ana", "Y"), drop_of("ana", "Y")], false, &["Y"], &["ana Y"]),
        // A promotion.
        (vec![drop_of("ana", "X")], false, &["X"], &["ana X", "bob X"]),
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

pub(crate) fn changes_since_a_sequence_are_those_of_later_commits<H: House>() {
    let mut desk = Desk::<H>::with([section("X"), section("Y"), section("Z")]);
    let mut images = vec![Image::of(&load(&desk.store))];
    for (commands, ..) in commits() {
        let mut image = images.last().unwrap().clone();
        image.take_over(desk.run(commands).unwrap().update.as_ref().expect("something changed"));
        images.push(image);
        // A batch that changes nothing is in no changes.
        desk.run(vec![drop_of("eve", "X")]).unwrap();
    }
    let now = images.last().unwrap();
    for (at, image) in images.iter().enumerate() {
        let found = changes(&desk, image.seq());
        let later = || commits().into_iter().skip(at);
        let term = later().any(|(_, term, ..)| term);
        let (sections, registrations): (Vec<_>, Vec<_>) = later().map(|(_, _, s, r)| (s, r)).unzip();
        let expected = (term, sorted_union(sections.into_iter()), sorted_union(registrations.into_iter()));
        assert_eq!(named(&found), expected, "since commit {at}");
        assert_eq!(&image.followed(&found), now, "since commit {at}");
    }
}

pub(crate) fn staged_sections_change_when_they_are_applied<H: House>() {
    let mut desk = Desk::<H>::with([section("X"), section("Y"), section("Z")]);
    let before = Image::of(&load(&desk.store));
    let import = desk.stage(vec![(section("X").seats(5), None), (section("Y").seats(5), None), (section("N"), None)]);
    assert_eq!(named(&changes(&desk, before.seq())), (false, vec![], vec![]), "staged rows are not visible");

    // Staff change a staged section meanwhile, and a student registers in the batch of the import.
    desk.ask(status("Y", SectionStatus::Closed));
    let middle = Image::of(&load(&desk.store));
    desk.run(vec![register("ana", "Z"), import]).unwrap();
    let after = Image::of(&load(&desk.store));
    for image in [&before, &middle] {
        let found = changes(&desk, image.seq());
        assert!(found.changes.generation.is_some(), "a generation became visible");
        assert_eq!(named(&found).1, ["N", "X", "Y", "Z"]);
        assert_eq!(image.followed(&found), after);
    }
    let later = changes(&desk, after.seq());
    assert_eq!((named(&later), later.changes.generation), ((false, vec![], vec![]), None));

    // Of two imports, each is in the changes since before it, also when replaced rows are pruned.
    desk.import(vec![(section("X").seats(7), None)]);
    desk.ask(capacity("Z", 3));
    assert_eq!(wait(desk.store.prune(&term_id(), None)).unwrap(), None, "all of it in one round");
    let last = Image::of(&load(&desk.store));
    assert_eq!(named(&changes(&desk, after.seq())).1, ["X", "Z"]);
    for image in [&before, &middle, &after] {
        assert_eq!(image.followed(&changes(&desk, image.seq())), last);
    }
}

pub(crate) fn changes_survive_reopening<H: House>() {
    let mut desk = Desk::<H>::with([section("X"), section("Y")]);
    let seq = load(&desk.store).seq;
    desk.run(vec![register("ana", "X")]).unwrap();
    desk.import(vec![(section("Y").seats(3), None)]);
    let before = named(&changes(&desk, seq));
    let desk = desk.reopened();
    assert_eq!(named(&changes(&desk, seq)), before);
    assert_eq!(changes(&desk, seq).seq, desk.loaded.seq);
}

pub(crate) fn a_refused_batch_is_in_no_changes<H: House>() {
    let mut desk = Desk::<H>::with([section("X").seats(9), section("BAD")]);
    desk.house.refuse_bad(&desk.store);
    let seq = load(&desk.store).seq;
    desk.run(vec![register("ana", "X"), register("ana", "BAD")]).expect_err("the store rejects it");
    let found = changes(&desk, seq);
    assert_eq!((named(&found), found.seq), ((false, vec![], vec![]), seq));
}

pub(crate) fn an_unknown_term_has_no_changes<H: House>() {
    let desk = Desk::<H>::with([section("X")]);
    let found = wait(desk.store.changes_since(&other_term(), 0)).unwrap();
    assert_eq!((named(&found), found.seq), ((false, vec![], vec![]), 0));
}
