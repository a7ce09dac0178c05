// Alerts: composed by staff, read and confirmed by students, with receipts on the staff page.

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

const openStaff = async (how = {}) => {
  const page = await open(chrome, hub, "/staff#alerts", { user: "staff", ...how });
  await page.selectOption("#which-term", "desk");
  return page;
};
const openStudent = async (user = "student", how = {}) => {
  const page = await open(chrome, hub, "/?term=desk", { user, ...how });
  await until(page, () => document.querySelector("#live").dataset.state === "live");
  return page;
};
const compose = async (page, title, message) => {
  await page.fill("#alert-form [name=title]", title);
  await page.fill("#alert-form [name=message]", message);
};
const shows = (page, selector, pattern) => until(page, ([selector, source]) => new RegExp(source).test(document.querySelector(selector)?.textContent), [selector, pattern]);
const send = (page) => page.getByRole("button", { name: "Send alert" }).click();
const withdraw = async (page, title) => {
  await page.getByRole("button", { name: `Withdraw: ${title}`, exact: true }).click();
  await page.getByRole("button", { name: `Yes, withdraw: ${title}` }).click();
  await until(page, (title) => !document.querySelector("#sent-list").textContent.includes(title), title);
};

test("the reach is shown before sending; students get the alert at once", async () => {
  const [reader, page] = [await openStudent(), await openStaff()];
  await compose(page, "Payment is due", "By Friday.");
  await page.selectOption("#alert-form [name=priority]", "high");
  await shows(page, "#reach", "Reaches 4 people and all visitors; \\d+ connected now\\.");
  assert.match(await page.textContent("#preview"), /Payment is due.*Confirm/);
  await send(page);
  await shows(reader, "#banners", "Payment is due");
  await shows(page, "#send-status", "Sent to \\d+ connected");
  await withdraw(page, "Payment is due");
  await until(reader, () => !/Payment is due/.test(document.querySelector("#banners").textContent));
});

for (const width of [390, 1280]) {
  test(`an alert of high priority has no banner beside the alert list, and is confirmed there, at ${width} px`, async () => {
    const reader = await openStudent("student", { width });
    await reader.evaluate(() => {
      window.spoken = [];
      new MutationObserver(() => window.spoken.push(document.querySelector("#spoken").textContent)).observe(document.querySelector("#spoken"), { childList: true });
    });
    const { id } = await hub.ask("staff", "POST", "/api/v1/alerts", { title: "Fees are due", message: "Pay by Friday.", priority: "high", category: "workflow", audience: { all: true } });
    await shows(reader, "#banners", "Fees are due");
    const inList = reader.locator("#alert-list article", { hasText: "Fees are due" });
    await reader.click("#views a[href='#alerts']");
    await inList.getByRole("button", { name: "Confirm" }).waitFor();
    assert.equal(await reader.locator("#banners article").count(), 0);
    await reader.click("#views a[href='#term']");
    await shows(reader, "#banners", "Fees are due");
    await reader.click("#views a[href='#alerts']");
    // An alert that arrives while the list is shown is announced, although it has no banner.
    const other = await hub.ask("staff", "POST", "/api/v1/alerts", { title: "Lab closed", message: "Until noon.", priority: "high", category: "workflow", audience: { all: true } });
    await until(reader, () => window.spoken.some((text) => /^Lab closed\. Until noon\./.test(text)));
    assert.equal(await reader.locator("#banners article").count(), 0);
    assert.deepEqual(await reader.evaluate(() => window.spoken.filter((text) => /Fees/.test(text))), [], "it was announced as a banner");
    await inList.getByRole("button", { name: "Confirm" }).click();
    await until(reader, () => [...document.querySelectorAll("#alert-list article")].some((el) => /Fees/.test(el.textContent) && !el.querySelector("button") && el === document.activeElement));
    await reader.click("#views a[href='#term']");
    await shows(reader, "#banners", "Lab closed");
    assert.doesNotMatch(await reader.textContent("#banners"), /Fees/);
    for (const one of [id, other.id]) await hub.ask("staff", "DELETE", `/api/v1/alerts/${one}`);
    assert.deepEqual(reader.wrong, []);
  });
}

test("an emergency needs confirmation; receipts then update live", async () => {
  const [reader, page] = [await openStudent(), await openStaff()];
  await compose(page, "Leave now", "Gas in the Science building.");
  await page.selectOption("#alert-form [name=category]", "emergency");
  assert.equal(await page.isChecked("#alert-form [name=requires_ack]"), true);
  await send(page);
  await shows(page, "#confirm-send", "“Leave now” goes to everyone, including visitors: 4 people and all visitors.*connected now.*read aloud");
  assert.equal((await hub.ask("staff", "GET", "/api/v1/alerts?state=sent")).items.some(({ title }) => title === "Leave now"), false, "the first press sends nothing");
  await page.getByRole("button", { name: "Keep editing" }).click();
  assert.equal(await page.isVisible("#confirm-send"), false);
  await send(page);
  await page.getByRole("button", { name: "Send now to 4 people and all visitors" }).click();
  await shows(reader, "#urgent", "Leave now.*Confirm that you have read");
  await shows(page, "#sent-list", "0 of 4 people confirmed");
  await reader.locator("#urgent").getByRole("button", { name: "Confirm" }).click();
  await shows(page, "#sent-list", "1 of 4 people confirmed");
  await page.getByText("Who has confirmed").first().click();
  await shows(page, "#sent-list .names", "Not confirmed \\(3\\).*Confirmed \\(1\\).*Sam Student");
  await withdraw(page, "Leave now");
});

test("an emergency is sent by keyboard; a second Enter sends nothing", async () => {
  const page = await openStaff();
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
  await until(page, () => document.activeElement.closest("#confirm-send") && !document.querySelector("#confirm-send .danger").disabled);
  assert.equal((await hub.ask("staff", "GET", "/api/v1/alerts?state=sent")).items.some(({ title }) => title === "Shelter in place"), false);
  await tabTo(page, "#confirm-send .danger");
  await page.keyboard.press("Enter");
  await shows(page, "#sent-list", "Shelter in place");
  assert.ok(await page.evaluate(() => document.activeElement.id === "send-status"));
  await withdraw(page, "Shelter in place");
});

test("a confirmation counts on all devices of a student", async () => {
  await hub.ask("staff", "POST", "/api/v1/alerts", { title: "New rules", message: "Read them.", audience: { roles: ["student"] }, requires_ack: true });
  const reader = await openStudent("student", { width: 390, height: 844 });
  await reader.click("#views a[href='#alerts']");
  await shows(reader, "#alert-list", "New rules.*Confirm that you have read");
  // Opening the list does not mark this alert as read.
  await reader.click("#views a[href='#find']");
  await shows(reader, "#alert-count", "1");
  await reader.click("#views a[href='#alerts']");
  await reader.locator("#alert-list").getByRole("button", { name: "Confirm" }).click();
  await shows(reader, "#alert-list", "Confirmed");
  const page = await openStaff();
  await shows(page, "#sent-list", "New rules.*1 of 2 people confirmed");
  const phone = await openStudent();
  await shows(phone, "#alert-list", "New rules.*Confirmed");
  await shows(await openStudent("student2"), "#alert-list", "New rules.*Confirm that you have read");
  await withdraw(page, "New rules");
});

test("a failed confirmation is sent again after a reload", async () => {
  await hub.ask("staff", "POST", "/api/v1/alerts", { title: "Exam rules", message: "Read them.", priority: "high", audience: { users: ["student"] }, requires_ack: true });
  const reader = await openStudent();
  await reader.context().route("**/ack", (route) => route.abort());
  await reader.locator("#banners").getByRole("button", { name: "Confirm" }).click();
  await until(reader, () => !document.querySelector("#banners article"));
  await reader.context().unroute("**/ack");
  await reader.reload();
  const page = await openStaff();
  await shows(page, "#sent-list", "Exam rules.*1 of 1 person confirmed");
  await withdraw(page, "Exam rules");
});

test("a scheduled alert uses the college's time zone and can be cancelled", async () => {
  const page = await openStaff();
  await compose(page, "Term begins", "Welcome.");
  await page.selectOption("#alert-form [name=when]", "at");
  // Until the time is entered, the preview has none.
  assert.doesNotMatch(await page.textContent("#preview footer"), /\d:\d\d/);
  assert.equal(await page.textContent("#send-button"), "Schedule alert");
  await page.fill("#alert-form [name=starts_at]", "2099-01-12T08:00");
  await page.selectOption("#alert-form [name=lasts]", "24");
  await shows(page, "#send-times", "Will be sent Mon, Jan 12, 2099, 8:00 AM EST\\. Active until Tue, Jan 13, 2099, 8:00 AM EST\\.");
  await page.getByRole("button", { name: "Schedule alert" }).click();
  await shows(page, "#scheduled-list", "Term begins.*scheduled for Mon, Jan 12, 2099, 8:00");
  const [scheduled] = (await hub.ask("staff", "GET", "/api/v1/alerts?state=scheduled")).items;
  assert.deepEqual([scheduled.starts_at, scheduled.expires_at], ["2099-01-12T13:00:00Z", "2099-01-13T13:00:00Z"]);
  await page.getByRole("button", { name: "Cancel: Term begins" }).click();
  await until(page, () => document.querySelector("#scheduled").hidden);
});

test("a scheduled alert that is sent while it is shown gets receipts", async () => {
  const alert = await hub.ask("staff", "POST", "/api/v1/alerts", { title: "Doors open", message: "Come in.", audience: { roles: ["student"] } });
  const page = await openStaff();
  await shows(page, "#sent-list", "Doors open.*Reaches 2 people");
  // The lists as they were before the alert was sent.
  const isOther = ({ id }) => id !== alert.id;
  await page.route("**/api/v1/alerts?state=*", async (route) => {
    const { items, ...rest } = await (await route.fetch()).json();
    const scheduled = route.request().url().includes("scheduled") ? [{ ...alert, seq: null, starts_at: "2099-01-12T13:00:00Z" }] : [];
    await route.fulfill({ json: { ...rest, items: [...items.filter(isOther), ...scheduled] } });
  });
  const reopenView = async () => {
    for (const view of ["sections", "alerts"]) await page.click(`#views a[href="#${view}"]`);
  };
  await reopenView();
  await shows(page, "#scheduled-list", "Doors open.*scheduled for");
  await page.unroute("**/api/v1/alerts?state=*");
  await reopenView();
  await shows(page, "#sent-list", "Doors open.*Reaches 2 people");
  await withdraw(page, "Doors open");
});

test("withdrawing an alert needs confirmation and can be abandoned", async () => {
  const [reader, page] = [await openStudent(), await openStaff()];
  const { id } = await hub.ask("staff", "POST", "/api/v1/alerts", { title: "Gym closed", message: "Until noon.", audience: { all: true } });
  const isActive = async () => (await hub.ask("staff", "GET", "/api/v1/alerts?state=sent")).items.some((one) => one.id === id);
  const first = page.getByRole("button", { name: "Withdraw: Gym closed", exact: true });
  // The second Enter must not confirm.
  await first.focus();
  await page.keyboard.press("Enter");
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Keep: Gym closed" }).click();
  await first.waitFor();
  assert.ok(await isActive());
  await shows(reader, "#alert-list", "Gym closed");
  await withdraw(page, "Gym closed");
  assert.equal(await isActive(), false);
  await until(reader, () => !/Gym closed/.test(document.querySelector("#alert-list").textContent));
});

test("an alert for 1 hour ends after 1 hour despite a wrong device clock", async () => {
  const page = await openStaff({ script: lateBy(2) });
  await compose(page, "Elevator out of order", "Take the stairs.");
  await page.selectOption("#alert-form [name=lasts]", "1");
  await send(page);
  await shows(page, "#sent-list", "Elevator out of order");
  const sent = (await hub.ask("staff", "GET", "/api/v1/alerts?state=sent")).items.find(({ title }) => title === "Elevator out of order");
  assert.equal(Math.round((Date.parse(sent.expires_at) - Date.parse(sent.created_at)) / 3_600_000), 1);
  await withdraw(page, "Elevator out of order");
});

test("the end of a scheduled alert is shown once its start is entered", async () => {
  const page = await openStaff();
  await shows(page, "#send-times", "^Active until");
  await page.selectOption("#alert-form [name=when]", "at");
  assert.equal(await page.textContent("#send-times"), "");
  assert.doesNotMatch(await page.textContent("#preview"), /until/);
  await page.fill("#alert-form [name=starts_at]", "2099-09-07T08:00");
  await shows(page, "#send-times", "Will be sent Mon, Sep 7, 2099, 8:00\\sAM EDT. Active until Tue, Sep 8, 2099, 8:00\\sAM EDT.");
});

test("an unknown section is reported; sent alerts remain after a reload", async () => {
  const page = await openStaff();
  await compose(page, "Room changed", "Now in Hall 2.");
  await page.check("#alert-form [name=to][value=some]");
  await shows(page, "#reach", "Choose recipients");
  await page.fill("#alert-form [name=sections]", "77");
  await shows(page, "#reach", "Unknown section");
  assert.equal(await page.getAttribute("#alert-form [name=sections]", "aria-invalid"), "true");
  assert.equal(await page.getAttribute("#reach", "class"), "stop", "the problem has the color of a problem");
  await page.fill("#alert-form [name=sections]", "1");
  await page.check("#alert-form [name=roles][value=student]");
  await shows(page, "#reach", "Reaches 2 people");
  assert.equal(await page.getAttribute("#reach", "class"), "");
  await send(page);
  await shows(page, "#sent-list", "Room changed.*Reaches 2 people.*to all students and MATH 151");
  await page.reload();
  await shows(page, "#sent-list", "Room changed");
  await withdraw(page, "Room changed");
});

test("a template fills the form, can be undone, and must have its blanks filled in", async () => {
  const page = await openStaff();
  await compose(page, "My own title", "My own text");
  await page.getByLabel("Template").selectOption("room");
  assert.equal(await page.inputValue("#alert-form [name=title]"), "Room change: [course]");
  assert.equal(await page.inputValue("#alert-form [name=priority]"), "high");
  await page.getByRole("button", { name: "Undo" }).click();
  assert.equal(await page.inputValue("#alert-form [name=title]"), "My own title");
  assert.equal(await page.inputValue("#alert-form [name=priority]"), "medium");
  await page.getByLabel("Template").selectOption("room");
  await page.fill("#alert-form [name=message]", "MATH 151 on Monday meets in room 7.");
  await send(page);
  await shows(page, "#send-status", "Fill in \\[course\\] first");
  assert.equal(await page.evaluate(() => getSelection().toString() || document.activeElement.value.slice(document.activeElement.selectionStart, document.activeElement.selectionEnd)), "[course]", "the blank is selected");
  await page.fill("#alert-form [name=title]", "Room change: MATH 151");
  await send(page);
  await shows(page, "#send-status", "Sent to \\d+ connected");
  assert.equal(await page.inputValue("#alert-form select[name=template]"), "");
  await withdraw(page, "Room change: MATH 151");
});

test("a corrected alert is shown again, even to those who had confirmed it", async () => {
  const [reader, page] = [await openStudent(), await openStaff()];
  await compose(page, "Exam moved", "To room 12.");
  await page.selectOption("#alert-form [name=priority]", "high");
  await page.check("#alert-form [name=to][value=some]");
  await page.fill("#alert-form [name=users]", "student");
  await send(page);
  await shows(reader, "#banners", "To room 12");
  await reader.locator("#banners button:not([disabled])").click();
  await until(reader, () => !document.querySelector("#banners").textContent.includes("room 12"));
  await until(page, () => document.querySelector("#sent-list .receipts")?.textContent.includes("1 of 1"));
  await page.getByRole("button", { name: "Correct: Exam moved" }).click();
  assert.match(await page.textContent("#alert-basis"), /You are correcting “Exam moved”\. It is sent again to student/);
  assert.equal(await page.isVisible("#alert-recipients"), false, "the recipients stay");
  await page.fill("#alert-form [name=message]", "To room 13.");
  await page.getByRole("button", { name: "Send correction" }).click();
  await shows(reader, "#banners", "corrected");
  await shows(reader, "#banners", "To room 13");
  await until(page, () => document.querySelector("#sent-list .receipts")?.textContent.includes("0 of 1"));
  assert.equal(await page.textContent("#send-title"), "Send an alert");
  assert.equal((await hub.ask("staff", "GET", "/api/v1/alerts?state=sent")).items.filter(({ title }) => title === "Exam moved").length, 1);
  await withdraw(page, "Exam moved");
});

test("a scheduled alert is changed before it is sent", async () => {
  const page = await openStaff();
  await compose(page, "Fees", "Due in May.");
  await page.selectOption("#alert-form [name=when]", "at");
  await page.fill("#alert-form [name=starts_at]", "2099-05-01T08:00");
  await page.selectOption("#alert-form [name=lasts]", "");
  await page.getByRole("button", { name: "Schedule alert" }).click();
  await page.getByRole("button", { name: "Correct: Fees" }).click();
  assert.equal(await page.inputValue("#alert-form [name=starts_at]"), "2099-05-01T08:00");
  await page.fill("#alert-form [name=starts_at]", "2099-06-01T08:00");
  await page.getByRole("button", { name: "Send correction" }).click();
  await shows(page, "#scheduled-list", "Jun 1");
  assert.equal((await hub.ask("staff", "GET", "/api/v1/alerts?state=scheduled")).items.length, 1);
  await page.getByRole("button", { name: "Cancel: Fees" }).click();
  await until(page, () => !document.querySelector("#scheduled-list").textContent.includes("Fees"));
});

test("an all-clear goes to the recipients of an emergency and withdraws it", async () => {
  const [reader, page] = [await openStudent(), await openStaff()];
  await compose(page, "Gas leak", "Leave the building.");
  await page.selectOption("#alert-form [name=category]", "emergency");
  await send(page);
  await page.locator("#confirm-send button.danger:not([disabled])").click();
  await shows(reader, "#urgent", "Gas leak");
  await page.getByRole("button", { name: "All clear: Gas leak" }).click();
  assert.match(await page.textContent("#alert-basis"), /goes to everyone, including visitors\. Once it has been sent, “Gas leak” is withdrawn/);
  await page.getByRole("button", { name: "Send all-clear" }).click();
  await shows(page, "#send-status", "Fill in \\[What has ended\\.\\] first");
  await page.fill("#alert-form [name=message]", "The leak is closed. All buildings are open.");
  await page.getByRole("button", { name: "Send all-clear" }).click();
  await shows(page, "#send-status", "was withdrawn");
  await shows(reader, "#banners", "All clear: Gas leak");
  await until(reader, () => !document.querySelector("#urgent").textContent.includes("Gas leak"));
  await withdraw(page, "All clear: Gas leak");
});

test("an abandoned correction is not sent", async () => {
  const page = await openStaff();
  await compose(page, "Library hours", "Open until 8.");
  await send(page);
  await page.getByRole("button", { name: "Correct: Library hours" }).click();
  await page.fill("#alert-form [name=message]", "Another text");
  await page.getByRole("button", { name: "Stop, and write a new alert" }).click();
  assert.equal(await page.inputValue("#alert-form [name=message]"), "");
  assert.equal(await page.isVisible("#alert-recipients"), true);
  assert.match(await page.textContent("#sent-list"), /Open until 8/);
  await withdraw(page, "Library hours");
});
