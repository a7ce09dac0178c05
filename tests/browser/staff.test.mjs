// The staff page: the live overview, sections and rosters, terms, and loading with retries.

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

const openStaff = async (where, how = {}) => {
  const page = await open(chrome, hub, `/staff${where}`, { user: "staff", ...how });
  await page.selectOption("#which-term", "desk");
  return page;
};

test("the seat map shows every section and updates live", async () => {
  const page = await openStaff("#now");
  await until(page, () => document.querySelectorAll("#map i").length === 2);
  assert.equal(await page.getAttribute("#map [data-id=desk-2]", "data-level"), "0");
  await hub.ask("student", "PUT", "/api/v1/me/registrations/desk-2");
  await until(page, () => document.querySelector("#map [data-id=desk-2]").dataset.level === "5" && /PHYS 101/.test(document.querySelector("#hottest").textContent));
  await page.locator("#map [data-id=desk-2]").click();
  await until(page, () => document.querySelectorAll(".srow").length === 1 && /PHYS 101/.test(document.querySelector(".srow").textContent));
});

test("refusals are counted by reason and their sections listed", async () => {
  await hub.ask("student2", "PUT", "/api/v1/me/registrations/desk-2");
  const page = await openStaff("#now");
  await until(page, () => /Section full/.test(document.querySelector("#refusal-list").textContent) && document.querySelector("#map [data-id=desk-2]")?.classList.contains("ring"));
  await page.getByRole("button", { name: "View as list" }).click();
  await until(page, () => /PHYS 101/.test(document.querySelector(".srow")?.textContent));
  await page.selectOption("#section-search [name=which]", "refused");
  await until(page, () => document.querySelectorAll(".srow").length === 1 && /PHYS 101/.test(document.querySelector(".srow").textContent));
});

test("the seat map works by keyboard alone", async () => {
  const page = await openStaff("#now");
  await until(page, () => document.querySelectorAll("#map i").length === 2);
  await tabTo(page, "#map i");
  assert.match(await page.getAttribute(":focus", "aria-label"), /MATH 151.*0 of 2 seats taken/);
  await page.keyboard.press("ArrowRight");
  await until(page, () => /PHYS 101.*Full.*1 of 1 seat taken/.test(document.activeElement.getAttribute("aria-label")));
  await page.keyboard.press("Enter");
  await until(page, () => document.activeElement.matches(".srow .name[aria-expanded=true]") && /PHYS 101 .*CRN \d/.test(document.activeElement.textContent));
});

test("capacity is edited in place; a cancellation needs confirmation", async () => {
  const page = await openStaff("#sections");
  await page.fill("#section-search [name=q]", "calculus");
  await until(page, () => document.querySelectorAll(".srow").length === 1);
  await page.fill(".srow [name=capacity]", "7");
  await page.keyboard.press("Enter");
  await until(page, () => /Saved/.test(document.querySelector(".srow").textContent) && /7 left/.test(document.querySelector(".srow").textContent));
  assert.equal((await hub.ask("staff", "GET", "/api/v1/sections/desk-1")).capacity, 7);
  await page.selectOption(".srow [name=status]", "cancelled");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("button", { name: "Cancel section", exact: true }).waitFor();
  assert.equal((await hub.ask("staff", "GET", "/api/v1/sections/desk-1")).status, "open");
  await page.getByRole("button", { name: "Undo" }).click();
  assert.equal(await page.inputValue(".srow [name=status]"), "open");
});

test("sorting again keeps the focus in the field that is being edited", async () => {
  const page = await openStaff("#sections");
  await until(page, () => document.querySelectorAll(".srow").length === 2);
  await page.focus(".srow [name=capacity]");
  // A reload of the sections sorts them in the same way.
  await page.evaluate(() => document.querySelector("#sort-again").click());
  assert.equal(await page.evaluate(() => document.activeElement.name), "capacity");
});

test("an empty field is rejected and nothing is sent", async () => {
  const page = await openStaff("#sections");
  const sent = [];
  page.on("request", (request) => request.method() === "PATCH" && sent.push(request.postData()));
  await page.fill("#section-search [name=q]", "calculus");
  await until(page, () => document.querySelectorAll(".srow").length === 1);
  const { capacity, waitlist_capacity } = await hub.ask("staff", "GET", "/api/v1/sections/desk-1");
  for (const [name, text] of [["capacity", "Nothing was saved. Enter a capacity"], ["waitlist_capacity", "Nothing was saved. Enter a waitlist capacity"]]) {
    await page.fill(`.srow [name=${name}]`, "");
    await page.keyboard.press("Enter");
    await until(page, (text) => document.querySelector(".srow .stop")?.textContent.startsWith(text), text);
    assert.equal(await page.getAttribute(`.srow [name=${name}]`, "aria-invalid"), "true");
    await page.getByRole("button", { name: "Undo" }).click();
    await until(page, () => !document.querySelector(".srow [aria-invalid], .srow .row-actions button"));
  }
  // A valid value is sent, and it is the only request.
  await page.fill(".srow [name=capacity]", String(capacity + 1));
  await page.keyboard.press("Enter");
  await until(page, () => /Saved/.test(document.querySelector(".srow").textContent));
  assert.deepEqual(sent, [JSON.stringify({ capacity: capacity + 1 })]);
  assert.equal((await hub.ask("staff", "GET", "/api/v1/sections/desk-1")).waitlist_capacity, waitlist_capacity);
});

test("a section is closed, reopened and cancelled in place", async () => {
  await hub.term("rows", ["1,MATH 151,Calculus I,A01,lecture,5,2,3,MWF,09:00-09:50,Lee"]);
  await hub.ask("student", "PUT", "/api/v1/me/registrations/rows-1");
  const page = await openStaff("#sections");
  await page.selectOption("#which-term", "rows");
  await until(page, () => document.querySelectorAll(".srow").length === 1);
  const save = () => page.getByRole("button", { name: "Save" }).click();
  const saved = async (status) => {
    await until(page, () => /Saved/.test(document.querySelector(".srow .row-actions").textContent));
    assert.equal((await hub.ask("staff", "GET", "/api/v1/sections/rows-1")).status, status);
  };
  await page.selectOption(".srow [name=status]", "closed");
  await save();
  await saved("closed");
  await until(page, () => document.querySelector(".srow .words").textContent === "Closed");
  await page.selectOption(".srow [name=status]", "open");
  await save();
  await saved("open");
  await until(page, () => document.querySelector(".srow .words").textContent === "1 left");
  await page.selectOption(".srow [name=status]", "cancelled");
  await save();
  await page.getByRole("button", { name: "Cancel section and notify 1 student" }).click();
  await saved("cancelled");
  await until(page, () => document.querySelector(".srow .words").textContent === "Cancelled");
});

test("the question before a cancellation counts the students on the waitlist", async () => {
  await hub.term("gone", ["1,MATH 151,Calculus I,A01,lecture,5,1,3,MWF,09:00-09:50,Lee"]);
  await hub.ask("student", "PUT", "/api/v1/me/registrations/gone-1");
  await hub.ask("student2", "PUT", "/api/v1/me/registrations/gone-1?waitlist=true");
  // People on the waitlist outside EduHub get no alert.
  await hub.ask("staff", "PATCH", "/api/v1/sections/gone-1", { outside_waitlisted: 1 });
  const page = await openStaff("#sections");
  await page.selectOption("#which-term", "gone");
  await until(page, () => document.querySelectorAll(".srow").length === 1 && /2 waiting/.test(document.querySelector(".srow").textContent));
  await page.selectOption(".srow [name=status]", "cancelled");
  await page.getByRole("button", { name: "Save" }).click();
  assert.match(await page.textContent(".srow .question"), /has 1 student enrolled and 2 waiting\..* EduHub can't notify one of these students, who is registered outside it\./);
  await page.getByRole("button", { name: "Cancel section and notify 2 students" }).click();
  await until(page, () => document.querySelector(".srow .words").textContent === "Cancelled");
  const { items } = await hub.ask("student2", "GET", "/api/v1/alerts");
  assert.ok(items.some(({ title }) => title === "MATH 151 is cancelled"), "the student on the waitlist is notified");
});

test("everyone in a section is moved to another one, and students who stay are listed", async () => {
  await hub.term("all", ["1,MATH 151,Calculus I,A01,lecture,5,4,3,MWF,09:00-09:50,Lee", "2,MATH 151,Calculus I,A02,lecture,5,1,0,TR,09:00-09:50,Lee", "3,ART 2,Drawing,A01,lecture,3,3,0,F,15:00-16:00,Kahlo"]);
  for (const user of ["student", "student2"]) await hub.ask(user, "PUT", "/api/v1/me/registrations/all-1");
  const page = await openStaff("#sections");
  await page.selectOption("#which-term", "all");
  await until(page, () => document.querySelectorAll(".srow").length === 3);
  await page.locator(".srow .name").nth(1).click();
  await page.getByRole("button", { name: "Move everyone from MATH 151 lecture (1)" }).click();
  await page.getByRole("button", { name: "Move here: MATH 151 lecture (2)" }).click();
  await page.getByText("This moves 2 students from MATH 151 lecture (1) to MATH 151 lecture (2).").waitFor();
  await page.getByRole("button", { name: "Move 2 students" }).click();
  await until(page, () => /Enter a reason/.test(document.querySelector(".roster").textContent));
  await page.getByLabel(/^Reason/).fill("The room is closed");
  await page.getByRole("button", { name: "Move 2 students" }).click();
  await until(page, () => /1 student was moved to MATH 151 lecture \(2\)\. 1 student stays:/.test(document.querySelector(".roster").textContent));
  assert.match(await page.locator(".roster .at-row li").textContent(), /^student2?: .*full/);
  await until(page, () => /Enrolled: 1/.test(document.querySelector(".roster").textContent));
  const both = await Promise.all(["student", "student2"].map((user) => hub.registrations(user, "all")));
  assert.deepEqual(both.flat().sort(), ["1 enrolled", "2 enrolled"]);
  assert.deepEqual(page.wrong, []);
});

test("staff override the rule that kept one student from being moved with the others", async () => {
  await hub.term("lift", ["1,MATH 151,Calculus I,A01,lecture,5,4,3,MWF,09:00-09:50,Lee", "2,MATH 151,Calculus I,A02,lecture,5,1,0,TR,09:00-09:50,Lee"]);
  for (const user of ["student", "student2"]) await hub.ask(user, "PUT", "/api/v1/me/registrations/lift-1");
  const page = await openStaff("#sections");
  await page.selectOption("#which-term", "lift");
  await until(page, () => document.querySelectorAll(".srow").length === 2);
  await page.locator(".srow .name").first().click();
  await page.getByRole("button", { name: "Move everyone from MATH 151 lecture (1)" }).click();
  await page.getByRole("button", { name: "Move here: MATH 151 lecture (2)" }).click();
  await page.getByLabel(/^Reason/).fill("The room is closed");
  await page.getByRole("button", { name: "Move 2 students" }).click();
  await until(page, () => /1 student stays:/.test(document.querySelector(".roster").textContent));
  assert.deepEqual(await page.$$eval(".roster [name=override]", (all) => all.map(({ value, checked }) => [value, checked])), [["section_full", true]]);
  assert.equal(await page.getByLabel(/^Reason/).inputValue(), "The room is closed");
  // Without a rule to override, the student stays.
  await page.uncheck(".roster [name=override]");
  await page.getByRole("button", { name: "Override and move 1 student" }).click();
  await until(page, () => /0 students were moved to MATH 151 lecture \(2\)\. 1 student stays:/.test(document.querySelector(".roster").textContent));
  await page.getByRole("button", { name: "Override and move 1 student" }).click();
  await until(page, () => /1 student was moved to MATH 151 lecture \(2\)\./.test(document.querySelector(".roster").textContent) && !document.querySelector(".roster [name=override]"));
  const both = await Promise.all(["student", "student2"].map((user) => hub.registrations(user, "lift")));
  assert.deepEqual(both.flat(), ["2 enrolled", "2 enrolled"]);
  assert.equal((await hub.ask("staff", "GET", "/api/v1/sections/lift-2")).enrolled, 2);
  assert.deepEqual(page.wrong, []);
});

test("sections over capacity are counted and can be listed", async () => {
  await hub.term("over", ["1,MATH 151,Calculus I,A01,lecture,5,2,3,MWF,09:00-09:50,Lee", "2,PHYS 101,Physics,A01,lecture,4,1,3,TR,09:30-10:20,Curie"]);
  for (const user of ["student", "student2"]) await hub.ask(user, "PUT", "/api/v1/me/registrations/over-1");
  const page = await openStaff("#sections");
  await page.selectOption("#which-term", "over");
  await until(page, () => document.querySelectorAll(".srow").length === 2 && document.querySelector("#over-capacity").hidden);
  await hub.ask("staff", "PATCH", "/api/v1/sections/over-1", { capacity: 1 });
  await until(page, () => /^1 section is over capacity\. Review$/.test(document.querySelector("#over-capacity").innerText));
  await page.getByRole("button", { name: "Review" }).click();
  await until(page, () => document.querySelectorAll(".srow").length === 1 && /MATH 151/.test(document.querySelector(".srow").textContent));
  await page.click(".srow .name");
  await until(page, () => /2 enrolled, capacity 1:/.test(document.querySelector(".srow .more").textContent));
  await hub.ask("staff", "PATCH", "/api/v1/sections/over-1", { capacity: 2 });
  await until(page, () => document.querySelector("#over-capacity").hidden);
});

test("a roster lists students and positions, updates live and downloads", async () => {
  await hub.ask("student2", "PUT", "/api/v1/me/registrations/desk-2?waitlist=true");
  const page = await openStaff("#sections");
  await page.fill("#section-search [name=q]", "physics");
  await until(page, () => document.querySelectorAll(".srow").length === 1);
  await page.click(".srow .name");
  await until(page, () => document.querySelectorAll(".roster table").length === 2);
  const [enrolled, waiting] = await page.locator(".roster table").allTextContents();
  assert.match(enrolled, /Enrolled: 1.*Since.*Sam Student.*student.*E[SD]T/);
  assert.match(waiting, /Waiting: 1.*Position.*1st.*student2/);
  const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Download roster" }).click()]);
  assert.match(await readFile(await file.path(), "utf8"), /^user,name,status,position,since\n[^\n]*student,[^\n]*enrolled/);
  await hub.ask("student", "DELETE", "/api/v1/me/registrations/desk-2");
  await until(page, () => /Enrolled: 1.*student2/.test(document.querySelector(".roster").textContent) && /No students waiting/.test(document.querySelector(".roster").textContent));
});

test("an alert to a section starts from its roster", async () => {
  const page = await openStaff("#sections");
  await page.fill("#section-search [name=q]", "physics");
  await until(page, () => document.querySelectorAll(".srow").length === 1);
  await page.click(".srow .name");
  await page.getByRole("button", { name: "Send an alert to everyone enrolled in PHYS 101" }).click();
  await until(page, () => document.body.dataset.view === "alerts" && document.activeElement.name === "title" && /Reaches 1 person/.test(document.querySelector("#reach").textContent));
  assert.equal(await page.inputValue("#alert-form [name=sections]"), "desk-2");
});

test("an alert reaches the students on a waitlist, even if no student is enrolled", async () => {
  await hub.term("queue", ["1,MATH 151,Calculus I,A01,lecture,5,0,3,MWF,09:00-09:50,Lee", "2,PHYS 101,Physics,A01,lecture,4,1,3,TR,09:30-10:20,Curie"]);
  for (const [user, crn] of [["student", 1], ["student2", 1], ["student", 2], ["student2", 2]]) await hub.ask(user, "PUT", `/api/v1/me/registrations/queue-${crn}?waitlist=true`);
  const page = await openStaff("#sections");
  await page.selectOption("#which-term", "queue");
  await until(page, () => document.querySelectorAll(".srow").length === 2);
  const alerts = async (course) => {
    const shown = page.locator(".srow", { hasText: course });
    await shown.locator(".name").click();
    await shown.locator(".roster table").first().waitFor();
    return shown.locator(".roster p").first().getByRole("button", { name: /alert/i });
  };
  assert.deepEqual(await (await alerts("PHYS 101")).allTextContents(), ["Send an alert", "Alert the waitlist", "Alert both lists"]);
  const only = await alerts("MATH 151");
  assert.deepEqual(await only.allTextContents(), ["Alert the waitlist"]);
  await only.click();
  await until(page, () => document.body.dataset.view === "alerts" && document.activeElement.name === "title" && /Reaches 2 people/.test(document.querySelector("#reach").textContent));
  assert.equal(await page.inputValue("#alert-form [name=users]"), "student, student2");
  assert.deepEqual(page.wrong, []);
});

test("one alert reaches the enrolled students of a section and those on its waitlist", async () => {
  await hub.term("both", ["1,MATH 151,Calculus I,A01,lecture,5,1,3,MWF,09:00-09:50,Lee"]);
  for (const user of ["student", "student2"]) await hub.ask(user, "PUT", "/api/v1/me/registrations/both-1?waitlist=true");
  const page = await openStaff("#sections");
  await page.selectOption("#which-term", "both");
  await page.locator(".srow .name").click();
  await page.getByRole("button", { name: "Alert both lists of MATH 151 lecture (1): enrolled and waitlisted students" }).click();
  await until(page, () => document.body.dataset.view === "alerts" && /Reaches 2 people/.test(document.querySelector("#reach").textContent));
  assert.deepEqual(await page.$$eval("#alert-form :is([name=sections], [name=users])", (all) => all.map(({ value }) => value)), ["both-1", "student2"]);
  assert.deepEqual(page.wrong, []);
});

test("no view is wider than a phone's screen", async () => {
  const page = await openStaff("#now", { width: 390, height: 844 });
  await until(page, () => document.querySelectorAll("#map i").length === 2 && document.querySelector("#hottest li") && document.querySelector("#refusal-list tr"));
  const assertFits = async (what) => assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), what);
  await assertFits("now");
  await page.locator("#map [data-id=desk-2]").click();
  await until(page, () => document.querySelector(".roster table"));
  await assertFits("a roster");
  for (const view of ["import", "alerts", "terms"]) {
    await page.click(`#views a[href="#${view}"]`);
    await until(page, (view) => document.body.dataset.view === view, view);
    await assertFits(view);
  }
});

test("a call with an aborted signal is rejected", async () => {
  const page = await openStaff("#now");
  const succeeded = await page.evaluate(async () => {
    const { call } = await import("/static/js/api.js");
    const controller = new AbortController();
    controller.abort();
    return call("GET", "/api/v1/terms", { signal: controller.signal }).then(() => true, () => false);
  });
  assert.equal(succeeded, false);
});

test("Close now uses the hub's clock, not that of the device", async () => {
  await hub.term("gate", ["1,MATH 151,Calculus I,A01,lecture,5,2,3,MWF,09:00-09:50,Lee"]);
  const page = await openStaff("#terms", { script: lateBy(2) });
  const row = page.locator("#terms .term-card", { hasText: "gate" });
  await row.getByRole("button", { name: "Close now" }).waitFor();
  const term = async () => (await hub.ask("staff", "GET", "/api/v1/terms")).items.find(({ id }) => id === "gate");
  const { now } = await term();
  // The page has been open for an hour.
  await page.evaluate(() => window.later(1));
  const hours = (at) => Math.round((Date.parse(at) - Date.parse(now)) / 3_600_000);
  await row.getByRole("button", { name: "Close now" }).click();
  await row.getByRole("button", { name: "Yes, close registration" }).click();
  await row.getByText("Saved").waitFor();
  assert.equal(hours((await term()).closes_at), 1);
});

test("a term that opens while it is shown is updated and can be closed", async () => {
  await hub.term("dawn", ["1,MATH 151,Calculus I,A01,lecture,5,2,3,MWF,09:00-09:50,Lee"], { opensIn: 600 });
  const page = await openStaff("#terms");
  const row = page.locator("#terms .term-card", { hasText: "dawn" });
  await page.clock.install();
  await page.reload();
  await row.getByText("Not open yet").waitFor();
  await page.clock.fastForward(601_000);
  await row.getByRole("button", { name: "Close now" }).waitFor();
  assert.match(await row.textContent(), /Open(?! now)/);
});

test("a failed load is retried automatically, with its reason shown", async () => {
  const page = await open(chrome, hub, "/readyz", { user: "staff" });
  const responses = [
    (route) => route.fulfill({ status: 503, headers: { "Retry-After": "1" }, json: { status: 503, code: "overloaded" } }),
    (route) => route.fulfill({ status: 429, headers: { "Retry-After": "1" }, json: { status: 429, code: "rate_limited" } }),
    (route) => route.abort(),
  ];
  const shown = [];
  await page.exposeFunction("recordStatus", (text) => shown.push(text));
  await page.route("**/api/v1/terms", (route) => responses.length ? responses.shift()(route) : route.continue());
  await page.addInitScript(() => addEventListener("DOMContentLoaded", () => {
    const status = document.querySelector("#load-status");
    new MutationObserver(() => window.recordStatus(status.textContent)).observe(status, { childList: true, subtree: true });
  }));
  await page.goto(`${hub.url}/staff#now`);
  await page.selectOption("#which-term", "desk");
  await until(page, () => document.querySelectorAll("#map i").length === 2 && !document.querySelector("#load-status").textContent);
  assert.equal(responses.length, 0);
  const texts = [...new Set(shown.filter(Boolean))];
  assert.match(texts[0], /^Couldn't load terms\. The server is busy\. Nothing was changed\. Retrying automatically\. Retry now$/);
  assert.match(texts[1], /^Couldn't load terms\. Couldn't reach the server.*Retrying automatically\. Retry now$/);
  // The sections of a term are retried as well.
  let requests = 0;
  await page.route("**/api/v1/sections?*", (route) => requests++ < 2 ? route.fulfill({ status: 503, json: { status: 503, code: "overloaded" } }) : route.continue());
  await page.reload();
  await until(page, () => /Couldn't load sections/.test(document.querySelector("#load-status").textContent));
  await until(page, () => document.querySelectorAll("#map i").length > 0 && !document.querySelector("#load-status").textContent);
});

test("a student gets no access, sees why, and finds the way to registration", async () => {
  const page = await open(chrome, hub, "/staff", { user: "student" });
  await until(page, () => /for college staff/.test(document.querySelector("#no-access").textContent));
  assert.equal(await page.isVisible("#desk"), false);
  assert.equal(await page.textContent("#nav"), "Register");
  await page.click("#nav a");
  await until(page, () => document.querySelector("#found") && document.querySelector("#nav").hidden);
});

test("the staff and administration pages name the college to readers who may not use them", async () => {
  for (const where of ["/staff", "/admin"]) {
    for (const user of [undefined, "student"]) {
      const page = await open(chrome, hub, where, { user });
      await until(page, () => document.querySelector("#college").textContent === "Riverside College");
      await until(page, (isKnown) => document.querySelector("#nav").hidden !== isKnown, Boolean(user));
      const gap = await page.evaluate(() => document.querySelector("#live").getBoundingClientRect().left - [...document.querySelectorAll("#college, #nav a")].at(-1).getBoundingClientRect().right);
      assert.ok(gap < 40, `${where}: ${gap} px between the college or the link and the state of the connection`);
      assert.deepEqual(page.wrong, []);
      await page.close();
    }
  }
});
