//! The sessions of a thread that watch seats, and the frames that each of them gets.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytestring::ByteString;
use uuid::Uuid;

use crate::domain::channel::Channel;
use crate::domain::ids::{Crn, SectionId, TermId, UserName};
use crate::domain::role::Role;
use crate::live::budget::{Budget, Share};
use crate::live::frames;
use crate::live::messages::SeatsTick;
use crate::registration::readmodel::ReadModel;

/// Sessions in the order in which they connected, each with the sequence of its snapshot.
type Watchers = BTreeMap<Uuid, u64>;

/// The sessions that watch a term or sections of it.
#[derive(Default)]
struct TermWatchers {
    term: Watchers,
    sections: HashMap<Crn, Watchers>,
    /// The encoded snapshot of the whole term, shared by all sessions that subscribe before a newer tick.
    snapshot: Option<EncodedSnapshot>,
    /// The encoded changes of the whole term between two sequences, shared by all sessions that missed the same ticks.
    missed: Option<(u64, u64, Vec<ByteString>)>,
}

/// A cached snapshot.
struct EncodedSnapshot {
    seq: u64,
    frames: Vec<ByteString>,
    _bytes: Share,
}

/// The sessions that watch seats.
pub(super) struct SeatWatch {
    model: Arc<ReadModel>,
    /// Bytes of the snapshots of all threads.
    snapshot_bytes: Arc<Budget>,
    terms: HashMap<TermId, TermWatchers>,
}

impl SeatWatch {
    /// Creates an empty list. Snapshots are taken from `model`, and cached within the bound `snapshot_bytes`.
    pub(super) fn new(model: Arc<ReadModel>, snapshot_bytes: Arc<Budget>) -> Self {
        Self { model, snapshot_bytes, terms: HashMap::new() }
    }

    /// Returns whether a caller (`None`: a visitor) may see the term or section of a channel. Other channels always
    /// exist.
    pub(super) fn has(&self, channel: &Channel, caller: Option<(&UserName, Role)>) -> bool {
        match channel {
            Channel::Seats(term) => self.model.term(term).is_some(),
            Channel::Section(id) => self.model.section_for(id, caller).is_some(),
            Channel::Me | Channel::Alerts | Channel::Import(_) | Channel::Admin => true,
        }
    }

    /// Adds a session, and appends the frames of its snapshot to `out`. With `since`, the snapshot contains only what
    /// changed after that sequence.
    ///
    /// No tick is delivered between the subscription and the snapshot, because both are made on the relay's thread.
    /// Ticks that are not newer than the snapshot are not delivered to the session. So there is no gap after the
    /// snapshot, and an older state never follows a newer one.
    pub(super) fn add(&mut self, id: Uuid, channel: &Channel, since: Option<u64>, out: &mut Vec<ByteString>) {
        let term = match channel {
            Channel::Seats(term) => term,
            Channel::Section(section) => &section.term,
            Channel::Me | Channel::Alerts | Channel::Import(_) | Channel::Admin => return,
        };
        let Some(model) = self.model.term(term) else { return };
        let watchers = self.terms.entry(term.clone()).or_default();
        let snapshot = model.snapshot();
        // A client can be ahead of the term after the store was restored from a backup. It gets everything.
        let since = since.filter(|since| *since <= snapshot.seq).unwrap_or(0);
        match channel {
            Channel::Section(section) => {
                let rows = snapshot.row(&section.crn).into_iter().filter(|row| row.seq > since || since == 0);
                out.extend(frames::snapshot(channel, snapshot.seq, rows.map(|row| &row.state)));
                watchers.sections.entry(section.crn.clone()).or_default().insert(id, snapshot.seq);
            }
            _ if since > 0 => {
                let rows = snapshot.rows_since(since).map(|row| &row.state);
                out.extend(frames::snapshot(channel, snapshot.seq, rows));
                watchers.term.insert(id, snapshot.seq);
            }
            _ => {
                if let Some(cached) = &watchers.snapshot {
                    out.extend(cached.frames.iter().cloned());
                    watchers.term.insert(id, cached.seq);
                    return;
                }
                let frames = frames::snapshot(channel, snapshot.seq, snapshot.listed_rows().map(|row| &row.state));
                out.extend(frames.iter().cloned());
                watchers.term.insert(id, snapshot.seq);
                let bytes = frames.iter().map(|frame| frame.len() as u64).sum();
                let share = self.snapshot_bytes.take(bytes);
                watchers.snapshot = share.map(|_bytes| EncodedSnapshot { seq: snapshot.seq, frames, _bytes });
            }
        }
    }

    /// Appends the newest state of the sections of `term` that the session watches and that changed after `since` to
    /// `out`. Ticks that are not newer than this state are no longer delivered to the session.
    pub(super) fn catch_up(&mut self, id: Uuid, term: &TermId, since: u64, out: &mut Vec<ByteString>) {
        let (Some(watchers), Some(model)) = (self.terms.get_mut(term), self.model.term(term)) else { return };
        let snapshot = model.snapshot();
        if let Some(seq) = watchers.term.get_mut(&id) {
            *seq = snapshot.seq;
            if watchers.missed.as_ref().is_none_or(|missed| (missed.0, missed.1) != (since, snapshot.seq)) {
                let rows = snapshot.rows_since(since).map(|row| &row.state);
                watchers.missed = Some((since, snapshot.seq, frames::changes(since, snapshot.seq, rows)));
            }
            out.extend(watchers.missed.iter().flat_map(|(_, _, frames)| frames).cloned());
            return;
        }
        let rows: Vec<_> = snapshot.rows_since(since).map(|row| &row.state).collect();
        let rows = rows.into_iter().filter(|state| {
            let watched = watchers.sections.get_mut(&state.section.id.crn).and_then(|watchers| watchers.get_mut(&id));
            watched.map(|seq| *seq = snapshot.seq).is_some()
        });
        out.extend(frames::changes(since, snapshot.seq, rows));
    }

    /// Removes a session from the watchers of a term.
    pub(super) fn remove_from_term(&mut self, term: &TermId, id: Uuid) {
        if let Some(watchers) = self.terms.get_mut(term) {
            watchers.term.remove(&id);
        }
    }

    /// Removes a session from the watchers of a section.
    pub(super) fn remove_from_section(&mut self, section: &SectionId, id: Uuid) {
        let Some(term) = self.terms.get_mut(&section.term) else { return };
        if let Some(watchers) = term.sections.get_mut(&section.crn) {
            watchers.remove(&id);
            if watchers.is_empty() {
                term.sections.remove(&section.crn);
            }
        }
    }

    /// Returns the frame of a tick for each session that gets one. Sessions that watch the same changed sections share
    /// a frame.
    pub(super) fn frames(&mut self, tick: &SeatsTick) -> Vec<(Uuid, ByteString)> {
        let watchers = self.terms.entry(tick.term.clone()).or_default();
        // An older snapshot is dropped. The next session that subscribes gets a new one.
        watchers.snapshot = watchers.snapshot.take().filter(|cached| cached.seq >= tick.upto);
        watchers.missed = None;
        let is_behind = |seq: &u64| *seq < tick.upto;
        let mut out: Vec<(Uuid, ByteString)> = Vec::with_capacity(watchers.term.len());
        out.extend(watchers.term.iter().filter(|(_, seq)| is_behind(seq)).map(|(id, _)| (*id, tick.frame.clone())));
        if watchers.sections.is_empty() {
            return out;
        }
        let mut rows_of: BTreeMap<Uuid, Vec<usize>> = BTreeMap::new();
        for (index, (crn, _)) in tick.rows.iter().enumerate() {
            let of_section = watchers.sections.get(crn).into_iter().flatten();
            for (id, _) in of_section.filter(|(id, seq)| is_behind(seq) && !watchers.term.contains_key(*id)) {
                rows_of.entry(*id).or_default().push(index);
            }
        }
        let mut encoded: HashMap<Vec<usize>, ByteString> = HashMap::new();
        for (id, indexes) in rows_of {
            let frame = match encoded.get(&indexes) {
                Some(frame) => frame.clone(),
                None => {
                    let rows = indexes.iter().map(|index| tick.rows[*index].1.as_bytes().as_ref());
                    let frame = frames::seats(tick.seq, rows);
                    encoded.insert(indexes, frame.clone());
                    frame
                }
            };
            out.push((id, frame));
        }
        out
    }
}
