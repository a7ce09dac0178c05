//! `[plone]`: the college's Plone, which the hub stands in front of. Without a `url` there is none.

use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::SecretString;

use crate::domain::fields::SectionField;
use crate::domain::role::RoleMap;

/// `[plone]`, `[plone.roles]` and `[plone.fields]`.
#[derive(Debug, Clone)]
pub struct Plone {
    /// The address of the Plone site, such as `http://127.0.0.1:8080/Plone`, without a slash at its end; none: no Plone.
    pub url: Option<String>,
    /// The hub's own user there: a Site Administrator is enough.
    pub username: String,
    /// Its password.
    pub password: SecretString,
    /// The folder of the sections, from the site's root, with a slash before it and none behind.
    pub sections_path: String,
    /// The portal type of a section.
    pub section_type: String,
    /// The workflow transition that makes a new section visible; none: new ones stay as Plone makes them.
    pub publish: Option<String>,
    /// Whether schedules that are imported into the hub make and change sections in Plone, too.
    pub write_schedules: bool,
    /// Connections to Plone at once.
    pub pool_size: usize,
    /// Requests that may wait for one of them; more are told at once that Plone is busy.
    pub queue_max: usize,
    /// How long one answer of Plone may take.
    pub timeout: Duration,
    /// How often the catalogue and the announcements are pulled.
    pub sync: Duration,
    /// How often it is looked whether somebody who signed in by Plone is still there, in the same role.
    pub recheck: Duration,
    /// For how many days after a good sign-in somebody can sign in while Plone does not answer; 0 is never.
    pub offline_login_days: u32,
    /// An origin of its own for `/plone/`, where Plone works whole; none: only under the hub's, sandboxed.
    pub proxy_url: Option<String>,
    /// Whether the demonstration may send its load to this Plone.
    pub demo_target: bool,
    /// `[plone.roles]`: what Plone's roles and groups are in the hub.
    pub roles: RoleMap,
    /// `[plone.fields]`: what this college's section type calls a field, where it is not the hub's own name.
    pub fields: BTreeMap<SectionField, String>,
}

impl Plone {
    /// What this college's section type calls a field.
    #[must_use]
    pub fn field_name(&self, field: SectionField) -> &str {
        self.fields.get(&field).map_or(field.as_str(), String::as_str)
    }
}

impl Default for Plone {
    fn default() -> Self {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Self {
            url: None,
            username: String::new(),
            password: SecretString::default(),
            sections_path: "/courses".to_owned(),
            section_type: "course_section".to_owned(),
            publish: Some("publish".to_owned()),
            write_schedules: true,
            pool_size: 8,
            queue_max: 200,
            timeout: Duration::from_secs(5),
            sync: Duration::from_secs(30),
            recheck: Duration::from_secs(60),
            offline_login_days: 7,
            proxy_url: None,
            demo_target: false,
            roles: RoleMap {
                admin: names(&["Manager", "Site Administrator"]),
                staff: names(&["Editor", "Contributor", "Reviewer"]),
                student: names(&["Member"]),
            },
            fields: BTreeMap::new(),
        }
    }
}
