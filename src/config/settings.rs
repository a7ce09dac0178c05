//! The table of settings, from which `config.toml` (`document`) and the names accepted from the file and the
//! environment are derived.

use std::net::SocketAddr;

use jiff::tz::TimeZone;
use secrecy::SecretString;

use crate::config::auth_settings::AUTH_SETTINGS;
use crate::config::value::{RawValue, ValueResult};
use crate::config::{Config, Store, bus, privacy};
use crate::domain::ids::UserName;
use crate::domain::offer::{OFFER_S_MAX, OFFER_S_MIN, WaitlistMode};

/// The minimum length of the secret in bytes, as required for HMAC-SHA-256 (RFC 7518, section 3.2).
pub const SECRET_LEN_MIN: usize = 32;

/// The longest lifetime of a token, in seconds: a year. A token that lives longer is likely to be forgotten.
pub const SESSION_TTL_S_MAX: u32 = 31_536_000;

/// One setting.
pub(super) struct Setting {
    /// The full name, `section.key`.
    pub(super) name: &'static str,
    /// The description in `config.toml`.
    pub(super) about: &'static str,
    /// Returns the value as TOML.
    pub(super) show: fn(&Config) -> String,
    /// Parses a value and stores it in a configuration.
    pub(super) set: fn(&mut Config, &RawValue) -> ValueResult<()>,
}

pub(super) fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// Returns every setting with a fixed name. The sections `auth.oidc.NAME`, `import.columns`, `plone.fields`,
/// `roles.names`, `roles.subjects` and `plone.roles.subjects` have no such settings.
pub(super) fn all() -> impl Iterator<Item = &'static Setting> {
    SETTINGS.iter().chain(&bus::SETTINGS).chain(&privacy::SETTINGS).chain(&AUTH_SETTINGS)
}

/// The settings with fixed keys, except those of `[bus]`, `[privacy]` and single sign-on.
const SETTINGS: [Setting; 50] = [
    Setting {
        name: "college.name",
        about: "The name shown on pages.",
        show: |c| quoted(&c.college.name),
        set: |c, v| name(v).map(|value| c.college.name = value),
    },
    Setting {
        name: "college.timezone",
        about: "The time zone of the college's classes: an IANA name such as \"America/New_York\".",
        show: |c| quoted(c.college.timezone.iana_name().unwrap_or("UTC")),
        set: |c, v| timezone(v).map(|value| c.college.timezone = value),
    },
    Setting {
        name: "college.language",
        about: "The language in which alerts are written, such as \"en\" or \"es\". Feeds for other systems state it. From\n\
                a CAP message in several languages, the hub takes the text in this one.",
        show: |c| quoted(&c.college.language),
        set: |c, v| language(v).map(|value| c.college.language = value),
    },
    Setting {
        name: "server.bind",
        about: "The address and port to listen on. With port 0 the operating system chooses a port.",
        show: |c| quoted(&c.server.bind.to_string()),
        set: |c, v| address(v).map(|value| c.server.bind = value),
    },
    Setting {
        name: "server.workers",
        about: "Threads that serve requests. 0 means one per processor.",
        show: |c| c.server.workers.to_string(),
        set: |c, v| v.integer(0..=256).map(|value| c.server.workers = value),
    },
    Setting {
        name: "server.max_connections",
        about: "The maximum number of live sessions (WebSockets and streams of events), of which visitors may have three\n\
                quarters. Each needs an open file (see `ulimit -n`).",
        show: |c| c.server.max_connections.to_string(),
        set: |c, v| v.integer(1..=1_000_000).map(|value| c.server.max_connections = value),
    },
    Setting {
        name: "server.keep_alive_s",
        about: "Seconds for which idle HTTP connections stay open, so that the next request needs no new connection.",
        show: |c| c.server.keep_alive.as_secs().to_string(),
        set: |c, v| v.seconds(1..=3_600).map(|value| c.server.keep_alive = value),
    },
    Setting {
        name: "server.public_url",
        about: "The origin at which browsers reach the hub, such as \"https://register.college.edu\". Pages of other\n\
                origins cannot act for a signed-in user. Empty: the loopback names of the bound address.",
        show: |c| quoted(c.server.public_url.as_deref().unwrap_or_default()),
        set: |c, v| origin(v).map(|value| c.server.public_url = value),
    },
    Setting {
        name: "server.trusted_proxies",
        about: "Networks of reverse proxies. Only these may state a client's address, in X-Forwarded-For or Forwarded.",
        show: |c| list(&c.server.trusted_proxies.iter().map(ToString::to_string).collect::<Vec<_>>()),
        set: |c, v| v.networks().map(|value| c.server.trusted_proxies = value),
    },
    Setting {
        name: "server.seats_tick_ms",
        about: "The minimum number of milliseconds between two seat updates of a term to a live session.",
        show: |c| c.server.seats_tick.as_millis().to_string(),
        set: |c, v| v.milliseconds(5..=10_000).map(|value| c.server.seats_tick = value),
    },
    Setting {
        name: "server.drain_s",
        about: "The maximum number of seconds that the hub takes to stop after SIGTERM.",
        show: |c| c.server.drain.as_secs().to_string(),
        set: |c, v| v.seconds(1..=600).map(|value| c.server.drain = value),
    },
    Setting {
        name: "store.url",
        about: "`sqlite:PATH`: a file, created if it does not exist. A relative path is resolved against the folder\n\
                in which the hub is started. Empty: sqlite:var/eduhub.db, and for `serve --demo` sqlite:var/demo.db.\n\
                Other commands then use the first, or the second if only that exists.\n\
                `postgres://USER:PASSWORD@HOST/DATABASE`: a PostgreSQL database, version 15 or later, which several\n\
                hubs can share: docs/OPERATIONS.md. Prefer the environment variable EDUHUB_STORE__URL.",
        show: |_| quoted(""),
        set: |c, v| Store::parse(v).map(|value| c.store = value),
    },
    Setting {
        name: "auth.secret",
        about: "The key that signs tokens, at least 32 bytes. Empty: generated and stored beside the file of the\n\
                store. With PostgreSQL it must be set, to the same value for all hubs.",
        show: |_| quoted(""),
        set: |c, v| secret(v).map(|value| c.auth.secret = value),
    },
    Setting {
        name: "auth.previous_secret",
        about: "The previous value of `secret` after a change: tokens that it signed stay valid until they expire.\n\
                Remove it after session_ttl_s.",
        show: |_| quoted(""),
        set: |c, v| secret(v).map(|value| c.auth.previous_secret = value),
    },
    Setting {
        name: "auth.session_ttl_s",
        about: "Seconds for which a sign-in lasts.",
        show: |c| c.auth.session_ttl.as_secs().to_string(),
        set: |c, v| v.seconds(60..=SESSION_TTL_S_MAX).map(|value| c.auth.session_ttl = value),
    },
    Setting {
        name: "plone.url",
        about: "The URL of the site, such as \"http://127.0.0.1:8080/Plone\". Empty: no Plone.",
        show: |c| quoted(c.plone.url.as_deref().unwrap_or_default()),
        set: |c, v| site(v).map(|value| c.plone.url = value),
    },
    Setting {
        name: "plone.username",
        about: "The hub's Plone user. It needs the role Site Administrator, not Manager.",
        show: |c| quoted(&c.plone.username),
        set: |c, v| user(v).map(|value| c.plone.username = value),
    },
    Setting {
        name: "plone.password",
        about: "The password of that user. Prefer the environment variable EDUHUB_PLONE__PASSWORD.",
        show: |_| quoted(""),
        set: |c, v| v.text().map(|value| c.plone.password = value.into()),
    },
    Setting {
        name: "plone.user_key",
        about: "The key that deploy/plone-user-key.py prints. With it, users of single sign-on are served as their own\n\
                users in Plone: docs/SSO.md. Prefer the environment variable EDUHUB_PLONE__USER_KEY.",
        show: |_| quoted(""),
        set: |c, v| secret(v).map(|value| c.plone.user_key = value),
    },
    Setting {
        name: "plone.sections_path",
        about: "The path of the folder of sections within the site.",
        show: |c| quoted(&c.plone.sections_path),
        set: |c, v| folder(v).map(|value| c.plone.sections_path = value),
    },
    Setting {
        name: "plone.type",
        about: "The portal type of a section.",
        show: |c| quoted(&c.plone.section_type),
        set: |c, v| name(v).map(|value| c.plone.section_type = value),
    },
    Setting {
        name: "plone.publish",
        about: "The workflow transition that publishes a section created by the hub. Empty: sections keep Plone's\n\
                initial state.",
        show: |c| quoted(c.plone.publish.as_deref().unwrap_or_default()),
        set: |c, v| v.text().map(|value| c.plone.publish = Some(value).filter(|text| !text.is_empty())),
    },
    Setting {
        name: "plone.write_schedules",
        about: "Whether imported schedules also create and change sections in Plone.",
        show: |c| c.plone.write_schedules.to_string(),
        set: |c, v| v.boolean().map(|value| c.plone.write_schedules = value),
    },
    Setting {
        name: "plone.pool_size",
        about: "The maximum number of connections to Plone. Plone serves with few threads, so more than about ten do \
                not help.",
        show: |c| c.plone.pool_size.to_string(),
        set: |c, v| v.integer(1..=100).map(|value| c.plone.pool_size = value),
    },
    Setting {
        name: "plone.queue_max",
        about: "The maximum number of requests that wait for a connection to Plone. Further requests fail\n\
                immediately.",
        show: |c| c.plone.queue_max.to_string(),
        set: |c, v| v.integer(1..=10_000).map(|value| c.plone.queue_max = value),
    },
    Setting {
        name: "plone.timeout_ms",
        about: "The maximum number of milliseconds that a request to Plone may take.",
        show: |c| c.plone.timeout.as_millis().to_string(),
        set: |c, v| v.milliseconds(50..=120_000).map(|value| c.plone.timeout = value),
    },
    Setting {
        name: "plone.sync_s",
        about: "Seconds between two pulls of the catalogue and the announcements.",
        show: |c| c.plone.sync.as_secs().to_string(),
        set: |c, v| v.seconds(1..=86_400).map(|value| c.plone.sync = value),
    },
    Setting {
        name: "plone.recheck_s",
        about: "Seconds within which the removal of a user in Plone, or a change of role there, takes effect.",
        show: |c| c.plone.recheck.as_secs().to_string(),
        set: |c, v| v.seconds(1..=86_400).map(|value| c.plone.recheck = value),
    },
    Setting {
        name: "plone.offline_login_days",
        about: "Days after a successful sign-in during which a user can sign in while Plone is unavailable. 0 means \
                never.",
        show: |c| c.plone.offline_login_days.to_string(),
        set: |c, v| v.integer(0..=365).map(|value| c.plone.offline_login_days = value),
    },
    Setting {
        name: "plone.proxy_url",
        about: "A separate origin for Plone's pages behind the hub, such as \"https://www.college.edu\". Empty: they\n\
                are available only below /plone/, for reading.",
        show: |c| quoted(c.plone.proxy_url.as_deref().unwrap_or_default()),
        set: |c, v| origin(v).map(|value| c.plone.proxy_url = value),
    },
    Setting {
        name: "plone.demo_target",
        about: "Whether the demonstration may load-test this Plone.",
        show: |c| c.plone.demo_target.to_string(),
        set: |c, v| v.boolean().map(|value| c.plone.demo_target = value),
    },
    Setting {
        name: "plone.roles.admin",
        about: "Administrators.",
        show: |c| list(&c.plone.roles.admin),
        set: |c, v| v.text_list().map(|value| c.plone.roles.admin = value),
    },
    Setting {
        name: "plone.roles.staff",
        about: "Staff.",
        show: |c| list(&c.plone.roles.staff),
        set: |c, v| v.text_list().map(|value| c.plone.roles.staff = value),
    },
    Setting {
        name: "plone.roles.instructor",
        about: "Instructors, who read the rosters of the sections that name them.",
        show: |c| list(&c.plone.roles.instructor),
        set: |c, v| match v {
            RawValue::Toml(toml::Value::Array(items)) if items.is_empty() => {
                c.plone.roles.instructor.clear();
                Ok(())
            }
            _ => v.text_list().map(|value| c.plone.roles.instructor = value),
        },
    },
    Setting {
        name: "plone.roles.student",
        about: "Students.",
        show: |c| list(&c.plone.roles.student),
        set: |c, v| v.text_list().map(|value| c.plone.roles.student = value),
    },
    Setting {
        name: "registration.shards",
        about: "Threads over which the terms are distributed. Each term is handled by one thread.",
        show: |c| c.registration.shards.to_string(),
        set: |c, v| v.integer(1..=64).map(|value| c.registration.shards = value),
    },
    Setting {
        name: "registration.credit_limit",
        about: "The maximum number of credits of a student in a term, such as 18 or 7.5. 0 means no limit.",
        show: |c| c.registration.credit_limit.as_f64().to_string(),
        set: |c, v| v.credits().map(|value| c.registration.credit_limit = value),
    },
    Setting {
        name: "registration.repeat_limit",
        about: "How many times a student may take a course, if its section states no limit of its own. The courses\n\
                that the college states as completed are counted. 0 means no limit.",
        show: |c| c.registration.repeat_limit.to_string(),
        set: |c, v| v.integer(0..=100).map(|value| c.registration.repeat_limit = value),
    },
    Setting {
        name: "registration.waitlist",
        about: "What a student at the head of a waitlist gets when a seat becomes free. `auto`: the seat. `offer`: an\n\
                offer, which the student has to accept in time. A term can have its own setting.",
        show: |c| quoted(c.registration.offers.mode.as_str()),
        set: |c, v| waitlist_mode(v).map(|value| c.registration.offers.mode = value),
    },
    Setting {
        name: "registration.offer_s",
        about: "How long an offer of a seat lasts, in seconds. Then the seat goes to the next student. A term can\n\
                have its own setting.",
        show: |c| c.registration.offers.offer_s.to_string(),
        set: |c, v| v.integer(OFFER_S_MIN..=OFFER_S_MAX).map(|value| c.registration.offers.offer_s = value),
    },
    Setting {
        name: "registration.offer_first_day_s",
        about: "The maximum number of seconds for which a seat is offered in the first 24 hours after the term opens.",
        show: |c| c.registration.offers.first_day_s.to_string(),
        set: |c, v| v.integer(OFFER_S_MIN..=OFFER_S_MAX).map(|value| c.registration.offers.first_day_s = value),
    },
    Setting {
        name: "registration.queue_max",
        about: "The maximum number of requests that wait for a reply, in all terms. Further requests receive 503 \
                `overloaded`.",
        show: |c| c.registration.queue_max.to_string(),
        set: |c, v| v.integer(1..=1_000_000).map(|value| c.registration.queue_max = value),
    },
    Setting {
        name: "registration.overload_wait_ms",
        about: "The maximum number of milliseconds until the reply to a student's request, while more requests arrive\n\
                than the hub can store. Requests that would take longer are rejected with 503 `overloaded`.",
        show: |c| c.registration.overload_wait.as_millis().to_string(),
        set: |c, v| v.milliseconds(50..=60_000).map(|value| c.registration.overload_wait = value),
    },
    Setting {
        name: "limits.login_per_minute",
        about: "Failed sign-ins per minute for a username from one address, or from one browser that has signed in\n\
                before. From all addresses together, a username may have thirty times as many.",
        show: |c| c.limits.login_per_minute.to_string(),
        set: |c, v| v.integer(0..=100_000).map(|value| c.limits.login_per_minute = value),
    },
    Setting {
        name: "limits.requests_per_second",
        about: "Requests per second of a user. A page sends a few; a script may send many. All visitors at one\n\
                address together may send twenty times as many. A list that is not cached counts as 50 requests of a\n\
                user, or 200 of visitors.",
        show: |c| c.limits.requests_per_second.to_string(),
        set: |c, v| v.integer(0..=1_000_000).map(|value| c.limits.requests_per_second = value),
    },
    Setting {
        name: "limits.connections_per_user",
        about: "Live sessions of a user.",
        show: |c| c.limits.connections_per_user.to_string(),
        set: |c, v| v.integer(0..=1_000_000).map(|value| c.limits.connections_per_user = value),
    },
    Setting {
        name: "limits.connections_per_address",
        about: "Live sessions from an address. A whole campus may share one.",
        show: |c| c.limits.connections_per_address.to_string(),
        set: |c, v| v.integer(0..=1_000_000).map(|value| c.limits.connections_per_address = value),
    },
    Setting {
        name: "limits.visitor_connections_per_address",
        about: "Connections from an address, except those on which a signed-in user has sent a request. A whole\n\
                campus may share one address. Connections of trusted proxies are not counted.",
        show: |c| c.limits.visitor_connections_per_address.to_string(),
        set: |c, v| v.integer(0..=1_000_000).map(|value| c.limits.visitor_connections_per_address = value),
    },
    Setting {
        name: "alerts.retention_days",
        about: "Days for which alerts are stored, so that a client that was offline can catch up.",
        show: |c| c.alerts.retention_days.to_string(),
        set: |c, v| v.integer(1..=36_500).map(|value| c.alerts.retention_days = value),
    },
    Setting {
        name: "log.filter",
        about: "A level (error, warn, info, debug, trace), optionally with levels of modules, such as\n\
                \"info,eduhub::live=debug\". RUST_LOG overrides this setting.",
        show: |c| quoted(&c.log.filter),
        set: |c, v| log_filter(v).map(|value| c.log.filter = value),
    },
];

pub(super) fn list(texts: &[String]) -> String {
    toml::Value::Array(texts.iter().map(|text| toml::Value::String(text.clone())).collect()).to_string()
}

fn name(value: &RawValue) -> ValueResult<String> {
    let text = value.text()?;
    let ok = (1..=200).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if ok { Ok(text) } else { Err("must be 1 to 200 characters, without control characters".to_owned()) }
}

/// Parses a language tag (BCP 47): subtags of letters and digits, the first one of 2 or 3 letters.
fn language(value: &RawValue) -> ValueResult<String> {
    let text = value.text()?;
    let is_subtag = |tag: &str| (1..=8).contains(&tag.len()) && tag.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let is_primary = |tag: &str| (2..=3).contains(&tag.len()) && tag.bytes().all(|byte| byte.is_ascii_alphabetic());
    let is_tag = text.split('-').all(is_subtag) && text.split('-').next().is_some_and(is_primary);
    if is_tag { Ok(text) } else { Err(format!("{text:?} is not a language tag, such as \"en\" or \"es-MX\"")) }
}

/// Parses a username of Plone, which may be empty.
fn user(value: &RawValue) -> ValueResult<String> {
    let text = value.text()?;
    if text.is_empty() || UserName::stored(&text).is_ok() {
        Ok(text)
    } else {
        Err(format!("{text:?} is not a username"))
    }
}

fn timezone(value: &RawValue) -> ValueResult<TimeZone> {
    let text = value.text()?;
    TimeZone::get(&text).map_err(|_| format!("{text:?} is not a time zone such as \"America/New_York\""))
}

fn address(value: &RawValue) -> ValueResult<SocketAddr> {
    let text = value.text()?;
    text.parse().map_err(|_| format!("{text:?} is not an address with a port, such as \"127.0.0.1:8000\""))
}

fn origin(value: &RawValue) -> ValueResult<Option<String>> {
    let text = value.text()?;
    if text.is_empty() {
        return Ok(None);
    }
    let trimmed = text.strip_suffix('/').unwrap_or(&text).to_ascii_lowercase();
    let host = trimmed.strip_prefix("https://").or_else(|| trimmed.strip_prefix("http://"));
    match host.filter(|h| !h.is_empty() && !h.contains(['/', '?', '#', '@', ' '])) {
        Some(_) => Ok(Some(trimmed)),
        None => Err(format!("{text:?} is not an origin, such as \"https://register.college.edu\"")),
    }
}

/// Parses the URL of a Plone site: an origin and optionally a path.
fn site(value: &RawValue) -> ValueResult<Option<String>> {
    let text = value.text()?;
    if text.is_empty() {
        return Ok(None);
    }
    let trimmed = text.trim_end_matches('/');
    if trimmed.starts_with("https://") {
        return Err(format!("{text:?} is an https URL, which is not supported: use the http URL of Plone itself"));
    }
    let rest = trimmed.strip_prefix("http://");
    match rest.filter(|r| !r.is_empty() && !r.starts_with('/') && !r.contains(['?', '#', '@', ' '])) {
        Some(_) => Ok(Some(trimmed.to_owned())),
        None => Err(format!("{text:?} is not the URL of a site, such as \"http://127.0.0.1:8080/Plone\"")),
    }
}

fn folder(value: &RawValue) -> ValueResult<String> {
    let text = value.text()?;
    let path = text.trim_matches('/');
    let good = |piece: &str| !piece.is_empty() && piece.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    if path.split('/').all(|piece| good(piece) && piece != "." && piece != "..") {
        Ok(format!("/{path}"))
    } else {
        Err(format!("{text:?} is not a folder in the site, such as \"/courses\""))
    }
}

fn waitlist_mode(value: &RawValue) -> ValueResult<WaitlistMode> {
    WaitlistMode::parse(&value.text()?).ok_or_else(|| "must be \"auto\" or \"offer\"".to_owned())
}

fn log_filter(value: &RawValue) -> ValueResult<String> {
    let text = value.text()?;
    let is_level = |piece: &str| piece.rsplit('=').next().is_some_and(|l| l.parse::<log::LevelFilter>().is_ok());
    if text.split(',').map(str::trim).all(is_level) {
        Ok(text)
    } else {
        Err("must be a level or a list of them, such as \"info\" or \"info,eduhub::live=debug\"".to_owned())
    }
}

fn secret(value: &RawValue) -> ValueResult<Option<SecretString>> {
    let text = value.text()?;
    match text.len() {
        0 => Ok(None),
        SECRET_LEN_MIN.. => Ok(Some(text.into())),
        len => Err(format!("must have at least {SECRET_LEN_MIN} bytes; this one has {len}")),
    }
}
