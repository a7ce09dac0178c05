//! `[auth]`, `[auth.oidc.NAME]`, `[auth.proxy]` and `[roles]`: sign-ins, and who may sign in by single sign-on.

use std::collections::BTreeMap;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;

use crate::domain::instructor::StatedNames;
use crate::domain::role::RoleMap;

/// `[auth]`: sign-ins and tokens.
#[derive(Debug, Clone)]
pub struct Auth {
    /// The key that signs tokens, of at least [`super::SECRET_LEN_MIN`] bytes; `None` to generate one and store it
    /// beside the store.
    pub secret: Option<SecretString>,
    /// The previous secret. Tokens signed with it are still accepted.
    pub previous_secret: Option<SecretString>,
    /// How long a sign-in lasts.
    pub session_ttl: Duration,
    /// Where users get help when single sign-on fails, such as `the IT help desk, help@college.edu`; empty for the
    /// administrators.
    pub help: String,
    /// `[auth.oidc.NAME]`: providers of OpenID Connect, by name.
    pub oidc: BTreeMap<String, Oidc>,
    /// `[auth.proxy]`: the college's web server.
    pub proxy: Proxy,
    /// `[roles]`: groups and claims that give each role.
    pub roles: RoleMap,
    /// `[roles.names]`: the names of users in schedules, for instructors.
    pub names: StatedNames,
}

/// `[auth.oidc.NAME]`: a provider of OpenID Connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oidc {
    /// The provider's issuer identifier: the URL before `/.well-known/openid-configuration`.
    pub issuer: String,
    /// The hub's name at the provider.
    pub client_id: String,
    /// The hub's password at the provider; empty for a public client, which PKCE alone protects.
    pub client_secret: Secret,
    /// The text on the button.
    pub title: String,
    /// The scopes that the hub requests. `openid` is always added.
    pub scopes: Vec<String>,
    /// The claim that holds the username.
    pub user_claim: String,
    /// The claim that holds the display name.
    pub name_claim: String,
    /// The claim that lists the groups.
    pub groups_claim: String,
    /// The claim that holds the id of the person's user in Plone; empty if the users are visitors there.
    pub plone_user_claim: String,
    /// The claims that state facts about students.
    pub facts: FactClaims,
    /// Sources whose users this provider takes over, such as `plone`.
    pub takes_over: Vec<String>,
}

/// The names of the claims, or headers, that state facts about students. An empty name stands for no claim.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FactClaims {
    /// The student's groups in the hub.
    pub groups: String,
    /// The program of study.
    pub program: String,
    /// The home campus.
    pub campus: String,
    /// The maximum number of credits that the student may take.
    pub credit_limit: String,
}

impl FactClaims {
    /// Returns the names that are not empty.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let Self { groups, program, campus, credit_limit } = self;
        [groups, program, campus, credit_limit].into_iter().map(String::as_str).filter(|name| !name.is_empty())
    }
}

/// A secret that can be compared and is not printed.
#[derive(Clone, Default)]
pub struct Secret(pub SecretString);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        use secrecy::ExposeSecret as _;
        self.0.expose_secret() == other.0.expose_secret()
    }
}

impl Eq for Secret {}

/// `[auth.proxy]`: a web server in front of the hub that signs users in by SAML, Shibboleth or CAS.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// The addresses from which the web server connects; empty if it signs no one in.
    pub peers: Vec<IpNet>,
    /// The secret that the web server sends in `secret_header`.
    pub secret: SecretString,
    /// The header with the secret.
    pub secret_header: String,
    /// The header with the username.
    pub user_header: String,
    /// The header with the display name; empty for none.
    pub name_header: String,
    /// The header with the groups, separated by semicolons; empty for none.
    pub groups_header: String,
    /// The header with the id of the person's user in Plone; empty if the users are visitors there.
    pub plone_user_header: String,
    /// Further headers on which `[roles]` may depend.
    pub claim_headers: Vec<String>,
    /// The headers that state facts about students.
    pub facts: FactClaims,
    /// The text on the button.
    pub title: String,
    /// The address at which the web server signs users out; empty for none.
    pub logout_url: String,
    /// Sources whose users the web server takes over, such as `plone`.
    pub takes_over: Vec<String>,
}

impl Proxy {
    /// Returns the names of all headers that only the web server may send.
    pub fn headers(&self) -> impl Iterator<Item = &str> {
        [&self.secret_header, &self.user_header, &self.name_header, &self.groups_header, &self.plone_user_header]
            .into_iter()
            .chain(&self.claim_headers)
            .map(String::as_str)
            .chain(self.facts.names())
            .filter(|name| !name.is_empty())
    }
}

impl Auth {
    /// Returns whether users can sign in by single sign-on.
    #[must_use]
    pub fn has_single_sign_on(&self) -> bool {
        !self.oidc.is_empty() || !self.proxy.peers.is_empty()
    }
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            secret: None,
            previous_secret: None,
            session_ttl: Duration::from_secs(12 * 3600),
            help: String::new(),
            oidc: BTreeMap::new(),
            proxy: Proxy::default(),
            roles: RoleMap::default(),
            names: StatedNames::default(),
        }
    }
}

impl Default for Oidc {
    fn default() -> Self {
        Self {
            issuer: String::new(),
            client_id: String::new(),
            client_secret: Secret::default(),
            title: String::new(),
            scopes: vec!["profile".to_owned()],
            user_claim: "preferred_username".to_owned(),
            name_claim: "name".to_owned(),
            groups_claim: "groups".to_owned(),
            plone_user_claim: String::new(),
            facts: FactClaims::default(),
            takes_over: Vec::new(),
        }
    }
}

impl Default for Proxy {
    fn default() -> Self {
        Self {
            peers: Vec::new(),
            secret: SecretString::default(),
            secret_header: "X-EduHub-Secret".to_owned(),
            user_header: "X-Remote-User".to_owned(),
            name_header: "X-Remote-Name".to_owned(),
            groups_header: "X-Remote-Groups".to_owned(),
            plone_user_header: String::new(),
            claim_headers: Vec::new(),
            facts: FactClaims::default(),
            title: String::new(),
            logout_url: String::new(),
            takes_over: Vec::new(),
        }
    }
}
