//! Announcements: the college's news items, which Plone publishes.

use std::time::Duration;

use actix_web::http::header::{AGE, HeaderValue};
use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

use crate::identity::Caller;
use crate::plone::announcements::{Announcements, MemberKey, News, NewsView};
use crate::plone::cache::ReadError;
use crate::plone::port::NewsItem;
use crate::text::percent;

use crate::http::auth::Visitor;
use crate::http::encoded::{Encoded, tag_of};
use crate::http::error::{Problem, get, method_not_allowed};
use crate::http::hot::HotResponses;
use crate::http::openapi::params::IfNoneMatch;
use crate::http::openapi::responses::{BadToken, NotModified, PloneFailed};
use crate::http::uncached::{Requester, UncachedResponses};

/// The longest wait for the first copy of the visitors' announcements. Once there is a copy, no request waits.
const FIRST_COPY_WAIT: Duration = Duration::from_secs(10);
/// The longest wait for the first copy of a member's announcements, after which the member gets those of visitors.
const OWN_COPY_WAIT: Duration = Duration::from_secs(1);
/// `Cache-Control` of the visitors' announcements: browsers store the response and revalidate it each time.
const REVALIDATE: &str = "no-cache";
const PERSONAL: &str = "private, no-store";
const JSON: &str = "application/json";
/// The path of Plone's own pages under the hub's origin.
const PLONE_PAGES: &str = "/plone";

/// The operations of this file.
#[derive(OpenApi)]
#[openapi(paths(list))]
pub(super) struct Api;

/// Registers the path of announcements.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(
        web::resource("/api/v1/announcements").route(get().to(list)).default_service(method_not_allowed("GET, HEAD")),
    );
}

/// A news item of Plone.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Announcement)]
pub(super) struct AnnouncementResponse<'a> {
    /// Plone's UID.
    id: &'a str,
    title: &'a str,
    /// The summary as plain text; may be empty.
    description: &'a str,
    /// The full item as plain text; empty if the item is too long for the hub.
    text: &'a str,
    /// The full item as sanitized HTML, without scripts, styles or forms; empty if the item is too long for the hub.
    html: &'a str,
    published_at: Timestamp,
    modified_at: Timestamp,
    /// The path of the item's page in Plone, under the hub's origin.
    #[schema(format = "uri-reference")]
    url: String,
}

impl<'a> AnnouncementResponse<'a> {
    pub(super) fn new(item: &'a NewsItem) -> Self {
        Self {
            id: &item.id,
            title: &item.title,
            description: &item.description,
            text: &item.text,
            html: &item.html,
            published_at: item.published_at,
            modified_at: item.modified,
            url: format!("{PLONE_PAGES}{}", percent::encode_path(&item.path)),
        }
    }
}

/// Announcements, newest first.
#[derive(Debug, Serialize, ToSchema)]
struct AnnouncementList<'a> {
    items: Vec<AnnouncementResponse<'a>>,
    total: usize,
}

/// Lists the college's announcements, newest first.
///
/// The list has the newest Plone news items, at most 100. A caller who signed in through Plone, or whose user of Plone
/// is stated by single sign-on, gets the items that this user may see; other callers get the public ones. Changes in
/// Plone appear within `[plone] sync_s`. Once there is a copy, no request waits for Plone: the copy is returned while
/// it is renewed, and `Age` is its age. Without Plone the list is empty.
#[utoipa::path(
    get,
    path = "/api/v1/announcements",
    operation_id = "announcements",
    tag = "plone",
    security((), ("bearer" = []), ("cookie" = [])),
    params(IfNoneMatch),
    responses(
        (status = 200, description = "The announcements.", body = AnnouncementList, headers(
            ("ETag" = String, description = "Weak, the same for every content coding."),
            ("Age" = u64, description = "Seconds since Plone was read (RFC 9111, 5.1)."),
            ("Cache-Control" = String, description = "`private, no-store` for the announcements of a member."),
        )),
        NotModified, BadToken, PloneFailed,
    )
)]
pub async fn list(
    request: HttpRequest,
    Visitor(caller): Visitor,
    announcements: Option<Data<Announcements>>,
    hot: Data<HotResponses>,
    uncached: Data<UncachedResponses>,
) -> Result<HttpResponse, Problem> {
    let found = match &announcements {
        Some(announcements) => {
            visible_announcements(announcements, caller.as_ref(), OWN_COPY_WAIT, FIRST_COPY_WAIT).await?
        }
        None => NewsView::empty(),
    };
    let news = found.reply.value.clone();
    let mut response = if found.is_personal {
        uncached.respond(&request, Requester::User, move || encode(&news, PERSONAL)).await?
    } else {
        let build = move || (news.version(), encode(&news, REVALIDATE));
        hot.respond(&request, "announcements", found.reply.value.version(), build).await?
    };
    response.headers_mut().insert(AGE, HeaderValue::from(found.reply.age.as_secs()));
    Ok(response)
}

/// Returns the announcements that a caller may see. While there is no copy, waits at most `own_wait` for those of a
/// member and at most `wait` for those of visitors.
pub(super) async fn visible_announcements(
    announcements: &Announcements,
    caller: Option<&Caller>,
    own_wait: Duration,
    wait: Duration,
) -> Result<NewsView, ReadError> {
    match caller.and_then(MemberKey::of) {
        Some(sign_in) => announcements.for_member(&sign_in, own_wait, wait).await,
        None => announcements.for_visitors(wait).await,
    }
}

fn encode(news: &News, cache_control: &'static str) -> Encoded {
    let items: Vec<_> = news.items().map(AnnouncementResponse::new).collect();
    let list = AnnouncementList { total: items.len(), items };
    // Serializing strings, numbers and lists cannot fail.
    let body = serde_json::to_vec(&list).unwrap_or_default();
    Encoded::new(&tag_of(&body), JSON, cache_control, body.into())
}
