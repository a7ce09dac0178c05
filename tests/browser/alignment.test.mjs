// Parts of tables and forms that belong together are aligned, and parts that do not belong together do not touch.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, Hub, open, until } from "./support.mjs";

const GAP_MIN = 8;
let hub, chrome;
before(async () => { [hub, chrome] = await Promise.all([Hub.start(), browser()]); });
after(async () => { await chrome?.close(); await hub?.end(); });

/** Returns the space in pixels between each visible element that matches and the element before it. */
const spaceAbove = (page, selector) => page.$$eval(selector, (all) => all.filter((el) => el.offsetParent && el.previousElementSibling?.offsetParent)
  .map((el) => el.getBoundingClientRect().top - el.previousElementSibling.getBoundingClientRect().bottom));

test("the cells of a row share a baseline, even beside a button", async () => {
  const page = await open(chrome, hub, "/staff#terms", { user: "staff", width: 1280, height: 900 });
  await page.locator(".term-card").first().waitFor();
  const baselines = await page.evaluate(() => {
    const table = document.createElement("table"), row = table.insertRow(), button = document.createElement("button");
    row.insertCell().textContent = "Text";
    button.textContent = "Edit";
    row.insertCell().append(button);
    document.querySelector("#terms").append(table);
    // A mark without height before the first letter rests on the baseline.
    return [...row.cells].map((cell) => {
      const mark = document.createElement("span");
      mark.style.display = "inline-block";
      document.createTreeWalker(cell, NodeFilter.SHOW_TEXT).nextNode().before(mark);
      return mark.getBoundingClientRect().bottom;
    });
  });
  assert.ok(Math.max(...baselines) - Math.min(...baselines) < 0.5, `the baselines are at ${baselines}`);
});

test("the buttons in the row of a person do not touch", async () => {
  const page = await open(chrome, hub, "/admin#people", { user: "admin", width: 1280, height: 900 });
  await until(page, () => document.querySelector("#people tbody td:last-child button + button"));
  const gaps = await page.$$eval("#people tbody td:last-child button + button", (all) => all.map((el) => el.getBoundingClientRect().left - el.previousElementSibling.getBoundingClientRect().right));
  assert.ok(Math.min(...gaps) >= GAP_MIN, `the buttons have ${gaps} px between them`);
});

test("the parts of a student's own data have space between them", async () => {
  const page = await open(chrome, hub, "/#term", { user: "student", width: 390, height: 844 });
  await until(page, () => !document.querySelector("#my-data").hidden);
  await page.click("#my-data summary");
  await until(page, () => document.querySelector("#my-data-readers").textContent);
  const gaps = await spaceAbove(page, "#my-data p:has(> .button), #my-data h3");
  assert.ok(gaps.length > 1 && Math.min(...gaps) >= GAP_MIN, `the parts have ${gaps} px above them`);
});

test("a form of the account page does not touch the text above it", async () => {
  const page = await open(chrome, hub, "/account", { user: "student", width: 1280, height: 900 });
  await until(page, () => [...document.querySelectorAll(".account :is(p, ul) + form")].some((form) => form.offsetParent));
  const gaps = await spaceAbove(page, ".account :is(p, ul) + form");
  assert.ok(Math.min(...gaps) >= GAP_MIN, `the forms have ${gaps} px above them`);
});
