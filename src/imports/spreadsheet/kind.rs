//! Recognizes the kind of a file by its first bytes, whatever its name is.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use serde::Serialize;
use thiserror::Error;

/// How many bytes of a file are searched for its kind.
const HEAD_BYTES: usize = 4 * 1024;

/// The signature of compound files (MS-CFB 2.2), which contain `.xls` workbooks.
const COMPOUND: &[u8] = b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1";
/// Signatures of ZIP archives: with and without files.
const ZIP: [&[u8]; 2] = [b"PK\x03\x04", b"PK\x05\x06"];

/// Signatures of files that cannot be imported.
const OTHER: [(&[u8], Foreign); 15] = [
    (b"%PDF-", Foreign::Pdf),
    (b"\x89PNG", Foreign::Image),
    (b"\xFF\xD8\xFF", Foreign::Image),
    (b"GIF8", Foreign::Image),
    (b"II*\0", Foreign::Image),
    (b"MM\0*", Foreign::Image),
    (b"\x1F\x8B", Foreign::Archive),
    (b"BZh", Foreign::Archive),
    (b"7z\xBC\xAF\x27\x1C", Foreign::Archive),
    (b"Rar!", Foreign::Archive),
    (b"\xFD7zXZ\0", Foreign::Archive),
    (b"{\\rtf", Foreign::RichText),
    (b"SQLite format 3\0", Foreign::Database),
    (b"\0\x01\0\0Standard", Foreign::Database),
    (b"BEGIN:VCALENDAR", Foreign::Calendar),
];

/// The kind of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::imports) enum Kind {
    /// Text, which may be a table of cells.
    Text,
    /// A ZIP archive, which may be a workbook.
    Zip,
    /// A compound file, which may be a workbook.
    Compound,
    /// A file that cannot be imported.
    Foreign(Foreign),
}

/// A kind of file that cannot be imported, with the text that says what it is and what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error, Serialize)]
#[serde(tag = "code", content = "args", rename_all = "snake_case")]
pub(in crate::imports) enum Foreign {
    /// A ZIP or other archive of other files.
    #[error(
        "The file is an archive (such as ZIP), not a schedule. Extract it and import the CSV file or workbook in it"
    )]
    Archive,
    /// An Excel binary workbook (`.xlsb`).
    #[error("The file is an Excel binary workbook (.xlsb). Open it in Excel and save it as an Excel workbook (.xlsx)")]
    BinaryWorkbook,
    /// An iCalendar file.
    #[error("The file is a calendar (iCalendar). Export the schedule as CSV or as a spreadsheet (.xlsx)")]
    Calendar,
    /// A database file.
    #[error("The file is a database. Export the schedule from it as CSV or as a spreadsheet (.xlsx)")]
    Database,
    /// A Word, OpenDocument or other text document.
    #[error("The file is a text document. Copy its table into a spreadsheet and save that as .xlsx or CSV")]
    Document,
    /// An HTML page, often with the suffix `.xls`.
    #[error(
        "The file is a web page (HTML), even if its name ends in .xls. Open it in a spreadsheet program and save it as \
         an Excel workbook (.xlsx) or as CSV"
    )]
    Html,
    /// A picture.
    #[error("The file is a picture. Export the schedule as CSV or as a spreadsheet (.xlsx)")]
    Image,
    /// JSON.
    #[error("The file is JSON. Export the schedule as CSV or as a spreadsheet (.xlsx)")]
    Json,
    /// A document of Apple Numbers.
    #[error("The file is an Apple Numbers document. Export it from Numbers as CSV or Excel (.xlsx)")]
    Numbers,
    /// A workbook with a password.
    #[error("The workbook is protected with a password. Open it, save it without the password, and import that file")]
    Password,
    /// PDF.
    #[error("The file is a PDF document. Export the schedule as CSV or as a spreadsheet (.xlsx)")]
    Pdf,
    /// A presentation.
    #[error("The file is a presentation. Copy its table into a spreadsheet and save that as .xlsx or CSV")]
    Presentation,
    /// RTF.
    #[error("The file is a text document (RTF). Copy its table into a spreadsheet and save that as .xlsx or CSV")]
    RichText,
    /// A workbook as XML (Excel 2003).
    #[error(
        "The file is an XML spreadsheet (Excel 2003). Open it in a spreadsheet program and save it as an Excel workbook \
         (.xlsx) or as CSV"
    )]
    XmlWorkbook,
    /// Other XML.
    #[error("The file is XML. Export the schedule as CSV or as a spreadsheet (.xlsx)")]
    Xml,
}

/// Detects the kind of a file, then rewinds it.
pub(in crate::imports) fn detect(file: &mut File) -> io::Result<Kind> {
    file.seek(SeekFrom::Start(0))?;
    let mut head = Vec::with_capacity(HEAD_BYTES);
    Read::by_ref(file).take(HEAD_BYTES as u64).read_to_end(&mut head)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(of(&head))
}

fn of(head: &[u8]) -> Kind {
    if head.starts_with(COMPOUND) {
        return Kind::Compound;
    }
    if ZIP.iter().any(|signature| head.starts_with(signature)) {
        return Kind::Zip;
    }
    if let Some((_, foreign)) = OTHER.iter().find(|(signature, _)| head.starts_with(signature)) {
        return Kind::Foreign(*foreign);
    }
    if head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP") {
        return Kind::Foreign(Foreign::Image);
    }
    markup(head).map_or(Kind::Text, Kind::Foreign)
}

/// Recognizes HTML, XML and JSON.
fn markup(head: &[u8]) -> Option<Foreign> {
    // Without NUL bytes, UTF-16 reads like ASCII.
    let ascii: Vec<u8> = head.iter().copied().filter(|b| *b != 0).collect();
    let text = String::from_utf8_lossy(&ascii).to_lowercase();
    let text = text.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '\u{feff}' | '\u{fffd}'));
    let has = |part: &str| text.contains(part);
    if text.starts_with('<') {
        let is_html = has("<html") || has("<!doctype html") || has("<table") || has("<body") || has("<head");
        return match () {
            () if has("urn:schemas-microsoft-com:office:spreadsheet") => Some(Foreign::XmlWorkbook),
            () if is_html => Some(Foreign::Html),
            () if has("<?xml") || has("xmlns") || has("</") => Some(Foreign::Xml),
            () => None,
        };
    }
    let mime_html = text.starts_with("mime-version:") && has("multipart/related");
    if mime_html {
        return Some(Foreign::Html);
    }
    let mut rest = text.chars().filter(|c| !c.is_whitespace());
    let is_json = match (rest.next()?, rest.next()) {
        ('{', Some('"' | '}')) => has("\":") || has("\" :") || text.trim_end() == "{}",
        ('[', Some('{' | '[' | ']')) => true,
        _ => false,
    };
    is_json.then_some(Foreign::Json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_recognized_by_their_content() {
        let utf16: Vec<u8> = b"\xFF\xFE".iter().copied().chain("<html><table>".bytes().flat_map(|b| [b, 0])).collect();
        let table: [(&[u8], Kind); 26] = [
            (b"crn,course,cap\n1,2,3", Kind::Text),
            (b"", Kind::Text),
            (b"\"[CRN]\",cap", Kind::Text),
            (b"[CRN],cap\n", Kind::Text),
            (b"{\\rtf1", Kind::Foreign(Foreign::RichText)),
            (b"<1>,2\n", Kind::Text),
            (b"PK\x03\x04rest", Kind::Zip),
            (b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", Kind::Compound),
            (b"%PDF-1.7", Kind::Foreign(Foreign::Pdf)),
            (b"\x89PNG\r\n", Kind::Foreign(Foreign::Image)),
            (b"\xFF\xD8\xFF\xE0", Kind::Foreign(Foreign::Image)),
            (b"GIF89a", Kind::Foreign(Foreign::Image)),
            (b"RIFF\0\0\0\0WEBPVP8", Kind::Foreign(Foreign::Image)),
            (b"\x1F\x8B\x08", Kind::Foreign(Foreign::Archive)),
            (b"Rar!\x1A", Kind::Foreign(Foreign::Archive)),
            (b"\xEF\xBB\xBF\n <!DOCTYPE html>\n", Kind::Foreign(Foreign::Html)),
            (b"<table border=1><tr>", Kind::Foreign(Foreign::Html)),
            (&utf16, Kind::Foreign(Foreign::Html)),
            (b"<meta charset=x><style></style><TABLE>", Kind::Foreign(Foreign::Html)),
            (b"MIME-Version: 1.0\nContent-Type: multipart/related", Kind::Foreign(Foreign::Html)),
            (
                b"<?xml version=\"1.0\"?><Workbook xmlns=\"urn:schemas-microsoft-com:office:spreadsheet\">",
                Kind::Foreign(Foreign::XmlWorkbook),
            ),
            (b"<?xml version=\"1.0\"?><sections/>", Kind::Foreign(Foreign::Xml)),
            (b" {\n \"sections\": []}", Kind::Foreign(Foreign::Json)),
            (b"[{\"crn\": 1}]", Kind::Foreign(Foreign::Json)),
            (b"[\n]", Kind::Foreign(Foreign::Json)),
            (b"BEGIN:VCALENDAR\r\n", Kind::Foreign(Foreign::Calendar)),
        ];
        for (head, kind) in table {
            assert_eq!(of(head), kind, "{:?}", String::from_utf8_lossy(head));
        }
    }
}
