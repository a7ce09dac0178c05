// The student's page handles responses that are late, that fail, that never arrive, or that are for an earlier user.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, Hub, open, row, rows, until } from "./support.mjs";

let hub, chrome;
before(async () => { [hub, chrome] = await Promise.all([Hub.start(), browser()]); });
after(async () => { await chrome?.close(); await hub?.end(); });

const WEEK = [
  "1,MATH 151,Calculus I,A01,lecture,5,2,3,MWF,09:00-09:50,Lee", "2,PHYS 101,Physics,A01,lecture,4,1,3,MWF,09:30-10:20,Curie",
  "3,CHEM 101,Chemistry,A01,lecture,4,1,9,TR,09:00-10:20,Franklin", "4,ARTS 105,Drawing,S01,studio,3,5,0,F,18:00-20:50,Goya",
];
/** Opens a page after `setUp` has installed its routes. */
async function openWith(where, options, setUp) {
  const page = await open(chrome, hub, "/docs/problems", options);
  await setUp(page);
  await page.goto(hub.url + where);
  return page;
}
const problem = (status, code) => ({ status, contentType: "application/problem+json", headers: { "Retry-After": "1" }, body: JSON.stringify({ status, code, title: "Busy", retry_after: 1 }) });

test("a section planned before the plan has loaded is added to it", async () => {
  await hub.term("early", WEEK, { opensIn: 900 });
  await hub.ask("student", "PUT", "/api/v1/me/plan", { sections: ["early-1"] });
  let release;
  const held = new Promise((resolve) => { release = resolve; });
  const page = await openWith("/?term=early", { user: "student" }, (page) =>
    page.route("**/api/v1/me/plan", async (route) => { if (route.request().method() === "GET") await held; await route.continue(); }));
  await rows(4)(page);
  await row(page, "Drawing").getByRole("button", { name: /^Add to plan:/ }).click();
  await row(page, "Drawing").getByRole("button", { name: /^Planned/ }).waitFor();
  const saved = page.waitForResponse((response) => response.url().endsWith("/me/plan") && response.request().method() === "PUT");
  release();
  await saved;
  await until(page, () => document.querySelectorAll("#schedule-rows > li").length === 2);
  assert.deepEqual((await hub.ask("student", "GET", "/api/v1/me/plan")).sections, ["early-1", "early-4"]);
});

test("a schedule that has not loaded is not shown as empty", async () => {
  await hub.term("late", WEEK);
  hub.mint("planner", "student");
  await hub.ask("student", "PUT", "/api/v1/me/registrations/late-4");
  await hub.ask("planner", "PUT", "/api/v1/me/plan", { sections: ["late-4"] });
  for (const [path, outcome, user] of [["registrations", "continue", "student"], ["registrations", "abort", "student"], ["plan", "continue", "planner"]]) {
    let release;
    const held = new Promise((resolve) => { release = resolve; });
    let isHeld = true;
    const page = await openWith("/?term=late", { user }, (page) => page.route(`**/api/v1/me/${path}`, async (route) => {
      if (isHeld) await held;
      return isHeld && outcome === "abort" ? route.abort() : route.continue();
    }));
    await rows(4)(page);
    await page.getByText("Loading your schedule").waitFor();
    if (outcome === "abort") {
      release();
      await until(page, () => /Couldn't reach the server/.test(document.querySelector("#note").textContent));
    }
    const said = await page.evaluate(() => document.querySelector("aside").innerText);
    assert.doesNotMatch(said, /no sections in this term|Find a section and select/, `${path}, ${outcome}`);
    if (path === "registrations") assert.doesNotMatch(said, /credit/, outcome);
    isHeld = false;
    release();
    await page.locator("#schedule-rows li", { hasText: "Drawing" }).waitFor();
    assert.equal(await page.getByText("Loading your schedule").isVisible(), false);
    await page.close();
  }
});

test("a page that starts while the hub is busy retries", async () => {
  await hub.term("busy", WEEK);
  for (const [url, code, status] of [["**/api/v1/session", "overloaded", 503], ["**/api/v1/terms", "rate_limited", 429], ["**/api/v1/sections?*", "overloaded", 503]]) {
    let refused = 0;
    const page = await openWith("/?term=busy", { user: "student" }, (page) =>
      page.route(url, (route) => (refused += 1) <= 2 ? route.fulfill(problem(status, code)) : route.continue()));
    await until(page, () => /server is busy/.test(document.querySelector("#note").textContent + document.querySelector("#none").textContent));
    await rows(4)(page);
    await row(page, "Calculus").getByRole("button", { name: /^Register/ }).waitFor();
    await until(page, () => !document.querySelector("#note").textContent && !document.querySelector("#none").textContent);
    assert.ok(refused > 2, url);
    assert.deepEqual(page.wrong, []);
  }
});

test("a refused socket reconnects while the sign-in is valid", async () => {
  hub.mint("returner", "student");
  let sockets = 0;
  const page = await openWith("/#term", { user: "returner" }, (page) => page.routeWebSocket(/alerts\/ws/, (socket) => {
    sockets += 1;
    if (sockets === 1) socket.close({ code: 4001, reason: "unauthenticated" });
    else socket.connectToServer();
  }));
  await until(page, () => document.querySelector("#live").dataset.state === "live");
  assert.equal(sockets, 2);
  assert.equal(await page.textContent("#who span"), "returner");
  assert.equal((await hub.ask("returner", "GET", "/api/v1/me")).username, "returner");
});

test("read alerts are stored per user; polling removes withdrawn ones", async () => {
  const send = (title) => hub.ask("staff", "POST", "/api/v1/alerts", { title, message: "Classes begin at ten.", priority: "high", audience: { all: true } });
  const { id } = await send("Snow today");
  const page = await openWith("/", { user: "student" }, (page) => page.routeWebSocket(/alerts\/ws/, (socket) => socket.close()));
  const banner = page.locator("#banners .alert", { hasText: "Snow today" });
  await banner.waitFor();
  await banner.getByRole("button", { name: "Confirm" }).click();
  await banner.waitFor({ state: "detached" });
  await page.context().addCookies([{ name: "eduhub_session", value: await hub.token("student2"), url: hub.url, httpOnly: true, sameSite: "Lax" }]);
  await page.reload();
  await banner.waitFor();
  await hub.ask("staff", "DELETE", `/api/v1/alerts/${id}`);
  await banner.waitFor({ state: "detached" });
});

test("Join waitlist stays the same element as the waitlist grows", async () => {
  await hub.term("finger", WEEK);
  await hub.ask("staff", "PATCH", "/api/v1/sections/finger-3", { capacity: 0 });
  await hub.ask("student", "PUT", "/api/v1/me/plan", { sections: ["finger-3"] });
  const page = await open(chrome, hub, "/?term=finger", { user: "student" });
  await rows(4)(page);
  await until(page, () => /This section is full/.test(document.querySelector("#opening").textContent));
  await page.getByRole("button", { name: "Register for 1 section" }).click();
  const join = page.locator("#schedule-rows").getByRole("button", { name: /^Join the waitlist/ });
  await join.waitFor();
  const pressed = await join.elementHandle();
  await hub.ask("student2", "PUT", "/api/v1/me/registrations/finger-3?waitlist=true");
  await until(page, () => /1 ahead/.test(document.querySelector("#schedule-rows").textContent));
  assert.ok(await pressed.evaluate((button) => button.isConnected), "the button is still the same element");
  await pressed.click();
  await until(page, () => /2nd of 2 on the waitlist/.test(document.querySelector("#schedule-rows").textContent));
});

test("a row keeps the focus while the rest of the term loads", async () => {
  const many = Array.from({ length: 1200 }, (_, i) => `${10001 + i},MATH ${100 + Math.floor(i / 30)},Title ${i},A${String(i % 30).padStart(2, "0")},lecture,3,${i % 7},0,MW,09:00-09:50,Lee`);
  await hub.term("rest", many);
  let release;
  const held = new Promise((resolve) => { release = resolve; });
  const page = await openWith("/?term=rest", {}, (page) =>
    page.route(/\/sections\?.*cursor=/, async (route) => { await held; await route.continue(); }));
  await until(page, () => document.querySelectorAll(".row").length > 5);
  await page.locator(".row button.name").nth(2).focus();
  const had = await page.evaluateHandle(() => document.activeElement);
  release();
  await until(page, () => document.querySelector("#found").textContent.startsWith("1,200"));
  assert.ok(await page.evaluate((before) => before === document.activeElement && before.isConnected, had));
});

test("choosing another term changes the address; a closed section is shown as closed", async () => {
  await hub.term("here", WEEK, { title: "Here" });
  await hub.term("there", WEEK, { title: "There" });
  const page = await open(chrome, hub, "/?term=here&q=chem", { user: "student" });
  await rows(1)(page);
  await page.selectOption("#which-term", "there");
  await until(page, () => new URLSearchParams(location.search).get("term") === "there");
  assert.equal(await page.evaluate(() => new URLSearchParams(location.search).get("q")), "chem");
  await page.reload();
  await rows(1)(page);
  assert.equal(await page.inputValue("#which-term"), "there");
  await hub.ask("staff", "PATCH", "/api/v1/sections/there-3", { status: "closed" });
  await until(page, () => /Closed/.test(document.querySelector(".row .seats").textContent));
});

test("a drop that failed as the page closed is reported later", async () => {
  await hub.term("unconfirmed", WEEK);
  await hub.ask("student", "PUT", "/api/v1/me/registrations/unconfirmed-1");
  const page = await open(chrome, hub, "/?term=unconfirmed", { user: "student" });
  const mine = page.locator("#schedule-rows > li", { hasText: "MATH 151" });
  await mine.getByRole("button", { name: /^Drop/ }).click();
  await mine.getByRole("button", { name: /^Undo/ }).waitFor();
  // The hub is down while the page closes.
  await hub.stop();
  await page.goto("about:blank");
  await hub.run();
  await page.goto(`${hub.url}/?term=unconfirmed`);
  await until(page, () => /Your drop didn't go through.*You still have this section/.test(document.querySelector("#schedule-rows").textContent));
  assert.deepEqual(await hub.registrations("student", "unconfirmed"), ["1 enrolled"]);
});

test("times are in the college's zone, even across clock changes", async () => {
  const page = await open(chrome, hub, "/", {});
  const texts = await page.evaluate(async () => {
    const { setZone } = await import("/static/js/i18n.js");
    const { date, dateTime, duration, timeRange } = await import("/static/js/words.js");
    setZone("America/New_York");
    return [dateTime("2026-03-08T06:59:00Z"), dateTime("2026-03-08T07:00:00Z"), dateTime("2026-11-01T05:30:00Z"), dateTime("2026-11-01T06:30:00Z"),
      date("2026-03-08"), timeRange("09:30", "10:50"), duration(0), duration(59_001), duration(3_600_000), duration(90_061_000)].map((text) => text.replace(/\s/g, " "));
  });
  assert.deepEqual(texts, ["Sun, Mar 8, 1:59 AM EST", "Sun, Mar 8, 3:00 AM EDT", "Sun, Nov 1, 1:30 AM EDT", "Sun, Nov 1, 1:30 AM EST",
    "Mar 8", "9:30 – 10:50 AM", "0:00", "1:00", "1:00:00", "1 day 01:01:01"]);
});
