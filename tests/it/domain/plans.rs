//! Plans: registration with alternates and waitlists in one decision, and the check before registration opens.

use eduhub::domain::command::{Command, TermPatch};
use eduhub::domain::decide::check_plan;
use eduhub::domain::plan::{CheckOutcome, PlanCheck, PlanProblem, PlannedSection};
use eduhub::domain::refusal::Refusal;
use eduhub::domain::section::Credits;
use eduhub::domain::student::{HeldAction, StudentFacts};

use crate::college::{
    SectionBuilder, TestTerm, completed, contents, hold, id, minute, register, replies_in_words, section, state, user,
};

/// Reads an entry such as `A`, `A or B or C`, or `A or B or wait`.
fn entry(text: &str) -> PlannedSection {
    let mut names = text.split(" or ");
    let mut planned = PlannedSection::new(id(names.next().unwrap()));
    for name in names {
        match name {
            "wait" => planned.waitlist = true,
            name => planned.alternates.push(id(name)),
        }
    }
    planned
}

fn plan(entries: &[&str]) -> Vec<PlannedSection> {
    entries.iter().map(|text| entry(text)).collect()
}

fn register_plan(student: &str, entries: &[&str]) -> Command {
    Command::RegisterPlan { student: user(student), plan: plan(entries) }
}

/// Returns sections of one course: those in `open` have one seat, those in `full` have none.
fn course(full: &[&str], open: &[&str]) -> Vec<SectionBuilder> {
    let of =
        |names: &[&str], seats: u32| names.iter().map(|n| section(n).course("ART 1").seats(seats)).collect::<Vec<_>>();
    of(full, 0).into_iter().chain(of(open, 1)).collect()
}

#[test]
fn the_first_alternate_that_can_be_taken_is_taken() {
    let table: [(&[&str], &[&str]); 8] = [
        (&["F1"], &["F1: section_full"]),
        (&["F1 or O1"], &["O1: enrolled, new"]),
        (&["F1 or F2 or O2 or O1"], &["O2: enrolled, new"]),
        // A seat in an alternate comes before a waitlist position, and the position is in the section itself.
        (&["F1 or O1 or wait"], &["O1: enrolled, new"]),
        (&["F1 or F2 or wait"], &["F1: waitlisted 1, new"]),
        (&["F1 or wait"], &["F1: waitlisted 1, new"]),
        (&["F1 or NONE"], &["F1: section_full"]),
        // An alternate that is planned itself is not taken twice.
        (&["F1 or O1", "O1"], &["F1: section_full", "O1: enrolled, new"]),
    ];
    for (entries, expected) in table {
        let mut term = TestTerm::of(course(&["F1", "F2"], &["O1", "O2"]));
        let replies = replies_in_words(&term.run(&register_plan("ana", entries)));
        assert_eq!(replies, expected, "{entries:?}");
    }
}

#[test]
fn two_entries_do_not_take_one_alternate() {
    let electives = ["A", "B"].map(|name| section(name).seats(0));
    let mut term = TestTerm::of(electives.into_iter().chain([section("C").seats(9), section("D").seats(9)]));
    let replies = replies_in_words(&term.run(&register_plan("ana", &["A or C or D", "B or C or D"])));
    assert_eq!(replies, ["C: enrolled, new", "D: enrolled, new"]);
}

/// Returns two lectures of a course, each with its labs; those in `full` have no seat.
fn lectures_and_labs(full: &[&str]) -> Vec<SectionBuilder> {
    let one = |name: &str, component: &str, linked: &[&str]| {
        section(name).course("BIO 1").component(component).linked(linked).seats(u32::from(!full.contains(&name)))
    };
    vec![
        one("LA", "lecture", &["A1", "A2"]),
        one("A1", "lab", &["LA"]),
        one("A2", "lab", &["LA"]),
        one("LB", "lecture", &["B1"]),
        one("B1", "lab", &["LB"]),
    ]
}

#[test]
fn alternates_complete_a_lecture_with_its_lab() {
    let table: [(&[&str], &[&str], [&str; 2]); 5] = [
        (&["A1"], &["LA", "A1 or A2"], ["LA: enrolled, new", "A2: enrolled, new"]),
        (&["LA"], &["LA or LB", "A1 or A2 or B1"], ["LB: enrolled, new", "B1: enrolled, new"]),
        (&["A1", "A2"], &["LA or LB", "A1 or A2 or B1"], ["LB: enrolled, new", "B1: enrolled, new"]),
        (&["A1", "A2"], &["LA or wait", "A1 or A2 or wait"], ["LA: waitlisted 1, new", "A1: waitlisted 1, new"]),
        (&["A1"], &["LA", "A1"], ["LA: linked_section_required", "A1: section_full"]),
    ];
    for (full, entries, expected) in table {
        let mut term = TestTerm::of(lectures_and_labs(full));
        let replies = replies_in_words(&term.run(&register_plan("ana", entries)));
        assert_eq!(replies, expected, "{full:?} are full, {entries:?}");
    }
}

#[test]
fn every_requested_section_of_a_plan_is_an_attempt() {
    let mut term = TestTerm::of(course(&["F1", "F2"], &["O1"]));
    let decision = term.decide(&register_plan("ana", &["F1 or F2 or O1"]));
    let attempts: Vec<String> = decision.attempts.iter().map(|one| format!("{} {:?}", one.crn, one.result)).collect();
    let expected = ["F1 Refused(SectionFull)", "F2 Refused(SectionFull)", "O1 Granted(Enrolled)"];
    assert_eq!(attempts, expected);
}

#[test]
fn plans_of_linked_sections_are_decided_after_few_attempts() {
    let names: Vec<String> = (0..50).map(|n| format!("L{n}")).collect();
    let sections = names.iter().map(|name| section(name).linked(&["LAB"]));
    let extra: Vec<String> = (0..250).map(|n| format!("X{n}")).collect();
    let lab = section("LAB").seats(0);
    let others = extra.iter().map(|name| section(name).linked(&["LAB"]));
    let mut term = TestTerm::of(sections.chain(others).chain([lab]));
    let entries: Vec<String> = names
        .iter()
        .enumerate()
        .map(|(n, name)| format!("{name} or {}", extra[n * 5..n * 5 + 5].join(" or ")))
        .collect();
    let entries: Vec<&str> = entries.iter().map(String::as_str).collect();
    let decision = term.decide(&register_plan("ana", &entries));
    assert!(decision.attempts.len() <= 300, "{} attempts", decision.attempts.len());
    assert_eq!(replies_in_words(&decision.outcome)[49], "L49: linked_section_required");
}

fn check(term: &TestTerm, entries: &[&str]) -> PlanCheck {
    check_plan(&term.book, &user("ana"), &plan(entries), term.now)
}

/// Returns the result for each section: its status, or the codes of all its refusals.
fn results(check: &PlanCheck) -> Vec<String> {
    let in_words = |outcome: &CheckOutcome| match outcome {
        CheckOutcome::Taken { alternate, status, position } => {
            let position = position.map(|position| format!(" {position}")).unwrap_or_default();
            let alternate = alternate.as_ref().map(|id| format!(" in {}", id.crn)).unwrap_or_default();
            format!("{}{position}{alternate}", status.as_str())
        }
        CheckOutcome::Refused { refusal, also } => {
            let codes: Vec<&str> = std::iter::once(refusal).chain(also).map(|one| one.code().as_str()).collect();
            codes.join(", ")
        }
        CheckOutcome::NotFound => "not found".to_owned(),
    };
    check.results.iter().map(|one| format!("{}: {}", one.section.crn, in_words(&one.outcome))).collect()
}

fn problems(check: &PlanCheck) -> Vec<String> {
    let in_words = |problem: &PlanProblem| match problem {
        PlanProblem::Closed(refusal) => refusal.code().as_str().to_owned(),
        PlanProblem::Between { sections, refusal } => {
            let crns: Vec<&str> = sections.iter().map(|id| id.crn.as_str()).collect();
            format!("{} {}", refusal.code().as_str(), crns.join(" "))
        }
        PlanProblem::CreditMin { credits, least } => format!("credit_min {} of {}", credits.0, least.0),
    };
    check.problems.iter().map(in_words).collect()
}

/// Returns a command that sets when the term opens, and makes further changes to the term.
fn window(opens: Option<i64>, change: impl FnOnce(&mut TermPatch)) -> Command {
    let mut patch = TermPatch { opens_at: Some(opens.map(minute)), ..TermPatch::default() };
    change(&mut patch);
    Command::PutTerm(patch)
}

#[test]
fn a_plan_is_checked_as_if_registration_were_open() {
    let table = [
        ("open", window(Some(0), |_| ()), &[][..]),
        ("opens later", window(Some(500), |_| ()), &[]),
        ("not announced", window(None, |_| ()), &[]),
        ("ended", window(Some(-9), |patch| patch.closes_at = Some(Some(minute(-1)))), &["registration_closed"]),
        (
            "the deadline to add is before the opening",
            window(Some(500), |patch| patch.add_until = Some(Some(minute(400)))),
            &["registration_closed"],
        ),
    ];
    for (why, command, expected) in table {
        let mut term = TestTerm::of([section("X")]);
        term.run(&command);
        let before = contents(&term.book);
        let check = check(&term, &["X"]);
        assert_eq!(
            (results(&check), problems(&check)),
            (vec!["X: enrolled".to_owned()], expected.iter().map(|code| (*code).to_owned()).collect()),
            "{why}"
        );
        assert!(contents(&term.book) == before, "{why}: a check changes nothing");
    }
}

#[test]
fn all_reasons_against_a_section_are_listed() {
    let mut term = TestTerm::of([section("X").requires(&["MATH 1"]).only_for("group: honors").seats(0), section("Y")]);
    let holds = vec![hold("1", &[HeldAction::Register])];
    term.run(&state("ana", StudentFacts { holds, completed: completed(&[]), ..StudentFacts::default() }));
    let check = check(&term, &["X", "Y", "GONE"]);
    assert_eq!(results(&check), ["X: hold, prerequisite, restricted, section_full", "Y: hold", "GONE: not found"]);
    assert_eq!(problems(&check), [""; 0]);
}

#[test]
fn a_check_reports_what_would_happen_with_full_sections() {
    let mut term = TestTerm::of(course(&["F1", "F2"], &["O1"]));
    term.run(&Command::Register { student: user("bob"), crn: crate::college::crn("F1"), waitlist: true });
    let table = [
        ("F1", "F1: section_full"),
        ("F1 or wait", "F1: waitlisted 2"),
        ("F1 or F2 or O1", "F1: enrolled in O1"),
        ("O1", "O1: enrolled"),
    ];
    for (entry, expected) in table {
        let check = check(&term, &[entry]);
        assert_eq!((results(&check), problems(&check)), (vec![expected.to_owned()], Vec::new()), "{entry}");
    }
}

#[test]
fn planned_sections_that_exclude_or_require_each_other_are_named() {
    let mut term = TestTerm::with_credit_limit(
        Credits(9_000),
        [
            section("HELD").monday(15, 16),
            section("A").monday(9, 11).course("ART 1"),
            section("B").monday(10, 12).seats(0),
            section("C").course("ART 1"),
            section("LEC").linked(&["LAB"]).course("BIO 1"),
            section("LAB").linked(&["LEC"]).course("BIO 1").component("lab").credits(0),
            section("D").monday(15, 17).credits(6_000),
        ],
    );
    assert_eq!(term.reply(&register("ana", "HELD")), "enrolled, new");
    let table: [(&[&str], &[&str]); 8] = [
        (&["A"], &[]),
        (&["A", "B"], &["time_conflict A B"]),
        (&["A", "C"], &["already_in_course A C"]),
        (&["LEC"], &["linked_section_required LEC"]),
        (&["LEC", "LAB"], &[]),
        (&["A", "B", "C", "LEC", "LAB"], &["already_in_course A C", "time_conflict A B", "credit_limit A B C LEC"]),
        // The other section is registered and not planned, so the conflict is a result of this section, not a problem
        // of the plan.
        (&["D"], &[]),
        // A section that is registered already.
        (&["HELD", "A"], &[]),
    ];
    for (entries, expected) in table {
        assert_eq!(problems(&check(&term, entries)), expected, "{entries:?}");
    }
    assert_eq!(results(&check(&term, &["D"])), ["D: time_conflict"]);
    let check = check(&term, &["A", "B", "C", "LEC", "LAB"]);
    let PlanProblem::Between { refusal, .. } = &check.problems[2] else { panic!("{check:?}") };
    let (credits, total, limit) = (Credits(12_000), Credits(15_000), Credits(9_000));
    assert_eq!(*refusal, Refusal::CreditLimit { credits, total, limit });
}

#[test]
fn a_plan_with_fewer_credits_than_required_is_reported() {
    for (least, entries, expected) in [
        (9_000, &["X"][..], &["credit_min 6000 of 9000"][..]),
        (6_000, &["X"], &[]),
        (9_000, &["X", "Y"], &[]),
        (3_001, &["HELD"], &["credit_min 3000 of 3001"]),
    ] {
        let mut term = TestTerm::of([section("HELD"), section("X"), section("Y")]);
        term.enroll("ana", "HELD");
        term.run(&state("ana", StudentFacts { credit_min: Some(Credits(least)), ..StudentFacts::default() }));
        assert_eq!(problems(&check(&term, entries)), expected, "{least}, {entries:?}");
    }
}
