//! The options of an import, from the query of its request.

use actix_web::HttpRequest;
use utoipa::IntoParams;

use crate::domain::ids::{PROFILE_NAME_CHARS_MAX, TermId};
use crate::domain::import_profile::ProfileChoice;
use crate::http::error::Problem;
use crate::http::query::Query;
use crate::identity::Caller;
use crate::imports::schedule::ClockOption;
use crate::imports::{FileKind, HEADER_LINE_MAX, ImportOptions, Imports};

/// The longest `sheet` parameter, in characters. Excel allows 31.
const SHEET_LEN_MAX: usize = 200;
/// The longest `map` parameter, in characters.
const MAP_LEN_MAX: usize = 2_000;

/// Options of an import.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ImportQuery {
    /// The term of all rows; if absent, the `term` column of the file.
    term: Option<TermId>,
    /// Whether to report only what would change.
    #[param(required = false, default = false)]
    dry_run: bool,
    /// Whether to import the valid rows and skip the rest.
    #[param(required = false, default = false)]
    partial: bool,
    /// Whether to apply `enrolled` and `waitlisted` of the file even while registration for the term is open.
    #[param(required = false, default = false)]
    totals: bool,
    /// Pairs of a column of the file and a field, such as `seats:capacity,desc:title`.
    /// `#4:capacity` maps the fourth column, and `Bldg+Room:location` joins two.
    #[param(max_length = 2_000)]
    map: Option<String>,
    /// The profile to use: its name, or `none`. If absent, the one for the file's header. `map` takes precedence.
    #[param(max_length = 60)]
    profile: Option<String>,
    /// The sheet of a workbook; if absent, the one with the most known columns.
    #[param(max_length = 200)]
    sheet: Option<String>,
    /// The line of the header, if it is not detected correctly.
    #[param(minimum = 1)]
    header_line: Option<u64>,
    /// `12`: times from 1:00 to 6:59 without am or pm are in the afternoon. `24`: times are as written. If absent, the
    /// clock is inferred from the file.
    #[param(minimum = 12, maximum = 24, multiple_of = 12)]
    clock: Option<u64>,
}

impl ImportQuery {
    fn read(query: &Query) -> Result<Self, Problem> {
        Ok(Self {
            map: query.string("map", 1..=MAP_LEN_MAX)?.map(str::to_owned),
            profile: query.string("profile", 1..=PROFILE_NAME_CHARS_MAX)?.map(str::to_owned),
            term: query.parsed("term", "a term's id, such as 202209", |text| TermId::parse(text).ok())?,
            dry_run: query.bool("dry_run")?.unwrap_or(false),
            sheet: query.string("sheet", 1..=SHEET_LEN_MAX)?.map(str::to_owned),
            header_line: query.u64("header_line", 1..=HEADER_LINE_MAX)?,
            clock: query.u64("clock", 12..=24)?,
            partial: query.bool("partial")?.unwrap_or(false),
            totals: query.bool("totals")?.unwrap_or(false),
        })
    }
}

/// Reads the options of an import by `caller`.
pub(super) fn read(request: &HttpRequest, jobs: &Imports, caller: &Caller) -> Result<ImportOptions, Problem> {
    let ImportQuery { term, dry_run, partial, totals, map, profile, sheet, header_line, clock } =
        ImportQuery::read(&Query::of(request)?)?;
    let profile = match profile {
        None => ProfileChoice::Automatic,
        Some(name) => ProfileChoice::parse(&name)
            .ok_or_else(|| Problem::invalid("profile", "profile must be the name of an import profile, or none."))?,
    };
    let map = read_map(map.as_deref(), "seats:capacity")?;
    jobs.check_map_of(FileKind::Schedule, &map)
        .map_err(|wrong| Problem::invalid("map", format!("In map: {wrong}.")))?;
    let clock = match clock {
        None => None,
        Some(12) => Some(ClockOption::Hours12),
        Some(24) => Some(ClockOption::Hours24),
        Some(_) => return Err(Problem::invalid("clock", "clock must be 12 or 24.")),
    };
    let (realm, subjects) = (caller.realm.clone(), caller.subjects.clone());
    let (kind, audit) = (FileKind::Schedule, None);
    Ok(ImportOptions {
        kind,
        audit,
        realm,
        subjects,
        term,
        map,
        profile,
        sheet,
        header_line,
        clock,
        dry_run,
        partial,
        totals,
    })
}

/// Options of an import of facts about students.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct StudentImportQuery {
    /// Whether to report only what would change.
    #[param(required = false, default = false)]
    dry_run: bool,
    /// Whether to import the students without errors and skip the rest.
    #[param(required = false, default = false)]
    partial: bool,
    /// Pairs of a column of the file and a field, such as `Login:user,Max:credit_limit`.
    /// `#4:holds` maps the fourth column, and `Subject+Number:completed` joins two.
    #[param(max_length = 2_000)]
    map: Option<String>,
    /// The sheet of a workbook; if absent, the one with the most known columns.
    #[param(max_length = 200)]
    sheet: Option<String>,
    /// The line of the header, if it is not detected correctly.
    #[param(minimum = 1)]
    header_line: Option<u64>,
}

impl StudentImportQuery {
    fn read(query: &Query) -> Result<Self, Problem> {
        Ok(Self {
            dry_run: query.bool("dry_run")?.unwrap_or(false),
            partial: query.bool("partial")?.unwrap_or(false),
            map: query.string("map", 1..=MAP_LEN_MAX)?.map(str::to_owned),
            sheet: query.string("sheet", 1..=SHEET_LEN_MAX)?.map(str::to_owned),
            header_line: query.u64("header_line", 1..=HEADER_LINE_MAX)?,
        })
    }
}

/// Reads the options of an import of facts about students.
pub(super) fn read_for_students(request: &HttpRequest, jobs: &Imports) -> Result<ImportOptions, Problem> {
    let StudentImportQuery { dry_run, partial, map, sheet, header_line } =
        StudentImportQuery::read(&Query::of(request)?)?;
    let map = read_map(map.as_deref(), "Login:user")?;
    let kind = FileKind::Students;
    jobs.check_map_of(kind, &map).map_err(|wrong| Problem::invalid("map", format!("In map: {wrong}.")))?;
    Ok(ImportOptions { kind, map, sheet, header_line, dry_run, partial, ..ImportOptions::default() })
}

/// Reads the parameter `map`.
fn read_map(map: Option<&str>, example: &str) -> Result<Vec<(String, String)>, Problem> {
    let wrong = || {
        let detail = format!("map must list pairs of a column of the file and a field, such as {example}.");
        Problem::invalid("map", detail)
    };
    map.map_or(Ok(Vec::new()), |text| parse_map(text).ok_or_else(wrong))
}

/// Parses `seats:capacity,desc:title`. The name of a column may contain colons; a field does not.
fn parse_map(text: &str) -> Option<Vec<(String, String)>> {
    let pairs = text.split(',').map(|pair| {
        let (column, field) = pair.rsplit_once(':')?;
        let (column, field) = (column.trim(), field.trim());
        (!column.is_empty() && !field.is_empty()).then(|| (column.to_owned(), field.to_owned()))
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::parse_map;

    #[test]
    fn a_map_is_a_list_of_column_and_field_pairs() {
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(parse_map("seats:capacity"), Some(vec![pair("seats", "capacity")]));
        assert_eq!(parse_map("a: b:title, Max Enrl:cap"), Some(vec![pair("a: b", "title"), pair("Max Enrl", "cap")]));
        for bad in ["seats", ":capacity", "seats:", "a:b,", ""] {
            assert_eq!(parse_map(bad), None, "{bad:?}");
        }
    }
}
