// A large college while registration is busy: the page shows every change, and its memory does not grow.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, Hub, open, until } from "./support.mjs";
import { Crowd, lines, SECTIONS, SETTINGS } from "./crowd.mjs";

/** How long the seats change. */
const SECONDS = 10;
/** More rows than fit a screen, and far fewer than there are sections. */
const ROWS_MAX = 80;
/** Memory growth that a leak of a row or a frame per change would exceed many times over. */
const GROWTH_BYTES_MAX = 12_000_000;

let hub, chrome;
before(async () => { [hub, chrome] = await Promise.all([Hub.start(SETTINGS), browser()]); });
after(async () => { await chrome?.close(); await hub?.end(); });

test("3,465 busy sections: no change is lost, memory stays flat", async () => {
  await hub.term("many", lines());
  await hub.ask("student", "PUT", "/api/v1/me/plan", { sections: ["many-10001", "many-10700"] });
  const page = await open(chrome, hub, "/?term=many", { user: "student", height: 2200 });
  await until(page, () => document.querySelector("#found").textContent.startsWith("3,465") && document.querySelectorAll("#subject option").length > 5);
  const devtools = await page.context().newCDPSession(page);
  const heap = async () => {
    await devtools.send("HeapProfiler.collectGarbage");
    return (await devtools.send("Runtime.getHeapUsage")).usedSize;
  };
  const crowd = new Crowd(hub, "many");
  let over = false;
  const running = crowd.run(SECONDS).finally(() => { over = true; });
  let before = 0, most = 0;
  for (let step = 0; !over; step += 1) {
    await page.fill("#q", step % 3 === 2 ? "math" : "");
    await page.evaluate((to) => scrollTo(0, to), (step % 7) * 9000);
    most = Math.max(most, await page.locator(".row").count());
    // By now the page has allocated what it needs at the start.
    if (step === 5) before = await heap();
  }
  const { changes, failed } = await running;
  assert.equal(failed, 0);
  assert.ok(changes > SECTIONS / 10, `${changes} changes`);
  assert.ok(most > 0 && most < ROWS_MAX, `${most} rows`);
  const grown = await heap() - before;
  assert.ok(grown < GROWTH_BYTES_MAX, `${grown} bytes more`);

  // At the end every row must match the hub. Once the change below is shown, all earlier ones are.
  await page.fill("#q", "");
  await page.evaluate(() => scrollTo(0, 0));
  await hub.ask("staff", "PATCH", "/api/v1/sections/many-10001", { capacity: 777 });
  await until(page, () => document.querySelector('.row[data-index="0"] .seats')?.title.includes(" of 777 "));
  const { seats } = await hub.ask("student", "GET", "/api/v1/seats?term=many");
  assert.equal(seats.length, SECTIONS);
  const expected = new Map(seats.map(([id, capacity, enrolled, waitlisted, open]) => [id, `${enrolled}/${capacity} ${open > 0 ? `${open} left` : waitlisted ? `Full, ${waitlisted} waiting` : "Full"}`]));
  await until(page, () => document.querySelector("#found").textContent.startsWith("3,465"));
  const height = await page.evaluate(() => document.querySelector(".row").offsetHeight);
  const seen = new Map();
  for (let from = 0; from < SECTIONS; from += 40) {
    await page.evaluate((y) => scrollTo(0, y), from * height);
    await until(page, (index) => document.querySelector(`.row[data-index="${index}"]`), Math.min(from + 39, SECTIONS - 1));
    for (const [index, course, kind, title, text] of await page.evaluate(() => [...document.querySelectorAll(".row")].map((row) => [row.dataset.index, row.querySelector(".course").textContent, row.querySelector(".kind").textContent, row.querySelector(".seats").title, row.querySelector(".seats .words").textContent]))) {
      seen.set(`${course} ${kind.split(" ")[0]}`, [index, `${title} ${text}`]);
    }
  }
  assert.equal(seen.size, SECTIONS);
  const { items } = await hub.ask("student", "GET", "/api/v1/sections?term=many&limit=5000");
  const wrong = items.filter(({ id, course, section }) => {
    const [taken, words] = expected.get(id).split(/ (.*)/);
    const [, shown] = seen.get(`${course} ${section}`);
    return shown !== `${taken.split("/")[0]} of ${taken.split("/")[1]} ${taken.endsWith("/1") ? "seat" : "seats"} taken ${words}`;
  });
  assert.deepEqual(wrong.map(({ id }) => `${id}: ${expected.get(id)}`), []);
  assert.deepEqual(page.wrong, []);
});
