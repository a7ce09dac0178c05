//! EduHub: an actor-based hub for registration and real-time alerts in front of a college's Plone.
//!
//! Each folder is a capability. Dependencies point downward only; `tests/tidy.rs` checks them.
//!
//! - [`app`]: builds and runs the application; [`cli`]: the commands; [`config`]: the settings
//! - [`http`]: routes, one file per resource
//! - [`registration`]: registrars, their pool, the read model
//! - [`live`]: live sessions, relays, the broker; [`alerts`]: acknowledgements, alerts for other systems
//! - [`imports`]: reads schedule files and applies them to terms
//! - [`plone`]: the college's Plone: client, pull, outbox, proxy
//! - [`calendar`]: schedules as iCalendar
//! - [`identity`]: accounts, sign-in, tokens, limits, the audit trail
//! - [`sso`]: single sign-on: OpenID Connect, and the college's web server
//! - [`store`]: ports to the store and their implementations; [`bus`]: events inside the hub and between hubs
//! - [`leader`]: which hub runs the jobs that only one hub may run
//! - [`domain`]: the rules, as pure functions
//! - [`observe`]: metrics, charts, health; [`rush`], [`demo`]: the load test and the demonstration college
//! - [`retention`]: deletes old data
//! - [`clock`], [`histogram`], [`text`], [`machine`], [`private_files`], [`logging`]: utilities

pub mod alerts;
pub mod app;
pub mod bus;
pub mod calendar;
pub mod cli;
pub mod clock;
pub mod config;
pub mod demo;
pub mod domain;
pub mod histogram;
pub mod http;
pub mod identity;
pub mod imports;
pub mod leader;
pub mod live;
pub mod logging;
pub mod machine;
pub mod observe;
pub mod plone;
pub mod private_files;
pub mod registration;
pub mod retention;
pub mod rush;
pub mod sso;
pub mod store;
pub mod text;
