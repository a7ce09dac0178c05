//! The rules of registration and of alerts, pure: no actix, no I/O, no clock, no randomness.
//! Time is an argument. Everybody may call this module; it calls nobody.
//!
//! - [`ids`]: names of terms, sections and people, parsed once at the rim
//! - [`import`]: the state and the result of an import
//! - [`meeting`], [`section`], [`term`]: what a college schedules
//! - [`registration`]: what a student holds; [`realm`]: which terms a caller may see
//! - [`command`]: everything that can be asked of a term; [`outcome`]: every answer, in order of precedence
//! - [`view`]: the narrow window through which a decision sees its term
//! - [`decide`]: the one function that decides; [`draft`]: its scratch pad
//! - [`book`]: a whole term in memory, which is one way to give that view
//! - [`notice`]: what a student is told of a change that was not the student's own doing
//! - [`fields`]: a section as named fields, as another system keeps it
//! - [`alert`], [`audience`], [`channel`], [`role`]: who hears what

pub mod alert;
pub mod audience;
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
pub mod realm;
pub mod registration;
pub mod role;
pub mod section;
pub mod term;
pub mod view;
