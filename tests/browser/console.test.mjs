// Without failures the browser's console stays empty: no failed request and no message on the student's, the staff and
// the administration page, for any user.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, Hub, open, until } from "./support.mjs";

let hub, chrome;
before(async () => {
  [hub, chrome] = await Promise.all([Hub.start(), browser()]);
  await hub.term("calm", ["1,MATH 151,Calculus I,A01,lecture,5,2,3,MWF,09:00-09:50,Lee", "2,PHYS 101,Physics,A01,lecture,4,1,3,TR,09:30-10:20,Curie"]);
});
after(async () => { await chrome?.close(); await hub?.end(); });

/** Waits until the page is connected and no request is pending. */
async function settled(page) {
  await until(page, () => document.querySelector("#live").dataset.state === "live");
  await page.waitForLoadState("networkidle");
}
const isVisitor = (page) => until(page, () => document.querySelector("#sign-in form") && document.querySelector("#who a"));
const isSignedIn = (page) => until(page, () => document.querySelector("#who button"));

/** The pages, each with views and the users who may use all of them. */
const PAGES = [
  ["/", ["find", "term", "alerts"], ["student"]],
  ["/staff", ["now", "sections", "import", "alerts", "terms"], ["staff", "admin"]],
  ["/admin", ["now", "sessions", "demo", "people", "audit"], ["admin"]],
];
const USERS = ["student", "staff", "admin"];

for (const [where, parts, served] of PAGES) {
  for (const user of [undefined, ...USERS]) {
    test(`${where} logs nothing for ${user ?? "a visitor"}`, async () => {
      const page = await open(chrome, hub, where, { user });
      await (user ? isSignedIn : isVisitor)(page);
      await settled(page);
      for (const part of served.includes(user) ? parts : []) {
        await page.evaluate((hash) => { location.hash = hash; }, part);
        await until(page, (part) => document.body.dataset.view === part, part);
        await page.waitForLoadState("networkidle");
      }
      assert.deepEqual(page.logged, []);
    });
  }

  test(`${where} logs nothing for a browser whose sign-in has ended, and clears its cookie`, async () => {
    const page = await open(chrome, hub, where, { cookie: "no.longer.valid" });
    await isVisitor(page);
    await settled(page);
    assert.deepEqual(page.logged, []);
    assert.deepEqual(await page.context().cookies(), []);
  });
}

test("signing in and out logs nothing", async () => {
  const page = await open(chrome, hub, "/#term");
  await isVisitor(page);
  await page.fill("[name=username]", "student2");
  await page.fill("[name=password]", "eduhub-demo");
  await page.keyboard.press("Enter");
  await isSignedIn(page);
  await settled(page);
  await page.click("#who button");
  await isVisitor(page);
  await settled(page);
  assert.deepEqual(page.logged, []);
});

test("signing out in one window ends the other and logs nothing in it", async () => {
  hub.mint("leaver", "student");
  const page = await open(chrome, hub, "/#term", { user: "leaver" });
  await isSignedIn(page);
  await settled(page);
  const other = await page.context().newPage();
  await other.goto(hub.url);
  await other.click("#who button");
  await until(page, () => /You've been signed out/.test(document.querySelector("#sign-in").textContent));
  await settled(page);
  assert.deepEqual(page.logged, []);
});
