// Repeated requests of the pages: one at a time, none while the page is hidden, and longer pauses after failures. The
// page's clock is simulated.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, Hub, open, until } from "./support.mjs";

let hub, chrome;
before(async () => { [hub, chrome] = await Promise.all([Hub.start(), browser()]); });
after(async () => { await chrome?.close(); await hub?.end(); });

/** Longer than any pause of the pollers in these tests. */
const LONG_MS = 70_000;

/** Makes the page's tab hidden or visible. */
const setHidden = (page, hidden) => page.evaluate((hidden) => {
  Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
  document.dispatchEvent(new Event("visibilitychange"));
}, hidden);

/** Opens a page with a running poller of one request a second. `sent` has its requests, with functions to end them. */
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
  // The page becomes visible, as if it had been in the background.
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

/** Counts the unanswered pings of the page's WebSocket in `window.unanswered`. Runs before the page's scripts. */
const countPings = () => {
  window.unanswered = 0;
  const { send } = WebSocket.prototype;
  WebSocket.prototype.send = function (text) {
    if (JSON.parse(text).type === "ping") {
      window.unanswered += 1;
      const onmessage = ({ data }) => {
        if (JSON.parse(data).type !== "pong") return;
        this.removeEventListener("message", onmessage);
        window.unanswered -= 1;
      };
      this.addEventListener("message", onmessage);
    }
    return send.call(this, text);
  };
};

/**
 * Lets the page's time pass in steps, and waits after each step until the hub has answered the page's pings. Otherwise
 * the page would consider the connection dead, reconnect, and request its alerts.
 */
const pass = async (page, ms) => {
  for (let passed = 0; passed < ms; passed += 5_000) {
    await page.clock.runFor(5_000);
    await until(page, () => window.unanswered === 0);
  }
};

/** Records the requests of a page: `all` their addresses, `open` those without a response. */
const recordRequests = (page) => {
  const requests = { all: [], open: new Set() };
  page.on("request", (request) => { requests.all.push(request.url()); requests.open.add(request); });
  for (const end of ["requestfinished", "requestfailed"]) page.on(end, (request) => requests.open.delete(request));
  return requests;
};

/** Waits until no request is open and the last response has caused no other. Its own requests do not count. */
const settled = async (page, requests) => {
  for (let before = -1; requests.open.size > 0 || requests.all.length !== before + 1;) {
    before = requests.all.length;
    await page.evaluate(() => fetch("/healthz").then((response) => response.text()));
  }
};

for (const [where, user] of [["/admin#now", "admin"], ["/admin#sessions", "admin"], ["/admin#demo", "admin"], ["/staff#now", "staff"], ["/staff#alerts", "staff"]]) {
  test(`${where} sends no request while it is hidden`, async () => {
    const page = await open(chrome, hub, "/docs/problems", { user, script: countPings });
    await page.clock.install();
    const requests = recordRequests(page);
    await page.goto(hub.url + where);
    await until(page, () => !document.querySelector("#desk").hidden && document.querySelector("#live").dataset.state === "live");
    await settled(page, requests);
    requests.all.length = 0;
    await pass(page, LONG_MS);
    assert.ok(requests.all.length > 1, "the visible page polls");
    await setHidden(page, true);
    await settled(page, requests);
    requests.all.length = 0;
    await pass(page, LONG_MS);
    assert.deepEqual(requests.all, []);
  });
}
