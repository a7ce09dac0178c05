//! The hub's side of the college's Plone: what runs beside requests, so that no request waits for Plone. It knows Plone
//! by its ports only.
//!
//! - [`announcements`]: news, as visitors and as members see them; [`reads`]: copies of what is read of Plone

pub mod announcements;
pub mod reads;
