//! A relay as the broker sees it: its bounded mailbox, and the messages that wait until they fit.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix::prelude::*;

use crate::live::messages::FanOut;

/// The longest backlog of frames for a relay that is behind. Frames beyond it are dropped. Nothing important is lost,
/// because what must reach a student is also stored as an alert.
const BACKLOG_LEN_MAX: usize = 1_024;
/// The largest backlog of a relay in bytes. A frame for one user takes about 150.
const BACKLOG_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A relay, and the messages that are still to be sent to it.
pub(super) struct RelayLink {
    pub(super) relay: Recipient<FanOut>,
    /// Number of messages that were sent and not handled yet.
    in_flight: Arc<AtomicUsize>,
    /// The position of the last alert that was sent.
    pub(super) alerts_to: u64,
    /// Messages that are never dropped. The queue has no bound, because they are small and rare: each closes live
    /// sessions after a sign-out, after a change to a user, at an admin's request, or because the hub is stopping.
    urgent: VecDeque<FanOut>,
    /// Frames for one user or channel, at most [`BACKLOG_LEN_MAX`] and [`BACKLOG_BYTES_MAX`].
    backlog: VecDeque<FanOut>,
    backlog_bytes: usize,
}

impl RelayLink {
    /// Creates a link to a relay that gets every alert after `alerts_to`.
    pub(super) fn new(relay: Recipient<FanOut>, in_flight: Arc<AtomicUsize>, alerts_to: u64) -> Self {
        Self { relay, in_flight, alerts_to, urgent: VecDeque::new(), backlog: VecDeque::new(), backlog_bytes: 0 }
    }

    /// Sends a frame for one user or channel, in order. A frame that does not fit waits for a later tick.
    pub(super) fn send_or_queue(&mut self, message: FanOut) {
        let bytes = self.backlog_bytes + message.byte_size();
        if self.backlog.is_empty() || (self.backlog.len() < BACKLOG_LEN_MAX && bytes <= BACKLOG_BYTES_MAX) {
            self.backlog.push_back(message);
            self.backlog_bytes = bytes;
            self.flush();
        } else {
            log::warn!(
                "a relay is too far behind; a frame about a registration, a term, an import or metrics was dropped"
            );
        }
    }

    /// Sends an urgent message before the backlog.
    pub(super) fn send_urgent(&mut self, message: FanOut) {
        self.urgent.push_back(message);
        self.flush();
    }

    /// Sends the waiting messages that fit.
    pub(super) fn flush(&mut self) {
        if !self.flush_urgent() {
            return;
        }
        while let Some(message) = self.backlog.front() {
            if !self.try_send(message.clone()) {
                return;
            }
            self.backlog_bytes -= message.byte_size();
            self.backlog.pop_front();
        }
    }

    /// Sends the urgent messages that fit. Returns whether none is left.
    fn flush_urgent(&mut self) -> bool {
        while let Some(message) = self.urgent.front() {
            if !self.try_send(message.clone()) {
                return false;
            }
            self.urgent.pop_front();
        }
        true
    }

    /// Sends a message if it fits, after all urgent ones. Returns whether it was sent.
    pub(super) fn offer(&mut self, message: FanOut) -> bool {
        self.flush_urgent() && self.try_send(message)
    }

    fn try_send(&self, message: FanOut) -> bool {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        let fits = self.relay.try_send(message).is_ok();
        if !fits {
            self.in_flight.fetch_sub(1, Ordering::Relaxed);
        }
        fits
    }

    /// Returns the number of messages that the relay has not handled.
    pub(super) fn len(&self) -> usize {
        self.urgent.len() + self.backlog.len() + self.in_flight.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::{Duration, Instant};

    use super::*;

    /// A relay that records the messages it receives.
    struct RecordingRelay(Arc<Mutex<Vec<String>>>);

    impl Actor for RecordingRelay {
        type Context = Context<Self>;
    }

    impl Handler<FanOut> for RecordingRelay {
        type Result = ();

        fn handle(&mut self, message: FanOut, _: &mut Context<Self>) {
            self.0.lock().unwrap().push(match message {
                FanOut::Metrics(frame) => frame.to_string(),
                other => format!("{other:?}"),
            });
        }
    }

    fn frame(number: usize) -> FanOut {
        FanOut::Metrics(number.to_string().into())
    }

    #[actix_rt::test]
    async fn the_backlog_of_a_relay_is_bounded_in_bytes() {
        let relay = RecordingRelay(Arc::default()).start().recipient();
        let mut link = RelayLink::new(relay, Arc::default(), 0);
        let large = FanOut::Metrics("x".repeat(BACKLOG_BYTES_MAX / 4).into());
        for _ in 0..100 {
            link.send_or_queue(large.clone());
        }
        let bytes: usize = link.backlog.iter().map(FanOut::byte_size).sum();
        assert_eq!((bytes, link.backlog.len()), (link.backlog_bytes, 3));
        link.relay = RecordingRelay(Arc::default()).start().recipient();
        link.flush();
        assert_eq!((link.backlog.len(), link.backlog_bytes), (0, 0));
    }

    #[actix_rt::test]
    async fn urgent_messages_are_sent_before_the_backlog_and_never_lost() {
        let received: Arc<Mutex<Vec<String>>> = Arc::default();
        let relay = RecordingRelay(received.clone()).start().recipient();
        let mut link = RelayLink::new(relay, Arc::default(), 0);
        // The relay does not run before this test awaits, so its mailbox fills up, and then its backlog.
        for number in 0..2 * BACKLOG_LEN_MAX {
            link.send_or_queue(frame(number));
        }
        assert_eq!(link.backlog.len(), BACKLOG_LEN_MAX);
        let delivered = link.len() - BACKLOG_LEN_MAX;
        for _ in 0..2 * BACKLOG_LEN_MAX {
            link.send_urgent(FanOut::Drain);
        }
        assert!(!link.offer(frame(9)), "no message is sent before urgent ones");

        let deadline = Instant::now() + Duration::from_secs(10);
        while !(link.urgent.is_empty() && link.backlog.is_empty()) {
            assert!(Instant::now() < deadline, "the relay accepts the waiting messages");
            actix_rt::task::yield_now().await;
            link.flush();
        }
        while received.lock().unwrap().len() < delivered + 3 * BACKLOG_LEN_MAX {
            assert!(Instant::now() < deadline, "the relay handles the sent messages");
            actix_rt::task::yield_now().await;
        }
        let frames = |range: std::ops::Range<usize>| range.map(|number| number.to_string());
        let urgent = std::iter::repeat_n("Drain".to_owned(), 2 * BACKLOG_LEN_MAX);
        let expected = frames(0..delivered).chain(urgent).chain(frames(delivered..delivered + BACKLOG_LEN_MAX));
        assert!(received.lock().unwrap().iter().cloned().eq(expected));
    }
}
