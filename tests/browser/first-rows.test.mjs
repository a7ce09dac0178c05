// The first rows of the student's page: which requests they wait for, in which order these are sent, and that the rows
// appear whatever the other parts of the page do.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, Hub, open, row, rows, until } from "./support.mjs";

let hub, chrome, other;
before(async () => {
  [hub, chrome] = await Promise.all([Hub.start(), browser()]);
  await hub.term("first", [
    "1,MATH 151,Calculus I,A01,lecture,5,2,3,MWF,09:00-09:50,Lee", "2,PHYS 101,Physics,A01,lecture,4,1,3,MWF,09:30-10:20,Curie",
    "3,CHEM 101,Chemistry,A01,lecture,4,1,9,TR,09:00-10:20,Franklin",
  ]);
  other = (await hub.ask("staff", "GET", "/api/v1/terms")).items.find(({ id }) => id !== "first").id;
});
after(async () => { await chrome?.close(); await hub?.end(); });

const isFirstSections = (url) => /\/sections\?.*limit=60$/.test(url);
const REQUESTS = { terms: (url) => url.endsWith("/api/v1/terms"), session: (url) => url.endsWith("/api/v1/session"), sections: isFirstSections };

/**
 * Opens a page whose requests with URLs that match `held` wait until `release()`. `page.sent` has the URLs of all its
 * requests.
 */
async function openHolding(held, where = "/?term=first", options = {}) {
  const page = await open(chrome, hub, "/docs/problems", options);
  let release;
  const released = new Promise((resolve) => { release = resolve; });
  await page.route(held, async (route) => { await released; await route.continue().catch(() => {}); });
  page.sent = [];
  page.on("request", (request) => page.sent.push(request.url()));
  // The page does not finish loading while a request is held.
  await page.goto(hub.url + where, { waitUntil: "commit" });
  return { page, release };
}
/** The requests that may come after the first rows. */
const REST = /\/api\/v1\/session$|\/static\/student-page\/(student\/(page|opening)|session|live|alerts|seats)\.js$/;
const count = (page, name) => page.sent.filter(REQUESTS[name]).length;

test("the first sections are requested before the page's scripts have loaded, and only once", async () => {
  const { page, release } = await openHolding("**/student/main.js");
  await until(page, () => performance.getEntriesByType("resource").some(({ name, responseEnd }) => /\/sections\?/.test(name) && responseEnd > 0));
  assert.equal(await page.locator(".row").count(), 0);
  release();
  await rows(3)(page);
  await until(page, () => document.querySelector("#live").dataset.state === "live");
  await row(page, "Calculus").getByRole("button", { name: /^Add to plan/ }).waitFor();
  assert.deepEqual(Object.keys(REQUESTS).map((name) => [name, count(page, name)]), [["terms", 1], ["session", 1], ["sections", 1]]);
  assert.ok(page.sent.findIndex(REQUESTS.sections) < page.sent.findIndex(REQUESTS.session), String(page.sent));
  assert.deepEqual(page.wrong, []);
});

test("the first rows wait for neither the user nor the rest of the page", async () => {
  const { page, release } = await openHolding(REST);
  await rows(3)(page);
  assert.match(await row(page, "Calculus").textContent(), /Mon Wed Fri.*2 left/);
  assert.equal(await page.locator(".row button", { hasText: "Plan" }).count(), 0);
  release();
  await row(page, "Calculus").getByRole("button", { name: /^Add to plan/ }).waitFor();
  await until(page, () => document.querySelector("#live").dataset.state === "live");
  assert.deepEqual(page.wrong, []);
});

test("the first rows need six files besides the page, which are requested together", async () => {
  for (const [locale, language] of [["en-US", "en"], ["es-MX", "es"]]) {
    const { page, release } = await openHolding(REST, "/?term=first", { locale });
    await rows(3)(page);
    const needed = await page.evaluate(() => performance.getEntriesByType("resource").filter(({ responseEnd }) => responseEnd > 0).map(({ name }) => name));
    const files = ["/api/v1/sections?term=first&limit=60", "/api/v1/terms", `/static/student-page/words/${language}.js`, "/static/student-page/student/main.js", "/static/student.css", "/static/style.css"];
    const isFile = (name) => !name.endsWith("/static/icon.svg") && !REST.test(name);
    assert.deepEqual(needed.filter(isFile).map((name) => name.slice(hub.url.length)).sort(), files.sort());
    // The requests that no script sends.
    const { headers } = await fetch(`${hub.url}/?term=first`, { headers: { "Accept-Language": `${locale},${language};q=0.9` } });
    assert.equal(headers.get("Link"), `</static/student-page/words/${language}.js>; rel=modulepreload, </api/v1/sections?term=first&limit=60>; rel=preload; as=fetch; crossorigin`);
    assert.match(headers.get("Vary"), /Accept-Language/);
    release();
    await until(page, () => document.querySelector("#live").dataset.state === "live");
    assert.deepEqual(page.wrong, []);
  }
});

test("an early response is for the term and the search that the page shows", async () => {
  for (const [where, script, query] of [
    [`/?term=${other}`, undefined, { term: other, limit: "60" }],
    ["/", `localStorage.setItem("eduhub.term", "first")`, { term: "first", limit: "60" }],
    ["/?term=nothing", undefined, null],
    ["/?term=first&q=calculus&days=mon", undefined, { term: "first", q: "calculus", days: "mon", limit: "60" }],
  ]) {
    const { page, release } = await openHolding(/nothing-is-held/, where, { script });
    await until(page, () => document.querySelector("#live").dataset.state === "live" && document.querySelectorAll(".row").length > 0);
    release();
    const sections = page.sent.filter(isFirstSections);
    // The hub does not know the term that the browser remembers, so the page names the current one, and a second
    // request is needed.
    assert.equal(sections.length, script ? 2 : 1, `${where}: ${sections}`);
    const shown = await page.inputValue("#which-term");
    assert.deepEqual(Object.fromEntries(new URL(sections.at(-1)).searchParams), query ?? { term: shown, limit: "60" }, where);
    assert.deepEqual(page.wrong, [], where);
  }
});

test("a visitor whose cookie is invalid gets rows and a sign-in form", async () => {
  const page = await open(chrome, hub, "/?term=first", { cookie: "invalid" });
  await rows(3)(page);
  await row(page, "Calculus").getByRole("button", { name: /^Add to plan/ }).waitFor();
  await page.locator("#sign-in form").waitFor({ state: "attached" });
  await until(page, () => document.querySelector("#live").dataset.state === "live");
  assert.equal(await page.textContent("#college"), "Riverside College");
  assert.deepEqual(page.wrong, []);
});

test("a part of the page that does not load is requested again", async () => {
  const page = await open(chrome, hub, "/docs/problems");
  let refused = 0;
  await page.route("**/static/student-page/alerts.js", (route) => (refused += 1) === 1 ? route.abort() : route.continue());
  await page.goto(`${hub.url}/?term=first`);
  await rows(3)(page);
  await row(page, "Calculus").getByRole("button", { name: /^Add to plan/ }).waitFor();
  assert.equal(refused, 2);
  assert.deepEqual(page.wrong, []);
});
