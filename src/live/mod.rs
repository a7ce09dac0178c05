//! Live sessions: each subscribed client receives committed changes, usually within a tick.
//!
//! An event travels bus → [`broker`] → [`relay`] → session:
//! - [`broker`]: encodes each event once and sends it to every relay
//! - `relay_link`: a relay as the broker sees it
//! - [`relay`]: one on each worker thread; passes frames to the sessions of that thread. `seat_watch` is its list of
//!   the sessions that watch seats
//! - [`feed`]: what one session receives, independent of its transport: join, replay, resume, snapshots. `driver` runs
//!   it in an actor. [`replay`]: the parts of a replay; [`tail`]: the newest alerts in memory, from which most replays
//!   are served
//! - `member`: a session as its relay sees it
//! - [`joins`]: the queue in which sessions wait to join their relays; `appointments`: the clients that it has asked to
//!   reconnect later
//! - [`request`]: a request for a session. [`sse`]: Server-Sent Events, which drive a feed
//! - [`ws`]: a WebSocket, which drives a feed; [`frame_guard`], `text_check`, [`frame_rate`]: limits of what its client
//!   may send; `ending` closes its TCP connection
//!
//! They share:
//! - [`context`]: options, ports and services; [`messages`]: the messages between them
//! - [`live_session`]: the state of one connection; [`presence`]: the list of all of them; [`ends`]: how they ended;
//!   [`budget`]: bounds of all of them together
//! - [`other_hubs`]: the sessions of all hubs, for the administration page
//! - [`openings`]: frames to students whose registration window opened
//! - [`frames`]: the messages of clients and of the hub; [`alert_frame`]: an alert for each kind of reader; [`close`]:
//!   close codes; [`alert_scope`]: what an alert concerns, for staff who are limited to subjects

pub mod alert_frame;
pub mod alert_scope;
mod appointments;
pub mod broker;
pub mod budget;
pub mod close;
pub mod context;
mod driver;
mod ending;
pub mod ends;
pub mod feed;
#[cfg(test)]
mod feed_replay_tests;
#[cfg(test)]
mod feed_tests;
pub mod frame_guard;
pub mod frame_rate;
pub mod frames;
#[cfg(test)]
mod frames_tests;
pub mod joins;
pub mod live_session;
mod member;
pub mod messages;
mod openings;
pub mod other_hubs;
pub mod presence;
pub mod relay;
mod relay_link;
#[cfg(test)]
mod relay_tests;
pub mod replay;
pub mod request;
mod seat_watch;
pub mod sse;
pub mod tail;
mod text_check;
pub mod ws;
