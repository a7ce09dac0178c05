//! Terms and their registration windows.

use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;
use strum::VariantArray;
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::{OpenApi, ToSchema};

use crate::clock::Clock;
use crate::config::{College, Privacy};
use crate::domain::audit_detail::Detail;
use crate::domain::command::{Command, TermPatch};
use crate::domain::ids::{SANDBOX_PREFIX, TermId, UserName};
use crate::domain::offer::{OFFER_S_MAX, OFFER_S_MIN, WaitlistMode};
use crate::domain::role::Role;
use crate::domain::section::Credits;
use crate::domain::term::{GROUP_WINDOWS_MAX, GroupWindow, Term, Window};
use crate::domain::waitlist_order::{self, PRIORITY_GROUPS_MAX};
use crate::identity::audit::Audit;
use crate::registration::pool::RegistrarPool;
use crate::registration::readmodel::{ReadModel, TermModel};
use crate::registration::submitted::Submitted;

use crate::http::auth::{Staff, Visitor};
use crate::http::body::{Fields, RequestBody, read_body};
use crate::http::error::Problem;
use crate::http::openapi::ReadOnlyMembers;
use crate::http::openapi::responses::{BadBody, BadRole, BadToken, StoreFailed};
use crate::http::query::path_param;
use crate::http::students::{HoldResponse, NAME_CHARS_MAX};

/// The longest title, in characters.
const TITLE_LEN_MAX: usize = 200;
/// The maximum number of holidays.
const HOLIDAYS_MAX: usize = 366;

/// The maximum number of credits of a student in one term; 0 is no limit.
#[derive(Debug, Clone, Copy)]
pub struct CreditLimit(pub Credits);

/// The operations of this file.
#[derive(OpenApi)]
#[openapi(paths(list, put), modifiers(&TERM_READ_ONLY))]
pub(super) struct Api;

/// Describes the members of a term that the hub sets itself.
const TERM_READ_ONLY: ReadOnlyMembers<TermRequest> = ReadOnlyMembers::NEW;

/// All terms.
#[derive(Debug, Serialize, ToSchema)]
struct TermList<'a> {
    items: Vec<TermResponse<'a>>,
    college: CollegeResponse<'a>,
}

/// The college.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = College)]
struct CollegeResponse<'a> {
    name: &'a str,
    /// The IANA name of its time zone, such as `America/New_York`.
    timezone: &'a str,
    /// Pages show visitors a smaller count of people as "fewer than" this number. Absent if all counts are shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    small_counts: Option<u32>,
}

/// A term and its registration window.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Term)]
struct TermResponse<'a> {
    id: &'a TermId,
    title: &'a str,
    #[schema(required)]
    starts_on: Option<Date>,
    #[schema(required)]
    ends_on: Option<Date>,
    /// When registration opens; null if it is closed.
    #[schema(required)]
    opens_at: Option<Timestamp>,
    /// When registration closes; null if it stays open.
    #[schema(required)]
    closes_at: Option<Timestamp>,
    /// When registration is open for groups of students, instead of `opens_at` and `closes_at`.
    windows: Vec<GroupWindowBody>,
    /// Days without classes.
    holidays: &'a [Date],
    /// The deadline to add sections (excluded); null without a limit within the window.
    #[schema(required)]
    add_until: Option<Timestamp>,
    /// The deadline to drop seats (excluded); null if they can always be dropped.
    #[schema(required)]
    drop_until: Option<Timestamp>,
    /// When the waitlists end: students join them and are promoted until then.
    #[schema(required)]
    waitlist_until: Option<Timestamp>,
    /// Whether a free seat is assigned to the head of the waitlist (`auto`) or offered (`offer`); null is the college's
    /// setting.
    #[schema(required, schema_with = nullable_mode)]
    waitlist: Option<WaitlistMode>,
    /// How long a seat is offered, in seconds; null is the college's setting.
    #[schema(required)]
    offer_s: Option<u32>,
    /// The longest time for which a seat is offered in the first 24 hours after the term opens, in seconds; null is the
    /// college's setting.
    #[schema(required)]
    offer_first_day_s: Option<u32>,
    /// The groups whose students come first on waitlists, in order; empty for the order of joining alone.
    waitlist_priority: &'a [Box<str>],
    /// The time on the server's clock, for countdowns.
    now: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    mine: Option<TermMine>,
}

impl<'a> TermResponse<'a> {
    fn new(term: &'a Term, now: Timestamp) -> Self {
        Self {
            id: &term.id,
            title: &term.title,
            starts_on: term.starts_on,
            ends_on: term.ends_on,
            opens_at: term.opens_at,
            closes_at: term.closes_at,
            windows: term.windows.iter().cloned().map(GroupWindowBody::from).collect(),
            holidays: &term.holidays,
            add_until: term.cutoffs.add_until,
            drop_until: term.cutoffs.drop_until,
            waitlist_until: term.cutoffs.waitlist_until,
            waitlist: term.offers.mode,
            offer_s: term.offers.offer_s,
            offer_first_day_s: term.offers.first_day_s,
            waitlist_priority: &term.offers.priority,
            now,
            mine: None,
        }
    }
}

/// The term as it applies to the caller. Only for signed-in students.
#[derive(Debug, Serialize, ToSchema)]
struct TermMine {
    /// When registration opens for the student; null if it is closed.
    #[schema(required)]
    opens_at: Option<Timestamp>,
    #[schema(required)]
    closes_at: Option<Timestamp>,
    /// The credits in which the student is enrolled.
    credits: Credits,
    /// The maximum number of credits; null is no limit.
    #[schema(required)]
    credit_limit: Option<Credits>,
    /// The group of the student that comes first on waitlists, as `waitlist_priority` declares.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    priority_group: Option<Box<str>>,
    /// The holds on the student.
    holds: Vec<HoldResponse>,
}

impl TermMine {
    fn new(model: &TermModel, student: &UserName, limit: Credits) -> Self {
        let facts = model.facts(student);
        let term = model.snapshot().term.clone();
        let Window { opens_at, closes_at } = term.window_of(facts.as_deref());
        let limit = facts.as_ref().and_then(|facts| facts.credit_limit).unwrap_or(limit);
        Self {
            opens_at,
            closes_at,
            credits: model.enrolled_credits(student),
            credit_limit: (limit.0 > 0).then_some(limit),
            priority_group: waitlist_order::group_of(&term.offers.priority, facts.as_deref()).map(Into::into),
            holds: facts.iter().flat_map(|facts| facts.holds.iter().cloned()).map(HoldResponse::from).collect(),
        }
    }
}

/// When registration is open for a group of students.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = GroupWindow)]
struct GroupWindowBody {
    #[schema(value_type = String, min_length = 1, max_length = 100)]
    group: Box<str>,
    /// When registration opens.
    opens_at: Timestamp,
    /// When it closes; absent for the time of the term.
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
            return Err(Problem::invalid(at, "Registration must close after it opens."));
        }
        Ok(Self { group, opens_at, closes_at })
    }
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

/// The schema of a mode of waitlists, or null.
fn nullable_mode() -> ObjectBuilder {
    let names = WaitlistMode::VARIANTS.iter().map(|mode| Some(mode.as_str())).chain([None]);
    ObjectBuilder::new().schema_type(SchemaType::from_iter([Type::String, Type::Null])).enum_values(Some(names))
}

/// Changes to a term. Absent members do not change.
#[derive(Debug, ToSchema)]
#[schema(as = TermPatch)]
#[serde(deny_unknown_fields)]
struct TermRequest {
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
    /// Whether a free seat is assigned to the head of the waitlist (`auto`) or offered (`offer`). Null uses the college's
    /// setting.
    #[schema(schema_with = nullable_mode)]
    waitlist: Option<Option<WaitlistMode>>,
    /// How long a seat is offered, in seconds. Null uses the college's setting.
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 2_592_000)]
    offer_s: Option<Option<u32>>,
    /// The longest time for which a seat is offered in the first 24 hours after the term opens, in seconds. Null uses
    /// the college's setting.
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 2_592_000)]
    offer_first_day_s: Option<Option<u32>>,
    /// The groups whose students come first on waitlists, in order. Replaces the earlier list, and orders all waitlists of
    /// the term again.
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

/// Lists terms and their registration windows.
///
/// For signed-in students each term has `mine`.
#[utoipa::path(
    get,
    path = "/api/v1/terms",
    operation_id = "listTerms",
    tag = "catalogue",
    security((), ("bearer" = []), ("cookie" = [])),
    responses((status = 200, description = "All terms.", body = TermList), BadToken)
)]
pub async fn list(
    visitor: Visitor,
    model: Data<ReadModel>,
    clock: Data<dyn Clock>,
    limit: Data<CreditLimit>,
    college: Data<College>,
    privacy: Data<Privacy>,
) -> HttpResponse {
    let now = clock.now();
    let student = visitor.0.as_ref().filter(|caller| caller.role == Role::Student).map(|caller| &caller.user);
    let terms = model.terms();
    let terms: Vec<_> = terms.values().map(|term| (term, term.snapshot())).collect();
    let items = terms.iter().map(|(model, snapshot)| TermResponse {
        mine: student.map(|student| TermMine::new(model, student, limit.0)),
        ..TermResponse::new(&snapshot.term, now)
    });
    let timezone = college.timezone.iana_name().unwrap_or("UTC");
    let small_counts = Some(privacy.small_counts).filter(|count| *count > 0);
    let college = CollegeResponse { name: &college.name, timezone, small_counts };
    let list = TermList { items: items.collect(), college };
    let cache = if visitor.0.is_some() { "private, no-store" } else { "no-store" };
    HttpResponse::Ok().insert_header(("Cache-Control", cache)).json(list)
}

/// Creates or changes a term (staff).
///
/// Registration is open from `opens_at` until `closes_at`. The other dates do not affect it.
#[utoipa::path(
    put,
    path = "/api/v1/terms/{id}",
    operation_id = "putTerm",
    tag = "catalogue",
    params(("id" = TermId, Path, description = "The term.")),
    request_body = TermRequest,
    responses(
        (status = 200, description = "Changed.", body = TermResponse),
        (status = 201, description = "Created.", body = TermResponse),
        BadRole, BadBody, StoreFailed,
    )
)]
pub async fn put(
    request: HttpRequest,
    staff: Staff,
    payload: web::Payload,
    model: Data<ReadModel>,
    pool: Data<RegistrarPool>,
    clock: Data<dyn Clock>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let patch = TermPatch::from(read_body::<TermRequest>(&request, payload).await?);
    let id = TermId::parse(&path_param(&request, "id")?).map_err(|_| {
        Problem::invalid("id", "A term's id has 1 to 24 letters, digits, dots, underscores or hyphens.")
    })?;
    if id.is_sandbox() {
        let detail = format!("Term ids that begin with {SANDBOX_PREFIX} are reserved for demonstrations.");
        return Err(Problem::invalid("id", detail));
    }
    let known = model.term(&id);
    check_order(&patch, known.as_ref().map(|t| t.snapshot().term.clone()).as_deref())?;
    let detail = describe(&patch);
    let entry = audit.entry_in_commit(&request, &staff.0, "term.change", Some(id.as_str()), None, detail);
    pool.submit_or_create(id.clone(), Submitted::from(Command::PutTerm(patch)).audited(entry)).await?;
    let term = model
        .term(&id)
        .ok_or_else(|| Problem::internal("a term was changed but not published"))?
        .snapshot()
        .term
        .clone();
    let mut response = if known.is_some() { HttpResponse::Ok() } else { HttpResponse::Created() };
    Ok(response.json(TermResponse::new(&term, clock.now())))
}

/// Returns the detail of a change for the audit trail.
fn describe(patch: &TermPatch) -> Detail {
    fn part(name: &'static str, value: Option<Option<impl ToString>>) -> Option<(&'static str, String)> {
        Some((name, value?.map_or("none".to_owned(), |value| value.to_string())))
    }
    let parts = [
        part("title", patch.title.as_ref().map(Some)),
        part("starts_on", patch.starts_on),
        part("ends_on", patch.ends_on),
        part("opens_at", patch.opens_at),
        part("closes_at", patch.closes_at),
        part("windows", patch.windows.as_ref().map(|windows| Some(windows.len()))),
        part("holidays", patch.holidays.as_ref().map(|days| Some(days.len()))),
        part("waitlist", patch.waitlist.map(|mode| mode.map(WaitlistMode::as_str))),
        part("offer_s", patch.offer_s),
        part("offer_first_day_s", patch.offer_first_day_s),
    ];
    Detail::of_fields(parts.into_iter().flatten().collect(), ", ")
}

/// Rejects changes after which a term would end before it starts, or close before it opens.
fn check_order(patch: &TermPatch, known: Option<&Term>) -> Result<(), Problem> {
    let opens_at = patch.opens_at.unwrap_or_else(|| known.and_then(|t| t.opens_at));
    let closes_at = patch.closes_at.unwrap_or_else(|| known.and_then(|t| t.closes_at));
    if opens_at.zip(closes_at).is_some_and(|(opens, closes)| closes <= opens) {
        return Err(Problem::invalid("closes_at", "Registration must close after it opens."));
    }
    let starts_on = patch.starts_on.unwrap_or_else(|| known.and_then(|t| t.starts_on));
    let ends_on = patch.ends_on.unwrap_or_else(|| known.and_then(|t| t.ends_on));
    if starts_on.zip(ends_on).is_some_and(|(first, last)| last < first) {
        return Err(Problem::invalid("ends_on", "A term must not end before it starts."));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::audit_detail::coded;
    use crate::http::openapi::request_tests::assert_reader_matches_schema;

    #[test]
    fn reader_and_schema_of_the_request_agree() {
        let window = serde_json::json!([{"group": "honours", "opens_at": "2026-01-12T08:00:00Z"}]);
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
            ..TermPatch::default()
        };
        let detail = describe(&patch);
        assert_eq!(detail.coded.as_ref().unwrap().args.len(), 10);
        assert_eq!(detail.coded, coded("term.change", &detail.text), "the pages have names for these fields");
    }
}
