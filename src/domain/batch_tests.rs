//! Tests of batches: the rows that are written, the alerts that are stored, and the sections that are marked for Plone.

use super::*;
use crate::domain::audience::Audience;
use crate::domain::command::{SectionEdit, SectionPatch, StagedSection, StatedFields, TermPatch};
use crate::domain::decide::imported;
use crate::domain::ids::{SectionId, TermId};
use crate::domain::outcome::RequestOutcome;
use crate::domain::registration::RegistrationStatus;
use crate::domain::section::{Credits, Section, SectionStatus};

const COLLEGE: &str = "2027";
const SANDBOX: &str = "_sandbox-1";

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn crn(text: &str) -> Crn {
    Crn::parse(text).unwrap()
}

fn user(name: &str) -> UserName {
    UserName::parse(name).unwrap()
}

/// Returns a section with one seat and nine waitlist positions.
fn section(term: &str, number: &str) -> Section {
    Section {
        id: SectionId { term: TermId::parse(term).unwrap(), crn: crn(number) },
        course: format!("COURSE {number}").into(),
        component: "lecture".into(),
        section: None,
        title: None,
        credits: Credits(3_000),
        instructor: None,
        method: None,
        campus: None,
        meetings: Vec::new(),
        capacity: 1,
        waitlist_capacity: 9,
        status: SectionStatus::Open,
        linked: Vec::new(),
        prerequisites: Vec::new(),
        cross_listed: None,
        reserved: Vec::new(),
        restrictions: Vec::new(),
        repeat_limit: None,
        original_crn: None,
        withdrawn: false,
    }
}

/// Returns a term that is open for registration, with sections X, Y and Z.
fn open_term(id: &str) -> TermBook {
    let term = Term { opens_at: Some(now()), ..Term::new(TermId::parse(id).unwrap()) };
    let sections = ["X", "Y", "Z"].map(|number| SectionState::new(Arc::new(section(id, number))));
    TermBook::new(term, Credits(0), sections, 1)
}

/// Returns the college's term after `commands`.
fn after(commands: &[Command]) -> TermBook {
    let mut book = open_term(COLLEGE);
    run(&mut book, commands);
    book
}

/// Decides a batch; alerts get the ids `alert-1`, `alert-2` and so on.
fn run(book: &mut TermBook, commands: &[Command]) -> DecidedBatch {
    let mut ids = (1..).map(|number| format!("alert-{number}"));
    let commands: Vec<_> = commands.iter().map(|command| Requested { command, origin: Origin::default() }).collect();
    decide_batch(book, &commands, now(), Fresh { alert_id: move || ids.next().unwrap(), salt: || [0; 16] })
}

fn changes(book: &mut TermBook, commands: &[Command]) -> BatchChanges {
    run(book, commands).changes
}

fn register(student: &str, section: &str) -> Command {
    Command::Register { student: user(student), crn: crn(section), waitlist: true }
}

fn drop_of(student: &str, section: &str) -> Command {
    Command::Drop { student: user(student), crn: crn(section) }
}

fn patch(section: &str, patch: SectionPatch) -> Command {
    Command::PatchSection { crn: crn(section), patch }
}

fn capacity(section: &str, seats: u32) -> Command {
    patch(section, SectionPatch { capacity: Some(seats), ..SectionPatch::default() })
}

fn closed(section: &str) -> Command {
    patch(section, SectionPatch { status: Some(SectionStatus::Closed), ..SectionPatch::default() })
}

fn cancelled(section: &str) -> Command {
    patch(section, SectionPatch { status: Some(SectionStatus::Cancelled), ..SectionPatch::default() })
}

fn edit(base: Option<Section>, target: Section) -> Command {
    Command::PutSections([SectionEdit { base: base.map(Arc::new), target: Arc::new(target) }].into())
}

/// Returns the command that applies an import of sections with these capacities, staged against `book`.
fn import(book: &TermBook, generation: u64, sections: &[(&str, u32)]) -> Command {
    let stage = |(number, seats): &(&str, u32)| {
        let section = Arc::new(Section { capacity: *seats, ..section(book.term().id.as_str(), number) });
        let staged_as = SectionState::new(section.clone());
        let mut staged =
            StagedSection { section, totals: None, stated: StatedFields::ALL, states_status: false, staged_as };
        staged.staged_as = imported(book.section(&crn(number)), &staged, false);
        staged
    };
    let sections = sections.iter().map(stage).collect();
    Command::ApplyImport(Arc::new(StagedImport {
        generation,
        apply_totals_while_open: false,
        limit: None,
        sections,
        unchanged: 0,
    }))
}

fn crns<'c>(crns: impl IntoIterator<Item = &'c Crn>) -> String {
    let mut names: Vec<&str> = crns.into_iter().map(Crn::as_str).collect();
    names.sort_unstable();
    names.join(" ")
}

/// Returns the definitions, counts and registrations to write.
fn written(changes: &BatchChanges) -> [String; 3] {
    let registrations = changes.registrations.iter();
    let registrations = registrations.map(|((student, crn), r)| format!("{student} {crn} {}", r.status.as_str()));
    [crns(&changes.definitions_to_write), crns(&changes.counts_to_write), registrations.collect::<Vec<_>>().join(", ")]
}

fn status(outcome: Option<&Outcome>) -> Option<RegistrationStatus> {
    match outcome? {
        Outcome::Request(RequestOutcome::Done(registration)) => Some(registration.status),
        _ => None,
    }
}

#[test]
fn each_command_is_decided_after_the_changes_of_earlier_ones() {
    let mut book = open_term(COLLEGE);
    let batch = [register("ana", "X"), register("bob", "X"), drop_of("ana", "X"), register("bob", "X")];
    let decided = run(&mut book, &batch);
    let statuses: Vec<_> = decided.outcomes.iter().map(|o| status(o.as_ref())).collect();
    let expected = [
        RegistrationStatus::Enrolled,
        RegistrationStatus::Waitlisted,
        RegistrationStatus::Dropped,
        RegistrationStatus::Enrolled,
    ];
    assert_eq!(statuses, expected.map(Some));
    assert_eq!(book.section(&crn("X")).unwrap().enrolled, 1, "the changes are applied to the book");
}

#[test]
fn a_batch_writes_only_the_final_value_of_each_row() {
    let cases: [(&str, TermBook, Vec<Command>, [&str; 3]); 10] = [
        ("a seat", after(&[]), vec![register("ana", "X")], ["", "X", "ana X enrolled"]),
        (
            "a seat taken and dropped",
            after(&[]),
            vec![register("ana", "X"), drop_of("ana", "X")],
            ["", "X", "ana X dropped"],
        ),
        (
            "a drop and a registration: the same counts",
            after(&[register("ana", "X")]),
            vec![drop_of("ana", "X"), register("bob", "X")],
            ["", "X", "ana X dropped, bob X enrolled"],
        ),
        (
            "a promotion",
            after(&[register("ana", "X"), register("bob", "X")]),
            vec![drop_of("ana", "X")],
            ["", "X", "ana X dropped, bob X enrolled"],
        ),
        ("a definition", after(&[register("ana", "X")]), vec![capacity("X", 5)], ["X", "", ""]),
        ("the same definition", after(&[]), vec![capacity("X", 1)], ["", "", ""]),
        (
            "outside counts",
            after(&[]),
            vec![patch("Y", SectionPatch { outside_enrolled: Some(1), ..SectionPatch::default() })],
            ["Y", "", ""],
        ),
        (
            "a definition that makes room",
            after(&[register("ana", "X"), register("bob", "X")]),
            vec![capacity("X", 2)],
            ["X", "X", "bob X enrolled"],
        ),
        ("a new section", after(&[]), vec![edit(None, section(COLLEGE, "NEW"))], ["NEW", "", ""]),
        (
            "a new section, and a seat in it",
            after(&[]),
            vec![edit(None, section(COLLEGE, "NEW")), register("ana", "NEW"), register("bob", "Y")],
            ["NEW", "NEW Y", "ana NEW enrolled, bob Y enrolled"],
        ),
    ];
    for (what, mut book, commands, expected) in cases {
        let changes = changes(&mut book, &commands);
        assert_eq!(written(&changes), expected, "{what}");
        for (crn, state) in &changes.sections {
            assert_eq!(Some(state), book.section(crn), "{what}: the final value of {crn}");
        }
        let written = changes.definitions_to_write.iter().chain(&changes.counts_to_write);
        assert!(
            written.into_iter().all(|crn| changes.sections.contains_key(crn)),
            "{what}: the changes contain every section to write"
        );
    }
}

#[test]
fn a_batch_without_effect_changes_at_most_the_attempts() {
    let swap = crate::domain::command::Batch {
        student: user("ana"),
        add: vec![crn("Y"), crn("NONE")],
        drop: vec![crn("X")],
        swap: true,
        waitlist: false,
        choices: BTreeMap::new(),
    };
    let cases = [
        ("no command", vec![], 0),
        ("a repeated registration", vec![register("ana", "X")], 1),
        ("a drop without a registration", vec![drop_of("bob", "X")], 1),
        ("a swap that fails", vec![Command::Batch(swap)], 3),
        ("a patch to the same value", vec![capacity("X", 1)], 0),
        ("waitlists that are already settled", vec![Command::Settle, Command::Settle], 0),
        ("a section that does not exist", vec![capacity("NONE", 9)], 0),
    ];
    for (what, commands, attempts) in cases {
        let mut book = after(&[register("ana", "X")]);
        let decided = run(&mut book, &commands);
        assert!(!decided.changes.changes_term(), "{what}: {:?}", decided.changes);
        assert_eq!(decided.changes.attempts.attempts.len(), attempts, "{what}");
        assert_eq!(decided.changes.is_empty(), attempts == 0, "{what}");
        assert_eq!(decided.outcomes.iter().flatten().count(), commands.len(), "{what}: each command has an outcome");
    }
}

#[test]
fn a_batch_with_any_kind_of_change_is_not_empty() {
    let book = open_term(COLLEGE);
    let cases = [
        ("a term", Command::PutTerm(TermPatch::default())),
        ("a section", capacity("X", 4)),
        ("a registration", register("ana", "X")),
        ("an import that changes no section", import(&book, 2, &[])),
    ];
    for (what, command) in cases {
        assert!(!changes(&mut book.clone(), &[command]).is_empty(), "{what}");
    }
}

#[test]
fn a_decision_that_panics_has_no_outcome_and_changes_nothing() {
    let mut book = open_term(COLLEGE);
    // The section's counts do not include ana, so her drop would make them negative.
    let seat = Registration {
        crn: crn("X"),
        status: RegistrationStatus::Enrolled,
        queue_number: 0,
        at: now(),
        passed_over_for: None,
        reserved_for: None,
        offer: None,
        choices: None,
    };
    book.restore(user("ana"), seat.clone());
    let decided = run(&mut book, &[register("bob", "Y"), drop_of("ana", "X"), register("cyd", "Z")]);
    assert_eq!(status(decided.outcomes[0].as_ref()), Some(RegistrationStatus::Enrolled));
    assert_eq!(decided.outcomes[1], None);
    assert_eq!(status(decided.outcomes[2].as_ref()), Some(RegistrationStatus::Enrolled));
    assert_eq!(written(&decided.changes), ["", "Y Z", "bob Y enrolled, cyd Z enrolled"]);
    assert_eq!(book.registrations(&user("ana")), [seat]);
}

#[test]
fn a_staged_row_is_rewritten_only_if_its_section_changed() {
    // Each case: the commands between staging and applying, the commands before the import in its batch, and the
    // definitions and counts that the batch writes. X and NEW are staged, each with five seats.
    let five_closed = [capacity("X", 5), closed("X")];
    type Case<'c> = (&'c str, &'c [Command], &'c [Command], [&'c str; 2]);
    let cases: [Case<'_>; 7] = [
        ("nothing", &[], &[], ["", ""]),
        ("a registration in X", &[register("ana", "X")], &[], ["", ""]),
        ("a registration in X in the same batch", &[], &[register("ana", "X")], ["", "X"]),
        ("staff close X", &[closed("X")], &[], ["X", ""]),
        ("staff set the capacity that the import sets, and close X", &five_closed, &[], ["X", ""]),
        ("the same in the batch of the import", &[], &five_closed, ["X", ""]),
        ("staff change a section that is not in the file", &[], &[capacity("Z", 7)], ["Z", ""]),
    ];
    for (what, meanwhile, same_batch, [definitions, counts]) in cases {
        let mut book = open_term(COLLEGE);
        let import = import(&book, 2, &[("X", 5), ("NEW", 5)]);
        run(&mut book, meanwhile);
        let changes = changes(&mut book, &[same_batch, &[import]].concat());
        assert_eq!(
            [crns(&changes.definitions_to_write), crns(&changes.counts_to_write)],
            [definitions, counts],
            "{what}"
        );
        assert_eq!(crns(&changes.staged), "NEW X", "{what}");
        assert_eq!(book.section(&crn("X")).unwrap().section.capacity, 5, "{what}");
        let written = changes.definitions_to_write.iter().find(|c| **c == crn("X")).map(|c| &changes.sections[c]);
        assert!(written.is_none_or(|state| Some(state) == book.section(&crn("X"))), "{what}: the current value");
    }
}

#[test]
fn a_section_that_equals_its_staged_row_is_not_published() {
    let mut book = open_term(COLLEGE);
    let import = import(&book, 2, &[("X", 5), ("Y", 5)]);
    run(&mut book, &[capacity("X", 5)]);
    let changes = changes(&mut book, &[import]);
    assert_eq!((crns(changes.sections.keys()), crns(&changes.definitions_to_write)), ("Y".to_owned(), String::new()));
}

#[test]
fn the_generation_of_the_last_import_in_a_batch_becomes_visible() {
    let mut book = open_term(COLLEGE);
    let (second, third) = (import(&book, 2, &[("X", 5)]), import(&book, 3, &[("Y", 6)]));
    let none = changes(&mut book, &[register("ana", "X")]);
    assert_eq!(none.generation, None);
    let both = changes(&mut book, &[second, third, register("bob", "X")]);
    assert_eq!((both.generation, crns(&both.staged)), (Some(3), "X Y".to_owned()));
    assert!(both.term.is_some(), "an import creates its term");
}

#[test]
fn notices_become_alerts_unless_the_student_made_the_request() {
    let waitlists = [register("ana", "X"), register("bob", "X"), register("cyd", "X"), register("dan", "Y")];
    type Case<'c> = (&'c str, Vec<Command>, &'c [(&'c str, &'c str)]);
    let cases: [Case<'_>; 4] = [
        ("requested by the student", vec![register("eve", "Z"), drop_of("dan", "Y")], &[]),
        ("a promotion", vec![drop_of("ana", "X")], &[("You are enrolled in COURSE X", "bob")]),
        (
            "several, in the order of the decisions",
            vec![cancelled("Y"), drop_of("ana", "X")],
            &[("COURSE Y is cancelled", "dan"), ("You are enrolled in COURSE X", "bob")],
        ),
        (
            "with the section as it is after the command",
            vec![edit(
                Some(section(COLLEGE, "X")),
                Section { course: "MATH 9".into(), capacity: 2, ..section(COLLEGE, "X") },
            )],
            &[("You are enrolled in MATH 9", "bob")],
        ),
    ];
    for (what, commands, expected) in cases {
        let changes = changes(&mut after(&waitlists), &commands);
        assert_eq!(changes.alerts.len(), expected.len(), "{what}: {:?}", changes.alerts);
        for (number, (alert, (title, student))) in (1..).zip(changes.alerts.iter().zip(expected)) {
            assert_eq!(alert.content.title, *title, "{what}");
            assert_eq!(alert.content.audience, Audience::for_user(user(student)), "{what}");
            assert_eq!((&alert.id, alert.seq), (&format!("alert-{number}"), None), "{what}");
            assert_eq!((alert.source.as_str(), alert.sender.as_str()), ("registration", "eduhub"), "{what}");
            assert_eq!(alert.created_at, now(), "{what}");
        }
    }
}

#[test]
fn a_sandbox_stores_no_alerts_and_marks_no_sections_for_plone() {
    let commands = |term: &str| {
        let import = import(&open_term(term), 2, &[("Y", 5)]);
        [register("ana", "X"), register("bob", "X"), drop_of("ana", "X"), import]
    };
    let college = changes(&mut open_term(COLLEGE), &commands(COLLEGE));
    let sandbox = changes(&mut open_term(SANDBOX), &commands(SANDBOX));
    assert_eq!(
        (college.alerts.len(), crns(college.sections_for_plone()), college.generation_for_plone()),
        (1, "X".into(), Some(2))
    );
    assert_eq!(
        (sandbox.alerts.len(), crns(sandbox.sections_for_plone()), sandbox.generation_for_plone()),
        (0, "".into(), None)
    );
    assert_eq!(sandbox.notices.len(), college.notices.len(), "students of a sandbox are notified as well");
    assert_eq!(written(&sandbox), written(&college), "a sandbox writes the same rows");
}

#[test]
fn all_changed_sections_but_staged_ones_are_marked_for_plone() {
    let book = after(&[register("ana", "X")]);
    let cases = [
        ("seats", vec![register("bob", "Y"), register("cyd", "Y")], "Y", None),
        ("the same counts, other students", vec![drop_of("ana", "X"), register("bob", "X")], "X", None),
        ("a definition", vec![capacity("Z", 3)], "Z", None),
        ("the term", vec![Command::PutTerm(TermPatch::default())], "", None),
        ("an import, and a seat in Y", vec![import(&book, 2, &[("X", 5)]), register("bob", "Y")], "Y", Some(2)),
        ("a seat in a section of the import", vec![import(&book, 2, &[("X", 5)]), register("bob", "X")], "", Some(2)),
        ("an import without a section", vec![import(&book, 2, &[])], "", None),
    ];
    for (what, commands, marked, generation) in cases {
        let changes = changes(&mut book.clone(), &commands);
        assert_eq!(
            (crns(changes.sections_for_plone()).as_str(), changes.generation_for_plone()),
            (marked, generation),
            "{what}"
        );
    }
}

#[test]
fn a_term_update_contains_all_that_the_batch_changed() {
    let mut book = after(&[register("ana", "X"), register("bob", "X"), register("ana", "Y")]);
    let commands = [register("cyd", "X"), drop_of("ana", "X"), capacity("Z", 4)];
    let update = changes(&mut book, &commands).term_update(&book, 7);
    assert_eq!((update.seq, update.term, update.alerts_stored), (7, None, true));
    let sections: Vec<_> = update
        .sections
        .iter()
        .map(|s| (s.state.section.id.crn.as_str(), s.waitlist.iter().map(|e| e.student.as_str()).collect::<Vec<_>>()))
        .collect();
    assert_eq!(sections, [("X", vec!["cyd"]), ("Z", vec![])]);
    let students: Vec<_> =
        update.students.iter().map(|(student, registrations)| (student.as_str(), registrations.len())).collect();
    assert_eq!(students, [("ana", 2), ("bob", 1), ("cyd", 1)], "each student once, with every registration");
    let notices: Vec<_> = update.notices.iter().map(|n| (n.student.as_str(), n.status)).collect();
    let expected = [
        ("cyd", RegistrationStatus::Waitlisted),
        ("ana", RegistrationStatus::Dropped),
        ("bob", RegistrationStatus::Enrolled),
    ];
    assert_eq!(notices, expected);

    let term_only = changes(&mut book, &[Command::PutTerm(TermPatch::default())]).term_update(&book, 8);
    assert_eq!(
        (term_only.term.as_ref(), term_only.sections.len(), term_only.alerts_stored),
        (Some(book.term()), 0, false)
    );
}
