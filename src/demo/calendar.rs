//! The terms of the demonstration college.

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::domain::ids::TermId;
use crate::domain::term::Term;

/// Minimum number of days between today and the first day of teaching of a term that is open for registration.
const NOTICE_DAYS: i32 = 10;

/// Returns the next term, for which registration opened yesterday at 8:00, and the term after it, for which
/// registration opens tomorrow at 8:00.
///
/// # Errors
/// If `now` is too close to the end of the calendar to have later terms.
pub(super) fn terms(now: Timestamp, zone: &TimeZone) -> Result<[Term; 2], jiff::Error> {
    let today = zone.to_datetime(now).date();
    let mut coming = Vec::with_capacity(6);
    for year in today.year()..=today.year().saturating_add(2) {
        coming.push(spring(year)?);
        coming.push(fall(year)?);
    }
    let earliest = today.saturating_add(NOTICE_DAYS.days());
    coming.retain(|term| term.starts_on.is_some_and(|start| start > earliest));
    let mut coming = coming.into_iter();
    let (Some(mut this), Some(mut next)) = (coming.next(), coming.next()) else {
        return Err(jiff::Error::from_args(format_args!("there are no terms after {today}")));
    };
    let at_8_00 = |day: Date| zone.to_timestamp(day.at(8, 0, 0, 0));
    let closing = |term: &Term| term.starts_on.map(|start| at_8_00(start.saturating_add(12.days()))).transpose();
    this.opens_at = Some(at_8_00(today.yesterday()?)?);
    this.closes_at = closing(&this)?;
    next.opens_at = Some(at_8_00(today.tomorrow()?)?);
    next.closes_at = closing(&next)?;
    Ok([this, next])
}

/// Returns the spring term of a year: sixteen weeks from the second Monday of January.
fn spring(year: i16) -> Result<Term, jiff::Error> {
    let january = Date::new(year, 1, 1)?;
    let start = january.nth_weekday_of_month(2, Weekday::Monday)?;
    let mut holidays = vec![
        january.nth_weekday_of_month(3, Weekday::Monday)?,
        Date::new(year, 2, 1)?.nth_weekday_of_month(3, Weekday::Monday)?,
    ];
    let break_starts = start.saturating_add(9.weeks());
    holidays.extend((0..5).map(|day| break_starts.saturating_add(day.days())));
    term("01", "Spring", start, holidays)
}

/// Returns the fall term of a year: sixteen weeks from the last Monday of August.
fn fall(year: i16) -> Result<Term, jiff::Error> {
    let start = Date::new(year, 8, 1)?.nth_weekday_of_month(-1, Weekday::Monday)?;
    let thanksgiving = Date::new(year, 11, 1)?.nth_weekday_of_month(4, Weekday::Thursday)?;
    let holidays = vec![
        Date::new(year, 9, 1)?.nth_weekday_of_month(1, Weekday::Monday)?,
        Date::new(year, 11, 11)?,
        thanksgiving,
        thanksgiving.tomorrow()?,
    ];
    term("09", "Fall", start, holidays)
}

fn term(month: &str, season: &str, starts_on: Date, holidays: Vec<Date>) -> Result<Term, jiff::Error> {
    let year = starts_on.year();
    let id = TermId::parse(&format!("{year}{month}")).map_err(|e| jiff::Error::from_args(format_args!("{e}")))?;
    let ends_on = starts_on.saturating_add(15.weeks()).saturating_add(4.days());
    Ok(Term {
        title: format!("{season} {year}").into(),
        starts_on: Some(starts_on),
        ends_on: Some(ends_on),
        holidays,
        ..Term::new(id)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_term_is_open_and_the_next_opens_within_two_days() {
        let zone = TimeZone::get("America/New_York").unwrap();
        let start: Timestamp = "2026-01-01T04:30:00Z".parse().unwrap();
        for day in 0..800 {
            let now = start + jiff::SignedDuration::from_hours(day * 24);
            let [this, next] = terms(now, &zone).unwrap();
            assert!(this.is_open(now) && !next.is_open(now), "{now}");
            assert!(next.is_open(now + jiff::SignedDuration::from_hours(33)), "{now}");
            assert!(this.starts_on < next.starts_on && this.ends_on < next.starts_on, "{now}");
        }
    }
}
