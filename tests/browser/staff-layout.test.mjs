// The staff page: related parts are side by side, and similar parts are aligned.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, csvFile, Hub, open, until } from "./support.mjs";

const HEADS = "crn,course,title,section,component,credits,capacity,waitlist_capacity,days,time,instructor";
let hub, chrome;
before(async () => {
  [hub, chrome] = await Promise.all([Hub.start(), browser()]);
  await hub.ask("admin", "PUT", "/api/v1/admin/users/long", { role: "student", password: "correct horse 1", name: "Wilhelmina Featherstonehaugh-Cholmondeley" });
  hub.mint("long", "student");
  await hub.term("desk", [
    "1,MATH 151,Calculus I,A01,lecture,5,1,3,MWF,12:00-12:50,G. Eriksen,Adams 104",
    "2,MATH 151,Calculus I,A02,lecture,5,20,3,MWF,09:00-09:50,Lee,Adams 104",
  ], { more: ["location"] });
  for (const user of ["long", "student"]) await hub.ask(user, "PUT", "/api/v1/me/registrations/desk-1?waitlist=true");
  await hub.ask("staff", "PUT", "/api/v1/terms/empty", { title: "A term without sections" });
});
after(async () => { await chrome?.close(); await hub?.end(); });

const openDesk = async (hash, how = {}, term = "desk") => {
  const page = await open(chrome, hub, `/staff${hash}`, { user: "staff", ...how });
  await until(page, (term) => document.querySelector(`#which-term option[value="${term}"]`) && document.querySelector("#terms .term-card"), term);
  await page.selectOption("#which-term", term);
  return page;
};
/** Returns the boxes of the visible elements. Waits until there is one, because the view may not be shown yet. */
const boxes = async (page, selector) => {
  await until(page, (selector) => [...document.querySelectorAll(selector)].some((el) => el.checkVisibility()), selector);
  return page.$$eval(selector, (all) => all.filter((el) => el.checkVisibility()).map((el) => el.getBoundingClientRect().toJSON()));
};
/** Returns the boxes of the first and last line of an element's text, and the number of lines. */
const lines = (page, selector) => page.$eval(selector, (el) => {
  const rects = [];
  const walker = document.createTreeWalker(el, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const range = document.createRange();
    range.selectNodeContents(walker.currentNode);
    rects.push(...[...range.getClientRects()].filter(({ width }) => width > 1).map((rect) => rect.toJSON()));
  }
  return { first: rects[0], last: rects.at(-1), n: new Set(rects.map(({ top }) => Math.round(top))).size };
});

test("on a phone, fields and bars are aligned across rows, whatever the text of the seats is", async () => {
  const page = await openDesk("#sections", { width: 390, height: 844 });
  await until(page, () => document.querySelectorAll(".srow").length === 2);
  assert.match(await page.innerText(".srow >> nth=0"), /Full, 1 waiting/);
  for (const selector of ["[name=capacity]", "[name=waitlist_capacity]", "[name=status]", ".bar"]) {
    const [one, other] = await boxes(page, `.srow .line ${selector}`);
    assert.deepEqual([one.left, one.width], [other.left, other.width], selector);
  }
});

test("a row of the list at 1280 px shows days, time and room", async () => {
  const page = await openDesk("#sections");
  await until(page, () => document.querySelectorAll(".srow").length === 2);
  const { text, cut } = await page.$eval(".srow .schedule", (el) => ({ text: el.innerText, cut: [...el.children].some((one) => one.scrollWidth > one.clientWidth) }));
  assert.match(text, /Mon Wed Fri 12:00 – 12:50 PM, Adams 104/);
  assert.ok(!cut, "the room is not cut off");
});

test("the number of sections is level with the fields beside it", async () => {
  const page = await openDesk("#sections");
  await until(page, () => /2 sections/.test(document.querySelector("#sections-found").textContent));
  const [[text], [field]] = [await boxes(page, "#sections-found"), await boxes(page, "#section-search [name=q]")];
  assert.ok(Math.abs((text.top + text.bottom) - (field.top + field.bottom)) <= 2, JSON.stringify([text, field]));
});

test("the lines of a long name in a roster begin at the same edge", async () => {
  const page = await openDesk("#sections", { width: 390, height: 844 });
  await page.locator(".srow .name").first().click();
  await page.locator(".roster td .plain").first().waitFor();
  const name = await lines(page, ".roster td .plain");
  const username = await lines(page, ".roster td:nth-child(2)");
  assert.ok(name.n > 1, "the name has several lines");
  assert.equal(name.first.left, name.last.left);
  assert.ok(Math.abs(name.first.bottom - username.first.bottom) <= 1, JSON.stringify([name.first, username.first]));
});

test("the lines of a choice's text begin at the same edge, and its box keeps its size", async () => {
  const page = await openDesk("#demand", { width: 390, height: 844 });
  for (const [view, selectors] of [["demand", ["#demand-fills", ".narrow > .check > [name=waitlist]"]], ["alerts", ["[name=to][value=all]", "[name=to][value=some]", "[name=requires_ack]"]]]) {
    await page.click(`#views [href="#${view}"]`);
    const edges = [];
    for (const selector of selectors) {
      const [box] = await boxes(page, selector);
      const { first, last } = await lines(page, `${selector} + span`);
      edges.push(first.left - box.left, last.left - box.left);
      assert.equal(box.width, 20, selector);
      assert.ok(Math.abs((box.top + box.bottom) - (first.top + first.bottom)) <= 3, `${selector} is level with its text`);
    }
    assert.equal(new Set(edges.map(Math.round)).size, 1, `${view}: ${edges}`);
  }
});

test("the steps of an import are circles", async () => {
  const page = await openDesk("#import");
  const sizes = await page.$$eval("#steps li", (all) => all.map((el) => {
    const { width, lineHeight, borderLeftWidth, borderTopWidth } = getComputedStyle(el, "::before");
    return parseFloat(width) + 2 * parseFloat(borderLeftWidth) - parseFloat(lineHeight) - 2 * parseFloat(borderTopWidth);
  }));
  assert.deepEqual(sizes, [0, 0, 0, 0]);
});

test("a heading in the Columns step is closer to its text than to the part above it", async () => {
  const page = await openDesk("#import");
  await page.setInputFiles("#import-form [name=file]", csvFile(`${HEADS.replace("crn", "Nr")}\n1,MATH 151,Calculus I,A01,lecture,5,1,3,MWF,12:00-12:50,Lee\n`));
  await page.getByRole("button", { name: "Check file" }).click();
  await page.locator(".columns h4").first().waitFor();
  const gaps = await page.$$eval(".columns h4", (all) => all.map((el) => {
    const [above, own, below] = [el.previousElementSibling ?? el.parentElement.previousElementSibling, el, el.nextElementSibling].map((one) => one.getBoundingClientRect());
    return { text: el.textContent, above: own.top - above.bottom, below: below.top - own.bottom };
  }));
  assert.ok(gaps.length > 1);
  for (const { text, above, below } of gaps) assert.ok(below < above && below <= 8, `${text}: ${above} px above, ${below} px below`);
});

test("the line numbers of rejected lines leave room for the problems", async () => {
  const page = await openDesk("#import", { width: 390, height: 844 });
  await page.setInputFiles("#import-form [name=file]", csvFile(`term,${HEADS}\ndesk,9,MATH 161,Knots,A01,lecture,5,many,3,MWF,12:00-12:50,Lee\n`));
  await page.getByRole("button", { name: "Check file" }).click();
  await page.locator("#task [data-part=errors] td").first().waitFor();
  const [number, problem] = [await boxes(page, "#task [data-part=errors] td:nth-child(1)"), await boxes(page, "#task [data-part=errors] td:nth-child(4)")];
  assert.ok(number[0].width < 48 && problem[0].width > 100, JSON.stringify([number[0].width, problem[0].width]));
});

test("the note about times is below the closing time of a term, and names the zone without a season", async () => {
  for (const [locale, zone] of [["en-US", /college's time zone, Eastern Time\./], ["es-MX", /hora oriental\./]]) {
    const page = await openDesk("#terms", { locale });
    const [[closes], [text], [next]] = [await boxes(page, "#term-form [name=closes_at]"), await boxes(page, "#term-form .none"), await boxes(page, "#term-form [name=waitlist]")];
    assert.match(await page.innerText("#term-form .none"), zone);
    assert.ok(text.top >= closes.bottom && text.top - closes.bottom <= 16 && text.bottom <= next.top, JSON.stringify([closes, text, next]));
    const [offer, first] = [await boxes(page, "#term-form [name=offer_s]"), await boxes(page, "#term-form [name=offer_first_day_s]")];
    assert.equal(offer[0].top, first[0].top, "the two times for an offer are beside each other");
    await page.close();
  }
});

test("a term without sections shows no legend of the seat map", async () => {
  const page = await openDesk("#now", {}, "empty");
  await until(page, () => /no sections yet/.test(document.querySelector("#map").textContent));
  assert.deepEqual([await page.isVisible(".legend"), await page.isVisible("#as-list")], [false, false]);
  await page.selectOption("#which-term", "desk");
  await until(page, () => document.querySelectorAll("#map i").length === 2);
  assert.deepEqual([await page.isVisible(".legend"), await page.isVisible("#as-list")], [true, true]);
});

test("the buttons of an alert have the same distance from details of one line and of several", async () => {
  await hub.ask("staff", "POST", "/api/v1/alerts", { title: "Closing early", message: "All buildings close at 3 PM.", priority: "medium", category: "schedule", audience: { all: true }, starts_at: new Date(Date.now() + 86_400_000).toISOString() });
  const gaps = [];
  for (const width of [1920, 390]) {
    const page = await openDesk("#alerts", { width });
    await page.locator("#scheduled-list footer").waitFor();
    const { last, n } = await lines(page, "#scheduled-list footer > span");
    const [actions] = await boxes(page, "#scheduled-list .alert-actions");
    gaps.push([n, Math.round(actions.top - last.bottom)]);
    await page.close();
  }
  assert.ok(gaps[0][0] === 1 && gaps[1][0] > 1, JSON.stringify(gaps));
  assert.ok(Math.abs(gaps[0][1] - gaps[1][1]) <= 2, JSON.stringify(gaps));
});

test("the ring in the legend of the map is as far from its text as the squares are from theirs, and within the column", async () => {
  const page = await openDesk("#now", { width: 390, height: 844 });
  await until(page, () => document.querySelectorAll("#map i").length === 2);
  await page.evaluate(() => { document.querySelector("#refused-key").hidden = false; });
  const gaps = await page.$$eval(".legend .key", (keys) => keys.map((key) => {
    const square = [...key.querySelectorAll("i")].at(-1), ring = square.matches(".ring") ? parseFloat(getComputedStyle(square).outlineWidth) : 0;
    return { text: key.lastElementChild.getBoundingClientRect().left - square.getBoundingClientRect().right - ring, edge: square.getBoundingClientRect().left - ring - key.getBoundingClientRect().left };
  }));
  assert.equal(new Set(gaps.map(({ text }) => Math.round(text))).size, 1, JSON.stringify(gaps));
  assert.ok(gaps.at(-1).edge >= 0, JSON.stringify(gaps.at(-1)));
});

test("the heading of the rules to override is aligned with them, below the refusal", async () => {
  await hub.ask("staff", "PUT", "/api/v1/students/student", { holds: [{ id: "fine", text: "A book is missing.", office: "Library", blocks: ["register"] }] });
  const page = await openDesk("#students");
  await page.fill("#student-search [name=q]", "student");
  await page.getByRole("button", { name: /\(student\)/ }).click();
  await page.fill(".picker input", "2");
  await page.locator(".picker li").getByRole("button", { name: /Register/ }).first().click();
  await page.locator(".change [name=override]").first().waitFor();
  const [[legend], [box], [refusal]] = [await boxes(page, ".change legend"), await boxes(page, ".change [name=override]"), await boxes(page, ".change .stop")];
  const { first } = await lines(page, ".change legend");
  assert.equal(first.left, box.left);
  assert.ok(legend.right - first.right >= 8 && legend.top - refusal.bottom >= 4, JSON.stringify([legend, first, refusal]));
});
