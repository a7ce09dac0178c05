//! Changed copies of the schedules in `tests/schedules`, to test that the reader survives every file.

use std::io::{Cursor, Read, Write};
use std::path::Path;

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::random::Random;

/// Texts that often matter to a reader of schedules or workbooks.
const WORDS: [&[u8]; 24] = [
    b"\"",
    b",",
    b"\n",
    b"\r\n",
    b";",
    b"|",
    b"<",
    b">",
    b"\0",
    b"\xFF\xFE",
    b"99999999999999999999",
    b"-1",
    b"1e308",
    b"NaN",
    b"MWF",
    b"9:30 am - 10:20 am",
    b"1/2/2031",
    b"TBA",
    b"r=\"ZZZ99999999\"",
    b"t=\"s\"",
    b"s=\"4294967295\"",
    b"uniqueCount=\"4000000000\"",
    b"table:number-columns-repeated=\"4000000000\"",
    b"table:number-rows-repeated=\"18446744073709551615\"",
];
/// The maximum number of changes to a copy.
const CHANGES_MAX: usize = 6;

/// Returns all schedules, in order of their names.
pub fn schedules(root: &Path) -> Vec<Vec<u8>> {
    let folder = root.join("tests/schedules");
    let entries = [folder.clone(), folder.join("sheets")].map(|folder| std::fs::read_dir(folder).unwrap());
    let mut paths: Vec<_> = entries.into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| {
        path.extension().is_some_and(|end| ["csv", "xlsx", "xls", "ods"].iter().any(|known| end == *known))
    });
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// Returns a changed copy of one of the files. In most copies of a workbook, a part is changed, so that the archive is
/// valid.
pub fn variant(random: &mut Random, files: &[Vec<u8>]) -> Vec<u8> {
    let file = random.pick(files).clone();
    if file.starts_with(b"PK") && random.percent(85) {
        let change = |parts: &mut Vec<(String, Vec<u8>)>| {
            let at = random.below(parts.len());
            parts[at].1 = changed(random, std::mem::take(&mut parts[at].1));
        };
        return with_part(&file, change).unwrap();
    }
    changed(random, file)
}

/// Unpacks an archive, changes its parts, and packs them again. Returns `None` if the archive is damaged.
pub fn with_part(file: &[u8], change: impl FnOnce(&mut Vec<(String, Vec<u8>)>)) -> Option<Vec<u8>> {
    let mut archive = ZipArchive::new(Cursor::new(file)).ok()?;
    let mut parts = Vec::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).ok()?;
        let (name, mut bytes) = (entry.name().ok()?.into_owned(), Vec::new());
        entry.read_to_end(&mut bytes).ok()?;
        parts.push((name, bytes));
    }
    change(&mut parts);
    let mut packed = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in parts {
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        packed.start_file(name, options).ok()?;
        packed.write_all(&bytes).ok()?;
    }
    Some(packed.finish().ok()?.into_inner())
}

fn changed(random: &mut Random, mut bytes: Vec<u8>) -> Vec<u8> {
    for _ in 0..=random.below(CHANGES_MAX) {
        if bytes.is_empty() {
            break;
        }
        let at = random.below(bytes.len());
        let end = (at + 1 + random.below(64)).min(bytes.len());
        match random.below(6) {
            0 => bytes[at] = u8::try_from(random.below(256)).unwrap(),
            1 => drop(bytes.drain(at..end)),
            2 => {
                let copy = bytes[at..end].to_vec();
                let to = random.below(bytes.len());
                drop(bytes.splice(to..to, copy));
            }
            3 => bytes.truncate(end),
            4 => bytes[at] ^= 1 << random.below(8),
            _ => drop(bytes.splice(at..at, random.pick(&WORDS).iter().copied())),
        }
    }
    bytes
}
