//! Tests of how a store keeps the plans of students.

use eduhub::domain::ids::{SectionId, TermId, UserName};
use eduhub::domain::plan::{PLANS_MAX, PlanName, PlannedSection};
use eduhub::store::plans::{Plan, PlanStore, PutPlan};

use super::fixture::{StoreFixture, block_on};
use crate::college::{id, user};

fn plan(name: &str, sections: &[&str]) -> Plan {
    let sections = sections.iter().map(|one| PlannedSection::new(id(one))).collect();
    Plan { name: PlanName::parse(name).unwrap(), sections }
}

pub(crate) fn plans_are_replaced_and_removed_by_name<F: StoreFixture>() {
    let fixture = F::create();
    let store = fixture.open();
    let put = |plan: Plan| block_on(store.put_plan(&user("ann"), plan)).unwrap();
    let with_choices = PlannedSection { waitlist: true, alternates: vec![id("Y")], ..PlannedSection::new(id("X")) };
    let second = Plan { sections: vec![with_choices], ..plan("Plan B", &[]) };
    assert_eq!(put(plan("default", &["X"])), PutPlan::Created);
    assert_eq!(put(second.clone()), PutPlan::Created);
    assert_eq!(put(plan("default", &["Y", "X"])), PutPlan::Replaced);
    block_on(store.put_plan(&user("bob"), plan("default", &["Z"]))).unwrap();
    drop(store);
    let store = fixture.open();
    let all = |name: &str| block_on(store.plans(&user(name))).unwrap();
    let one = |name: &str| block_on(store.plan(&user("ann"), &PlanName::parse(name).unwrap())).unwrap();
    assert_eq!(all("ann"), [second.clone(), plan("default", &["Y", "X"])]);
    assert_eq!((one("Plan B"), one("plan b")), (Some(second.sections), None));
    assert!(block_on(store.remove_plan(&user("ann"), &PlanName::default())).unwrap());
    assert!(!block_on(store.remove_plan(&user("ann"), &PlanName::default())).unwrap());
    assert_eq!((all("ann").len(), all("bob")), (1, vec![plan("default", &["Z"])]));
}

pub(crate) fn the_number_of_plans_of_a_student_is_limited<F: StoreFixture>() {
    let fixture = F::create();
    let store = fixture.open();
    let put = |student: &str, name: &str| block_on(store.put_plan(&user(student), plan(name, &["X"]))).unwrap();
    for number in 0..PLANS_MAX {
        assert_eq!(put("ann", &format!("p{number}")), PutPlan::Created, "{number}");
    }
    assert_eq!(put("ann", "another"), PutPlan::Full);
    assert_eq!((put("ann", "default"), put("ann", "p3")), (PutPlan::Created, PutPlan::Replaced));
    assert_eq!((put("ann", "another"), put("bob", "another")), (PutPlan::Full, PutPlan::Created));
}

pub(crate) fn the_plans_for_a_term_are_read_together<F: StoreFixture>() {
    let fixture = F::create();
    let store = fixture.open();
    let put = |name: &str, sections: &[&str]| {
        let sections = sections.iter().map(|id| PlannedSection::new(SectionId::parse(id).unwrap())).collect();
        let plan = Plan { name: PlanName::default(), sections };
        block_on(store.put_plan(&user(name), plan)).unwrap();
    };
    // The name of the term 27 is the end of 2027, 20270 begins with 2027, and a section of the term 2 has the CRN 2027.
    put("cid", &["2027-B", "2028-A", "2027-A"]);
    put("ann", &["2027-A"]);
    put("bob", &["27-A", "2-2027", "20270-A"]);
    put("dan", &[]);
    let other = Plan {
        name: PlanName::parse("Plan B").unwrap(),
        sections: vec![PlannedSection::new(SectionId::parse("2027-C").unwrap())],
    };
    block_on(store.put_plan(&user("ann"), other)).unwrap();
    drop(store);
    let store = fixture.open();
    let read = |term: &str, max| block_on(store.plans_for(&TermId::parse(term).unwrap(), max)).unwrap();
    let planned = |ids: &[&str]| ids.iter().map(|id| PlannedSection::new(SectionId::parse(id).unwrap())).collect();
    let plan = |name, ids: &[&str]| -> (UserName, Vec<PlannedSection>) { (user(name), planned(ids)) };
    let (ann, cid) = (plan("ann", &["2027-A"]), plan("cid", &["2027-B", "2027-A"]));
    assert_eq!(read("2027", 10), [ann.clone(), cid]);
    assert_eq!(read("2027", 1), [ann]);
    assert_eq!(read("2028", 10), [plan("cid", &["2028-A"])]);
    assert_eq!(read("2030", 10), []);
}
