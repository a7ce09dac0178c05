//! Sends each change to every relay, encoded once for all readers who see the same.
//!
//! - **Alerts** are read from the store, in order. An event is only a hint to read; a lost hint and a relay that has
//!   fallen behind are handled by the same reads.
//! - **Seats** are conflated: each tick compares every term's published snapshot with what was sent last.
//! - **Frames for one user or channel** come from events, or from a tick when a window opens or a term changes.
//!   They wait in a bounded backlog while a relay is behind.
//! - **Urgent messages** (a sign-out, a disconnection, the shutdown of the hub) are never dropped.
//!
//! The bound of a relay's mailbox is respected: messages that do not fit are sent with a later tick.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use actix::prelude::*;
use bytestring::ByteString;
use jiff::Timestamp;
use uuid::Uuid;

use crate::bus::{Event, EventStream};
use crate::domain::ids::{Crn, TermId, UserName};
use crate::domain::section::SectionState;
use crate::domain::term::Term;
use crate::live::close::Close;
use crate::live::context::Live;
use crate::live::frames::{self, ServerFrame, TermFrame};
use crate::live::messages::{FanOut, RegisterRelay, SeatsTick};
use crate::live::openings::Openings;
use crate::live::relay_link::RelayLink;
use crate::registration::readmodel::Snapshot;
use crate::registration::section_json::push_seat_row;
use crate::registration::shown_counts::ShownCounts;
use crate::store::StoreError;
use crate::store::alerts::LogEntry;

/// Maximum number of alerts in one message to a relay.
const ALERTS_PER_MESSAGE: usize = 128;
/// The longest `seats` frame, in bytes. A larger change, such as an import, takes several ticks.
const SEATS_FRAME_LEN_MAX: usize = 32 * 1024;
/// The shortest time between two `seats` frames, and between two deliveries of alerts, while sessions wait to join:
/// nothing is lost, because seats are conflated, and alerts are sent together. Without the pause, sending to the
/// sessions that have joined uses the processor time that thousands of other clients need to join after an outage.
const PAUSE_WHILE_JOINING: Duration = Duration::from_millis(500);
/// The interval at which scheduled alerts are sent, and the store is read in case a hint was lost.
const POLL: Duration = Duration::from_secs(1);
/// Maximum number of scheduled alerts that one transaction sends.
const RELEASED_PER_WRITE: usize = 100;
/// The interval at which alerts that are too old are deleted.
const RETENTION_POLL: Duration = Duration::from_secs(3_600);
/// Maximum number of alerts that one transaction deletes, so that no registration waits long for it.
const DELETED_PER_WRITE: usize = 500;

/// The seats of a term that were sent.
#[derive(Default)]
struct SentSeats {
    /// The sequence up to which everything was sent.
    seq: u64,
    /// The term as it was sent, or as it was when the hub started; `None` for a term that was created since.
    term: Option<Arc<Term>>,
    /// The remaining parts of a large change. Each tick sends one.
    parts: VecDeque<Arc<SeatsTick>>,
}

/// The actor that sends alerts, seats and events to every relay.
pub struct Broker {
    live: Arc<Live>,
    events: Option<EventStream>,
    relays: Vec<RelayLink>,
    seats: HashMap<TermId, SentSeats>,
    /// When seats were sent last.
    seats_sent: Instant,
    /// When alerts were sent last.
    alerts_sent: Instant,
    openings: Openings,
    /// Whether stored alerts have not been read yet because sessions wait to join.
    are_alerts_due: bool,
    /// The position of the last alert that was read.
    alerts_to: u64,
    is_reading: bool,
    /// Whether another read was requested during the current one.
    read_again: bool,
}

impl Broker {
    /// Creates a broker that receives `events`.
    #[must_use]
    pub fn new(live: Arc<Live>, events: EventStream) -> Self {
        let openings = Openings::new(live.clock.now());
        Self {
            live,
            openings,
            events: Some(events),
            relays: Vec::new(),
            seats: HashMap::new(),
            seats_sent: Instant::now(),
            alerts_sent: Instant::now(),
            are_alerts_due: false,
            alerts_to: 0,
            is_reading: false,
            read_again: false,
        }
    }

    /// Returns the position up to which the alerts were sent to every relay.
    fn alerts_sent_to_all(&self) -> u64 {
        self.relays.iter().map(|link| link.alerts_to).min().unwrap_or(self.alerts_to)
    }

    /// Reads the alerts after the position of the relay that is furthest behind, and sends them to the relays that lack
    /// them.
    fn read_alerts(&mut self, ctx: &mut Context<Self>) {
        if self.is_reading {
            self.read_again = true;
            return;
        }
        (self.is_reading, self.read_again, self.are_alerts_due) = (true, false, false);
        let read = self.live.alerts.log_after(self.alerts_sent_to_all(), ALERTS_PER_MESSAGE);
        ctx.spawn(read.into_actor(self).map(|entries, broker, ctx| broker.send_alerts(entries, ctx)));
    }

    fn send_alerts(&mut self, entries: Result<Vec<LogEntry>, StoreError>, ctx: &mut Context<Self>) {
        self.is_reading = false;
        let entries = match entries {
            Ok(entries) => entries,
            // The next poll tries again.
            Err(error) => return log::warn!("the alerts cannot be read: {error}"),
        };
        let is_full = entries.len() == ALERTS_PER_MESSAGE;
        let before = self.alerts_sent_to_all();
        let batch: Arc<[_]> = entries.into_iter().map(|entry| Arc::new(self.live.alert_frame(entry))).collect();
        let Some(last) = batch.last().map(|frame| frame.seq) else {
            if self.read_again {
                self.read_alerts(ctx);
            }
            return;
        };
        self.alerts_to = self.alerts_to.max(last);
        // Before the relays get them: a session that resumes up to its relay's position finds all of them in the tail.
        self.live.tail.append(&batch);
        let now = Instant::now();
        self.alerts_sent = now;
        for link in self.relays.iter_mut().filter(|link| link.alerts_to < last) {
            // A relay whose mailbox is full keeps its position. A later read sends it these alerts.
            if link.offer(FanOut::Alerts(batch.clone(), now)) {
                link.alerts_to = last;
            }
        }
        // While a mailbox is full, reading again at once is useless. The next tick reads.
        if self.read_again || (is_full && self.alerts_sent_to_all() > before) {
            self.read_alerts(ctx);
        }
    }

    fn tick(&mut self, ctx: &mut Context<Self>) {
        self.relays.retain(|link| link.relay.connected());
        self.relays.iter_mut().for_each(RelayLink::flush);
        let queued = self.relays.iter().map(RelayLink::len).sum();
        self.live.presence.relay_queue.store(queued, Ordering::Relaxed);
        let now = Instant::now();
        let are_alerts_due = self.are_alerts_due && self.is_due(self.alerts_sent, now);
        if are_alerts_due || self.alerts_sent_to_all() < self.alerts_to {
            self.read_alerts(ctx);
        }
        if self.is_due(self.seats_sent, now) {
            self.send_seats(now);
        }
        let opened = self.openings.due(&self.live);
        if !opened.is_empty() {
            self.send_to_all(&FanOut::Personal(opened.into()));
        }
    }

    /// Closes one connection.
    fn disconnect(&mut self, session: Uuid) {
        // A session that waits to join is not in a relay yet. It closes when it has joined.
        let waiting = self.live.presence.session(session).filter(|session| !session.is_joined());
        if let Some(session) = waiting {
            session.request_close(Close::SignedOut);
        }
        self.send_urgent_to_all(&FanOut::Disconnect { session });
    }

    /// Returns whether the next frames may be sent, given that the last ones were sent at `sent`.
    fn is_due(&self, sent: Instant, now: Instant) -> bool {
        is_due(self.live.presence.joins.waiting(), now.saturating_duration_since(sent))
    }

    /// Sends the changed seats of every term, or the next part of a large change. Also sends the terms that changed.
    fn send_seats(&mut self, now: Instant) {
        let mut changed_terms = Vec::new();
        for (id, term) in self.live.model.terms().iter() {
            let sent = self.seats.entry(id.clone()).or_default();
            if sent.parts.is_empty() {
                let snapshot = term.snapshot();
                if snapshot.seq > sent.seq {
                    let before = sent.term.replace(snapshot.term.clone());
                    if before.is_none_or(|before| differs(&before, &snapshot.term)) {
                        changed_terms.push(FanOut::Term(term_frame(&snapshot)));
                    }
                    sent.parts = seats_parts(id, &snapshot, sent.seq, self.live.options.shown_to_visitors);
                    if sent.parts.is_empty() {
                        // Only the term itself changed.
                        sent.seq = snapshot.seq;
                    }
                }
            }
            let Some(part) = sent.parts.pop_front() else { continue };
            sent.seq = part.seq;
            let mut all_sent = true;
            self.seats_sent = now;
            for link in &mut self.relays {
                all_sent &= link.offer(FanOut::Seats(part.clone(), now));
            }
            if !all_sent {
                // The next tick sends these rows again, together with newer ones. A client that already has them gets
                // the same state twice, which is harmless.
                sent.parts.clear();
                sent.seq = sent.seq.min(part.from);
            }
        }
        changed_terms.iter().for_each(|message| self.send_to_all(message));
    }

    /// Reads alerts whose hint was lost, and sends scheduled alerts that are due.
    fn poll(&mut self, ctx: &mut Context<Self>) {
        self.read_alerts(ctx);
        let due = self.live.alerts.next_due();
        ctx.spawn(due.into_actor(self).map(|due, broker, ctx| {
            let now = broker.live.clock.now();
            if !due.is_ok_and(|due| due.is_some_and(|at| at <= now)) {
                return;
            }
            let release = release_due(broker.live.clone(), now);
            ctx.spawn(release.into_actor(broker).map(|released, broker, ctx| match released {
                Ok(_) => broker.read_alerts(ctx),
                Err(error) => log::warn!("scheduled alerts cannot be sent: {error}"),
            }));
        }));
    }

    /// Deletes alerts that are too old, in several transactions.
    fn delete_old_alerts(&mut self, ctx: &mut Context<Self>) {
        let Some(retention) = self.live.options.alert_retention else { return };
        let Ok(cutoff) = self.live.clock.now().checked_sub(retention) else { return };
        let delete = self.live.alerts.delete_before(cutoff, DELETED_PER_WRITE);
        ctx.spawn(delete.into_actor(self).map(|deleted, broker, ctx| match deleted {
            Ok(0) => {}
            Ok(deleted) => {
                broker.trim_tail(ctx);
                if deleted == DELETED_PER_WRITE {
                    broker.delete_old_alerts(ctx);
                }
            }
            Err(error) => log::warn!("old alerts cannot be deleted: {error}"),
        }));
    }

    /// Removes the entries from the tail that are no longer stored. If the read fails, the next deletion removes them.
    fn trim_tail(&mut self, ctx: &mut Context<Self>) {
        let read = self.live.alerts.stored_range();
        ctx.spawn(read.into_actor(self).map(|stored, broker, _| {
            if let Ok(stored) = stored {
                broker.live.tail.trim(stored.first);
            }
        }));
    }

    /// Loads the tail of the sequence of alerts, whose end is the broker's position. Handles nothing else until it is
    /// loaded.
    fn load_tail(&mut self, ctx: &mut Context<Self>) {
        let live = self.live.clone();
        let load = async move { live.tail.load(&*live.alerts, |entry| live.alert_frame(entry)).await };
        ctx.wait(load.into_actor(self).map(|loaded, broker, ctx| match loaded {
            Ok(position) => {
                broker.alerts_to = position;
                broker.delete_old_alerts(ctx);
            }
            Err(error) => {
                log::warn!("the newest alerts cannot be read: {error}");
                let pause = actix_rt::time::sleep(POLL);
                ctx.wait(pause.into_actor(broker).map(|(), broker, ctx| broker.load_tail(ctx)));
            }
        }));
    }

    fn send_to_all(&mut self, message: &FanOut) {
        for link in &mut self.relays {
            link.send_or_queue(message.clone());
        }
    }

    fn send_urgent_to_all(&mut self, message: &FanOut) {
        for link in &mut self.relays {
            link.send_urgent(message.clone());
        }
    }
}

/// Sends the scheduled alerts that are due. Those that must no longer be sent are cancelled first.
async fn release_due(live: Arc<Live>, now: Timestamp) -> Result<usize, StoreError> {
    for alert in live.alerts.scheduled(RELEASED_PER_WRITE).await? {
        let is_due = alert.content.starts_at.is_none_or(|at| at <= now);
        let id = alert.id.clone();
        if is_due && (live.is_withheld)(alert).await? {
            live.alerts.cancel(&id, now).await?;
        }
    }
    live.alerts.release_due(live.local(now), RELEASED_PER_WRITE).await
}

/// Returns whether frames to all sessions may be sent again, `since_last` after the last ones.
fn is_due(waiting_to_join: usize, since_last: Duration) -> bool {
    waiting_to_join == 0 || since_last >= PAUSE_WHILE_JOINING
}

/// The encoded rows of sections.
type EncodedRows = Vec<(Crn, ByteString)>;

/// Returns whether clients show the terms differently.
fn differs(before: &Arc<Term>, after: &Arc<Term>) -> bool {
    let shown = |term: &Term| (term.title.clone(), term.opens_at, term.closes_at, term.windows.clone());
    !Arc::ptr_eq(before, after) && shown(before) != shown(after)
}

fn term_frame(snapshot: &Snapshot) -> ByteString {
    let Term { id, title, opens_at, closes_at, .. } = &*snapshot.term;
    let term = TermFrame { id, title, opens_at: *opens_at, closes_at: *closes_at };
    ServerFrame::Term { seq: snapshot.seq, term }.encode()
}

/// Encodes what changed in a term after `from`, in parts of bounded length. All parts but the last state the sequence
/// `from`, so that a client that reconnects between them and resumes gets the rest.
fn seats_parts(term: &TermId, snapshot: &Snapshot, from: u64, visitors: ShownCounts) -> VecDeque<Arc<SeatsTick>> {
    let mut groups: Vec<(EncodedRows, EncodedRows)> = Vec::new();
    let mut len = SEATS_FRAME_LEN_MAX;
    let has_visitors = visitors.bound().is_some();
    for row in snapshot.rows_since(from) {
        let crn = || row.state.section.id.crn.clone();
        let text = encoded(&row.state, ShownCounts::EXACT);
        if len + text.len() > SEATS_FRAME_LEN_MAX {
            groups.push((Vec::new(), Vec::new()));
            len = 0;
        }
        len += text.len() + 1;
        if let Some((rows, for_visitors)) = groups.last_mut() {
            rows.push((crn(), text));
            for_visitors.extend(has_visitors.then(|| (crn(), encoded(&row.state, visitors))));
        }
    }
    let count = groups.len();
    let part = |(index, (rows, for_visitors)): (usize, (EncodedRows, EncodedRows))| {
        let seq = if index + 1 == count { snapshot.seq } else { from };
        let tick = |rows: EncodedRows, for_visitors| {
            let frame = frames::seats(seq, rows.iter().map(|(_, text)| text.as_bytes().as_ref()));
            SeatsTick { term: term.clone(), from, upto: snapshot.seq, seq, rows, frame, for_visitors }
        };
        Arc::new(tick(rows, has_visitors.then(|| Box::new(tick(for_visitors, None)))))
    };
    groups.into_iter().enumerate().map(part).collect()
}

/// Encodes the row of a section.
fn encoded(state: &SectionState, shown: ShownCounts) -> ByteString {
    let mut text = Vec::with_capacity(48);
    push_seat_row(&mut text, state, shown);
    // Ids and numbers are ASCII.
    ByteString::try_from(text).unwrap_or_default()
}

impl Actor for Broker {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        for (id, term) in self.live.model.terms().iter() {
            // No client is connected yet, so every client's snapshot will contain what is published now.
            let snapshot = term.snapshot();
            let sent = SentSeats { seq: snapshot.seq, term: Some(snapshot.term.clone()), parts: VecDeque::new() };
            self.seats.insert(id.clone(), sent);
        }
        if let Some(events) = self.events.take() {
            ctx.add_stream(events);
        }
        ctx.run_interval(self.live.options.seats_tick, Self::tick);
        ctx.run_interval(POLL, Self::poll);
        ctx.run_interval(RETENTION_POLL, Self::delete_old_alerts);
        self.load_tail(ctx);
    }
}

impl StreamHandler<Event> for Broker {
    fn handle(&mut self, event: Event, ctx: &mut Context<Self>) {
        match event {
            Event::AlertsStored { seq: Some(seq) } if seq <= self.alerts_sent_to_all() => {}
            Event::AlertsStored { .. } if self.is_due(self.alerts_sent, Instant::now()) => self.read_alerts(ctx),
            Event::AlertsStored { .. } => self.are_alerts_due = true,
            Event::RegistrationsChanged { term, registrations, positions, .. } => {
                let registrations =
                    registrations.iter().map(|c| (c.notice.student.clone(), frames::registration(&term, c)));
                let positions = positions.iter().map(|c| (c.student.clone(), frames::position(&term, c)));
                let frames: Arc<[(UserName, ByteString)]> = registrations.chain(positions).collect();
                // A hint from another hub is empty.
                if !frames.is_empty() {
                    self.send_to_all(&FanOut::Personal(frames));
                }
            }
            Event::ImportProgress(progress) => {
                let frame = ServerFrame::Import(&progress).encode();
                self.send_to_all(&FanOut::Import { task: progress.task.clone(), frame });
            }
            Event::Metrics(reading) => self.send_to_all(&FanOut::Metrics(ServerFrame::Metrics(&reading).encode())),
            Event::TokensEnded { user } => self.send_urgent_to_all(&FanOut::TokensEnded { user }),
            Event::SignedOut { user, token, issued_until } => {
                self.send_urgent_to_all(&FanOut::SignedOut { user, token, issued_until });
            }
            Event::Disconnect { session } => self.disconnect(session),
            // Lists of sessions are for [`crate::live::other_hubs`], and states for [`crate::observe::hubs`].
            Event::SessionsWanted { .. } | Event::Sessions { .. } | Event::HubState(_) => {}
        }
    }

    /// Does nothing: the bus has ended because the hub is stopping, and the broker still has to handle [`DrainAll`].
    fn finished(&mut self, _: &mut Context<Self>) {}
}

impl Handler<RegisterRelay> for Broker {
    type Result = u64;

    fn handle(&mut self, register: RegisterRelay, _: &mut Context<Self>) -> u64 {
        let RegisterRelay { relay, in_flight } = register;
        self.relays.push(RelayLink::new(relay, in_flight, self.alerts_to));
        self.alerts_to
    }
}

/// Closes one connection at the request of an admin. Its client does not reconnect.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Disconnect {
    /// The session's id.
    pub session: Uuid,
}

impl Handler<Disconnect> for Broker {
    type Result = ();

    fn handle(&mut self, request: Disconnect, _: &mut Context<Self>) {
        self.disconnect(request.session);
    }
}

/// Closes all connections and admits no new ones, because the hub is stopping.
#[derive(Message)]
#[rtype(result = "()")]
pub struct DrainAll;

impl Handler<DrainAll> for Broker {
    type Result = ();

    fn handle(&mut self, _: DrainAll, _: &mut Context<Self>) {
        self.live.presence.drain();
        self.send_urgent_to_all(&FanOut::Drain);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_and_alerts_are_sent_less_often_while_sessions_wait_to_join() {
        let (tick, pause) = (Duration::from_millis(50), PAUSE_WHILE_JOINING);
        for (waiting, since_last, expected) in
            [(0, tick, true), (1, tick, false), (9_000, tick, false), (9_000, pause, true)]
        {
            assert_eq!(is_due(waiting, since_last), expected, "{waiting} wait, {since_last:?} after the last");
        }
    }
}
