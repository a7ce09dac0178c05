//! HTTP: one file for each resource, on top of the read model and the actors. It contains no registration rules and no
//! SQL.
//!
//! Shared by all resources:
//! - [`routes`]: the table of routes
//! - [`error`], [`problem`]: problem documents, the body of every error response; [`error_page`]: the page that a
//!   browser gets instead; [`message_page`]: the frame of pages that the hub writes
//! - [`body`]: readers of JSON request bodies; [`query`]: readers of the query string and the path
//! - [`request_id`]: the request id and the log line of every response; [`security_headers`]: its security headers
//! - [`slow_refusals`]: the delay of responses to visitors who exceed a limit
//! - [`arrival`]: how long request bodies may take to arrive
//! - [`connection`]: the connections, and which of them are ended
//! - [`auth`]: authentication and the roles that a handler requires; [`site`]: the hub's own origins;
//!   [`forwarded`]: the addresses of clients behind reverse proxies
//! - [`encoded`], [`hot`]: cached responses for resources that many clients request at the same time; [`uncached`]:
//!   responses to other queries; [`build_threads`]: the threads that build both; [`pieces`]: bodies that are sent in
//!   pieces
//! - [`openapi`]: the OpenAPI document, generated from the request and response types
//!
//! Resources:
//! - [`terms`], [`sections`], [`registrations`]: the catalogue, seats and registrations; [`plan`], [`plan_check`]:
//!   plans and their check; [`roster`]: the students in a section; [`section_moves`]: moves of all these students;
//!   [`teaching`]: the sections of an instructor; [`activity`]: current activity; [`demand`], [`rehearsals`]: demand
//!   for sections, and rehearsals of registration; [`attempts`]: what was requested and decided
//! - [`students`]: what the college states about students; [`student_lookup`]: searches for students;
//!   [`student_registrations`], [`permits`]: registrations and overrides by staff; [`student_imports`]: imports of
//!   facts
//! - [`imports`]: schedule imports; [`import_profiles`]: saved mappings of their columns;
//!   [`schedule_export`]: the schedule as a file; [`oneroster_export`]: a term for other programs; [`events`]: one-off
//!   events
//! - [`alerts`]: alerts; [`alert_feeds`]: public alerts for other systems; [`cap_alerts`]: alerts that arrive as CAP
//!   messages; [`alert_scope`]: what limited staff may do with alerts; [`receipts`]: acknowledgements; [`live`]: the
//!   WebSocket upgrade; [`stream`]: Server-Sent Events; [`sessions`]: live sessions; [`hubs`]: all hubs
//! - [`announcements`]: the college's news; [`dashboard`]: everything that concerns the caller; [`plone_admin`]: the
//!   connection to Plone, for admins
//! - [`demo`]: the performance demonstration; [`demo_runs`]: the newest run; [`demo_reports`]: links to its report
//! - [`proxy`]: the endpoints of the reverse proxy to Plone, [`crate::plone::proxy`]; [`proxied_writes`]: their audit
//!   entries
//! - [`guardian_links`]: links to a schedule for a parent or guardian; [`schedule_calendar`]: a schedule for calendar
//!   programs
//! - [`own_account`]: the caller's own password, second factor and sign-ins; [`my_data`]: what the hub stores about the
//!   caller; [`erasure`]: the erasure of a person
//! - [`sso`]: single sign-on; [`sso_page`]: the page about a failed sign-in
//! - [`sign_in`]: sign-in and sign-out; [`users`]: users, local accounts, the audit trail
//! - [`health`]: liveness, readiness and metrics; [`charts`]: recent metrics, for admins
//! - [`assets`]: the pages and their files; [`api_docs`]: the page of the API

pub mod activity;
pub mod alert_feeds;
mod alert_request;
mod alert_scope;
pub mod alerts;
pub mod announcements;
pub mod api_docs;
pub mod arrival;
pub mod assets;
pub mod attempts;
pub mod auth;
mod batch_request;
pub mod body;
mod build_threads;
mod cap_alerts;
pub mod charts;
pub mod connection;
pub mod dashboard;
pub mod demand;
pub mod demo;
pub mod demo_reports;
pub mod demo_runs;
pub mod encoded;
pub mod erasure;
pub mod error;
mod error_page;
pub mod events;
mod forwarded;
pub mod guardian_links;
pub mod health;
pub mod hot;
pub mod hubs;
pub mod import_profiles;
mod import_query;
pub mod imports;
mod joined_modules;
mod last_good;
pub mod live;
mod message_page;
pub mod my_data;
pub mod oneroster_export;
pub mod openapi;
pub mod own_account;
pub mod permits;
pub mod personal_data;
pub mod pieces;
pub mod plan;
pub mod plan_check;
pub mod plone_admin;
mod preloads;
pub mod problem;
mod problems_page;
mod proxied_writes;
pub mod proxy;
pub mod query;
pub mod receipts;
mod refusal_text;
pub mod registrations;
pub mod rehearsals;
pub mod request_id;
pub mod roster;
pub mod routes;
pub mod schedule_calendar;
pub mod schedule_export;
pub mod section_moves;
mod section_request;
pub mod sections;
mod security_headers;
pub mod sessions;
mod shared_alerts;
pub mod sign_in;
pub mod site;
mod slow_refusals;
pub mod sso;
mod sso_page;
pub mod stream;
pub mod student_imports;
pub mod student_lookup;
pub mod student_registrations;
pub mod students;
pub mod teaching;
mod term_request;
pub mod terms;
mod text_code;
pub mod uncached;
pub mod users;
mod waitlist_choices;
