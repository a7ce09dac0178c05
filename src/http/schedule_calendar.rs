//! A student's schedule for calendar programs: as a file, and as a feed that a program rereads by itself.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;

use actix_web::http::header::CONTENT_DISPOSITION;
use actix_web::web::{self, Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

use crate::calendar::{self, Class, Schedule};
use crate::clock::Clock;
use crate::config::College;
use crate::domain::ids::UserName;
use crate::domain::language::Language;
use crate::domain::registration::RegistrationStatus;
use crate::identity::Audit;
use crate::identity::schedule_feeds::{FeedError, ScheduleFeeds};
use crate::registration::readmodel::ReadModel;

use crate::http::auth::{SignedIn, Student};
use crate::http::encoded::Encoded;
use crate::http::error::{Problem, get, method_not_allowed};
use crate::http::openapi::params::{IfNoneMatch, Lang};
use crate::http::openapi::responses::{BadQuery, BadRole, BadToken, NotFound, NotModified, StoreFailed};
use crate::http::query::{Query, path_param};
use crate::http::request_id::PRIVATE;
use crate::http::site::Site;

/// The path of a feed.
const FEED: &str = "/api/v1/schedule-feeds/{secret}";
const CALENDAR: &str = "text/calendar; charset=utf-8";
/// `Cache-Control` of a feed: calendar programs store it and revalidate it each time.
const REVALIDATE: &str = "private, no-cache";

/// The operations of this file.
#[derive(OpenApi)]
#[openapi(paths(file, state, make, end, feed))]
pub(super) struct Api;

/// Registers the resources of this file.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(
        web::resource("/api/v1/me/schedule.ics").route(get().to(file)).default_service(method_not_allowed("GET, HEAD")),
    )
    .service(
        web::resource("/api/v1/me/schedule-feed")
            .route(get().to(state))
            .route(web::post().to(make))
            .route(web::delete().to(end))
            .default_service(method_not_allowed("GET, HEAD, POST, DELETE")),
    )
    .service(web::resource(FEED).route(get().to(feed)).default_service(method_not_allowed("GET, HEAD")));
}

/// Returns the part of a feed's path that precedes its secret. Log lines omit the secret.
pub(super) fn feeds_path() -> &'static str {
    FEED.strip_suffix("{secret}").unwrap_or(FEED)
}

/// A feed that was just created.
#[derive(Serialize, ToSchema)]
struct NewScheduleFeed {
    /// The address to subscribe to in a calendar program. It contains the secret and is not shown again.
    url: String,
}

/// Whether the caller has a feed.
#[derive(Serialize, ToSchema)]
struct ScheduleFeedState {
    /// When it was created; null without one.
    #[schema(required)]
    created_at: Option<Timestamp>,
}

/// The data from which a calendar is written.
struct Source<'a> {
    model: &'a ReadModel,
    college: &'a College,
    language: Language,
    now: Timestamp,
}

impl Source<'_> {
    /// Returns the calendar of the sections in which a student is enrolled, in the terms that have not ended, except
    /// those that are cancelled. Waitlist positions are left out: programs show a tentative event like any other, so a
    /// student would seem to have a seat.
    fn calendar_of(&self, student: &UserName) -> String {
        let today = self.now.to_zoned_datetime(self.college.timezone.clone()).date();
        let terms = self.model.terms();
        let current: Vec<_> = terms
            .values()
            .map(|term| (term.snapshot(), term.registrations(student)))
            .filter(|(snapshot, _)| snapshot.term.ends_on.is_none_or(|end| end >= today))
            .collect();
        let mut classes = Vec::new();
        for (snapshot, registrations) in &current {
            let registrations = registrations.as_deref().unwrap_or_default().iter();
            let enrolled = registrations.filter(|held| held.status == RegistrationStatus::Enrolled);
            let rows = enrolled.filter_map(|held| snapshot.row(&held.crn)).filter(|row| !row.state.is_cancelled());
            classes.extend(rows.map(|row| Class { term: &snapshot.term, section: &row.state.section }));
        }
        classes.sort_by(|a, b| a.section.id.cmp(&b.section.id));
        calendar::write(&Schedule {
            student,
            title: &self.college.name,
            zone: &self.college.timezone,
            zone_name: self.college.timezone.iana_name().unwrap_or("UTC"),
            language: self.language,
            now: self.now,
            classes: &classes,
        })
    }
}

/// Returns the caller's schedule as iCalendar (students).
///
/// It contains the sections in which the caller is enrolled, in the terms that have not ended: one recurring event for
/// each weekly meeting with known days, times and dates, without the term's holidays. Waitlist positions and cancelled
/// sections are not in it. The ids of the events do not change, so importing the file again updates them.
#[utoipa::path(
    get,
    path = "/api/v1/me/schedule.ics",
    operation_id = "scheduleCalendar",
    tag = "registration",
    params(Lang),
    responses((status = 200, description = "The calendar.", body = String, content_type = "text/calendar"), BadRole, BadQuery)
)]
pub async fn file(
    request: HttpRequest,
    Student(caller): Student,
    model: Data<ReadModel>,
    college: Data<College>,
    clock: Data<dyn Clock>,
) -> Result<HttpResponse, Problem> {
    let language = Query::of(&request)?.lang()?;
    let calendar = Source { model: &model, college: &college, language, now: clock.now() }.calendar_of(&caller.user);
    Ok(HttpResponse::Ok()
        .insert_header(PRIVATE)
        .insert_header((CONTENT_DISPOSITION, "attachment; filename=\"schedule.ics\""))
        .content_type(CALENDAR)
        .body(calendar))
}

/// Returns whether the caller has a feed (signed-in users: a former student may still have one).
#[utoipa::path(
    get,
    path = "/api/v1/me/schedule-feed",
    operation_id = "scheduleFeed",
    tag = "registration",
    responses((status = 200, description = "The feed, without its address.", body = ScheduleFeedState), BadToken, StoreFailed)
)]
pub async fn state(SignedIn(caller): SignedIn, feeds: Data<ScheduleFeeds>) -> Result<HttpResponse, Problem> {
    let created_at = feeds.of(&caller.user).await?.map(|feed| feed.created_at);
    Ok(HttpResponse::Ok().insert_header(PRIVATE).json(ScheduleFeedState { created_at }))
}

/// Creates a private feed of the caller's schedule (students).
///
/// A program that has the address can read the schedule without signing in, until the caller ends the feed or creates a
/// new one.
#[utoipa::path(
    post,
    path = "/api/v1/me/schedule-feed",
    operation_id = "makeScheduleFeed",
    tag = "registration",
    responses(
        (status = 201, description = "Created. The earlier feed has ended.", body = NewScheduleFeed),
        BadRole, StoreFailed,
    )
)]
pub async fn make(
    request: HttpRequest,
    Student(caller): Student,
    feeds: Data<ScheduleFeeds>,
    site: Data<Site>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let secret = feeds.make(&caller.user).await?;
    audit.record(&request, Some(&caller), "schedule_feed.make", None, None, "").await;
    let url = format!("{}{}{secret}.ics", site.origin_used(&request), feeds_path());
    Ok(HttpResponse::Created().insert_header(PRIVATE).json(NewScheduleFeed { url }))
}

/// Ends the caller's feed (signed-in users). From then on, its address returns 404. Idempotent.
#[utoipa::path(
    delete,
    path = "/api/v1/me/schedule-feed",
    operation_id = "endScheduleFeed",
    tag = "registration",
    responses((status = 204, description = "The caller has no feed."), BadToken, StoreFailed)
)]
pub async fn end(
    request: HttpRequest,
    SignedIn(caller): SignedIn,
    feeds: Data<ScheduleFeeds>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    if feeds.end(&caller.user).await? {
        audit.record(&request, Some(&caller), "schedule_feed.end", None, None, "").await;
    }
    Ok(HttpResponse::NoContent().finish())
}

/// Returns the schedule of the student who made the feed, as `GET /api/v1/me/schedule.ics` does.
///
/// A feed can be read once every ten seconds on average, and twelve times in a row.
#[utoipa::path(
    get,
    path = "/api/v1/schedule-feeds/{secret}",
    operation_id = "readScheduleFeed",
    tag = "registration",
    security(()),
    params(("secret" = String, Path, description = "The last part of the feed's address, with `.ics`."), Lang, IfNoneMatch),
    responses(
        (status = 200, description = "The calendar.", body = String, content_type = "text/calendar", headers(
            ("ETag" = String, description = "Weak. It changes with the schedule, not with `DTSTAMP`."),
            ("Cache-Control" = String),
        )),
        NotModified, BadQuery, NotFound, StoreFailed,
    )
)]
pub async fn feed(
    request: HttpRequest,
    feeds: Data<ScheduleFeeds>,
    model: Data<ReadModel>,
    college: Data<College>,
    clock: Data<dyn Clock>,
) -> Result<HttpResponse, Problem> {
    let unknown = || Problem::not_found("This calendar link does not exist or has ended. Create a new one.");
    let language = Query::of(&request)?.lang()?;
    let named = path_param(&request, "secret")?;
    let feed = feeds.open(named.strip_suffix(".ics").ok_or_else(unknown)?).await.map_err(|error| match error {
        FeedError::Unknown => unknown(),
        FeedError::TooOften(wait) => Problem::rate_limited("This calendar feed was read too often.", wait),
        FeedError::Store(error) => error.into(),
    })?;
    let calendar = Source { model: &model, college: &college, language, now: clock.now() }.calendar_of(&feed.student);
    let tag = format!("{:016x}", content_hash(&calendar));
    Ok(Arc::new(Encoded::new(&tag, CALENDAR, REVALIDATE, Bytes::from(calendar))).respond(&request).await)
}

/// Returns a hash of a calendar without the time at which it was written.
fn content_hash(calendar: &str) -> u64 {
    let lines: Vec<&str> = calendar.lines().filter(|line| !line.starts_with("DTSTAMP:")).collect();
    BuildHasherDefault::<DefaultHasher>::default().hash_one(lines)
}
