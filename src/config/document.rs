//! The document `config.toml`, which `eduhub default-config` prints: every setting with its description and default.

use std::fmt::Write;

use crate::config::Config;
use crate::config::auth_settings::OIDC_DOCUMENT;
use crate::config::settings::all;

/// The sections in the order of `config.toml`, each with its description.
const SECTIONS: [(&str, &str); 14] = [
    ("college", "The college that runs the hub."),
    ("server", "The HTTP server."),
    ("store", "The database."),
    ("bus", "The transport of events between parts of the hub, and between hubs."),
    ("auth", "Sign-ins and tokens."),
    ("auth.proxy", "A web server in front of the hub that signs users in with SAML, Shibboleth or CAS: docs/SSO.md."),
    (
        "roles",
        "Who gets each role after single sign-on: \"group:NAME\", \"CLAIM=VALUE\", or \"*\" for everyone. The highest\n\
         role counts. Users without a role are refused.",
    ),
    ("plone", "The college's Plone site. Without a url, the hub runs without Plone."),
    (
        "plone.roles",
        "The Plone roles and groups (\"group:NAME\") that give each role in the hub. The highest role counts.",
    ),
    ("registration", "Registration rules, and limits of the registration engine."),
    ("limits", "Limits per caller. 0 means no limit."),
    ("alerts", "Alerts."),
    ("privacy", "Personal data. 0 turns a setting off."),
    ("log", "The log, which is written to standard error."),
];

/// The beginning of `config.toml`.
const HEADER: &str = "\
# The settings of EduHub, with their defaults.
# `eduhub default-config` prints this file. `eduhub check-config` checks a file.
# Environment variables override the file: EDUHUB_SERVER__BIND=127.0.0.1:9000 sets bind in [server].
";

/// The end of `config.toml`: the sections without default settings.
const FOOTER: &str = "
# Additional names of columns in this college's schedules, such as:
# capacity = [\"Max Enrl\", \"Room limit\"]
# As an environment variable: EDUHUB_IMPORT__COLUMNS__CAPACITY=\"Max Enrl,Room limit\"
[import.columns]

# Names of fields of the college's section type in Plone that differ from the hub's names. The hub's names are title,
# term, crn, course, component, section, credits, instructor, capacity, waitlist_capacity, meetings, seats_taken,
# waitlisted and roster. For example:
# capacity = \"max_seats\"
# As an environment variable: EDUHUB_PLONE__FIELDS__CAPACITY=max_seats
[plone.fields]

# Staff who are limited to subjects: for each group or claim in [roles], the subjects whose sections they may work with,
# or \"*\" for all subjects. An entry gives no role. Staff who match several entries have the subjects of all of them. As
# soon as there is an entry, staff who match none cannot work with any subject. docs/SSO.md and docs/SECURITY.md describe
# what limited staff may do. For example:
# \"group:math-office\" = [\"MATH\", \"STAT\"]
# \"department=arts\" = [\"ART\"]
# \"group:registrars\" = [\"*\"]
[roles.subjects]

# The names by which schedules list instructors, for users with the role instructor. Without an entry, the username and
# the display name count, unless they could also mean another user. Display names from Plone do not count, because
# members can change them. For example:
# asmith = [\"Smith, A\", \"Dr. Smith\"]
[roles.names]

# Like [roles.subjects], for staff who sign in through Plone: by Plone's roles and groups.
[plone.roles.subjects]
";

/// Returns `config.toml` with every setting at its default.
#[must_use]
pub fn default_document() -> String {
    let config = Config::default();
    let mut document = HEADER.to_owned();
    for (section, about) in SECTIONS {
        let about = about.replace('\n', "\n# ");
        // Writing to a String cannot fail.
        let _ = write!(document, "\n# {about}\n[{section}]\n");
        for setting in all() {
            let Some((of, key)) = setting.name.rsplit_once('.') else { continue };
            if of == section {
                for line in setting.about.lines() {
                    let _ = writeln!(document, "# {line}");
                }
                let _ = writeln!(document, "{key} = {}", (setting.show)(&config));
            }
        }
    }
    document + OIDC_DOCUMENT + FOOTER
}
