//! Responses that are built for one request and not cached, such as a search. Their number is unbounded, because
//! clients choose the queries. So the concurrent builds and the memory of the responses are bounded, and each response
//! is encoded only in the coding in which it is sent.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use crate::http::auth::{Credentials, client_ip};
use crate::http::build_threads;
use crate::http::connection::Connection;
use crate::http::encoded::{Encoded, coding_for};
use crate::http::error::Problem;
use crate::http::hot::BuildError;
use crate::http::slow_refusals;
use crate::identity::Identity;
use crate::identity::limits::AddressKey;

/// Maximum number of concurrent builds: each keeps a processor busy for a few milliseconds.
const BUILDS_MAX: usize = 2;
/// Maximum number of requests that wait for a build or run one: as many as are built within [`WAIT_MAX`] at 100 builds
/// per second.
const WAITING_MAX: usize = 500;
/// The longest wait for a build, and for memory. After it, the request is rejected.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// Maximum memory of the responses to one kind of requester that are built and not sent yet, in bytes: seven lists of
/// all sections of a large term.
const BYTES_MAX: u32 = 16 * 1024 * 1024;

/// The kind of requester. Visitors have bounds of their own, so that they cannot block users who are signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requester {
    /// A visitor.
    Visitor,
    /// A user who is signed in.
    User,
}

/// A builder of responses that are not cached.
#[derive(Debug, Default)]
pub struct UncachedResponses {
    visitors: Builder,
    users: Builder,
}

/// The bounds of one kind of requester.
#[derive(Debug)]
struct Builder {
    waiting: Semaphore,
    builds: Semaphore,
    /// One permit for each byte of a response that is not sent yet.
    bytes: Arc<Semaphore>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            waiting: Semaphore::new(WAITING_MAX),
            builds: Semaphore::new(BUILDS_MAX),
            bytes: Arc::new(Semaphore::new(BYTES_MAX as usize)),
        }
    }
}

impl UncachedResponses {
    /// Builds a response on one of the build threads and sends it. Its memory counts until it is sent.
    ///
    /// # Errors
    /// `rate_limited` when the requester exceeds its limit; `overloaded` when too many requests wait, or when no build
    /// or no memory is free within [`WAIT_MAX`]; `internal` when `build` panics.
    pub async fn respond<F>(&self, request: &HttpRequest, by: Requester, build: F) -> Result<HttpResponse, Problem>
    where
        F: FnOnce() -> Encoded + Send + 'static,
    {
        let builder = match by {
            Requester::Visitor => &self.visitors,
            Requester::User => &self.users,
        };
        charge(request)?;
        let until = Instant::now() + WAIT_MAX;
        let _waiting = builder.waiting.try_acquire().map_err(|_| Problem::overloaded())?;
        // Held until the response has its memory, so that no more responses are built than fit.
        let _build = timeout_at(until, builder.builds.acquire()).await.map_err(|_| Problem::overloaded())?;
        let coding = coding_for(request);
        let work = move || build().into_coding(coding);
        let body = match by {
            Requester::Visitor => build_threads::run_for_visitor(work).await?,
            Requester::User => build_threads::run(work).await?,
        };
        // A response that is longer than the bound takes all of it.
        let len = u32::try_from(body.len()).unwrap_or(u32::MAX).min(BYTES_MAX);
        let memory = timeout_at(until, builder.bytes.clone().acquire_many_owned(len)).await;
        let permit = memory.map_err(|_| Problem::overloaded())?.map_err(|_| BuildError)?;
        if let Some(connection) = request.conn_data::<Rc<Connection>>() {
            connection.send_within_pace(body.len());
        }
        Ok(body.respond(request, permit))
    }

    /// Returns the bytes of all responses that are built and not sent yet, and their bound.
    #[must_use]
    pub fn bytes(&self) -> (u64, u64) {
        let used = |builder: &Builder| BYTES_MAX as usize - builder.bytes.available_permits();
        ((used(&self.visitors) + used(&self.users)) as u64, 2 * u64::from(BYTES_MAX))
    }
}

/// Counts the cost of a response that is built for one request: for a user, or for the visitors at an address.
///
/// # Errors
/// `rate_limited` when the limit is exceeded.
pub(super) fn charge(request: &HttpRequest) -> Result<(), Problem> {
    let Some(identity) = request.app_data::<Data<Identity>>() else { return Ok(()) };
    let limits = identity.request_limits();
    let counted = match Credentials::of(request).caller() {
        // A demonstration creates load on purpose and has its own bounds.
        Some(caller) if caller.realm.is_sandbox() => Ok(()),
        Some(caller) => limits.count_user_build(&caller.user),
        None => limits
            .count_visitor_build(AddressKey::from(client_ip(request)))
            .inspect_err(|_| slow_refusals::mark(request)),
    };
    let detail = "Too many searches or lists at once. Wait a moment, then try again.";
    counted.map_err(|retry_after_s| Problem::rate_limited(detail, retry_after_s))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::body::MessageBody;
    use actix_web::http::StatusCode;
    use actix_web::http::header::ACCEPT_ENCODING;
    use actix_web::test::TestRequest;
    use bytes::Bytes;

    const MIB: usize = 1024 * 1024;

    fn encoded(len: usize) -> Encoded {
        Encoded::new("1", "text/plain", "no-cache", Bytes::from(vec![b'a'; len]))
    }

    async fn request(responses: &UncachedResponses, by: Requester, len: usize) -> Result<HttpResponse, Problem> {
        responses.respond(&TestRequest::default().to_http_request(), by, move || encoded(len)).await
    }

    #[actix_web::test]
    async fn responses_that_are_not_sent_are_bounded_in_bytes_per_kind_of_requester() {
        let responses = UncachedResponses::default();
        let mut unsent = Vec::new();
        for _ in 0..4 {
            unsent.push(request(&responses, Requester::Visitor, 4 * MIB).await.unwrap());
        }
        assert_eq!(responses.bytes().0, 16 * MIB as u64);
        tokio::time::pause();
        let refused = request(&responses, Requester::Visitor, 1).await.unwrap_err();
        assert_eq!(refused.document().status, 503);
        assert!(request(&responses, Requester::User, MIB).await.is_ok(), "visitors do not block users");
        unsent.pop();
        assert!(request(&responses, Requester::Visitor, MIB).await.is_ok(), "a sent response makes room");
        drop(unsent);
        assert_eq!(responses.bytes().0, 0);
    }

    #[actix_web::test]
    async fn a_response_is_encoded_only_in_the_coding_that_is_sent() {
        let responses = UncachedResponses::default();
        let request = TestRequest::default().insert_header((ACCEPT_ENCODING, "gzip")).to_http_request();
        let response = responses.respond(&request, Requester::User, || encoded(MIB)).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers().get("content-encoding").unwrap(), "gzip");
        assert!(responses.bytes().0 < 16 * 1024, "the plain body of 1 MiB is dropped: {}", responses.bytes().0);
        assert!(matches!(response.body().size(), actix_web::body::BodySize::Sized(len) if len == responses.bytes().0));
    }
}
