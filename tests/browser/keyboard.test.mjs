// A student's whole registration morning with the keyboard alone, and what a screen reader receives along the way.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, Hub, open, rows, tabTo, until } from "./support.mjs";

let hub, chrome;
before(async () => { [hub, chrome] = await Promise.all([Hub.start(), browser()]); });
after(async () => { await chrome?.close(); await hub?.end(); });

const LINES = ["1,MATH 151,Calculus I,A01,lecture,4,5,3,MWF,09:00-09:50,Lee", "2,PHYS 101,Mechanics,A01,lecture,4,5,3,MWF,09:30-10:20,Curie",
  "3,CHEM 101,Chemistry,A01,lecture,4,1,3,TR,09:00-09:50,Pauling", "4,HIST 100,History,A01,lecture,3,5,3,TR,13:00-13:50,Diaz"];
/** Presses Enter on the first control after the focus whose name begins with this text. */
async function press(page, name) {
  await tabTo(page, `[aria-label^="${name}"]`);
  await page.keyboard.press("Enter");
}
/** Presses the skip link with this text, which is among the first tab stops. */
async function skipTo(page, text) {
  await page.evaluate(() => { document.body.tabIndex = -1; document.body.focus(); document.body.removeAttribute("tabindex"); });
  for (let i = 0; i < 3; i += 1) {
    await page.keyboard.press("Tab");
    if (await page.evaluate(() => document.activeElement.textContent) !== text) continue;
    await page.keyboard.press("Enter");
    return until(page, () => !document.activeElement.matches(".skip"));
  }
  throw new Error(`no skip link “${text}”`);
}
const search = async (page, text, crn) => {
  await skipTo(page, "Skip to section search");
  await until(page, () => document.activeElement.id === "q");
  await page.keyboard.press("ControlOrMeta+a");
  await page.keyboard.type(text);
  await until(page, (crn) => document.querySelectorAll(".row").length === 1 && document.querySelector(".row").textContent.includes(crn), crn);
  await page.keyboard.press("ArrowDown");
};
const schedule = (page, pattern) => until(page, (source) => new RegExp(source, "s").test(document.querySelector("#schedule-rows").textContent), pattern.source);

test("the register button keeps the focus and a press while others take seats", async () => {
  await hub.term("rush", LINES);
  for (const user of ["quick", "calm"]) hub.mint(user, "student");
  const page = await open(chrome, hub, "/?term=rush", { user: "calm" });
  await rows(4)(page);
  await hub.ask("calm", "PUT", "/api/v1/me/plan", { sections: ["rush-1", "rush-3"] });
  await page.reload();
  await page.locator("#register-all").focus();
  const box = await page.locator("#register-all").boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await page.mouse.down();
  // The only seat in CHEM 101 is taken during the press, and the warning about it appears.
  await hub.ask("quick", "PUT", "/api/v1/me/registrations/rush-3");
  await until(page, () => document.querySelector("#opening .careful")?.checkVisibility());
  assert.equal(await page.evaluate(() => document.activeElement.id), "register-all");
  await page.mouse.up();
  await until(page, () => document.querySelector("#plan-headline").textContent === "Enrolled in 1 of 2. 1 needs a decision.");
  assert.deepEqual(await hub.registrations("calm", "rush"), ["1 enrolled"]);
});

test("a student's whole morning works by keyboard alone", async () => {
  await hub.term("dawn", LINES, { opensIn: 86_400 });
  hub.mint("rival", "student");
  const page = await open(chrome, hub, "/?term=dawn");
  await rows(4)(page);
  await until(page, () => document.querySelector("#live").dataset.state === "live" && document.querySelector("#sign-in [name=username]")?.checkVisibility());
  await tabTo(page, "[name=username]");
  await page.keyboard.type("student2");
  await page.keyboard.press("Tab");
  await page.keyboard.type("eduhub-demo");
  await page.keyboard.press("Enter");
  await until(page, () => document.querySelector("#who button") && document.querySelector(".row .act button"));

  for (const [text, crn] of [["calculus", "MATH 151"], ["mechanics", "PHYS 101"], ["chemistry", "CHEM 101"]]) {
    await search(page, text, crn);
    await press(page, "Add to plan");
    await until(page, (crn) => document.querySelector("#schedule-rows").textContent.includes(crn), crn);
  }
  // Registration opens on the page automatically, and another student takes the seat in CHEM 101 at once.
  await hub.ask("staff", "PUT", "/api/v1/terms/dawn", { opens_at: new Date().toISOString() });
  await until(page, () => document.querySelector("#register-all"));
  await hub.ask("rival", "PUT", "/api/v1/me/registrations/dawn-3");
  await skipTo(page, "Skip to registration");
  await until(page, () => document.activeElement.id === "register-all");
  await page.keyboard.press("Enter");
  await schedule(page, /Overlaps MATH 151/);
  await until(page, () => document.querySelector("#plan-headline").textContent === "Enrolled in 1 of 3. 2 need a decision.");
  await skipTo(page, "Skip to my schedule");
  await tabTo(page, "#schedule-rows .next button");
  while (!/Join/.test(await page.evaluate(() => document.activeElement.textContent))) await tabTo(page, "#schedule-rows .next button");
  await page.keyboard.press("Enter");
  await schedule(page, /1st on the waitlist/);
  assert.deepEqual(await hub.registrations("student2", "dawn"), ["1 enrolled", "3 waitlisted"]);

  const { id } = await hub.ask("staff", "POST", "/api/v1/alerts", { title: "Payment is due", message: "Pay before noon.", priority: "high", category: "workflow", requires_ack: true, audience: { all: true } });
  await until(page, () => document.querySelector("#banners button:not(:disabled)"));
  await skipTo(page, "Skip to section search");
  await page.keyboard.press("Shift+Tab");
  for (let i = 0; i < 20 && !await page.evaluate(() => document.activeElement.matches("#banners button")); i += 1) await page.keyboard.press("Shift+Tab");
  await page.keyboard.press("Enter");
  await until(page, () => !document.querySelector("#banners article"));
  await hub.ask("staff", "DELETE", `/api/v1/alerts/${id}`);

  await skipTo(page, "Skip to my schedule");
  await press(page, "Drop: MATH 151");
  await schedule(page, /Undo keeps your seat/);
  await skipTo(page, "Skip to my schedule");
  await press(page, "Undo: MATH 151");
  await schedule(page, /MATH 151.*Enrolled/);
  assert.deepEqual(await hub.registrations("student2", "dawn"), ["1 enrolled", "3 waitlisted"]);
  assert.deepEqual(page.wrong, []);
});

test("the accessibility tree has results, a changed seat count and an alert in reading order", async () => {
  await hub.term("heard", LINES);
  for (const user of ["hera", "other"]) hub.mint(user, "student");
  await hub.ask("other", "PUT", "/api/v1/me/registrations/heard-3");
  await hub.ask("hera", "PUT", "/api/v1/me/plan", { sections: ["heard-1", "heard-2", "heard-3"] });
  const page = await open(chrome, hub, "/?term=heard", { user: "hera" });
  await rows(4)(page);
  await page.locator("#register-all").click();
  await schedule(page, /Overlaps MATH 151/);
  await until(page, () => !document.querySelector("#schedule-rows .pending"));
  /** Returns the lines of the accessibility tree of an element, without indentation. */
  const read = async (selector) => (await page.locator(selector).ariaSnapshot()).split("\n").map((line) => line.trim().replace(/^- /, "").replace(/^'(.*)'(:?.*)$/, "$1$2"));
  const reads = async (selector, ...lines) => {
    const all = await read(selector);
    let from = 0;
    for (const line of lines) {
      const at = all.indexOf(line, from);
      assert.ok(at >= 0, `“${line}” follows in\n${all.join("\n")}`);
      from = at + 1;
    }
  };
  await reads("#schedule-rows", "strong: MATH 151", "text: A01 lecture Calculus I Mon Wed Fri 9:00 – 9:50 AM Enrolled", 'button "Drop: MATH 151 lecture (1)": Drop',
    "strong: PHYS 101", "paragraph: Overlaps MATH 151 lecture (1).", 'button "Swap with MATH 151 lecture (1)"',
    "strong: CHEM 101", "paragraph: Full. You would be first on the waitlist.", `button "Join the waitlist (you'd be first)"`);
  await reads("#plan-headline", "status: Enrolled in 1 of 3. 2 need a decision.");
  // A result row states its seats, and states the new number after a change.
  await reads(".row:has-text('HIST 100')", 'button "HIST 100 A01 lecture History":', "text: Tue Thu 1:00 – 1:50 PM Diaz CRN 4, 3 cr. 5 left", 'button "Register: HIST 100 lecture (4)": Register');
  await hub.ask("other", "PUT", "/api/v1/me/registrations/heard-4");
  await until(page, () => [...document.querySelectorAll(".row")].some((one) => /HIST 100.*4 left/s.test(one.innerText)));
  await reads(".row:has-text('HIST 100')", "text: Tue Thu 1:00 – 1:50 PM Diaz CRN 4, 3 cr. 4 left");
  const { id } = await hub.ask("staff", "POST", "/api/v1/alerts", { title: "Leave the building", message: "A gas leak was found.", category: "emergency", requires_ack: true, audience: { all: true } });
  await until(page, () => document.querySelector("#urgent article button"));
  await reads("#urgent", "alert:", "article:", 'heading "Emergency: Leave the building" [level=2]', "paragraph: A gas leak was found.");
  await hub.ask("staff", "DELETE", `/api/v1/alerts/${id}`);
  assert.deepEqual(page.wrong.filter((one) => !/409/.test(one)), []);
});
