//! What travels: WebSocket frames both ways, close codes, the codes of problem documents, and the JSON of seats and
//! sections, which lists and frames share.
//!
//! - [`frames`]: what clients and the hub say to each other; [`close`]: why the hub hangs up
//! - [`frame_guard`]: reads headers of incoming frames before anything is kept
//! - [`problem`]: every code of a problem document, with its status and title
//! - [`csv_text`]: cells of CSV that the hub writes; [`percent`]: percent-encoding, both ways;
//!   [`mod@base64`]: read
//! - [`section_json`]: a section as lists show it, and its compact row of seats
//! - [`plone_section`]: a section as the fields of an item in Plone; `plone_meetings`: its meetings as lines of text;
//!   `plone_text`: how people write; [`plone_token`]: what Plone's tokens say

pub mod base64;
pub mod close;
pub mod csv_text;
pub mod frame_guard;
pub mod frames;
pub mod percent;
mod plone_meetings;
pub mod plone_section;
mod plone_text;
pub mod plone_token;
pub mod problem;
pub mod section_json;
