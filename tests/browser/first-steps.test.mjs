// An administrator on an empty hub is led through the first steps, and can leave and continue them.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, Hub, open, until, violations } from "./support.mjs";

let hub, chrome;
before(async () => {
  [hub, chrome] = await Promise.all([Hub.startEmpty({ EDUHUB_COLLEGE__NAME: "Example College", EDUHUB_COLLEGE__TIMEZONE: "UTC" }), browser()]);
});
after(async () => { await chrome?.close(); await hub?.end(); });

const done = (page) => page.locator("#first-steps-list .good").evaluateAll((steps) => steps.map((step) => step.dataset.step));
const steps = (page, count) => until(page, (count) => !document.querySelector("#first-steps").hidden && document.querySelectorAll("#first-steps-list .good").length === count, count);

test("a visitor of an empty hub sees where the sections will be", async () => {
  const page = await open(chrome, hub, "/", { width: 390, height: 844 });
  await until(page, () => /No terms yet\..*appear here/.test(document.querySelector("#none").textContent));
  assert.ok(await page.isVisible("#none"));
  assert.deepEqual(page.wrong, []);
});

test("an empty hub lists five steps, and marks each as done once the hub has its result", async () => {
  // The user of a minted token does not count as a person, since no one can sign in as this user.
  hub.mint("program", "admin");
  await hub.ask("program", "GET", "/api/v1/me");
  const page = await open(chrome, hub, "/admin", { user: "admin", bypassCSP: true });
  await steps(page, 0);
  assert.match(await page.textContent("#first-steps-left"), /5 steps are left/);
  assert.match(await page.textContent("[data-step=college] pre"), /name = "Riverside College"\ntimezone = /);
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    assert.deepEqual(await violations(page), []);
  }
  await page.setViewportSize({ width: 390, height: 844 });
  // It fits a phone once the charts have been drawn for the new width.
  await until(page, () => document.documentElement.scrollWidth <= innerWidth);

  await page.getByRole("button", { name: "Send me a test alert" }).click();
  await until(page, () => /It arrived on this page/.test(document.querySelector("#first-steps-test")?.textContent));
  await page.close();
  assert.deepEqual(page.wrong, []);

  hub.mint("staff", "staff");
  await hub.term("first", ["1,MATH 151,Calculus I,A01,lecture,5,2,3,MWF,09:00-09:50,Lee"]);
  await hub.ask("admin", "PUT", "/api/v1/admin/users/clerk", { role: "staff", password: "a long enough password" });
  const again = await open(chrome, hub, "/admin", { user: "admin", bypassCSP: true });
  // The steps began in the other browser only, and they do not begin on a hub with sections.
  await until(again, () => document.querySelector("#health.good"));
  assert.ok(await again.isHidden("#first-steps"));
});

test("steps that have begun stay until they are hidden, and say what is done", async () => {
  const page = await open(chrome, hub, "/admin", { user: "admin", script: "localStorage.setItem('eduhub.first-steps', localStorage.getItem('eduhub.first-steps') ?? 'begun');" });
  await steps(page, 4);
  assert.deepEqual(await done(page), ["term", "schedule", "people", "alert"]);
  assert.match(await page.textContent("#first-steps-left"), /One step is left/);
  const spanish = await open(chrome, hub, "/admin", { user: "admin", locale: "es-MX", script: "localStorage.setItem('eduhub.first-steps', 'begun');" });
  await steps(spanish, 4);
  assert.match(await spanish.innerText("#first-steps"), /Configure este hub\s+Falta un paso\./);
  await spanish.locator("#first-steps summary").click();
  assert.match(await spanish.innerText("#first-steps"), /title = "Cuenta institucional"[^]*“Iniciar sesión con Cuenta institucional”/);
  await page.getByRole("button", { name: "Hide these steps" }).click();
  await until(page, () => document.querySelector("#first-steps").hidden && document.activeElement.id === "health");
  await page.reload();
  await until(page, () => document.querySelector("#health.good"));
  assert.ok(await page.isHidden("#first-steps"));
  assert.deepEqual(page.wrong, []);
});
