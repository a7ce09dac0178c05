//! What the hub stores about the caller, and who has read it.

use actix_web::http::header::{CONTENT_DISPOSITION, ContentType};
use actix_web::web::{self, Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream::try_unfold;
use serde::Serialize;
use utoipa::{IntoParams, OpenApi, ToSchema};

use crate::clock::Clock;
use crate::domain::ids::{TermId, UserName};
use crate::identity::Audit;
use crate::live::context::Live;
use crate::store::StoreError;
use crate::store::accounts::{AuditEntry, AuditFilter};
use crate::store::attempts::AttemptStore;
use crate::store::privacy::{PersonalAck, PersonalAlert, PrivacyStore};

use crate::http::attempts::AttemptItem;
use crate::http::auth::SignedIn;
use crate::http::error::{Problem, get, method_not_allowed};
use crate::http::openapi::params::Limit;
use crate::http::openapi::responses::{BadQuery, BadToken, StoreFailed};
use crate::http::personal_data::{
    DisclosureItem, Head, PersonalAckItem, PersonalAlertItem, PersonalAuditItem, PersonalData,
};
use crate::http::query::{LIST_LEN_DEFAULT, LIST_LEN_MAX, Query};
use crate::http::request_id::PRIVATE;

/// The number of items that are read and sent at a time, so that an export needs little memory.
const PAGE_LEN: u32 = 500;

/// The operations of this file.
#[derive(OpenApi)]
#[openapi(paths(data, disclosures))]
pub(super) struct Api;

/// Registers the resources of this file.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(
        web::resource("/api/v1/me/data").route(get().to(data)).default_service(method_not_allowed("GET, HEAD")),
    )
    .service(
        web::resource("/api/v1/me/disclosures")
            .route(get().to(disclosures))
            .default_service(method_not_allowed("GET, HEAD")),
    );
}

/// The lists of [`PersonalData`] that are read in pages, in their order.
#[derive(Clone, Copy)]
enum List {
    Attempts,
    Alerts,
    Acknowledgements,
    Audit,
    Disclosures,
}

impl List {
    const fn name(self) -> &'static str {
        match self {
            Self::Attempts => "attempts",
            Self::Alerts => "alerts",
            Self::Acknowledgements => "acknowledgements",
            Self::Audit => "audit",
            Self::Disclosures => "disclosures",
        }
    }

    const fn next(self) -> Option<Self> {
        match self {
            Self::Attempts => Some(Self::Alerts),
            Self::Alerts => Some(Self::Acknowledgements),
            Self::Acknowledgements => Some(Self::Audit),
            Self::Audit => Some(Self::Disclosures),
            Self::Disclosures => None,
        }
    }
}

/// The last item of the previous page; `Start` before the first page.
#[derive(Clone)]
enum Cursor {
    Start,
    Id(String),
    Number(u64),
    Attempt(TermId, u64),
}

impl Cursor {
    fn id(&self) -> Option<String> {
        if let Self::Id(id) = self { Some(id.clone()) } else { None }
    }

    fn attempt(&self) -> Option<(TermId, u64)> {
        if let Self::Attempt(term, n) = self { Some((term.clone(), *n)) } else { None }
    }

    const fn number(&self) -> Option<u64> {
        if let Self::Number(number) = self { Some(*number) } else { None }
    }
}

/// An export that is being sent.
struct Export {
    attempts: Data<dyn AttemptStore>,
    privacy: Data<dyn PrivacyStore>,
    audit: Data<Audit>,
    user: UserName,
    list: List,
    cursor: Cursor,
}

impl Export {
    /// Reads the next page as encoded items, and returns the position after it; `None` after the last page.
    async fn page(&self) -> Result<(Vec<String>, Option<Cursor>), StoreError> {
        let (user, cursor) = (&self.user, &self.cursor);
        match self.list {
            List::Attempts => {
                let found = self.attempts.attempts_of_student(user, None, cursor.attempt(), PAGE_LEN).await?;
                let last = found.last().map(|one| Cursor::Attempt(one.term.clone(), one.attempt.n));
                Ok(page_of(found.into_iter().map(|one| encoded(&AttemptItem::from(one))), last))
            }
            List::Alerts => {
                let found = self.privacy.alerts_to(user, cursor.id(), PAGE_LEN).await?;
                let last = found.last().map(|alert| Cursor::Id(alert.id.clone()));
                let item = |alert: PersonalAlert| {
                    let PersonalAlert { id, title, message, created_at } = alert;
                    encoded(&PersonalAlertItem { id, title, message, created_at })
                };
                Ok(page_of(found.into_iter().map(item), last))
            }
            List::Acknowledgements => {
                let found = self.privacy.acks_of(user, cursor.id(), PAGE_LEN).await?;
                let last = found.last().map(|ack| Cursor::Id(ack.alert.clone()));
                let item = |PersonalAck { alert, at }| encoded(&PersonalAckItem { alert, at });
                Ok(page_of(found.into_iter().map(item), last))
            }
            List::Audit => {
                let filter = AuditFilter {
                    person: Some(user.clone()),
                    before: cursor.number(),
                    limit: PAGE_LEN,
                    ..AuditFilter::default()
                };
                let page = self.audit.page(filter).await?;
                let items = page.items.into_iter().map(|entry| encoded(&self.audit_item(entry))).collect();
                Ok((items, page.next.map(Cursor::Number)))
            }
            List::Disclosures => {
                let found = self.audit.disclosures_of(user, cursor.number(), PAGE_LEN).await?;
                let last = found.last().map(|entry| Cursor::Number(entry.number));
                Ok(page_of(found.into_iter().map(|entry| encoded(&DisclosureItem::from(entry))), last))
            }
        }
    }

    /// Returns an entry of the export. If someone else performed the action, the entry does not identify that person.
    fn audit_item(&self, entry: AuditEntry) -> PersonalAuditItem {
        let AuditEntry { at, user, role, ip, action, subject, section, detail, request_id: _ } = entry;
        let by_me = user.as_ref() == Some(&self.user);
        let ip = ip.filter(|_| by_me || user.is_none());
        PersonalAuditItem { at, by_me, role, ip, action, subject, section, detail: detail.text }
    }

    /// Returns the next part of the response and the rest of the export; `None` after the last part.
    async fn next_part(mut self) -> Result<(Bytes, Option<Self>), StoreError> {
        let (items, next) = self.page().await?;
        let mut text = match self.cursor {
            Cursor::Start => format!(",\"{}\":[", self.list.name()),
            Cursor::Id(_) | Cursor::Number(_) | Cursor::Attempt(..) if items.is_empty() => String::new(),
            Cursor::Id(_) | Cursor::Number(_) | Cursor::Attempt(..) => ",".to_owned(),
        };
        text.push_str(&items.join(","));
        if let Some(cursor) = next {
            self.cursor = cursor;
            return Ok((text.into(), Some(self)));
        }
        text.push(']');
        match self.list.next() {
            Some(list) => {
                (self.list, self.cursor) = (list, Cursor::Start);
                Ok((text.into(), Some(self)))
            }
            None => {
                text.push('}');
                Ok((text.into(), None))
            }
        }
    }
}

/// Returns the items of a page and, if it is full, the position after it.
fn page_of(items: impl Iterator<Item = String>, last: Option<Cursor>) -> (Vec<String>, Option<Cursor>) {
    let items: Vec<String> = items.collect();
    let is_full = items.len() >= PAGE_LEN as usize;
    (items, last.filter(|_| is_full))
}

/// Encodes an item. These types have text keys and no values whose serialization fails.
fn encoded(item: &impl Serialize) -> String {
    serde_json::to_string(item).unwrap_or_default()
}

/// Returns everything that the hub stores about the caller, as a file.
///
/// It is read and sent in parts. A response that ends early because the store failed is not valid JSON.
#[utoipa::path(
    get,
    path = "/api/v1/me/data",
    operation_id = "myData",
    tag = "identity",
    responses((status = 200, description = "The data.", body = PersonalData), BadToken, StoreFailed)
)]
pub async fn data(
    SignedIn(caller): SignedIn,
    privacy: Data<dyn PrivacyStore>,
    attempts: Data<dyn AttemptStore>,
    audit: Data<Audit>,
    live: Data<Live>,
    clock: Data<dyn Clock>,
) -> Result<HttpResponse, Problem> {
    // Entries are written from a queue. Waiting for it makes the export include those of all earlier requests.
    audit.flush().await;
    let record = privacy.record_of(&caller.user).await?;
    let mut head = encoded(&Head::new(&caller, record, &live, clock.now()));
    head.pop();
    let (user, list, cursor) = (caller.user, List::Attempts, Cursor::Start);
    let export = Export { attempts, privacy, audit, user, list, cursor };
    let parts = try_unfold((Some(head), Some(export)), |(head, export)| async move {
        match (head, export) {
            (Some(head), export) => Ok(Some((Bytes::from(head), (None, export)))),
            (None, Some(export)) => {
                let (part, rest) = export.next_part().await?;
                Ok(Some((part, (None, rest))))
            }
            (None, None) => Ok::<_, StoreError>(None),
        }
    });
    Ok(HttpResponse::Ok()
        .insert_header(PRIVATE)
        .insert_header(ContentType::json())
        .insert_header((CONTENT_DISPOSITION, "attachment; filename=\"eduhub-my-data.json\""))
        .streaming(Box::pin(parts)))
}

/// The query for a page of reads.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct DisclosureQuery {
    /// The `next` of an earlier page.
    cursor: Option<u64>,
}

impl DisclosureQuery {
    fn read(query: &Query) -> Result<Self, Problem> {
        Ok(Self { cursor: query.u64("cursor", 0..=i64::MAX as u64)? })
    }
}

/// Reads of data about the caller, newest first.
#[derive(Serialize, ToSchema)]
struct DisclosureList {
    items: Vec<DisclosureItem>,
    /// The `cursor` of the next page; null at the end.
    #[schema(required)]
    next: Option<String>,
}

/// Lists who has read data about the caller, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/me/disclosures",
    operation_id = "myDisclosures",
    tag = "identity",
    params(Limit, DisclosureQuery),
    responses((status = 200, description = "A page of reads.", body = DisclosureList), BadToken, BadQuery, StoreFailed)
)]
pub async fn disclosures(
    request: HttpRequest,
    SignedIn(caller): SignedIn,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let query = Query::of(&request)?;
    let DisclosureQuery { cursor } = DisclosureQuery::read(&query)?;
    let limit = query.u32("limit", 1..=LIST_LEN_MAX)?.unwrap_or(LIST_LEN_DEFAULT);
    let found = audit.disclosures_of(&caller.user, cursor, limit).await?;
    let is_full = found.len() >= limit as usize;
    let next = found.last().filter(|_| is_full).map(|entry| entry.number.to_string());
    let items = found.into_iter().map(DisclosureItem::from).collect();
    Ok(HttpResponse::Ok().insert_header(PRIVATE).json(DisclosureList { items, next }))
}

#[cfg(test)]
#[path = "my_data_tests.rs"]
mod tests;
