//! What the hub decides, pure: no actix, no I/O, no clock, no randomness. Time is an argument. Every other module may
//! use this one; it uses none of them.
//!
//! - [`ids`]: names of terms, sections and users, parsed once
//! - [`term`], [`section`], [`meeting`]: what a college schedules; [`event`]: what it holds once
//! - [`registration`]: what a student holds; [`realm`]: which terms a caller may see
//! - [`command`]: the commands to a term; [`outcome`] and [`refusal`]: what they are answered
//! - [`view`]: what a decision may read of its term; [`book`]: a term in memory, which is one such view
//! - [`decide`]: command → [`draft`] → changes
//! - [`rules`]: what forbids a seat or a waitlist position, in order of precedence
//! - [`waitlist`]: gives free seats to the students who wait
//! - [`batch`]: decides many commands against one book, and merges their changes into one record; [`published`]: what
//!   readers see of a term
//! - [`notice`]: what a student is notified of
//! - [`alert`], [`audience`], [`channel`], [`role`]: announcements, and who may read what
//! - [`import`]: the state and the result of an import; [`section_changes`]: which fields of a section differ
//! - [`fields`]: a section as named fields, as another system keeps it

pub mod alert;
pub mod audience;
pub mod batch;
pub mod book;
pub mod channel;
pub mod command;
pub mod decide;
pub mod draft;
pub mod event;
pub mod fields;
pub mod ids;
pub mod import;
pub mod meeting;
pub mod notice;
pub mod outcome;
pub mod published;
pub mod realm;
pub mod refusal;
pub mod registration;
pub mod role;
pub mod rules;
pub mod section;
pub mod section_changes;
pub mod term;
pub mod view;
pub mod waitlist;
