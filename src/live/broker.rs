//! The one who knows what is new, and tells every relay. It is only *told* that there are alerts: what they are it
//! reads from the store, in order, so that a hint that was lost and a relay that fell behind are the same thing as
//! ordinary delivery. Seats it compares, tick by tick, with what it told last.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use actix::prelude::*;
use bytestring::ByteString;
use futures_util::Stream;

use crate::bus::Event;
use crate::domain::ids::{Crn, TermId, UserName};
use crate::live::close::Close;
use crate::live::frames;
use crate::registration::readmodel::Snapshot;
use crate::registration::section_json::push_seat_row;
use crate::store::StoreError;
use crate::store::alerts::LogEntry;

use crate::live::context::{AlertFrame, Fan, Live, SeatsTick};
use crate::live::relay::Relay;

/// Entries of the alerts in one message to a relay.
const ALERTS_PER_FAN: usize = 128;
/// The longest `seats` frame, in bytes; a larger change (an import) takes several ticks.
const SEATS_FRAME_LEN_MAX: usize = 32 * 1024;
/// How often scheduled alerts are looked for, and the store in case a hint was lost.
const LOOK: Duration = Duration::from_secs(1);
/// Scheduled alerts that go out in one transaction.
const DUE_PER_LOOK: usize = 100;
/// How often alerts are looked for that are too old to keep.
const FORGET: Duration = Duration::from_secs(3_600);
/// Alerts forgotten in one transaction: nobody's registration waits for more.
const FORGET_PER_WRITE: usize = 500;
/// Personal frames that wait for a relay that is behind; beyond them they are lost (what matters is an alert, too).
const BACKLOG_MAX: usize = 1_024;

/// A relay, and what it still has to be told.
struct Link {
    relay: Addr<Relay>,
    /// What was sent to it and has not been handed on.
    waiting: Arc<AtomicUsize>,
    alerts_at: u64,
    backlog: VecDeque<Fan>,
}

impl Link {
    /// Tells it, in order; what does not fit waits for the next tick.
    fn tell(&mut self, fan: Fan) {
        if self.backlog.len() < BACKLOG_MAX {
            self.backlog.push_back(fan);
            self.catch_up();
        } else {
            log::warn!("a relay is too far behind, and was not told of a registration or of progress");
        }
    }

    fn catch_up(&mut self) {
        while let Some(fan) = self.backlog.front() {
            if !self.send(fan.clone()) {
                return;
            }
            self.backlog.pop_front();
        }
    }

    /// Sends, unless its queue is full.
    fn send(&self, fan: Fan) -> bool {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let is_sent = self.relay.try_send(fan).is_ok();
        if !is_sent {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        is_sent
    }
}

/// What a term's watchers have been told, and what is on its way.
#[derive(Default)]
struct Told {
    seq: u64,
    /// Parts of a large change that wait for their tick.
    parts: VecDeque<Arc<SeatsTick>>,
}

/// The actor.
pub struct Broker {
    live: Arc<Live>,
    events: Option<Box<dyn Stream<Item = Event> + Unpin>>,
    links: Vec<Link>,
    seats: HashMap<TermId, Told>,
    alerts_at: u64,
    is_reading: bool,
    read_again: bool,
}

impl Broker {
    /// A broker that hears these events.
    pub fn new(live: Arc<Live>, events: impl Stream<Item = Event> + Unpin + 'static) -> Self {
        Self {
            live,
            events: Some(Box::new(events)),
            links: Vec::new(),
            seats: HashMap::new(),
            alerts_at: 0,
            is_reading: false,
            read_again: false,
        }
    }

    /// The least of the places that the relays have been told of.
    fn told_to_all(&self) -> u64 {
        self.links.iter().map(|link| link.alerts_at).min().unwrap_or(self.alerts_at)
    }

    /// Reads what the relay that is furthest behind has not been told, and tells everyone what each lacks.
    fn read_alerts(&mut self, ctx: &mut Context<Self>) {
        if self.is_reading {
            self.read_again = true;
            return;
        }
        (self.is_reading, self.read_again) = (true, false);
        let read = self.live.alerts.log_after(self.told_to_all(), ALERTS_PER_FAN);
        ctx.spawn(read.into_actor(self).map(|entries, broker, ctx| broker.have_read(entries, ctx)));
    }

    fn have_read(&mut self, entries: Result<Vec<LogEntry>, StoreError>, ctx: &mut Context<Self>) {
        self.is_reading = false;
        let entries = match entries {
            Ok(entries) => entries,
            // The next look tries again.
            Err(error) => return log::warn!("alerts cannot be read now: {error}"),
        };
        let is_full = entries.len() == ALERTS_PER_FAN;
        let before = self.told_to_all();
        let batch: Arc<[AlertFrame]> = entries.into_iter().map(AlertFrame::new).collect();
        let Some(last) = batch.last().map(|frame| frame.seq) else {
            if self.read_again {
                self.read_alerts(ctx);
            }
            return;
        };
        self.alerts_at = self.alerts_at.max(last);
        let now = Instant::now();
        for link in self.links.iter_mut().filter(|link| link.alerts_at < last) {
            // A relay that is full stays where it is, and gets the rest from the store.
            if link.send(Fan::Alerts(batch.clone(), now)) {
                link.alerts_at = last;
            }
        }
        // When one is full, nothing is gained by reading at once again: the tick does.
        if self.read_again || (is_full && self.told_to_all() > before) {
            self.read_alerts(ctx);
        }
    }

    fn tick(&mut self, ctx: &mut Context<Self>) {
        self.links.retain(|link| link.relay.connected());
        for link in &mut self.links {
            link.catch_up();
        }
        let waiting = self.links.iter().map(|link| link.backlog.len() + link.waiting.load(Ordering::Relaxed)).sum();
        self.live.registry.relays_waiting.store(waiting, Ordering::Relaxed);
        if self.told_to_all() < self.alerts_at {
            self.read_alerts(ctx);
        }
        for (id, term) in self.live.model.terms().iter() {
            let told = self.seats.entry(id.clone()).or_default();
            if told.parts.is_empty() {
                let snapshot = term.snapshot();
                if snapshot.seq > told.seq {
                    told.parts = seats_parts(id, &snapshot, told.seq);
                    if told.parts.is_empty() {
                        // A change of the term alone: no seat is different.
                        told.seq = snapshot.seq;
                    }
                }
            }
            let Some(part) = told.parts.pop_front() else { continue };
            told.seq = part.seq;
            let (mut all_told, now) = (true, Instant::now());
            for link in &self.links {
                all_told &= link.send(Fan::Seats(part.clone(), now));
            }
            if !all_told {
                // Told again with the next tick, newer rows with it; who has them already loses nothing.
                told.parts.clear();
                told.seq = told.seq.min(part.from);
            }
        }
    }

    /// Scheduled alerts, and whatever a lost hint was about.
    fn look(&mut self, ctx: &mut Context<Self>) {
        self.read_alerts(ctx);
        let due = self.live.alerts.next_due();
        ctx.spawn(due.into_actor(self).map(|due, broker, ctx| {
            let now = broker.live.clock.now();
            if !due.is_ok_and(|due| due.is_some_and(|at| at <= now)) {
                return;
            }
            let release = broker.live.alerts.release_due(broker.live.local(now), DUE_PER_LOOK);
            ctx.spawn(release.into_actor(broker).map(|released, broker, ctx| match released {
                Ok(_) => broker.read_alerts(ctx),
                Err(error) => log::warn!("scheduled alerts cannot go out now: {error}"),
            }));
        }));
    }

    /// Forgets alerts that are too old to keep, some at a time.
    fn forget(&mut self, ctx: &mut Context<Self>) {
        let Some(kept) = self.live.options.alerts_kept else { return };
        let Ok(cutoff) = self.live.clock.now().checked_sub(kept) else { return };
        let forget = self.live.alerts.forget_before(cutoff, FORGET_PER_WRITE);
        ctx.spawn(forget.into_actor(self).map(|forgotten, broker, ctx| match forgotten {
            Ok(FORGET_PER_WRITE) => broker.forget(ctx),
            Ok(_) => {}
            Err(error) => log::warn!("old alerts cannot be forgotten now: {error}"),
        }));
    }

    fn tell_all(&mut self, fan: &Fan) {
        for link in &mut self.links {
            link.tell(fan.clone());
        }
    }

    /// Never to be lost: goes past the bound of the relays' queues. It tells of the ends of sign-ins, of a session that an
    /// admin ends, and of the hub's end: each costs whoever asks for it a sign-in or a request, and those are limited.
    fn tell_surely(&self, fan: &Fan) {
        for link in &self.links {
            link.waiting.fetch_add(1, Ordering::Relaxed);
            link.relay.do_send(fan.clone());
        }
    }

    fn tell_people(&mut self, frames: impl Iterator<Item = (UserName, ByteString)>) {
        let frames: Arc<[(UserName, ByteString)]> = frames.collect();
        if !frames.is_empty() {
            self.tell_all(&Fan::Personal(frames));
        }
    }
}

/// What changed in a term after `from`, in parts of bounded length. All but the last claim only what was told before,
/// so that a client that goes away between them and resumes gets the rest.
fn seats_parts(term: &TermId, snapshot: &Snapshot, from: u64) -> VecDeque<Arc<SeatsTick>> {
    let mut groups: Vec<Vec<(Crn, ByteString)>> = Vec::new();
    let mut len = SEATS_FRAME_LEN_MAX;
    for row in snapshot.rows_since(from) {
        let mut text = Vec::with_capacity(48);
        push_seat_row(&mut text, &row.state);
        if len + text.len() > SEATS_FRAME_LEN_MAX {
            groups.push(Vec::new());
            len = 0;
        }
        len += text.len() + 1;
        // Ids are ASCII, and so are numbers.
        let text = ByteString::try_from(text).unwrap_or_default();
        if let Some(group) = groups.last_mut() {
            group.push((row.state.section.id.crn.clone(), text));
        }
    }
    let count = groups.len();
    let part = |(index, rows): (usize, Vec<(Crn, ByteString)>)| {
        let seq = if index + 1 == count { snapshot.seq } else { from };
        let frame = frames::seats(seq, rows.iter().map(|(_, text)| text.as_bytes().as_ref()));
        Arc::new(SeatsTick { term: term.clone(), from, upto: snapshot.seq, seq, rows, frame })
    };
    groups.into_iter().enumerate().map(part).collect()
}

impl Actor for Broker {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        for (id, term) in self.live.model.terms().iter() {
            // Nobody is connected yet: everything so far is part of everybody's snapshot.
            self.seats.insert(id.clone(), Told { seq: term.snapshot().seq, parts: VecDeque::new() });
        }
        if let Some(events) = self.events.take() {
            ctx.add_stream(events);
        }
        ctx.run_interval(self.live.options.seats_tick, Self::tick);
        ctx.run_interval(LOOK, Self::look);
        ctx.run_interval(FORGET, Self::forget);
        // Nothing is handed out before it is known where the sequence stands.
        self.find_place(ctx);
    }
}

impl Broker {
    fn find_place(&mut self, ctx: &mut Context<Self>) {
        let kept = self.live.alerts.kept();
        ctx.wait(kept.into_actor(self).map(|kept, broker, ctx| match kept {
            Ok(kept) => {
                broker.alerts_at = kept.last;
                broker.forget(ctx);
            }
            Err(error) => {
                log::warn!("the sequence of alerts cannot be read yet: {error}");
                let pause = actix_rt::time::sleep(LOOK);
                ctx.wait(pause.into_actor(broker).map(|(), broker, ctx| broker.find_place(ctx)));
            }
        }));
    }
}

impl StreamHandler<Event> for Broker {
    fn handle(&mut self, event: Event, ctx: &mut Context<Self>) {
        match event {
            Event::AlertsStored => self.read_alerts(ctx),
            Event::Registrations(news) => {
                self.tell_people(news.iter().map(|n| (n.notice.student.clone(), frames::registration(n))));
            }
            Event::Moved(news) => {
                self.tell_people(news.iter().map(|n| (n.student.clone(), frames::moved(n))));
            }
            Event::Import { task, frame } => match ByteString::try_from(frame) {
                Ok(frame) => self.tell_all(&Fan::Import { task: task.into(), frame }),
                Err(_) => log::error!("an import's progress is not text"),
            },
            Event::Metrics(frame) => match ByteString::try_from(frame) {
                Ok(frame) => self.tell_all(&Fan::Metrics(frame)),
                Err(_) => log::error!("the numbers are not text"),
            },
            Event::TokensEnded { user } => self.tell_surely(&Fan::TokensEnded { user }),
            Event::SignedOut { user, token } => match token.map(|token| token.parse()).transpose() {
                Ok(token) => self.tell_surely(&Fan::SignedOut { user, token }),
                Err(_) => log::error!("a token's id is not a UUID"),
            },
        }
    }

    /// The bus has gone: the hub ends, and those who are connected are told by [`Drain`].
    fn finished(&mut self, _: &mut Context<Self>) {}
}

/// A relay is ready; answered with the place after which it is told of every alert.
#[derive(Message)]
#[rtype(result = "u64")]
pub(super) struct RelayUp {
    pub(super) relay: Addr<Relay>,
    /// What was sent to it and has not been handed on: the broker counts up, the relay down.
    pub(super) waiting: Arc<AtomicUsize>,
}

impl Handler<RelayUp> for Broker {
    type Result = u64;

    fn handle(&mut self, up: RelayUp, _: &mut Context<Self>) -> u64 {
        let RelayUp { relay, waiting } = up;
        self.links.push(Link { relay, waiting, alerts_at: self.alerts_at, backlog: VecDeque::new() });
        self.alerts_at
    }
}

/// Closes one connection, as an admin asks.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Disconnect {
    /// Its id.
    pub session: uuid::Uuid,
}

impl Handler<Disconnect> for Broker {
    type Result = ();

    fn handle(&mut self, ask: Disconnect, _: &mut Context<Self>) {
        self.tell_surely(&Fan::Close { id: ask.session, close: Close::SignedOut });
    }
}

/// The hub goes: nobody new is taken in, and everyone is told to come back later.
#[derive(Message)]
#[rtype(result = "()")]
pub struct DrainAll;

impl Handler<DrainAll> for Broker {
    type Result = ();

    fn handle(&mut self, _: DrainAll, _: &mut Context<Self>) {
        self.live.registry.drain();
        self.tell_surely(&Fan::Drain);
    }
}
