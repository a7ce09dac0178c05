//! Reads every row of every table as the hub reads it, so that a value that the hub could not read is found before it
//! is needed.

use std::collections::HashMap;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};

use crate::domain::ids::{TermId, UserName};
use crate::domain::reservation::ReservedCounts;
use crate::store::sqlite::rows::{json_at, time_at, unreadable};
use crate::store::sqlite::{
    accounts, alert_log, attempts, audit, demo_reports, events, guardian_links, import_profiles, imports, members,
    plans, plone_items, provider_sign_ins, rights, rows, schedule_feeds, sign_ins, students,
};

/// A function that reads one row of a query.
type ReadRow = fn(&Row<'_>) -> rusqlite::Result<()>;

/// For each table: its name, the query that reads it (if it is empty, [`unreadable_rows`] builds the query), and the
/// function that must be able to read each row.
const TABLES: [(&str, &str, ReadRow); 40] = [
    (
        "terms",
        "SELECT id, title, starts_on, ends_on, opens_at, closes_at, holidays, seats_seq, generation, windows, \
         cutoffs, offers FROM terms",
        |row| rows::term_at(row).map(drop),
    ),
    ("sections", "", |row| rows::section_at(row, &term_at(row, "term")?).map(drop)),
    ("seats", "SELECT term, crn, enrolled, waitlisted, reserved, offered FROM seats", |row| {
        rows::section_id_at(row, 0)?;
        rows::maybe_json_at::<ReservedCounts>(row, 4)?;
        row.get::<_, u32>(2).and(row.get::<_, u32>(3)).and(row.get::<_, u32>(5)).map(drop)
    }),
    (
        "registrations",
        "SELECT user, crn, standing, place, at, passed, reserved_for, offer_until, remind_at, choices, term \
         FROM registrations",
        |row| {
            term_at(row, "term")?;
            rows::registration_at(row).map(drop)
        },
    ),
    ("term_generations", "SELECT term, generation, seq FROM term_generations", |row| {
        term_at(row, "term")?;
        row.get::<_, u64>(1).and(row.get::<_, u64>(2)).map(drop)
    }),
    ("attempts", "", |row| {
        term_at(row, "term")?;
        attempts::attempt_at(row).map(drop)
    }),
    ("attempt_chains", "SELECT term, n, head, heads_at, deleted, deleted_hash FROM attempt_chains", |row| {
        attempts::chain_at(row).map(drop)
    }),
    ("attempt_students", "SELECT id, user, commitment, salt, term FROM attempt_students", |row| {
        term_at(row, "term")?;
        attempts::student_at(row)?;
        attempts::salt_at(row, 3).map(drop)
    }),
    ("attempt_heads", "SELECT student, n, crn, term FROM attempt_heads", |row| {
        term_at(row, "term")?;
        row.get::<_, u64>(0).and(row.get::<_, u64>(1)).map(drop)
    }),
    ("alerts", "SELECT id, content, source, sender, created_at, sender_name FROM alerts", |row| {
        alert_log::alert_at(row, 0, None).map(drop)
    }),
    ("alert_log", "SELECT at, alert_id, seq FROM alert_log", time_and_values),
    ("alert_recipients", "SELECT user, alert_id, parts FROM alert_recipients", |row| {
        user_and_values(row)?;
        alert_log::membership_at(row, 2).map(drop)
    }),
    ("alert_acks", "SELECT at, user, alert_id FROM alert_acks", time_and_values),
    ("cap_messages", "SELECT sent, sender, identifier, alert_id FROM cap_messages", time_and_values),
    ("accounts", "SELECT username, name, role, password_hash, subjects, former_subjects FROM accounts", |row| {
        rights::subjects_at(row, 5)?;
        accounts::account_at(row).map(drop)
    }),
    ("people", "SELECT username, name, role, source, last_seen, NULL FROM people", |row| {
        accounts::user_at(row).map(drop)
    }),
    ("dead_tokens", "SELECT expires_at, id FROM dead_tokens", time_and_values),
    ("tokens_valid_from", "SELECT username, valid_from, spared FROM tokens_valid_from", |row| {
        accounts::ended_tokens_at(row).map(drop)
    }),
    ("sign_ins", "SELECT id, user, device, address, since, last_seen, expires_at FROM sign_ins", |row| {
        sign_ins::sign_in_at(row).map(drop)
    }),
    ("guardian_links", "SELECT id, user, label, created_at, expires_at FROM guardian_links", |row| {
        guardian_links::link_at(row).map(drop)
    }),
    ("schedule_feeds", "SELECT user, created_at FROM schedule_feeds", |row| schedule_feeds::feed_at(row).map(drop)),
    ("second_factors", "SELECT username, secret, last_step, since FROM second_factors", |row| {
        sign_ins::second_factor_at(row).map(drop)
    }),
    ("recovery_codes", "SELECT username, hash FROM recovery_codes", user_and_values),
    ("audit", "SELECT id, at, user, role, ip, action, subject, section, detail, request_id, coded FROM audit", |row| {
        audit::entry_at(row).map(drop)
    }),
    ("audit_people", "SELECT user, audit_id FROM audit_people", user_and_values),
    ("students", "SELECT user, facts FROM students", |row| students::facts_at(row).map(drop)),
    ("plans", "SELECT name, sections FROM plans", |row| plans::plan_at(row).map(drop)),
    ("events", "SELECT id, title, program, starts_at, ends_at, location, instructor, description FROM events", |row| {
        events::event_at(row).map(drop)
    }),
    ("import_tasks", "SELECT id, state, started_at, finished_at, body FROM import_tasks", |row| {
        imports::task_at(row)?;
        json_at::<serde::de::IgnoredAny>(row, 4).map(drop)
    }),
    ("import_profiles", "SELECT name, title, header, map FROM import_profiles", |row| {
        import_profiles::profile_at(row).map(drop)
    }),
    ("demo_reports", "SELECT task, report, shared_at FROM demo_reports", |row| {
        demo_reports::report_at(row)?;
        json_at::<serde::de::IgnoredAny>(row, 1).map(drop)
    }),
    ("plone_items", "SELECT term, crn, uid, path, modified, fields, deleted FROM plone_items", |row| {
        plone_items::item_at(row).map(drop)
    }),
    ("plone_outbox", "SELECT queued_at, term, crn, version, attempts, next_at FROM plone_outbox", time_and_values),
    ("plone_notes", "SELECT name, value FROM plone_notes", values),
    (
        "plone_members",
        "SELECT user, login, name, role, token, password_hash, signed_in_at, subjects FROM plone_members",
        |row| members::member_at(row).map(drop),
    ),
    ("plone_sign_ins_ended", "SELECT at, user FROM plone_sign_ins_ended", time_and_values),
    ("plone_creations", "SELECT term, crn, fields FROM plone_creations", |row| {
        rows::section_id_at(row, 0)?;
        json_at::<serde::de::IgnoredAny>(row, 2).map(drop)
    }),
    (
        "provider_users",
        "SELECT username, source, issuer, subject, name, role, subjects, mapping FROM provider_users",
        |row| provider_sign_ins::user_at(row).map(drop),
    ),
    (
        "provider_sign_ins",
        "SELECT username, token, expires_at, source, issuer, subject, sid, id_token FROM provider_sign_ins",
        |row| {
            provider_sign_ins::sign_in_at(row)?;
            values(row)
        },
    ),
    ("content", "SELECT store, commits FROM content", values),
];

/// Returns the error of the first unreadable row of each table that has one.
pub(super) fn unreadable_rows(connection: &Connection) -> Vec<String> {
    let sections = format!(
        "SELECT {}, s.term AS term FROM sections AS s LEFT JOIN seats AS n ON n.term = s.term AND n.crn = s.crn",
        rows::SECTION_COLUMNS
    );
    let attempts = format!("SELECT {}, a.term AS term FROM attempts AS a", attempts::COLUMNS);
    let own = HashMap::from([("sections", sections.as_str()), ("attempts", attempts.as_str())]);
    let mut found = Vec::new();
    for (table, sql, read) in TABLES {
        let sql = own.get(table).copied().unwrap_or(sql);
        let all_read = connection.prepare(sql).and_then(|mut query| {
            let mut rows = query.query([])?;
            while let Some(row) = rows.next()? {
                read(row)?;
            }
            Ok(())
        });
        if let Err(error) = all_read {
            found.push(format!("a row of the table {table} cannot be read: {error}"));
        }
    }
    found
}

fn term_at(row: &Row<'_>, column: &str) -> rusqlite::Result<TermId> {
    TermId::stored(&row.get::<_, String>(column)?).map_err(|e| unreadable(0, e))
}

/// Reads a row of numbers and text.
fn values(row: &Row<'_>) -> rusqlite::Result<()> {
    for column in 0..row.as_ref().column_count() {
        if let ValueRef::Text(text) = row.get_ref(column)? {
            std::str::from_utf8(text)?;
        }
    }
    Ok(())
}

/// Reads a row whose first column is a time.
fn time_and_values(row: &Row<'_>) -> rusqlite::Result<()> {
    time_at(row, 0)?;
    values(row)
}

/// Reads a row whose first column is a username.
fn user_and_values(row: &Row<'_>) -> rusqlite::Result<()> {
    UserName::stored(&row.get::<_, String>(0)?).map_err(|e| unreadable(0, e))?;
    values(row)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::store::sqlite::{SqliteOptions, SqliteStore};

    #[test]
    fn every_table_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hub.db");
        drop(SqliteStore::open(SqliteOptions { path: path.clone(), outbox: None }).unwrap());
        let connection = Connection::open(path).unwrap();
        let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> 'sqlite_sequence' ORDER BY name";
        let names: Vec<String> =
            connection.prepare(sql).unwrap().query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        let mut read = TABLES.map(|(table, _, _)| table);
        read.sort_unstable();
        assert_eq!(names, read);
        assert_eq!(unreadable_rows(&connection), [""; 0]);
    }
}
