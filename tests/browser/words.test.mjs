// Every language has the same text keys and placeholders as English.

import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";

const folder = new URL("../../static/js/words/", import.meta.url);
/**
 * Whether a language may have other keys: ordinals differ in number, and English shows components as the schedule has
 * them.
 */
const isOptional = (key) => /^(nth|kind)\./.test(key);
const placeholders = (words) => [...new Set(JSON.stringify(words).match(/\{\w+\}/g) ?? [])].sort();

for (const name of readdirSync(folder, { recursive: true }).filter((name) => name.endsWith(".js") && !name.endsWith("en.js"))) {
  test(`${name} has the keys and placeholders of en.js`, async () => {
    const { default: english } = await import(new URL(name.replace(/\w+\.js$/, "en.js"), folder));
    const { default: other } = await import(new URL(name, folder));
    const keys = (words) => Object.keys(words).filter((key) => !isOptional(key)).sort();
    assert.deepEqual(keys(other), keys(english));
    for (const key of keys(english)) assert.deepEqual(placeholders(other[key]), placeholders(english[key]), key);
  });
}
