//! Usernames as people type them. New names are normalized; users whose names an earlier version stored without
//! normalization keep them, and are found by every spelling that has the same normal form.

use std::collections::{HashMap, HashSet};

use crate::domain::ids::{InvalidId, UserName};

/// The names that an earlier version stored and that normalization would change. Loaded at the start; none is added
/// later. Usually there are none.
#[derive(Debug, Default)]
pub(super) struct OlderNames {
    stored: HashSet<UserName>,
    /// The older name for a normal form, unless that form is the name of another user.
    by_normal: HashMap<UserName, UserName>,
}

impl OlderNames {
    /// Finds the older names in `known`, the names that [`unusual_names`] returns. `is_known` returns whether a user
    /// has a name.
    ///
    /// [`unusual_names`]: crate::store::accounts::AccountStore::unusual_names
    pub(super) fn of(known: Vec<UserName>, is_known: impl Fn(&UserName) -> bool) -> Self {
        let mut older = Self::default();
        for name in known.into_iter().filter(|name| !name.is_normalized()) {
            if let Ok(normal) = UserName::parse(name.as_str())
                && !is_known(&normal)
            {
                // Of two older names with one normal form, the first is found by it; both are found by their own
                // spelling.
                older.by_normal.entry(normal).or_insert_with(|| name.clone());
            }
            older.stored.insert(name);
        }
        older
    }

    /// Returns the username that `typed` stands for.
    pub(super) fn resolve(&self, typed: &str) -> Result<UserName, InvalidId> {
        if let Some(older) = self.stored.get(typed) {
            return Ok(older.clone());
        }
        let normal = UserName::parse(typed)?;
        Ok(self.by_normal.get(&normal).cloned().unwrap_or(normal))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<UserName> {
        names.iter().map(|name| UserName::stored(name).unwrap()).collect()
    }

    #[test]
    fn older_names_are_found_by_their_spelling_and_by_their_normal_form() {
        let known = names(&["jose\u{301}", "a\u{202e}b", "\u{ff41}nn", "zoë", ".."]);
        let older = OlderNames::of(known, |name| name.as_str() == "ann");
        let table = [
            ("jose\u{301}", Some("jose\u{301}")),
            ("josé", Some("jose\u{301}")),
            ("a\u{202e}b", Some("a\u{202e}b")),
            ("\u{ff41}nn", Some("\u{ff41}nn")),
            // This is the name of another user.
            ("ann", Some("ann")),
            ("zoe\u{308}", Some("zoë")),
            ("..", Some("..")),
            (".", None),
            ("a\u{202d}b", None),
            ("bob", Some("bob")),
            ("\u{ff42}ob", Some("bob")),
        ];
        for (typed, expected) in table {
            assert_eq!(older.resolve(typed).ok().as_ref().map(UserName::as_str), expected, "{typed:?}");
        }
    }
}
