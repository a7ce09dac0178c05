// The "Students" view of the staff page: finds a student, shows what the student sees, and changes it with a reason.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, Hub, open, tabTo, until, violations } from "./support.mjs";

const TERM = "help";
const HOLDS = [
  { id: "fine", text: "A book is missing.", office: "Library", url: "https://library.example.edu/fines", blocks: ["register"] },
  { id: "fee", text: "A fee is due.", office: "Bursar", blocks: [] },
];
let hub, chrome;
before(async () => {
  [hub, chrome] = await Promise.all([Hub.start(), browser()]);
  await hub.term(TERM, [
    "1,MATH 151,Calculus I,A01,lecture,5,1,2,MWF,09:00-09:50,Lee", "2,MATH 151,Calculus I,A02,lecture,5,4,2,TR,09:00-09:50,Lee",
    "3,PHYS 101,Physics,A01,lecture,4,3,3,MWF,09:30-10:20,Curie", "4,ART 2,Drawing,A01,lecture,3,3,0,F,15:00-16:00,Kahlo",
  ]);
  hub.mint("first", "student");
  await hub.ask("first", "PUT", `/api/v1/me/registrations/${TERM}-1`);
});
after(async () => { await chrome?.close(); await hub?.end(); });

const registered = async (user) => (await hub.ask("staff", "GET", `/api/v1/students/${user}/registrations?term=${TERM}`)).items.map(({ section, status }) => `${section} ${status}`);
const shows = (page, text) => until(page, (text) => document.querySelector("#student-file")?.textContent.includes(text), text);
const press = (page, name) => page.locator("#student-file").getByRole("button", { name, exact: true }).click();

/** Opens the file of a student. */
async function openFile(user, how = {}) {
  const page = await open(chrome, hub, "/staff#students", { user: "staff", bypassCSP: true, ...how });
  await page.selectOption("#which-term", TERM);
  await page.fill("#student-search [name=q]", user);
  await page.locator("#student-results button", { hasText: user }).click();
  await page.locator(".student-file h5").first().waitFor();
  return page;
}

/** Finds a section in the picker and presses its button. */
async function pick(page, q, button) {
  await page.fill(".picker input", q);
  await page.locator(".picker li").getByRole("button", { name: button }).first().click();
}

/** Stores these facts about a student, who is then known to the hub. */
async function stateFacts(user, facts = {}) {
  await hub.ask("staff", "PUT", `/api/v1/students/${user}`, { groups: ["new"], ...facts });
}

test("a student is found by part of the name, and shown with plan, holds and history", async () => {
  await hub.ask("admin", "PUT", "/api/v1/admin/users/jn7", { role: "student", name: "José Núñez", password: "correct horse 1" });
  await stateFacts("jn7", { holds: HOLDS, program: "Nursing" });
  hub.mint("jn7", "student");
  await hub.ask("jn7", "PUT", "/api/v1/me/plan", { sections: [{ section: `${TERM}-4`, waitlist: true, alternates: [`${TERM}-3`] }] });
  const page = await open(chrome, hub, "/staff#students", { user: "staff", bypassCSP: true });
  await page.selectOption("#which-term", TERM);
  await page.fill("#student-search [name=q]", "j");
  await until(page, () => /at least 2 characters/.test(document.querySelector("#students-found").textContent));
  await page.fill("#student-search [name=q]", "nunez");
  await until(page, () => /José Núñez \(jn7\)/.test(document.querySelector("#student-results").textContent));
  await page.press("#student-search [name=q]", "Enter");
  await until(page, () => document.activeElement.textContent === "José Núñez (jn7)");
  for (const text of ["A book is missing.", "Blocks adding sections.", "Nursing", "ART 2", "If it can't be taken: PHYS 101 lecture (3). Last resort: the waitlist.", "No requests yet."]) await shows(page, text);
  assert.deepEqual(await violations(page), []);
  assert.deepEqual(page.wrong, []);
});

test("an unknown student is opened by the exact username", async () => {
  const page = await open(chrome, hub, "/staff#students", { user: "staff" });
  await page.fill("#student-search [name=q]", "nowhere");
  await page.getByRole("button", { name: "Open nowhere" }).click();
  await shows(page, "No registrations.");
});

test("staff can search for the next student while a file is open, and after it is closed", async () => {
  for (const one of ["queue-1", "queue-2"]) await stateFacts(one);
  const page = await openFile("queue-1");
  await page.fill("#student-search [name=q]", "queue-");
  await page.locator("#student-results").getByRole("button", { name: "queue-2" }).click();
  await until(page, () => document.activeElement.textContent === "queue-2");
  assert.equal(await page.isVisible("#student-results"), false);
  await press(page, "Back to the search");
  await page.keyboard.type("queue-1");
  await until(page, () => document.querySelector("#student-results").textContent === "queue-1");
  assert.equal(await page.inputValue("#student-search [name=q]"), "queue-1");
});

test("a refusal is overridden by its code with a reason, and the next refusal is added to it", async () => {
  await stateFacts("over");
  const page = await openFile("over");
  await pick(page, "PHYS", /Register/);
  await shows(page, "Enrolled in PHYS 101");
  await pick(page, "151 A01", /Register/);
  await shows(page, "This overlaps PHYS 101");
  assert.equal(await page.textContent(".student-file > p.good"), "", "the result of the last change is gone");
  await shows(page, "Refused: time conflict");
  assert.equal(await page.locator(".picker li").count(), 1);
  assert.match(await page.locator(".picker li").textContent(), /lecture CRN \d/);
  await press(page, "Override and continue");
  await shows(page, "Enter a reason. Nothing was changed.");
  assert.equal(await page.getAttribute(".change textarea", "aria-invalid"), "true");
  await page.fill(".change textarea", "Approved by the chair");
  await press(page, "Override and continue");
  await shows(page, "The section is full.");
  assert.equal(await page.inputValue(".change textarea"), "Approved by the chair");
  assert.deepEqual(await page.$$eval(".change [name=override]", (boxes) => boxes.map(({ value }) => value)), ["time_conflict", "section_full"]);
  assert.deepEqual(await violations(page), []);
  await press(page, "Override and continue");
  await shows(page, "Enrolled in MATH 151");
  assert.deepEqual(await registered("over"), [`${TERM}-3 enrolled`, `${TERM}-1 enrolled`]);
  const { items } = await hub.ask("admin", "GET", "/api/v1/admin/audit?user=over&action=student.registration");
  assert.match(items[0].detail, /override: time_conflict, section_full; Approved by the chair/);
});

test("a full section offers its waitlist, and the history says who came first", async () => {
  await stateFacts("late");
  const page = await openFile("late");
  await pick(page, "151 A01", /Register/);
  await shows(page, "The section is full.");
  await press(page, "Add to the waitlist");
  await shows(page, "1st on the waitlist");
  assert.deepEqual(await registered("late"), [`${TERM}-1 waitlisted`]);
  await shows(page, "Refused: section full");
  await page.locator(".attempt").last().getByRole("button", { name: "Who came first?" }).click();
  await until(page, () => /\d(st|nd|rd|th) student to request this section\. The last seat was taken .*\d:\d\d:\d\d\.\d{3}/.test(document.querySelector(".student-file").textContent));
  // The printed page has the answer, but no button.
  await page.emulateMedia({ media: "print" });
  const visible = await page.$$eval("button", (all) => all.filter((one) => one.checkVisibility()).map((one) => one.textContent));
  assert.deepEqual(visible, []);
  assert.match(await page.innerText(".student-file"), /student to request this section/);
});

test("a student is moved and dropped, by keyboard alone", async () => {
  await stateFacts("mover");
  await hub.ask("staff", "PUT", `/api/v1/students/mover/registrations/${TERM}-2`, {});
  const page = await openFile("mover");
  await page.getByRole("button", { name: /^Move: MATH 151/ }).focus();
  await page.keyboard.press("Enter");
  await until(page, () => document.activeElement.matches(".picker input"));
  // The other sections of the course are listed at once. Typing replaces this search.
  await page.locator(".at-row li", { hasText: "MATH 151 A01" }).waitFor();
  await page.keyboard.type("PHYS");
  await page.keyboard.press("Enter");
  await until(page, () => document.activeElement.matches(".picker li button"));
  await page.keyboard.press("Enter");
  await shows(page, "Moved from MATH 151");
  await until(page, () => document.activeElement.matches("#student-file [role=status]"));
  assert.deepEqual(await registered("mover"), [`${TERM}-3 enrolled`]);
  await page.getByRole("button", { name: /^Drop: PHYS 101/ }).focus();
  await page.keyboard.press("Enter");
  await shows(page, "This drops mover from PHYS 101");
  // The confirmation is shown beside its registration.
  await until(page, () => /This drops mover/.test(document.querySelector("li.choice:has([data-act='drop help-3'])").textContent));
  await page.locator(".change").getByRole("button", { name: "Cancel" }).click();
  await until(page, () => document.activeElement.matches("[data-act='drop help-3']") && !document.querySelector(".change *"));
  await page.keyboard.press("Enter");
  await shows(page, "This drops mover from PHYS 101");
  await page.locator(".change button:not(:disabled)").first().waitFor();
  await tabTo(page, ".change button.danger");
  await page.keyboard.press("Enter");
  await shows(page, "Dropped from PHYS 101");
  assert.deepEqual(await registered("mover"), []);
});

test("a hold is lifted after a confirmation, and the other facts stay", async () => {
  await stateFacts("held", { holds: HOLDS, credit_limit: 12, completed: [{ course: "MATH 141", grade: "B" }] });
  const page = await openFile("held");
  await pick(page, "ART", /Register/);
  await shows(page, "There is a hold on the account. Library: A book is missing.");
  await press(page, "Cancel");
  await press(page, "Lift hold: Library");
  await shows(page, "This lifts the hold from Library on held");
  await press(page, "Yes, lift hold");
  await shows(page, "The hold from Library was lifted.");
  const { holds, credit_limit, completed } = await hub.ask("staff", "GET", "/api/v1/students/held");
  assert.deepEqual([holds.map(({ id }) => id), credit_limit, completed.length], [["fee"], 12, 1]);
});

test("a permit with an end date is given instead of an override, and is then ended", async () => {
  await stateFacts("guest");
  const page = await openFile("guest");
  await pick(page, "151 A01", /Register/);
  await shows(page, "The section is full.");
  await press(page, "Give a permit instead");
  await until(page, (id) => document.querySelector("[name=of]")?.value === id, `${TERM}-1`);
  assert.equal(await page.isChecked("[name=override][value=section_full]"), true);
  await page.fill(".change textarea", "Transfer student");
  await page.fill("[name=expires_at]", "2099-01-12T08:00");
  await page.locator(".change").getByRole("button", { name: "Give a permit" }).click();
  await shows(page, "The permit was given.");
  const { permits } = await hub.ask("staff", "GET", "/api/v1/students/guest");
  assert.deepEqual(permits.map(({ section, override, expires_at }) => [section, override, expires_at]), [[`${TERM}-1`, ["section_full"], "2099-01-12T13:00:00Z"]]);
  await page.getByRole("button", { name: /^End permit: MATH 151/ }).click();
  await page.fill(".change textarea", "No longer needed");
  await page.locator(".change").getByRole("button", { name: "End permit" }).click();
  await shows(page, "The permit for MATH 151");
  await shows(page, "No permits.");
});

test("limited staff see registrations in their subjects, and why they see no more", async () => {
  await stateFacts("part");
  for (const crn of [3, 4]) await hub.ask("staff", "PUT", `/api/v1/students/part/registrations/${TERM}-${crn}`, {});
  hub.mint("arthur", "staff", "--subjects", "ART");
  const page = await openFile("part", { user: "arthur", width: 390, height: 844 });
  await shows(page, "ART 2");
  assert.doesNotMatch(await page.textContent("#student-file"), /PHYS 101|Holds$/);
  await shows(page, "Your account is limited to ART.");
  await page.fill(".picker input", "PHYS");
  await shows(page, "Your account is limited to other subjects.");
  assert.equal(await page.locator(".picker li button").isDisabled(), true);
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "the page is as wide as the phone");
  assert.deepEqual(await violations(page), []);
});

test("a student's file is in Spanish, and is printed without its forms", async () => {
  await stateFacts("printed", { holds: HOLDS });
  const page = await openFile("printed", { locale: "es-MX" });
  await pick(page, "ART", /Inscribir/);
  await shows(page, "Hay una retención en la cuenta. Library: A book is missing.");
  // All times on the page write the zone in the same form, within which lines do not break.
  await until(page, () => /GMT\u2212[45]; /.test(document.querySelector(".attempt small")?.textContent));
  await page.emulateMedia({ media: "print" });
  for (const hidden of ["header", "#views", "#student-search", ".picker", ".change"]) assert.equal(await page.locator(hidden).first().isVisible(), false, hidden);
  assert.equal(await page.getByRole("heading", { name: "printed" }).isVisible(), true);
  // The printed page is headed by the student and the time, not by the view.
  assert.match(await page.innerText("main"), /^printed\s+Datos del .*\d/);
  await page.emulateMedia({ media: "screen" });
  assert.doesNotMatch(await page.innerText(".student-file"), /Datos del/);
});

test("a section shows its history beside the roster", async () => {
  const page = await open(chrome, hub, "/staff#sections", { user: "staff", bypassCSP: true });
  await page.selectOption("#which-term", TERM);
  await page.fill("#section-search [name=q]", "151 A01");
  await until(page, () => document.querySelectorAll(".srow").length === 1 && /MATH 151/.test(document.querySelector(".srow").textContent));
  await page.locator(".srow .name").first().click();
  await page.locator(".srow .history summary").click();
  await until(page, () => /first: Enrolled/.test(document.querySelector(".srow .history").textContent));
  assert.match(await page.textContent(".srow .history"), /1 seat was open; by the student/);
  assert.deepEqual(await violations(page), []);
});

test("a name in a roster opens the student's file by keyboard, which leads back to the roster", async () => {
  for (const [locale, help, back, enrolled] of [["en-US", "Help first", "Back to the roster", "Enrolled: \\d"], ["es-MX", "Ayudar a first", "Volver a la lista de estudiantes", "Inscritos: \\d"]]) {
    const page = await open(chrome, hub, "/staff#sections", { user: "staff", bypassCSP: true, locale });
    await page.selectOption("#which-term", TERM);
    await page.fill("#section-search [name=q]", "MATH 151");
    await until(page, () => document.querySelectorAll(".srow").length === 2);
    await page.locator(".srow .name").first().click();
    await page.getByRole("button", { name: help, exact: true }).waitFor();
    assert.match(await page.locator(".roster").textContent(), new RegExp(enrolled));
    await tabTo(page, ".roster [data-user=first]");
    await page.keyboard.press("Enter");
    await until(page, () => location.hash === "#students" && document.activeElement.matches(".student-file h3") && document.activeElement.textContent === "first");
    await shows(page, "MATH 151");
    assert.deepEqual(await violations(page), []);
    await page.getByRole("button", { name: back, exact: true }).press("Enter");
    await until(page, () => location.hash === "#sections" && document.activeElement.matches(".roster [data-user=first]"));
    assert.equal(await page.locator(".student-file").count(), 0);
    assert.deepEqual(page.wrong, []);
  }
});
