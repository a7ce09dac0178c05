//! One connection. Thin: it reads what its client asks, passes it to its relay, and sends what the relay pushes. The
//! only file that knows `actix_web_actors`.
//!
//! Whatever takes several steps (joining, replaying alerts, a long snapshot) is done in `ctx.wait`: meanwhile neither
//! the client's frames nor the relay's pushes are looked at, so that everything goes out in order. The pushes wait in
//! the mailbox, which is bounded, and each step is taken only when the socket has room: that is all the flow control
//! there is.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use actix_http::ws::{Codec, Item};
use actix_web::{Error, HttpRequest, HttpResponse, web};
use actix_web_actors::ws::{
    CloseCode, CloseReason, Message as Frame, ProtocolError, WebsocketContext, WsResponseBuilder,
};
use bytes::BytesMut;
use bytestring::ByteString;
use rand::RngExt as _;

use crate::domain::channel::Channel;
use crate::domain::role::Role;
use crate::identity::Caller;
use crate::live::close::Close;
use crate::live::frame_guard::MESSAGE_LEN_MAX;
use crate::live::frames::{self, ClientFrame, SNAPSHOT_PIECE_LEN_MAX};
use crate::store::StoreError;
use crate::store::alerts::{Ack, Kept, Page, Reader, Span};

use crate::live::context::{AlertFrame, Live, Push, Subscribed, entry_frame};
use crate::live::guarded::{Gate, Guarded};
use crate::live::presence::SessionRecord;
use crate::live::relay::{Join, Leave, Relay, Subscribe, Unsubscribe};
use crate::live::resume::Resume;

/// Pushes that may wait for a session: some seconds of ticks. One more, and it is told to come back and resume.
pub const QUEUE_LEN: usize = 64;
/// Replayed alerts that are read at once. The next are read when these have left.
const REPLAY_PAGE_LEN: usize = 16;
/// Between two pieces of what is too long for one: time for the first to leave the write buffer.
const PIECE_PAUSE: Duration = Duration::from_millis(1);
/// How often a replay tries a store that is busy, and the pause between two tries.
const READ_TRIES_MAX: u32 = 5;
const READ_PAUSE: Duration = Duration::from_millis(200);
/// After hanging up: how long a client's answer is waited for. Closing at once would reset the connection of a client
/// that is still sending, and it would never read why.
const LINGER: Duration = Duration::from_secs(2);
/// When everyone is told to come back after a restart, each draws its time between these, in milliseconds.
const RETRY_MS: std::ops::RangeInclusive<u64> = 500..=20_000;

type Ctx = WebsocketContext<Session>;

/// A connection's actor.
pub struct Session {
    live: Arc<Live>,
    relay: Addr<Relay>,
    gate: Rc<Gate>,
    /// Its entry in the registry; or why it is not let in.
    record: Result<Arc<SessionRecord>, Close>,
    /// `?since=`
    since: Option<u64>,
    /// All alerts after this place have been sent, or will be.
    alerts_from: u64,
    /// Alerts up to this place have been sent, or are not wanted.
    alerts_to: u64,
    /// The fragments of a message that is not complete.
    fragments: BytesMut,
    /// What is to be sent in pieces, and then replayed.
    pending: Option<Box<Pending>>,
}

/// What leaves in several steps.
#[derive(Default)]
struct Pending {
    frames: VecDeque<ByteString>,
    replay: Option<Replay>,
}

/// Alerts that are still to be replayed.
struct Replay {
    after: u64,
    until: u64,
    tries: u32,
}

/// What it takes to answer a request for a WebSocket.
pub struct Opening {
    /// What all sessions share.
    pub live: Arc<Live>,
    /// The relay of this thread.
    pub relay: Addr<Relay>,
    /// Who asks: nobody for a visitor, or why not.
    pub caller: Result<Option<Caller>, Close>,
    /// From where.
    pub address: IpAddr,
    /// `?since=`, the place after which alerts were missed.
    pub since: Option<u64>,
}

/// Upgrades a request. Whoever is not let in is upgraded, too, and then closed with the reason, which a browser could
/// not read from a refused upgrade. A request that is no proper upgrade is refused with an error.
pub fn open(opening: Opening, request: &HttpRequest, payload: web::Payload) -> Result<HttpResponse, Error> {
    let Opening { live, relay, caller, address, since } = opening;
    // What is not an upgrade must not count as a connection.
    actix_http::ws::handshake(request.head())?;
    let user_agent = request.headers().get("user-agent").and_then(|v| v.to_str().ok()).unwrap_or("");
    let admitted = caller.and_then(|caller| live.registry.admit(caller, address, user_agent, live.clock.now()));
    let gate: Rc<Gate> = Rc::default();
    let session = Session {
        live,
        relay,
        gate: gate.clone(),
        record: admitted,
        since,
        alerts_from: 0,
        alerts_to: 0,
        fragments: BytesMut::new(),
        pending: None,
    };
    let codec = Codec::new().max_size(usize::try_from(MESSAGE_LEN_MAX).unwrap_or(usize::MAX));
    WsResponseBuilder::new(session, request, Guarded::new(payload, gate)).codec(codec).start()
}

impl Session {
    fn send(&self, frame: ByteString, ctx: &mut Ctx) {
        if let Ok(record) = &self.record {
            record.count_sent(1);
        }
        ctx.text(frame);
    }

    /// Says why, and waits a little for the client's goodbye.
    fn hang_up(&mut self, close: Close, ctx: &mut Ctx) {
        let reason = match close {
            Close::Restarting => format!("{{\"retry_ms\":{}}}", rand::rng().random_range(RETRY_MS)),
            _ => close.reason().to_owned(),
        };
        if self.leave() {
            let description = Some(reason).filter(|reason| !reason.is_empty());
            ctx.close(Some(CloseReason { code: CloseCode::from(close.code()), description }));
            ctx.run_later(LINGER, |_, ctx| ctx.stop());
        }
    }

    /// Takes it out of all lists; false if that was done before.
    fn leave(&mut self) -> bool {
        if self.gate.is_closing.replace(true) {
            return false;
        }
        self.pending = None;
        self.fragments = BytesMut::new();
        if let Ok(record) = &self.record {
            self.live.registry.forget(record.id);
            // Past the bound of the relay's queue: one for each session, which would else stay in its lists for ever.
            self.relay.do_send(Leave(record.id));
        }
        true
    }

    /// Whether it has hung up, which it does now when it was told to from outside.
    fn is_over(&mut self, ctx: &mut Ctx) -> bool {
        if !self.gate.is_closing.get()
            && let Some(close) = self.record.as_ref().ok().and_then(|record| record.condemned())
        {
            self.hang_up(close, ctx);
        }
        self.gate.is_closing.get()
    }

    fn caller(&self) -> Option<(&crate::domain::ids::UserName, Role)> {
        self.record.as_ref().ok().and_then(|record| record.caller())
    }

    /// The relay has taken it in, and pushes every alert after `at`.
    fn joined(&mut self, at: u64, ctx: &mut Ctx) {
        let Ok(record) = self.record.clone() else { return };
        if record.caller.as_ref().is_some_and(|caller| !(self.live.is_alive)(caller)) {
            return self.hang_up(Close::Unauthenticated, ctx);
        }
        if self.live.registry.is_draining() {
            // It joined after all who were there had been told to go.
            return self.hang_up(Close::Restarting, ctx);
        }
        (self.alerts_from, self.alerts_to) = (at, at);
        let caller = record.caller().map(|(user, role)| (user.as_str(), role.as_str()));
        let heartbeat_s = self.live.options.heartbeat.as_secs().max(1);
        let welcome = frames::welcome(&record.id.to_string(), caller, heartbeat_s, self.live.clock.now(), at);
        self.send(welcome, ctx);
        match self.since.take() {
            Some(since) if since != at => self.resume(since, READ_TRIES_MAX, ctx),
            _ => self.send(frames::live(at), ctx),
        }
    }

    /// Looks what of a client's place is still kept, and replays what it missed.
    fn resume(&mut self, since: u64, tries: u32, ctx: &mut Ctx) {
        let kept = self.live.alerts.kept();
        ctx.wait(kept.into_actor(self).map(move |kept, session, ctx| match kept {
            Ok(kept) => session.replay(since, kept, ctx),
            Err(error) => session.try_again(&error, tries, ctx, move |session, ctx| {
                session.resume(since, tries - 1, ctx);
            }),
        }));
    }

    fn try_again(
        &mut self,
        error: &StoreError,
        tries: u32,
        ctx: &mut Ctx,
        again: impl FnOnce(&mut Self, &mut Ctx) + 'static,
    ) {
        if tries == 0 {
            log::warn!("a client's missed alerts cannot be read: {error}");
            return self.hang_up(Close::TooSlow, ctx);
        }
        let pause = actix_rt::time::sleep(READ_PAUSE);
        ctx.wait(pause.into_actor(self).map(move |(), session, ctx| {
            if !session.is_over(ctx) {
                again(session, ctx);
            }
        }));
    }

    fn replay(&mut self, since: u64, kept: Kept, ctx: &mut Ctx) {
        let resume = Resume::from(since, kept, self.alerts_from);
        self.alerts_to = self.alerts_to.max(resume.skip_to);
        self.alerts_from = self.alerts_from.min(resume.after);
        let replay = Replay { after: resume.after, until: resume.until, tries: READ_TRIES_MAX };
        let pending = self.pending.get_or_insert_default();
        pending.frames.extend(resume.gap.map(|(from, to)| frames::gap(from, to)));
        pending.replay = Some(replay);
        self.go_on(ctx);
    }

    /// Sends the next piece of what is pending, and comes back when the socket has room again.
    fn go_on(&mut self, ctx: &mut Ctx) {
        if self.is_over(ctx) {
            return;
        }
        let Some(mut pending) = self.pending.take() else { return };
        let mut len = 0;
        while let Some(frame) = pending.frames.front()
            && (len == 0 || len + frame.len() <= SNAPSHOT_PIECE_LEN_MAX)
        {
            len += frame.len();
            if let Some(frame) = pending.frames.pop_front() {
                self.send(frame, ctx);
            }
        }
        if !pending.frames.is_empty() {
            self.pending = Some(pending);
            let pause = actix_rt::time::sleep(PIECE_PAUSE);
            ctx.wait(pause.into_actor(self).map(|(), session, ctx| session.go_on(ctx)));
            return;
        }
        let Some(replay) = pending.replay.as_ref() else { return };
        if replay.after >= replay.until {
            return self.send(frames::live(self.alerts_to), ctx);
        }
        let span = Span { since: replay.after, until: Some(replay.until), limit: REPLAY_PAGE_LEN };
        let page = self.live.alerts.seen_by(Reader::new(self.caller()), span);
        self.pending = Some(pending);
        ctx.wait(page.into_actor(self).map(|page, session, ctx| session.replay_page(page, ctx)));
    }

    fn replay_page(&mut self, page: Result<Page, StoreError>, ctx: &mut Ctx) {
        let Some(pending) = self.pending.as_mut() else { return };
        let Some(replay) = pending.replay.as_mut() else { return };
        match page {
            Ok(page) => {
                // The store cannot know less than what the relay has handed out; whatever it says, this ends.
                let is_last = page.items.len() < REPLAY_PAGE_LEN;
                replay.after = if is_last { replay.until } else { page.seq };
                replay.tries = READ_TRIES_MAX;
                pending.frames.extend(page.items.iter().map(|(seq, entry)| entry_frame(*seq, entry)));
                self.go_on(ctx);
            }
            Err(error) => {
                let tries = replay.tries;
                replay.tries = tries.saturating_sub(1);
                self.try_again(&error, tries, ctx, Self::go_on);
            }
        }
    }

    fn alerts(&mut self, batch: &[AlertFrame], ctx: &mut Ctx) {
        for frame in batch {
            if frame.seq > self.alerts_to {
                if frame.reach.includes(self.caller()) {
                    self.send(frame.text.clone(), ctx);
                }
                self.alerts_to = frame.seq;
            }
        }
    }

    fn subscribed(&mut self, answer: Subscribed, ctx: &mut Ctx) {
        if let Some(at) = answer.alerts_from {
            (self.alerts_from, self.alerts_to) = (at, at);
        }
        self.pending = Some(Box::new(Pending { frames: answer.frames.into(), replay: None }));
        let listens = self.record.as_ref().is_ok_and(|record| record.has_channel(&Channel::Alerts));
        match answer.since {
            // Nothing is read when there is nothing to replay.
            Some(since) if listens && since != self.alerts_from => self.resume(since, READ_TRIES_MAX, ctx),
            since => {
                if listens && (since.is_some() || answer.alerts_from.is_some()) {
                    let live = frames::live(self.alerts_to);
                    self.pending.get_or_insert_default().frames.push_back(live);
                }
                self.go_on(ctx);
            }
        }
    }

    /// A whole text message of the client.
    fn hear(&mut self, text: &str, ctx: &mut Ctx) {
        match ClientFrame::parse(text) {
            Ok(ClientFrame::Ping) => self.send(frames::pong(), ctx),
            Ok(ClientFrame::Ack { id }) => self.ack(id, ctx),
            Ok(ClientFrame::Subscribe { channels, since, seats_since }) => {
                let channels = self.open_channels(&channels, ctx);
                if let Ok(record) = &self.record {
                    let ask = Subscribe { id: record.id, channels, since, seats_since };
                    self.ask(ask, ctx);
                }
            }
            Ok(ClientFrame::Unsubscribe { channels }) => {
                let channels = channels.iter().filter_map(|name| Channel::parse(name)).collect();
                if let Ok(record) = &self.record {
                    let ask = Unsubscribe { id: record.id, channels };
                    self.ask(ask, ctx);
                }
            }
            Err(error) => self.send(frames::error(error.code, &error.detail), ctx),
        }
    }

    /// Keeps that an alert was seen. Only what is wrong is told.
    fn ack(&self, alert: String, ctx: &mut Ctx) {
        let Some((user, role)) = self.caller() else {
            return self.send(frames::error("unauthenticated", "who has seen it is not known without a sign-in"), ctx);
        };
        let ack = Ack { alert, user: user.clone(), role, at: self.live.clock.now() };
        let kept = self.live.acks.clone().keep(ack);
        ctx.wait(kept.into_actor(self).map(|kept, session, ctx| match kept {
            Ok(true) => {}
            Ok(false) => session.send(frames::error("not_found", "there is no such alert"), ctx),
            Err(_) => session.send(frames::error("overloaded", "too much is waiting, and nothing was kept"), ctx),
        }));
    }

    /// Those of the channels that are there and open to the caller; for each other an error is sent.
    fn open_channels(&self, names: &[String], ctx: &mut Ctx) -> Vec<Channel> {
        let role = self.caller().map(|caller| caller.1);
        let mut open = Vec::with_capacity(names.len());
        for name in names {
            match Channel::parse(name) {
                Some(channel) if channel.is_open_to(role) => open.push(channel),
                Some(channel) => {
                    let detail = format!("the channel {channel} is not open to you");
                    self.send(frames::error("forbidden", &detail), ctx);
                }
                None => self.send(frames::error("invalid", "there is no such channel"), ctx),
            }
        }
        open
    }

    /// Passes something to the relay, and looks at nothing else until the relay has taken it: a client that asks much
    /// waits for itself.
    fn ask<M>(&self, message: M, ctx: &mut Ctx)
    where
        M: Message<Result = ()> + Send + 'static,
        Relay: Handler<M>,
    {
        ctx.wait(self.relay.send(message).into_actor(self).map(|taken, session, ctx| {
            if taken.is_err() {
                session.hang_up(Close::Restarting, ctx);
            }
        }));
    }

    /// A piece of a message that comes in fragments; the guard has counted their length.
    fn fragment(&mut self, item: Item, ctx: &mut Ctx) {
        match item {
            Item::FirstText(part) => self.fragments = BytesMut::from(&part[..]),
            Item::FirstBinary(_) => self.hang_up(Close::Binary, ctx),
            Item::Continue(part) => self.fragments.extend_from_slice(&part),
            Item::Last(part) => {
                let mut message = std::mem::take(&mut self.fragments);
                message.extend_from_slice(&part);
                match std::str::from_utf8(&message) {
                    Ok(text) => self.hear(text, ctx),
                    Err(_) => self.hang_up(Close::NotUtf8, ctx),
                }
            }
        }
    }
}

impl Actor for Session {
    type Context = Ctx;

    fn started(&mut self, ctx: &mut Ctx) {
        ctx.set_mailbox_capacity(QUEUE_LEN);
        let record = match &self.record {
            Ok(record) => record.clone(),
            Err(close) => {
                let close = *close;
                return self.hang_up(close, ctx);
            }
        };
        let join = self.relay.send(Join { session: ctx.address(), record });
        ctx.wait(join.into_actor(self).map(|at, session, ctx| match at {
            Ok(at) => session.joined(at, ctx),
            Err(_) => session.hang_up(Close::Restarting, ctx),
        }));
    }

    fn stopped(&mut self, _: &mut Ctx) {
        self.leave();
    }
}

impl Handler<Push> for Session {
    type Result = ();

    fn handle(&mut self, push: Push, ctx: &mut Ctx) {
        if let Ok(record) = &self.record {
            record.dequeue();
        }
        if self.is_over(ctx) {
            return;
        }
        match push {
            Push::Alerts(batch) => self.alerts(&batch, ctx),
            Push::Text(frame) => self.send(frame, ctx),
            Push::Subscribed(answer) => self.subscribed(*answer, ctx),
            // The time travels with the ping, and comes back with the pong.
            Push::Beat => ctx.ping(&self.live.clock.now().as_millisecond().to_be_bytes()),
            Push::Close(close) => self.hang_up(close, ctx),
        }
    }
}

impl StreamHandler<Result<Frame, ProtocolError>> for Session {
    fn handle(&mut self, frame: Result<Frame, ProtocolError>, ctx: &mut Ctx) {
        if self.is_over(ctx) {
            return;
        }
        let now = self.live.clock.now();
        if let Ok(record) = &self.record {
            record.seen(now);
        }
        match frame {
            Ok(Frame::Text(text)) => self.hear(&text, ctx),
            Ok(Frame::Continuation(item)) => self.fragment(item, ctx),
            Ok(Frame::Ping(bytes)) => ctx.pong(&bytes),
            Ok(Frame::Pong(bytes)) => {
                if let (Ok(record), Ok(sent)) = (&self.record, <[u8; 8]>::try_from(&bytes[..])) {
                    let rtt_ms = now.as_millisecond().saturating_sub(i64::from_be_bytes(sent));
                    record.answered_after(u32::try_from(rtt_ms).unwrap_or(0));
                }
            }
            Ok(Frame::Binary(_)) => self.hang_up(Close::Binary, ctx),
            Ok(Frame::Close(_)) => {
                if self.leave() {
                    ctx.close(Some(CloseCode::Normal.into()));
                }
                ctx.stop();
            }
            Ok(Frame::Nop) => {}
            Err(error) => {
                let why = match (self.gate.refused.take(), error) {
                    (Some(close), _) => close,
                    (None, _) if self.gate.is_broken.get() => return ctx.stop(),
                    // The one failure of reading text that is no failure of the transport.
                    (None, ProtocolError::Io(_)) => Close::NotUtf8,
                    (None, _) => Close::Protocol,
                };
                self.hang_up(why, ctx);
            }
        }
    }
}
