//! Tests of conflicts: which pairs are conflicts, how many are counted, and how they are listed.

use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::CsvSchedules;
use crate::domain::ids::TermId;
use crate::domain::import::Conflict;
use crate::imports::schedule::{ProfileOptions, ScheduleOptions, ScheduleReader};

/// Reads a file, and returns the listed conflicts and their total.
fn conflicts(csv: &str) -> (Vec<Conflict>, u64) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("schedule.csv");
    std::fs::write(&path, csv).unwrap();
    let term = Some(TermId::parse("T").unwrap());
    let options = ScheduleOptions {
        term,
        map: Vec::new(),
        sheet: None,
        header_line: None,
        clock: None,
        zone: TimeZone::UTC,
        profiles: ProfileOptions::default(),
    };
    let schedule = CsvSchedules::default().read(&path, folder.path(), &options, &mut |_| true).unwrap();
    (schedule.conflicts(1_000).unwrap(), schedule.conflicts_total())
}

const HEADER: &str = "crn,course,cap,days,start_time,end_time,start,end,building,room,instructor,cross_listed,status\n";

/// Returns the messages of the conflicts of two sections.
fn between(one: &str, other: &str) -> Vec<String> {
    conflicts(&format!("{HEADER}1,A 1,9,{one}\n2,B 1,9,{other}\n")).0.into_iter().map(|c| c.message).collect()
}

#[test]
fn classes_that_may_share_a_room_and_a_time_do_not_conflict() {
    let table = [
        ("M,9:00,10:00,,,Elm,1,Ann,,", "M,9:30,10:30,,,elm, 1,Bo,,", 1, "the same room"),
        ("M,9:00,10:00,,,Elm,1,Ann,,", "M,9:30,10:30,,,Oak,1,Bo,,", 0, "another building"),
        ("M,9:00,10:00,,,,Online Room 1,Ann,,", "M,9:30,10:30,,,,Online Room 1,Bo,,", 0, "online"),
        ("M,9:00,10:00,,,,To be arranged,Ann,,", "M,9:30,10:30,,,,To be arranged,Bo,,", 0, "arranged"),
        ("M,9:00,10:00,,,,1,Ann,,X", "M,9:30,10:30,,,,1,Bo,,", 0, "cancelled"),
        ("M,9:00,10:00,,,,1,Ann,G7,", "M,9:30,10:30,,,,1,Bo,g7,", 0, "cross-listed"),
        ("M,9:00,10:00,,,,1,Ann,Yes,", "M,9:30,10:30,,,,1,Bo,Yes,", 1, "a mark that names no group"),
        ("M,9:00,10:00,,,,1,Ann,,", "M,9:00,10:00,,,,1,Ann,,", 0, "one class under two CRNs"),
        ("M,9:00,10:00,,,,1,Ann,,", "M,9:00,10:00,,,,2,Ann,,", 1, "one instructor in two rooms"),
        ("M,9:00,10:00,,,,1,,,", "M,9:00,10:00,,,,1,,,", 1, "the instructors are not known"),
        ("M,22:00,24:00,,,,1,Ann,,", "M,23:00,24:00,,,,1,Bo,,", 1, "until midnight"),
        ("M,22:00,24:00,,,,1,Ann,,", "T,0:00,1:00,,,,1,Bo,,", 0, "after midnight"),
        ("M,9:00,10:00,2031-03-01,,,1,Ann,,", "M,9:00,10:00,,2031-03-01,,1,Bo,,", 1, "open-ended dates that overlap"),
        ("M,9:00,10:00,2031-03-02,,,1,Ann,,", "M,9:00,10:00,,2031-03-01,,1,Bo,,", 0, "open-ended dates that do not"),
    ];
    for (one, other, expected, why) in table {
        assert_eq!(between(one, other).len(), expected, "{why}: {:?}", between(one, other));
    }
    let other_times = between("M,9:00,10:00,,,,1,\"Roe, Ann; Bo\",,", "MW,9:30,10:30,,,,1,,,");
    assert_eq!(
        other_times,
        [
            "A 1 (CRN 1) with Bo; Roe, Ann (mon 09:00-10:00) and B 1 (CRN 2) without an instructor (mon, wed 09:30-10:30) \
          are both in 1 on mon 09:30-10:00"
        ]
    );
    let midnight = between("M,22:00,24:00,,,,1,Ann,,", "M,23:00,24:00,,,,1,Bo,,");
    assert!(midnight[0].ends_with("are both in 1 on mon 23:00-24:00"), "{midnight:?}");
}

#[test]
fn many_conflicts_are_grouped_and_all_are_counted() {
    let mut csv = HEADER.to_owned();
    for number in 0..30_u8 {
        let name = if number < 26 { "Ann" } else { "Bea" };
        let initial = char::from(b'A' + number % 26);
        csv += &format!("{number},A {number},9,M,9:00,10:00,,,,105,{name} {initial},,\n");
        csv += &format!("{},B {number},9,M,9:00,10:00,,,Elm,{},Bo,,\n", number + 100, number / 2);
    }
    let (listed, total) = conflicts(&csv);
    let shown: Vec<_> = listed.iter().map(|c| (c.pairs, c.message.as_str(), c.lines.len())).collect();
    // Two classes of one instructor in one room are one class.
    let instructor = 30 * 29 / 2 - 15;
    let expected =
        [(435, "Room 105: 435 pairs of classes overlap", 10), (instructor, "Bo: 420 pairs of classes overlap", 10)];
    assert_eq!((shown.as_slice(), total), (expected.as_slice(), 435 + instructor));
    assert_eq!(listed[0].lines[..3], [2, 4, 6]);
}

/// A section of a made-up file: room, instructor, days, start, duration, first month, and group.
type Made = (u8, u8, u8, u8, u8, u8, u8);

fn row(number: usize, (room, instructor, days, start, hours, month, group): &Made) -> String {
    let days: String = "MTW".chars().enumerate().filter(|(day, _)| days & 1 << day != 0).map(|(_, day)| day).collect();
    let text = |prefix: &str, n: u8| if n == 0 { String::new() } else { format!("{prefix} {n}") };
    let (room, group) = (text("R", *room), text("G", *group));
    let instructor = ["", "Ann", "Bo"][usize::from(*instructor)];
    // Every third row belongs to the section of the row before it.
    let crn = number - usize::from(number % 3 == 2);
    let dates = format!("2031-0{month}-01,2031-0{}-01", month + 1);
    format!("{crn},A {crn},9,{days},{start}:00,{}:00,{dates},,{room},{instructor},{group},\n", start + hours)
}

/// Counts the conflicts by comparing all pairs.
fn naive(rows: &[Made]) -> u64 {
    let mut total = 0;
    for (at, b) in rows.iter().enumerate() {
        for (before, a) in rows[..at].iter().enumerate() {
            let crn = |number: usize| number - usize::from(number % 3 == 2);
            let overlap = a.2 & b.2 != 0 && a.3 < b.3 + b.4 && b.3 < a.3 + a.4 && a.5 <= b.5 + 1 && b.5 <= a.5 + 1;
            if crn(at) == crn(before) || !overlap || (a.6 != 0 && a.6 == b.6) {
                continue;
            }
            let same_time = (a.3, a.4) == (b.3, b.4);
            let same = |x: u8, y: u8| x != 0 && x == y;
            total += u64::from(same(a.0, b.0) && !(same_time && same(a.1, b.1)));
            total += u64::from(same(a.1, b.1) && !(same_time && a.0 == b.0));
        }
    }
    total
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn as_many_conflicts_are_counted_as_pairs_overlap(
        rows in prop::collection::vec((0_u8..3, 0_u8..3, 1_u8..8, 8_u8..11, 1_u8..3, 1_u8..5, 0_u8..4), 2..40)
    ) {
        // A repeated meeting of a section is one meeting.
        let mut rows = rows;
        for at in (2..rows.len()).step_by(3) {
            let (before, row) = (rows[at - 1], &mut rows[at]);
            if (row.0, row.2, row.3, row.4, row.5) == (before.0, before.2, before.3, before.4, before.5) {
                row.3 += 4;
            }
        }
        let csv: String = rows.iter().enumerate().map(|(number, made)| row(number, made)).collect();
        let (listed, total) = conflicts(&format!("{HEADER}{csv}"));
        prop_assert_eq!(total, naive(&rows));
        prop_assert_eq!(listed.iter().map(|c| c.pairs).sum::<u64>(), total);
    }
}
