// A student's schedule in a calendar program, as an independent reader of iCalendar understands it, and on the page.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import ICAL from "ical.js";
import { browser, Hub, open, until, violations } from "./support.mjs";

let hub, chrome;
before(async () => {
  [hub, chrome] = await Promise.all([Hub.start(), browser()]);
  await hub.term("cal", [
    "1,MATH 151,\"Calculus; limits, and series\",A01,lecture,5,2,3,MWF,09:00-09:50,Müller,2026-10-19..2026-11-13,\"Hall 3, North\"",
    "2,CHEM 101,Chemistry with a title that is much longer than a line of a calendar may be: Grüße aus Köln und Zürich,A01,lecture,5,2,3,TR,13:00-14:20,Franklin,2026-03-05..2026-03-17,",
    "3,ARTS 105,Drawing,S01,studio,3,0,1,,,Goya,2026-10-19..2026-11-13,",
    "4,PHYS 101,Physics,A01,lecture,3,0,1,F,18:00-19:00,Curie,2026-10-19..2026-11-13,",
  ], { more: ["date_range", "location"] });
  await hub.ask("staff", "PUT", "/api/v1/terms/cal", { holidays: ["2026-10-19", "2026-11-11", "2026-11-12"] });
  for (const section of ["cal-1", "cal-2", "cal-3", "cal-4?waitlist=true"]) await hub.ask("student", "PUT", `/api/v1/me/registrations/${section}`);
});
after(async () => { await chrome?.close(); await hub?.end(); });

/** Returns each event with the times of its meetings in UTC, computed with the time zones of the file alone. */
function read(text) {
  const calendar = new ICAL.Component(ICAL.parse(text));
  ICAL.TimezoneService.reset();
  const zones = calendar.getAllSubcomponents("vtimezone");
  for (const zone of zones) ICAL.TimezoneService.register(zone);
  const events = calendar.getAllSubcomponents("vevent").map((component) => {
    const event = new ICAL.Event(component);
    const iterator = event.iterator();
    const starts = [];
    for (let next; starts.length < 100 && (next = iterator.next());) starts.push(next.toJSDate().toISOString().slice(0, 16));
    return { uid: event.uid, title: event.summary, text: event.description, room: event.location, minutes: event.duration.toSeconds() / 60, starts };
  });
  return { zones: zones.length, events: events.sort((a, b) => (a.title < b.title ? -1 : 1)) };
}

test("the feed has each meeting at its time across changes of daylight saving time", async () => {
  const { url } = await hub.ask("student", "POST", "/api/v1/me/schedule-feed", {});
  const response = await fetch(url);
  assert.equal(response.headers.get("content-type"), "text/calendar; charset=utf-8");
  const text = await response.text();
  assert.ok(text.split("\r\n").every((line) => Buffer.byteLength(line) <= 75), text);
  const { zones, events: [chemistry, mathematics, ...others] } = read(text);
  assert.equal(zones, 1);
  // In New York, clocks go forward on 8 March and back on 1 November 2026.
  assert.deepEqual(chemistry.starts, ["2026-03-05T18:00", "2026-03-10T17:00", "2026-03-12T17:00", "2026-03-17T17:00"]);
  assert.equal(chemistry.title, "CHEM 101 lecture: Chemistry with a title that is much longer than a line of a calendar may be: Grüße aus Köln und Zürich");
  assert.deepEqual(mathematics.starts, [
    "2026-10-21T13:00", "2026-10-23T13:00", "2026-10-26T13:00", "2026-10-28T13:00", "2026-10-30T13:00",
    "2026-11-02T14:00", "2026-11-04T14:00", "2026-11-06T14:00", "2026-11-09T14:00", "2026-11-13T14:00",
  ]);
  assert.deepEqual([mathematics.title, mathematics.room, mathematics.minutes], ["MATH 151 lecture: Calculus; limits, and series", "Hall 3, North", 50]);
  assert.match(mathematics.text, /CRN 1\nMüller/);
  // The section without times has no event yet, and the student waits for the full one.
  assert.deepEqual(others, []);
});

test("the ids of events stay the same when a section changes", async () => {
  const token = await hub.token("student");
  const file = async () => read(await (await fetch(`${hub.url}/api/v1/me/schedule.ics`, { headers: { Authorization: `Bearer ${token}` } })).text()).events;
  const [earlier] = await file();
  await hub.ask("staff", "PUT", "/api/v1/terms/cal", { holidays: ["2026-03-12"] });
  const [later] = await file();
  assert.deepEqual([later.uid, later.starts.length], [earlier.uid, earlier.starts.length - 1]);
});

test("the calendar file and the private link work in both languages", async () => {
  const page = await open(chrome, hub, "/?term=cal#term", { user: "student", bypassCSP: true });
  await hub.ask("student", "DELETE", "/api/v1/me/schedule-feed");
  const calendar = page.locator("#calendar");
  await calendar.getByText("Add to calendar").click();
  const [download] = await Promise.all([page.waitForEvent("download"), calendar.getByRole("link", { name: "Download calendar file (.ics)" }).click()]);
  assert.equal(download.suggestedFilename(), "schedule.ics");
  await calendar.getByRole("button", { name: "Create private link" }).click();
  const url = await calendar.locator("code").textContent();
  assert.equal((await fetch(url)).status, 200);
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await calendar.getByRole("button", { name: "Copy link" }).click();
  await until(page, () => /Link copied\./.test(document.querySelector("#calendar").textContent));
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), url);
  assert.deepEqual(await violations(page), []);
  // The link cannot be shown again later, so it stays when the language changes.
  await page.getByRole("button", { name: "Español" }).click();
  await calendar.getByRole("button", { name: "Copiar enlace" }).waitFor();
  assert.equal(await calendar.locator("code").textContent(), url);
  await page.getByRole("button", { name: "English" }).click();
  await calendar.getByRole("button", { name: "End private link" }).click();
  await until(page, () => document.querySelector("#calendar [role=status]").textContent === "The private link has ended.");
  assert.equal((await fetch(url)).status, 404);
  await page.getByRole("button", { name: "Español" }).click();
  await calendar.getByRole("button", { name: "Crear enlace privado" }).click();
  const spanish = await (await fetch(await calendar.locator("code").textContent())).text();
  assert.match(spanish, /SUMMARY:MATH 151 teoría/);
  assert.equal(await calendar.getByRole("link").getAttribute("href"), "/api/v1/me/schedule.ics?lang=es");
  assert.deepEqual(page.wrong, []);
});
