//! Short helpers for tests of the domain: sections, commands, and a term in memory that applies its decisions.

#![allow(unreachable_pub)]

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use eduhub::domain::book::TermBook;
use eduhub::domain::command::{
    Batch, Command, SectionPatch, StagedImport, StagedSection, StatedFields, TermPatch, WaitlistMove,
};
use eduhub::domain::decide::{Decision, decide, imported};
use eduhub::domain::draft::Changes;
use eduhub::domain::ids::{Crn, SectionId, TermId, UserName};
use eduhub::domain::meeting::{Days, Meeting};
use eduhub::domain::notice::{Notice, Reason};
use eduhub::domain::outcome::{ChoiceProblem, CurrentRegistration, Outcome, RequestOutcome};
use eduhub::domain::pool::CrossListing;
use eduhub::domain::refusal::Refusal;
use eduhub::domain::registration::{Registration, RegistrationStatus};
use eduhub::domain::reservation::Reservation;
use eduhub::domain::restriction::Restriction;
use eduhub::domain::section::{Credits, Section, SectionState, SectionStatus};
use eduhub::domain::student::{CompletedCourse, HeldAction, Hold, StudentFacts};
use eduhub::domain::term::Term;
use eduhub::domain::view::TermView;
use jiff::Timestamp;
use jiff::civil::time;

/// Returns the time this many minutes after the term opens; before it when negative.
pub fn minute(minutes: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + minutes * 60).unwrap()
}

/// The minute at which [`term`] closes.
pub const CLOSES: i64 = 1_000;

pub fn term_id() -> TermId {
    TermId::parse("2027").unwrap()
}

/// Returns a term that is open from minute 0 to minute [`CLOSES`].
pub fn term() -> Term {
    Term { opens_at: Some(minute(0)), closes_at: Some(minute(CLOSES)), ..Term::new(term_id()) }
}

pub fn user(name: &str) -> UserName {
    UserName::parse(name).unwrap()
}

pub fn crn(text: &str) -> Crn {
    Crn::parse(text).unwrap()
}

pub fn id(text: &str) -> SectionId {
    SectionId { term: term_id(), crn: crn(text) }
}

/// Builder of a section.
pub struct SectionBuilder(pub SectionState);

/// Returns a lecture of a separate course, with 3 credits, one seat, a waitlist of two and no meeting.
pub fn section(number: &str) -> SectionBuilder {
    let section = Section {
        id: id(number),
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
        waitlist_capacity: 2,
        status: SectionStatus::Open,
        linked: Vec::new(),
        prerequisites: Vec::new(),
        cross_listed: None,
        reserved: Vec::new(),
        restrictions: Vec::new(),
        repeat_limit: None,
        original_crn: None,
        withdrawn: false,
    };
    SectionBuilder(SectionState::new(Arc::new(section)))
}

impl SectionBuilder {
    pub fn with(mut self, change: impl FnOnce(&mut Section)) -> Self {
        change(Arc::make_mut(&mut self.0.section));
        self
    }
    pub fn seats(self, capacity: u32) -> Self {
        self.with(|s| s.capacity = capacity)
    }
    pub fn waitlist(self, capacity: u32) -> Self {
        self.with(|s| s.waitlist_capacity = capacity)
    }
    pub fn course(self, course: &str) -> Self {
        self.with(|s| s.course = course.into())
    }
    pub fn requires(self, texts: &[&str]) -> Self {
        self.with(|s| s.prerequisites = texts.iter().map(Into::into).collect())
    }
    pub fn linked(self, sections: &[&str]) -> Self {
        self.with(|s| s.linked = sections.iter().map(|one| id(one)).collect())
    }
    pub fn in_pool(self, group: &str, capacity: Option<u32>) -> Self {
        self.with(|s| s.cross_listed = Some(CrossListing { group: group.into(), capacity }))
    }
    pub fn reserve(self, group: &str, seats: u32, until: Option<i64>) -> Self {
        self.with(|s| s.reserved.push(reservation(group, seats, until)))
    }
    pub fn only_for(self, text: &str) -> Self {
        self.with(|s| s.restrictions.push(Restriction::parse(text).unwrap()))
    }
    pub fn component(self, component: &str) -> Self {
        self.with(|s| s.component = component.into())
    }
    pub fn credits(self, thousandths: u32) -> Self {
        self.with(|s| s.credits = Credits(thousandths))
    }
    pub fn status(self, status: SectionStatus) -> Self {
        self.with(|s| s.status = status)
    }
    /// Sets the only meeting: on Mondays, from `from` to `to` o'clock.
    pub fn monday(self, from: i8, to: i8) -> Self {
        self.with(|s| s.meetings = vec![monday(from, to)])
    }
    /// Sets the numbers of students enrolled and waitlisted outside the hub.
    pub fn outside(mut self, enrolled: u32, waitlisted: u32) -> Self {
        self.0.outside_enrolled = enrolled;
        self.0.outside_waitlisted = waitlisted;
        self
    }
}

/// Returns seats that are reserved for a group, until a minute.
pub fn reservation(group: &str, seats: u32, until: Option<i64>) -> Reservation {
    Reservation { group: group.into(), seats, until: until.map(minute) }
}

/// Returns the facts about a student in these groups.
pub fn in_groups(groups: &[&str]) -> StudentFacts {
    StudentFacts { groups: groups.iter().map(|group| (*group).into()).collect(), ..StudentFacts::default() }
}

pub fn monday(from: i8, to: i8) -> Meeting {
    Meeting {
        days: Days::from_bits(1),
        start: Some(time(from, 0, 0, 0)),
        end: Some(time(to, 0, 0, 0)),
        ..Meeting::default()
    }
}

/// A function that sets one field of a section to a value that depends on the number.
pub type FieldChange = fn(&mut Section, u8);

/// Returns a change to each field that a schedule file or the catalogue defines, with the name of the field.
pub fn changes_of_each_field() -> Vec<(&'static str, FieldChange)> {
    // The pattern names every field, so that the test does not compile with a new field, which needs a row below, too.
    let Section {
        id: _,
        original_crn: _,
        course: _,
        component: _,
        section: _,
        title: _,
        credits: _,
        instructor: _,
        method: _,
        campus: _,
        meetings: _,
        capacity: _,
        waitlist_capacity: _,
        status: _,
        linked: _,
        cross_listed: _,
        reserved: _,
        restrictions: _,
        repeat_limit: _,
        prerequisites: _,
        withdrawn: _,
    } = &*section("X").0.section;
    vec![
        ("crn", |s, n| s.original_crn = Some(format!("X*{n}").into())),
        ("course", |s, n| s.course = format!("MATH {n}").into()),
        ("component", |s, n| s.component = format!("lab {n}").into()),
        ("section", |s, n| s.section = Some(format!("A{n}").into())),
        ("title", |s, n| s.title = Some(format!("Knots {n}").into())),
        ("credits", |s, n| s.credits = Credits(u32::from(n) * 500)),
        ("instructor", |s, n| s.instructor = Some(format!("Ann {n}").into())),
        ("method", |s, n| s.method = Some(format!("Online {n}").into())),
        ("campus", |s, n| s.campus = Some(format!("North {n}").into())),
        ("meetings", |s, n| s.meetings = vec![monday(9 + n as i8, 20)]),
        ("capacity", |s, n| s.capacity = 40 + u32::from(n)),
        ("waitlist_capacity", |s, n| s.waitlist_capacity = 40 + u32::from(n)),
        ("linked", |s, n| s.linked = vec![id(&format!("L{n}"))]),
        ("cross_listed", |s, n| s.cross_listed = Some(CrossListing { group: format!("XL{n}").into(), capacity: None })),
        ("reserved", |s, n| s.reserved = vec![reservation("honors", n.into(), None)]),
        ("restrictions", |s, n| s.restrictions = Restriction::parse(&format!("group: g{n}")).into_iter().collect()),
        ("repeat_limit", |s, n| s.repeat_limit = Some(n.into())),
        ("prerequisites", |s, n| s.prerequisites = vec![format!("MATH {n}").into()]),
    ]
}

/// Returns a registration that does not join the waitlist.
pub fn register(student: &str, section: &str) -> Command {
    Command::Register { student: user(student), crn: crn(section), waitlist: false }
}

/// Returns a registration that joins the waitlist when the section is full.
pub fn register_or_wait(student: &str, section: &str) -> Command {
    Command::Register { student: user(student), crn: crn(section), waitlist: true }
}

pub fn drop_section(student: &str, section: &str) -> Command {
    Command::Drop { student: user(student), crn: crn(section) }
}

pub fn batch(student: &str, add: &[&str], drop: &[&str]) -> Batch {
    let crns = |of: &[&str]| of.iter().map(|c| crn(c)).collect();
    Batch {
        student: user(student),
        add: crns(add),
        drop: crns(drop),
        swap: false,
        waitlist: false,
        choices: BTreeMap::new(),
    }
}

pub fn swap(student: &str, add: &[&str], drop: &[&str]) -> Command {
    Command::Batch(Batch { swap: true, ..batch(student, add, drop) })
}

pub fn patch(section: &str, change: impl FnOnce(&mut SectionPatch)) -> Command {
    let mut patch = SectionPatch::default();
    change(&mut patch);
    Command::PatchSection { crn: crn(section), patch }
}

pub fn capacity(section: &str, seats: u32) -> Command {
    patch(section, |p| p.capacity = Some(seats))
}

pub fn status(section: &str, status: SectionStatus) -> Command {
    patch(section, |p| p.status = Some(status))
}

/// Returns a command that states facts about a student.
pub fn state(student: &str, facts: StudentFacts) -> Command {
    Command::PutFacts([(user(student), Some(Arc::new(facts)))].into())
}

/// Returns a hold that blocks these actions.
pub fn hold(id: &str, blocks: &[HeldAction]) -> Hold {
    let (text, office) = ("A book is missing".into(), "Library".into());
    Hold { id: id.into(), text, office, url: None, blocks: blocks.to_vec() }
}

/// Returns completed courses, each with its grade; an empty grade is not known.
pub fn completed(courses: &[(&str, &str)]) -> Option<Vec<CompletedCourse>> {
    let of = |(course, grade): &(&str, &str)| CompletedCourse {
        course: (*course).into(),
        grade: (!grade.is_empty()).then(|| (*grade).into()),
        term: None,
    };
    Some(courses.iter().map(of).collect())
}

/// A term in memory that applies its own decisions.
#[derive(Clone)]
pub struct TestTerm {
    pub book: TermBook,
    pub now: Timestamp,
}

impl TestTerm {
    /// Returns an open term with these sections at minute 1, without a credit limit.
    pub fn of(sections: impl IntoIterator<Item = SectionBuilder>) -> Self {
        Self::with_credit_limit(Credits(0), sections)
    }

    /// Returns an open term with these sections at minute 1.
    pub fn with_credit_limit(limit: Credits, sections: impl IntoIterator<Item = SectionBuilder>) -> Self {
        Self { book: TermBook::new(term(), limit, sections.into_iter().map(|m| m.0), 1), now: minute(1) }
    }

    /// Decides and applies a command, as a registrar does, and checks that the decision has no duplicate change.
    pub fn decide(&mut self, command: &Command) -> Decision {
        let decision = decide(&self.book, command, self.now);
        assert_no_duplicates(&decision.changes);
        self.book.apply(&decision.changes);
        decision
    }

    /// Decides and applies a command and returns its outcome.
    pub fn run(&mut self, command: &Command) -> Outcome {
        self.decide(command).outcome
    }

    /// Decides and applies one student's command, a minute later than the previous command.
    pub fn request(&mut self, command: &Command) -> RequestOutcome {
        self.now = self.now.checked_add(jiff::SignedDuration::from_mins(1)).unwrap();
        match self.run(command) {
            Outcome::Request(outcome) => outcome,
            other => panic!("{other:?} is not the outcome of a request"),
        }
    }

    /// Registers a student, who must get a seat.
    pub fn enroll(&mut self, student: &str, section: &str) {
        let reply = self.reply(&register(student, section));
        assert_eq!(reply, "enrolled, new", "{student} in {section}");
    }

    /// Registers a student, who must be waitlisted.
    pub fn join_waitlist(&mut self, student: &str, section: &str) {
        let reply = self.reply(&register_or_wait(student, section));
        assert!(reply.starts_with("waitlisted"), "{student} in {section}: {reply}");
    }

    /// Decides and applies one student's command and returns the reply in words.
    pub fn reply(&mut self, command: &Command) -> String {
        reply_in_words(&self.request(command))
    }

    /// Returns a student's status in a section: `enrolled`, `offered`, `waitlisted`, `dropped` or `-`.
    pub fn status(&self, student: &str, section: &str) -> &'static str {
        self.registration(student, section).map_or("-", |r| r.status.as_str())
    }

    pub fn registration(&self, student: &str, section: &str) -> Option<&Registration> {
        self.book.registrations(&user(student)).iter().find(|r| r.crn == crn(section))
    }

    pub fn state(&self, section: &str) -> &SectionState {
        self.book.section(&crn(section)).unwrap()
    }

    /// Returns capacity, taken seats, waitlisted and open seats, as `GET /api/v1/seats` does.
    pub fn numbers(&self, section: &str) -> [u32; 4] {
        let state = self.state(section);
        [state.section.capacity, state.taken_total(), state.waitlisted_total(), state.open_seats()]
    }

    /// Returns the students on a waitlist, in order.
    pub fn waitlist(&self, section: &str) -> Vec<String> {
        self.book.waitlist(&crn(section)).map(|entry| entry.student.to_string()).collect()
    }

    /// Returns a staged import of these sections, each with the totals of its row. If `forced` is true, the totals
    /// apply even while the term is open.
    pub fn staged(&self, forced: bool, sections: Vec<(SectionBuilder, Option<(u32, u32)>)>) -> StagedImport {
        staged(&self.book, self.now, 1, forced, sections)
    }

    /// Stages and applies an import of these sections, each with the totals of its row.
    pub fn import(&mut self, forced: bool, sections: Vec<(SectionBuilder, Option<(u32, u32)>)>) -> Decision {
        let staged = self.staged(forced, sections);
        self.decide(&Command::ApplyImport(Arc::new(staged)))
    }
}

/// Returns an import as its task stages it: compared with the current term.
pub fn staged(
    book: &TermBook,
    now: Timestamp,
    generation: u64,
    forced: bool,
    sections: Vec<(SectionBuilder, Option<(u32, u32)>)>,
) -> StagedImport {
    let totals_count = forced || !book.term().is_open_for_anyone(now);
    let sections = sections
        .into_iter()
        .map(|(builder, totals)| {
            let section = builder.0.section.clone();
            let mut staged = StagedSection {
                section,
                totals,
                stated: StatedFields::ALL,
                states_status: false,
                staged_as: builder.0,
            };
            staged.staged_as = imported(book.section(&staged.section.id.crn), &staged, totals_count);
            staged
        })
        .collect();
    StagedImport { generation, apply_totals_while_open: forced, limit: None, sections, unchanged: 0 }
}

/// Returns a command that declares which groups come first on waitlists.
pub fn priority(groups: &[&str]) -> Command {
    let groups = groups.iter().map(|group| (*group).into()).collect();
    Command::PutTerm(TermPatch { waitlist_priority: Some(groups), ..TermPatch::default() })
}

/// Returns a command by which staff move a student on a waitlist.
pub fn move_on_waitlist(student: &str, section: &str, position: u32) -> Command {
    Command::MoveOnWaitlist(WaitlistMove { student: user(student), crn: crn(section), position })
}

/// Returns a command that moves the window to these minutes.
pub fn window(opens: Option<i64>, closes: Option<i64>) -> Command {
    Command::PutTerm(TermPatch {
        opens_at: Some(opens.map(minute)),
        closes_at: Some(closes.map(minute)),
        ..TermPatch::default()
    })
}

/// Returns the reply to a request in words, such as `enrolled, new`, `waitlisted 2, as before`, `not found`, or a
/// refusal's code.
pub fn reply_in_words(outcome: &RequestOutcome) -> String {
    match outcome {
        RequestOutcome::Done(CurrentRegistration { status, position, is_new, .. }) => {
            let position = position.map(|p| format!(" {p}")).unwrap_or_default();
            format!("{}{position}, {}", status.as_str(), if *is_new { "new" } else { "as before" })
        }
        RequestOutcome::Refused(refusal) => refusal.code().as_str().to_owned(),
        RequestOutcome::InChoices { crn, problem: ChoiceProblem::Refused(refusal) } => {
            format!("in {crn} {}", refusal.code().as_str())
        }
        RequestOutcome::InChoices { crn, problem: ChoiceProblem::NotFound(field) } => {
            format!("in {crn} {} not found", field.as_str())
        }
        RequestOutcome::NotFound => "not found".to_owned(),
        RequestOutcome::SwapUndone { because_of } => format!("undone because of {because_of}"),
    }
}

/// Returns the reply to a batch in words, with one `CRN: reply` for each part.
pub fn replies_in_words(outcome: &Outcome) -> Vec<String> {
    match outcome {
        Outcome::Batch(results) => {
            results.iter().map(|(crn, outcome)| format!("{crn}: {}", reply_in_words(outcome))).collect()
        }
        other => panic!("{other:?} is not the outcome of a batch"),
    }
}

/// Returns each notice as `STUDENT CRN STATUS REASON`, followed by the code of a refusal or by `reminder`, if any.
pub fn notices_in_words(notices: &[Notice]) -> Vec<String> {
    let in_words = |n: &Notice| {
        let code = n.reason.code().map(|c| format!(" {}", c.as_str())).unwrap_or_default();
        let code = if matches!(n.reason, Reason::OfferEnds(_)) { " reminder".to_owned() } else { code };
        format!("{} {} {} {}{code}", n.student, n.crn, n.status.as_str(), n.reason.as_str())
    };
    notices.iter().map(in_words).collect()
}

/// Returns the refusal of a refused request.
pub fn refusal(outcome: RequestOutcome) -> Refusal {
    match outcome {
        RequestOutcome::Refused(refusal) => refusal,
        other => panic!("{other:?} is not a refusal"),
    }
}

/// Panics when a decision names a section or a registration twice.
pub fn assert_no_duplicates(changes: &Changes) {
    let mut sections = HashSet::new();
    assert!(changes.sections.iter().all(|s| sections.insert(&s.section.id.crn)), "duplicate section: {changes:?}");
    let mut registrations = HashSet::new();
    let are_unique = changes.registrations.iter().all(|(student, r)| registrations.insert((student, &r.crn)));
    assert!(are_unique, "duplicate registration: {changes:?}");
}

/// Returns the contents of a book in a fixed order.
pub fn contents(book: &TermBook) -> impl PartialEq + std::fmt::Debug + use<> {
    let mut sections: Vec<_> = book.sections().cloned().collect();
    sections.sort_by(|a, b| a.section.id.cmp(&b.section.id));
    let mut students: Vec<_> =
        book.students().map(|(student, registrations)| (student.clone(), registrations.to_vec())).collect();
    students.sort_by(|a, b| a.0.cmp(&b.0));
    let waitlists: Vec<Vec<_>> =
        sections.iter().map(|s| book.waitlist(&s.section.id.crn).cloned().collect::<Vec<_>>()).collect();
    let mut facts = book.published(0).facts;
    facts.sort_by(|a, b| a.0.cmp(&b.0));
    (book.term().clone(), sections, students, waitlists, facts)
}

/// Returns the numbers of enrolled, offered and waitlisted registrations of a section.
pub fn counts_of(book: &TermBook, of: &Crn) -> (u32, u32, u32) {
    let (mut enrolled, mut offered, mut waiting) = (0, 0, 0);
    for (_, registrations) in book.students() {
        for r in registrations.iter().filter(|r| r.crn == *of) {
            enrolled += u32::from(r.status == RegistrationStatus::Enrolled);
            offered += u32::from(r.status == RegistrationStatus::Offered);
            waiting += u32::from(r.status == RegistrationStatus::Waitlisted);
        }
    }
    (enrolled, offered, waiting)
}
