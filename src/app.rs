//! Builds everything from [`Config`], and runs it until it is told to end.
//!
//! [`serve`] puts the live side, identity and HTTP around the [`Core`].

use std::any::Any;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Addr, Arbiter};
use actix_web::dev::{Extensions, Server};
use actix_web::middleware::from_fn;
use actix_web::web::{Data, ServiceConfig};
use actix_web::{App, HttpServer};
use anyhow::Context as _;

use crate::alerts::receipts::ReceiptWriter;
use crate::bridge::Bridge;
use crate::bus::Bus;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::core::{Core, open_store};
use crate::demo;
use crate::http::auth::identify;
use crate::http::dashboard::LastParts;
use crate::http::demo::Demos;
use crate::http::hot::HotAnswers;
use crate::http::proxy::{PloneProxy, own_origin};
use crate::http::request_id::request_id;
use crate::http::routes::routes;
use crate::http::site::Site;
use crate::http::terms::CreditLimit;
use crate::identity::{Audit, Identity, Settings, secret};
use crate::live::broker::{Broker, DrainAll};
use crate::live::context::{Live, LiveOptions};
use crate::live::relay::Relay;
use crate::observe::Observed;
use crate::rush::sandbox::Sandboxes;
use crate::store::accounts::{AccountStore, AuditStore};
use crate::store::imports::ImportStore;
use crate::store::members::MemberStore;
use crate::store::plans::PlanStore;
use crate::store::rosters::RosterStore;

/// Connections that may wait to be accepted: at 8:00 thousands come within a second.
const BACKLOG: u32 = 4_096;
/// Connections that one worker accepts at a time.
const ACCEPTING_MAX: usize = 4_096;
/// Connections for HTTP beside the WebSockets, on each worker: when every WebSocket is taken, pages and `/healthz` still
/// answer.
const HTTP_CONNECTIONS: usize = 10_000;
/// How long a connection may take to send its first request: it was opened before 8:00, to be fast.
const FIRST_REQUEST: Duration = Duration::from_secs(60);
/// How long a client may keep a connection open that it was told is over.
const GOODBYE: Duration = Duration::from_secs(5);
/// How long sent bytes may stay unacknowledged before the kernel ends a connection: a jammed one is not polled any
/// more, so nobody inside could end it.
const JAMMED: Duration = Duration::from_secs(30);

/// What handlers share, built once.
struct Shared {
    core: Core,
    identity: Arc<Identity>,
    audit: Audit,
    live: Arc<Live>,
    broker: Addr<Broker>,
    /// None without a Plone.
    bridge: Option<Arc<Bridge>>,
}

impl Shared {
    /// What handlers of one worker find of it.
    fn configure(&self, app: &mut ServiceConfig, proxy: Option<Data<PloneProxy>>) {
        let core = &self.core;
        // One relay for each worker, on the worker's own thread: what it hands over never leaves that thread.
        let relay = Relay::new(self.live.clone(), self.broker.clone()).start();
        let plans: Arc<dyn PlanStore> = Arc::new(core.store.clone());
        let schedules: Arc<dyn ImportStore> = Arc::new(core.store.clone());
        let rosters: Arc<dyn RosterStore> = Arc::new(core.store.clone());
        let bus: Arc<dyn Bus> = core.bus.clone();
        app.app_data(Data::from(core.model.clone()))
            .app_data(Data::from(core.pool.clone()))
            .app_data(Data::from(core.imports.clone()))
            .app_data(Data::from(core.clock.clone()))
            .app_data(Data::from(plans))
            .app_data(Data::from(schedules))
            .app_data(Data::from(rosters))
            .app_data(Data::from(bus))
            .app_data(Data::from(self.identity.clone()))
            .app_data(Data::new(self.audit.clone()))
            .app_data(Data::from(self.live.clone()))
            .app_data(Data::new(self.broker.clone()))
            .app_data(Data::new(relay));
        if let Some(bridge) = &self.bridge {
            bridge.configure(app);
        }
        if let Some(proxy) = proxy {
            app.app_data(proxy);
        }
    }
}

/// Runs the hub until SIGTERM or SIGINT. `say` gets the lines that whoever starts it should read.
pub async fn serve(config: Config, with_demo: bool) -> anyhow::Result<()> {
    crate::machine::raise_open_files(config.server.max_connections);
    let store = open_store(&config)?;
    let secret = secret::load_or_make(config.auth.secret.as_ref(), &secret::path_beside(&config.store.path))?;
    // The demonstration college's accounts would shadow those of Plone, and its sections would go there.
    let accounts = if with_demo && config.plone.url.is_none() {
        demo::load_into_empty(&store, SystemClock.now(), &config.college.timezone).await?
    } else {
        Vec::new()
    };
    let (core, events) = Core::start(&config, store).await?;
    let settings = Settings {
        session_ttl: config.auth.session_ttl,
        login_per_minute: config.limits.login_per_minute,
        requests_per_second: config.limits.requests_per_second,
        ..Settings::default()
    };
    let people: Arc<dyn AccountStore> = Arc::new(core.store.clone());
    let bus: Arc<dyn Bus> = core.bus.clone();
    let trail: Arc<dyn AuditStore> = Arc::new(core.store.clone());
    let audit = Audit::start(trail);
    let bridge = Bridge::start(&config)?;
    let members: Arc<dyn MemberStore> = Arc::new(core.store.clone());
    let sign_in = bridge.as_ref().map(|bridge| bridge.sign_in(&config, members, audit.clone())).transpose()?;
    let identity = Identity::start(settings, &secret, people, bus, core.clock.clone(), sign_in).await?;
    let alive = identity.clone();
    let days = u64::from(config.alerts.retention_days);
    let live = Arc::new(Live {
        presence: core.presence.clone(),
        alerts: Arc::new(core.store.clone()),
        receipts: ReceiptWriter::new(Arc::new(core.store.clone())),
        model: core.model.clone(),
        clock: core.clock.clone(),
        is_alive: Box::new(move |caller| alive.is_alive(caller)),
        options: LiveOptions {
            seats_tick: config.server.seats_tick,
            alerts_kept: (days > 0).then(|| Duration::from_secs(days * 86_400)),
            zone: config.college.timezone.clone(),
            ..LiveOptions::default()
        },
    });
    let broker_live = live.clone();
    let broker = Broker::start_in_arbiter(&Arbiter::new().handle(), move |_| Broker::new(broker_live, events));
    if let (Some(bridge), Some(members)) = (&bridge, identity.plain_member()) {
        bridge.start_pull(&config, &core, with_demo);
        bridge.start_outbox(&config, &core, audit.clone(), members);
        bridge.start_desk(&config, &core, identity.clone()).await;
    }
    let shared = Arc::new(Shared { core, identity, audit, live, broker, bridge });
    run(&config, &shared, &accounts).await
}

async fn run(config: &Config, shared: &Arc<Shared>, accounts: &[demo::DemoAccount]) -> anyhow::Result<()> {
    let listener = listen(config.server.bind).with_context(|| format!("cannot serve on {}", config.server.bind))?;
    let address = listener.local_addr()?;
    let site = Site::new(config.server.public_url.as_deref(), address.port())?;
    let url = config.server.public_url.clone().unwrap_or_else(|| format!("http://{address}"));
    shared.core.store.lock().announce(&format!("http://{address}")).context("the lock file cannot be written")?;
    let demos = Data::new(demos(config, shared, address));
    let server = http_server(config, shared, &site, listener, demos.clone())?;
    let handle = server.handle();
    let running = actix_rt::spawn(server);
    greet(&url, accounts)?;
    wait_for_signal().await?;
    log::info!("ending: clients are told to come back, what was accepted is finished");
    shared.broker.try_send(DrainAll).ok();
    demos.stop();
    let bridge = async {
        // What does not end in time is still marked in the store, and written after the next start.
        if let Some(bridge) = &shared.bridge
            && tokio::time::timeout(config.server.drain, bridge.stop()).await.is_err()
        {
            log::warn!("a write to Plone was still under way");
        }
    };
    let imports = async {
        // What is still being applied then is found out at the next start.
        if tokio::time::timeout(config.server.drain, shared.core.imports.stop()).await.is_err() {
            log::warn!("an import was still under way");
        }
    };
    tokio::join!(handle.stop(true), bridge, imports);
    running.await.context("the server ended badly")??;
    if tokio::time::timeout(config.server.drain, shared.audit.flush()).await.is_err() {
        log::warn!("the last entries of the audit could not be kept");
    }
    log::info!("ended");
    Ok(())
}

/// Demonstrations against this hub, at the address where it can be reached from the machine itself.
fn demos(config: &Config, shared: &Shared, address: std::net::SocketAddr) -> Demos {
    let core = &shared.core;
    let (pool, model, imports) = (core.pool.clone(), core.model.clone(), core.imports.clone());
    let sandboxes = Sandboxes::new(pool, model, imports, Arc::new(core.store.clone()), core.clock.clone());
    let host = match address.ip() {
        std::net::IpAddr::V4(ip) if ip.is_unspecified() => std::net::Ipv4Addr::LOCALHOST.into(),
        std::net::IpAddr::V6(ip) if ip.is_unspecified() => std::net::Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let url = format!("http://{}", std::net::SocketAddr::new(host, address.port()));
    let plone = crate::bridge::demo_target(config);
    Demos::new(Arc::new(sandboxes), shared.identity.clone(), core.clock.clone(), url, plone)
}

/// Listens with the backlog that 8:00 needs; port 0 lets the system choose.
fn listen(address: std::net::SocketAddr) -> std::io::Result<std::net::TcpListener> {
    let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(BACKLOG).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}

/// What is measured, and looked at for readiness.
fn observed(shared: &Shared) -> Observed {
    Observed {
        writer: shared.core.store.gauge(),
        pool: shared.core.pool.clone(),
        model: shared.core.model.clone(),
        presence: shared.core.presence.clone(),
        bus: shared.core.bus.gauge(),
        imports: shared.core.imports.clone(),
        identity: shared.identity.clone(),
        plone: shared.bridge.as_ref().and_then(|bridge| bridge.desk().cloned()),
    }
}

fn http_server(
    config: &Config,
    shared: &Arc<Shared>,
    site: &Site,
    listener: std::net::TcpListener,
    demos: Data<Demos>,
) -> anyhow::Result<Server> {
    let proxy = shared.bridge.as_ref().map(|bridge| bridge.proxy(config, listener.local_addr()?.port())).transpose()?;
    let proxy = proxy.map(Data::new);
    let hot = Data::new(HotAnswers::new(config.server.seats_tick));
    let site = Data::new(site.clone());
    let credit_limit = Data::new(CreditLimit(config.registration.credit_limit));
    let workers = match config.server.workers {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        workers => workers,
    };
    let observed = observed(shared);
    let (readiness, metrics) = (Data::new(observed.readiness()), Data::new(observed.metrics()?));
    let charts =
        observed.start_charts(metrics.clone().into_inner(), shared.core.bus.clone(), shared.core.clock.clone());
    let charts = Data::from(charts);
    let zone = Data::new(config.college.timezone.clone());
    let last_parts = Data::new(LastParts::default());
    let college = Data::new(config.college.clone());
    let shared = shared.clone();
    let server = HttpServer::new(move || {
        let (shared, proxy) = (shared.clone(), proxy.clone());
        App::new()
            .configure(move |app| shared.configure(app, proxy))
            .app_data(zone.clone())
            .app_data(college.clone())
            .app_data(readiness.clone())
            .app_data(metrics.clone())
            .app_data(charts.clone())
            .app_data(hot.clone())
            .app_data(site.clone())
            .app_data(credit_limit.clone())
            .app_data(last_parts.clone())
            .app_data(demos.clone())
            .wrap(from_fn(identify))
            .wrap(from_fn(own_origin))
            .wrap(from_fn(request_id))
            .configure(routes)
    })
    .workers(workers)
    .backlog(BACKLOG)
    .max_connection_rate(ACCEPTING_MAX)
    .max_connections(config.server.max_connections + HTTP_CONNECTIONS)
    .keep_alive(config.server.keep_alive)
    .client_request_timeout(FIRST_REQUEST)
    .client_disconnect_timeout(GOODBYE)
    .shutdown_timeout(config.server.drain.as_secs())
    .disable_signals()
    .on_connect(prepare_connection);
    Ok(server.listen(listener)?.run())
}

/// An answer whose body comes after its head must not wait for the client's acknowledgement in between (40 ms, measured on
/// a section of Plone), and a jammed connection must end.
fn prepare_connection(io: &dyn Any, _: &mut Extensions) {
    let Some(stream) = io.downcast_ref::<actix_web::rt::net::TcpStream>() else { return };
    if let Err(error) = stream.set_nodelay(true) {
        log::debug!("a connection cannot be told to send at once: {error}");
    }
    if let Err(error) = socket2::SockRef::from(stream).set_tcp_user_timeout(Some(JAMMED)) {
        log::debug!("a connection cannot be bounded in time: {error}");
    }
}

/// What whoever started the hub reads: the address, on a line by itself, and the demonstration's accounts.
fn greet(url: &str, accounts: &[demo::DemoAccount]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    if !accounts.is_empty() {
        writeln!(out, "Demonstration accounts (role: name / password):")?;
        for account in accounts {
            writeln!(out, "  {:8} {} / {}", account.role.to_string() + ":", account.username, account.password)?;
        }
    }
    writeln!(out, "EduHub is ready at {url}")?;
    out.flush()
}

async fn wait_for_signal() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    Ok(())
}
