//! Generated histories, run in batches by a store and command by command by a term in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use eduhub::domain::book::TermBook;
use eduhub::domain::command::Command;
use eduhub::domain::ids::{Crn, UserName};
use eduhub::domain::outcome::Outcome;
use eduhub::domain::published::{PublishedTerm, TermUpdate};
use eduhub::domain::registration::Registration;
use eduhub::domain::section::{Credits, Place, SectionState};
use eduhub::domain::term::Term;
use eduhub::domain::view::TermView;
use eduhub::store::imports::ImportStore;
use eduhub::store::terms::{TermChanges, TermStore};
use proptest::test_runner::{Config, TestRunner};

use super::house::{House, TermOwner, wait};
use crate::college::{Make, Office, staged, term_id, window};
use crate::model::history::{File, History, Step, any_history};

/// Number of histories. Each makes some dozens of real commits.
const HISTORIES: u32 = 25;
/// Steps between the staging of an import and its command.
const STEPS_WHILE_STAGED: usize = 3;

/// A term as published: loaded once, with every update applied.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Image {
    term: Term,
    seq: u64,
    sections: BTreeMap<Crn, (SectionState, Vec<Place>)>,
    students: BTreeMap<UserName, Vec<Registration>>,
}

impl Image {
    pub(crate) fn of(loaded: &PublishedTerm) -> Self {
        let sections =
            loaded.sections.iter().map(|s| (s.state.section.id.crn.clone(), (s.state.clone(), s.waitlist.to_vec())));
        let students = loaded.students.iter().map(|(who, held)| (who.clone(), held.to_vec()));
        Self { term: loaded.term.clone(), seq: loaded.seq, sections: sections.collect(), students: students.collect() }
    }

    pub(crate) fn take_over(&mut self, update: &TermUpdate) {
        assert_eq!(update.seq, self.seq + 1);
        self.seq = update.seq;
        if let Some(term) = &update.term {
            self.term = term.clone();
        }
        for s in &update.sections {
            self.sections.insert(s.state.section.id.crn.clone(), (s.state.clone(), s.waitlist.to_vec()));
        }
        for (who, held) in &update.students {
            self.students.insert(who.clone(), held.to_vec());
        }
    }

    /// Returns the term of a follower who had this image and applied these changes.
    pub(crate) fn followed(&self, changes: &TermChanges) -> Self {
        let mut book =
            TermBook::new(self.term.clone(), Credits(0), self.sections.values().map(|(state, _)| state.clone()), 1);
        for (who, held) in &self.students {
            held.iter().for_each(|r| book.restore(who.clone(), r.clone()));
        }
        book.apply(&changes.changes);
        Self::of(&book.published(changes.seq))
    }

    pub(crate) const fn seq(&self) -> u64 {
        self.seq
    }

    /// Checks that a term in memory has the same contents, except the numbers of waitlist positions, which are a
    /// store's.
    fn assert_is(&self, book: &TermBook, when: &str) {
        let without_place = |held: &[Registration]| -> Vec<Registration> {
            held.iter().map(|r| Registration { place: 0, ..r.clone() }).collect()
        };
        for state in book.sections() {
            let crn = &state.section.id.crn;
            let (published, line) = &self.sections[crn];
            assert_eq!(published, state, "{when}");
            let who = |line: Vec<&Place>| line.into_iter().map(|(_, who)| who.clone()).collect::<Vec<_>>();
            assert_eq!(who(line.iter().collect()), who(book.waiting(crn).collect()), "the line of {crn} {when}");
        }
        assert_eq!(self.sections.len(), book.sections().count());
        for (who, held) in book.students() {
            assert_eq!(without_place(&self.students[who]), without_place(held), "{who} {when}");
        }
        assert_eq!(self.students.len(), book.students().count());
        assert_eq!(&self.term, book.term(), "{when}");
    }
}

/// Returns the term in memory that a store has loaded.
pub(crate) fn book_of(loaded: &PublishedTerm, limit: Credits) -> TermBook {
    let mut book = TermBook::new(loaded.term.clone(), limit, loaded.sections.iter().map(|s| s.state.clone()), 1);
    for (who, held) in &loaded.students {
        held.iter().for_each(|r| book.restore(who.clone(), r.clone()));
    }
    book
}

pub(crate) fn play_all<H: House>() {
    let config = Config { cases: HISTORIES, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let outcome = runner.run(&any_history(), |history| {
        Play::<H>::new(history.credit_limit).through(history);
        Ok(())
    });
    outcome.unwrap();
}

struct Play<H: House> {
    house: H,
    opened: Option<(H::Store, TermOwner)>,
    limit: Credits,
    office: Office,
    image: Image,
    /// Images from the start and from each restart, which followers still have.
    followers: Vec<Image>,
    waiting: Vec<Command>,
    staged: Option<(Command, usize)>,
}

impl<H: House> Play<H> {
    fn new(limit: u32) -> Self {
        let (house, limit) = (H::build(), Credits(limit));
        let store = house.open();
        let mut owner = TermOwner::of(&store, term_id(), limit);
        let loaded = owner.load().unwrap();
        let mut office = Office::limited(limit, []);
        office.book = book_of(&loaded, limit);
        let image = Image::of(&loaded);
        let (followers, waiting) = (vec![image.clone()], vec![window(Some(0), None)]);
        Self { house, opened: Some((store, owner)), limit, office, image, followers, waiting, staged: None }
    }

    fn store(&self) -> &H::Store {
        &self.opened.as_ref().unwrap().0
    }

    fn through(mut self, history: History) {
        self.stage(history.catalogue, true);
        self.apply();
        for step in history.steps {
            match step {
                Step::Ask(command) => self.waiting.push(command),
                Step::Wait(minutes) => {
                    self.commit();
                    self.office.now = self.office.now.checked_add(jiff::SignedDuration::from_mins(minutes)).unwrap();
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
        let generation = wait(self.store().generation(&term_id())).unwrap() + 1;
        let sections = file.into_iter().map(|(s, totals)| (Make(s), totals)).collect();
        let import = staged(&self.office.book, self.office.now, generation, forced, sections);
        let rows = import.sections.iter().map(|s| s.staged_as.clone()).collect();
        wait(self.store().stage(generation, rows)).unwrap();
        self.staged = Some((Command::ApplyImport(Arc::new(import)), 0));
    }

    fn apply(&mut self) {
        self.waiting.extend(self.staged.take().map(|(command, _)| command));
    }

    /// Runs the waiting commands as one batch and compares.
    fn commit(&mut self) {
        let commands = std::mem::take(&mut self.waiting);
        let expected: Vec<Option<Outcome>> = commands.iter().map(|c| Some(self.office.ask(c))).collect();
        let (now, before) = (self.office.now, self.image.clone());
        let committed = self.opened.as_mut().unwrap().1.run(commands, now).unwrap();
        assert_eq!(committed.outcomes, expected);
        if let Some(update) = &committed.update {
            self.image.take_over(update);
        }
        self.image.assert_is(&self.office.book, "as published");
        self.assert_followed(&before);
    }

    /// Checks that a follower who has `before` and applies the changes since then has what was published.
    fn assert_followed(&self, before: &Image) {
        let changes = wait(self.store().changes_since(&term_id(), before.seq())).unwrap();
        assert_eq!(before.followed(&changes), self.image, "followed from {}", before.seq());
    }

    /// Closes the store, opens it again, and compares its contents with what was published.
    fn restart(&mut self) {
        self.commit();
        drop(self.opened.take());
        let store = self.house.open();
        let mut owner = TermOwner::of(&store, term_id(), self.limit);
        let loaded = owner.load().unwrap();
        assert_eq!(Image::of(&loaded), self.image, "a reopened store");
        self.office.book = book_of(&loaded, self.limit);
        self.opened = Some((store, owner));
        self.followers.iter().for_each(|follower| self.assert_followed(follower));
        self.followers.push(self.image.clone());
    }
}
