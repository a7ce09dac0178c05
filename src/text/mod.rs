//! Encodings of text that several capabilities share.
//!
//! - [`csv_text`]: cells of CSV that the hub writes; [`percent`]: percent-encoding, both ways; [`mod@base64`]: read

pub mod base64;
pub mod csv_text;
pub mod percent;
