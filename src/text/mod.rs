//! Text encodings that several modules share.
//!
//! - [`mod@base64`]: decodes base64
//! - [`csv_text`]: escapes cells of CSV
//! - [`fold`]: removes case and accents for searches
//! - [`percent`]: percent-encodes and decodes URLs

pub mod base64;
pub mod csv_text;
pub mod fold;
pub mod percent;
