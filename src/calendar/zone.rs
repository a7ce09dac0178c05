//! The definition of a time zone in a calendar. Programs that know the zone by its IANA name ignore it; others need it.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{Dst, Offset, TimeZone};

use crate::calendar::lines::Lines;

/// Maximum number of changes of the offset that are written: those of a century with two a year. Without it, an event
/// that ends thousands of years later would have thousands of changes.
const CHANGES_MAX: usize = 200;
/// The onset of an offset that was always valid.
const ALWAYS: DateTime = jiff::civil::datetime(1970, 1, 1, 0, 0, 0, 0);

/// Writes the offsets from `first` to `last`, each with its onset.
pub(super) fn write(lines: &mut Lines, zone: &TimeZone, name: &str, first: Timestamp, last: Timestamp) {
    lines.raw("BEGIN:VTIMEZONE");
    lines.raw(&format!("TZID:{name}"));
    // The iterator yields changes before its argument. The next instant makes it include a change at `first`.
    let before = zone.preceding(first + jiff::SignedDuration::from_nanos(1)).next();
    let mut from = match &before {
        Some(onset) => zone.to_offset(onset.timestamp() - jiff::SignedDuration::from_nanos(1)),
        None => zone.to_offset(first),
    };
    match &before {
        Some(onset) => {
            let at = from.to_datetime(onset.timestamp());
            observance(lines, onset.dst(), onset.abbreviation(), at, from, onset.offset());
            from = onset.offset();
        }
        None => {
            let info = zone.to_offset_info(first);
            observance(lines, info.dst(), info.abbreviation(), ALWAYS, from, from);
        }
    }
    let after = before.map_or(first, |onset| onset.timestamp());
    for onset in zone.following(after).take_while(|onset| onset.timestamp() <= last).take(CHANGES_MAX) {
        let at = from.to_datetime(onset.timestamp());
        observance(lines, onset.dst(), onset.abbreviation(), at, from, onset.offset());
        from = onset.offset();
    }
    lines.raw("END:VTIMEZONE");
}

fn observance(lines: &mut Lines, dst: Dst, name: &str, onset: DateTime, from: Offset, to: Offset) {
    let kind = if dst.is_dst() { "DAYLIGHT" } else { "STANDARD" };
    lines.raw(&format!("BEGIN:{kind}"));
    lines.raw(&format!("DTSTART:{}", onset.strftime("%Y%m%dT%H%M%S")));
    lines.raw(&format!("TZOFFSETFROM:{}", offset_text(from)));
    lines.raw(&format!("TZOFFSETTO:{}", offset_text(to)));
    lines.text("TZNAME", name);
    lines.raw(&format!("END:{kind}"));
}

/// Writes an offset as `-0500`, with seconds if there are any.
fn offset_text(offset: Offset) -> String {
    let seconds = offset.seconds();
    let (sign, all) = (if seconds < 0 { '-' } else { '+' }, seconds.unsigned_abs());
    let text = format!("{sign}{:02}{:02}", all / 3600, all / 60 % 60);
    if all % 60 == 0 { text } else { format!("{text}{:02}", all % 60) }
}
