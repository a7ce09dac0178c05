//! Sections of one file that want one room, or one person, at the same time.
//!
//! Told are overlaps in weekday, time and dates between different sections. Not told are rooms that are none (`TBA`,
//! `ONLINE`…), instructors that are none (`Staff`), and what is evidently one class under several CRNs, as cross-lists
//! and graduates beside undergraduates are: the same instructor, known, at exactly the same time in the same room.
//!
//! A sweep in order of room (or person), weekday and start: only what is going on at one time is in memory.

use jiff::civil::{Date, Time};
use rusqlite::params;

use crate::domain::import::{Conflict, ConflictKind};
use crate::domain::meeting::Days;
use crate::imports::schedule::ScheduleError;

use crate::imports::csv::row::Row;
use crate::imports::csv::scratch::{Scratch, signed, unsigned};

/// The most conflicts that are told of one file: more than anyone reads.
const CONFLICTS_MAX: u64 = 100_000;
/// The most meetings of one room that are compared at one time.
const AT_ONCE_MAX: usize = 200;
/// The most conflicts that one meeting is told to have: fifty sections in one room are one mistake, not 1,225.
const EACH_MAX: usize = 20;

/// Words of a location that is no room.
const NO_ROOM: [&str; 15] = [
    "TBA",
    "TBD",
    "ARR",
    "ARRANGED",
    "ONLINE",
    "REMOTE",
    "VIRTUAL",
    "WEB",
    "WWW",
    "ZOOM",
    "INTERNET",
    "DISTANCE",
    "HYBRID",
    "OFFCAMPUS",
    "ASYNC",
];
/// Instructors who are nobody yet.
const NOBODY: [&str; 6] = ["STAFF", "THE STAFF", "FACULTY", "TBA", "TBD", "UNKNOWN"];

fn room_key(location: &str) -> Option<String> {
    let upper = location.to_uppercase();
    let words: Vec<&str> = upper.split_whitespace().collect();
    let key = words.join(" ");
    let none = words.iter().any(|w| NO_ROOM.contains(&w.trim_matches(|c: char| !c.is_alphanumeric())))
        || key.contains("OFF CAMPUS")
        || key.contains("OFF-CAMPUS");
    (!none && !key.is_empty()).then_some(key)
}

fn person_key(name: &str) -> Option<String> {
    let key = name.to_uppercase().split_whitespace().collect::<Vec<_>>().join(" ");
    (!NOBODY.contains(&key.as_str()) && !key.is_empty()).then_some(key)
}

/// Notes the room and the persons that a row's meeting uses.
pub(super) fn note_uses(scratch: &Scratch, crn: &str, row: &Row) -> Result<(), ScheduleError> {
    let Some(meeting) = &row.meeting else { return Ok(()) };
    let (Some(start), Some(end)) = (meeting.start, meeting.end) else { return Ok(()) };
    let room = meeting.location.as_deref().and_then(|l| Some((room_key(l)?, l)));
    let mut persons: Vec<(String, &str)> =
        row.persons.iter().filter_map(|p| Some((person_key(p)?, p.as_str()))).collect();
    persons.sort_unstable();
    persons.dedup_by(|a, b| a.0 == b.0);
    let label = match &row.section {
        Some(section) => format!("{} {section} (CRN {crn})", row.course),
        None => format!("{} (CRN {crn})", row.course),
    };
    let minute = |t: Time| i64::from(t.hour()) * 60 + i64::from(t.minute());
    let number_of = |d: Date| i64::from(d.year()) * 10_000 + i64::from(d.month()) * 100 + i64::from(d.day());
    let starts_on = meeting.starts_on.map_or(i64::MIN, number_of);
    let ends_on = meeting.ends_on.map_or(i64::MAX, number_of);
    let mut insert = scratch.db.prepare_cached("INSERT INTO use VALUES(?,?,?,?,?,?,?,?,?,?,?,?)")?;
    let everyone = persons.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>().join("; ");
    let room_name = room.as_ref().map_or("", |(key, _)| key);
    let uses = room
        .iter()
        .map(|(key, shown)| (ConflictKind::Room, key, shown, everyone.as_str()))
        .chain(persons.iter().map(|(key, shown)| (ConflictKind::Instructor, key, shown, room_name)));
    for (kind, key, shown, other) in uses {
        for day in (0..7_u8).filter(|d| meeting.days & (1 << d) != 0) {
            insert.execute(params![
                number(kind),
                key,
                day,
                minute(start),
                minute(end),
                starts_on,
                ends_on,
                signed(row.line),
                crn,
                label,
                other,
                shown
            ])?;
        }
    }
    Ok(())
}

/// One use of a room or a person on one weekday.
struct Use {
    kind: i64,
    key: String,
    day: u8,
    start: i64,
    end: i64,
    starts_on: i64,
    ends_on: i64,
    line: i64,
    crn: String,
    label: String,
    /// Who, for a room; where, for a person.
    other: String,
    /// The room or the person as the file writes it.
    shown: String,
}

impl Use {
    fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            kind: row.get(0)?,
            key: row.get(1)?,
            day: row.get(2)?,
            start: row.get(3)?,
            end: row.get(4)?,
            starts_on: row.get(5)?,
            ends_on: row.get(6)?,
            line: row.get(7)?,
            crn: row.get(8)?,
            label: row.get(9)?,
            other: row.get(10)?,
            shown: row.get(11)?,
        })
    }

    /// Whether the other, which starts no later, is still going on, in the same place or with the same person.
    fn meets(&self, earlier: &Self) -> bool {
        (self.kind, self.day) == (earlier.kind, earlier.day) && self.key == earlier.key && self.start < earlier.end
    }

    fn conflicts_with(&self, earlier: &Self) -> bool {
        let dates = self.starts_on <= earlier.ends_on && earlier.starts_on <= self.ends_on;
        let same_time = (self.start, self.end) == (earlier.start, earlier.end);
        let known = self.kind == number(ConflictKind::Instructor) || !self.other.is_empty();
        let one_class = same_time && known && self.other == earlier.other;
        self.crn != earlier.crn && dates && !one_class
    }
}

/// Finds the conflicts among the uses that were noted.
pub(super) fn sweep(
    scratch: &Scratch,
    go_on: &mut dyn FnMut() -> Result<(), ScheduleError>,
) -> Result<(), ScheduleError> {
    let sql = "SELECT kind,key,day,start,end,starts_on,ends_on,line,crn,label,other,shown FROM use INDEXED BY use_time
        ORDER BY kind,key,day,start,line";
    let mut statement = scratch.db.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut going_on: Vec<Use> = Vec::new();
    let mut told = 0;
    while let Some(row) = rows.next()? {
        go_on()?;
        let new = Use::read(row)?;
        going_on.retain(|earlier| new.meets(earlier));
        for earlier in going_on.iter().filter(|e| new.conflicts_with(e)).take(EACH_MAX) {
            told += tell(scratch, earlier, &new)?;
        }
        if told >= CONFLICTS_MAX {
            break;
        }
        if going_on.len() < AT_ONCE_MAX {
            going_on.push(new);
        }
    }
    Ok(())
}

/// Notes a conflict once for all its weekdays.
fn tell(scratch: &Scratch, a: &Use, b: &Use) -> Result<u64, ScheduleError> {
    let (a, b) = if a.line <= b.line { (a, b) } else { (b, a) };
    let sql = "INSERT INTO conflict VALUES(?,?,?,?,?,?,?,?,?)
        ON CONFLICT DO UPDATE SET days = days | excluded.days RETURNING days = ?5";
    let mut statement = scratch.db.prepare_cached(sql)?;
    let new: bool = statement.query_row(
        params![
            a.kind,
            a.shown,
            a.line,
            b.line,
            1_i64 << a.day,
            a.start.max(b.start),
            a.end.min(b.end),
            a.label,
            b.label
        ],
        |row| row.get(0),
    )?;
    Ok(u64::from(new))
}

/// How many there are.
pub(super) fn total(scratch: &Scratch) -> Result<u64, ScheduleError> {
    Ok(unsigned(scratch.db.query_row("SELECT count(*) FROM conflict", [], |r| r.get(0))?))
}

/// The first of them, in order of line.
pub(super) fn first(scratch: &Scratch, limit: u64) -> Result<Vec<Conflict>, ScheduleError> {
    let sql = "SELECT kind,name,line_a,line_b,days,start,end,label_a,label_b FROM conflict
        ORDER BY line_a, line_b, kind LIMIT ?";
    let mut statement = scratch.db.prepare_cached(sql)?;
    let conflicts = statement.query_map([signed(limit)], |row| {
        let kind = if row.get::<_, i64>(0)? == 0 { ConflictKind::Room } else { ConflictKind::Instructor };
        let (name, days): (String, u8) = (row.get(1)?, row.get(4)?);
        let (start, end): (i64, i64) = (row.get(5)?, row.get(6)?);
        let (a, b): (String, String) = (row.get(7)?, row.get(8)?);
        let days = Days::from_bits(days).names().collect::<Vec<_>>().join(", ");
        let at = format!("{days} {:02}:{:02}-{:02}:{:02}", start / 60, start % 60, end / 60, end % 60);
        let message = match kind {
            ConflictKind::Room => format!("{a} and {b} are both in {name} on {at}"),
            ConflictKind::Instructor => format!("{name} teaches both {a} and {b} on {at}"),
        };
        Ok(Conflict { kind, lines: vec![unsigned(row.get(2)?), unsigned(row.get(3)?)], message })
    })?;
    Ok(conflicts.collect::<Result<_, _>>()?)
}

const fn number(kind: ConflictKind) -> i64 {
    match kind {
        ConflictKind::Room => 0,
        ConflictKind::Instructor => 1,
    }
}
