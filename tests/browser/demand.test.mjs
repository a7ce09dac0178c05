// The "Demand" view of the staff page: plans against seats, and a rehearsal of registration.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, Hub, open, until, violations } from "./support.mjs";

let hub, chrome;
before(async () => {
  [hub, chrome] = await Promise.all([Hub.start(), browser()]);
  await hub.term("plans", [
    "1,MATH 151,Calculus I,A01,lecture,3,2,3,MWF,09:00-09:50,Lee", "2,PHYS 101,Physics,A01,lecture,3,1,3,MWF,11:00-11:50,Curie",
    "3,CHEM 101,Chemistry,A01,lecture,3,9,2,TR,09:00-10:20,Franklin",
  ], { opensIn: 86_400 });
  for (const [student, sections] of [["ana", ["plans-1", "plans-2"]], ["ben", ["plans-2"]], ["cleo", ["plans-1"]]]) {
    hub.mint(student, "student");
    await hub.ask(student, "PUT", "/api/v1/me/plan", { sections });
  }
});
after(async () => { await chrome?.close(); await hub?.end(); });

const openDemand = async (options = {}) => {
  const page = await open(chrome, hub, "/staff#demand", { user: "staff", ...options });
  await until(page, () => [...document.querySelectorAll("#which-term option")].some(({ value }) => value === "plans"));
  await page.selectOption("#which-term", "plans");
  await until(page, () => document.querySelectorAll("#demand tbody tr").length === 2);
  return page;
};
const cells = (page, selector) => page.locator(selector).evaluateAll((rows) => rows.map((row) => [...row.cells].map((cell) => cell.textContent)));

test("staff see which sections will fill, sorted and filtered", async () => {
  const page = await openDemand({ bypassCSP: true });
  assert.deepEqual((await cells(page, "#demand tbody tr")).map(([, ...rest]) => rest), [["2", "2", "Will fill"], ["2", "1", "Will fill"]]);
  assert.match(await page.textContent("#demand-totals"), /^3 students have a plan for this term\. Based on seats alone, 1 student would miss a planned section\.$/);
  await page.selectOption("#demand-order", "seats");
  await until(page, () => document.querySelector("#demand tbody tr").textContent.includes("PHYS 101"));
  assert.deepEqual(await violations(page), []);
  assert.deepEqual(page.wrong, []);
});

test("the forecast says which sections have enough seats", async () => {
  await hub.term("roomy", ["1,MATH 151,Calculus I,A01,lecture,3,20,5,MWF,09:00-09:50,Lee"], { opensIn: 3600 });
  await hub.ask("student", "PUT", "/api/v1/me/plan", { sections: ["roomy-1"] });
  for (const [locale, text] of [["en-US", "Enough seats"], ["es-MX", "Cupo suficiente"]]) {
    const page = await openDemand({ locale });
    await page.selectOption("#which-term", "roomy");
    await until(page, () => document.querySelectorAll("#demand tbody tr").length === 1);
    assert.deepEqual((await cells(page, "#demand tbody tr"))[0].slice(1), ["1", "20", text]);
    await page.close();
  }
});

test("on a phone, the lines of a section's name begin at the same edge", async () => {
  const page = await openDemand({ width: 320, height: 700 });
  await until(page, () => document.querySelector("#demand tbody").textContent.includes("MATH 151 lecture"));
  const { left, tops, beside } = await page.$eval("#demand tbody td .plain", (el) => {
    const rects = (node) => {
      const range = document.createRange();
      range.selectNodeContents(node);
      return [...range.getClientRects()];
    };
    const name = rects(el.firstChild);
    return { left: new Set(name.map((one) => Math.round(one.left))).size, tops: name.map(({ top }) => top), beside: rects(el.closest("tr").cells[1].firstChild)[0].top };
  });
  assert.ok(tops.length > 1, "the name has several lines");
  assert.equal(left, 1, "the lines begin at the same edge");
  assert.ok(Math.abs(tops[0] - beside) <= 1, `the number of plans is beside the first line, not ${beside - tops[0]} px below it`);
});

test("a rehearsal shows its result and takes no seat", async () => {
  const page = await openDemand({ bypassCSP: true });
  await page.fill("#rehearsal-form [name=runs]", "2");
  await page.getByRole("button", { name: "Start rehearsal" }).click();
  await until(page, () => document.querySelector("#rehearsal .good"));
  const text = await page.textContent("#rehearsal");
  assert.match(text, /Rehearsed with 3 students\. Runs: 2\./);
  assert.match(text, /Students who get everything they planned2/);
  assert.match(text, /PHYS 101/);
  assert.deepEqual(await cells(page, "#rehearsal table:last-of-type tbody tr").then((rows) => rows.at(-1)?.at(-1)), "1");
  assert.equal((await hub.ask("staff", "GET", "/api/v1/sections/plans-2")).enrolled, 0);
  assert.deepEqual(await violations(page), []);
  assert.deepEqual(page.wrong, []);
});

test("the Demand view is in Spanish and fits a phone", async () => {
  const page = await openDemand({ bypassCSP: true, locale: "es-MX", width: 390 });
  assert.match(await page.textContent("#demand-totals"), /^3 estudiantes tienen un plan para este período\./);
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true);
  assert.deepEqual(await violations(page), []);
});
