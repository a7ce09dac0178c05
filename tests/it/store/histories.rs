//! Generated histories: a store runs them in batches, a term in memory runs them command by command, and both must
//! agree.

use std::collections::BTreeMap;
use std::sync::Arc;

use eduhub::domain::book::TermBook;
use eduhub::domain::command::Command;
use eduhub::domain::ids::{Crn, UserName};
use eduhub::domain::outcome::Outcome;
use eduhub::domain::published::{PublishedTerm, TermUpdate};
use eduhub::domain::registration::Registration;
use eduhub::domain::section::{Credits, SectionState, WaitlistEntry};
use eduhub::domain::student::StudentFacts;
use eduhub::domain::term::Term;
use eduhub::domain::view::TermView;
use eduhub::store::imports::ImportStore;
use eduhub::store::terms::{TermChanges, TermStore};
use proptest::test_runner::{Config, TestRunner};

use super::fixture::{StoreFixture, TermOwner, block_on};
use crate::college::{SectionBuilder, TestTerm, staged, term_id, window};
use crate::model::history::{File, History, Step, any_history};

/// Number of histories, each with dozens of real commits.
const HISTORIES: u32 = 25;
/// Steps between staging an import and applying it.
const STEPS_WHILE_STAGED: usize = 3;

/// A term as published: loaded once, with every update applied.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Image {
    term: Term,
    seq: u64,
    sections: BTreeMap<Crn, (SectionState, Vec<WaitlistEntry>)>,
    students: BTreeMap<UserName, Vec<Registration>>,
    facts: BTreeMap<UserName, Arc<StudentFacts>>,
}

impl Image {
    pub(crate) fn of(loaded: &PublishedTerm) -> Self {
        let sections =
            loaded.sections.iter().map(|s| (s.state.section.id.crn.clone(), (s.state.clone(), s.waitlist.to_vec())));
        let students = loaded.students.iter().map(|(student, registrations)| (student.clone(), registrations.to_vec()));
        Self {
            term: loaded.term.clone(),
            seq: loaded.seq,
            sections: sections.collect(),
            students: students.collect(),
            facts: loaded.facts.iter().cloned().collect(),
        }
    }

    /// Applies the update of the next commit.
    pub(crate) fn apply(&mut self, update: &TermUpdate) {
        assert_eq!(update.seq, self.seq + 1);
        self.seq = update.seq;
        if let Some(term) = &update.term {
            self.term = term.clone();
        }
        for s in &update.sections {
            self.sections.insert(s.state.section.id.crn.clone(), (s.state.clone(), s.waitlist.to_vec()));
        }
        for (student, registrations) in &update.students {
            self.students.insert(student.clone(), registrations.to_vec());
        }
        for (student, facts) in &update.facts {
            match facts {
                Some(facts) => _ = self.facts.insert(student.clone(), facts.clone()),
                None => _ = self.facts.remove(student),
            }
        }
    }

    /// Returns the image of a follower that had this image and applied these changes.
    pub(crate) fn after(&self, changes: &TermChanges) -> Self {
        let mut book =
            TermBook::new(self.term.clone(), Credits(0), self.sections.values().map(|(state, _)| state.clone()), 1);
        for (student, registrations) in &self.students {
            registrations.iter().for_each(|r| book.restore(student.clone(), r.clone()));
        }
        for (student, facts) in &self.facts {
            book.restore_facts(student.clone(), facts.clone());
        }
        let complete = book.with_counts(changes.changes.clone(), changes.counts.clone());
        book.apply(&complete);
        Self::of(&book.published(changes.seq))
    }

    pub(crate) const fn seq(&self) -> u64 {
        self.seq
    }

    /// Checks that a term in memory has the same contents, except for queue numbers, which may differ.
    pub(crate) fn assert_equals(&self, book: &TermBook, when: &str) {
        let without_queue_numbers = |registrations: &[Registration]| -> Vec<Registration> {
            registrations.iter().map(|r| Registration { queue_number: 0, ..r.clone() }).collect()
        };
        for state in book.sections() {
            let crn = &state.section.id.crn;
            let (published, waitlist) = &self.sections[crn];
            assert_eq!(published, state, "{when}");
            let students =
                |waitlist: Vec<&WaitlistEntry>| waitlist.into_iter().map(|e| e.student.clone()).collect::<Vec<_>>();
            let (stored, decided) = (students(waitlist.iter().collect()), students(book.waitlist(crn).collect()));
            assert_eq!(stored, decided, "the waitlist of {crn} {when}");
        }
        assert_eq!(self.sections.len(), book.sections().count());
        for (student, registrations) in book.students() {
            assert_eq!(
                without_queue_numbers(&self.students[student]),
                without_queue_numbers(registrations),
                "{student} {when}"
            );
        }
        assert_eq!(self.students.len(), book.students().count());
        assert_eq!(&self.term, book.term(), "{when}");
        assert_eq!(self.facts, book.published(0).facts.into_iter().collect(), "the facts {when}");
    }
}

/// Returns a loaded term as a book.
pub(crate) fn book_of(loaded: &PublishedTerm, limit: Credits) -> TermBook {
    let mut book = TermBook::new(loaded.term.clone(), limit, loaded.sections.iter().map(|s| s.state.clone()), 1);
    for (student, registrations) in &loaded.students {
        registrations.iter().for_each(|r| book.restore(student.clone(), r.clone()));
    }
    for (student, facts) in &loaded.facts {
        book.restore_facts(student.clone(), facts.clone());
    }
    book
}

/// Runs all histories on a store.
pub(crate) fn generated_histories_agree_with_a_term_in_memory<F: StoreFixture>() {
    let config = Config { cases: HISTORIES, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let outcome = runner.run(&any_history(), |history| {
        Run::<F>::new(history.credit_limit).run(history);
        Ok(())
    });
    outcome.unwrap();
}

/// A run of one history.
struct Run<F: StoreFixture> {
    fixture: F,
    opened: Option<(F::Store, TermOwner)>,
    limit: Credits,
    term: TestTerm,
    image: Image,
    /// Images from the start and from each restart, from which followers must be able to catch up.
    followers: Vec<Image>,
    /// Commands of the next batch.
    pending: Vec<Command>,
    /// The command of a staged import, and the steps since it was staged.
    staged: Option<(Command, usize)>,
}

impl<F: StoreFixture> Run<F> {
    fn new(limit: u32) -> Self {
        let (fixture, limit) = (F::create(), Credits(limit));
        let store = fixture.open();
        let mut owner = TermOwner::of(&store, term_id(), limit);
        let loaded = owner.load().unwrap();
        let mut term = TestTerm::with_credit_limit(limit, []);
        term.book = book_of(&loaded, limit);
        let image = Image::of(&loaded);
        let (followers, pending) = (vec![image.clone()], vec![window(Some(0), None)]);
        Self { fixture, opened: Some((store, owner)), limit, term, image, followers, pending, staged: None }
    }

    fn store(&self) -> &F::Store {
        &self.opened.as_ref().unwrap().0
    }

    fn run(mut self, history: History) {
        self.stage(history.catalogue, true);
        self.apply();
        for step in history.steps {
            match step {
                Step::Run(command) => self.pending.push(command),
                Step::Wait(minutes) => {
                    self.commit();
                    self.term.now = self.term.now.checked_add(jiff::SignedDuration::from_mins(minutes)).unwrap();
                }
                Step::Import { sections, forced } if self.staged.is_none() => self.stage(sections, forced),
                Step::Import { .. } => {}
                Step::Restart => self.restart(),
            }
            if let Some((_, steps)) = &mut self.staged {
                *steps += 1;
                if *steps > STEPS_WHILE_STAGED {
                    self.apply();
                }
            }
        }
        self.restart();
    }

    fn stage(&mut self, file: File, forced: bool) {
        self.commit();
        let generation = block_on(self.store().generation(&term_id())).unwrap() + 1;
        let sections = file.into_iter().map(|(s, totals)| (SectionBuilder(s), totals)).collect();
        let import = staged(&self.term.book, self.term.now, generation, forced, sections);
        let rows = import.sections.iter().map(|s| s.staged_as.clone()).collect();
        block_on(self.store().stage(generation, rows)).unwrap();
        self.staged = Some((Command::ApplyImport(Arc::new(import)), 0));
    }

    fn apply(&mut self) {
        self.pending.extend(self.staged.take().map(|(command, _)| command));
    }

    /// Runs the pending commands as one batch and compares the outcomes and the published term.
    fn commit(&mut self) {
        let commands = std::mem::take(&mut self.pending);
        let expected: Vec<Option<Outcome>> = commands.iter().map(|c| Some(self.term.run(c))).collect();
        let (now, before) = (self.term.now, self.image.clone());
        let committed = self.opened.as_mut().unwrap().1.run(commands, now).unwrap();
        assert_eq!(committed.outcomes, expected);
        if let Some(update) = &committed.update {
            self.image.apply(update);
        }
        self.image.assert_equals(&self.term.book, "as published");
        self.assert_follower_catches_up(&before);
    }

    /// Checks that a follower that has `before` and applies the changes since then has the published image.
    fn assert_follower_catches_up(&self, before: &Image) {
        let changes = block_on(self.store().changes_since(&term_id(), before.seq())).unwrap();
        assert_eq!(before.after(&changes), self.image, "a follower from sequence {}", before.seq());
    }

    /// Closes the store, opens it again, and compares its contents with what was published.
    fn restart(&mut self) {
        self.commit();
        drop(self.opened.take());
        let store = self.fixture.open();
        let mut owner = TermOwner::of(&store, term_id(), self.limit);
        let loaded = owner.load().unwrap();
        assert_eq!(Image::of(&loaded), self.image, "after reopening");
        self.term.book = book_of(&loaded, self.limit);
        self.opened = Some((store, owner));
        self.followers.iter().for_each(|follower| self.assert_follower_catches_up(follower));
        self.followers.push(self.image.clone());
    }
}
