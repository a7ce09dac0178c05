//! Who gets which seat: restrictions, the repeat limit, deadlines, reserved seats, cross-listed and linked sections.

use eduhub::domain::attempt::{Attempt, Origin};
use eduhub::domain::batch::{Fresh, Requested, decide_batch};
use eduhub::domain::command::{Batch, Command, StaffRequest, TermPatch};
use eduhub::domain::refusal::{ClosedAction, Refusal};
use eduhub::domain::rules::LiftedCodes;
use eduhub::domain::student::StudentFacts;

use crate::college::{
    TestTerm, batch, capacity, completed, crn, drop_section, in_groups, minute, patch, refusal, register,
    register_or_wait, replies_in_words, reservation, section, state, swap, user,
};

fn set_deadlines(change: impl FnOnce(&mut TermPatch)) -> Command {
    let mut patch = TermPatch::default();
    change(&mut patch);
    Command::PutTerm(patch)
}

#[test]
fn a_restriction_admits_students_by_group_program_and_campus() {
    let mut term = TestTerm::of([section("X").seats(9).only_for("group: honors").only_for("not campus: North")]);
    let north = StudentFacts { campus: Some("north".into()), ..in_groups(&["Honors"]) };
    for (student, facts) in [("ana", in_groups(&["honors"])), ("bob", north), ("cyd", in_groups(&[]))] {
        term.run(&state(student, facts));
    }
    let table = [("ana", ""), ("bob", "not campus: North"), ("cyd", "group: honors"), ("dan", "group: honors")];
    for (student, unmet) in table {
        let outcome = term.request(&register(student, "X"));
        if unmet.is_empty() {
            assert_eq!(term.status(student, "X"), "enrolled", "{student}");
            continue;
        }
        let Refusal::Restricted { restrictions } = refusal(outcome) else {
            panic!("{student} is refused for another reason")
        };
        assert_eq!(restrictions.iter().map(ToString::to_string).collect::<Vec<_>>(), [unmet], "{student}");
    }
}

#[test]
fn the_repeat_limit_counts_graded_and_withdrawn_courses() {
    let table = [
        (None, &[("ART 1", "F"), ("ART 1", "W")][..], true),
        (None, &[("ART 1", "F"), ("ART 1", "W"), ("art1", "D")], false),
        (None, &[("ART 1", "F"), ("ART 1", "IP"), ("ART 1", "TR")], true),
        (Some(0), &[("ART 1", "A"), ("ART 1", "A"), ("ART 1", "A")], true),
        (Some(1), &[("ART 1", "D")], false),
        (Some(1), &[("ART 2", "D")], true),
    ];
    for (limit, courses, expected) in table {
        let mut term = TestTerm::of([section("X").course("ART 1").with(|s| s.repeat_limit = limit)]);
        term.book = term.book.with_repeat_limit(3);
        term.run(&state("ana", StudentFacts { completed: completed(courses), ..StudentFacts::default() }));
        let reply = if expected { "enrolled, new" } else { "repeat_limit" };
        assert_eq!(term.reply(&register("ana", "X")), reply, "limit {limit:?}, {courses:?}");
    }
}

#[test]
fn the_deadlines_end_adds_drops_and_waitlists() {
    let closed = |term: &mut TestTerm, command: &Command| match refusal(term.request(command)) {
        Refusal::RegistrationClosed { closes_at, what, .. } => (closes_at, what),
        other => panic!("{other:?}"),
    };
    let mut term = TestTerm::of([section("X"), section("Y")]);
    term.enroll("ana", "X");
    term.run(&set_deadlines(|p| (p.add_until, p.waitlist_until) = (Some(Some(minute(100))), Some(Some(minute(50))))));
    term.now = minute(50);
    let wait = closed(&mut term, &register_or_wait("bob", "X"));
    assert_eq!(wait, (Some(minute(50)), ClosedAction::Wait));
    term.enroll("bob", "Y");
    term.now = minute(99);
    assert_eq!(closed(&mut term, &register("bob", "X")), (Some(minute(100)), ClosedAction::Add), "excluded");
    term.run(&set_deadlines(|p| p.drop_until = Some(Some(minute(200)))));
    term.now = minute(199);
    assert_eq!(closed(&mut term, &drop_section("ana", "X")), (Some(minute(200)), ClosedAction::Drop));
    assert_eq!(term.status("ana", "X"), "enrolled");
    term.run(&set_deadlines(|p| p.drop_until = Some(None)));
    assert_eq!(term.reply(&drop_section("ana", "X")), "dropped, new");
}

#[test]
fn a_waitlist_that_ended_promotes_no_one_until_it_resumes() {
    let mut term = TestTerm::of([section("X")]);
    term.enroll("ana", "X");
    term.join_waitlist("bob", "X");
    term.run(&set_deadlines(|p| p.waitlist_until = Some(Some(minute(5)))));
    term.now = minute(5);
    term.reply(&drop_section("ana", "X"));
    assert_eq!((term.status("bob", "X"), term.numbers("X")), ("waitlisted", [1, 0, 1, 1]), "the seat is open to all");
    term.run(&set_deadlines(|p| p.waitlist_until = Some(None)));
    assert_eq!(term.status("bob", "X"), "enrolled");
}

#[test]
fn reserved_seats_go_to_their_group_until_they_are_released() {
    let mut term = TestTerm::of([section("X").seats(3).reserve("honors", 2, Some(100))]);
    term.run(&state("ana", in_groups(&["Honors"])));
    assert_eq!(term.numbers("X"), [3, 0, 0, 1], "a newcomer can take one");
    term.enroll("bob", "X");
    let Refusal::SectionFull { reserved, waitlist_open, .. } = refusal(term.request(&register("cyd", "X"))) else {
        panic!("the section is full for cyd");
    };
    assert!(reserved && waitlist_open);
    term.join_waitlist("cyd", "X");
    term.enroll("ana", "X");
    assert_eq!(term.registration("ana", "X").unwrap().reserved_for.as_deref(), Some("honors"));
    assert_eq!((term.numbers("X"), term.status("cyd", "X")), ([3, 2, 1, 0], "waitlisted"));
    term.now = minute(100);
    assert_eq!(term.reply(&register("dan", "X")), "section_full", "the waitlist comes before dan");
    assert_eq!(term.status("cyd", "X"), "enrolled", "at the time of the release");
}

#[test]
fn a_dropped_reserved_seat_stays_with_its_group() {
    let mut term = TestTerm::of([section("X").seats(2).reserve("honors", 1, None)]);
    for student in ["ana", "bob"] {
        term.run(&state(student, in_groups(&["honors"])));
    }
    term.enroll("ana", "X");
    term.enroll("cyd", "X");
    term.join_waitlist("dan", "X");
    term.reply(&drop_section("ana", "X"));
    assert_eq!((term.status("dan", "X"), term.numbers("X")), ("waitlisted", [2, 1, 1, 0]));
    assert_eq!(term.registration("dan", "X").unwrap().passed_over_for, None, "there is no seat for dan");
    term.enroll("bob", "X");
    term.run(&capacity("X", 3));
    assert_eq!(term.status("dan", "X"), "enrolled");
}

#[test]
fn cross_listed_sections_share_their_seats() {
    let pooled = |crn: &str| section(crn).seats(2).in_pool("XL1", Some(3));
    let mut term =
        TestTerm::of([pooled("A"), pooled("B").with(|s| s.cross_listed.as_mut().unwrap().group = "xl1".into())]);
    assert_eq!((term.numbers("A")[3], term.numbers("B")[3]), (2, 2));
    term.enroll("ana", "A");
    term.enroll("bob", "A");
    assert_eq!(term.numbers("B"), [2, 0, 0, 1], "two of three seats are taken");
    term.enroll("cyd", "B");
    assert_eq!(term.reply(&register("dan", "B")), "section_full", "the pool is full");
    let pool = term.state("A").pool.clone().unwrap();
    assert_eq!((pool.capacity, pool.free, pool.open, pool.sections.len()), (3, 0, 0, 2));
    // Both waitlists count as one.
    term.join_waitlist("dan", "B");
    term.join_waitlist("eve", "A");
    term.reply(&drop_section("ana", "A"));
    assert_eq!((term.status("dan", "B"), term.status("eve", "A")), ("enrolled", "waitlisted"));
    term.run(&patch("A", |p| p.cross_listed = Some(None)));
    assert_eq!(term.status("eve", "A"), "enrolled", "A has its own seats");
}

#[test]
fn reserved_seats_of_a_pool_are_not_open_in_its_other_sections() {
    let mut term = TestTerm::of([
        section("A").seats(2).in_pool("XL1", Some(2)).reserve("honors", 1, None),
        section("B").seats(2).in_pool("XL1", None),
    ]);
    assert_eq!((term.numbers("A")[3], term.numbers("B")[3]), (1, 1));
    term.enroll("bob", "B");
    assert_eq!((term.numbers("A")[3], term.numbers("B")[3]), (0, 0));
    term.run(&state("ana", in_groups(&["honors"])));
    term.enroll("ana", "A");
}

#[test]
fn a_set_takes_the_seats_of_its_pool_and_of_each_section() {
    let of_pool = |pool_capacity: Option<u32>| {
        let lecture = section("LEC").course("BIOL 1").linked(&["LAB"]);
        let lab = section("LAB").course("BIOL 1").component("lab").seats(2).linked(&["LEC"]);
        TestTerm::of([lecture, lab].map(|one| one.in_pool("XL1", pool_capacity)))
    };
    // The pool has three seats, one of the lecture and two of the lab. The student gets both sections, in either order.
    for (student, crns) in [("ana", ["LEC", "LAB"]), ("bob", ["LAB", "LEC"])] {
        let replies = replies_in_words(&of_pool(None).run(&add(student, &crns, false)));
        assert!(replies.iter().all(|reply| reply.ends_with("enrolled, new")), "{replies:?}");
    }
    // Each section has a seat, but the pool has only one.
    let replies = replies_in_words(&of_pool(Some(1)).run(&add("cyd", &["LEC", "LAB"], false)));
    assert!(replies.iter().all(|reply| !reply.contains("enrolled")), "{replies:?}");
    // A reserved seat that the student takes in one section does not use up the seat of the other section.
    let mut term = TestTerm::of([
        section("LEC").course("BIOL 1").linked(&["LAB"]).in_pool("XL1", Some(2)).reserve("honors", 1, None),
        section("LAB").course("BIOL 1").component("lab").linked(&["LEC"]).in_pool("XL1", Some(2)),
    ]);
    term.run(&state("dan", in_groups(&["honors"])));
    let replies = replies_in_words(&term.run(&add("dan", &["LEC", "LAB"], false)));
    assert!(replies.iter().all(|reply| reply.ends_with("enrolled, new")), "{replies:?}");
}

#[test]
fn a_student_does_not_wait_for_a_free_seat_of_a_pool() {
    // The pool has one seat, and the lab can be taken without the lecture.
    let mut term = TestTerm::of([
        section("LEC").course("BIOL 1").linked(&["LAB"]).in_pool("XL1", Some(1)),
        section("LAB").course("BIOL 1").component("lab").in_pool("XL1", Some(1)),
    ]);
    let replies = replies_in_words(&term.run(&add("ana", &["LEC", "LAB"], true)));
    assert_eq!(replies, ["LEC: waitlisted 1, new", "LAB: enrolled, new"]);
    assert_eq!((term.numbers("LEC")[3], term.numbers("LAB")[3]), (0, 0));
}

/// Returns a lecture with two labs; the first has one seat.
fn lecture_with_labs() -> TestTerm {
    TestTerm::of([
        section("LEC").course("BIOL 1").seats(5).linked(&["L1", "L2", "NONE"]),
        section("L1").course("BIOL 1").component("lab").linked(&["LEC"]),
        section("L2").course("BIOL 1").component("lab").seats(3).linked(&["LEC"]),
        section("FREE").seats(9),
    ])
}

fn add(student: &str, crns: &[&str], waitlist: bool) -> Command {
    Command::Batch(Batch { waitlist, ..batch(student, crns, &[]) })
}

#[test]
fn a_lecture_alone_is_refused_with_the_labs_that_have_seats() {
    let mut term = lecture_with_labs();
    let Refusal::LinkedSectionRequired { choices } = refusal(term.request(&register("ana", "LEC"))) else { panic!() };
    assert_eq!(choices.iter().map(|id| id.crn.as_str()).collect::<Vec<_>>(), ["L1", "L2"]);
    assert_eq!(
        replies_in_words(&term.run(&add("ana", &["LEC", "FREE", "L1"], false))),
        ["LEC: enrolled, new", "FREE: enrolled, new", "L1: enrolled, new"]
    );
    let Refusal::LinkedSectionRequired { choices } = refusal(term.request(&register("bob", "LEC"))) else { panic!() };
    assert_eq!(choices.iter().map(|id| id.crn.as_str()).collect::<Vec<_>>(), ["L2"], "L1 is full");
}

#[test]
fn a_set_is_refused_if_one_section_has_no_seat() {
    let mut term = lecture_with_labs();
    term.run(&add("ana", &["LEC", "L1"], false));
    for crns in [["LEC", "L1"], ["L1", "LEC"]] {
        let replies = replies_in_words(&term.run(&add("bob", &crns, false)));
        assert!(replies.contains(&"L1: section_full".to_owned()), "{replies:?}");
        assert!(replies.contains(&"LEC: linked_section_required".to_owned()), "{replies:?}");
    }
    assert_eq!(
        replies_in_words(&term.run(&add("bob", &["L2", "LEC"], false))),
        ["L2: enrolled, new", "LEC: enrolled, new"]
    );
    assert_eq!(
        replies_in_words(&term.run(&swap("bob", &["L1"], &["L2"]))),
        ["L1: section_full", "L2: undone because of L1"]
    );
}

#[test]
fn a_lab_that_requires_no_lecture_can_be_added_first() {
    let mut term = TestTerm::of([section("LEC").linked(&["LAB"]), section("LAB").component("lab")]);
    term.enroll("ana", "LAB");
    term.enroll("ana", "LEC");
}

#[test]
fn a_lecture_and_its_lab_wait_and_are_promoted_together() {
    let mut term = lecture_with_labs();
    term.run(&add("ana", &["LEC", "L1"], false));
    let replies = replies_in_words(&term.run(&add("bob", &["LEC", "L1"], true)));
    assert_eq!(replies, ["LEC: waitlisted 1, new", "L1: waitlisted 1, new"], "no seat in one of them alone");
    term.reply(&drop_section("ana", "L1"));
    assert_eq!((term.status("bob", "LEC"), term.status("bob", "L1")), ("enrolled", "enrolled"));
}

#[test]
fn corequisites_that_require_each_other_are_added_in_one_request() {
    let mut term = TestTerm::of([
        section("M").course("MATH 1").requires(&["PHYS 1 concurrently"]),
        section("P").course("PHYS 1").requires(&["MATH 1 concurrently"]),
    ]);
    term.run(&state("ana", StudentFacts { completed: completed(&[]), ..StudentFacts::default() }));
    assert_eq!(term.reply(&register("ana", "M")), "prerequisite");
    let replies = replies_in_words(&term.run(&add("ana", &["M", "P"], false)));
    assert_eq!(replies, ["M: enrolled, new", "P: enrolled, new"]);
}

#[test]
fn a_reservation_that_ended_before_it_was_made_holds_no_seat() {
    let mut term = TestTerm::of([section("X").seats(2)]);
    term.run(&patch("X", |p| p.reserved = Some(vec![reservation("honors", 2, Some(0))])));
    assert_eq!(term.numbers("X")[3], 2);
}

/// Decides a command. Returns `CRN ACTION RESULT` of each attempt, and the number in the first receipt.
fn attempts_and_receipt(term: &mut TestTerm, command: &Command) -> (Vec<String>, u64) {
    let requested = [Requested { command, origin: Origin::default() }];
    let fresh = Fresh { alert_id: String::new, salt: || [7; 16] };
    let decided = decide_batch(&mut term.book, &requested, term.now, fresh);
    let words = |one: &Attempt| {
        let action: &str = one.action.into();
        format!("{} {action} {}", one.crn, one.result.as_str())
    };
    (decided.changes.attempts.attempts.iter().map(words).collect(), decided.receipts[0][0].n)
}

#[test]
fn a_request_after_a_release_has_its_own_receipt() {
    let mut term = TestTerm::of([section("X").reserve("honors", 1, Some(100)).seats(1)]);
    term.join_waitlist("cyd", "X");
    term.now = minute(100);
    let expected = ["X promote enrolled", "X register section_full"].map(str::to_owned);
    assert_eq!(attempts_and_receipt(&mut term, &register("dan", "X")), (expected.to_vec(), 2));
}

#[test]
fn a_position_passed_over_in_the_same_batch_has_its_own_receipt() {
    let lab = section("LAB").component("lab").seats(0);
    let mut term = TestTerm::of([section("LEC").linked(&["LAB"]), lab, section("ART")]);
    // The seat in ART queues the waitlist of LEC to be settled.
    let expected = [
        "LEC register waitlisted",
        "LAB register waitlisted",
        "ART register enrolled",
        "LEC promote linked_section_required",
    ];
    let attempts = attempts_and_receipt(&mut term, &add("ana", &["LEC", "LAB", "ART"], true));
    assert_eq!(attempts, (expected.map(str::to_owned).to_vec(), 1));
}

#[test]
fn an_undone_move_or_swap_after_a_release_has_no_promotion() {
    let swapped = swap("ana", &["X"], &["Y"]);
    let moved = Command::ForStudent(StaffRequest {
        student: user("ana"),
        drop: Some(crn("Y")),
        add: Some(crn("X")),
        waitlist: false,
        lifted: LiftedCodes::NONE,
    });
    for command in [swapped, moved] {
        let mut term = TestTerm::of([section("X").reserve("honors", 1, Some(100)).seats(1), section("Y")]);
        term.join_waitlist("cyd", "X");
        term.enroll("ana", "Y");
        term.now = minute(100);
        let (mut attempts, _) = attempts_and_receipt(&mut term, &command);
        attempts.sort_unstable();
        assert_eq!(attempts, ["X register section_full", "Y drop swap_refused"]);
        assert_eq!(term.status("cyd", "X"), "waitlisted", "until the next decision");
        term.run(&Command::Settle);
        assert_eq!(term.status("cyd", "X"), "enrolled");
    }
}

#[test]
fn each_section_of_a_set_is_an_attempt_with_its_own_number() {
    let mut term = lecture_with_labs();
    let decision = term.decide(&add("ana", &["LEC", "L1"], false));
    let words: Vec<String> =
        decision.attempts.iter().map(|one| format!("{} {}", one.crn, one.result.as_str())).collect();
    assert_eq!(words, ["LEC enrolled", "L1 enrolled"]);
}
