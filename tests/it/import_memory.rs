//! The memory needed to read a large upload. The test measures its own process, so it runs in a child process.

#![cfg(target_os = "linux")]

use std::fmt::Write as _;

use eduhub::domain::ids::TermId;
use eduhub::imports::csv::CsvSchedules;
use eduhub::imports::schedule::{ProfileOptions, ScheduleOptions, ScheduleReader};

use crate::child_process::{self, RunAs};
use crate::support::schedule_variants::with_part;

/// Size of the file in bytes, a quarter of the largest upload. Memory must not grow with the size, so a larger file
/// would only take longer.
const FILE_BYTES: usize = 16 * 1024 * 1024;
/// Size in bytes of the file that is read before memory is measured.
const SMALL_BYTES: usize = 64 * 1024;
/// Maximum growth of the memory while reading, in KiB: SQLite's cache of 4 MiB, and buffers.
const GROWTH_KIB_MAX: u64 = 10 * 1024;

/// Returns the peak of the process's resident memory so far, in KiB.
pub(crate) fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Writes a schedule of at least `len` bytes in which each CRN occurs again after 100,000 rows, and returns its number
/// of rows.
fn write_schedule(path: &std::path::Path, len: usize) -> u64 {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
    let mut line = "crn,subject,number,title,cap,days,time,room,instructor\n".to_owned();
    let (mut bytes, mut rows) = (0, 0_u64);
    while bytes < len {
        std::io::Write::write_all(&mut file, line.as_bytes()).unwrap();
        bytes += line.len();
        line.clear();
        let crn = rows.wrapping_mul(2_654_435_761) % 100_000;
        let (hour, room, instructor) = (8 + rows % 12, rows % 900, rows % 700);
        writeln!(
            line,
            "{crn},MATH,{},On things number {crn},30,MWF,{hour}:00-{hour}:50,Hall {room},Prof {instructor}",
            crn % 900
        )
        .unwrap();
        rows += 1;
    }
    rows - 1
}

/// The number of rows of the large workbook.
const WORKBOOK_ROWS: u32 = 50_000;
/// Maximum memory for reading the large workbook, in KiB.
const WORKBOOK_KIB_MAX: u64 = 300 * 1024;

/// Writes a workbook whose texts are all different, which takes the most memory.
fn write_workbook(path: &std::path::Path) {
    let heads = ["crn", "course", "title", "cap", "days", "time", "room", "instructor", "section", "campus"];
    let (mut sheet, mut strings) = ("<worksheet><sheetData>".to_owned(), "<sst>".to_owned());
    for row in 0..=WORKBOOK_ROWS {
        let (hour, room, name) = (8 + row % 12, row % 900, row % 700);
        let title = format!("On things number {row} and what they are for");
        let cells = [
            (10_000 + row).to_string(),
            format!("MATH {}", row % 900),
            title,
            "30".to_owned(),
            "MWF".to_owned(),
            format!("{hour}:00-{hour}:50"),
            format!("Hall {room} {row}"),
            format!("Professor {name} {}", letters(row)),
            format!("S{row}"),
            format!("Campus {row}"),
        ];
        write!(sheet, "<row r=\"{}\">", row + 1).unwrap();
        for (column, cell) in cells.iter().enumerate() {
            let text = if row == 0 { heads[column] } else { cell };
            let letter = char::from(b'A' + u8::try_from(column).unwrap());
            let number = row as usize * heads.len() + column;
            write!(sheet, "<c r=\"{letter}{}\" t=\"s\"><v>{number}</v></c>", row + 1).unwrap();
            write!(strings, "<si><t>{text}</t></si>").unwrap();
        }
        sheet += "</row>";
    }
    sheet += "</sheetData></worksheet>";
    strings += "</sst>";
    let base = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/schedules/sheets/fall.xlsx");
    let packed = with_part(&std::fs::read(base).unwrap(), |parts| {
        parts.retain(|(name, _)| name != "xl/worksheets/sheet2.xml");
        parts.push(("xl/worksheets/sheet2.xml".to_owned(), sheet.into_bytes()));
        parts.push(("xl/sharedStrings.xml".to_owned(), strings.into_bytes()));
    });
    std::fs::write(path, packed.unwrap()).unwrap();
}

/// Returns a number as letters: names have no digits.
fn letters(number: u32) -> String {
    number.to_string().bytes().map(|digit| char::from(digit - b'0' + b'a')).collect()
}

#[test]
fn reading_a_workbook_of_50000_rows_takes_bounded_memory() {
    let Some(folder) = child_process::path_from_parent() else {
        let folder = tempfile::tempdir().unwrap();
        write_workbook(&folder.path().join("upload.xlsx"));
        let test = "reading_a_workbook_of_50000_rows_takes_bounded_memory";
        child_process::run(module_path!(), test, folder.path(), RunAs::SameUser);
        return;
    };
    let read = CsvSchedules::default().read(&folder.join("upload.xlsx"), &folder, &options(), &mut |_| true).unwrap();
    assert_eq!((read.rows(), read.rejected_rows()), (u64::from(WORKBOOK_ROWS), 0));
    let peak = peak_kib();
    println!("peak of reading {WORKBOOK_ROWS} rows: {} MiB", peak / 1024);
    assert!(peak < WORKBOOK_KIB_MAX, "reading takes less than {WORKBOOK_KIB_MAX} KiB, not {peak} KiB");
}

fn options() -> ScheduleOptions {
    ScheduleOptions {
        term: Some(TermId::parse("T").unwrap()),
        map: Vec::new(),
        sheet: None,
        profiles: ProfileOptions::default(),
        header_line: None,
        clock: None,
        zone: jiff::tz::TimeZone::UTC,
    }
}

#[test]
fn reading_a_large_file_takes_bounded_memory() {
    let Some(folder) = child_process::path_from_parent() else {
        let folder = tempfile::tempdir().unwrap();
        child_process::run(module_path!(), "reading_a_large_file_takes_bounded_memory", folder.path(), RunAs::SameUser);
        return;
    };
    let (file, small) = (folder.join("upload.csv"), folder.join("small.csv"));
    let rows = write_schedule(&file, FILE_BYTES);
    let options = options();
    // Reading a small file first loads the code that reading uses, so that it does not count as growth.
    write_schedule(&small, SMALL_BYTES);
    let scratch = folder.join("small");
    std::fs::create_dir(&scratch).unwrap();
    drop(CsvSchedules::default().read(&small, &scratch, &options, &mut |_| true).unwrap());
    let before = peak_kib();
    let read = CsvSchedules::default().read(&file, &folder, &options, &mut |_| true).unwrap();
    let mut sections = 0;
    read.each_section(&mut |_| {
        sections += 1;
        Ok(())
    })
    .unwrap();
    let grown = peak_kib() - before;
    assert_eq!((read.rows(), sections), (rows, read.sections()));
    assert!(grown < GROWTH_KIB_MAX, "reading adds less than {GROWTH_KIB_MAX} KiB, not {grown} KiB");
}
