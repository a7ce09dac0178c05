//! The body of a request that changes a term, and its detail in the audit trail.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;
use strum::VariantArray;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};

use crate::domain::audit_detail::Detail;
use crate::domain::command::TermPatch;
use crate::domain::offer::{OFFER_S_MAX, OFFER_S_MIN, WaitlistMode};
use crate::domain::term::{GROUP_WINDOWS_MAX, GroupWindow};
use crate::domain::waitlist_order::PRIORITY_GROUPS_MAX;

use crate::http::body::{Fields, RequestBody};
use crate::http::error::Problem;
use crate::http::students::NAME_CHARS_MAX;

/// The longest title, in characters.
const TITLE_LEN_MAX: usize = 200;
/// The maximum number of holidays.
const HOLIDAYS_MAX: usize = 366;

/// When registration is open for a group of students.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = GroupWindow)]
pub(super) struct GroupWindowBody {
    #[schema(value_type = String, min_length = 1, max_length = 100)]
    group: Box<str>,
    /// When registration opens.
    opens_at: Timestamp,
    /// When it closes; if absent, it closes with the term.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    closes_at: Option<Timestamp>,
}

impl GroupWindowBody {
    fn read(fields: &mut Fields) -> Result<Self, Problem> {
        let at = fields.path_of("closes_at");
        let group = fields.string("group", 1..=NAME_CHARS_MAX)?.into();
        let (opens_at, closes_at) = (fields.timestamp("opens_at")?, fields.maybe_timestamp("closes_at")?);
        if closes_at.is_some_and(|closes| closes <= opens_at) {
            return Err(closes_before_opening(at));
        }
        Ok(Self { group, opens_at, closes_at })
    }
}

/// Returns the problem of a window that would close before it opens.
pub(super) fn closes_before_opening(field: impl Into<String>) -> Problem {
    Problem::invalid(field, "Registration must close after it opens.").reason("closes_before_opening")
}

impl From<GroupWindow> for GroupWindowBody {
    fn from(GroupWindow { group, opens_at, closes_at }: GroupWindow) -> Self {
        Self { group, opens_at, closes_at }
    }
}

impl From<GroupWindowBody> for GroupWindow {
    fn from(GroupWindowBody { group, opens_at, closes_at }: GroupWindowBody) -> Self {
        Self { group, opens_at, closes_at }
    }
}

/// Returns the schema of a nullable waitlist mode.
pub(super) fn nullable_mode() -> ObjectBuilder {
    let names = WaitlistMode::VARIANTS.iter().map(|mode| Some(mode.as_str())).chain([None]);
    ObjectBuilder::new().schema_type(SchemaType::from_iter([Type::String, Type::Null])).enum_values(Some(names))
}

/// Changes to a term. Absent members do not change.
#[derive(Debug, ToSchema)]
#[schema(as = TermPatch)]
#[serde(deny_unknown_fields)]
pub(super) struct TermRequest {
    #[schema(min_length = 1, max_length = 200)]
    title: Option<String>,
    /// Null removes it.
    #[schema(value_type = Option<Date>)]
    starts_on: Option<Option<Date>>,
    /// Null removes it.
    #[schema(value_type = Option<Date>)]
    ends_on: Option<Option<Date>>,
    /// When registration opens; null closes registration.
    #[schema(value_type = Option<Timestamp>)]
    opens_at: Option<Option<Timestamp>>,
    /// When registration closes; null keeps it open.
    #[schema(value_type = Option<Timestamp>)]
    closes_at: Option<Option<Timestamp>>,
    /// When registration is open for groups of students. Replaces the earlier list.
    #[schema(max_items = 40)]
    windows: Option<Vec<GroupWindowBody>>,
    /// Days without classes.
    #[schema(max_items = 366)]
    holidays: Option<Vec<Date>>,
    /// The deadline to add sections; null removes it.
    #[schema(value_type = Option<Timestamp>)]
    add_until: Option<Option<Timestamp>>,
    /// The deadline to drop seats; null removes it.
    #[schema(value_type = Option<Timestamp>)]
    drop_until: Option<Option<Timestamp>>,
    /// When the waitlists end; null if they do not end.
    #[schema(value_type = Option<Timestamp>)]
    waitlist_until: Option<Option<Timestamp>>,
    /// Whether a free seat is assigned to the head of the waitlist (`auto`) or offered (`offer`). Null uses the
    /// college's setting.
    #[schema(schema_with = nullable_mode)]
    waitlist: Option<Option<WaitlistMode>>,
    /// How long a seat is offered, in seconds. Null uses the college's setting.
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 2_592_000)]
    offer_s: Option<Option<u32>>,
    /// The longest time for which a seat is offered in the first 24 hours after the term opens, in seconds. Null uses
    /// the college's setting.
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 2_592_000)]
    offer_first_day_s: Option<Option<u32>>,
    /// The groups whose students come first on waitlists, in order. Replaces the earlier list, and orders all waitlists
    /// of the term again.
    #[schema(max_items = 20)]
    waitlist_priority: Option<Vec<Box<str>>>,
}

impl RequestBody for TermRequest {
    const SET_BY_HUB: &'static [&'static str] = &["id", "now", "mine"];

    fn read(fields: &mut Fields) -> Result<Self, Problem> {
        let day = |text: &str| text.parse().ok();
        Ok(Self {
            title: fields.maybe_string("title", 1..=TITLE_LEN_MAX)?,
            starts_on: fields.nullable_date("starts_on")?,
            ends_on: fields.nullable_date("ends_on")?,
            opens_at: fields.nullable_timestamp("opens_at")?,
            closes_at: fields.nullable_timestamp("closes_at")?,
            windows: fields.maybe_objects("windows", GROUP_WINDOWS_MAX, GroupWindowBody::read)?,
            holidays: fields.maybe_parsed_list("holidays", HOLIDAYS_MAX, "a date such as 2022-09-07", day)?,
            add_until: fields.nullable_timestamp("add_until")?,
            drop_until: fields.nullable_timestamp("drop_until")?,
            waitlist_until: fields.nullable_timestamp("waitlist_until")?,
            waitlist: fields.nullable_parsed("waitlist", "auto or offer", WaitlistMode::parse)?,
            offer_s: fields.nullable_u32("offer_s", OFFER_S_MIN..=OFFER_S_MAX)?,
            offer_first_day_s: fields.nullable_u32("offer_first_day_s", OFFER_S_MIN..=OFFER_S_MAX)?,
            waitlist_priority: read_priority(fields)?,
        })
    }
}

/// Reads the declared priority: groups, each once, without regard to case.
fn read_priority(fields: &mut Fields) -> Result<Option<Vec<Box<str>>>, Problem> {
    let Some(groups) = fields.maybe_strings("waitlist_priority", PRIORITY_GROUPS_MAX, 1..=NAME_CHARS_MAX)? else {
        return Ok(None);
    };
    let mut priority: Vec<Box<str>> = Vec::new();
    for group in groups {
        if !priority.iter().any(|known| known.eq_ignore_ascii_case(&group)) {
            priority.push(group.into());
        }
    }
    Ok(Some(priority))
}

impl From<TermRequest> for TermPatch {
    fn from(request: TermRequest) -> Self {
        let TermRequest { title, starts_on, ends_on, opens_at, closes_at, windows, holidays, .. } = request;
        let TermRequest { add_until, drop_until, waitlist_until, waitlist, offer_s, offer_first_day_s, .. } = request;
        let waitlist_priority = request.waitlist_priority;
        let windows = windows.map(|windows| windows.into_iter().map(GroupWindow::from).collect());
        Self {
            title: title.map(Into::into),
            starts_on,
            ends_on,
            opens_at,
            closes_at,
            windows,
            holidays,
            add_until,
            drop_until,
            waitlist_until,
            waitlist,
            offer_s,
            offer_first_day_s,
            waitlist_priority,
        }
    }
}

/// Returns the detail of a change for the audit trail.
pub(super) fn describe(patch: &TermPatch) -> Detail {
    fn part(name: &'static str, value: Option<Option<impl ToString>>) -> Option<(&'static str, String)> {
        Some((name, value?.map_or("none".to_owned(), |value| value.to_string())))
    }
    // Every field is named, so that a new field cannot be left out of the trail.
    let TermPatch {
        title,
        starts_on,
        ends_on,
        opens_at,
        closes_at,
        windows,
        holidays,
        add_until,
        drop_until,
        waitlist_until,
        waitlist,
        offer_s,
        offer_first_day_s,
        waitlist_priority,
    } = patch;
    let parts = [
        part("title", title.as_ref().map(Some)),
        part("starts_on", *starts_on),
        part("ends_on", *ends_on),
        part("opens_at", *opens_at),
        part("closes_at", *closes_at),
        part("windows", windows.as_ref().map(|windows| Some(windows.len()))),
        part("holidays", holidays.as_ref().map(|days| Some(days.len()))),
        part("add_until", *add_until),
        part("drop_until", *drop_until),
        part("waitlist_until", *waitlist_until),
        part("waitlist", waitlist.map(|mode| mode.map(WaitlistMode::as_str))),
        part("offer_s", *offer_s),
        part("offer_first_day_s", *offer_first_day_s),
        part("waitlist_priority", waitlist_priority.as_ref().map(|groups| Some(groups.len()))),
    ];
    Detail::of_fields(parts.into_iter().flatten().collect(), ", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::audit_detail::coded;
    use crate::http::openapi::request_tests::assert_reader_matches_schema;

    #[test]
    fn reader_and_schema_of_the_request_agree() {
        let window = serde_json::json!([{"group": "honors", "opens_at": "2026-01-12T08:00:00Z"}]);
        assert_reader_matches_schema::<TermRequest>(&[("windows", window)]);
    }

    #[test]
    fn the_detail_of_a_change_names_its_fields() {
        let patch = TermPatch {
            title: Some("Fall".into()),
            starts_on: Some(None),
            ends_on: Some(None),
            opens_at: Some(Some(Timestamp::UNIX_EPOCH)),
            closes_at: Some(None),
            windows: Some(Vec::new()),
            holidays: Some(Vec::new()),
            waitlist: Some(Some(WaitlistMode::Auto)),
            offer_s: Some(Some(60)),
            offer_first_day_s: Some(None),
            add_until: Some(Some(Timestamp::UNIX_EPOCH)),
            drop_until: Some(None),
            waitlist_until: Some(None),
            waitlist_priority: Some(vec!["graduating".into()]),
        };
        let detail = describe(&patch);
        assert_eq!(detail.coded.as_ref().unwrap().args.len(), 14);
        assert_eq!(detail.coded, coded("term.change", &detail.text), "its text has the same code and values");
    }
}
