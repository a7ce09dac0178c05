// Every import of the pages' modules exists and is used. If one import of a page does not resolve, the browser loads
// none of the page's modules.

import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";

const folder = path.resolve(import.meta.dirname, "../../static/js");
const files = readdirSync(folder, { recursive: true }).filter((name) => name.endsWith(".js")).map((name) => path.join(folder, name));
const source = (file) => readFileSync(file, "utf8");
const names = (list) => list.split(",").map((one) => one.trim()).filter(Boolean);
const exported = (file) => [
  ...[...source(file).matchAll(/^export (?:async )?(?:function\*?|class|const|let) ([\w$]+)/gm)].map(([, name]) => name),
  ...[...source(file).matchAll(/^export \{([^}]*)\}/gm)].flatMap(([, list]) => names(list).map((one) => one.split(" as ").at(-1))),
];

for (const file of files) {
  test(`${path.relative(folder, file)} imports only what exists and is used`, () => {
    const text = source(file);
    for (const [whole, list, where] of text.matchAll(/^import \{([^}]*)\} from "([^"]+)";$/gm)) {
      const from = path.resolve(path.dirname(file), where);
      assert.ok(existsSync(from), `${where} does not exist`);
      for (const one of names(list)) {
        const [name, as = name] = one.split(" as ");
        assert.ok(exported(from).includes(name), `${where} does not export ${name}`);
        const used = new RegExp(`(?<![\\w$.])${as.replace("$", "\\$")}(?![\\w$])`);
        assert.match(text.replace(whole, ""), used, `${as} is unused`);
      }
    }
    for (const [, where] of text.matchAll(/import\("([^"]+)"\)/g)) assert.ok(existsSync(path.resolve(path.dirname(file), where)), `${where} does not exist`);
  });
}

/** Returns `name` and the modules that it imports, directly and indirectly, without those that load on request. */
function graph(name, found = new Set()) {
  if (found.has(name)) return found;
  found.add(name);
  for (const [, where] of source(path.join(folder, name)).matchAll(/^import .* from "([^"]+)";$/gm)) graph(path.join(path.dirname(name), where), found);
  return found;
}
const firstModules = graph("student/main.js");

test("the student's page loads one script, whose requests come first", () => {
  const page = source(path.resolve(folder, "../index.html"));
  assert.deepEqual([...page.matchAll(/(?:href|src)="([^"]+\.js)"/g)].map(([, name]) => name), ["/static/student-page/student/main.js"]);
  // Modules run in the order in which they are imported.
  assert.equal(source(path.join(folder, "student/main.js")).match(/^import .* from "([^"]+)";$/m)[1], "./first.js");
});

test("the modules for the rest of the student's page are requested together", () => {
  const [, list] = source(path.join(folder, "student/main.js")).match(/^const REST = \[([^\]]*)\];$/m);
  const loaded = names(list).map((one) => path.join("student", one.slice(1, -1)));
  assert.deepEqual(loaded.sort(), [...graph("student/page.js")].filter((one) => !firstModules.has(one)).sort());
});
