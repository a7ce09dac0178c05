//! The stream of Server-Sent Events.

use std::rc::Rc;

use actix::Addr;
use actix_web::http::Method;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use utoipa::{IntoParams, OpenApi};

use crate::domain::channel::Channel;
use crate::domain::role::Role;
use crate::identity::Identity;
use crate::live::close::Close;
use crate::live::context::Live;
use crate::live::frames::CHANNELS_PER_FRAME_MAX;
use crate::live::relay::Relay;
use crate::live::request::LiveRequest;
use crate::live::sse;

use crate::http::auth::{client_ip, foreign_origin};
use crate::http::connection::Connection;
use crate::http::error::{Problem, get, method_not_allowed};
use crate::http::live::session_caller;
use crate::http::openapi::responses::{BadQuery, BadRole, StoreFailed};
use crate::http::problem::ProblemCode;
use crate::http::query::Query;
use crate::http::site::{OriginVerdict, Site};

/// The header with which a client resumes: the id of the last event that it received.
const LAST_EVENT_ID: &str = "Last-Event-ID";
/// The header by which nginx passes a response on as it arrives instead of in full buffers.
const UNBUFFERED: (&str, &str) = ("X-Accel-Buffering", "no");
/// When a client that has too many connections may try again, in seconds.
const TOO_MANY_RETRY_S: u32 = 10;

/// The operations of this file.
#[derive(OpenApi)]
#[openapi(paths(stream))]
pub(super) struct Api;

/// The parameters with which the stream is opened.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct StreamQuery {
    /// Replays alerts after this position in their sequence before any new event. `Last-Event-ID` takes precedence.
    since: Option<u64>,
    /// A ticket from `POST /api/v1/ws-ticket`.
    ticket: Option<String>,
    /// Further channels besides `alerts` and, for a signed-in caller, `me`: `seats:TERM`, `section:ID`, `import:TASK`
    /// (staff), `admin` (admins). Separated by commas.
    channels: Option<String>,
}

impl StreamQuery {
    fn read(query: &Query) -> Result<Self, Problem> {
        Ok(Self {
            since: query.u64("since", 0..=u64::MAX)?,
            ticket: query.get("ticket")?.map(str::to_owned),
            channels: query.get("channels")?.map(str::to_owned),
        })
    }

    /// Returns the channels, all of them open to a caller with this role; `None` is a visitor.
    fn channels(&self, role: Option<Role>) -> Result<Vec<Channel>, Problem> {
        let names = self.channels.as_deref().unwrap_or_default().split(',').map(str::trim);
        let names: Vec<&str> = names.filter(|name| !name.is_empty()).collect();
        if names.len() > CHANNELS_PER_FRAME_MAX {
            let detail = format!("channels may name at most {CHANNELS_PER_FRAME_MAX} channels.");
            return Err(Problem::invalid("channels", detail));
        }
        let open = |name: &str| match Channel::parse(name) {
            None => Err(Problem::invalid("channels", "channels must contain names of channels.")),
            Some(channel) if channel.is_open_to(role) => Ok(channel),
            Some(_) if role.is_none() => {
                Err(Problem::new(ProblemCode::Unauthenticated, "Sign in to subscribe to this channel."))
            }
            Some(channel) => Err(Problem::forbidden(format!("You may not subscribe to the channel {channel}."))),
        };
        names.into_iter().map(open).collect()
    }
}

/// Registers the resource of this file.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(
        web::resource("/alerts/stream").route(get().to(stream)).default_service(method_not_allowed("GET, HEAD")),
    );
}

/// Streams alerts as Server-Sent Events.
///
/// The messages are those of the WebSocket (`/alerts/ws`): `event` is the `type`, and `data` is the same JSON. The `id`
/// of an event is a position in the sequence of alerts. A client that reconnects with `Last-Event-ID`, as browsers do
/// by themselves, or with `?since=` gets every alert that it missed, once and in order, then `live`. Comment lines keep
/// the connection open.
///
/// The caller is authenticated by `?ticket=`, `Authorization` or cookie. Visitors get alerts to everyone. An invalid
/// ticket or token gets 401, after which a browser does not reconnect. A ticket is valid once: open a new stream with
/// another ticket and `?since=`.
///
/// The last event before the hub ends the stream is `close` (`code`, `reason`, `retry_ms`?), with a close code of the
/// WebSocket. After 4001 and 4003 a client must not reconnect; after the others it may. When the hub restarts, `retry`
/// states after how many milliseconds browsers reconnect.
#[utoipa::path(
    get,
    path = "/alerts/stream",
    operation_id = "alertStream",
    tag = "alerts",
    security((), ("bearer" = []), ("cookie" = [])),
    params(
        StreamQuery,
        ("Last-Event-ID" = Option<u64>, Header, description = "The id of the last event that the client received."),
        ("Origin" = Option<String>, Header, description = "A page of another site is rejected with 403."),
    ),
    responses(
        (status = 200, description = "The stream. It does not end by itself.", body = String,
            content_type = "text/event-stream"),
        BadRole, BadQuery, StoreFailed,
    )
)]
pub async fn stream(
    request: HttpRequest,
    live: Data<Live>,
    relay: Data<Addr<Relay>>,
    identity: Data<Identity>,
    site: Data<Site>,
) -> Result<HttpResponse, Problem> {
    if site.origin_verdict(&request) == OriginVerdict::Foreign {
        return Err(foreign_origin());
    }
    let query = StreamQuery::read(&Query::of(&request)?)?;
    let since = last_event_id(&request)?.or(query.since);
    let caller = session_caller(&request, query.ticket.as_deref(), &identity).await.map_err(refused)?;
    let channels = query.channels(caller.as_ref().map(|caller| caller.role))?;
    let mut response = HttpResponse::Ok();
    response.content_type(sse::MEDIA_TYPE).insert_header((CACHE_CONTROL, "no-store")).insert_header(UNBUFFERED);
    if request.method() == Method::HEAD {
        return Ok(response.finish());
    }
    let opening = LiveRequest {
        live: live.into_inner(),
        relay: relay.get_ref().clone(),
        caller: Ok(caller),
        address: client_ip(&request),
        since,
        channels,
    };
    let user_agent = request.headers().get("user-agent").and_then(|value| value.to_str().ok()).unwrap_or("");
    let connection = request.conn_data::<Rc<Connection>>().cloned();
    let is_gone = move || connection.as_ref().is_some_and(|connection| connection.is_gone.get());
    Ok(response.body(sse::open(opening, user_agent, is_gone).map_err(refused)?))
}

/// Reads `Last-Event-ID`. An empty one counts as absent: the client has received no event with an id.
fn last_event_id(request: &HttpRequest) -> Result<Option<u64>, Problem> {
    let Some(value) = request.headers().get(LAST_EVENT_ID).filter(|value| !value.is_empty()) else { return Ok(None) };
    let id = value.to_str().ok().and_then(|text| text.parse().ok());
    let bad = || Problem::bad_request("Last-Event-ID must be the id of an event of this stream.").field(LAST_EVENT_ID);
    id.map(Some).ok_or_else(bad)
}

/// Returns the problem for a connection that is not admitted.
fn refused(why: Close) -> Problem {
    match why {
        Close::Unauthenticated => {
            let detail = "Your sign-in or ticket is not valid. Sign in again.";
            Problem::new(ProblemCode::Unauthenticated, detail)
        }
        Close::TooMany => Problem::rate_limited("Too many connections are open. Close one.", TOO_MANY_RETRY_S),
        Close::Restarting
        | Close::Busy
        | Close::Normal
        | Close::Protocol
        | Close::Binary
        | Close::NotUtf8
        | Close::TooBig
        | Close::SignedOut
        | Close::TooSlow
        | Close::Silent
        | Close::TooManyFrames => Problem::overloaded(),
    }
}
