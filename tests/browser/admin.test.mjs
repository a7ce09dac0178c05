// The administration page, as an operator uses it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, Hub, open, until, PATIENCE_MS } from "./support.mjs";

let hub, chrome;
before(async () => { [hub, chrome] = await Promise.all([Hub.start(), browser()]); });
after(async () => { await chrome?.close(); await hub?.end(); });

const desk = (where) => open(chrome, hub, `/admin${where}`, { user: "admin" });
const newest = () => hub.ask("admin", "GET", "/api/v1/admin/demo");
/** Waits until no demonstration is under way: one runs at a time. */
const quiet = async () => {
  for (const begun = Date.now(); (await newest()).state === "running"; await new Promise((resolve) => setTimeout(resolve, 100))) {
    if (Date.now() - begun > PATIENCE_MS) throw new Error("the demonstration never ended");
  }
};
const whole = (page) => until(page, () => document.querySelector("#demo-said .whole"));
const number = (n) => n.toLocaleString("en-US");

test("a demonstration is drawn while it runs, and its sentence, its lanes and its numbers are what the hub tells", async () => {
  const page = await desk("#demo");
  await until(page, () => /Who keeps theirs/.test(document.querySelector("#demo-said")?.textContent));
  await page.getByLabel("Students, up to").fill("40");
  await page.getByLabel("Seconds").fill("2");
  await page.getByRole("button", { name: "Run it" }).click();
  await until(page, () => /40 students press EduHub/.test(document.querySelector("#demo-said")?.textContent));
  assert.equal(await page.isVisible("#demo > form"), false);
  await until(page, () => Number(document.querySelector(".lane.hub svg")?.dataset.end) > 0 && document.querySelectorAll(".lane.hub .squares .told").length > 0
    && document.querySelector("#demo progress")?.value > 0);
  await whole(page);
  const task = await newest();
  const row = (target) => task.results.find((one) => one.target === target);
  const [plone, eduhub] = [row("plone"), row("hub")];
  assert.equal(task.state, "done");
  assert.equal((await page.textContent("#demo-said")).trim(),
    [["Plone", plone], ["EduHub", eduhub]].map(([name, { told, held, lost, oversold }]) => `${name} said yes to ${told} seats and kept ${held}: ${lost || "none"} lost, ${oversold || "none"} oversold.`).join(" "));
  for (const [lane, { told, held, lost, per_s }] of [["plone", plone], ["hub", eduhub]]) {
    assert.equal(await page.locator(`.lane.${lane} .squares .kept`).count(), held);
    assert.equal(await page.locator(`.lane.${lane} .squares .lost`).count(), lost);
    const legend = await page.locator(`.lane.${lane} .became li`).allTextContents();
    const [total, kept, gone] = legend.map((text) => parseInt(text, 10) || 0);
    assert.match(legend[0], /^\d+ seats promised:$/);
    assert.deepEqual([total, kept, gone, kept + gone], [told, told - lost, lost, total], legend.join());
    assert.match(await page.textContent(`.lane.${lane} .pace`), new RegExp(`^${number(Math.round(per_s))} answers a second on average`));
    await page.locator("#demo-numbers").evaluate((el) => { el.open = true; });
    const cells = await page.getByRole("row", { name: "Seats that students were told" }).getByRole("cell").allTextContents();
    assert.equal(cells[lane === "plone" ? 0 : 1], number(told));
  }
  const scales = await page.locator(".course").evaluateAll((all) => all.map((one) => [...one.querySelectorAll("span")].map((mark) => mark.textContent).join()));
  assert.equal(scales[0], scales[1]);
  assert.match(await page.textContent(".lane.plone .about"), /Not pressed now, but measured on/);
  const { p99_with_ms: beside, p99_without_ms: alone } = task.background;
  const slowed = beside - alone > 5 && beside > alone * 1.25;
  assert.match(await page.textContent("#demo-beside"), beside === null || alone === null ? /No import ran/ : slowed ? /slowed students/ : /slowed nobody/);
  assert.deepEqual(page.wrong, []);
});

test("a run is picked up after a reload, by who looks at another part meanwhile, and by another administrator", async () => {
  await quiet();
  const page = await desk("#demo");
  await page.getByLabel("Students, up to").fill("40");
  // The run must outlast a reload and a second page, which take seconds each on a busy machine.
  await page.getByLabel("Seconds").fill("12");
  await page.getByLabel("Against").selectOption("hub");
  await page.getByRole("button", { name: "Run it" }).click();
  await until(page, () => Number(document.querySelector(".lane.hub svg")?.dataset.end) > 0);
  await page.reload();
  const other = await desk("#demo");
  for (const one of [page, other]) await until(one, () => /40 students/.test(document.querySelector("#demo-said")?.textContent) && document.querySelector("#demo progress")?.value > 0);
  await page.click("#views [href='#now']");
  await until(page, () => /A demonstration is under way/.test(document.querySelector(".strips").textContent));
  await whole(page);
  await until(page, () => !/A demonstration is under way/.test(document.querySelector(".strips").textContent));
  assert.equal(await page.isVisible("#demo-said"), false);
  await page.click("#views [href='#demo']");
  await whole(other);
  assert.match(await page.textContent("#demo-said"), /^EduHub said yes to \d+ seats and kept \d+: none lost, none oversold\. $/);
  assert.equal(await page.locator(".lane").count(), 1);
});

test("a second start while one runs is refused in words, and the one that runs is shown", async () => {
  await quiet();
  const page = await desk("#demo");
  await until(page, () => document.querySelector("#demo-said .result"));
  // This page does not hear of the other's start in time.
  let deaf = true;
  await page.route("**/api/v1/admin/demo", (route) => deaf && route.request().method() === "GET" ? route.abort() : route.continue());
  await hub.ask("admin", "POST", "/api/v1/admin/demo", { users: 20, seconds: 6, target: "hub" });
  await page.getByRole("button", { name: "Run it" }).click();
  await until(page, () => /one runs at a time\. Ask again in \d+ seconds?\./.test(document.querySelector("#demo-answer")?.textContent));
  deaf = false;
  await until(page, () => /20 students/.test(document.querySelector("#demo").textContent) && !document.querySelector("#demo-way").hidden);
  await whole(page);
});

test("a run that fails says why, and what to do", async () => {
  await quiet();
  const page = await desk("#demo");
  const failed = { task: "01a20ba0-12fa-7499-a87a-147dd1f3df17", state: "failed", phase: "finished", message: "Plone does not let the hub's user in", users: 20, seconds: 3, target: "both", results: [], background: null };
  await page.route("**/api/v1/admin/demo", (route) => route.fulfill({ json: failed }));
  await until(page, () => /did not come to its end.*Plone does not let the hub's user in\. Nothing of it is left.*EduHub only/.test(document.querySelector("#demo-said")?.textContent));
  assert.equal(await page.isVisible("#demo > form"), true);
});

test("who is connected is told by role, found by typing, and disconnected in its place", async () => {
  const student = await open(chrome, hub, "/", { user: "student" });
  await until(student, () => document.querySelector("#live").dataset.state === "live");
  const page = await desk("#sessions");
  await until(page, () => /sessions: .*1 student\b.*administrators?/.test(document.querySelector("#session-count").textContent));
  await page.fill("#session-filter [name=q]", "stud");
  await until(page, () => document.querySelector("#session-count").textContent === "1 session fits.");
  const kept = await page.locator("#session-rows tr").first().elementHandle();
  await page.getByRole("button", { name: "Disconnect student" }).click();
  await until(page, () => /Disconnected/.test(document.querySelector("#session-rows").textContent));
  assert.equal(await kept.evaluate((row) => row.isConnected), true);
  await until(student, () => /Disconnected by an administrator/.test(document.querySelector("#live").textContent));
  await page.mouse.move(0, 0);
  await page.fill("#session-filter [name=q]", "nobody-of-this-name");
  await until(page, () => /No session fits/.test(document.querySelector("#session-count").textContent) && !document.querySelector("#session-rows tr"));
});

test("an account is added, changed and removed in place, each once it was asked for; its user is found by typing", async () => {
  const page = await desk("#people");
  await until(page, () => document.querySelectorAll("#people tbody tr").length > 0);
  await page.getByRole("button", { name: "Add an account" }).click();
  const add = page.getByRole("form", { name: "A new account" });
  await add.getByLabel("User name").fill("admin");
  await add.getByLabel("Password").fill("long-enough");
  await add.getByRole("button", { name: "Add the account" }).click();
  await until(page, () => /admin has an account already/.test(document.querySelector("#people .account")?.textContent));
  await add.getByLabel("User name").fill("clerk");
  await add.getByLabel("Name", { exact: true }).fill("Casey Clerk");
  await add.getByRole("button", { name: "Add the account" }).click();
  const row = page.getByRole("row", { name: /Casey Clerk/ });
  await until(page, () => document.querySelectorAll("#people tbody tr").length === 1 && /Casey Clerk/.test(document.querySelector("#people tbody")?.textContent));
  assert.match(await row.textContent(), /student.*never.*An account here/);
  const clerk = async () => (await hub.ask("admin", "GET", "/api/v1/admin/users?q=clerk")).items[0];
  await row.getByRole("button", { name: "Change clerk" }).click();
  await page.getByLabel("Role").last().selectOption("staff");
  await page.getByRole("button", { name: "Save" }).click();
  await until(page, () => /Saved; signed out everywhere/.test(document.querySelector("#people tbody")?.textContent));
  assert.equal((await clerk()).role, "staff");
  await page.getByRole("button", { name: "Change clerk" }).click();
  await page.getByRole("button", { name: "Remove the account" }).click();
  await until(page, () => /Remove clerk\?/.test(document.querySelector("#people").textContent));
  assert.equal((await clerk()).username, "clerk");
  await page.getByRole("button", { name: "Remove clerk" }).click();
  await until(page, () => /account of clerk is removed/.test(document.querySelector("#people tbody")?.textContent));
  assert.equal(await clerk(), undefined);
  await page.fill("#people [type=search]", "zzz");
  await until(page, () => /Nobody's name has “zzz” in it/.test(document.querySelector("#people").textContent) && !document.querySelector("#people table").offsetParent);
});

test("from a person it is one press to their sessions, and to what they did", async () => {
  const page = await desk("#people");
  await page.getByRole("link", { name: "Actions of admin" }).click();
  await until(page, () => document.querySelector("#audit-filter").elements.user.value === "admin" && document.querySelectorAll("#audit-rows td").length > 0
    && document.querySelector("#audit-found").offsetParent);
  await page.click("#views [href='#people']");
  await page.getByRole("link", { name: "Sessions of admin" }).click();
  await until(page, () => /fits?\.$/.test(document.querySelector("#session-count").textContent) && document.querySelector("#session-count").offsetParent);
});

test("the audit trail is searched by who, what and since when, and its details are words", async () => {
  await quiet();
  await hub.ask("admin", "POST", "/api/v1/admin/demo", { users: 7, seconds: 1, target: "hub" });
  const page = await desk("#audit");
  await until(page, () => document.querySelectorAll("#audit-rows td").length > 0);
  await page.getByLabel("What was done").fill("ran the demonstration");
  await page.getByRole("button", { name: "Search" }).click();
  await until(page, () => /users: 7/.test(document.querySelector("#audit-rows tr:not(.day)")?.textContent) && !/Signed in/.test(document.querySelector("#audit-rows").textContent));
  assert.match(await page.locator("#audit-rows tr:not(.day)").first().textContent(), /E[SD]T.*admin.*demo\.start.*seconds: 1.*target: hub/);
  assert.match(await page.locator("#audit-rows td[data-head=Request]").first().getAttribute("title"), /^[0-9a-f-]{36}$/);
  await page.getByLabel("Since").fill("2200-01-01T00:00");
  await page.getByRole("button", { name: "Search" }).click();
  await until(page, () => /Nothing fits/.test(document.querySelector("#audit-found").textContent));
  await page.getByRole("button", { name: "Clear" }).click();
  await until(page, () => /Signed in/.test(document.querySelector("#audit-rows").textContent));
});
