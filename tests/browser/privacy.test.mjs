// Privacy on the pages: a student's own data, erasure by an administrator, and small counts.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { browser, Hub, open, row, rows, tabTo, until, violations } from "./support.mjs";

let hub, chrome;
before(async () => {
  [hub, chrome] = await Promise.all([Hub.start({ EDUHUB_PRIVACY__SMALL_COUNTS: "5" }), browser()]);
  // `student` has the only seat of the first section, and one person waits for it.
  await hub.term("mine", ["1,MATH 151,Calculus I,A01,lecture,5,1,5,MWF,09:00-09:50,Lee", "2,ART 2,Lines,A01,lecture,3,9,5,TR,09:00-09:50,Kim"]);
  await hub.ask("student", "PUT", "/api/v1/me/registrations/mine-1");
  hub.mint("waiting", "student");
  await hub.ask("waiting", "PUT", "/api/v1/me/registrations/mine-1?waitlist=true");
});
after(async () => { await chrome?.close(); await hub?.end(); });

const seats = (page, text) => row(page, text).locator(".words").textContent();

test("visitors see small counts as \"fewer than\" the bound, and students see exact counts", async () => {
  const visitor = await open(chrome, hub, "/?term=mine");
  await rows(2)(visitor);
  await until(visitor, () => /fewer than 5 waiting/.test(document.querySelector("#rows").textContent));
  assert.equal(await seats(visitor, "MATH 151"), "Full, fewer than 5 waiting");
  assert.equal(await seats(visitor, "ART 2"), "9 left", "open seats are exact");
  assert.match(await row(visitor, "MATH 151").locator("[title*='taken']").getAttribute("title"), /^fewer than 5 of 1 seat taken$/);
  await row(visitor, "MATH 151").locator("button[aria-expanded]").click();
  await until(visitor, () => /fewer than 5 of 1 seat taken\. /.test(document.querySelector("#rows .row dl")?.textContent));
  const student = await open(chrome, hub, "/?term=mine", { user: "student" });
  await rows(2)(student);
  await until(student, () => /Full, 1 waiting/.test(document.querySelector("#rows").textContent));
  const spanish = await open(chrome, hub, "/?term=mine", { locale: "es-MX" });
  await until(spanish, () => /menos de 5 en espera/.test(document.querySelector("#rows").textContent));
});

test("a student downloads their own data and sees who has viewed it", async () => {
  await hub.ask("staff", "GET", "/api/v1/sections/mine-1/roster");
  const page = await open(chrome, hub, "/?term=mine#term", { user: "student", bypassCSP: true });
  await until(page, () => !document.querySelector("#my-data").hidden);
  await tabTo(page, "#my-data summary");
  await page.keyboard.press("Enter");
  await until(page, () => /Roster of MATH 151/.test(document.querySelector("#my-data-readers").textContent));
  const { name } = await hub.ask("staff", "GET", "/api/v1/me");
  assert.match(await page.textContent("#my-data-readers"), new RegExp(`${name}, `));
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "Download my data" }).click()]);
  assert.equal(download.suggestedFilename(), "eduhub-my-data.json");
  const data = JSON.parse(readFileSync(await download.path(), "utf8"));
  assert.deepEqual(data.registrations.map(({ section, status }) => `${section} ${status}`), ["mine-1 enrolled"]);
  assert.deepEqual(await violations(page), []);
  assert.deepEqual(page.wrong, []);
});

test("an administrator erases a person once the person holds no current seat", async () => {
  const page = await open(chrome, hub, "/admin#people", { user: "admin" });
  await until(page, () => /waiting/.test(document.querySelector("#people tbody")?.textContent));
  await page.getByRole("button", { name: "Erase waiting" }).click();
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Cancel", "the first press erases nothing");
  await page.getByRole("button", { name: "Erase waiting" }).last().click();
  await until(page, () => /enrolled or waitlisted, or has been offered a seat, in a term that has not ended: mine/.test(document.querySelector("#people tbody").textContent));
  await hub.ask("waiting", "DELETE", "/api/v1/me/registrations/mine-1");
  await page.getByRole("button", { name: "Erase waiting" }).last().click();
  await until(page, () => /waiting was erased\..*erased-[0-9a-f]{16}/.test(document.querySelector("#people tbody").textContent));
  const { items } = await hub.ask("admin", "GET", "/api/v1/admin/users?q=waiting");
  assert.deepEqual(items, []);
});
