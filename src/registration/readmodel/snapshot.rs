//! A term's sections and their numbers at one commit.

use std::collections::HashMap;
use std::sync::Arc;

use crate::domain::ids::Crn;
use crate::domain::published::PublishedSection;
use crate::domain::section::{Place, SectionState};
use crate::domain::term::Term;

/// Rows are shared between snapshots by chunks of this many: a commit copies the chunks that it touches, not the term.
const CHUNK_LEN: usize = 64;

/// A section as published.
#[derive(Debug, Clone)]
pub struct Row {
    /// Definition and numbers.
    pub state: SectionState,
    /// Who waits, head first.
    pub line: Arc<[Place]>,
    /// The term's sequence when it last changed.
    pub seq: u64,
}

impl Row {
    /// The position of a place in this line: 1 is next; whoever waits outside the hub comes first.
    #[must_use]
    pub fn position(&self, place: u64) -> u32 {
        let ahead = self.line.partition_point(|(other, _)| *other < place);
        self.state.outside_waitlisted.saturating_add(u32::try_from(ahead).unwrap_or(u32::MAX)).saturating_add(1)
    }
}

/// Everything of a term that lists, seats and ETags are made of. One `Arc` a commit, so nobody reads half a change.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The term.
    pub term: Arc<Term>,
    /// The sequence of its seats.
    pub seq: u64,
    chunks: Vec<Arc<Vec<Row>>>,
    index: Arc<HashMap<Crn, u32>>,
    /// Row numbers in the order of lists: by course, section, CRN.
    order: Arc<Vec<u32>>,
}

impl Snapshot {
    /// A snapshot from scratch.
    #[must_use]
    pub fn new(term: Term, seq: u64, sections: Vec<PublishedSection>) -> Self {
        let rows: Vec<Row> = sections.into_iter().map(|s| Row { state: s.state, line: s.waitlist, seq }).collect();
        let chunks = rows.chunks(CHUNK_LEN).map(|c| Arc::new(c.to_vec())).collect();
        let mut snapshot = Self { term: Arc::new(term), seq, chunks, index: Arc::default(), order: Arc::default() };
        snapshot.reindex();
        snapshot
    }

    /// The snapshot after a commit.
    #[must_use]
    pub fn after(&self, seq: u64, term: Option<&Term>, sections: &[PublishedSection]) -> Self {
        let mut next = self.clone();
        next.seq = seq;
        if let Some(term) = term {
            next.term = Arc::new(term.clone());
        }
        let (mut grown, mut reordered) = (false, false);
        for section in sections {
            let row = Row { state: section.state.clone(), line: section.waitlist.clone(), seq };
            match self.index.get(&row.state.section.id.crn) {
                Some(at) => {
                    let chunk = Arc::make_mut(&mut next.chunks[*at as usize / CHUNK_LEN]);
                    let slot = &mut chunk[*at as usize % CHUNK_LEN];
                    if !Arc::ptr_eq(&slot.state.section, &row.state.section) {
                        reordered |= sort_key(slot) != sort_key(&row);
                    }
                    *slot = row;
                }
                None => {
                    grown = true;
                    match next.chunks.last_mut().filter(|c| c.len() < CHUNK_LEN) {
                        Some(last) => Arc::make_mut(last).push(row),
                        None => next.chunks.push(Arc::new(vec![row])),
                    }
                }
            }
        }
        if grown || reordered {
            next.reindex();
        }
        next
    }

    fn reindex(&mut self) {
        let index = self.rows().zip(0u32..).map(|(row, at)| (row.state.section.id.crn.clone(), at)).collect();
        let mut order: Vec<u32> = (0u32..).take(self.len()).collect();
        order.sort_by(|a, b| sort_key(self.at(*a)).cmp(&sort_key(self.at(*b))));
        self.index = Arc::new(index);
        self.order = Arc::new(order);
    }

    /// How many sections there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.chunks.iter().map(|c| c.len()).sum()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    fn at(&self, at: u32) -> &Row {
        &self.chunks[at as usize / CHUNK_LEN][at as usize % CHUNK_LEN]
    }

    /// One section.
    #[must_use]
    pub fn row(&self, crn: &Crn) -> Option<&Row> {
        self.index.get(crn).map(|at| self.at(*at))
    }

    /// All sections, in the order in which the term got them.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.chunks.iter().flat_map(|c| c.iter())
    }

    /// Those that are shown to whoever looks for sections, in the order in which the term got them.
    pub fn listed_rows(&self) -> impl Iterator<Item = &Row> {
        self.rows().filter(|row| !row.state.section.withdrawn)
    }

    /// All sections, in the order of lists.
    pub fn rows_in_order(&self) -> impl Iterator<Item = &Row> {
        self.order.iter().map(|at| self.at(*at))
    }

    /// Sections that changed after `seq`, in the order in which the term got them.
    pub fn rows_since(&self, seq: u64) -> impl Iterator<Item = &Row> {
        self.rows().filter(move |row| row.seq > seq)
    }
}

/// The order of lists: by course, section, CRN.
fn sort_key(row: &Row) -> (&str, Option<&str>, &Crn) {
    let section = &row.state.section;
    (&section.course, section.section.as_deref(), &section.id.crn)
}
