//! Text encodings that several modules share.
//!
//! - [`mod@base64`]: decodes base64
//! - [`csv_text`]: escapes cells of CSV
//! - [`percent`]: percent-encodes and decodes URLs

pub mod base64;
pub mod csv_text;
pub mod percent;
