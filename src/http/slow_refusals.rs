//! Delays responses to visitors who exceed a limit. A client that sends the next request as soon as it has a response
//! would otherwise send thousands a second on a few connections: four connections caused 30,000 refusals a second,
//! which used both processors of the machine and slowed registrations.

use std::time::Duration;

use actix_web::{HttpMessage as _, HttpRequest};
use tokio::sync::Semaphore;

/// The delay of a refusal. It is shorter than any `Retry-After`, so a client that complies does not notice it.
const DELAY: Duration = Duration::from_millis(500);
/// Maximum number of refusals that are delayed at the same time; others are sent at once. A delayed one takes a few
/// kilobytes.
const DELAYED_MAX: usize = 4_096;

/// Permits for refusals that are delayed.
static DELAYED: Semaphore = Semaphore::const_new(DELAYED_MAX);

/// The mark of a visitor's request that a limit refuses.
struct Refused;

/// Marks the request of a visitor that exceeds a limit; [`delay`] delays its response.
pub(super) fn mark(request: &HttpRequest) {
    request.extensions_mut().insert(Refused);
}

/// Waits before the response to a marked request is sent.
pub(super) async fn delay(request: &HttpRequest) {
    let is_refused = request.extensions().contains::<Refused>();
    if !is_refused {
        return;
    }
    if let Ok(_permit) = DELAYED.try_acquire() {
        tokio::time::sleep(DELAY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;
    use tokio::time::Instant;

    async fn delay_of(request: &HttpRequest) -> Duration {
        let started = Instant::now();
        delay(request).await;
        started.elapsed()
    }

    #[actix_web::test]
    async fn a_bounded_number_of_refusals_is_delayed() {
        tokio::time::pause();
        let (served, refused) = (TestRequest::default().to_http_request(), TestRequest::default().to_http_request());
        mark(&refused);
        assert_eq!(delay_of(&served).await, Duration::ZERO);
        assert!(delay_of(&refused).await >= DELAY);
        let all = DELAYED.acquire_many(DELAYED_MAX as u32).await.unwrap();
        assert_eq!(delay_of(&refused).await, Duration::ZERO, "refusals beyond the bound are not delayed");
        drop(all);
    }
}
