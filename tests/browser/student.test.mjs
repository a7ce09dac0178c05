// The student's page from a student's point of view.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, Hub, open, row, rows, until } from "./support.mjs";
import { tokens } from "./crowd.mjs";
import COMMON_EN from "../../static/js/words/en.js";
import COMMON_ES from "../../static/js/words/es.js";
import STUDENT_EN from "../../static/js/words/student/en.js";
import STUDENT_ES from "../../static/js/words/student/es.js";

const [EN, ES] = [{ ...COMMON_EN, ...STUDENT_EN }, { ...COMMON_ES, ...STUDENT_ES }];
const allTexts = (words) => Object.values(words).flatMap((one) => typeof one === "string" ? [one] : Object.values(one));
const SPANISH = new Set(allTexts(ES));
/** Returns a pattern for a text with any values in its placeholders. */
const pattern = (text) => new RegExp(`^${text.split(/\{\w+\}/).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join(".+")}$`, "su");
/** Returns whether a text has enough words of its own to identify its language: `{from} to {to}` does not. */
const hasWords = (text) => !text.includes("{") || text.replace(/\{\w+\}|\P{L}/gu, "").length > 4;

let hub, chrome;
before(async () => { [hub, chrome] = await Promise.all([Hub.start(), browser()]); });
after(async () => { await chrome?.close(); await hub?.end(); });

const WEEK = [
  "1,MATH 151,Calculus I,A01,lecture,5,2,3,MWF,09:00-09:50,Lee", "2,PHYS 101,Physics,A01,lecture,4,1,3,MWF,09:30-10:20,Curie",
  "3,CHEM 101,Chemistry,A01,lecture,4,1,2,TR,09:00-10:20,Franklin", "4,CHEM 101,Chemistry,A02,lecture,4,9,2,TR,13:00-14:20,Franklin",
  "5,ARTS 105,Dibujo básico,S01,studio,3,5,0,F,18:00-20:50,Goya",
];
/** Waits until the page holds the whole large term. */
const wholeTerm = (page) => until(page, () => document.querySelector("#found").textContent.startsWith("3,000") && document.querySelectorAll("#subject option").length === 4);
const scheduleRow = (page, course) => page.locator("#schedule-rows > li", { hasText: course });

test("a search is in the address and renders only visible rows", async () => {
  const many = Array.from({ length: 3000 }, (_, i) => `${10001 + i},${["ACCT", "BIOL", "MATH"][i % 3]} ${100 + Math.floor(i / 30)},Title ${i},A${String(i % 30).padStart(2, "0")},lecture,3,${i % 7},0,MW,09:00-09:50,Lee`);
  await hub.term("many", many);
  const page = await open(chrome, hub, "/?term=many");
  await wholeTerm(page);
  assert.ok(await page.locator(".row").count() < 60);
  await page.evaluate(() => scrollTo(0, 60_000));
  await until(page, () => [...document.querySelectorAll(".row")].some((row) => Number(row.dataset.index) > 1000));
  await page.fill("#q", "math 110");
  await until(page, () => document.querySelector(".row .course")?.textContent === "MATH 110");
  await page.check("#open");
  await until(page, () => location.search.includes("q=math+110") && location.search.includes("open=true"));
  const found = await page.textContent("#found");
  await page.reload();
  await until(page, (found) => document.querySelector("#found").textContent === found, found);
  assert.equal(await page.inputValue("#q"), "math 110");
  await page.fill("#q", "nothing like this");
  await page.getByRole("button", { name: "Show all sections" }).click();
  await until(page, () => document.querySelector("#found").textContent.startsWith("3,000"));
  assert.deepEqual(page.wrong, []);
});

test("a plan shows overlaps, and Register appears at the opening", async () => {
  await hub.term("soon", WEEK, { opensIn: 3600 });
  const page = await open(chrome, hub, "/?term=soon", { user: "student" });
  await rows(5)(page);
  for (const crn of [/A01 lecture.*Chemistry/, /A01 lecture.*Calculus/, /A01 lecture.*Physics/, "S01"]) await row(page, crn).getByRole("button", { name: /^Add to plan/ }).click();
  await until(page, () => document.querySelectorAll("#schedule-rows > li").length === 4);
  assert.match(await page.textContent("#conflicts"), /MATH 151.*PHYS 101.*overlap.*9:30/);
  assert.match(await row(page, "A02").locator(".who").textContent(), /You already planned CHEM 101/);
  assert.match(await page.textContent("#opening"), /this page updates automatically/);
  // Chemistry loses its only seat before registration opens.
  await hub.ask("staff", "PATCH", "/api/v1/sections/soon-3", { capacity: 0 });
  await hub.ask("staff", "PUT", "/api/v1/terms/soon", { opens_at: new Date(Date.now() + 2000).toISOString() });
  await page.getByRole("button", { name: "Register for 4 sections" }).click();
  await until(page, () => document.querySelectorAll("#schedule-rows [data-kind=enrolled]").length === 2 && document.querySelectorAll("#schedule-rows .result p.stop").length === 2);
  assert.match(await scheduleRow(page, "PHYS 101").textContent(), /Overlaps MATH 151/);
  assert.deepEqual(await hub.registrations("student", "soon"), ["1 enrolled", "5 enrolled"]);

  // Every remaining section would be refused, so the button is not the primary one.
  await until(page, () => /All of these are full or closed, or overlap another/.test(document.querySelector("#opening").textContent));
  assert.equal(await page.locator("#register-all.primary").count(), 0);
  // Each refusal offers its next step.
  await scheduleRow(page, "CHEM 101").getByRole("button", { name: "Join the waitlist (you'd be first)" }).click();
  await until(page, () => /1st on the waitlist/.test(document.querySelector("#schedule-rows").textContent));
  await scheduleRow(page, "PHYS 101").getByRole("button", { name: /Swap with MATH 151/ }).click();
  await until(page, () => /Dropped/.test(document.querySelector("#schedule-rows").textContent));
  assert.deepEqual(await hub.registrations("student", "soon"), ["2 enrolled", "3 waitlisted", "5 enrolled"]);
  assert.deepEqual(page.wrong, []);
});

test("the countdown states once when registration opens, on a phone and in a wide window", async () => {
  await hub.term("evening", WEEK, { opensIn: 40_000 });
  for (const width of [390, 1280]) {
    const page = await open(chrome, hub, "/?term=evening", { user: "student", width });
    await rows(5)(page);
    await page.locator("#opening").getByText(/this page updates automatically/).waitFor();
    assert.equal((await page.locator("#opening").innerText()).match(/Opens \w+, .*\d:\d\d [AP]M E[SD]T\./g)?.length, 1, `${width} px`);
    await page.context().close();
  }
});

test("a swap is offered before any refusal in an open row and on the page of a section", async () => {
  await hub.term("swap", WEEK);
  await hub.ask("student", "PUT", "/api/v1/me/registrations/swap-1");
  const page = await open(chrome, hub, "/?term=swap", { user: "student", width: 390, height: 844 });
  await rows(5)(page);
  const physics = row(page, "PHYS 101");
  await physics.getByText("Overlaps MATH 151").waitFor();
  assert.equal(await page.getByRole("button", { name: /^Swap/ }).count(), 0, "a closed row offers no swap");
  await physics.locator(".name").click();
  await physics.getByRole("button", { name: "Swap with MATH 151 lecture (1)" }).waitFor();
  await physics.getByRole("link", { name: "Section page" }).click();
  await page.locator("#section-page").getByRole("button", { name: "Swap with MATH 151 lecture (1)" }).click();
  await until(page, () => /Enrolled/.test(document.querySelector("#section-page .act").textContent));
  assert.deepEqual(await hub.registrations("student", "swap"), ["2 enrolled"]);
  // For a full section, the student chooses what to drop when joining the waitlist.
  await page.goto(`${hub.url}/?term=swap&section=swap-1`);
  await page.locator("#section-page").getByRole("button", { name: "Swap with PHYS 101 lecture (2)" }).waitFor();
  await hub.ask("staff", "PATCH", "/api/v1/sections/swap-1", { capacity: 0 });
  await until(page, () => !/Swap/.test(document.querySelector("#section-page").textContent));
  assert.deepEqual(page.wrong, []);
});

test("a waitlisted student is enrolled when a seat opens", async () => {
  await hub.term("line", WEEK);
  await hub.ask("student2", "PUT", "/api/v1/me/registrations/line-3");
  const page = await open(chrome, hub, "/?term=line", { user: "student" });
  await rows(5)(page);
  await row(page, /A01 lecture.*Chemistry/).getByRole("button", { name: /^Join waitlist/ }).click();
  await until(page, () => /1st on the waitlist/.test(document.querySelector("#schedule-rows").textContent));
  await page.evaluate(() => document.querySelector("#q").focus());
  await hub.ask("student2", "DELETE", "/api/v1/me/registrations/line-3");
  await until(page, () => /A seat opened up and you're enrolled/.test(document.querySelector("#schedule-rows").textContent));
  assert.match(await page.textContent("#spoken"), /CHEM 101.*you're enrolled/);
  assert.equal(await page.evaluate(() => document.activeElement.id), "q", "the focus stays in the search field");
  assert.deepEqual(await hub.registrations("student", "line"), ["3 enrolled"]);
});

test("two students want the last seat: one gets it, one may wait", async () => {
  await hub.term("last", WEEK);
  const pages = await Promise.all(["student", "student2"].map((user) => open(chrome, hub, "/?term=last", { user })));
  await Promise.all(pages.map(rows(5)));
  const buttons = await Promise.all(pages.map((page) => row(page, "Physics").getByRole("button", { name: /^Register/ }).elementHandle()));
  await Promise.all(buttons.map((button) => button.evaluate((el) => el.click())));
  const enrolled = await Promise.all(pages.map(async (page) => {
    await until(page, () => document.querySelector("#schedule-rows [data-kind=enrolled]") || document.querySelector(".row .result p.stop"));
    return await page.locator("#schedule-rows [data-kind=enrolled]").count();
  }));
  assert.deepEqual(enrolled.sort(), [0, 1]);
  const refused = pages[enrolled[0] === (await pages[0].locator("#schedule-rows [data-kind=enrolled]").count()) ? 0 : 1];
  await refused.getByRole("button", { name: "Join the waitlist (you'd be first)" }).click();
  await until(refused, () => /1st on the waitlist/.test(document.querySelector("#schedule-rows").textContent));
});

test("a drop can be undone, and is sent when the page closes", async () => {
  await hub.term("drop", WEEK);
  for (const crn of [1, 5]) await hub.ask("student", "PUT", `/api/v1/me/registrations/drop-${crn}`);
  const page = await open(chrome, hub, "/?term=drop", { user: "student" });
  await scheduleRow(page, "MATH 151").getByRole("button", { name: /^Drop/ }).click();
  await until(page, () => /Undo keeps your seat/.test(document.querySelector("#schedule-rows").textContent));
  await scheduleRow(page, "MATH 151").getByRole("button", { name: /^Undo/ }).click();
  assert.deepEqual(await hub.registrations("student", "drop"), ["1 enrolled", "5 enrolled"]);
  await scheduleRow(page, "ARTS 105").getByRole("button", { name: /^Drop/ }).click();
  await until(page, () => /Undo keeps your seat/.test(document.querySelector("#schedule-rows").textContent));
  await page.close();
  for (let found = []; found.length !== 1; found = await hub.registrations("student", "drop")) await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual(await hub.registrations("student", "drop"), ["1 enrolled"]);
});

test("the button beside a dropped section is named for what it does", async () => {
  await hub.term("gone", WEEK);
  await hub.ask("student", "PUT", "/api/v1/me/registrations/gone-1");
  await hub.ask("student", "PUT", "/api/v1/me/plan", { sections: ["gone-5"] });
  const page = await open(chrome, hub, "/?term=gone", { user: "student" });
  await scheduleRow(page, "ARTS 105").getByRole("button", { name: /^Remove from plan/ }).waitFor();
  // The response arrives after the frame about the drop.
  await page.route("**/registrations/gone-1", async (route) => {
    const response = await route.fetch();
    await until(page, () => !document.querySelector("#schedule-rows > [data-kind=enrolled]"));
    await route.fulfill({ response });
  });
  await scheduleRow(page, "MATH 151").getByRole("button", { name: /^Drop/ }).click();
  await scheduleRow(page, "Dropped.").waitFor();
  const names = await scheduleRow(page, "MATH 151").locator(".act button").evaluateAll((all) => all.map((one) => [one.title, one.ariaLabel]));
  assert.deepEqual(names, [["Dismiss", "Dismiss: MATH 151 lecture (1)"]]);
  await scheduleRow(page, "MATH 151").getByRole("button", { name: /^Dismiss/ }).click();
  await until(page, () => document.querySelectorAll("#schedule-rows > li").length === 1);
  assert.deepEqual(page.wrong, []);
});

test("the page reconnects after a restart and loses nothing", async () => {
  await hub.term("again", WEEK);
  const page = await open(chrome, hub, "/?term=again", { user: "student" });
  await rows(5)(page);
  await row(page, "Calculus").getByRole("button", { name: /^Register/ }).click();
  await until(page, () => document.querySelector("#schedule-rows [data-kind=enrolled]"));
  await page.fill("#q", "phys");
  await rows(1)(page);
  await hub.stop();
  await until(page, () => /Reconnecting, last updated/.test(document.querySelector("#live").textContent));
  await row(page, "Physics").getByRole("button", { name: /^Register/ }).click();
  await until(page, () => /safe to try again/.test(document.querySelector(".row").textContent));
  await hub.run();
  await until(page, () => document.querySelector("#live").dataset.state === "live");
  assert.equal(await page.inputValue("#q"), "phys");
  await page.fill("#q", "art");
  await row(page, "Dibujo").getByRole("button", { name: /^Register/ }).click();
  await until(page, () => document.querySelectorAll("#schedule-rows [data-kind=enrolled]").length === 2);
  assert.deepEqual(await hub.registrations("student", "again"), ["1 enrolled", "5 enrolled"]);
});

test("a hub that is killed in a rush loses no seat", async () => {
  await hub.term("rush", ["1,MATH 151,Calculus I,A01,lecture,5,30,0,MWF,09:00-09:50,Lee", "2,PHYS 101,Physics,A01,lecture,4,40,3,TR,09:30-10:20,Curie", "3,ARTS 105,Drawing,S01,studio,3,20,5,F,18:00-20:50,Goya"]);
  const page = await open(chrome, hub, "/?term=rush", { user: "student" });
  await rows(3)(page);
  await row(page, "Calculus").getByRole("button", { name: /^Register/ }).click();
  await until(page, () => document.querySelector("#schedule-rows [data-kind=enrolled]"));

  // Sixty other students request the thirty seats, four at a time, and retry until the hub responds.
  const [others, enrolled, refused] = [tokens(hub, 60), [], []];
  let killed = null;
  const register = async (token) => {
    for (;;) {
      try {
        const response = await fetch(`${hub.url}/api/v1/me/registrations/rush-1`, { method: "PUT", headers: { Authorization: `Bearer ${token}` } });
        if (!response.ok && response.status !== 409) continue;
        (response.ok ? enrolled : refused).push(token);
        if (enrolled.length === 10) killed = hub.stop();
        return;
      } catch { /* The hub is down. */ }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  const lane = async () => { while (others.length) await register(others.shift()); };
  const rush = Promise.all([lane(), lane(), lane(), lane()]);
  await until(page, () => /Reconnecting, last updated/.test(document.querySelector("#live").textContent));
  await killed;
  await row(page, "Physics").getByRole("button", { name: /^Register/ }).click();
  await until(page, () => /safe to try again/.test(document.querySelector("#rows").textContent));
  assert.ok(others.length > 0, "the rush still runs when the hub is killed");
  await hub.run();
  await row(page, "Physics").getByRole("button", { name: "Try again" }).click();
  await rush;
  await until(page, () => document.querySelector("#live").dataset.state === "live" && document.querySelectorAll("#schedule-rows [data-kind=enrolled]").length === 2);
  assert.deepEqual([enrolled.length, refused.length], [29, 31]);

  // The page shows what the hub has.
  assert.deepEqual(await hub.registrations("student", "rush"), ["1 enrolled", "2 enrolled"]);
  const { items } = await hub.ask("staff", "GET", "/api/v1/sections/rush-1/roster");
  assert.equal(items.filter(({ status }) => status === "enrolled").length, 30);
  const { seats } = await hub.ask("student", "GET", "/api/v1/seats?term=rush");
  const taken = seats.map(([, capacity, enrolled]) => `${enrolled} of ${capacity} seats taken`).sort();
  assert.deepEqual(taken, ["0 of 20 seats taken", "1 of 40 seats taken", "30 of 30 seats taken"]);
  await until(page, (taken) => String([...document.querySelectorAll(".row .seats")].map(({ title }) => title).sort()) === String(taken), taken);
  assert.deepEqual(page.wrong, []);
});

test("without a WebSocket, the page polls and says so", async () => {
  await hub.term("poll", WEEK);
  const page = await open(chrome, hub, "/?term=poll", { user: "student", script: "window.WebSocket = class { constructor() { setTimeout(() => this.onclose?.({ code: 1006, reason: '' })); } close() {} };" });
  await rows(5)(page);
  await until(page, () => document.querySelector("#live").dataset.state === "polling");
  await hub.ask("staff", "PATCH", "/api/v1/sections/poll-1", { capacity: 77 });
  await until(page, () => /77 left/.test(document.querySelector("#rows").textContent));
});

test("the page says that it is connecting until the hub responds", async () => {
  const page = await open(chrome, hub, "/", { locale: "es-MX", script: "window.WebSocket = class { close() {} send() {} };" });
  await until(page, () => document.querySelector("#who a"));
  assert.equal(await page.textContent("#live [role=status]"), "Conectando");
});

test("a student can register, drop and swap by keyboard", async () => {
  await hub.term("keys", WEEK);
  const page = await open(chrome, hub, "/?term=keys", { user: "student" });
  await rows(5)(page);
  await until(page, () => document.querySelectorAll(".row .act button").length >= 5);
  // The first Tab stop is the skip link to the search.
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await until(page, () => document.activeElement.id === "q");
  await page.keyboard.type("calc");
  await rows(1)(page);
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await until(page, () => /CRN/.test(document.querySelector(".row .details").textContent));
  await page.keyboard.press("Tab");
  assert.match(await page.evaluate(() => document.activeElement.getAttribute("aria-label")), /^Register: MATH 151/);
  await page.keyboard.press("Enter");
  await until(page, () => document.querySelector("#schedule-rows [data-kind=enrolled]") && /Drop/.test(document.querySelector(".row .act").textContent));
  assert.ok(await page.evaluate(() => document.querySelector(".row .act").contains(document.activeElement)), "the focus stays in the row's actions");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await until(page, () => /Undo keeps your seat/.test(document.querySelector(".row").textContent));
  await page.keyboard.press("Tab");
  assert.match(await page.evaluate(() => document.activeElement.textContent), /^Undo/);
  await page.keyboard.press("Enter");
  await until(page, () => /Enrolled/.test(document.querySelector(".row .act").textContent));

  // A refusal and its next step.
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("ControlOrMeta+a");
  await page.keyboard.type("physics");
  await until(page, () => document.querySelector(".row .course")?.textContent === "PHYS 101");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await until(page, () => /Overlaps MATH 151/.test(document.querySelector(".row .result").textContent));
  const focused = () => page.evaluate(() => document.activeElement.textContent);
  for (let tabs = 0; !/^Swap/.test(await focused()) && tabs < 5; tabs += 1) await page.keyboard.press("Tab");
  assert.match(await focused(), /^Swap with MATH 151/);
  await page.keyboard.press("Enter");
  await until(page, () => /Enrolled/.test(document.querySelector(".row .act").textContent));
  assert.deepEqual(await hub.registrations("student", "keys"), ["2 enrolled"]);
});

test("on a phone, registering for the plan scrolls to the results", async () => {
  await hub.term("thumb", WEEK);
  await hub.ask("student", "PUT", "/api/v1/me/plan", { sections: ["thumb-1", "thumb-2", "thumb-4"] });
  const page = await open(chrome, hub, "/?term=thumb", { user: "student", width: 390, height: 700 });
  await rows(5)(page);
  await page.getByRole("button", { name: "Register for 3 sections" }).click();
  await until(page, () => document.querySelectorAll("#schedule-rows [data-kind=enrolled]").length === 2 && /Overlaps MATH 151/.test(document.querySelector("#schedule-rows").textContent));
  await until(page, () => {
    const [first, bar] = ["#schedule-rows > li", "#views"].map((at) => document.querySelector(at).getBoundingClientRect());
    return document.body.dataset.view === "term" && first.top >= 0 && first.bottom < bar.top;
  });
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 390);
});

test("on a phone, tabs fit 320 pixels and keep their scroll position", async () => {
  await hub.ask("student", "PUT", "/api/v1/me/plan", { sections: [] });
  const page = await open(chrome, hub, "/?term=many", { user: "student", width: 320, height: 640 });
  await wholeTerm(page);
  await page.evaluate(() => scrollTo(0, 20_000));
  await until(page, () => [...document.querySelectorAll(".row")].some((row) => Number(row.dataset.index) > 150));
  const shown = () => page.evaluate(() => ["find", "term", "alerts"].filter((name) => document.querySelector(`[data-view-name=${name}]`).checkVisibility()));
  assert.deepEqual(await shown(), ["find"]);
  for (const [name, view] of [["My schedule", "term"], ["Alerts", "alerts"]]) {
    await page.locator("#views a", { hasText: name }).click();
    await until(page, (view) => document.body.dataset.view === view, view);
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 320);
  }
  assert.deepEqual(await shown(), ["alerts"]);
  await page.locator("#views a", { hasText: "Find" }).click();
  await until(page, () => scrollY > 19_000);
});

/** Returns the texts, labels and hints on the page that are English and not Spanish. */
const englishTexts = async (page) => {
  const only = allTexts(EN).filter((one) => hasWords(one) && !SPANISH.has(one)).map(pattern);
  const spanish = [...SPANISH].filter(hasWords).map(pattern);
  const said = await page.evaluate(() => {
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const found = [document.title];
    while (walk.nextNode()) if (!walk.currentNode.parentElement.closest("body [lang], noscript")) found.push(walk.currentNode.data);
    for (const el of document.querySelectorAll("[aria-label], [placeholder], [title]")) found.push(el.ariaLabel, el.placeholder, el.title);
    return found.filter(Boolean).map((one) => one.trim());
  });
  return said.filter((one) => only.some((text) => text.test(one)) && !spanish.some((text) => text.test(one)));
};

test("the Spanish page has no English text", async () => {
  await hub.term("es", WEEK);
  await hub.ask("staff", "PATCH", "/api/v1/sections/es-2", { capacity: 0 });
  const page = await open(chrome, hub, "/?term=es&q=basico", { user: "student", locale: "es-MX" });
  await rows(1)(page);
  assert.equal(await page.evaluate(() => document.documentElement.lang), "es");
  await page.getByRole("button", { name: /^Inscribirse: ARTS 105/ }).click();
  await until(page, () => /Inscrita/.test(document.querySelector("#schedule-rows").textContent));
  await page.fill("#q", "");
  await rows(5)(page);
  await row(page, "Physics").getByRole("button", { name: /^Entrar en la lista/ }).click();
  await row(page, "Calculus").locator(".name").click();
  await row(page, "Calculus").getByRole("button", { name: /^Inscribirse/ }).click();
  await until(page, () => /Choca con PHYS 101/.test(document.querySelector("#rows .result .stop")?.textContent) && /1\.º en la lista de espera/.test(document.querySelector("#schedule-rows").textContent));
  await scheduleRow(page, "ARTS 105").getByRole("button", { name: /^Dar de baja/ }).click();
  await until(page, () => /Deshacer/.test(document.querySelector("#schedule-rows").textContent));
  assert.deepEqual(await englishTexts(page), []);
  await scheduleRow(page, "ARTS 105").getByRole("button", { name: /^Deshacer/ }).click();
  await page.locator("#views a", { hasText: "Alertas" }).click();
  await page.locator("#archive summary").click();
  await until(page, () => document.querySelector("#archive-list").childElementCount > 0 && !/Cargando/.test(document.querySelector("#archive-list").textContent));
  assert.deepEqual(await englishTexts(page), []);
  await page.locator("#views a", { hasText: "Mi horario" }).click();
  await page.getByRole("button", { name: "English" }).click();
  await until(page, () => /Enrolled/.test(document.querySelector("#schedule-rows").textContent) && document.documentElement.lang === "en");
  assert.ok((await englishTexts(page)).length > 5, "the search for English texts finds them on the English page");
  await page.reload();
  await until(page, () => /Registration is open/.test(document.querySelector("#opening").textContent));
});

test("Spanish uses the time format of the browser's region", async () => {
  await hub.term("region", WEEK);
  const page = await open(chrome, hub, "/?term=region", { locale: "en-US" });
  await rows(5)(page);
  await page.getByRole("button", { name: "Español" }).click();
  await until(page, () => document.documentElement.lang === "es" && /teoría/.test(document.querySelector("#rows").textContent));
  assert.match(await row(page, "Dibujo").locator(".when").textContent(), /\b6:00.+8:50.+p/);
  // The state of the connection changes in the chosen language, too.
  await until(page, () => document.querySelector("#live").textContent === "En vivo");
});

test("an emergency is an ARIA alert above all content and takes no focus", async () => {
  const page = await open(chrome, hub, "/?term=many", { user: "student" });
  await until(page, () => document.querySelector("#live").dataset.state === "live");
  await page.focus("#q");
  const { id } = await hub.ask("staff", "POST", "/api/v1/alerts", { title: "Leave the Science building now", message: "Use the nearest exit.", priority: "critical", category: "emergency", audience: { all: true } });
  await until(page, () => /Leave the Science building now/.test(document.querySelector("#urgent[role=alert]").textContent));
  assert.equal(await page.evaluate(() => document.activeElement.id), "q");
  assert.equal(await page.evaluate(() => document.elementFromPoint(20, 20).closest("#urgent") !== null), true);
  await page.locator("#urgent").getByRole("button", { name: "Confirm" }).click();
  await until(page, () => !document.querySelector("#urgent").textContent);
  await page.locator("#views a", { hasText: "Alerts" }).click();
  await until(page, () => /Leave the Science/.test(document.querySelector("#alert-list").textContent));
  await hub.ask("staff", "DELETE", `/api/v1/alerts/${id}`);
  await until(page, () => !/Leave the Science/.test(document.querySelector("#alert-list").textContent));
});

test("a module that fails to load at sign-in is loaded again", async () => {
  await hub.term("part", WEEK);
  const page = await open(chrome, hub, "/?term=part");
  await rows(5)(page);
  await page.route("**/student/workspace.js", (route) => route.abort());
  await page.fill("[name=username]", "student2");
  await page.fill("[name=password]", "eduhub-demo");
  await page.keyboard.press("Enter");
  await until(page, () => /Couldn't reach the server/.test(document.querySelector("#note").textContent));
  assert.equal(await row(page, "Calculus").getByRole("button", { name: /^Register/ }).count(), 0, "no Register button before the registrations are known");
  await page.unroute("**/student/workspace.js");
  await row(page, "Calculus").getByRole("button", { name: /^Register/ }).click();
  await until(page, () => document.querySelector("#schedule-rows [data-kind=enrolled]"));
  assert.deepEqual(await hub.registrations("student2", "part"), ["1 enrolled"]);
});

test("a section that a visitor chose is planned after the sign-in", async () => {
  await hub.term("in", WEEK);
  await hub.ask("student2", "PUT", "/api/v1/me/plan", { sections: [] });
  const page = await open(chrome, hub, "/?term=in");
  await rows(5)(page);
  await row(page, "Calculus").getByRole("button", { name: /^Add to plan/ }).click();
  assert.match(await page.textContent("#sign-in"), /Sign in to plan MATH 151/);
  await page.fill("[name=username]", "student2");
  await page.fill("[name=password]", "wrong");
  await page.keyboard.press("Enter");
  await until(page, () => /Incorrect username or password/.test(document.querySelector("#sign-in").textContent));
  await page.fill("[name=password]", "eduhub-demo");
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Register for 1 section" }).click();
  await until(page, () => document.querySelector("#schedule-rows [data-kind=enrolled]"));
  assert.deepEqual(await hub.registrations("student2", "in"), ["1 enrolled"]);
});
