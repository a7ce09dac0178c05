//! Meetings as stores write them: one JSON list for each section.

use jiff::civil::{Date, Time};
use serde::{Deserialize, Serialize};

use crate::domain::meeting::{Days, Meeting};

/// A meeting as the JSON column `meetings` stores it.
#[derive(Serialize, Deserialize)]
struct MeetingRow {
    #[serde(rename = "d")]
    days: u8,
    #[serde(rename = "s")]
    start: Option<Time>,
    #[serde(rename = "e")]
    end: Option<Time>,
    #[serde(rename = "f")]
    starts_on: Option<Date>,
    #[serde(rename = "t")]
    ends_on: Option<Date>,
    #[serde(rename = "l")]
    location: Option<Box<str>>,
}

/// Returns meetings as they are stored.
pub(super) fn text(meetings: &[Meeting]) -> serde_json::Result<String> {
    let row = |m: &Meeting| MeetingRow {
        days: m.days.bits(),
        start: m.start,
        end: m.end,
        starts_on: m.starts_on,
        ends_on: m.ends_on,
        location: m.location.clone(),
    };
    serde_json::to_string(&meetings.iter().map(row).collect::<Vec<_>>())
}

/// Reads stored meetings.
pub(super) fn parse(text: &str) -> serde_json::Result<Vec<Meeting>> {
    let rows: Vec<MeetingRow> = serde_json::from_str(text)?;
    let meeting = |m: MeetingRow| Meeting {
        days: Days::from_bits(m.days),
        start: m.start,
        end: m.end,
        starts_on: m.starts_on,
        ends_on: m.ends_on,
        location: m.location,
    };
    Ok(rows.into_iter().map(meeting).collect())
}
