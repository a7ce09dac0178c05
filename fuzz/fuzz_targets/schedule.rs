//! Reads any bytes as a schedule, which must be accepted or refused without a panic. The parts of a workbook are
//! mutated one at a time, so that most archives are valid.

#![no_main]

use eduhub::domain::ids::TermId;
use eduhub::imports::csv::CsvSchedules;
use eduhub::imports::schedule::{ProfileOptions, ScheduleOptions, ScheduleReader, Severity};
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

#[path = "../../tests/support/random.rs"]
#[allow(dead_code)]
mod random;
#[path = "../../tests/support/schedule_variants.rs"]
#[allow(dead_code)]
mod schedule_variants;

/// Crates whose panics the reader catches.
const CAUGHT: [&str; 3] = ["/calamine-", "/quick-xml-", "/zip-"];

/// Replaces the hook of libFuzzer, which aborts on every panic, even on one that is caught.
fn abort_on_own_panics() {
    let abort = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let is_caught = panic.location().is_some_and(|at| CAUGHT.iter().any(|name| at.file().contains(name)));
        if !is_caught {
            abort(panic);
        }
    }));
}

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let workbook = data[..size].starts_with(b"PK") && !seed.is_multiple_of(5);
    let change = |parts: &mut Vec<(String, Vec<u8>)>| {
        if parts.is_empty() {
            return;
        }
        let chosen = seed as usize % parts.len();
        let part = &mut parts[chosen].1;
        let len = part.len();
        part.resize(len * 2 + 64, 0);
        let changed = fuzzer_mutate(part, len, len * 2 + 64);
        part.truncate(changed);
    };
    let changed = workbook.then(|| schedule_variants::with_part(&data[..size], change)).flatten();
    match changed.filter(|changed| changed.len() <= max_size) {
        Some(changed) => {
            data[..changed.len()].copy_from_slice(&changed);
            changed.len()
        }
        None => fuzzer_mutate(data, size, max_size),
    }
});

fuzz_target!(init: abort_on_own_panics(), |data: &[u8]| {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("upload");
    std::fs::write(&file, data).unwrap();
    let options = ScheduleOptions {
        term: TermId::parse("T").ok(),
        map: Vec::new(),
        sheet: None,
        profiles: ProfileOptions::default(),
        header_line: None,
        clock: None,
        zone: jiff::tz::TimeZone::UTC,
    };
    let read = CsvSchedules::default().read(&file, folder.path(), &options, &mut |_| true).unwrap();
    read.each_finding(Severity::Error, u64::MAX, &mut |_| Ok(())).unwrap();
    read.each_finding(Severity::Warning, u64::MAX, &mut |_| Ok(())).unwrap();
    read.each_section(&mut |_| Ok(())).unwrap();
    read.conflicts(u64::MAX).unwrap();
});
