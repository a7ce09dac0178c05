//! Carries the messages of hubs between two NATS servers, and loses, repeats or reorders them on the way.

use std::thread::JoinHandle;

use async_nats::{Client, ConnectOptions, Message};
use futures_util::StreamExt as _;
use tokio::runtime::Builder;
use tokio::sync::oneshot;

use super::WAIT_MAX;
use super::nats::NatsServer;

/// Number of messages that are held back before they are sent in the opposite order. Each hub sends one a second.
const HELD: usize = 4;
/// How many times a repeated message is sent.
const TIMES: usize = 3;

/// How messages are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// None arrives.
    LoseAll,
    /// Every third one arrives.
    LoseSome,
    /// Each arrives [`TIMES`] times.
    Repeat,
    /// They arrive late, in groups of [`HELD`], the latest first.
    Reorder,
}

/// A thread that carries messages until this value is dropped.
pub struct NatsJoint {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl NatsJoint {
    /// Starts carrying messages between two servers, in both directions. Returns when both accept the connection.
    pub fn start(servers: [&NatsServer; 2], fate: Fate) -> Self {
        let urls = servers.map(NatsServer::url);
        let (stop, stopped) = oneshot::channel();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let sides = [Side::connect(&urls[0]).await, Side::connect(&urls[1]).await];
                ready.send(()).unwrap();
                carry(sides, fate, stopped).await;
            });
        });
        is_ready.recv_timeout(WAIT_MAX).expect("both servers accept the connection");
        Self { stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for NatsJoint {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(std::thread::panicking() || !matches!(ended, Some(Err(_))), "a message could not be carried");
    }
}

/// A connection to one of the servers.
struct Side {
    client: Client,
    messages: async_nats::Subscriber,
    /// Messages for this side that are held back.
    held: Vec<Message>,
    /// The number of messages for this side so far.
    count: usize,
}

impl Side {
    async fn connect(url: &str) -> Self {
        // A message that is carried to a server is not carried back.
        let client = ConnectOptions::new().no_echo().connect(url).await.unwrap();
        let messages = client.subscribe(">").await.unwrap();
        client.flush().await.unwrap();
        Self { client, messages, held: Vec::new(), count: 0 }
    }

    async fn send(&self, message: &Message) {
        self.client.publish(message.subject.clone(), message.payload.clone()).await.unwrap();
    }

    /// Sends a message to this side, according to its fate.
    async fn pass(&mut self, message: Message, fate: Fate) {
        self.count += 1;
        match fate {
            Fate::LoseAll => {}
            Fate::LoseSome => {
                if self.count.is_multiple_of(3) {
                    self.send(&message).await;
                }
            }
            Fate::Repeat => {
                for _ in 0..TIMES {
                    self.send(&message).await;
                }
            }
            Fate::Reorder => {
                self.held.push(message);
                if self.held.len() == HELD {
                    for message in std::mem::take(&mut self.held).iter().rev() {
                        self.send(message).await;
                    }
                }
            }
        }
    }
}

async fn carry([mut one, mut other]: [Side; 2], fate: Fate, mut stop: oneshot::Receiver<()>) {
    loop {
        tokio::select! {
            _ = &mut stop => break,
            Some(message) = one.messages.next() => other.pass(message, fate).await,
            Some(message) = other.messages.next() => one.pass(message, fate).await,
            else => break,
        }
    }
}
