//! Differences between two states of a section by field, as an import reports them.

use serde::{Deserialize, Serialize};

use crate::domain::ids::SectionId;
use crate::domain::meeting::Meeting;
use crate::domain::pool::CrossListing;
use crate::domain::prerequisite::Requirement;
use crate::domain::reservation::Reservation;
use crate::domain::restriction::Restriction;
use crate::domain::section::{Credits, Section, SectionState, SectionStatus};

/// The values of a field before and after a change, in JSON `[before, after]`. `None`, in JSON `null`, is an unknown
/// value or a field of a section that did not exist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldChange<T>(pub Option<T>, pub Option<T>);

impl<T: Clone + PartialEq> FieldChange<T> {
    fn between(before: Option<&T>, after: Option<&T>) -> Option<Self> {
        (before != after).then(|| Self(before.cloned(), after.cloned()))
    }
}

/// Declares the fields that are compared. Each is optional in JSON.
macro_rules! compared_fields {
    ($($field:ident: $type:ty,)+) => {
        /// The fields of a section that differ. They have the names of `GET /api/v1/sections`.
        #[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
        #[allow(missing_docs, reason = "each field has the name of the section's field that changed")]
        pub struct SectionChanges {
            $(
                #[serde(skip_serializing_if = "Option::is_none")]
                pub $field: Option<FieldChange<$type>>,
            )+
        }

        impl SectionChanges {
            /// The names of the fields that are compared.
            pub const FIELDS: &[&str] = &[$(stringify!($field)),+];
        }
    };
}

compared_fields! {
    campus: Box<str>,
    capacity: u32,
    component: Box<str>,
    course: Box<str>,
    credits: Credits,
    crn: Box<str>,
    cross_listed: CrossListing,
    enrolled: u32,
    file_totals: [u32; 2],
    instructor: Box<str>,
    linked: Vec<SectionId>,
    meetings: Vec<Meeting>,
    method: Box<str>,
    prerequisites: Vec<Requirement>,
    repeat_limit: u32,
    reserved: Vec<Reservation>,
    restrictions: Vec<Restriction>,
    section: Box<str>,
    status: SectionStatus,
    title: Box<str>,
    waitlist_capacity: u32,
    waitlisted: u32,
}

impl SectionChanges {
    /// Compares two states of a section; `before` is `None` for a new section, for which only the fields that have a
    /// value are reported.
    ///
    /// Reports the totals of the last import only if nothing else differs.
    #[must_use]
    pub fn between(before: Option<&SectionState>, after: &SectionState) -> Self {
        // Names every field, so that none can be forgotten. `id` is the same, and a file does not define `withdrawn`.
        let Section {
            id: _,
            original_crn,
            course,
            component,
            section,
            title,
            credits,
            instructor,
            method,
            campus,
            meetings,
            capacity,
            waitlist_capacity,
            status,
            linked,
            cross_listed,
            reserved,
            restrictions,
            repeat_limit,
            prerequisites,
            withdrawn: _,
        } = &*after.section;
        let old = before.map(|before| &*before.section);
        let changes = Self {
            campus: FieldChange::between(old.and_then(|old| old.campus.as_ref()), campus.as_ref()),
            capacity: FieldChange::between(old.map(|old| &old.capacity), Some(capacity)),
            component: FieldChange::between(old.map(|old| &old.component), Some(component)),
            course: FieldChange::between(old.map(|old| &old.course), Some(course)),
            credits: FieldChange::between(old.map(|old| &old.credits), Some(credits)),
            crn: crn_change(old, &after.section).filter(|_| old.is_some() || original_crn.is_some()),
            cross_listed: FieldChange::between(old.and_then(|old| old.cross_listed.as_ref()), cross_listed.as_ref()),
            enrolled: FieldChange::between(
                before.map(SectionState::enrolled_total).as_ref(),
                Some(&after.enrolled_total()),
            ),
            file_totals: None,
            instructor: FieldChange::between(old.and_then(|old| old.instructor.as_ref()), instructor.as_ref()),
            linked: FieldChange::between(old.map(|old| &old.linked), unless_new_and_empty(old, linked)),
            meetings: FieldChange::between(old.map(|old| &old.meetings), unless_new_and_empty(old, meetings)),
            method: FieldChange::between(old.and_then(|old| old.method.as_ref()), method.as_ref()),
            prerequisites: FieldChange::between(
                old.map(|old| &old.prerequisites),
                unless_new_and_empty(old, prerequisites),
            ),
            repeat_limit: FieldChange::between(old.and_then(|old| old.repeat_limit.as_ref()), repeat_limit.as_ref()),
            reserved: FieldChange::between(old.map(|old| &old.reserved), unless_new_and_empty(old, reserved)),
            restrictions: FieldChange::between(
                old.map(|old| &old.restrictions),
                unless_new_and_empty(old, restrictions),
            ),
            section: FieldChange::between(old.and_then(|old| old.section.as_ref()), section.as_ref()),
            status: FieldChange::between(old.map(|old| &old.status), Some(status)),
            title: FieldChange::between(old.and_then(|old| old.title.as_ref()), title.as_ref()),
            waitlist_capacity: FieldChange::between(old.map(|old| &old.waitlist_capacity), Some(waitlist_capacity)),
            waitlisted: FieldChange::between(
                before.map(SectionState::waitlisted_total).as_ref(),
                Some(&after.waitlisted_total()),
            ),
        };
        match before {
            Some(before) if changes == Self::default() => {
                let totals = |state: &SectionState| state.file_totals.map(<[u32; 2]>::from);
                Self { file_totals: Some(FieldChange(totals(before), totals(after))), ..changes }
            }
            Some(_) | None => changes,
        }
    }
}

/// Compares the CRNs as the college writes them. Those of the ids are equal.
fn crn_change(old: Option<&Section>, new: &Section) -> Option<FieldChange<Box<str>>> {
    let shown = |section: &Section| Box::<str>::from(section.crn_text());
    FieldChange::between(old.map(shown).as_ref(), Some(&shown(new)))
}

/// Returns `list`; `None` if it is empty and the section is new.
fn unless_new_and_empty<'l, T>(old: Option<&Section>, list: &'l Vec<T>) -> Option<&'l Vec<T>> {
    Some(list).filter(|list| old.is_some() || !list.is_empty())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn state(change: impl FnOnce(&mut Section)) -> SectionState {
        let mut section = Section {
            id: SectionId::parse("202209-10001").unwrap(),
            course: "MATH 151".into(),
            component: "lecture".into(),
            section: None,
            title: Some("Calculus".into()),
            credits: Credits(1_500),
            instructor: None,
            method: None,
            campus: None,
            meetings: Vec::new(),
            capacity: 30,
            waitlist_capacity: 0,
            status: SectionStatus::Open,
            linked: Vec::new(),
            prerequisites: Vec::new(),
            cross_listed: None,
            reserved: Vec::new(),
            restrictions: Vec::new(),
            repeat_limit: None,
            original_crn: None,
            withdrawn: false,
        };
        change(&mut section);
        SectionState::new(Arc::new(section))
    }

    /// Serializes changes, and checks that they can be deserialized.
    fn to_json(changes: &SectionChanges) -> String {
        let text = serde_json::to_string(changes).unwrap();
        assert_eq!(serde_json::from_str::<SectionChanges>(&text).unwrap(), *changes, "round trip through {text}");
        text
    }

    #[test]
    fn a_new_section_reports_the_fields_that_have_a_value() {
        let after = state(|section| section.meetings = vec![Meeting::default()]);
        let meeting = r#"[{"days":[],"start":null,"end":null,"starts_on":null,"ends_on":null,"location":null}]"#;
        assert_eq!(
            to_json(&SectionChanges::between(None, &after)),
            [
                r#"{"capacity":[null,30],"component":[null,"lecture"],"course":[null,"MATH 151"],"credits":[null,1.5],"#,
                r#""enrolled":[null,0],"meetings":[null,"#,
                meeting,
                r#"],"status":[null,"open"],"title":[null,"Calculus"],"waitlist_capacity":[null,0],"waitlisted":[null,0]}"#,
            ]
            .concat()
        );
    }

    #[test]
    fn a_changed_section_reports_only_the_fields_that_differ() {
        let before = state(|section| section.prerequisites = vec!["MATH 141".into()]);
        let mut after = state(|section| {
            section.title = None;
            section.capacity = 20;
            section.withdrawn = true;
        });
        after.outside_enrolled = 4;
        assert_eq!(
            to_json(&SectionChanges::between(Some(&before), &after)),
            r#"{"capacity":[30,20],"enrolled":[0,4],"prerequisites":[["MATH 141"],[]],"title":["Calculus",null]}"#
        );
    }

    #[test]
    fn file_totals_are_reported_only_if_nothing_else_differs() {
        let before = state(|_| {});
        let mut after = before.clone();
        after.file_totals = Some((3, 1));
        assert_eq!(to_json(&SectionChanges::between(Some(&before), &after)), r#"{"file_totals":[null,[3,1]]}"#);
        after.outside_enrolled = 3;
        assert_eq!(to_json(&SectionChanges::between(Some(&before), &after)), r#"{"enrolled":[0,3]}"#);
    }
}
