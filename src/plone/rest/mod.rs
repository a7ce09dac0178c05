//! The college's Plone, over its REST API (plone.restapi): an implementation of [`crate::plone::port`].
//!
//! - [`options`]: where it is, and what this college calls things
//! - [`client`]: [`PloneClient`], the handle that everybody shares: sends a call as somebody, and knows what an answer
//!   means; [`session`]: the hub's own sign-in
//! - [`breaker`], [`gate`], [`transport`], [`wire`]: how many calls at once, whether at all, and how
//! - [`errors`]: what Plone's refusals mean; [`paths`]: paths of content; [`values`]: the values of fields, both ways;
//!   [`html`]: HTML made safe, and as plain text
//! - [`stream`]: requests of others, carried to Plone and back without being held
//! - [`people`], [`catalogue`], [`writing`]: the three parts of the port; [`doors`]: where else a field may be read

mod breaker;
mod catalogue;
mod client;
mod doors;
mod errors;
mod gate;
mod html;
mod options;
mod paths;
mod people;
mod session;
mod stream;
mod transport;
mod values;
mod wire;
mod writing;

pub use breaker::Circuit;
pub use client::PloneClient;
pub use gate::{CallOutcome, PoolStats};
pub use options::{BadPloneUrl, PloneOptions};
pub use stream::{CLIENT_IDLE, PIECES_MAX, Pace, Piece, StreamAnswer, StreamCall, StreamError, Upload};
