// The staff page handles late responses: it keeps what the user has begun, and reports a change as saved only when the
// page shows it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, csvFile, Hub, open, until } from "./support.mjs";

let hub, chrome;
before(async () => {
  [hub, chrome] = await Promise.all([Hub.start(), browser()]);
  await hub.term("late", ["1,MATH 151,Calculus I,A01,lecture,5,1,5,MWF,09:00-09:50,Lee"]);
});
after(async () => { await chrome?.close(); await hub?.end(); });

/**
 * Holds the page's next reads of `url`. Returns `{waiting, release}`: a promise that resolves when the first read is
 * held, and a function that lets the reads pass.
 */
async function hold(page, url) {
  let release, arrive;
  const [held, waiting] = [new Promise((resolve) => { release = resolve; }), new Promise((resolve) => { arrive = resolve; })];
  await page.route(url, async (route) => {
    if (route.request().method() === "GET") {
      arrive();
      await held;
    }
    await route.continue();
  });
  return { waiting, release };
}
const status = (page, selector) => page.textContent(selector);

test("terms that arrive late do not close the confirmation of an emergency", async () => {
  const page = await open(chrome, hub, "/docs/problems", { user: "staff" });
  const terms = await hold(page, "**/api/v1/terms");
  await page.goto(`${hub.url}/staff#alerts`);
  await page.fill("#alert-form [name=title]", "Leave now");
  await page.fill("#alert-form [name=message]", "Gas in the Science building.");
  await page.selectOption("#alert-form [name=category]", "emergency");
  await page.getByRole("button", { name: "Send alert" }).click();
  await page.locator("#confirm-send .danger:enabled").waitFor();
  await terms.waiting;
  terms.release();
  await until(page, () => document.querySelector("#terms .term-card"));
  await until(page, () => document.querySelector("#college").textContent);
  assert.equal(await page.isVisible("#confirm-send"), true);
  assert.deepEqual(page.wrong, []);
});

test("a term is reported as saved when Edit starts from the saved values", async () => {
  const page = await open(chrome, hub, "/staff#terms", { user: "staff" });
  const edit = page.locator("#terms .term-card", { hasText: "late" }).getByRole("button", { name: /^Edit/ });
  await edit.click();
  await page.fill("#term-form [name=title]", "Late term");
  const [terms, saved] = [await hold(page, "**/api/v1/terms"), page.waitForResponse((response) => response.request().method() === "PUT")];
  await page.getByRole("button", { name: "Save term" }).click();
  assert.equal((await saved).status(), 200);
  await terms.waiting;
  assert.equal(await status(page, "#term-form span[role=status]"), "Saving…");
  terms.release();
  await until(page, () => [...document.querySelectorAll(".term-card [role=status]")].some(({ textContent }) => textContent === "Saved."));
  await edit.click();
  assert.equal(await page.inputValue("#term-form [name=title]"), "Late term");
});

test("a mapping is reported as saved when it is the chosen one", async () => {
  const page = await open(chrome, hub, "/staff#import", { user: "staff" });
  await page.selectOption("#which-term", "late");
  await page.setInputFiles("#import-form [name=file]", csvFile("term,Id,course,Platz\nlate,2,AB 101,10\n", "Late plan.csv"));
  await page.getByRole("button", { name: "Check file" }).click();
  for (const [column, field] of [["Platz", "capacity"], ["Id", "crn"]]) {
    await page.getByLabel(`Import column ${column} as`, { exact: true }).selectOption(field);
  }
  await until(page, () => document.querySelector("#task .columns .primary")?.disabled === false);
  const profiles = await hold(page, "**/api/v1/import-profiles");
  await page.getByRole("button", { name: "Remember", exact: true }).click();
  await profiles.waiting;
  assert.equal(await status(page, "#task .remember [role=status]"), "Saving…");
  profiles.release();
  await until(page, () => /Saved as “Late plan”/.test(document.querySelector("#task .remember [role=status]").textContent));
  assert.equal(await page.getByLabel("Saved mapping").inputValue(), "late-plan");
});
