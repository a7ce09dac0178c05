// Alerts: written by staff, read and confirmed by students, counted where they were sent.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { lateBy } from "./staff-clock.mjs";
import { browser, Hub, open, tabTo, until } from "./support.mjs";

let hub, chrome;
before(async () => {
  [hub, chrome] = await Promise.all([Hub.start(), browser()]);
  await hub.term("desk", ["1,MATH 151,Calculus I,A01,lecture,5,2,3,MWF,09:00-09:50,Lee"]);
});
after(async () => { await chrome?.close(); await hub?.end(); });

const desk = async (how = {}) => {
  const page = await open(chrome, hub, "/staff#alerts", { user: "staff", ...how });
  await page.selectOption("#which-term", "desk");
  return page;
};
const student = async (user = "student", how = {}) => {
  const page = await open(chrome, hub, "/?term=desk#alerts", { user, ...how });
  await until(page, () => document.querySelector("#live").dataset.state === "live");
  return page;
};
const write = async (page, title, message) => {
  await page.fill("#alert-form [name=title]", title);
  await page.fill("#alert-form [name=message]", message);
};
const shows = (page, selector, words) => until(page, ([selector, source]) => new RegExp(source).test(document.querySelector(selector)?.textContent), [selector, words]);
const send = (page) => page.getByRole("button", { name: "Send the alert" }).click();
const takeDown = async (page, title) => {
  await page.getByRole("button", { name: `Take it down: ${title}`, exact: true }).click();
  await page.getByRole("button", { name: `Yes, take it down: ${title}` }).click();
  await until(page, (title) => !document.querySelector("#sent-list").textContent.includes(title), title);
};

test("an alert says whom it reaches before it goes out, and a student's page has it at once", async () => {
  const [reader, page] = [await student(), await desk()];
  await write(page, "Payment is due", "By Friday.");
  await page.selectOption("#alert-form [name=priority]", "high");
  await shows(page, "#reach", "Reaches 4 people and every visitor, \\d+ of them connected\\.");
  assert.match(await page.textContent("#preview"), /Payment is due.*I have read this/);
  await send(page);
  await shows(reader, "#banners", "Payment is due");
  await shows(page, "#send-answer", "Sent\\..*had it at once");
  await takeDown(page, "Payment is due");
  await until(reader, () => !/Payment is due/.test(document.querySelector("#banners").textContent));
});

test("an emergency takes two presses, in place; then staff watch who has it", async () => {
  const [reader, page] = [await student(), await desk()];
  await write(page, "Leave now", "Gas in the Science building.");
  await page.selectOption("#alert-form [name=category]", "emergency");
  assert.equal(await page.isChecked("#alert-form [name=requires_ack]"), true);
  await send(page);
  await shows(page, "#sure", "“Leave now” goes to everyone, visitors too: 4 people and every visitor.*connected now.*read out");
  assert.equal((await hub.ask("staff", "GET", "/api/v1/alerts?state=sent")).items.some(({ title }) => title === "Leave now"), false, "the first press sends nothing");
  await page.getByRole("button", { name: "Keep writing" }).click();
  assert.equal(await page.isVisible("#sure"), false);
  await send(page);
  await page.getByRole("button", { name: "Send it to 4 people and every visitor now" }).click();
  await shows(reader, "#urgent", "Leave now.*You are asked to confirm");
  await shows(page, "#sent-list", "0 of 4 people have said");
  await reader.locator("#urgent").getByRole("button", { name: "I have read this" }).click();
  await shows(page, "#sent-list", "1 of 4 people have said");
  await page.getByText("Who has, and who has not").first().click();
  await shows(page, "#sent-list .names", "Not yet \\(3\\).*Have said so \\(1\\).*Sam Student");
  await takeDown(page, "Leave now");
});

test("an emergency is sent by keyboard alone, and a second Enter sends nothing", async () => {
  const page = await desk();
  await until(page, () => /Reaches/.test(document.querySelector("#reach").textContent));
  await tabTo(page, "#alert-form [name=title]");
  await page.keyboard.type("Shelter in place");
  await tabTo(page, "#alert-form [name=message]");
  await page.keyboard.type("Stay inside.");
  await tabTo(page, "#alert-form [name=priority]");
  await page.keyboard.press("c");
  await tabTo(page, "#send-button");
  await page.keyboard.press("Enter");
  await page.keyboard.press("Enter");
  await until(page, () => document.activeElement.closest("#sure") && !document.querySelector("#sure .danger").disabled);
  assert.equal((await hub.ask("staff", "GET", "/api/v1/alerts?state=sent")).items.some(({ title }) => title === "Shelter in place"), false);
  await tabTo(page, "#sure .danger");
  await page.keyboard.press("Enter");
  await shows(page, "#sent-list", "Shelter in place");
  assert.ok(await page.evaluate(() => document.activeElement.id === "send-answer"));
  await takeDown(page, "Shelter in place");
});

test("what is asked to be confirmed is confirmed once, on whichever device", async () => {
  await hub.ask("staff", "POST", "/api/v1/alerts", { title: "New rules", message: "Read them.", audience: { roles: ["student"] }, requires_ack: true });
  const reader = await student("student", { width: 390, height: 844 });
  await shows(reader, "#alert-list", "New rules.*asked to confirm");
  // Having seen the list is not enough for this one.
  await reader.click("#views a[href='#find']");
  await shows(reader, "#alert-count", "1");
  await reader.click("#views a[href='#alerts']");
  await reader.locator("#alert-list").getByRole("button", { name: "I have read this" }).click();
  await shows(reader, "#alert-list", "You have confirmed this");
  const page = await desk();
  await shows(page, "#sent-list", "New rules.*1 of 2 people have said");
  const phone = await student();
  await shows(phone, "#alert-list", "New rules.*You have confirmed this");
  await shows(await student("student2"), "#alert-list", "New rules.*asked to confirm");
  await takeDown(page, "New rules");
});

test("a confirmation that the hub did not hear is said again by itself", async () => {
  await hub.ask("staff", "POST", "/api/v1/alerts", { title: "Exam rules", message: "Read them.", priority: "high", audience: { users: ["student"] }, requires_ack: true });
  const reader = await student();
  await reader.context().route("**/ack", (route) => route.abort());
  await reader.locator("#banners").getByRole("button", { name: "I have read this" }).click();
  await until(reader, () => !document.querySelector("#banners article"));
  await reader.context().unroute("**/ack");
  await reader.reload();
  const page = await desk();
  await shows(page, "#sent-list", "Exam rules.*1 of 1 person has said");
  await takeDown(page, "Exam rules");
});

test("an alert waits for its time in the college's zone, and can be taken back until then", async () => {
  const page = await desk();
  await write(page, "Term begins", "Welcome.");
  await page.selectOption("#alert-form [name=when]", "at");
  await page.fill("#alert-form [name=starts_at]", "2099-01-12T08:00");
  await page.selectOption("#alert-form [name=lasts]", "24");
  await shows(page, "#send-times", "Goes out Mon, Jan 12, 8:00 AM EST\\. In force until Tue, Jan 13, 8:00 AM EST\\.");
  await page.getByRole("button", { name: "Schedule the alert" }).click();
  await shows(page, "#scheduled-list", "Term begins.*goes out Mon, Jan 12, 8:00");
  const [waiting] = (await hub.ask("staff", "GET", "/api/v1/alerts?state=scheduled")).items;
  assert.deepEqual([waiting.starts_at, waiting.expires_at], ["2099-01-12T13:00:00Z", "2099-01-13T13:00:00Z"]);
  await page.getByRole("button", { name: "Do not send it: Term begins" }).click();
  await until(page, () => document.querySelector("#scheduled").hidden);
});

test("an alert that goes out while staff look is counted like any other", async () => {
  const alert = await hub.ask("staff", "POST", "/api/v1/alerts", { title: "Doors open", message: "Come in.", audience: { roles: ["student"] } });
  const page = await desk();
  await shows(page, "#sent-list", "Doors open.*Reaches 2 people");
  // The lists of before it went out.
  const others = ({ id }) => id !== alert.id;
  await page.route("**/api/v1/alerts?state=*", async (route) => {
    const { items, ...rest } = await (await route.fetch()).json();
    const waits = route.request().url().includes("scheduled") ? [{ ...alert, seq: null, starts_at: "2099-01-12T13:00:00Z" }] : [];
    await route.fulfill({ json: { ...rest, items: [...items.filter(others), ...waits] } });
  });
  const look = async () => {
    for (const view of ["sections", "alerts"]) await page.click(`#views a[href="#${view}"]`);
  };
  await look();
  await shows(page, "#scheduled-list", "Doors open.*goes out");
  await page.unroute("**/api/v1/alerts?state=*");
  await look();
  await shows(page, "#sent-list", "Doors open.*Reaches 2 people");
  await takeDown(page, "Doors open");
});

test("an alert is taken down by two presses, in place; the first can be thought better of", async () => {
  const [reader, page] = [await student(), await desk()];
  const { id } = await hub.ask("staff", "POST", "/api/v1/alerts", { title: "Gym closed", message: "Until noon.", audience: { all: true } });
  const inForce = async () => (await hub.ask("staff", "GET", "/api/v1/alerts?state=sent")).items.some((one) => one.id === id);
  const first = page.getByRole("button", { name: "Take it down: Gym closed", exact: true });
  // A second Enter is no second press.
  await first.focus();
  await page.keyboard.press("Enter");
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Leave it: Gym closed" }).click();
  await first.waitFor();
  assert.ok(await inForce());
  await shows(reader, "#alert-list", "Gym closed");
  await takeDown(page, "Gym closed");
  assert.equal(await inForce(), false);
  await until(reader, () => !/Gym closed/.test(document.querySelector("#alert-list").textContent));
});

test("an alert for an hour is in force for an hour, whatever the device's clock says", async () => {
  const page = await desk({ script: lateBy(2) });
  await write(page, "Lift out of order", "Take the stairs.");
  await page.selectOption("#alert-form [name=lasts]", "1");
  await send(page);
  await shows(page, "#sent-list", "Lift out of order");
  const sent = (await hub.ask("staff", "GET", "/api/v1/alerts?state=sent")).items.find(({ title }) => title === "Lift out of order");
  assert.equal(Math.round((Date.parse(sent.expires_at) - Date.parse(sent.created_at)) / 3_600_000), 1);
  await takeDown(page, "Lift out of order");
});

test("what was sent to others is still there after a reload; an audience that cannot be is said in words", async () => {
  const page = await desk();
  await write(page, "Room changed", "Now in Hall 2.");
  await page.check("#alert-form [name=to][value=some]");
  await shows(page, "#reach", "Choose who gets it");
  await page.fill("#alert-form [name=sections]", "77");
  await shows(page, "#reach", "not known");
  assert.equal(await page.getAttribute("#alert-form [name=sections]", "aria-invalid"), "true");
  await page.fill("#alert-form [name=sections]", "1");
  await page.check("#alert-form [name=roles][value=student]");
  await shows(page, "#reach", "Reaches 2 people");
  await send(page);
  await shows(page, "#sent-list", "Room changed.*Reaches 2 people.*to all students and MATH 151");
  await page.reload();
  await shows(page, "#sent-list", "Room changed");
  await takeDown(page, "Room changed");
});
