//! Project rules that the compiler does not check, checked on the text of the sources.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic fails the test, which is the intent")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Maximum number of lines of a source file, page, style sheet or script.
const FILE_LINES_MAX: usize = 500;
/// Maximum number of lines of a function.
const FUNCTION_LINES_MAX: usize = 70;

/// The modules of `src`, and which other modules each of them may use.
const MAY_USE: [(&str, &[&str]); 24] = [
    ("domain", &[]),
    ("histogram", &[]),
    ("logging", &[]),
    ("machine", &[]),
    ("private_files", &[]),
    ("text", &[]),
    ("calendar", &["domain"]),
    ("clock", &[]),
    ("config", &["domain"]),
    ("store", &["domain", "histogram", "private_files"]),
    ("bus", &["domain"]),
    ("leader", &["store"]),
    ("retention", &["store", "clock"]),
    ("registration", &["domain", "histogram", "store", "bus", "clock"]),
    ("alerts", &["domain", "store"]),
    ("identity", &["domain", "store", "bus", "clock", "retention", "private_files"]),
    ("sso", &["domain", "config", "clock"]),
    ("live", &["domain", "histogram", "logging", "store", "bus", "clock", "registration", "identity", "alerts"]),
    ("imports", &["domain", "store", "bus", "clock", "registration", "text", "private_files"]),
    ("plone", &["domain", "config", "store", "clock", "leader", "registration", "identity", "text"]),
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
            "calendar",
            "text",
            "clock",
            "config",
            "store",
            "bus",
            "registration",
            "identity",
            "live",
            "alerts",
            "imports",
            "plone",
            "sso",
            "observe",
            "rush",
        ],
    ),
];
/// Modules that assemble the others and may use all of them.
const TOP_MODULES: [&str; 4] = ["app", "cli", "main", "lib"];

/// Words that must not occur in the domain, because it is pure.
const NOT_IN_DOMAIN: [&str; 8] =
    ["actix", "rusqlite", "tokio", "rand::", "SystemTime", "Instant::now", "Timestamp::now", "std::fs"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the paths, relative to the root, and the contents of all files under `folder` with one of these suffixes.
fn files(folder: &str, suffixes: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            let name = path.strip_prefix(root()).unwrap().display().to_string();
            if path.is_dir() {
                folders.push(path);
            } else if suffixes.iter().any(|suffix| name.ends_with(suffix)) {
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

/// Returns a source file without its tests, which may use everything.
fn without_tests<'t>(name: &str, text: &'t str) -> &'t str {
    if name.ends_with("_tests.rs") || name.ends_with("/tests.rs") {
        return "";
    }
    text.split("#[cfg(test)]\nmod tests {").next().unwrap()
}

/// Returns the module of a source file, such as `live` for `src/live/ws.rs`.
fn module(name: &str) -> &str {
    name.strip_prefix("src/").unwrap().split(['/', '.']).next().unwrap()
}

/// Returns the modules of this crate that a source file uses.
fn used_modules(text: &str) -> Vec<&str> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.split("crate::").skip(1))
        .map(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap())
        .collect()
}

fn assert_none(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

#[test]
fn modules_depend_only_on_the_modules_in_the_table() {
    let mut problems = Vec::new();
    for (name, text) in sources() {
        let own = module(&name);
        if TOP_MODULES.contains(&own) {
            continue;
        }
        let Some((_, allowed)) = MAY_USE.iter().find(|(module, _)| *module == own) else {
            problems.push(format!("{name}: {own} is not in the table of modules"));
            continue;
        };
        for used in used_modules(without_tests(&name, &text)) {
            if used != own && !allowed.contains(&used) {
                problems.push(format!("{name} uses {used}, which {own} must not use"));
            }
        }
    }
    assert_none(&problems);
}

#[test]
fn the_domain_has_no_runtime_store_randomness_or_clock() {
    let mut problems = Vec::new();
    for (name, text) in files("src/domain", &[".rs"]) {
        for line in without_tests(&name, &text).lines().filter(|line| !line.trim_start().starts_with("//")) {
            problems.extend(
                NOT_IN_DOMAIN
                    .iter()
                    .filter(|word| line.contains(*word))
                    .map(|word| format!("{name}: {word} in {line}")),
            );
        }
    }
    assert_none(&problems);
}

#[test]
fn no_file_is_longer_than_the_limit() {
    let sources = sources().into_iter().chain(files("static", &[".html", ".css", ".js"]));
    let long = sources.filter_map(|(name, text)| {
        let lines = text.lines().count();
        (lines > FILE_LINES_MAX).then(|| format!("{name} has {lines} lines"))
    });
    assert_none(&long.collect::<Vec<_>>());
}

/// Returns the functions of a formatted source file: name, and length in lines.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let Some(begin) = code.find("fn ") else { continue };
        let mut words = code[..begin].split_whitespace();
        let starts_function = words.all(|word| {
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
fn no_function_is_longer_than_the_limit() {
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
    assert!(seen > 300, "more than 300 functions are found, not {seen}");
    assert_none(&problems);
}

#[test]
fn lengths_of_functions_are_found_in_formatted_code() {
    let text = "fn one() {}\n    pub(super) async fn two<T>(\n        a: T,\n    ) -> u8 {\n        if a {\n        }\n    }\n\
                trait T {\n    fn declared(\n    ) -> u8;\n}\nconst fn three() {\n    // empty\n}\n";
    let found: Vec<_> = functions(text);
    assert_eq!(found, [("two".to_owned(), 6), ("declared".to_owned(), 2), ("three".to_owned(), 3)]);
}

#[test]
fn every_source_file_starts_with_a_module_comment() {
    let undocumented =
        sources().into_iter().filter(|(name, text)| !name.ends_with("_tests.rs") && !text.starts_with("//! "));
    assert_none(&undocumented.map(|(name, _)| format!("{name} does not start with `//! `")).collect::<Vec<_>>());
}

/// Returns a cycle in `edges`, if there is one.
fn find_cycle<'n>(edges: &BTreeMap<&'n str, BTreeSet<&'n str>>) -> Option<Vec<&'n str>> {
    // Without a cycle, removing the files that use no other remaining file removes all files.
    let mut remaining = edges.clone();
    while let Some(leaf) = remaining.iter().find(|(_, uses)| uses.is_empty()).map(|(name, _)| *name) {
        remaining.remove(leaf);
        remaining.values_mut().for_each(|uses| _ = uses.remove(leaf));
    }
    let mut path = vec![*remaining.keys().next()?];
    loop {
        let next = *remaining[path.last().unwrap()].first().unwrap();
        if let Some(start) = path.iter().position(|name| *name == next) {
            return Some(path.split_off(start));
        }
        path.push(next);
    }
}

#[test]
fn files_of_the_live_module_form_no_cycle() {
    let sources = files("src/live", &[".rs"]);
    let file = |name: &str| name.strip_prefix("src/live/").unwrap().strip_suffix(".rs").unwrap().to_owned();
    let names: BTreeSet<String> = sources.iter().map(|(name, _)| file(name)).collect();
    let mut edges: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, text) in &sources {
        let own = file(name);
        let uses = edges.entry(names.get(&own).unwrap()).or_default();
        let code = without_tests(name, text).lines().filter(|line| !line.trim_start().starts_with("//"));
        for rest in code.flat_map(|line| line.split("crate::live::").skip(1)) {
            let used = rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap();
            uses.extend(names.get(used).filter(|used| **used != own).map(String::as_str));
        }
    }
    assert!(edges["broker"].contains("messages") && edges["ws"].contains("feed"), "{edges:?}");
    assert_eq!(find_cycle(&edges), None);
}

#[test]
fn a_cycle_is_found() {
    let edges = [("a", vec!["b"]), ("b", vec!["c"]), ("c", vec!["d", "b"]), ("d", vec![])];
    let edges = edges.into_iter().map(|(name, uses)| (name, uses.into_iter().collect())).collect();
    assert_eq!(find_cycle(&edges), Some(vec!["b", "c"]));
}

/// Returns the actions that a source file writes into the audit trail: names with a dot, near a word that marks them.
fn audit_actions(text: &str) -> Vec<&str> {
    const WORDS: [&str; 4] = ["audit", "action", "entry_in_commit(", "strum(serialize"];
    let is_action = |text: &str| {
        text.contains('.')
            && text.split('.').all(|part| !part.is_empty() && part.bytes().all(|b| b == b'_' || b.is_ascii_lowercase()))
    };
    let literals = text.match_indices('"').zip(text.match_indices('"').skip(1));
    let near = |start: usize| text[..start].char_indices().rev().nth(119).map_or(0, |(at, _)| at);
    literals
        .map(|((start, _), (end, _))| (start, &text[start + 1..end]))
        .filter(|(start, literal)| {
            is_action(literal) && WORDS.iter().any(|word| text[near(*start)..*start].contains(word))
        })
        .map(|(_, literal)| literal)
        .collect()
}

#[test]
fn every_action_of_the_audit_trail_has_a_name_on_the_page() {
    let page = fs::read_to_string(root().join("static/js/admin/audit.js")).unwrap();
    let mut found = 0;
    let mut problems = Vec::new();
    // Settings have names of the same form.
    for (name, text) in sources().into_iter().filter(|(name, _)| module(name) != "config") {
        let actions = audit_actions(without_tests(&name, &text));
        found += actions.len();
        let unnamed = actions.into_iter().filter(|action| !page.contains(&format!("\"{action}\"")));
        problems.extend(unnamed.map(|action| format!("{name}: {action}")));
    }
    assert!(found > 40, "negative control: {found} actions were found");
    assert_none(&problems);
}

/// The files of the enums whose variants are texts with a code, each with the common prefix of the texts' keys on the
/// pages, and the folder of the word tables.
const CODED_TEXTS: [(&str, &str, &str); 9] = [
    ("src/imports/finding_kind.rs", "finding", "findings"),
    ("src/imports/finding_parts.rs", "finding", "findings"),
    ("src/imports/roster_finding.rs", "finding", "findings"),
    ("src/imports/spreadsheet/kind.rs", "finding", "findings"),
    ("src/domain/rights.rs", "finding", "findings"),
    ("src/observe/readiness.rs", "check", "admin"),
    ("src/domain/audit_detail/mod.rs", "detail", "admin"),
    ("src/plone/problem.rs", "plone.problem", "admin"),
    ("src/rush/failure.rs", "demo.text", "demo"),
];

/// Returns the codes of the variants with an English text in a source file, each with the names of its values.
fn coded_texts(text: &str) -> Vec<(String, BTreeSet<String>)> {
    let snake = |name: &str| {
        name.chars().enumerate().fold(String::new(), |code, (at, c)| match c.is_ascii_uppercase() {
            true if at > 0 => code + "_" + &c.to_lowercase().to_string(),
            true => code + &c.to_lowercase().to_string(),
            false => code + &c.to_string(),
        })
    };
    let enums = text.split("#[serde(tag = \"code\", content = \"args\"").skip(1);
    let bodies = enums.filter_map(|rest| rest.split_once('{')?.1.split_once("\n}"));
    let texts = bodies.flat_map(|(body, _)| body.split("#[error(").skip(1).collect::<Vec<_>>());
    let variants = texts.filter_map(|rest| Some(rest.split_once(")]")?.1));
    variants
        .map(|rest| {
            let code = rest.lines().map(str::trim).filter(|line| !line.starts_with("///"));
            let code = code.collect::<Vec<_>>().join(" ");
            let code = code.trim_start();
            let end = code.find([',', ' ']).unwrap_or(code.len());
            let fields = code[end..].trim_start().strip_prefix('{').and_then(|rest| rest.split_once('}'));
            let fields: Vec<&str> = fields.map_or("", |(fields, _)| fields).split(": ").collect();
            // The last part is a type.
            let names = fields[..fields.len() - 1].iter().filter_map(|part| part.rsplit([' ', ',']).next());
            let names = names.map(str::to_owned);
            (snake(&code[..end]), names.collect())
        })
        .collect()
}

#[test]
fn every_code_has_a_text_with_its_values_in_each_language() {
    let mut problems = Vec::new();
    let mut found = 0;
    for (file, area, folder) in CODED_TEXTS {
        let codes = coded_texts(without_tests(file, &fs::read_to_string(root().join(file)).unwrap()));
        found += codes.len();
        for table in [format!("static/js/words/{folder}/en.js"), format!("static/js/words/{folder}/es.js")] {
            let words = fs::read_to_string(root().join(&table)).unwrap();
            for (code, values) in &codes {
                let Some((_, text)) = words.split_once(&format!("\"{area}.{code}\": ")) else {
                    problems.push(format!("{table}: {area}.{code} of {file} is missing"));
                    continue;
                };
                let text = text.lines().next().unwrap();
                let used: BTreeSet<String> = text
                    .split('{')
                    .skip(1)
                    .filter_map(|rest| rest.split_once('}'))
                    .map(|(name, _)| name.to_owned())
                    .collect();
                let used = used.into_iter().filter(|name| !name.contains([' ', '"'])).collect::<BTreeSet<_>>();
                if used != *values {
                    problems.push(format!("{table}: {area}.{code} uses {used:?} instead of {values:?}"));
                }
            }
        }
    }
    assert!(found > 150, "negative control: {found} codes were found");
    assert_none(&problems);
}

#[test]
fn only_one_file_uses_actix_web_actors() {
    let users = sources().into_iter().filter(|(_, text)| text.contains("use actix_web_actors"));
    let users: Vec<String> = users.map(|(name, _)| name).collect();
    assert_eq!(users, ["src/live/ws.rs"], "the crate is deprecated and must be replaceable in one file");
}

#[test]
fn only_one_file_chooses_the_store_and_the_bus() {
    let mut users = Vec::new();
    for (name, text) in sources() {
        let code = without_tests(&name, &text);
        let inside = name.starts_with("src/store/") || name.starts_with("src/bus/");
        if !inside && ["store::sqlite", "bus::local", "bus::nats"].iter().any(|path| code.contains(path)) {
            users.push(name);
        }
    }
    assert_eq!(users, ["src/app/ports.rs"], "only this file chooses implementations");
}

/// Files that may read the system clock: the clock itself, the file that chooses it, and code that runs without a hub.
const CLOCK_READERS: [&str; 4] = ["src/clock.rs", "src/app/ports.rs", "src/cli/", "src/store/sqlite/copy.rs"];

#[test]
fn only_the_clock_reads_the_time_of_day() {
    let mut problems = Vec::new();
    for (name, text) in sources() {
        if CLOCK_READERS.iter().any(|allowed| name.starts_with(allowed)) {
            continue;
        }
        let code = without_tests(&name, &text);
        let words = ["Timestamp::now(", "SystemTime::now(", "SystemClock"];
        problems.extend(words.iter().filter(|word| code.contains(*word)).map(|word| format!("{name}: {word}")));
    }
    assert_none(&problems);
}

#[test]
fn do_send_is_never_used() {
    let mut problems = Vec::new();
    for (name, text) in sources() {
        if without_tests(&name, &text).contains(".do_send(") {
            problems.push(format!("{name} uses do_send, which ignores the capacity of the mailbox"));
        }
    }
    assert_none(&problems);
}

#[test]
fn no_test_is_ignored_and_no_task_marker_is_left() {
    let all = sources().into_iter().chain(files("tests", &[".rs"])).chain(files("benches", &[".rs"]));
    let mut problems = Vec::new();
    // Each marker is written in two parts, so that the test does not find its own source.
    let words = [concat!("#[", "ignore"), concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
    for (name, text) in all {
        problems.extend(words.iter().filter(|word| text.contains(*word)).map(|word| format!("{name}: {word}")));
    }
    assert_none(&problems);
}

#[test]
fn required_lints_are_enabled() {
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
fn pages_have_no_inline_code_and_load_only_their_own_files() {
    let mut problems = Vec::new();
    for (name, text) in files("static", &[".html", ".css", ".js"]) {
        let is_page = name.ends_with(".html");
        for (number, line) in text.lines().enumerate() {
            // The URL of the SVG namespace is a name and is not loaded.
            let line_without_names = line.replace("http://www.w3.org/2000/svg", "");
            let loads = ["http://", "https://", "src=\"//", "href=\"//", "url(//", "@import"];
            let inline = is_page
                && (line.contains("<style")
                    || line.contains(" style=\"")
                    || line.contains("javascript:")
                    || (line.contains("<script") && !line.contains(" src=\""))
                    || has_handler(line));
            if inline || loads.iter().any(|word| line_without_names.contains(word)) {
                problems.push(format!("{name}, line {}: {}", number + 1, line.trim()));
            }
        }
    }
    assert_none(&problems);
}

/// Returns whether a line of HTML has an attribute such as `onclick="…"`.
fn has_handler(line: &str) -> bool {
    line.split(" on").skip(1).any(|rest| {
        let name: String = rest.chars().take_while(char::is_ascii_lowercase).collect();
        !name.is_empty() && rest[name.len()..].starts_with("=\"")
    })
}
