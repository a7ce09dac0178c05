//! Live connections: what is committed reaches every page within a tick.
//!
//! - [`broker`]: reads what is new and sends it to every relay; [`context`]: what they share and send each other
//! - [`relay`]: hands frames to the sessions of one worker thread; `seat_watch`: which session watches which seats
//! - [`ws`]: one WebSocket connection; [`presence`]: all connections; `guarded`, [`frame_guard`]: bounds on incoming
//!   frames; `resume`: where a returning client continues
//! - [`frames`]: messages of clients and of the hub; [`close`]: close codes

pub mod broker;
pub mod close;
pub mod context;
pub mod frame_guard;
pub mod frames;
mod guarded;
pub mod presence;
pub mod relay;
mod resume;
mod seat_watch;
pub mod ws;
