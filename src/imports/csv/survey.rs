//! Surveys a file before it is read: where its header is, and how it writes days, times, dates and
//! statuses.

use crate::domain::ids::ProfileName;
use crate::domain::import::{FileColumn, FileRow, MissingField};
use crate::domain::import_profile::ImportProfile;
use crate::imports::finding_kind::FindingKind;
use crate::imports::schedule::{ClockOption, ScheduleError, ScheduleOptions, ScheduleProgress, Watch};

use crate::imports::csv::candidates;
use crate::imports::csv::columns::{Column, ExtraNames, Header};
use crate::imports::csv::combined;
use crate::imports::csv::contents;
use crate::imports::csv::dates::OrderEvidence;
use crate::imports::csv::guard::Unreadable;
use crate::imports::csv::meetings::Format;
use crate::imports::csv::names::{normalized, weekday};
use crate::imports::csv::profile::{self, Recognized};
use crate::imports::csv::source::{RecordSource, unreadable};
use crate::imports::csv::spanish_days::LettersEvidence;
use crate::imports::csv::status::Letters;
use crate::imports::csv::times::{Clock, ClockEvidence};

/// The number of rows between two checks of whether the import was cancelled.
const WATCH_INTERVAL_ROWS: usize = 200;
/// The number of rows that are searched for the header. Real exports have up to a dozen lines above it.
pub(super) const HEADER_ROWS_MAX: usize = 30;
/// The minimum number of known columns of a header below the first row. Fewer may be a title that has a known word.
const HEADER_COLUMNS_MIN: usize = 2;
/// The maximum length of the text of a skipped line, in characters.
const SKIPPED_CHARS_MAX: usize = 100;
/// The maximum number of columns that a task describes. Real exports have up to 120.
const COLUMNS_MAX: usize = 300;
/// The maximum number of sample texts of a column.
const SAMPLES_MAX: usize = 3;
/// The maximum number of rows that a task shows.
const PREVIEW_ROWS_MAX: usize = 5;
/// The minimum number of cells of a row that a task shows. Rows with fewer are mostly headings.
const PREVIEW_CELLS_MIN: usize = 2;
/// The maximum length of a sample text, in characters.
const SAMPLE_CHARS_MAX: usize = 60;

/// What is known about a file before its rows are read.
pub(super) struct Survey {
    /// The cells of the header; `Column 1`, `Column 2` … if the file has none.
    pub(super) names: Vec<String>,
    /// The line of the header; 0 if the file has none.
    pub(super) header_line: u64,
    /// The number of records up to and including the header.
    pub(super) records_before_rows: usize,
    /// The lines above the header, and their texts.
    pub(super) skipped: Vec<(u64, String)>,
    /// Some texts of each column.
    samples: Vec<Vec<String>>,
    /// The first records below the header, among those that were surveyed.
    first_rows: Vec<(u64, csv::StringRecord)>,
    /// The profile that matches the file.
    pub(super) profile: Option<ProfileName>,
    /// The header, with the mapping of columns: that of the upload, then that of the profile, then what the cells show.
    pub(super) header: Header,
    /// The warnings about the header.
    pub(super) warnings: Vec<FindingKind>,
    /// How days, times, dates and statuses are written.
    pub(super) format: Format,
    /// What the dates show about the order of day and month.
    pub(super) order: OrderEvidence,
}

impl Survey {
    /// Returns the columns for staff.
    pub(super) fn columns(&self) -> Vec<FileColumn> {
        let names = self.names.iter().filter(|name| *name != contents::HEADINGS);
        let columns = names.enumerate().map(|(index, name)| FileColumn {
            index: index as u64 + 1,
            name: name.clone(),
            field: self.header.field_of(index).map(|column| column.names()[0].to_owned()),
            samples: self.samples.get(index).cloned().unwrap_or_default(),
        });
        columns.take(COLUMNS_MAX).collect()
    }

    /// Returns the first rows for staff, without headings.
    pub(super) fn preview(&self) -> Vec<FileRow> {
        let width = |record: &csv::StringRecord| record.iter().filter(|cell| !cell.trim().is_empty()).count();
        let rows = self.first_rows.iter().filter(|(_, record)| width(record) >= PREVIEW_CELLS_MIN);
        let short = |cell: &str| cell.trim().chars().take(SAMPLE_CHARS_MAX).collect();
        let row = |(line, record): &(u64, csv::StringRecord)| FileRow {
            line: *line,
            cells: record.iter().take(COLUMNS_MAX).map(short).collect(),
        };
        rows.take(PREVIEW_ROWS_MAX).map(row).collect()
    }

    /// Returns the fields that no column has. `has_term` is whether the upload has a term.
    pub(super) fn missing_fields(&self, has_term: bool) -> Vec<MissingField> {
        let header = &self.header;
        // The subject may have the course.
        let is_unused = |index: &usize| [None, Some(Column::Subject)].contains(&header.field_of(*index));
        let unused: Vec<usize> = (0..self.names.len().min(COLUMNS_MAX)).filter(is_unused).collect();
        let texts = |index: usize| -> Vec<&str> {
            let cells = self.first_rows.iter().filter_map(|(_, record)| record.get(index));
            cells.map(str::trim).filter(|cell| !cell.is_empty()).collect()
        };
        let columns: Vec<(u64, Vec<&str>)> = unused.into_iter().map(|index| (index as u64 + 1, texts(index))).collect();
        candidates::missing_fields(header, has_term, &columns)
    }
}

/// Returns some texts of each column.
fn samples(rows: &[(u64, csv::StringRecord)], columns: usize) -> Vec<Vec<String>> {
    let texts = |column: usize| -> Vec<String> {
        let cells =
            rows.iter().filter_map(|(_, record)| record.get(column)).map(str::trim).filter(|cell| !cell.is_empty());
        let short = |cell: &str| cell.chars().take(SAMPLE_CHARS_MAX).collect();
        cells.take(SAMPLES_MAX).map(short).collect()
    };
    (0..columns.min(COLUMNS_MAX)).map(texts).collect()
}

/// Returns the text of a record for staff.
pub(super) fn text_of(record: &csv::StringRecord) -> String {
    let cells: Vec<&str> = record.iter().map(str::trim).filter(|cell| !cell.is_empty()).collect();
    let printable = |c: char| if c.is_control() { ' ' } else { c };
    cells.join(", ").chars().map(printable).take(SKIPPED_CHARS_MAX).collect()
}

/// Surveys a file. If it cannot be imported, returns the line with the problem, and the problem.
pub(super) fn survey(
    source: &RecordSource<'_>,
    options: &ScheduleOptions,
    extra: &ExtraNames,
    map: &[(String, Column)],
    watch: &mut Watch<'_>,
) -> Result<Result<Survey, (u64, FindingKind)>, ScheduleError> {
    let first_rows = match first_rows(source, options.header_line)? {
        Ok(rows) => rows,
        Err(error) => return Ok(Err((error.line, error.into()))),
    };
    if first_rows.is_empty() {
        return Ok(Err((1, FindingKind::FileEmpty)));
    }
    let (found, profile) = match find_with_profile(&first_rows, options, extra, map) {
        Ok(found) => found,
        Err(wrong) => return Ok(Err(wrong)),
    };
    let mut map = profile::merged(map, profile, extra, &found.names);
    let read = |found: &Found, map: &[(String, Column)]| {
        let read = Header::read(found.names.iter().map(String::as_str), extra, map);
        read.map_err(|kind| (found.line.max(1), kind))
    };
    let (mut header, mut warnings) = match read(&found, &map) {
        Ok(read) => read,
        Err(wrong) => return Ok(Err(wrong)),
    };
    let decided = contents::decide(source, &header, found.records, &map)?;
    let mut found = found;
    if decided.iter().any(|(name, _)| name == contents::HEADINGS) {
        found.names.push(contents::HEADINGS.to_owned());
    }
    if !decided.is_empty() {
        map.extend(decided);
        (header, warnings) = match read(&found, &map) {
            Ok(read) => read,
            Err(wrong) => return Ok(Err(wrong)),
        };
    }
    let (format, order) = formats(source, options, &header, found.records, watch)?;
    let skipped = first_rows[..found.records.saturating_sub(found.header_rows)]
        .iter()
        .filter(|(_, record)| record.iter().any(|cell| !cell.trim().is_empty()))
        .map(|(line, record)| (*line, text_of(record)))
        .collect();
    let mut first_rows = first_rows;
    let first_rows = first_rows.split_off(found.records.min(first_rows.len()));
    let samples = samples(&first_rows, found.names.len());
    let profile = profile.map(|profile| profile.name.clone());
    let Found { names, line: header_line, records: records_before_rows, .. } = found;
    Ok(Ok(Survey {
        names,
        header_line,
        records_before_rows,
        skipped,
        samples,
        first_rows,
        profile,
        header,
        warnings,
        format,
        order,
    }))
}

/// Reads the first [`HEADER_ROWS_MAX`] rows or, if a header line is chosen, as many from it on, and the rows above
/// it. Of these, only the start of their text remains, so that they cannot fill memory.
fn first_rows(
    source: &RecordSource<'_>,
    header_line: Option<u64>,
) -> Result<Result<Vec<(u64, csv::StringRecord)>, Unreadable>, ScheduleError> {
    let (mut records, lines) = source.open()?;
    let mut rows: Vec<(u64, csv::StringRecord)> = Vec::new();
    let mut record = csv::StringRecord::new();
    let mut whole = 0;
    while whole < HEADER_ROWS_MAX {
        match records.read_record(&mut record) {
            Ok(true) => {
                let line = lines.take();
                let is_above = header_line.is_some_and(|header_line| line < header_line);
                whole += usize::from(!is_above);
                rows.push((
                    line,
                    if is_above { csv::StringRecord::from(vec![text_of(&record)]) } else { record.clone() },
                ));
            }
            Ok(false) => break,
            Err(error) if rows.is_empty() => return Ok(Err(unreadable(error)?)),
            Err(_) => break,
        }
    }
    Ok(Ok(rows))
}

struct Found {
    names: Vec<String>,
    line: u64,
    /// The number of records up to and including the header.
    records: usize,
    /// The number of records that form the header: 0, 1 or 2.
    header_rows: usize,
}

/// Finds the header, and the profile of the file: the one that staff chose, or the one whose header is among the rows.
fn find_with_profile<'o>(
    rows: &[(u64, csv::StringRecord)],
    options: &'o ScheduleOptions,
    extra: &ExtraNames,
    map: &[(String, Column)],
) -> Result<(Found, Option<&'o ImportProfile>), (u64, FindingKind)> {
    let named = options.profiles.named.as_ref();
    let profiles = named.map_or(&options.profiles.automatic[..], std::slice::from_ref);
    let names = |at: usize| -> Vec<String> { rows[at].1.iter().map(str::to_owned).collect() };
    let allowed = (0..rows.len()).filter(|at| options.header_line.is_none_or(|line| rows[*at].0 == line));
    let headers = allowed.flat_map(|at| {
        let in_two =
            (at > 0 && options.header_line.is_none()).then(|| (at, 2, in_two_rows(&names(at - 1), &names(at), extra)));
        [Some((at, 1, names(at))), in_two].into_iter().flatten()
    });
    if let Some(Recognized { profile, row, rows: header_rows, names }) = profile::recognize(profiles, headers) {
        let found = Found { names, line: rows[row].0, records: row + 1, header_rows };
        return Ok((found, Some(profile)));
    }
    let mut all = map.to_vec();
    all.extend(named.into_iter().flat_map(|p| &p.map).filter_map(|(n, f)| Some((n.clone(), Column::parse(f)?))));
    Ok((find_header(rows, options, extra, &all)?, named))
}

/// Finds the header among the first rows: the row with the most known columns, together with the row above or below it
/// if the names are in two rows. If there is no row in the chosen line, returns the line and the problem.
fn find_header(
    rows: &[(u64, csv::StringRecord)],
    options: &ScheduleOptions,
    extra: &ExtraNames,
    map: &[(String, Column)],
) -> Result<Found, (u64, FindingKind)> {
    let one = |at: usize| -> Vec<String> { rows[at].1.iter().map(str::to_owned).collect() };
    if let Some(line) = options.header_line {
        let at = rows.iter().position(|(at, _)| *at == line);
        let at = at.ok_or((line, FindingKind::NoHeaderRow { line }))?;
        return Ok(Found { names: one(at), line, records: at + 1, header_rows: 1 });
    }
    let score = |names: &[String]| score(names, extra, map);
    let best = (0..rows.len()).max_by_key(|at| (score(&one(*at)), rows.len() - at)).unwrap_or(0);
    let best_score = score(&one(best));
    let is_numbered =
        !map.is_empty() && map.iter().all(|(name, _)| name.split('+').all(|part| part.trim().starts_with('#')));
    let is_data = rows[0].1.iter().any(|cell| cell.contains(|c: char| c.is_ascii_digit()));
    if is_numbered && best_score < HEADER_COLUMNS_MIN && is_data {
        let columns = rows.iter().map(|(_, record)| record.len()).max().unwrap_or(0);
        let names = (1..=columns).map(|number| format!("Column {number}")).collect();
        return Ok(Found { names, line: 0, records: 0, header_rows: 0 });
    }
    // If no row has enough known columns, the first row is reported as the header.
    let best = if best_score < HEADER_COLUMNS_MIN { 0 } else { best };
    if best > 0 {
        let both = in_two_rows(&one(best - 1), &one(best), extra);
        let is_tie = || score(&both) == best_score && are_joined(&one(best - 1), &one(best));
        if score(&both) > best_score || is_tie() {
            return Ok(Found { names: both, line: rows[best].0, records: best + 1, header_rows: 2 });
        }
    }
    // A row of data may contain a known name, such as `Semester` or `Credit`.
    let has_number = |at: usize| rows[at].1.iter().any(|cell| cell.trim().starts_with(|c: char| c.is_ascii_digit()));
    if best + 1 < rows.len() && !has_number(best + 1) {
        let both = in_two_rows(&one(best), &one(best + 1), extra);
        if score(&both) > best_score && score(&one(best + 1)) > 0 {
            return Ok(Found { names: both, line: rows[best + 1].0, records: best + 2, header_rows: 2 });
        }
    }
    Ok(Found { names: one(best), line: rows[best].0, records: best + 1, header_rows: 1 })
}

/// Returns the number of known columns in the header that would be found among the first rows of a sheet.
pub(super) fn known_columns(
    rows: &[(u64, csv::StringRecord)],
    options: &ScheduleOptions,
    extra: &ExtraNames,
    map: &[(String, Column)],
) -> usize {
    find_with_profile(rows, options, extra, map).map_or(0, |(found, profile)| {
        let map = profile::merged(map, profile, extra, &found.names);
        score(&found.names, extra, &map)
    })
}

/// Returns the number of known columns of a header, plus the number of its names that `map` contains.
fn score(names: &[String], extra: &ExtraNames, map: &[(String, Column)]) -> usize {
    let known = Header::read(names.iter().map(String::as_str), extra, &[]).map_or(0, |(header, _)| header.known_len());
    let is_mapped = |name: &&String| map.iter().any(|(mapped, _)| normalized(mapped) == normalized(name));
    known + names.iter().filter(is_mapped).count()
}

/// Returns whether two rows have known names only together, such as `Enrollment` above `Cap`. A title is not the first
/// row of a header.
fn are_joined(upper: &[String], lower: &[String]) -> bool {
    let texts = upper.iter().filter(|text| !text.trim().is_empty()).count();
    let is_joined = |(above, below): (&String, &String)| {
        !above.trim().is_empty() && !below.trim().is_empty() && Column::parse(&format!("{above} {below}")).is_some()
    };
    texts > 1 && upper.iter().zip(lower).any(is_joined)
}

/// Joins a header of two rows, such as `Meeting` above `Days`. For each column, uses the two texts together if they are
/// a known name, otherwise the lower or the upper text if it is one.
fn in_two_rows(upper: &[String], lower: &[String], extra: &ExtraNames) -> Vec<String> {
    let is_known = |name: &str| {
        let name = &normalized(name);
        Column::parse(name).is_some() || extra.contains_key(name) || weekday(name).is_some()
    };
    (0..upper.len().max(lower.len()))
        .map(|at| {
            let (above, below) = (upper.get(at).map_or("", |s| s.trim()), lower.get(at).map_or("", |s| s.trim()));
            let both = format!("{above} {below}");
            [both.trim(), below, above].into_iter().find(|name| is_known(name)).unwrap_or(both.trim()).to_owned()
        })
        .collect()
}

/// Reads the rows to find out how they write days, times, dates and statuses. Stops when no further row can change the
/// result.
fn formats(
    source: &RecordSource<'_>,
    options: &ScheduleOptions,
    header: &Header,
    records_before_rows: usize,
    watch: &mut Watch<'_>,
) -> Result<(Format, OrderEvidence), ScheduleError> {
    let columns = |wanted: &[Column]| -> Vec<usize> {
        let groups = header.meeting_groups().iter();
        let mut found: Vec<usize> = groups.flat_map(|group| wanted.iter().filter_map(|c| group.at(*c))).collect();
        found.extend(wanted.iter().filter_map(|column| header.at(*column)));
        found.sort_unstable();
        found.dedup();
        found
    };
    let times = columns(&[Column::Time, Column::StartTime, Column::EndTime, Column::Days]);
    let dates = columns(&[Column::DateRange, Column::Start, Column::End, Column::Date]);
    let status = header.at(Column::Status);
    let mut letters = Letters::default();
    let mut shown = ClockEvidence::default();
    let mut order = OrderEvidence::default();
    let mut days = LettersEvidence::default();
    // Whether the cells of meetings have dates, too.
    let mut has_inner_dates = false;
    let (mut records, lines) = source.open()?;
    let mut record = csv::StringRecord::new();
    let mut at = 0_usize;
    // An unreadable row ends the survey. The reading that follows reports it.
    while matches!(records.read_record(&mut record), Ok(true)) {
        let line = lines.take();
        at += 1;
        if at.is_multiple_of(WATCH_INTERVAL_ROWS) && !watch(ScheduleProgress::default()) {
            return Err(ScheduleError::Cancelled);
        }
        if at <= records_before_rows {
            continue;
        }
        // Later rows count for the clock only if the first ones have shown neither am nor pm nor a late hour.
        let is_late = at > records_before_rows + contents::ROWS_MAX;
        let cell = |index: &usize| record.get(*index).map_or("", str::trim);
        status.iter().map(cell).for_each(|cell| letters.add(cell));
        for cell in times.iter().map(cell) {
            if !(shown.is_complete() || is_late && shown.clock() != Clock::Afternoon) {
                shown.add(cell);
            }
            has_inner_dates |= order.add_inner(cell, line);
            combined::add_letters(&mut days, cell);
        }
        dates.iter().map(cell).for_each(|cell| order.add(cell, line));
        // Each row may show the order of dates, the meaning of the statuses and the letters of days.
        let is_decided = is_late && shown.clock() != Clock::Afternoon && !has_inner_dates && days.is_complete();
        if dates.is_empty() && status.is_none() && (times.is_empty() || is_decided) {
            break;
        }
    }
    let clock = match options.clock {
        Some(ClockOption::Hours12) => Clock::Afternoon,
        Some(ClockOption::Hours24) => Clock::AsWritten,
        None => shown.clock(),
    };
    // In a file with am or pm, or with an hour above 12, a time such as 1:00 is doubtful.
    let has_halves = shown.clock() != Clock::Afternoon && options.clock.is_none();
    let (letter_c, letters) = (letters.letter_c(), days.letters());
    Ok((Format { clock, order: order.order(), letter_c, letters, has_halves }, order))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::{Seek, Write};

    use super::*;
    use crate::imports::csv::encoding::Encoding;

    #[test]
    fn rows_above_a_chosen_header_line_do_not_fill_memory() {
        let mut file = tempfile::tempfile().unwrap();
        for _ in 0..100 {
            writeln!(file, "{},x", "title ".repeat(10_000)).unwrap();
        }
        writeln!(file, "crn,course,cap\n{}", "1,AB 101,20\n".repeat(100)).unwrap();
        file.rewind().unwrap();
        let source = RecordSource::new(&file, Encoding::Utf8 { bom: false }, &|names| names.len()).unwrap();

        let rows = first_rows(&source, Some(101)).unwrap().unwrap();

        let bytes: usize = rows.iter().map(|(_, record)| record.as_slice().len()).sum();
        assert!(bytes < 100 * (SKIPPED_CHARS_MAX + 4), "{bytes} bytes");
        assert_eq!((rows.len(), rows[100].0, &rows[100].1[1]), (100 + HEADER_ROWS_MAX, 101, "course"));
    }
}
