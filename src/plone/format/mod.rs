//! How Plone writes what the hub has: sections as fields, meetings as lines of text, tokens.
//!
//! - [`section`]: a section as the fields of an item; `meetings`: its meetings as lines; `text`: how people write
//! - [`token`]: what Plone's tokens say

mod meetings;
pub mod section;
mod text;
pub mod token;
