//! What travels: WebSocket frames both ways, close codes, the codes of problem documents, and the JSON of seats and
//! sections, which lists and frames share.
//!
//! - [`section_json`]: a section as lists show it, and its compact row of seats

pub mod section_json;
