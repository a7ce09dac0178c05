//! Implementation of [`crate::plone::port`] over Plone's REST API (plone.restapi).
//!
//! - `options`: address of the site, bounds on calls, names of the section type and its fields
//! - `client`: [`PloneClient`], which sends calls as a viewer; `login`: the hub's own login
//! - `breaker`: stops calls to a Plone that does not respond; `limiter`: bounds concurrent and waiting calls;
//!   `transport`, `connection`: send calls
//! - `responses`: typed responses; `errors`: interpretation of responses; `values`: values of fields; `paths`: paths of
//!   content; `html`: safe HTML and plain text
//! - `people`, `catalogue`, `writing`: the three parts of the port; `exposure`: finds protected fields that are
//!   readable outside of the API
//! - `stream`: forwards browser requests, with bodies streamed in both directions

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
pub(in crate::plone) use html::RULES as SANITIZER_RULES;
pub use limiter::{CallOutcome, PoolStats};
pub use options::{BadPloneUrl, PloneOptions};
pub use stream::{CLIENT_IDLE, PIECES_MAX, Pace, Piece, StreamCall, StreamError, StreamResponse, Upload};
