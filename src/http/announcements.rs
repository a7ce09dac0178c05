//! Announcements: the college's news, as Plone has them.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::{AGE, HeaderValue};
use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};

use crate::identity::Caller;
use crate::plone::announcements::{Announcements, News, SignIn, Told};
use crate::plone::port::NewsItem;
use crate::plone::reads::ReadError;
use crate::text::percent;

use crate::http::auth::Visitor;
use crate::http::encoded::{Encoded, start_tag};
use crate::http::error::{Problem, get, method_not_allowed};
use crate::http::hot::HotResponses;

/// How long somebody waits for the very first copy. Afterwards nobody waits.
const FIRST_COPY_WAIT: Duration = Duration::from_secs(10);
/// How long a member waits for the first copy of their own, before the visitors' is answered.
const OWN_COPY_WAIT: Duration = Duration::from_secs(1);
/// Browsers keep an answer, and ask each time whether it still holds.
const REVALIDATE: &str = "no-cache";
const PERSONAL: &str = "private, no-store";
const JSON: &str = "application/json";
/// Where Plone's own pages are, under the hub's origin.
const PLONE_PAGES: &str = "/plone";

/// The path of announcements.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(
        web::resource("/api/v1/announcements").route(get().to(list)).default_service(method_not_allowed("GET, HEAD")),
    );
}

/// `GET /api/v1/announcements`: newest first. `Age` (RFC 9111, 5.1) is how long ago Plone was asked.
pub async fn list(
    request: HttpRequest,
    Visitor(caller): Visitor,
    announcements: Option<Data<Announcements>>,
    hot: Data<HotResponses>,
) -> Result<HttpResponse, Problem> {
    let told = match &announcements {
        Some(announcements) => told(announcements, caller.as_ref(), OWN_COPY_WAIT, FIRST_COPY_WAIT).await?,
        None => Told::nothing(),
    };
    let news = told.kept.value.clone();
    let answer = if told.is_personal {
        Arc::new(encode(&news, PERSONAL))
    } else {
        let build = move || (news.version(), encode(&news, REVALIDATE));
        hot.get("announcements", told.kept.value.version(), build).await?
    };
    let mut response = answer.respond(&request).await;
    response.headers_mut().insert(AGE, HeaderValue::from(told.kept.age.as_secs()));
    Ok(response)
}

/// What this caller may see. `own_wait` and `wait` count only where there is no copy.
pub(super) async fn told(
    announcements: &Announcements,
    caller: Option<&Caller>,
    own_wait: Duration,
    wait: Duration,
) -> Result<Told, ReadError> {
    match caller.and_then(SignIn::of) {
        Some(sign_in) => announcements.for_member(&sign_in, own_wait, wait).await,
        None => announcements.for_visitors(wait).await,
    }
}

fn encode(news: &News, cache_control: &'static str) -> Encoded {
    let items: Vec<Value> = news.items().map(item_json).collect();
    let body = json!({ "total": items.len(), "items": items }).to_string();
    Encoded::new(&format!("{}-news-{}", start_tag(), news.version()), JSON, cache_control, body.into())
}

/// A news item as clients read it.
pub(super) fn item_json(item: &NewsItem) -> Value {
    json!({
        "id": item.id,
        "title": item.title,
        "description": item.description,
        "html": item.html,
        "text": item.text,
        "published_at": item.published_at,
        "modified_at": item.modified,
        "url": format!("{PLONE_PAGES}{}", percent::path(&item.path)),
    })
}
