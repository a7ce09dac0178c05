//! The HTTP server: its limits, and the data of its handlers.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::Actor;
use actix_http::error::DispatchError;
use actix_http::{HttpService, Protocol};
use actix_service::{IntoServiceFactory as _, ServiceFactoryExt as _, map_config};
use actix_web::App;
use actix_web::dev::{AppConfig, Server, fn_service};
use actix_web::middleware::from_fn;
use actix_web::rt::net::TcpStream;
use actix_web::web::{Data, ServiceConfig};

use crate::app::Shared;
use crate::app::follower::FollowCounts;
use crate::config::Config;
use crate::http::arrival::arrival;
use crate::http::auth::identify;
use crate::http::connection::{Connections, Guarded, RESERVED, Room, RoomLimits, track};
use crate::http::dashboard::DashboardCache;
use crate::http::demand::DemandCache;
use crate::http::demo_runs::Demos;
use crate::http::hot::HotResponses;
use crate::http::pieces::WRITE_BUFFER_FULL;
use crate::http::proxy::own_origin;
use crate::http::request_id::request_id;
use crate::http::routes::routes;
use crate::http::site::Site;
use crate::http::sso::proxy_headers;
use crate::http::terms::CreditLimit;
use crate::http::uncached::UncachedResponses;
use crate::identity::guardian_links::GuardianLinks;
use crate::identity::schedule_feeds::ScheduleFeeds;
use crate::live::ends::UNACKNOWLEDGED_MAX;
use crate::live::relay::Relay;
use crate::live::tail::AlertTail;
use crate::observe::Observed;
use crate::observe::hubs::HubStates;
use crate::observe::metrics::Metrics;
use crate::plone::proxy::PloneProxy;
use crate::registration::execution::BatchExecutor;
use crate::registration::rehearsals::Rehearsals;

/// The maximum number of connections that wait to be accepted. When registration opens, thousands arrive within a
/// second.
const BACKLOG: u32 = 4_096;
/// Connections beyond the maximum of live sessions, so that pages and `/healthz` respond when there are as many live
/// sessions as allowed.
const HTTP_CONNECTIONS: usize = 10_000;
/// Connections beyond the limit and [`RESERVED`] that may be accepted before a worker has refused them or ended others.
/// At this number, accepting pauses until a connection is closed. Without this bound it continues up to the limit of
/// open files, where actix pauses for half a second after each failure, and health checks wait.
const ACCEPTED_AHEAD: usize = 64;
/// Maximum time from opening a connection to its first request. Long, because browsers open connections in advance.
const FIRST_REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// Maximum time that a client may keep a connection open after the hub has closed it.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum number of bytes that the kernel keeps for a connection and has not sent yet. Without it, the kernel's buffer
/// for a client that does not read grows to megabytes (1.5 MB for each of 1,000 such clients, measured). A connection
/// to a client that reads is not slowed: what was sent and not acknowledged does not count.
const UNSENT_LEN_MAX: u32 = 64 * 1024;

impl Shared {
    /// Registers the data of a worker's handlers.
    fn configure(&self, app: &mut ServiceConfig, proxy: Option<Data<PloneProxy>>) {
        let (core, ports) = (&self.core, &self.core.ports);
        // Each worker has a relay on its own thread, so that frames do not cross threads.
        let relay = Relay::new(self.live.clone(), self.broker.clone()).start();
        app.app_data(Data::from(core.model.clone()))
            .app_data(Data::new(ports.terms.lineage()))
            .app_data(Data::from(core.pool.clone()))
            .app_data(Data::from(core.imports.clone()))
            .app_data(Data::from(ports.clock.clone()))
            .app_data(Data::from(ports.students.clone()))
            .app_data(Data::from(ports.attempts.clone()))
            .app_data(Data::from(ports.plans.clone()))
            .app_data(Data::from(ports.demo_reports.clone()))
            .app_data(Data::from(ports.imports.clone()))
            .app_data(Data::from(ports.privacy.clone()))
            .app_data(Data::new(GuardianLinks::new(ports.guardian_links.clone(), ports.clock.clone())))
            .app_data(Data::from(ports.rosters.clone()))
            .app_data(Data::from(ports.bus.clone()))
            .app_data(Data::from(self.identity.clone()))
            .app_data(Data::from(self.sso.clone()))
            .app_data(Data::new(self.audit.clone()))
            .app_data(Data::from(self.live.clone()))
            .app_data(Data::from(self.hubs.clone()))
            .app_data(Data::new(self.broker.clone()))
            .app_data(Data::new(relay));
        if let Some(bridge) = &self.bridge {
            app.app_data(Data::from(bridge.clone())).app_data(Data::from(bridge.announcements().clone()));
        }
        if let Some(proxy) = proxy {
            app.app_data(proxy);
        }
    }

    /// Returns the parts that metrics and readiness observe.
    fn observed(&self) -> Observed {
        let (core, ports) = (&self.core, &self.core.ports);
        Observed {
            writer: ports.store_gauge.clone(),
            pool: core.pool.clone(),
            model: core.model.clone(),
            presence: core.presence.clone(),
            bus: ports.bus_gauge.clone(),
            imports: core.imports.clone(),
            identity: self.identity.clone(),
            audit: self.audit.clone(),
            plone: self.bridge.clone(),
        }
    }
}

/// Binds a listening socket with a backlog of [`BACKLOG`].
pub(super) fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(BACKLOG).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}

/// Returns a function that registers the data of a worker's handlers.
fn handler_data(
    config: &Config,
    shared: &Arc<Shared>,
    site: &Site,
    port: u16,
    demos: Data<Demos>,
    room: &Arc<Room>,
) -> anyhow::Result<impl Fn(&mut ServiceConfig) + Clone + Send + 'static> {
    let proxy = shared.bridge.as_ref().map(|bridge| {
        let (hub, own) = (config.server.public_url.as_deref(), config.plone.proxy_url.as_deref());
        bridge.proxy(shared.identity.clone(), hub, port, own)
    });
    let proxy = proxy.transpose()?.map(Data::new);
    let hot = Data::new(HotResponses::new(config.server.seats_tick));
    let site = Data::new(site.clone());
    let credit_limit = Data::new(CreditLimit(config.registration.credit_limit));
    let observed = shared.observed();
    let (readiness, metrics) = (Data::new(observed.readiness()), Data::new(observed.metrics(port)?));
    let ports = &shared.core.ports;
    let charts = observed.start_charts(metrics.clone().into_inner(), ports.bus.clone(), ports.clock.clone());
    let hubs = HubStates::start(
        (shared.hubs.id(), port),
        readiness.clone().into_inner(),
        charts.clone(),
        ports.bus.clone(),
        ports.events.subscribe(),
    );
    let (charts, hubs) = (Data::from(charts), Data::from(hubs));
    let zone = Data::new(config.college.timezone.clone());
    let dashboard_cache = Data::new(DashboardCache::default());
    let uncached = Data::new(UncachedResponses::default());
    watch_caches(&metrics, shared, &hot, &uncached, &dashboard_cache)?;
    watch_tail(&metrics, &shared.live.tail)?;
    if let Some(following) = &shared.following {
        watch_following(&metrics, following)?;
    }
    let connections = room.clone();
    metrics.watch_value("eduhub_http_connections", "Open connections", move || connections.open() as f64)?;
    let connections = room.clone();
    let read = Box::new(move || connections.ended().to_vec());
    metrics.watch_counts("eduhub_http_connections_ended_total", "Connections that the hub ended", "reason", read)?;
    let college = Data::new(config.college.clone());
    let privacy = Data::new(config.privacy);
    // All workers share it, because it counts reads.
    let feeds = Data::new(ScheduleFeeds::new(ports.schedule_feeds.clone(), ports.clock.clone()));
    let facts = Data::from(shared.core.facts.clone());
    let rehearsals = Data::new(rehearsals(config, shared));
    let demand = Data::new(DemandCache::default());
    let shared = shared.clone();
    Ok(move |app: &mut ServiceConfig| {
        shared.configure(app, proxy.clone());
        app.app_data(zone.clone())
            .app_data(college.clone())
            .app_data(privacy.clone())
            .app_data(readiness.clone())
            .app_data(metrics.clone())
            .app_data(charts.clone())
            .app_data(hubs.clone())
            .app_data(hot.clone())
            .app_data(uncached.clone())
            .app_data(site.clone())
            .app_data(credit_limit.clone())
            .app_data(facts.clone())
            .app_data(feeds.clone())
            .app_data(rehearsals.clone())
            .app_data(demand.clone())
            .app_data(dashboard_cache.clone())
            .app_data(demos.clone());
    })
}

/// Creates the rehearsals, which read the store and have the limits of the college.
fn rehearsals(config: &Config, shared: &Shared) -> Rehearsals {
    let ports = &shared.core.ports;
    let executor = BatchExecutor::new(ports.terms.clone(), config.registration.credit_limit);
    let executor = executor.with_repeat_limit(config.registration.repeat_limit).with_offers(config.registration.offers);
    Rehearsals::new(executor, ports.plans.clone(), ports.clock.clone())
}

/// The maximum numbers of connections.
struct Connectable {
    /// Connections that are served.
    limit: usize,
    /// Connections that are accepted, including those that are refused at once.
    accepted: usize,
}

impl Connectable {
    /// Derives the numbers from the limit on open files. At most `configured` connections are served.
    fn new(configured: usize) -> Self {
        let beyond = RESERVED + ACCEPTED_AHEAD;
        let limit = crate::machine::connections_max(configured + beyond).saturating_sub(beyond).max(1);
        Self { limit, accepted: limit + beyond }
    }

    /// Returns how many connections a worker may have, so that all of them together stay within the limit on open
    /// files. A worker with this many connections gets no new one until it has closed one.
    const fn per_worker(&self, workers: usize) -> usize {
        self.accepted.div_ceil(workers)
    }
}

/// Creates the server on `listener`. It accepts connections as soon as it is polled.
pub(super) fn http_server(
    config: &Config,
    shared: &Arc<Shared>,
    site: &Site,
    listener: TcpListener,
    demos: Data<Demos>,
) -> anyhow::Result<Server> {
    let port = listener.local_addr()?.port();
    let connections = Connectable::new(config.server.max_connections + HTTP_CONNECTIONS);
    let limits = RoomLimits {
        connections: connections.limit,
        visitors_per_address: config.limits.visitor_connections_per_address,
        silent_max: config.server.keep_alive.max(FIRST_REQUEST_TIMEOUT),
    };
    let room = Arc::new(Room::new(limits, site.clone()));
    let data = handler_data(config, shared, site, port, demos, &room)?;
    let workers = match config.server.workers {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        workers => workers,
    };
    let app = move || {
        App::new()
            .configure(data.clone())
            .wrap(from_fn(identify))
            .wrap(from_fn(own_origin))
            .wrap(from_fn(proxy_headers))
            .wrap(from_fn(arrival))
            .wrap(from_fn(track))
            .wrap(from_fn(request_id))
            .configure(routes)
    };
    let keep_alive = config.server.keep_alive;
    let builder = Server::build()
        .workers(workers)
        .backlog(BACKLOG)
        .max_concurrent_connections(connections.per_worker(workers))
        .shutdown_timeout(config.server.drain.as_secs())
        .disable_signals();
    let drains = builder.graceful_shutdown_signal();
    let builder = builder.listen("http", listener, move || {
        let drains = drains.clone();
        let http = HttpService::build()
            .graceful_shutdown_signal(move || {
                let drains = drains.clone();
                async move { drains.notified().await }
            })
            .keep_alive(keep_alive)
            .h1_write_buffer_size(WRITE_BUFFER_FULL)
            .client_request_timeout(FIRST_REQUEST_TIMEOUT)
            .client_disconnect_timeout(DISCONNECT_TIMEOUT)
            .on_connect_ext(|io: &Guarded, data| {
                prepare_connection(io.tcp());
                data.insert(io.connection());
            })
            .finish(map_config(app().into_factory().map_err(|error| error.error_response()), |()| {
                AppConfig::default()
            }));
        let connections = Connections::new(room.clone());
        fn_service(move |io: TcpStream| {
            let address = io.peer_addr().ok();
            let accepted = connections.clone().accept(io);
            async move { Ok((accepted.await.map_err(DispatchError::Io)?, Protocol::Http1, address)) }
        })
        .and_then(http)
    })?;
    Ok(builder.run())
}

/// Adds the memory of each cache and its bound to the metrics.
fn watch_caches(
    metrics: &Metrics,
    shared: &Shared,
    hot: &Data<HotResponses>,
    uncached: &Data<UncachedResponses>,
    dashboard: &Data<DashboardCache>,
) -> prometheus::Result<()> {
    let (hot, uncached, dashboard) = (hot.clone(), uncached.clone(), dashboard.clone());
    let (presence, bridge, tail) = (shared.core.presence.clone(), shared.bridge.clone(), shared.live.tail.clone());
    let read = move || {
        let mut caches = dashboard.bytes().to_vec();
        let mut add = |name, (bytes, max)| caches.push((name, bytes, max));
        add("responses", hot.bytes());
        add("uncached_responses", uncached.bytes());
        add("seat_snapshots", presence.seat_snapshot_bytes());
        add("alert_tail", tail.bytes());
        if let Some(bridge) = &bridge {
            let [visitors, members] = bridge.announcements().bytes();
            add("visitors_announcements", visitors);
            add("members_announcements", members);
        }
        caches
    };
    let read = Arc::new(read);
    let maxima = read.clone();
    metrics.watch_values(
        "eduhub_cache_bytes",
        "Memory of caches in bytes, by cache",
        "cache",
        Box::new(move || read().into_iter().map(|(cache, bytes, _)| (cache, bytes as f64)).collect()),
    )?;
    metrics.watch_values(
        "eduhub_cache_max_bytes",
        "Bound on the memory of caches in bytes, by cache",
        "cache",
        Box::new(move || maxima().into_iter().map(|(cache, _, max)| (cache, max as f64)).collect()),
    )
}

/// Adds the number of alerts in memory, and that of reads for clients that resume, to the metrics.
fn watch_tail(metrics: &Metrics, tail: &Arc<AlertTail>) -> prometheus::Result<()> {
    let entries = tail.clone();
    metrics.watch_value(
        "eduhub_alert_tail_entries",
        "Newest alerts in memory, for clients that resume",
        move || entries.len() as f64,
    )?;
    let tail = tail.clone();
    metrics.watch_counts(
        "eduhub_replay_reads_total",
        "Reads of missed alerts for clients that resume, by source",
        "source",
        Box::new(move || tail.reads().to_vec()),
    )
}

/// Adds the reads of the changes by other hubs to the metrics.
fn watch_following(metrics: &Metrics, counts: &Arc<FollowCounts>) -> prometheus::Result<()> {
    let reads = counts.clone();
    metrics.watch_counts(
        "eduhub_follow_reads_total",
        "Reads of the changes by other hubs, by outcome",
        "outcome",
        Box::new(move || {
            [("ok", &reads.read), ("failed", &reads.failed)]
                .map(|(outcome, count)| (outcome, count.load(Ordering::Relaxed)))
                .to_vec()
        }),
    )?;
    let terms = counts.clone();
    metrics.watch_count(
        "eduhub_follow_terms_total",
        "Terms that another hub had changed since the previous read",
        move || terms.terms.load(Ordering::Relaxed),
    )?;
    let hints = counts.clone();
    metrics.watch_count("eduhub_follow_hints_total", "Events from the bus that caused an immediate read", move || {
        hints.hints.load(Ordering::Relaxed)
    })
}

/// Sets the TCP options of a new connection. Without `TCP_NODELAY`, the body of a response that is sent after its head
/// waits for the client's acknowledgement (40 ms, measured on a section of Plone). `TCP_USER_TIMEOUT` closes
/// connections whose client does not read, and `TCP_NOTSENT_LOWAT` bounds the memory that they take until then.
fn prepare_connection(stream: &TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        log::debug!("cannot set TCP_NODELAY: {error}");
    }
    let socket = socket2::SockRef::from(stream);
    if let Err(error) = socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED_MAX)) {
        log::debug!("cannot set TCP_USER_TIMEOUT: {error}");
    }
    if let Err(error) = socket.set_tcp_notsent_lowat(UNSENT_LEN_MAX) {
        log::debug!("cannot set TCP_NOTSENT_LOWAT: {error}");
    }
}
