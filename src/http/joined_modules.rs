//! The modules of the student's page. Those that the page loads before it lists sections are joined into one.
//!
//! A browser has six connections to a hub without HTTP/2, so 14 modules take three times as long as one. The hub joins
//! them when it starts, so that the pages need no build step. The other modules of the page then import from the joined
//! one, because each module must exist only once in a page. All of them are under [`BASE`]. The other pages use the
//! modules as they are.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The path of the modules of the student's page, as an address.
pub(super) const BASE: &str = "/static/student-page/";
/// The module that starts the page. It is joined with all modules that it imports.
const ENTRY: &str = "student/main.js";

/// The texts of modules by their paths under `static/js/`.
pub(super) type Modules = BTreeMap<String, String>;

/// `import { names } from "from";` on its own line, as all modules write it.
struct Import<'a> {
    names: &'a str,
    from: &'a str,
}

impl<'a> Import<'a> {
    fn of(line: &'a str) -> Option<Self> {
        let (names, from) = line.strip_prefix("import {")?.strip_suffix("\";")?.split_once("} from \"")?;
        Some(Self { names, from })
    }

    /// Returns the path of the imported module; `importer` is that of the module with the import.
    fn path(&self, importer: &str) -> String {
        let mut parts: Vec<&str> = importer.split('/').collect();
        parts.pop();
        for part in self.from.split('/') {
            match part {
                "." => {}
                ".." => {
                    parts.pop();
                }
                name => parts.push(name),
            }
        }
        parts.join("/")
    }
}

/// Returns the declaration in a line that exports one, and its name.
fn exported(line: &str) -> Option<(&str, &str)> {
    let declaration = line.strip_prefix("export ")?;
    let kinds = ["async function ", "function ", "class ", "const "];
    let after = kinds.iter().find_map(|kind| declaration.strip_prefix(kind))?;
    let end = after.find(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '$')).unwrap_or(after.len());
    Some((declaration, &after[..end]))
}

/// Returns all modules of the student's page: the joined one, and the others, which import from it.
pub(super) fn of_student_page(modules: &Modules) -> Modules {
    let joined = in_order(modules);
    let others = modules.iter().filter(|(path, _)| !joined.contains(path));
    let mut page: Modules = others.map(|(path, text)| (path.clone(), importing(path, text, &joined))).collect();
    page.insert(ENTRY.to_owned(), join(modules, &joined));
    page
}

/// Returns the entry and the modules that it imports, directly or through others, in the order in which they are
/// evaluated.
fn in_order(modules: &Modules) -> Vec<String> {
    fn visit(modules: &Modules, path: &str, seen: &mut Vec<String>, order: &mut Vec<String>) {
        if seen.iter().any(|one| one == path) {
            return;
        }
        seen.push(path.to_owned());
        let lines = modules.get(path).into_iter().flat_map(|text| text.lines());
        for import in lines.filter_map(Import::of) {
            visit(modules, &import.path(path), seen, order);
        }
        order.push(path.to_owned());
    }
    let mut order = Vec::new();
    visit(modules, ENTRY, &mut Vec::new(), &mut order);
    order
}

/// Joins modules: each becomes a function that returns what the module exports.
fn join(modules: &Modules, order: &[String]) -> String {
    let (mut text, mut exports) = (String::new(), String::new());
    for (index, path) in order.iter().enumerate() {
        let source = modules.get(path).map_or("", String::as_str);
        let folder = path.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
        // `await` outside of a module's functions requires an async function around the module.
        let call = if source.lines().any(|line| line.starts_with("await ")) { "await (async " } else { "(" };
        let mut names = Vec::new();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "const m{index} = {call}() => {{");
        for line in source.lines() {
            let import = Import::of(line)
                .and_then(|import| Some((order.iter().position(|one| *one == import.path(path))?, import.names)));
            if let Some((from, imported)) = import {
                let _ = writeln!(text, "const {{{}}} = m{from};", imported.replace(" as ", ": "));
                continue;
            }
            let code = exported(line).map_or(line, |(declaration, name)| {
                names.push(name);
                declaration
            });
            // The path in a dynamic import is relative to the module that contains it, which is now part of another
            // file.
            let _ = writeln!(text, "{}", code.replace("import(`./", &format!("import(`{BASE}{folder}")));
        }
        let names = names.join(", ");
        let _ = writeln!(text, "return {{ {names} }};\n}})();");
        let _ = writeln!(exports, "export const {{ {names} }} = m{index};");
    }
    text + &exports
}

/// Returns a module with its imports from the modules in `joined` replaced by imports from the joined one.
fn importing(path: &str, text: &str, joined: &[String]) -> String {
    let lines = text.split_inclusive('\n').map(|line| match Import::of(line.trim_end()) {
        Some(import) if joined.contains(&import.path(path)) => {
            format!("import {{{}}} from \"{BASE}{ENTRY}\";\n", import.names)
        }
        _ => line.to_owned(),
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn modules(of: &[(&str, &str)]) -> Modules {
        of.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn modules_are_joined_in_the_order_of_their_evaluation() {
        let page = of_student_page(&modules(&[
            (
                "a.js",
                "export const A = 1;\nexport async function load(x) { return import(`./words/${x}`); }\nawait load(1);\n",
            ),
            ("student/main.js", "import { A as B, load } from \"../a.js\";\nexport class Main {}\nload(B);\n"),
            ("b.js", "import { A } from \"./a.js\";\nimport { C } from \"./c.js\";\n"),
            ("c.js", "export const C = 2;\n"),
        ]));
        let joined = "const m0 = await (async () => {\nconst A = 1;\n\
            async function load(x) { return import(`/static/student-page/words/${x}`); }\nawait load(1);\n\
            return { A, load };\n})();\n\
            const m1 = (() => {\nconst { A: B, load } = m0;\nclass Main {}\nload(B);\nreturn { Main };\n})();\n\
            export const { A, load } = m0;\nexport const { Main } = m1;\n";
        assert_eq!(page["student/main.js"], joined);
        let other = "import { A } from \"/static/student-page/student/main.js\";\nimport { C } from \"./c.js\";\n";
        assert_eq!(page["b.js"], other);
        assert_eq!(page.keys().collect::<Vec<_>>(), ["b.js", "c.js", "student/main.js"]);
    }

    /// Returns the modules of the pages.
    fn sources() -> Modules {
        fn read(folder: &Path, under: &str, found: &mut Modules) {
            for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
                let path = format!("{under}{}", entry.file_name().into_string().unwrap());
                if entry.path().is_dir() {
                    read(&entry.path(), &format!("{path}/"), found);
                } else {
                    found.insert(path, std::fs::read_to_string(entry.path()).unwrap());
                }
            }
        }
        let mut found = Modules::new();
        read(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/static/js")), "", &mut found);
        found
    }

    #[test]
    fn the_modules_of_the_pages_can_be_joined() {
        let sources = sources();
        let joined = in_order(&sources);
        let mut names = Vec::new();
        for path in &joined {
            for line in sources[path].lines() {
                assert!(!line.starts_with("import ") || Import::of(line).is_some(), "{path}: {line}");
                assert!(!line.starts_with("export ") || exported(line).is_some(), "{path}: {line}");
                let is_relative = line.contains("import(\"") || line.contains("import('");
                assert!(!is_relative, "{path} loads a module by a path that is not rewritten: {line}");
                names.extend(exported(line).map(|(_, name)| name));
            }
        }
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "two joined modules export the same name");
    }

    #[test]
    fn no_module_imports_a_joined_module_dynamically() {
        let sources = sources();
        let joined = in_order(&sources);
        for (path, text) in &sources {
            for (_, after) in text.match_indices("import(\"").map(|(at, found)| text.split_at(at + found.len())) {
                let import = Import { names: "", from: after.split('"').next().unwrap_or_default() };
                assert!(!joined.contains(&import.path(path)), "{path} loads {}", import.from);
            }
        }
    }
}
