//! The terms that a caller may see: those of the college, or one sandbox.

use super::ids::TermId;

/// The set of terms that a caller's token gives access to. No role gives access to both realms.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Realm {
    /// Every term of the college, and no sandbox.
    #[default]
    College,
    /// One sandbox, and no term of the college.
    Sandbox(TermId),
}

impl Realm {
    /// Returns the realm that `term` belongs to.
    #[must_use]
    pub fn of(term: &TermId) -> Self {
        if term.is_sandbox() { Self::Sandbox(term.clone()) } else { Self::College }
    }

    /// Returns whether `term` belongs to this realm. The term need not exist.
    #[must_use]
    pub fn contains(&self, term: &TermId) -> bool {
        match self {
            Self::College => !term.is_sandbox(),
            Self::Sandbox(own) => own == term,
        }
    }

    /// Returns whether the realm is a sandbox.
    #[must_use]
    pub fn is_sandbox(&self) -> bool {
        matches!(self, Self::Sandbox(_))
    }

    /// Returns the sandbox term; `None` for the college.
    #[must_use]
    pub fn sandbox(&self) -> Option<&TermId> {
        match self {
            Self::College => None,
            Self::Sandbox(own) => Some(own),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_college_and_a_sandbox_share_no_term() {
        let [term, own, other] = ["202209", "_sandbox-1", "_sandbox-2"].map(|id| TermId::parse(id).unwrap());
        let sandbox = Realm::Sandbox(own.clone());
        let cases = [
            (&Realm::College, &term, true),
            (&Realm::College, &own, false),
            (&sandbox, &own, true),
            (&sandbox, &other, false),
            (&sandbox, &term, false),
        ];
        for (realm, term, expected) in cases {
            assert_eq!(realm.contains(term), expected, "{realm:?} {term}");
        }
        assert_eq!(Realm::of(&term), Realm::College);
        assert_eq!(Realm::of(&own), sandbox);
    }
}
