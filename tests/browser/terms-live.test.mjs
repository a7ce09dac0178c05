// Terms that other clients create or change appear in open pages, without a reload.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, Hub, open, until } from "./support.mjs";

const LINES = ["1,MATH 151,Calculus I,A01,lecture,5,2,3,MWF,09:00-09:50,Lee"];

let hub, chrome;
before(async () => {
  [hub, chrome] = await Promise.all([Hub.start(), browser()]);
  // Pages poll the terms while the current one is not open. This one is open, so only live messages bring changes.
  await hub.term("shown", LINES);
});
after(async () => { await chrome?.close(); await hub?.end(); });

const isLive = (page) => until(page, () => document.querySelector("#live").dataset.state === "live");
/** Waits until the term selector has an option with this value and text. */
const option = (page, id, text) => until(page, ({ id, text }) => [...document.querySelectorAll("#which-term option")].some((one) => one.value === id && one.textContent === text), { id, text });

async function openAll() {
  const [staff, student, visitor] = await Promise.all([
    open(chrome, hub, "/staff#terms", { user: "staff" }), open(chrome, hub, "/?term=shown", { user: "student" }), open(chrome, hub, "/?term=shown"),
  ]);
  await until(staff, () => document.querySelectorAll(".term-card").length > 0);
  await staff.selectOption("#which-term", "shown");
  const pages = { staff, student, visitor };
  for (const page of Object.values(pages)) {
    await isLive(page);
    // The page subscribes to the seats of the term once its first sections have loaded.
    await until(page, () => performance.getEntriesByType("resource").some(({ name }) => /\/sections\?/.test(name)));
  }
  return pages;
}

test("a term that another client creates or renames appears in open pages", async () => {
  const { staff, ...others } = await openAll();
  const put = (body) => hub.ask("staff", "PUT", "/api/v1/terms/later", body);
  await put({ title: "Winter" });
  for (const page of [staff, ...Object.values(others)]) await option(page, "later", "Winter");
  await staff.locator(".term-card", { hasText: "Winter" }).waitFor();
  await put({ title: "Winter 2027", opens_at: new Date(Date.now() - 60_000).toISOString(), closes_at: null });
  for (const page of [staff, ...Object.values(others)]) await option(page, "later", "Winter 2027");
  await staff.locator(".term-card", { hasText: "Winter 2027" }).getByRole("button", { name: "Close now" }).waitFor();
  for (const page of [staff, ...Object.values(others)]) {
    assert.equal(await page.inputValue("#which-term"), "shown", "the page shows the same term as before");
    assert.deepEqual(page.wrong, []);
  }
});

test("a term that an import creates appears in open pages, and can be chosen", async () => {
  const { staff, student, visitor } = await openAll();
  const csv = "crn,course,title,section,component,credits,capacity,waitlist_capacity,days,time,instructor\n7,ART 2,Drawing,A01,lecture,3,3,0,F,15:00-16:00,Kahlo\n";
  await hub.ask("staff", "POST", "/api/v1/imports?term=imported", csv, "text/csv");
  for (const page of [staff, student, visitor]) {
    await option(page, "imported", "imported");
    await page.selectOption("#which-term", "imported");
    await until(page, () => /ART 2/.test(document.body.textContent));
    assert.deepEqual(page.wrong, []);
  }
});

test("terms that were created while pages were offline appear when they reconnect", async () => {
  const { staff, student } = await openAll();
  for (const page of [staff, student]) {
    await page.context().setOffline(true);
    await until(page, () => document.querySelector("#live").dataset.state === "offline");
  }
  await hub.ask("staff", "PUT", "/api/v1/terms/missed", { title: "Missed" });
  for (const page of [staff, student]) await page.context().setOffline(false);
  for (const page of [staff, student]) await option(page, "missed", "Missed");
  await staff.locator(".term-card", { hasText: "Missed" }).waitFor();
});

test("the first term of an empty hub appears in open pages", async () => {
  const empty = await Hub.startEmpty();
  try {
    const [staff, visitor] = await Promise.all([open(chrome, empty, "/staff#terms", { user: "admin" }), open(chrome, empty, "/")]);
    await until(staff, () => !document.querySelector("#no-terms").hidden);
    await isLive(visitor);
    assert.equal(await staff.$eval("#exports", (el) => el.hidden), true, "without a term there is no schedule to download");
    await empty.ask("admin", "PUT", "/api/v1/terms/first", { title: "First" });
    const from = Date.now();
    for (const page of [staff, visitor]) await option(page, "first", "First");
    await staff.locator(".term-card", { hasText: "First" }).waitFor();
    await until(staff, () => !document.querySelector("#exports").hidden && /term=first/.test(document.querySelector("#export").href));
    assert.ok(Date.now() - from < 30_000, "the pages do not wait for the next check of a closed term");
  } finally {
    await empty.end();
  }
});
