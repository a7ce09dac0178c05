//! The settings of single sign-on: rows of the table of settings, and the settings of the sections `[auth.oidc.NAME]`,
//! whose names the college chooses.

use std::net::IpAddr;

use ipnet::IpNet;
use secrecy::ExposeSecret as _;
use url::{Host, Url};

use crate::config::auth::Oidc;
use crate::config::settings::{SECRET_LEN_MIN, Setting, list, quoted};
use crate::config::value::{RawValue, ValueResult};
use crate::config::{Auth, Config};

/// The section whose subsections are OpenID Connect providers.
pub(super) const OIDC: &str = "auth.oidc";
/// Name of the provider of `[auth.proxy]` in addresses.
const PROXY: &str = "proxy";
/// Longest name of a provider, which is part of addresses and of tokens.
const PROVIDER_LEN_MAX: usize = 32;

/// The settings of single sign-on with fixed names.
pub(super) const AUTH_SETTINGS: [Setting; 20] = [
    Setting {
        name: "auth.help",
        about: "Where users get help when single sign-on fails, such as \"the IT help desk, help@college.edu\".\n\
                Empty: the college's administrators.",
        show: |c| quoted(&c.auth.help),
        set: |c, v| text(v).map(|value| c.auth.help = value),
    },
    Setting {
        name: "auth.proxy.peers",
        about: "The addresses and networks from which the web server connects, such as [\"127.0.0.1\", \"10.1.2.0/24\"].",
        show: |c| list(&c.auth.proxy.peers.iter().map(ToString::to_string).collect::<Vec<_>>()),
        set: |c, v| networks(v).map(|value| c.auth.proxy.peers = value),
    },
    Setting {
        name: "auth.proxy.secret",
        about: "The secret that the web server sends with each request, at least 32 bytes. Prefer the environment\n\
                variable EDUHUB_AUTH__PROXY__SECRET.",
        show: |_| quoted(""),
        set: |c, v| v.text().map(|value| c.auth.proxy.secret = value.into()),
    },
    Setting {
        name: "auth.proxy.secret_header",
        about: "The header with the secret.",
        show: |c| quoted(&c.auth.proxy.secret_header),
        set: |c, v| header(v).map(|value| c.auth.proxy.secret_header = value),
    },
    Setting {
        name: "auth.proxy.user_header",
        about: "The header with the username.",
        show: |c| quoted(&c.auth.proxy.user_header),
        set: |c, v| header(v).map(|value| c.auth.proxy.user_header = value),
    },
    Setting {
        name: "auth.proxy.name_header",
        about: "The header with the display name, in UTF-8. Empty: none.",
        show: |c| quoted(&c.auth.proxy.name_header),
        set: |c, v| maybe_header(v).map(|value| c.auth.proxy.name_header = value),
    },
    Setting {
        name: "auth.proxy.groups_header",
        about: "The header with the groups, separated by semicolons. Empty: none.",
        show: |c| quoted(&c.auth.proxy.groups_header),
        set: |c, v| maybe_header(v).map(|value| c.auth.proxy.groups_header = value),
    },
    Setting {
        name: "auth.proxy.plone_user_header",
        about: "The header with the id of the person's user in Plone, for plone.user_key. Empty:\n\
                users are visitors in Plone.",
        show: |c| quoted(&c.auth.proxy.plone_user_header),
        set: |c, v| maybe_header(v).map(|value| c.auth.proxy.plone_user_header = value),
    },
    Setting {
        name: "auth.proxy.claim_headers",
        about: "More headers of the web server that [roles] may name, such as [\"X-Affiliation\"].",
        show: |c| list(&c.auth.proxy.claim_headers),
        set: |c, v| headers(v).map(|value| c.auth.proxy.claim_headers = value),
    },
    Setting {
        name: "auth.proxy.student_groups_header",
        about: "The header with the groups of a student in the hub, separated by semicolons. Empty: none.",
        show: |c| quoted(&c.auth.proxy.facts.groups),
        set: |c, v| maybe_header(v).map(|value| c.auth.proxy.facts.groups = value),
    },
    Setting {
        name: "auth.proxy.program_header",
        about: "The header with a student's program of study. Empty: none.",
        show: |c| quoted(&c.auth.proxy.facts.program),
        set: |c, v| maybe_header(v).map(|value| c.auth.proxy.facts.program = value),
    },
    Setting {
        name: "auth.proxy.campus_header",
        about: "The header with a student's home campus. Empty: none.",
        show: |c| quoted(&c.auth.proxy.facts.campus),
        set: |c, v| maybe_header(v).map(|value| c.auth.proxy.facts.campus = value),
    },
    Setting {
        name: "auth.proxy.credit_limit_header",
        about: "The header with the maximum number of credits that a student may take. Empty: none.",
        show: |c| quoted(&c.auth.proxy.facts.credit_limit),
        set: |c, v| maybe_header(v).map(|value| c.auth.proxy.facts.credit_limit = value),
    },
    Setting {
        name: "auth.proxy.title",
        about: "The text on the button, such as \"College account\".",
        show: |c| quoted(&c.auth.proxy.title),
        set: |c, v| text(v).map(|value| c.auth.proxy.title = value),
    },
    Setting {
        name: "auth.proxy.logout_url",
        about: "The address to which a sign-out sends the browser, so that the web server also signs the user out,\n\
                such as \"/Shibboleth.sso/Logout\". Empty: none.",
        show: |c| quoted(&c.auth.proxy.logout_url),
        set: |c, v| logout_url(v).map(|value| c.auth.proxy.logout_url = value),
    },
    Setting {
        name: "auth.proxy.takes_over",
        about: "Sources whose users now sign in through the web server with the same usernames, such as [\"plone\"].",
        show: |c| list(&c.auth.proxy.takes_over),
        set: |c, v| names(v).map(|value| c.auth.proxy.takes_over = value),
    },
    Setting {
        name: "roles.admin",
        about: "Administrators.",
        show: |c| list(&c.auth.roles.admin),
        set: |c, v| names(v).map(|value| c.auth.roles.admin = value),
    },
    Setting {
        name: "roles.staff",
        about: "Staff.",
        show: |c| list(&c.auth.roles.staff),
        set: |c, v| names(v).map(|value| c.auth.roles.staff = value),
    },
    Setting {
        name: "roles.instructor",
        about: "Instructors, who read the rosters of the sections that name them.",
        show: |c| list(&c.auth.roles.instructor),
        set: |c, v| names(v).map(|value| c.auth.roles.instructor = value),
    },
    Setting {
        name: "roles.student",
        about: "Students.",
        show: |c| list(&c.auth.roles.student),
        set: |c, v| names(v).map(|value| c.auth.roles.student = value),
    },
];

/// The part of `config.toml` about the sections `[auth.oidc.NAME]`.
pub(super) const OIDC_DOCUMENT: &str = "
# OpenID Connect providers, such as Keycloak, Entra ID or Google, each in a section with a name of your choice.
# docs/SSO.md describes the settings step by step. The redirect URI at the provider is
# PUBLIC_URL/auth/NAME/callback. For example:
# [auth.oidc.keycloak]
# issuer = \"https://login.college.edu/realms/college\"
# client_id = \"eduhub\"
# client_secret = \"…\"                # better: EDUHUB_AUTH__OIDC__KEYCLOAK__CLIENT_SECRET
# title = \"College account\"          # the text on the button; without it, the name of the section
# scopes = [\"profile\"]               # besides openid
# user_claim = \"preferred_username\"  # the username; a path such as \"profile.login\" is possible
# name_claim = \"name\"                # the display name
# groups_claim = \"groups\"            # the groups, for [roles]
# plone_user_claim = \"\"              # the id of the person's user in Plone, for plone.user_key
# student_groups_claim = \"\"          # the groups of a student in the hub; without it, staff state them
# program_claim = \"\"                 # likewise, the program of study
# campus_claim = \"\"                  # likewise, the home campus
# credit_limit_claim = \"\"            # likewise, the maximum number of credits
# takes_over = []                    # sources whose users now sign in here with the same usernames, such as [\"plone\"]
";

/// Sets a value of `[auth.oidc.NAME]`; `rest` is `NAME.key`. Returns `None` if there is no such setting.
pub(super) fn set_oidc(auth: &mut Auth, rest: &str, value: &RawValue) -> Option<ValueResult<()>> {
    let (name, key) = rest.split_once('.')?;
    let set: fn(&mut Oidc, &RawValue) -> ValueResult<()> = match key {
        "issuer" => |p, v| issuer(v).map(|value| p.issuer = value),
        "client_id" => |p, v| text(v).map(|value| p.client_id = value),
        "client_secret" => |p, v| v.text().map(|value| p.client_secret.0 = value.into()),
        "title" => |p, v| text(v).map(|value| p.title = value),
        "scopes" => |p, v| names(v).map(|value| p.scopes = value),
        "user_claim" => |p, v| text(v).map(|value| p.user_claim = value),
        "name_claim" => |p, v| text(v).map(|value| p.name_claim = value),
        "groups_claim" => |p, v| text(v).map(|value| p.groups_claim = value),
        "plone_user_claim" => |p, v| text(v).map(|value| p.plone_user_claim = value),
        "student_groups_claim" => |p, v| text(v).map(|value| p.facts.groups = value),
        "program_claim" => |p, v| text(v).map(|value| p.facts.program = value),
        "campus_claim" => |p, v| text(v).map(|value| p.facts.campus = value),
        "credit_limit_claim" => |p, v| text(v).map(|value| p.facts.credit_limit = value),
        "takes_over" => |p, v| names(v).map(|value| p.takes_over = value),
        _ => return None,
    };
    let is_name = (1..=PROVIDER_LEN_MAX).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !is_name || name == PROXY {
        return Some(Err(format!(
            "is in a section with the name {name:?}; a name has 1 to {PROVIDER_LEN_MAX} lowercase letters, digits and \
             hyphens, and is not {PROXY:?}"
        )));
    }
    Some(set(auth.oidc.entry(name.to_owned()).or_default(), value))
}

/// Returns what is wrong with the settings of single sign-on as a whole.
pub(super) fn problems(config: &Config) -> Vec<String> {
    let auth = &config.auth;
    let mut found = Vec::new();
    for (name, provider) in &auth.oidc {
        for (key, value) in [("issuer", &provider.issuer), ("client_id", &provider.client_id)] {
            if value.is_empty() {
                found.push(format!("auth.oidc.{name}.{key} must be set"));
            }
        }
    }
    let claims = auth.oidc.iter().map(|(name, p)| (format!("oidc.{name}.plone_user_claim"), &p.plone_user_claim));
    let header = [("proxy.plone_user_header".to_owned(), &auth.proxy.plone_user_header)];
    for (key, _) in claims.chain(header).filter(|(_, value)| !value.is_empty()) {
        if config.plone.url.is_none() || config.plone.user_key.is_none() {
            found.push(format!("plone.url and plone.user_key must be set because auth.{key} is set"));
        }
    }
    let has_proxy = !auth.proxy.peers.is_empty();
    let secret_len = auth.proxy.secret.expose_secret().len();
    if has_proxy && secret_len < SECRET_LEN_MIN {
        let needed = "must have at least";
        found.push(format!("auth.proxy.secret {needed} {SECRET_LEN_MIN} bytes because auth.proxy.peers is set"));
    }
    if !has_proxy && secret_len > 0 {
        found.push("auth.proxy.peers must be set because auth.proxy.secret is set".to_owned());
    }
    let roles = &auth.roles;
    if auth.has_single_sign_on()
        && [&roles.admin, &roles.staff, &roles.instructor, &roles.student].iter().all(|names| names.is_empty())
    {
        let example = "for example roles.student = [\"*\"] for everyone";
        found.push(format!("roles must name those who may sign in by single sign-on, {example}"));
    }
    found
}

fn text(value: &RawValue) -> ValueResult<String> {
    let text = value.text()?;
    let is_good = text.chars().count() <= 200 && !text.chars().any(char::is_control);
    if is_good { Ok(text) } else { Err("must be at most 200 characters, without control characters".to_owned()) }
}

/// Parses a list of texts, which may be empty.
fn names(value: &RawValue) -> ValueResult<Vec<String>> {
    match value {
        RawValue::Toml(toml::Value::Array(items)) if items.is_empty() => Ok(Vec::new()),
        RawValue::Text(text) if text.trim().is_empty() => Ok(Vec::new()),
        _ => value.text_list(),
    }
}

fn networks(value: &RawValue) -> ValueResult<Vec<IpNet>> {
    let parse = |text: &String| {
        let network = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
        network.ok_or_else(|| format!("{text:?} is not an address or a network, such as \"10.1.2.0/24\""))
    };
    names(value)?.iter().map(parse).collect()
}

fn is_header(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn header(value: &RawValue) -> ValueResult<String> {
    let text = value.text()?;
    // Headers that every client sends must not be removed from requests.
    let is_common = ["host", "cookie", "authorization", "origin", "content-type", "content-length", "accept"]
        .contains(&text.to_ascii_lowercase().as_str());
    if is_header(&text) && !is_common {
        Ok(text)
    } else {
        Err(format!("{text:?} is not a header name that can be used here, such as \"X-Remote-User\""))
    }
}

fn maybe_header(value: &RawValue) -> ValueResult<String> {
    if value.text()?.is_empty() { Ok(String::new()) } else { header(value) }
}

fn headers(value: &RawValue) -> ValueResult<Vec<String>> {
    names(value)?.into_iter().map(|name| header(&RawValue::Text(name))).collect()
}

fn logout_url(value: &RawValue) -> ValueResult<String> {
    let text = text(value)?;
    let is_path = text.starts_with('/') && !text.starts_with("//") && !text.contains('\\');
    if text.is_empty() || is_path || text.starts_with("https://") {
        Ok(text)
    } else {
        Err(format!("{text:?} is neither a path of this origin nor an https URL"))
    }
}

/// Parses the URL of an issuer. The issuer's keys identify users, so its URL must use https, except on this machine.
fn issuer(value: &RawValue) -> ValueResult<String> {
    let text = text(value)?;
    let url = Url::parse(&text).ok().filter(|url| url.query().is_none() && url.fragment().is_none());
    let is_loopback = |url: &Url| match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    match url {
        Some(url) if url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url)) => Ok(text),
        _ => Err(format!("{text:?} is not the https URL of a provider, such as \"https://login.college.edu\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(auth: &mut Auth, name: &str, value: &str) -> Option<ValueResult<()>> {
        set_oidc(auth, name, &RawValue::Text(value.to_owned()))
    }

    #[test]
    fn issuers_need_https_except_on_this_machine() {
        let is_accepted = |url: &str| matches!(set(&mut Auth::default(), "idp.issuer", url), Some(Ok(())));
        for good in
            ["https://login.college.edu/realms/c", "http://127.0.0.1:9/", "http://localhost:80", "http://[::1]:9"]
        {
            assert!(is_accepted(good), "{good}");
        }
        for bad in ["", "login.college.edu", "http://login.college.edu", "https://login.college.edu/?x=1", "file:///x"]
        {
            assert!(!is_accepted(bad), "{bad}");
        }
    }

    #[test]
    fn provider_names_are_safe_in_addresses() {
        for bad in ["proxy", "A", "a_b", "a/b", "", &"x".repeat(33)] {
            assert!(matches!(set(&mut Auth::default(), &format!("{bad}.client_id"), "hub"), Some(Err(_))), "{bad:?}");
        }
        assert!(set(&mut Auth::default(), "keycloak.color", "red").is_none());
        let mut auth = Auth::default();
        assert_eq!(set(&mut auth, "entra-id.client_id", "hub"), Some(Ok(())));
        assert_eq!(auth.oidc["entra-id"].client_id, "hub");
    }

    #[test]
    fn incomplete_settings_are_reported() {
        let mut config = Config::default();
        assert_eq!(problems(&config), [""; 0]);
        config.auth.oidc.insert("idp".to_owned(), Oidc::default());
        config.auth.proxy.peers = vec!["127.0.0.1/32".parse().unwrap()];
        let found = problems(&config);
        for start in ["auth.oidc.idp.issuer", "auth.oidc.idp.client_id", "auth.proxy.secret", "roles must name"] {
            assert!(found.iter().any(|problem| problem.starts_with(start)), "{start}: {found:?}");
        }
    }

    #[test]
    fn settings_for_plone_users_require_the_plone_user_key() {
        let has_problem = |config: &Config| problems(config).iter().any(|problem| problem.starts_with("plone.url and"));
        let with = |change: fn(&mut Config)| {
            let mut config = Config::default();
            change(&mut config);
            config
        };
        let changes: [fn(&mut Config); 2] = [
            |c| assert_eq!(set(&mut c.auth, "idp.plone_user_claim", "sub"), Some(Ok(()))),
            |c| c.auth.proxy.plone_user_header = "X-Plone-User".to_owned(),
        ];
        assert!(!has_problem(&Config::default()));
        for change in changes {
            let mut config = with(change);
            assert!(has_problem(&config));
            config.plone.url = Some("http://127.0.0.1:8080/Plone".to_owned());
            assert!(has_problem(&config), "without a key");
            config.plone.user_key = Some("x".repeat(SECRET_LEN_MIN).into());
            assert!(!has_problem(&config));
        }
    }

    #[test]
    fn networks_and_headers_are_checked() {
        let value = |text: &str| RawValue::Text(text.to_owned());
        assert_eq!(networks(&value("10.1.2.3, 10.0.0.0/8,::1")).unwrap().len(), 3);
        assert!(networks(&value("10.0.0.0/99")).is_err());
        for bad in ["", "Cookie", "X Y", "Authorization", "Größe"] {
            assert!(header(&value(bad)).is_err(), "{bad:?}");
        }
    }
}
