//! One-off events in the embedded store.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::domain::event::Event;
use crate::store::imports::{EventCursor, EventPage, EventTally};

use crate::store::sqlite::rows::{maybe_time_at, time_at};

const COLUMNS: &str = "id, title, program, starts_at, ends_at, location, instructor, description";

pub(super) fn event_at(row: &Row<'_>) -> rusqlite::Result<Event> {
    Ok(Event {
        id: row.get(0)?,
        title: row.get(1)?,
        program: row.get::<_, Option<String>>(2)?.unwrap_or_default(),
        starts_at: time_at(row, 3)?,
        ends_at: maybe_time_at(row, 4)?,
        location: row.get(5)?,
        instructor: row.get(6)?,
        description: row.get(7)?,
    })
}

/// Counts what [`put`] of these events would change.
pub(super) fn compare(connection: &Connection, events: &[Event]) -> rusqlite::Result<EventTally> {
    let mut known = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM events WHERE id = ?1"))?;
    let mut tally = EventTally::default();
    for event in events {
        match known.query_row([&event.id], event_at).optional()? {
            None => tally.created += 1,
            Some(before) if before == *event => tally.unchanged += 1,
            Some(_) => tally.updated += 1,
        }
    }
    Ok(tally)
}

/// Inserts or replaces events.
pub(super) fn put(tx: &Connection, events: &[Event]) -> rusqlite::Result<()> {
    let sql = format!("INSERT OR REPLACE INTO events ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)");
    let mut insert = tx.prepare_cached(&sql)?;
    for event in events {
        insert.execute(params![
            event.id,
            event.title,
            event.program,
            event.starts_at.as_millisecond(),
            event.ends_at.map(Timestamp::as_millisecond),
            event.location,
            event.instructor,
            event.description,
        ])?;
    }
    Ok(())
}

/// Removes the events with these ids.
pub(super) fn remove(tx: &Connection, ids: &[String]) -> rusqlite::Result<()> {
    let mut remove = tx.prepare_cached("DELETE FROM events WHERE id = ?1")?;
    ids.iter().try_for_each(|id| remove.execute([id]).map(drop))
}

/// Returns a page of events, ordered by start.
pub(super) fn page(connection: &Connection, since: Option<&EventCursor>, limit: usize) -> rusqlite::Result<EventPage> {
    let (at, id) = since.map_or((i64::MIN, ""), |c| (c.starts_at.as_millisecond(), c.id.as_str()));
    let from = "FROM events WHERE (starts_at, id) > (?1, ?2)";
    let mut items = connection.prepare_cached(&format!("SELECT {COLUMNS} {from} ORDER BY starts_at, id LIMIT ?3"))?;
    let items = items.query_map(params![at, id, limit], event_at)?.collect::<rusqlite::Result<_>>()?;
    let total =
        connection.prepare_cached(&format!("SELECT count(*) {from}"))?.query_row(params![at, id], |row| row.get(0))?;
    Ok(EventPage { items, total })
}
