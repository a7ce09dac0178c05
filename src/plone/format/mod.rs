//! Formats in which Plone keeps what the hub has: sections as fields, meetings as lines of text, tokens.
//!
//! - [`section`]: a section as the fields of an item; `meetings`: its meetings as lines; `text`: text as people write
//!   it
//! - [`token`]: the claims of Plone's tokens

mod meetings;
pub mod section;
mod text;
pub mod token;
