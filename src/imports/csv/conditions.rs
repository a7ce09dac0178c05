//! Parses and writes the cells about who can register for a section: reserved seats, restrictions and the repeat limit.

use jiff::Timestamp;

use crate::domain::reservation::{RESERVATIONS_MAX, Reservation};
use crate::domain::restriction::{RESTRICTIONS_MAX, Restriction};
use crate::imports::csv::text;
use crate::imports::finding_kind::FindingKind;
use crate::text::csv_text::unescape_cell;

/// Parses reserved seats, such as `honors: 5 until 2026-08-01T08:00:00Z; veterans: 2`.
pub(super) fn reserved(cell: &str) -> Result<Vec<Reservation>, FindingKind> {
    let cell = unescape_cell(cell);
    if text::is_unknown(cell) {
        return Ok(Vec::new());
    }
    let mut found: Vec<Reservation> = Vec::new();
    for item in items(cell) {
        let one = reservation(item).ok_or(FindingKind::ReservedForm)?;
        if found.iter().any(|other| other.group.eq_ignore_ascii_case(&one.group)) {
            return Err(FindingKind::GroupTwice { group: one.group.to_string() });
        }
        found.push(one);
    }
    if found.len() > RESERVATIONS_MAX {
        return Err(FindingKind::TooManyGroups { max: RESERVATIONS_MAX });
    }
    Ok(found)
}

fn reservation(item: &str) -> Option<Reservation> {
    let (group, rest) = item.split_once(':')?;
    let (seats, until) = match rest.split_once("until") {
        Some((seats, until)) => (seats, Some(until.trim().parse::<Timestamp>().ok()?)),
        None => (rest, None),
    };
    let seats = seats.trim().parse().ok().filter(|seats| *seats <= text::COUNT_MAX)?;
    let group = group.trim();
    (!group.is_empty()).then(|| Reservation { group: group.into(), seats, until })
}

/// Writes reserved seats as [`reserved`] parses them.
pub(super) fn reserved_text(reserved: &[Reservation]) -> String {
    let one = |one: &Reservation| match one.until {
        Some(until) => format!("{}: {} until {until}", one.group, one.seats),
        None => format!("{}: {}", one.group, one.seats),
    };
    reserved.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// Parses restrictions, such as `group: honors, veterans; not campus: North`.
pub(super) fn restrictions(cell: &str) -> Result<Vec<Restriction>, FindingKind> {
    let cell = unescape_cell(cell);
    if text::is_unknown(cell) {
        return Ok(Vec::new());
    }
    let parse = |item: &str| Restriction::parse(item).ok_or(FindingKind::RestrictionsForm);
    let found: Vec<Restriction> = items(cell).map(parse).collect::<Result<_, _>>()?;
    if found.len() > RESTRICTIONS_MAX {
        return Err(FindingKind::TooManyRestrictions { max: RESTRICTIONS_MAX });
    }
    Ok(found)
}

/// Parses how many times a course may be taken; `None` for the college's limit.
pub(super) fn repeat_limit(cell: &str) -> Result<Option<u32>, FindingKind> {
    if text::is_unknown(cell) {
        return Ok(None);
    }
    cell.parse().map(Some).map_err(|_| FindingKind::RepeatLimitForm)
}

fn items(cell: &str) -> impl Iterator<Item = &str> {
    cell.split(';').map(str::trim).filter(|item| !item.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_seats_are_parsed_as_they_are_written() {
        for cell in ["", "honors: 5", "honors: 5 until 2026-08-01T08:00:00Z; veterans: 2"] {
            assert_eq!(reserved(cell).map(|found| reserved_text(&found)).as_deref(), Ok(cell));
        }
        for cell in ["honors", "honors: many", "honors: 5 until then", "a: 1; A: 2", ": 3"] {
            assert!(reserved(cell).is_err(), "{cell}");
        }
    }

    #[test]
    fn restrictions_and_repeat_limits_are_parsed() {
        let found = restrictions("group: honors; not campus: North, South").unwrap();
        assert_eq!(
            found.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["group: honors", "not campus: North, South"]
        );
        assert!(restrictions("honors only").is_err());
        assert_eq!((repeat_limit(""), repeat_limit("2"), repeat_limit("two").is_err()), (Ok(None), Ok(Some(2)), true));
    }
}
