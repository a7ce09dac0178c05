//! Checks a ZIP archive before calamine reads it: what it contains, and that it does not need more memory than a workbook
//! of a college. calamine trusts the sizes that a file states, and holds styles and texts of cells in memory.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};

use memchr::{memchr_iter, memmem};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use zip::ZipArchive;
use zip::result::ZipError;

use crate::imports::finding_parts::ExceededBound;
use crate::imports::spreadsheet::kind::Foreign;
use crate::imports::spreadsheet::stop::Stop;
use crate::imports::spreadsheet::{Tick, opendocument};

/// The maximum number of files in an archive. Workbooks have up to a few hundred.
const ENTRIES_MAX: usize = 10_000;
/// The maximum size of all files in an archive together, in bytes: four times the largest upload. A workbook of 50,000
/// rows has 60 MB.
pub(super) const UNPACKED_MAX: u64 = 256 * 1024 * 1024;
/// The maximum size of the texts of cells that a workbook shares, in bytes. They are held in memory.
const STRINGS_BYTES_MAX: u64 = 96 * 1024 * 1024;
/// The maximum number of tags in the texts that a workbook shares: four for each of 1,500,000 texts. A workbook of
/// 50,000 rows has at most a million texts.
const STRINGS_TAGS_MAX: u64 = 6_000_000;
/// The maximum size of the parts that describe the workbook, in bytes. They are held in memory, and have a few KiB.
const DESCRIPTION_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// The maximum size of the styles of a workbook, in bytes. Bloated workbooks have a few MiB.
const STYLES_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// The maximum memory for the names of fonts and formats, in bytes: calamine copies them for each of up to 65,490 styles.
const STYLES_MEMORY_MAX: u64 = 128 * 1024 * 1024;
/// The maximum distance between two tags of XML, in bytes. A cell has at most 32,767 characters.
const TOKEN_BYTES_MAX: u64 = 1024 * 1024;
/// The maximum number of merged ranges that are read. A workbook with more keeps each value in the first cell only.
const MERGES_MAX: u64 = 100_000;
/// The number of bytes that are unpacked at a time.
const CHUNK_BYTES: usize = 256 * 1024;

/// A kind of workbook in an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ArchiveKind {
    /// Office Open XML (`.xlsx`, `.xlsm`).
    Xlsx {
        /// Whether it has merged cells to read.
        has_merges: bool,
    },
    /// OpenDocument (`.ods`).
    Ods,
}

/// Checks an archive, and returns which kind of workbook it is.
pub(super) fn check(file: &File, tick: &mut Tick<'_>) -> Result<ArchiveKind, Stop> {
    let mut archive = ZipArchive::new(BufReader::new(file.try_clone()?)).map_err(|_| Stop::damaged())?;
    if archive.len() > ENTRIES_MAX {
        return Err(Stop::too_large(ExceededBound::TooManyFiles { max: ENTRIES_MAX }));
    }
    let names: Vec<String> = (0..archive.len())
        .map(|index| match archive.name_for_index(index) {
            Some(Ok(name)) => name.to_lowercase(),
            Some(Err(_)) | None => String::new(),
        })
        .collect();
    let is_xlsx = kind(&mut archive, &names)?;
    // Some programs do not state sizes before the files, and others state wrong ones, so unpacked bytes count, too.
    if archive.decompressed_size().is_some_and(|stated| stated > u128::from(UNPACKED_MAX)) {
        return Err(too_large_unpacked());
    }
    let main_part = if is_xlsx { main_part(&mut archive, &names)? } else { String::new() };
    let (mut unpacked, mut merges) = (0, 0);
    for (index, name) in names.iter().enumerate() {
        let limit = if is_xlsx { xlsx_limit(name, &main_part) } else { UNPACKED_MAX };
        let mut entry = archive.by_index(index).map_err(|error| unreadable(&error))?;
        let size = scan(&mut entry, limit.min(UNPACKED_MAX - unpacked), tick)?;
        drop(entry);
        if size.bytes > limit {
            return Err(Stop::too_large(ExceededBound::PartTooLarge { part: name.clone(), mib: limit >> 20 }));
        }
        unpacked += size.bytes;
        if unpacked > UNPACKED_MAX {
            return Err(too_large_unpacked());
        }
        merges += size.merges;
        // Power Query stores long texts in parts that are not read.
        let is_xml = (name.ends_with(".xml") || name.ends_with(".rels")) && !name.starts_with("customxml/");
        if is_xml && size.token > TOKEN_BYTES_MAX {
            return Err(Stop::damaged());
        }
        if is_xlsx && name.ends_with("sharedstrings.xml") {
            check_strings(&mut archive, index, size.tags)?;
        } else if is_xlsx && name.ends_with("styles.xml") {
            check_styles(BufReader::new(archive.by_index(index).map_err(|error| unreadable(&error))?))?;
        } else if !is_xlsx && name == "content.xml" {
            opendocument::check(BufReader::new(archive.by_index(index).map_err(|error| unreadable(&error))?), tick)?;
        }
    }
    Ok(if is_xlsx { ArchiveKind::Xlsx { has_merges: (1..=MERGES_MAX).contains(&merges) } } else { ArchiveKind::Ods })
}

fn too_large_unpacked() -> Stop {
    Stop::too_large(ExceededBound::UnpackedTooLarge { mib: UNPACKED_MAX >> 20 })
}

fn unreadable(error: &ZipError) -> Stop {
    match error {
        ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) => Stop::foreign(Foreign::Password),
        _ => Stop::damaged(),
    }
}

/// Returns whether the archive is an `.xlsx` workbook; false for an `.ods` workbook.
fn kind(archive: &mut ZipArchive<BufReader<File>>, names: &[String]) -> Result<bool, Stop> {
    let has = |part: &str| names.iter().any(|name| name.ends_with(part));
    let is_in = |folder: &str| names.iter().any(|name| name.starts_with(folder));
    let foreign = |foreign: Foreign| Err(Stop::foreign(foreign));
    if has("workbook.bin") {
        return foreign(Foreign::BinaryWorkbook);
    }
    if has("[content_types].xml") && (has("workbook.xml") || is_in("xl/")) {
        return Ok(true);
    }
    if has(".iwa") || has("index.numbers") {
        return foreign(Foreign::Numbers);
    }
    if let Some(index) = names.iter().position(|name| name == "mimetype") {
        let mut kind = String::new();
        let entry = archive.by_index(index).map_err(|error| unreadable(&error))?;
        entry.take(100).read_to_string(&mut kind).map_err(|_| Stop::damaged())?;
        if kind.starts_with("application/vnd.oasis.opendocument.spreadsheet") {
            return check_password(archive, names).map(|()| false);
        }
        let is_presentation = kind.contains("presentation");
        return foreign(if is_presentation { Foreign::Presentation } else { Foreign::Document });
    }
    foreign(match () {
        () if is_in("word/") => Foreign::Document,
        () if is_in("ppt/") => Foreign::Presentation,
        () => Foreign::Archive,
    })
}

/// Refuses an `.ods` workbook with a password.
fn check_password(archive: &mut ZipArchive<BufReader<File>>, names: &[String]) -> Result<(), Stop> {
    let Some(index) = names.iter().position(|name| name == "meta-inf/manifest.xml") else { return Ok(()) };
    let mut manifest = Vec::new();
    let entry = archive.by_index(index).map_err(|error| unreadable(&error))?;
    entry.take(DESCRIPTION_BYTES_MAX).read_to_end(&mut manifest).map_err(|_| Stop::damaged())?;
    match memmem::find(&manifest, b"encryption-data") {
        Some(_) => Err(Stop::foreign(Foreign::Password)),
        None => Ok(()),
    }
}

/// Returns the name of the part that lists the sheets, in lower case.
fn main_part(archive: &mut ZipArchive<BufReader<File>>, names: &[String]) -> Result<String, Stop> {
    let Some(index) = names.iter().position(|name| name == "_rels/.rels") else { return Err(Stop::damaged()) };
    let entry = archive.by_index(index).map_err(|error| unreadable(&error))?;
    let mut xml = Reader::from_reader(BufReader::new(entry.take(DESCRIPTION_BYTES_MAX)));
    let (mut buffer, mut main) = (Vec::new(), String::new());
    each_tag(&mut xml, &mut buffer, &mut |tag| {
        let is_main = attribute(tag, "Type").is_some_and(|kind| kind.ends_with("/officeDocument"));
        if let Some(target) = attribute(tag, "Target").filter(|_| is_main) {
            main = target.trim_start_matches('/').to_lowercase();
        }
        Ok(())
    })?;
    Ok(main)
}

/// Returns the maximum size of a part of an `.xlsx` workbook.
fn xlsx_limit(name: &str, main_part: &str) -> u64 {
    match name {
        _ if name.ends_with("sharedstrings.xml") => STRINGS_BYTES_MAX,
        _ if name.ends_with("styles.xml") => STYLES_BYTES_MAX,
        _ if name == main_part || name.contains("workbook") || name.contains("theme/") || name.ends_with(".rels") => {
            DESCRIPTION_BYTES_MAX
        }
        _ => UNPACKED_MAX,
    }
}

/// What a part of an archive contains.
#[derive(Debug, Default)]
struct Scanned {
    bytes: u64,
    /// The number of `<`.
    tags: u64,
    /// The length of the longest stretch without a `<`, in bytes.
    token: u64,
    /// The number of merged ranges.
    merges: u64,
}

/// Unpacks a part, up to one byte more than `limit`, and returns what it contains.
fn scan(entry: &mut impl Read, limit: u64, tick: &mut Tick<'_>) -> Result<Scanned, Stop> {
    const MERGE: &[u8] = b"mergeCell ";
    let mut found = Scanned::default();
    let (mut last_tag, mut chunk) = (0, vec![0; MERGE.len() - 1 + CHUNK_BYTES]);
    let mut entry = entry.take(limit.saturating_add(1));
    loop {
        tick()?;
        // The end of the previous chunk precedes the new bytes, so that a name that spans both is found.
        let fresh = MERGE.len() - 1;
        let got = entry.read(&mut chunk[fresh..]).map_err(|_| Stop::damaged())?;
        if got == 0 {
            found.token = found.token.max(found.bytes - last_tag);
            return Ok(found);
        }
        for at in memchr_iter(b'<', &chunk[fresh..fresh + got]) {
            let at = found.bytes + at as u64;
            found.token = found.token.max(at - last_tag);
            (last_tag, found.tags) = (at, found.tags + 1);
        }
        found.merges += memmem::find_iter(&chunk[..fresh + got], MERGE).count() as u64;
        found.bytes += got as u64;
        chunk.copy_within(got..got + fresh, 0);
    }
}

/// Checks the number of shared texts, for which calamine reserves memory.
fn check_strings(archive: &mut ZipArchive<BufReader<File>>, index: usize, tags: u64) -> Result<(), Stop> {
    if tags > STRINGS_TAGS_MAX {
        return Err(Stop::too_large(ExceededBound::TooManyTexts));
    }
    let mut xml = Reader::from_reader(BufReader::new(archive.by_index(index).map_err(|error| unreadable(&error))?));
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        match xml.read_event_into(&mut buffer).map_err(|_| Stop::damaged())? {
            Event::Start(tag) | Event::Empty(tag) if tag.local_name().as_ref() == "sst" => {
                // A number that is not valid is ignored by calamine, too.
                let stated = attribute(&tag, "uniqueCount").and_then(|count| count.trim().parse::<u64>().ok());
                let is_honest = stated.is_none_or(|count| count <= STRINGS_TAGS_MAX);
                return if is_honest { Ok(()) } else { Err(Stop::damaged()) };
            }
            Event::Eof => return Ok(()),
            _ => {}
        }
    }
}

/// Checks the memory that styles need.
fn check_styles(part: impl BufRead) -> Result<(), Stop> {
    let (mut styles, mut longest) = (0_u64, 0_u64);
    let (mut xml, mut buffer) = (Reader::from_reader(part), Vec::new());
    each_tag(&mut xml, &mut buffer, &mut |tag| {
        longest = longest.max(tag.len() as u64);
        styles += u64::from(tag.local_name().as_ref() == "xf");
        let is_small = styles.saturating_mul(longest) <= STYLES_MEMORY_MAX;
        if is_small { Ok(()) } else { Err(Stop::too_large(ExceededBound::TooManyStyles)) }
    })
}

/// Visits the elements of an XML document.
fn each_tag<R: BufRead>(
    xml: &mut Reader<R>,
    buffer: &mut Vec<u8>,
    f: &mut dyn FnMut(&BytesStart<'_>) -> Result<(), Stop>,
) -> Result<(), Stop> {
    loop {
        buffer.clear();
        match xml.read_event_into(buffer).map_err(|_| Stop::damaged())? {
            Event::Start(tag) | Event::Empty(tag) => f(&tag)?,
            Event::Eof => return Ok(()),
            _ => {}
        }
    }
}

/// Returns the value of an attribute, if it is valid.
pub(super) fn attribute(tag: &BytesStart<'_>, name: &str) -> Option<String> {
    let found = tag.attributes().with_checks(false).flatten().find(|attribute| attribute.key.as_ref() == name)?;
    Some(found.value.into_owned())
}
