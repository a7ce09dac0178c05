//! Hands frames to the sessions of one worker thread. It runs on their thread, so that a frame crosses threads once,
//! not once for each connection; it delivers what the broker sends in order, and waits for nobody: a session whose
//! bounded queue is full is told to close, and forgotten.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use actix::dev::SendError;
use actix::prelude::*;
use bytestring::ByteString;
use jiff::Timestamp;
use uuid::Uuid;

use crate::domain::channel::Channel;
use crate::domain::ids::UserName;
use crate::live::close::Close;
use crate::live::frames;

use crate::live::broker::{Broker, RelayUp};
use crate::live::context::{AlertFrame, Fan, Live, Push, Subscribed};
use crate::live::presence::SessionRecord;
use crate::live::seat_watch::SeatWatch;
use crate::live::ws::Session;

/// Messages of the broker that may wait. Fewer than a session's queue has room for ([`crate::live::ws::QUEUE_LEN`]), so
/// that a relay that catches up does not overrun sessions that are only waiting for their turn on this thread.
pub(super) const QUEUE_LEN: usize = 16;
/// Between two looks at who is due for a ping, who is silent, and whose token has ended.
const SWEEP: Duration = Duration::from_secs(1);
/// The most channels of one session: a page that watches more sections watches its term.
pub const CHANNELS_MAX: usize = 256;

/// A session of this thread.
struct Local {
    session: Addr<Session>,
    record: Arc<SessionRecord>,
    alerts: bool,
    me: bool,
    beat_ms: i64,
}

impl Local {
    /// Pushes without waiting; false when the session has to go.
    fn push(&self, message: Push, live: &Live) -> bool {
        self.record.queue();
        match self.session.try_send(message) {
            Ok(()) => true,
            Err(error) => {
                self.record.dequeue();
                if matches!(error, SendError::Full(_)) {
                    live.registry.evicted.fetch_add(1, Ordering::Relaxed);
                    self.record.condemn(Close::TooSlow);
                }
                false
            }
        }
    }
}

/// The actor.
pub struct Relay {
    live: Arc<Live>,
    broker: Addr<Broker>,
    /// In the order in which they came (ids begin with the time), which is that of their memory: going through
    /// thousands of them in any other order costs a fifth more.
    sessions: BTreeMap<Uuid, Local>,
    users: HashMap<UserName, Vec<Uuid>>,
    seats: SeatWatch,
    imports: HashMap<String, Vec<Uuid>>,
    admins: Vec<Uuid>,
    /// What the broker has sent and this has not handed on.
    waiting: Arc<AtomicUsize>,
    alerts_at: u64,
}

impl Relay {
    /// A relay without sessions; start it on the thread whose sessions it is to serve.
    #[must_use]
    pub fn new(live: Arc<Live>, broker: Addr<Broker>) -> Self {
        Self {
            seats: SeatWatch::new(live.model.clone()),
            live,
            broker,
            sessions: BTreeMap::new(),
            users: HashMap::new(),
            imports: HashMap::new(),
            admins: Vec::new(),
            waiting: Arc::default(),
            alerts_at: 0,
        }
    }

    /// Pushes to one session; false when it has to go.
    fn push(&self, id: &Uuid, message: Push) -> bool {
        self.sessions.get(id).is_none_or(|local| local.push(message, &self.live))
    }

    fn push_to_all(&mut self, ids: impl IntoIterator<Item = (Uuid, Push)>) {
        let mut gone = Vec::new();
        for (id, message) in ids {
            if !self.push(&id, message) {
                gone.push(id);
            }
        }
        for id in gone {
            self.forget(id);
        }
    }

    /// Takes a session off all lists. A condemned one hangs up by itself as soon as its socket takes anything.
    fn forget(&mut self, id: Uuid) {
        let Some(local) = self.sessions.remove(&id) else { return };
        self.live.registry.forget(id);
        if let Some((user, _)) = local.record.caller()
            && let Some(ids) = self.users.get_mut(user)
        {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.users.remove(user);
            }
        }
        for channel in local.record.channels() {
            self.leave(id, &channel);
        }
    }

    /// Takes a session off the list of a channel.
    fn leave(&mut self, id: Uuid, channel: &Channel) {
        match channel {
            Channel::Seats(term) => self.seats.leave_term(term, id),
            Channel::Section(section) => self.seats.leave_section(section, id),
            Channel::Import(task) => {
                if let Some(ids) = self.imports.get_mut(task) {
                    ids.retain(|other| *other != id);
                    if ids.is_empty() {
                        self.imports.remove(task);
                    }
                }
            }
            Channel::Admin => self.admins.retain(|other| *other != id),
            Channel::Me | Channel::Alerts => {
                if let Some(local) = self.sessions.get_mut(&id) {
                    match channel {
                        Channel::Me => local.me = false,
                        _ => local.alerts = false,
                    }
                }
            }
        }
    }

    /// Closes a session for a reason, and forgets it at once.
    fn close(&mut self, id: Uuid, close: Close) {
        if let Some(local) = self.sessions.get(&id) {
            local.record.condemn(close);
            self.push(&id, Push::Close(close));
            self.forget(id);
        }
    }

    fn deliver(&mut self, batch: &Arc<[AlertFrame]>) {
        let Some(last) = batch.last() else { return };
        if last.seq <= self.alerts_at {
            return;
        }
        self.alerts_at = last.seq;
        let gets = |local: &Local| local.alerts && batch.iter().any(|f| f.reach.includes(local.record.caller()));
        if batch.iter().any(|frame| frame.reach.is_broad()) {
            let mut gone = Vec::new();
            for (id, local) in self.sessions.iter().filter(|(_, local)| gets(local)) {
                if !local.push(Push::Alerts(batch.clone()), &self.live) {
                    gone.push(*id);
                }
            }
            return gone.into_iter().for_each(|id| self.forget(id));
        }
        let named = batch.iter().flat_map(|frame| frame.reach.users.iter());
        let mut ids: Vec<Uuid> = named.filter_map(|user| self.users.get(user)).flatten().copied().collect();
        ids.sort_unstable();
        ids.dedup();
        ids.retain(|id| self.sessions.get(id).is_some_and(gets));
        self.push_to_all(ids.into_iter().map(|id| (id, Push::Alerts(batch.clone()))));
    }

    fn personal(&mut self, frames: &[(UserName, ByteString)]) {
        let mut pushes = Vec::new();
        for (user, frame) in frames {
            let ids = self.users.get(user).into_iter().flatten();
            let listening = ids.filter(|id| self.sessions.get(*id).is_some_and(|local| local.me));
            pushes.extend(listening.map(|id| (*id, Push::Text(frame.clone()))));
        }
        self.push_to_all(pushes);
    }

    fn signed_out(&mut self, user: &UserName, token: Option<Uuid>) {
        let of_token = |id: &Uuid| {
            let caller = self.sessions.get(id).and_then(|local| local.record.caller.as_ref());
            token.is_none() || caller.map(|c| c.token_id) == token
        };
        let ids: Vec<Uuid> = self.users.get(user).into_iter().flatten().copied().filter(of_token).collect();
        for id in ids {
            self.close(id, Close::SignedOut);
        }
    }

    fn tokens_ended(&mut self, user: &UserName) {
        let dead = |id: &Uuid| {
            let caller = self.sessions.get(id).and_then(|local| local.record.caller.as_ref());
            caller.is_some_and(|caller| !(self.live.is_alive)(caller))
        };
        let ids: Vec<Uuid> = self.users.get(user).into_iter().flatten().copied().filter(dead).collect();
        for id in ids {
            self.close(id, Close::Unauthenticated);
        }
    }

    /// Measures what was told at this time and has been handed on; where nobody is, there is nothing to measure.
    fn measure(&self, told_at: Instant) {
        if !self.sessions.is_empty() {
            self.live.registry.fanout.record(told_at.elapsed());
        }
    }

    /// Pings who is due, and closes who is silent or whose token has ended.
    fn sweep(&mut self) {
        let now = self.live.clock.now();
        let heartbeat_ms = i64::try_from(self.live.options.heartbeat.as_millis()).unwrap_or(i64::MAX / 4);
        let (mut close, mut beat) = (Vec::new(), Vec::new());
        for (id, local) in &mut self.sessions {
            if local.record.caller.as_ref().is_some_and(|caller| caller.expires_at <= now) {
                close.push((*id, Close::Unauthenticated));
            } else if local.record.silent_ms(now) > 2 * heartbeat_ms {
                self.live.registry.reaped.fetch_add(1, Ordering::Relaxed);
                close.push((*id, Close::TooSlow));
            } else if now.as_millisecond() - local.beat_ms >= heartbeat_ms {
                local.beat_ms = now.as_millisecond();
                beat.push((*id, Push::Beat));
            }
        }
        self.push_to_all(beat);
        for (id, why) in close {
            self.close(id, why);
        }
    }

    /// One channel of a `subscribe`: its frames, or why not. True if it is new to the session.
    fn subscribe_one(&mut self, id: Uuid, channel: &Channel, since: Option<u64>, out: &mut Vec<ByteString>) -> bool {
        let Some(record) = self.sessions.get(&id).map(|local| local.record.clone()) else { return false };
        if !self.seats.has(channel, record.caller()) {
            out.push(frames::error("not_found", &format!("there is no channel {channel}")));
            return false;
        }
        let Ok(is_new) = record.add_channel(channel, CHANNELS_MAX) else {
            out.push(frames::error("invalid", &format!("a connection may have {CHANNELS_MAX} channels")));
            return false;
        };
        match channel {
            Channel::Seats(_) | Channel::Section(_) => self.seats.join(id, channel, since, out),
            Channel::Import(task) => {
                let ids = self.imports.entry(task.clone()).or_default();
                if is_new {
                    ids.push(id);
                }
                out.push(frames::subscribed(channel, self.alerts_at));
            }
            Channel::Admin => {
                if is_new {
                    self.admins.push(id);
                }
                out.push(frames::subscribed(channel, self.alerts_at));
            }
            Channel::Me | Channel::Alerts => {
                if let Some(local) = self.sessions.get_mut(&id) {
                    match channel {
                        Channel::Me => local.me = true,
                        _ => local.alerts = true,
                    }
                }
                out.push(frames::subscribed(channel, self.alerts_at));
            }
        }
        is_new
    }
}

impl Actor for Relay {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.set_mailbox_capacity(QUEUE_LEN);
        ctx.run_interval(SWEEP, |relay, _| relay.sweep());
        // No session joins before the place is known from which this relay is told everything.
        let up = self.broker.send(RelayUp { relay: ctx.address(), waiting: self.waiting.clone() });
        ctx.wait(up.into_actor(self).map(|at, relay, ctx| match at {
            Ok(at) => relay.alerts_at = at,
            Err(_) => ctx.stop(),
        }));
    }
}

impl Handler<Fan> for Relay {
    type Result = ();

    fn handle(&mut self, fan: Fan, _: &mut Context<Self>) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        match fan {
            Fan::Alerts(batch, told_at) => {
                self.deliver(&batch);
                self.measure(told_at);
            }
            Fan::Seats(tick, told_at) => {
                let pushes = self.seats.deliver(&tick);
                self.push_to_all(pushes.into_iter().map(|(id, frame)| (id, Push::Text(frame))));
                self.measure(told_at);
            }
            Fan::Metrics(frame) => {
                let ids = self.admins.clone();
                self.push_to_all(ids.into_iter().map(|id| (id, Push::Text(frame.clone()))));
            }
            Fan::Personal(frames) => self.personal(&frames),
            Fan::Import { task, frame } => {
                let ids = self.imports.get(&*task).cloned().unwrap_or_default();
                self.push_to_all(ids.into_iter().map(|id| (id, Push::Text(frame.clone()))));
            }
            Fan::SignedOut { user, token } => self.signed_out(&user, token),
            Fan::TokensEnded { user } => self.tokens_ended(&user),
            Fan::Close { id, close } => self.close(id, close),
            Fan::Drain => {
                let ids: Vec<Uuid> = self.sessions.keys().copied().collect();
                for id in ids {
                    self.close(id, Close::Restarting);
                }
            }
        }
    }
}

/// A session is there, with its own `me` and `alerts`; answered with the place after which it gets every alert.
#[derive(Message)]
#[rtype(result = "u64")]
pub(super) struct Join {
    pub(super) session: Addr<Session>,
    pub(super) record: Arc<SessionRecord>,
}

impl Handler<Join> for Relay {
    type Result = u64;

    fn handle(&mut self, join: Join, _: &mut Context<Self>) -> u64 {
        let Join { session, record } = join;
        let id = record.id;
        if let Some((user, _)) = record.caller() {
            self.users.entry(user.clone()).or_insert_with(|| Vec::with_capacity(1)).push(id);
        }
        let (me, beat_ms) = (record.caller.is_some(), now_ms(self.live.clock.now()));
        self.sessions.insert(id, Local { session, record, alerts: true, me, beat_ms });
        self.alerts_at
    }
}

fn now_ms(now: Timestamp) -> i64 {
    now.as_millisecond()
}

/// A session has gone.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Leave(pub(super) Uuid);

impl Handler<Leave> for Relay {
    type Result = ();

    fn handle(&mut self, leave: Leave, _: &mut Context<Self>) {
        self.forget(leave.0);
    }
}

/// A session's client subscribes. The answer comes as [`Push::Subscribed`], in its place among all other pushes.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Subscribe {
    pub(super) id: Uuid,
    pub(super) channels: Vec<Channel>,
    pub(super) since: Option<u64>,
    pub(super) seats_since: Option<u64>,
}

impl Handler<Subscribe> for Relay {
    type Result = ();

    fn handle(&mut self, ask: Subscribe, _: &mut Context<Self>) {
        let (mut frames, mut alerts_from) = (Vec::new(), None);
        for channel in &ask.channels {
            let is_new = self.subscribe_one(ask.id, channel, ask.seats_since, &mut frames);
            if is_new && *channel == Channel::Alerts {
                alerts_from = Some(self.alerts_at);
            }
        }
        let answer = Push::Subscribed(Box::new(Subscribed { frames, alerts_from, since: ask.since }));
        self.push_to_all([(ask.id, answer)]);
    }
}

/// A session's client does not listen to these any more.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Unsubscribe {
    pub(super) id: Uuid,
    pub(super) channels: Vec<Channel>,
}

impl Handler<Unsubscribe> for Relay {
    type Result = ();

    fn handle(&mut self, ask: Unsubscribe, _: &mut Context<Self>) {
        let Some(record) = self.sessions.get(&ask.id).map(|local| local.record.clone()) else { return };
        for channel in &ask.channels {
            if record.remove_channel(channel) {
                self.leave(ask.id, channel);
            }
        }
    }
}
