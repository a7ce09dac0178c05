//! The dashboard: all of somebody's in one answer. Its parts are fetched at the same time, each for a bounded time; one
//! that fails is answered from its last good copy, says so in `sources`, and holds nothing up.

use std::collections::BTreeSet;
use std::future::Future;
use std::hash::Hash;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::{self, Data};
use futures_util::future::join3;
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use crate::domain::ids::{SectionId, UserName};
use crate::domain::role::Role;
use crate::identity::Caller;
use crate::live::context::Live;
use crate::plone::announcements::{Announcements, Told};
use crate::plone::reads::ReadError;
use crate::registration::readmodel::ReadModel;
use crate::registration::section_json::SectionView;
use crate::store::plans::PlanStore;

use crate::http::alerts::{AlertItem, in_force};
use crate::http::announcements::{item_json, told};
use crate::http::auth::SignedIn;
use crate::http::error::{Problem, get, method_not_allowed, plone_words};
use crate::http::last_good::LastGood;
use crate::http::registrations::Registrations;
use crate::http::request_id::PRIVATE;
use crate::http::session::UserResponse;

/// How long a page waits for Plone's part, where there is no copy of it yet: not long enough to be noticed.
const DASHBOARD_PART_WAIT: Duration = Duration::from_millis(40);
/// How long it waits for a part that the store has. It answers within milliseconds, unless the disk is ill.
const STORE_PART_WAIT: Duration = Duration::from_secs(1);
/// Announcements on a dashboard.
const ANNOUNCEMENTS_MAX: usize = 10;
/// People whose parts out of the store are kept for when it is ill: those who were here last.
const PEOPLE_MAX: usize = 5_000;

/// Parts out of the store as they last were.
pub struct LastParts {
    plans: LastGood<UserName, Vec<SectionId>>,
    /// By role, too: what staff may see is not for whoever was staff.
    alerts: LastGood<(UserName, Role), Vec<AlertItem>>,
}

impl Default for LastParts {
    fn default() -> Self {
        Self { plans: LastGood::new(PEOPLE_MAX), alerts: LastGood::new(PEOPLE_MAX) }
    }
}

/// The path of the dashboard.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(
        web::resource("/api/v1/dashboard").route(get().to(show)).default_service(method_not_allowed("GET, HEAD")),
    );
}

/// `GET /api/v1/dashboard`
pub async fn show(
    SignedIn(caller): SignedIn,
    model: Data<ReadModel>,
    live: Data<Live>,
    plans: Data<dyn PlanStore>,
    announcements: Option<Data<Announcements>>,
    parts: Data<LastParts>,
) -> HttpResponse {
    let is_student = caller.role == Role::Student;
    let plan = async {
        let read = async { if is_student { Ok(plans.plan(&caller.user).await?) } else { Ok(Vec::new()) } };
        of_store(&parts.plans, caller.user.clone(), read).await
    };
    let alerts = of_store(&parts.alerts, (caller.user.clone(), caller.role), in_force(&live, &caller));
    let (plan, alerts, news) =
        join3(plan, alerts, news(announcements.as_ref().map(|data| data.as_ref()), &caller)).await;

    let registrations =
        if is_student { Registrations::of(&model, &caller.realm, &caller.user, None).items } else { Vec::new() };
    let held = registrations.iter().map(|held| &held.section);
    let wanted: BTreeSet<&SectionId> = held.chain(&plan.value).collect();
    let rows = wanted.iter().filter_map(|id| model.section_for(id, Some((&caller.user, caller.role))));
    let sections: Vec<Value> = rows.map(|(row, _)| json!(SectionView::new(&row.state))).collect();
    let (announcements, plone) = news;
    HttpResponse::Ok().insert_header(PRIVATE).json(json!({
        "user": UserResponse::from(&caller),
        "registrations": registrations,
        "sections": sections,
        "announcements": announcements,
        "alerts": alerts.value,
        "sources": { "plone": plone, "store": store_source(&plan.late, &alerts.late) },
    }))
}

/// A part of the page, and how old it is when it is not of now.
struct Part<T> {
    value: T,
    late: Option<Duration>,
}

/// A part that the store has, or its last good copy.
async fn of_store<K: Eq + Hash + Clone, T: Clone + Default>(
    last: &LastGood<K, T>,
    key: K,
    read: impl Future<Output = Result<T, Problem>>,
) -> Part<T> {
    match timeout(STORE_PART_WAIT, read).await {
        Ok(Ok(value)) => {
            last.keep(&key, value.clone());
            return Part { value, late: None };
        }
        Ok(Err(problem)) => log::warn!("a part of a dashboard failed: {problem} {}", problem.cause().unwrap_or("")),
        Err(_) => log::warn!("a part of a dashboard was not read in time"),
    }
    let (value, age) = last.get(&key).unwrap_or_default();
    Part { value, late: Some(age) }
}

fn store_source(plan: &Option<Duration>, alerts: &Option<Duration>) -> Value {
    let names = [("plan", plan), ("alerts", alerts)];
    let late: Vec<&str> = names.iter().filter(|(_, late)| late.is_some()).map(|(name, _)| *name).collect();
    let age = plan.iter().chain(alerts).max().copied().unwrap_or_default();
    let mut source = source(late.is_empty(), Some(age));
    if !late.is_empty() {
        let detail = format!("These could not be read just now, and may be out of date: {}.", late.join(", "));
        source.insert("error".to_owned(), detail.into());
    }
    source.into()
}

fn source(ok: bool, age: Option<Duration>) -> Map<String, Value> {
    Map::from_iter([("ok".to_owned(), ok.into()), ("age_s".to_owned(), age.map(|age| age.as_secs()).into())])
}

/// Plone's part: the newest announcements, and what is to be said of their source.
async fn news(announcements: Option<&Announcements>, caller: &Caller) -> (Vec<Value>, Value) {
    let Some(announcements) = announcements else {
        let mut source = source(false, None);
        source.insert("error".to_owned(), NO_PLONE.into());
        return (Vec::new(), source.into());
    };
    let told = told(announcements, Some(caller), DASHBOARD_PART_WAIT, DASHBOARD_PART_WAIT).await;
    let (items, age, error) = match told {
        Ok(Told { kept, .. }) => {
            let items = kept.value.items().take(ANNOUNCEMENTS_MAX).map(item_json).collect();
            (items, Some(kept.age), kept.error.as_ref().map(plone_words))
        }
        Err(ReadError::Failed(error)) => (Vec::new(), None, Some(plone_words(&error))),
        Err(ReadError::Late) => (Vec::new(), None, Some("The college's Plone has not answered yet.")),
    };
    let mut source = source(error.is_none(), age);
    if let Some(error) = error {
        source.insert("error".to_owned(), error.into());
    }
    (items, source.into())
}

/// What the dashboard of a hub without Plone says of it.
const NO_PLONE: &str = "This hub has no Plone.";
