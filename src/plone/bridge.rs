//! The bridge between the hub and the college's Plone: starts and stops the pull of the catalogue, the outbox and the
//! announcements.
//!
//! Order of construction: [`connect`] builds the client, [`sign_in`] builds the sign-in provider from it, identity
//! starts with that provider, and [`Bridge::start`] receives identity. No step waits for a response from Plone, so the
//! hub also starts while Plone is down.

use std::sync::Arc;

use crate::clock::Clock;
use crate::config::plone::Plone as Settings;
use crate::identity::provider::MemberRules;
use crate::identity::{Audit, Identity};
use crate::leader::{Leadership, Tenure};
use crate::plone::announcements::{AnnouncementDeps, Announcements};
use crate::plone::items_known::ItemsKnown;
use crate::plone::outbox::PloneOutbox;
use crate::plone::outbox::deps::{OutboxDeps, OutboxOptions};
use crate::plone::outbox::status::PloneOutboxStatus;
use crate::plone::proxy::{BadProxyUrl, PloneProxy};
use crate::plone::pull::status::{PullCounts, PullStatus};
use crate::plone::pull::{PullDeps, PullError, PullOptions, Puller};
use crate::plone::pull_gate::PullGate;
use crate::plone::rest::{BadPloneUrl, Circuit, PloneClient, PloneOptions, PoolStats};
use crate::plone::sign_in::{PloneSignIn, PloneSignInOptions};
use crate::registration::pool::RegistrarPool;
use crate::registration::readmodel::ReadModel;
use crate::store::StoreError;
use crate::store::lease::{Job, LeaseStore};
use crate::store::outbox::OutboxStore;
use anyhow::Context as _;

use crate::domain::fields::SectionField;
use crate::domain::ids::{SectionId, UserName};

/// Dependencies of the bridge.
pub struct BridgeDeps {
    /// Tokens of signed-in members, for reading the announcements that they may see.
    pub identity: Arc<Identity>,
    /// Sign-ins through Plone. With the token of the student who signed in most recently, the outbox checks who can
    /// read rosters.
    pub sign_in: Arc<PloneSignIn>,
    /// Audit trail.
    pub audit: Audit,
    /// Sections that must be written to Plone, and the known items of Plone.
    pub outbox: Arc<dyn OutboxStore>,
    /// Decides which hub pulls and writes to Plone.
    pub leases: Arc<dyn LeaseStore>,
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
pub fn sign_in(settings: &Settings, client: &PloneClient, clock: Arc<dyn Clock>) -> anyhow::Result<Arc<PloneSignIn>> {
    let options = PloneSignInOptions {
        roles: settings.roles.clone(),
        hub_user: UserName::stored(&settings.username).context("plone.username")?,
        timeout: settings.timeout,
        in_flight_max: (settings.pool_size / 2).max(1),
        members: MemberRules { recheck: settings.recheck, offline_login_days: settings.offline_login_days },
    };
    let sign_in = PloneSignIn::new(Arc::new(client.clone()), options);
    Ok(Arc::new(match &settings.user_key {
        Some(key) => sign_in.with_user_key(key, clock),
        None => sign_in,
    }))
}

/// The running bridge to Plone.
pub struct Bridge {
    client: PloneClient,
    sign_in: Arc<PloneSignIn>,
    announcements: Arc<Announcements>,
    puller: Puller,
    outbox: PloneOutbox,
    outbox_store: Arc<dyn OutboxStore>,
    leases: Arc<dyn LeaseStore>,
    leadership: Leadership,
    clock: Arc<dyn Clock>,
}

impl Bridge {
    /// Starts the announcements, and, while this hub leads, the pull and the outbox. With `open_new_terms`, terms that
    /// a pull creates are immediately open for registration.
    pub async fn start(client: PloneClient, settings: &Settings, open_new_terms: bool, deps: BridgeDeps) -> Self {
        let leadership = Leadership::start(deps.leases.clone(), Job::Plone);
        let items_known = Arc::new(ItemsKnown::default());
        let pull_gate = Arc::new(PullGate::default());
        let plone = Arc::new(client.clone());
        let (leases, pulled_from, clock) = (deps.leases.clone(), plone.clone(), deps.clock.clone());
        let (pool, model, gate, known) = (deps.pool, deps.model, pull_gate.clone(), items_known.clone());
        let pull = move |tenure: Tenure| PullDeps {
            plone: pulled_from.clone(),
            items: leases.outbox_under(tenure.fence),
            events: leases.events_under(tenure.fence),
            pool: pool.clone(),
            model: model.clone(),
            clock: clock.clone(),
            items_known: known.clone(),
            gate: gate.clone(),
            tenure,
        };
        let options = PullOptions { every: settings.sync, open_new_terms };
        let puller = Puller::start(Box::new(pull), options, &leadership);

        let url = settings.url.as_deref().unwrap_or_default();
        let options = OutboxOptions {
            write_schedules: settings.write_schedules,
            pool_size: settings.pool_size,
            check_every: settings.sync,
            roster_field: format!("{url} {} {}", settings.section_type, settings.field_name(SectionField::Roster)),
        };
        let (leases, written_to, clock) = (deps.leases.clone(), plone.clone(), deps.clock.clone());
        let (audit, is_import_applying) = (deps.audit, deps.is_import_applying);
        let outbox = move |tenure: Tenure| OutboxDeps {
            store: leases.outbox_under(tenure.fence),
            plone: written_to.clone(),
            clock: clock.clone(),
            audit: audit.clone(),
            items_known: items_known.clone(),
            is_import_applying: is_import_applying.clone(),
            pull_gate: pull_gate.clone(),
            tenure,
        };
        let (store, member) = (deps.outbox.clone(), deps.sign_in.plain_member());
        let outbox = PloneOutbox::start(store, Box::new(outbox), &options, member, leadership.tenure());

        let announcements = Announcements::start(AnnouncementDeps {
            plone,
            identity: deps.identity,
            store: deps.outbox.clone(),
            clock: deps.clock.clone(),
            sync: settings.sync,
        });
        let announcements = announcements.await;
        Self {
            client,
            sign_in: deps.sign_in,
            announcements,
            puller,
            outbox,
            outbox_store: deps.outbox,
            leases: deps.leases,
            leadership,
            clock: deps.clock,
        }
    }

    /// Starts no further writes to Plone, waits for those in flight, and lets another hub take over. Unwritten sections
    /// stay marked in the store and are written after the next start, or by the hub that takes over.
    pub async fn stop(&self) {
        self.outbox.stop().await;
        self.leadership.resign().await;
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

    /// Returns the college's announcements.
    #[must_use]
    pub fn announcements(&self) -> &Arc<Announcements> {
        &self.announcements
    }

    /// Returns the sign-in provider for members of Plone.
    #[must_use]
    pub fn sign_in(&self) -> &PloneSignIn {
        &self.sign_in
    }

    /// Returns true if Plone has responded, the circuit is closed, and the last read of the announcements did not fail.
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

    /// Returns the leadership, which states whether this hub pulls the catalogue and writes to Plone.
    #[must_use]
    pub fn leadership(&self) -> &Leadership {
        &self.leadership
    }

    /// Pulls the whole catalogue now.
    ///
    /// # Errors
    /// The reason why the pull ended early.
    pub async fn pull_now(&self) -> Result<PullCounts, PullError> {
        self.puller.pull_now().await
    }

    /// Requests a pull of the whole catalogue from the hub that leads. It begins within
    /// [`RENEWAL_PAUSE`](crate::store::lease::RENEWAL_PAUSE), or when another hub takes over.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn request_pull(&self) -> Result<(), StoreError> {
        self.leases.request(Job::Plone).await
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
