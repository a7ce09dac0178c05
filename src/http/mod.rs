//! HTTP: one file a resource, over the read model and the actors. Nothing here decides; nothing here speaks SQL.
//!
//! What every resource uses:
//! - [`routes`]: the table of routes
//! - [`error`], [`problem`]: problem documents, the body of every error response
//! - [`body`]: request bodies, field by field; [`query`]: the query string and the path, the same way
//! - [`request_id`]: the id, the log line and the security headers of every response
//! - [`auth`]: who calls, and whom a handler serves; [`site`]: the hub's own origins
//! - [`encoded`], [`hot`]: ready responses for what many clients request at the same time
//! - [`openapi`]: the OpenAPI document, generated from the types that are read and served
//!
//! Resources:
//! - [`terms`], [`sections`], [`registrations`], [`plan`]: the catalogue, seats and registrations; [`roster`]: the
//!   students in a section; [`activity`]: current activity
//! - [`imports`]: schedules; [`events`]: one-off events
//! - [`alerts`]: alerts; [`receipts`]: acknowledgements; [`live`]: the WebSocket's upgrade; [`sessions`]: connections
//! - [`announcements`]: the college's news; [`dashboard`]: everything that concerns the caller; [`plone_desk`]: Plone,
//!   for admins
//! - [`demo`]: the performance demonstration
//! - [`proxy`]: Plone behind the hub: identifies the sender for [`crate::plone::proxy`]
//! - [`session`]: sign-in and sign-out; [`users`]: users, local accounts, the audit trail
//! - [`health`]: liveness, readiness and metrics; [`charts`]: the metrics of the last seconds, for admins
//! - [`assets`]: the pages and their files

pub mod activity;
pub mod alerts;
pub mod announcements;
pub mod assets;
pub mod auth;
pub mod body;
pub mod charts;
pub mod dashboard;
pub mod demo;
pub mod encoded;
pub mod error;
pub mod events;
pub mod health;
pub mod hot;
pub mod imports;
mod last_good;
pub mod live;
pub mod openapi;
pub mod plan;
pub mod plone_desk;
pub mod problem;
pub mod proxy;
pub mod query;
pub mod receipts;
pub mod registrations;
pub mod request_id;
pub mod roster;
pub mod routes;
pub mod sections;
pub mod session;
pub mod sessions;
pub mod site;
pub mod terms;
pub mod users;
