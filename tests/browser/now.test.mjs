// The administration page's numbers in time, and what it says when something is not well.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, Hub, open, until } from "./support.mjs";

let hub, chrome;
before(async () => { [hub, chrome] = await Promise.all([Hub.start(), browser()]); });
after(async () => { await chrome?.close(); await hub?.end(); });

const strip = (page, name) => page.locator(".strip", { has: page.getByRole("heading", { name, exact: true }) });
const says = (page, name, pattern) => until(page, ([name, source]) =>
  new RegExp(source).test([...document.querySelectorAll(".strip")].find((one) => one.querySelector("h3")?.textContent === name)?.querySelector(".said").textContent), [name, pattern.source]);

test("what happens in the hub is drawn as it happens, with its value in words", async () => {
  await hub.term("drawn", ["1,MATH 151,Calculus I,A01,lecture,5,2,3,MWF,09:00-09:50,Lee"]);
  const page = await open(chrome, hub, "/admin", { user: "admin" });
  await until(page, () => /All is well/.test(document.querySelector("#health").textContent));
  assert.match(await page.textContent("#parts"), /Saving: well/);
  await says(page, "Registrations", /^0 a second0 refused$/);
  const visitor = await open(chrome, hub, "/?term=drawn", {});
  await says(page, "Connected", /1 visitor/);
  await hub.ask("student", "PUT", "/api/v1/me/registrations/drawn-1");
  await hub.ask("student", "PUT", "/api/v1/me/registrations/drawn-999");
  await says(page, "Registrations", /0\.\d a second/);
  await says(page, "Time to register", /ms for 99%.*ms for half/);
  await until(page, () => [...document.querySelectorAll(".strip:not([hidden]) .line")].every((line) => !line.getAttribute("d").includes("NaN")));
  await visitor.context().close();
  await says(page, "Connected", /0 visitors/);
  assert.deepEqual(page.wrong, []);
});

test("a page that is opened later has the past, and the keyboard goes back in it", async () => {
  await until(await open(chrome, hub, "/admin", { user: "admin" }), () => (document.querySelector(".line")?.getAttribute("d")?.match(/L/g) ?? []).length > 3);
  const page = await open(chrome, hub, "/admin", { user: "admin" });
  // At once, before as many seconds have gone by as are drawn.
  await until(page, () => (document.querySelector(".line")?.getAttribute("d")?.match(/L/g) ?? []).length > 3);
  const axis = page.getByRole("slider", { name: "Moment that the numbers are of" });
  await axis.focus();
  assert.match(await axis.getAttribute("aria-valuetext"), /^Now, /);
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("ArrowLeft");
  assert.match(await axis.getAttribute("aria-valuetext"), /^At .*Connected: .*Registrations: .*Memory: \d+ MB$/);
  assert.match(await page.textContent(".when"), /^At /);
  await page.keyboard.press("Escape");
  assert.match(await page.textContent(".when"), /^Now, /);
  await page.getByRole("button", { name: "10 minutes" }).click();
  assert.equal(await page.getByRole("button", { name: "10 minutes" }).getAttribute("aria-pressed"), "true");
});

test("who is connected is drawn by role, each in a line of its own", async () => {
  const staff = await open(chrome, hub, "/staff", { user: "staff" });
  const page = await open(chrome, hub, "/admin", { user: "admin" });
  await says(page, "Connected", /\d+ students?\d+ visitors?1 staff[1-9]\d* administrators?$/);
  const ends = await strip(page, "Connected").locator(".line").evaluateAll((lines) => lines.map((line) => line.getAttribute("d").length > 0));
  assert.deepEqual(ends, [true, true, true, true]);
  await staff.context().close();
  await says(page, "Connected", /0 staff/);
});

test("the moments stand under the lines, a value that is not there has no mark, and no words are beside the page", async () => {
  const page = await open(chrome, hub, "/admin", { user: "admin" });
  await until(page, () => document.querySelectorAll(".axis text").length > 1 && document.querySelector(".said li span")?.textContent);
  const [axis, ticks] = await page.locator(".axis").evaluate((el) => [el, el.querySelector(".ticks")].map((one) => one.getBoundingClientRect().top));
  assert.equal(ticks, axis);
  const marks = await page.locator(".strip:not([hidden]) .said li").evaluateAll((all) => all.filter((one) => one.checkVisibility() !== Boolean(one.textContent)).length);
  assert.equal(marks, 0);
  const beside = await page.locator(".said li").evaluateAll((all) => all.filter((one) => one.getBoundingClientRect().right > innerWidth).map((one) => one.textContent));
  assert.deepEqual(beside, []);
  assert.deepEqual(page.wrong, []);
});

test("where no WebSocket gets through, what is asked for is drawn as one line", async () => {
  const page = await open(chrome, hub, "/admin", { user: "admin", script: "window.WebSocket = class { constructor() { setTimeout(() => this.onclose?.({ code: 1006, reason: '' })); } close() {} };" });
  await until(page, () => document.querySelector("#live").dataset.state === "polling");
  // Legs of the line that are longer than the time between two samples that are told: they are between two that were asked for.
  await until(page, () => {
    const line = document.querySelector(".strip .line");
    const second = line.closest("svg").getBoundingClientRect().width / 120;
    const points = [...line.getAttribute("d").matchAll(/([ML])([\d.-]+) /g)].map(([, kind, x]) => ({ kind, x: Number(x) }));
    const asked = points.filter(({ x }, at) => at && x - points[at - 1].x > 3.5 * second);
    return asked.length > 1 && asked.every(({ kind }) => kind === "L");
  });
});

test("a hub that is restarted is told of, and drawn on", async () => {
  const page = await open(chrome, hub, "/admin", { user: "admin" });
  await until(page, () => document.querySelector("#live").dataset.state === "live" && /All is well/.test(document.querySelector("#health").textContent));
  await hub.stop();
  await until(page, () => /does not answer/.test(document.querySelector("#health").textContent));
  await hub.run();
  await until(page, () => document.querySelector("#live").dataset.state === "live" && /All is well/.test(document.querySelector("#health").textContent));
  await says(page, "Connected", /[1-9]\d* administrator/);
  assert.equal(await strip(page, "Memory").locator(".line").count(), 1);
});

test("a Plone that does not answer is no trouble for the hub, and is told with what waits for it", async () => {
  const alone = await Hub.start({ EDUHUB_PLONE__URL: "http://127.0.0.1:9/Plone", EDUHUB_PLONE__USERNAME: "hub", EDUHUB_PLONE__PASSWORD: "nobody-listens" });
  try {
    alone.mint("admin", "admin");
    const page = await open(chrome, alone, "/admin", { user: "admin" });
    await until(page, () => /Well, without Plone/.test(document.querySelector("#health").textContent));
    await says(page, "Waiting for Plone", /Every change is in Plone/);
    await page.getByRole("link", { name: "Plone", exact: true }).click();
    await until(page, () => /did not answer well|has not answered since/.test(document.querySelector("#plone-state").textContent));
    await page.getByRole("button", { name: "Pull from Plone now" }).click();
    await until(page, () => /\S/.test(document.querySelector("#plone-answer").textContent) && !/Pulling/.test(document.querySelector("#plone-answer").textContent));
    assert.deepEqual(page.wrong, []);
  } finally {
    await alone.end();
  }
});

test("nobody but administrators is let in", async () => {
  for (const user of ["student", "staff"]) {
    const page = await open(chrome, hub, "/admin", { user });
    await until(page, () => /for administrators/.test(document.querySelector("#refused").textContent));
    assert.equal(await page.isVisible("#desk"), false);
    await page.context().close();
  }
});
