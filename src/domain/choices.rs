//! Waitlist choices: what a student wants together with a seat, or instead of it, when waiting for one.
//!
//! - `with`, a bundle: the student waits in all of its sections, and gets the seats together or none of them.
//! - `any_of`, alternatives: the student waits in each, and the first seat ends the others.
//! - `drop`: a seat that the student gives up in the decision that grants the new one.
//!
//! Each registration of a bundle, or of alternatives, has the choices as seen from its own section, so a decision can
//! read them from any of these registrations. They are kept while the student waits or is offered the seat.

use serde::{Deserialize, Serialize};

use crate::domain::ids::Crn;

/// Maximum number of sections in `with`, and in `any_of`. Each promotion evaluates the rules for all sections of a
/// bundle, so a larger one would delay other students.
pub const CHOICES_MAX: usize = 8;

/// What a student chose when joining a waitlist.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitlistChoices {
    /// Sections in which the student gets seats together with this one, at most [`CHOICES_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub with: Vec<Crn>,
    /// Sections that the student accepts instead of this one, at most [`CHOICES_MAX`]. Always empty if `with` is not
    /// empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub any_of: Vec<Crn>,
    /// A section in which the student is enrolled, to drop when the seat is granted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drop: Option<Crn>,
}

/// The part of the choices that a problem concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChoiceField {
    /// [`WaitlistChoices::with`].
    With,
    /// [`WaitlistChoices::any_of`].
    AnyOf,
    /// [`WaitlistChoices::drop`].
    Drop,
}

impl ChoiceField {
    /// Returns the name in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::With => "with",
            Self::AnyOf => "any_of",
            Self::Drop => "drop",
        }
    }
}

impl WaitlistChoices {
    /// Returns whether nothing was chosen.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.with.is_empty() && self.any_of.is_empty() && self.drop.is_none()
    }

    /// Iterates over the other sections in which the student waits.
    pub fn others(&self) -> impl Iterator<Item = &Crn> {
        self.with.iter().chain(&self.any_of)
    }

    /// Returns whether a section is one of the choices.
    #[must_use]
    pub fn contains(&self, crn: &Crn) -> bool {
        self.others().chain(&self.drop).any(|chosen| chosen == crn)
    }

    /// Returns the choices without a section; `None` if none are left.
    #[must_use]
    pub fn without(&self, crn: &Crn) -> Option<Self> {
        let without = |list: &[Crn]| list.iter().filter(|chosen| *chosen != crn).cloned().collect();
        let drop = self.drop.clone().filter(|chosen| chosen != crn);
        Some(Self { with: without(&self.with), any_of: without(&self.any_of), drop }).filter(|left| !left.is_empty())
    }

    /// Returns the choices as seen from `other`, one of the sections in which a student who requested `own` waits;
    /// `None` if nothing was chosen.
    #[must_use]
    pub fn seen_from(&self, own: &Crn, other: &Crn) -> Option<Self> {
        let seen = |list: &[Crn]| {
            let all = std::iter::once(own).chain(list).filter(|_| !list.is_empty());
            all.filter(|crn| *crn != other).cloned().collect()
        };
        let seen = Self { with: seen(&self.with), any_of: seen(&self.any_of), drop: self.drop.clone() };
        Some(seen).filter(|seen| !seen.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crn(text: &str) -> Crn {
        Crn::parse(text).unwrap()
    }

    fn choices(with: &[&str], any_of: &[&str], drop: Option<&str>) -> WaitlistChoices {
        let crns = |list: &[&str]| list.iter().map(|text| crn(text)).collect();
        WaitlistChoices { with: crns(with), any_of: crns(any_of), drop: drop.map(crn) }
    }

    #[test]
    fn each_section_of_a_bundle_sees_the_others() {
        let chosen = choices(&["B", "C"], &[], Some("X"));
        let table = [("A", ["B", "C"]), ("B", ["A", "C"]), ("C", ["A", "B"])];
        for (of, others) in table {
            assert_eq!(chosen.seen_from(&crn("A"), &crn(of)), Some(choices(&others, &[], Some("X"))), "{of}");
        }
        let alternatives = choices(&[], &["B"], None);
        assert_eq!(alternatives.seen_from(&crn("A"), &crn("B")), Some(choices(&[], &["A"], None)));
        assert_eq!(WaitlistChoices::default().seen_from(&crn("A"), &crn("A")), None);
    }

    #[test]
    fn a_removed_section_is_no_longer_a_choice() {
        assert_eq!(choices(&["B", "C"], &[], None).without(&crn("B")), Some(choices(&["C"], &[], None)));
        assert_eq!(choices(&[], &["B"], Some("X")).without(&crn("X")), Some(choices(&[], &["B"], None)));
        assert_eq!(choices(&[], &["B"], None).without(&crn("B")), None);
    }
}
