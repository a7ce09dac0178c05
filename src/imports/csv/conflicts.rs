//! Finds sections of a file that use one room or one instructor at the same time.
//!
//! A conflict is a pair of meetings of two sections that overlap in weekday, time and dates. A range of dates with an
//! unknown end is open at that end. These are not conflicts:
//! - cancelled sections, rooms that are placeholders (`TBA`, `ONLINE`), and instructors who are not named (`Staff`);
//! - a class that is listed under several CRNs (cross-listed, or graduate and undergraduate): the same known instructor
//!   at exactly the same time, in the same room or without a known room, or sections that the file lists in one group
//!   of cross-listed sections.
//!
//! The meetings are swept in order of room or instructor and start. Meetings that end together, on the same days and
//! dates, are counted together, so the time does not depend on the number of conflicts, and each pair is counted.

use std::hash::{Hash, Hasher};

use jiff::civil::{Date, Time};
use rusqlite::params;
use siphasher::sip::SipHasher13;

use crate::domain::import::{Conflict, ConflictKind};
use crate::domain::instructor;
use crate::domain::meeting::{Days, END_OF_DAY};
use crate::domain::section::SectionStatus;
use crate::imports::finding_parts::{ConflictText, SectionInRoom};
use crate::imports::schedule::ScheduleError;

use crate::imports::csv::row::{MeetingRow, Row};
use crate::imports::csv::scratch::{Scratch, signed, unsigned};
use crate::imports::csv::sweep::{Sweep, Use};

/// Words in a location that show that it is not a room.
const NOT_ROOMS: [&str; 24] = [
    "TBA",
    "TBD",
    "TBC",
    "ARR",
    "REMOTE",
    "VIRTUAL",
    "WEB",
    "WWW",
    "INET",
    "ZOOM",
    "CANVAS",
    "INTERNET",
    "DISTANCE",
    "ELEARNING",
    "HYBRID",
    "OFFCAMPUS",
    "OFFSITE",
    "SYNC",
    "SYNCHRONOUS",
    "NONE",
    "HOME",
    "UNKNOWN",
    "STAFF",
    "APPT",
];
/// Beginnings of words in a location that show that it is not a room.
const NOT_ROOM_PREFIXES: [&str; 6] = ["ONLINE", "ARRANG", "ANNOUNC", "ASYNC", "APPOINT", "UNASSIGN"];
/// Phrases in a location that show that it is not a room.
const NOT_ROOM_PHRASES: [&str; 8] =
    ["OFF CAMPUS", "OFF-CAMPUS", "OFF SITE", "OFF-SITE", "ON LINE", "ON-LINE", "E-LEARNING", "NO ROOM"];
/// Cells of a column of cross-listed sections that mark a section and name no group.
const NOT_GROUPS: [&str; 10] = ["Y", "N", "YES", "NO", "X", "TRUE", "FALSE", "0", "1", "XLIST"];

/// The maximum number of instructors of a section that a conflict names.
const NAMED_INSTRUCTORS_MAX: usize = 3;

fn room_key(location: &str) -> Option<String> {
    let upper = location.to_uppercase();
    let words: Vec<&str> = upper.split_whitespace().collect();
    let key = words.join(" ");
    let is_placeholder_word = |word: &&str| {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric());
        NOT_ROOMS.contains(&word) || NOT_ROOM_PREFIXES.iter().any(|prefix| word.starts_with(prefix))
    };
    let is_placeholder = words.iter().any(is_placeholder_word) || NOT_ROOM_PHRASES.iter().any(|p| key.contains(p));
    (!is_placeholder && !key.is_empty()).then_some(key)
}

fn instructor_key(name: &str) -> Option<String> {
    let key = name.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ");
    (!instructor::is_placeholder(&key)).then_some(key)
}

/// Returns a hash of texts, never 0. The probability that two texts of a file have the same hash is negligible.
fn hash_of(texts: &[&str]) -> i64 {
    let mut hasher = SipHasher13::new();
    texts.hash(&mut hasher);
    match hasher.finish().cast_signed() {
        0 => 1,
        hash => hash,
    }
}

/// The rooms and the instructors that a section uses.
#[derive(Default)]
pub(super) struct SectionUses(Vec<NewUse>);

struct NewUse {
    line: u64,
    label: String,
    shown: String,
    /// The instructors of the section, for a conflict of rooms.
    instructors: String,
    found: Use,
}

impl SectionUses {
    /// Adds what the meetings of a row use.
    pub(super) fn add(&mut self, crn: &str, row: &Row) {
        if row.status != Some(SectionStatus::Cancelled) {
            row.meetings.iter().for_each(|meeting| self.add_meeting(crn, row, meeting));
        }
    }

    fn add_meeting(&mut self, crn: &str, row: &Row, meeting: &MeetingRow) {
        let (Some(start), Some(end)) = (meeting.start, meeting.end) else { return };
        if meeting.days == 0 {
            return;
        }
        let room = meeting.location.as_deref().and_then(|location| Some((room_key(location)?, location)));
        let mut instructors: Vec<(String, &str)> =
            row.instructors.iter().filter_map(|name| Some((instructor_key(name)?, name.as_str()))).collect();
        instructors.sort_unstable();
        instructors.dedup_by(|a, b| a.0 == b.0);
        let label = match &row.section {
            Some(section) => format!("{} {section} (CRN {crn})", row.course),
            None => format!("{} (CRN {crn})", row.course),
        };
        let all_instructors: Vec<&str> = instructors.iter().map(|(key, _)| key.as_str()).collect();
        let by_whom = if all_instructors.is_empty() { 0 } else { hash_of(&all_instructors) };
        let in_room = hash_of(&[room.as_ref().map_or("", |(key, _)| key)]);
        let group = row.cross_listed.as_deref().map(str::to_uppercase);
        let group = group.filter(|group| !NOT_GROUPS.contains(&group.as_str()));
        let span = Use {
            start: minute(start),
            end: minute(end),
            days: meeting.days,
            starts_on: meeting.starts_on.map_or(i32::MIN, number_of),
            ends_on: meeting.ends_on.map_or(i32::MAX, number_of),
            group: group.map_or(0, |group| hash_of(&[group.as_str()])),
            ..Use::default()
        };
        let shown_instructors = shown_instructors(&instructors);
        let rooms = room.iter().map(|(key, shown)| (ConflictKind::Room, key, *shown, by_whom));
        let people = instructors.iter().map(|(key, shown)| (ConflictKind::Instructor, key, *shown, in_room));
        for (kind, key, shown, class) in rooms.chain(people) {
            let found = Use { kind: number(kind), key: hash_of(&[key.as_str()]), class, ..span };
            let instructors = if kind == ConflictKind::Room { shown_instructors.clone() } else { String::new() };
            self.0.push(NewUse { line: row.line, label: label.clone(), shown: shown.to_owned(), instructors, found });
        }
    }

    /// Stores the uses, as those of the section with this number.
    pub(super) fn store(self, scratch: &Scratch, section: u64) -> Result<(), ScheduleError> {
        let resource = |new: &NewUse| (new.found.kind, new.found.key);
        let mut resources: Vec<_> = self.0.iter().map(resource).collect();
        resources.sort_unstable();
        let mut insert = scratch.db.prepare_cached("INSERT INTO use VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)")?;
        for new in &self.0 {
            let found = &new.found;
            let is_repeated = resources.partition_point(|r| *r <= resource(new))
                - resources.partition_point(|r| *r < resource(new))
                > 1;
            insert.execute(params![
                found.kind,
                found.key,
                found.start,
                found.end,
                found.days,
                found.starts_on,
                found.ends_on,
                found.class,
                found.group,
                signed(section),
                is_repeated,
                signed(new.line),
                new.label,
                new.shown,
                new.instructors,
            ])?;
        }
        Ok(())
    }
}

/// Lists the names of at most [`NAMED_INSTRUCTORS_MAX`] of a section's instructors.
fn shown_instructors(instructors: &[(String, &str)]) -> String {
    let named: Vec<&str> = instructors.iter().take(NAMED_INSTRUCTORS_MAX).map(|(_, name)| *name).collect();
    named.join("; ") + if instructors.len() > NAMED_INSTRUCTORS_MAX { "; …" } else { "" }
}

fn minute(time: Time) -> i32 {
    if time == END_OF_DAY { 24 * 60 } else { i32::from(time.hour()) * 60 + i32::from(time.minute()) }
}

fn number_of(date: Date) -> i32 {
    i32::from(date.year()) * 10_000 + i32::from(date.month()) * 100 + i32::from(date.day())
}

/// Finds the conflicts among the stored uses. Returns their number.
pub(super) fn sweep(
    scratch: &Scratch,
    check_cancelled: &mut dyn FnMut() -> Result<(), ScheduleError>,
) -> Result<u64, ScheduleError> {
    let sql = "SELECT rowid,kind,key,start,end,days,starts_on,ends_on,class,grp,section,is_repeated,line FROM use
        ORDER BY kind,key,start,class,line";
    let mut statement = scratch.db.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut sweep = Sweep::new(scratch);
    while let Some(row) = rows.next()? {
        check_cancelled()?;
        sweep.add(Use {
            row: row.get(0)?,
            kind: row.get(1)?,
            key: row.get(2)?,
            start: row.get(3)?,
            end: row.get(4)?,
            days: row.get(5)?,
            starts_on: row.get(6)?,
            ends_on: row.get(7)?,
            class: row.get(8)?,
            group: row.get(9)?,
            section: row.get(10)?,
            is_repeated: row.get(11)?,
            line: row.get(12)?,
        })?;
    }
    sweep.finish()
}

/// Returns the first `limit` conflicts: pairs in order of line, then groups of pairs by room, then groups by
/// instructor, the largest of each first.
pub(super) fn first(scratch: &Scratch, limit: u64) -> Result<Vec<Conflict>, ScheduleError> {
    let mut conflicts = pairs(scratch)?;
    conflicts.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    // Half of the list for each kind, so that the groups of one do not hide those of the other.
    let rest = limit - conflicts.len() as u64;
    let (rooms, people) =
        (groups(scratch, ConflictKind::Room, rest)?, groups(scratch, ConflictKind::Instructor, rest)?);
    let rest = usize::try_from(rest).unwrap_or(usize::MAX);
    let rooms_len = rooms.len().min(rest - people.len().min(rest / 2));
    conflicts.extend(rooms.into_iter().take(rooms_len));
    conflicts.extend(people.into_iter().take(rest - rooms_len));
    Ok(conflicts)
}

fn pairs(scratch: &Scratch) -> Result<Vec<Conflict>, ScheduleError> {
    let sql = "SELECT c.kind, a.shown, a.line, b.line, a.days & b.days, max(a.start, b.start), min(a.end, b.end),
            a.label, b.label, a.instructors, a.days, a.start, a.end, b.instructors, b.days, b.start, b.end
        FROM conflict AS c JOIN use AS a ON a.rowid = c.row_a JOIN use AS b ON b.rowid = c.row_b
        ORDER BY a.line, b.line, c.kind";
    let mut statement = scratch.db.prepare_cached(sql)?;
    let conflicts = statement.query_map([], |row| {
        let name: String = row.get(1)?;
        let (a, b): (String, String) = (row.get(7)?, row.get(8)?);
        let (days, times) = (names_of(row.get(4)?), times_of(row.get(5)?, row.get(6)?));
        let kind = kind_of(row.get(0)?);
        let text = match kind {
            ConflictKind::Room => {
                let (a, b) = (Box::new(room_use(row, a, 9)?), Box::new(room_use(row, b, 13)?));
                ConflictText::SameRoom { a, b, room: name, days, times }
            }
            ConflictKind::Instructor => ConflictText::SameInstructor { a, b, name, days, times },
        };
        Ok(text.conflict(kind, vec![unsigned(row.get(2)?), unsigned(row.get(3)?)], 1))
    })?;
    Ok(conflicts.collect::<Result<_, _>>()?)
}

/// Reads the use of a room by a section. Its instructors are in the column `at`, followed by days, start and end.
fn room_use(row: &rusqlite::Row<'_>, section: String, at: usize) -> rusqlite::Result<SectionInRoom> {
    let instructors: String = row.get(at)?;
    let (days, times) = (names_of(row.get(at + 1)?), times_of(row.get(at + 2)?, row.get(at + 3)?));
    Ok(if instructors.is_empty() {
        SectionInRoom::RoomUseUnassigned { section, days, times }
    } else {
        SectionInRoom::RoomUse { section, instructors, days, times }
    })
}

fn names_of(days: u8) -> Vec<&'static str> {
    Days::from_bits(days).names().collect()
}

fn times_of(start: i64, end: i64) -> String {
    format!("{:02}:{:02}-{:02}:{:02}", start / 60, start % 60, end / 60, end % 60)
}

fn groups(scratch: &Scratch, kind: ConflictKind, limit: u64) -> Result<Vec<Conflict>, ScheduleError> {
    let sql = "SELECT u.shown, c.pairs, c.lines FROM conflict AS c JOIN use AS u ON u.rowid = c.row_a
        WHERE c.kind = ? AND c.row_b IS NULL ORDER BY c.pairs DESC, c.row_a LIMIT ?";
    let mut statement = scratch.db.prepare_cached(sql)?;
    let conflicts = statement.query_map(params![number(kind), signed(limit)], |row| {
        let (name, pairs, lines): (String, i64, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let is_number = kind == ConflictKind::Room && !name.contains(char::is_alphabetic);
        let n = unsigned(pairs);
        let text =
            if is_number { ConflictText::OverlappingInRoom { name, n } } else { ConflictText::Overlapping { name, n } };
        let lines = lines.split(',').filter_map(|line| line.parse().ok()).collect();
        Ok(text.conflict(kind, lines, n))
    })?;
    Ok(conflicts.collect::<Result<_, _>>()?)
}

const fn number(kind: ConflictKind) -> i64 {
    match kind {
        ConflictKind::Room => 0,
        ConflictKind::Instructor => 1,
    }
}

const fn kind_of(number: i64) -> ConflictKind {
    if number == 0 { ConflictKind::Room } else { ConflictKind::Instructor }
}
