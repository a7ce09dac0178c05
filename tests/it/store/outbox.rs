//! Tests of a store's outbox: no change to a section is lost, and only a change that was sent counts as sent.

use eduhub::domain::fields::{FieldValue, Fields, SectionField};
use eduhub::domain::ids::SectionId;
use eduhub::store::outbox::{MARKS_PER_COMMIT_MAX, OutboxEntry, OutboxStore, PloneItem, SuccessfulWrite};
use eduhub::store::terms::TermStore;
use jiff::Timestamp;

use super::fixture::{StoreFixture, StoredTerm, block_on};
use crate::college::{capacity, crn, drop_section, id, minute, register, register_or_wait, section, swap, user};

/// A minute that is later than every mark.
const LATE: i64 = 500;

/// Returns all entries that are due at a minute, including those of sections without an item.
fn due_at<S: OutboxStore>(store: &S, at: i64) -> Vec<OutboxEntry> {
    block_on(store.due(minute(at), Vec::new(), 100, true)).unwrap()
}

fn crns(entries: &[OutboxEntry]) -> Vec<String> {
    let mut crns: Vec<String> = entries.iter().map(|e| e.section.crn.to_string()).collect();
    crns.sort();
    crns
}

pub(super) fn item(of: &SectionId) -> PloneItem {
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
fn written(entry: &OutboxEntry, read_at: Timestamp, fields: &[(SectionField, FieldValue)]) -> SuccessfulWrite {
    let seen = entry.item.clone().expect("the entry has an item");
    SuccessfulWrite { seen, fields: fields.iter().cloned().collect(), version: entry.version, read_at }
}

/// Returns a stored term whose outbox is empty.
fn with_empty_outbox<F: StoreFixture>(
    sections: impl IntoIterator<Item = crate::college::SectionBuilder>,
) -> StoredTerm<F> {
    let term = StoredTerm::<F>::with_sections(sections);
    mark_imported(&term, false);
    for entry in due_at(&term.store, LATE) {
        block_on(term.store.delete_entry(&entry.section, entry.version)).unwrap();
    }
    assert_eq!(block_on(term.store.summary()).unwrap().depth, 0);
    term
}

/// Marks all sections that imports made visible, and returns the number of commits that this took.
fn mark_imported<F: StoreFixture>(term: &StoredTerm<F>, known_only: bool) -> usize {
    std::iter::from_fn(|| block_on(term.store.mark_imported(known_only, minute(1))).unwrap().then_some(())).count()
}

/// Marks one section by a registration and returns its entry.
fn marked<F: StoreFixture>(term: &mut StoredTerm<F>, student: &str, of: &str) -> OutboxEntry {
    term.run_one(register(student, of));
    let found = due_at(&term.store, LATE).into_iter().find(|e| e.section == id(of));
    found.expect("the section is marked")
}

pub(crate) fn each_section_of_a_commit_is_marked_once<F: StoreFixture>() {
    let mut term = with_empty_outbox::<F>([section("X").seats(9), section("Y"), section("Z")]);
    term.run(vec![register("ana", "X"), register("bob", "X"), capacity("Y", 5)]).unwrap();
    let due = due_at(&term.store, LATE);
    assert_eq!(crns(&due), ["X", "Y"]);
    assert!(due.iter().all(|entry| entry.version == 1), "one mark for each batch");
    term.run(vec![drop_section("ana", "X")]).unwrap();
    let due = due_at(&term.store, LATE);
    assert_eq!(due.iter().find(|e| e.section == id("X")).unwrap().version, 2);
    assert_eq!(block_on(term.store.summary()).unwrap().depth, 2);
}

pub(crate) fn a_roster_change_with_equal_counts_is_marked<F: StoreFixture>() {
    let mut term = with_empty_outbox::<F>([section("X"), section("Y")]);
    term.run_one(register("ana", "X"));
    let before = due_at(&term.store, LATE).remove(0);
    // One student drops and another registers in one batch: the counts stay the same.
    term.run(vec![drop_section("ana", "X"), register("bob", "X")]).unwrap();
    let after = due_at(&term.store, LATE).remove(0);
    assert_eq!(after.state.enrolled, before.state.enrolled);
    assert_eq!(after.version, before.version + 1);
    assert_eq!(after.roster[0].user, user("bob"));
    // A swap touches both.
    term.run(vec![swap("bob", &["Y"], &["X"])]).unwrap();
    assert_eq!(crns(&due_at(&term.store, LATE)), ["X", "Y"]);
}

pub(crate) fn uncommitted_changes_are_not_marked<F: StoreFixture>() {
    let mut term = with_empty_outbox::<F>([section("X").seats(9), section("BAD").seats(9)]);
    term.fixture.refuse_bad(&term.store);
    term.run(vec![register("ana", "X"), register("bob", "BAD")]).expect_err("the store refuses the batch");
    assert_eq!(crns(&due_at(&term.store, LATE)), [""; 0]);
}

pub(crate) fn an_entry_is_read_with_its_section_item_and_roster<F: StoreFixture>() {
    let mut term = with_empty_outbox::<F>([section("X").seats(2).waitlist(5)]);
    block_on(term.store.put_items(vec![item(&id("X"))])).unwrap();
    for student in ["cyd", "ana", "bob", "abe"] {
        term.run_one(register_or_wait(student, "X"));
    }
    let entry = due_at(&term.store, LATE).remove(0);
    assert_eq!((entry.state.enrolled_total(), entry.state.waitlisted_total()), (2, 2));
    assert_eq!(entry.item, Some(item(&id("X"))));
    assert_eq!((entry.queued_at, entry.read_at, entry.attempts), (minute(1), minute(LATE), 0));
    let roster: Vec<_> = entry.roster.iter().map(|l| (l.user.as_str(), l.status.as_str())).collect();
    // Students enrolled at the same time are sorted by name, waitlisted students by position.
    let expected = [("ana", "enrolled"), ("cyd", "enrolled"), ("bob", "waitlisted"), ("abe", "waitlisted")];
    assert_eq!(roster, expected);
    assert!(entry.roster.iter().all(|l| l.since == minute(1)));
}

pub(crate) fn an_entry_is_deleted_only_in_the_version_that_was_sent<F: StoreFixture>() {
    let mut term = with_empty_outbox::<F>([section("X").seats(9)]);
    block_on(term.store.put_items(vec![item(&id("X"))])).unwrap();
    let sent = marked(&mut term, "ana", "X");
    term.run_one(register("bob", "X"));
    block_on(term.store.record_sent(written(&sent, minute(2), &[]), minute(3))).unwrap();
    let summary = block_on(term.store.summary()).unwrap();
    assert_eq!(
        (summary.depth, summary.oldest_at),
        (1, Some(minute(2))),
        "the remaining entry is newer than the one that was sent"
    );
    assert_eq!(crns(&due_at(&term.store, 2)), [""; 0], "not due before its time");
    let newer = due_at(&term.store, 3).remove(0);
    assert_eq!((newer.version, newer.state.enrolled, newer.roster.len()), (sent.version + 1, 2, 2));
    block_on(term.store.delete_entry(&id("X"), sent.version)).unwrap();
    assert_eq!(block_on(term.store.summary()).unwrap().depth, 1, "an older version deletes nothing");
    block_on(term.store.record_sent(written(&newer, minute(4), &[]), minute(5))).unwrap();
    assert_eq!(block_on(term.store.summary()).unwrap().depth, 0);
}

pub(crate) fn a_failed_entry_is_due_at_its_retry_time<F: StoreFixture>() {
    let mut term = with_empty_outbox::<F>([section("X").seats(9)]);
    let entry = marked(&mut term, "ana", "X");
    block_on(term.store.record_failure(&entry.section, minute(20))).unwrap();
    assert_eq!(crns(&due_at(&term.store, 19)), [""; 0]);
    // A change before that time does not make it due earlier.
    term.run_one(register("bob", "X"));
    assert_eq!(crns(&due_at(&term.store, 19)), [""; 0]);
    let again = due_at(&term.store, 20).remove(0);
    assert_eq!((again.attempts, again.version, again.queued_at), (1, 2, minute(1)));
}

pub(crate) fn a_refused_entry_waits_for_a_change_or_a_resend<F: StoreFixture>() {
    let mut term = with_empty_outbox::<F>([section("X").seats(9), section("Y").seats(9)]);
    for name in ["X", "Y"] {
        let entry = marked(&mut term, "ana", name);
        block_on(term.store.record_refusal(&entry.section, entry.version, format!("no {name}"), minute(7))).unwrap();
    }
    assert_eq!(crns(&due_at(&term.store, LATE)), [""; 0]);
    let summary = block_on(term.store.summary()).unwrap();
    assert_eq!((summary.depth, summary.oldest_at, summary.refused_total), (0, None, 2));
    let refused: Vec<_> = summary.refused.iter().map(|e| (e.section.crn.as_str(), e.reason.as_str(), e.at)).collect();
    assert_eq!(refused, [("X", "no X", minute(7)), ("Y", "no Y", minute(7))]);
    term.run_one(register("bob", "X"));
    assert_eq!(crns(&due_at(&term.store, LATE)), ["X"], "a change makes it due again");
    assert_eq!(
        block_on(term.store.resend(Some(vec![id("X")]), minute(8))).unwrap(),
        0,
        "the section is queued already"
    );
    assert_eq!(block_on(term.store.resend(None, minute(8))).unwrap(), 1);
    assert_eq!(crns(&due_at(&term.store, LATE)), ["X", "Y"]);
    assert_eq!(block_on(term.store.summary()).unwrap().refused_total, 0);
    // A refusal of an outdated version has no effect.
    let entry = due_at(&term.store, LATE).into_iter().find(|e| e.section == id("Y")).unwrap();
    block_on(term.store.record_refusal(&id("Y"), entry.version - 1, "late".to_owned(), minute(9))).unwrap();
    assert_eq!(block_on(term.store.summary()).unwrap().refused_total, 0);
}

pub(crate) fn entries_with_an_item_are_due_first<F: StoreFixture>() {
    let mut term = with_empty_outbox::<F>([section("A").seats(9), section("B").seats(9), section("C").seats(9)]);
    block_on(term.store.put_items(vec![item(&id("C"))])).unwrap();
    term.run(vec![register("ana", "A"), register("bob", "B")]).unwrap();
    term.run(vec![register("ana", "C")]).unwrap();
    let first = block_on(term.store.due(minute(LATE), Vec::new(), 1, true)).unwrap();
    assert_eq!(crns(&first), ["C"]);
    assert_eq!(crns(&block_on(term.store.due(minute(LATE), Vec::new(), 9, false)).unwrap()), ["C"]);
    assert_eq!(crns(&due_at(&term.store, LATE)), ["A", "B", "C"]);
    // An item for A was found, so none has to be created.
    block_on(term.store.put_items(vec![item(&id("A"))])).unwrap();
    assert_eq!(crns(&block_on(term.store.due(minute(LATE), Vec::new(), 9, false)).unwrap()), ["A", "C"]);
}

pub(crate) fn entries_in_flight_are_not_returned_again<F: StoreFixture>() {
    let mut term = with_empty_outbox::<F>([section("A").seats(9), section("B").seats(9), section("C").seats(9)]);
    term.run(vec![register("ana", "A"), register("bob", "B"), register("cyd", "C")]).unwrap();
    let due = block_on(term.store.due(minute(LATE), vec![id("A"), id("C")], 1, true)).unwrap();
    assert_eq!(crns(&due), ["B"]);
}

pub(crate) fn entries_of_a_deleted_item_are_removed<F: StoreFixture>() {
    let mut term = with_empty_outbox::<F>([section("X").seats(9)]);
    marked(&mut term, "ana", "X");
    block_on(term.store.put_items(vec![PloneItem { deleted: true, ..item(&id("X")) }])).unwrap();
    assert_eq!(block_on(term.store.summary()).unwrap().depth, 0);
    // The next change is marked as usual; the entry says that the item is deleted.
    let entry = marked(&mut term, "bob", "X");
    assert!(entry.item.unwrap().deleted);
}

pub(crate) fn a_write_during_a_pull_keeps_the_fields_it_wrote<F: StoreFixture>() {
    let mut term = with_empty_outbox::<F>([section("X").seats(9), section("Y"), section("NEW")]);
    let (x, y, new) = (item(&id("X")), item(&id("Y")), item(&id("NEW")));
    block_on(term.store.put_items(vec![x.clone(), y.clone()])).unwrap();
    let entry = marked(&mut term, "ana", "X");
    let mut sent = x.clone();
    sent.fields.insert(SectionField::SeatsTaken, FieldValue::Number(1));
    let fields = [(SectionField::SeatsTaken, FieldValue::Number(1))];
    block_on(term.store.record_sent(written(&entry, minute(2), &fields), minute(3))).unwrap();
    let read = |item: &PloneItem| PloneItem { modified: minute(LATE), ..item.clone() };
    let pulled = vec![(Some(x.clone()), read(&x)), (Some(y.clone()), read(&y)), (None, new.clone()), (None, read(&y))];
    block_on(term.store.put_pulled(pulled)).unwrap();
    let mut items = block_on(term.store.items()).unwrap();
    items.sort_by(|a, b| a.section.cmp(&b.section));
    assert_eq!(items, [new, sent, read(&y)]);
}

pub(crate) fn a_pull_during_a_write_keeps_the_fields_it_read<F: StoreFixture>() {
    let mut term = with_empty_outbox::<F>([section("X").seats(9), section("Y").seats(9)]);
    for name in ["X", "Y"] {
        block_on(term.store.put_items(vec![item(&id(name))])).unwrap();
    }
    let (x, y) = (marked(&mut term, "ana", "X"), marked(&mut term, "bob", "Y"));
    // Before the write is recorded, a pull finds another title in X, and another item for Y.
    let mut pulled = PloneItem { modified: minute(LATE), path: "/moved".to_owned(), ..item(&id("X")) };
    pulled.fields.insert(SectionField::Title, FieldValue::Text("Calculus".to_owned()));
    let other = PloneItem { uid: "uid-other".to_owned(), ..item(&id("Y")) };
    block_on(term.store.put_items(vec![pulled.clone(), other.clone()])).unwrap();
    let fields = [(SectionField::SeatsTaken, FieldValue::Number(1))];
    for entry in [&x, &y] {
        block_on(term.store.record_sent(written(entry, minute(2), &fields), minute(3))).unwrap();
    }
    pulled.fields.extend(fields);
    assert_eq!(
        block_on(term.store.items()).unwrap(),
        [pulled, other],
        "only the written fields have the written values"
    );
    // Whether the pull or the write came first is unknown, so the entry is sent again.
    let again = due_at(&term.store, LATE);
    let again: Vec<_> = again.iter().map(|e| (e.section.crn.as_str(), e.attempts)).collect();
    assert_eq!(again, [("X", 1), ("Y", 1)]);
}

pub(crate) fn items_and_notes_are_read_back_unchanged<F: StoreFixture>() {
    let term = with_empty_outbox::<F>([section("X"), section("Y")]);
    let mut x = item(&id("X"));
    x.fields.extend([
        (SectionField::Title, FieldValue::Text("Calculus – I".to_owned())),
        (SectionField::Instructor, FieldValue::Nothing),
        (SectionField::Roster, FieldValue::Lines(vec!["ana enrolled 2027-01-01T00:00:00Z".to_owned()])),
    ]);
    block_on(term.store.put_items(vec![item(&id("Y")), x.clone()])).unwrap();
    assert_eq!(block_on(term.store.items()).unwrap(), [x.clone(), item(&id("Y"))]);
    // The item now belongs to another section.
    let moved = PloneItem { section: id("Y"), ..x };
    block_on(term.store.put_items(vec![moved.clone()])).unwrap();
    assert_eq!(block_on(term.store.items()).unwrap(), [moved]);
    assert_eq!(block_on(term.store.note("pulled")).unwrap(), None);
    for value in ["1", "2"] {
        block_on(term.store.put_note("pulled", value.to_owned())).unwrap();
        assert_eq!(block_on(term.store.note("pulled")).unwrap().as_deref(), Some(value));
    }
}

pub(crate) fn unknown_sections_are_not_marked<F: StoreFixture>() {
    let term = with_empty_outbox::<F>([section("X")]);
    block_on(term.store.mark(vec![id("X"), id("NONE")], minute(5))).unwrap();
    assert_eq!(crns(&due_at(&term.store, LATE)), ["X"]);
    assert_eq!(block_on(term.store.summary()).unwrap().depth, 1);
}

pub(crate) fn marks_survive_reopening<F: StoreFixture>() {
    let mut term = with_empty_outbox::<F>([section("X").seats(9), section("Y")]);
    marked(&mut term, "ana", "X");
    let term = term.reopen();
    assert_eq!(crns(&due_at(&term.store, LATE)), ["X"], "only the marked section");
}

pub(crate) fn enabling_the_outbox_marks_every_section<F: StoreFixture>() {
    let term = with_empty_outbox::<F>([section("X").seats(9), section("Y")]);
    // While the hub runs without Plone, the store marks nothing, and records that.
    let fixture = term.close();
    let store = fixture.open_without_outbox();
    let mut term = StoredTerm::<F>::open(fixture, store);
    term.run_one(register("ana", "X"));
    assert_eq!(block_on(term.store.summary()).unwrap().depth, 0);
    let term = term.reopen();
    // These marks have the time of the system clock.
    let far = Timestamp::MAX.checked_sub(jiff::SignedDuration::from_hours(48)).unwrap();
    let due = block_on(term.store.due(far, Vec::new(), 100, true)).unwrap();
    assert_eq!(crns(&due), ["X", "Y"]);
    assert_eq!(block_on(term.store.term_ids()).unwrap().len(), 1);
}

pub(crate) fn staged_sections_are_not_marked_before_applying<F: StoreFixture>() {
    let mut term = with_empty_outbox::<F>([section("X")]);
    let apply = term.stage(vec![(section("X").seats(7), None), (section("NEW"), None)]);
    assert_eq!(crns(&due_at(&term.store, LATE)), [""; 0]);
    block_on(term.store.mark(vec![id("NEW")], minute(2))).unwrap();
    assert_eq!(crns(&due_at(&term.store, LATE)), [""; 0], "the section does not exist yet");
    assert_eq!(mark_imported(&term, false), 0, "the section still does not exist");
    term.run_one(apply);
    mark_imported(&term, false);
    let due = due_at(&term.store, LATE);
    assert_eq!(crns(&due), ["NEW", "X"]);
    assert_eq!(due.iter().find(|e| e.section.crn == crn("X")).unwrap().state.section.capacity, 7);
}

pub(crate) fn applied_imports_are_marked_in_chunks<F: StoreFixture>() {
    let names: Vec<String> = (0..MARKS_PER_COMMIT_MAX + 50).map(|number| format!("S{number:04}")).collect();
    let many = || names.iter().map(|name| (section(name).seats(7), None)).collect::<Vec<_>>();
    let mut term = with_empty_outbox::<F>([section("OLD").seats(9)]);
    let apply = term.stage(many());
    // A student registers in the same batch.
    term.run(vec![apply, register("ana", "OLD"), register("ana", "S0007")]).unwrap();
    assert_eq!(crns(&due_at(&term.store, LATE)), ["OLD"], "the import marks nothing itself");
    assert!(block_on(term.store.mark_imported(false, minute(1))).unwrap(), "the import left sections to mark");
    let depth = |term: &StoredTerm<F>| usize::try_from(block_on(term.store.summary()).unwrap().depth).unwrap();
    assert_eq!(depth(&term), 1 + MARKS_PER_COMMIT_MAX);
    // The rest survives reopening.
    let mut term = term.reopen();
    assert_eq!(mark_imported(&term, false), 1);
    assert_eq!(depth(&term), 1 + names.len());
    assert_eq!(mark_imported(&term, false), 0);

    // Another import is applied while an earlier one is being marked. Its changes are marked, even in sections that the
    // earlier one had marked already.
    let entries = block_on(term.store.due(minute(LATE), Vec::new(), 1_000, true)).unwrap();
    for entry in entries {
        block_on(term.store.delete_entry(&entry.section, entry.version)).unwrap();
    }
    let apply = term.stage(names.iter().map(|name| (section(name).seats(8), None)).collect());
    term.run_one(apply);
    assert!(block_on(term.store.mark_imported(false, minute(1))).unwrap());
    let first = block_on(term.store.due(minute(LATE), Vec::new(), 1, true)).unwrap().remove(0);
    block_on(term.store.delete_entry(&first.section, first.version)).unwrap();
    let apply = term.stage(vec![(section(first.section.crn.as_str()).seats(9), None)]);
    term.run_one(apply);
    mark_imported(&term, false);
    assert_eq!(depth(&term), names.len());
}

pub(crate) fn without_schedule_writes_only_sections_with_items_are_marked<F: StoreFixture>() {
    let mut term = with_empty_outbox::<F>([section("X"), section("Y")]);
    block_on(term.store.put_items(vec![item(&id("X")), PloneItem { deleted: true, ..item(&id("Y")) }])).unwrap();
    let apply = term.stage(["X", "Y", "NEW"].map(|name| (section(name).seats(7), None)).into());
    term.run_one(apply);
    mark_imported(&term, true);
    assert_eq!(crns(&due_at(&term.store, LATE)), ["X"]);
}

pub(crate) fn creation_fields_are_kept_until_the_item_is_known<F: StoreFixture>() {
    let term = with_empty_outbox::<F>([section("X"), section("Y"), section("Z")]);
    let with = |seats| Fields::from([(SectionField::Capacity, FieldValue::Number(seats))]);
    for (of, seats) in [("X", 3), ("Y", 4), ("X", 5), ("Z", 6)] {
        block_on(term.store.record_creation(&id(of), with(seats))).unwrap();
    }
    let all = block_on(term.store.creations()).unwrap();
    assert_eq!((all.len(), &all[&id("X")], &all[&id("Y")]), (3, &with(3), &with(4)), "the fields of the first attempt");
    block_on(term.store.put_items(vec![item(&id("X"))])).unwrap();
    block_on(term.store.record_refusal(&id("Z"), 1, "no such field".to_owned(), minute(2))).unwrap();
    let remaining: Vec<_> = block_on(term.store.creations()).unwrap().into_keys().collect();
    assert_eq!(remaining, [id("Y")], "X has an item, Z was refused");
}
