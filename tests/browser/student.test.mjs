// The student's page, as a student uses it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, Hub, open, row, rows, until } from "./support.mjs";
import { tokens } from "./crowd.mjs";
import EN from "../../static/js/words/en.js";
import ES from "../../static/js/words/es.js";

const sentences = (words) => Object.values(words).flatMap((one) => typeof one === "string" ? [one] : Object.values(one));
const SPANISH = new Set(sentences(ES));
/** A sentence with anything filled in. */
const filled = (text) => new RegExp(`^${text.split(/\{\w+\}/).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join(".+")}$`, "su");
/** Whether a sentence is its own whatever is filled in: `{from} to {to}` may be anybody's. */
const hasWords = (text) => !text.includes("{") || text.replace(/\{\w+\}|\P{L}/gu, "").length > 4;

let hub, chrome;
before(async () => { [hub, chrome] = await Promise.all([Hub.start(), browser()]); });
after(async () => { await chrome?.close(); await hub?.end(); });

const WEEK = [
  "1,MATH 151,Calculus I,A01,lecture,5,2,3,MWF,09:00-09:50,Lee", "2,PHYS 101,Physics,A01,lecture,4,1,3,MWF,09:30-10:20,Curie",
  "3,CHEM 101,Chemistry,A01,lecture,4,1,2,TR,09:00-10:20,Franklin", "4,CHEM 101,Chemistry,A02,lecture,4,9,2,TR,13:00-14:20,Franklin",
  "5,ARTS 105,Dibujo básico,S01,studio,3,5,0,F,18:00-20:50,Goya",
];
/** The whole of the large term is in the page. */
const whole = (page) => until(page, () => document.querySelector("#found").textContent.startsWith("3,000") && document.querySelectorAll("#subject option").length === 4);
const line = (page, course) => page.locator("#lines > li", { hasText: course });

test("a search over thousands of sections is in the address, and only what is in sight exists", async () => {
  const many = Array.from({ length: 3000 }, (_, i) => `${10001 + i},${["ACCT", "BIOL", "MATH"][i % 3]} ${100 + Math.floor(i / 30)},Title ${i},A${String(i % 30).padStart(2, "0")},lecture,3,${i % 7},0,MW,09:00-09:50,Lee`);
  await hub.term("many", many);
  const page = await open(chrome, hub, "/?term=many");
  await whole(page);
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

test("a plan is made before the opening, clashes are shown, and the button comes by itself", async () => {
  await hub.term("soon", WEEK, { opensIn: 12 });
  const page = await open(chrome, hub, "/?term=soon", { user: "student" });
  await rows(5)(page);
  for (const crn of ["A01 lectureChemistry", "A01 lectureCalculus", "A01 lecturePhysics", "S01"]) await row(page, crn).getByRole("button", { name: /^Plan/ }).click();
  await until(page, () => document.querySelectorAll("#lines > li").length === 4);
  assert.match(await page.textContent("#clashes"), /MATH 151.*PHYS 101.*overlap.*9:30/);
  assert.match(await row(page, "A02").locator(".who").textContent(), /In your week: CHEM 101/);
  assert.match(await page.textContent("#opening"), /You don't need to refresh: this page opens by itself/);
  // The one seat of chemistry goes before it opens.
  await hub.ask("staff", "PATCH", "/api/v1/sections/soon-3", { capacity: 0 });
  await page.getByRole("button", { name: "Register for 4 sections" }).click();
  await until(page, () => document.querySelectorAll("#lines [data-kind=enrolled]").length === 2 && document.querySelectorAll("#lines .answers p.stop").length === 2);
  assert.match(await line(page, "PHYS 101").textContent(), /Overlaps MATH 151/);
  assert.deepEqual(await hub.held("student", "soon"), ["1 enrolled", "5 enrolled"]);

  // What is left cannot be had as it stands: the button steps back.
  await until(page, () => /All of them are full, closed or overlap another/.test(document.querySelector("#opening").textContent));
  assert.equal(await page.locator("#go.primary").count(), 0);
  // Each refusal has its next step beside it.
  await line(page, "CHEM 101").getByRole("button", { name: "Join the waitlist, first in line" }).click();
  await until(page, () => /1st in line/.test(document.querySelector("#lines").textContent));
  await line(page, "PHYS 101").getByRole("button", { name: /Swap with MATH 151/ }).click();
  await until(page, () => /Dropped/.test(document.querySelector("#lines").textContent));
  assert.deepEqual(await hub.held("student", "soon"), ["2 enrolled", "3 waitlisted", "5 enrolled"]);
  assert.deepEqual(page.wrong, []);
});

test("somebody who waits is told their place, and gets the seat that becomes free without a press", async () => {
  await hub.term("line", WEEK);
  await hub.ask("student2", "PUT", "/api/v1/me/registrations/line-3");
  const page = await open(chrome, hub, "/?term=line", { user: "student" });
  await rows(5)(page);
  await row(page, "A01 lectureChemistry").getByRole("button", { name: /^Join waitlist/ }).click();
  await until(page, () => /1st in line/.test(document.querySelector("#lines").textContent));
  await page.evaluate(() => document.querySelector("#q").focus());
  await hub.ask("student2", "DELETE", "/api/v1/me/registrations/line-3");
  await until(page, () => /A seat became free, and it is yours/.test(document.querySelector("#lines").textContent));
  assert.match(await page.textContent("#spoken"), /CHEM 101.*it is yours/);
  assert.equal(await page.evaluate(() => document.activeElement.id), "q", "nothing takes the focus");
  assert.deepEqual(await hub.held("student", "line"), ["3 enrolled"]);
});

test("two browsers ask for one last seat: one has it, the other is told what can be done", async () => {
  await hub.term("last", WEEK);
  const pages = await Promise.all(["student", "student2"].map((user) => open(chrome, hub, "/?term=last", { user })));
  await Promise.all(pages.map(rows(5)));
  const buttons = await Promise.all(pages.map((page) => row(page, "Physics").getByRole("button", { name: /^Register/ }).elementHandle()));
  await Promise.all(buttons.map((button) => button.evaluate((el) => el.click())));
  const ends = await Promise.all(pages.map(async (page) => {
    await until(page, () => document.querySelector("#lines [data-kind=enrolled]") || document.querySelector(".row .answers p.stop"));
    return await page.locator("#lines [data-kind=enrolled]").count();
  }));
  assert.deepEqual(ends.sort(), [0, 1]);
  const loser = pages[ends[0] === (await pages[0].locator("#lines [data-kind=enrolled]").count()) ? 0 : 1];
  await loser.getByRole("button", { name: "Join the waitlist, first in line" }).click();
  await until(loser, () => /1st in line/.test(document.querySelector("#lines").textContent));
});

test("a drop can be taken back, and is sent at the latest as the page is closed", async () => {
  await hub.term("drop", WEEK);
  for (const crn of [1, 5]) await hub.ask("student", "PUT", `/api/v1/me/registrations/drop-${crn}`);
  const page = await open(chrome, hub, "/?term=drop", { user: "student" });
  await line(page, "MATH 151").getByRole("button", { name: /^Drop/ }).click();
  await until(page, () => /Your seat is still yours/.test(document.querySelector("#lines").textContent));
  await line(page, "MATH 151").getByRole("button", { name: /^Undo/ }).click();
  assert.deepEqual(await hub.held("student", "drop"), ["1 enrolled", "5 enrolled"]);
  await line(page, "ARTS 105").getByRole("button", { name: /^Drop/ }).click();
  await until(page, () => /Your seat is still yours/.test(document.querySelector("#lines").textContent));
  await page.close();
  for (let held = []; held.length !== 1; held = await hub.held("student", "drop")) await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual(await hub.held("student", "drop"), ["1 enrolled"]);
});

test("the hub is restarted in the middle: the page says so, comes back, and has lost nothing", async () => {
  await hub.term("again", WEEK);
  const page = await open(chrome, hub, "/?term=again", { user: "student" });
  await rows(5)(page);
  await row(page, "Calculus").getByRole("button", { name: /^Register/ }).click();
  await until(page, () => document.querySelector("#lines [data-kind=enrolled]"));
  await page.fill("#q", "phys");
  await rows(1)(page);
  await hub.stop();
  await until(page, () => /Reconnecting, numbers as of/.test(document.querySelector("#live").textContent));
  await row(page, "Physics").getByRole("button", { name: /^Register/ }).click();
  await until(page, () => /Asking again is safe/.test(document.querySelector(".row").textContent));
  await hub.run();
  await until(page, () => document.querySelector("#live").dataset.state === "live");
  assert.equal(await page.inputValue("#q"), "phys");
  await page.fill("#q", "art");
  await row(page, "Dibujo").getByRole("button", { name: /^Register/ }).click();
  await until(page, () => document.querySelectorAll("#lines [data-kind=enrolled]").length === 2);
  assert.deepEqual(await hub.held("student", "again"), ["1 enrolled", "5 enrolled"]);
});

test("the hub is killed in the middle of a rush: the page comes back to what the hub kept, and nobody lost a seat", async () => {
  await hub.term("rush", ["1,MATH 151,Calculus I,A01,lecture,5,30,0,MWF,09:00-09:50,Lee", "2,PHYS 101,Physics,A01,lecture,4,40,3,TR,09:30-10:20,Curie", "3,ARTS 105,Drawing,S01,studio,3,20,5,F,18:00-20:50,Goya"]);
  const page = await open(chrome, hub, "/?term=rush", { user: "student" });
  await rows(3)(page);
  await row(page, "Calculus").getByRole("button", { name: /^Register/ }).click();
  await until(page, () => document.querySelector("#lines [data-kind=enrolled]"));

  // Sixty others want the thirty seats, a few at a time, and ask again until they are answered.
  const [others, enrolled, refused] = [tokens(hub, 60), [], []];
  let killed = null;
  const want = async (token) => {
    for (;;) {
      try {
        const answer = await fetch(`${hub.url}/api/v1/me/registrations/rush-1`, { method: "PUT", headers: { Authorization: `Bearer ${token}` } });
        if (!answer.ok && answer.status !== 409) continue;
        (answer.ok ? enrolled : refused).push(token);
        if (enrolled.length === 10) killed = hub.stop();
        return;
      } catch { /* The hub is away. */ }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  const lane = async () => { while (others.length) await want(others.shift()); };
  const rush = Promise.all([lane(), lane(), lane(), lane()]);
  await until(page, () => /Reconnecting, numbers as of/.test(document.querySelector("#live").textContent));
  await killed;
  await row(page, "Physics").getByRole("button", { name: /^Register/ }).click();
  await until(page, () => /Asking again is safe/.test(document.querySelector("#rows").textContent));
  assert.ok(others.length > 0, "the rush is not over");
  await hub.run();
  await row(page, "Physics").getByRole("button", { name: "Ask again" }).click();
  await rush;
  await until(page, () => document.querySelector("#live").dataset.state === "live" && document.querySelectorAll("#lines [data-kind=enrolled]").length === 2);
  assert.deepEqual([enrolled.length, refused.length], [29, 31]);

  // What the page says is what the hub has.
  assert.deepEqual(await hub.held("student", "rush"), ["1 enrolled", "2 enrolled"]);
  const { items } = await hub.ask("staff", "GET", "/api/v1/sections/rush-1/roster");
  assert.equal(items.filter(({ status }) => status === "enrolled").length, 30);
  const { seats } = await hub.ask("student", "GET", "/api/v1/seats?term=rush");
  const taken = seats.map(([, capacity, enrolled]) => `${enrolled} of ${capacity} seats taken`).sort();
  assert.deepEqual(taken, ["0 of 20 seats taken", "1 of 40 seats taken", "30 of 30 seats taken"]);
  await until(page, (taken) => String([...document.querySelectorAll(".row .seats")].map(({ title }) => title).sort()) === String(taken), taken);
  assert.deepEqual(page.wrong, []);
});

test("where no WebSocket gets through, the page asks, and says that it does", async () => {
  await hub.term("poll", WEEK);
  const page = await open(chrome, hub, "/?term=poll", { user: "student", script: "window.WebSocket = class { constructor() { setTimeout(() => this.onclose?.({ code: 1006, reason: '' })); } close() {} };" });
  await rows(5)(page);
  await until(page, () => document.querySelector("#live").dataset.state === "polling");
  await hub.ask("staff", "PATCH", "/api/v1/sections/poll-1", { capacity: 77 });
  await until(page, () => /77 left/.test(document.querySelector("#rows").textContent));
});

test("everything can be done with the keyboard", async () => {
  await hub.term("keys", WEEK);
  const page = await open(chrome, hub, "/?term=keys", { user: "student" });
  await rows(5)(page);
  // The first thing that Tab comes to leads past everything else.
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.keyboard.type("calc");
  await rows(1)(page);
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await until(page, () => /CRN/.test(document.querySelector(".row .details").textContent));
  await page.keyboard.press("Tab");
  assert.match(await page.evaluate(() => document.activeElement.getAttribute("aria-label")), /^Register: MATH 151/);
  await page.keyboard.press("Enter");
  await until(page, () => document.querySelector("#lines [data-kind=enrolled]") && /Drop/.test(document.querySelector(".row .act").textContent));
  assert.ok(await page.evaluate(() => document.querySelector(".row .act").contains(document.activeElement)), "the focus stays where it was");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await until(page, () => /Your seat is still yours/.test(document.querySelector(".row").textContent));
  await page.keyboard.press("Tab");
  assert.match(await page.evaluate(() => document.activeElement.textContent), /^Undo/);
  await page.keyboard.press("Enter");
  await until(page, () => /Enrolled/.test(document.querySelector(".row .act").textContent));

  // A refusal, and its next step.
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("ControlOrMeta+a");
  await page.keyboard.type("physics");
  await until(page, () => document.querySelector(".row .course")?.textContent === "PHYS 101");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await until(page, () => /Overlaps MATH 151/.test(document.querySelector(".row .answers").textContent));
  const focused = () => page.evaluate(() => document.activeElement.textContent);
  for (let tabs = 0; !/^Swap/.test(await focused()) && tabs < 5; tabs += 1) await page.keyboard.press("Tab");
  assert.match(await focused(), /^Swap with MATH 151/);
  await page.keyboard.press("Enter");
  await until(page, () => /Enrolled/.test(document.querySelector(".row .act").textContent));
  assert.deepEqual(await hub.held("student", "keys"), ["2 enrolled"]);
});

test("on a phone one press takes all that is planned, and the answers come into sight", async () => {
  await hub.term("thumb", WEEK);
  await hub.ask("student", "PUT", "/api/v1/me/plan", { sections: ["thumb-1", "thumb-2", "thumb-4"] });
  const page = await open(chrome, hub, "/?term=thumb", { user: "student", width: 390, height: 700 });
  await rows(5)(page);
  await page.getByRole("button", { name: "Register for 3 sections" }).click();
  await until(page, () => document.querySelectorAll("#lines [data-kind=enrolled]").length === 2 && /Overlaps MATH 151/.test(document.querySelector("#lines").textContent));
  await until(page, () => {
    const [first, bar] = ["#lines > li", "#views"].map((at) => document.querySelector(at).getBoundingClientRect());
    return document.body.dataset.view === "term" && first.top >= 0 && first.bottom < bar.top;
  });
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 390);
});

test("on a phone there are three tabs, nothing is wider than 320 pixels, and each tab keeps its place", async () => {
  await hub.ask("student", "PUT", "/api/v1/me/plan", { sections: [] });
  const page = await open(chrome, hub, "/?term=many", { user: "student", width: 320, height: 640 });
  await whole(page);
  await page.evaluate(() => scrollTo(0, 20_000));
  await until(page, () => [...document.querySelectorAll(".row")].some((row) => Number(row.dataset.index) > 150));
  const shown = () => page.evaluate(() => ["find", "term", "alerts"].filter((name) => document.querySelector(`[data-view-name=${name}]`).checkVisibility()));
  assert.deepEqual(await shown(), ["find"]);
  for (const [name, view] of [["My term", "term"], ["Alerts", "alerts"]]) {
    await page.locator("#views a", { hasText: name }).click();
    await until(page, (view) => document.body.dataset.view === view, view);
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 320);
  }
  assert.deepEqual(await shown(), ["alerts"]);
  await page.locator("#views a", { hasText: "Find" }).click();
  await until(page, () => scrollY > 19_000);
});

/** What is said in English and not in Spanish, of all that the page says in words, labels and hints. */
const english = async (page) => {
  const only = sentences(EN).filter((one) => hasWords(one) && !SPANISH.has(one)).map(filled);
  const spanish = [...SPANISH].filter(hasWords).map(filled);
  const said = await page.evaluate(() => {
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const found = [document.title];
    while (walk.nextNode()) if (!walk.currentNode.parentElement.closest("body [lang], noscript")) found.push(walk.currentNode.data);
    for (const el of document.querySelectorAll("[aria-label], [placeholder], [title]")) found.push(el.ariaLabel, el.placeholder, el.title);
    return found.filter(Boolean).map((one) => one.trim());
  });
  return said.filter((one) => only.some((text) => text.test(one)) && !spanish.some((text) => text.test(one)));
};

test("in Spanish, everything is in Spanish; the switch is remembered", async () => {
  await hub.term("es", WEEK);
  await hub.ask("staff", "PATCH", "/api/v1/sections/es-2", { capacity: 0 });
  const page = await open(chrome, hub, "/?term=es&q=basico", { user: "student", locale: "es-MX" });
  await rows(1)(page);
  assert.equal(await page.evaluate(() => document.documentElement.lang), "es");
  await page.getByRole("button", { name: /^Inscribirse: ARTS 105/ }).click();
  await until(page, () => /Inscrito/.test(document.querySelector("#lines").textContent));
  await page.fill("#q", "");
  await rows(5)(page);
  await row(page, "Physics").getByRole("button", { name: /^Lista de espera/ }).click();
  await row(page, "Calculus").locator(".name").click();
  await row(page, "Calculus").getByRole("button", { name: /^Inscribirse/ }).click();
  await until(page, () => /Coincide con PHYS 101/.test(document.querySelector("#rows .answers .stop")?.textContent) && /1\.º en espera/.test(document.querySelector("#lines").textContent));
  await line(page, "ARTS 105").getByRole("button", { name: /^Renunciar/ }).click();
  await until(page, () => /Deshacer/.test(document.querySelector("#lines").textContent));
  assert.deepEqual(await english(page), []);
  await line(page, "ARTS 105").getByRole("button", { name: /^Deshacer/ }).click();
  await page.locator("#views a", { hasText: "Avisos" }).click();
  await page.locator("#archive summary").click();
  await until(page, () => document.querySelector("#archive-list").childElementCount > 0 && !/Cargando/.test(document.querySelector("#archive-list").textContent));
  assert.deepEqual(await english(page), []);
  await page.locator("#views a", { hasText: "Mi periodo" }).click();
  await page.getByRole("button", { name: "English" }).click();
  await until(page, () => /Enrolled/.test(document.querySelector("#lines").textContent) && document.documentElement.lang === "en");
  assert.ok((await english(page)).length > 5, "what is looked for can be found");
  await page.reload();
  await until(page, () => /Registration is open/.test(document.querySelector("#opening").textContent));
});

test("an emergency stands above everything, is an alert to a screen reader, and takes no focus", async () => {
  const page = await open(chrome, hub, "/?term=many", { user: "student" });
  await until(page, () => document.querySelector("#live").dataset.state === "live");
  await page.focus("#q");
  const { id } = await hub.ask("staff", "POST", "/api/v1/alerts", { title: "Leave the Science building now", message: "Use the nearest exit.", priority: "critical", category: "emergency", audience: { all: true } });
  await until(page, () => /Leave the Science building now/.test(document.querySelector("#urgent[role=alert]").textContent));
  assert.equal(await page.evaluate(() => document.activeElement.id), "q");
  assert.equal(await page.evaluate(() => document.elementFromPoint(20, 20).closest("#urgent") !== null), true);
  await page.locator("#urgent").getByRole("button", { name: "I have read this" }).click();
  await until(page, () => !document.querySelector("#urgent").textContent);
  await page.locator("#views a", { hasText: "Alerts" }).click();
  await until(page, () => /Leave the Science/.test(document.querySelector("#alert-list").textContent));
  await hub.ask("staff", "DELETE", `/api/v1/alerts/${id}`);
  await until(page, () => !/Leave the Science/.test(document.querySelector("#alert-list").textContent));
});

test("a part of the page that did not arrive as somebody signed in is asked for again", async () => {
  await hub.term("part", WEEK);
  const page = await open(chrome, hub, "/?term=part");
  await rows(5)(page);
  await page.route("**/student/own.js", (route) => route.abort());
  await page.fill("[name=username]", "student2");
  await page.fill("[name=password]", "eduhub-demo");
  await page.keyboard.press("Enter");
  await until(page, () => /No answer came/.test(document.querySelector("#note").textContent));
  assert.equal(await row(page, "Calculus").getByRole("button", { name: /^Register/ }).count(), 0, "what is held is not known yet");
  await page.unroute("**/student/own.js");
  await row(page, "Calculus").getByRole("button", { name: /^Register/ }).click();
  await until(page, () => document.querySelector("#lines [data-kind=enrolled]"));
  assert.deepEqual(await hub.held("student2", "part"), ["1 enrolled"]);
});

test("a visitor who wants to plan signs in where they are, and has it planned", async () => {
  await hub.term("in", WEEK);
  await hub.ask("student2", "PUT", "/api/v1/me/plan", { sections: [] });
  const page = await open(chrome, hub, "/?term=in");
  await rows(5)(page);
  await row(page, "Calculus").getByRole("button", { name: /^Plan/ }).click();
  assert.match(await page.textContent("#sign-in"), /Sign in to plan MATH 151/);
  await page.fill("[name=username]", "student2");
  await page.fill("[name=password]", "wrong");
  await page.keyboard.press("Enter");
  await until(page, () => /do not go together/.test(document.querySelector("#sign-in").textContent));
  await page.fill("[name=password]", "eduhub-demo");
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Register for 1 section" }).click();
  await until(page, () => document.querySelector("#lines [data-kind=enrolled]"));
  assert.deepEqual(await hub.held("student2", "in"), ["1 enrolled"]);
});
