//! Promises of every store about its outbox: no change of a section is lost, and none counts as sent that was not.

use eduhub::domain::fields::{FieldValue, Fields, SectionField};
use eduhub::domain::ids::SectionId;
use eduhub::store::outbox::{MARKED_AT_ONCE, OutboxEntry, OutboxStore, PloneItem, Written};
use eduhub::store::terms::TermStore;
use jiff::Timestamp;

use super::house::{Desk, House, wait};
use crate::college::{capacity, crn, drop_of, id, minute, register, register_or_wait, section, swap, user};

/// A minute later than every mark.
const LATE: i64 = 500;

/// Returns all entries that are due at a minute, including those of sections without an item.
fn due_at<S: OutboxStore>(store: &S, at: i64) -> Vec<OutboxEntry> {
    wait(store.due(minute(at), Vec::new(), 100, true)).unwrap()
}

fn crns(entries: &[OutboxEntry]) -> Vec<String> {
    let mut crns: Vec<String> = entries.iter().map(|e| e.section.crn.to_string()).collect();
    crns.sort();
    crns
}

fn item(of: &SectionId) -> PloneItem {
    PloneItem {
        section: of.clone(),
        uid: format!("uid-{}", of.crn),
        path: format!("/courses/{}", of.crn),
        modified: Timestamp::from_second(1_700_000_000).unwrap(),
        fields: Fields::from([(SectionField::SeatsTaken, FieldValue::Number(3))]),
        deleted: false,
    }
}

/// Returns the record of a write of an entry that has an item.
fn written(entry: &OutboxEntry, read_at: Timestamp, fields: &[(SectionField, FieldValue)]) -> Written {
    let seen = entry.item.clone().expect("it has an item");
    Written { seen, fields: fields.iter().cloned().collect(), version: entry.version, read_at }
}

/// Returns a store whose import is in Plone already.
fn clean<H: House>(sections: impl IntoIterator<Item = crate::college::Make>) -> Desk<H> {
    let desk = Desk::<H>::with(sections);
    mark_imported(&desk, false);
    for entry in due_at(&desk.store, LATE) {
        wait(desk.store.drop_entry(&entry.section, entry.version)).unwrap();
    }
    assert_eq!(wait(desk.store.summary()).unwrap().depth, 0);
    desk
}

/// Marks everything that imports made visible, and returns the number of commits that took.
fn mark_imported<H: House>(desk: &Desk<H>, known_only: bool) -> usize {
    std::iter::from_fn(|| wait(desk.store.mark_imported(known_only, minute(1))).unwrap().then_some(())).count()
}

/// Marks one section by a registration and returns its entry.
fn marked<H: House>(desk: &mut Desk<H>, student: &str, of: &str) -> OutboxEntry {
    desk.ask(register(student, of));
    let found = due_at(&desk.store, LATE).into_iter().find(|e| e.section == id(of));
    found.expect("the section is marked")
}

pub(crate) fn each_section_of_a_commit_is_marked_once<H: House>() {
    let mut desk = clean::<H>([section("X").seats(9), section("Y"), section("Z")]);
    desk.run(vec![register("ana", "X"), register("bob", "X"), capacity("Y", 5)]).unwrap();
    let due = due_at(&desk.store, LATE);
    assert_eq!(crns(&due), ["X", "Y"]);
    assert!(due.iter().all(|entry| entry.version == 1), "one mark for a batch");
    desk.run(vec![drop_of("ana", "X")]).unwrap();
    let due = due_at(&desk.store, LATE);
    assert_eq!(due.iter().find(|e| e.section == id("X")).unwrap().version, 2);
    assert_eq!(wait(desk.store.summary()).unwrap().depth, 2);
}

pub(crate) fn a_roster_change_with_equal_counts_is_marked<H: House>() {
    let mut desk = clean::<H>([section("X"), section("Y")]);
    desk.ask(register("ana", "X"));
    let before = due_at(&desk.store, LATE).remove(0);
    // One student drops and another registers in one batch: the counts stay the same.
    desk.run(vec![drop_of("ana", "X"), register("bob", "X")]).unwrap();
    let after = due_at(&desk.store, LATE).remove(0);
    assert_eq!(after.state.enrolled, before.state.enrolled);
    assert_eq!(after.version, before.version + 1);
    assert_eq!(after.roster[0].user, user("bob"));
    // A swap touches both.
    desk.run(vec![swap("bob", &["Y"], &["X"])]).unwrap();
    assert_eq!(crns(&due_at(&desk.store, LATE)), ["X", "Y"]);
}

pub(crate) fn uncommitted_changes_are_not_marked<H: House>() {
    let mut desk = clean::<H>([section("X").seats(9), section("BAD").seats(9)]);
    desk.house.refuse_bad(&desk.store);
    desk.run(vec![register("ana", "X"), register("bob", "BAD")]).expect_err("the store refuses it");
    assert_eq!(crns(&due_at(&desk.store, LATE)), [""; 0]);
}

pub(crate) fn an_entry_is_read_with_its_section_item_and_roster<H: House>() {
    let mut desk = clean::<H>([section("X").seats(2).line(5)]);
    wait(desk.store.put_items(vec![item(&id("X"))])).unwrap();
    for student in ["cyd", "ana", "bob", "abe"] {
        desk.ask(register_or_wait(student, "X"));
    }
    let entry = due_at(&desk.store, LATE).remove(0);
    assert_eq!((entry.state.enrolled_total(), entry.state.waitlisted_total()), (2, 2));
    assert_eq!(entry.item, Some(item(&id("X"))));
    assert_eq!((entry.queued_at, entry.read_at, entry.attempts), (minute(1), minute(LATE), 0));
    let lines: Vec<_> = entry.roster.iter().map(|l| (l.user.as_str(), l.standing.as_str())).collect();
    // Enrolled students of the same moment are sorted by name, waitlisted ones by position.
    let expected = [("ana", "enrolled"), ("cyd", "enrolled"), ("bob", "waitlisted"), ("abe", "waitlisted")];
    assert_eq!(lines, expected);
    assert!(entry.roster.iter().all(|l| l.since == minute(1)));
}

pub(crate) fn an_entry_is_deleted_only_in_the_version_that_was_sent<H: House>() {
    let mut desk = clean::<H>([section("X").seats(9)]);
    wait(desk.store.put_items(vec![item(&id("X"))])).unwrap();
    let sent = marked(&mut desk, "ana", "X");
    desk.ask(register("bob", "X"));
    wait(desk.store.sent(written(&sent, minute(2), &[]), minute(3))).unwrap();
    let summary = wait(desk.store.summary()).unwrap();
    assert_eq!(
        (summary.depth, summary.oldest_at),
        (1, Some(minute(2))),
        "the entry that is left is younger than the one that was sent"
    );
    assert_eq!(crns(&due_at(&desk.store, 2)), [""; 0], "not before its time");
    let newer = due_at(&desk.store, 3).remove(0);
    assert_eq!((newer.version, newer.state.enrolled, newer.roster.len()), (sent.version + 1, 2, 2));
    wait(desk.store.drop_entry(&id("X"), sent.version)).unwrap();
    assert_eq!(wait(desk.store.summary()).unwrap().depth, 1, "an older version ends nothing");
    wait(desk.store.sent(written(&newer, minute(4), &[]), minute(5))).unwrap();
    assert_eq!(wait(desk.store.summary()).unwrap().depth, 0);
}

pub(crate) fn a_failed_entry_is_due_at_its_retry_time<H: House>() {
    let mut desk = clean::<H>([section("X").seats(9)]);
    let entry = marked(&mut desk, "ana", "X");
    wait(desk.store.later(&entry.section, minute(20))).unwrap();
    assert_eq!(crns(&due_at(&desk.store, 19)), [""; 0]);
    // A change meanwhile does not make it due earlier.
    desk.ask(register("bob", "X"));
    assert_eq!(crns(&due_at(&desk.store, 19)), [""; 0]);
    let again = due_at(&desk.store, 20).remove(0);
    assert_eq!((again.attempts, again.version, again.queued_at), (1, 2, minute(1)));
}

pub(crate) fn a_refused_entry_waits_for_a_change_or_a_resend<H: House>() {
    let mut desk = clean::<H>([section("X").seats(9), section("Y").seats(9)]);
    for name in ["X", "Y"] {
        let entry = marked(&mut desk, "ana", name);
        wait(desk.store.put_aside(&entry.section, entry.version, format!("no {name}"), minute(7))).unwrap();
    }
    assert_eq!(crns(&due_at(&desk.store, LATE)), [""; 0]);
    let summary = wait(desk.store.summary()).unwrap();
    assert_eq!((summary.depth, summary.oldest_at, summary.aside_total), (0, None, 2));
    let told: Vec<_> = summary.aside.iter().map(|e| (e.section.crn.as_str(), e.reason.as_str(), e.at)).collect();
    assert_eq!(told, [("X", "no X", minute(7)), ("Y", "no Y", minute(7))]);
    desk.ask(register("bob", "X"));
    assert_eq!(crns(&due_at(&desk.store, LATE)), ["X"], "a change tries again");
    assert_eq!(wait(desk.store.resend(Some(vec![id("X")]), minute(8))).unwrap(), 0, "it is queued already");
    assert_eq!(wait(desk.store.resend(None, minute(8))).unwrap(), 1);
    assert_eq!(crns(&due_at(&desk.store, LATE)), ["X", "Y"]);
    assert_eq!(wait(desk.store.summary()).unwrap().aside_total, 0);
    // The refused version is outdated by now.
    let entry = due_at(&desk.store, LATE).into_iter().find(|e| e.section == id("Y")).unwrap();
    wait(desk.store.put_aside(&id("Y"), entry.version - 1, "late".to_owned(), minute(9))).unwrap();
    assert_eq!(wait(desk.store.summary()).unwrap().aside_total, 0);
}

pub(crate) fn entries_with_an_item_are_due_first<H: House>() {
    let mut desk = clean::<H>([section("A").seats(9), section("B").seats(9), section("C").seats(9)]);
    wait(desk.store.put_items(vec![item(&id("C"))])).unwrap();
    desk.run(vec![register("ana", "A"), register("bob", "B")]).unwrap();
    desk.run(vec![register("ana", "C")]).unwrap();
    let first = wait(desk.store.due(minute(LATE), Vec::new(), 1, true)).unwrap();
    assert_eq!(crns(&first), ["C"]);
    assert_eq!(crns(&wait(desk.store.due(minute(LATE), Vec::new(), 9, false)).unwrap()), ["C"]);
    assert_eq!(crns(&due_at(&desk.store, LATE)), ["A", "B", "C"]);
    // An item was found meanwhile, so none has to be created.
    wait(desk.store.put_items(vec![item(&id("A"))])).unwrap();
    assert_eq!(crns(&wait(desk.store.due(minute(LATE), Vec::new(), 9, false)).unwrap()), ["A", "C"]);
}

pub(crate) fn entries_in_flight_are_not_returned_again<H: House>() {
    let mut desk = clean::<H>([section("A").seats(9), section("B").seats(9), section("C").seats(9)]);
    desk.run(vec![register("ana", "A"), register("bob", "B"), register("cyd", "C")]).unwrap();
    let left = wait(desk.store.due(minute(LATE), vec![id("A"), id("C")], 1, true)).unwrap();
    assert_eq!(crns(&left), ["B"]);
}

pub(crate) fn entries_of_a_deleted_item_are_removed<H: House>() {
    let mut desk = clean::<H>([section("X").seats(9)]);
    marked(&mut desk, "ana", "X");
    wait(desk.store.put_items(vec![PloneItem { deleted: true, ..item(&id("X")) }])).unwrap();
    assert_eq!(wait(desk.store.summary()).unwrap().depth, 0);
    // The next change is marked as usual; the entry says that the item is deleted.
    let entry = marked(&mut desk, "bob", "X");
    assert!(entry.item.unwrap().deleted);
}

pub(crate) fn a_write_during_a_pull_keeps_the_fields_it_wrote<H: House>() {
    let mut desk = clean::<H>([section("X").seats(9), section("Y"), section("NEW")]);
    let (x, y, new) = (item(&id("X")), item(&id("Y")), item(&id("NEW")));
    wait(desk.store.put_items(vec![x.clone(), y.clone()])).unwrap();
    let entry = marked(&mut desk, "ana", "X");
    let mut sent = x.clone();
    sent.fields.insert(SectionField::SeatsTaken, FieldValue::Number(1));
    let fields = [(SectionField::SeatsTaken, FieldValue::Number(1))];
    wait(desk.store.sent(written(&entry, minute(2), &fields), minute(3))).unwrap();
    let read = |item: &PloneItem| PloneItem { modified: minute(LATE), ..item.clone() };
    let pulled = vec![(Some(x.clone()), read(&x)), (Some(y.clone()), read(&y)), (None, new.clone()), (None, read(&y))];
    wait(desk.store.put_pulled(pulled)).unwrap();
    let mut items = wait(desk.store.items()).unwrap();
    items.sort_by(|a, b| a.section.cmp(&b.section));
    assert_eq!(items, [new, sent, read(&y)]);
}

pub(crate) fn a_pull_during_a_write_keeps_the_fields_it_read<H: House>() {
    let mut desk = clean::<H>([section("X").seats(9), section("Y").seats(9)]);
    for name in ["X", "Y"] {
        wait(desk.store.put_items(vec![item(&id(name))])).unwrap();
    }
    let (x, y) = (marked(&mut desk, "ana", "X"), marked(&mut desk, "bob", "Y"));
    // Meanwhile a pull finds another title in X, and another item for Y.
    let mut pulled = PloneItem { modified: minute(LATE), path: "/moved".to_owned(), ..item(&id("X")) };
    pulled.fields.insert(SectionField::Title, FieldValue::Text("Calculus".to_owned()));
    let other = PloneItem { uid: "uid-other".to_owned(), ..item(&id("Y")) };
    wait(desk.store.put_items(vec![pulled.clone(), other.clone()])).unwrap();
    let fields = [(SectionField::SeatsTaken, FieldValue::Number(1))];
    for entry in [&x, &y] {
        wait(desk.store.sent(written(entry, minute(2), &fields), minute(3))).unwrap();
    }
    pulled.fields.extend(fields);
    assert_eq!(wait(desk.store.items()).unwrap(), [pulled, other], "only the written fields are as they were written");
    // Which of the two came first is unknown, so the entry is sent again.
    let again = due_at(&desk.store, LATE);
    let again: Vec<_> = again.iter().map(|e| (e.section.crn.as_str(), e.attempts)).collect();
    assert_eq!(again, [("X", 1), ("Y", 1)]);
}

pub(crate) fn items_and_notes_are_read_back_unchanged<H: House>() {
    let desk = clean::<H>([section("X"), section("Y")]);
    let mut x = item(&id("X"));
    x.fields.extend([
        (SectionField::Title, FieldValue::Text("Calculus – I".to_owned())),
        (SectionField::Instructor, FieldValue::Nothing),
        (SectionField::Roster, FieldValue::Lines(vec!["ana enrolled 2027-01-01T00:00:00Z".to_owned()])),
    ]);
    wait(desk.store.put_items(vec![item(&id("Y")), x.clone()])).unwrap();
    assert_eq!(wait(desk.store.items()).unwrap(), [x.clone(), item(&id("Y"))]);
    // The item turns out to belong to another section.
    let moved = PloneItem { section: id("Y"), ..x };
    wait(desk.store.put_items(vec![moved.clone()])).unwrap();
    assert_eq!(wait(desk.store.items()).unwrap(), [moved]);
    assert_eq!(wait(desk.store.note("pulled")).unwrap(), None);
    for value in ["1", "2"] {
        wait(desk.store.put_note("pulled", value.to_owned())).unwrap();
        assert_eq!(wait(desk.store.note("pulled")).unwrap().as_deref(), Some(value));
    }
}

pub(crate) fn unknown_sections_are_not_marked<H: House>() {
    let desk = clean::<H>([section("X")]);
    wait(desk.store.mark(vec![id("X"), id("NONE")], minute(5))).unwrap();
    assert_eq!(crns(&due_at(&desk.store, LATE)), ["X"]);
    assert_eq!(wait(desk.store.summary()).unwrap().depth, 1);
}

pub(crate) fn marks_survive_reopening<H: House>() {
    let mut desk = clean::<H>([section("X").seats(9), section("Y")]);
    marked(&mut desk, "ana", "X");
    let desk = desk.reopened();
    assert_eq!(crns(&due_at(&desk.store, LATE)), ["X"], "sections that are in Plone already are not marked again");
}

pub(crate) fn enabling_the_outbox_marks_every_section<H: House>() {
    let desk = clean::<H>([section("X").seats(9), section("Y")]);
    // The hub runs without Plone for a while: nothing is marked, and the store records that.
    let house = desk.closed();
    let store = house.open_without_outbox();
    let mut desk = Desk::<H>::opened(house, store);
    desk.ask(register("ana", "X"));
    assert_eq!(wait(desk.store.summary()).unwrap().depth, 0);
    let desk = desk.reopened();
    // These marks carry the time of the system clock.
    let far = Timestamp::MAX.checked_sub(jiff::SignedDuration::from_hours(48)).unwrap();
    let due = wait(desk.store.due(far, Vec::new(), 100, true)).unwrap();
    assert_eq!(crns(&due), ["X", "Y"]);
    assert_eq!(wait(desk.store.term_ids()).unwrap().len(), 1);
}

pub(crate) fn staged_sections_are_not_marked_before_applying<H: House>() {
    let mut desk = clean::<H>([section("X")]);
    let apply = desk.stage(vec![(section("X").seats(7), None), (section("NEW"), None)]);
    assert_eq!(crns(&due_at(&desk.store, LATE)), [""; 0]);
    wait(desk.store.mark(vec![id("NEW")], minute(2))).unwrap();
    assert_eq!(crns(&due_at(&desk.store, LATE)), [""; 0], "the section does not exist yet");
    assert_eq!(mark_imported(&desk, false), 0, "the section still does not exist");
    desk.ask(apply);
    mark_imported(&desk, false);
    let due = due_at(&desk.store, LATE);
    assert_eq!(crns(&due), ["NEW", "X"]);
    assert_eq!(due.iter().find(|e| e.section.crn == crn("X")).unwrap().state.section.capacity, 7);
}

pub(crate) fn applied_imports_are_marked_in_chunks<H: House>() {
    let names: Vec<String> = (0..MARKED_AT_ONCE + 50).map(|number| format!("S{number:04}")).collect();
    let many = || names.iter().map(|name| (section(name).seats(7), None)).collect::<Vec<_>>();
    let mut desk = clean::<H>([section("OLD").seats(9)]);
    let apply = desk.stage(many());
    // A student registers in the same batch.
    desk.run(vec![apply, register("ana", "OLD"), register("ana", "S0007")]).unwrap();
    assert_eq!(crns(&due_at(&desk.store, LATE)), ["OLD"], "the import marks nothing itself");
    assert!(wait(desk.store.mark_imported(false, minute(1))).unwrap(), "there are more");
    let depth = |desk: &Desk<H>| usize::try_from(wait(desk.store.summary()).unwrap().depth).unwrap();
    assert_eq!(depth(&desk), 1 + MARKED_AT_ONCE);
    // The rest survives reopening.
    let mut desk = desk.reopened();
    assert_eq!(mark_imported(&desk, false), 1);
    assert_eq!(depth(&desk), 1 + names.len());
    assert_eq!(mark_imported(&desk, false), 0);

    // Another import is applied while one is being marked: what it changed in the part that was done is marked, too.
    let entries = wait(desk.store.due(minute(LATE), Vec::new(), 1_000, true)).unwrap();
    for entry in entries {
        wait(desk.store.drop_entry(&entry.section, entry.version)).unwrap();
    }
    let apply = desk.stage(names.iter().map(|name| (section(name).seats(8), None)).collect());
    desk.ask(apply);
    assert!(wait(desk.store.mark_imported(false, minute(1))).unwrap());
    let first = wait(desk.store.due(minute(LATE), Vec::new(), 1, true)).unwrap().remove(0);
    wait(desk.store.drop_entry(&first.section, first.version)).unwrap();
    let apply = desk.stage(vec![(section(first.section.crn.as_str()).seats(9), None)]);
    desk.ask(apply);
    mark_imported(&desk, false);
    assert_eq!(depth(&desk), names.len());
}

pub(crate) fn without_schedule_writes_only_sections_with_items_are_marked<H: House>() {
    let mut desk = clean::<H>([section("X"), section("Y")]);
    wait(desk.store.put_items(vec![item(&id("X")), PloneItem { deleted: true, ..item(&id("Y")) }])).unwrap();
    let apply = desk.stage(["X", "Y", "NEW"].map(|name| (section(name).seats(7), None)).into());
    desk.ask(apply);
    mark_imported(&desk, true);
    assert_eq!(crns(&due_at(&desk.store, LATE)), ["X"]);
}

pub(crate) fn creation_fields_are_kept_until_the_item_is_known<H: House>() {
    let desk = clean::<H>([section("X"), section("Y"), section("Z")]);
    let with = |seats| Fields::from([(SectionField::Capacity, FieldValue::Number(seats))]);
    for (of, seats) in [("X", 3), ("Y", 4), ("X", 5), ("Z", 6)] {
        wait(desk.store.creating(&id(of), with(seats))).unwrap();
    }
    let all = wait(desk.store.creations()).unwrap();
    assert_eq!((all.len(), &all[&id("X")], &all[&id("Y")]), (3, &with(3), &with(4)), "the first of two attempts");
    wait(desk.store.put_items(vec![item(&id("X"))])).unwrap();
    wait(desk.store.put_aside(&id("Z"), 1, "no such field".to_owned(), minute(2))).unwrap();
    let left: Vec<_> = wait(desk.store.creations()).unwrap().into_keys().collect();
    assert_eq!(left, [id("Y")], "the one has an item, the other was refused");
}
