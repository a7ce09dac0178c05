// The staff's page, as a clerk uses it at 8:00: what is going on, and sections changed in place.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { lateBy } from "./staff-clock.mjs";
import { browser, Hub, open, tabTo, until } from "./support.mjs";

let hub, chrome;
before(async () => {
  [hub, chrome] = await Promise.all([Hub.start(), browser()]);
  await hub.term("desk", ["1,MATH 151,Calculus I,A01,lecture,5,2,3,MWF,09:00-09:50,Lee", "2,PHYS 101,Physics,A01,lecture,4,1,3,MWF,09:30-10:20,Curie"]);
});
after(async () => { await chrome?.close(); await hub?.end(); });

const desk = async (where, how = {}) => {
  const page = await open(chrome, hub, `/staff${where}`, { user: "staff", ...how });
  await page.selectOption("#which-term", "desk");
  return page;
};

test("the map shows every section, and the fullest change their colour as it happens", async () => {
  const page = await desk("#now");
  await until(page, () => document.querySelectorAll("#map i").length === 2);
  assert.equal(await page.getAttribute("#map [data-id=desk-2]", "data-level"), "0");
  await hub.ask("student", "PUT", "/api/v1/me/registrations/desk-2");
  await until(page, () => document.querySelector("#map [data-id=desk-2]").dataset.level === "5" && /PHYS 101/.test(document.querySelector("#hottest").textContent));
  await page.locator("#map [data-id=desk-2]").click();
  await until(page, () => document.querySelectorAll(".srow").length === 1 && /PHYS 101/.test(document.querySelector(".srow").textContent));
});

test("what is refused is counted in words, and the sections that refuse can be listed", async () => {
  await hub.ask("student2", "PUT", "/api/v1/me/registrations/desk-2");
  const page = await desk("#now");
  await until(page, () => /The section is full/.test(document.querySelector("#refusal-list").textContent) && document.querySelector("#map [data-id=desk-2]")?.classList.contains("ring"));
  await page.getByRole("button", { name: "The same as a list, fullest first" }).click();
  await until(page, () => /PHYS 101/.test(document.querySelector(".srow")?.textContent));
  await page.selectOption("#section-search [name=which]", "refused");
  await until(page, () => document.querySelectorAll(".srow").length === 1 && /PHYS 101/.test(document.querySelector(".srow").textContent));
});

test("the map is read and pressed by keyboard alone", async () => {
  const page = await desk("#now");
  await until(page, () => document.querySelectorAll("#map i").length === 2);
  await tabTo(page, "#map i");
  assert.match(await page.getAttribute(":focus", "aria-label"), /MATH 151.*0 of 2 seats taken/);
  await page.keyboard.press("ArrowRight");
  await until(page, () => /PHYS 101.*Full.*1 of 1 seats taken/.test(document.activeElement.getAttribute("aria-label")));
  await page.keyboard.press("Enter");
  await until(page, () => document.activeElement.matches(".srow .name[aria-expanded=true]") && /PHYS 101/.test(document.activeElement.textContent));
});

test("a section's capacity is changed in place, and a cancellation asks twice", async () => {
  const page = await desk("#sections");
  await page.fill("#section-search [name=q]", "calculus");
  await until(page, () => document.querySelectorAll(".srow").length === 1);
  await page.fill(".srow [name=capacity]", "7");
  await page.keyboard.press("Enter");
  await until(page, () => /Saved/.test(document.querySelector(".srow").textContent) && /7 left/.test(document.querySelector(".srow").textContent));
  assert.equal((await hub.ask("staff", "GET", "/api/v1/sections/desk-1")).capacity, 7);
  await page.selectOption(".srow [name=status]", "cancelled");
  await page.getByRole("button", { name: "Save" }).click();
  await until(page, () => /Everyone enrolled will be told/.test(document.querySelector(".srow").textContent));
  assert.equal((await hub.ask("staff", "GET", "/api/v1/sections/desk-1")).status, "open");
  await page.getByRole("button", { name: "Undo" }).click();
  assert.equal(await page.inputValue(".srow [name=status]"), "open");
});

test("an emptied field is refused in words, and nothing is sent", async () => {
  const page = await desk("#sections");
  const sent = [];
  page.on("request", (request) => request.method() === "PATCH" && sent.push(request.postData()));
  await page.fill("#section-search [name=q]", "calculus");
  await until(page, () => document.querySelectorAll(".srow").length === 1);
  const { capacity, waitlist_capacity } = await hub.ask("staff", "GET", "/api/v1/sections/desk-1");
  for (const [name, words] of [["capacity", "Write the capacity"], ["waitlist_capacity", "Write how many can wait"]]) {
    await page.fill(`.srow [name=${name}]`, "");
    await page.keyboard.press("Enter");
    await until(page, (words) => document.querySelector(".srow .stop")?.textContent.startsWith(words), words);
    assert.equal(await page.getAttribute(`.srow [name=${name}]`, "aria-invalid"), "true");
    await page.getByRole("button", { name: "Undo" }).click();
    await until(page, () => !document.querySelector(".srow [aria-invalid], .srow .saving button"));
  }
  // One that is right is sent, after all of those that were not.
  await page.fill(".srow [name=capacity]", String(capacity + 1));
  await page.keyboard.press("Enter");
  await until(page, () => /Saved/.test(document.querySelector(".srow").textContent));
  assert.deepEqual(sent, [JSON.stringify({ capacity: capacity + 1 })]);
  assert.equal((await hub.ask("staff", "GET", "/api/v1/sections/desk-1")).waitlist_capacity, waitlist_capacity);
});

test("a section is closed, opened again and cancelled in place", async () => {
  await hub.term("rows", ["1,MATH 151,Calculus I,A01,lecture,5,2,3,MWF,09:00-09:50,Lee"]);
  const page = await desk("#sections");
  await page.selectOption("#which-term", "rows");
  await until(page, () => document.querySelectorAll(".srow").length === 1);
  const save = () => page.getByRole("button", { name: "Save" }).click();
  const saved = async (status) => {
    await until(page, () => /Saved/.test(document.querySelector(".srow .saving").textContent));
    assert.equal((await hub.ask("staff", "GET", "/api/v1/sections/rows-1")).status, status);
  };
  await page.selectOption(".srow [name=status]", "closed");
  await save();
  await saved("closed");
  await until(page, () => document.querySelector(".srow .words").textContent === "Closed");
  await page.selectOption(".srow [name=status]", "open");
  await save();
  await saved("open");
  await until(page, () => document.querySelector(".srow .words").textContent === "2 left");
  await page.selectOption(".srow [name=status]", "cancelled");
  await save();
  await until(page, () => /Press Save again/.test(document.querySelector(".srow .saving").textContent));
  await save();
  await saved("cancelled");
  await until(page, () => document.querySelector(".srow .words").textContent === "Cancelled");
});

test("sections with more enrolled than seats are counted above the list, shown when it is pressed, and gone once there are seats", async () => {
  await hub.term("over", ["1,MATH 151,Calculus I,A01,lecture,5,2,3,MWF,09:00-09:50,Lee", "2,PHYS 101,Physics,A01,lecture,4,1,3,TR,09:30-10:20,Curie"]);
  for (const user of ["student", "student2"]) await hub.ask(user, "PUT", "/api/v1/me/registrations/over-1");
  const page = await desk("#sections");
  await page.selectOption("#which-term", "over");
  await until(page, () => document.querySelectorAll(".srow").length === 2 && document.querySelector("#over").hidden);
  await hub.ask("staff", "PATCH", "/api/v1/sections/over-1", { capacity: 1 });
  await until(page, () => /^1 section has more enrolled than seats\. Show which$/.test(document.querySelector("#over").innerText));
  await page.getByRole("button", { name: "Show which" }).click();
  await until(page, () => document.querySelectorAll(".srow").length === 1 && /MATH 151/.test(document.querySelector(".srow").textContent));
  await page.click(".srow .name");
  await until(page, () => /2 are enrolled and there is 1 seat:/.test(document.querySelector(".srow .more").textContent));
  await hub.ask("staff", "PATCH", "/api/v1/sections/over-1", { capacity: 2 });
  await until(page, () => document.querySelector("#over").hidden);
});

test("a roster says who is in and who waits in which place, follows what happens, and is a file", async () => {
  await hub.ask("student2", "PUT", "/api/v1/me/registrations/desk-2?waitlist=true");
  const page = await desk("#sections");
  await page.fill("#section-search [name=q]", "physics");
  await until(page, () => document.querySelectorAll(".srow").length === 1);
  await page.click(".srow .name");
  await until(page, () => document.querySelectorAll(".roster table").length === 2);
  const [enrolled, waiting] = await page.locator(".roster table").allTextContents();
  assert.match(enrolled, /Enrolled: 1.*Since.*Sam Student.*student.*E[SD]T/);
  assert.match(waiting, /Waiting: 1.*Place.*1st.*student2/);
  const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Download the roster" }).click()]);
  assert.match(await readFile(await file.path(), "utf8"), /^user,name,status,position,since\n[^\n]*student,[^\n]*enrolled/);
  await hub.ask("student", "DELETE", "/api/v1/me/registrations/desk-2");
  await until(page, () => /Enrolled: 1.*student2/.test(document.querySelector(".roster").textContent) && /Nobody is waiting/.test(document.querySelector(".roster").textContent));
});

test("a message to a section begins at its roster", async () => {
  const page = await desk("#sections");
  await page.fill("#section-search [name=q]", "physics");
  await until(page, () => document.querySelectorAll(".srow").length === 1);
  await page.click(".srow .name");
  await page.getByRole("button", { name: "Write to them: everyone in PHYS 101" }).click();
  await until(page, () => document.body.dataset.view === "alerts" && document.activeElement.name === "title" && /Reaches 1 person/.test(document.querySelector("#reach").textContent));
  assert.equal(await page.inputValue("#alert-form [name=sections]"), "desk-2");
});

test("on a phone nothing is wider than the screen, whatever is opened", async () => {
  const page = await desk("#now", { width: 390, height: 844 });
  await until(page, () => document.querySelectorAll("#map i").length === 2 && document.querySelector("#hottest li") && document.querySelector("#refusal-list tr"));
  const fits = async (what) => assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), what);
  await fits("now");
  await page.locator("#map [data-id=desk-2]").click();
  await until(page, () => document.querySelector(".roster table"));
  await fits("a roster");
  for (const view of ["import", "alerts", "terms"]) {
    await page.click(`#views a[href="#${view}"]`);
    await until(page, (wanted) => document.body.dataset.view === wanted, view);
    await fits(view);
  }
});

test("what was given up before it was asked for is not asked: the sections of two terms never mix", async () => {
  const page = await desk("#now");
  const asked = await page.evaluate(async () => {
    const { call } = await import("/static/js/api.js");
    const given = new AbortController();
    given.abort();
    return call("GET", "/api/v1/terms", { signal: given.signal }).then(() => true, () => false);
  });
  assert.equal(asked, false);
});

test("a term is closed and opened at the moment of the press by the hub's clock, however old the page is and whatever the device's clock says", async () => {
  await hub.term("gate", ["1,MATH 151,Calculus I,A01,lecture,5,2,3,MWF,09:00-09:50,Lee"]);
  const page = await desk("#terms", { script: lateBy(2) });
  const row = page.locator("#terms tbody tr", { hasText: "gate" });
  await row.getByRole("button", { name: "Close now" }).waitFor();
  const term = async () => (await hub.ask("staff", "GET", "/api/v1/terms")).items.find(({ id }) => id === "gate");
  const { now } = await term();
  // The page has stood open for an hour.
  await page.evaluate(() => window.later(1));
  const hours = (at) => Math.round((Date.parse(at) - Date.parse(now)) / 3_600_000);
  await row.getByRole("button", { name: "Close now" }).click();
  await row.getByRole("button", { name: "Open now" }).waitFor();
  assert.equal(hours((await term()).closes_at), 1);
});

test("a term that opens while its line is looked at says so, and can be closed", async () => {
  await hub.term("dawn", ["1,MATH 151,Calculus I,A01,lecture,5,2,3,MWF,09:00-09:50,Lee"], { opensIn: 60 });
  const page = await desk("#terms");
  const row = page.locator("#terms tbody tr", { hasText: "dawn" });
  await page.clock.install();
  await page.reload();
  await row.getByText("Not open yet").waitFor();
  await page.clock.fastForward(61_000);
  await row.getByRole("button", { name: "Close now" }).waitFor();
  assert.match(await row.textContent(), /Open(?! now)/);
});

test("what does not arrive at first is asked for again by itself, and words say so", async () => {
  const page = await open(chrome, hub, "/readyz", { user: "staff" });
  const answers = [
    (route) => route.fulfill({ status: 503, headers: { "Retry-After": "1" }, json: { status: 503, code: "overloaded" } }),
    (route) => route.fulfill({ status: 429, headers: { "Retry-After": "1" }, json: { status: 429, code: "rate_limited" } }),
    (route) => route.abort(),
  ];
  const said = [];
  await page.exposeFunction("heard", (text) => said.push(text));
  await page.route("**/api/v1/terms", (route) => answers.length ? answers.shift()(route) : route.continue());
  await page.addInitScript(() => addEventListener("DOMContentLoaded", () => {
    const late = document.querySelector("#late");
    new MutationObserver(() => window.heard(late.textContent)).observe(late, { childList: true, subtree: true });
  }));
  await page.goto(`${hub.url}/staff#now`);
  await page.selectOption("#which-term", "desk");
  await until(page, () => document.querySelectorAll("#map i").length === 2 && !document.querySelector("#late").textContent);
  assert.equal(answers.length, 0);
  const words = [...new Set(said.filter(Boolean))];
  assert.match(words[0], /^The terms did not arrive\. The hub is busy and changed nothing\. This page asks again by itself\. Ask now$/);
  assert.match(words[1], /^The terms did not arrive\. No answer came.*This page asks again by itself\. Ask now$/);
  // The sections of a term, too.
  let asked = 0;
  await page.route("**/api/v1/sections?*", (route) => asked++ < 2 ? route.fulfill({ status: 503, json: { status: 503, code: "overloaded" } }) : route.continue());
  await page.reload();
  await until(page, () => /The sections did not arrive/.test(document.querySelector("#late").textContent));
  await until(page, () => document.querySelectorAll("#map i").length > 0 && !document.querySelector("#late").textContent);
});

test("a student is not let in, and is told why", async () => {
  const page = await open(chrome, hub, "/staff", { user: "student" });
  await until(page, () => /for the college's staff/.test(document.querySelector("#refused").textContent));
  assert.equal(await page.isVisible("#desk"), false);
});
