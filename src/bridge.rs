//! The parts between the hub and the college's Plone, put together from the settings when `[plone] url` is set.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use actix_web::web::{Data, ServiceConfig};
use anyhow::Context as _;
use futures_util::FutureExt;
use secrecy::ExposeSecret;
use serde_json::{Map, json};
use tokio::sync::watch;

use crate::app::core::Core;
use crate::config::Config;
use crate::domain::ids::{SANDBOX_PREFIX, UserName};
use crate::domain::plone::PloneField;
use crate::http::plone_desk::PloneDesk;
use crate::http::proxy::PloneProxy;
use crate::identity::members::PlainMember;
use crate::identity::{Audit, Identity, PloneSignIn};
use crate::plone::announcements::{Announcements, NewsDeps, TokenOf};
use crate::plone::outbox::PloneOutbox;
use crate::plone::outbox::deps::{OutboxDeps, OutboxOptions};
use crate::plone::port::Plone;
use crate::plone::pull::{PullDeps, PullOptions, Puller};
use crate::plone::rest::{PloneClient, PloneOptions};
use crate::rush::PloneJob;
use crate::store::members::MemberStore;

/// The Plone of the settings as a demonstration may press it; none unless they allow that.
#[must_use]
pub fn demo_target(config: &Config) -> Option<PloneJob> {
    let plone = &config.plone;
    let url = plone.url.clone().filter(|_| plone.demo_target)?;
    let mut fields = Map::new();
    fields.insert("@type".to_owned(), plone.section_type.clone().into());
    fields.insert("title".to_owned(), "EduHub: a demonstration, deleted after it".into());
    let own = [
        // No pull takes an item of such a term for a section of the college.
        (PloneField::Term, json!(format!("{SANDBOX_PREFIX}plone"))),
        (PloneField::Crn, json!("1")),
        (PloneField::Course, json!("DEMO 100")),
        (PloneField::Capacity, json!(0)),
    ];
    fields.extend(own.map(|(field, value)| (plone.field_name(field).to_owned(), value)));
    Some(PloneJob {
        url,
        username: plone.username.clone(),
        password: plone.password.expose_secret().to_owned(),
        folder: plone.sections_path.clone(),
        fields,
        seats_field: plone.field_name(PloneField::SeatsTaken).to_owned(),
        capacity: 0,
    })
}

/// The hub's side of Plone.
pub struct Bridge {
    /// Plone, as the hub asks it.
    pub plone: Arc<dyn Plone>,
    /// The same, with what can be seen of its connections.
    pub client: PloneClient,
    /// Whether every section of Plone was pulled once: before that nothing is made there.
    pub items_known: Arc<AtomicBool>,
    puller: OnceLock<Puller>,
    outbox: OnceLock<PloneOutbox>,
    desk: OnceLock<Arc<PloneDesk>>,
}

impl Bridge {
    /// The bridge to the Plone of the settings; none when they name none. Nothing is sent yet: the hub starts without
    /// Plone, too.
    ///
    /// # Errors
    /// When the settings of Plone cannot be used.
    pub fn start(config: &Config) -> anyhow::Result<Option<Arc<Self>>> {
        let Some(options) = options(config) else { return Ok(None) };
        let client = PloneClient::new(options).context("Plone cannot be asked")?;
        let plone = Arc::new(client.clone());
        let items_known = Arc::new(AtomicBool::new(false));
        Ok(Some(Arc::new(Self {
            plone,
            client,
            items_known,
            puller: OnceLock::new(),
            outbox: OnceLock::new(),
            desk: OnceLock::new(),
        })))
    }

    /// What identity needs to sign members in.
    ///
    /// # Errors
    /// When the hub's own user has no name that could be one.
    pub fn sign_in(&self, config: &Config, members: Arc<dyn MemberStore>, audit: Audit) -> anyhow::Result<PloneSignIn> {
        let plone = &config.plone;
        Ok(PloneSignIn {
            directory: Arc::new(self.client.clone()),
            members,
            audit,
            roles: plone.roles.clone(),
            hub_user: UserName::parse(&plone.username).context("plone.username")?,
            timeout: plone.timeout,
            at_once: (plone.pool_size / 2).max(1),
            recheck: plone.recheck,
            offline_login_days: plone.offline_login_days,
        })
    }

    /// Starts following Plone's catalogue. With `open_new_terms`, terms that it makes are open at once.
    pub fn start_pull(&self, config: &Config, core: &Core, open_new_terms: bool) {
        let deps = PullDeps {
            plone: self.plone.clone(),
            items: core.ports.outbox.clone(),
            events: core.ports.imports.clone(),
            pool: core.pool.clone(),
            model: core.model.clone(),
            clock: core.ports.clock.clone(),
            items_known: self.items_known.clone(),
        };
        let options = PullOptions { every: config.plone.sync, open_new_terms };
        self.puller.get_or_init(|| Puller::start(deps, options));
    }

    /// Starts writing to Plone what is committed. `members` tells which plain member signed in last.
    pub fn start_outbox(&self, config: &Config, core: &Core, audit: Audit, members: watch::Receiver<PlainMember>) {
        let plone = &config.plone;
        let url = plone.url.as_deref().unwrap_or_default();
        let options = OutboxOptions {
            write_schedules: plone.write_schedules,
            pool_size: plone.pool_size,
            check: plone.sync,
            roster_field: format!("{url} {} {}", plone.section_type, plone.field_name(PloneField::Roster)),
        };
        let imports = core.imports.clone();
        let deps = OutboxDeps {
            store: core.ports.outbox.clone(),
            plone: self.plone.clone(),
            clock: core.ports.clock.clone(),
            audit,
            items_known: self.items_known.clone(),
            held: Arc::new(move || imports.is_applying()),
        };
        self.outbox.get_or_init(|| PloneOutbox::start(deps, &options, members));
    }

    /// The outbox, once it was started.
    pub fn outbox(&self) -> Option<&PloneOutbox> {
        self.outbox.get()
    }

    /// Finishes what is under way, and begins nothing any more.
    pub async fn stop(&self) {
        if let Some(outbox) = self.outbox() {
            outbox.stop().await;
        }
    }

    /// Starts reading the announcements, and gathers what admins see; after the outbox.
    pub async fn start_desk(&self, config: &Config, core: &Core, identity: Arc<Identity>) {
        let (Some(outbox), Some(puller)) = (self.outbox(), self.puller.get()) else { return };
        let token_of: TokenOf = Arc::new(move |caller| {
            let identity = identity.clone();
            async move { identity.member_token(&caller).await }.boxed()
        });
        let deps = NewsDeps {
            plone: Arc::new(self.client.clone()),
            token_of,
            store: core.ports.outbox.clone(),
            clock: core.ports.clock.clone(),
            sync: config.plone.sync,
        };
        let desk = PloneDesk {
            client: self.client.clone(),
            announcements: Announcements::start(deps).await,
            puller: puller.clone(),
            outbox: outbox.clone(),
            store: core.ports.outbox.clone(),
            clock: core.ports.clock.clone(),
        };
        self.desk.get_or_init(|| Arc::new(desk));
    }

    /// What admins see, once it was started.
    pub fn desk(&self) -> Option<&Arc<PloneDesk>> {
        self.desk.get()
    }

    /// Plone behind the hub that is bound to this port.
    ///
    /// # Errors
    /// When its addresses cannot be used.
    pub fn proxy(&self, config: &Config, port: u16) -> anyhow::Result<PloneProxy> {
        let (hub, own) = (config.server.public_url.as_deref(), config.plone.proxy_url.as_deref());
        Ok(PloneProxy::new(self.client.clone(), hub, port, own)?)
    }

    /// What handlers find of it: `Option<Data<dyn Plone>>` and so on, none without a Plone.
    pub fn configure(&self, app: &mut ServiceConfig) {
        app.app_data(Data::from(self.plone.clone()));
        if let Some(desk) = self.desk() {
            app.app_data(Data::from(desk.clone())).app_data(Data::from(desk.announcements.clone()));
        }
    }
}

fn options(config: &Config) -> Option<PloneOptions> {
    let plone = &config.plone;
    Some(PloneOptions {
        url: plone.url.clone()?,
        username: plone.username.clone(),
        password: plone.password.clone(),
        sections_path: plone.sections_path.clone(),
        section_type: plone.section_type.clone(),
        publish: plone.publish.clone(),
        pool_size: plone.pool_size,
        queue_max: plone.queue_max,
        timeout: plone.timeout,
        fields: plone.fields.clone(),
    })
}
