//! Finds sections of a file that use one room or one instructor at the same time.
//!
//! A conflict is an overlap in weekday, time and dates between two sections. Placeholders for rooms (`TBA`, `ONLINE`)
//! and for instructors (`Staff`) are ignored. So is a class that is listed under several CRNs (cross-listed, or
//! graduate and undergraduate): the same known instructor in the same room at exactly the same time.
//!
//! The meetings are swept in order of room or instructor, weekday and start, so that only concurrent ones are in
//! memory.

use jiff::civil::{Date, Time};
use rusqlite::params;

use crate::domain::import::{Conflict, ConflictKind};
use crate::domain::meeting::Days;
use crate::imports::schedule::ScheduleError;

use crate::imports::csv::row::{MeetingRow, Row};
use crate::imports::csv::scratch::{Scratch, signed, unsigned};

/// The maximum number of conflicts reported for a file.
const CONFLICTS_MAX: u64 = 100_000;
/// The maximum number of concurrent meetings in one room that are compared.
const CONCURRENT_MAX: usize = 200;
/// The maximum number of conflicts reported for a meeting: fifty sections in one room are one mistake, not 1,225.
const CONFLICTS_PER_MEETING_MAX: usize = 20;

/// Words in a location that show that it is not a room.
const NOT_ROOMS: [&str; 15] = [
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
/// Placeholders for instructors who are not named yet.
const NOT_INSTRUCTORS: [&str; 6] = ["STAFF", "THE STAFF", "FACULTY", "TBA", "TBD", "UNKNOWN"];

fn room_key(location: &str) -> Option<String> {
    let upper = location.to_uppercase();
    let words: Vec<&str> = upper.split_whitespace().collect();
    let key = words.join(" ");
    let is_placeholder = words.iter().any(|w| NOT_ROOMS.contains(&w.trim_matches(|c: char| !c.is_alphanumeric())))
        || key.contains("OFF CAMPUS")
        || key.contains("OFF-CAMPUS");
    (!is_placeholder && !key.is_empty()).then_some(key)
}

fn instructor_key(name: &str) -> Option<String> {
    let key = name.to_uppercase().split_whitespace().collect::<Vec<_>>().join(" ");
    (!NOT_INSTRUCTORS.contains(&key.as_str()) && !key.is_empty()).then_some(key)
}

/// Records the rooms and the instructors that a row's meetings use.
pub(super) fn record_uses(scratch: &Scratch, crn: &str, row: &Row) -> Result<(), ScheduleError> {
    row.meetings.iter().try_for_each(|meeting| record_use(scratch, crn, row, meeting))
}

fn record_use(scratch: &Scratch, crn: &str, row: &Row, meeting: &MeetingRow) -> Result<(), ScheduleError> {
    let (Some(start), Some(end)) = (meeting.start, meeting.end) else { return Ok(()) };
    let room = meeting.location.as_deref().and_then(|l| Some((room_key(l)?, l)));
    let mut instructors: Vec<(String, &str)> =
        row.instructors.iter().filter_map(|p| Some((instructor_key(p)?, p.as_str()))).collect();
    instructors.sort_unstable();
    instructors.dedup_by(|a, b| a.0 == b.0);
    let label = match &row.section {
        Some(section) => format!("{} {section} (CRN {crn})", row.course),
        None => format!("{} (CRN {crn})", row.course),
    };
    let minute = |t: Time| i64::from(t.hour()) * 60 + i64::from(t.minute());
    let number_of = |d: Date| i64::from(d.year()) * 10_000 + i64::from(d.month()) * 100 + i64::from(d.day());
    let starts_on = meeting.starts_on.map_or(i64::MIN, number_of);
    let ends_on = meeting.ends_on.map_or(i64::MAX, number_of);
    let mut insert = scratch.db.prepare_cached("INSERT INTO use VALUES(?,?,?,?,?,?,?,?,?,?,?,?)")?;
    let all_instructors = instructors.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>().join("; ");
    let room_name = room.as_ref().map_or("", |(key, _)| key);
    let uses = room
        .iter()
        .map(|(key, shown)| (ConflictKind::Room, key, shown, all_instructors.as_str()))
        .chain(instructors.iter().map(|(key, shown)| (ConflictKind::Instructor, key, shown, room_name)));
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

/// A meeting that uses a room or an instructor on one weekday.
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
    /// The instructors, if this is the use of a room; the room, if it is the use of an instructor.
    other: String,
    /// The name of the room or instructor as written in the file.
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

    /// Returns whether `earlier`, which starts no later, overlaps in time and uses the same room or instructor.
    fn overlaps(&self, earlier: &Self) -> bool {
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

/// Finds the conflicts among the recorded uses.
pub(super) fn sweep(
    scratch: &Scratch,
    check_cancelled: &mut dyn FnMut() -> Result<(), ScheduleError>,
) -> Result<(), ScheduleError> {
    let sql = "SELECT kind,key,day,start,end,starts_on,ends_on,line,crn,label,other,shown FROM use INDEXED BY use_time
        ORDER BY kind,key,day,start,line";
    let mut statement = scratch.db.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut active: Vec<Use> = Vec::new();
    let mut found = 0;
    while let Some(row) = rows.next()? {
        check_cancelled()?;
        let new = Use::read(row)?;
        active.retain(|earlier| new.overlaps(earlier));
        for earlier in active.iter().filter(|e| new.conflicts_with(e)).take(CONFLICTS_PER_MEETING_MAX) {
            found += record_conflict(scratch, earlier, &new)?;
        }
        if found >= CONFLICTS_MAX {
            break;
        }
        if active.len() < CONCURRENT_MAX {
            active.push(new);
        }
    }
    Ok(())
}

/// Records a conflict, once for all its weekdays. Returns 1 if it is new, otherwise 0.
fn record_conflict(scratch: &Scratch, a: &Use, b: &Use) -> Result<u64, ScheduleError> {
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

/// Returns the number of conflicts.
pub(super) fn total(scratch: &Scratch) -> Result<u64, ScheduleError> {
    Ok(unsigned(scratch.db.query_row("SELECT count(*) FROM conflict", [], |r| r.get(0))?))
}

/// Returns the first `limit` conflicts, in order of line.
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
