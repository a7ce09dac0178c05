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
