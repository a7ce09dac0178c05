//! The college's Plone, for admins: how it and the way to it are, pulling now, sending again what it refused. Plone's
//! address is not told: whoever may change it reads it in the settings.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use crate::actors::plone::announcements::Announcements;
use crate::actors::plone::outbox::PloneOutbox;
use crate::actors::plone::outbox_status::{PloneOutboxStatus, RosterState};
use crate::actors::plone::pull::Puller;
use crate::actors::plone::pull::status::PullStatus;
use crate::actors::plone::reads::ReadError;
use crate::adapters::plone::{Circuit, PloneClient};
use crate::domain::ids::SectionId;
use crate::identity::Audit;
use crate::ports::clock::Clock;
use crate::ports::outbox::{ASIDE_LISTED_MAX, OutboxStore};
use crate::protocol::problem::ProblemCode;

use super::auth::Admin;
use super::body::read_json_or_nothing;
use super::error::{Problem, get, method_not_allowed, plone_words};
use super::request_id::PRIVATE;

/// How long an admin waits for a pull. One that takes longer goes on.
const PULL_WAIT: Duration = Duration::from_secs(60);

/// What admins see of Plone, and act on.
pub struct PloneDesk {
    /// Plone, of whose connections something can be seen.
    pub client: PloneClient,
    /// The news.
    pub announcements: Arc<Announcements>,
    /// The catalogue.
    pub puller: Option<Puller>,
    /// What writes.
    pub outbox: PloneOutbox,
    /// What is to be written.
    pub store: Arc<dyn OutboxStore>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

impl PloneDesk {
    /// Whether Plone answers, as far as is known.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.client.stats().circuit == Circuit::Closed && self.announcements.state().1.is_none()
    }
}

/// The resources of this file.
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
    Problem::not_found("This hub has no Plone.")
}

/// `GET /api/v1/admin/plone`
pub async fn state(_: Admin, desk: Option<Data<PloneDesk>>) -> HttpResponse {
    let answer = match desk {
        Some(desk) => state_json(&desk),
        None => json!({
            "configured": false, "ok": null, "pool": null, "circuit": null, "sync": null, "outbox": null,
            "roster": null, "announcements": null,
        }),
    };
    HttpResponse::Ok().insert_header(PRIVATE).json(answer)
}

fn state_json(desk: &PloneDesk) -> Value {
    let pool = desk.client.stats();
    let now = desk.clock.now();
    let outbox = desk.outbox.status();
    json!({
        "configured": true,
        "ok": desk.is_well(),
        "circuit": {
            "state": pool.circuit.as_str(),
            "opened_at": pool.opened_for.and_then(|long| now.checked_sub(long).ok()),
            "failures": pool.failures,
        },
        "pool": {
            "size": pool.size,
            "in_use": pool.in_use,
            "waiting": pool.waiting,
            "queue_max": pool.queue_max,
            "connections": pool.connections,
            "calls": by_name(&pool.by_outcome()),
        },
        "sync": desk.puller.as_ref().map(Puller::status),
        "outbox": outbox_json(&outbox, now),
        "roster": roster_json(&outbox.roster),
        "announcements": news_json(&desk.announcements),
    })
}

fn by_name(counts: &[(&'static str, u64)]) -> Map<String, Value> {
    counts.iter().map(|(name, count)| ((*name).to_owned(), (*count).into())).collect()
}

fn outbox_json(outbox: &PloneOutboxStatus, now: Timestamp) -> Value {
    let age_s = outbox.oldest_at.map(|at| now.as_second().saturating_sub(at.as_second()).max(0));
    let aside: Vec<Value> = outbox
        .aside
        .iter()
        .map(|entry| json!({ "section": entry.section, "reason": entry.reason, "at": entry.at }))
        .collect();
    json!({
        "depth": outbox.depth,
        "oldest_age_s": age_s,
        "in_flight": outbox.in_flight,
        "sent": outbox.sent_total,
        "created": outbox.created_total,
        "failed": outbox.failed_total,
        "aside_total": outbox.aside_total,
        "aside": aside,
    })
}

fn roster_json(roster: &RosterState) -> Value {
    match roster {
        RosterState::Readable(by) => json!({ "state": roster.as_str(), "by": by }),
        RosterState::Unchecked | RosterState::Protected => json!({ "state": roster.as_str() }),
    }
}

fn news_json(announcements: &Announcements) -> Value {
    let (kept, error) = announcements.state();
    json!({
        "count": kept.as_ref().map_or(0, |kept| kept.value.items().len()),
        "age_s": kept.as_ref().map(|kept| kept.age.as_secs()),
        "error": error.as_ref().map(plone_words),
    })
}

/// `POST /api/v1/admin/plone/sync`: answered when it is done.
pub async fn sync(
    request: HttpRequest,
    Admin(caller): Admin,
    desk: Option<Data<PloneDesk>>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let desk = desk.ok_or_else(no_plone)?;
    audit.record(&request, Some(&caller), "plone.sync", None, None, "");
    let pull = async {
        match &desk.puller {
            Some(puller) => puller.pull_now().await,
            None => PullStatus::default(),
        }
    };
    let both = async { tokio::join!(pull, desk.announcements.renew()) };
    let (pulled, announcements) = timeout(PULL_WAIT, both).await.map_err(|_| ReadError::Late)?;
    if let Some(error) = pulled.last_error {
        let problem = Problem::new(ProblemCode::PloneUnavailable, "The catalogue could not be pulled from Plone.");
        return Err(problem.caused_by(error));
    }
    let mut answer = serde_json::to_value(pulled.last).map_err(Problem::internal)?;
    answer["announcements"] = announcements?.into();
    Ok(HttpResponse::Ok().insert_header(PRIVATE).json(answer))
}

/// `POST /api/v1/admin/plone/outbox/resend {sections?}`
pub async fn resend(
    request: HttpRequest,
    Admin(caller): Admin,
    payload: web::Payload,
    desk: Option<Data<PloneDesk>>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let desk = desk.ok_or_else(no_plone)?;
    let mut fields = read_json_or_nothing(&request, payload).await?;
    let parse = |text: &str| SectionId::parse(text).ok();
    let sections = fields.maybe_parsed_list("sections", ASIDE_LISTED_MAX as usize, "the id of a section", parse)?;
    fields.finish()?;
    let detail = match &sections {
        Some(sections) => sections.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        None => "all".to_owned(),
    };
    let resent = desk.store.resend(sections, desk.clock.now()).await?;
    audit.record(&request, Some(&caller), "plone.resend", None, None, &detail);
    Ok(HttpResponse::Ok().insert_header(PRIVATE).json(json!({ "resent": resent })))
}
