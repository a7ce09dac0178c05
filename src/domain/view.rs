//! The narrow window through which a decision sees its term.

use crate::domain::ids::{Crn, UserName};
use crate::domain::registration::Registration;
use crate::domain::section::{Credits, Place, SectionState};
use crate::domain::term::Term;

/// A term as committed. Memory gives it, and so can a transaction that has loaded the rows a batch needs.
pub trait TermView {
    /// The term and its window.
    fn term(&self) -> &Term;
    /// The most credits a student may enrol in; 0 is no limit.
    fn credit_limit(&self) -> Credits;
    /// A section with its numbers.
    fn section(&self, crn: &Crn) -> Option<&SectionState>;
    /// Everything a student holds or has dropped, in the order of [`Registration::put_among`]: oldest first.
    fn registrations(&self, student: &UserName) -> &[Registration];
    /// Who waits for a section, head first.
    fn waiting(&self, crn: &Crn) -> Box<dyn Iterator<Item = &Place> + '_>;
    /// Everyone who has ever registered in the term: for changes of a section, never for a registration.
    fn students(&self) -> Box<dyn Iterator<Item = (&UserName, &[Registration])> + '_>;
    /// The first journal position that no place has had.
    fn next_place(&self) -> u64;
}
