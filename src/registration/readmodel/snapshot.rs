//! A term's sections and their counts as of one commit.

use std::collections::HashMap;
use std::sync::Arc;

use crate::domain::ids::Crn;
use crate::domain::published::PublishedSection;
use crate::domain::section::{SectionState, WaitlistEntry};
use crate::domain::term::Term;

/// Number of rows in a chunk. Snapshots share chunks: a commit copies only the chunks with rows that it changes.
const CHUNK_LEN: usize = 64;

/// A published section.
#[derive(Debug, Clone)]
pub struct Row {
    /// The definition and the counts.
    pub state: SectionState,
    /// The waitlist, head first.
    pub waitlist: Arc<[WaitlistEntry]>,
    /// The sequence of the commit that last changed the section, or of the loaded state if no later commit has.
    pub seq: u64,
}

impl Row {
    /// Returns the waitlist position of the entry with `queue_number`: 1 is next, and people who wait outside the hub
    /// come first.
    #[must_use]
    pub fn position(&self, queue_number: u64) -> u32 {
        let ahead = self.waitlist.partition_point(|entry| entry.queue_number < queue_number);
        self.state.outside_waitlisted.saturating_add(u32::try_from(ahead).unwrap_or(u32::MAX)).saturating_add(1)
    }
}

/// The state of a term as of one commit: immutable, so that a reader never sees a part of a change.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The term.
    pub term: Arc<Term>,
    /// The sequence of the commit.
    pub seq: u64,
    chunks: Vec<Arc<Vec<Row>>>,
    index: Arc<HashMap<Crn, u32>>,
    /// Row numbers, ordered by [`sort_key`].
    order: Arc<Vec<u32>>,
}

impl Snapshot {
    /// Creates a snapshot of a loaded term.
    #[must_use]
    pub fn new(term: Term, seq: u64, sections: Vec<PublishedSection>) -> Self {
        let rows: Vec<Row> = sections.into_iter().map(|s| Row { state: s.state, waitlist: s.waitlist, seq }).collect();
        let chunks = rows.chunks(CHUNK_LEN).map(|c| Arc::new(c.to_vec())).collect();
        let mut snapshot = Self { term: Arc::new(term), seq, chunks, index: Arc::default(), order: Arc::default() };
        snapshot.reindex();
        snapshot
    }

    /// Returns the snapshot after a commit, which changed these sections and, if given, the term.
    #[must_use]
    pub fn after(&self, seq: u64, term: Option<&Term>, sections: &[PublishedSection]) -> Self {
        let mut next = self.clone();
        next.seq = seq;
        if let Some(term) = term {
            next.term = Arc::new(term.clone());
        }
        let (mut grown, mut reordered) = (false, false);
        for section in sections {
            let row = Row { state: section.state.clone(), waitlist: section.waitlist.clone(), seq };
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

    /// Returns the number of sections.
    #[must_use]
    pub fn len(&self) -> usize {
        self.chunks.iter().map(|c| c.len()).sum()
    }

    /// Returns whether there are no sections.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    fn at(&self, at: u32) -> &Row {
        &self.chunks[at as usize / CHUNK_LEN][at as usize % CHUNK_LEN]
    }

    /// Returns one section.
    #[must_use]
    pub fn row(&self, crn: &Crn) -> Option<&Row> {
        self.index.get(crn).map(|at| self.at(*at))
    }

    /// Returns all sections, in the order in which they were added to the snapshot.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.chunks.iter().flat_map(|c| c.iter())
    }

    /// Returns the sections that are not withdrawn, in the order in which they were added to the snapshot.
    pub fn listed_rows(&self) -> impl Iterator<Item = &Row> {
        self.rows().filter(|row| !row.state.section.withdrawn)
    }

    /// Returns all sections, in the order of lists: by course, section label, CRN.
    pub fn rows_in_order(&self) -> impl Iterator<Item = &Row> {
        self.order.iter().map(|at| self.at(*at))
    }

    /// Returns the sections in the order of lists, without the first `from`.
    pub fn rows_in_order_from(&self, from: usize) -> impl Iterator<Item = &Row> {
        self.order.get(from..).unwrap_or_default().iter().map(|at| self.at(*at))
    }

    /// Returns the sections that changed after `seq`, or all sections if the term was loaded at a later sequence,
    /// in the order in which they were added to the snapshot.
    pub fn rows_since(&self, seq: u64) -> impl Iterator<Item = &Row> {
        self.rows().filter(move |row| row.seq > seq)
    }
}

/// Returns the key of the order of lists: course, section label, CRN.
fn sort_key(row: &Row) -> (&str, Option<&str>, &Crn) {
    let section = &row.state.section;
    (&section.course, section.section.as_deref(), &section.id.crn)
}
