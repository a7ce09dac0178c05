// Holds on a student: on the page, and as the reason for a refusal.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, Hub, open, row, rows, until } from "./support.mjs";

const HOLD = { id: "fine", text: "A book is missing.", office: "Library", url: "https://library.example.edu/fines", blocks: ["register"] };
let hub, chrome;
before(async () => {
  [hub, chrome] = await Promise.all([Hub.start(), browser()]);
  await hub.term("holds", ["1,MATH 151,Calculus I,A01,lecture,5,2,3,MWF,09:00-09:50,Lee"]);
});
after(async () => { await chrome?.close(); await hub?.end(); });

const holds = (page) => page.locator("#holds li");

test("a student sees holds with their office and link, in both languages", async () => {
  hub.mint("hanna", "student");
  await hub.ask("staff", "PUT", "/api/v1/students/hanna", { holds: [HOLD, { ...HOLD, id: "note", office: "Bursar", url: undefined, blocks: [] }] });
  const page = await open(chrome, hub, "/?term=holds", { user: "hanna" });
  await until(page, () => document.querySelectorAll("#holds li").length === 2);
  assert.match(await holds(page).first().textContent(), /Hold from Library: A book is missing\. You can't add sections until it is lifted\. What to do/);
  assert.match(await holds(page).last().textContent(), /Hold from Bursar: A book is missing\.\s*$/);
  const left = (selector) => page.$eval(selector, (el) => el.getBoundingClientRect().left);
  assert.equal(await left("#holds .icon"), await left("#schedule .heading"), "holds begin where the schedule begins");
  const link = page.locator("#holds a");
  assert.equal(await link.getAttribute("href"), HOLD.url);
  assert.equal(await link.count(), 1);
  await page.getByRole("button", { name: "Español" }).click();
  await until(page, () => document.querySelector("#holds li").textContent.includes("Retención de Library"));
  assert.deepEqual(page.wrong, []);
});

test("no Register button is emphasized while a hold blocks registration", async () => {
  hub.mint("heidi", "student");
  await hub.ask("staff", "PUT", "/api/v1/students/heidi", { holds: [HOLD] });
  const page = await open(chrome, hub, "/?term=holds", { user: "heidi" });
  const register = row(page, "Calculus I").getByRole("button", { name: /^Register/ });
  await register.waitFor();
  await holds(page).waitFor();
  await until(page, () => !document.querySelector("#rows .act .strong"));
  await hub.ask("staff", "PUT", "/api/v1/students/heidi", { holds: [] });
  await page.reload();
  await until(page, () => document.querySelector("#rows .act .strong"));
  assert.match(await page.locator("#rows .act .strong").textContent(), /Register/);
});

test("a hold that is lifted while the page is open disappears, and so does the refusal", async () => {
  hub.mint("hila", "student");
  // Shortens the pause between two reads of the terms to one hundredth.
  const script = "const set = setTimeout; window.setTimeout = (then, ms, ...more) => set(then, ms > 20_000 ? ms / 100 : ms, ...more);";
  const page = await open(chrome, hub, "/?term=holds", { user: "hila", script });
  await rows(1)(page);
  // The hold is placed while the page is open. The page learns of it from the refusal.
  await hub.ask("staff", "PUT", "/api/v1/students/hila", { holds: [HOLD] });
  await row(page, "Calculus I").getByRole("button", { name: /^Register/ }).click();
  await holds(page).waitFor();
  await row(page, "Calculus I").getByText("There's a hold on your account from Library.").waitFor();
  await hub.ask("staff", "PUT", "/api/v1/students/hila", { holds: [] });
  await until(page, () => !document.querySelector("#holds li") && !document.querySelector(".row .result p") && document.querySelector("#rows .act .strong"));
  assert.deepEqual(page.wrong, []);
});

test("on a phone, the bar at the foot says that a hold blocks registration, or when registration closed", async () => {
  hub.mint("helen", "student");
  await hub.term("over", ["1,MATH 151,Calculus I,A01,lecture,5,2,3,MWF,09:00-09:50,Lee"]);
  await hub.ask("staff", "PUT", "/api/v1/students/helen", { holds: [HOLD] });
  const page = await open(chrome, hub, "/?term=holds", { user: "helen", width: 390, height: 844 });
  const bar = page.locator("#opening");
  await bar.getByText("A hold on your account blocks registration.").waitFor();
  await page.setViewportSize({ width: 1280, height: 800 });
  await bar.getByText("A hold on your account").waitFor({ state: "hidden" });
  await page.setViewportSize({ width: 390, height: 844 });
  await hub.ask("staff", "PUT", "/api/v1/terms/over", { closes_at: new Date(Date.now() - 1000).toISOString() });
  await page.goto(`${hub.url}/?term=over`);
  await bar.getByText(/^Closed .*You keep the sections you have\.$/).waitFor();
  assert.deepEqual(page.wrong, []);
});

test("a refusal for a hold names the office", async () => {
  hub.mint("hugo", "student");
  await hub.ask("staff", "PUT", "/api/v1/students/hugo", { holds: [HOLD] });
  const page = await open(chrome, hub, "/?term=holds", { user: "hugo" });
  await rows(1)(page);
  await row(page, "Calculus I").getByRole("button", { name: /^Register/ }).click();
  await until(page, () => document.body.textContent.includes("There's a hold on your account from Library."));
  assert.deepEqual(page.wrong, []);
});
