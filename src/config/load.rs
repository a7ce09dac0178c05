//! The file, then the environment; and everything that is wrong with them, told at once.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::config::settings::SETTINGS;
use crate::config::value::{Given, Read};
use crate::domain::fields::SectionField;

/// The file that is read when none is named, if there is one.
pub const DEFAULT_FILE: &str = "config.toml";

/// What the environment's names of settings begin with.
const PREFIX: &str = "EDUHUB_";

/// The section whose keys are the importer's columns.
const COLUMNS: &str = "import.columns";

/// The section whose keys are fields of a section in Plone.
const FIELDS: &str = "plone.fields";

/// Settings that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadSettings(
    /// Each problem as one sentence that begins with the setting's full name, or with the file.
    pub Vec<String>,
);

impl fmt::Display for BadSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [one] => f.write_str(one),
            all => write!(f, "{} settings are wrong:\n  {}", all.len(), all.join("\n  ")),
        }
    }
}

impl std::error::Error for BadSettings {}

impl Config {
    /// Reads `file` (or `./config.toml` when none is named and there is one) and then the environment.
    ///
    /// # Errors
    /// Every unknown name and bad value, by its full name.
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, BadSettings> {
        let default = PathBuf::from(DEFAULT_FILE);
        let file = file.or_else(|| default.exists().then_some(default.as_path()));
        let mut loading = Loading { config: Self::default(), problems: Vec::new() };
        if let Some(file) = file {
            match std::fs::read_to_string(file) {
                Ok(text) => loading.read_document(&text, &file.display().to_string()),
                Err(error) => loading.problems.push(format!("{} cannot be read: {error}", file.display())),
            }
        }
        loading.read_environment(environment);
        loading.finish().map_err(BadSettings)
    }
}

struct Loading {
    config: Config,
    problems: Vec<String>,
}

impl Loading {
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

    /// A value of the document; tables are looked into.
    fn read_toml(&mut self, name: &str, value: toml::Value) {
        match value {
            toml::Value::Table(table) if is_section(name) => {
                for (key, value) in table {
                    self.read_toml(&format!("{name}.{key}"), value);
                }
            }
            value => self.put(name, name, &Given::Toml(value)),
        }
    }

    fn read_environment(&mut self, environment: impl IntoIterator<Item = (OsString, OsString)>) {
        let mut all: Vec<_> = environment
            .into_iter()
            .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
            .filter(|(name, _)| name.starts_with(PREFIX))
            .collect();
        // The environment has no order: problems are told in that of the alphabet.
        all.sort();
        for (variable, value) in all {
            let name = variable[PREFIX.len()..].to_lowercase().replace("__", ".");
            self.put(&name, &variable, &Given::Text(value));
        }
    }

    /// What was read, if nothing is wrong: first each value by itself, then one beside the other.
    fn finish(mut self) -> Result<Config, Vec<String>> {
        let plone = &self.config.plone;
        if self.problems.is_empty() && plone.url.is_some() && plone.username.is_empty() {
            self.problems.push("plone.username must name the hub's own user there, since plone.url is set".to_owned());
        }
        if self.problems.is_empty() { Ok(self.config) } else { Err(self.problems) }
    }

    /// Puts one value; `told_as` is what its author wrote. A problem has both names.
    fn put(&mut self, name: &str, told_as: &str, given: &Given) {
        let both = || if name == told_as { name.to_owned() } else { format!("{name} ({told_as})") };
        match put(&mut self.config, name, given) {
            Some(Ok(())) => {}
            Some(Err(what)) => self.problems.push(format!("{} {what}", both())),
            None => {
                let hint = nearest(name).map(|known| format!("; did you mean {}?", spelled_like(told_as, known)));
                self.problems.push(format!("{} is not a setting{}", both(), hint.unwrap_or_default()));
            }
        }
    }
}

/// Puts a value; none if there is no such setting.
fn put(config: &mut Config, name: &str, given: &Given) -> Option<Read<()>> {
    if let Some(column) = name.strip_prefix(COLUMNS).and_then(|rest| rest.strip_prefix('.')) {
        return Some(given.texts().map(|names| {
            config.import.columns.insert(column.to_owned(), names);
        }));
    }
    if let Some(field) = name.strip_prefix(FIELDS).and_then(|rest| rest.strip_prefix('.')) {
        let field = SectionField::parse(field)?;
        return Some(given.text().and_then(|theirs| {
            let good = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if theirs.is_empty() || !theirs.chars().all(good) {
                return Err("must be the name of a field: letters, digits and _".to_owned());
            }
            config.plone.fields.insert(field, theirs);
            Ok(())
        }));
    }
    SETTINGS.iter().find(|setting| setting.name == name).map(|setting| (setting.put)(config, given))
}

/// Whether a table may stand under this name.
fn is_section(name: &str) -> bool {
    let inside = format!("{name}.");
    [COLUMNS, FIELDS].iter().any(|open| name == *open || open.starts_with(&inside))
        || SETTINGS.iter().any(|s| s.name.starts_with(&inside))
}

/// A setting's name, as it is written where `told_as` was found.
fn spelled_like(told_as: &str, known: &str) -> String {
    if told_as.starts_with(PREFIX) {
        format!("{PREFIX}{}", known.replace('.', "__").to_uppercase())
    } else {
        known.to_owned()
    }
}

/// The most letters that may differ in a name that was probably meant.
const DISTANCE_MAX: usize = 3;

/// The setting that was probably meant.
fn nearest(name: &str) -> Option<&'static str> {
    let known = SETTINGS.iter().map(|s| (strsim::levenshtein(name, s.name), s.name));
    known.min().filter(|(distance, _)| *distance <= DISTANCE_MAX).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::default_document;
    use crate::domain::section::Credits;

    fn read(document: &str, environment: &[(&str, &str)]) -> Result<Config, Vec<String>> {
        let mut loading = Loading { config: Config::default(), problems: Vec::new() };
        loading.read_document(document, "config.toml");
        loading.read_environment(environment.iter().map(|(n, v)| (OsString::from(n), OsString::from(v))));
        loading.finish()
    }

    #[test]
    fn the_file_at_the_root_is_what_default_config_prints() {
        let root = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/config.toml")).unwrap();
        assert!(root == default_document(), "write it anew: `eduhub default-config > config.toml`");
    }

    #[test]
    fn the_default_document_reads_as_the_defaults_and_has_every_setting() {
        let document = default_document();
        assert_eq!(format!("{:?}", read(&document, &[]).unwrap()), format!("{:?}", Config::default()));
        for setting in &SETTINGS {
            let key = setting.name.rsplit_once('.').unwrap().1;
            assert!(document.contains(&format!("\n{key} = ")), "{} has no line", setting.name);
        }
    }

    #[test]
    fn the_environment_counts_before_the_file() {
        let file = "[server]\nbind = \"127.0.0.1:1\"\n[registration]\ncredit_limit = 7.5\n";
        let config = read(file, &[("EDUHUB_SERVER__BIND", "127.0.0.1:9000"), ("PATH", "/bin")]).unwrap();
        assert_eq!(config.server.bind.port(), 9000);
        assert_eq!(config.registration.credit_limit, Credits(7_500));
    }

    #[test]
    fn columns_take_further_names_from_both() {
        let file = "[import.columns]\ncapacity = [\"Max Enrl\"]\ntitle = \"Name\"\n";
        let config = read(file, &[("EDUHUB_IMPORT__COLUMNS__CRN", "Ref, No")]).unwrap();
        let columns: Vec<_> = config.import.columns.iter().map(|(c, n)| (c.as_str(), n.join("|"))).collect();
        assert_eq!(columns, [("capacity", "Max Enrl".into()), ("crn", "Ref|No".into()), ("title", "Name".into())]);
    }

    #[test]
    fn fields_of_plone_take_the_names_of_the_colleges_type() {
        let file = "[plone.fields]\ncapacity = \"max_seats\"\n[plone.roles]\nstaff = [\"Editor\", \"group:deans\"]\n";
        let config = read(file, &[("EDUHUB_PLONE__FIELDS__CRN", "ref")]).unwrap();
        let name = |field| config.plone.field_name(field);
        assert_eq!((name(SectionField::Capacity), name(SectionField::Crn)), ("max_seats", "ref"));
        assert_eq!(name(SectionField::Roster), "roster");
        assert_eq!(config.plone.roles.staff, ["Editor", "group:deans"]);
        assert!(read("[plone.fields]\nseats = \"x\"\n", &[]).is_err(), "seats is not a field");
        assert!(read("[plone.fields]\ncrn = \"a b\"\n", &[]).is_err(), "a b is not a name");
    }

    #[test]
    fn a_hub_before_plone_has_a_name_there() {
        let read = |document: &str| read(document, &[]).map(|config| config.plone.username);
        assert_eq!(read("[plone]\nurl = \"http://p\"\nusername = \"hub@college.edu\"\n").unwrap(), "hub@college.edu");
        assert_eq!(read("[plone]\nusername = \"\"\n").unwrap(), "", "without Plone there is none");
        for (document, problem) in [
            ("[plone]\nurl = \"http://p\"\n", "plone.username must name the hub's own user there"),
            ("[plone]\nurl = \"http://p\"\nusername = \"the hub\"\n", "plone.username \"the hub\" is not a user name"),
            ("[plone]\nusername = \"the hub\"\n", "plone.username \"the hub\" is not a user name"),
        ] {
            let problems = read(document).unwrap_err();
            assert!(problems.len() == 1 && problems[0].starts_with(problem), "{problems:?}");
        }
    }

    #[test]
    fn everything_wrong_is_told_at_once_by_its_full_name() {
        let file = "colour = 1\n[server]\nbnid = \"x\"\nworkers = \"two\"\nbind = \"here\"\n[plone]\nurl = \"p\"\n\
                    [store]\nurl = \"postgres://db/hub\"\n[bus]\nurl = \"nats://n\"\n[auth]\nsecret = \"short\"\n";
        let problems = read(file, &[("EDUHUB_SERVER_BIND", "x"), ("EDUHUB_LIMITS__LOGIN_PER_MINUTE", "-1")]);
        let problems = problems.unwrap_err();
        let expected = [
            "colour is not a setting",
            "server.bnid is not a setting; did you mean server.bind?",
            "server.workers must be a whole number from 0 to 256",
            "server.bind \"here\" is not an address with a port",
            "plone.url \"p\" is not the address of a site",
            "store.url PostgreSQL is not available in this version",
            "bus.url NATS is not available in this version",
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
    fn a_file_that_is_not_toml_is_told_with_its_line() {
        let problems = read("[server]\nbind = \"127.0.0.1:8000\"\nworkers = = 2\n", &[]).unwrap_err();
        assert!(problems[0].starts_with("config.toml, line 3: "), "{problems:?}");
    }

    #[test]
    fn an_origin_has_a_scheme_and_a_host_and_nothing_else() {
        let origin = |url: &str| read(&format!("[server]\npublic_url = \"{url}\"\n"), &[]).map(|c| c.server.public_url);
        assert_eq!(origin("https://Hub.College.edu/"), Ok(Some("https://hub.college.edu".to_owned())));
        assert_eq!(origin(""), Ok(None));
        for bad in ["hub.college.edu", "ftp://hub", "https://", "https://hub/path"] {
            assert!(origin(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_secret_is_never_shown() {
        let config = read("", &[("EDUHUB_AUTH__SECRET", "0123456789abcdef0123456789abcdef")]).unwrap();
        assert!(!format!("{config:?}").contains("0123456789abcdef"));
    }
}
