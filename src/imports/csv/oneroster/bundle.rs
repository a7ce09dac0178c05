//! Reads the classes of a OneRoster bundle, with the courses and terms that they name, as the table of a schedule. Its rows
//! have the line numbers of `classes.csv`.
//!
//! The table is written to a temporary file like the sheet of a workbook. Courses and terms are held in memory, up to
//! [`LOOKUP_BYTES_MAX`]. Enrollments are only counted.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, BufWriter};
use std::path::Path;

use jiff::ToSpan;
use jiff::civil::Date;

use crate::imports::finding_kind::FindingKind;
use crate::imports::spreadsheet::Tick;
use crate::imports::spreadsheet::sheet::SheetCopy;
use crate::imports::spreadsheet::stop::Stop;

use crate::imports::csv::SECTIONS_MAX;
use crate::imports::csv::combined::is_readable;
use crate::imports::csv::oneroster::ids::meetings;
use crate::imports::csv::oneroster::reader::{
    Archive, EXTENSION_PREFIX, LOOKUP_BYTES_MAX, Row, UNPACKED_MAX, check_version, each_row, has_file, open, refused,
};
use crate::imports::csv::oneroster::{
    CLASSES, COURSES, ENROLLMENTS, MANIFEST, MEETINGS, OWN_COLUMNS, OWN_PREFIX, SESSIONS, one_line,
};

/// Returns whether a ZIP archive is a OneRoster bundle.
pub(in crate::imports::csv) fn is_bundle(file: &File) -> io::Result<bool> {
    has_file(file, &[MANIFEST])
}

/// Reads a bundle.
pub(in crate::imports::csv) fn read(file: &File, scratch: &Path, tick: &mut Tick<'_>) -> Result<SheetCopy, Stop> {
    let mut archive = open(file)?;
    check_manifest(&mut archive, tick)?;
    let lookup = Lookup::read(&mut archive, tick)?;
    let layout = Layout::read(&mut archive, tick)?;
    let mut out = csv::WriterBuilder::new().flexible(true).from_writer(BufWriter::new(tempfile::tempfile_in(scratch)?));
    let failed = |error: csv::Error| Stop::Failed(io::Error::other(error).into());
    let header = layout.header();
    let width = header.len();
    out.write_record([String::from("1")].iter().chain(&header)).map_err(failed)?;
    let mut unread_periods = 0_u64;
    each_row(&mut archive, CLASSES, UNPACKED_MAX, tick, &mut |row| {
        for cells in layout.records(row, &lookup, &mut unread_periods) {
            out.write_record([row.line.to_string()].iter().chain(&cells)).map_err(failed)?;
        }
        Ok(())
    })?;
    let mut notes = Vec::new();
    if unread_periods > 0 {
        notes.push(FindingKind::PeriodsUnread { n: unread_periods });
    }
    let mut enrollments = 0_u64;
    if archive.index_for_name(ENROLLMENTS).is_some() {
        each_row(&mut archive, ENROLLMENTS, UNPACKED_MAX, tick, &mut |_| {
            enrollments += 1;
            Ok(())
        })?;
    }
    if enrollments > 0 {
        notes.push(FindingKind::EnrollmentsSkipped { file: ENROLLMENTS, n: enrollments });
    }
    let file = out.into_inner().map_err(|error| error.into_error())?;
    let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
    Ok(SheetCopy::of_table(CLASSES, width, file, notes)?)
}

/// Checks the version of the bundle, and that its classes are complete.
fn check_manifest(archive: &mut Archive, tick: &mut Tick<'_>) -> Result<(), Stop> {
    let (mut version, mut classes) = (String::new(), String::new());
    each_row(archive, MANIFEST, LOOKUP_BYTES_MAX, tick, &mut |row| {
        match row.get("propertyName") {
            "oneroster.version" => version = row.get("value").to_owned(),
            "file.classes" => classes = row.get("value").to_lowercase(),
            _ => {}
        }
        Ok(())
    })?;
    check_version(&version)?;
    if classes == "delta" {
        return Err(refused(FindingKind::RosterDelta));
    }
    Ok(())
}

/// The courses and terms that classes name, by their identifiers.
struct Lookup {
    courses: HashMap<String, String>,
    /// The dates of each term as a range.
    terms: HashMap<String, String>,
}

impl Lookup {
    fn read(archive: &mut Archive, tick: &mut Tick<'_>) -> Result<Self, Stop> {
        let (mut courses, mut terms) = (HashMap::new(), HashMap::new());
        each_row(archive, COURSES, LOOKUP_BYTES_MAX, tick, &mut |row| {
            let name = [row.get("courseCode"), row.get("title")].into_iter().find(|name| !name.is_empty());
            courses.insert(row.get("sourcedId").to_owned(), one_line(name.unwrap_or_default()));
            Ok(())
        })?;
        each_row(archive, SESSIONS, LOOKUP_BYTES_MAX, tick, &mut |row| {
            terms.insert(row.get("sourcedId").to_owned(), dates(row.get("startDate"), row.get("endDate")));
            Ok(())
        })?;
        Ok(Self { courses, terms })
    }
}

/// Returns the dates of a term as a range; `end` is the day after its last day. Empty if the dates are not known.
fn dates(start: &str, end: &str) -> String {
    let days = start.parse::<Date>().ok().zip(end.parse::<Date>().ok());
    let last = days.and_then(|(first, end)| Some((first, end.checked_sub(1.day()).ok()?)));
    last.filter(|(first, last)| first <= last).map_or(String::new(), |(first, last)| format!("{first}..{last}"))
}

/// Which columns the table has.
struct Layout {
    /// Whether the human-readable codes of the classes identify them; otherwise their identifiers do.
    has_codes: bool,
    /// Whether the bundle has the hub's own column of meetings.
    has_meetings: bool,
    /// The columns that the binding does not define: the name in the file, and the name in the table.
    extensions: Vec<(String, String)>,
}

impl Layout {
    fn read(archive: &mut Archive, tick: &mut Tick<'_>) -> Result<Self, Stop> {
        let own_meetings = format!("{OWN_PREFIX}{MEETINGS}");
        let (mut names, mut codes, mut rows) = (Vec::new(), HashSet::new(), 0_u64);
        let mut has_codes = true;
        each_row(archive, CLASSES, UNPACKED_MAX, tick, &mut |row| {
            if rows == 0 {
                names = row.header.iter().map(str::to_owned).collect();
            }
            rows += 1;
            if rows > SECTIONS_MAX {
                return Err(refused(FindingKind::RosterTooManyClasses { file: CLASSES, max: SECTIONS_MAX }));
            }
            let (code, mut hash) = (row.get("classCode"), DefaultHasher::new());
            code.hash(&mut hash);
            has_codes = has_codes && !code.is_empty() && codes.insert(hash.finish());
            Ok(())
        })?;
        if rows == 0 {
            return Err(refused(FindingKind::RosterNoClasses { file: CLASSES }));
        }
        let has_meetings = names.contains(&own_meetings);
        let extensions = names.into_iter().filter(|name| name.starts_with(EXTENSION_PREFIX) && *name != own_meetings);
        let renamed = |name: String| {
            let own = name.strip_prefix(OWN_PREFIX).filter(|own| OWN_COLUMNS.contains(own)).map(str::to_owned);
            (name.clone(), own.unwrap_or(name))
        };
        Ok(Self { has_codes, has_meetings, extensions: extensions.map(renamed).collect() })
    }

    fn header(&self) -> Vec<String> {
        let meeting: &[&str] = match self.has_meetings {
            true => &["days", "start_time", "end_time", "start", "end", "location"],
            false => &["days and times", "date_range", "location"],
        };
        let known = ["term", "crn", "course", "title"].iter().chain(meeting).map(|name| (*name).to_owned());
        known.chain(self.extensions.iter().map(|(_, name)| name.clone())).collect()
    }

    /// Returns the records of a class: one for each of its meetings if the hub wrote them, otherwise one.
    fn records(&self, row: &Row<'_>, lookup: &Lookup, unread_periods: &mut u64) -> Vec<Vec<String>> {
        let terms: Vec<&str> = row.get("termSourcedIds").split(',').map(str::trim).collect();
        // A class may name several terms.
        let term = terms.iter().find(|term| lookup.terms.contains_key(**term)).copied();
        let term = term.unwrap_or_else(|| terms.first().copied().unwrap_or_default());
        let course = lookup.courses.get(row.get("courseSourcedId")).map(String::as_str).unwrap_or_default();
        let crn = row.get(if self.has_codes { "classCode" } else { "sourcedId" });
        let title = Some(row.get("title")).filter(|title| *title != course).unwrap_or_default();
        let extensions: Vec<String> = self.extensions.iter().map(|(name, _)| row.get(name).to_owned()).collect();
        let record = |meeting: Vec<String>| {
            let fixed = [term, crn, course, title].map(str::to_owned);
            fixed.into_iter().chain(meeting).chain(extensions.iter().cloned()).collect()
        };
        if self.has_meetings {
            let text = row.get(&format!("{OWN_PREFIX}{MEETINGS}"));
            // A text of another form is an error that the reader of the column reports.
            let found = meetings(text).unwrap_or_else(|| vec![[text, "", "", "", "", ""].map(str::to_owned)]);
            let none = vec![[(); 6].map(|()| String::new())];
            let found = if found.is_empty() { none } else { found };
            return found.into_iter().map(|meeting| record(meeting.into())).collect();
        }
        let (periods, location) = (row.get("periods"), row.get("location").to_owned());
        let is_known = is_readable(periods);
        *unread_periods += u64::from(!is_known && !periods.is_empty());
        let dates = lookup.terms.get(term).cloned().unwrap_or_default();
        vec![record(vec![if is_known { periods } else { "" }.to_owned(), dates, location])]
    }
}
