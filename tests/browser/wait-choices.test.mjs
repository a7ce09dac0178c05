// Choices with a waitlist position, on the student's page: a linked section, alternatives, and a section to drop.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, Hub, open, until, violations } from "./support.mjs";

let hub, chrome;
before(async () => {
  [hub, chrome] = await Promise.all([Hub.start(), browser()]);
});
after(async () => { await chrome?.close(); await hub?.end(); });

/** Creates a term: two full lectures of BIOL 101, a full lab, which `link` links to the first, and an open ART 1. */
async function term(id, student) {
  await hub.term(id, [
    "1,BIOL 101,Biology,A01,lecture,4,1,5,M,09:00-09:50,Lee", "2,BIOL 101,Biology,A02,lecture,4,1,5,T,09:00-09:50,Ray",
    "3,BIOL 101,Biology,B01,lab,0,1,5,W,09:00-09:50,Lee", "4,ART 1,Drawing,A01,lecture,3,5,5,M,09:00-10:20,Fox",
  ]);
  const holders = { 1: `${id}-one`, 2: `${id}-two`, 3: `${id}-one` };
  for (const user of [...new Set(Object.values(holders)), student]) hub.mint(user, "student");
  const ask = (user, method, crn) => hub.ask(user, method, `/api/v1/me/registrations/${id}-${crn}`);
  for (const [crn, user] of Object.entries(holders)) await ask(user, "PUT", crn);
  return {
    link: () => hub.ask("staff", "PATCH", `/api/v1/sections/${id}-1`, { linked: [`${id}-3`] }),
    free: (crn) => ask(holders[crn], "DELETE", crn),
    take: (crn) => ask(student, "PUT", crn),
  };
}

const choose = (page) => page.locator(".wait-choices").first();
const openChoices = async (page, crn) => {
  await until(page, () => document.querySelector("#live").dataset.state === "live");
  await page.getByRole("button", { name: new RegExp(`^Waitlist choices.*\\(${crn}\\)`) }).first().click();
  await choose(page).waitFor();
};
const shown = (page, pattern) => until(page, (source) => new RegExp(source).test(document.querySelector(".schedule-view").textContent), pattern.source);

test("a student waits for either of two sections and drops another when a seat opens", async () => {
  const { free, take } = await term("anyof", "ada");
  await take(4);
  const page = await open(chrome, hub, "/?term=anyof&q=BIOL", { user: "ada", bypassCSP: true });
  await openChoices(page, 1);
  assert.deepEqual(await violations(page), []);
  await choose(page).getByLabel(/BIOL 101 lecture \(2\)/).check();
  await choose(page).getByLabel(/ART 1 lecture \(4\)/).check();
  await choose(page).getByRole("button", { name: /^Join the waitlist with these choices/ }).click();
  await shown(page, /Also waiting for BIOL 101 lecture \(2\)\. When you get a seat in one, you leave the other waitlists\./);
  await shown(page, /When you get the seat, ART 1 lecture \(4\) is dropped\./);
  assert.deepEqual(await hub.registrations("ada", "anyof"), ["1 waitlisted", "2 waitlisted", "4 enrolled"]);
  // Sections that the student chose together are not reported as a conflict.
  await until(page, () => document.querySelector("#conflicts").textContent === "");
  assert.deepEqual(await violations(page), []);
  await page.getByRole("button", { name: "Español" }).click();
  await shown(page, /Cuando obtenga el cupo, se dará de baja ART 1/);
  await page.getByRole("button", { name: "English" }).click();
  await free(2);
  await shown(page, /You got the seat that you were waiting for, so you left this section, as you chose\./);
  assert.deepEqual(await hub.registrations("ada", "anyof"), ["2 enrolled"]);
  assert.deepEqual(page.wrong, []);
});

test("waitlist choices are aligned with their question, 8 px before their text", async () => {
  await term("aligned", "ana");
  const page = await open(chrome, hub, "/?term=aligned", { user: "ana" });
  await openChoices(page, 1);
  const [question, box, text] = await page.evaluate(() => ["legend", ".check input", ".check span"].map((at) => {
    const range = document.createRange();
    range.selectNodeContents(document.querySelector(`.wait-choices ${at}`));
    return (at === ".check input" ? document.querySelector(`.wait-choices ${at}`) : range).getBoundingClientRect();
  }).map(({ left, right }) => ({ left, right })));
  assert.equal(question.left, box.left);
  assert.equal(text.left - box.right, 8);
});

test("a student waits for a linked lab together with its lecture and gets a seat in both", async () => {
  const { free, link } = await term("bundle", "ben");
  await link();
  const page = await open(chrome, hub, "/?term=bundle&q=BIOL", { user: "ben" });
  await openChoices(page, 1);
  const other = choose(page).getByLabel(/BIOL 101 lecture \(2\)/);
  await choose(page).getByLabel(/BIOL 101 lab \(3\)/).check();
  assert.equal(await other.isDisabled(), true, "a bundle has no alternatives");
  await choose(page).getByRole("button", { name: /^Join the waitlist with these choices/ }).click();
  await shown(page, /Only together with BIOL 101 lab \(3\)\./);
  assert.deepEqual(await hub.registrations("ben", "bundle"), ["1 waitlisted", "3 waitlisted"]);
  await free(1);
  await shown(page, /There is no seat yet in a section that you want together with this one\./);
  await free(3);
  await until(page, () => document.querySelectorAll('.schedule-row[data-kind="enrolled"]').length === 2);
  assert.deepEqual(await hub.registrations("ben", "bundle"), ["1 enrolled", "3 enrolled"]);
  assert.deepEqual(page.wrong, []);
});

test("waitlist choices are offered once all sections of the class are known", async () => {
  const { link } = await term("slow", "fay");
  await link();
  const page = await open(chrome, hub, "/readyz", { user: "fay" });
  let release;
  const released = new Promise((resolve) => { release = resolve; });
  await page.route((url) => url.pathname === "/api/v1/sections" && !url.searchParams.has("q"), (route) => released.then(() => route.continue()));
  await page.goto(`${hub.url}/?term=slow&q=BIOL`);
  await page.getByRole("button", { name: /^Join waitlist.*\(1\)/ }).first().waitFor();
  assert.equal(await page.getByRole("button", { name: /^Waitlist choices/ }).count(), 0);
  release();
  await openChoices(page, 1);
  await choose(page).getByLabel(/BIOL 101 lecture \(2\)/).waitFor();
  assert.deepEqual(page.wrong, []);
});

test("a full section in conflict offers to drop the other section in exchange for its seat", async () => {
  const { free, take } = await term("swap", "cal");
  await take(4);
  const page = await open(chrome, hub, "/?term=swap&q=BIOL", { user: "cal" });
  await until(page, () => document.querySelector("#live").dataset.state === "live");
  await page.getByRole("button", { name: /^Join waitlist.*\(1\)/ }).first().click();
  await choose(page).waitFor();
  const join = choose(page).getByRole("button", { name: /^Join the waitlist with these choices/ });
  await join.click();
  await until(page, () => /Select the section to drop/.test(document.querySelector(".wait-choices").textContent) && document.activeElement.matches(".wait-choices [aria-invalid]"));
  await choose(page).getByLabel(/ART 1 lecture \(4\)/).check();
  await join.click();
  await shown(page, /When you get the seat, ART 1 lecture \(4\) is dropped\./);
  await free(1);
  await until(page, () => document.querySelectorAll('.schedule-row[data-kind="enrolled"]').length === 1);
  assert.deepEqual(await hub.registrations("cal", "swap"), ["1 enrolled"]);
  assert.deepEqual(page.wrong.filter((one) => !/409/.test(one)), []);
});

test("an offer says which section it drops, and that section says why it is gone", async () => {
  await hub.term("chosen", ["1,BIOL 101,Biology,A01,lecture,4,1,5,M,09:00-09:50,Curie", "4,ART 1,Drawing,A01,lecture,3,9,5,M,09:00-10:20,Fox"]);
  await hub.ask("staff", "PUT", "/api/v1/terms/chosen", { waitlist: "offer", offer_s: 3600, offer_first_day_s: 3600 });
  for (const user of ["olaf", "nina"]) hub.mint(user, "student");
  await hub.ask("olaf", "PUT", "/api/v1/me/registrations/chosen-1");
  await hub.ask("nina", "PUT", "/api/v1/me/registrations/chosen-4");
  await hub.ask("nina", "PUT", "/api/v1/me/registrations/chosen-1?waitlist=true", { drop: "chosen-4" });
  const page = await open(chrome, hub, "/?term=chosen", { user: "nina" });
  await until(page, () => document.querySelector("#live").dataset.state === "live" && document.querySelectorAll("#schedule-rows > li").length === 2);
  await hub.ask("olaf", "DELETE", "/api/v1/me/registrations/chosen-1");
  await until(page, () => /When you get the seat, ART 1 lecture \(4\) is dropped\./.test(document.querySelector("#offers").textContent));
  await page.locator("#offers").getByRole("button", { name: /^Accept/ }).click();
  await shown(page, /You got the seat that you were waiting for, so you left this section, as you chose\./);
  assert.deepEqual(await hub.registrations("nina", "chosen"), ["1 enrolled"]);
  assert.deepEqual(page.wrong, []);
});
