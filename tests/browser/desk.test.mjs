// The staff page: the effect of a change is stated before the change is made, and half-filled forms are kept.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, Hub, open, until } from "./support.mjs";

let hub, chrome;
before(async () => {
  [hub, chrome] = await Promise.all([Hub.start(), browser()]);
  await hub.term("desk", ["1,MATH 151,Calculus I,A01,lecture,5,2,3,MWF,09:00-09:50,Lee"]);
  await hub.term("other", ["7,PHYS 101,Physics,A01,lecture,4,1,3,MWF,09:30-10:20,Curie"]);
  for (const user of ["student", "student2"]) await hub.ask(user, "PUT", "/api/v1/me/registrations/desk-1");
});
after(async () => { await chrome?.close(); await hub?.end(); });

const openDesk = async (hash, options = {}) => {
  const page = await open(chrome, hub, `/staff${hash}`, { user: "staff", ...options });
  await until(page, () => !document.querySelector("#desk").hidden && document.querySelector("#which-term option") && document.querySelector("#terms .term-card"));
  await page.selectOption("#which-term", "desk");
  return page;
};
const section = () => hub.ask("staff", "GET", "/api/v1/sections/desk-1");
const term = async (id) => (await hub.ask("staff", "GET", "/api/v1/terms")).items.find((one) => one.id === id);

for (const width of [390, 1280, 1920]) {
  test(`a cancellation is confirmed in a full-width strip at ${width} px`, async () => {
    const page = await openDesk("#sections", { width });
    await until(page, () => document.querySelectorAll(".srow").length === 1);
    await page.selectOption(".srow [name=status]", "cancelled");
    await page.getByRole("button", { name: "Save" }).click();
    const confirm = page.getByRole("button", { name: "Cancel section and notify 2 students" });
    await confirm.waitFor();
    const shown = await page.evaluate(() => {
      const strip = document.querySelector(".srow .question"), button = strip.querySelector("button");
      const range = document.createRange();
      range.selectNodeContents(button);
      const [text, box, all] = [range, button, strip].map((one) => one.getBoundingClientRect());
      return { text: strip.textContent, wide: all.width / document.querySelector(".srow").offsetWidth, lines: text.height / 24, inside: text.left >= box.left && text.right <= box.right && text.bottom <= box.bottom, focus: strip.contains(document.activeElement) };
    });
    assert.match(shown.text, /^This cancels MATH 151 lecture \(1\), which has 2 students enrolled\./);
    assert.ok(shown.wide > 0.95 && shown.lines <= 2 && shown.inside && shown.focus, JSON.stringify(shown));
    await page.getByRole("button", { name: "Keep editing" }).click();
    await until(page, () => !document.querySelector(".srow .question").textContent && document.activeElement.name === "status");
    await page.getByRole("button", { name: "Undo" }).click();
    assert.equal((await section()).status, "open");
  });
}

test("the fields of a section are readable on a phone, before its change is saved and after", async () => {
  for (const locale of ["en-US", "es-MX"]) {
    const page = await openDesk("#sections", { width: 390, height: 844, locale });
    await page.locator(".srow [name=status]").waitFor();
    await page.selectOption(".srow [name=status]", "cancelled");
    for (const buttons of [2, 1]) {
      await until(page, (buttons) => document.querySelectorAll(".srow .row-actions button").length === buttons, buttons);
      // The width that the text and the padding need, and the arrow in a list.
      const fields = await page.$$eval(".srow .line :is(input, select)", (all) => all.map((el) => {
        const { font, paddingLeft, paddingRight } = getComputedStyle(el);
        const canvas = document.createElement("canvas").getContext("2d");
        canvas.font = font;
        const text = canvas.measureText(el.selectedOptions?.[0].text ?? el.value).width;
        return [el.name, el.clientWidth, text + parseFloat(paddingLeft) + parseFloat(paddingRight) + (el.selectedOptions ? 16 : 0)];
      }));
      for (const [name, width, needed] of fields) assert.ok(width >= needed, `${locale}, ${name}: ${width} px of ${needed} px`);
      if (buttons > 1) await page.locator(".srow .row-actions .strong").click();
    }
    await page.close();
  }
});

test("a capacity below the number enrolled needs confirmation, which says who stays", async () => {
  const page = await openDesk("#sections");
  await until(page, () => document.querySelectorAll(".srow").length === 1);
  await page.fill(".srow [name=capacity]", "1");
  await page.keyboard.press("Enter");
  await until(page, () => /2 students are enrolled in MATH 151 lecture \(1\)\. All of them stay, and the section is over capacity by 1\./.test(document.querySelector(".srow .question").textContent));
  assert.equal((await section()).capacity, 2);
  await page.getByRole("button", { name: "Set capacity to 1" }).click();
  await until(page, () => /Saved/.test(document.querySelector(".srow .row-actions").textContent) && document.activeElement.matches(".srow .name"));
  assert.equal((await section()).capacity, 1);
  // Raising it needs no confirmation.
  await page.fill(".srow [name=capacity]", "2");
  await page.keyboard.press("Enter");
  await until(page, () => /2 of 2|Full/.test(document.querySelector(".srow .seats").textContent) && /Saved/.test(document.querySelector(".srow .row-actions").textContent));
  assert.equal((await section()).capacity, 2);
});

test("Open now and Close now are confirmed, and the closing time is kept", async () => {
  const closes = new Date(Date.now() + 7 * 86_400_000).toISOString();
  await hub.ask("staff", "PUT", "/api/v1/terms/other", { closes_at: closes });
  const page = await openDesk("#terms");
  const row = page.locator("#terms .term-card", { hasText: "other" });
  await row.getByRole("button", { name: "Close now" }).click();
  await until(page, () => /Registration for other closes now instead of .*\d.* Students keep their sections/.test(document.activeElement.textContent));
  await row.getByRole("button", { name: "Cancel" }).click();
  await until(page, () => document.activeElement.textContent === "Close now");
  assert.equal(Date.parse((await term("other")).closes_at), Date.parse(closes));
  await row.getByRole("button", { name: "Close now" }).click();
  await row.getByRole("button", { name: "Yes, close registration" }).click();
  await row.getByRole("button", { name: "Open now" }).click();
  await until(page, () => /opens now\. It closes .*\d/.test(document.activeElement.textContent));
  await row.getByRole("button", { name: "Yes, open registration" }).click();
  await row.getByRole("button", { name: "Close now" }).waitFor();
  assert.equal(Date.parse((await term("other")).closes_at), Date.parse(closes));
});

test("an opening time in the past shows that registration opens on saving", async () => {
  const page = await openDesk("#terms");
  await page.fill("#term-form [name=opens_at]", "2020-01-01T08:00");
  await until(page, () => /has passed: registration opens when you save/.test(document.querySelector("#past-opening").textContent));
  await page.fill("#term-form [name=opens_at]", "2090-01-01T08:00");
  await until(page, () => !document.querySelector("#past-opening").textContent);
  // Adding the term empties the form and removes the text.
  await page.fill("#term-form [name=id]", "begun");
  await page.fill("#term-form [name=opens_at]", "2020-01-01T08:00");
  await page.locator("#term-form button.primary").click();
  await until(page, () => /Saved/.test(document.querySelector("#term-form").textContent) && !document.querySelector("#past-opening").textContent);
});

test("a term is edited in its card, while other changes to the terms arrive", async () => {
  await hub.ask("staff", "PUT", "/api/v1/terms/other", { title: "Other term", closes_at: new Date(Date.now() + 86_400_000).toISOString() });
  const page = await openDesk("#terms");
  await page.selectOption("#which-term", "other");
  await until(page, () => document.querySelector("#live").dataset.state === "live");
  const card = page.locator(".term-card", { hasText: "Other term" });
  await card.getByRole("button", { name: "Edit Other term" }).click();
  await until(page, () => document.activeElement.name === "title" && document.activeElement.closest(".term-card"));
  assert.equal(await card.locator("[name=id]").isVisible(), false);
  // Its opening time has passed, and it is open.
  assert.equal(await page.textContent("#past-opening"), "");
  await page.keyboard.type(" of 2031");
  await hub.ask("staff", "PUT", "/api/v1/terms/extra", { title: "Extra term" });
  await hub.ask("staff", "PUT", "/api/v1/terms/other", { title: "Other title" });
  await page.locator(".term-card", { hasText: "Extra term" }).waitFor();
  await until(page, () => [...document.querySelectorAll(".term-card h3")].some(({ textContent }) => /Other title/.test(textContent)));
  const field = page.locator(".term-card [name=title]");
  assert.match(await field.inputValue(), /of 2031/);
  // Emptying the field removes the closing time.
  await page.locator(".term-card [name=closes_at]").fill("");
  await page.locator(".term-card").getByRole("button", { name: "Save term" }).click();
  const saved = page.locator(".term-card", { hasText: "of 2031" });
  await saved.getByText("Saved.").waitFor();
  await until(page, () => document.activeElement.textContent === "Edit" && !document.querySelector(".term-card form"));
  assert.equal((await term("other")).closes_at ?? null, null);
  assert.match(await saved.innerText(), /Closes\s+Not set/);
  // The form below adds a term again.
  assert.equal(await page.inputValue("#term-add [name=title]"), "");
  assert.equal(await page.isVisible("#term-add [name=id]"), true);
  await saved.getByRole("button", { name: /^Edit/ }).click();
  await saved.getByRole("button", { name: "Cancel" }).click();
  await until(page, () => document.activeElement.textContent === "Edit");
  await saved.getByRole("button", { name: /^Edit/ }).click();
  await page.getByRole("button", { name: "Add a term" }).click();
  await until(page, () => document.activeElement.name === "id" && !document.querySelector(".term-card form"));
  await page.keyboard.type("added");
  await page.keyboard.press("Enter");
  await page.locator(".term-card", { hasText: "added" }).waitFor();
  await until(page, () => document.querySelector("#term-form [name=id]").value === "" && /Saved/.test(document.querySelector("#term-form").textContent));
  assert.deepEqual(page.wrong, []);
});

test("a half-filled form is the same after other views, another page, and another language", async () => {
  const page = await openDesk("#terms");
  const values = () => page.evaluate(() => Object.fromEntries(["term-form", "alert-form", "import-form", "rehearsal-form"].map((id) => {
    const fields = [...document.getElementById(id).elements].filter(({ name, type }) => name && !["file", "hidden"].includes(type));
    return [id, fields.map((el) => [el.name, ["radio", "checkbox"].includes(el.type) ? el.checked : el.value])];
  })));
  await page.fill("#term-form [name=id]", "2031-fall");
  await page.fill("#term-form [name=title]", "Fall 2031");
  await page.fill("#term-form [name=opens_at]", "2090-01-01T08:00");
  await page.fill("#term-form [name=waitlist_priority]", "seniors, honors");
  await page.goto(`${hub.url}/staff#alerts`);
  await page.fill("#alert-form [name=title]", "Snow");
  await page.fill("#alert-form [name=message]", "The campus is closed.");
  await page.check("#alert-form [name=to][value=some]");
  await page.fill("#alert-form [name=sections]", "1");
  await page.goto(`${hub.url}/staff#import`);
  await page.click("#import-form summary");
  await page.fill("#import-form [name=term]", "2031-fall");
  await page.check("#import-form [name=partial]");
  await page.goto(`${hub.url}/staff#demand`);
  await page.fill("#rehearsal-form [name=runs]", "7");
  const typed = await values();
  for (const view of ["now", "sections", "students", "alerts", "terms"]) {
    await page.click(`#views a[href='#${view}']`);
    await until(page, (view) => document.body.dataset.view === view, view);
    assert.deepEqual(await values(), typed, view);
  }
  const isFilled = () => until(page, () => document.querySelector("#term-form [name=id]")?.value === "2031-fall");
  await page.goto(`${hub.url}/account`);
  await page.goto(`${hub.url}/staff#terms`);
  await isFilled();
  assert.deepEqual(await values(), typed, "after another page");
  await page.goto(`${hub.url}/account`);
  await page.goBack();
  await isFilled();
  assert.deepEqual(await values(), typed, "after going back");
  await page.getByRole("button", { name: "Español" }).click();
  await until(page, () => document.documentElement.lang === "es");
  await isFilled();
  assert.deepEqual(await values(), typed, "in Spanish");
  assert.deepEqual(page.wrong, []);
});

test("a half-filled new term is restored after another term was edited", async () => {
  const page = await openDesk("#terms");
  await page.fill("#term-form [name=id]", "2031-fall");
  await page.fill("#term-form [name=title]", "Fall 2031");
  await page.locator(".term-card").first().getByRole("button", { name: /^Edit/ }).click();
  await page.locator(".term-card [name=title]").fill("Not saved");
  await page.locator(".term-card").first().getByRole("button", { name: "Cancel" }).click();
  await until(page, () => document.querySelector("#term-add [name=id]")?.value === "2031-fall");
  assert.equal(await page.inputValue("#term-add [name=title]"), "Fall 2031");
  assert.equal(await page.isVisible("#term-add [name=id]"), true);
});

test("a half-edited term and a half-written correction are restored after another page", async () => {
  const { id } = await hub.ask("staff", "POST", "/api/v1/alerts", { title: "Room change", message: "To room 12.", priority: "medium", category: "schedule", audience: { sections: ["desk-1"] } });
  const page = await openDesk("#terms");
  await page.locator(".term-card", { hasText: "other" }).getByRole("button", { name: /^Edit/ }).click();
  await page.locator(".term-card [name=title]").fill("A better title");
  await page.goto(`${hub.url}/staff#alerts`);
  await page.fill("#alert-form [name=title]", "Another alert");
  await page.getByRole("button", { name: "Correct: Room change" }).click();
  await page.fill("#alert-form [name=message]", "To room 13.");
  await page.goto(`${hub.url}/account`);
  await page.goto(`${hub.url}/staff#alerts`);
  await until(page, () => document.querySelector("#alert-form [name=message]")?.value === "To room 13.");
  assert.match(await page.textContent("#alert-basis"), /Room change/);
  assert.equal(await page.isVisible("#alert-recipients"), false);
  assert.match(await page.textContent("#send-button"), /correction/i);
  assert.equal(await page.inputValue(".term-card [name=title]"), "A better title");
  assert.equal(await page.inputValue(".term-card [name=id]"), "other");
  await hub.ask("staff", "DELETE", `/api/v1/alerts/${id}`);
});

test("a half-written alert is restored after a correction was abandoned", async () => {
  const { id } = await hub.ask("staff", "POST", "/api/v1/alerts", { title: "Room change", message: "To room 12.", priority: "medium", category: "schedule", audience: { sections: ["desk-1"] } });
  const page = await openDesk("#alerts");
  await page.fill("#alert-form [name=title]", "Another alert");
  await page.check("#alert-form [name=to][value=some]");
  await page.fill("#alert-form [name=users]", "student");
  await page.getByRole("button", { name: "Correct: Room change" }).click();
  await until(page, () => document.querySelector("#alert-form [name=title]").value === "Room change");
  await page.locator("#alert-basis button").click();
  await until(page, () => document.querySelector("#alert-form [name=title]").value === "Another alert");
  assert.equal(await page.inputValue("#alert-form [name=users]"), "student");
  assert.equal(await page.isVisible("#selected-people"), true);
  await hub.ask("staff", "DELETE", `/api/v1/alerts/${id}`);
});

test("a new term offers the college's waitlist setting, not \"No change\"", async () => {
  const page = await openDesk("#terms");
  await page.locator(".term-card").first().waitFor();
  const modes = () => page.$$eval("#term-form [name=waitlist] option", (all) => all.filter((one) => !one.hidden).map((one) => one.textContent));
  assert.deepEqual((await modes()).slice(0, 2), ["College default", "Enroll the first student on the waitlist"]);
  await page.fill("#term-form [name=id]", "other");
  assert.deepEqual((await modes()).slice(0, 2), ["No change", "College default"]);
});

test("the recipients of an alert for a section of another term are named", async () => {
  const { id } = await hub.ask("staff", "POST", "/api/v1/alerts", { title: "Room change", message: "Now in room 4.", priority: "low", category: "schedule", audience: { sections: ["other-7"] } });
  const page = await openDesk("#alerts");
  await until(page, () => /to PHYS 101 lecture \(7\)/.test(document.querySelector("#sent-list article footer")?.textContent));
  await hub.ask("staff", "DELETE", `/api/v1/alerts/${id}`);
});

test("the alert form says how many characters are left", async () => {
  const page = await openDesk("#alerts");
  await page.fill("#alert-form [name=title]", "Room change");
  await page.fill("#alert-form [name=message]", "x".repeat(1999));
  await until(page, () => document.querySelector("#title-left").textContent === "189 characters left" && document.querySelector("#message-left").textContent === "1 character left");
});

test("rows of sections show their times and instructors in windows of 768 to 1280 px", async () => {
  const page = await openDesk("#sections", { width: 768, height: 1024 });
  await page.locator(".srow [name=status]").waitFor();
  for (const width of [768, 1024, 1280]) {
    await page.setViewportSize({ width, height: 800 });
    const { text, cut, boxes } = await page.$eval(".srow .schedule", (el) => ({
      text: el.innerText, cut: [...el.children].some((one) => one.scrollWidth > one.clientWidth),
      boxes: [el, ...el.closest(".line").querySelectorAll(".name, .seats, input, select")].map((one) => one.getBoundingClientRect().toJSON()),
    }));
    assert.match(text, /Mon Wed Fri 9:00 – 9:50 AM\s+Lee/, `${width} px`);
    assert.ok(!cut, `${width} px: the times are not cut`);
    const [schedule, ...others] = boxes;
    assert.ok(others.every((one) => one.right <= schedule.left || one.left >= schedule.right || one.bottom <= schedule.top || one.top >= schedule.bottom), `${width} px: the times overlap no other part of the row`);
  }
});

test("each detail of an expanded section ends with one period, even after a.m.", async () => {
  for (const [locale, text] of [["en-US", "Calculus I Mon Wed Fri 9:00 – 9:50 AM. Lee. 5 credits."], ["es-MX", "Calculus I lun mié vie 9:00–9:50 a.m. Lee. 5 créditos."]]) {
    const page = await openDesk("#sections", { locale });
    await page.locator(".srow .name").click();
    const details = page.locator(".srow .body > p");
    await details.waitFor();
    assert.equal((await details.innerText()).replace(/\s/g, " "), text);
    await page.close();
  }
});
