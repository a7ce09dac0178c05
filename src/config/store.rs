//! The setting `[store] url`: the embedded store, or one on PostgreSQL.

use std::fmt;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use tokio_postgres::config::Host;

use crate::config::value::{RawValue, ValueResult};

/// `[store]`: the store.
#[derive(Debug, Clone)]
pub struct Store {
    /// `[store] url`.
    pub url: StoreUrl,
    /// Whether `url` is the default: the settings name no store.
    pub is_default: bool,
}

/// The kind of the store and its place.
#[derive(Debug, Clone)]
pub enum StoreUrl {
    /// `sqlite:PATH`: the embedded store in this file.
    Sqlite(PathBuf),
    /// `postgres://…`: a database that several hubs share.
    Postgres(PostgresUrl),
}

/// The URL of a PostgreSQL database, which may contain a password.
#[derive(Debug, Clone)]
pub struct PostgresUrl {
    url: SecretString,
    /// The database, user and servers, without the password.
    shown: String,
}

impl Store {
    /// The default store of a college.
    pub const COLLEGE: &str = "var/eduhub.db";
    /// The default store of the demonstration. It is separate, so that its accounts, whose passwords are public, never
    /// reach the store of a college.
    pub const DEMONSTRATION: &str = "var/demo.db";
    /// The beginning of the names of a hub's own files, if the store is on PostgreSQL: the lock of the folder, uploads
    /// that wait for their import, and lists of the errors in them.
    pub const HUB: &str = "var/hub";

    /// Changes a default store to that of the demonstration.
    pub fn prefer_demonstration(&mut self) {
        if self.is_default {
            self.url = StoreUrl::Sqlite(Self::DEMONSTRATION.into());
        }
    }

    /// Returns the file of the embedded store; `None` if the store is on PostgreSQL.
    #[must_use]
    pub fn sqlite_path(&self) -> Option<&Path> {
        match &self.url {
            StoreUrl::Sqlite(path) => Some(path),
            StoreUrl::Postgres(_) => None,
        }
    }

    /// Returns the beginning of the names of the hub's own files: the file of the embedded store, beside which they
    /// are, or [`Self::HUB`].
    #[must_use]
    pub fn files(&self) -> &Path {
        self.sqlite_path().unwrap_or(Path::new(Self::HUB))
    }

    /// Parses a URL that an operator gave to a command.
    ///
    /// # Errors
    /// What is wrong with it, without a password.
    pub fn from_url(text: &str) -> Result<Self, String> {
        Self::parse(&RawValue::Text(text.to_owned()))
    }

    /// Parses the value of `[store] url`.
    pub(super) fn parse(value: &RawValue) -> ValueResult<Self> {
        let text = value.text()?;
        if text.is_empty() {
            return Ok(Self::default());
        }
        let given = |url| Self { url, is_default: false };
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return PostgresUrl::parse(text).map(StoreUrl::Postgres).map(given);
        }
        match text.strip_prefix("sqlite:").filter(|path| !path.is_empty()) {
            Some(path) => Ok(given(StoreUrl::Sqlite(PathBuf::from(path)))),
            None => Err("must be \"sqlite:PATH\", such as \"sqlite:var/eduhub.db\", or \"postgres://…\"".to_owned()),
        }
    }
}

impl Default for Store {
    fn default() -> Self {
        Self { url: StoreUrl::Sqlite(Self::COLLEGE.into()), is_default: true }
    }
}

/// Writes the path or the database, without the password.
impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.url {
            StoreUrl::Sqlite(path) => path.display().fmt(f),
            StoreUrl::Postgres(url) => url.fmt(f),
        }
    }
}

impl PostgresUrl {
    /// Parses a URL. The error contains no part of the URL, because that part may belong to the password.
    fn parse(url: String) -> ValueResult<Self> {
        let Ok(settings) = url.parse::<tokio_postgres::Config>() else {
            return Err("is not the URL of a PostgreSQL database, such as \
                        \"postgres://eduhub:PASSWORD@db.college.edu/eduhub\"; characters such as @ / ? # % in the \
                        password must be percent-encoded"
                .to_owned());
        };
        let missing = |what: &str| Err(format!("must state the {what}: postgres://USER:PASSWORD@HOST/DATABASE"));
        let (Some(user), Some(database)) = (settings.get_user(), settings.get_dbname()) else {
            return missing("user and the database");
        };
        if settings.get_hosts().is_empty() {
            return missing("host");
        }
        let ports = settings.get_ports();
        let server = |(at, host): (usize, &Host)| {
            let host = match host {
                Host::Tcp(name) => name.clone(),
                Host::Unix(folder) => folder.display().to_string(),
            };
            match ports.get(at).or(ports.first()) {
                Some(port) => format!("{host}:{port}"),
                None => host,
            }
        };
        let servers: Vec<String> = settings.get_hosts().iter().enumerate().map(server).collect();
        let shown = format!("PostgreSQL database {database:?} of {user:?} at {}", servers.join(", "));
        Ok(Self { url: url.into(), shown })
    }

    /// Returns the URL with the password.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.url.expose_secret()
    }
}

/// Writes the database, user and servers, without the password.
impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> ValueResult<Store> {
        Store::parse(&RawValue::Text(url.to_owned()))
    }

    #[test]
    fn the_password_of_a_database_is_not_shown() {
        let store = parse("postgres://eduhub:s3cret@db1.college.edu:5433,db2.college.edu/hub?sslmode=require").unwrap();
        let shown = "PostgreSQL database \"hub\" of \"eduhub\" at db1.college.edu:5433, db2.college.edu";
        assert!(store.to_string().starts_with(shown), "{store}");
        assert!(!format!("{store} {store:?}").contains("s3cret"), "{store:?}");
        assert!(matches!(&store.url, StoreUrl::Postgres(url) if url.expose().contains("s3cret")));
        assert_eq!((store.files(), store.sqlite_path()), (Path::new("var/hub"), None));
    }

    #[test]
    fn errors_in_the_url_of_a_database_do_not_contain_it() {
        for wrong in [
            "postgres://eduhub:s3cret@db:port/hub",
            "postgres://eduhub:s3cret@db/hub?s3cret=1",
            "postgres://eduhub:s3cret@db",
            "postgres://db/hub",
        ] {
            let error = parse(wrong).map(|store| store.to_string()).unwrap_err();
            assert!(!error.contains("s3cret"), "{wrong}: {error}");
        }
    }

    #[test]
    fn the_embedded_store_is_a_path() {
        let store = parse("sqlite:x/y.db").unwrap();
        assert_eq!((store.sqlite_path(), store.to_string().as_str()), (Some(Path::new("x/y.db")), "x/y.db"));
        assert!(parse("sqlite:").is_err() && parse("mysql://db/hub").is_err());
    }
}
