//! HTTP: one file a resource, over the read model and the actors. Nothing here decides; nothing here speaks SQL.
//!
//! - [`encoded`], [`hot`]: ready answers for what everyone asks for at once

pub mod encoded;
pub mod hot;
