//! The hub's side of the college's Plone: what runs beside requests, so that no request waits for Plone. It knows Plone
//! by its ports only.
//!
//! - [`pull`]: the catalogue follows Plone

pub mod pull;
