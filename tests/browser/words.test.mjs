// Every language says everything: the catalogues have the same keys, and fill in the same things.

import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";

const folder = new URL("../../static/js/words/", import.meta.url);
const { default: english } = await import(new URL("en.js", folder));
/** These have as many forms as a language needs, or are said in English by whoever made the schedule. */
const free = (key) => /^(nth|kind)\./.test(key);
const filled = (words) => [...new Set(JSON.stringify(words).match(/\{\w+\}/g) ?? [])].sort();

for (const name of readdirSync(folder).filter((name) => name !== "en.js")) {
  test(`${name} says everything that English says`, async () => {
    const { default: other } = await import(new URL(name, folder));
    const keys = (words) => Object.keys(words).filter((key) => !free(key)).sort();
    assert.deepEqual(keys(other), keys(english));
    for (const key of keys(english)) assert.deepEqual(filled(other[key]), filled(english[key]), key);
  });
}
