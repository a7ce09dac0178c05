// Takes screenshots of the pages in their states, at three widths, light and dark, for review and for the README.

import { mkdirSync } from "node:fs";
import path from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { browser, csvFile, Hub, open, until } from "./support.mjs";

const ROOT = path.resolve(import.meta.dirname, "../..");
const ALL = path.join(ROOT, "target/pictures");
const README = path.join(ROOT, "docs/pictures");
const SIZES = [[390, 844], [768, 1024], [1280, 800]];

mkdirSync(ALL, { recursive: true });
mkdirSync(README, { recursive: true });
const [hub, chrome] = await Promise.all([Hub.start(), browser()]);
const terms = (await hub.ask("student", "GET", "/api/v1/terms")).items;
const term = terms.find(({ opens_at }) => Date.parse(opens_at) < Date.now()).id;
const soon = terms.find(({ opens_at }) => Date.parse(opens_at) > Date.now()).id;
const { items } = await hub.ask("student", "GET", `/api/v1/sections?term=${term}&limit=5000`);
const overlap = (a, b) => a.meetings.some((x) => b.meetings.some((y) => x.start && y.start && x.start < y.end && y.start < x.end && x.days.some((day) => y.days.includes(day))));

/** A student's week: three sections that fit together, one that is full, one that overlaps. */
const week = [];
for (const section of items) {
  const fits = section.open > 5 && section.meetings[0]?.start && section.credits > 2;
  if (week.length < 3 && fits && !week.some((other) => other.course.split(" ")[0] === section.course.split(" ")[0] || overlap(other, section))) week.push(section);
}
const full = items.find((one) => one.open === 0 && one.meetings[0]?.start > "10" && !week.some((other) => other.course === one.course) && one.waitlist_capacity > 3 && !week.some((other) => overlap(other, one)));
const overlapping = items.find((one) => one.open > 5 && one.credits < 5 && !week.some((other) => other.course === one.course) && one.course !== week[1].course && overlap(one, week[1]));
const planned = (list) => hub.ask("student", "PUT", "/api/v1/me/plan", { sections: list.map(({ id }) => id) });
const later = (await hub.ask("student", "GET", `/api/v1/sections?term=${soon}&limit=5000`)).items;

/** Only pictures whose names begin with the argument are taken; all without one. */
const PREFIX = process.argv[2] ?? "";

async function shoot(name, where, how, ready = async () => {}, { forReadme } = {}) {
  if (!name.startsWith(PREFIX)) return;
  for (const [width, height] of SIZES) {
    for (const colorScheme of ["light", "dark"]) {
      const page = await open(chrome, hub, where, { ...how, width, height, colorScheme });
      await until(page, () => document.querySelector("#live").dataset.state === "live" && !/Loading|Cargando/.test(document.querySelector("#found, #sections-found")?.textContent));
      await ready(page, width);
      await page.mouse.move(0, 0);
      await page.screenshot({ path: path.join(ALL, `${name}-${width}-${colorScheme}.png`) });
      if (forReadme?.[0] === width && forReadme[1] === colorScheme) await page.screenshot({ path: path.join(README, `${name}.png`) });
      await page.context().close();
    }
  }
}

const student = { user: "student" };
await planned([...week, full, overlapping, ...later.filter((_, i) => i % 70 === 5).slice(0, 4)]);
await shoot("before", `/?term=${soon}`, student);
await shoot("visitor", `/?term=${term}`, {});
await shoot("ready", `/?term=${term}`, student);
await hub.ask("student", "POST", "/api/v1/me/registrations", { add: week.map(({ id }) => id), drop: [], swap: false, waitlist: false });
const answered = async (page, width) => {
  await page.click("#register-all");
  await until(page, () => document.querySelectorAll("#schedule-rows .result button").length > 0 && !document.querySelector(".pending"));
  // What is above the rows may have grown since the page scrolled to them.
  if (width < 768) await page.evaluate(() => document.querySelector("#schedule-rows").scrollIntoView());
};
await shoot("answers", `/?term=${term}#term`, student, answered, { forReadme: [390, "light"] });
await hub.ask("student", "PUT", `/api/v1/me/registrations/${full.id}?waitlist=true`);
await shoot("student", `/?term=${term}`, student, undefined, { forReadme: [1280, "light"] });
await shoot("student-es", `/?term=${term}&q=math`, { ...student, locale: "es-US" });
await shoot("opened", `/?term=${term}`, student, async (page) => page.locator(".row .name").nth(1).click());
await shoot("nothing", `/?term=${term}&q=zzz`, student);
const alert = (title, message, priority, category) => hub.ask("staff", "POST", "/api/v1/alerts", { title, message, priority, category, audience: { all: true } });
await alert("Payment is due on Friday", "Unpaid seats are released at 8 AM on Saturday.", "high", "workflow");
await shoot("alerts", `/?term=${term}#alerts`, student, (page) => until(page, () => document.querySelector("#banners article")));
await alert("Leave the Science building now", "A gas leak was found. Leave by the nearest exit and go to the parking area on 5th Street.", "critical", "emergency");
await shoot("emergency", `/?term=${term}`, { ...student }, (page) => until(page, () => document.querySelector("#urgent article")), { forReadme: [390, "dark"] });
for (const { id, priority } of (await hub.ask("staff", "GET", "/api/v1/alerts?active=true")).items) if (priority !== "low") await hub.ask("staff", "DELETE", `/api/v1/alerts/${id}`);

const staff = { user: "staff" };
/** Adds and drops sections, slowly enough for each change to appear as one of its own. */
const busy = async () => {
  for (const { id } of items.filter(({ open }) => open > 0).slice(20, 32)) {
    for (const verb of ["PUT", "DELETE"]) {
      await hub.ask("student2", verb, `/api/v1/me/registrations/${id}`);
      await new Promise((resolve) => setTimeout(resolve, 120));
    }
  }
};
await shoot("staff", "/staff#now", staff, async (page) => {
  await page.selectOption("#which-term", term);
  await until(page, () => document.querySelectorAll("#map i").length > 100);
  await busy();
  await until(page, () => document.querySelectorAll("#hottest li").length > 5);
}, { forReadme: [1280, "light"] });
await shoot("staff-sections", "/staff#sections", staff, async (page) => {
  await page.selectOption("#which-term", term);
  await page.selectOption("#section-search [name=order]", "full");
  await until(page, () => document.querySelector(".srow") && !document.querySelector("#sort-again").hidden);
});
await shoot("staff-roster", "/staff#sections", staff, async (page) => {
  await page.selectOption("#which-term", term);
  await page.fill("#section-search [name=q]", week[0].crn);
  await until(page, (crn) => document.querySelectorAll(".srow").length === 1 && document.querySelector(".srow").textContent.includes(crn), week[0].crn);
  await page.click(".srow .name");
  await until(page, () => document.querySelector(".roster table"));
});
const emergency = async (page) => {
  await page.fill("#alert-form [name=title]", "Leave the Science building now");
  await page.fill("#alert-form [name=message]", "A gas leak was found. Leave by the nearest exit and go to the parking area on 5th Street.");
  await page.selectOption("#alert-form [name=category]", "emergency");
  await until(page, () => /Reaches/.test(document.querySelector("#reach").textContent));
};
await shoot("staff-alerts", "/staff#alerts", staff, emergency);
await shoot("staff-sure", "/staff#alerts", staff, async (page) => {
  await emergency(page);
  await page.click("#send-button");
  await until(page, () => document.querySelector("#confirm-send .danger:enabled"));
  await page.locator("#confirm-send").scrollIntoViewIfNeeded();
});
await shoot("staff-sent", "/staff#alerts", staff, async (page) => {
  const { id } = await hub.ask("staff", "POST", "/api/v1/alerts", { title: "Leave the Science building now", message: "A gas leak was found. Leave by the nearest exit.", category: "emergency", requires_ack: true, audience: { roles: ["student"] } });
  await hub.ask("student", "POST", `/api/v1/alerts/${id}/ack`);
  await until(page, () => /1 of \d+ people confirmed/.test(document.querySelector("#sent-list").textContent));
  await page.locator("#sent-list summary").first().click();
  await until(page, () => document.querySelector(".names li"));
  await page.locator("#sent-title").scrollIntoViewIfNeeded();
  await hub.ask("staff", "DELETE", `/api/v1/alerts/${id}`);
});
await shoot("staff-demand", "/staff#demand", staff);
await shoot("staff-import", "/staff#import", staff);
/** The schedule of the term with changed, added and missing sections and, with `bad`, two invalid lines. */
const LETTERS = { mon: "M", tue: "T", wed: "W", thu: "R", fri: "F", sat: "S", sun: "U" };
const quoted = (cells) => cells.map((cell) => `"${cell ?? ""}"`).join(",");
const schedule = (bad) => ["crn,course,title,section,component,credits,method,campus,waitlist_capacity,days,time,start,end,location,capacity,instructor",
  ...items.filter(({ meetings }) => meetings.length === 1 && meetings[0].start).slice(0, 90).map((one, i) => {
    const [{ days, start, end, starts_on, ends_on, location }] = one.meetings;
    return quoted([one.crn, one.course, `${one.title}${i % 17 === 3 ? " for beginners" : ""}`, one.section, one.component, one.credits, one.method, one.campus, one.waitlist_capacity, days.map((day) => LETTERS[day]).join(""), `${i % 19 === 7 ? "18:00-19:20" : `${start}-${end}`}`, starts_on, ends_on, location, one.capacity + (i % 9 === 4 ? 5 : 0), i % 23 === 5 ? "A. Lovelace" : one.instructor]);
  }),
  quoted(["99001", "MATH 199", "Mathematics of voting", "A01", "lecture", 3, "Face-to-Face", "Main", 5, "MW", "10:00-11:20", "", "", "Cedar 116", 40, "K. Arrow"]),
  ...(bad ? [quoted(["99002", "MATH 198", "Knots", "A01", "lecture", 3, "", "", 5, "MW", "10:00-11:20", "", "", "", "many", ""]), quoted(["99003", "MATH 197", "Games", "A01", "lecture", 3, "", "", 5, "MW", "half past nine", "", "", "", 20, ""])] : []), ""].join("\n");
const checked = (bad) => async (page) => {
  await page.selectOption("#which-term", term);
  await page.setInputFiles("#import-form [name=file]", csvFile(schedule(bad), "spring-changes.csv"));
  await page.locator("#import-form summary").click();
  await page.fill("#import-form [name=term]", term);
  await page.getByRole("button", { name: "Check file" }).click();
  await until(page, () => document.querySelector("#task .next"));
};
await shoot("staff-columns", "/staff#import", staff, async (page) => {
  await page.selectOption("#which-term", term);
  const unknown = schedule(false).replace("crn,course,title", "Nr,Kurs,Name").replace(",capacity,", ",Plätze,");
  await page.setInputFiles("#import-form [name=file]", csvFile(unknown, "spring-changes.csv"));
  await page.getByRole("button", { name: "Check file" }).click();
  await until(page, () => document.querySelector("#task .columns li"));
});
await shoot("staff-check", "/staff#import", staff, checked(false));
await shoot("staff-refused", "/staff#import", staff, async (page) => {
  await checked(true)(page);
  await page.locator("#task").scrollIntoViewIfNeeded();
});
const admin = { user: "admin" };
/** Creates activity for the charts: adds and drops every second. */
const working = async () => {
  for (const [at, { id }] of items.filter(({ open }) => open > 0).slice(40, 58).entries()) {
    for (const verb of ["PUT", "DELETE"]) await hub.ask(at % 3 ? "student" : "student2", verb, `/api/v1/me/registrations/${id}`);
    await hub.ask("student2", "PUT", `/api/v1/me/registrations/${full.id}`);
    await wait(250 + 150 * (at % 4));
  }
};
/** Whether the lines begin at the left edge of their time. */
const filled = () => document.querySelector(".line")?.getAttribute("d")?.match(/^M(-?[\d.]+)/)?.[1] < 8;
const ROUNDS_MAX = 20;
if ("admin".startsWith(PREFIX)) {
  await Promise.all([["student", `/?term=${term}`], ["student2", `/?term=${term}`], ["staff", "/staff"], [undefined, `/?term=${term}`]].map(([user, where]) => open(chrome, hub, where, { user })));
  const page = await open(chrome, hub, "/admin", { user: "admin" });
  for (let round = 0; round < ROUNDS_MAX && !(await page.evaluate(filled)); round += 1) {
    await working();
    await wait(7_000);
  }
}
await shoot("admin", "/admin", admin, async (page) => {
  await until(page, () => /normal/.test(document.querySelector("#health").textContent));
  await until(page, filled);
}, { forReadme: [1280, "light"] });
await shoot("admin-sessions", "/admin#sessions", admin, (page) => until(page, () => document.querySelector("#session-rows tr")));
await shoot("admin-people", "/admin#people", admin, (page) => page.getByRole("button", { name: "Edit staff", exact: true }).click());
await shoot("admin-audit", "/admin#audit", admin, (page) => until(page, () => document.querySelector("#audit-rows tr")));
// One run serves all sizes, since the page keeps its course.
if ("admin-demo".startsWith(PREFIX)) {
  const page = await open(chrome, hub, "/admin#demo", admin);
  await page.click("#demo .primary");
  await until(page, () => document.querySelector("#demo-result .final"));
  for (const [width, height] of SIZES) {
    for (const colorScheme of ["light", "dark"]) {
      await page.setViewportSize({ width, height });
      await page.emulateMedia({ colorScheme });
      await page.mouse.move(0, 0);
      await page.screenshot({ path: path.join(ALL, `admin-demo-${width}-${colorScheme}.png`), fullPage: true });
      if (width === 1280 && colorScheme === "light") await page.screenshot({ path: path.join(README, "demo.png"), fullPage: true });
    }
  }
}
await chrome.close();
await hub.end();
