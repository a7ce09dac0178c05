//! Tests of how a store keeps plans.

use eduhub::domain::ids::{Crn, SectionId, TermId};
use eduhub::store::plans::PlanStore;

use super::fixture::{StoreFixture, block_on};
use crate::college::user;

pub(crate) fn the_plans_for_a_term_are_read_together<F: StoreFixture>() {
    let fixture = F::create();
    let store = fixture.open();
    let put = |name: &str, sections: &[&str]| {
        let sections = sections.iter().map(|id| SectionId::parse(id).unwrap()).collect();
        block_on(store.put_plan(&user(name), sections)).unwrap();
    };
    // The terms 27 and 2 end as the term 2027 begins or ends.
    put("cid", &["2027-B", "2028-A", "2027-A"]);
    put("ann", &["2027-A"]);
    put("bob", &["27-A", "2-2027", "20270-A"]);
    put("dan", &[]);
    drop(store);
    let store = fixture.open();
    let read = |term: &str, max| block_on(store.plans_for(&TermId::parse(term).unwrap(), max)).unwrap();
    let crns = |crns: &[&str]| crns.iter().map(|crn| Crn::parse(crn).unwrap()).collect::<Vec<_>>();
    let (ann, cid) = ((user("ann"), crns(&["A"])), (user("cid"), crns(&["B", "A"])));
    assert_eq!(read("2027", 10), [ann.clone(), cid]);
    assert_eq!(read("2027", 1), [ann]);
    assert_eq!(read("2028", 10), [(user("cid"), crns(&["A"]))]);
    assert_eq!(read("2030", 10), []);
}
