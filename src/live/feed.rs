//! What one live session receives, independent of its transport: join, replay, resume, snapshots and positions.
//!
//! A [`Feed`] is a state machine without I/O. Its driver gives it inputs (the relay's pushes, the client's messages,
//! the replies of the store) and carries out the outputs that each input yields. A driver obeys three rules:
//!
//! 1. Outputs are carried out in their order. At most the last one needs a reply ([`FeedOutput::needs_reply`]).
//! 2. Until that reply has arrived, the feed gets no other input. The relay's pushes wait in the session's bounded
//!    queue. When the first part of the queue is full, the relay holds further seats and alerts back, and sends
//!    [`Push::CaughtUp`] later. If a session does not wait for a reply and its queue is full, its relay evicts it.
//! 3. After [`FeedOutput::Close`] there are no outputs.
//!
//! # Replay without gaps
//! A session joins its relay at a position L of the sequence of alerts: the relay pushes every entry after L. A client
//! that resumes at `since` then gets (`since`, L] from the tail in memory or the store, `live`, and the pushes that
//! have waited. Entries up to the greatest position sent are skipped, so that each arrives once.
//!
//! # Transports
//! `driver` runs a feed inside an actor, for any implementation of its `Transport`: how to send a frame, ping, and
//! close. A WebSocket is one ([`crate::live::ws`]). Server-Sent Events are another ([`crate::live::sse`]): it writes
//! [`FeedOutput::Send`] as `id:` (the frame's position) and `data:` lines, [`FeedOutput::Ping`] as a comment line, and
//! ends the response on [`FeedOutput::Close`]; `Last-Event-ID` is the `since` of [`Feed::new`].

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytestring::ByteString;
use jiff::Timestamp;
use smallvec::{SmallVec, smallvec};

use crate::domain::channel::Channel;
use crate::domain::ids::UserName;
use crate::domain::role::Role;
use crate::live::alert_frame::AlertFrame;
use crate::live::close::Close;
use crate::live::frames::{self, ClientFrame, ErrorCode, FrameError, ServerFrame};
use crate::live::live_session::LiveSession;
use crate::live::messages::{CaughtUp, Push, Subscribed};
use crate::live::replay::{BURST_LEN_MAX, ReplayPage, Resume};
use crate::store::StoreError;
use crate::store::alerts::StoredRange;

/// Maximum number of repetitions of a failed read of the store.
pub const READ_RETRIES_MAX: u32 = 5;
/// The pause before a failed read is repeated.
pub const READ_PAUSE: Duration = Duration::from_millis(200);

/// An input of a [`Feed`].
#[derive(Debug)]
pub enum FeedInput<'a> {
    /// The relay has registered the session.
    Joined(Joined),
    /// A push of the relay.
    Push(Push),
    /// A message of the client.
    Message(&'a str),
    /// The client has sent something, such as a pong.
    Alive,
    /// The transport failed, the client violated its protocol or disconnected, or the session cannot join its relay.
    Ended(Close),
    /// The reply to [`FeedOutput::ReadRange`].
    Range(Result<StoredRange, StoreError>),
    /// The reply to [`FeedOutput::ReadPage`].
    Page(Result<ReplayPage, StoreError>),
    /// The reply to [`FeedOutput::Acknowledge`]: whether the alert was sent to the user.
    Acknowledged(Result<bool, StoreError>),
    /// The reply to [`FeedOutput::Wait`], [`FeedOutput::Flush`], [`FeedOutput::Subscribe`] and
    /// [`FeedOutput::Unsubscribe`].
    Done,
    /// The relay has stopped.
    RelayGone,
}

/// The state at the time when a session has joined its relay.
#[derive(Debug, Clone, Copy)]
pub struct Joined {
    /// The position in the sequence of alerts after which the relay pushes every entry.
    pub seq: u64,
    /// The time.
    pub now: Timestamp,
    /// The interval of the hub's pings.
    pub heartbeat: Duration,
    /// Whether the caller's token is valid. The event that ended it may have passed the relay before the session
    /// joined.
    pub is_token_valid: bool,
    /// Whether the hub is stopping. The relay closed its other sessions before this one joined.
    pub is_draining: bool,
}

/// An output of a [`Feed`].
#[derive(Debug)]
pub enum FeedOutput {
    /// Send a frame.
    Send(FeedFrame),
    /// Send a ping, in the form that the transport has for it.
    Ping,
    /// Close the connection. It is the last output.
    Close(Close),
    /// Wait, then reply with [`FeedInput::Done`].
    Wait(Duration),
    /// Wait until the write buffer has room for another burst, then reply with [`FeedInput::Done`].
    Flush,
    /// Read which part of the sequence of alerts is available to a client that resumes at `since`.
    ReadRange {
        /// The client's position.
        since: u64,
    },
    /// Read entries after `after` and up to `until` of which the session's caller is a recipient.
    ReadPage {
        /// The position of the last entry before the page.
        after: u64,
        /// The last position of the replay.
        until: u64,
    },
    /// Store an acknowledgement of an alert.
    Acknowledge {
        /// The alert's id.
        alert: String,
        /// The user.
        user: UserName,
        /// The user's role.
        role: Role,
    },
    /// Make the relay subscribe the session to channels, all of them open to its caller. The reply arrives when
    /// the relay has handled the request, so that a client that sends many requests delays only itself.
    Subscribe {
        /// The channels.
        channels: Vec<Channel>,
        /// The position after which the client wants the alerts to be sent again.
        since: Option<u64>,
        /// The term's sequence up to which the client has the seats.
        seats_since: Option<u64>,
    },
    /// Make the relay unsubscribe the session from channels.
    Unsubscribe(Vec<Channel>),
}

impl FeedOutput {
    /// Returns whether the feed must not get other input before the reply to this output.
    #[must_use]
    pub const fn needs_reply(&self) -> bool {
        match self {
            Self::Send(_) | Self::Ping | Self::Close(_) => false,
            Self::Wait(_)
            | Self::Flush
            | Self::ReadRange { .. }
            | Self::ReadPage { .. }
            | Self::Acknowledge { .. }
            | Self::Subscribe { .. }
            | Self::Unsubscribe(_) => true,
        }
    }
}

/// The outputs of one input. Nearly every input yields one, which needs no allocation.
pub type FeedOutputs = SmallVec<[FeedOutput; 1]>;

/// An encoded frame to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedFrame {
    /// The frame, JSON text.
    pub text: ByteString,
    /// The client's position in the sequence of alerts after this frame; `None` if it does not change. A transport
    /// whose events have ids uses it as the id.
    pub position: Option<u64>,
}

impl FeedFrame {
    const fn new(text: ByteString) -> Self {
        Self { text, position: None }
    }

    const fn at(position: u64, text: ByteString) -> Self {
        Self { text, position: Some(position) }
    }

    fn live(position: u64) -> Self {
        Self::at(position, ServerFrame::Live { seq: position }.encode())
    }
}

/// The state of one live session.
pub struct Feed {
    session: Arc<LiveSession>,
    /// The position at which the client resumes. Taken when the session has joined.
    since: Option<u64>,
    /// Channels to subscribe to. Taken when the session is live, so that missed alerts come before everything else.
    channels: Vec<Channel>,
    /// Every entry after this position was sent or will be pushed.
    complete_after: u64,
    /// Entries up to this position were sent, or the client already had them.
    sent_to: u64,
    is_ended: bool,
    /// Whether an error was already sent about the subscription that the relay is handling.
    has_error: bool,
    /// Output that is sent in several steps. Boxed, and freed when all of it is sent, because most sessions have
    /// nothing pending.
    pending: Option<Box<Pending>>,
}

/// Frames that are sent in bursts, and the replay that follows them.
#[derive(Default)]
struct Pending {
    frames: VecDeque<FeedFrame>,
    replay: Replay,
}

/// The step of a replay.
#[derive(Default)]
enum Replay {
    /// There is nothing to replay.
    #[default]
    None,
    /// The stored range is being read, to decide where the replay starts.
    Range { since: u64, retries: u32 },
    /// Pages of (`after`, `until`] are being read and sent, then `live` if the client resumes.
    Pages { after: u64, until: u64, retries: u32, resumes: bool },
}

impl Feed {
    /// Creates the feed of a session whose client resumes at the position `since`; `None` for a new client.
    #[must_use]
    pub const fn new(session: Arc<LiveSession>, since: Option<u64>) -> Self {
        let channels = Vec::new();
        Self {
            session,
            since,
            channels,
            complete_after: 0,
            sent_to: 0,
            is_ended: false,
            has_error: false,
            pending: None,
        }
    }

    /// Subscribes the session to channels once it is live. All of them must be open to its caller.
    #[must_use]
    pub fn with_channels(self, channels: Vec<Channel>) -> Self {
        Self { channels, ..self }
    }

    /// Returns the session.
    #[must_use]
    pub const fn session(&self) -> &Arc<LiveSession> {
        &self.session
    }

    /// Ends the feed, which then yields no more outputs. Returns false if it had already ended.
    pub fn end(&mut self) -> bool {
        self.pending = None;
        !std::mem::replace(&mut self.is_ended, true)
    }

    /// Handles an input, and returns the outputs that the driver has to carry out.
    pub fn handle(&mut self, input: FeedInput<'_>) -> FeedOutputs {
        if self.is_ended {
            return FeedOutputs::new();
        }
        if let Some(why) = self.session.requested_close() {
            return self.close(why);
        }
        match input {
            FeedInput::Joined(joined) => self.joined(joined),
            FeedInput::Push(push) => self.pushed(push),
            FeedInput::Message(text) => self.received(text),
            FeedInput::Alive => FeedOutputs::new(),
            FeedInput::Ended(why) => self.close(why),
            FeedInput::Range(Ok(stored)) => self.start_replay(stored),
            FeedInput::Page(Ok(page)) => self.replay(page),
            FeedInput::Range(Err(error)) | FeedInput::Page(Err(error)) => self.retry(&error),
            FeedInput::Acknowledged(stored) => acknowledged(&stored),
            FeedInput::Done => self.advance(),
            FeedInput::RelayGone => self.close(Close::Restarting),
        }
    }

    fn close(&mut self, why: Close) -> FeedOutputs {
        if self.end() { smallvec![FeedOutput::Close(why)] } else { FeedOutputs::new() }
    }

    fn joined(&mut self, joined: Joined) -> FeedOutputs {
        if !joined.is_token_valid {
            return self.close(Close::Unauthenticated);
        }
        if joined.is_draining {
            return self.close(Close::Restarting);
        }
        (self.complete_after, self.sent_to) = (joined.seq, joined.seq);
        let welcome = ServerFrame::Welcome {
            session: self.session.id,
            user: self.session.identity().map(|(user, _)| user),
            role: self.session.identity().map(|(_, role)| role),
            heartbeat_s: joined.heartbeat.as_secs().max(1),
            now: joined.now,
            seq: joined.seq,
        };
        let welcome = FeedFrame::new(welcome.encode());
        match self.since.take() {
            Some(since) if since != joined.seq => {
                let replay = Replay::Range { since, retries: READ_RETRIES_MAX };
                self.pending = Some(Box::new(Pending { frames: [welcome].into(), replay }));
                self.advance()
            }
            _ => {
                let mut outputs = smallvec![FeedOutput::Send(welcome), FeedOutput::Send(FeedFrame::live(joined.seq))];
                self.subscribe_first(&mut outputs);
                outputs
            }
        }
    }

    /// Requests the channels with which the session was opened, once.
    fn subscribe_first(&mut self, outputs: &mut FeedOutputs) {
        let channels = std::mem::take(&mut self.channels);
        if !channels.is_empty() {
            outputs.push(FeedOutput::Subscribe { channels, since: None, seats_since: None });
        }
    }

    fn pushed(&mut self, push: Push) -> FeedOutputs {
        match push {
            Push::Alerts(batch) => self.alerts(&batch),
            Push::Frame(text) => send(text),
            Push::Subscribed(reply) => self.subscribed(*reply),
            Push::CaughtUp(missed) => self.caught_up(*missed),
            Push::Ping => smallvec![FeedOutput::Ping],
            Push::Close(why) => self.close(why),
        }
    }

    fn alerts(&mut self, batch: &[Arc<AlertFrame>]) -> FeedOutputs {
        let mut outputs = FeedOutputs::new();
        for frame in batch.iter().filter(|frame| frame.seq > self.sent_to) {
            if let Some(text) = frame.text_for(self.session.identity()) {
                outputs.push(FeedOutput::Send(FeedFrame::at(frame.seq, text)));
            }
        }
        self.sent_to = batch.last().map_or(self.sent_to, |last| self.sent_to.max(last.seq));
        outputs
    }

    fn subscribed(&mut self, reply: Subscribed) -> FeedOutputs {
        if let Some(from) = reply.alerts_from {
            (self.complete_after, self.sent_to) = (from, from);
        }
        let error = reply.error.filter(|_| !self.has_error);
        let frames = reply.frames.into_iter().chain(error).map(FeedFrame::new).collect();
        let mut pending = Pending { frames, ..Pending::default() };
        if self.session.has_channel(&Channel::Alerts) {
            match reply.since {
                Some(since) if since != self.complete_after => {
                    pending.replay = Replay::Range { since, retries: READ_RETRIES_MAX };
                }
                // Nothing was missed, so the store is not read.
                Some(_) => pending.frames.push_back(FeedFrame::live(self.sent_to)),
                None if reply.alerts_from.is_some() => pending.frames.push_back(FeedFrame::live(self.sent_to)),
                None => {}
            }
        }
        self.pending = Some(Box::new(pending));
        self.advance()
    }

    /// Sends the frames that the relay has held back, and requests the alerts that the session has missed.
    fn caught_up(&mut self, missed: CaughtUp) -> FeedOutputs {
        let replay = match missed.alerts_to {
            Some(until) => Replay::Pages { after: self.sent_to, until, retries: READ_RETRIES_MAX, resumes: false },
            None => Replay::None,
        };
        let frames = missed.frames.into_iter().map(FeedFrame::new).collect();
        self.pending = Some(Box::new(Pending { frames, replay }));
        self.advance()
    }

    /// Sends the next burst of pending frames, or requests the next read.
    fn advance(&mut self) -> FeedOutputs {
        let mut outputs = FeedOutputs::new();
        let Some(pending) = &mut self.pending else { return outputs };
        let mut room = BURST_LEN_MAX;
        while let Some(frame) = pending.frames.pop_front() {
            if !outputs.is_empty() && frame.text.len() > room {
                pending.frames.push_front(frame);
                outputs.push(FeedOutput::Flush);
                return outputs;
            }
            room = room.saturating_sub(frame.text.len());
            outputs.push(FeedOutput::Send(frame));
        }
        match pending.replay {
            Replay::Range { since, .. } => outputs.push(FeedOutput::ReadRange { since }),
            Replay::Pages { after, until, .. } if after < until => outputs.push(FeedOutput::ReadPage { after, until }),
            Replay::Pages { until, resumes, .. } => {
                self.sent_to = self.sent_to.max(until);
                if resumes {
                    outputs.push(FeedOutput::Send(FeedFrame::live(self.sent_to)));
                }
                self.pending = None;
                self.subscribe_first(&mut outputs);
            }
            Replay::None => self.pending = None,
        }
        outputs
    }

    fn start_replay(&mut self, stored: StoredRange) -> FeedOutputs {
        let Some(pending) = &mut self.pending else { return FeedOutputs::new() };
        let Replay::Range { since, .. } = pending.replay else { return FeedOutputs::new() };
        let resume = Resume::new(since, stored, self.complete_after);
        self.sent_to = self.sent_to.max(resume.skip_to);
        self.complete_after = resume.after;
        if let Some((from, to)) = resume.gap {
            pending.frames.push_back(FeedFrame::new(ServerFrame::Gap { from, to }.encode()));
        }
        let (after, until) = (resume.after, resume.until);
        pending.replay = Replay::Pages { after, until, retries: READ_RETRIES_MAX, resumes: true };
        self.advance()
    }

    fn replay(&mut self, page: ReplayPage) -> FeedOutputs {
        let Some(pending) = &mut self.pending else { return FeedOutputs::new() };
        let Replay::Pages { until, resumes, .. } = pending.replay else { return FeedOutputs::new() };
        pending.replay = Replay::Pages { after: page.after, until, retries: READ_RETRIES_MAX, resumes };
        pending.frames.extend(page.frames.into_iter().map(|(seq, text)| FeedFrame::at(seq, text)));
        self.advance()
    }

    /// Repeats a failed read, or closes the session after [`READ_RETRIES_MAX`] repetitions.
    fn retry(&mut self, error: &StoreError) -> FeedOutputs {
        let replay = self.pending.as_mut().map(|pending| &mut pending.replay);
        let Some(Replay::Range { retries, .. } | Replay::Pages { retries, .. }) = replay else {
            return FeedOutputs::new();
        };
        if let Some(left) = retries.checked_sub(1) {
            *retries = left;
            smallvec![FeedOutput::Wait(READ_PAUSE)]
        } else {
            log::warn!("a session is closed because the alerts that its client missed cannot be read: {error}");
            self.close(Close::TooSlow)
        }
    }

    fn received(&mut self, text: &str) -> FeedOutputs {
        match ClientFrame::parse(text) {
            Ok(ClientFrame::Ping) => send(ServerFrame::Pong.encode()),
            Ok(ClientFrame::Ack { id }) => match self.session.identity() {
                Some((user, role)) => {
                    smallvec![FeedOutput::Acknowledge { alert: id, user: user.clone(), role }]
                }
                None => send(frames::error(ErrorCode::Unauthenticated, "sign in to acknowledge alerts")),
            },
            Ok(ClientFrame::Subscribe { channels, since, seats_since }) => {
                let (channels, error) = self.open_channels(&channels);
                self.has_error = error.is_some();
                let mut outputs: FeedOutputs =
                    error.into_iter().map(|it| FeedOutput::Send(FeedFrame::new(it))).collect();
                outputs.push(FeedOutput::Subscribe { channels, since, seats_since });
                outputs
            }
            Ok(ClientFrame::Unsubscribe { channels }) => {
                let channels = channels.iter().filter_map(|name| Channel::parse(name)).collect();
                smallvec![FeedOutput::Unsubscribe(channels)]
            }
            Err(error) => send(frames::error(error.code, &error.detail)),
        }
    }

    /// Returns the named channels that exist and are open to the caller, and an error if there are others.
    fn open_channels(&self, names: &[String]) -> (Vec<Channel>, Option<ByteString>) {
        let role = self.session.identity().map(|(_, role)| role);
        let (mut open, mut refused) = (Vec::with_capacity(names.len()), Vec::new());
        for name in names {
            let (code, detail) = match Channel::parse(name) {
                Some(channel) if channel.is_open_to(role) => {
                    open.push(channel);
                    continue;
                }
                Some(channel) => (ErrorCode::Forbidden, format!("you may not subscribe to the channel {channel}")),
                None => (ErrorCode::Invalid, "there is no such channel".to_owned()),
            };
            refused.push(FrameError { code, detail });
        }
        (open, frames::first_error(&refused))
    }
}

fn send(text: ByteString) -> FeedOutputs {
    smallvec![FeedOutput::Send(FeedFrame::new(text))]
}

fn acknowledged(stored: &Result<bool, StoreError>) -> FeedOutputs {
    match stored {
        Ok(true) => FeedOutputs::new(),
        Ok(false) => send(frames::error(ErrorCode::NotFound, "there is no such alert")),
        Err(_) => send(frames::error(ErrorCode::Overloaded, "the acknowledgement was not stored; try again")),
    }
}
