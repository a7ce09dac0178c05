// Printed lists of the staff page and of instructors: a separate sheet with every row.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, Hub, open, until } from "./support.mjs";

/** More students than the page shows in a roster. */
const STUDENTS = 201;
/** More sections than the page renders in a list. */
const SECTIONS = 120;
/** A script with which the page prints without opening the browser's dialog. */
const script = "window.print = () => dispatchEvent(new Event('beforeprint'));";

let hub, chrome;
before(async () => {
  [hub, chrome] = await Promise.all([Hub.start(), browser()]);
  await hub.term("paper", ["1,MATH 151,Calculus I,A01,lecture,4,200,3,MWF,09:00-09:50,Lee", ...Array.from({ length: SECTIONS - 1 }, (_, i) => `${100 + i},PHYS ${100 + i},Mechanics,A01,lecture,4,9,3,TR,09:00-09:50,Curie`)], { title: "Paper term" });
  for (let i = 0; i < STUDENTS; i += 1) await hub.ask("staff", "PUT", `/api/v1/students/reader${i}/registrations/paper-1`, { waitlist: true, reason: "Asked at the desk." });
});
after(async () => { await chrome?.close(); await hub?.end(); });

/** Returns the text of the sheet while the page is printed, when nothing else is visible. */
async function printed(page) {
  await page.emulateMedia({ media: "print" });
  const seen = await page.evaluate(() => [...document.body.children].filter((el) => el.checkVisibility() && el.innerText.trim()).map(({ id }) => id));
  assert.deepEqual(seen, ["sheet"]);
  const text = await page.innerText("#sheet");
  await page.emulateMedia({ media: "screen" });
  assert.equal(await page.isVisible("#sheet"), false);
  await page.evaluate(() => dispatchEvent(new Event("afterprint")));
  assert.equal(await page.textContent("#sheet"), "");
  return text;
}

test("a printed roster names its section and lists everyone", async () => {
  const page = await open(chrome, hub, "/staff#sections", { user: "staff", script });
  await page.selectOption("#which-term", "paper");
  await page.fill("#section-search [name=q]", "math");
  await until(page, () => document.querySelectorAll(".srow").length === 1);
  await page.locator(".srow .name").click();
  await page.getByRole("button", { name: "Print the roster of MATH 151 lecture (1)" }).click();
  const text = await printed(page);
  assert.match(text, /^MATH 151 lecture \(1\)\s+Paper term\. Calculus I\. .*9:00.*Lee\. 4 credits\. As of .*\d/);
  assert.match(text, /Enrolled: 200.*\n1\treader0\treader0\t.*\n200\treader199\treader199\t.*Waiting: 1.*1st\treader200/s);
});

test("the browser's own print command prints every listed section in the order of the list", async () => {
  const page = await open(chrome, hub, "/staff#sections", { user: "staff", script, locale: "es-MX" });
  await page.selectOption("#which-term", "paper");
  await page.selectOption("#section-search [name=order]", "waiting");
  await until(page, (n) => document.querySelector("#sections-found").textContent.startsWith(n) && /MATH/.test(document.querySelector('.srow[data-index="0"]')?.textContent), SECTIONS);
  assert.ok(await page.locator(".srow").count() < SECTIONS);
  await page.evaluate(() => dispatchEvent(new Event("beforeprint")));
  const text = await printed(page);
  assert.match(text, /^Paper term\s+120 secciones\. Datos del .*\d.*\nMATH 151 teoría \(1\)\tCalculus I\t.*\tLee\t200\t200\t1\tAbierta\nPHYS 100/s);
  assert.equal(text.match(/PHYS \d+ teoría/g).length, SECTIONS - 1);
  await page.getByRole("button", { name: "Imprimir esta lista" }).click();
  assert.equal((await printed(page)).match(/PHYS \d+ teoría/g).length, SECTIONS - 1);
  await page.evaluate(() => { location.hash = "#now"; });
  await until(page, () => document.body.dataset.view === "now");
  await page.evaluate(() => dispatchEvent(new Event("beforeprint")));
  assert.equal(await page.textContent("#sheet"), "");
});

/** Returns the number of pages that are printed. */
const pages = async (page) => (await page.pdf({ format: "Letter" })).toString("latin1").match(/\/Type \/Page\b/g).length;

test("a short sheet, a student's file and a schedule are printed on one page each", async () => {
  await hub.term("short", ["1,MATH 151,Calculus I,A01,lecture,4,9,3,MWF,09:00-09:50,Noether"]);
  await hub.ask("student", "PUT", "/api/v1/me/registrations/short-1");
  const staff = await open(chrome, hub, "/staff#sections", { user: "staff" });
  await staff.selectOption("#which-term", "short");
  await until(staff, () => document.querySelectorAll(".srow").length === 1);
  assert.equal(await pages(staff), 1);
  await staff.locator(".srow .name").click();
  await staff.locator(".roster").getByRole("button", { name: "Help Sam Student" }).click();
  await until(staff, () => document.querySelector(".student-file .attempt"));
  assert.equal(await pages(staff), 1);
  const student = await open(chrome, hub, "/?term=short", { user: "student" });
  await until(student, () => document.querySelector("#schedule-rows > li"));
  assert.equal(await pages(student), 1);
});

test("an instructor prints a roster", async () => {
  hub.mint("Lee", "instructor");
  const page = await open(chrome, hub, "/teaching", { user: "Lee", script });
  await page.locator("#sections summary").click();
  await page.getByRole("button", { name: /^Print the roster of MATH 151/ }).click();
  assert.match(await printed(page), /^MATH 151 A01 \(1\)\s+Paper term\. Calculus I, lecture\. Mon Wed Fri 9:00.*Enrolled: 200/s);
});

/** Returns the colors of a page as it is printed, and the controls that are printed with it. */
async function onPaper(page) {
  await page.emulateMedia({ media: "print" });
  return page.evaluate(() => {
    const { backgroundColor, color } = getComputedStyle(document.body);
    const controls = [...document.querySelectorAll("button, input, select, summary")].filter((el) => el.checkVisibility());
    return { colors: [backgroundColor, color, getComputedStyle(document.documentElement).colorScheme], controls: controls.map((el) => el.textContent) };
  });
}

test("from a dark screen, dark text is printed on white, without controls", async () => {
  const expected = { colors: ["rgb(255, 255, 255)", "rgb(22, 27, 33)", "light"], controls: [] };
  await hub.term("clash", ["1,MATH 151,Calculus I,A01,lecture,4,9,3,MWF,09:00-09:50,Noether", "2,ART 1,Drawing,A01,studio,3,9,3,M,09:00-10:20,Fox"], { title: "Clash term" });
  await hub.ask("student", "PUT", "/api/v1/me/registrations/clash-1");
  await hub.ask("student", "PUT", "/api/v1/me/plan", { sections: ["clash-2"] });
  const dark = { user: "student", colorScheme: "dark", width: 1920, height: 1080 };
  const schedule = await open(chrome, hub, "/?term=clash", dark);
  await until(schedule, () => document.querySelectorAll(".block.overlapping").length === 2);
  await until(schedule, () => document.querySelector("#my-data summary").checkVisibility());
  assert.deepEqual(await onPaper(schedule), expected);
  assert.deepEqual(await schedule.locator(".block .hatch").evaluateAll((all) => all.map((el) => el.checkVisibility())), [false, false], "a hatch would cover the names");
  const section = await open(chrome, hub, "/?term=clash&section=clash-2", dark);
  await until(section, () => document.querySelector("#section-page .act button"));
  assert.equal(await section.getByText("Clash term").and(section.locator("p")).isVisible(), false, "the header has the term on the screen");
  assert.deepEqual(await onPaper(section), expected);
  assert.equal(await section.getByText("Clash term").and(section.locator("p")).isVisible(), true);
});
