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
use crate::registration::shown_counts::ShownCounts;

/// Maximum number of cached snapshots of a term: enough for clients that lost their connections within a few ticks.
/// Clients choose the sequences, so the number must be bounded, not only the memory of the frames.
const SNAPSHOTS_MAX: usize = 16;

/// Sessions in the order in which they connected, each with the sequence of its snapshot, or of the state that it got
/// when it last caught up.
type Watchers = BTreeMap<Uuid, u64>;

/// The sessions that watch a term or sections of it.
#[derive(Default)]
struct TermWatchers {
    term: Watchers,
    sections: HashMap<Crn, Watchers>,
    /// The encoded snapshots of the whole term, shared by all sessions that subscribe with the same sequence before a
    /// newer tick, as thousands do after an outage. The key is that sequence: a snapshot contains the sections that
    /// changed after it; 0 stands for all sections.
    snapshots: HashMap<u64, EncodedSnapshot>,
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
    /// The counts that the sessions see.
    shown: ShownCounts,
}

impl SeatWatch {
    /// Creates an empty list. Snapshots are taken from `model`, and cached within the bound `snapshot_bytes`.
    pub(super) fn new(model: Arc<ReadModel>, snapshot_bytes: Arc<Budget>, shown: ShownCounts) -> Self {
        Self { model, snapshot_bytes, terms: HashMap::new(), shown }
    }

    /// Returns whether the term of a channel exists, or `caller` (`None`: a visitor) may see its section. Other
    /// channels always exist.
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
                out.extend(frames::snapshot(channel, snapshot.seq, rows.map(|row| &row.state), self.shown));
                watchers.sections.entry(section.crn.clone()).or_default().insert(id, snapshot.seq);
            }
            _ => {
                if let Some(cached) = watchers.snapshots.get(&since) {
                    out.extend(cached.frames.iter().cloned());
                    watchers.term.insert(id, cached.seq);
                    return;
                }
                let frames = if since > 0 {
                    frames::snapshot(
                        channel,
                        snapshot.seq,
                        snapshot.rows_since(since).map(|row| &row.state),
                        self.shown,
                    )
                } else {
                    frames::snapshot(channel, snapshot.seq, snapshot.listed_rows().map(|row| &row.state), self.shown)
                };
                out.extend(frames.iter().cloned());
                watchers.term.insert(id, snapshot.seq);
                let bytes = frames.iter().map(|frame| frame.len() as u64).sum();
                if watchers.snapshots.len() < SNAPSHOTS_MAX
                    && let Some(_bytes) = self.snapshot_bytes.take(bytes)
                {
                    watchers.snapshots.insert(since, EncodedSnapshot { seq: snapshot.seq, frames, _bytes });
                }
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
                watchers.missed = Some((since, snapshot.seq, frames::changes(since, snapshot.seq, rows, self.shown)));
            }
            out.extend(watchers.missed.iter().flat_map(|(_, _, frames)| frames).cloned());
            return;
        }
        let rows: Vec<_> = snapshot.rows_since(since).map(|row| &row.state).collect();
        let rows = rows.into_iter().filter(|state| {
            let watched = watchers.sections.get_mut(&state.section.id.crn).and_then(|watchers| watchers.get_mut(&id));
            watched.map(|seq| *seq = snapshot.seq).is_some()
        });
        out.extend(frames::changes(since, snapshot.seq, rows, self.shown));
    }

    /// Returns the sessions that watch a whole term of the college. One that watches several is returned several times.
    pub(super) fn watchers_of_terms(&self) -> impl Iterator<Item = Uuid> {
        let terms = self.terms.iter().filter(|(term, _)| !term.is_sandbox());
        terms.flat_map(|(_, watchers)| watchers.term.keys().copied())
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
        // Older snapshots are dropped. The next session that subscribes gets a new one.
        watchers.snapshots.retain(|_, cached| cached.seq >= tick.upto);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::published::{PublishedSection, PublishedTerm};
    use crate::domain::section::{Credits, Section, SectionState, SectionStatus};
    use crate::domain::term::Term;

    fn watch() -> SeatWatch {
        let id = TermId::parse("202209").unwrap();
        let section = Section {
            id: SectionId { term: id.clone(), crn: Crn::parse("1").unwrap() },
            course: "TEST 1".into(),
            component: "lecture".into(),
            section: None,
            title: None,
            credits: Credits(3_000),
            instructor: None,
            method: None,
            campus: None,
            meetings: Vec::new(),
            capacity: 9,
            waitlist_capacity: 0,
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
        let state = SectionState::new(Arc::new(section));
        let sections = vec![PublishedSection { state, waitlist: Arc::from([]) }];
        let model = ReadModel::new();
        model.publish_loaded(PublishedTerm {
            term: Term::new(id),
            seq: 1_000,
            sections,
            students: Vec::new(),
            facts: Vec::new(),
        });
        SeatWatch::new(Arc::new(model), Arc::new(Budget::new(1_000_000)), ShownCounts::EXACT)
    }

    #[test]
    fn sessions_that_resume_together_share_a_snapshot_until_the_next_tick() {
        let mut watch = watch();
        let term = TermId::parse("202209").unwrap();
        let subscribe = |watch: &mut SeatWatch, since| {
            let mut frames = Vec::new();
            watch.add(Uuid::nil(), &Channel::Seats(term.clone()), since, &mut frames);
            let [frame] = &frames[..] else { panic!("{frames:?}") };
            frame.as_bytes().as_ptr()
        };
        let (whole, changes) = (subscribe(&mut watch, None), subscribe(&mut watch, Some(7)));
        assert_ne!(whole, changes);
        assert_eq!((subscribe(&mut watch, None), subscribe(&mut watch, Some(7))), (whole, changes));
        let tick = |upto| SeatsTick {
            term: TermId::parse("202209").unwrap(),
            from: 999,
            upto,
            seq: upto,
            rows: Vec::new(),
            frame: ByteString::new(),
            for_visitors: None,
        };
        watch.frames(&tick(1_000));
        assert_eq!(subscribe(&mut watch, Some(7)), changes, "the snapshot contains this tick");
        watch.frames(&tick(1_001));
        assert!(watch.terms.values().all(|watchers| watchers.snapshots.is_empty()));
        assert_eq!(watch.snapshot_bytes.used().0, 0);
        for since in 1..=2 * SNAPSHOTS_MAX as u64 {
            subscribe(&mut watch, Some(since));
        }
        assert!(watch.terms.values().all(|watchers| watchers.snapshots.len() == SNAPSHOTS_MAX));
    }
}
