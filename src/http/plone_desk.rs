//! The college's Plone, for admins: how it and the way to it are, pulling now, sending again what it refused. Plone's
//! address is not told: whoever may change it reads it in the settings.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use crate::clock::Clock;
use crate::domain::ids::SectionId;
use crate::identity::Audit;
use crate::plone::announcements::Announcements;
use crate::plone::outbox::PloneOutbox;
use crate::plone::outbox::status::{PloneOutboxStatus, RosterState};
use crate::plone::port::PloneError;
use crate::plone::pull::status::PullStatus;
use crate::plone::pull::{PullError, Puller};
use crate::plone::reads::ReadError;
use crate::plone::rest::{Circuit, PloneClient};
use crate::store::outbox::{ASIDE_LISTED_MAX, OutboxStore};

use crate::http::auth::Admin;
use crate::http::body::read_json_or_nothing;
use crate::http::error::{Problem, get, method_not_allowed, plone_words};
use crate::http::request_id::PRIVATE;

/// How long an admin waits for a pull. One that takes longer goes on.
const PULL_WAIT: Duration = Duration::from_secs(60);

/// What admins see of Plone, and act on.
pub struct PloneDesk {
    /// Plone, of whose connections something can be seen.
    pub client: PloneClient,
    /// The news.
    pub announcements: Arc<Announcements>,
    /// The catalogue.
    pub puller: Puller,
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
        "sync": pull_json(&desk.puller.status()),
        "outbox": outbox_json(&outbox, now),
        "roster": roster_json(&outbox.roster),
        "announcements": news_json(&desk.announcements),
    })
}

fn by_name(counts: &[(&'static str, u64)]) -> Map<String, Value> {
    counts.iter().map(|(name, count)| ((*name).to_owned(), (*count).into())).collect()
}

fn pull_json(pull: &PullStatus) -> Value {
    json!({
        "running": pull.running,
        "last_at": pull.last_ok_at,
        "ended_at": pull.ended_at,
        "duration_ms": pull.duration_ms,
        "error": pull.last_error.as_ref().map(pull_words),
        "counts": pull.last,
        "problems": pull.problems,
        "problems_total": pull.problems_total,
        "missing_fields": pull.missing_fields,
    })
}

/// Why a pull ended before its time, in words that an admin may read.
const fn pull_words(error: &PullError) -> &'static str {
    match error {
        PullError::Plone(error) => plone_words(error),
        PullError::Restless => "Plone's list of content kept changing while it was read.",
        PullError::TooMany => "Plone has more content of one kind than the hub takes.",
        PullError::Store(_) => "What was pulled cannot be kept at present.",
        PullError::Registrar(_) => "What was pulled cannot be applied at present.",
    }
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
    let both = async { tokio::join!(desk.puller.pull_now(), desk.announcements.renew()) };
    let (sections, announcements) = timeout(PULL_WAIT, both).await.map_err(|_| ReadError::Late)?;
    let mut counts = match sections {
        Ok(counts) => by_name(&counts.by_name()),
        Err(PullError::Plone(error)) => return Err(error.into()),
        Err(PullError::Store(error)) => return Err(error.into()),
        Err(PullError::Registrar(error)) => return Err(error.into()),
        Err(error @ (PullError::Restless | PullError::TooMany)) => {
            return Err(PloneError::Failed(error.to_string()).into());
        }
    };
    counts.insert("announcements".to_owned(), announcements?.into());
    Ok(HttpResponse::Ok().insert_header(PRIVATE).json(counts))
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
