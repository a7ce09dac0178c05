// Events of a registration morning reach open pages: a changed window, full sections, connected visitors, good news,
// and a restart of the hub. Other tests are about names in other scripts, rejected lines, the audit trail, and a
// demonstration.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, csvFile, Hub, open, until } from "./support.mjs";

let hub, chrome;
before(async () => {
  [hub, chrome] = await Promise.all([Hub.start(), browser()]);
  for (const student of ["ana", "luis", "noa"]) hub.mint(student, "student");
});
after(async () => { await chrome?.close(); await hub?.end(); });

const isLive = (page) => until(page, () => document.querySelector("#live").dataset.state === "live");
const shows = (page, pattern) => until(page, (source) => new RegExp(source, "s").test(document.body.innerText), pattern);

test("a changed window reaches open pages without a request from them", async () => {
  await hub.term("push", ["1,MATH 151,Calculus I,A01,lecture,5,2,3,MWF,09:00-09:50,Lee"]);
  const pages = await Promise.all([{}, { user: "ana" }].map((who) => open(chrome, hub, "/?term=push", who)));
  const staff = await open(chrome, hub, "/staff#terms", { user: "staff" });
  await staff.waitForSelector("#which-term option", { state: "attached" });
  await staff.selectOption("#which-term", "push");
  for (const page of pages) {
    await isLive(page);
    await shows(page, "Registration is open");
    await until(page, () => document.querySelectorAll(".row").length === 1);
    await page.route("**/api/v1/terms", (route) => route.abort());
  }
  await isLive(staff);
  await hub.ask("admin", "PUT", "/api/v1/terms/push", { closes_at: new Date().toISOString() });
  for (const page of pages) await shows(page, "Registration is closed");
  await until(staff, () => /push.*Closed/s.test([...document.querySelectorAll("#terms .term-card")].find((one) => /push/.test(one.textContent)).innerText));
});

test("a student's own window replaces that of the term, even when it is closed", async () => {
  await hub.term("own", ["1,MATH 151,Calculus I,A01,lecture,5,2,3,MWF,09:00-09:50,Lee"]);
  const page = await open(chrome, hub, "/", { user: "ana" });
  await page.route("**/api/v1/terms", async (route) => {
    const response = await route.fetch();
    const body = await response.json();
    for (const term of body.items) Object.assign(term.mine, { opens_at: null, closes_at: null });
    await route.fulfill({ response, json: body });
  });
  await page.goto(`${hub.url}/?term=own`);
  await shows(page, "Registration is not open");
});

test("the map rings only full sections, and its color for few seats depends on the capacity", async () => {
  await hub.term("map", ["1,MATH 151,Calculus I,A01,lecture,3,1,0,MWF,09:00-09:50,Lee", "2,PHYS 101,Physics,A01,lecture,3,9,0,MWF,09:30-10:20,Curie",
    "3,HIST 110,History,A01,lecture,3,5,0,TR,09:30-10:20,Ito", "4,BIOL 101,Biology,A01,lecture,3,40,0,TR,11:00-11:50,Ito"]);
  for (const crn of ["1", "3", "4"]) await hub.ask("ana", "PUT", `/api/v1/me/registrations/map-${crn}`);
  await hub.ask("ana", "PUT", "/api/v1/me/registrations/map-2");
  await hub.ask("luis", "PUT", "/api/v1/me/registrations/map-1");
  await hub.ask("admin", "PATCH", "/api/v1/sections/map-4", { capacity: 4 });
  await hub.ask("noa", "PUT", "/api/v1/me/registrations/map-4");
  await hub.ask("luis", "PUT", "/api/v1/me/registrations/map-4");
  const page = await open(chrome, hub, "/staff#now", { user: "staff" });
  await page.waitForSelector("#which-term option", { state: "attached" });
  await page.selectOption("#which-term", "map");
  await until(page, () => document.querySelectorAll("#map i").length === 4 && document.querySelector("#map i.ring"));
  const cell = (crn) => page.locator(`#map i[data-id='map-${crn}']`);
  // Luis was refused because section 1 is full. Ana was refused section 2 because of an overlap, about which staff can
  // do nothing.
  assert.match(await cell(1).getAttribute("class"), /ring/);
  assert.doesNotMatch(await cell(2).getAttribute("class") ?? "", /ring/);
  // 4 of 5 seats left are not few, but 1 of 4 is.
  await until(page, () => document.querySelector("#map i[data-id='map-4']").dataset.level === "4");
  assert.equal(await cell(3).getAttribute("data-level"), "1");
});

test("receipts count visitors only when they are connected", async () => {
  const visitors = await Promise.all([open(chrome, hub, "/"), open(chrome, hub, "/")]);
  for (const visitor of visitors) await isLive(visitor);
  await hub.ask("staff", "POST", "/api/v1/alerts", { title: "For all", message: "Read this.", priority: "high", audience: { all: true } });
  const page = await open(chrome, hub, "/staff#alerts", { user: "staff" });
  const text = (wanted) => until(page, (wanted) => new RegExp(wanted).test([...document.querySelectorAll("#sent-list article")].find((one) => /For all/.test(one.textContent))?.querySelector(".receipts").textContent), wanted);
  await text("person and 2 visitors are connected now and have received it");
  await Promise.all(visitors.map((visitor) => visitor.context().close()));
  await text("\\. 1 person is connected now and has received it");
});

test("good news is recognized by its kind, and is in the reader's language", async () => {
  await hub.term("news", ["1,MATH 151,Calculus I,A01,lecture,3,1,2,MWF,09:00-09:50,Lee"]);
  await hub.ask("ana", "PUT", "/api/v1/me/registrations/news-1");
  await hub.ask("noa", "PUT", "/api/v1/me/registrations/news-1?waitlist=true");
  const page = await open(chrome, hub, "/?term=news", { user: "noa", locale: "es-MX" });
  await isLive(page);
  await page.waitForSelector("#schedule-rows li");
  await hub.ask("ana", "DELETE", "/api/v1/me/registrations/news-1");
  await until(page, () => /Ya tiene cupo en MATH 151/.test(document.querySelector("#banners .good-news")?.textContent));
  assert.match(await page.textContent("#banners .good-news"), /se le asignó a usted desde la lista de espera/);
});

test("names in a roster are shown in the direction of their script", async () => {
  await hub.term("dir", ["1,MATH 151,مقدمة,A01,lecture,5,2,3,MWF,09:00-09:50,Lee"]);
  await hub.ask("ana", "PUT", "/api/v1/me/registrations/dir-1");
  const page = await open(chrome, hub, "/staff#sections", { user: "staff" });
  await page.waitForSelector("#which-term option", { state: "attached" });
  await page.selectOption("#which-term", "dir");
  await until(page, () => document.querySelectorAll(".srow").length === 1);
  await page.locator(".srow .name").click();
  await page.waitForSelector(".roster td");
  assert.equal(await page.locator(".roster td", { hasText: "ana" }).first().locator("[dir=auto]").count(), 1);
  assert.equal(await page.locator(".srow .body strong").getAttribute("dir"), "auto");
});

test("a rejected line counts once, and its section is rejected as a whole", async () => {
  await hub.term("lines", ["1,MATH 151,Calculus I,A01,lecture,5,2,3,MWF,09:00-09:50,Lee"]);
  const page = await open(chrome, hub, "/staff#import", { user: "staff" });
  await page.waitForSelector("#which-term option", { state: "attached" });
  await page.selectOption("#which-term", "lines");
  // Section 7 has a line with two errors; section 8 has one with too few cells.
  const file = "term,crn,course,title,capacity,days,time\nlines,7,BIOL 101,Biology,x,QQ,09:00-09:50\nlines,8,CHEM 101,Chemistry,5,MWF,09:00-09:50\nlines,8,CHEM 101\nlines,9,HIST 101,History,5,MWF,11:00-11:50\n";
  await page.setInputFiles("#import-form [name=file]", csvFile(file));
  await page.locator("#import-form .primary").click();
  await shows(page, "can't be imported yet");
  const [lines] = /(\d+) lines? rejected/.exec(await page.textContent("#task")).slice(1);
  const title = await page.textContent("#task [data-part=errors] summary");
  assert.match(title, new RegExp(`^Rejected lines \\(${lines}(, with \\d+ errors)?\\)$`));
  await page.getByRole("button", { name: /^Skip/ }).click();
  await shows(page, "Nothing has changed yet");
  // Only section 9 has no rejected line.
  assert.match(await page.textContent("#task"), /1 section to add/);
});

test("the audit trail is searched by words and by their beginnings", async () => {
  await hub.ask("staff", "PUT", "/api/v1/terms/audited", { title: "Audited" });
  const page = await open(chrome, hub, "/admin#audit", { user: "admin" });
  await shows(page, "entr(y|ies)");
  const search = async (name, text) => {
    await page.locator("#audit-filter [type=reset]").click();
    await page.fill(`#audit-filter [name=${name}]`, text);
    await page.locator("#audit-filter button:not([type])").click();
  };
  const all = (pattern) => until(page, (source) => { const rows = [...document.querySelectorAll("#audit-rows tr:not(.day)")]; return rows.length > 0 && rows.every((row) => new RegExp(source, "i").test(row.textContent)); }, pattern);
  await search("q", "audit");
  await all("audit");
  await search("q", "TERM aud");
  await all("term\\.change.*audited|audit.*term");
  await search("action", "term");
  await all("term\\.change");
  await search("action", "viewed");
  await all("Viewed");
  await search("q", "nothinglikethis");
  await shows(page, "No entries match");
});

test("the charts mark a restart of the hub, and offer a range of one day", async () => {
  const own = await Hub.start();
  try {
    const page = await open(chrome, own, "/admin#now", { user: "admin" });
    await until(page, () => document.querySelector(".chart .line")?.getAttribute("d")?.includes("L"));
    assert.equal(await page.locator(".restart").first().getAttribute("d"), "");
    await own.stop();
    await own.run();
    await until(page, () => /^M/.test(document.querySelector(".restart").getAttribute("d")) && /marks each start of EduHub/.test(document.querySelector(".restarts").textContent));
    await page.getByRole("button", { name: "24 hours" }).click();
    const { items } = await own.ask("admin", "GET", "/api/v1/admin/metrics/history?step=60");
    assert.ok(Array.isArray(items));
    assert.equal(await page.getByRole("button", { name: "24 hours" }).getAttribute("aria-pressed"), "true");
    assert.deepEqual(page.wrong, []);
  } finally {
    await own.end();
  }
});

test("a demonstration says that Plone was measured with a different number of students", async () => {
  const page = await open(chrome, hub, "/admin#demo", { user: "admin" });
  await page.getByLabel("Students (up to").fill("20");
  await page.getByLabel("Seconds (up to").fill("1");
  await page.getByRole("button", { name: "Run test" }).click();
  await until(page, () => document.querySelector("#demo-result .final"));
  assert.match(await page.textContent("#demo-unequal"), /earlier measurement with 200 students; this run had 20/);
});
