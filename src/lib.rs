//! EduHub: an actor-based hub for registration and real-time alerts in front of a college's Plone.
//!
//! Dependencies run one way: `domain ← ports, protocol, readmodel ← actors, adapters ← http ← app ← main`.

pub mod actors;
pub mod adapters;
pub mod app;
pub mod bridge;
pub mod cli;
pub mod config;
pub mod core;
pub mod demo;
pub mod domain;
pub mod histogram;
pub mod http;
pub mod identity;
pub mod logging;
pub mod machine;
pub mod metrics;
pub mod observe;
pub mod ports;
pub mod protocol;
pub mod readmodel;
pub mod rush;
