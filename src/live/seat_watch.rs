//! Which sessions of a thread watch which seats, and what each of them is sent.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytestring::ByteString;
use uuid::Uuid;

use crate::domain::channel::Channel;
use crate::domain::ids::{Crn, SectionId, TermId, UserName};
use crate::domain::role::Role;
use crate::live::frames;
use crate::registration::readmodel::ReadModel;

use crate::live::context::SeatsTick;

/// Sessions in the order in which they came, and the sequence up to which each has been told by its snapshot.
type Watchers = BTreeMap<Uuid, u64>;

#[derive(Default)]
struct Watched {
    whole: Watchers,
    sections: HashMap<Crn, Watchers>,
    /// The whole term as frames at a sequence, for all who subscribe until a tick brings what is newer.
    snapshot: Option<(u64, Vec<ByteString>)>,
}

/// The lists of those who watch seats.
pub(super) struct SeatWatch {
    model: Arc<ReadModel>,
    terms: HashMap<TermId, Watched>,
}

impl SeatWatch {
    pub(super) fn new(model: Arc<ReadModel>) -> Self {
        Self { model, terms: HashMap::new() }
    }

    /// Whether there is, for somebody (none: a visitor), what a channel is about; channels that are not about seats are
    /// always there.
    pub(super) fn has(&self, channel: &Channel, who: Option<(&UserName, Role)>) -> bool {
        match channel {
            Channel::Seats(term) => self.model.term(term).is_some(),
            Channel::Section(id) => self.model.section_for(id, who).is_some(),
            Channel::Me | Channel::Alerts | Channel::Import(_) | Channel::Admin => true,
        }
    }

    /// Enters a session, and writes its snapshot. Entering and looking are one step on this thread, and a tick that is
    /// not newer than the snapshot is not delivered: so there is no gap between them, and nothing goes back.
    pub(super) fn join(&mut self, id: Uuid, channel: &Channel, since: Option<u64>, out: &mut Vec<ByteString>) {
        let term = match channel {
            Channel::Seats(term) => term,
            Channel::Section(section) => &section.term,
            Channel::Me | Channel::Alerts | Channel::Import(_) | Channel::Admin => return,
        };
        let Some(model) = self.model.term(term) else { return };
        let watched = self.terms.entry(term.clone()).or_default();
        let snapshot = model.snapshot();
        // A position ahead of the term's gets everything.
        let since = since.filter(|since| *since <= snapshot.seq).unwrap_or(0);
        match channel {
            Channel::Section(section) => {
                let rows = snapshot.row(&section.crn).into_iter().filter(|row| row.seq > since || since == 0);
                out.extend(frames::snapshot(channel, snapshot.seq, rows.map(|row| &row.state)));
                watched.sections.entry(section.crn.clone()).or_default().insert(id, snapshot.seq);
            }
            _ if since > 0 => {
                let rows = snapshot.rows_since(since).map(|row| &row.state);
                out.extend(frames::snapshot(channel, snapshot.seq, rows));
                watched.whole.insert(id, snapshot.seq);
            }
            _ => {
                let (seq, pieces) = watched.snapshot.get_or_insert_with(|| {
                    let rows = snapshot.listed_rows().map(|row| &row.state);
                    (snapshot.seq, frames::snapshot(channel, snapshot.seq, rows))
                });
                out.extend(pieces.iter().cloned());
                watched.whole.insert(id, *seq);
            }
        }
    }

    pub(super) fn leave_term(&mut self, term: &TermId, id: Uuid) {
        if let Some(watched) = self.terms.get_mut(term) {
            watched.whole.remove(&id);
        }
    }

    pub(super) fn leave_section(&mut self, section: &SectionId, id: Uuid) {
        let Some(watched) = self.terms.get_mut(&section.term) else { return };
        if let Some(watchers) = watched.sections.get_mut(&section.crn) {
            watchers.remove(&id);
            if watchers.is_empty() {
                watched.sections.remove(&section.crn);
            }
        }
    }

    /// What each session gets of a tick: one frame at most, shared by all who get the same sections.
    pub(super) fn deliver(&mut self, tick: &SeatsTick) -> Vec<(Uuid, ByteString)> {
        let watched = self.terms.entry(tick.term.clone()).or_default();
        // What was written for newcomers is old now; the next of them has it written anew.
        watched.snapshot = watched.snapshot.take().filter(|(seq, _)| *seq >= tick.upto);
        let behind = |seq: &u64| *seq < tick.upto;
        let mut out: Vec<(Uuid, ByteString)> = Vec::with_capacity(watched.whole.len());
        out.extend(watched.whole.iter().filter(|(_, seq)| behind(seq)).map(|(id, _)| (*id, tick.frame.clone())));
        if watched.sections.is_empty() {
            return out;
        }
        let mut chosen: BTreeMap<Uuid, Vec<usize>> = BTreeMap::new();
        for (index, (crn, _)) in tick.rows.iter().enumerate() {
            let watchers = watched.sections.get(crn).into_iter().flatten();
            for (id, _) in watchers.filter(|(id, seq)| behind(seq) && !watched.whole.contains_key(*id)) {
                chosen.entry(*id).or_default().push(index);
            }
        }
        let mut written: HashMap<Vec<usize>, ByteString> = HashMap::new();
        for (id, indexes) in chosen {
            let frame = match written.get(&indexes) {
                Some(frame) => frame.clone(),
                None => {
                    let rows = indexes.iter().map(|index| tick.rows[*index].1.as_bytes().as_ref());
                    let frame = frames::seats(tick.seq, rows);
                    written.insert(indexes, frame.clone());
                    frame
                }
            };
            out.push((id, frame));
        }
        out
    }
}
