// Refusals on the student's page: each names its reason, and offers the next step if there is one.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, Hub, open, row, rows, until } from "./support.mjs";

const TERM = "rules";
let hub, chrome;
before(async () => {
  [hub, chrome] = await Promise.all([Hub.start(), browser()]);
  await hub.term(TERM, [
    "1,LAW 1,Contracts,A01,lecture,3,5,2,M,09:00-09:50,Lee", "2,ART 1,Drawing,A01,lecture,3,5,2,T,09:00-09:50,Kahlo",
    "3,BIOL 1,Cells,A01,lecture,3,5,2,W,09:00-09:50,Curie", "4,BIOL 1,Cells lab,L01,lab,0,5,2,R,09:00-09:50,Curie", "5,BIOL 1,Cells lab,L02,lab,0,5,2,F,09:00-09:50,Curie",
    "6,MATH 1,Algebra,A01,lecture,3,1,2,S,09:00-09:50,Noether",
  ]);
  const patch = (crn, body) => hub.ask("staff", "PATCH", `/api/v1/sections/${TERM}-${crn}`, body);
  await patch(1, { restrictions: [{ by: "group", values: ["honors"] }] });
  await patch(2, { repeat_limit: 1 });
  await patch(3, { linked: [`${TERM}-4`, `${TERM}-5`] });
  await patch(6, { reserved: [{ group: "honors", seats: 1 }] });
  await hub.term("cutoff", ["1,LAW 1,Contracts,A01,lecture,3,5,2,M,09:00-09:50,Lee"]);
});
after(async () => { await chrome?.close(); await hub?.end(); });

/** Opens the page of a student with these facts. */
async function openAs(user, facts = {}, { term = TERM, n = 6, ...how } = {}) {
  hub.mint(user, "student");
  await hub.ask("staff", "PUT", `/api/v1/students/${user}`, facts);
  const page = await open(chrome, hub, `/?term=${term}`, { user, ...how });
  await rows(n)(page);
  return page;
}
const press = (page, title, name) => row(page, title).getByRole("button", { name }).first().click();
const shows = (page, text) => until(page, (text) => [...document.querySelectorAll(".row .result")].some((one) => one.textContent.includes(text)), text);

test("a restricted section says that it is for other students, in both languages", async () => {
  const page = await openAs("rita");
  await press(page, "Contracts", /^Register/);
  await shows(page, "You're not eligible for this section.");
  await page.getByRole("button", { name: "Español" }).click();
  await shows(page, "Esta sección está restringida a otros estudiantes.");
  const honors = await openAs("hope", { groups: ["Honors"] });
  await press(honors, "Contracts", /^Register/);
  await row(honors, "Contracts").getByText("Enrolled").waitFor();
  assert.deepEqual([...page.wrong, ...honors.wrong], []);
});

test("the page says that a course has been taken as many times as allowed", async () => {
  const page = await openAs("rex", { completed: [{ course: "ART 1", grade: "B" }] });
  await press(page, "Drawing", /^Register/);
  await shows(page, "You have already taken this course, and it can't be repeated.");
});

test("a lecture offers each of its labs, and one press registers for both", async () => {
  const page = await openAs("lina", {}, { width: 390, height: 844 });
  const lecture = page.locator(".row", { hasText: "lecture" }).filter({ hasText: "BIOL 1" });
  await lecture.getByRole("button", { name: /^Register/ }).click();
  await shows(page, "This section must be taken with another one.");
  const choices = lecture.getByRole("button", { name: /^Add with/ });
  assert.deepEqual(await choices.allTextContents(), ["Add with BIOL 1 lab (4)", "Add with BIOL 1 lab (5)"]);
  await choices.last().click();
  await lecture.getByText("Enrolled").waitFor();
  assert.deepEqual(await hub.registrations("lina", TERM), ["3 enrolled", "5 enrolled"]);
  assert.deepEqual(page.wrong, []);
});

test("the refusal of a late add states the deadline, and a late drop keeps the seat", async () => {
  const page = await openAs("cora", {}, { term: "cutoff", n: 1 });
  await press(page, "Contracts", /^Register/);
  await row(page, "Contracts").getByText("Enrolled").waitFor();
  const past = "2026-01-12T13:00:00Z";
  await hub.ask("staff", "PUT", "/api/v1/terms/cutoff", { add_until: past, drop_until: past });
  await press(page, "Contracts", /^Drop/);
  // The delay of a drop ends when the page is hidden.
  await page.evaluate(() => { Object.defineProperty(document, "visibilityState", { value: "hidden" }); document.dispatchEvent(new Event("visibilitychange")); });
  const late = await openAs("carl", {}, { term: "cutoff", n: 1 });
  await press(late, "Contracts", /^Register/);
  await shows(late, "Registration closed Mon, Jan 12, 8:00 AM EST.");
  assert.deepEqual(await hub.registrations("cora", "cutoff"), ["1 enrolled"]);
});

test("a section with only reserved seats is full for others, and open to the group", async () => {
  const page = await openAs("nick");
  await row(page, "Algebra").getByText("Reserved seats only").waitFor();
  const honors = await openAs("hugh", { groups: ["honors"] });
  await row(honors, "Algebra").getByText("1 left").waitFor();
  await press(honors, "Algebra", /^Register/);
  await row(honors, "Algebra").getByText("Enrolled").waitFor();
  assert.deepEqual(await hub.registrations("hugh", TERM), ["6 enrolled"]);
});

test("a section is shown as full, not closed, when another section has used up their pool", async () => {
  await hub.term("shared", ["1,ART 1,Drawing,A01,lecture,3,1,2,M,09:00-09:50,Kahlo", "2,LAW 1,Contracts,A01,lecture,3,1,2,T,09:00-09:50,Lee"]);
  for (const crn of [1, 2]) await hub.ask("staff", "PATCH", `/api/v1/sections/shared-${crn}`, { cross_listed: { group: "X", capacity: 1 } });
  hub.mint("taker", "student");
  await hub.ask("taker", "PUT", "/api/v1/me/registrations/shared-1");
  const page = await openAs("sue", {}, { term: "shared", n: 2 });
  await row(page, "Contracts").getByRole("button", { name: /^Join waitlist/ }).waitFor();
  assert.match(await row(page, "Contracts").textContent(), /Full/);
});

test("a refusal disappears when a seat opens or the conflicting section is dropped", async () => {
  await hub.term("over", ["1,LAW 1,Contracts,A01,lecture,3,5,2,M,09:00-09:50,Lee", "2,ART 1,Drawing,A01,lecture,3,5,2,M,09:00-10:20,Kahlo", "3,BIOL 1,Cells,A01,lecture,3,1,2,W,09:00-09:50,Curie"]);
  hub.mint("olga", "student");
  await hub.ask("student", "PUT", "/api/v1/me/registrations/over-3");
  await hub.ask("olga", "PUT", "/api/v1/me/registrations/over-1");
  await hub.ask("olga", "PUT", "/api/v1/me/plan", { sections: ["over-3"] });
  const page = await openAs("olga", {}, { term: "over", n: 3 });
  const gone = (text) => until(page, (text) => ![...document.querySelectorAll(".row .result, #schedule-rows .result")].some((one) => one.textContent.includes(text)), text);
  await press(page, "Drawing", /^Register/);
  await shows(page, "Overlaps LAW 1 lecture (1).");
  await hub.ask("olga", "DELETE", "/api/v1/me/registrations/over-1");
  await gone("Overlaps LAW 1");
  await page.click("#register-all");
  await until(page, () => /Full\. You would be first on the waitlist\./.test(document.querySelector("#schedule-rows").textContent));
  await hub.ask("student", "DELETE", "/api/v1/me/registrations/over-3");
  await gone("Full. You would be first");
  await press(page, "Cells", /^Register/);
  await row(page, "Cells").getByText("Enrolled").waitFor();
  assert.deepEqual(page.wrong, []);
});

test("drawing a refusal does not change it, and it ends when a seat opens", async () => {
  await hub.term("drawn", ["1,LAW 1,Contracts,A01,lecture,3,5,2,M,09:00-09:50,Lee"]);
  const page = await openAs("student", {}, { term: "drawn", n: 1 });
  const seen = await page.evaluate(async () => {
    const [{ Registrations }, { Actions }] = await Promise.all(["registrations", "actions"].map((name) => import(`/static/js/student/${name}.js`)));
    const seats = { capacity: 1, open: 1, enrolled: 0, waitlisted: 0, waitlist_capacity: 1 };
    const stub = {
      live: { on() {} }, drops: { flush() {} }, terms: { current: null }, numbers: () => seats,
      catalogue: { get: (id) => ({ id, status: "open", course: "LAW 1" }), name: (id) => id },
    };
    stub.actions = new Actions(stub);
    stub.registrations = new Registrations(stub, { onchange() {}, onresult() {} });
    window.fetch = async () => new Response(JSON.stringify({ code: "section_full", status: 409, title: "Full", detail: "Full" }), { status: 409, headers: { "Content-Type": "application/problem+json" } });
    await stub.registrations.register("T-1");
    const shown = () => Boolean(stub.actions.result("T-1"));
    // The page receives the seats of the full section after the refusal.
    const all = [shown()];
    seats.open = 0;
    const before = JSON.stringify(stub.registrations.result("T-1"));
    all.push(shown(), JSON.stringify(stub.registrations.result("T-1")) === before);
    stub.registrations.recordBlocked?.();
    seats.open = 1;
    all.push(shown());
    return all;
  });
  assert.deepEqual(seen, [true, true, true, false]);
});
