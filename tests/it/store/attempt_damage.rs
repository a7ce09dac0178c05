//! An altered chain of attempts is detected by `verify` and by an auditor of the exported file, even if the checksum of
//! the store was recomputed.

use std::path::Path;

use eduhub::store::sqlite::{accept, export_attempts, verify};

use super::fixture::{Embedded, StoreFixture, StoredTerm};
use crate::college::{drop_section, register, register_or_wait, section};
use crate::support::attempts::audit;

/// Damage to a chain of seven attempts, the statements that cause it, and a part of the difference that `verify`
/// reports.
const DAMAGE: [(&str, &str, &str); 17] = [
    ("a result", "UPDATE attempts SET result = 'section_full' WHERE n = 4", "the hash of attempt 4"),
    ("a time", "UPDATE attempts SET decided_at = decided_at - 1 WHERE n = 4", "the hash of attempt 4"),
    ("a position", "UPDATE attempts SET position = 2 WHERE n = 3", "the hash of attempt 3"),
    ("a section", "UPDATE attempts SET crn = 'Y' WHERE n = 1", "the hash of attempt 1"),
    ("a student", "UPDATE attempts SET student = 2 WHERE n = 1", "the hash of attempt 1"),
    ("a hash", "UPDATE attempts SET hash = zeroblob(32) WHERE n = 2", "the hash of attempt 3"),
    ("a name", "UPDATE attempt_students SET user = 'eve' WHERE user = 'ana'", "under another name"),
    ("a missing row", "DELETE FROM attempts WHERE n = 3", "attempts are missing"),
    ("a missing first row", "DELETE FROM attempts WHERE n = 1", "attempts are missing"),
    ("a chain that is cut off", "DELETE FROM attempts WHERE n = 7", "the chain ends with attempt 6"),
    ("a chain that is removed", "DELETE FROM attempts", "the chain ends with attempt 0"),
    (
        "a reordered chain",
        "UPDATE attempts SET n = 99 WHERE n = 2; UPDATE attempts SET n = 2 WHERE n = 3;
         UPDATE attempts SET n = 3 WHERE n = 99",
        "the hash of attempt 2",
    ),
    (
        "an added row",
        "INSERT INTO attempts SELECT term, 8, received_at, decided_at, student, crn, action, result, repeated, position,
             open, asker, request_id, 7, 7, hash FROM attempts WHERE n = 7",
        "the hash of attempt 8",
    ),
    ("an end that is moved", "UPDATE attempt_chains SET n = 6", "the chain ends with attempt 7"),
    ("a removed student", "DELETE FROM attempt_students WHERE user = 'ana'", "belongs to an unknown student"),
    ("a history", "UPDATE attempts SET before_student = 0 WHERE n = 7", "does not continue the history"),
    // The rows of the chain are as they were.
    ("a registration", "UPDATE registrations SET standing = 'dropped' WHERE user = 'bob'", "by the last attempt"),
];

fn damage(path: &Path, sql: &str) {
    rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap();
    // As an operator does who has no backup of a damaged store. The checksum no longer shows the damage.
    accept(path).unwrap();
}

#[test]
fn an_altered_missing_reordered_or_cut_row_is_found() {
    for (what, sql, expected) in DAMAGE {
        let folder = tempfile::tempdir().unwrap();
        let (store, file) = (folder.path().join("copy.sqlite"), folder.path().join("attempts.jsonl"));
        std::fs::copy(chain_of_seven(), &store).unwrap();
        assert_eq!(verify(&store).unwrap().attempts, 7);
        damage(&store, sql);
        let found = verify(&store).unwrap();
        assert!(found.damage.is_empty(), "{what}: {:?}", found.damage);
        assert!(found.differences.iter().any(|one| one.contains(expected)), "{what}: {:?}", found.differences);
        export_attempts(&store, &file, None).unwrap();
        let audited = audit(&std::fs::read_to_string(&file).unwrap());
        // These are derived from the chain and not part of it.
        let is_beside = ["a history", "a registration"].contains(&what);
        assert_eq!(audited.is_ok(), is_beside, "{what}: {audited:?}");
    }
}

/// Creates a store with seven attempts, closes it, and returns its path.
fn chain_of_seven() -> std::path::PathBuf {
    static STORE: std::sync::LazyLock<Embedded> = std::sync::LazyLock::new(|| {
        let mut term = StoredTerm::<Embedded>::with_sections([section("X").waitlist(3), section("Y")]);
        for command in [
            register("ana", "X"),
            register("bob", "X"),
            register_or_wait("bob", "X"),
            register("ana", "X"),
            register("cyd", "Y"),
            drop_section("ana", "X"),
        ] {
            term.run_one(command);
        }
        let fixture = term.close();
        drop(fixture.open());
        fixture
    });
    STORE.path()
}

#[test]
fn a_whole_chain_is_exported_with_its_head() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("attempts.jsonl");
    let ends = export_attempts(&chain_of_seven(), &file, None).unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    let chains = audit(&text).unwrap();
    let (term, head) = &ends[0];
    let chain = &chains[term.as_str()];
    assert_eq!((ends.len(), head.n, chain.len()), (1, 7, 7));
    assert_eq!(chain[&7].hash, head.hash.to_string());
    let fields: Vec<String> =
        chain.values().map(|one| format!("{} {}", one.user.as_deref().unwrap(), one.row[7..].join(" "))).collect();
    let expected = [
        "ana register enrolled 0 - 1 self -",
        "bob register section_full 0 - 0 self -",
        "bob register waitlisted 0 1 0 self -",
        "ana register enrolled 1 - 0 self -",
        "cyd register enrolled 0 - 1 self -",
        "ana drop dropped 0 - 0 self -",
        "bob promote enrolled 0 1 - promotion -",
    ];
    assert_eq!(fields, expected);
    assert!(export_attempts(&chain_of_seven(), &file, None).is_err(), "an existing file is not overwritten");
    let absent = eduhub::domain::ids::TermId::parse("1999").unwrap();
    let other = folder.path().join("other.jsonl");
    assert!(export_attempts(&chain_of_seven(), &other, Some(&absent)).is_err());
    // Control: the auditor detects a changed file.
    let lines: Vec<&str> = text.lines().collect();
    for (what, changed) in [
        ("a missing line", [&lines[..5], &lines[6..]].concat().join("\n")),
        ("a cut file", lines[..lines.len() - 2].join("\n")),
        ("another result", text.replacen("section_full", "enrolled", 1)),
    ] {
        assert!(audit(&changed).is_err(), "{what}");
    }
}
