//! A simulation of a feed that replays while alerts arrive.

use std::collections::VecDeque;

use crate::live::feed::{Feed, FeedInput, FeedOutput};
use crate::live::feed_tests::{alerts, joined, page, range, session};
use crate::live::messages::{CaughtUp, Push};
use crate::live::replay::REPLAY_PAGE_LEN;

/// A driver, a relay and a store in one: entries are stored and pushed while a feed replays.
struct Simulation {
    feed: Feed,
    /// The last stored position.
    stored: u64,
    /// Pushes in the session's queue.
    queue: VecDeque<Push>,
    /// The output that needs a reply.
    open: Option<FeedOutput>,
    /// Positions of the alerts that the client received.
    received: Vec<u64>,
    /// Positions of the `live` frames that the client received.
    live: Vec<u64>,
}

impl Simulation {
    fn input(&mut self, input: FeedInput<'_>) {
        for output in self.feed.handle(input) {
            assert!(self.open.is_none(), "an output follows one that needs a reply");
            match output {
                FeedOutput::Send(frame) if frame.text.contains(r#""type":"live""#) => {
                    self.live.extend(frame.position);
                }
                FeedOutput::Send(frame) => self.received.extend(frame.position),
                output if output.needs_reply() => self.open = Some(output),
                other => panic!("{other:?}"),
            }
        }
    }

    /// Stores `count` entries, and pushes them one by one.
    fn store(&mut self, count: u64) {
        for seq in self.stored + 1..=self.stored + count {
            self.queue.push_back(alerts([seq]));
        }
        self.stored += count;
    }

    /// Replies to the open output, or handles a push. Returns false when there is nothing to do.
    fn step(&mut self) -> bool {
        match self.open.take() {
            Some(FeedOutput::ReadRange { .. }) => self.input(range(1, self.stored)),
            Some(FeedOutput::ReadPage { after, until }) => {
                let seqs: Vec<u64> = (after + 1..=until.min(self.stored)).take(REPLAY_PAGE_LEN).collect();
                let next = if seqs.len() < REPLAY_PAGE_LEN { until } else { *seqs.last().unwrap() };
                self.input(page(seqs, next));
            }
            Some(FeedOutput::Wait(_) | FeedOutput::Flush) => self.input(FeedInput::Done),
            Some(other) => panic!("{other:?}"),
            None => match self.queue.pop_front() {
                Some(push) => self.input(FeedInput::Push(push)),
                None => return false,
            },
        }
        true
    }
}

#[test]
fn alerts_that_arrive_during_a_replay_are_sent_once_and_in_order() {
    for (since, relay_at, stored) in [(5, 20, 20), (0, 100, 100), (3, 40, 45), (45, 40, 45), (0, 0, 50), (16, 48, 48)] {
        for arriving in 0..4 {
            let feed = Feed::new(session(None), Some(since));
            let (queue, received, live) = (VecDeque::new(), Vec::new(), Vec::new());
            let mut simulation = Simulation { feed, stored: relay_at, queue, open: None, received, live };
            // The store may be ahead of the relay, which pushes the rest later.
            simulation.store(stored - relay_at);
            simulation.input(joined(relay_at));
            let mut rounds = 0;
            while simulation.step() {
                rounds += 1;
                if rounds < 30 {
                    simulation.store(arriving);
                }
            }
            let expected: Vec<u64> = (since + 1..=simulation.stored).collect();
            let what = format!("since {since}, relay at {relay_at}, {arriving} arrive with each step");
            assert_eq!(simulation.received, expected, "{what}");
            assert_eq!(simulation.live.len(), 1, "{what}");
        }
    }
}

#[test]
fn held_back_alerts_are_read_from_the_store_without_another_live() {
    let mut feed = Feed::new(session(None), None);
    feed.handle(joined(5));
    feed.handle(FeedInput::Push(alerts([6, 7])));
    let missed = CaughtUp { frames: vec![r#"{"type":"seats"}"#.into()], alerts_to: Some(9) };
    let outputs = feed.handle(FeedInput::Push(Push::CaughtUp(Box::new(missed))));
    let [FeedOutput::Send(seats), FeedOutput::ReadPage { after: 7, until: 9 }] = &outputs[..] else {
        panic!("{outputs:?}")
    };
    assert!(seats.text.contains("seats"));
    let positions = |outputs: &[FeedOutput]| -> Vec<Option<u64>> {
        let position = |output: &FeedOutput| match output {
            FeedOutput::Send(frame) => frame.position,
            other => panic!("{other:?}"),
        };
        outputs.iter().map(position).collect()
    };
    assert_eq!(positions(&feed.handle(page([8, 9], 9))), [Some(8), Some(9)]);
    // An alert that was read from the store is not sent again when it is pushed.
    assert_eq!(positions(&feed.handle(FeedInput::Push(alerts([9, 10])))), [Some(10)]);
}
