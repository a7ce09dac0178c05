//! HTTP: one file a resource, over the read model and the actors. Nothing here decides; nothing here speaks SQL.
//!
//! What every resource uses:
//! - [`routes`]: the table of paths
//! - [`error`]: problem documents, for refusals and for everything that goes wrong
//! - [`body`]: JSON bodies, field by field; [`query`]: the query string and the path, the same way
//! - [`request_id`]: the id, the log line and the safety headers of every answer
//! - [`auth`]: who asks, and whom a handler serves; [`site`]: which origins are ours
//! - [`encoded`], [`hot`]: ready answers for what everyone asks for at once
//! - [`openapi`]: the document that describes all of it, generated from the types
//!
//! Resources:
//! - [`terms`], [`sections`], [`registrations`], [`plan`]: the catalogue, seats, and who takes them; [`roster`]: who has
//!   them; [`activity`]: what is going on now
//! - [`imports`]: schedules; [`events`]: one-off events
//! - [`alerts`]: alerts; [`receipts`]: who has seen them; [`live`]: the door of the WebSocket; [`sessions`]: who is connected
//! - [`announcements`]: Plone's news; [`dashboard`]: all of somebody's in one answer; [`plone_desk`]: Plone for admins
//! - [`demo`]: the performance demonstration
//! - [`proxy`]: Plone behind the hub: identifies the sender for [`crate::plone::proxy`]
//! - [`session`]: signing in and out; [`users`]: who uses the hub, local accounts, the audit trail
//! - [`health`]: whether the hub lives, is ready, and what it measures; [`charts`]: the last seconds of that, for admins
//! - [`assets`]: the pages, and all that they load

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
