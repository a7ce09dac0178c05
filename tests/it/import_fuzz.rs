//! Reads changed copies of schedules: each is read or refused, without a panic and with bounded memory. `make fuzz`
//! searches longer, guided by coverage.

#![cfg(target_os = "linux")]

use std::path::Path;

use eduhub::domain::ids::TermId;
use eduhub::imports::csv::CsvSchedules;
use eduhub::imports::schedule::{ProfileOptions, ScheduleOptions, ScheduleReader, Severity};

use crate::child_process::{self, RunAs};
use crate::import_memory::peak_kib;
use crate::support::random::{self, Random};
use crate::support::schedule_variants::{schedules, variant};

/// The number of files of a run. `FUZZ_FILES` makes it longer.
const FILES: usize = 400;
/// Maximum memory of a run, in KiB. The files are a few KiB long; a workbook takes at most about 300 MiB of memory.
const PEAK_KIB_MAX: u64 = 400 * 1024;

#[test]
fn changed_schedules_are_read_or_refused_without_a_panic() {
    let Some(folder) = child_process::path_from_parent() else {
        let folder = tempfile::tempdir().unwrap();
        let test = "changed_schedules_are_read_or_refused_without_a_panic";
        child_process::run(module_path!(), test, folder.path(), RunAs::SameUser);
        return;
    };
    let files = schedules(Path::new(env!("CARGO_MANIFEST_DIR")));
    let mut random = Random::seeded(random::seed());
    for number in 0..random::length_of_run("FUZZ_FILES", FILES) {
        let file = folder.join("upload");
        std::fs::write(&file, variant(&mut random, &files)).unwrap();
        let term = random.percent(90).then(|| TermId::parse("T").unwrap());
        let options = ScheduleOptions {
            term,
            map: Vec::new(),
            sheet: None,
            profiles: ProfileOptions::default(),
            header_line: None,
            clock: None,
            zone: jiff::tz::TimeZone::UTC,
        };
        println!("file {number}");
        let scratch = tempfile::tempdir_in(&folder).unwrap();
        let read = CsvSchedules::default().read(&file, scratch.path(), &options, &mut |_| true).unwrap();
        let mut findings = 0;
        for severity in [Severity::Error, Severity::Warning] {
            let count = &mut |_| {
                findings += 1;
                Ok(())
            };
            read.each_finding(severity, u64::MAX, count).unwrap();
        }
        read.conflicts(u64::MAX).unwrap();
        let mut sections = 0;
        let count = &mut |_| {
            sections += 1;
            Ok(())
        };
        read.each_section(count).unwrap();
        assert!(!read.is_rejected() || findings > 0, "a refused file has an error that says why");
    }
    let peak = peak_kib();
    assert!(peak < PEAK_KIB_MAX, "reading takes less than {PEAK_KIB_MAX} KiB, not {peak} KiB");
}
