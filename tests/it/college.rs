//! Short helpers for tests of the domain: sections, commands, and a term in memory that applies its decisions.

#![allow(unreachable_pub)]

use std::collections::HashSet;
use std::sync::Arc;

use eduhub::domain::book::TermBook;
use eduhub::domain::command::{Batch, Command, SectionPatch, StagedImport, StagedSection, TermPatch};
use eduhub::domain::decide::{Decision, decide, imported};
use eduhub::domain::draft::Changes;
use eduhub::domain::ids::{Crn, SectionId, TermId, UserName};
use eduhub::domain::meeting::{Days, Meeting};
use eduhub::domain::notice::Notice;
use eduhub::domain::outcome::{Outcome, Receipt, RequestOutcome};
use eduhub::domain::refusal::Refusal;
use eduhub::domain::registration::{Registration, Standing};
use eduhub::domain::section::{Credits, Section, SectionState, SectionStatus};
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

/// A section that is being set up.
pub struct Make(pub SectionState);

/// Returns a lecture of a course of its own with 3 credits, one seat, a waitlist of two and no meeting.
pub fn section(number: &str) -> Make {
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
        withdrawn: false,
    };
    Make(SectionState::new(Arc::new(section)))
}

impl Make {
    pub fn with(mut self, change: impl FnOnce(&mut Section)) -> Self {
        change(Arc::make_mut(&mut self.0.section));
        self
    }
    pub fn seats(self, capacity: u32) -> Self {
        self.with(|s| s.capacity = capacity)
    }
    pub fn line(self, capacity: u32) -> Self {
        self.with(|s| s.waitlist_capacity = capacity)
    }
    pub fn course(self, course: &str) -> Self {
        self.with(|s| s.course = course.into())
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
    /// Sets a meeting on Mondays between these hours.
    pub fn monday(self, from: i8, to: i8) -> Self {
        self.with(|s| s.meetings = vec![monday(from, to)])
    }
    /// Sets the students enrolled and waitlisted outside the hub.
    pub fn outside(mut self, enrolled: u32, waitlisted: u32) -> Self {
        self.0.outside_enrolled = enrolled;
        self.0.outside_waitlisted = waitlisted;
        self
    }
}

pub fn monday(from: i8, to: i8) -> Meeting {
    Meeting {
        days: Days::from_bits(1),
        start: Some(time(from, 0, 0, 0)),
        end: Some(time(to, 0, 0, 0)),
        ..Meeting::default()
    }
}

/// Gives one field of a section a value of its own for each number.
pub type FieldChange = fn(&mut Section, u8);

/// A change of each field of a section that a file or the college's catalogue defines, by the field's name.
pub fn changes_of_each_field() -> Vec<(&'static str, FieldChange)> {
    // Every field is named, so that a new one does not compile until it has its line below.
    let Section {
        id: _,
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
        prerequisites: _,
        withdrawn: _,
    } = &*section("X").0.section;
    vec![
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
        ("prerequisites", |s, n| s.prerequisites = vec![format!("MATH {n}").into()]),
    ]
}

pub fn register(student: &str, section: &str) -> Command {
    Command::Register { student: user(student), crn: crn(section), waitlist: false }
}

pub fn register_or_wait(student: &str, section: &str) -> Command {
    Command::Register { student: user(student), crn: crn(section), waitlist: true }
}

pub fn drop_of(student: &str, section: &str) -> Command {
    Command::Drop { student: user(student), crn: crn(section) }
}

pub fn batch(student: &str, add: &[&str], drop: &[&str]) -> Batch {
    let crns = |of: &[&str]| of.iter().map(|c| crn(c)).collect();
    Batch { student: user(student), add: crns(add), drop: crns(drop), swap: false, waitlist: false }
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

/// A term in memory that applies what it decides.
#[derive(Clone)]
pub struct Office {
    pub book: TermBook,
    pub now: Timestamp,
}

impl Office {
    /// Returns an open term with these sections at minute 1, without a credit limit.
    pub fn of(sections: impl IntoIterator<Item = Make>) -> Self {
        Self::limited(Credits(0), sections)
    }

    pub fn limited(limit: Credits, sections: impl IntoIterator<Item = Make>) -> Self {
        Self { book: TermBook::new(term(), limit, sections.into_iter().map(|m| m.0), 1), now: minute(1) }
    }

    /// Decides and applies a command, as a registrar does, and checks that the decision names each change once.
    pub fn decide(&mut self, command: &Command) -> Decision {
        let decision = decide(&self.book, command, self.now);
        each_thing_once(&decision.changes);
        self.book.apply(&decision.changes);
        decision
    }

    pub fn ask(&mut self, command: &Command) -> Outcome {
        self.decide(command).outcome
    }

    /// Decides one student's command, a minute after the one before.
    pub fn wish(&mut self, command: &Command) -> RequestOutcome {
        self.now = self.now.checked_add(jiff::SignedDuration::from_mins(1)).unwrap();
        match self.ask(command) {
            Outcome::Request(outcome) => outcome,
            other => panic!("{other:?} is no answer to a wish"),
        }
    }

    /// Registers a student, who must get a seat.
    pub fn seat(&mut self, student: &str, section: &str) {
        let got = told(&self.wish(&register(student, section)));
        assert_eq!(got, "enrolled, new", "{student} in {section}");
    }

    /// Puts a student on the waitlist.
    pub fn place(&mut self, student: &str, section: &str) {
        let got = told(&self.wish(&register_or_wait(student, section)));
        assert!(got.starts_with("waitlisted"), "{student} in {section}: {got}");
    }

    /// Decides one student's command and returns the reply in a word.
    pub fn told(&mut self, command: &Command) -> String {
        told(&self.wish(command))
    }

    /// Returns a student's standing in a section: `enrolled`, `waitlisted`, `dropped` or `-`.
    pub fn standing(&self, student: &str, section: &str) -> &'static str {
        self.held(student, section).map_or("-", |r| r.standing.as_str())
    }

    pub fn held(&self, student: &str, section: &str) -> Option<&Registration> {
        self.book.registrations(&user(student)).iter().find(|r| r.crn == crn(section))
    }

    pub fn state(&self, section: &str) -> &SectionState {
        self.book.section(&crn(section)).unwrap()
    }

    /// Returns capacity, enrolled, waitlisted and open seats, as `GET /api/v1/seats` does.
    pub fn numbers(&self, section: &str) -> [u32; 4] {
        let state = self.state(section);
        [state.section.capacity, state.enrolled_total(), state.waitlisted_total(), state.open()]
    }

    /// Returns the waitlist, in order.
    pub fn line(&self, section: &str) -> Vec<String> {
        self.book.waiting(&crn(section)).map(|(_, who)| who.to_string()).collect()
    }

    /// Returns an import of these sections with the totals of their file.
    pub fn staged(&self, forced: bool, sections: Vec<(Make, Option<(u32, u32)>)>) -> StagedImport {
        staged(&self.book, self.now, 1, forced, sections)
    }

    pub fn import(&mut self, forced: bool, sections: Vec<(Make, Option<(u32, u32)>)>) -> Decision {
        let staged = self.staged(forced, sections);
        self.decide(&Command::ApplyImport(Arc::new(staged)))
    }
}

/// Returns an import as its task stages it, compared with the present term.
pub fn staged(
    book: &TermBook,
    now: Timestamp,
    generation: u64,
    forced: bool,
    sections: Vec<(Make, Option<(u32, u32)>)>,
) -> StagedImport {
    let totals_count = forced || !book.term().is_open(now);
    let sections = sections
        .into_iter()
        .map(|(make, totals)| {
            let section = make.0.section.clone();
            let mut staged = StagedSection { section, totals, staged_as: make.0 };
            staged.staged_as = imported(book.section(&staged.section.id.crn), &staged, totals_count);
            staged
        })
        .collect();
    StagedImport { generation, totals_count_while_open: forced, sections, unchanged: 0 }
}

/// Returns a command that moves the window to these minutes.
pub fn window(opens: Option<i64>, closes: Option<i64>) -> Command {
    Command::PutTerm(TermPatch {
        opens_at: Some(opens.map(minute)),
        closes_at: Some(closes.map(minute)),
        ..TermPatch::default()
    })
}

/// Returns an outcome in a word: `enrolled, new`, `waitlisted 2, as before`, `not found`, or a refusal's code.
pub fn told(outcome: &RequestOutcome) -> String {
    match outcome {
        RequestOutcome::Done(Receipt { standing, position, fresh, .. }) => {
            let position = position.map(|p| format!(" {p}")).unwrap_or_default();
            format!("{}{position}, {}", standing.as_str(), if *fresh { "new" } else { "as before" })
        }
        RequestOutcome::Refused(refusal) => refusal.code().as_str().to_owned(),
        RequestOutcome::NotFound => "not found".to_owned(),
        RequestOutcome::SwapUndone { because_of } => format!("undone because of {because_of}"),
    }
}

/// Returns the reply to a batch, with one `CRN: word` for each part.
pub fn told_each(answer: &Outcome) -> Vec<String> {
    match answer {
        Outcome::Batch(results) => results.iter().map(|(crn, outcome)| format!("{crn}: {}", told(outcome))).collect(),
        other => panic!("{other:?} is no answer to a batch"),
    }
}

/// Returns notices as `student section standing reason`.
pub fn heard(notices: &[Notice]) -> Vec<String> {
    let word = |n: &Notice| {
        let code = n.reason.code().map(|c| format!(" {}", c.as_str())).unwrap_or_default();
        format!("{} {} {} {}{code}", n.student, n.crn, n.standing.as_str(), n.reason.as_str())
    };
    notices.iter().map(word).collect()
}

pub fn refusal(outcome: RequestOutcome) -> Refusal {
    match outcome {
        RequestOutcome::Refused(refusal) => refusal,
        other => panic!("{other:?} is no refusal"),
    }
}

/// Panics when a decision names a section or a registration twice.
pub fn each_thing_once(changes: &Changes) {
    let mut sections = HashSet::new();
    assert!(changes.sections.iter().all(|s| sections.insert(&s.section.id.crn)), "a section twice: {changes:?}");
    let mut registrations = HashSet::new();
    let once = changes.registrations.iter().all(|(student, r)| registrations.insert((student, &r.crn)));
    assert!(once, "a registration twice: {changes:?}");
}

/// Returns the contents of a book in a fixed order.
pub fn contents(book: &TermBook) -> impl PartialEq + std::fmt::Debug + use<> {
    let mut sections: Vec<_> = book.sections().cloned().collect();
    sections.sort_by(|a, b| a.section.id.cmp(&b.section.id));
    let mut students: Vec<_> = book.students().map(|(who, held)| (who.clone(), held.to_vec())).collect();
    students.sort_by(|a, b| a.0.cmp(&b.0));
    let lines: Vec<Vec<_>> =
        sections.iter().map(|s| book.waiting(&s.section.id.crn).cloned().collect::<Vec<_>>()).collect();
    (book.term().clone(), sections, students, lines)
}

/// Counts the enrolled and waitlisted registrations of a section.
pub fn counted(book: &TermBook, of: &Crn) -> (u32, u32) {
    let (mut enrolled, mut waiting) = (0, 0);
    for (_, held) in book.students() {
        for r in held.iter().filter(|r| r.crn == *of) {
            enrolled += u32::from(r.standing == Standing::Enrolled);
            waiting += u32::from(r.standing == Standing::Waitlisted);
        }
    }
    (enrolled, waiting)
}
