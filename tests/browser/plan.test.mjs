// The plan: its check before registration opens, what to do if a section is full, and the headline after registering.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, Hub, open, tabTo, until, violations } from "./support.mjs";

let hub, chrome;
before(async () => { [hub, chrome] = await Promise.all([Hub.start(), browser()]); });
after(async () => { await chrome?.close(); await hub?.end(); });

const LINES = [
  "1,MATH 151,Calculus I,A01,lecture,5,1,3,MWF,09:00-09:50,Lee", "2,PHYS 101,Physics,A01,lecture,4,9,3,MWF,09:30-10:20,Curie",
  "3,CHEM 101,Chemistry,A01,lecture,4,0,2,TR,09:00-10:20,Franklin", "4,CHEM 101,Chemistry,A02,lecture,4,9,2,TR,13:00-14:20,Franklin",
  "5,CHEM 101,Chemistry,A03,lecture,4,0,2,TR,15:00-16:20,Franklin", "6,ARTS 105,Drawing,S01,studio,3,9,0,F,18:00-20:50,Goya",
];
const HOLD = { id: "fine", text: "A book is missing.", office: "Library", blocks: ["register"] };
/** Opens the page of a new student with a plan. */
const planned = async (term, user, sections, options = {}) => {
  hub.mint(user, "student");
  await hub.ask(user, "PUT", "/api/v1/me/plan", { sections: sections.map((one) => typeof one === "string" ? `${term}-${one}` : one) });
  const page = await open(chrome, hub, `/?term=${term}${options.width ? "#term" : ""}`, { user, ...options });
  await until(page, (n) => document.querySelectorAll("#schedule-rows > li").length === n, options.rows ?? sections.length);
  return page;
};
const line = (page, course) => page.locator("#schedule-rows > li", { hasText: course });
const headline = (page, text) => until(page, (text) => document.querySelector("#plan-headline").textContent.includes(text), text);

test("an empty schedule names the button that the rows have", async () => {
  await hub.term("open-now", LINES);
  await hub.term("open-later", LINES, { opensIn: 3600 });
  hub.mint("newcomer", "student");
  const page = await open(chrome, hub, "/?term=open-now", { user: "newcomer" });
  await page.getByText("Select Register next to a section. It appears here and in your week.").waitFor();
  await page.selectOption("#which-term", "open-later");
  await page.getByText("Select Add to plan next to a section. It appears here and in your week.").waitFor();
});

test("the days of the week are equally wide", async () => {
  await hub.term("days", LINES);
  const page = await planned("days", "weekly", ["1"], { width: 390 });
  const widths = await page.$$eval("#week .day ol", (all) => all.map((one) => one.clientWidth));
  assert.equal(new Set(widths.map((one) => Math.round(one))).size, 1, `${widths}`);
  const heights = await page.$$eval("#week .block strong", (all) => all.map((one) => one.firstChild.getBoundingClientRect().top === one.lastChild.getBoundingClientRect().top));
  assert.equal(new Set(heights).size, 1, `names in one line: ${heights}`);
});

test("a planned section names the section of the same class that the student has", async () => {
  await hub.term("have", LINES);
  hub.mint("hana", "student");
  await hub.ask("hana", "PUT", "/api/v1/me/registrations/have-4");
  const page = await planned("have", "hana", ["1", "3"], { rows: 3 });
  const have = line(page, /CHEM 101 A01/).locator(".have");
  await until(page, () => [...document.querySelectorAll("#schedule-rows .have")].some((one) => one.textContent));
  assert.equal((await have.textContent()).trim(), "You already have CHEM 101 lecture (4)");
  assert.equal(await line(page, "Calculus").locator(".have").textContent(), "");
  assert.deepEqual(await violations(page), []);
  await page.getByRole("button", { name: "Español" }).click();
  await until(page, () => [...document.querySelectorAll("#schedule-rows .have")].some((one) => /Ya tiene CHEM 101/.test(one.textContent)));
  // Without that section, the row names no conflict.
  await hub.ask("hana", "DELETE", "/api/v1/me/registrations/have-4");
  await until(page, () => ![...document.querySelectorAll("#schedule-rows .have")].some((one) => one.textContent));
});

test("a row says whether another section of the class is planned or registered", async () => {
  await hub.term("rows", LINES);
  hub.mint("rosa", "student");
  await hub.ask("rosa", "PUT", "/api/v1/me/plan", { sections: ["rows-4"] });
  const page = await open(chrome, hub, "/?term=rows", { user: "rosa" });
  // Row 3 is the other lecture.
  const says = (text) => until(page, (text) => [...document.querySelectorAll(".row")].some((one) => /A01/.test(one.textContent) && one.querySelector(".who").textContent.includes(text)), text);
  await says("You already planned CHEM 101");
  await page.getByRole("button", { name: "Español" }).click();
  await says("Ya planeó CHEM 101");
  await hub.ask("rosa", "PUT", "/api/v1/me/registrations/rows-4");
  await says("Ya tiene CHEM 101");
});

test("before registration opens, the result of a plan check is shown in words, in both languages", async () => {
  await hub.term("check", LINES, { opensIn: 86_400 });
  hub.mint("cora", "student");
  await hub.ask("staff", "PUT", "/api/v1/students/cora", { credit_min: 16 });
  const page = await planned("check", "cora", ["1", "2", "3"]);
  await page.getByRole("button", { name: "Check my plan" }).click();
  await headline(page, "2 of 3 would not go through.");
  assert.match(await line(page, "Calculus").locator(".judged").textContent(), /You would get a seat now/);
  assert.match(await line(page, "Physics").locator(".judged").textContent(), /Overlaps MATH 151.* in your plan/);
  assert.match(await line(page, "Chemistry").locator(".judged").textContent(), /Full/);
  assert.match(await page.textContent("#plan-problems"), /Your plan has 13 credits; you must take at least 16/);
  await page.getByRole("button", { name: "Español" }).click();
  await headline(page, "2 de 3 se rechazarían.");
  await until(page, () => /Choca con MATH 151/.test(document.querySelector("#schedule-rows").textContent));
  // A change to the plan makes the result outdated.
  await line(page, "PHYS 101").getByRole("button", { name: /^Quitar del plan/ }).click();
  await until(page, () => !document.querySelector("#plan-headline").textContent && !document.querySelector(".judged p"));
  assert.deepEqual(await hub.registrations("cora", "check"), []);
  assert.deepEqual(page.wrong, []);
});

test("a hold is named for each planned section", async () => {
  await hub.term("held", LINES, { opensIn: 86_400 });
  hub.mint("hana", "student");
  await hub.ask("staff", "PUT", "/api/v1/students/hana", { holds: [HOLD] });
  const page = await planned("held", "hana", ["1"]);
  await page.getByRole("button", { name: "Check my plan" }).click();
  await headline(page, "1 of 1 would not go through.");
  assert.match(await line(page, "Calculus").locator(".judged").textContent(), /hold on your account from Library/);
});

for (const [width, colorScheme] of [[1280, "light"], [390, "dark"]]) {
  test(`alternates and the waitlist are set by keyboard, and one headline sums up the result (${width} px)`, async () => {
    const term = `full${width}`;
    await hub.term(term, LINES);
    const page = await planned(term, `kim${width}`, ["1", "3", "6"], { width, height: 844, colorScheme, bypassCSP: true });
    hub.mint(`eve${width}`, "student");
    // Another student takes the seat in MATH 151.
    await hub.ask(`eve${width}`, "PUT", `/api/v1/me/registrations/${term}-1`);
    const chemistry = line(page, "CHEM 101");
    await chemistry.locator("summary").focus();
    await page.keyboard.press("Enter");
    await until(page, () => document.querySelector(".choices[open] select option"));
    await tabTo(page, ".choices[open] select");
    await page.keyboard.press("End");
    await tabTo(page, ".choices[open] .adding button");
    await page.keyboard.press("Enter");
    await until(page, () => document.querySelectorAll(".choices[open] li").length === 1);
    await line(page, "MATH 151").locator("summary").click();
    await line(page, "MATH 151").getByLabel("Join the waitlist").check();
    const stored = async () => JSON.stringify((await hub.ask(`kim${width}`, "GET", "/api/v1/me/plan")).sections);
    const expected = JSON.stringify([{ section: `${term}-1`, waitlist: true }, { section: `${term}-3`, alternates: [`${term}-5`] }, `${term}-6`]);
    for (let tries = 0; await stored() !== expected; tries += 1) {
      assert.ok(tries < 400, await stored());
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    // The open section is added as the second alternate.
    await chemistry.locator(".choices select").selectOption(`${term}-4`);
    await chemistry.locator(".choices").getByRole("button", { name: "Add" }).click();
    await until(page, () => document.querySelectorAll(".choices[open] li").length === 2);
    assert.deepEqual(await violations(page), []);
    await page.getByRole("button", { name: "Register for 3 sections" }).click();
    await headline(page, "Enrolled in 2 of 3. On the waitlist for 1.");
    await until(page, () => /You got this section instead of CHEM 101/.test(document.querySelector("#schedule-rows").textContent));
    assert.deepEqual(await hub.registrations(`kim${width}`, term), ["1 waitlisted", "4 enrolled", "6 enrolled"]);
    assert.deepEqual(await violations(page), []);
    assert.deepEqual(page.wrong, []);
  });
}

test("the headline counts refused sections that need a decision", async () => {
  await hub.term("some", LINES);
  const page = await planned("some", "dora", ["1", "2", "3", "6"]);
  await page.getByRole("button", { name: "Register for 4 sections" }).click();
  await headline(page, "Enrolled in 2 of 4. 2 need a decision.");
  assert.equal(await page.getAttribute("#plan-headline", "role"), "status");
  assert.deepEqual(page.wrong, []);
});

test("on a phone, the headline after a registration is in view", async () => {
  await hub.term("phone", LINES);
  const page = await planned("phone", "paul", ["1", "2", "3", "6"], { width: 390, height: 600 });
  await page.evaluate(() => scrollTo(0, 0));
  await page.getByRole("button", { name: "Register for 4 sections" }).click();
  await headline(page, "Enrolled in 2 of 4. 2 need a decision.");
  // Below the header, which stays in view, and above the button.
  await until(page, () => {
    const [header, shown, opening] = ["header", "#plan-headline", "#opening"].map((one) => document.querySelector(one).getBoundingClientRect());
    return shown.top >= header.bottom && shown.bottom <= opening.top;
  });
});
