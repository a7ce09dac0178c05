//! A section as lists show it, and its compact row of seats.

use std::io::Write;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::domain::section::{Section, SectionState};

/// A section in JSON, as the contract's section 4 has it.
pub struct SectionJson<'a>(pub &'a SectionState);

impl Serialize for SectionJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let state = self.0;
        // Every field is named, so that a new one does not compile until it is decided how clients see it.
        let Section {
            id,
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
            prerequisites,
            withdrawn,
        } = &*state.section;
        let mut s = serializer.serialize_struct("Section", 22)?;
        s.serialize_field("id", id)?;
        s.serialize_field("term", &id.term)?;
        s.serialize_field("crn", &id.crn)?;
        s.serialize_field("course", course)?;
        s.serialize_field("component", component)?;
        s.serialize_field("section", section)?;
        s.serialize_field("title", title)?;
        s.serialize_field("credits", credits)?;
        s.serialize_field("instructor", instructor)?;
        s.serialize_field("method", method)?;
        s.serialize_field("campus", campus)?;
        s.serialize_field("meetings", meetings)?;
        s.serialize_field("capacity", capacity)?;
        s.serialize_field("enrolled", &state.enrolled_total())?;
        s.serialize_field("open", &state.open())?;
        s.serialize_field("waitlist_capacity", waitlist_capacity)?;
        s.serialize_field("waitlisted", &state.waitlisted_total())?;
        s.serialize_field("status", status)?;
        s.serialize_field("linked", linked)?;
        // Seats reserved for groups come with the rule that honours them.
        s.serialize_field("reserved", &[(); 0])?;
        s.serialize_field("prerequisites", prerequisites)?;
        s.serialize_field("withdrawn", withdrawn)?;
        s.end()
    }
}

/// Appends `["ID",capacity,enrolled,waitlisted,open]`. Ids hold no character that JSON would escape. Of a section that
/// is withdrawn everybody hears that it has no seats, and nothing else.
pub fn push_seat_row(out: &mut Vec<u8>, state: &SectionState) {
    let section = &state.section;
    let [capacity, enrolled, waitlisted, open] = match section.withdrawn {
        true => [0; 4],
        false => [section.capacity, state.enrolled_total(), state.waitlisted_total(), state.open()],
    };
    let (term, crn) = (&section.id.term, &section.id.crn);
    // Writing to a vector does not fail.
    let _ = write!(out, "[\"{term}-{crn}\",{capacity},{enrolled},{waitlisted},{open}]");
}

/// Appends rows as a JSON list.
pub fn push_seat_rows<'a>(out: &mut Vec<u8>, states: impl Iterator<Item = &'a SectionState>) {
    out.push(b'[');
    for (index, state) in states.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        push_seat_row(out, state);
    }
    out.push(b']');
}
