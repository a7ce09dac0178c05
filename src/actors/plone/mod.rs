//! The hub's side of the college's Plone: what runs beside requests, so that no request waits for Plone. It knows Plone
//! by its ports only.
//!
//! - [`announcements`]: news, as visitors and as members see them; [`reads`]: copies of what is read of Plone
//! - [`pull`]: the catalogue follows Plone
//! - [`outbox`]: writes what is committed to Plone; `sending`: one section on its way;
//!   [`outbox_around`]: what it works with; [`outbox_status`]: how it stands
//! - [`wanted`]: what a section is to be in Plone, and what differs
//! - [`roster_guard`]: whether students' names may be written at all

pub mod announcements;
pub mod outbox;
pub mod outbox_around;
pub mod outbox_status;
pub mod pull;
pub mod reads;
pub mod roster_guard;
mod sending;
pub mod wanted;
