//! The parts between the hub and the college's Plone, put together from the settings when `[plone] url` is set.

use std::sync::Arc;

use actix_web::web::{Data, ServiceConfig};
use anyhow::Context as _;

use crate::adapters::plone::{PloneClient, PloneOptions};
use crate::config::Config;
use crate::domain::ids::UserName;
use crate::identity::{Audit, PloneSignIn};
use crate::ports::members::MemberStore;
use crate::ports::plone::Plone;

/// The hub's side of Plone.
pub struct Bridge {
    /// Plone, as the hub asks it.
    pub plone: Arc<dyn Plone>,
    /// The same, with what can be seen of its connections.
    pub client: PloneClient,
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
        Ok(Some(Arc::new(Self { plone: Arc::new(client.clone()), client })))
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
            hub_user: UserName::parse(&plone.username).context("[plone] username")?,
            timeout: plone.timeout,
            recheck: plone.recheck,
            offline_login_days: plone.offline_login_days,
        })
    }

    /// What handlers find of it: `Option<Data<dyn Plone>>`, none without a Plone.
    pub fn configure(&self, app: &mut ServiceConfig) {
        app.app_data(Data::from(self.plone.clone()));
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
