//! The connection to Plone, for admins: its state, a pull on demand, and resending of refused sections. Responses do
//! not contain the address of Plone, which only operators may see.

use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use jiff::Timestamp;
use serde::Serialize;
use tokio::time::timeout;
use utoipa::{OpenApi, ToSchema};

use crate::clock::Clock;
use crate::domain::audit_detail::{AuditDetail, Detail};
use crate::domain::coded_text::CodedText;
use crate::domain::ids::SectionId;
use crate::identity::Audit;
use crate::plone::bridge::Bridge;
use crate::plone::cache::ReadError;
use crate::plone::outbox::status::{PloneOutboxStatus, RosterState};
use crate::plone::port::PloneError;
use crate::plone::problem::{ItemProblem, PullFailure};
use crate::plone::pull::PullError;
use crate::plone::pull::status::{PullCounts, PullProblem, PullStatus};
use crate::plone::rest::{Circuit, PoolStats};
use crate::store::outbox::{REFUSED_LISTED_MAX, RefusedEntry};

use crate::http::auth::Admin;
use crate::http::body::{Fields, RequestBody, read_body_or_nothing};
use crate::http::error::{Problem, get, method_not_allowed, plone_error_text};
use crate::http::openapi::responses::{BadBody, BadRole, NotFound, PloneFailed, StoreFailed};
use crate::http::openapi::schemas::always_true;
use crate::http::request_id::PRIVATE;
use crate::http::text_code::TextCode;

/// The longest wait of a request for the pull that it started. After that, the pull continues in the background.
const PULL_WAIT: Duration = Duration::from_secs(60);

/// The operations of this file.
#[derive(OpenApi)]
#[openapi(paths(state, sync, resend))]
pub(super) struct Api;

/// Registers the resources of this file.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(
        web::resource("/api/v1/admin/plone").route(get().to(state)).default_service(method_not_allowed("GET, HEAD")),
    )
    .service(
        web::resource("/api/v1/admin/plone/sync")
            .route(web::post().to(sync))
            .default_service(method_not_allowed("POST")),
    )
    .service(
        web::resource("/api/v1/admin/plone/outbox/resend")
            .route(web::post().to(resend))
            .default_service(method_not_allowed("POST")),
    );
}

fn no_plone() -> Problem {
    Problem::not_found("Plone is not configured.")
}

/// The state of the connection to Plone. All members but `configured` are null if Plone is not configured.
#[derive(Debug, Serialize, ToSchema)]
struct PloneState {
    /// Whether Plone is configured.
    configured: bool,
    /// Whether this hub pulls the catalogue and writes to Plone. Of several hubs, only one does.
    #[schema(required)]
    leader: Option<bool>,
    /// Whether Plone has responded, the circuit is closed, and the last read of the announcements succeeded.
    #[schema(required)]
    ok: Option<bool>,
    #[schema(required)]
    circuit: Option<CircuitState>,
    #[schema(required)]
    pool: Option<PoolState>,
    #[schema(required)]
    sync: Option<PullState>,
    #[schema(required)]
    outbox: Option<OutboxState>,
    #[schema(required)]
    roster: Option<RosterReaders>,
    #[schema(required)]
    announcements: Option<AnnouncementsState>,
}

/// The circuit breaker.
#[derive(Debug, Serialize, ToSchema)]
struct CircuitState {
    /// `closed`: calls are made; `open`: calls are stopped after failures; `half_open`: one call tests whether Plone
    /// responds again.
    state: Circuit,
    /// When it opened; null while it is closed.
    #[schema(required)]
    opened_at: Option<Timestamp>,
    /// The number of calls without a response since the last response.
    failures: u32,
}

/// The connection pool.
#[derive(Debug, Serialize, ToSchema)]
struct PoolState {
    /// The maximum number of concurrent calls.
    size: usize,
    /// The number of calls in progress.
    in_use: usize,
    /// The number of calls in the queue.
    waiting: usize,
    /// The maximum length of the queue.
    queue_max: usize,
    /// The number of open connections, including idle ones.
    connections: usize,
    /// The number of calls since the start of the hub, by outcome.
    #[schema(value_type = BTreeMap<String, u64>)]
    calls: BTreeMap<&'static str, u64>,
}

/// The pull of the catalogue.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PullStatus)]
struct PullState {
    /// Whether a pull is in progress.
    running: bool,
    /// When the last complete pull ended.
    #[schema(required)]
    last_at: Option<Timestamp>,
    /// When the last pull ended, complete or not.
    #[schema(required)]
    ended_at: Option<Timestamp>,
    /// The duration of the last pull in milliseconds.
    #[schema(required)]
    duration_ms: Option<u64>,
    /// Why the last pull failed; null if it was complete.
    #[schema(required)]
    error: Option<String>,
    /// The code of `error`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reason: Option<TextCode>,
    counts: PullCounts,
    /// Items that the last complete pull could not read or apply, at most 100.
    #[schema(max_items = 100)]
    problems: Vec<UnreadItem>,
    problems_total: u64,
    /// The hub's names of fields that the section type in Plone does not have.
    missing_fields: Vec<&'static str>,
}

/// An item of Plone that could not be read or applied.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PullProblem)]
struct UnreadItem {
    /// Path in Plone, from the site's root.
    path: String,
    /// The reason, in English, for the editor of the item.
    reason: String,
    #[serde(flatten)]
    coded: TextCode,
}

/// The outbox.
#[derive(Debug, Serialize, ToSchema)]
struct OutboxState {
    /// The number of sections whose newest state is not in Plone yet.
    depth: u64,
    /// The age of the oldest entry in seconds; null if the outbox is empty.
    #[schema(required, minimum = 0)]
    oldest_age_s: Option<i64>,
    /// The number of writes in progress.
    in_flight: usize,
    /// The number of writes since the start of the hub.
    sent: u64,
    /// The number of sections created in Plone since the start of the hub.
    created: u64,
    /// The number of failed writes since the start of the hub.
    failed: u64,
    /// The number of sections that Plone refused.
    aside_total: u64,
    /// The most recently refused sections.
    #[schema(max_items = 100)]
    aside: Vec<RefusedSection>,
}

/// A section that Plone refused.
#[derive(Debug, Serialize, ToSchema)]
struct RefusedSection {
    section: SectionId,
    /// Why it was refused, in English.
    reason: String,
    #[serde(flatten)]
    coded: TextCode,
    at: Timestamp,
}

/// Whether the roster field in Plone is protected, so that student names may be written to it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum RosterAccess {
    Unchecked,
    Protected,
    Readable,
}

/// The protection of the roster field in Plone.
#[derive(Debug, Serialize, ToSchema)]
struct RosterReaders {
    /// `readable`: an unauthorized user can read the field, so only counts are written.
    state: RosterAccess,
    /// The unauthorized user if the state is `readable`: `visitor` or the name of a member.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    by: Option<String>,
}

/// The visitors' announcements.
#[derive(Debug, Serialize, ToSchema)]
struct AnnouncementsState {
    /// The number of announcements.
    count: usize,
    /// The age of the copy in seconds; null if there is no copy.
    #[schema(required)]
    age_s: Option<u64>,
    /// Why the last read failed; null if it succeeded.
    #[schema(required)]
    error: Option<String>,
}

/// Returns the state of the connection to Plone (admins).
#[utoipa::path(
    get,
    path = "/api/v1/admin/plone",
    operation_id = "ploneState",
    tag = "plone",
    responses(
        (status = 200, description = "The current state.", body = PloneState),
        BadRole,
    )
)]
pub async fn state(_: Admin, bridge: Option<Data<Bridge>>, clock: Data<dyn Clock>) -> HttpResponse {
    HttpResponse::Ok().insert_header(PRIVATE).json(state_of(bridge.as_deref().map(AsRef::as_ref), clock.now()))
}

fn state_of(bridge: Option<&Bridge>, now: Timestamp) -> PloneState {
    PloneState {
        configured: bridge.is_some(),
        leader: bridge.map(|bridge| bridge.leadership().is_leader()),
        ok: bridge.map(Bridge::is_healthy),
        circuit: bridge.map(|bridge| circuit(&bridge.pool(), now)),
        pool: bridge.map(|bridge| pool(&bridge.pool())),
        sync: bridge.map(|bridge| pull(bridge.pull_status())),
        outbox: bridge.map(|bridge| outbox(bridge.outbox_status(), now)),
        roster: bridge.map(|bridge| roster(bridge.outbox_status().roster)),
        announcements: bridge.map(announcements),
    }
}

fn circuit(pool: &PoolStats, now: Timestamp) -> CircuitState {
    CircuitState {
        state: pool.circuit,
        opened_at: pool.opened_for.and_then(|duration| now.checked_sub(duration).ok()),
        failures: pool.failures,
    }
}

fn pool(pool: &PoolStats) -> PoolState {
    PoolState {
        size: pool.size,
        in_use: pool.in_use,
        waiting: pool.waiting,
        queue_max: pool.queue_max,
        connections: pool.connections,
        calls: pool.by_outcome().into_iter().collect(),
    }
}

fn pull(status: PullStatus) -> PullState {
    let failure = status.last_error.as_ref().map(PullFailure::from);
    PullState {
        running: status.running,
        last_at: status.last_ok_at,
        ended_at: status.ended_at,
        duration_ms: status.duration_ms,
        error: failure.map(|failure| failure.to_string()),
        reason: failure.map(|failure| CodedText::of(&failure).into()),
        counts: status.last,
        problems: status.problems.into_iter().map(unread).collect(),
        problems_total: status.problems_total,
        missing_fields: status.missing_fields,
    }
}

fn unread(PullProblem { path, reason }: PullProblem) -> UnreadItem {
    UnreadItem { path, coded: CodedText::of(&reason).into(), reason: reason.to_string() }
}

fn outbox(status: PloneOutboxStatus, now: Timestamp) -> OutboxState {
    let refused = |RefusedEntry { section, reason, at }| {
        let coded = ItemProblem::read(&reason).and_then(|problem| CodedText::of(&problem)).into();
        RefusedSection { section, reason, coded, at }
    };
    OutboxState {
        depth: status.depth,
        oldest_age_s: status.oldest_at.map(|at| now.as_second().saturating_sub(at.as_second()).max(0)),
        in_flight: status.in_flight,
        sent: status.sent_total,
        created: status.created_total,
        failed: status.failed_total,
        aside_total: status.aside_total,
        aside: status.aside.into_iter().map(refused).collect(),
    }
}

fn roster(state: RosterState) -> RosterReaders {
    match state {
        RosterState::Unchecked => RosterReaders { state: RosterAccess::Unchecked, by: None },
        RosterState::Protected => RosterReaders { state: RosterAccess::Protected, by: None },
        RosterState::Readable(by) => RosterReaders { state: RosterAccess::Readable, by: Some(by) },
    }
}

fn announcements(bridge: &Bridge) -> AnnouncementsState {
    let (copy, error) = bridge.announcements().state();
    AnnouncementsState {
        count: copy.as_ref().map_or(0, |copy| copy.value.items().len()),
        age_s: copy.as_ref().map(|copy| copy.age.as_secs()),
        error: error.as_ref().map(plone_error_text),
    }
}

/// The result of a pull on demand.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PlonePulled)]
struct Pulled {
    #[serde(flatten)]
    counts: PullCounts,
    /// The number of announcements.
    announcements: usize,
}

/// The response of a hub that does not pull the catalogue itself.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PlonePullRequested)]
struct PullRequested {
    /// Always true.
    #[schema(schema_with = always_true)]
    requested: bool,
    /// The number of announcements.
    announcements: usize,
}

/// Pulls the catalogue and the announcements now (admins).
///
/// Responds when both are complete. Concurrent callers share a pull, but only one that began after their call, so that
/// all earlier changes in Plone are included. A hub that does not lead pulls the announcements and requests the pull of
/// the catalogue from the hub that does. The status is 404 if Plone is not configured.
#[utoipa::path(
    post,
    path = "/api/v1/admin/plone/sync",
    operation_id = "plonePull",
    tag = "plone",
    responses(
        (status = 200, description = "Complete.", body = Pulled),
        (status = 202, description = "Another hub pulls the catalogue, within 2 seconds or as soon as it has taken \
            over.", body = PullRequested),
        BadRole, NotFound, PloneFailed,
    )
)]
pub async fn sync(
    request: HttpRequest,
    Admin(caller): Admin,
    bridge: Option<Data<Bridge>>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let bridge = bridge.ok_or_else(no_plone)?;
    audit.record(&request, Some(&caller), "plone.sync", None, None, "").await;
    let both = async { tokio::join!(bridge.pull_now(), bridge.announcements().renew()) };
    let (sections, announcements) = timeout(PULL_WAIT, both).await.map_err(|_| ReadError::Timeout)?;
    if matches!(sections, Err(PullError::NotLeader)) {
        bridge.request_pull().await?;
        let requested = PullRequested { requested: true, announcements: announcements? };
        return Ok(HttpResponse::Accepted().insert_header(PRIVATE).json(requested));
    }
    let pulled = Pulled { counts: sections?, announcements: announcements? };
    Ok(HttpResponse::Ok().insert_header(PRIVATE).json(pulled))
}

impl From<PullError> for Problem {
    fn from(error: PullError) -> Self {
        match error {
            PullError::Plone(error) => error.into(),
            PullError::Store(error) => error.into(),
            PullError::Registrar(error) => error.into(),
            PullError::NotLeader => Self::overloaded().caused_by(error),
            PullError::ListUnstable | PullError::TooMany => PloneError::Failed(error.to_string()).into(),
        }
    }
}

/// The result of resending refused sections.
#[derive(Debug, Serialize, ToSchema)]
struct Resent {
    /// The number of sections that were queued again.
    resent: u64,
}

/// The sections to resend.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
struct ResendRequest {
    /// Absent or null: all refused sections.
    #[schema(max_items = 100)]
    sections: Option<Vec<SectionId>>,
}

impl RequestBody for ResendRequest {
    fn read(fields: &mut Fields) -> Result<Self, Problem> {
        let parse = |text: &str| SectionId::parse(text).ok();
        let sections =
            fields.maybe_parsed_list("sections", REFUSED_LISTED_MAX as usize, "the id of a section", parse)?;
        Ok(Self { sections })
    }
}

/// Resends sections that Plone refused (admins).
///
/// Without a body or without `sections`, all refused sections are resent. The status is 404 if Plone is not configured.
#[utoipa::path(
    post,
    path = "/api/v1/admin/plone/outbox/resend",
    operation_id = "ploneResend",
    tag = "plone",
    request_body = Option<ResendRequest>,
    responses((status = 200, description = "Queued again.", body = Resent), BadRole, BadBody, NotFound, StoreFailed)
)]
pub async fn resend(
    request: HttpRequest,
    Admin(caller): Admin,
    payload: web::Payload,
    bridge: Option<Data<Bridge>>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let bridge = bridge.ok_or_else(no_plone)?;
    let ResendRequest { sections } = read_body_or_nothing(&request, payload).await?;
    let detail: Detail = match &sections {
        Some(sections) => sections.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ").into(),
        None => AuditDetail::AllSections.into(),
    };
    let resent = bridge.resend(sections).await?;
    audit.record(&request, Some(&caller), "plone.resend", None, None, detail).await;
    Ok(HttpResponse::Ok().insert_header(PRIVATE).json(Resent { resent }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::openapi::request_tests::assert_reader_matches_schema;

    #[test]
    fn reader_and_schema_of_the_request_agree() {
        assert_reader_matches_schema::<ResendRequest>(&[]);
    }
}
