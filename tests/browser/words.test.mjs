// Every language has the same text keys and placeholders as English, and Spanish texts agree with the times that they
// contain.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

const folder = new URL("../../static/js/words/", import.meta.url);
/**
 * Returns whether a language may have different keys: ordinals differ in number, and English shows components as they
 * are in the schedule.
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

test("Spanish has a word for each component that imports know", async () => {
  const source = readFileSync(new URL("../../src/imports/csv/component.rs", import.meta.url), "utf8");
  const names = [...source.matchAll(/^ {4}\("([\w ]+)", &\[/gm)].map(([, name]) => name);
  const { default: spanish } = await import(new URL("es.js", folder));
  assert.ok(names.length > 10, `components: ${names}`);
  assert.deepEqual(names.filter((name) => !spanish[`kind.${name}`]), []);
  // Calendars, which the hub writes, have the same words.
  const calendar = readFileSync(new URL("../../src/calendar/event.rs", import.meta.url), "utf8");
  assert.deepEqual(names.filter((name) => !calendar.includes(`"${name}" => "${spanish[`kind.${name}`]}",`)), []);
});

test("Spanish texts with a time say `la 1:05` and `las 2:05`", async () => {
  // The parts of a browser that `i18n.js` needs are replaced below.
  const { default: texts } = await import(new URL("admin/es.js", folder));
  globalThis.document = {
    documentElement: { dataset: { languages: "es en", words: "admin" } }, querySelectorAll: () => [], querySelector: () => null,
  };
  Object.defineProperty(globalThis, "navigator", { value: { languages: ["es-US"] }, configurable: true });
  globalThis.localStorage = { getItem: () => "es" };
  globalThis.history = {};
  const { t, setLanguage } = await import("../../static/js/i18n.js");
  const keys = Object.keys(texts).filter((key) => JSON.stringify(texts[key]).includes("las {at}"));
  assert.notEqual(keys.length, 0);
  for (const key of keys) {
    for (const [at, article] of [["1:05:09 p. m.", "la"], ["01:05:09", "la"], ["2:05:09 p. m.", "las"], ["11:05:09 a. m.", "las"], ["13:05:09", "las"]]) {
      assert.match(t(key, { at, n: 1 }), new RegExp(`\\b${article} ${at}`), key);
    }
  }
  await setLanguage("en");
  assert.equal(t("health.since", { at: "1:05 PM" }), "Since 1:05 PM");
});
