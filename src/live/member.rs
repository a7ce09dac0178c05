//! A session as its relay sees it: its queue, and the pushes that the relay holds back.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use actix::dev::SendError;
use actix::prelude::*;
use bytestring::ByteString;

use crate::domain::ids::TermId;
use crate::live::alert_frame::AlertFrame;
use crate::live::close::Close;
use crate::live::context::Live;
use crate::live::live_session::LiveSession;
use crate::live::messages::{Push, SeatsTick};

/// Queue length of a waiting session at which its relay starts to hold back seats and alerts. The rest of the queue is
/// left for replies and for frames of its user.
const HOLD_LEN: u32 = 16;

/// A session of the relay's thread.
pub(super) struct Member {
    pub(super) queue: Recipient<Push>,
    pub(super) session: Arc<LiveSession>,
    /// Whether it is subscribed to `alerts`.
    pub(super) alerts: bool,
    /// Whether it is subscribed to `me`.
    pub(super) me: bool,
    /// When it was last pinged.
    pub(super) pinged: Instant,
    /// How long the client has been silent. Time in which the thread could not read does not count.
    pub(super) silent: Duration,
    pub(super) missed: Missed,
}

/// What a relay holds back from a session.
#[derive(Default)]
pub(super) struct Missed {
    /// Whether alerts are held back.
    pub(super) alerts: bool,
    /// The terms whose seats are held back, each with the sequence up to which the session has them.
    pub(super) seats: Vec<(TermId, u64)>,
}

impl Missed {
    const fn is_empty(&self) -> bool {
        !self.alerts && self.seats.is_empty()
    }
}

impl Member {
    /// Puts a push into the session's queue. Returns false when the session has to be removed, because its queue is
    /// full or its actor has stopped.
    pub(super) fn push(&self, push: Push, live: &Live) -> bool {
        self.session.enqueue();
        match self.queue.try_send(push) {
            Ok(()) => true,
            Err(error) => {
                self.session.dequeue();
                if matches!(error, SendError::Full(_)) {
                    live.presence.evicted.fetch_add(1, Ordering::Relaxed);
                    self.session.request_close(Close::TooSlow);
                }
                false
            }
        }
    }

    /// Returns whether seats and alerts have to be held back. While any are, later ones are held back, too, so that
    /// alerts stay in order.
    fn must_hold(&self) -> bool {
        !self.missed.is_empty() || self.session.is_waiting() && self.session.queued() >= HOLD_LEN
    }

    /// Pushes alerts like [`Member::push`], or holds them back.
    pub(super) fn push_alerts(&mut self, batch: &Arc<[Arc<AlertFrame>]>, live: &Live) -> bool {
        if self.must_hold() {
            self.missed.alerts = true;
            self.session.set_behind();
            return true;
        }
        self.push(Push::Alerts(batch.clone()), live)
    }

    /// Pushes seats like [`Member::push`], or holds them back.
    pub(super) fn push_seats(&mut self, tick: &SeatsTick, frame: ByteString, live: &Live) -> bool {
        if !self.must_hold() {
            return self.push(Push::Frame(frame), live);
        }
        match self.missed.seats.iter_mut().find(|(term, _)| *term == tick.term) {
            Some((_, from)) => *from = tick.from.min(*from),
            None => self.missed.seats.push((tick.term.clone(), tick.from)),
        }
        self.session.set_behind();
        true
    }

    /// Adds `step` to the client's silence, unless the client has sent something or the session waits for the hub.
    /// Returns whether the silence was already longer than `limit`.
    pub(super) fn add_silence(&mut self, step: Duration, limit: Duration) -> bool {
        if self.session.take_heard() {
            self.silent = Duration::ZERO;
            return false;
        }
        // A session that waits for the hub does not read what its client has sent.
        if self.session.is_waiting() {
            return false;
        }
        let was_silent = self.silent > limit;
        self.silent += step;
        was_silent
    }
}
