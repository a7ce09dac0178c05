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

/// Page texts of the first version that native readers found odd, and their replacements. `n` and `nth` stand for
/// values. The old texts are rejected everywhere, so that none of them comes back.
const REPLACED: [(&str, &str); 76] = [
    ("n not read", "{n} unread"),
    ("to plan and to register sign in", "Browse freely. Sign in to plan or register."),
    ("it is added as soon as", "We'll add it once you sign in."),
    ("your sign in has ended", "You've been signed out."),
    ("no section fits", "No sections match."),
    ("take a filter away", "remove a filter"),
    ("with seats only", "Open seats only"),
    ("instructor not named yet", "Instructor TBA"),
    ("time not set yet", "Time TBA"),
    ("n can wait", "Waitlist: {taken} of {n} places taken"),
    ("how and where", "Format"),
    ("complete first", "Prerequisites"),
    ("in your week sections", "You already have {sections}"),
    ("leave the line", "Leave the waitlist"),
    ("nth in line", "{nth} on the waitlist"),
    ("your seat is still yours", "Undo keeps your seat."),
    ("dropped in n", "Dropping in {n} seconds."),
    ("opens by itself", "updates automatically"),
    ("then it is one press", "register in one click"),
    ("each gets its answer", "Some may be refused."),
    ("you are told why", "Reasons appear below."),
    ("everything planned is done", "You're registered for everything planned."),
    ("the last ones would be refused", "the last sections won't go through"),
    ("only one of them can be taken", "You can take only one."),
    ("section takes nobody new", "Closed to new students."),
    ("something has to be completed first", "Prerequisite:"),
    ("the seats that are left are kept", "The remaining seats are reserved"),
    ("it is not certain whether", "We couldn't confirm this."),
    ("look before you ask again", "Check before retrying."),
    ("a seat went past you", "A seat opened, but you couldn't take it"),
    ("nothing is in force", "No active alerts."),
    ("in force", "Active"),
    ("news of the college", "College news"),
    ("as the college had them", "Updated {n} minutes ago."),
    ("asked for most", "Most requested"),
    ("people are refused", "turning students away"),
    ("the same as a list", "View as list"),
    ("taken since you came", "Taken since you opened this page"),
    ("more about the file", "Import options"),
    ("further columns", "Match column names"),
    ("apply the good lines", "Import valid rows, skip the rest"),
    ("cannot be applied like this", "This file can't be imported yet."),
    ("correct what is named here", "Fix the errors below"),
    ("everything in the file is so already", "No changes"),
    ("used twice at a time", "double-booked"),
    ("whom i choose", "Selected people"),
    ("take it down", "Withdraw"),
    ("have said so", "Confirmed"),
    ("press save again", "a button that names the action"),
    ("what is left empty stays", "Leave blank to keep the current value."),
    ("seen so by this page", "No problems since {at}"),
    ("time to tell everybody", "Broadcast time"),
    ("time to answer anything", "Response time"),
    ("time to save", "Save time"),
    ("waiting in the hub", "Queue"),
    ("nothing to measure", "No activity"),
    ("the same morning twice", "Plone and EduHub: the same rush"),
    ("an account here", "Local account"),
    ("if it shall change", "(optional)"),
    ("took an alert down", "Withdrew an alert"),
    ("was not let in", "Sign-in failed"),
    ("this is not a whole number", "Capacity must be a whole number"),
    ("is not read as weekdays", "Unrecognized days"),
    ("mi periodo", "Mi horario"),
    ("renunciar", "Dar de baja"),
    ("se renuncia en", "Se dará de baja en {n} segundos"),
    ("apuntando", "Entrando en la lista…"),
    ("mirar puede cualquiera", "Cualquiera puede consultar."),
    ("pasó de largo", "Se liberó un cupo, pero no pudo asignársele"),
    ("plaza", "cupo"),
    ("plazas", "cupos"),
    ("en directo", "En vivo"),
    ("completa", "Llena"),
    ("debate", "discusión"),
    ("ninguna cumple", "No hay secciones que coincidan"),
    ("periodo", "período"),
];

/// Whole texts of the pages that were replaced, but whose words are used in other texts.
const REPLACED_TEXTS: [(&str, &str); 7] = [
    ("Every few seconds", "Updating every few seconds"),
    ("Then", "New"),
    ("Run it", "Run test"),
    ("How full", "Seat map"),
    ("Last here", "Last seen"),
    ("Repetir", "Intentar de nuevo"),
    ("Personal", "Administrativos"),
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

/// Returns the replaced page texts in a line.
fn replaced_in(line: &str) -> Vec<(&'static str, &'static str)> {
    let words = words(line);
    let phrases = REPLACED.into_iter().filter(|(wording, _)| words.contains(&format!(" {wording} ")));
    let whole = |text: &str| line.contains(&format!("\"{text}\"")) || line.contains(&format!(">{text}<"));
    phrases.chain(REPLACED_TEXTS.into_iter().filter(|(text, _)| whole(text))).collect()
}

#[test]
fn replaced_page_texts_do_not_come_back() {
    let this_file = Path::new(file!()).file_name().unwrap();
    let mut faults = Vec::new();
    for path in texts().into_iter().filter(|path| path.file_name().unwrap() != this_file) {
        for (number, line) in fs::read_to_string(&path).unwrap().lines().enumerate() {
            // Colleges choose the names of the columns in their files.
            for (wording, better) in replaced_in(line).into_iter().filter(|_| !path.ends_with("csv/aliases.rs")) {
                let name = path.strip_prefix(root()).unwrap().display();
                faults.push(format!("{name}:{}: \"{wording}\"; the page says: {better}", number + 1));
            }
        }
    }
    assert!(faults.is_empty(), "{} lines:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn planted_page_texts_of_the_first_version_are_found() {
    for line in [
        "  \"tab.alerts.unread\": \"{n} not read\",",
        "  \"live.polling\": \"Every few seconds\",",
        "<h2 data-t=\"report.after\">Then</h2>",
        "  \"map.refusing\": \"people are refused\",",
        "  \"nav.staff\": \"Personal\",",
        "  \"seats.left\": { one: \"Queda {n} plaza\", other: \"Quedan {n} plazas\" },",
    ] {
        assert!(!replaced_in(line).is_empty(), "not found: {line}");
    }
    for line in
        ["  \"live.polling\": \"Updating every few seconds\",", "<h2>Personal data</h2>", "the row could not be read"]
    {
        assert_eq!(replaced_in(line), [], "{line}");
    }
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
