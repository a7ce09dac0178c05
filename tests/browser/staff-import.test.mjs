// Importing a schedule or student records on the staff page: the steps, which survive a reload, and the report.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { browser, csvFile, Hub, open, tabTo, until } from "./support.mjs";

let hub, chrome, folder;
before(async () => {
  folder = mkdtempSync(path.join(tmpdir(), "eduhub-file-"));
  [hub, chrome] = await Promise.all([Hub.start(), browser()]);
  await hub.term("desk", ["1,MATH 151,Calculus I,A01,lecture,5,2,3,MWF,09:00-09:50,Lee", "2,PHYS 101,Physics,A01,lecture,4,1,3,MWF,09:30-10:20,Curie", "3,CHEM 101,Chemistry,A01,lecture,4,9,3,TR,09:30-10:20,Franklin"]);
});
after(async () => { await chrome?.close(); await hub?.end(); rmSync(folder, { recursive: true, force: true }); });

const HEADS = "term,crn,course,title,capacity";
const openImport = async () => {
  const page = await open(chrome, hub, "/staff#import", { user: "staff" });
  await page.selectOption("#which-term", "desk");
  return page;
};
const choose = (page, ...lines) => page.setInputFiles("#import-form [name=file]", csvFile([HEADS, ...lines, ""].join("\n")));
const check = (page) => page.getByRole("button", { name: "Check file" }).click();
const shows = (page, pattern) => until(page, (source) => new RegExp(source).test(document.querySelector("#task").textContent), pattern);

test("a file is checked, its errors shown by line, and then applied", async () => {
  const page = await openImport();
  await choose(page, "file,1,MATH 1,One,10", "file,2,MATH 2,Two,many");
  await check(page);
  await shows(page, "can't be imported yet");
  assert.match(await page.locator("#task [data-part=errors] table").textContent(), /3.*Capacity.*many/);
  await choose(page, "file,1,MATH 1,One,10", "file,2,MATH 2,Two,20");
  await check(page);
  await shows(page, "Nothing has changed yet");
  assert.equal((await hub.ask("staff", "GET", "/api/v1/terms")).items.some(({ id }) => id === "file"), false);
  await page.getByRole("button", { name: "Apply 2 changes from schedule.csv" }).click();
  await shows(page, "Imported");
  assert.equal((await hub.ask("staff", "GET", "/api/v1/sections?term=file")).total, 2);
  await page.getByRole("button", { name: "View sections" }).click();
  await until(page, () => document.querySelector("#which-term").value === "file" && document.querySelectorAll(".srow").length === 2);
});

test("a checked file says if its term is new, or another one than the page shows", async () => {
  await hub.term("elsewhere", ["1,MATH 1,One,A01,lecture,4,10,0,,,"], { title: "Summer 2031" });
  const page = await openImport();
  await choose(page, "brand-new,1,MATH 1,One,10");
  await check(page);
  await shows(page, "There is no term brand-new yet\\. Applying the file creates it\\.");
  await page.reload();
  await shows(page, "There is no term brand-new yet");
  await page.getByRole("button", { name: "Start over with another file" }).click();
  await choose(page, "elsewhere,1,MATH 1,One,11");
  await check(page);
  await shows(page, "The file is for Summer 2031\\. This page shows desk\\.");
  await page.getByRole("button", { name: "Start over with another file" }).click();
  await choose(page, "desk,1,MATH 151,Calculus I,3");
  await check(page);
  await shows(page, "Nothing has changed yet");
  assert.doesNotMatch(await page.textContent("#task"), /There is no term|The file is for/);
});

test("after an import into a term without an opening time, the report says that registration stays closed", async () => {
  const page = await openImport();
  await choose(page, "closed,1,MATH 1,One,10");
  await check(page);
  await page.getByRole("button", { name: "Apply 1 change from schedule.csv" }).click();
  await shows(page, "Imported.*Registration for closed stays closed until an opening time is set");
  await page.getByRole("link", { name: "Set the opening time" }).click();
  await until(page, () => document.body.dataset.view === "terms");
  await hub.ask("staff", "PUT", "/api/v1/terms/closed", { opens_at: new Date(Date.now() + 3_600_000).toISOString() });
  await page.goBack();
  await page.getByRole("button", { name: "Import another file" }).click();
  await choose(page, "closed,1,MATH 1,One,11");
  await check(page);
  await page.getByRole("button", { name: "Apply 1 change from schedule.csv" }).click();
  await shows(page, "Imported");
  assert.doesNotMatch(await page.textContent("#task"), /stays closed/);
});

test("a check lists changed fields, new sections and missing sections", async () => {
  const page = await openImport();
  await choose(page, "desk,1,MATH 151,Calculus I,40", "desk,2,PHYS 101,Mechanics,1", "desk,9,BIOL 101,Cells,25");
  await check(page);
  await shows(page, "1 section to add, 2 to change, 0 unchanged");
  const changes = await page.locator("#task [data-part=changes] tbody tr").allTextContents();
  assert.ok(changes.some((line) => /MATH 151.*Capacity240/.test(line)), changes.join("\n"));
  assert.ok(changes.some((line) => /TitlePhysicsMechanics/.test(line)), changes.join("\n"));
  assert.ok(changes.some((line) => /^BIOL 101 lecture \(9\)New.*Cells.*25 seats/.test(line)), changes.join("\n"));
  assert.match(await page.textContent("#task [data-part=missing]"), /left unchanged \(1\).*CHEM 101/);
});

test("a check for a term other than the one shown names its sections", async () => {
  await hub.term("else", ["7,BIOL 101,Cells,A01,lecture,5,2,3,MWF,09:00-09:50,Lee", "8,BIOL 102,Plants,A01,lecture,5,2,3,MWF,09:00-09:50,Lee"]);
  const page = await openImport();
  await choose(page, "else,7,BIOL 101,Cells,40");
  await check(page);
  await shows(page, "1 to change");
  assert.match(await page.textContent("#task [data-part=changes] tbody"), /^BIOL 101 lecture \(7\)Capacity240/);
  assert.match(await page.textContent("#task [data-part=missing] tbody"), /^BIOL 102 lecture \(8\)/);
});

test("a check shows which sections share their seats, and sums up many warnings about one column", async () => {
  const page = await openImport();
  const heads = "term,crn,course,section,title,credits,capacity,Cross-listings,Cross-list Maximum,restrictions";
  const rule = "Must be enrolled in one of the following Programs: Nursing";
  const others = Array.from({ length: 13 }, (_, i) => `pool,${10 + i},ART ${i},1,Drawing,3,10,,,${rule}`);
  const pool = [`pool,1,AB 430,1,Ropes,3,40,Also CD 830-1,50,${rule}`, `pool,2,CD 830,1,Ropes,3,20,See AB 430-1,50,${rule}`];
  await page.setInputFiles("#import-form [name=file]", csvFile([heads, ...pool, ...others, ""].join("\n")));
  await check(page);
  await shows(page, "15 sections to add");
  const shared = await page.locator("#task [data-part=changes] tbody tr", { hasText: "Cross-listed sections: AB 430-1 (50 seats)" }).allTextContents();
  assert.equal(shared.length, 2, shared.join("\n"));
  const warnings = await page.locator("#task [data-part=warnings] tbody tr").allTextContents();
  assert.equal(warnings.length, 11, warnings.join("\n"));
  assert.match(warnings[10], /Other cells of this column are not imported either.*5 rows \(lines 12, 13, 14, 15, 16\)/);
});

test("the students whom an import affects are listed and can be sent an alert", async () => {
  await hub.term("moved", ["1,MATH 1,One,A,lecture,1,2,0,MW,09:00-09:50,Lee", "2,ART 1,Two,A,lecture,1,2,0,TR,09:00-09:50,Ruiz"]);
  for (const student of ["student", "student2"]) for (const crn of [1, 2]) await hub.ask(student, "PUT", `/api/v1/me/registrations/moved-${crn}`);
  const page = await openImport();
  await page.setInputFiles("#import-form [name=file]", csvFile("crn,course,title,section,component,capacity,days,time,term\n1,MATH 1,One,A,lecture,1,MW,09:00-09:50,moved\n2,ART 1,Two,A,lecture,1,MW,09:30-10:20,moved\n"));
  await check(page);
  await shows(page, "2 to change");
  await page.getByRole("button", { name: "Apply 2 changes from schedule.csv" }).click();
  await shows(page, "Imported");
  assert.match(await page.locator("#task [data-part=over_capacity] tbody").textContent(), /ART 1 lecture \(2\)21Send alertMATH 1 lecture \(1\)21Send alert/);
  assert.match(await page.locator("#task [data-part=overlaps] tbody").textContent(), /ART 1 lecture \(2\)2Send alert/);
  await page.getByRole("button", { name: "Send an alert to the students of these 2 sections" }).click();
  await until(page, () => document.querySelector("#alert-form [name=sections]").value === "moved-2, moved-1");
  await until(page, () => /Reaches 2 people/.test(document.querySelector("#reach").textContent));
  await page.goto(`${hub.url}/staff#import`);
  await page.locator("#task [data-part=overlaps] tbody").getByRole("button", { name: "ART 1 lecture (2)", exact: true }).click();
  await until(page, () => /student2/.test(document.querySelector("#section-rows .roster")?.textContent));
});

/** Returns a ZIP archive of these texts by file name. */
const zip = (files) => execFileSync("python3", ["-c", `
import io, json, sys, zipfile
archive = io.BytesIO()
with zipfile.ZipFile(archive, "w") as out:
    for name, text in json.load(sys.stdin).items():
        out.writestr(name, text)
sys.stdout.buffer.write(archive.getvalue())
`], { input: JSON.stringify(files) });

test("a OneRoster file registers its students, and the refused ones are listed", async () => {
  await hub.term("roster", ["1,MATH 1,One,A,lecture,3,5,0,MW,09:00-09:50,Lee", "2,ART 1,Two,A,lecture,3,0,0,TR,09:00-09:50,Ruiz"]);
  const buffer = zip({
    "manifest.csv": "propertyName,value\nmanifest.version,1.0\noneroster.version,1.2\n",
    "academicSessions.csv": "sourcedId,title,startDate,endDate\nroster,Fall,2090-09-01,2090-12-15\n",
    "courses.csv": "sourcedId,title,courseCode\nm,One,MATH 1\na,Two,ART 1\n",
    "classes.csv": "sourcedId,courseSourcedId,classCode,termSourcedIds\nk1,m,1,roster\nk2,a,2,roster\n",
    "users.csv": "sourcedId,username\nu1,newcomer\n",
    "roles.csv": "sourcedId,userSourcedId,role\nr1,u1,student\n",
    "enrollments.csv": "sourcedId,classSourcedId,userSourcedId,role\ne1,k1,u1,student\ne2,k2,u1,student\n",
  });
  const page = await openImport();
  assert.match(await page.textContent("#import-form"), /From a OneRoster file \(\.zip\), completed courses are added/);
  await page.selectOption("#import-form [name=contents]", "students");
  await page.setInputFiles("#import-form [name=file]", { name: "students.zip", mimeType: "application/zip", buffer });
  await check(page);
  await shows(page, "1 student to add, 0 to change, 0 unchanged.*2 registrations to request, 0 already made");
  await page.getByRole("button", { name: "Apply 3 changes from students.zip" }).click();
  await shows(page, "1 registration made, 0 made before");
  assert.match(await page.locator("#task [data-part=errors] table").textContent(), /3.*enrollments\.csv.*roster-2.*the section is full/);
  const { items } = await hub.ask("staff", "GET", "/api/v1/students/newcomer/registrations?term=roster");
  assert.deepEqual(items.map(({ section, status }) => [section.id ?? section, status]), [["roster-1", "enrolled"]]);
  const spanish = await open(chrome, hub, "/staff#import", { user: "staff", locale: "es-ES" });
  await until(spanish, () => /De un archivo OneRoster \(\.zip\) se agregan/.test(document.querySelector("#import-form").textContent));
});

test("files about students are described once they are chosen", async () => {
  const page = await openImport();
  const about = page.getByText(/^Student records: a row for each student/);
  assert.equal(await about.isVisible(), false);
  await page.selectOption("#import-form [name=contents]", "students");
  await about.waitFor();
});

test("for student facts without usernames, the page names the needed columns", async () => {
  const page = await openImport();
  assert.match(await page.textContent("#import-form"), /a row for each student, with the username/);
  await page.selectOption("#import-form [name=contents]", "students");
  await page.setInputFiles("#import-form [name=file]", csvFile("Who,Program\nada,Nursing\n"));
  await check(page);
  await shows(page, "Give that column one of these names and check the file again: .*user");
});

test("the schedule of a term is downloaded and imported again without a change", async () => {
  const page = await openImport();
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "Download the current schedule" }).click()]);
  const file = path.join(folder, "current.csv");
  await download.saveAs(file);
  assert.equal(download.suggestedFilename(), "schedule-desk.csv");
  await page.setInputFiles("#import-form [name=file]", file);
  await check(page);
  await shows(page, "No changes: 3 sections already match the file");
});

test("a workbook is checked, and another of its sheets is chosen by keyboard", async () => {
  const page = await openImport();
  await page.setInputFiles("#import-form [name=file]", new URL("../schedules/sheets/fall.xlsx", import.meta.url).pathname);
  await page.getByText("Import options").click();
  await page.getByLabel("Term, if the file has no term column").fill("book");
  await check(page);
  await shows(page, "3 sections to add");
  assert.match(await page.textContent("#task"), /fall\.xlsx, sheet Fall, term book/);
  const sheets = page.getByLabel("Sheet with the schedule");
  assert.deepEqual([await sheets.inputValue(), await sheets.locator("option").allTextContents()], ["Fall", ["Notes", "Fall"]]);
  await sheets.focus();
  await page.keyboard.type("Notes");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  // The sheet lacks the columns of a schedule, so the Columns step opens, which also offers the choice of sheet.
  await shows(page, "no column yet");
  await sheets.focus();
  await page.keyboard.type("Fall");
  await shows(page, "Every required field has a column");
  await page.getByRole("button", { name: "Continue to review" }).click();
  await shows(page, "3 sections to add");
  await page.getByRole("button", { name: "Apply 3 changes from fall.xlsx" }).click();
  await shows(page, "Imported");
  assert.equal((await hub.ask("staff", "GET", "/api/v1/sections/book-00076")).title, "Química general");
});

test("times without am or pm are read as the clerk chooses, by keyboard", async () => {
  const page = await openImport();
  const rows = ["term,crn,course,section,capacity,days,time", "hours,1,AB 101,1,10,MW,1:00-1:50", ""];
  await page.setInputFiles("#import-form [name=file]", csvFile(rows.join("\n")));
  await check(page);
  await shows(page, "1 section to add");
  // The warning is open, with the choice above it.
  const clock = page.locator("#task [data-part=warnings][open]").getByLabel("Times without am or pm");
  assert.equal(await clock.inputValue(), "");
  assert.match(await page.textContent("#task [data-part=changes]"), /1:50\sPM/);
  await clock.focus();
  await page.keyboard.type("As written");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await until(page, () => /1:50\sAM/.test(document.querySelector("#task [data-part=changes]")?.textContent));
  // The choice stays, although the warning is gone.
  assert.equal(await page.getByLabel("Times without am or pm").inputValue(), "24");
  await page.getByRole("button", { name: "Apply 1 change from schedule.csv" }).click();
  await shows(page, "Imported");
  assert.equal((await hub.ask("staff", "GET", "/api/v1/sections/hours-1")).meetings[0].start, "01:00");
});

test("warnings and double bookings are counted beside Apply, and lead to their lists", async () => {
  const page = await openImport();
  const rows = ["term,crn,course,section,capacity,days,time,location", "rooms,1,AB 101,1,10,MW,1:00-1:50,Oak 1", "rooms,2,AB 102,1,10,MW,1:30-2:20,Oak 1", ""];
  await page.setInputFiles("#import-form [name=file]", csvFile(rows.join("\n")));
  await check(page);
  await shows(page, "2 sections to add");
  assert.deepEqual((await page.locator("#task .next button").allTextContents()).map((text) => text.trim()), ["Apply 2 changes from schedule.csv", "2 warnings", "1 double booking", "Change columns", "Start over with another file"]);
  const conflicts = page.locator("#task [data-part=conflicts]");
  assert.equal(await conflicts.getAttribute("open"), null);
  await page.getByRole("button", { name: "1 double booking" }).click();
  await until(page, () => document.activeElement.matches("#task [data-part=conflicts][open] > summary"));
  assert.match(await conflicts.innerText(), /Double-booked rooms and instructors \(1\)/);
  await page.getByRole("button", { name: "2 warnings" }).click();
  await until(page, () => document.activeElement.matches("#task [data-part=warnings][open] > summary"));
});

test("a checked import and its file survive a reload", async () => {
  const page = await openImport();
  await choose(page, "desk,3,CHEM 101,Organic chemistry,9");
  await check(page);
  await shows(page, "Nothing has changed yet");
  await page.reload();
  await page.getByRole("button", { name: "Apply 1 change from schedule.csv" }).click();
  await shows(page, "Imported");
  assert.equal((await hub.ask("staff", "GET", "/api/v1/sections/desk-3")).title, "Organic chemistry");
  await page.getByRole("button", { name: "Import another file" }).click();
  await until(page, () => !document.querySelector("#import-form").hidden && !document.querySelector("#task").firstChild);
  await page.reload();
  await until(page, () => document.querySelector("#which-term option"));
  assert.equal(await page.textContent("#task"), "");
});

test("a file can be dropped; a file that is not CSV is rejected", async () => {
  const page = await openImport();
  const drop = async (name, text) => {
    const dataTransfer = await page.evaluateHandle(([name, text]) => {
      const transfer = new DataTransfer();
      transfer.items.add(new File([text], name));
      return transfer;
    }, [name, text]);
    await page.dispatchEvent("#drop", "dragover", { dataTransfer });
    assert.ok(await page.evaluate(() => document.querySelector("#drop").classList.contains("drag-over")));
    await page.dispatchEvent("#drop", "drop", { dataTransfer });
  };
  await drop("schedule.pdf", "%PDF");
  await until(page, () => /is not a CSV file or a spreadsheet/.test(document.querySelector("#import-status").textContent));
  await drop("autumn.csv", `${HEADS}\ndesk,1,MATH 151,Calculus I,41\n`);
  await until(page, () => /autumn\.csv/.test(document.querySelector("#drop-label").textContent) && !document.querySelector("#import-status").textContent);
  await check(page);
  await shows(page, "Apply 1 change from autumn.csv");
});

test("all rejected lines can be downloaded with their numbers", async () => {
  const page = await openImport();
  await choose(page, "file,1,MATH 1,One,10", ...Array.from({ length: 40 }, (_, i) => `file,${i + 2},MATH 2,Two,many`));
  await check(page);
  await shows(page, "40 lines rejected");
  const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "Download 40 errors (CSV)" }).click()]);
  const lines = (await readFile(await file.path(), "utf8")).trim().split("\n");
  assert.equal(lines.length, 41);
  assert.match(lines[1], /^3,\w+,many,/);
  assert.equal(await page.locator("#task [data-part=errors] tbody tr").count(), 25);
  await page.getByRole("button", { name: "Show 15 more" }).click();
  assert.equal(await page.locator("#task [data-part=errors] tbody tr").count(), 40);
});

test("a large import shows progress, survives a reload, and can be cancelled", async () => {
  const large = path.join(folder, "large.csv");
  writeFileSync(large, `${HEADS}\n${Array.from({ length: 800_000 }, (_, i) => `large,${i},BIG ${i % 900},Section number ${i} of a very large college,30\n`).join("")}`);
  const page = await openImport();
  await page.setInputFiles("#import-form [name=file]", large);
  await check(page);
  await until(page, () => document.querySelector("#task progress")?.value > 0 && /Reading the file/.test(document.querySelector("#task").textContent));
  await page.reload();
  await until(page, () => document.querySelector("#task progress") && /Checking the file/.test(document.querySelector("#task").textContent));
  assert.equal(await page.getAttribute("#steps [aria-current]", "class"), "");
  await page.getByRole("button", { name: "Cancel import" }).click();
  await shows(page, "Cancelled. Nothing has changed.");
});

test("screen readers announce each step of an import, but not each of its rows", async () => {
  const page = await openImport();
  let socket;
  await page.routeWebSocket(/\/alerts\/ws/, (one) => { socket = one; one.connectToServer(); });
  let last = { task: "t", state: "running", phase: "queued", dry_run: true };
  await page.route(/\/imports\/[^/]+$/, (route) => route.fulfill({ json: last }));
  await page.route(/\/imports\?/, (route) => route.fulfill({ status: 202, json: { task: "t" } }));
  await page.reload();
  await page.selectOption("#which-term", "desk");
  await until(page, () => document.querySelector("#live").dataset.state === "live");
  await choose(page, "t,1,MATH 1,One,10");
  await check(page);
  await shows(page, "Waiting for another import");
  await page.evaluate(() => {
    const spoken = document.querySelector("#task .progress [role=status]");
    window.spoken = [];
    new MutationObserver(() => window.spoken.push(spoken.textContent)).observe(spoken, { childList: true });
  });
  const frame = (fields) => {
    last = { task: "t", state: "running", dry_run: true, rows: 0, sections: 0, refused: 0, created: 0, updated: 0, unchanged: 0, bytes: 0, bytes_total: 50 * 2 ** 20, ...fields };
    socket.send(JSON.stringify({ type: "import", ...last }));
  };
  frame({ phase: "reading" });
  for (let i = 1; i <= 20; i += 1) {
    frame({ phase: "reading", rows: i * 1_000, bytes: i * 2 ** 20 });
    await until(page, (text) => document.querySelector("#task .progress").textContent.includes(text), `${i}.0 of 50.0 MiB, ${i},000 rows`);
  }
  frame({ phase: "reading", rows: 50_000, bytes: 50 * 2 ** 20 });
  for (let i = 0; i <= 10; i += 1) frame({ phase: "comparing", rows: 50_000, sections: 50_000, unchanged: i * 5_000 });
  await shows(page, "Comparing with the term: 50,000 of 50,000 sections");
  const [columns, reading, read, comparing, ...others] = await page.evaluate(() => window.spoken);
  assert.match([columns, reading, read, comparing].join("\n"), /^Looking for the columns.*\nReading the file: 1\.0.*\nThe file has been read: 50,000 rows.*\nComparing with the term: 0 of/);
  assert.deepEqual(others, []);
  assert.deepEqual(page.wrong, []);
});

test("an upload shows its progress and can be cancelled", async () => {
  const slow = path.join(folder, "slow.csv");
  writeFileSync(slow, `${HEADS}\n${"slow,1,BIG 1,A line that is long enough for a file of some size,30\n".repeat(60_000)}`);
  const page = await openImport();
  const devtools = await page.context().newCDPSession(page);
  await devtools.send("Network.enable");
  await devtools.send("Network.emulateNetworkConditions", { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: 100_000 });
  await page.setInputFiles("#import-form [name=file]", slow);
  await check(page);
  await until(page, () => {
    const { value, max } = document.querySelector("#task progress") ?? {};
    return value > 0 && value < max && /^Uploading slow\.csv: \d+\.\d of 3\.8 MiB\.$/.test(document.querySelector("#task [role=status]").textContent);
  });
  await page.getByRole("button", { name: "Cancel import" }).click();
  await until(page, () => document.querySelector("#import-status").textContent === "Cancelled. Nothing has changed." && !document.querySelector("#task").firstChild);
  assert.equal(await page.isVisible("#import-form"), true);
});

test("cancelling after the upload cancels the import on the hub", async () => {
  const page = await openImport();
  await choose(page, "gap,1,MATH 1,One,10");
  const cancelRequest = page.waitForRequest((request) => request.method() === "DELETE" && /\/imports\//.test(request.url()));
  // Open requests could use up the browser's connections to one host.
  await page.waitForLoadState("networkidle");
  // The kernel accepts the file while the hub is stopped and cannot respond.
  hub.process.kill("SIGSTOP");
  try {
    await check(page);
    await until(page, () => /schedule\.csv has been uploaded\. Waiting for EduHub/.test(document.querySelector("#task").textContent));
    await page.getByRole("button", { name: "Cancel import" }).click();
    await until(page, () => /Cancelling/.test(document.querySelector("#task").textContent));
  } finally {
    hub.process.kill("SIGCONT");
  }
  await cancelRequest;
  // A small file may have been checked before it could be cancelled. A check changes nothing.
  await shows(page, "Cancelled|Checked|done");
});

test("an import works by keyboard alone", async () => {
  const page = await openImport();
  await choose(page, "keys,1,MATH 1,One,10");
  await page.focus("#views a[href='#import']");
  await tabTo(page, "#import-form button");
  await page.keyboard.press("Enter");
  await shows(page, "Nothing has changed yet");
  await tabTo(page, "#task .primary");
  await page.keyboard.press("Enter");
  await shows(page, "Imported");
  assert.equal((await hub.ask("staff", "GET", "/api/v1/sections?term=keys")).total, 1);
});

test("a frame that arrives after the end of a check keeps the report", async () => {
  const page = await openImport();
  let socket;
  await page.routeWebSocket(/\/alerts\/ws/, (one) => { socket = one; one.connectToServer(); });
  await page.reload();
  await page.selectOption("#which-term", "desk");
  await choose(page, "late,1,MATH 1,One,10");
  await check(page);
  await shows(page, "Nothing has changed yet");
  const { task } = JSON.parse(await page.evaluate(() => localStorage.getItem("eduhub.import")));
  const before = await page.textContent("#alert-count");
  socket.send(JSON.stringify({ type: "import", task, state: "running", phase: "reading", dry_run: true, rows: 1, bytes: 1, bytes_total: 2 }));
  // Frames are drawn in order, so the alert shows that the frame before it was drawn.
  const alert = { id: "late", seq: 999_999, title: "Late", message: "Now.", priority: "medium", category: "system", audience: { all: true }, created_at: new Date().toISOString(), requires_ack: false };
  socket.send(JSON.stringify({ type: "alert", seq: alert.seq, alert }));
  await until(page, (before) => document.querySelector("#alert-count").textContent !== before, before);
  assert.match(await page.textContent("#task"), /Nothing has changed yet/);
});
