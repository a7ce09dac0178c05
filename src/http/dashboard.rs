//! The dashboard: everything that concerns the caller, in one response. Its parts are loaded concurrently, each with a
//! deadline. A part that fails or is late is replaced by its last good copy, which `sources` reports.

use std::collections::BTreeSet;
use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::{self, Data};
use futures_util::future::join3;
use serde::Serialize;
use tokio::time::timeout;
use utoipa::{OpenApi, ToSchema};

use crate::domain::ids::{SectionId, UserName};
use crate::domain::plan::PlanName;
use crate::domain::role::Role;
use crate::identity::Caller;
use crate::live::context::Live;
use crate::plone::announcements::{Announcements, News, NewsView};
use crate::plone::cache::ReadError;
use crate::registration::readmodel::{ReadModel, Row};
use crate::registration::section_json::SectionView;
use crate::store::plans::PlanStore;

use crate::http::alerts::{AlertItem, ListedAlert, active_alerts};
use crate::http::announcements::{AnnouncementResponse, visible_announcements};
use crate::http::auth::SignedIn;
use crate::http::error::{Problem, get, method_not_allowed, plone_error_text};
use crate::http::last_good::{ByteSize, LastGood};
use crate::http::openapi::responses::BadToken;
use crate::http::registrations::{RegistrationResponse, Registrations};
use crate::http::request_id::PRIVATE;
use crate::http::shared_alerts::SharedAlerts;
use crate::http::sign_in::UserResponse;

/// The longest wait for announcements while there is no copy of them: too short to be noticed.
const PLONE_PART_WAIT: Duration = Duration::from_millis(40);
/// The longest wait for a part from the store, which responds within milliseconds unless the disk fails.
const STORE_PART_WAIT: Duration = Duration::from_secs(1);
/// The maximum number of announcements on a dashboard.
const ANNOUNCEMENTS_MAX: usize = 10;
/// The expected number of users whose parts from the store are cached.
const USERS: usize = 5_000;
/// The maximum memory of cached plans, in bytes: 5,000 plans of 50 sections.
const PLANS_BYTES_MAX: u64 = 16 << 20;
/// The maximum memory of cached lists of alerts, in bytes, with each list's share of its alerts: 5,000 lists of some 50
/// alerts.
const ALERTS_BYTES_MAX: u64 = 32 << 20;

/// The last good copies of parts from the store.
pub struct DashboardCache {
    plans: LastGood<UserName, Vec<SectionId>>,
    /// The key includes the role, so that a former staff member does not see alerts to staff.
    alerts: LastGood<(UserName, Role), CachedAlerts>,
    shared_alerts: SharedAlerts,
}

impl Default for DashboardCache {
    fn default() -> Self {
        Self {
            plans: LastGood::new(USERS, PLANS_BYTES_MAX),
            alerts: LastGood::new(USERS, ALERTS_BYTES_MAX),
            shared_alerts: SharedAlerts::default(),
        }
    }
}

impl DashboardCache {
    /// Returns the memory of each cache and its bound, in bytes. The memory of the alerts themselves is part of the
    /// weight of the lists that share them.
    #[must_use]
    pub fn bytes(&self) -> [(&'static str, u64, u64); 3] {
        [
            ("dashboard_plans", self.plans.bytes(), PLANS_BYTES_MAX),
            ("dashboard_alert_lists", self.alerts.bytes(), ALERTS_BYTES_MAX),
            ("dashboard_alerts", self.shared_alerts.bytes(), ALERTS_BYTES_MAX),
        ]
    }

    /// Returns the list with alerts that it shares with the lists of other users.
    fn sharing_alerts(&self, items: Vec<AlertItem>) -> CachedAlerts {
        let items: Arc<[AlertItem]> = items.into_iter().map(|item| item.sharing(&self.shared_alerts)).collect();
        let bytes = items.iter().map(AlertItem::byte_size).sum();
        CachedAlerts { items, bytes }
    }
}

/// A list of alerts, and its memory when the list was built. The memory of an alert is divided among the lists that
/// share it, so the memory of the list changes later.
#[derive(Clone, Default)]
struct CachedAlerts {
    items: Arc<[AlertItem]>,
    bytes: usize,
}

impl ByteSize for Vec<SectionId> {
    fn byte_size(&self) -> usize {
        self.iter().map(|id| size_of::<SectionId>() + id.to_string().len()).sum()
    }
}

impl ByteSize for CachedAlerts {
    fn byte_size(&self) -> usize {
        self.bytes
    }
}

/// The operations of this file.
#[derive(OpenApi)]
#[openapi(paths(show))]
pub(super) struct Api;

/// Registers the resource of this file.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(
        web::resource("/api/v1/dashboard").route(get().to(show)).default_service(method_not_allowed("GET, HEAD")),
    );
}

/// Everything that concerns the caller.
#[derive(Debug, Serialize, ToSchema)]
struct Dashboard<'a> {
    user: UserResponse,
    /// The student's registrations, as in `GET /api/v1/me/registrations`; empty for staff.
    registrations: &'a [RegistrationResponse],
    /// The sections of the registrations and of the plan.
    sections: Vec<SectionView<'a>>,
    /// The newest announcements.
    #[schema(max_items = 10)]
    announcements: Vec<AnnouncementResponse<'a>>,
    /// The active alerts, oldest first.
    #[schema(value_type = [ListedAlert])]
    alerts: &'a [AlertItem],
    sources: Sources,
}

/// The state of each source. `plone.ok` is false if Plone is not configured.
#[derive(Debug, Serialize, ToSchema)]
struct Sources {
    plone: Source,
    store: Source,
}

/// The state of a source.
#[derive(Debug, Serialize, ToSchema)]
struct Source {
    /// Whether the last attempt to read it succeeded.
    ok: bool,
    /// The age of the copy in seconds; null if there is no copy.
    #[schema(required)]
    age_s: Option<u64>,
    /// What went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    error: Option<String>,
}

/// Returns everything that concerns the caller in one response.
///
/// A part that fails or is late is replaced by its last good copy, which `sources` reports. The response is never an
/// error because of one part.
#[utoipa::path(
    get,
    path = "/api/v1/dashboard",
    operation_id = "dashboard",
    tag = "plone",
    responses((status = 200, description = "Always, for a signed-in caller.", body = Dashboard), BadToken)
)]
pub async fn show(
    SignedIn(caller): SignedIn,
    model: Data<ReadModel>,
    live: Data<Live>,
    plans: Data<dyn PlanStore>,
    announcements: Option<Data<Announcements>>,
    parts: Data<DashboardCache>,
) -> HttpResponse {
    let is_student = caller.role == Role::Student;
    let plan = async {
        let read = async { if is_student { planned_sections(&**plans, &caller.user).await } else { Ok(Vec::new()) } };
        store_part(&parts.plans, caller.user.clone(), read).await
    };
    let alerts = async {
        let read = async { Ok(parts.sharing_alerts(active_alerts(&live, &caller).await?)) };
        store_part(&parts.alerts, (caller.user.clone(), caller.role), read).await
    };
    let news = news(announcements.as_ref().map(|data| data.as_ref()), &caller);
    let (plan, alerts, (news, plone)) = join3(plan, alerts, news).await;

    let registrations =
        if is_student { Registrations::of(&model, &caller.realm, &caller.user, None).items } else { Vec::new() };
    let registered = registrations.iter().map(|registration| &registration.section);
    let ids: BTreeSet<&SectionId> = registered.chain(&plan.value).collect();
    let rows = ids.iter().filter_map(|id| model.section_for(id, Some((&caller.user, caller.role))));
    let rows: Vec<Row> = rows.map(|(row, _)| row).collect();
    HttpResponse::Ok().insert_header(PRIVATE).json(Dashboard {
        user: UserResponse::from(&caller),
        registrations: &registrations,
        sections: rows.iter().map(|row| section_view(row, &model, &caller)).collect(),
        announcements: news.items().take(ANNOUNCEMENTS_MAX).map(AnnouncementResponse::new).collect(),
        alerts: &alerts.value.items,
        sources: Sources { plone, store: store_source(plan.copy_age, alerts.copy_age) },
    })
}

/// Returns the sections of the plan `default`.
async fn planned_sections(plans: &dyn PlanStore, student: &UserName) -> Result<Vec<SectionId>, Problem> {
    let plan = plans.plan(student, &PlanName::default()).await?.unwrap_or_default();
    Ok(plan.into_iter().map(|planned| planned.section).collect())
}

/// A part of the dashboard. `copy_age` is set if it could not be read: it is then a copy, or empty without one.
struct Part<T> {
    value: T,
    copy_age: Option<Duration>,
}

/// Returns a section as it applies to the caller. Only students have seats of their own.
fn section_view<'a>(row: &'a Row, model: &ReadModel, caller: &Caller) -> SectionView<'a> {
    if caller.role != Role::Student {
        return SectionView::new(&row.state);
    }
    let term = model.term_in(&caller.realm, &row.state.section.id.term);
    let facts = term.and_then(|term| term.facts(&caller.user));
    SectionView::for_student(&row.state, facts.as_deref())
}

/// Reads a part from the store, or returns its last good copy.
async fn store_part<K: Eq + Hash + Clone, T: Clone + Default + ByteSize>(
    last: &LastGood<K, T>,
    key: K,
    read: impl Future<Output = Result<T, Problem>>,
) -> Part<T> {
    match timeout(STORE_PART_WAIT, read).await {
        Ok(Ok(value)) => {
            last.store(&key, value.clone());
            return Part { value, copy_age: None };
        }
        Ok(Err(problem)) => log::warn!("a part of a dashboard failed: {problem} {}", problem.cause().unwrap_or("")),
        Err(_) => log::warn!("the store did not return a part of a dashboard in time"),
    }
    let (value, age) = last.get(&key).unwrap_or_default();
    Part { value, copy_age: Some(age) }
}

fn store_source(plan: Option<Duration>, alerts: Option<Duration>) -> Source {
    let names = [("plan", plan), ("alerts", alerts)];
    let late: Vec<&str> = names.iter().filter(|(_, late)| late.is_some()).map(|(name, _)| *name).collect();
    let age = plan.max(alerts).unwrap_or_default();
    let error = || format!("These could not be loaded and may be out of date: {}.", late.join(", "));
    Source { ok: late.is_empty(), age_s: Some(age.as_secs()), error: (!late.is_empty()).then(error) }
}

/// Returns the announcements that the caller may see, and the state of their source.
async fn news(announcements: Option<&Announcements>, caller: &Caller) -> (Arc<News>, Source) {
    let (news, age, error) = match announcements {
        None => (News::empty(), None, Some("Plone is not configured.".to_owned())),
        Some(announcements) => {
            match visible_announcements(announcements, Some(caller), PLONE_PART_WAIT, PLONE_PART_WAIT).await {
                Ok(NewsView { reply, .. }) => {
                    (reply.value, Some(reply.age), reply.error.as_ref().map(plone_error_text))
                }
                Err(ReadError::Failed(error)) => (News::empty(), None, Some(plone_error_text(&error))),
                Err(ReadError::Timeout) => {
                    (News::empty(), None, Some("The college website (Plone) has not responded yet.".to_owned()))
                }
            }
        }
    };
    let age_s = age.map(|age| age.as_secs());
    (news, Source { ok: error.is_none(), age_s, error })
}
