// The order of waitlists: staff declare a priority and move students, and students see why they have their position.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, Hub, open, until, violations } from "./support.mjs";

let hub, chrome;
before(async () => {
  [hub, chrome] = await Promise.all([Hub.start(), browser()]);
});
after(async () => { await chrome?.close(); await hub?.end(); });

/** Creates a term with one full section and these students on its waitlist. */
async function term(id, waiting) {
  await hub.term(id, ["1,MATH 151,Calculus I,A01,lecture,5,1,5,MWF,09:00-09:50,Lee"]);
  for (const user of [`${id}-holder`, ...waiting]) {
    hub.mint(user, "student");
    await hub.ask(user, "PUT", `/api/v1/me/registrations/${id}-1?waitlist=true`);
  }
}

const live = (page) => until(page, () => document.querySelector("#live").dataset.state === "live");
const shown = (page, pattern) => until(page, (source) => new RegExp(source).test(document.querySelector(".schedule-view").textContent), pattern.source);
const waiting = (page, pattern) => until(page, (source) => new RegExp(source, "s").test([...document.querySelectorAll(".roster table")].at(-1)?.textContent), pattern.source);
/** Returns the students on the waitlist of section 1, in the hub's order. */
const waitlist = async (id) => (await hub.ask("staff", "GET", `/api/v1/sections/${id}-1/roster`)).items
  .filter(({ status }) => status === "waitlisted").map(({ user }) => user);

test("staff move a student on the waitlist, and the students see it at once", async () => {
  await term("order", ["ana-o", "bob-o", "cyd-o"]);
  const [page, student] = await Promise.all([
    open(chrome, hub, "/staff#sections", { user: "staff", bypassCSP: true }), open(chrome, hub, "/?term=order", { user: "cyd-o" })]);
  await Promise.all([live(student), until(page, () => document.querySelectorAll("#which-term option").length > 1)]);
  await shown(student, /3rd|position 3|3 of/i);
  await page.selectOption("#which-term", "order");
  await until(page, () => document.querySelectorAll(".srow").length === 1);
  await page.click(".srow .name");
  await waiting(page, /1st.*ana-o.*2nd.*bob-o.*3rd.*cyd-o/);
  await page.getByRole("button", { name: "Move cyd-o on the waitlist" }).click();
  const form = page.locator(".roster form");
  const labels = form.locator("label > span:first-child");
  assert.deepEqual(await labels.allTextContents(), ["New position", "Reason"]);
  for (const label of await labels.all()) assert.ok((await label.boundingBox()).width > 20, "the label is shown");
  await form.getByLabel("New position").fill("1");
  await form.getByRole("button", { name: "Move" }).click();
  await until(page, () => /Enter a reason/.test(document.querySelector(".roster form").textContent));
  assert.deepEqual(await waitlist("order"), ["ana-o", "bob-o", "cyd-o"]);
  assert.deepEqual(await violations(page), []);
  await form.getByLabel(/^Reason/).fill("Error of the office");
  await form.getByRole("button", { name: "Move" }).click();
  await waiting(page, /1st.*cyd-o.*2nd.*ana-o.*3rd.*bob-o/);
  await until(page, () => /cyd-o is now 1st on the waitlist\./.test(document.querySelector(".roster").textContent) && !document.querySelector(".roster form"));
  await shown(student, /1st|position 1|1 of/i);
  assert.deepEqual(await waitlist("order"), ["cyd-o", "ana-o", "bob-o"]);
  assert.deepEqual([...page.wrong, ...student.wrong], []);
});

test("the message about a move on the waitlist disappears when the section is changed", async () => {
  await term("ends", ["ana-e", "bob-e"]);
  const page = await open(chrome, hub, "/staff#sections", { user: "staff" });
  await until(page, () => document.querySelectorAll("#which-term option").length > 1);
  await page.selectOption("#which-term", "ends");
  await until(page, () => document.querySelectorAll(".srow").length === 1);
  await page.click(".srow .name");
  const move = async (user) => {
    await page.getByRole("button", { name: `Move ${user} on the waitlist` }).click();
    assert.equal(await page.getByText("is now 1st on the waitlist.").count(), 0, "the earlier result is gone");
    const form = page.locator(".roster form");
    await form.getByLabel("New position").fill("1");
    await form.getByLabel(/^Reason/).fill("Error of the office");
    await form.getByRole("button", { name: "Move" }).click();
    await page.getByText(`${user} is now 1st on the waitlist.`).waitFor();
  };
  await move("bob-e");
  await move("ana-e");
  await page.selectOption(".srow [name=status]", "cancelled");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("button", { name: /^Cancel section and notify/ }).waitFor();
  assert.equal(await page.getByText("is now 1st on the waitlist.").count(), 0);
  assert.deepEqual(page.wrong, []);
});

test("the form for moving a student works in Spanish", async () => {
  await term("orden", ["ana-s", "bob-s"]);
  const page = await open(chrome, hub, "/staff#sections", { user: "staff", locale: "es-MX" });
  await until(page, () => document.querySelectorAll("#which-term option").length > 1);
  await page.selectOption("#which-term", "orden");
  await until(page, () => document.querySelectorAll(".srow").length === 1);
  await page.click(".srow .name");
  await page.getByRole("button", { name: "Mover a bob-s en la lista de espera" }).click();
  const form = page.locator(".roster form");
  await form.getByLabel("Lugar nuevo").fill("1");
  await form.getByLabel(/^Motivo/).fill("Error de la oficina");
  await form.getByRole("button", { name: "Mover" }).click();
  await until(page, () => /Nuevo lugar de bob-s en la lista de espera: 1/.test(document.querySelector(".roster").textContent));
  assert.deepEqual(await waitlist("orden"), ["bob-s", "ana-s"]);
  assert.deepEqual(page.wrong, []);
});

test("staff declare a priority, and students see it beside their position", async () => {
  await term("prio", ["ana-p", "bob-p"]);
  await hub.ask("staff", "PUT", "/api/v1/students/bob-p", { groups: ["graduating"] });
  const page = await open(chrome, hub, "/staff#terms", { user: "staff", bypassCSP: true });
  const edit = page.locator("#terms .term-card", { hasText: "prio" }).getByRole("button", { name: /^Edit/ });
  const save = async (groups) => {
    await edit.click();
    await until(page, () => document.querySelector("#term-form [name=id]").value === "prio");
    await page.fill("#term-form [name=waitlist_priority]", groups);
    const put = page.waitForResponse((response) => response.request().method() === "PUT" && response.url().endsWith("/api/v1/terms/prio"));
    await page.getByRole("button", { name: "Save term" }).click();
    assert.equal((await put).status(), 200);
    await until(page, (id) => [...document.querySelectorAll(".term-card")].some((card) => card.querySelector("small").textContent === id && /Saved\./.test(card.querySelector("[role=status]").textContent)), "prio");
  };
  await save("graduating, need-based");
  assert.deepEqual(await waitlist("prio"), ["bob-p", "ana-p"]);
  assert.deepEqual(await violations(page), []);
  const [ana, bob] = await Promise.all(["ana-p", "bob-p"].map((user) => open(chrome, hub, "/?term=prio", { user, bypassCSP: true })));
  await shown(bob, /Waitlist order: students in graduating and need-based first, then in order of joining\..*You are ahead of others as a student in graduating\./);
  await shown(ana, /Waitlist order: students in graduating and need-based first/);
  assert.doesNotMatch(await ana.textContent(".schedule-view"), /ahead of others/);
  assert.deepEqual(await violations(bob), []);
  await bob.getByRole("button", { name: "Español" }).click();
  await shown(bob, /Orden de la lista de espera: primero los estudiantes de graduating y need-based; después, por orden de llegada\..*Tiene prioridad como estudiante de graduating\./);
  await save("");
  assert.deepEqual(await waitlist("prio"), ["ana-p", "bob-p"]);
  assert.deepEqual([...page.wrong, ...ana.wrong, ...bob.wrong], []);
});
