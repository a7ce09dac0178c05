//! One-off events.

use std::collections::HashMap;

use jiff::Timestamp;
use tokio_postgres::Row;

use crate::domain::event::Event;
use crate::store::imports::{EventCursor, EventPage, EventTally};

use crate::store::postgres::failure::Failure;
use crate::store::postgres::rows::{integer, maybe_text_at, maybe_time_at, number_at, storable, text_at, time_at};
use crate::store::postgres::transaction::Tx;

const COLUMNS: &str = "id, title, program, starts_at, ends_at, location, instructor, description";

fn event_at(row: &Row) -> Result<Event, Failure> {
    Ok(Event {
        id: text_at(row, 0)?.to_owned(),
        title: text_at(row, 1)?.to_owned(),
        program: maybe_text_at(row, 2)?.unwrap_or_default().to_owned(),
        starts_at: time_at(row, 3)?,
        ends_at: maybe_time_at(row, 4)?,
        location: maybe_text_at(row, 5)?.map(str::to_owned),
        instructor: maybe_text_at(row, 6)?.map(str::to_owned),
        description: maybe_text_at(row, 7)?.map(str::to_owned),
    })
}

/// Counts what [`put`] of these events would change.
pub(super) async fn compare(tx: &Tx, events: &[Event]) -> Result<EventTally, Failure> {
    let ids: Vec<&str> = events.iter().map(|event| event.id.as_str()).collect();
    let rows = tx.query(&format!("SELECT {COLUMNS} FROM events WHERE id = ANY ($1)"), &[&ids]).await?;
    let known = rows.iter().map(|row| event_at(row).map(|event| (event.id.clone(), event)));
    let known = known.collect::<Result<HashMap<String, Event>, _>>()?;
    let mut tally = EventTally::default();
    for event in events {
        match known.get(&event.id) {
            None => tally.created += 1,
            Some(before) if before == event => tally.unchanged += 1,
            Some(_) => tally.updated += 1,
        }
    }
    Ok(tally)
}

/// Inserts or replaces events.
pub(super) async fn put(tx: &Tx, events: &[Event]) -> Result<(), Failure> {
    // Of two events with the same id, the later one counts: a statement can write a row only once.
    let by_id: HashMap<&str, &Event> = events.iter().map(|event| (event.id.as_str(), event)).collect();
    let mut events: Vec<&Event> = by_id.into_values().collect();
    events.sort_unstable_by_key(|event| &event.id);
    let texts = |of: fn(&Event) -> Option<&str>| {
        events.iter().map(|event| of(event).map(|text| storable(text).into_owned())).collect::<Vec<Option<String>>>()
    };
    let starts: Vec<i64> = events.iter().map(|event| event.starts_at.as_millisecond()).collect();
    let ends: Vec<Option<i64>> = events.iter().map(|event| event.ends_at.map(Timestamp::as_millisecond)).collect();
    let sql = format!(
        "INSERT INTO events ({COLUMNS}) SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (id) DO UPDATE SET title = excluded.title, program = excluded.program,
             starts_at = excluded.starts_at, ends_at = excluded.ends_at, location = excluded.location,
             instructor = excluded.instructor, description = excluded.description"
    );
    tx.execute(
        &sql,
        &[
            &texts(|event| Some(&event.id)),
            &texts(|event| Some(&event.title)),
            &texts(|event| Some(&event.program)),
            &starts,
            &ends,
            &texts(|event| event.location.as_deref()),
            &texts(|event| event.instructor.as_deref()),
            &texts(|event| event.description.as_deref()),
        ],
    )
    .await
    .map(drop)
}

/// Returns a page of events, ordered by start.
pub(super) async fn page(tx: &Tx, since: Option<&EventCursor>, limit: usize) -> Result<EventPage, Failure> {
    let (at, id) = since.map_or((i64::MIN, ""), |c| (c.starts_at.as_millisecond(), c.id.as_str()));
    let from = "FROM events WHERE (starts_at, id) > ($1, $2)";
    let sql = format!("SELECT {COLUMNS} {from} ORDER BY starts_at, id LIMIT $3");
    let rows = tx.query(&sql, &[&at, &id, &integer(limit)]).await?;
    let items = rows.iter().map(event_at).collect::<Result<_, _>>()?;
    let total = tx.query_one(&format!("SELECT count(*) {from}"), &[&at, &id]).await?;
    Ok(EventPage { items, total: number_at(&total, 0)? })
}
