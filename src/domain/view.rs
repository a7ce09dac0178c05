//! What a decision may read of its term.

use crate::domain::ids::{Crn, UserName};
use crate::domain::registration::Registration;
use crate::domain::section::{Credits, Place, SectionState};
use crate::domain::term::Term;

/// A term as committed. [`crate::domain::book::TermBook`] holds one in memory; a transaction that loaded the rows of a
/// batch could be another.
pub trait TermView {
    /// Returns the term.
    fn term(&self) -> &Term;
    /// Returns the credit limit of a student; 0 is no limit.
    fn credit_limit(&self) -> Credits;
    /// Returns a section with its numbers.
    fn section(&self, crn: &Crn) -> Option<&SectionState>;
    /// Returns a student's registrations, dropped ones included, in the order of [`Registration::put_among`].
    fn registrations(&self, student: &UserName) -> &[Registration];
    /// Iterates over the waitlist of a section, the next student first.
    fn waiting(&self, crn: &Crn) -> Box<dyn Iterator<Item = &Place> + '_>;
    /// Iterates over all students who ever registered in the term. Too slow for deciding a registration.
    fn students(&self) -> Box<dyn Iterator<Item = (&UserName, &[Registration])> + '_>;
    /// Returns a journal position that is later than that of every waitlisted registration.
    fn next_place(&self) -> u64;
}
