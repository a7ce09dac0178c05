//! The body of a request that changes a section.

use std::collections::BTreeSet;

use jiff::Timestamp;
use utoipa::ToSchema;

use crate::domain::audit_detail::Detail;
use crate::domain::command::{BATCH_LEN_MAX, SectionPatch};
use crate::domain::ids::SectionId;
use crate::domain::pool::CrossListing;
use crate::domain::prerequisite::Requirement;
use crate::domain::reservation::{RESERVATIONS_MAX, Reservation};
use crate::domain::restriction::{RESTRICTIONS_MAX, RestrictedBy, Restriction, VALUES_MAX};
use crate::domain::section::SectionStatus;

use crate::http::body::{Fields, RequestBody};
use crate::http::error::Problem;
use crate::http::registrations::SECTION_LEN_MAX;

/// The largest number of seats, or of waiting people, that staff may set.
const SEATS_MAX: u32 = 100_000;
/// The longest name of a group, a program or a campus, in characters.
const NAME_CHARS_MAX: usize = 100;
/// The longest text of prerequisites, in characters.
const PREREQUISITES_CHARS_MAX: usize = 2_000;
/// The largest repeat limit.
const REPEATS_MAX: u32 = 100;

/// Changes to a section. Absent and null members do not change anything, unless their description says otherwise.
#[derive(Debug, ToSchema)]
#[schema(as = SectionPatch)]
#[serde(deny_unknown_fields)]
pub(super) struct SectionRequest {
    /// Raising it promotes students from the waitlist. Lowering it does not take seats away.
    #[schema(maximum = 100_000)]
    capacity: Option<u32>,
    /// The maximum length of the waitlist.
    #[schema(maximum = 100_000)]
    waitlist_capacity: Option<u32>,
    /// `closed` rejects new students but keeps those enrolled. `cancelled` alerts everyone enrolled; the section no
    /// longer counts toward their schedules and credits.
    status: Option<SectionStatus>,
    /// Seats taken outside the hub, as counted by an import.
    #[schema(maximum = 100_000)]
    outside_enrolled: Option<u32>,
    /// People who wait outside the hub, ahead of those on the hub's waitlist.
    #[schema(maximum = 100_000)]
    outside_waitlisted: Option<u32>,
    /// Sections that must be taken with this one: one of each course and component in the list. Replaces the earlier
    /// list.
    #[schema(value_type = Option<BTreeSet<SectionId>>, max_items = 50)]
    linked: Option<Vec<SectionId>>,
    /// The group of sections with which it shares seats. Null removes the section from its group.
    #[schema(value_type = Option<CrossListingRequest>)]
    cross_listed: Option<Option<CrossListing>>,
    /// Seats that only students of a group can take. Replaces the earlier list.
    #[schema(value_type = Option<Vec<ReservationRequest>>, max_items = 20)]
    reserved: Option<Vec<Reservation>>,
    /// Conditions on the students; all of them apply. Replaces the earlier list.
    #[schema(value_type = Option<Vec<RestrictionRequest>>, max_items = 10)]
    restrictions: Option<Vec<Restriction>>,
    /// How many times a student may take the course; 0 means no limit, null the college's limit.
    #[schema(value_type = Option<u32>, maximum = 100)]
    repeat_limit: Option<Option<u32>>,
    /// An expression such as `MATH 150 with C or PHYS 101 concurrently`, or a section's `prerequisites`, of which the
    /// `text` counts. Null removes the prerequisites.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 2_000)]
    prerequisites: Option<Vec<Requirement>>,
}

/// A group of sections that share seats. `sections` and `open`, which the hub computes, are ignored.
#[derive(ToSchema)]
#[schema(as = CrossListingRequest)]
#[expect(dead_code, reason = "describes what `read_cross_listing` reads")]
struct CrossListingRequest {
    #[schema(min_length = 1, max_length = 100)]
    group: String,
    /// The seats of all its sections together. If the sections state different numbers, the smallest counts.
    #[schema(maximum = 100_000)]
    capacity: Option<u32>,
}

/// Seats reserved for a group. `open`, which the hub computes, is ignored.
#[derive(ToSchema)]
#[schema(as = ReservationRequest)]
#[expect(dead_code, reason = "describes what `read_reservation` reads")]
struct ReservationRequest {
    #[schema(min_length = 1, max_length = 100)]
    group: String,
    #[schema(maximum = 100_000)]
    seats: u32,
    /// When the seats that are left are released to all students.
    until: Option<Timestamp>,
}

/// A condition on the students.
#[derive(ToSchema)]
#[schema(as = RestrictionRequest)]
#[expect(dead_code, reason = "describes what `read_restriction` reads")]
struct RestrictionRequest {
    /// `group`, `program` or `campus`.
    by: String,
    #[schema(min_items = 1, max_items = 40)]
    values: Vec<String>,
    /// Whether students with one of the values are excluded; otherwise only they are admitted.
    exclude: Option<bool>,
}

impl RequestBody for SectionRequest {
    fn read(fields: &mut Fields) -> Result<Self, Problem> {
        let seats = 0..=SEATS_MAX;
        let linked = fields.maybe_strings("linked", BATCH_LEN_MAX, 1..=SECTION_LEN_MAX)?;
        Ok(Self {
            capacity: fields.maybe_u32("capacity", seats.clone())?,
            waitlist_capacity: fields.maybe_u32("waitlist_capacity", seats.clone())?,
            status: fields.maybe_parsed("status", "open, closed or cancelled", SectionStatus::parse)?,
            outside_enrolled: fields.maybe_u32("outside_enrolled", seats.clone())?,
            outside_waitlisted: fields.maybe_u32("outside_waitlisted", seats)?,
            linked: linked.as_deref().map(read_linked).transpose()?,
            cross_listed: fields.nullable_object("cross_listed")?.map(read_cross_listing).transpose()?,
            reserved: fields
                .maybe_objects("reserved", RESERVATIONS_MAX, read_reservation)?
                .map(distinct)
                .transpose()?,
            restrictions: fields.maybe_objects("restrictions", RESTRICTIONS_MAX, read_restriction)?,
            repeat_limit: fields.nullable_u32("repeat_limit", 0..=REPEATS_MAX)?,
            prerequisites: read_prerequisites(fields)?,
        })
    }
}

fn read_linked(texts: &[String]) -> Result<Vec<SectionId>, Problem> {
    let parse = |text: &String| {
        SectionId::parse(text)
            .map_err(|_| Problem::invalid("linked", "A section's id is TERM-CRN, such as 202209-10001."))
    };
    let ids: Vec<SectionId> = texts.iter().map(parse).collect::<Result<_, _>>()?;
    if ids.iter().collect::<BTreeSet<_>>().len() < ids.len() {
        return Err(Problem::invalid("linked", "A section is listed twice."));
    }
    Ok(ids)
}

fn read_cross_listing(fields: Option<Fields>) -> Result<Option<CrossListing>, Problem> {
    let Some(mut fields) = fields else { return Ok(None) };
    let group = fields.string("group", 1..=NAME_CHARS_MAX)?;
    let at = fields.path_of("group");
    let capacity = fields.maybe_u32("capacity", 0..=SEATS_MAX)?;
    // The hub computes these members. A client may send them back.
    fields.maybe_strings("sections", SEATS_MAX as usize, 1..=SECTION_LEN_MAX)?;
    fields.maybe_u32("open", 0..=u32::MAX)?;
    fields.finish()?;
    Ok(Some(CrossListing { group: name(at, &group)?, capacity }))
}

fn read_reservation(fields: &mut Fields) -> Result<Reservation, Problem> {
    let at = fields.path_of("group");
    let group = fields.string("group", 1..=NAME_CHARS_MAX)?;
    let seats = fields.u32("seats", 0..=SEATS_MAX)?;
    let until = fields.maybe_timestamp("until")?;
    fields.maybe_u32("open", 0..=u32::MAX)?;
    Ok(Reservation { group: name(at, &group)?, seats, until })
}

fn distinct(reserved: Vec<Reservation>) -> Result<Vec<Reservation>, Problem> {
    let groups: BTreeSet<String> = reserved.iter().map(|one| one.group.to_ascii_lowercase()).collect();
    if groups.len() < reserved.len() {
        return Err(Problem::invalid("reserved", "A group is listed twice."));
    }
    Ok(reserved)
}

fn read_restriction(fields: &mut Fields) -> Result<Restriction, Problem> {
    let at = fields.path_of("values");
    let by = fields.parsed("by", "group, program or campus", RestrictedBy::parse)?;
    let values = fields.strings("values", VALUES_MAX, 1..=NAME_CHARS_MAX)?;
    let exclude = fields.maybe_bool("exclude")?.unwrap_or(false);
    if values.is_empty() {
        return Err(Problem::invalid(at, "A restriction needs at least one value."));
    }
    let values = values.iter().map(|value| name(at.clone(), value)).collect::<Result<_, _>>()?;
    Ok(Restriction { by, values, exclude })
}

/// Returns a name on one line. A name must not contain the separators of lists in an exported schedule.
fn name(at: String, text: &str) -> Result<Box<str>, Problem> {
    let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if one_line.is_empty() || one_line.contains([',', ';', ':']) {
        return Err(Problem::invalid(
            at,
            "A name must not be blank, and must not contain a comma, semicolon or colon.",
        ));
    }
    Ok(one_line.into())
}

fn read_prerequisites(fields: &mut Fields) -> Result<Option<Vec<Requirement>>, Problem> {
    let length = 1..=PREREQUISITES_CHARS_MAX;
    let text = if fields.is_text("prerequisites") {
        Some(fields.maybe_string("prerequisites", length)?)
    } else {
        match fields.nullable_object("prerequisites")? {
            None => None,
            Some(None) => Some(None),
            Some(Some(mut expression)) => Some(Some(expression.string("text", length)?)),
        }
    };
    let parse = |text: String| {
        Requirement::parse_list(&text)
            .unwrap_or_else(|| text.split(';').map(str::trim).filter(|part| !part.is_empty()).map(Into::into).collect())
    };
    Ok(text.map(|text| text.map(parse).unwrap_or_default()))
}

impl From<SectionRequest> for SectionPatch {
    fn from(request: SectionRequest) -> Self {
        let SectionRequest { capacity, waitlist_capacity, status, outside_enrolled, outside_waitlisted, .. } = request;
        let SectionRequest { linked, cross_listed, reserved, restrictions, repeat_limit, prerequisites, .. } = request;
        Self {
            capacity,
            waitlist_capacity,
            status,
            outside_enrolled,
            outside_waitlisted,
            linked,
            cross_listed,
            reserved,
            restrictions,
            repeat_limit,
            prerequisites,
        }
    }
}

/// Returns the detail of a change for the audit trail.
pub(super) fn describe(patch: &SectionPatch) -> Detail {
    // Every field is named, so that a new field does not compile until it is described here.
    let SectionPatch {
        capacity,
        waitlist_capacity,
        status,
        outside_enrolled,
        outside_waitlisted,
        linked,
        cross_listed,
        reserved,
        restrictions,
        repeat_limit,
        prerequisites,
    } = patch;
    let number = |name: &'static str, value: &Option<u32>| value.map(|value| (name, value.to_string()));
    let list = |name: &'static str, texts: Option<Vec<String>>| {
        let text = |texts: Vec<String>| if texts.is_empty() { "none".to_owned() } else { texts.join("; ") };
        texts.map(|texts| (name, text(texts)))
    };
    let texts =
        |items: &Option<Vec<Restriction>>| items.as_ref().map(|items| items.iter().map(ToString::to_string).collect());
    let seats = |one: &Reservation| format!("{}: {}", one.group, one.seats);
    let listing = |one: &CrossListing| match one.capacity {
        Some(capacity) => format!("{} ({capacity})", one.group),
        None => one.group.to_string(),
    };
    let parts = [
        number("capacity", capacity),
        number("waitlist_capacity", waitlist_capacity),
        number("outside_enrolled", outside_enrolled),
        number("outside_waitlisted", outside_waitlisted),
        status.map(|status| ("status", status.as_str().to_owned())),
        list("linked", linked.as_ref().map(|ids| ids.iter().map(ToString::to_string).collect())),
        list("cross_listed", cross_listed.as_ref().map(|one| one.iter().map(listing).collect())),
        list("reserved", reserved.as_ref().map(|all| all.iter().map(seats).collect())),
        list("restrictions", texts(restrictions)),
        list("repeat_limit", repeat_limit.map(|limit| limit.iter().map(ToString::to_string).collect())),
        list("prerequisites", prerequisites.as_ref().map(|all| all.iter().map(ToString::to_string).collect())),
    ];
    Detail::of_fields(parts.into_iter().flatten().collect(), ", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::audit_detail::coded;
    use crate::http::openapi::request_tests::assert_reader_matches_schema;

    #[test]
    fn reader_and_schema_of_the_request_agree() {
        assert_reader_matches_schema::<SectionRequest>(&[
            ("cross_listed", json!({"group": "XL1"})),
            ("reserved", json!([{"group": "honors", "seats": 2}])),
            ("restrictions", json!([{"by": "campus", "values": ["North"]}])),
        ]);
    }

    #[test]
    fn the_detail_of_a_change_names_all_fields() {
        let patch = SectionPatch {
            capacity: Some(30),
            waitlist_capacity: Some(5),
            status: Some(SectionStatus::Closed),
            outside_enrolled: Some(0),
            outside_waitlisted: Some(0),
            linked: Some(vec![SectionId::parse("2027-1").unwrap()]),
            cross_listed: Some(None),
            reserved: Some(Vec::new()),
            restrictions: Some(Vec::new()),
            repeat_limit: Some(Some(2)),
            prerequisites: Some(Vec::new()),
        };
        let detail = describe(&patch);
        assert_eq!(detail.coded.as_ref().unwrap().args.len(), 11);
        assert_eq!(detail.coded, coded("section.change", &detail.text), "its text has the same code and values");
    }
}
