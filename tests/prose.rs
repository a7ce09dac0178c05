//! Everything that a person reads in this project is plain, standard English. Wording of the project's early private
//! dialect is rejected, in code and documents.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic fails the test, which is the intent")]

use std::fs;
use std::path::{Path, PathBuf};

/// Rejected wording and what to write instead. Words are compared without case; `_` separates words, so that names in
/// code are checked, too.
const REJECTED: [(&str, &str); 40] = [
    ("whoever", "name the person: the caller, a student, the operator"),
    ("whomever", "name the person"),
    ("whom it", "name the person"),
    ("nobody", "no one, no student, no caller"),
    ("somebody", "a user, a student, an operator"),
    ("everybody", "everyone, all users"),
    ("anybody", "anyone, any user"),
    ("hears", "receives, reads"),
    ("heard of", "received, read"),
    ("is told", "is notified, receives"),
    ("are told", "are notified, receive"),
    ("was told", "was notified, received"),
    ("were told", "were notified, received"),
    ("to be told", "to be notified"),
    ("tells of", "reports"),
    ("looks after", "manages"),
    ("lets in", "admits"),
    ("was let in", "was admitted"),
    ("is let in", "is admitted"),
    ("are let in", "are admitted"),
    ("gives way", "yields, is cancelled"),
    ("what waits", "waiting commands, queued writes"),
    ("who waits", "waiting students"),
    ("who is here", "connected users"),
    ("who is there", "connected users"),
    ("as what", "how, in which role"),
    ("were wanted", "at most `limit`, requested"),
    ("what is held", "registrations, held sections"),
    ("said so", "confirmed"),
    ("whatever comes", "name what comes"),
    ("comes meanwhile", "arrives in the meantime"),
    ("so far as", "as far as, when"),
    ("is asked whether", "is_…, has_…"),
    ("lest", "so that … not"),
    ("whereof", "of which"),
    ("made anew", "rebuilt, recreated"),
    ("go together", "match, are compatible"),
    ("all is well", "no problems"),
    ("takes nobody", "is closed"),
    ("did not arrive", "could not be loaded"),
];

/// Text that is not ours to word: identifiers of other programs and of the contract.
const ALLOWED: [&str; 2] = ["\"nobody\"", "/nobody"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the words of a line in lower case, separated by one space each, with a space at both ends. Code between
/// backticks is left out.
fn words(line: &str) -> String {
    let prose: String = line.split('`').step_by(2).collect::<Vec<_>>().join(" ");
    let lower = prose.to_lowercase();
    let lower = ALLOWED.iter().fold(lower, |text, allowed| text.replace(allowed, " "));
    let separated: String = lower.chars().map(|c| if c.is_alphanumeric() { c } else { ' ' }).collect();
    format!(" {} ", separated.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Returns the rejected wordings of a line.
fn rejected_in(line: &str) -> Vec<(&'static str, &'static str)> {
    let words = words(line);
    REJECTED.into_iter().filter(|(wording, _)| words.contains(&format!(" {wording} "))).collect()
}

/// Returns all files that people write and read.
fn texts() -> Vec<PathBuf> {
    let suffixes = ["rs", "js", "mjs", "html", "css", "md", "toml", "sh", "py", "c", "sql"];
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> =
        ["src", "tests", "benches", "static", "scripts", "docs"].map(|name| root().join(name)).to_vec();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() && name != "node_modules" {
                folders.push(path);
            } else if path.extension().is_some_and(|end| suffixes.iter().any(|suffix| end == *suffix)) {
                found.push(path);
            }
        }
    }
    found.extend(["README.md", "CHANGELOG.md", "Cargo.toml", "config.toml", "Makefile"].map(|name| root().join(name)));
    found
}

#[test]
fn everything_is_written_in_plain_english() {
    let this_file = Path::new(file!()).file_name().unwrap();
    let mut faults = Vec::new();
    for path in texts().into_iter().filter(|path| path.file_name().unwrap() != this_file) {
        let text = fs::read_to_string(&path).unwrap();
        for (number, line) in text.lines().enumerate() {
            for (wording, better) in rejected_in(line) {
                let name = path.strip_prefix(root()).unwrap().display();
                faults.push(format!("{name}:{}: \"{wording}\"; write: {better}", number + 1));
            }
        }
    }
    assert!(faults.is_empty(), "{} lines:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn a_planted_dialect_sentence_is_rejected() {
    for sentence in [
        "/// Who it makes whoever holds it.",
        "/// As what a call was let in.",
        "/// Who has, first the first; as many as were wanted.",
        "/// Hears that a section was written, or needed not to be.",
        "To register for what is held already answers `200` with the present state.",
        "It hands batches to the store (one at a time, whatever comes meanwhile is the next).",
        "Nothing is called enrolled before the hub said so.",
        "fn nobody_is_called_a_liar() {",
        "This user name and password do not go together. Check both.",
    ] {
        assert!(!rejected_in(sentence).is_empty(), "not rejected: {sentence}");
    }
}

#[test]
fn plain_sentences_and_code_pass() {
    for sentence in [
        "/// The identity that this token grants.",
        "/// Acknowledgements, earliest first, at most `limit`.",
        "No sections match. Try fewer words or remove a filter.",
        "let input = read();",
        "The option `nobody` is a name of the operating system.",
    ] {
        assert_eq!(rejected_in(sentence), [], "{sentence}");
    }
}
