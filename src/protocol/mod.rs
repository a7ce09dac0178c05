//! What travels: WebSocket frames both ways, close codes, the codes of problem documents, and the JSON of seats and
//! sections, which lists and frames share.
//!
//! - [`problem`]: every code of a problem document, with its status and title
//! - [`csv_text`]: cells of CSV that the hub writes
//! - [`section_json`]: a section as lists show it, and its compact row of seats

pub mod csv_text;
pub mod problem;
pub mod section_json;
