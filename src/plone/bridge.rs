//! The bridge between the hub and the college's Plone: starts and stops the pull of the catalogue, the outbox and the
//! announcements.
//!
//! Order of construction: [`connect`] builds the client, [`sign_in`] builds the sign-in provider from it, identity
//! starts with that provider, and [`Bridge::start`] receives identity. No step waits for a response from Plone, so the
//! hub also starts while Plone is down.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Context as _;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::config::plone::Plone as Settings;
use crate::identity::provider::MemberRules;
use crate::identity::{Audit, Identity};
use crate::plone::announcements::{AnnouncementDeps, Announcements};
use crate::plone::outbox::PloneOutbox;
use crate::plone::outbox::deps::{OutboxDeps, OutboxOptions};
use crate::plone::outbox::status::PloneOutboxStatus;
use crate::plone::proxy::{BadProxyUrl, PloneProxy};
use crate::plone::pull::status::{PullCounts, PullStatus};
use crate::plone::pull::{PullDeps, PullError, PullOptions, Puller};
use crate::plone::pull_gate::PullGate;
use crate::plone::rest::{BadPloneUrl, Circuit, PloneClient, PloneOptions, PoolStats};
use crate::plone::sign_in::{PlainMember, PloneSignIn, PloneSignInOptions};
use crate::registration::pool::RegistrarPool;
use crate::registration::readmodel::ReadModel;
use crate::store::StoreError;
use crate::store::imports::ImportStore;
use crate::store::outbox::OutboxStore;

use crate::domain::fields::SectionField;
use crate::domain::ids::{SectionId, UserName};

/// Dependencies of the bridge.
pub struct BridgeDeps {
    /// Tokens of signed-in members, for reading the announcements that they may see.
    pub identity: Arc<Identity>,
    /// The student who signed in through Plone most recently. With this member's token, the outbox checks who can read
    /// rosters.
    pub plain_member: watch::Receiver<PlainMember>,
    /// Audit trail.
    pub audit: Audit,
    /// Sections that must be written to Plone, and the known items of Plone.
    pub outbox: Arc<dyn OutboxStore>,
    /// One-off events.
    pub events: Arc<dyn ImportStore>,
    /// Registrars, which apply the changes of a pull.
    pub pool: Arc<RegistrarPool>,
    /// Committed terms.
    pub model: Arc<ReadModel>,
    /// Clock used for deadlines and ages.
    pub clock: Arc<dyn Clock>,
    /// Returns true while an import is being applied. Until it is done, none of its changes may be written to Plone.
    pub is_import_applying: Arc<dyn Fn() -> bool + Send + Sync>,
}

/// Creates a client for the configured Plone; `None` if no Plone is configured. Requires a running actix system.
///
/// # Errors
/// If `[plone] url` cannot be used.
pub fn connect(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Option<PloneClient>, BadPloneUrl> {
    let Some(url) = settings.url.clone() else { return Ok(None) };
    let options = PloneOptions {
        url,
        username: settings.username.clone(),
        password: settings.password.clone(),
        sections_path: settings.sections_path.clone(),
        section_type: settings.section_type.clone(),
        publish: settings.publish.clone(),
        pool_size: settings.pool_size,
        queue_max: settings.queue_max,
        timeout: settings.timeout,
        fields: settings.fields.clone(),
    };
    PloneClient::new(options, clock).map(Some)
}

/// Creates the sign-in provider for members of Plone.
///
/// # Errors
/// If `[plone] username` is not a valid username.
pub fn sign_in(settings: &Settings, client: &PloneClient) -> anyhow::Result<Arc<PloneSignIn>> {
    let options = PloneSignInOptions {
        roles: settings.roles.clone(),
        hub_user: UserName::stored(&settings.username).context("plone.username")?,
        timeout: settings.timeout,
        in_flight_max: (settings.pool_size / 2).max(1),
        members: MemberRules { recheck: settings.recheck, offline_login_days: settings.offline_login_days },
    };
    Ok(Arc::new(PloneSignIn::new(Arc::new(client.clone()), options)))
}

/// The running bridge to Plone.
pub struct Bridge {
    client: PloneClient,
    announcements: Arc<Announcements>,
    puller: Puller,
    outbox: PloneOutbox,
    outbox_store: Arc<dyn OutboxStore>,
    clock: Arc<dyn Clock>,
}

impl Bridge {
    /// Starts the pull, the outbox and the announcements. With `open_new_terms`, terms that a pull creates are
    /// immediately open for registration.
    pub async fn start(client: PloneClient, settings: &Settings, open_new_terms: bool, deps: BridgeDeps) -> Self {
        // Set by the first complete pull. Before that, the hub does not know which sections have an item in Plone.
        let items_known = Arc::new(AtomicBool::new(false));
        let pull_gate = Arc::new(PullGate::default());
        let plone = Arc::new(client.clone());
        let pull = PullDeps {
            plone: plone.clone(),
            items: deps.outbox.clone(),
            events: deps.events,
            pool: deps.pool,
            model: deps.model,
            clock: deps.clock.clone(),
            items_known: items_known.clone(),
            gate: pull_gate.clone(),
        };
        let puller = Puller::start(pull, PullOptions { every: settings.sync, open_new_terms });

        let url = settings.url.as_deref().unwrap_or_default();
        let options = OutboxOptions {
            write_schedules: settings.write_schedules,
            pool_size: settings.pool_size,
            check_every: settings.sync,
            roster_field: format!("{url} {} {}", settings.section_type, settings.field_name(SectionField::Roster)),
        };
        let outbox = OutboxDeps {
            store: deps.outbox.clone(),
            plone: plone.clone(),
            clock: deps.clock.clone(),
            audit: deps.audit,
            items_known,
            is_import_applying: deps.is_import_applying,
            pull_gate,
        };
        let outbox = PloneOutbox::start(outbox, &options, deps.plain_member);

        let announcements = Announcements::start(AnnouncementDeps {
            plone,
            identity: deps.identity,
            store: deps.outbox.clone(),
            clock: deps.clock.clone(),
            sync: settings.sync,
        });
        let announcements = announcements.await;
        Self { client, announcements, puller, outbox, outbox_store: deps.outbox, clock: deps.clock }
    }

    /// Starts no further writes to Plone and waits for those in flight. Unwritten sections stay marked in the store and
    /// are written after the next start.
    pub async fn stop(&self) {
        self.outbox.stop().await;
    }

    /// Creates the reverse proxy to this Plone. See [`PloneProxy::new`].
    ///
    /// # Errors
    /// If `public_url` or `proxy_url` cannot be used.
    pub fn proxy(
        &self,
        identity: Arc<Identity>,
        public_url: Option<&str>,
        port: u16,
        proxy_url: Option<&str>,
    ) -> Result<PloneProxy, BadProxyUrl> {
        PloneProxy::new(self.client.clone(), identity, public_url, port, proxy_url)
    }

    /// The college's announcements.
    #[must_use]
    pub fn announcements(&self) -> &Arc<Announcements> {
        &self.announcements
    }

    /// Returns true if Plone has responded, the circuit is closed, and the last read of the announcements succeeded.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        let pool = self.pool();
        pool.has_answered() && pool.circuit == Circuit::Closed && self.announcements.state().1.is_none()
    }

    /// Returns the state of the connection pool and the circuit breaker.
    #[must_use]
    pub fn pool(&self) -> PoolStats {
        self.client.stats()
    }

    /// Returns the state of the pull of the catalogue.
    #[must_use]
    pub fn pull_status(&self) -> PullStatus {
        self.puller.status()
    }

    /// Returns the state of the outbox.
    #[must_use]
    pub fn outbox_status(&self) -> PloneOutboxStatus {
        self.outbox.status()
    }

    /// Pulls the whole catalogue now.
    ///
    /// # Errors
    /// The reason why the pull ended early.
    pub async fn pull_now(&self) -> Result<PullCounts, PullError> {
        self.puller.pull_now().await
    }

    /// Queues refused sections again: the given ones, or all for `None`. Returns their number.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn resend(&self, sections: Option<Vec<SectionId>>) -> Result<u64, StoreError> {
        self.outbox_store.resend(sections, self.clock.now()).await
    }

    /// Returns the seconds since `at`, at least 0; 0 for `None`.
    pub(super) fn seconds_since(&self, at: Option<jiff::Timestamp>) -> f64 {
        at.map_or(0.0, |at| self.clock.now().duration_since(at).as_secs_f64().max(0.0))
    }
}
