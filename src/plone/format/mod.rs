//! Formats of data in Plone: sections as fields, meetings as lines of text, and tokens.
//!
//! - [`section`]: a section as the fields of an item; `meetings`: meetings as lines of text; `text`: helpers for text
//!   that editors write
//! - [`token`]: the claims of Plone's tokens

mod meetings;
pub mod section;
mod text;
pub mod token;
