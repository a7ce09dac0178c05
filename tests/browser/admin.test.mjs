// The administration page: the demonstration, sessions, people and the audit trail.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, Hub, open, until, violations, WAIT_MS_MAX } from "./support.mjs";

let hub, chrome;
before(async () => { [hub, chrome] = await Promise.all([Hub.start(), browser()]); });
after(async () => { await chrome?.close(); await hub?.end(); });

const openAdmin = (where) => open(chrome, hub, `/admin${where}`, { user: "admin" });
const newestRun = () => hub.ask("admin", "GET", "/api/v1/admin/demo");
/** Waits until no demonstration is running: the hub runs one at a time. */
const waitUntilIdle = async () => {
  for (const begun = Date.now(); (await newestRun()).state === "running"; await new Promise((resolve) => setTimeout(resolve, 100))) {
    if (Date.now() - begun > WAIT_MS_MAX) throw new Error("the demonstration did not end");
  }
};
const waitForResult = (page) => until(page, () => document.querySelector("#demo-result .final"));
const number = (n) => n.toLocaleString("en-US");

test("a demonstration is drawn live and its figures match the API", async () => {
  const page = await openAdmin("#demo");
  await until(page, () => /Is every confirmed seat stored/.test(document.querySelector("#demo-result")?.textContent));
  await page.getByLabel("Students (up to").fill("40");
  // Long enough for a page on a busy machine to see the run.
  await page.getByLabel("Seconds (up to").fill("6");
  await page.getByRole("button", { name: "Run test" }).click();
  await until(page, () => /40 students registering in EduHub/.test(document.querySelector("#demo-result")?.textContent));
  assert.equal(await page.isVisible("#demo > form"), false);
  await until(page, () => Number(document.querySelector(".target.hub svg")?.dataset.end) > 0 && document.querySelectorAll(".target.hub .squares .confirmed").length > 0
    && document.querySelector("#demo progress")?.value > 0);
  await waitForResult(page);
  const task = await newestRun();
  const row = (target) => task.results.find((one) => one.target === target);
  const [plone, eduhub] = [row("plone"), row("hub")];
  assert.equal(task.state, "done");
  assert.equal((await page.textContent("#demo-result .final")).trim(),
    [["Plone", plone], ["EduHub", eduhub]].map(([name, { told, held, lost, oversold }]) => `${name} confirmed ${told} seats and stored ${held}: ${lost || "none"} lost, ${oversold || "none"} oversold.`).join(" "));
  for (const [target, { told, held, lost, per_s }] of [["plone", plone], ["hub", eduhub]]) {
    assert.equal(await page.locator(`.target.${target} .squares .stored`).count(), held);
    assert.equal(await page.locator(`.target.${target} .squares .lost`).count(), lost);
    const legend = await page.locator(`.target.${target} .seat-summary li`).allTextContents();
    const [total, stored, gone] = legend.map((text) => parseInt(text, 10) || 0);
    assert.match(legend[0], /^\d+ seats confirmed:$/);
    assert.deepEqual([total, stored, gone, stored + gone], [told, told - lost, lost, total], legend.join());
    assert.match(await page.textContent(`.target.${target} .rate`), new RegExp(`^${number(Math.round(per_s))} responses per second on average`));
    await page.locator("#demo-numbers").evaluate((el) => { el.open = true; });
    const cells = await page.getByRole("row", { name: "Seats confirmed to students" }).getByRole("cell").allTextContents();
    assert.equal(cells[target === "plone" ? 0 : 1], number(told));
  }
  const scales = await page.locator(".throughput").evaluateAll((all) => all.map((one) => [...one.querySelectorAll("span")].map((mark) => mark.textContent).join()));
  assert.equal(scales[0], scales[1]);
  assert.match(await page.textContent(".target.plone .about"), /Not part of this run: measured on/);
  const { p99_with_ms: withImport, p99_without_ms: without } = task.background;
  const slowed = withImport - without > 5 && withImport > without * 1.25;
  assert.match(await page.textContent("#demo-background"), withImport === null || without === null ? /No import ran/ : slowed ? /imports slowed students/ : /did not slow students/);

  await page.emulateMedia({ media: "print" });
  const printed = await page.evaluate(() => ["header", "#views", "#demo > form", ".screen-only", "#demo-numbers summary", "#demo-result .final", ".target.hub", ".latencies"]
    .map((selector) => document.querySelector(selector).checkVisibility()));
  assert.deepEqual(printed, [false, false, false, false, false, true, true, true]);
  assert.match(await page.textContent("#demo > .none"), /Start: \w+, \w+ \d+, \d+:\d+ [AP]M E[SD]T\.$/, "the printed page has the date");
  assert.deepEqual(page.wrong, []);
});

test("a link opens the result of a demonstration until it is withdrawn", async () => {
  const page = await openAdmin("#demo");
  await waitUntilIdle();
  // Long enough for a page on a busy machine to see the run.
  await hub.ask("admin", "POST", "/api/v1/admin/demo", { users: 10, seconds: 8, target: "hub" });
  await until(page, () => document.querySelector("#demo-progress")?.hidden === false);
  assert.equal(await page.isVisible("#demo-link"), false);
  await waitForResult(page);
  const result = await page.textContent("#demo-result .final");
  await page.getByRole("button", { name: "Create a link to this result" }).click();
  const url = await page.locator("#demo-link a").getAttribute("href");
  assert.match(await page.textContent("#demo-link"), /Anyone with this link/);

  const dean = await open(chrome, hub, new URL(url).pathname + new URL(url).hash, { width: 390, bypassCSP: true });
  await until(dean, () => document.querySelector(".result.final"));
  assert.equal(await dean.textContent(".result.final"), result);
  assert.match(await dean.textContent("#demo"), /10 students at once for 8 seconds\. Start: \w+, \w+ \d+, \d+:\d+ [AP]M E[SD]T\..*Real students were not affected/);
  for (const colorScheme of ["light", "dark"]) {
    await dean.emulateMedia({ colorScheme });
    assert.deepEqual(await violations(dean), [], `in ${colorScheme} colors`);
  }
  await dean.getByRole("button", { name: "Español" }).click();
  await until(dean, () => /EduHub confirmó/.test(document.querySelector(".result.final")?.textContent));
  await dean.emulateMedia({ media: "print" });
  assert.equal(await dean.getByRole("button", { name: "Imprimir este resultado" }).isVisible(), false);
  assert.deepEqual(dean.wrong, []);

  await page.getByRole("button", { name: "Withdraw link" }).click();
  await until(page, () => /no longer works/.test(document.querySelector("#demo-link").textContent));
  await dean.reload();
  await until(dean, () => /fue retirado/.test(document.querySelector("#demo").textContent));
  assert.deepEqual(page.wrong, []);
});

test("a running test is shown after a reload, in another view, and to another administrator", async () => {
  await waitUntilIdle();
  const page = await openAdmin("#demo");
  await page.getByLabel("Students (up to").fill("40");
  // The run must outlast a reload and a second page, which take seconds each on a busy machine.
  await page.getByLabel("Seconds (up to").fill("12");
  await page.getByLabel("Target").selectOption("hub");
  await page.getByRole("button", { name: "Run test" }).click();
  await until(page, () => Number(document.querySelector(".target.hub svg")?.dataset.end) > 0);
  await page.reload();
  const other = await openAdmin("#demo");
  for (const one of [page, other]) await until(one, () => /40 students/.test(document.querySelector("#demo-result")?.textContent) && document.querySelector("#demo progress")?.value > 0);
  await page.click("#views [href='#now']");
  await until(page, () => /Includes the running demonstration/.test(document.querySelector(".charts").textContent));
  await waitForResult(page);
  await until(page, () => !/Includes the running demonstration/.test(document.querySelector(".charts").textContent));
  assert.equal(await page.isVisible("#demo-result"), false);
  await page.click("#views [href='#demo']");
  await waitForResult(other);
  assert.match(await page.textContent("#demo-result"), /^EduHub confirmed \d+ seats and stored \d+: none lost, none oversold\. $/);
  assert.equal(await page.locator(".target").count(), 1);
});

test("a second start is refused and the running test is shown", async () => {
  await waitUntilIdle();
  const page = await openAdmin("#demo");
  await until(page, () => document.querySelector("#demo-result .result"));
  // Hides the other run from this page until the page has tried to start its own.
  let isBlocked = true;
  await page.route("**/api/v1/admin/demo", (route) => isBlocked && route.request().method() === "GET" ? route.abort() : route.continue());
  await hub.ask("admin", "POST", "/api/v1/admin/demo", { users: 20, seconds: 6, target: "hub" });
  await page.getByRole("button", { name: "Run test" }).click();
  await until(page, () => /Another test is running.*Try again in \d+ seconds?\./.test(document.querySelector("#demo-status")?.textContent));
  isBlocked = false;
  await until(page, () => /20 students/.test(document.querySelector("#demo").textContent) && !document.querySelector("#demo-progress").hidden);
  await waitForResult(page);
});

test("a failed run shows the reason and the next step", async () => {
  await waitUntilIdle();
  const page = await openAdmin("#demo");
  const failed = { task: "01a20ba0-12fa-7499-a87a-147dd1f3df17", state: "failed", phase: "finished", message: "Plone rejected the hub's user", users: 20, seconds: 3, target: "both", results: [], background: null };
  await page.route("**/api/v1/admin/demo", (route) => route.fulfill({ json: failed }));
  await until(page, () => /did not finish.*Plone rejected the hub's user\. Nothing from the run is left.*EduHub only/.test(document.querySelector("#demo-result")?.textContent));
  assert.equal(await page.isVisible("#demo > form"), true);
});

test("sessions are counted by role, filtered and disconnected in place", async () => {
  hub.mint("guest-student", "student");
  const student = await open(chrome, hub, "/", { user: "guest-student" });
  await until(student, () => document.querySelector("#live").dataset.state === "live");
  const page = await openAdmin("#sessions");
  await until(page, () => /sessions: .*1 student\b.*administrators?/.test(document.querySelector("#session-count").textContent));
  await page.fill("#session-filter [name=q]", "guest");
  await until(page, () => document.querySelector("#session-count").textContent === "1 session matches.");
  const sessionRow = await page.locator("#session-rows tr").first().elementHandle();
  await page.getByRole("button", { name: "Disconnect guest-student" }).click();
  await until(page, () => /Disconnected/.test(document.querySelector("#session-rows").textContent));
  assert.equal(await sessionRow.evaluate((row) => row.isConnected), true);
  await until(student, () => /Disconnected by an administrator/.test(document.querySelector("#live").textContent));
  await page.getByRole("button", { name: "Sign guest-student out everywhere" }).click();
  await until(page, () => /Signed out everywhere/.test(document.querySelector("#session-rows").textContent));
  const me = await fetch(`${hub.url}/api/v1/me`, { headers: { Authorization: `Bearer ${await hub.token("guest-student")}` } });
  assert.equal(me.status, 401, "the token is no longer valid");
  await page.mouse.move(0, 0);
  await page.fill("#session-filter [name=q]", "no-such-user");
  await until(page, () => /No sessions match/.test(document.querySelector("#session-count").textContent) && !document.querySelector("#session-rows tr"));
});

test("an account is added, edited and removed in place", async () => {
  const page = await openAdmin("#people");
  await until(page, () => document.querySelectorAll("#people tbody tr").length > 0);
  await page.getByRole("button", { name: "Add account" }).click();
  const add = page.getByRole("form", { name: "New account" });
  await add.getByLabel("Username").fill("admin");
  await add.getByLabel("Password").fill("long enough to use");
  await add.getByRole("button", { name: "Add account" }).click();
  await until(page, () => /account admin already exists/.test(document.querySelector("#people .account")?.textContent));
  await add.getByLabel("Username").fill("clerk");
  await add.getByLabel("Name", { exact: true }).fill("Casey Clerk");
  await add.getByRole("button", { name: "Add account" }).click();
  const row = page.getByRole("row", { name: /Casey Clerk/ });
  await until(page, () => document.querySelectorAll("#people tbody tr").length === 1 && /Casey Clerk/.test(document.querySelector("#people tbody")?.textContent));
  assert.match(await row.textContent(), /student.*Never.*Local account/);
  const clerk = async () => (await hub.ask("admin", "GET", "/api/v1/admin/users?q=clerk")).items[0];
  await row.getByRole("button", { name: "Edit clerk" }).click();
  await page.getByLabel("Role").last().selectOption("staff");
  await page.getByRole("button", { name: "Save" }).click();
  await until(page, () => /Saved\. Signed out everywhere/.test(document.querySelector("#people tbody")?.textContent));
  assert.equal((await clerk()).role, "staff");
  await page.getByRole("button", { name: "Edit clerk" }).click();
  await page.getByRole("button", { name: "Remove account" }).click();
  await until(page, () => /Remove clerk\?/.test(document.querySelector("#people").textContent));
  assert.equal((await clerk()).username, "clerk");
  await page.getByRole("button", { name: "Remove clerk" }).click();
  await until(page, () => /account clerk was removed/.test(document.querySelector("#people tbody")?.textContent));
  assert.equal(await clerk(), undefined);
  await page.fill("#people [type=search]", "zzz");
  await until(page, () => /No one matches “zzz”/.test(document.querySelector("#people").textContent) && !document.querySelector("#people table").offsetParent);
});

test("buttons of an account that wrap to a second row begin at the same edge", async () => {
  const page = await open(chrome, hub, "/admin#people", { user: "admin", locale: "es-MX", width: 390, height: 844 });
  await until(page, () => document.querySelector("#people tbody tr"));
  await page.locator("#people tbody tr", { hasText: "Kim Staff" }).getByRole("button", { name: /^Modificar/ }).click();
  await until(page, () => document.querySelectorAll("form.account button").length === 3);
  const places = await page.locator("form.account button").evaluateAll((all) => all.map((el) => el.getBoundingClientRect()).map(({ left, top }) => [left, top]));
  assert.equal(new Set(places.map(([, top]) => top)).size, 2, "two rows");
  assert.equal(places[0][0], places[2][0]);
});

test("a half-filled account form is kept across views and pages", async () => {
  const page = await openAdmin("#people");
  await page.getByRole("button", { name: "Add account" }).click();
  const add = page.getByRole("form", { name: "New account" });
  await add.getByLabel("Username").fill("dana");
  await add.getByLabel("Name", { exact: true }).fill("Dana Dean");
  await add.getByLabel("Role").selectOption("staff");
  await add.getByLabel("Password").fill("long enough to use");
  for (const view of ["audit", "people"]) await page.click(`#views a[href='#${view}']`);
  assert.equal(await add.getByLabel("Username").inputValue(), "dana");
  await page.goto(`${hub.url}/account`);
  await page.goto(`${hub.url}/admin#people`);
  await until(page, () => document.querySelector("#people .account [name=username]")?.value === "dana");
  assert.equal(await add.getByLabel("Name", { exact: true }).inputValue(), "Dana Dean");
  assert.equal(await add.getByLabel("Subjects").isVisible(), true);
  assert.equal(await add.getByLabel("Password").inputValue(), "", "a password is not stored");
  assert.doesNotMatch(await page.evaluate(() => JSON.stringify({ ...sessionStorage })), /long enough/);
  await add.getByRole("button", { name: "Cancel" }).click();
  await page.reload();
  await until(page, () => document.querySelectorAll("#people tbody tr").length > 0);
  assert.equal(await add.count(), 0);
  assert.deepEqual(page.wrong, []);
});

test("the row of a person links to the person's sessions and audit entries", async () => {
  const page = await openAdmin("#people");
  await page.getByRole("link", { name: "Activity of admin" }).click();
  await until(page, () => document.querySelector("#audit-filter").elements.user.value === "admin" && document.querySelectorAll("#audit-rows td").length > 0
    && document.querySelector("#audit-summary").offsetParent);
  await page.click("#views [href='#people']");
  await page.getByRole("link", { name: "Sessions of admin" }).click();
  await until(page, () => /match(es)?\.$/.test(document.querySelector("#session-count").textContent) && document.querySelector("#session-count").offsetParent);
});

test("the cells of an audit row begin on the same line, however long the details are", async () => {
  await hub.ask("admin", "PUT", "/api/v1/terms/audited", { title: "A term with a title of more than one line in a narrow window", waitlist: "offer", offer_s: 86_400 });
  const page = await open(chrome, hub, "/admin#audit", { user: "admin", width: 768 });
  await until(page, () => document.querySelector("#audit-rows")?.textContent.includes("A term with a title"));
  const [tops, lines] = await page.locator("#audit-rows tr", { hasText: "A term with a title" }).first().evaluate((row) => {
    const of = (el) => { const range = document.createRange(); range.selectNodeContents(el); return [...range.getClientRects()].map(({ top }) => Math.round(top)); };
    const details = of(row.querySelector(".detail"));
    return [[of(row.cells[0])[0], of(row.cells[2])[0], Math.min(...details)], new Set(details).size];
  });
  assert.ok(lines > 1, "the details have several lines");
  assert.ok(Math.max(...tops) - Math.min(...tops) <= 2, tops.join());
});

test("Plone times more than 12 hours ago include their date, and ages include a unit", async () => {
  const page = await openAdmin("#plone");
  // Once the college is shown, the page knows its time zone.
  await until(page, () => document.querySelector("#college").textContent);
  const texts = await page.evaluate(async () => {
    const { outboxText, pastText } = await import("/static/js/admin/plone.js");
    return [outboxText({ depth: 3, oldest_age_s: 420 }), outboxText({ depth: 1, oldest_age_s: 7_300 }), pastText("plone.pulled", Date.now() - 60_000), pastText("plone.pulled", Date.parse("2026-01-05T13:00:00Z"))];
  });
  assert.deepEqual(texts.slice(0, 2), ["3 sections are waiting to be written to Plone, the oldest for 7 minutes.", "1 section is waiting to be written to Plone, the oldest for 2 hours."]);
  assert.match(texts[2], /^The catalogue was last pulled at \d+:\d\d:\d\d [AP]M\.$/);
  assert.match(texts[3], /^The catalogue was last pulled on Mon, Jan 5, (2026, )?8:00 AM EST\.$/);
});

test("the first background import is shown as running before it is counted", async () => {
  const page = await openAdmin("#demo");
  const texts = await page.evaluate(async () => {
    const { backgroundText } = await import("/static/js/admin/demo/text.js");
    return [["running", 0], ["running", 2], ["done", 2]].map(([state, imports]) => backgroundText({ state, background: { imports, p99_with_ms: 20, p99_without_ms: 30 } }).text.split(" 99%")[0]);
  });
  assert.deepEqual(texts, ["An import is running in the background.", "2 imports have run in the background so far.", "2 imports ran in the background."]);
});

test("people and the audit trail are read when their views are opened, and again later", async () => {
  const page = await openAdmin("#sessions");
  await until(page, () => document.querySelector("#session-rows tr"));
  const read = () => page.evaluate(() => performance.getEntriesByType("resource").map(({ name }) => name).filter((name) => /v1\/admin\/(audit|users)/.test(name)));
  assert.deepEqual(await read(), []);
  for (const user of ["later1", "later2"]) {
    await hub.ask("admin", "PUT", `/api/v1/admin/users/${user}`, { role: "student", password: "long enough to use" });
    for (const [view, rows] of [["audit", "#audit-rows"], ["people", "#people tbody"]]) {
      await page.click(`#views a[href='#${view}']`);
      await until(page, ([rows, user]) => document.querySelector(rows).textContent.includes(user), [rows, user]);
    }
  }
});

test("a link to the activity of a person reads the audit trail once", async () => {
  const page = await openAdmin("#people");
  const requests = [];
  page.on("request", (request) => /\/admin\/audit\?/.test(request.url()) && requests.push(request.url()));
  await page.locator("#people tbody tr", { hasText: "Alex Admin" }).getByRole("link", { name: /^Activity/ }).click();
  await until(page, () => document.querySelector("#audit-rows td") && !/Loading/.test(document.querySelector("#audit-summary").textContent));
  assert.deepEqual(requests.map((url) => new URL(url).searchParams.get("user")), ["admin"]);
});

test("the audit trail is filtered by action and time", async () => {
  await waitUntilIdle();
  await hub.ask("admin", "POST", "/api/v1/admin/demo", { users: 7, seconds: 1, target: "hub" });
  const page = await openAdmin("#audit");
  await until(page, () => document.querySelectorAll("#audit-rows td").length > 0);
  await page.getByLabel("Action").fill("started the demonstration");
  await page.getByRole("button", { name: "Search" }).click();
  await until(page, () => /students: 7/.test(document.querySelector("#audit-rows tr:not(.day)")?.textContent) && !/Signed in/.test(document.querySelector("#audit-rows").textContent));
  assert.match(await page.locator("#audit-rows tr:not(.day)").first().textContent(), /E[SD]T.*admin.*demo\.start.*seconds: 1.*target: EduHub/);
  assert.match(await page.locator("#audit-rows td[data-head=Request]").first().getAttribute("title"), /^[0-9a-f-]{36}$/);
  await page.getByLabel("Since").fill("2200-01-01T00:00");
  await page.getByRole("button", { name: "Search" }).click();
  await until(page, () => /No entries match/.test(document.querySelector("#audit-summary").textContent));
  await page.getByRole("button", { name: "Clear" }).click();
  await until(page, () => /Signed in/.test(document.querySelector("#audit-rows").textContent));
});

test("several hubs are listed in aligned columns, and a hub that is not ready stands out", async () => {
  const hubs = [["one", true, 1], ["two", false, 1], ["three", true, 40]].map(([name, ready, age_s], index) => ({
    name, version: "0.1.0", started_at: "2026-08-03T08:00:00Z", ready, bus: true, leader: index === 0, sessions: 3, registrations_per_s: 1, registration_p99_ms: index ? 2 : null, age_s,
  }));
  for (const width of [320, 390, 1280]) {
    const page = await openAdmin("");
    await page.setViewportSize({ width, height: 800 });
    // A single hub has no others to list. The list of real hubs is tested through the API.
    await page.route("**/api/v1/admin/hubs", (route) => route.fulfill({ json: { items: hubs } }));
    await page.reload();
    await until(page, () => document.querySelectorAll("#hubs tbody tr").length === 3);
    const lefts = await page.locator("#hubs tr").evaluateAll((rows) => rows.map((row) => [...row.cells].map((cell) => Math.round(cell.getBoundingClientRect().left)).join()));
    assert.deepEqual([...new Set(lefts)], [lefts[0]], `${width} px`);
    assert.deepEqual(await page.locator("#hubs tbody td:nth-child(2) span").evaluateAll((all) => all.map((one) => [one.className, one.textContent])),
      [["good", "Ready"], ["stop", "Not ready"], ["stop", "No messages for 0:40"]]);
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      assert.deepEqual(await violations(page), [], `${width} px, ${colorScheme}`);
    }
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), width);
    await page.context().close();
  }
});
