//! The house rules that a compiler does not know, kept by reading the sources.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The longest source file, page, style sheet or script, in lines.
const FILE_LINES_MAX: usize = 500;
/// The longest function, in lines.
const FUNCTION_LINES_MAX: usize = 70;

/// Which folders of `src` each folder may use. Dependencies point downwards only.
const MAY_USE: [(&str, &[&str]); 19] = [
    ("domain", &[]),
    ("histogram", &[]),
    ("logging", &[]),
    ("machine", &[]),
    ("text", &[]),
    ("clock", &[]),
    ("config", &["domain"]),
    ("store", &["domain", "histogram"]),
    ("bus", &["domain"]),
    ("registration", &["domain", "histogram", "store", "bus", "clock"]),
    ("alerts", &["store"]),
    ("identity", &["domain", "store", "bus", "clock"]),
    ("live", &["domain", "histogram", "store", "bus", "clock", "registration", "identity", "alerts"]),
    ("imports", &["domain", "store", "bus", "clock", "registration", "text"]),
    ("plone", &["domain", "config", "store", "clock", "registration", "identity", "text"]),
    ("rush", &["domain", "config", "histogram", "store", "clock", "registration", "imports"]),
    ("demo", &["domain", "store"]),
    (
        "observe",
        &[
            "domain",
            "histogram",
            "machine",
            "clock",
            "store",
            "bus",
            "registration",
            "identity",
            "live",
            "imports",
            "plone",
        ],
    ),
    (
        "http",
        &[
            "domain",
            "text",
            "clock",
            "config",
            "store",
            "bus",
            "registration",
            "identity",
            "live",
            "imports",
            "plone",
            "observe",
            "rush",
        ],
    ),
];
/// What puts the parts together.
const ON_TOP: [&str; 4] = ["app", "cli", "main", "lib"];

/// What a domain that is pure does not know.
const NOT_IN_DOMAIN: [&str; 8] =
    ["actix", "rusqlite", "tokio", "rand::", "SystemTime", "Instant::now", "Timestamp::now", "std::fs"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files under `folder` with one of these endings, by their path from the root, with what is in them.
fn files(folder: &str, endings: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            let name = path.strip_prefix(root()).unwrap().display().to_string();
            if path.is_dir() {
                folders.push(path);
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "{folder} has no files");
    found
}

fn sources() -> Vec<(String, String)> {
    files("src", &[".rs"])
}

/// What ships of a source file: without its tests, which may use everything.
fn shipped<'t>(name: &str, text: &'t str) -> &'t str {
    if name.ends_with("_tests.rs") || name.ends_with("/tests.rs") {
        return "";
    }
    text.split("#[cfg(test)]\nmod tests {").next().unwrap()
}

/// The module that a source file belongs to: `actors` of `src/actors/pool.rs`.
fn module(name: &str) -> &str {
    name.strip_prefix("src/").unwrap().split(['/', '.']).next().unwrap()
}

/// The modules of this crate that a text names.
fn named_modules(text: &str) -> Vec<&str> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.split("crate::").skip(1))
        .map(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap())
        .collect()
}

fn none(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

#[test]
fn dependencies_between_modules_run_one_way() {
    let mut problems = Vec::new();
    for (name, text) in sources() {
        let own = module(&name);
        if ON_TOP.contains(&own) {
            continue;
        }
        let Some((_, allowed)) = MAY_USE.iter().find(|(module, _)| *module == own) else {
            problems.push(format!("{name}: {own} has no place in the table of modules"));
            continue;
        };
        for used in named_modules(shipped(&name, &text)) {
            if used != own && !allowed.contains(&used) {
                problems.push(format!("{name} uses {used}, which {own} must not know"));
            }
        }
    }
    none(&problems);
}

#[test]
fn the_domain_knows_no_runtime_no_store_no_chance_and_no_clock() {
    let mut problems = Vec::new();
    for (name, text) in files("src/domain", &[".rs"]) {
        for line in shipped(&name, &text).lines().filter(|line| !line.trim_start().starts_with("//")) {
            problems.extend(
                NOT_IN_DOMAIN
                    .iter()
                    .filter(|word| line.contains(*word))
                    .map(|word| format!("{name}: {word} in {line}")),
            );
        }
    }
    none(&problems);
}

#[test]
fn no_file_is_so_long_that_it_has_two_jobs() {
    let sources = sources().into_iter().chain(files("static", &[".html", ".css", ".js"]));
    let long = sources.filter_map(|(name, text)| {
        let lines = text.lines().count();
        (lines > FILE_LINES_MAX).then(|| format!("{name} has {lines} lines"))
    });
    none(&long.collect::<Vec<_>>());
}

/// The functions of a formatted source: name, and length in lines.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let Some(begin) = code.find("fn ") else { continue };
        let words = code[..begin].split_whitespace();
        let starts_function = words.clone().all(|word| {
            word.starts_with("pub") || ["const", "async", "unsafe", "extern", "\"C\"", "(in", "super)"].contains(&word)
        });
        if !starts_function || code.ends_with(';') || code.ends_with('}') {
            continue;
        }
        let indent = &line[..line.len() - code.len()];
        let ends = |line: &&str| {
            line.strip_prefix(indent).is_some_and(|rest| rest == "}" || (rest.starts_with(')') && rest.ends_with(';')))
        };
        let length = lines[at..].iter().position(ends).map_or(0, |end| end + 1);
        let name = code[begin + 3..].split(['(', '<']).next().unwrap().to_owned();
        found.push((name, length));
    }
    found
}

#[test]
fn no_function_is_so_long_that_it_has_two_jobs() {
    let mut problems = Vec::new();
    let mut seen = 0;
    for (name, text) in sources() {
        for (function, lines) in functions(&text) {
            seen += 1;
            if lines > FUNCTION_LINES_MAX {
                problems.push(format!("{name}: {function} has {lines} lines"));
            }
        }
    }
    assert!(seen > 300, "only {seen} functions were recognised");
    none(&problems);
}

#[test]
fn the_length_of_a_function_is_read_from_its_layout() {
    let text = "fn one() {}\n    pub(super) async fn two<T>(\n        a: T,\n    ) -> u8 {\n        if a {\n        }\n    }\n\
                trait T {\n    fn declared(\n    ) -> u8;\n}\nconst fn three() {\n    // nothing\n}\n";
    let found: Vec<_> = functions(text);
    assert_eq!(found, [("two".to_owned(), 6), ("declared".to_owned(), 2), ("three".to_owned(), 3)]);
}

#[test]
fn every_source_file_says_first_what_it_is() {
    let silent = sources().into_iter().filter(|(name, text)| !name.ends_with("_tests.rs") && !text.starts_with("//! "));
    none(&silent.map(|(name, _)| format!("{name} does not begin with `//! `")).collect::<Vec<_>>());
}

/// Returns a circle of files in `edges`, if there is one.
fn circle<'n>(edges: &BTreeMap<&'n str, BTreeSet<&'n str>>) -> Option<Vec<&'n str>> {
    // Without a circle, files that use no other remaining file can be removed until none is left.
    let mut left = edges.clone();
    while let Some(free) = left.iter().find(|(_, uses)| uses.is_empty()).map(|(name, _)| *name) {
        left.remove(free);
        left.values_mut().for_each(|uses| _ = uses.remove(free));
    }
    let mut path = vec![*left.keys().next()?];
    loop {
        let next = *left[path.last().unwrap()].first().unwrap();
        if let Some(start) = path.iter().position(|name| *name == next) {
            return Some(path.split_off(start));
        }
        path.push(next);
    }
}

#[test]
fn files_of_the_live_side_form_no_circle() {
    let sources = files("src/live", &[".rs"]);
    let file = |name: &str| name.strip_prefix("src/live/").unwrap().strip_suffix(".rs").unwrap().to_owned();
    let names: BTreeSet<String> = sources.iter().map(|(name, _)| file(name)).collect();
    let mut edges: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, text) in &sources {
        let own = file(name);
        let uses = edges.entry(names.get(&own).unwrap()).or_default();
        let code = shipped(name, text).lines().filter(|line| !line.trim_start().starts_with("//"));
        for rest in code.flat_map(|line| line.split("crate::live::").skip(1)) {
            let used = rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap();
            uses.extend(names.get(used).filter(|used| **used != own).map(String::as_str));
        }
    }
    assert!(edges["broker"].contains("messages") && edges["ws"].contains("feed"), "{edges:?}");
    assert_eq!(circle(&edges), None);
}

#[test]
fn a_circle_of_files_is_found() {
    let edges = [("a", vec!["b"]), ("b", vec!["c"]), ("c", vec!["d", "b"]), ("d", vec![])];
    let edges = edges.into_iter().map(|(name, uses)| (name, uses.into_iter().collect())).collect();
    assert_eq!(circle(&edges), Some(vec!["b", "c"]));
}

#[test]
fn one_file_knows_actix_web_actors() {
    let knowing = sources().into_iter().filter(|(_, text)| text.contains("use actix_web_actors"));
    let knowing: Vec<String> = knowing.map(|(name, _)| name).collect();
    assert_eq!(knowing, ["src/live/ws.rs"], "it is to be replaced one day, in one place");
}

#[test]
fn one_file_names_the_store_and_the_bus() {
    let mut naming = Vec::new();
    for (name, text) in sources() {
        let code = shipped(&name, &text);
        let inside = name.starts_with("src/store/") || name.starts_with("src/bus/");
        if !inside && ["store::sqlite", "bus::local"].iter().any(|path| code.contains(path)) {
            naming.push(name);
        }
    }
    assert_eq!(naming, ["src/app/ports.rs"], "implementations are chosen in one place");
}

/// Files that may read the system clock: the clock itself, the file that chooses it, and commands that run without a hub.
const CLOCK_READERS: [&str; 4] = ["src/clock.rs", "src/app/ports.rs", "src/cli/", "src/store/sqlite/copy.rs"];

#[test]
fn only_the_clock_reads_the_time_of_day() {
    let mut problems = Vec::new();
    for (name, text) in sources() {
        if CLOCK_READERS.iter().any(|allowed| name.starts_with(allowed)) {
            continue;
        }
        let code = shipped(&name, &text);
        let words = ["Timestamp::now(", "SystemTime::now(", "SystemClock"];
        problems.extend(words.iter().filter(|word| code.contains(*word)).map(|word| format!("{name}: {word}")));
    }
    none(&problems);
}

#[test]
fn mailboxes_are_respected() {
    let mut problems = Vec::new();
    for (name, text) in sources() {
        if shipped(&name, &text).contains(".do_send(") {
            problems.push(format!("{name} uses do_send, which ignores the bound of a mailbox"));
        }
    }
    none(&problems);
}

#[test]
fn no_test_is_ignored_and_nothing_is_left_to_do() {
    let all = sources().into_iter().chain(files("tests", &[".rs"])).chain(files("benches", &[".rs"]));
    let mut problems = Vec::new();
    // Written in two parts, so that this file does not find itself.
    let words = [concat!("#[", "ignore"), concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
    for (name, text) in all {
        problems.extend(words.iter().filter(|word| text.contains(*word)).map(|word| format!("{name}: {word}")));
    }
    none(&problems);
}

#[test]
fn the_lints_that_the_project_lives_by_are_on() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let lints: toml::Table = manifest.parse::<toml::Table>().unwrap()["lints"].as_table().unwrap().clone();
    let level = |of: &str, lint: &str| lints[of].get(lint).and_then(|l| l.as_str()).unwrap_or("absent").to_owned();
    assert_eq!(level("rust", "unsafe_code"), "forbid");
    for lint in ["unwrap_used", "expect_used", "todo", "print_stdout", "await_holding_lock", "needless_pass_by_value"] {
        assert_ne!(level("clippy", lint), "absent", "clippy::{lint}");
    }
    assert_ne!(level("rust", "missing_docs"), "absent");
}

#[test]
fn pages_run_nothing_inline_and_load_nothing_from_elsewhere() {
    let mut problems = Vec::new();
    for (name, text) in files("static", &[".html", ".css", ".js"]) {
        let is_page = name.ends_with(".html");
        for (number, line) in text.lines().enumerate() {
            // The address of the SVG namespace is a name, not something that is loaded.
            let elsewhere = line.replace("http://www.w3.org/2000/svg", "");
            let loads = ["http://", "https://", "src=\"//", "href=\"//", "url(//", "@import"];
            let inline = is_page
                && (line.contains("<style")
                    || line.contains(" style=\"")
                    || line.contains("javascript:")
                    || (line.contains("<script") && !line.contains(" src=\""))
                    || has_handler(line));
            if inline || loads.iter().any(|word| elsewhere.contains(word)) {
                problems.push(format!("{name}, line {}: {}", number + 1, line.trim()));
            }
        }
    }
    none(&problems);
}

/// Whether a line of HTML has an attribute such as `onclick="…"`.
fn has_handler(line: &str) -> bool {
    line.split(" on").skip(1).any(|rest| {
        let name: String = rest.chars().take_while(char::is_ascii_lowercase).collect();
        !name.is_empty() && rest[name.len()..].starts_with("=\"")
    })
}
