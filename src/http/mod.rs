//! HTTP: one file a resource, over the read model and the actors. Nothing here decides; nothing here speaks SQL.
//!
//! - [`assets`]: the pages, and all that they load
//!
//! - [`health`]: whether the hub lives, is ready, and what it measures
//!
//! What every resource uses:
//! - [`error`]: problem documents, for refusals and for everything that goes wrong
//! - [`body`]: JSON bodies, field by field; [`query`]: the query string and the path, the same way
//! - [`request_id`]: the id, the log line and the safety headers of every answer
//! - [`encoded`], [`hot`]: ready answers for what everyone asks for at once

pub mod assets;
pub mod body;
pub mod encoded;
pub mod error;
pub mod health;
pub mod hot;
pub mod query;
pub mod request_id;
