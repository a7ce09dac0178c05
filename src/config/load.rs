//! Reads the settings from the file and then the environment, and reports all errors together.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::config::auth_settings::{self, OIDC};
use crate::config::bus;
use crate::config::settings::all;
use crate::config::value::{RawValue, ValueResult};
use crate::config::{Config, StoreUrl};
use crate::domain::fields::SectionField;
use crate::domain::ids::UserName;
use crate::domain::rights::Subjects;
use crate::domain::role::StaffSubjects;

/// The settings file that is read if none is named and it exists.
pub const DEFAULT_FILE: &str = "config.toml";

/// The prefix of environment variables that are settings.
const PREFIX: &str = "EDUHUB_";

/// The section whose keys are columns of the importer.
const COLUMNS: &str = "import.columns";

/// The section whose keys are fields of sections in Plone.
const FIELDS: &str = "plone.fields";

/// The sections whose keys are roles, groups and claims, and whose values are subjects.
const SUBJECTS: [&str; 2] = ["roles.subjects", "plone.roles.subjects"];

/// The subject that stands for all subjects.
const ALL_SUBJECTS: &str = "*";

/// The section whose keys are usernames, and whose values are names in schedules.
const NAMES: &str = "roles.names";

/// The errors in the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidSettings(
    /// One sentence per error, which contains the full name of the setting or the name of the file.
    pub Vec<String>,
);

impl fmt::Display for InvalidSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [one] => f.write_str(one),
            all => write!(f, "{} settings are invalid:\n  {}", all.len(), all.join("\n  ")),
        }
    }
}

impl std::error::Error for InvalidSettings {}

impl Config {
    /// Reads `file`, or `./config.toml` if `file` is `None` and that file exists, and then the environment.
    ///
    /// # Errors
    /// When the file cannot be read or is not TOML, or when a setting is unknown, invalid or missing.
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, InvalidSettings> {
        let default = PathBuf::from(DEFAULT_FILE);
        let file = file.or_else(|| default.exists().then_some(default.as_path()));
        let mut loader = Loader { config: Self::default(), problems: Vec::new() };
        if let Some(file) = file {
            match std::fs::read_to_string(file) {
                Ok(text) => loader.read_document(&text, &file.display().to_string()),
                Err(error) => loader.problems.push(format!("cannot read {}: {error}", file.display())),
            }
        }
        loader.read_environment(environment);
        loader.finish().map_err(InvalidSettings)
    }
}

struct Loader {
    config: Config,
    problems: Vec<String>,
}

impl Loader {
    fn read_document(&mut self, text: &str, file: &str) {
        match text.parse::<toml::Table>() {
            Ok(table) => {
                for (name, value) in table {
                    self.read_toml(&name, value);
                }
            }
            Err(error) => {
                let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
                let line = before.matches('\n').count() + 1;
                let what = error.message().replace('\n', ", ");
                self.problems.push(format!("{file}, line {line}: {what}"));
            }
        }
    }

    /// Sets the value of `name`, or those inside it if it is a table.
    fn read_toml(&mut self, name: &str, value: toml::Value) {
        match value {
            toml::Value::Table(table) if is_section(name) => {
                for (key, value) in table {
                    self.read_toml(&format!("{name}.{key}"), value);
                }
            }
            value => self.set(name, name, &RawValue::Toml(value)),
        }
    }

    fn read_environment(&mut self, environment: impl IntoIterator<Item = (OsString, OsString)>) {
        let mut all: Vec<_> = environment
            .into_iter()
            .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
            .filter(|(name, _)| name.starts_with(PREFIX))
            .collect();
        // The environment has no order; sorting makes the order of errors deterministic.
        all.sort();
        for (variable, value) in all {
            let name = variable[PREFIX.len()..].to_lowercase().replace("__", ".");
            self.set(&name, &variable, &RawValue::Text(value));
        }
    }

    /// Checks the settings that depend on each other, and returns the settings if there is no error.
    fn finish(mut self) -> Result<Config, Vec<String>> {
        let plone = &self.config.plone;
        if self.problems.is_empty() && plone.url.is_some() && plone.username.is_empty() {
            self.problems.push("plone.username must be set because plone.url is set".to_owned());
        }
        if self.problems.is_empty() {
            self.problems = store_problems(&self.config);
        }
        if self.problems.is_empty() {
            self.problems = auth_settings::problems(&self.config);
            self.problems.extend(bus::problems(&self.config));
        }
        if self.problems.is_empty() { Ok(self.config) } else { Err(self.problems) }
    }

    /// Sets one value. `written_as` is the name in the file or the environment; errors contain both names.
    fn set(&mut self, name: &str, written_as: &str, value: &RawValue) {
        let both = || if name == written_as { name.to_owned() } else { format!("{name} ({written_as})") };
        match set_value(&mut self.config, name, value) {
            Some(Ok(())) => {}
            Some(Err(what)) => self.problems.push(format!("{} {what}", both())),
            None => {
                let hint =
                    closest_setting(name).map(|known| format!("; did you mean {}?", in_style_of(written_as, known)));
                self.problems.push(format!("{} is not a setting{}", both(), hint.unwrap_or_default()));
            }
        }
    }
}

/// Returns what is wrong with the other settings if the store is on PostgreSQL.
fn store_problems(config: &Config) -> Vec<String> {
    let needs_secret = matches!(config.store.url, StoreUrl::Postgres(_)) && config.auth.secret.is_none();
    let why = "because store.url is a PostgreSQL database: all hubs sign tokens with the same secret";
    needs_secret.then(|| format!("auth.secret must be set {why}")).into_iter().collect()
}

/// Sets a value. Returns `None` if there is no such setting.
fn set_value(config: &mut Config, name: &str, value: &RawValue) -> Option<ValueResult<()>> {
    if let Some(column) = name.strip_prefix(COLUMNS).and_then(|rest| rest.strip_prefix('.')) {
        return Some(value.text_list().map(|names| {
            config.import.columns.insert(column.to_owned(), names);
        }));
    }
    if let Some(field) = name.strip_prefix(FIELDS).and_then(|rest| rest.strip_prefix('.')) {
        let field = SectionField::parse(field)?;
        return Some(value.text().and_then(|theirs| {
            let good = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if theirs.is_empty() || !theirs.chars().all(good) {
                return Err("must be a field name of letters, digits and _".to_owned());
            }
            config.plone.fields.insert(field, theirs);
            Ok(())
        }));
    }
    if let Some((section, who)) = SUBJECTS.iter().find_map(|s| Some((*s, name.strip_prefix(s)?.strip_prefix('.')?))) {
        let roles = if section == SUBJECTS[0] { &mut config.auth.roles } else { &mut config.plone.roles };
        return Some(value.text_list().and_then(|names| {
            roles.subjects.insert(who.to_owned(), staff_subjects(&names)?);
            Ok(())
        }));
    }
    if let Some(user) = name.strip_prefix(NAMES).and_then(|rest| rest.strip_prefix('.')) {
        return Some(value.text_list().and_then(|names| {
            let user = UserName::parse(user).map_err(|_| "does not end with a username".to_owned())?;
            config.auth.names.add(&user, &names)
        }));
    }
    if let Some(rest) = name.strip_prefix(OIDC).and_then(|rest| rest.strip_prefix('.')) {
        return auth_settings::set_oidc(&mut config.auth, rest, value);
    }
    all().find(|setting| setting.name == name).map(|setting| (setting.set)(config, value))
}

/// Parses the value of an entry of `[roles.subjects]` or `[plone.roles.subjects]`.
fn staff_subjects(names: &[String]) -> Result<StaffSubjects, String> {
    if names.iter().any(|name| name.trim() == ALL_SUBJECTS) {
        let alone = names.len() == 1;
        return if alone {
            Ok(StaffSubjects::All)
        } else {
            Err("must not list \"*\" together with subjects".to_owned())
        };
    }
    Subjects::parse(names).map(StaffSubjects::Only).map_err(|error| format!("{error}, or \"*\" for all subjects"))
}

/// Returns whether `name` is a section, so that its value is a table.
fn is_section(name: &str) -> bool {
    let inside = format!("{name}.");
    [COLUMNS, FIELDS, NAMES].iter().chain(&SUBJECTS).any(|open| name == *open || open.starts_with(&inside))
        || name == OIDC
        || name.strip_prefix(OIDC).is_some_and(|rest| rest.starts_with('.') && rest.matches('.').count() == 1)
        || all().any(|s| s.name.starts_with(&inside))
}

/// Returns the name of the setting `known` in the style of `written_as`: for the environment, or for the file.
fn in_style_of(written_as: &str, known: &str) -> String {
    if written_as.starts_with(PREFIX) {
        format!("{PREFIX}{}", known.replace('.', "__").to_uppercase())
    } else {
        known.to_owned()
    }
}

/// The maximum edit distance of a suggested name.
const DISTANCE_MAX: usize = 3;

/// Returns the name of a setting that is closest to `name`; `None` if each is farther away than [`DISTANCE_MAX`].
fn closest_setting(name: &str) -> Option<&'static str> {
    let known = all().map(|s| (strsim::levenshtein(name, s.name), s.name));
    known.min().filter(|(distance, _)| *distance <= DISTANCE_MAX).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::default_document;
    use crate::domain::section::Credits;

    fn read(document: &str, environment: &[(&str, &str)]) -> Result<Config, Vec<String>> {
        let mut loader = Loader { config: Config::default(), problems: Vec::new() };
        loader.read_document(document, "config.toml");
        loader.read_environment(environment.iter().map(|(n, v)| (OsString::from(n), OsString::from(v))));
        loader.finish()
    }

    #[test]
    fn config_toml_equals_the_default_document() {
        let root = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/config.toml")).unwrap();
        assert!(root == default_document(), "regenerate it: `eduhub default-config > config.toml`");
    }

    #[test]
    fn default_document_has_every_setting_at_its_default() {
        let document = default_document();
        assert_eq!(format!("{:?}", read(&document, &[]).unwrap()), format!("{:?}", Config::default()));
        for setting in all() {
            let key = setting.name.rsplit_once('.').unwrap().1;
            assert!(document.contains(&format!("\n{key} = ")), "{} has no line", setting.name);
        }
    }

    #[test]
    fn the_environment_overrides_the_file() {
        let file = "[server]\nbind = \"127.0.0.1:1\"\n[registration]\ncredit_limit = 7.5\n";
        let config = read(file, &[("EDUHUB_SERVER__BIND", "127.0.0.1:9000"), ("PATH", "/bin")]).unwrap();
        assert_eq!(config.server.bind.port(), 9000);
        assert_eq!(config.registration.credit_limit, Credits(7_500));
    }

    #[test]
    fn column_names_come_from_file_and_environment() {
        let file = "[import.columns]\ncapacity = [\"Max Enrl\"]\ntitle = \"Name\"\n";
        let config = read(file, &[("EDUHUB_IMPORT__COLUMNS__CRN", "Ref, No")]).unwrap();
        let columns: Vec<_> = config.import.columns.iter().map(|(c, n)| (c.as_str(), n.join("|"))).collect();
        assert_eq!(columns, [("capacity", "Max Enrl".into()), ("crn", "Ref|No".into()), ("title", "Name".into())]);
    }

    #[test]
    fn plone_fields_and_roles_come_from_the_settings() {
        let file = "[plone.fields]\ncapacity = \"max_seats\"\n[plone.roles]\nstaff = [\"Editor\", \"group:deans\"]\n";
        let config = read(file, &[("EDUHUB_PLONE__FIELDS__CRN", "ref")]).unwrap();
        let name = |field| config.plone.field_name(field);
        assert_eq!((name(SectionField::Capacity), name(SectionField::Crn)), ("max_seats", "ref"));
        assert_eq!(name(SectionField::Roster), "roster");
        assert_eq!(config.plone.roles.staff, ["Editor", "group:deans"]);
        assert!(read("[plone.fields]\nseats = \"x\"\n", &[]).is_err(), "seats is not a field");
        assert!(read("[plone.fields]\ncrn = \"a b\"\n", &[]).is_err(), "a name with a space");
    }

    #[test]
    fn subjects_limit_groups_and_claims() {
        let file = "[roles.subjects]\n\"group:math\" = [\"math\", \"STAT\"]\n\"realm.roles=arts\" = \"ART\"\n\
                    \"group:registrars\" = \"*\"\n[plone.roles.subjects]\nReviewer = [\"Fine  Arts\"]\n\
                    Editor = [\"*\"]\n";
        let config = read(file, &[]).unwrap();
        let limits = |roles: &crate::domain::role::RoleMap| -> Vec<String> {
            let text = |subjects: &StaffSubjects| match subjects {
                StaffSubjects::All => "all".to_owned(),
                StaffSubjects::Only(subjects) => subjects.to_string(),
            };
            roles.subjects.iter().map(|(who, subjects)| format!("{who}: {}", text(subjects))).collect()
        };
        let expected = ["group:math: MATH and STAT", "group:registrars: all", "realm.roles=arts: ART"];
        assert_eq!(limits(&config.auth.roles), expected);
        assert_eq!(limits(&config.plone.roles), ["Editor: all", "Reviewer: FINE ARTS"]);
        for wrong in ["[]", "[\"*\", \"MATH\"]"] {
            let problems = read(&format!("[roles.subjects]\n\"group:math\" = {wrong}\n"), &[]).unwrap_err();
            assert!(problems[0].starts_with("roles.subjects.group:math must "), "{problems:?}");
        }
    }

    #[test]
    fn plone_username_is_required_with_plone_url() {
        let read = |document: &str| read(document, &[]).map(|config| config.plone.username);
        assert_eq!(read("[plone]\nurl = \"http://p\"\nusername = \"hub@college.edu\"\n").unwrap(), "hub@college.edu");
        assert_eq!(read("[plone]\nusername = \"\"\n").unwrap(), "", "no user is needed without Plone");
        for (document, problem) in [
            ("[plone]\nurl = \"http://p\"\n", "plone.username must be set because plone.url is set"),
            ("[plone]\nurl = \"http://p\"\nusername = \"the hub\"\n", "plone.username \"the hub\" is not a username"),
            ("[plone]\nusername = \"the hub\"\n", "plone.username \"the hub\" is not a username"),
        ] {
            let problems = read(document).unwrap_err();
            assert!(problems.len() == 1 && problems[0].starts_with(problem), "{problems:?}");
        }
    }

    #[test]
    fn a_store_on_postgresql_requires_a_secret() {
        let secret = "[auth]\nsecret = \"0123456789abcdef0123456789abcdef\"\n";
        let database = [("EDUHUB_STORE__URL", "postgres://eduhub:s3cret@db/hub")];
        assert!(read(secret, &database).is_ok());
        let problems = read("", &database).unwrap_err();
        assert!(problems.len() == 1 && problems[0].starts_with("auth.secret must be set because"), "{problems:?}");
        assert!(!problems[0].contains("s3cret"), "{problems:?}");
    }

    #[test]
    fn all_errors_are_reported_with_full_names() {
        let file = "color = 1\n[server]\nbnid = \"x\"\nworkers = \"two\"\nbind = \"here\"\n[plone]\nurl = \"p\"\n\
                    [store]\nurl = \"mysql://db/hub\"\n[bus]\nurl = \"nats:n\"\n[auth]\nsecret = \"short\"\n";
        let problems = read(file, &[("EDUHUB_SERVER_BIND", "x"), ("EDUHUB_LIMITS__LOGIN_PER_MINUTE", "-1")]);
        let problems = problems.unwrap_err();
        let expected = [
            "color is not a setting",
            "server.bnid is not a setting; did you mean server.bind?",
            "server.workers must be a whole number from 0 to 256",
            "server.bind \"here\" is not an address with a port",
            "plone.url \"p\" is not the URL of a site",
            "store.url must be \"sqlite:PATH\"",
            "bus.url must be \"local\" or the URL of a NATS server",
            "auth.secret must have at least 32 bytes; this one has 5",
            "server_bind (EDUHUB_SERVER_BIND) is not a setting; did you mean EDUHUB_SERVER__BIND?",
            "limits.login_per_minute (EDUHUB_LIMITS__LOGIN_PER_MINUTE) must be a whole number from 0 to 100000",
        ];
        for start in expected {
            assert!(problems.iter().any(|p| p.starts_with(start)), "{start:?} is not in {problems:#?}");
        }
        assert_eq!(problems.len(), expected.len(), "{problems:#?}");
    }

    #[test]
    fn toml_syntax_errors_have_a_line_number() {
        let problems = read("[server]\nbind = \"127.0.0.1:8000\"\nworkers = = 2\n", &[]).unwrap_err();
        assert!(problems[0].starts_with("config.toml, line 3: "), "{problems:?}");
    }

    #[test]
    fn origins_consist_of_scheme_and_host() {
        let origin = |url: &str| read(&format!("[server]\npublic_url = \"{url}\"\n"), &[]).map(|c| c.server.public_url);
        assert_eq!(origin("https://Hub.College.edu/"), Ok(Some("https://hub.college.edu".to_owned())));
        assert_eq!(origin(""), Ok(None));
        for bad in ["hub.college.edu", "ftp://hub", "https://", "https://hub/path"] {
            assert!(origin(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn trusted_proxies_are_networks_or_addresses_and_default_to_loopback() {
        let shown = |config: Config| config.server.trusted_proxies.iter().map(ToString::to_string).collect::<Vec<_>>();
        let file = |value: &str| read(&format!("[server]\ntrusted_proxies = {value}\n"), &[]).map(shown);
        assert_eq!(shown(read("", &[]).unwrap()), ["127.0.0.0/8", "::1/128"]);
        assert_eq!(file("[\"10.0.0.0/8\", \"2001:db8::1\"]").unwrap(), ["10.0.0.0/8", "2001:db8::1/128"]);
        let environment = read("", &[("EDUHUB_SERVER__TRUSTED_PROXIES", "192.0.2.7, 10.0.0.0/8")]).map(shown);
        assert_eq!(environment.unwrap(), ["192.0.2.7/32", "10.0.0.0/8"]);
        assert!(file("[]").unwrap().is_empty() && file("\"\"").unwrap().is_empty());
        for bad in ["[\"proxy.college.edu\"]", "[\"10.0.0.0/33\"]", "[\"\"]", "8"] {
            assert!(file(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn secrets_are_not_in_debug_output() {
        let config = read("", &[("EDUHUB_AUTH__SECRET", "0123456789abcdef0123456789abcdef")]).unwrap();
        assert!(!format!("{config:?}").contains("0123456789abcdef"));
    }
}
