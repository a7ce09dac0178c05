//! The hub's side of the college's Plone: what runs beside requests, so that no request waits for Plone. It knows Plone
//! by its ports only.
//!
//! - [`reads`]: copies of what is read of Plone

pub mod reads;
