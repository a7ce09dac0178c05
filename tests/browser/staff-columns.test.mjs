// The Columns step of an import on the staff page.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { browser, csvFile, Hub, open, tabTo, until, violations } from "./support.mjs";

const SCHEDULES = path.resolve(import.meta.dirname, "../schedules");
/** A file with a title line, and with three column names that the importer does not know. Tests replace `TERM`. */
const FILE = "Spring 2031,,,\nterm,Nr,Kurs,Platz\nTERM,30001,AB 101,10\nTERM,30002,AB 102,20\n";

let hub, chrome;
before(async () => {
  [hub, chrome] = await Promise.all([Hub.start(), browser()]);
  await hub.term("desk", ["1,MATH 151,Calculus I,A01,lecture,5,2,3,MWF,09:00-09:50,Lee"]);
});
after(async () => { await chrome?.close(); await hub?.end(); });

const openImport = async (how = {}) => {
  const page = await open(chrome, hub, "/staff#import", { user: "staff", ...how });
  await page.selectOption("#which-term", "desk");
  return page;
};
const check = async (page, text, name) => {
  await page.setInputFiles("#import-form [name=file]", csvFile(text, name));
  await page.getByRole("button", { name: "Check file" }).click();
};
const shows = (page, pattern) => until(page, (source) => new RegExp(source).test(document.querySelector("#task").textContent), pattern);
const step = (page) => page.textContent("#steps [aria-current]");
/** Waits until a check with the current choices has ended and the step can be left. */
const ready = (page) => until(page, () => document.querySelector("#task .columns .primary")?.disabled === false);
const select = (page, name) => page.getByLabel(`Import column ${name} as`, { exact: true });

test("missing columns are chosen above the first rows, and the file is applied", async () => {
  const page = await openImport();
  await check(page, FILE.replaceAll("TERM", "cols"));
  await shows(page, "required fields have no column yet");
  assert.equal(await step(page), "Columns");
  // The hub has taken the title line for the header.
  await page.getByLabel("Header line").fill("2");
  await page.getByLabel("Header line").press("Tab");
  await until(page, () => document.querySelector("#task table td + th")?.nextElementSibling?.textContent === "Nr" || /Nr/.test(document.querySelector("#task thead").textContent));
  assert.match(await page.textContent("#task tbody tr"), /3.*cols.*30001.*AB 101.*10/);
  await page.getByRole("button", { name: "Use “Kurs” as Course" }).click();
  await until(page, () => !/Course: no column/.test(document.querySelector("#task").textContent));
  // Choosing a field for a second column takes it away from the first one.
  await select(page, "Nr").selectOption("capacity");
  await until(page, () => !/Capacity: no column/.test(document.querySelector("#task").textContent));
  await select(page, "Platz").selectOption("capacity");
  assert.equal(await select(page, "Nr").inputValue(), "");
  await select(page, "Nr").selectOption("crn");
  await ready(page);
  assert.match(await page.textContent("#task [role=status]"), /Every required field has a column/);
  await page.getByRole("button", { name: "Continue to review" }).click();
  await shows(page, "2 sections to add");
  assert.equal(await step(page), "Review the changes");
  await page.getByRole("button", { name: "Apply 2 changes from schedule.csv" }).click();
  await shows(page, "Imported");
  assert.equal((await hub.ask("staff", "GET", "/api/v1/sections/cols-30002")).capacity, 20);
});

test("a long check of the columns shows its progress, and a short one does not", async () => {
  const page = await openImport();
  let socket;
  await page.routeWebSocket(/\/alerts\/ws/, (one) => { socket = one; one.connectToServer(); });
  await page.reload();
  await page.selectOption("#which-term", "desk");
  await until(page, () => document.querySelector("#live").dataset.state === "live");
  await check(page, FILE.replaceAll("TERM", "cols").replace("Spring 2031,,,\n", ""));
  await shows(page, "required fields have no column yet");
  let last = { task: "t", state: "running", phase: "queued", dry_run: true };
  await page.route(/\/imports\/[^/]+$/, (route) => route.fulfill({ json: last }));
  await page.route(/\/imports\?/, (route) => route.fulfill({ status: 202, json: { task: "t" } }));
  await page.getByRole("button", { name: "Use “Kurs” as Course" }).click();
  const text = () => page.textContent("#task .columns");
  await shows(page, "Checking the file with these columns…");
  assert.doesNotMatch(await text(), /Reading the file|Waiting for/);
  const frame = (rows) => {
    last = { task: "t", state: "running", phase: "reading", dry_run: true, rows, sections: 0, refused: 0, bytes: rows * 100, bytes_total: 10_000_000 };
    socket.send(JSON.stringify({ type: "import", ...last }));
  };
  await until(page, () => /Waiting for another import/.test(document.querySelector("#task .columns").textContent));
  frame(20_000);
  await shows(page, "Checking the file with these columns….*Reading the file: 1\\.9 of 9\\.5 MiB, 20,000 rows");
  const spoken = await page.textContent("#task .columns .unseen");
  assert.match(spoken, /20,000 rows/);
  frame(30_000);
  await shows(page, "30,000 rows");
  assert.equal(await page.textContent("#task .columns .unseen"), spoken);
  assert.equal(await page.locator("#task table").count(), 1, "the table stays");
  assert.deepEqual(page.wrong, []);
});

test("the term of the page is offered and reported by its title", async () => {
  await hub.term("209903", ["1,MATH 151,Calculus I,A01,lecture,5,2,3,MWF,09:00-09:50,Lee"], { title: "Spring 2099" });
  const page = await openImport();
  await page.selectOption("#which-term", "209903");
  await check(page, "crn,course,capacity\n2,AB 101,10\n");
  await page.getByRole("button", { name: "Import into Spring 2099" }).click();
  await ready(page);
  await page.getByRole("button", { name: "Continue to review" }).click();
  await shows(page, "schedule\\.csv, term Spring 2099, ");
  assert.match(await page.textContent("#task [data-part=changes] tbody"), /^AB 101 lecture \(2\)New/);
  assert.deepEqual(page.wrong, []);
});

test("a saved mapping is used for the next file with the same columns", async () => {
  const page = await openImport();
  const file = (term) => `term,Id,Fach,Max Leute\n${term},1,AB 101,10\n`;
  await check(page, file("one"), "Fall plan.csv");
  await page.getByRole("button", { name: "Use “Fach” as Course" }).click();
  await select(page, "Max Leute").selectOption("capacity");
  await select(page, "Id").selectOption("crn");
  await ready(page);
  await page.getByRole("button", { name: "Remember", exact: true }).click();
  await shows(page, "Saved as “Fall plan”");
  const { items } = await hub.ask("staff", "GET", "/api/v1/import-profiles");
  const saved = items.find(({ name }) => name === "fall-plan");
  assert.deepEqual(saved.header, ["term", "Id", "Fach", "Max Leute"]);
  assert.deepEqual(saved.map, { Fach: "course", Id: "crn", "Max Leute": "capacity", term: "term" });
  assert.equal(await page.getByLabel("Saved mapping").inputValue(), "fall-plan");

  // In another browser, the same columns need no choice.
  const other = await openImport();
  await check(other, file("two"));
  await shows(other, "1 section to add");
  await other.getByRole("button", { name: "Change columns" }).click();
  await until(other, () => document.querySelector("#task .columns select[aria-label]"));
  await until(other, () => [...document.querySelectorAll("#task .columns select")].some(({ value }) => value === "fall-plan"));
  // Another field is chosen on top of the saved mapping; a column can be left out.
  await select(other, "term").selectOption("");
  await until(other, () => /Term: no column is chosen/.test(document.querySelector("#task").textContent));
  await other.getByRole("button", { name: "Delete “Fall plan”" }).click();
  await until(other, () => /“Fall plan” was deleted/.test(document.querySelector("#task").textContent));
  assert.equal((await hub.ask("staff", "GET", "/api/v1/import-profiles")).items.some(({ builtin }) => !builtin), false);
});

test("a missing column is reported once", async () => {
  const page = await openImport();
  await check(page, "Nr,course,Platz\n30001,AB 101,10\n");
  await shows(page, "3 required fields have no column yet: Term, CRN, and Capacity\\.");
  const problems = await page.locator("#task .columns .stop").allTextContents();
  assert.equal(problems.filter((text) => /CRN|`crn`/.test(text)).length, 1, problems.join("\n"));
});

test("a file with other separators or without a header is explained", async () => {
  const page = await openImport();
  await check(page, "crn|course|capacity\n30001|AB 101|10\n");
  await shows(page, "Each line is a single column\\. Save the file with commas");
  await page.getByRole("button", { name: "Start over with another file" }).click();
  await check(page, "30001,AB 101,10\n30002,AB 102,20\n");
  await shows(page, "Line 1 is read as the header, but it looks like data");
  await page.getByRole("button", { name: "Start over with another file" }).click();
  await check(page, "Nr,course,Platz\n30001,AB 101,10\n");
  await shows(page, "3 required fields");
  assert.doesNotMatch(await page.textContent("#task"), /looks like data|single column/);
});

test("a built-in mapping is chosen, and its name is refused for another mapping, with the reason", async () => {
  const page = await openImport();
  await check(page, "CRN,Subj,Crse,Sec,Cmp,Cred,Title,Days,Time,Cap,Act,Rem\n30001,AB,101,1,Main,3,Ecology,MW,9:00 am-9:50 am,20,3,17\n");
  await shows(page, "Term: no column is chosen");
  await until(page, () => [...document.querySelectorAll("#task .columns select")].some(({ value }) => value === "banner"));
  assert.equal(await select(page, "Cmp").inputValue(), "campus");
  await page.getByLabel("Name", { exact: true }).fill("Banner");
  await page.getByRole("button", { name: "Remember", exact: true }).click();
  await shows(page, "part of EduHub: save your own under another name");
});

test("the Columns step works by keyboard alone", async () => {
  const page = await openImport();
  await check(page, "Nr,course,section,Platz\n30001,AB 101,1,10\n");
  await shows(page, "2 required fields have no column yet");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Columns of schedule.csv");
  await tabTo(page, "[aria-label='Import column Platz as']");
  // Typing the name chooses the field, as in every list of the browser.
  await page.keyboard.type("Capac");
  await until(page, () => /1 required field has no column yet/.test(document.querySelector("#task").textContent));
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute("aria-label")), "Import column Platz as", "a check keeps the focus");
  await tabTo(page, "#task .columns li button");
  await page.keyboard.press("Enter");
  await ready(page);
  await page.focus("#task h3");
  await tabTo(page, "#task .primary");
  await page.keyboard.press("Enter");
  await shows(page, "1 section to add");
});

test("a reloaded page reopens the Columns step with its file", async () => {
  const page = await openImport();
  await check(page, "Nr,course,section,Platz\n30001,AB 101,1,10\n");
  await shows(page, "2 required fields have no column yet");
  await page.reload();
  await shows(page, "2 required fields have no column yet");
  await select(page, "Platz").selectOption("capacity");
  await until(page, () => /1 required field has no column yet/.test(document.querySelector("#task").textContent));
});

/** Returns the elements that are wider than the page, except those in containers that scroll sideways. */
const overflow = (page) => page.evaluate(() => {
  const over = [...document.body.querySelectorAll("*")].filter((el) => !el.closest(".scroll, #views, .unseen, svg") && el.checkVisibility() && el.getBoundingClientRect().right > innerWidth + 1);
  return { by: document.documentElement.scrollWidth - innerWidth, over: over.slice(0, 5).map((el) => el.outerHTML.slice(0, 120)) };
});
/** A script that makes Spanish the only language of the page. */
const IN_SPANISH = "new MutationObserver((_, seen) => { if (document.documentElement) { document.documentElement.dataset.languages = 'es'; seen.disconnect(); } }).observe(document, { childList: true });";
for (const [width, script, text] of [[390, undefined, "required fields have no column yet"], [320, undefined, "required fields have no column yet"], [320, IN_SPANISH, "Faltan las columnas de \\d campos obligatorios"]]) {
  for (const colorScheme of ["light", "dark"]) {
    test(`the Columns step fits ${width} pixels and is accessible${script ? ", in Spanish" : ""}, ${colorScheme}`, async () => {
      const page = await open(chrome, hub, "/staff#import", { user: "staff", width, height: 844, colorScheme, script, bypassCSP: true });
      await page.selectOption("#which-term", "desk");
      await page.setInputFiles("#import-form [name=file]", csvFile("Nr,Kurs,Platz,A column with quite a long name,Wann\n30001,AB 101,10,Some text that is longer than a phone is wide,MW 9:00-9:50\n"));
      await page.locator("#import-form .primary").click();
      await shows(page, text);
      assert.deepEqual(await overflow(page), { by: 0, over: [] });
      assert.deepEqual(await violations(page), []);
      assert.deepEqual(page.wrong, []);
    });
  }
}

/** Imports a schedule by following the instructions of the page. */
async function follow(page, name, term) {
  await check(page, readFileSync(path.join(SCHEDULES, name), "utf8"), name);
  // The page needs the term, which none of these files has.
  await page.getByRole("button", { name: `Import into ${term}` }).click();
  await ready(page);
  await page.getByRole("button", { name: "Continue to review" }).click();
  await page.waitForSelector("#task > [role=status] h3");
  const skip = page.getByRole("button", { name: /^Skip \d+ lines? and check again/ });
  if (await skip.count()) {
    await skip.click();
    await shows(page, "Nothing has changed yet");
  }
  if (!/No changes/.test(await page.textContent("#task"))) {
    await page.getByRole("button", { name: /^Apply \d+ change/ }).click();
    await shows(page, "Imported\\.");
  }
  await page.getByRole("button", { name: /^(Start over with|Import) another file$/ }).click();
  await until(page, () => !document.querySelector("#import-form").hidden);
}

test("each of the small schedules is imported by following the page", async () => {
  const cases = readdirSync(SCHEDULES).filter((one) => one.endsWith(".csv"));
  assert.ok(cases.length >= 25, `${cases.length} schedules`);
  // Two clerks, each with a separate term.
  const clerks = [];
  for (const term of ["clerk-a", "clerk-b"]) {
    await hub.term(term, ["9,MATH 151,Calculus I,A01,lecture,5,2,3,MWF,09:00-09:50,Lee"]);
    const page = await open(chrome, hub, "/staff#import", { user: "staff" });
    await page.selectOption("#which-term", term);
    clerks.push({ page, term });
  }
  await Promise.all(clerks.map(async ({ page, term }, clerk) => {
    for (const name of cases.filter((_, i) => i % clerks.length === clerk)) await follow(page, name, term);
    assert.ok((await hub.ask("staff", "GET", `/api/v1/sections?term=${term}`)).total > 5);
  }));
});
