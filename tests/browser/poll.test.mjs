// Repeated requests of the pages: one at a time, none while the page is hidden, and longer pauses after failures. The
// page's clock is simulated.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, Hub, open, until } from "./support.mjs";

let hub, chrome;
before(async () => { [hub, chrome] = await Promise.all([Hub.start(), browser()]); });
after(async () => { await chrome?.close(); await hub?.end(); });

/** Longer than any pause of a poller. */
const LONG_MS = 70_000;

/** Makes the page's tab hidden or visible. */
const setHidden = (page, hidden) => page.evaluate((hidden) => {
  Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
  document.dispatchEvent(new Event("visibilitychange"));
}, hidden);

/** Opens a page with a started poller of one request a second. Its requests are in `sent`, with a function that ends each. */
const openPoller = async () => {
  const page = await open(chrome, hub, "/docs/problems");
  await page.clock.install();
  await page.evaluate(async () => {
    const { Problem } = await import("/static/js/api.js");
    const { Poller } = await import("/static/js/poll.js");
    Object.assign(window, { sent: [], errors: [], needed: true, autoEnd: null });
    window.poller = new Poller((signal) => new Promise((resolve, reject) => {
      const fail = (retry_after) => reject(new Problem({ status: 503, code: "overloaded", retry_after }));
      sent.push({ signal, resolve, fail });
      signal.addEventListener("abort", () => reject(signal.reason));
      window.autoEnd?.(sent.at(-1));
    }), { ms: 1000, isNeeded: () => window.needed, onerror: (problem) => errors.push(problem.code) });
    poller.start();
  });
  await page.clock.runFor(10);
  return page;
};
const sent = (page) => page.evaluate(() => window.sent.length);

test("a poller has one request in flight and pauses after its response", async () => {
  const page = await openPoller();
  await page.clock.runFor(LONG_MS);
  // The page was in the background for a moment.
  await setHidden(page, false);
  await page.clock.runFor(LONG_MS);
  assert.equal(await sent(page), 1);
  await page.evaluate(() => sent[0].resolve());
  await page.clock.runFor(600);
  assert.equal(await sent(page), 1, "the pause is at least 700 ms");
  await page.clock.runFor(800);
  assert.equal(await sent(page), 2);
});

test("a poller sends nothing while its page is hidden, and resumes", async () => {
  const page = await openPoller();
  await setHidden(page, true);
  await page.evaluate(() => sent[0].resolve());
  await page.clock.runFor(LONG_MS);
  assert.equal(await sent(page), 1);
  await setHidden(page, false);
  await page.clock.runFor(10);
  assert.equal(await sent(page), 2);
});

test("a poller sends nothing while it is not needed", async () => {
  const page = await openPoller();
  await page.evaluate(() => { window.needed = false; sent[0].resolve(); });
  await page.clock.runFor(LONG_MS);
  assert.equal(await sent(page), 1);
  // Another view is shown.
  await page.evaluate(() => { window.needed = true; location.hash = "#other"; });
  await until(page, () => location.hash === "#other");
  await page.clock.runFor(1400);
  assert.equal(await sent(page), 2);
});

test("failures are reported and lengthen the pause; a response resets it", async () => {
  const page = await openPoller();
  await page.evaluate(() => { window.autoEnd = (one) => one.fail(); sent[0].fail(); });
  await page.clock.runFor(LONG_MS);
  const failed = await sent(page);
  assert.ok(failed >= 4 && failed <= 9, `${failed} requests in 70 s`);
  assert.deepEqual(await page.evaluate(() => [...new Set(errors)]), ["overloaded"]);
  await page.evaluate(() => { window.autoEnd = (one) => one.resolve(); });
  await page.clock.runFor(LONG_MS);
  assert.ok(await sent(page) > failed + 20, "the pauses are short again");
});

test("a poller respects Retry-After", async () => {
  const page = await openPoller();
  await page.evaluate(() => sent[0].fail("40"));
  await page.clock.runFor(39_000);
  assert.equal(await sent(page), 1);
  await page.clock.runFor(2_000);
  assert.equal(await sent(page), 2);
});

test("a request that is replaced or stopped is aborted and reports nothing", async () => {
  const page = await openPoller();
  await page.evaluate(() => { void poller.now(); });
  assert.deepEqual(await page.evaluate(() => sent.map(({ signal }) => signal.aborted)), [true, false]);
  await page.evaluate(() => poller.stop());
  assert.deepEqual(await page.evaluate(() => sent.map(({ signal }) => signal.aborted)), [true, true]);
  await page.clock.runFor(LONG_MS);
  assert.equal(await sent(page), 2);
  assert.deepEqual(await page.evaluate(() => errors), []);
  assert.deepEqual(page.wrong, []);
});

for (const [where, user] of [["/admin#now", "admin"], ["/admin#sessions", "admin"], ["/admin#demo", "admin"], ["/staff#now", "staff"], ["/staff#alerts", "staff"]]) {
  test(`${where} sends no request while it is hidden`, async () => {
    const page = await open(chrome, hub, "/docs/problems", { user });
    await page.clock.install();
    await page.goto(hub.url + where);
    await until(page, () => !document.querySelector("#desk").hidden && document.querySelector("#live").dataset.state === "live");
    const requests = [];
    page.on("request", (request) => requests.push(request.url()));
    await page.clock.runFor(LONG_MS);
    assert.ok(requests.length > 1, "the visible page polls");
    await setHidden(page, true);
    await page.waitForLoadState("networkidle");
    requests.length = 0;
    await page.clock.runFor(LONG_MS);
    assert.deepEqual(requests, []);
  });
}
