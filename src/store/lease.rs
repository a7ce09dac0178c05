//! The port of leases: which hub runs the jobs that only one hub may run, such as writing to Plone.
//!
//! The hub that holds the lease of a job is its leader. A lease ends by the clock of the store if its hub does not
//! renew it. Each hub that takes a job over gets a higher fence, and the writes of the job state the fence under which
//! they began. A hub that was stopped while another hub took over has an old fence: the store refuses its writes with
//! [`StoreError::Superseded`](crate::store::StoreError::Superseded).

use std::sync::Arc;
use std::time::Duration;

use crate::store::StoreFuture;
use crate::store::imports::ImportStore;
use crate::store::outbox::OutboxStore;

/// How long a lease lasts after it was taken or renewed. Together with [`CANDIDATE_PAUSE`] this is less than 5 s, the
/// time within which another hub takes over. Three renewals may fail before the lease ends.
pub const LEASE: Duration = Duration::from_secs(4);
/// Time between two renewals by the leader. Each is a commit.
pub const RENEWAL_PAUSE: Duration = Duration::from_secs(1);
/// Time between two attempts of another hub to take over. While the lease lasts, an attempt is one short statement.
pub const CANDIDATE_PAUSE: Duration = Duration::from_millis(500);

/// A job that runs at one hub at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Job {
    /// The pull of Plone's catalogue, and the outbox.
    Plone,
    /// A demonstration, with its sandbox.
    Demonstration,
}

impl Job {
    /// Returns the name under which the job is stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The number under which a hub leads a job. It rises with each takeover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fence {
    /// The job.
    pub job: Job,
    /// The number.
    pub number: u64,
}

/// The lease of a job that a hub has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The number under which the hub leads.
    pub fence: Fence,
    /// How many times other hubs have requested the job.
    pub requests: u64,
}

/// A store with leases.
pub trait LeaseStore: Send + Sync {
    /// Renews the lease that this hub has under `held`, or takes the lease if no hub has it. Returns the lease; `None`
    /// if another hub has it, or has taken over since `held`.
    fn hold(&self, job: Job, held: Option<Fence>) -> StoreFuture<Option<Lease>>;
    /// Requests that the leader of a job run it at once. The leader reads the request when it renews its lease.
    fn request(&self, job: Job) -> StoreFuture<()>;
    /// Ends the lease of this hub under `held`, so that another hub takes over at once. Does nothing if another hub has
    /// taken over already. Writes under `held` are accepted until then.
    fn release(&self, held: Fence) -> StoreFuture<()>;
    /// Returns the outbox whose writes are refused once another hub has taken over from `held`.
    fn outbox_under(&self, held: Fence) -> Arc<dyn OutboxStore>;
    /// Returns the one-off events whose writes are refused once another hub has taken over from `held`.
    fn events_under(&self, held: Fence) -> Arc<dyn ImportStore>;
}
