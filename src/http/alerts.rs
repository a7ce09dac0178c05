//! Alerts: staff send, schedule and cancel them; every caller lists the alerts that they receive.

use std::collections::HashSet;
use std::sync::Arc;

use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use jiff::Timestamp;
use serde::Serialize;
use strum::EnumString;
use utoipa::{IntoParams, OpenApi, ToSchema};
use uuid::Uuid;

use crate::alerts::cap;
use crate::bus::{Bus, Event};
use crate::domain::alert::{Alert, AlertContent, CorrectionRefusal};
use crate::domain::audience::Audience;
use crate::domain::audit_detail::AuditDetail;
use crate::domain::ids::UserName;
use crate::domain::role::Role;
use crate::http::problem::ProblemCode;
use crate::identity::{Audit, Caller, Identity};
use crate::live::alert_scope::STAFF;
use crate::live::context::Live;
use crate::store::alerts::{AlertStore, CancelOutcome, CorrectOutcome, Entry, Page, Span};

use crate::http::alert_request::{AlertRequest, read_content};
use crate::http::alert_scope::{manageable, may_manage};
use crate::http::auth::{SubjectStaff, Visitor};
use crate::http::body::is_of_type;
use crate::http::cap_alerts::{AlertsCancelled, CapPosting};
use crate::http::error::{Problem, get, method_not_allowed};
use crate::http::openapi::ReadOnlyMembers;
use crate::http::openapi::responses::{BadBody, BadPath, BadQuery, BadRole, NotFound, StoreFailed};
use crate::http::openapi::schemas::always_true;
use crate::http::query::{LIST_LEN_DEFAULT, LIST_LEN_MAX, Query, path_param};
use crate::http::request_id::PRIVATE;
use crate::http::shared_alerts::{SharedAlerts, alert_byte_size};

/// The maximum number of active alerts on a dashboard: more than a term has at any time.
const ACTIVE_MAX: usize = 500;

/// The operations of this file.
#[derive(OpenApi)]
#[openapi(paths(list, post, correct, cancel), modifiers(&ALERT_READ_ONLY))]
pub(super) struct Api;

/// Describes the members of an alert that the hub sets itself.
const ALERT_READ_ONLY: ReadOnlyMembers<AlertRequest> = ReadOnlyMembers::NEW;

/// Options for sending an alert.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct SendQuery {
    /// Whether to count the recipients only, without sending the alert.
    #[param(required = false, default = false)]
    dry_run: bool,
}

impl SendQuery {
    fn read(query: &Query) -> Result<Self, Problem> {
        Ok(Self { dry_run: query.bool("dry_run")?.unwrap_or(false) })
    }
}

/// Filters of the list of alerts.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Only alerts after this position: the `seq` of an earlier response or of an alert.
    #[param(required = false, default = 0)]
    since: u64,
    /// The maximum number of items.
    #[param(required = false, minimum = 1, maximum = 5_000, default = 100)]
    limit: u32,
    /// Whether to list only alerts that are active now.
    #[param(required = false, default = false)]
    active: bool,
    /// For staff. `scheduled`: alerts that have not been sent yet, soonest first. `sent`: active alerts from staff to
    /// any audience.
    #[param(inline)]
    state: Option<StaffList>,
}

impl ListQuery {
    fn read(query: &Query) -> Result<Self, Problem> {
        Ok(Self {
            since: query.u64("since", 0..=u64::MAX)?.unwrap_or(0),
            limit: query.u32("limit", 1..=LIST_LEN_MAX)?.unwrap_or(LIST_LEN_DEFAULT),
            active: query.bool("active")?.unwrap_or(false),
            state: query.parsed("state", "scheduled or sent", |text| text.parse().ok())?,
        })
    }
}

/// An alert that was sent or scheduled.
#[derive(Serialize, ToSchema)]
pub(super) struct AlertSent {
    #[serde(flatten)]
    pub(super) alert: Alert,
    /// The number of connected users and visitors in its audience.
    pub(super) recipients_online: usize,
}

/// The result of a posted alert or CAP message that did not send a new alert.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes responses of several handlers and is never constructed")]
enum AlertPosted {
    Counted(AlertDryRun),
    Existing(Box<AlertSent>),
    Cancelled(AlertsCancelled),
}

/// The numbers of recipients that an alert would have.
#[derive(Serialize, ToSchema)]
struct AlertDryRun {
    /// The number of users in its audience.
    recipients: usize,
    /// The number of connected users and visitors in its audience.
    recipients_online: usize,
}

/// An alert in a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct ListedAlert {
    /// Shared with other lists where copies of lists are cached.
    #[serde(flatten)]
    alert: Arc<Alert>,
    /// Whether the caller has acknowledged it. Only for signed-in callers and alerts that require acknowledgement.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    acked: Option<bool>,
}

/// A cancellation: clients must remove the alert.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct AlertCancelled {
    /// The id of the alert.
    #[schema(format = Uuid)]
    id: String,
    seq: u64,
    /// Always true.
    #[schema(schema_with = always_true)]
    cancelled: bool,
}

/// An alert or a cancellation.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum AlertItem {
    Alert(Box<ListedAlert>),
    Cancelled(AlertCancelled),
}

impl AlertItem {
    /// Replaces the alert of the item with the equal one in `shared`, or shares it if there is none.
    pub(super) fn sharing(self, shared: &SharedAlerts) -> Self {
        match self {
            Self::Alert(listed) => Self::Alert(Box::new(ListedAlert { alert: shared.share(listed.alert), ..*listed })),
            Self::Cancelled(cancelled) => Self::Cancelled(cancelled),
        }
    }

    /// Returns the memory of the item in bytes, with its share of an alert that other lists share now.
    pub(super) fn byte_size(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Alert(listed) => {
                    size_of::<ListedAlert>() + alert_byte_size(&listed.alert).div_ceil(Arc::strong_count(&listed.alert))
                }
                Self::Cancelled(cancelled) => cancelled.id.len(),
            }
    }
}

/// Alerts and cancellations, oldest first.
#[derive(Serialize, ToSchema)]
struct AlertList {
    items: Vec<AlertItem>,
    /// The `since` of the next request.
    seq: u64,
}

/// A list that only staff may read.
#[derive(Clone, Copy, EnumString, ToSchema)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
enum StaffList {
    /// Alerts that have not been sent yet.
    Scheduled,
    /// Active alerts from staff to any audience.
    Sent,
}

/// Registers the resources of this file.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(
        web::resource("/api/v1/alerts")
            .route(get().to(list))
            .route(web::post().to(post))
            .default_service(method_not_allowed("GET, HEAD, POST")),
    )
    .service(
        web::resource("/api/v1/alerts/{id}")
            .route(web::put().to(correct))
            .route(web::delete().to(cancel))
            .default_service(method_not_allowed("DELETE, PUT")),
    );
}

/// Sends or schedules an alert (staff).
///
/// Staff who are limited to subjects can send alerts only to students of these subjects.
///
/// A message of the Common Alerting Protocol (`application/cap+xml`, OASIS CAP 1.2, at most 256 KiB) is accepted, too,
/// if its status is `Actual` and its scope `Public`: `Alert` sends an alert to everyone, `Update` corrects and `Cancel`
/// cancels the alerts of the messages in `references`. Of several `info` blocks, the one in `[college] language`
/// counts, otherwise the first. `headline` (or `event`) is the title, `description` and `instruction` are the message,
/// and `severity` is the priority (`Minor` low, `Moderate` and `Unknown` medium, `Severe` high, `Extreme` critical). An
/// `effective` time in the future schedules the alert. A message that is posted again (the same `sender`, `identifier`
/// and `sent`) changes nothing, and the response has the existing alert.
#[utoipa::path(
    post,
    path = "/api/v1/alerts",
    operation_id = "sendAlert",
    tag = "alerts",
    params(SendQuery),
    request_body(content((AlertRequest = "application/json"), (String = "application/cap+xml"))),
    responses(
        (status = 200, description = "The numbers of recipients, with `dry_run=true`. For a CAP message also the alert \
            that was corrected or already exists, or the alerts that were cancelled.", body = AlertPosted),
        (status = 201, description = "Sent or scheduled.", body = AlertSent),
        BadRole, BadBody, StoreFailed,
    )
)]
pub async fn post(
    request: HttpRequest,
    staff: SubjectStaff,
    payload: web::Payload,
    live: Data<Live>,
    bus: Data<dyn Bus>,
    audit: Data<Audit>,
    identity: Data<Identity>,
) -> Result<HttpResponse, Problem> {
    let SendQuery { dry_run } = SendQuery::read(&Query::of(&request)?)?;
    let now = live.clock.now();
    let caller = staff.concerning_no_one();
    if is_of_type(&request, cap::MEDIA_TYPE) {
        let posting =
            CapPosting { request: &request, caller: &caller, live: &live, bus: &**bus, audit: &audit, dry_run };
        return posting.take(payload).await;
    }
    let content = read_content(&request, payload, &caller, &live, &identity).await?;
    if dry_run {
        return count_recipients(&live, &content.audience, now).await;
    }
    let recipients_online = recipients_online(&live, &content.audience, now).await?;
    let alert = live.alerts.post(new_alert(content, &caller, now), live.local(now)).await?;
    bus.publish(Event::AlertsStored { seq: alert.seq });
    let action = if alert.seq.is_some() { "alert.send" } else { "alert.schedule" };
    audit.record(&request, Some(&caller), action, Some(&alert.id), None, &*alert.content.title).await;
    Ok(HttpResponse::Created().insert_header(PRIVATE).json(AlertSent { alert, recipients_online }))
}

/// Creates an alert from staff that is not stored yet.
pub(super) fn new_alert(content: AlertContent, caller: &Caller, now: Timestamp) -> Alert {
    Alert {
        id: Uuid::now_v7().to_string(),
        seq: None,
        content,
        source: STAFF.to_owned(),
        sender: caller.user.to_string(),
        sender_name: caller.display_name().map(str::to_owned),
        created_at: now,
    }
}

/// Responds with the numbers of recipients that an alert would have.
pub(super) async fn count_recipients(
    live: &Live,
    audience: &Audience,
    now: Timestamp,
) -> Result<HttpResponse, Problem> {
    let people = live.alerts.people_in(audience.clone(), live.local(now)).await?;
    let body = AlertDryRun { recipients: people.len(), recipients_online: online(live, audience, &people) };
    Ok(HttpResponse::Ok().insert_header(PRIVATE).json(body))
}

/// Corrects an alert (staff).
///
/// An alert that was sent is sent again under its id with a new `seq`, to everyone who received it and to those who
/// belong to its audience now. Its audience stays the same, and its acknowledgements, which belong to the earlier text,
/// no longer count. All parts of an alert that waits for `starts_at` can be changed.
#[utoipa::path(
    put,
    path = "/api/v1/alerts/{id}",
    operation_id = "correctAlert",
    tag = "alerts",
    params(("id" = String, Path, description = "The alert.")),
    request_body = AlertRequest,
    responses(
        (status = 200, description = "Corrected.", body = AlertSent),
        BadRole, BadPath, NotFound, BadBody, StoreFailed,
    )
)]
pub async fn correct(
    request: HttpRequest,
    staff: SubjectStaff,
    payload: web::Payload,
    live: Data<Live>,
    bus: Data<dyn Bus>,
    audit: Data<Audit>,
    identity: Data<Identity>,
) -> Result<HttpResponse, Problem> {
    let id = path_param(&request, "id")?;
    let no_such_alert = || Problem::not_found("There is no such alert, or it was cancelled.");
    let caller = staff.concerning_no_one();
    may_manage(&caller, &live.alerts.alert(&id).await?.ok_or_else(no_such_alert)?, &live.model)?;
    let content = read_content(&request, payload, &caller, &live, &identity).await?;
    let now = live.clock.now();
    let (alert, acks_deleted) = match live.alerts.correct(&id, content, live.local(now)).await? {
        CorrectOutcome::NotFound => return Err(no_such_alert()),
        CorrectOutcome::Refused(refusal) => return Err(not_corrected(refusal)),
        CorrectOutcome::Corrected { alert, acks_deleted } => (*alert, acks_deleted),
    };
    bus.publish(Event::AlertsStored { seq: alert.seq });
    let title = alert.content.title.to_string();
    let detail = AuditDetail::Corrected { title, n: acks_deleted };
    audit.record(&request, Some(&caller), "alert.correct", Some(&id), None, detail).await;
    let recipients_online = recipients_online(&live, &alert.content.audience, now).await?;
    Ok(HttpResponse::Ok().insert_header(PRIVATE).json(AlertSent { alert, recipients_online }))
}

/// Returns the problem for an alert that cannot be corrected.
pub(super) fn not_corrected(refusal: CorrectionRefusal) -> Problem {
    match refusal {
        CorrectionRefusal::OtherAudience => {
            let detail = "An alert that was sent keeps its audience. Cancel it and send another one to other people.";
            Problem::invalid("audience", detail)
        }
        CorrectionRefusal::AlreadySent => {
            Problem::invalid("starts_at", "The alert has already been sent, so it cannot be scheduled.")
        }
    }
}

/// Counts the connected users and visitors in an audience. A user with several connections counts once.
pub(super) async fn recipients_online(live: &Live, audience: &Audience, now: Timestamp) -> Result<usize, Problem> {
    // The store is needed only to find students; presence has the roles and names of connected users.
    let is_enrolment = !(audience.sections.is_empty() && audience.courses.is_empty());
    let named = Audience { roles: Vec::new(), all: false, ..audience.clone() };
    let people = match is_enrolment {
        true => live.alerts.people_in(named, live.local(now)).await?,
        false => audience.users.iter().map(|user| user.0.clone()).collect(),
    };
    Ok(online(live, audience, &people))
}

/// Counts the connected users and visitors in an audience. `people` are its named users and the students of its
/// sections and courses.
fn online(live: &Live, audience: &Audience, people: &HashSet<UserName>) -> usize {
    let bits = audience.role_bits();
    let online = live.presence.count_people(|caller| {
        audience.all || caller.is_some_and(|(user, role)| bits & role.bit() != 0 || people.contains(user))
    });
    online.total()
}

/// Lists the alerts that the caller receives, oldest first.
#[utoipa::path(
    get,
    path = "/api/v1/alerts",
    operation_id = "listAlerts",
    tag = "alerts",
    security((), ("bearer" = []), ("cookie" = [])),
    params(ListQuery),
    responses(
        (status = 200, description = "Alerts and cancellations.", body = AlertList),
        BadRole, BadQuery, StoreFailed,
    )
)]
pub async fn list(request: HttpRequest, Visitor(caller): Visitor, live: Data<Live>) -> Result<HttpResponse, Problem> {
    let ListQuery { since, limit, active, state } = ListQuery::read(&Query::of(&request)?)?;
    let limit = limit as usize;
    let span = Span { since, until: None, limit };
    let reader = live.reader(caller.as_ref().map(|caller| (&caller.user, caller.role)));
    let page = if let Some(state) = state {
        let staff = match &caller {
            None => return Err(Problem::new(ProblemCode::Unauthenticated, "Sign in to continue.")),
            Some(caller) if caller.role < Role::SubjectStaff => {
                return Err(Problem::forbidden("Only staff can list scheduled alerts and alerts to others."));
            }
            Some(caller) => caller,
        };
        // Alerts that limited staff may not manage do not count toward `limit`.
        let read = if staff.role == Role::SubjectStaff { LIST_LEN_MAX as usize } else { limit };
        let page = match state {
            StaffList::Scheduled => scheduled(&*live.alerts, read).await?,
            StaffList::Sent => live.alerts.sent_by_staff(read, live.clock.now()).await?,
        };
        manageable(&live, staff, page, limit)
    } else if active {
        live.alerts.active(reader, span, live.clock.now()).await?
    } else {
        live.alerts.visible_to(reader, span).await?
    };
    let seq = page.seq;
    let items = items_for(&live, caller.as_ref(), page).await?;
    Ok(HttpResponse::Ok().insert_header(PRIVATE).json(AlertList { items, seq }))
}

/// Returns the active alerts that a signed-in caller receives, oldest first, as `?active=true` lists them.
pub(super) async fn active_alerts(live: &Live, caller: &Caller) -> Result<Vec<AlertItem>, Problem> {
    let span = Span { since: 0, until: None, limit: ACTIVE_MAX };
    let reader = live.reader(Some((&caller.user, caller.role)));
    items_for(live, Some(caller), live.alerts.active(reader, span, live.clock.now()).await?).await
}

/// Returns a page for this caller. For each alert that requires acknowledgement, it states whether the caller has
/// acknowledged it on any device.
async fn items_for(live: &Live, caller: Option<&Caller>, page: Page) -> Result<Vec<AlertItem>, Problem> {
    let ids: Vec<_> = page.items.iter().filter_map(|(_, entry)| id_if_ack_required(entry)).map(str::to_owned).collect();
    let acked = match caller {
        Some(caller) if !ids.is_empty() => live.alerts.acked_by(caller.user.clone(), ids).await?,
        _ => HashSet::new(),
    };
    let item = |(seq, entry): (u64, Entry)| match entry {
        Entry::Alert(alert) => {
            let must_ack = caller.is_some() && alert.content.requires_ack;
            let acked = must_ack.then(|| acked.contains(&alert.id));
            AlertItem::Alert(Box::new(ListedAlert { alert: Arc::new(*alert), acked }))
        }
        Entry::Cancelled(id) => AlertItem::Cancelled(AlertCancelled { id, seq, cancelled: true }),
    };
    Ok(page.items.into_iter().map(item).collect())
}

/// Returns the id of an alert, if it requires acknowledgement.
fn id_if_ack_required(entry: &Entry) -> Option<&str> {
    match entry {
        Entry::Alert(alert) if alert.content.requires_ack => Some(&alert.id),
        Entry::Alert(_) | Entry::Cancelled(_) => None,
    }
}

async fn scheduled(alerts: &dyn AlertStore, limit: usize) -> Result<Page, Problem> {
    let waiting = alerts.scheduled(limit).await?;
    let seq = alerts.stored_range().await?.last;
    Ok(Page { items: waiting.into_iter().map(|alert| (0, Entry::Alert(Box::new(alert)))).collect(), seq })
}

/// Cancels an alert (staff).
///
/// Clients that received the alert remove it. Idempotent.
#[utoipa::path(
    delete,
    path = "/api/v1/alerts/{id}",
    operation_id = "cancelAlert",
    tag = "alerts",
    params(("id" = String, Path, description = "The alert.")),
    responses((status = 204, description = "Cancelled."), BadRole, BadPath, NotFound, StoreFailed)
)]
pub async fn cancel(
    request: HttpRequest,
    staff: SubjectStaff,
    live: Data<Live>,
    bus: Data<dyn Bus>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let id = path_param(&request, "id")?;
    let no_such_alert = || Problem::not_found("There is no such alert.");
    let caller = staff.concerning_no_one();
    may_manage(&caller, &live.alerts.alert(&id).await?.ok_or_else(no_such_alert)?, &live.model)?;
    match live.alerts.cancel(&id, live.clock.now()).await? {
        CancelOutcome::NotFound => return Err(no_such_alert()),
        CancelOutcome::Unannounced => {}
        CancelOutcome::Announced(seq) => bus.publish(Event::AlertsStored { seq: Some(seq) }),
    }
    audit.record(&request, Some(&caller), "alert.cancel", Some(&id), None, "").await;
    Ok(HttpResponse::NoContent().finish())
}
