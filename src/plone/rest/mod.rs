//! The college's Plone over its REST API (plone.restapi): an implementation of [`crate::plone::port`].
//!
//! - `options`: where the site is and what the college calls things
//! - `client`: [`PloneClient`], which sends calls as a viewer; `login`: the hub's own login
//! - `breaker`, `limiter`, `transport`, `connection`: whether a call is sent, how many at once, and how
//! - `responses`: typed responses; `errors`: what a response means; `values`: values of fields; `paths`: paths of
//!   content; `html`: safe HTML and plain text
//! - `people`, `catalogue`, `writing`: the three parts of the port; `exposure`: fields that are readable beside the API
//! - `stream`: forwarded requests of browsers, streamed both ways

mod breaker;
mod catalogue;
mod client;
mod connection;
mod errors;
mod exposure;
mod html;
mod limiter;
mod login;
mod options;
mod paths;
mod people;
mod responses;
mod stream;
mod transport;
mod values;
mod writing;

pub use breaker::Circuit;
pub use client::PloneClient;
pub use limiter::{CallOutcome, PoolStats};
pub use options::{BadPloneUrl, PloneOptions};
pub use stream::{CLIENT_IDLE, PIECES_MAX, Pace, Piece, StreamCall, StreamError, StreamResponse, Upload};
