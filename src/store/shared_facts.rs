//! Facts about students in memory, once for all terms.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::domain::ids::UserName;
use crate::domain::student::StudentFacts;

/// The facts that terms have in memory. Every term has the facts about all students, so terms share them.
#[derive(Debug, Default)]
pub(super) struct SharedFacts(Mutex<HashMap<UserName, Weak<StudentFacts>>>);

impl SharedFacts {
    /// Replaces facts by equal ones that a term already has in memory.
    pub(super) fn share(&self, facts: &mut [(UserName, Arc<StudentFacts>)]) {
        let mut known = self.0.lock();
        known.retain(|_, facts| facts.strong_count() > 0);
        for (student, facts) in facts {
            match known.get(student).and_then(Weak::upgrade).filter(|known| known == facts) {
                Some(known) => *facts = known,
                None => _ = known.insert(student.clone(), Arc::downgrade(facts)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_facts_are_in_memory_once() {
        let shared = SharedFacts::default();
        let load = |program: &str| {
            let facts = StudentFacts { program: Some(program.into()), ..StudentFacts::default() };
            let mut rows = [(UserName::parse("ann").unwrap(), Arc::new(facts))];
            shared.share(&mut rows);
            let [(_, facts)] = rows;
            facts
        };
        let first = load("Nursing");
        assert!(Arc::ptr_eq(&first, &load("Nursing")));
        let changed = load("Welding");
        assert_eq!(changed.program.as_deref(), Some("Welding"));
        assert!(Arc::ptr_eq(&changed, &load("Welding")));
    }
}
