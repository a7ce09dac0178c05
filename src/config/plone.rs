//! `[plone]`: the college's Plone. Without a `url`, the hub runs without Plone.

use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::SecretString;

use crate::domain::fields::SectionField;
use crate::domain::role::RoleMap;

/// `[plone]` and its subsections: the college's Plone.
#[derive(Debug, Clone)]
pub struct Plone {
    /// The URL of the Plone site, such as `http://127.0.0.1:8080/Plone`, without a trailing slash; `None` without
    /// Plone.
    pub url: Option<String>,
    /// The hub's Plone user. It needs the role Site Administrator.
    pub username: String,
    /// The password of that user.
    pub password: SecretString,
    /// The key with which the hub signs tokens of Plone for users of single sign-on; `None` if they are visitors there.
    pub user_key: Option<SecretString>,
    /// The path of the folder of sections within the site, with a leading and no trailing slash.
    pub sections_path: String,
    /// The portal type of a section.
    pub section_type: String,
    /// The workflow transition that makes a new section visible; `None` if sections keep Plone's initial state.
    pub publish: Option<String>,
    /// Whether imported schedules also create and change sections in Plone.
    pub write_schedules: bool,
    /// The maximum number of connections to Plone.
    pub pool_size: usize,
    /// The maximum number of requests that wait for a connection. Further requests fail immediately.
    pub queue_max: usize,
    /// The maximum duration of a request to Plone.
    pub timeout: Duration,
    /// Time between two pulls of the catalogue and the announcements.
    pub sync: Duration,
    /// Time between two checks that a member still exists in Plone, with the same role.
    pub recheck: Duration,
    /// Days after a successful sign-in during which a member can sign in while Plone is unavailable; 0 for never.
    pub offline_login_days: u32,
    /// A separate origin at which Plone's pages are fully usable; `None` if they are available only below `/plone/`,
    /// sandboxed.
    pub proxy_url: Option<String>,
    /// Whether the demonstration may load-test this Plone.
    pub demo_target: bool,
    /// `[plone.roles]`: maps Plone's roles and groups to the hub's roles.
    pub roles: RoleMap,
    /// `[plone.fields]`: names of fields of the college's section type that differ from the hub's names.
    pub fields: BTreeMap<SectionField, String>,
}

impl Plone {
    /// Returns the name of a field in the college's section type.
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
            user_key: None,
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
                ..RoleMap::default()
            },
            fields: BTreeMap::new(),
        }
    }
}
