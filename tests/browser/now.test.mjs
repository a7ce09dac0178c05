// The "Now" view of the administration page: charts, system status, and an outage of the hub or of Plone.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, Hub, open, until } from "./support.mjs";

let hub, chrome;
before(async () => { [hub, chrome] = await Promise.all([Hub.start(), browser()]); });
after(async () => { await chrome?.close(); await hub?.end(); });

const chart = (page, name) => page.locator(".chart", { has: page.getByRole("heading", { name, exact: true }) });
const shows = (page, name, pattern) => until(page, ([name, source]) =>
  new RegExp(source).test([...document.querySelectorAll(".chart")].find((one) => one.querySelector("h3")?.textContent === name)?.querySelector(".values").textContent), [name, pattern.source]);

test("charts are drawn live with their values as text", async () => {
  await hub.term("drawn", ["1,MATH 151,Calculus I,A01,lecture,5,2,3,MWF,09:00-09:50,Lee"]);
  const page = await open(chrome, hub, "/admin", { user: "admin" });
  await until(page, () => /All systems normal/.test(document.querySelector("#health").textContent));
  assert.match(await page.textContent("#health-checks"), /Storage: OK/);
  await shows(page, "Registrations", /^0 per second0 refused$/);
  const visitor = await open(chrome, hub, "/?term=drawn", {});
  await shows(page, "Connected", /1 visitor/);
  await hub.ask("student", "PUT", "/api/v1/me/registrations/drawn-1");
  await hub.ask("student", "PUT", "/api/v1/me/registrations/drawn-999");
  await shows(page, "Registrations", /0\.\d per second/);
  await shows(page, "Registration time", /p99 .* ms.*p50 .* ms/);
  await until(page, () => [...document.querySelectorAll(".chart:not([hidden]) .line")].every((line) => !line.getAttribute("d").includes("NaN")));
  await visitor.context().close();
  await shows(page, "Connected", /0 visitors/);
  assert.deepEqual(page.wrong, []);
});

test("a new page shows the history, which the keyboard can inspect", async () => {
  await until(await open(chrome, hub, "/admin", { user: "admin" }), () => (document.querySelector(".line")?.getAttribute("d")?.match(/L/g) ?? []).length > 3);
  const page = await open(chrome, hub, "/admin", { user: "admin" });
  // The history is drawn at once, without waiting for as many samples.
  await until(page, () => (document.querySelector(".line")?.getAttribute("d")?.match(/L/g) ?? []).length > 3);
  const axis = page.getByRole("slider", { name: "Time of the values shown" });
  await axis.focus();
  assert.match(await axis.getAttribute("aria-valuetext"), /^Now, /);
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("ArrowLeft");
  assert.match(await axis.getAttribute("aria-valuetext"), /^At .*Connected: .*Registrations: .*Memory: \d+ MB$/);
  assert.match(await page.textContent(".sample-time"), /^At /);
  await page.keyboard.press("Escape");
  assert.match(await page.textContent(".sample-time"), /^Now, /);
  await page.getByRole("button", { name: "10 minutes" }).click();
  assert.equal(await page.getByRole("button", { name: "10 minutes" }).getAttribute("aria-pressed"), "true");
});

test("connections are drawn as one line for each role", async () => {
  const staff = await open(chrome, hub, "/staff", { user: "staff" });
  const page = await open(chrome, hub, "/admin", { user: "admin" });
  await shows(page, "Connected", /\d+ students?\d+ visitors?\d+ instructors?1 staff[1-9]\d* administrators?$/);
  const drawn = await chart(page, "Connected").locator(".line").evaluateAll((lines) => lines.map((line) => line.getAttribute("d").length > 0));
  assert.deepEqual(drawn, [true, true, true, true, true]);
  await staff.context().close();
  await shows(page, "Connected", /0 staff/);
});

test("ticks align with the axis; values fit and have no stray marks", async () => {
  const page = await open(chrome, hub, "/admin", { user: "admin" });
  await until(page, () => document.querySelectorAll(".axis text").length > 1 && document.querySelector(".values li span")?.textContent);
  const [axis, ticks] = await page.locator(".axis").evaluate((el) => [el, el.querySelector(".ticks")].map((one) => one.getBoundingClientRect().top));
  assert.equal(ticks, axis);
  const marks = await page.locator(".chart:not([hidden]) .values li").evaluateAll((all) => all.filter((one) => one.checkVisibility() !== Boolean(one.textContent)).length);
  assert.equal(marks, 0);
  const overflowing = await page.locator(".values li").evaluateAll((all) => all.filter((one) => one.getBoundingClientRect().right > innerWidth).map((one) => one.textContent));
  assert.deepEqual(overflowing, []);
  assert.deepEqual(page.wrong, []);
});

test("without a WebSocket, polled samples are drawn as one line", async () => {
  const page = await open(chrome, hub, "/admin", { user: "admin", script: "window.WebSocket = class { constructor() { setTimeout(() => this.onclose?.({ code: 1006, reason: '' })); } close() {} };" });
  await until(page, () => document.querySelector("#live").dataset.state === "polling");
  // Live samples arrive each second, so samples that are farther apart were polled.
  await until(page, () => {
    const line = document.querySelector(".chart .line");
    const second = line.closest("svg").getBoundingClientRect().width / 120;
    const points = [...line.getAttribute("d").matchAll(/([ML])([\d.-]+) /g)].map(([, kind, x]) => ({ kind, x: Number(x) }));
    const polled = points.filter(({ x }, at) => at && x - points[at - 1].x > 3.5 * second);
    return polled.length > 1 && polled.every(({ kind }) => kind === "L");
  });
});

test("a hub restart is shown and the charts continue", async () => {
  const page = await open(chrome, hub, "/admin", { user: "admin" });
  await until(page, () => document.querySelector("#live").dataset.state === "live" && /All systems normal/.test(document.querySelector("#health").textContent));
  await hub.stop();
  await until(page, () => /not responding/.test(document.querySelector("#health").textContent));
  await hub.run();
  await until(page, () => document.querySelector("#live").dataset.state === "live" && /All systems normal/.test(document.querySelector("#health").textContent));
  await shows(page, "Connected", /[1-9]\d* administrator/);
  assert.equal(await chart(page, "Memory").locator(".line").count(), 1);
});

test("an unreachable Plone is shown with its queue; the hub stays ready", async () => {
  const alone = await Hub.start({ EDUHUB_PLONE__URL: "http://127.0.0.1:9/Plone", EDUHUB_PLONE__USERNAME: "hub", EDUHUB_PLONE__PASSWORD: "not-checked" });
  try {
    alone.mint("admin", "admin");
    const page = await open(chrome, alone, "/admin", { user: "admin" });
    await until(page, () => /Plone is not responding/.test(document.querySelector("#health").textContent));
    await shows(page, "Plone queue", /Plone is up to date/);
    await page.getByRole("link", { name: "Plone", exact: true }).click();
    await until(page, () => /last request to Plone failed|has not responded since/.test(document.querySelector("#plone-state").textContent));
    await page.getByRole("button", { name: "Pull from Plone now" }).click();
    await until(page, () => /\S/.test(document.querySelector("#plone-status").textContent) && !/Pulling/.test(document.querySelector("#plone-status").textContent));
    assert.deepEqual(page.wrong, []);
  } finally {
    await alone.end();
  }
});

test("only administrators get access", async () => {
  for (const user of ["student", "staff"]) {
    const page = await open(chrome, hub, "/admin", { user });
    await until(page, () => /for administrators/.test(document.querySelector("#no-access").textContent));
    assert.equal(await page.isVisible("#desk"), false);
    await page.context().close();
  }
});
