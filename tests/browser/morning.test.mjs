// The student's page in the rush of a registration morning: alerts that arrive during a press, an expired sign-in, and
// a hub that cannot be reached.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, Hub, open, row, until } from "./support.mjs";

let hub, chrome;
before(async () => {
  [hub, chrome] = await Promise.all([Hub.start(), browser()]);
  await hub.term("many", Array.from({ length: 60 }, (_, i) => `${100 + i},MATH ${100 + i},Calculus with a rather long title ${i},A01,lecture,4,20,3,MWF,09:00-09:50,Lee`));
  await hub.term("week", ["1,MATH 151,Calculus I,A01,lecture,4,20,3,MWF,09:00-11:00,Lee", "2,ARTS 105,Drawing,A01,studio,4,20,3,MWF,10:00-12:00,Goya",
    "3,CHEM 101,Chemistry,A01,lecture,4,0,3,TR,09:00-09:50,Curie", "4,CHEM 101,Chemistry,A02,lecture,4,9,3,TR,13:00-13:50,Curie", "5,YOGA 100,Yoga,A01,lecture,1,9,3,SU,10:00-10:50,Rao", "6,HIST 100,History,A01,lecture,3,9,3,,,Diaz"]);
});
after(async () => { await chrome?.close(); await hub?.end(); });

const alert = (fields) => hub.ask("staff", "POST", "/api/v1/alerts", { title: "Payment is due", message: "Pay before noon.", category: "workflow", audience: { all: true }, ...fields });
/** Waits for a frame that shows all changes made so far. */
const painted = (page) => page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
const isLive = (page) => until(page, () => document.querySelectorAll(".row .act button").length > 2 && document.querySelector("#live").dataset.state === "live");

for (const [width, height] of [[390, 844], [1280, 800]]) {
  for (const [priority, box] of [["high", "#banners"], ["critical", "#urgent"]]) {
    test(`an alert of priority ${priority} moves nothing at ${width} px`, async () => {
      const page = await open(chrome, hub, "/?term=many", { user: "student", width, height });
      await isLive(page);
      for (const scrolled of [0, 700]) {
        await page.evaluate((y) => scrollTo(0, y), scrolled);
        await until(page, (y) => scrollY === y && [...document.querySelectorAll(".row")].some((one) => one.getBoundingClientRect().top > innerHeight / 2), scrolled);
        // The browser reports a layout shift when the test scrolls and the alert arrives in the same frame.
        await painted(page);
        await page.evaluate(() => {
          window.shift = 0;
          window.shifts?.disconnect();
          window.shifts = new PerformanceObserver((list) => list.getEntries().forEach((entry) => { window.shift += entry.value; }));
          window.shifts.observe({ type: "layout-shift" });
          const pressed = [[...document.querySelectorAll(".row")].find((one) => one.getBoundingClientRect().top > innerHeight / 2), ...["opening", "q", "views"].map((id) => document.getElementById(id))];
          window.moved = () => pressed.map((el) => el.isConnected && el.getBoundingClientRect().top);
          window.before = window.moved();
        });
        const { id } = await alert({ priority });
        await until(page, (box) => document.querySelector(`${box} article button:not(:disabled)`), box);
        const [was, is, shift] = await page.evaluate(() => [window.before, window.moved(), window.shift]);
        is.forEach((top, i) => assert.ok(Math.abs(top - was[i]) <= 1, `${was} became ${is}, scrolled by ${scrolled}`));
        assert.ok(shift < 0.01, `a layout shift of ${shift}`);
        await hub.ask("staff", "DELETE", `/api/v1/alerts/${id}`);
        await until(page, (box) => !document.querySelector(`${box} article`), box);
      }
      assert.deepEqual(page.wrong, []);
    });
  }
}

test("a press that was meant for content under a new banner does not confirm the alert", async () => {
  const page = await open(chrome, hub, "/?term=many", { user: "student" });
  await isLive(page);
  // Presses each button of a banner as soon as it appears.
  await page.evaluate(() => new MutationObserver(() => { for (const el of document.querySelectorAll("#banners button")) el.click(); }).observe(document.querySelector("#banners"), { childList: true }));
  const { id } = await alert({ priority: "high" });
  await until(page, () => document.querySelector("#banners button:not(:disabled)"));
  await page.click("#banners button");
  await until(page, () => !document.querySelector("#banners article"));
  await hub.ask("staff", "DELETE", `/api/v1/alerts/${id}`);
});

test("the names of courses have room at every width", async () => {
  const page = await open(chrome, hub, "/?term=many", { user: "student", width: 760 });
  await isLive(page);
  for (const width of [760, 768, 900, 960, 1024, 1100, 1179, 1180, 1280, 1399, 1400, 1599, 1600, 1920]) {
    await page.setViewportSize({ width, height: 800 });
    await until(page, (width) => innerWidth === width && document.querySelector(".row .title").getBoundingClientRect().width >= 160, width);
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), width);
  }
});

test("a request that an expired sign-in prevented is offered again on a phone", async () => {
  const page = await open(chrome, hub, "/?term=week", { width: 390, height: 844, script: "window.WebSocket = class { close() {} send() {} };" });
  const signIn = async () => {
    await page.fill("[name=username]", "student2");
    await page.fill("[name=password]", "eduhub-demo");
    await page.keyboard.press("Enter");
  };
  await page.locator("#who a").click();
  await signIn();
  await until(page, () => document.querySelector("#who button"));
  // The focus moves to where the form was.
  await until(page, () => document.activeElement.matches("[data-view-name=term]"));
  await page.locator("#views a").first().click();
  const register = row(page, "Yoga").getByRole("button", { name: /^Register/ });
  await register.waitFor();
  await page.evaluate(() => fetch("/api/v1/logout", { method: "POST" }));
  await register.click();
  await until(page, () => /nothing was changed for YOGA 100/.test(document.querySelector("#note").textContent));
  const heights = await page.locator("#note button").evaluateAll((all) => all.map((one) => one.offsetHeight));
  assert.ok(heights.length === 2 && Math.max(...heights) <= 44, `the buttons have one line each: ${heights}`);
  await page.locator("#note").getByRole("button", { name: "Sign in" }).click();
  await until(page, () => document.activeElement.name === "username");
  assert.equal(await page.textContent("#note"), "", "the form shows the message instead");
  assert.match(await page.textContent("#sign-in [role=status]"), /nothing was changed for YOGA 100/);
  await signIn();
  await page.locator("#note", { hasText: "didn't go through" }).getByRole("button", { name: "Try again" }).click();
  await until(page, () => /Enrolled/.test(document.querySelector("#schedule-rows").textContent) && !document.querySelector("#note").textContent);
  assert.deepEqual(await hub.registrations("student2", "week"), ["5 enrolled"]);
});

test("a section that an expired sign-in kept out of the plan is offered again", async () => {
  const page = await open(chrome, hub, "/?term=week", { user: "student2", script: "window.WebSocket = class { close() {} send() {} };" });
  const plan = row(page, "History").getByRole("button", { name: /^Add to plan/ });
  await plan.waitFor();
  await page.evaluate(() => fetch("/api/v1/logout", { method: "POST" }));
  // The token has ended, so the next test gets another one.
  hub.tokens.delete("student2");
  await plan.click();
  // The sign-in form is visible, so it shows the message.
  await until(page, () => /nothing was changed for HIST 100/.test(document.querySelector("#sign-in [role=status]")?.textContent));
  assert.equal(await page.textContent("#note"), "");
  await page.fill("[name=username]", "student2");
  await page.fill("[name=password]", "eduhub-demo");
  await page.keyboard.press("Enter");
  const saved = page.waitForResponse((response) => response.request().method() === "PUT" && response.url().endsWith("/me/plan") && response.ok());
  await page.locator("#note", { hasText: "didn't go through" }).getByRole("button", { name: "Try again" }).click();
  await saved;
  await until(page, () => /HIST 100/.test(document.querySelector("#schedule-rows").textContent));
  assert.deepEqual(page.wrong, []);
});

test("a note about an expired sign-in does not cover a banner", async () => {
  const { id } = await alert({ priority: "high" });
  hub.mint("sleeper", "student");
  const page = await open(chrome, hub, "/?term=week", { user: "sleeper", width: 390, height: 844 });
  await isLive(page);
  await page.locator("#banners article").waitFor();
  await page.evaluate(() => fetch("/api/v1/logout", { method: "POST" }));
  await until(page, () => /You've been signed out/.test(document.querySelector("#note").textContent) && document.querySelector("#banners article"));
  const [note, banners] = await page.$$eval("#note, #banners", (all) => ["note", "banners"].map((id) => all.find((one) => one.id === id).getBoundingClientRect().toJSON()));
  assert.ok(note.top >= 0 && note.bottom <= banners.top, JSON.stringify([note, banners]));
  await page.locator("#note").getByRole("button", { name: "Sign in" }).click();
  await until(page, () => document.activeElement.name === "username" && !document.querySelector("#note").textContent);
  assert.match(await page.textContent("#sign-in [role=status]"), /You've been signed out/);
  await hub.ask("staff", "DELETE", `/api/v1/alerts/${id}`);
  assert.deepEqual(page.wrong, []);
});

test("another student is not offered the previous student's request", async () => {
  hub.mint("leaver", "student");
  const page = await open(chrome, hub, "/?term=week", { user: "leaver", script: "window.WebSocket = class { close() {} send() {} };" });
  const register = row(page, "History").getByRole("button", { name: /^Register/ });
  await register.waitFor();
  await page.evaluate(() => fetch("/api/v1/logout", { method: "POST" }));
  await register.click();
  // The sign-in form is visible, so it shows the message.
  await until(page, () => /nothing was changed for HIST 100/.test(document.querySelector("#sign-in [role=status]")?.textContent));
  assert.equal(await page.textContent("#note"), "");
  await page.fill("[name=username]", "student");
  await page.fill("[name=password]", "eduhub-demo");
  await page.keyboard.press("Enter");
  await until(page, () => document.querySelector("#who button") && !document.querySelector("#schedule").hidden);
  assert.equal(await page.evaluate(() => document.querySelector("#note").textContent), "");
});

test("the week hatches only overlaps, and shows subjects, Sunday and untimed sections", async () => {
  const page = await open(chrome, hub, "/?term=week#term", { user: "student" });
  // With seven days instead of five, the overlapping blocks are so narrow that their names are written vertically.
  for (const sections of [["week-1", "week-2"], ["week-1", "week-2", "week-5", "week-6"]]) {
    await hub.ask("student", "PUT", "/api/v1/me/plan", { sections });
    for (const width of [390, 1180, 1600]) {
      await page.setViewportSize({ width, height: 800 });
      await page.reload();
      await until(page, (n) => document.querySelectorAll("#week .hatch").length === 6 && document.querySelectorAll("#schedule-rows li").length === n, sections.length);
      const parts = await page.evaluate(() => ["week-1", "week-2"].map((id) => {
        const block = document.querySelector(`.block[data-id="${id}"]`);
        const { top, height } = block.querySelector(".hatch").style;
        const box = block.getBoundingClientRect();
        const names = [...block.querySelector("strong").children].map((el) => [el.textContent, el.getBoundingClientRect()]);
        return [top, height, ...names.filter(([, one]) => one.width > 8 && one.bottom <= box.bottom && one.right <= box.right).map(([text]) => text)].join(" ");
      }));
      assert.deepEqual(parts, ["50% 50% MATH 151", "0% 50% ARTS 105"], `${sections} at ${width} px`);
    }
  }
  assert.match(await page.locator("#week .day").nth(6).textContent(), /Sunday.*YOGA/);
  assert.match(await page.locator("#untimed").textContent(), /HIST 100/);
});

test("an alternative to a full planned section has no warning about it", async () => {
  await hub.ask("student", "PUT", "/api/v1/me/plan", { sections: ["week-3"] });
  const page = await open(chrome, hub, "/?term=week&q=chemistry", { user: "student" });
  await until(page, () => document.querySelectorAll("#schedule-rows li").length === 1 && document.querySelectorAll(".row .act button").length > 2);
  assert.deepEqual(await page.locator(".row .who").allTextContents(), ["Curie CRN 3, 4 cr.", "Curie CRN 4, 4 cr."]);
  // Once the planned section has a seat again, the row shows the warning.
  await hub.ask("staff", "PATCH", "/api/v1/sections/week-3", { capacity: 1 });
  await until(page, () => /You already planned/.test(document.querySelectorAll(".row .who")[1].textContent));
  await hub.ask("staff", "PATCH", "/api/v1/sections/week-3", { capacity: 0 });
});

test("numbers turn gray while the hub is down, and a success removes an earlier error", async () => {
  await hub.ask("student", "PUT", "/api/v1/me/plan", { sections: [] });
  const page = await open(chrome, hub, "/?term=week&q=history", { user: "student" });
  const register = row(page, "History").getByRole("button", { name: /^Register/ });
  await register.waitFor();
  // The request reaches the hub, but its response does not reach the page.
  await page.route("**/me/registrations/week-6", async (route) => { await route.fetch(); await route.abort(); });
  await page.routeWebSocket("**/ws", () => {});
  await register.click();
  await until(page, () => /Enrolled/.test(document.querySelector(".row .act").textContent) && !document.querySelector(".row .result").textContent);
  await hub.stop();
  await until(page, () => document.body.classList.contains("stale"));
  const [gray, words] = await page.evaluate(() => [getComputedStyle(document.querySelector(".none")).color, getComputedStyle(document.querySelector(".row .words")).color]);
  assert.equal(words, gray);
  assert.match(await page.locator("#live").textContent(), /last updated \d/);
  await hub.run();
  await until(page, () => !document.body.classList.contains("stale"));
});

test("an alert about a promotion has the style of good news", async () => {
  const taken = await hub.ask("student2", "PUT", "/api/v1/me/registrations/week-4");
  assert.equal(taken.status, "enrolled");
  await hub.ask("staff", "PATCH", "/api/v1/sections/week-4", { capacity: 1 });
  await hub.ask("student", "PUT", "/api/v1/me/registrations/week-4?waitlist=true");
  const page = await open(chrome, hub, "/?term=week", { user: "student" });
  await isLive(page);
  await hub.ask("student2", "DELETE", "/api/v1/me/registrations/week-4");
  await until(page, () => document.querySelector("#banners .good-news h2"));
  assert.match(await page.locator("#banners .good-news").textContent(), /You are enrolled in CHEM 101/);
});
