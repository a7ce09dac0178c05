//! Builds and runs the application from the settings. Production, the demonstration and tests use the same application.
//!
//! - [`ports`]: the store, the bus and the clock; the only file that names their implementations
//! - [`core`]: registration and imports on the ports
//! - `follower`: keeps the hub current with other hubs on the same store
//! - `server`: the HTTP server, its limits and the data of its handlers

pub mod core;
mod follower;
pub mod ports;
mod server;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Addr, Arbiter};
use actix_web::dev::Server;
use actix_web::web::Data;
use anyhow::Context as _;
use futures_util::FutureExt as _;
use jiff::SignedDuration;
use tokio::time::Instant;

use crate::alerts::acks::AckQueue;
use crate::app::core::{Core, Opened};
use crate::app::follower::FollowCounts;
use crate::bus::EventStream;
use crate::config::Config;
use crate::demo::{self, DemoAccount};
use crate::http::demo_runs::{DemoDeps, Demos};
use crate::http::site::Site;
use crate::identity::external::ExternalProvider;
use crate::identity::provider::SignInProvider;
use crate::identity::{Audit, Identity, IdentityDeps, Settings, Source, secret};
use crate::live::alert_scope;
use crate::live::broker::{Broker, DrainAll};
use crate::live::context::{Live, LiveOptions};
use crate::live::other_hubs::OtherHubs;
use crate::plone::bridge::{self, Bridge, BridgeDeps};
use crate::registration::shown_counts::ShownCounts;
use crate::retention;
use crate::rush::PloneJob;
use crate::rush::sandbox::{SandboxDeps, Sandboxes};
use crate::sso::SingleSignOn;
use crate::store::shared_tasks::SharedTasks;

/// Minimum time for storing the last audit entries, even if everything else has used up `[server] drain_s`.
const FLUSH_MIN: Duration = Duration::from_secs(1);
/// Maximum number of attempts that one transaction deletes, so that no registration waits long for it.
const ATTEMPTS_DELETED_PER_WRITE: usize = 1_000;

/// The purpose of an application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Production: nothing is created that the settings do not name.
    College,
    /// The demonstration: an empty store is filled with the demonstration college, and terms from Plone are open.
    Demonstration,
}

/// The hub, built and listening. Connections wait in the backlog until [`Application::run`].
pub struct Application {
    config: Config,
    shared: Arc<Shared>,
    demos: Data<Demos>,
    server: Server,
    address: SocketAddr,
    demo_accounts: Vec<DemoAccount>,
}

/// The parts that handlers of every worker share.
struct Shared {
    core: Core,
    identity: Arc<Identity>,
    sso: Arc<SingleSignOn>,
    audit: Audit,
    live: Arc<Live>,
    /// The live sessions of all hubs.
    hubs: Arc<OtherHubs>,
    broker: Addr<Broker>,
    /// The bridge to Plone; `None` if no Plone is configured.
    bridge: Option<Arc<Bridge>>,
    /// The counters of the follower; `None` for the embedded store.
    following: Option<Arc<FollowCounts>>,
}

impl Application {
    /// Opens the ports, starts every actor and background task, and binds the listening socket. Must be called on an
    /// actix system.
    ///
    /// # Errors
    /// When a setting is not usable, another process holds the store, or the address is in use.
    pub async fn build(config: Config, purpose: Purpose) -> anyhow::Result<Self> {
        crate::machine::raise_open_files(config.server.max_connections);
        let opened = Opened::open(&config)?;
        let demo_accounts = demo_accounts(&config, purpose, &opened).await?;
        let (core, events, others) = Core::start(&config, opened).await?;
        let mut shared = Shared::start(&config, purpose, core, events).await?;
        let tasks = others.as_ref().map(|others| others.tasks.clone());
        shared.following = others.map(|others| follower::start(others, &shared.core, &shared.identity));
        let shared = Arc::new(shared);
        let bind = config.server.bind;
        let listener = server::listen(bind).with_context(|| format!("cannot listen on {bind}"))?;
        let address = listener.local_addr()?;
        let site = Site::new(config.server.public_url.as_deref(), address.port())?;
        let site = site.trusting(&config.server.trusted_proxies);
        let sandboxes = sandboxes(&shared.core);
        remove_abandoned(&sandboxes);
        let demos = Data::new(demos(&config, &shared, sandboxes, tasks, address));
        let server = server::http_server(&config, &shared, &site, listener, demos.clone())?;
        let announced = shared.core.ports.announce(&format!("http://{address}"));
        announced.context("cannot write the lock file")?;
        Ok(Self { config, shared, demos, server, address, demo_accounts })
    }

    /// Returns the address that the hub listens on, with the actual port if the settings have port 0.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the URL for users: `[server] public_url` or, if it is not set, that of [`Application::address`].
    #[must_use]
    pub fn url(&self) -> String {
        self.config.server.public_url.clone().unwrap_or_else(|| format!("http://{}", self.address))
    }

    /// Returns the demonstration accounts that still have their public password.
    #[must_use]
    pub fn demo_accounts(&self) -> &[DemoAccount] {
        &self.demo_accounts
    }

    /// Serves until `shutdown` resolves, then drains: asks clients to reconnect later, finishes accepted work and
    /// flushes the audit trail, each within `[server] drain_s`.
    ///
    /// # Errors
    /// When the server fails.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
        let Self { config, shared, demos, server, .. } = self;
        let handle = server.handle();
        let mut running = actix_rt::spawn(server);
        tokio::select! {
            ended = &mut running => return Ok(ended.context("the server ended unexpectedly")??),
            () = shutdown => {}
        }
        let deadline = Instant::now() + config.server.drain;
        log::info!("draining: asking clients to reconnect, finishing accepted work");
        shared.broker.try_send(DrainAll).ok();
        demos.stop();
        tokio::join!(handle.stop(true), shared.stop_background(config.server.drain));
        running.await.context("the server ended unexpectedly")??;
        let flush_until = deadline.max(Instant::now() + FLUSH_MIN);
        if tokio::time::timeout_at(flush_until, shared.audit.finish()).await.is_err() {
            log::warn!("the last audit entries could not be stored");
        }
        if tokio::time::timeout(config.server.drain, shared.core.ports.close()).await.is_err() {
            log::warn!("the store could not be closed in time; its write-ahead log is complete");
        }
        log::info!("stopped");
        Ok(())
    }
}

impl Shared {
    async fn start(config: &Config, purpose: Purpose, core: Core, events: EventStream) -> anyhow::Result<Self> {
        let secret = secret::load_or_generate(config.auth.secret.as_ref(), &secret::path_beside(config.store.files()))?;
        let settings = Settings {
            session_ttl: config.auth.session_ttl,
            college: config.college.name.clone(),
            previous_secret: config.auth.previous_secret.clone(),
            login_per_minute: config.limits.login_per_minute,
            requests_per_second: config.limits.requests_per_second,
            stated_names: config.auth.names.clone(),
            external: external_providers(config),
            ..Settings::default()
        };
        let ports = &core.ports;
        let audit = Audit::start(ports.audit.clone(), ports.clock.clone());
        if config.privacy.audit_days > 0 {
            audit.limit_retention(SignedDuration::from_hours(24 * i64::from(config.privacy.audit_days)));
        }
        if config.privacy.attempts_days > 0 {
            let days = SignedDuration::from_hours(24 * i64::from(config.privacy.attempts_days));
            let store = ports.attempts.clone();
            let delete = move |cutoff, limit| store.delete_attempts_before(cutoff, limit);
            retention::limit("attempts", ports.clock.clone(), days, ATTEMPTS_DELETED_PER_WRITE, delete);
        }
        let plone = match bridge::connect(&config.plone, ports.clock.clone())? {
            Some(client) => Some((bridge::sign_in(&config.plone, &client, ports.clock.clone())?, client)),
            None => None,
        };
        let deps = IdentityDeps {
            accounts: ports.accounts.clone(),
            members: ports.members.clone(),
            provider_sign_ins: ports.provider_sign_ins.clone(),
            audit: audit.clone(),
            bus: ports.bus.clone(),
            clock: ports.clock.clone(),
        };
        let providers = plone.iter().map(|(sign_in, _)| sign_in.clone() as Arc<dyn SignInProvider>).collect();
        let identity = Identity::start(settings, &secret, deps, providers).await?;
        let sso = SingleSignOn::start(&config.auth, &secret, core.ports.clock.clone())?;
        let live = Arc::new(live(config, &core, identity.clone()));
        let hubs = OtherHubs::start(core.presence.clone(), core.ports.bus.clone(), core.ports.events.subscribe());
        let broker_live = live.clone();
        let broker = Broker::start_in_arbiter(&Arbiter::new().handle(), move |_| Broker::new(broker_live, events));
        let bridge = match plone {
            Some((sign_in, client)) => {
                let imports = core.imports.clone();
                let deps = BridgeDeps {
                    identity: identity.clone(),
                    sign_in,
                    audit: audit.clone(),
                    outbox: core.ports.outbox.clone(),
                    leases: core.ports.leases.clone(),
                    pool: core.pool.clone(),
                    model: core.model.clone(),
                    clock: core.ports.clock.clone(),
                    is_import_applying: Arc::new(move || imports.is_applying()),
                };
                let open_new_terms = purpose == Purpose::Demonstration;
                Some(Arc::new(Bridge::start(client, &config.plone, open_new_terms, deps).await))
            }
            None => None,
        };
        Ok(Self { core, identity, sso: Arc::new(sso), audit, live, hubs, broker, bridge, following: None })
    }

    /// Stops the bridge to Plone and the imports, each within `limit`. The next start resumes writes to Plone that were
    /// not finished, and resolves an unfinished import.
    async fn stop_background(&self, limit: Duration) {
        let bridge = async {
            if let Some(bridge) = &self.bridge
                && tokio::time::timeout(limit, bridge.stop()).await.is_err()
            {
                log::warn!("a write to Plone did not finish in time");
            }
        };
        let imports = async {
            if tokio::time::timeout(limit, self.core.imports.stop()).await.is_err() {
                log::warn!("an import did not stop in time");
            }
        };
        tokio::join!(bridge, imports);
    }
}

/// Returns the providers of single sign-on in the settings.
fn external_providers(config: &Config) -> Vec<ExternalProvider> {
    let (roles, proxy) = (&config.auth.roles, &config.auth.proxy);
    let by_web_server = (!proxy.peers.is_empty()).then(|| {
        let claims = format!("{:?} {:?}", proxy.groups_header, proxy.claim_headers);
        ExternalProvider::new(Source::Proxy, Source::Proxy.to_string(), roles, &claims)
            .stating_plone_users(!proxy.plone_user_header.is_empty())
    });
    let by_oidc = config.auth.oidc.iter().map(|(name, provider)| {
        let claims = format!("{:?} {:?}", provider.groups_claim, provider.scopes);
        ExternalProvider::new(Source::Oidc(name.as_str().into()), provider.issuer.clone(), roles, &claims)
            .stating_plone_users(!provider.plone_user_claim.is_empty())
    });
    by_oidc.chain(by_web_server).collect()
}

fn live(config: &Config, core: &Core, identity: Arc<Identity>) -> Live {
    let days = u64::from(config.alerts.retention_days);
    let (senders, model) = (identity.clone(), core.model.clone());
    Live {
        presence: core.presence.clone(),
        alerts: core.ports.alerts.clone(),
        tail: Arc::default(),
        acks: AckQueue::new(core.ports.alerts.clone()),
        model: core.model.clone(),
        clock: core.ports.clock.clone(),
        is_token_valid: Box::new(move |caller| identity.is_alive(caller)),
        is_withheld: Box::new(move |alert| {
            let (identity, model) = (senders.clone(), model.clone());
            async move { alert_scope::is_withheld(&alert, &identity, &model).await }.boxed()
        }),
        options: LiveOptions {
            seats_tick: config.server.seats_tick,
            alert_retention: (days > 0).then(|| Duration::from_secs(days * 86_400)),
            office: config.college.name.as_str().into(),
            zone: config.college.timezone.clone(),
            shown_to_visitors: ShownCounts::hidden_below(config.privacy.small_counts),
            ..LiveOptions::default()
        },
    }
}

/// Loads the demonstration college if the store is empty, and returns the demonstration accounts that still have their
/// public password; none for a college. With Plone, nothing is loaded: the accounts would take precedence over Plone's,
/// and the sections would be written to Plone.
///
/// # Errors
/// For a college: when its store contains demonstration accounts with their public password.
async fn demo_accounts(config: &Config, purpose: Purpose, opened: &Opened) -> anyhow::Result<Vec<DemoAccount>> {
    let ports = &opened.ports;
    match purpose {
        Purpose::College => {
            refuse_demo_accounts(config, &demo::unchanged_accounts(&*ports.accounts).await?)?;
            Ok(Vec::new())
        }
        Purpose::Demonstration if config.plone.url.is_some() => Ok(Vec::new()),
        Purpose::Demonstration => {
            demo::load_if_empty(&*ports.seed, &*ports.accounts, ports.clock.now(), &config.college.timezone).await
        }
    }
}

/// Refuses to serve a college while anyone can sign in with a public password.
fn refuse_demo_accounts(config: &Config, accounts: &[DemoAccount]) -> anyhow::Result<()> {
    if accounts.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = accounts.iter().map(|account| account.username.as_str()).collect();
    anyhow::bail!(
        "the store {} contains demonstration accounts whose password is public: {}. Start with --demo on a loopback \
         address, or remove each with `eduhub user remove NAME` or give it another password with `eduhub user passwd \
         NAME`",
        config.store,
        names.join(", ")
    )
}

fn sandboxes(core: &Core) -> Arc<Sandboxes> {
    Arc::new(Sandboxes::new(SandboxDeps {
        pool: core.pool.clone(),
        model: core.model.clone(),
        imports: core.imports.clone(),
        store: core.ports.sandboxes.clone(),
        leases: core.ports.leases.clone(),
        clock: core.ports.clock.clone(),
    }))
}

/// Removes the sandboxes of other hubs that were killed, in the background.
fn remove_abandoned(sandboxes: &Arc<Sandboxes>) {
    let sandboxes = sandboxes.clone();
    actix_rt::spawn(async move {
        if let Err(error) = sandboxes.remove_abandoned().await {
            log::warn!("cannot remove the sandboxes of hubs that have ended: {error}");
        }
    });
}

/// Creates the demonstrations, which send their load to this hub at an address that is reachable from this machine.
/// `tasks` is the store through which other hubs see them.
fn demos(
    config: &Config,
    shared: &Shared,
    sandboxes: Arc<Sandboxes>,
    tasks: Option<Arc<dyn SharedTasks>>,
    address: SocketAddr,
) -> Demos {
    let host = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => std::net::Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let url = format!("http://{}", SocketAddr::new(host, address.port()));
    let plone = PloneJob::from_settings(&config.plone);
    let clock = shared.core.ports.clock.clone();
    Demos::new(DemoDeps { sandboxes, tasks, identity: shared.identity.clone(), clock, url, plone })
}
