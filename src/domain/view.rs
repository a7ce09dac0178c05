//! The part of a term that a decision may read.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::ids::{Crn, UserName};
use crate::domain::offer::OfferSettings;
use crate::domain::registration::Registration;
use crate::domain::section::{Credits, SectionState, WaitlistEntry};
use crate::domain::student::StudentFacts;
use crate::domain::term::Term;

/// Read access to a committed term. [`TermBook`](crate::domain::book::TermBook) implements it for a registrar. The check
/// of a plan uses an implementation over the published snapshot, which has only the registrations of one student.
pub trait TermView {
    /// Returns the term.
    fn term(&self) -> &Term;
    /// Returns what the college states about a student; `None` if it states nothing.
    fn facts(&self, student: &UserName) -> Option<&Arc<StudentFacts>>;
    /// Returns the college's credit limit; 0 means no limit.
    fn credit_limit(&self) -> Credits;
    /// Returns how many times the college allows a student to take a course; 0 means no limit.
    fn repeat_limit(&self) -> u32;
    /// Returns the sections of a group of cross-listed sections, in order, by [`crate::domain::pool::group_key`].
    fn sections_of_pool(&self, key: &str) -> &BTreeSet<Crn>;
    /// Returns the sections whose reserved seats are due to be released at `now`, in the order of their times.
    fn sections_to_release(&self, now: Timestamp) -> Vec<Crn>;
    /// Returns when the next reserved seats are released.
    fn next_release(&self) -> Option<Timestamp>;
    /// Returns the college's waitlist settings, for terms without their own.
    fn offer_settings(&self) -> OfferSettings;
    /// Returns the offers that have lapsed, or whose reminder is due, by `now`, in the order of these times.
    fn offers_due(&self, now: Timestamp) -> Vec<(UserName, Crn)>;
    /// Returns when the next offer lapses, or the next reminder of one is due.
    fn next_offer_deadline(&self) -> Option<Timestamp>;
    /// Returns a section with its counts.
    fn section(&self, crn: &Crn) -> Option<&SectionState>;
    /// Returns a student's registrations, including dropped ones, in the order of [`Registration::insert_into`].
    fn registrations(&self, student: &UserName) -> &[Registration];
    /// Iterates over the waitlist of a section, first position first.
    fn waitlist(&self, crn: &Crn) -> Box<dyn Iterator<Item = &WaitlistEntry> + '_>;
    /// Iterates over all students who ever registered in the term. Too slow to use for each registration.
    fn students(&self) -> Box<dyn Iterator<Item = (&UserName, &[Registration])> + '_>;
    /// Returns a number that is larger than the order of joining of every waitlist entry; see
    /// [`crate::domain::waitlist_order`].
    fn next_queue_number(&self) -> u64;
}
