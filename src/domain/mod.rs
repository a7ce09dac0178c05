//! The registration rules as pure functions: no actix, no I/O, no clock, no randomness. The time is an argument. Every
//! other module may use this one; it uses none of them.
//!
//! - [`ids`]: ids of terms, sections, import tasks, import profiles and users
//! - [`term`], [`section`], [`meeting`]: the schedule of a term; [`mod@event`]: one-off events of the college
//! - [`precis`]: normalization of names and passwords; [`mod@fold`]: names without case and accents, for searches
//! - [`registration`]: a student's registration in a section; [`realm`]: which terms a caller may see
//! - [`command`]: commands to a term; [`outcome`] and [`refusal`]: their results
//! - [`student`]: what the college states about a student; [`prerequisite`]: what a section requires
//! - [`view`]: the part of a term that a decision may read; [`book`]: a term in memory, which implements it
//! - [`decide`]: command → [`draft`] → changes
//! - [`plan`]: the sections that a student prepares before registration opens; [`rehearsal`]: a trial of registration
//! - [`linked`]: which sections are taken together; [`pool`]: cross-listed sections that share seats; [`reservation`],
//!   [`restriction`]: seats and sections for some students only
//! - [`rules`]: reasons to refuse a seat or a waitlist position, in order of precedence
//! - [`waitlist`]: promotes students from waitlists to free seats; [`promotion`]: sections that a student gets
//!   together, and those that the student leaves then; [`waitlist_order`]: who is ahead; [`choices`]: what a student
//!   chose when joining a waitlist; [`offer`]: seats that are offered
//! - [`batch`]: decides many commands against one book and merges their changes into one record
//! - [`attempt`]: requests that were decided, as a chain of hashes; [`attempt_chain`]: the end of that chain in memory
//! - [`published`]: a term as readers see it
//! - [`notice`]: notices to students about their registrations; [`alternatives`]: the sections with seats that the
//!   notice of a cancelled section names
//! - [`alert`], [`audience`]: alerts and their recipients; [`cap`]: the vocabulary of CAP
//! - [`channel`], [`role`], [`rights`]: subscriptions and permissions
//! - [`audit_detail`]: the texts of the audit trail; [`coded_text`]: texts that the pages show in the reader's language
//! - [`instructor`]: whom sections name as their instructors; [`language`]: the languages of texts
//! - [`import`]: the state and the result of an import; [`section_changes`]: which fields of a section differ
//! - [`import_profile`]: mappings of the columns of schedule files, saved by name
//! - [`fields`]: a section as named fields, for another system such as Plone

pub mod alert;
pub mod alternatives;
pub mod attempt;
pub mod attempt_chain;
pub mod audience;
pub mod audit_detail;
pub mod batch;
pub mod book;
pub mod cap;
pub mod channel;
pub mod choices;
pub mod coded_text;
pub mod command;
pub mod decide;
pub mod draft;
pub mod event;
pub mod fields;
pub mod fold;
pub mod ids;
pub mod import;
pub mod import_profile;
pub mod instructor;
pub mod language;
pub mod linked;
pub mod meeting;
pub mod notice;
pub mod offer;
pub mod outcome;
pub mod plan;
pub mod pool;
pub mod precis;
pub mod prerequisite;
pub mod promotion;
pub mod published;
pub mod realm;
pub mod refusal;
pub mod registration;
pub mod rehearsal;
pub mod reservation;
pub mod restriction;
pub mod rights;
pub mod role;
pub mod rules;
pub mod section;
pub mod section_changes;
pub mod student;
pub mod term;
pub mod view;
pub mod waitlist;
pub mod waitlist_order;
