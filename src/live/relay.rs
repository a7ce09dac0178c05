//! Passes frames to the sessions of one worker thread, in the order in which the broker sends them.
//!
//! A relay runs on the thread of its sessions, so that a frame crosses threads once and not once for each connection.
//! It never waits for a session: a session whose bounded queue is full is marked for closing and removed. A session
//! that waits for a reply of the hub cannot handle its queue. Its relay holds seats and alerts back before the
//! queue is full, and the session gets the newest seats and the stored alerts when it continues ([`CatchUp`]).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use actix::prelude::*;
use bytestring::ByteString;
use jiff::Timestamp;
use uuid::Uuid;

use crate::domain::channel::Channel;
use crate::domain::ids::{TaskId, UserName};
use crate::identity::Caller;
use crate::live::alert_frame::AlertFrame;
use crate::live::close::Close;
use crate::live::context::Live;
use crate::live::frames::{self, ErrorCode, FrameError, ServerFrame};
use crate::live::live_session::{LiveSession, TooManyChannels};
use crate::live::member::{Member, Missed};
use crate::live::messages::{
    CatchUp, CaughtUp, FanOut, Join, Leave, Push, RegisterRelay, SeatsTick, Subscribe, Subscribed, Unsubscribe,
};
use crate::live::seat_watch::SeatWatch;
use crate::registration::shown_counts::ShownCounts;

/// Capacity of a relay's mailbox for messages from the broker. It is smaller than that of a session's queue, so that a
/// relay that catches up does not overflow the queues of sessions that merely wait to run on this thread.
const QUEUE_LEN: usize = 16;
/// The interval at which the relay sends the pings that are due, and removes silent, expired and departed sessions.
const SWEEP: Duration = Duration::from_secs(1);
/// Maximum number of channels of one session. A page that watches more sections subscribes to the term.
pub const CHANNELS_MAX: usize = 256;

/// The relay of one worker thread.
pub struct Relay {
    live: Arc<Live>,
    broker: Recipient<RegisterRelay>,
    /// Ordered by time of connection, because ids start with the time. That is also the order of their allocation:
    /// iterating over thousands of sessions in another order takes 20% longer.
    members: BTreeMap<Uuid, Member>,
    users: HashMap<UserName, Vec<Uuid>>,
    seats: SeatWatch,
    /// The seats that visitors watch, if they do not see small counts.
    visitors_seats: Option<SeatWatch>,
    imports: HashMap<TaskId, Vec<Uuid>>,
    admins: Vec<Uuid>,
    /// Number of messages from the broker that are not handled yet.
    pub(super) in_flight: Arc<AtomicUsize>,
    /// The position of the last entry of the sequence of alerts that was delivered.
    alerts_to: u64,
    /// When the last sweep ran.
    swept: Instant,
}

impl Relay {
    /// Creates a relay without sessions. Start it on the thread whose sessions it serves.
    #[must_use]
    pub fn new(live: Arc<Live>, broker: impl Into<Recipient<RegisterRelay>>) -> Self {
        let seats = |shown| SeatWatch::new(live.model.clone(), live.presence.seat_snapshots.clone(), shown);
        let for_visitors = live.options.shown_to_visitors;
        Self {
            seats: seats(ShownCounts::EXACT),
            visitors_seats: for_visitors.bound().map(|_| seats(for_visitors)),
            live,
            broker: broker.into(),
            members: BTreeMap::new(),
            users: HashMap::new(),
            imports: HashMap::new(),
            admins: Vec::new(),
            in_flight: Arc::default(),
            alerts_to: 0,
            swept: Instant::now(),
        }
    }

    /// Pushes to sessions, and removes those whose queue does not accept the push.
    fn push_all(&mut self, pushes: impl IntoIterator<Item = (Uuid, Push)>) {
        let mut failed = Vec::new();
        for (id, push) in pushes {
            if self.members.get(&id).is_some_and(|member| !member.push(push, &self.live)) {
                failed.push(id);
            }
        }
        self.remove_all(failed);
    }

    /// Pushes a frame to sessions.
    fn push_frame(&mut self, ids: &[Uuid], frame: &ByteString) {
        self.push_all(ids.iter().map(|id| (*id, Push::Frame(frame.clone()))));
    }

    fn remove_all(&mut self, ids: Vec<Uuid>) {
        for id in ids {
            self.remove(id);
        }
    }

    /// Removes a session. One that is marked for closing closes as soon as its socket accepts data.
    fn remove(&mut self, id: Uuid) {
        let Some(member) = self.members.remove(&id) else { return };
        self.live.presence.remove(id);
        if let Some((user, _)) = member.session.identity() {
            remove_from(&mut self.users, user, id);
        }
        for channel in member.session.channels() {
            self.unsubscribe(id, &channel);
        }
    }

    fn unsubscribe(&mut self, id: Uuid, channel: &Channel) {
        match channel {
            Channel::Seats(term) => self.all_seats().for_each(|seats| seats.remove_from_term(term, id)),
            Channel::Section(section) => self.all_seats().for_each(|seats| seats.remove_from_section(section, id)),
            Channel::Import(task) => remove_from(&mut self.imports, task, id),
            Channel::Admin => self.admins.retain(|other| *other != id),
            Channel::Me => self.set_flags(id, |member| member.me = false),
            Channel::Alerts => self.set_flags(id, |member| {
                (member.alerts, member.missed.alerts) = (false, false);
            }),
        }
    }

    fn all_seats(&mut self) -> impl Iterator<Item = &mut SeatWatch> {
        std::iter::once(&mut self.seats).chain(&mut self.visitors_seats)
    }

    /// Returns the seats as a session sees them.
    fn seats_of(&mut self, session: &LiveSession) -> &mut SeatWatch {
        match &mut self.visitors_seats {
            Some(seats) if session.caller.is_none() => seats,
            _ => &mut self.seats,
        }
    }

    fn set_flags(&mut self, id: Uuid, set: impl FnOnce(&mut Member)) {
        if let Some(member) = self.members.get_mut(&id) {
            set(member);
        }
    }

    /// Closes sessions, and removes them at once.
    fn close_all(&mut self, ids: Vec<Uuid>, why: Close) {
        for id in ids {
            if let Some(member) = self.members.get(&id) {
                member.session.request_close(why);
                // If the queue is full, the mark closes the session.
                member.push(Push::Close(why), &self.live);
                self.remove(id);
            }
        }
    }

    /// Delivers entries of the sequence of alerts.
    fn deliver(&mut self, batch: &Arc<[Arc<AlertFrame>]>) {
        let Some(last) = batch.last() else { return };
        if last.seq <= self.alerts_to {
            return;
        }
        self.alerts_to = last.seq;
        let is_recipient =
            |member: &Member| member.alerts && batch.iter().any(|f| f.recipients.includes(member.session.identity()));
        let mut failed = Vec::new();
        if batch.iter().any(|frame| frame.recipients.is_broad()) {
            for (id, member) in self.members.iter_mut().filter(|(_, member)| is_recipient(member)) {
                if !member.push_alerts(batch, &self.live) {
                    failed.push(*id);
                }
            }
            return self.remove_all(failed);
        }
        let named = batch.iter().flat_map(|frame| frame.recipients.users.iter());
        let mut ids: Vec<Uuid> = named.filter_map(|user| self.users.get(user)).flatten().copied().collect();
        ids.sort_unstable();
        ids.dedup();
        for id in ids {
            let Some(member) = self.members.get_mut(&id).filter(|member| is_recipient(member)) else { continue };
            if !member.push_alerts(batch, &self.live) {
                failed.push(id);
            }
        }
        self.remove_all(failed);
    }

    /// Delivers changed seats.
    fn deliver_seats(&mut self, tick: &SeatsTick) {
        let mut failed = Vec::new();
        let mut frames = self.seats.frames(tick);
        if let Some((seats, tick)) = self.visitors_seats.as_mut().zip(tick.for_visitors.as_ref()) {
            frames.extend(seats.frames(tick));
        }
        for (id, frame) in frames {
            let member = self.members.get_mut(&id);
            if member.is_some_and(|member| !member.push_seats(tick, frame, &self.live)) {
                failed.push(id);
            }
        }
        self.remove_all(failed);
    }

    /// Delivers frames to the channel `me` of users.
    fn deliver_personal(&mut self, frames: &[(UserName, ByteString)]) {
        let mut pushes = Vec::new();
        for (user, frame) in frames {
            let ids = self.sessions_of(user, |member| member.me);
            pushes.extend(ids.into_iter().map(|id| (id, Push::Frame(frame.clone()))));
        }
        self.push_all(pushes);
    }

    /// Returns those sessions of a user that `matches` accepts.
    fn sessions_of(&self, user: &UserName, matches: impl Fn(&Member) -> bool) -> Vec<Uuid> {
        let ids = self.users.get(user).into_iter().flatten().copied();
        ids.filter(|id| self.members.get(id).is_some_and(&matches)).collect()
    }

    /// Returns those sessions of a user whose caller `matches` accepts.
    fn sessions_with(&self, user: &UserName, matches: impl Fn(&Caller) -> bool) -> Vec<Uuid> {
        self.sessions_of(user, |member| member.session.caller.as_ref().is_some_and(&matches))
    }

    /// Records how long a message took from the broker to the queues of all sessions, by the monotonic clock. Records
    /// nothing if there are no sessions.
    fn measure(&self, sent_at: Instant) {
        if !self.members.is_empty() {
            self.live.presence.fanout.record(sent_at.elapsed());
        }
    }

    /// Pings sessions that are due, closes those that are silent or whose token has expired, and removes those that
    /// have ended. `at` is the monotonic time.
    ///
    /// A sweep that comes late, because the process was stopped or the thread was busy, adds at most [`SWEEP`] to the
    /// silence of each session: the thread has not read yet what the clients sent during the delay, and they were not
    /// pinged. For the same reason a session is closed only when it is over the limit in a second sweep, before which
    /// the thread has read what had arrived.
    pub(super) fn sweep(&mut self, at: Instant) {
        let now = self.live.clock.now();
        let heartbeat = self.live.options.heartbeat;
        let step = at.saturating_duration_since(std::mem::replace(&mut self.swept, at)).min(SWEEP);
        let (mut ended, mut expired, mut silent, mut pings) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (id, member) in &mut self.members {
            if member.session.requested_close().is_some() {
                // The relay removes sessions that it marks itself. This one ended on its own, and its `Leave` did not
                // fit into the relay's mailbox.
                ended.push(*id);
            } else if member.session.caller.as_ref().is_some_and(|caller| caller.expires_at <= now) {
                expired.push(*id);
            } else if member.add_silence(step, 2 * heartbeat) {
                self.live.presence.reaped.fetch_add(1, Ordering::Relaxed);
                silent.push(*id);
            } else if at.saturating_duration_since(member.pinged) >= heartbeat {
                member.pinged = at;
                pings.push((*id, Push::Ping));
            }
        }
        self.push_all(pings);
        self.remove_all(ended);
        self.close_all(expired, Close::Unauthenticated);
        self.close_all(silent, Close::Silent);
    }

    /// Sweeps after [`SWEEP`], and again after that. An interval would catch up on the sweeps that a stopped process
    /// missed, one right after the other, without a read in between.
    fn sweep_later(ctx: &mut Context<Self>) {
        ctx.run_later(SWEEP, |relay, ctx| {
            relay.sweep(Instant::now());
            Self::sweep_later(ctx);
        });
    }

    /// Subscribes a session to one channel, and appends the confirmation or the snapshot to `out`. Returns whether the
    /// channel is new to the session.
    fn subscribe(
        &mut self,
        id: Uuid,
        channel: &Channel,
        since: Option<u64>,
        out: &mut Vec<ByteString>,
    ) -> Result<bool, FrameError> {
        let Some(session) = self.members.get(&id).map(|member| member.session.clone()) else { return Ok(false) };
        let refused = |code, detail| Err(FrameError { code, detail });
        if !self.seats.has(channel, session.identity()) {
            return refused(ErrorCode::NotFound, format!("there is no channel {channel}"));
        }
        let is_new = match session.add_channel(channel, CHANNELS_MAX) {
            Ok(is_new) => is_new,
            Err(TooManyChannels::OfSession) => {
                return refused(ErrorCode::Invalid, format!("a connection may have at most {CHANNELS_MAX} channels"));
            }
            Err(TooManyChannels::OfAllSessions) => {
                let detail = "too many channels are subscribed; subscribe to a term instead of its sections";
                return refused(ErrorCode::Overloaded, detail.to_owned());
            }
        };
        match channel {
            Channel::Seats(_) | Channel::Section(_) => {
                self.seats_of(&session).add(id, channel, since, out);
                return Ok(is_new);
            }
            Channel::Import(task) if is_new => self.imports.entry(task.clone()).or_default().push(id),
            Channel::Admin if is_new => self.admins.push(id),
            Channel::Import(_) | Channel::Admin => {}
            Channel::Me => self.set_flags(id, |member| member.me = true),
            Channel::Alerts => self.set_flags(id, |member| member.alerts = true),
        }
        out.push(ServerFrame::Subscribed { channel, seq: self.alerts_to, seats: None }.encode());
        Ok(is_new)
    }
}

/// Removes `id` from the list under `key`, and the list when it is empty.
fn remove_from<K: Eq + std::hash::Hash>(lists: &mut HashMap<K, Vec<Uuid>>, key: &K, id: Uuid) {
    if let Some(ids) = lists.get_mut(key) {
        ids.retain(|other| *other != id);
        if ids.is_empty() {
            lists.remove(key);
        }
    }
}

impl Actor for Relay {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.set_mailbox_capacity(QUEUE_LEN);
        Self::sweep_later(ctx);
        // Wait, so that no session joins before this relay has the position after which it gets every alert.
        let relay = ctx.address().recipient();
        let registered = self.broker.send(RegisterRelay { relay, in_flight: self.in_flight.clone() });
        ctx.wait(registered.into_actor(self).map(|position, relay, ctx| match position {
            Ok(position) => relay.alerts_to = position,
            Err(_) => ctx.stop(),
        }));
    }
}

impl Handler<FanOut> for Relay {
    type Result = ();

    fn handle(&mut self, message: FanOut, _: &mut Context<Self>) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        match message {
            FanOut::Alerts(batch, sent_at) => {
                self.deliver(&batch);
                self.measure(sent_at);
            }
            FanOut::Seats(tick, sent_at) => {
                self.deliver_seats(&tick);
                self.measure(sent_at);
            }
            FanOut::Term(frame) => {
                let ids: BTreeSet<Uuid> = self.all_seats().flat_map(|seats| seats.watchers_of_terms()).collect();
                self.push_all(ids.into_iter().map(|id| (id, Push::Frame(frame.clone()))));
            }
            FanOut::Personal(frames) => self.deliver_personal(&frames),
            FanOut::Import { task, frame } => {
                let ids = self.imports.get(&task).cloned().unwrap_or_default();
                self.push_frame(&ids, &frame);
            }
            FanOut::Metrics(frame) => {
                let ids = self.admins.clone();
                self.push_frame(&ids, &frame);
            }
            FanOut::SignedOut { user, token, issued_until } => {
                let until_ms = issued_until.map(Timestamp::as_millisecond);
                let ids = self.sessions_with(&user, |caller| {
                    token.is_none_or(|token| caller.token_id == token)
                        && until_ms.is_none_or(|until_ms| caller.issued_ms <= until_ms)
                });
                self.close_all(ids, Close::SignedOut);
            }
            FanOut::TokensEnded { user } => {
                let ids = self.sessions_with(&user, |caller| !(self.live.is_token_valid)(caller));
                self.close_all(ids, Close::Unauthenticated);
            }
            FanOut::Disconnect { session } => self.close_all(vec![session], Close::SignedOut),
            FanOut::Drain => self.close_all(self.members.keys().copied().collect(), Close::Restarting),
        }
    }
}

impl Handler<Join> for Relay {
    type Result = u64;

    fn handle(&mut self, join: Join, _: &mut Context<Self>) -> u64 {
        let Join { queue, session } = join;
        let id = session.id;
        if let Some((user, _)) = session.identity() {
            self.users.entry(user.clone()).or_insert_with(|| Vec::with_capacity(1)).push(id);
        }
        session.set_joined();
        let (me, pinged, silent) = (session.caller.is_some(), Instant::now(), Duration::ZERO);
        let missed = Missed::default();
        self.members.insert(id, Member { queue, session, alerts: true, me, pinged, silent, missed });
        self.alerts_to
    }
}

impl Handler<Leave> for Relay {
    type Result = ();

    fn handle(&mut self, leave: Leave, _: &mut Context<Self>) {
        self.remove(leave.0);
    }
}

impl Handler<Subscribe> for Relay {
    type Result = ();

    fn handle(&mut self, request: Subscribe, _: &mut Context<Self>) {
        let (mut frames, mut refused, mut alerts_from) = (Vec::new(), Vec::new(), None);
        for channel in &request.channels {
            match self.subscribe(request.session, channel, request.seats_since, &mut frames) {
                Ok(true) if *channel == Channel::Alerts => alerts_from = Some(self.alerts_to),
                Ok(_) => {}
                Err(error) => refused.push(error),
            }
        }
        let reply = Subscribed { frames, error: frames::first_error(&refused), alerts_from, since: request.since };
        self.push_all([(request.session, Push::Subscribed(Box::new(reply)))]);
    }
}

impl Handler<CatchUp> for Relay {
    type Result = ();

    fn handle(&mut self, request: CatchUp, _: &mut Context<Self>) {
        let Some(member) = self.members.get_mut(&request.0) else { return };
        let (missed, session) = (std::mem::take(&mut member.missed), member.session.clone());
        let mut frames = Vec::new();
        for (term, since) in missed.seats {
            self.seats_of(&session).catch_up(request.0, &term, since, &mut frames);
        }
        self.live.presence.caught_up.fetch_add(1, Ordering::Relaxed);
        let reply = CaughtUp { frames, alerts_to: missed.alerts.then_some(self.alerts_to) };
        self.push_all([(request.0, Push::CaughtUp(Box::new(reply)))]);
    }
}

impl Handler<Unsubscribe> for Relay {
    type Result = ();

    fn handle(&mut self, request: Unsubscribe, _: &mut Context<Self>) {
        let Some(session) = self.members.get(&request.session).map(|member| member.session.clone()) else { return };
        for channel in &request.channels {
            if session.remove_channel(channel) {
                self.unsubscribe(request.session, channel);
            }
        }
    }
}
