//! `[bus]`: the transport of events between parts of the hub, and between hubs.

use std::fmt;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use secrecy::SecretString;
use url::Url;

use crate::config::Config;
use crate::config::settings::{Setting, quoted};
use crate::config::value::{RawValue, ValueResult};

/// The port of a NATS server whose URL states none.
const NATS_PORT: u16 = 4_222;
/// The longest subject, in characters.
const SUBJECT_CHARS_MAX: usize = 60;
/// The valid forms of `[bus] url`. Errors do not repeat the value, which may contain a password.
const EXPECTED: &str = "must be \"local\" or the URL of a NATS server, such as \"nats://10.0.0.5:4222\" or \
                        \"tls://hub:PASSWORD@nats.college.edu\"; several servers of one cluster are separated by commas";

/// `[bus]`: the transport of events.
#[derive(Debug, Clone)]
pub struct Bus {
    /// The transport.
    pub url: BusUrl,
    /// The credentials file for NATS; `None` to use the credentials in `url`, if it has any.
    pub credentials: Option<PathBuf>,
    /// The beginning of the subjects in NATS.
    pub subject: String,
}

/// The value of `[bus] url`.
#[derive(Debug, Clone, Default)]
pub enum BusUrl {
    /// Within this process.
    #[default]
    Local,
    /// Through NATS.
    Nats(NatsUrl),
}

/// The servers of a NATS cluster, and the credentials in their URLs.
#[derive(Debug, Clone)]
pub struct NatsUrl {
    /// URLs without credentials: scheme, host and port.
    pub servers: Vec<String>,
    /// The username, or the token if there is no password.
    pub user: Option<SecretString>,
    /// The password.
    pub password: Option<SecretString>,
}

impl Default for Bus {
    fn default() -> Self {
        Self { url: BusUrl::default(), credentials: None, subject: "eduhub".to_owned() }
    }
}

impl fmt::Display for BusUrl {
    /// Writes the URL without credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("local"),
            Self::Nats(nats) => f.write_str(&nats.servers.join(",")),
        }
    }
}

/// The settings of this section.
pub(super) const SETTINGS: [Setting; 3] = [
    Setting {
        name: "bus.url",
        about: "`local`: within this process, for one hub. For several hubs, the URL of a NATS server, such as\n\
                \"nats://10.0.0.5:4222\", or \"tls://nats.college.edu\" for TLS; several servers of one cluster are\n\
                separated by commas. Credentials may precede the host (USER:PASSWORD@ or TOKEN@): then prefer the\n\
                environment variable EDUHUB_BUS__URL.",
        show: |c| quoted(&c.bus.url.to_string()),
        set: |c, v| url(v).map(|value| c.bus.url = value),
    },
    Setting {
        name: "bus.credentials",
        about: "A credentials file of NATS (.creds), such as \"/etc/eduhub/nats.creds\". Empty: none.",
        show: |c| quoted(&c.bus.credentials.as_ref().map_or_else(String::new, |path| path.display().to_string())),
        set: |c, v| v.text().map(|path| c.bus.credentials = (!path.is_empty()).then(|| PathBuf::from(path))),
    },
    Setting {
        name: "bus.subject",
        about: "The beginning of the subjects in NATS. Hubs with the same subject receive each other's events, so each\n\
                college or test system that shares a NATS server needs its own.",
        show: |c| quoted(&c.bus.subject),
        set: |c, v| subject(v).map(|value| c.bus.subject = value),
    },
];

/// Returns what is wrong with the combination of these settings.
pub(super) fn problems(config: &Config) -> Option<String> {
    let nats = match &config.bus.url {
        BusUrl::Local if config.bus.credentials.is_some() => {
            return Some("bus.credentials is set, but bus.url is not the URL of a NATS server".to_owned());
        }
        BusUrl::Local => return None,
        BusUrl::Nats(nats) => nats,
    };
    let are_both_set = config.bus.credentials.is_some() && nats.user.is_some();
    are_both_set.then(|| "bus.url contains credentials, so bus.credentials must be empty".to_owned())
}

fn url(value: &RawValue) -> ValueResult<BusUrl> {
    let text = value.text()?;
    if text == "local" {
        return Ok(BusUrl::Local);
    }
    let mut nats = NatsUrl { servers: Vec::new(), user: None, password: None };
    for (index, server) in text.split(',').map(str::trim).enumerate() {
        let Some(url) = server_url(server) else { return Err(EXPECTED.to_owned()) };
        let decoded = |text: &str| Some(percent_decode_str(text).decode_utf8().ok()?.into_owned());
        let Some((user, password)) = decoded(url.username()).zip(decoded(url.password().unwrap_or_default())) else {
            return Err(EXPECTED.to_owned());
        };
        if index > 0 && !(user.is_empty() && password.is_empty()) {
            return Err("must have credentials in the first URL only; they are used for all servers".to_owned());
        }
        if user.is_empty() && !password.is_empty() {
            return Err("must have a username before the password".to_owned());
        }
        if index == 0 {
            nats.user = (!user.is_empty()).then(|| user.into());
            nats.password = (!password.is_empty()).then(|| password.into());
        }
        let host = url.host_str().unwrap_or_default();
        nats.servers.push(format!("{}://{host}:{}", url.scheme(), url.port().unwrap_or(NATS_PORT)));
    }
    Ok(BusUrl::Nats(nats))
}

/// Parses the URL of one server.
fn server_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let is_known = matches!(url.scheme(), "nats" | "tls");
    let has_host = url.host_str().is_some_and(|host| !host.is_empty());
    let has_more = !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some();
    (is_known && has_host && !has_more && !text.contains(char::is_whitespace)).then_some(url)
}

fn subject(value: &RawValue) -> ValueResult<String> {
    let text = value.text()?;
    let is_token =
        |token: &str| !token.is_empty() && token.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if text.len() <= SUBJECT_CHARS_MAX && text.split('.').all(is_token) {
        Ok(text)
    } else {
        Err("must be words of letters, digits, - and _ separated by dots, such as \"eduhub\"".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;

    fn parse(text: &str) -> ValueResult<BusUrl> {
        url(&RawValue::Text(text.to_owned()))
    }

    fn nats(text: &str) -> NatsUrl {
        match parse(text) {
            Ok(BusUrl::Nats(nats)) => nats,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn urls_of_nats_have_servers_and_credentials() {
        let exposed = |secret: Option<SecretString>| secret.map(|secret| secret.expose_secret().to_owned());
        for (text, servers, user, password) in [
            ("nats://10.0.0.5", vec!["nats://10.0.0.5:4222"], None, None),
            ("tls://nats.college.edu:443/", vec!["tls://nats.college.edu:443"], None, None),
            ("nats://[::1]:9", vec!["nats://[::1]:9"], None, None),
            ("nats://hub:a%40b%3A@n", vec!["nats://n:4222"], Some("hub"), Some("a@b:")),
            ("nats://token@n", vec!["nats://n:4222"], Some("token"), None),
            ("nats://hub:pw@a:1, nats://b:2", vec!["nats://a:1", "nats://b:2"], Some("hub"), Some("pw")),
        ] {
            let nats = nats(text);
            assert_eq!(nats.servers, servers, "{text}");
            let found = (exposed(nats.user), exposed(nats.password));
            assert_eq!((found.0.as_deref(), found.1.as_deref()), (user, password), "{text}");
        }
    }

    #[test]
    fn other_urls_are_rejected_without_repeating_them() {
        for text in [
            "",
            "nats",
            "nats://",
            "http://hub:hidden@n",
            "nats://hub:hidden@n/path",
            "nats://hub:hidden@n?x=1",
            "nats://:hidden@n",
            "nats://hub:hidden@a,nats://hub:hidden@b",
            "nats://hub:hidden@a,local",
            "nats://hub:hid den@a",
            "nats://hub:hidden@a:70000",
        ] {
            let problem = parse(text).map(|url| url.to_string()).unwrap_err();
            assert!(problem.starts_with("must ") && !problem.contains("hidden"), "{text}: {problem}");
        }
    }

    #[test]
    fn credentials_are_in_no_output() {
        let url = parse("tls://hub:hidden@nats.college.edu").unwrap();
        assert_eq!(url.to_string(), "tls://nats.college.edu:4222");
        assert!(!format!("{url:?}").contains("hidden") && !format!("{url:?}").contains("hub"), "{url:?}");
    }

    #[test]
    fn subjects_are_words_without_wildcards() {
        let parse = |text: &str| subject(&RawValue::Text(text.to_owned()));
        assert_eq!(parse("college.test-2").as_deref(), Ok("college.test-2"));
        for bad in ["", "a..b", "a.*", ">", "a b", &"a".repeat(SUBJECT_CHARS_MAX + 1)] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn credentials_are_in_one_place_and_only_for_nats() {
        let problem = |url: &str, credentials: Option<&str>| {
            let mut config = Config::default();
            (config.bus.url, config.bus.credentials) = (parse(url).unwrap(), credentials.map(PathBuf::from));
            problems(&config)
        };
        for (url, credentials, expected) in [
            ("local", None, None),
            ("nats://n", Some("a.creds"), None),
            ("nats://u:p@n", None, None),
            ("local", Some("a.creds"), Some("bus.credentials is set")),
            ("nats://u:p@n", Some("a.creds"), Some("bus.url contains credentials")),
        ] {
            let found = problem(url, credentials);
            assert_eq!(found.is_some(), expected.is_some(), "{url} {credentials:?}");
            assert!(found.unwrap_or_default().starts_with(expected.unwrap_or_default()), "{url} {credentials:?}");
        }
    }
}
