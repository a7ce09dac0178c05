//! The table of every setting. `config.toml`, `eduhub default-config`, the environment and the refusal of what is
//! unknown all follow from it.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use jiff::tz::TimeZone;
use secrecy::SecretString;

use crate::config::value::{Given, Read};
use crate::config::{BusUrl, Config};
use crate::domain::ids::UserName;

/// The shortest secret, in bytes: what HMAC-SHA-256 asks for (RFC 7518, section 3.2).
pub const SECRET_LEN_MIN: usize = 32;

/// One setting.
pub(super) struct Setting {
    /// Its full name, `section.key`.
    pub(super) name: &'static str,
    /// What it means, for `config.toml`: a sentence or two, lines of at most 100 characters.
    about: &'static str,
    /// Its value in a configuration, as TOML.
    show: fn(&Config) -> String,
    /// Puts a value into a configuration.
    pub(super) put: fn(&mut Config, &Given) -> Read<()>,
}

/// The sections in the order of `config.toml`, each with what it is about.
const SECTIONS: [(&str, &str); 11] = [
    ("college", "Whose hub this is."),
    ("server", "Where and how it serves."),
    ("store", "Where everything is kept."),
    ("bus", "How news travel from what changes to who listens."),
    ("auth", "Sessions and tokens."),
    ("plone", "The college's Plone. Without a url the hub is on its own."),
    ("plone.roles", "What Plone's roles are in the hub; a group is \"group:NAME\". The highest counts."),
    ("registration", "The rules that the college chooses, and the bounds of the machinery."),
    ("limits", "How much one caller may ask. 0 is off."),
    ("alerts", "Announcements and warnings."),
    ("log", "What is written to standard error."),
];

/// The head of `config.toml`.
const HEAD: &str = "\
# The settings of EduHub, each with what it means and its default value.
# `eduhub default-config` prints this file, `eduhub check-config` checks one.
# The environment counts before the file: EDUHUB_SERVER__BIND=127.0.0.1:9000 sets bind of [server].
";

/// The end of `config.toml`: the two sections that are empty by default.
const COLUMNS: &str = "
# Further names that this college's schedules have for the columns of an import, each for one column:
# capacity = [\"Max Enrl\", \"Room limit\"]
# In the environment: EDUHUB_IMPORT__COLUMNS__CAPACITY=\"Max Enrl,Room limit\"
[import.columns]

# What the college's section type in Plone calls a field, where it is not the hub's name. The hub's names: title, term,
# crn, course, component, section, credits, instructor, capacity, waitlist_capacity, meetings, seats_taken, waitlisted,
# roster. Such as
# capacity = \"max_seats\"
# In the environment: EDUHUB_PLONE__FIELDS__CAPACITY=max_seats
[plone.fields]
";

/// `config.toml` with every setting at its default.
#[must_use]
pub fn default_document() -> String {
    let config = Config::default();
    let mut document = HEAD.to_owned();
    for (section, about) in SECTIONS {
        // Writing to a String cannot fail.
        let _ = write!(document, "\n# {about}\n[{section}]\n");
        for setting in &SETTINGS {
            let Some((of, key)) = setting.name.rsplit_once('.') else { continue };
            if of == section {
                for line in setting.about.lines() {
                    let _ = writeln!(document, "# {line}");
                }
                let _ = writeln!(document, "{key} = {}", (setting.show)(&config));
            }
        }
    }
    document + COLUMNS
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// Every setting but `import.columns.*` and `plone.fields.*`.
pub(super) const SETTINGS: [Setting; 40] = [
    Setting {
        name: "college.name",
        about: "The name that pages show.",
        show: |c| quoted(&c.college.name),
        put: |c, v| name(v).map(|value| c.college.name = value),
    },
    Setting {
        name: "college.timezone",
        about: "The time zone in which its classes meet, by its IANA name, such as \"America/New_York\".",
        show: |c| quoted(c.college.timezone.iana_name().unwrap_or("UTC")),
        put: |c, v| timezone(v).map(|value| c.college.timezone = value),
    },
    Setting {
        name: "server.bind",
        about: "The address and port. Port 0 lets the operating system choose one.",
        show: |c| quoted(&c.server.bind.to_string()),
        put: |c, v| address(v).map(|value| c.server.bind = value),
    },
    Setting {
        name: "server.workers",
        about: "Threads that serve requests; 0 is one for each processor.",
        show: |c| c.server.workers.to_string(),
        put: |c, v| v.whole(0..=256).map(|value| c.server.workers = value),
    },
    Setting {
        name: "server.max_connections",
        about: "WebSocket connections held at once. Each needs an open file: see `ulimit -n`.",
        show: |c| c.server.max_connections.to_string(),
        put: |c, v| v.whole(1..=1_000_000).map(|value| c.server.max_connections = value),
    },
    Setting {
        name: "server.keep_alive_s",
        about: "Seconds for which an idle HTTP connection is kept. A page that thinks should not have to reconnect.",
        show: |c| c.server.keep_alive.as_secs().to_string(),
        put: |c, v| v.seconds(1..=3_600).map(|value| c.server.keep_alive = value),
    },
    Setting {
        name: "server.public_url",
        about: "The origin under which browsers reach the hub, such as \"https://register.college.edu\". Pages of other\n\
                origins cannot act for a signed-in user. Empty: the loopback names of the bound address.",
        show: |c| quoted(c.server.public_url.as_deref().unwrap_or_default()),
        put: |c, v| origin(v).map(|value| c.server.public_url = value),
    },
    Setting {
        name: "server.seats_tick_ms",
        about: "Milliseconds between two frames of seats to one connection, at the least.",
        show: |c| c.server.seats_tick.as_millis().to_string(),
        put: |c, v| v.milliseconds(5..=10_000).map(|value| c.server.seats_tick = value),
    },
    Setting {
        name: "server.drain_s",
        about: "Seconds in which the hub ends after SIGTERM, at the most.",
        show: |c| c.server.drain.as_secs().to_string(),
        put: |c, v| v.seconds(1..=600).map(|value| c.server.drain = value),
    },
    Setting {
        name: "store.url",
        about: "`sqlite:PATH`: one file, made if it is missing. A path that does not begin with / starts in the folder\n\
                in which the hub is started.",
        show: |c| quoted(&format!("sqlite:{}", c.store.path.display())),
        put: |c, v| store(v).map(|value| c.store.path = value),
    },
    Setting {
        name: "bus.url",
        about: "`local`: within this process.",
        show: |_| quoted("local"),
        put: |c, v| bus(v).map(|value| c.bus = value),
    },
    Setting {
        name: "auth.secret",
        about: "What tokens are signed with: at least 32 bytes. Empty: generated, and kept next to the store.",
        show: |_| quoted(""),
        put: |c, v| secret(v).map(|value| c.auth.secret = value),
    },
    Setting {
        name: "auth.session_ttl_s",
        about: "Seconds for which a sign-in lasts.",
        show: |c| c.auth.session_ttl.as_secs().to_string(),
        put: |c, v| v.seconds(60..=31_536_000).map(|value| c.auth.session_ttl = value),
    },
    Setting {
        name: "plone.url",
        about: "The address of the site, such as \"http://127.0.0.1:8080/Plone\". Empty: no Plone.",
        show: |c| quoted(c.plone.url.as_deref().unwrap_or_default()),
        put: |c, v| site(v).map(|value| c.plone.url = value),
    },
    Setting {
        name: "plone.username",
        about: "The hub's own user there. A Site Administrator is enough; it need not be a Manager.",
        show: |c| quoted(&c.plone.username),
        put: |c, v| user(v).map(|value| c.plone.username = value),
    },
    Setting {
        name: "plone.password",
        about: "Its password. Better in the environment: EDUHUB_PLONE__PASSWORD.",
        show: |_| quoted(""),
        put: |c, v| v.text().map(|value| c.plone.password = value.into()),
    },
    Setting {
        name: "plone.sections_path",
        about: "The folder of the sections, from the site's root.",
        show: |c| quoted(&c.plone.sections_path),
        put: |c, v| folder(v).map(|value| c.plone.sections_path = value),
    },
    Setting {
        name: "plone.type",
        about: "The portal type of a section.",
        show: |c| quoted(&c.plone.section_type),
        put: |c, v| name(v).map(|value| c.plone.section_type = value),
    },
    Setting {
        name: "plone.publish",
        about: "The workflow transition that makes a section visible that the hub has made. Empty: it stays as Plone\n\
                makes it.",
        show: |c| quoted(c.plone.publish.as_deref().unwrap_or_default()),
        put: |c, v| v.text().map(|value| c.plone.publish = Some(value).filter(|text| !text.is_empty())),
    },
    Setting {
        name: "plone.write_schedules",
        about: "Whether schedules that are imported into the hub make and change sections in Plone, too.",
        show: |c| c.plone.write_schedules.to_string(),
        put: |c, v| v.yes_or_no().map(|value| c.plone.write_schedules = value),
    },
    Setting {
        name: "plone.pool_size",
        about: "Connections to Plone at once. It serves on a few threads: more than some ten make nothing faster.",
        show: |c| c.plone.pool_size.to_string(),
        put: |c, v| v.whole(1..=100).map(|value| c.plone.pool_size = value),
    },
    Setting {
        name: "plone.queue_max",
        about: "Requests that may wait for one of these; more are told at once that Plone is busy.",
        show: |c| c.plone.queue_max.to_string(),
        put: |c, v| v.whole(1..=10_000).map(|value| c.plone.queue_max = value),
    },
    Setting {
        name: "plone.timeout_ms",
        about: "Milliseconds that one answer of Plone may take.",
        show: |c| c.plone.timeout.as_millis().to_string(),
        put: |c, v| v.milliseconds(50..=120_000).map(|value| c.plone.timeout = value),
    },
    Setting {
        name: "plone.sync_s",
        about: "Seconds between two pulls of the catalogue and the announcements.",
        show: |c| c.plone.sync.as_secs().to_string(),
        put: |c, v| v.seconds(1..=86_400).map(|value| c.plone.sync = value),
    },
    Setting {
        name: "plone.recheck_s",
        about: "Seconds within which it takes effect that somebody was removed in Plone, or has another role.",
        show: |c| c.plone.recheck.as_secs().to_string(),
        put: |c, v| v.seconds(1..=86_400).map(|value| c.plone.recheck = value),
    },
    Setting {
        name: "plone.offline_login_days",
        about: "Days after a good sign-in for which somebody can sign in while Plone does not answer; 0 is never.",
        show: |c| c.plone.offline_login_days.to_string(),
        put: |c, v| v.whole(0..=365).map(|value| c.plone.offline_login_days = value),
    },
    Setting {
        name: "plone.proxy_url",
        about: "An origin of its own for Plone's pages behind the hub, such as \"https://www.college.edu\". Empty: they\n\
                are reached under /plone/ only, for reading.",
        show: |c| quoted(c.plone.proxy_url.as_deref().unwrap_or_default()),
        put: |c, v| origin(v).map(|value| c.plone.proxy_url = value),
    },
    Setting {
        name: "plone.demo_target",
        about: "Whether the demonstration may send its load to this Plone.",
        show: |c| c.plone.demo_target.to_string(),
        put: |c, v| v.yes_or_no().map(|value| c.plone.demo_target = value),
    },
    Setting {
        name: "plone.roles.admin",
        about: "Who is an admin.",
        show: |c| list(&c.plone.roles.admin),
        put: |c, v| v.texts().map(|value| c.plone.roles.admin = value),
    },
    Setting {
        name: "plone.roles.staff",
        about: "Who is staff.",
        show: |c| list(&c.plone.roles.staff),
        put: |c, v| v.texts().map(|value| c.plone.roles.staff = value),
    },
    Setting {
        name: "plone.roles.student",
        about: "Who is a student.",
        show: |c| list(&c.plone.roles.student),
        put: |c, v| v.texts().map(|value| c.plone.roles.student = value),
    },
    Setting {
        name: "registration.shards",
        about: "Threads over which the terms are spread. One term is always decided by one of them.",
        show: |c| c.registration.shards.to_string(),
        put: |c, v| v.whole(1..=64).map(|value| c.registration.shards = value),
    },
    Setting {
        name: "registration.credit_limit",
        about: "The most credits that a student may enrol in, in one term, such as 18 or 7.5; 0 is no limit.",
        show: |c| c.registration.credit_limit.as_f64().to_string(),
        put: |c, v| v.credits().map(|value| c.registration.credit_limit = value),
    },
    Setting {
        name: "registration.queue_max",
        about: "Requests that are accepted and not yet answered, of all terms together; past it students are asked to try again.",
        show: |c| c.registration.queue_max.to_string(),
        put: |c, v| v.whole(1..=1_000_000).map(|value| c.registration.queue_max = value),
    },
    Setting {
        name: "limits.login_per_minute",
        about: "Failed sign-ins a minute for one name; one address, which a whole campus may share, has thirty times as many.",
        show: |c| c.limits.login_per_minute.to_string(),
        put: |c, v| v.whole(0..=100_000).map(|value| c.limits.login_per_minute = value),
    },
    Setting {
        name: "limits.requests_per_second",
        about: "Requests a second of one user: a page asks for a few, a script of the staff's may be quick. The visitors of one address have twenty times as many together.",
        show: |c| c.limits.requests_per_second.to_string(),
        put: |c, v| v.whole(0..=1_000_000).map(|value| c.limits.requests_per_second = value),
    },
    Setting {
        name: "limits.connections_per_user",
        about: "WebSocket connections of one user.",
        show: |c| c.limits.connections_per_user.to_string(),
        put: |c, v| v.whole(0..=1_000_000).map(|value| c.limits.connections_per_user = value),
    },
    Setting {
        name: "limits.connections_per_address",
        about: "WebSocket connections from one address. A whole campus may come from one.",
        show: |c| c.limits.connections_per_address.to_string(),
        put: |c, v| v.whole(0..=1_000_000).map(|value| c.limits.connections_per_address = value),
    },
    Setting {
        name: "alerts.retention_days",
        about: "Days for which alerts are kept, and a client that was away can catch up.",
        show: |c| c.alerts.retention_days.to_string(),
        put: |c, v| v.whole(1..=36_500).map(|value| c.alerts.retention_days = value),
    },
    Setting {
        name: "log.filter",
        about: "error, warn, info, debug or trace; also for one part: \"info,eduhub::actors=debug\". RUST_LOG counts before it.",
        show: |c| quoted(&c.log.filter),
        put: |c, v| log_filter(v).map(|value| c.log.filter = value),
    },
];

fn list(texts: &[String]) -> String {
    toml::Value::Array(texts.iter().map(|text| toml::Value::String(text.clone())).collect()).to_string()
}

fn name(given: &Given) -> Read<String> {
    let text = given.text()?;
    let ok = (1..=200).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if ok { Ok(text) } else { Err("must be text of 1 to 200 characters".to_owned()) }
}

/// A user name; empty: none yet.
fn user(given: &Given) -> Read<String> {
    let text = given.text()?;
    if text.is_empty() || UserName::parse(&text).is_ok() {
        Ok(text)
    } else {
        Err(format!("{text:?} is not a user name"))
    }
}

fn timezone(given: &Given) -> Read<TimeZone> {
    let text = given.text()?;
    TimeZone::get(&text).map_err(|_| format!("{text:?} is not a time zone, such as \"America/New_York\""))
}

fn address(given: &Given) -> Read<SocketAddr> {
    let text = given.text()?;
    text.parse().map_err(|_| format!("{text:?} is not an address with a port, such as \"127.0.0.1:8000\""))
}

fn origin(given: &Given) -> Read<Option<String>> {
    let text = given.text()?;
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

/// The address of a Plone site: an origin and perhaps a path.
fn site(given: &Given) -> Read<Option<String>> {
    let text = given.text()?;
    if text.is_empty() {
        return Ok(None);
    }
    let trimmed = text.trim_end_matches('/');
    if trimmed.starts_with("https://") {
        return Err(format!(
            "{text:?} is https, which the hub does not speak to Plone: name Plone's own address, over http"
        ));
    }
    let rest = trimmed.strip_prefix("http://");
    match rest.filter(|r| !r.is_empty() && !r.starts_with('/') && !r.contains(['?', '#', '@', ' '])) {
        Some(_) => Ok(Some(trimmed.to_owned())),
        None => Err(format!("{text:?} is not the address of a site, such as \"http://127.0.0.1:8080/Plone\"")),
    }
}

fn folder(given: &Given) -> Read<String> {
    let text = given.text()?;
    let path = text.trim_matches('/');
    let good = |piece: &str| !piece.is_empty() && piece.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    if path.split('/').all(|piece| good(piece) && piece != "." && piece != "..") {
        Ok(format!("/{path}"))
    } else {
        Err(format!("{text:?} is not a folder of the site, such as \"/courses\""))
    }
}

fn store(given: &Given) -> Read<PathBuf> {
    let text = given.text()?;
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        return Err("PostgreSQL is not available in this version: use \"sqlite:PATH\"".to_owned());
    }
    match text.strip_prefix("sqlite:").filter(|path| !path.is_empty()) {
        Some(path) => Ok(PathBuf::from(path)),
        None => Err("must be \"sqlite:PATH\", such as \"sqlite:var/eduhub.db\"".to_owned()),
    }
}

fn bus(given: &Given) -> Read<BusUrl> {
    match given.text()?.as_str() {
        "local" => Ok(BusUrl::Local),
        text if text.starts_with("nats://") => Err("NATS is not available in this version: use \"local\"".to_owned()),
        _ => Err("must be \"local\"".to_owned()),
    }
}

fn log_filter(given: &Given) -> Read<String> {
    let text = given.text()?;
    let is_level = |piece: &str| piece.rsplit('=').next().is_some_and(|l| l.parse::<log::LevelFilter>().is_ok());
    if text.split(',').map(str::trim).all(is_level) {
        Ok(text)
    } else {
        Err("must be a level or a list of them, such as \"info\" or \"info,eduhub::actors=debug\"".to_owned())
    }
}

fn secret(given: &Given) -> Read<Option<SecretString>> {
    let text = given.text()?;
    match text.len() {
        0 => Ok(None),
        SECRET_LEN_MIN.. => Ok(Some(text.into())),
        len => Err(format!("must have at least {SECRET_LEN_MIN} bytes; this one has {len}")),
    }
}
