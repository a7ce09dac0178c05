// Correcting a line of an imported file where its error is listed.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { browser, csvFile, Hub, open, tabTo, until, violations } from "./support.mjs";

let hub, chrome, folder;
before(async () => {
  folder = mkdtempSync(path.join(tmpdir(), "eduhub-file-"));
  [hub, chrome] = await Promise.all([Hub.start(), browser()]);
});
after(async () => { await chrome?.close(); await hub?.end(); rmSync(folder, { recursive: true, force: true }); });

const HEADS = "term,crn,course,title,capacity";
const openImport = (more) => open(chrome, hub, "/staff#import", { user: "staff", ...more });
const shows = (page, pattern) => until(page, (source) => new RegExp(source).test(document.querySelector("#task").textContent), pattern);
/** Chooses a file with these lines, or of these bytes, and checks it. */
async function check(page, content, name) {
  await until(page, () => document.querySelector("#which-term option"));
  await page.setInputFiles("#import-form [name=file]", Array.isArray(content) ? csvFile(content.join("\n"), name) : { name: "schedule.csv", mimeType: "text/csv", buffer: content });
  await page.locator("#import-form button.primary").click();
}
const correct = (page, line) => page.locator(`#task [data-part=errors] [data-correct="${line}"]`).first().click();
const cell = (page, name) => page.locator(".correction").getByLabel(name, { exact: true });
const save = (page) => page.getByRole("button", { name: "Save and check again" }).click();

test("a rejected line is corrected beside its error, undone, and downloaded", async () => {
  const page = await openImport();
  await check(page, [HEADS, "fix,1,MATH 1,One,10", 'fix,"2",MATH 2,"Two, and more",many', "fix,3,MATH 3,Three,20", ""]);
  await shows(page, "can't be imported yet");
  await correct(page, 3);
  // The focus is on the wrong cell, and the error describes that cell.
  await until(page, () => document.activeElement.matches(".correction [aria-invalid]"));
  assert.equal(await page.evaluate(() => document.activeElement.value), "many");
  assert.match(await page.evaluate(() => document.getElementById(document.activeElement.getAttribute("aria-describedby")).textContent), /whole number/);
  assert.deepEqual(await page.locator(".correction input").evaluateAll((all) => all.map(({ value }) => value)), ["fix", "2", "MATH 2", "Two, and more", "many"]);
  await save(page);
  await until(page, () => /Nothing was changed in this line/.test(document.querySelector(".correction").textContent));
  await cell(page, "Capacity").fill("30");
  await save(page);
  await shows(page, "Line 3 was corrected.*Corrected on this page: line 3.*Apply 3 changes from schedule.csv");
  assert.equal(await page.evaluate(() => document.activeElement.hasAttribute("data-corrected")), true);

  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Download the corrected file" }).click()]);
  assert.equal(download.suggestedFilename(), "schedule-corrected.csv");
  const saved = path.join(folder, "corrected.csv");
  await download.saveAs(saved);
  assert.equal(readFileSync(saved, "utf8"), `${HEADS}\nfix,1,MATH 1,One,10\nfix,"2",MATH 2,"Two, and more",30\nfix,3,MATH 3,Three,20\n`);

  await page.getByRole("button", { name: "Undo the correction of line 3" }).click();
  await shows(page, "can't be imported yet.*The correction of line 3 was undone");
  assert.match(await page.textContent("#task [data-part=errors] tbody"), /3Capacitymany/);
  assert.equal(await page.getByRole("button", { name: /^Undo the correction/ }).count(), 0);
  // The hub receives the corrected file.
  await correct(page, 3);
  await cell(page, "Capacity").fill("30");
  await save(page);
  await page.getByRole("button", { name: "Apply 3 changes from schedule.csv" }).click();
  await shows(page, "Imported");
  assert.equal((await hub.ask("staff", "GET", "/api/v1/sections/fix-2")).capacity, 30);
  assert.equal(await page.getByRole("button", { name: "Download the corrected file" }).count(), 1);
  assert.equal(await page.getByRole("button", { name: /^Undo the correction/ }).count(), 0);
});

test("a line that is still wrong opens again, by keyboard, and survives a reload", async () => {
  const page = await openImport({ bypassCSP: true });
  await check(page, [HEADS, "again,1,MATH 1,One,many", "again,2,MATH 2,Two,few", ""]);
  await shows(page, "2 lines rejected");
  await page.focus("#task [data-part=errors] summary");
  await tabTo(page, "[data-correct='2']");
  await page.keyboard.press("Enter");
  await until(page, () => document.activeElement.matches(".correction [aria-invalid]"));
  await page.keyboard.press("Escape");
  await until(page, () => document.activeElement.matches("[data-correct='2'][aria-expanded=false]") && !document.querySelector(".correction"));
  await page.keyboard.press("Enter");
  await until(page, () => document.activeElement.matches(".correction [aria-invalid]"));
  await page.keyboard.press("Control+A");
  await page.keyboard.type("-5");
  await page.keyboard.press("Enter");
  await shows(page, "Line 2 was changed, but still has an error");
  await until(page, () => document.activeElement.matches(".correction [aria-invalid]") && document.activeElement.value === "-5");
  assert.deepEqual(await violations(page), []);
  await page.keyboard.press("Control+A");
  await page.keyboard.type("5");
  await page.keyboard.press("Enter");
  await shows(page, "Line 2 was corrected.*1 line rejected|1 line rejected.*Line 2 was corrected");
  await page.reload();
  await shows(page, "Corrected on this page: line 2\\.");
  await page.getByRole("button", { name: "Undo the correction of line 2" }).click();
  await shows(page, "The correction of line 2 was undone");
  assert.match(await page.textContent("#task [data-part=errors] tbody"), /2Capacity-5Capacity/, "only the last change was undone");
  await page.getByRole("button", { name: "Undo the correction of line 2" }).click();
  await until(page, () => /2Capacitymany/.test(document.querySelector("#task [data-part=errors] tbody")?.textContent));
});

test("a finding names a column by its field and by its header in the file", async () => {
  const page = await openImport();
  await check(page, ["term,crn,course,title,seats_cap", "label,1,MATH 1,One,many", ""]);
  await shows(page, "1 line rejected");
  assert.match(await page.textContent("#task [data-part=errors] tbody"), /Capacity \(seats_cap\)many/);
  await correct(page, 2);
  await cell(page, "Capacity (seats_cap)").waitFor();
  assert.equal(await cell(page, "Title").count(), 1);
});

test("a long line shows the wrong cells, and the others on request", async () => {
  const page = await openImport({ bypassCSP: true, width: 390, height: 844 });
  const heads = "term,crn,course,section,component,title,credits,days,time,instructor,seats_cap";
  await check(page, [heads, "long,1,MATH 1,A01,lecture,One,3,MW,9:00-9:50,Lee,many", "long,2,MATH 2,A01,lecture,Two,3,TR,9:00-9:50,Lee,20", ""]);
  await shows(page, "1 line rejected");
  await correct(page, 2);
  await until(page, () => document.activeElement.matches(".correction [aria-invalid]"));
  assert.deepEqual(await page.locator(".correction input:visible").evaluateAll((all) => all.map(({ value }) => value)), ["many"]);
  assert.match(await page.textContent(".correction"), /1, MATH 1, A01, One/);
  assert.deepEqual(await violations(page), []);
  await page.locator(".correction").getByText("Show the other 10 cells of this line").click();
  await cell(page, "Title").fill("First");
  await cell(page, "Capacity (seats_cap)").fill("30");
  await save(page);
  await shows(page, "Line 2 was corrected");
  await page.getByRole("button", { name: /^Apply 2 changes/ }).click();
  await shows(page, "Imported");
  const { title, capacity } = await hub.ask("staff", "GET", "/api/v1/sections/long-1");
  assert.deepEqual({ title, capacity }, { title: "First", capacity: 30 });
});

test("a cell that was split at a comma is joined again, and line breaks in a cell stay", async () => {
  const page = await openImport();
  await check(page, [HEADS, 'join,1,MATH 1,"One\nand more",many', "join,2,MATH 2,Two, and more,20", ""]);
  await shows(page, "2 lines rejected");
  // A cell of line 2 contains a line break, so the next row is line 4.
  await correct(page, 4);
  await until(page, () => /This line has 6 cells, but the header has 5/.test(document.querySelector(".correction")?.textContent));
  await page.getByRole("button", { name: "Title: join with the next cell" }).click();
  await until(page, () => document.activeElement.value === "Two, and more");
  assert.deepEqual(await page.locator(".correction input").evaluateAll((all) => all.map(({ value }) => value)), ["join", "2", "MATH 2", "Two, and more", "20"]);
  await save(page);
  await shows(page, "Line 4 was corrected");
  await correct(page, 2);
  await cell(page, "Capacity").fill("10");
  await save(page);
  await shows(page, "Line 2 was corrected.*lines 4 and 2");
  await page.getByRole("button", { name: "Apply 2 changes from schedule.csv" }).click();
  await shows(page, "Imported");
  assert.deepEqual((await hub.ask("staff", "GET", "/api/v1/sections?term=join")).items.map(({ title }) => title), ["One and more", "Two, and more"]);
});

test("a corrected file in Windows-1252 keeps its accents in UTF-8, in Spanish", async () => {
  const page = await openImport({ locale: "es-ES" });
  await check(page, Buffer.from("term;crn;course;title;capacity\nlatin;1;MATH 1;\xc9tica;muchos\nlatin;2;MATH 2;Espa\xf1ol;20\n", "latin1"));
  await shows(page, "1 línea rechazada");
  await page.getByRole("button", { name: "Corregir la línea 2" }).click();
  await cell(page, "Título").fill("Ética – Ştiinţă");
  await cell(page, "Cupo").fill("10");
  await page.getByRole("button", { name: "Guardar y revisar de nuevo" }).click();
  await shows(page, "La línea 2 se corrigió.*Corregido en esta página: línea 2");
  await page.getByRole("button", { name: /^Aplicar 2 cambios/ }).click();
  await shows(page, "Importado");
  assert.deepEqual((await hub.ask("staff", "GET", "/api/v1/sections?term=latin")).items.map(({ title }) => title), ["Ética – Ştiinţă", "Español"]);
});

test("a warning about a cell can be corrected", async () => {
  const page = await openImport();
  await check(page, [HEADS, "warn,1,MATH 1,One,", ""]);
  await shows(page, "1 section to add");
  await page.getByRole("button", { name: /^\d warnings?$/ }).click();
  await page.locator("#task [data-part=warnings] [data-correct='2']").click();
  await cell(page, "Capacity").fill("12");
  await save(page);
  await shows(page, "Line 2 was corrected");
  assert.equal(await page.locator("#task [data-part=warnings] [data-correct='2']").count(), 0);
});

test("the errors of a workbook say where to correct it", async () => {
  const page = await openImport();
  await until(page, () => document.querySelector("#which-term option"));
  const whole = readFileSync(new URL("../schedules/sheets/fall.xlsx", import.meta.url));
  await page.setInputFiles("#import-form [name=file]", { name: "fall.xlsx", mimeType: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", buffer: whole.subarray(0, whole.length / 2) });
  await page.locator("#import-form button.primary").click();
  await shows(page, "The lines of this file can't be corrected here");
  assert.match(await page.textContent("#task [data-part=errors] tbody"), /damaged/);
  assert.equal(await page.locator("[data-correct]").count(), 0);
});

test("cancelling the check of a corrected line keeps the file and what was typed", async () => {
  const page = await openImport();
  await check(page, [HEADS, "stop,1,MATH 1,One,many", ""]);
  await shows(page, "1 line rejected");
  await correct(page, 2);
  await cell(page, "Capacity").fill("10");
  await page.waitForLoadState("networkidle");
  // The kernel accepts the file while the hub is stopped and cannot respond.
  hub.process.kill("SIGSTOP");
  try {
    await save(page);
    await until(page, () => /Waiting for EduHub/.test(document.querySelector(".correction").textContent));
    await page.getByRole("button", { name: "Cancel import" }).click();
    await until(page, () => /Cancelling/.test(document.querySelector(".correction").textContent));
  } finally {
    hub.process.kill("SIGCONT");
  }
  // A small file may have been checked before it could be cancelled.
  await until(page, () => /Line 2 was corrected/.test(document.querySelector("#task").textContent)
    || (/Cancelled\. Nothing has changed/.test(document.querySelector(".correction")?.textContent) && !document.querySelector(".correction fieldset").disabled));
  const form = page.locator(".correction");
  if (await form.count() === 0) return;
  assert.equal(await cell(page, "Capacity").inputValue(), "10");
  await save(page);
  await shows(page, "Line 2 was corrected");
});

test("on a phone, a long cell is shortened visibly, and the button beside its warning fits", async () => {
  const page = await openImport({ width: 390, height: 844 });
  const long = `Must be enrolled in one of the following Levels: Undergraduate ${"or Graduate ".repeat(10)}`;
  await check(page, [`${HEADS},restrictions`, ...Array.from({ length: 12 }, (_, i) => `phone,${i},MATH ${i},One,10,${i === 11 ? long : ""}`), ""]);
  await shows(page, "Apply 12 changes");
  await page.evaluate(() => { for (const el of document.querySelectorAll("#task details")) el.open = true; });
  const row = page.locator("#task [data-part=warnings] tbody tr", { hasText: "Must be enrolled" });
  assert.equal(await row.locator("td").nth(2).textContent(), `${long.slice(0, 100)}…`);
  const { right } = await row.locator("[data-correct]").evaluate((el) => el.getBoundingClientRect().toJSON());
  assert.ok(right <= 390 - 16, `${right} px`);
});
