//! Tests that read whole workbooks. Most workbooks are made from the CSV files in `tests/schedules` and must give the
//! same result.

use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use rust_xlsxwriter::{Format, Workbook};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::domain::ids::TermId;
use crate::imports::csv::CsvSchedules;
use crate::imports::schedule::{ProfileOptions, Schedule, ScheduleError, ScheduleOptions, ScheduleReader, Severity};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schedules")
}

fn options() -> ScheduleOptions {
    ScheduleOptions {
        term: Some(TermId::parse("T").unwrap()),
        map: Vec::new(),
        sheet: None,
        profiles: ProfileOptions::default(),
        header_line: None,
        clock: None,
        zone: TimeZone::UTC,
    }
}

/// A schedule that was read, with the folder of its scratch database.
struct Read {
    parsed: Box<dyn Schedule>,
    _scratch: tempfile::TempDir,
}

impl Read {
    fn findings(&self, severity: Severity) -> Vec<String> {
        let mut all = Vec::new();
        let take = &mut |finding: crate::domain::import::Finding| {
            all.push(format!("{}: {:?} {:?} {}", finding.line, finding.column, finding.value, finding.message));
            Ok(())
        };
        self.parsed.each_finding(severity, u64::MAX, take).unwrap();
        all
    }

    fn error(&self) -> String {
        let errors = self.findings(Severity::Error);
        assert_eq!(errors.len(), 1, "{errors:?}");
        errors[0].clone()
    }

    fn sections(&self) -> Vec<String> {
        let mut all = Vec::new();
        let take = &mut |file| {
            all.push(format!("{file:?}"));
            Ok(())
        };
        self.parsed.each_section(take).unwrap();
        all
    }

    /// Returns everything that does not depend on the kind of file.
    fn all(&self) -> [Vec<String>; 5] {
        let conflicts = self.parsed.conflicts(u64::MAX).unwrap().iter().map(|one| format!("{one:?}")).collect();
        let skipped = self.parsed.skipped().0.iter().map(|one| format!("{one:?}")).collect();
        let (errors, warnings) = (self.findings(Severity::Error), self.findings(Severity::Warning));
        [self.sections(), errors, warnings, skipped, conflicts]
    }
}

fn read_with(bytes: &[u8], options: &ScheduleOptions) -> Read {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("upload");
    std::fs::write(&file, bytes).unwrap();
    let parsed = CsvSchedules::default().read(&file, scratch.path(), options, &mut |_| true).unwrap();
    Read { parsed, _scratch: scratch }
}

fn read(bytes: &[u8]) -> Read {
    read_with(bytes, &options())
}

/// The rows of a CSV file, each with its line.
type Lines = Vec<(u32, Vec<String>)>;

/// Returns the CSV files of the cases, with their rows.
fn cases() -> Vec<(String, Vec<u8>, Lines)> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "csv"));
    paths.sort();
    let case = |path: PathBuf| {
        let bytes = std::fs::read(&path).unwrap();
        let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(&*bytes);
        let line = |record: &csv::StringRecord| u32::try_from(record.position().unwrap().line()).unwrap();
        let rows = reader.records().map(Result::unwrap).map(|r| (line(&r), r.iter().map(str::to_owned).collect()));
        let rows = rows.collect();
        (path.file_name().unwrap().to_string_lossy().into_owned(), bytes, rows)
    };
    paths.into_iter().map(case).collect()
}

/// Writes a workbook. `as_numbers` writes whole numbers as numbers, as a spreadsheet does.
fn xlsx(rows: &Lines, as_numbers: bool) -> Vec<u8> {
    let mut book = Workbook::new();
    book.add_worksheet().set_name("Notes").unwrap().write(0, 0, "Printed for the dean").unwrap();
    let sheet = book.add_worksheet().set_name("Schedule").unwrap();
    for (line, cells) in rows {
        for (column, cell) in (0..).zip(cells) {
            let number = cell.parse::<u32>().ok().filter(|number| as_numbers && number.to_string() == *cell);
            match number {
                Some(number) => sheet.write(line - 1, column, number).unwrap(),
                None => sheet.write(line - 1, column, cell).unwrap(),
            };
        }
    }
    book.save_to_buffer().unwrap()
}

fn archive(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, part) in parts {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(part).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

/// Returns an OpenDocument workbook with a sheet whose rows are this XML.
fn ods_of(rows: &str) -> Vec<u8> {
    let content = format!(
        "<?xml version=\"1.0\"?><office:document-content><office:body><office:spreadsheet>\
         <table:table table:name=\"Fall\">{rows}</table:table></office:spreadsheet></office:body></office:document-content>"
    );
    let manifest = b"<manifest:manifest></manifest:manifest>";
    archive(&[
        ("mimetype", b"application/vnd.oasis.opendocument.spreadsheet"),
        ("META-INF/manifest.xml", manifest),
        ("content.xml", content.as_bytes()),
    ])
}

fn ods(rows: &Lines) -> Vec<u8> {
    let (mut xml, mut next) = (String::new(), 1);
    for (line, cells) in rows {
        if *line > next {
            let blank = line - next;
            xml += &format!(
                "<table:table-row table:number-rows-repeated=\"{blank}\"><table:table-cell/></table:table-row>"
            );
        }
        next = line + 1;
        xml += "<table:table-row>";
        for cell in cells {
            let paragraphs: Vec<String> =
                escaped(cell).split('\n').map(|line| format!("<text:p>{line}</text:p>")).collect();
            xml += &match paragraphs.concat() {
                _ if cell.is_empty() => "<table:table-cell/>".to_owned(),
                text => format!("<table:table-cell office:value-type=\"string\">{text}</table:table-cell>"),
            };
        }
        xml += "<table:table-cell table:number-columns-repeated=\"16000\"/></table:table-row>";
    }
    xml += "<table:table-row table:number-rows-repeated=\"1000000\"><table:table-cell table:number-columns-repeated=\"16384\"/></table:table-row>";
    ods_of(&xml)
}

#[test]
fn workbooks_are_read_like_the_csv_files_of_all_cases() {
    for (name, bytes, rows) in cases() {
        let csv = read(&bytes);
        for (kind, workbook) in [("text", xlsx(&rows, false)), ("numbers", xlsx(&rows, true)), ("ods", ods(&rows))] {
            let sheet = read(&workbook);
            assert_eq!(sheet.all(), csv.all(), "{name} as {kind}");
            let (table, csv_table) = (sheet.parsed.table().unwrap(), csv.parsed.table().unwrap());
            assert_eq!((table.header_line, &table.delimiter), (csv_table.header_line, &None), "{name}");
            assert!(table.sheet.is_some(), "{name}");
        }
    }
}

#[test]
fn dates_times_and_numbers_of_a_workbook_are_read_as_shown() {
    let mut book = Workbook::new();
    let sheet = book.add_worksheet().set_name("Fall").unwrap();
    let heads = ["CRN", "Course", "Title", "Seats Cap", "Credits", "Days", "Start Time", "End Time", "Start", "End"];
    for (column, head) in (0..).zip(heads) {
        sheet.write(0, column, head).unwrap();
    }
    let (time, half, date) = (
        Format::new().set_num_format("h:mm"),
        Format::new().set_num_format("h:mm AM/PM"),
        Format::new().set_num_format("d/m/yy"),
    );
    sheet.write_with_format(1, 0, 76, &Format::new().set_num_format("00000")).unwrap();
    sheet.write(1, 1, "MATH 151").unwrap().write(1, 3, 25.0).unwrap().write(1, 4, 1.5).unwrap();
    sheet.write_formula(1, 2, rust_xlsxwriter::Formula::new("=\"Cal\"&\"culus\"").set_result("Calculus")).unwrap();
    sheet.write(1, 5, "MWF").unwrap();
    sheet.write_with_format(1, 6, 0.395_833_333_333_333_3, &time).unwrap();
    sheet.write_with_format(1, 7, 0.593_055_555_555_555_6, &half).unwrap();
    sheet.write_with_format(1, 8, 47_868, &date).unwrap().write_with_format(1, 9, 47_988, &date).unwrap();
    // Formatted cells without a value, beside and below the table.
    sheet.write_blank(1, 30, &time).unwrap().write_blank(5_000, 3, &time).unwrap();
    let file = read(&book.save_to_buffer().unwrap());

    assert_eq!(file.findings(Severity::Error), Vec::<String>::new());
    let sections = file.sections();
    for part in ["crn: Crn(\"00076\")", "\"Calculus\"", "capacity: 25", "1500", "2031-01-20", "2031-05-20"] {
        assert!(sections[0].contains(part), "{part}: {}", sections[0]);
    }
    let mut times = Vec::new();
    let take = &mut |file: crate::imports::schedule::FileSection| {
        times.extend(file.section.meetings.iter().map(|meeting| (meeting.start, meeting.end)));
        Ok(())
    };
    file.parsed.each_section(take).unwrap();
    assert_eq!(times, [(Some(jiff::civil::time(9, 30, 0, 0)), Some(jiff::civil::time(14, 14, 0, 0)))]);
    assert_eq!(file.parsed.table().unwrap().columns.len(), heads.len(), "blank columns at the end do not count");
}

#[test]
fn merged_cells_have_their_value_in_each_row() {
    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    let plain = Format::new();
    sheet.merge_range(0, 0, 0, 4, "Spring schedule", &plain).unwrap();
    for (column, head) in (0..).zip(["Subject", "Number", "CRN", "Capacity", "Days"]) {
        sheet.write(1, column, head).unwrap();
    }
    sheet.merge_range(2, 0, 4, 0, "MATH", &plain).unwrap();
    for (row, number) in [(2, "101"), (3, "102"), (4, "103")] {
        sheet.write(row, 1, number).unwrap().write(row, 2, 500 + row).unwrap().write(row, 3, 20).unwrap();
    }
    let file = read(&book.save_to_buffer().unwrap());
    assert_eq!(file.findings(Severity::Error), Vec::<String>::new());
    assert_eq!(file.sections().iter().filter(|section| section.contains("\"MATH 10")).count(), 3);
}

#[test]
fn the_sheet_with_the_most_known_columns_is_read_by_default() {
    let mut book = Workbook::new();
    book.add_worksheet().set_name("Read me").unwrap().write(0, 0, "Course information").unwrap();
    for (name, crn) in [("Fall", 1), ("Spring", 2)] {
        let sheet = book.add_worksheet().set_name(name).unwrap();
        for (column, head) in (0..).zip(["crn", "course", "cap"]) {
            sheet.write(0, column, head).unwrap();
        }
        sheet.write(1, 0, crn).unwrap().write(1, 1, "MATH 1").unwrap().write(1, 2, 9).unwrap();
    }
    let hidden = book.add_worksheet().set_name("Lists").unwrap().set_hidden(true);
    for (column, head) in (0..).zip(["crn", "course", "cap", "title"]) {
        hidden.write(0, column, head).unwrap();
    }
    let bytes = book.save_to_buffer().unwrap();
    let found = read(&bytes);
    let table = found.parsed.table().unwrap();
    assert_eq!((table.sheet.as_deref(), table.sheets.len()), (Some("Fall"), 4));
    assert!(found.findings(Severity::Warning).iter().any(|warning| warning.contains("\"Spring\"")));
    let chosen = |name: &str| read_with(&bytes, &ScheduleOptions { sheet: Some(name.to_owned()), ..options() });
    assert!(chosen(" spring").sections()[0].contains("Crn(\"2\")"));
    let error = chosen("Summer").error();
    assert!(error.contains("\"Summer\"") && error.contains("\"Fall\", \"Spring\""), "{error}");
}

#[test]
fn files_that_are_not_schedules_are_refused_by_kind() {
    let numbers = archive(&[("Index/Document.iwa", b"x")]);
    let document = archive(&[("[Content_Types].xml", b"<x/>"), ("word/document.xml", b"<x/>")]);
    let binary = archive(&[("[Content_Types].xml", b"<x/>"), ("xl/workbook.bin", b"x")]);
    let text = archive(&[("mimetype", b"application/vnd.oasis.opendocument.text"), ("content.xml", b"<x/>")]);
    let locked = archive(&[
        ("mimetype", b"application/vnd.oasis.opendocument.spreadsheet"),
        ("META-INF/manifest.xml", b"<manifest:encryption-data/>"),
    ]);
    let other = archive(&[("schedule.csv", b"crn,course,cap")]);
    let broken = &xlsx(&vec![(1, vec!["crn".to_owned()])], false)[..2_000];
    let table: [(&[u8], &str); 12] = [
        (b"<html><table><tr><td>CRN", "web page"),
        (b"{\"sections\": [1]}", "JSON"),
        (b"%PDF-1.7", "PDF"),
        (b"\x89PNG\r\n\x1a\n", "picture"),
        (&numbers, "Numbers"),
        (&document, "text document"),
        (&binary, ".xlsb"),
        (&text, "text document"),
        (&locked, "password"),
        (&other, "archive"),
        (broken, "damaged"),
        (&archive(&[]), "archive"),
    ];
    for (bytes, word) in table {
        let file = read(bytes);
        assert!(file.parsed.is_rejected(), "{word}");
        assert!(file.error().contains(word), "{} / {word}", file.error());
    }
    assert!(read(&Workbook::new().save_to_buffer().unwrap()).error().contains("empty"));
}

#[test]
fn workbooks_that_need_too_much_memory_are_refused() {
    let rows = &vec![(1, vec!["crn".to_owned(), "course".to_owned()])];
    let base = xlsx(rows, false);
    let changed = |name: &str, part: &[u8]| {
        let mut from = zip::ZipArchive::new(Cursor::new(&base)).unwrap();
        let mut parts: Vec<(String, Vec<u8>)> = Vec::new();
        for index in 0..from.len() {
            let mut entry = from.by_index(index).unwrap();
            let entry_name = entry.name().unwrap().into_owned();
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut bytes).unwrap();
            parts.push((entry_name.clone(), if entry_name == name { part.to_vec() } else { bytes }));
        }
        let parts: Vec<(&str, &[u8])> = parts.iter().map(|(name, part)| (name.as_str(), part.as_slice())).collect();
        archive(&parts)
    };
    let bomb = changed("xl/worksheets/sheet1.xml", &vec![b' '; 257 << 20]);
    assert!(bomb.len() < 1 << 20, "the file is smaller than 1 MiB");
    let strings = b"<sst uniqueCount=\"1000000000000\"><si><t>crn</t></si></sst>";
    let font = format!(
        "<styleSheet><fonts><font><name val=\"{}\"/></font></fonts><cellXfs>{}</cellXfs></styleSheet>",
        "x".repeat(100_000),
        "<xf fontId=\"0\"/>".repeat(5_000)
    );
    let cell = "<table:table-cell table:number-columns-repeated=\"16000\" office:value-type=\"string\"><text:p>x</text:p></table:table-cell>";
    let repeated = ods_of(&format!("<table:table-row table:number-rows-repeated=\"1000000\">{cell}</table:table-row>"));
    let spaces = ods_of(
        "<table:table-row><table:table-cell office:value-type=\"string\"><text:p><text:s text:c=\"4000000000\"/></text:p></table:table-cell></table:table-row>",
    );
    for (bytes, word) in [
        (bomb, "256 MiB"),
        (changed("xl/sharedStrings.xml", strings), "damaged"),
        (changed("xl/styles.xml", font.as_bytes()), "styles"),
        (repeated, "2000000 cells"),
        (spaces, "64 MiB of text"),
    ] {
        let file = read(&bytes);
        assert!(file.parsed.is_rejected() && file.error().contains(word), "{} / {word}", file.error());
    }
}

#[test]
fn reading_a_workbook_can_be_cancelled() {
    let rows: Lines = (1..=5_000).map(|line| (line, vec![line.to_string(), "MATH 1".to_owned()])).collect();
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("upload");
    std::fs::write(&file, xlsx(&rows, false)).unwrap();
    let mut calls = 0;
    let read = CsvSchedules::default().read(&file, scratch.path(), &options(), &mut |_| {
        calls += 1;
        calls < 20
    });
    assert!(matches!(read.err(), Some(ScheduleError::Cancelled)));
    assert_eq!(calls, 20);
}

#[test]
fn workbooks_of_other_programs_have_the_same_schedule() {
    let file = |name: &str| read(&std::fs::read(folder().join("sheets").join(name)).unwrap());
    let xls = file("fall.xls");
    assert_eq!(xls.findings(Severity::Error), Vec::<String>::new());
    assert_eq!(xls.sections().len(), 3);
    for part in ["Crn(\"00076\")", "CHEM 101", "Química general", "09:30:00", "2031-01-20", "North 12"] {
        assert!(xls.sections()[0].contains(part), "{part}: {}", xls.sections()[0]);
    }
    assert_eq!(file("fall.xlsx").all(), xls.all());
    assert_eq!(file("fall.ods").all(), xls.all());
}

#[test]
fn damaged_compound_files_are_refused() {
    let whole = std::fs::read(folder().join("sheets/fall.xls")).unwrap();
    let changed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = whole.clone();
        change(&mut bytes);
        read(&bytes)
    };
    // The header has the first sector of the allocation table. An entry that refers to itself is an endless chain.
    let table = 512 + 512 * u32::from_le_bytes(whole[76..80].try_into().unwrap()) as usize;
    let cycles = changed(&|bytes| {
        for (entry, at) in (0_u32..128).zip((table..).step_by(4)) {
            bytes[at..at + 4].copy_from_slice(&entry.to_le_bytes());
        }
    });
    assert!(cycles.error().contains("damaged"), "{}", cycles.error());
    // Dimensions of a sheet that would reserve memory for 2^47 cells.
    let record = whole.windows(4).position(|window| window == [0x00, 0x02, 0x0E, 0x00]).unwrap();
    let huge = changed(&|bytes| {
        bytes[record + 4..record + 16].copy_from_slice(&[0, 0, 0, 0, 255, 255, 255, 127, 0, 0, 255, 255]);
    });
    assert!(huge.error().contains("damaged"), "{}", huge.error());
    // An encrypted workbook has a FILEPASS record (0x2F) near its beginning.
    let code_page = whole.windows(4).position(|window| window == [0x42, 0x00, 0x02, 0x00]).unwrap();
    let locked = changed(&|bytes| bytes[code_page..code_page + 6].copy_from_slice(&[0x2F, 0, 2, 0, 1, 0]));
    assert!(locked.error().contains("password"), "{}", locked.error());
    assert!(read(&whole[..600]).error().contains("damaged"));
}
