// The staff's page, as a clerk uses it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, Hub, open, until } from "./support.mjs";

let hub, chrome;
before(async () => {
  [hub, chrome] = await Promise.all([Hub.start(), browser()]);
  await hub.term("desk", ["1,MATH 151,Calculus I,A01,lecture,5,2,3,MWF,09:00-09:50,Lee", "2,PHYS 101,Physics,A01,lecture,4,1,3,MWF,09:30-10:20,Curie"]);
});
after(async () => { await chrome?.close(); await hub?.end(); });

const file = (text) => ({ name: "schedule.csv", mimeType: "text/csv", buffer: Buffer.from(text) });
const desk = async (where) => {
  const page = await open(chrome, hub, `/staff${where}`, { user: "staff" });
  await page.selectOption("#which-term", "desk");
  return page;
};

test("the map shows every section, and the fullest change their colour as it happens", async () => {
  const page = await desk("#now");
  await until(page, () => document.querySelectorAll("#map i").length === 2);
  assert.equal(await page.getAttribute("#map [data-id=desk-2]", "data-level"), "0");
  await hub.ask("student", "PUT", "/api/v1/me/registrations/desk-2");
  await until(page, () => document.querySelector("#map [data-id=desk-2]").dataset.level === "5" && /PHYS 101/.test(document.querySelector("#hottest").textContent));
  await page.locator("#map [data-id=desk-2]").click();
  await until(page, () => document.querySelectorAll(".srow").length === 1 && /PHYS 101/.test(document.querySelector(".srow").textContent));
});

test("a section's capacity is changed in place, and a cancellation asks twice", async () => {
  const page = await desk("#sections");
  await page.fill("#section-search [name=q]", "calculus");
  await until(page, () => document.querySelectorAll(".srow").length === 1);
  await page.fill(".srow [name=capacity]", "7");
  await page.keyboard.press("Enter");
  await until(page, () => /Saved/.test(document.querySelector(".srow").textContent) && /7 left/.test(document.querySelector(".srow").textContent));
  assert.equal((await hub.ask("staff", "GET", "/api/v1/sections/desk-1")).capacity, 7);
  await page.selectOption(".srow [name=status]", "cancelled");
  await page.getByRole("button", { name: "Save" }).click();
  await until(page, () => /Everyone enrolled will be told/.test(document.querySelector(".srow").textContent));
  assert.equal((await hub.ask("staff", "GET", "/api/v1/sections/desk-1")).status, "open");
  await page.getByRole("button", { name: "Undo" }).click();
  assert.equal(await page.inputValue(".srow [name=status]"), "open");
});

test("a file is checked before it changes anything; a bad line is shown with its number, a good file is applied", async () => {
  const page = await desk("#import");
  await page.setInputFiles("#import-form [name=file]", file("term,crn,course,title,capacity\nfile,1,MATH 1,One,10\nfile,2,MATH 2,Two,many\n"));
  await page.getByRole("button", { name: "Check the file" }).click();
  await until(page, () => /cannot be applied/.test(document.querySelector("#task").textContent));
  assert.match(await page.locator("#task table").first().textContent(), /3.*capacity.*many/);
  await page.setInputFiles("#import-form [name=file]", file("term,crn,course,title,capacity\nfile,1,MATH 1,One,10\nfile,2,MATH 2,Two,20\n"));
  await page.getByRole("button", { name: "Check the file" }).click();
  await until(page, () => /Nothing has changed yet/.test(document.querySelector("#task").textContent));
  assert.equal((await hub.ask("staff", "GET", "/api/v1/terms")).items.some(({ id }) => id === "file"), false);
  await page.getByRole("button", { name: "Apply 2 changes from schedule.csv" }).click();
  await until(page, () => /Imported/.test(document.querySelector("#task").textContent));
  assert.equal((await hub.ask("staff", "GET", "/api/v1/sections?term=file")).total, 2);
});

test("an alert says whom it reaches before it goes out, and a student's page has it at once", async () => {
  const student = await open(chrome, hub, "/?term=desk", { user: "student" });
  await until(student, () => document.querySelector("#live").dataset.state === "live");
  const page = await desk("#alerts");
  await page.fill("#alert-form [name=title]", "Payment is due");
  await page.fill("#alert-form [name=message]", "By Friday.");
  await page.selectOption("#alert-form [name=priority]", "high");
  await until(page, () => /Reaches .* connected now/.test(document.querySelector("#reach").textContent));
  assert.match(await page.textContent("#preview"), /Payment is due.*until it is read/);
  await page.getByRole("button", { name: "Send the alert" }).click();
  await until(student, () => /Payment is due/.test(document.querySelector("#banners").textContent));
  await page.locator("#alert-list").getByRole("button", { name: "Take it down" }).first().click();
  await until(student, () => !/Payment is due/.test(document.querySelector("#banners").textContent));
});

test("a student is not let in, and is told why", async () => {
  const page = await open(chrome, hub, "/staff", { user: "student" });
  await until(page, () => /for the college's staff/.test(document.querySelector("#refused").textContent));
  assert.equal(await page.isVisible("#desk"), false);
});
