//! The actors, and all that they are sent. They know the ports and the read model, never an adapter.
//!
//! - [`broker`]: hears what is new, and tells every relay; [`live`]: what they send each other
//! - [`relay`]: hands frames to the sessions of one thread; `seat_watch`: which of them watch which seats
//! - [`session`]: one connection; [`registry`]: all of them; `guarded`: what it
//!   lets in; `resume`: where a client that comes back goes on
//! - [`acks`]: who has seen an alert, many in one write
//! - [`registrar`]: owns one term; orders what is asked of it, one batch at the store at a time
//! - [`import`]: imports of schedules, one at a time
//! - [`plone`]: what goes between the hub and the college's Plone, beside requests
//! - [`sandbox`]: a demonstration's own term, made for one run and removed after it
//! - [`pool`]: finds a term's registrar, and bounds what is accepted; [`outcomes`]: counts how it ended, and how long it
//!   took; [`activity`]: what of it was lately

pub mod acks;
pub mod activity;
pub mod broker;
mod guarded;
pub mod import;
pub mod live;
pub mod outcomes;
pub mod plone;
pub mod pool;
pub mod registrar;
pub mod registry;
pub mod relay;
mod resume;
pub mod sandbox;
mod seat_watch;
pub mod session;
