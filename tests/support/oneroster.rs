//! A reader of OneRoster bundles that shares no code with the hub (it uses Python's `zipfile` and `csv`), and a writer
//! of bundles.

use std::collections::BTreeMap;
use std::io::{Cursor, Write};
use std::path::Path;
use std::process::Command;

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// A Python script that prints all files of a bundle as JSON: a list of rows for each file. A row maps the names of
/// the columns to its cells.
const READ: &str = r#"
import csv, io, json, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as bundle:
    assert bundle.testzip() is None
    text = {name: bundle.read(name).decode("utf-8") for name in bundle.namelist()}
rows = {name: list(csv.DictReader(io.StringIO(content, newline=""), strict=True)) for name, content in text.items()}
for name, content in text.items():
    width = len(next(csv.reader(io.StringIO(content, newline=""))))
    assert all(len(row) == width and None not in row.values() for row in rows[name]), name
json.dump(rows, sys.stdout)
"#;

/// The rows of each file of a bundle. A row maps the names of the columns to its cells.
pub type Bundle = BTreeMap<String, Vec<BTreeMap<String, String>>>;

/// Reads a bundle. Checks that its manifest is correct, every reference names a row, and the identifiers in the
/// referenced files are unique.
pub fn read(folder: &Path, bytes: &[u8]) -> Bundle {
    let file = folder.join("bundle.zip");
    std::fs::write(&file, bytes).expect("the bundle can be written");
    let output = Command::new("python3").arg("-c").arg(READ).arg(&file).output().expect("python3 runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let bundle: Bundle = serde_json::from_slice(&output.stdout).expect("JSON");
    check_manifest(&bundle);
    let references = [
        ("courses.csv", "orgSourcedId", "orgs.csv"),
        ("classes.csv", "courseSourcedId", "courses.csv"),
        ("classes.csv", "schoolSourcedId", "orgs.csv"),
        ("classes.csv", "termSourcedIds", "academicSessions.csv"),
        ("users.csv", "primaryOrgSourcedId", "orgs.csv"),
        ("roles.csv", "userSourcedId", "users.csv"),
        ("roles.csv", "orgSourcedId", "orgs.csv"),
        ("enrollments.csv", "classSourcedId", "classes.csv"),
        ("enrollments.csv", "schoolSourcedId", "orgs.csv"),
        ("enrollments.csv", "userSourcedId", "users.csv"),
    ];
    for (from, column, to) in references {
        let known = ids(&bundle, to);
        for row in &bundle[from] {
            assert!(known.contains(&row[column].as_str()), "{from}: {column} {:?} is in {to}", row[column]);
        }
    }
    bundle
}

/// Returns the identifiers of the rows of a file, which must be unique and consist of characters that OneRoster allows.
pub fn ids<'b>(bundle: &'b Bundle, name: &str) -> Vec<&'b str> {
    let mut ids: Vec<&str> = bundle[name].iter().map(|row| row["sourcedId"].as_str()).collect();
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || ".-_/@".contains(c);
    assert!(ids.iter().all(|id| !id.is_empty() && id.chars().all(is_allowed)), "{name}: {ids:?}");
    let rows = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), rows, "identifiers of {name} are unique");
    ids
}

/// Checks that the manifest states version 1.2, and lists exactly the files of the bundle, each as complete (`bulk`).
fn check_manifest(bundle: &Bundle) {
    let manifest = &bundle["manifest.csv"];
    let value = |name: &str| {
        let row = manifest.iter().find(|row| row["propertyName"] == name);
        row.unwrap_or_else(|| panic!("the manifest has {name}"))["value"].as_str()
    };
    assert_eq!((value("manifest.version"), value("oneroster.version")), ("1.0", "1.2"));
    let listed = manifest.iter().filter_map(|row| row["propertyName"].strip_prefix("file."));
    let mut files: Vec<String> =
        listed.filter(|name| value(&format!("file.{name}")) == "bulk").map(|name| format!("{name}.csv")).collect();
    files.push("manifest.csv".to_owned());
    files.sort_unstable();
    assert_eq!(files, bundle.keys().cloned().collect::<Vec<_>>());
}

/// Returns a bundle of these files.
pub fn zip(files: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in files {
        zip.start_file(*name, SimpleFileOptions::default()).expect("a file");
        zip.write_all(text.as_bytes()).expect("room in memory");
    }
    zip.finish().expect("an archive").into_inner()
}
