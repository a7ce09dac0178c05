// The states of all pages, for the pictures and for the rules of the layout. Each state is a name, an address, options
// of `open`, and what happens before the page is inspected. States with `before` and `after` change the hub around it.
// A state without `where` opens its own page with `page`. A state with `needs` needs a change to the hub that another
// state makes.

import { createHmac } from "node:crypto";
import { csvFile, open, until } from "./support.mjs";

const PASSWORD = "correct horse 1";
/** Prepares a hub with the demonstration college for the states. Returns the terms and sections that they use. */
export async function college(hub) {
  const terms = (await hub.ask("student", "GET", "/api/v1/terms")).items;
  const term = terms.find(({ opens_at }) => Date.parse(opens_at) < Date.now()).id;
  const soon = terms.find(({ opens_at }) => Date.parse(opens_at) > Date.now()).id;
  const { items } = await hub.ask("student", "GET", `/api/v1/sections?term=${term}&limit=5000`);
  const later = (await hub.ask("student", "GET", `/api/v1/sections?term=${soon}&limit=5000`)).items;
  const overlap = (a, b) => a.meetings.some((x) => b.meetings.some((y) => x.start && y.start && x.start < y.end && y.start < x.end && x.days.some((day) => y.days.includes(day))));
  const subject = (one) => one.course.split(" ")[0];
  /** Three sections that fit together. */
  const week = [];
  for (const section of items) {
    const fits = section.open > 5 && section.meetings[0]?.start && section.credits > 2;
    if (week.length < 3 && fits && !week.some((other) => subject(other) === subject(section) || overlap(other, section))) week.push(section);
  }
  const isNew = (one) => !week.some((other) => other.course === one.course);
  const full = items.find((one) => one.open === 0 && one.meetings[0]?.start > "10" && isNew(one) && one.waitlist_capacity > 3 && !week.some((other) => overlap(other, one)));
  const overlapping = items.find((one) => one.open > 5 && one.credits < 5 && isNew(one) && overlap(one, week[1]));
  const planned = later.filter((_, i) => i % 70 === 5).slice(0, 4);
  await hub.ask("student", "PUT", "/api/v1/me/plan", { sections: [...week, full, overlapping, ...planned].map(({ id }) => id) });
  await moreUsers(hub, full, items, week);
  return { term, soon, items, later, week, full, overlapping };
}

/** Adds users for states that the pages of the demonstration accounts do not have. */
async function moreUsers(hub, full, items, week) {
  for (const [user, role] of [["pat", "student"], ["held", "student"], ["guide", "student"], ["sol", "staff"]]) {
    await hub.ask("admin", "PUT", `/api/v1/admin/users/${user}`, { role, password: PASSWORD, name: { pat: "Pat Reyes", held: "Nadia Okafor", guide: "Uma Lindqvist", sol: "Sol Ibarra" }[user] });
  }
  for (const user of ["held", "guide", "holder", "next"]) hub.mint(user, "student");
  await hub.ask("staff", "PUT", "/api/v1/students/held", { program: "Nursing", credit_limit: 12, holds: [
    { id: "fine", text: "A book is missing.", office: "Library", url: "https://library.example.edu/fines", blocks: ["register"] }, { id: "fee", text: "A fee is due.", office: "Bursar", blocks: [] },
  ] });
  await hub.ask("held", "PUT", "/api/v1/me/plan", { sections: [{ section: full.id, waitlist: true, alternates: [week[2].id] }, week[0].id] });
  for (const { id } of week.slice(0, 2)) await hub.ask("guide", "PUT", `/api/v1/me/registrations/${id}`);
  await hub.ask("guide", "PUT", `/api/v1/me/registrations/${items.find(({ open, id }) => !open && id !== full.id).id}`);
  hub.mint("Curie", "instructor");
  await hub.term("small", ["1,BIOL 101,Biology,A01,lecture,4,1,5,M,09:00-09:50,Curie", "2,BIOL 101,Biology,A02,lecture,4,1,5,T,09:00-09:50,Ray", "3,ART 1,Drawing,A01,lecture,3,9,5,M,09:00-10:20,Fox"], { title: "Summer session, offers" });
  await hub.ask("staff", "PUT", "/api/v1/terms/small", { waitlist: "offer", offer_s: 86_400, offer_first_day_s: 86_400 });
  for (const [user, crn] of [["holder", 1], ["holder", 3], ["next", 1], ["next", 3]]) await hub.ask(user, "PUT", `/api/v1/me/registrations/small-${crn}?waitlist=true`);
}

const seen = (selector) => (page) => until(page, (selector) => [...document.querySelectorAll(selector)].some((one) => one.checkVisibility()), selector);
const says = (selector, pattern) => (page) => until(page, ([selector, source]) => new RegExp(source, "s").test(document.querySelector(selector)?.textContent), [selector, pattern.source]);
const live = (page) => until(page, () => document.querySelector("#live").dataset.state === "live");
const listed = async (page) => {
  await live(page);
  await until(page, () => document.querySelectorAll(".row").length > 0 && !/Loading|Cargando/.test(document.querySelector("#found").textContent));
};
/** Waits for the schedule of a student, which the page calls empty only once it has loaded. */
const scheduled = (page) => until(page, () => document.querySelector("#schedule-rows li, #schedule-empty:not([hidden])"));
/** Waits for the results and the schedule of a student. */
const mine = async (page) => {
  await listed(page);
  await scheduled(page);
};
/** Waits for the schedule of a student and for an element. */
const mineSeen = (selector) => async (page) => {
  await scheduled(page);
  await seen(selector)(page);
};
/** Returns a script that answers requests to matching addresses, except those that change something. */
const answering = (part, body) => `{ const ask = fetch; window.fetch = (what, how) => ${part}.test(String(what)) && (how?.method ?? "GET") === "GET" ? Promise.resolve(Response.json(${JSON.stringify(body)})) : ask(what, how); }`;
const alert = (hub, title, message, priority, category, more = {}) => hub.ask("staff", "POST", "/api/v1/alerts", { title, message, priority, category, audience: { all: true }, ...more });
const withdrawAll = async (hub) => {
  for (const { id, priority } of (await hub.ask("staff", "GET", "/api/v1/alerts?active=true")).items) if (priority !== "low") await hub.ask("staff", "DELETE", `/api/v1/alerts/${id}`);
};

/** Returns the states of the student's page. */
function studentStates(hub, { term, soon, week, full, items }) {
  const student = { user: "student" };
  const here = `/?term=${term}`;
  const change = (changes) => hub.ask("student", "POST", "/api/v1/me/registrations", { add: [], drop: [], swap: false, waitlist: false, ...changes });
  const ids = week.map(({ id }) => id);
  const [register, drop] = [() => change({ add: ids }), () => change({ drop: ids })];
  const open = items.find((one) => one.open > 3 && one.meetings[0]?.start);
  return [
    { name: "visitor", where: here, how: {}, ready: listed },
    { name: "visitor-sign-in", where: `${here}#term`, how: {}, ready: async (page) => { await listed(page); await seen("#sign-in [name=username]")(page); } },
    { name: "visitor-refused", where: `${here}#term`, how: {}, ready: async (page) => {
      await listed(page);
      await page.fill("#sign-in [name=username]", "student");
      await page.fill("#sign-in [name=password]", "not this");
      await page.keyboard.press("Enter");
      await says("#sign-in", /Incorrect username/)(page);
    } },
    { name: "countdown", where: `/?term=${soon}#term`, how: student, ready: mine },
    { name: "plan-check", where: `/?term=${soon}#term`, how: student, ready: async (page) => { await mine(page); await page.getByRole("button", { name: "Check my plan" }).click(); await says("#plan-headline", /\S/)(page); } },
    { name: "plan-choices", where: `/?term=${soon}#term`, how: student, ready: async (page) => { await mine(page); await page.locator("#schedule-rows .choices summary").first().click(); await seen(".choices[open] select")(page); } },
    { name: "ready", where: here, how: student, ready: mine },
    { name: "filters", where: here, how: student, ready: async (page) => {
      await mine(page);
      if (await page.isVisible("#filters-toggle")) await page.click("#filters-toggle");
      await page.click("#more-filters");
      await seen("#filters-more select, #filters-more input")(page);
    } },
    { name: "details", where: here, how: student, ready: async (page) => { await mine(page); await page.locator(".row .name").nth(1).click(); await seen(".row dl")(page); } },
    { name: "compact", where: here, how: student, ready: async (page) => { await mine(page); await page.check("#compact"); } },
    { name: "no-results", where: `${here}&q=zzz`, how: student, ready: mineSeen("#none button") },
    { name: "section", where: `${here}&section=${open.id}`, how: student, ready: mineSeen("#section-page .act button") },
    { name: "section-visitor", where: `${here}&section=${full.id}`, how: {}, ready: seen("#section-page dl") },
    { name: "no-sections", where: "/?term=empty", how: student, before: () => hub.ask("staff", "PUT", "/api/v1/terms/empty", { title: "A term without sections" }), ready: mineSeen("#none p") },
    { name: "loading-failed", where: here, how: { script: "const ask = fetch; window.fetch = (where, how) => String(where).includes('/sections?') ? Promise.reject(new TypeError()) : ask(where, how);" }, ready: seen("#none button") },
    { name: "hold", where: `${here}#term`, how: { user: "held" }, ready: async (page) => { await mine(page); await seen("#holds li")(page); } },
    { name: "expired", where: here, how: { ...student, script: "window.WebSocket = class { close() {} send() {} };" }, ready: async (page) => {
      await until(page, () => document.querySelector(".row .act button") && document.querySelector("#schedule-rows li"));
      // Only this page loses its sign-in.
      await page.route("**/api/v1/**", (route) => route.fulfill({ status: 401, contentType: "application/problem+json", body: JSON.stringify({ title: "Unauthenticated", status: 401, code: "unauthenticated", detail: "The sign-in has expired." }) }));
      await page.locator(".row .act").getByRole("button", { name: /^Register/ }).first().click();
      await says("#note", /signed out/)(page);
    } },
    { name: "answers", where: `${here}#term`, how: student, before: drop, readme: [390, "light"], ready: async (page) => {
      await mine(page);
      await page.click("#register-all");
      await until(page, () => document.querySelectorAll("#schedule-rows .result button").length > 0 && !document.querySelector(".pending"));
    }, shown: (page, width) => page.evaluate((narrow) => { if (narrow) document.querySelector("#plan-headline").scrollIntoView(); }, width < 768) },
    { name: "student", where: here, how: student, before: () => hub.ask("student", "PUT", `/api/v1/me/registrations/${full.id}?waitlist=true`), readme: [1280, "light"], ready: mine },
    { name: "week", where: `${here}#term`, how: student, ready: mine },
    { name: "undo", where: `${here}#term`, how: student, ready: async (page) => {
      await mine(page);
      await page.locator("#schedule-rows").getByRole("button", { name: /^Drop/ }).first().click();
      await says("#schedule-rows", /Undo keeps/)(page);
    }, after: register },
    { name: "my-data", where: `${here}#term`, how: student, ready: async (page) => { await mine(page); await page.click("#my-data summary"); await until(page, () => !/Loading/.test(document.querySelector("#my-data-readers").textContent)); } },
    { name: "watch", where: `${here}&section=${full.id}`, how: { user: "student2" }, ready: mineSeen("#section-page .act button") },
    { name: "wait-choices", where: "/?term=small", how: { user: "student" }, ready: async (page) => {
      await listed(page);
      await page.getByRole("button", { name: /^Waitlist choices/ }).first().click();
      await seen(".wait-choices")(page);
    } },
    { name: "offer", where: "/?term=small#term", how: { user: "next" }, before: () => hub.ask("holder", "DELETE", "/api/v1/me/registrations/small-1"), ready: async (page) => { await mine(page); await seen("#offers .offer .left")(page); } },
    { name: "offline", where: here, how: student, ready: async (page) => { await mine(page); await page.context().setOffline(true); await says("#live", /Offline/)(page); } },
    { name: "alerts", where: `${here}#alerts`, how: student, before: async () => {
      await alert(hub, "Parking is free today", "Until noon, in all lots.", "low", "content");
      await alert(hub, "The library closes at 6 PM", "It opens again on Monday at 8 AM.", "medium", "system");
      await alert(hub, "Payment is due on Friday", "Unpaid seats are released at 8 AM on Saturday.", "high", "workflow", { requires_ack: true });
    }, ready: async (page) => { await listed(page); await seen("#alert-list .high button")(page); await page.click("#archive summary"); await until(page, () => !/Loading/.test(document.querySelector("#archive-list").textContent)); } },
    { name: "emergency", where: here, how: student, readme: [390, "dark"],
      before: () => alert(hub, "Leave the Science building now", "A gas leak was found. Leave by the nearest exit and go to the parking area on 5th Street.", "critical", "emergency"),
      ready: async (page) => { await mine(page); await seen("#urgent article")(page); }, after: () => withdrawAll(hub) },
  ];
}

const LETTERS = { mon: "M", tue: "T", wed: "W", thu: "R", fri: "F", sat: "S", sun: "U" };
const quoted = (cells) => cells.map((cell) => `"${cell ?? ""}"`).join(",");
/** Returns the schedule of the term with changed, added and missing sections and, with `bad`, two invalid lines. */
const schedule = (items, bad) => ["crn,course,title,section,component,credits,method,campus,waitlist_capacity,days,time,start,end,location,capacity,instructor",
  ...items.filter(({ meetings }) => meetings.length === 1 && meetings[0].start).slice(0, 90).map((one, i) => {
    const [{ days, start, end, starts_on, ends_on, location }] = one.meetings;
    return quoted([one.crn, one.course, `${one.title}${i % 17 === 3 ? " for beginners" : ""}`, one.section, one.component, one.credits, one.method, one.campus, one.waitlist_capacity, days.map((day) => LETTERS[day]).join(""), `${i % 19 === 7 ? "18:00-19:20" : `${start}-${end}`}`, starts_on, ends_on, location, one.capacity + (i % 9 === 4 ? 5 : 0), i % 23 === 5 ? "A. Lovelace" : one.instructor]);
  }),
  quoted(["99001", "MATH 199", "Mathematics of voting", "A01", "lecture", 3, "Face-to-Face", "Main", 5, "MW", "10:00-11:20", "", "", "Cedar 116", 40, "K. Arrow"]),
  ...(bad ? [quoted(["99002", "MATH 198", "Knots", "A01", "lecture", 3, "", "", 5, "MW", "10:00-11:20", "", "", "", "many", ""]), quoted(["99003", "MATH 197", "Games", "A01", "lecture", 3, "", "", 5, "MW", "half past nine", "", "", "", 20, ""])] : []), ""].join("\n");
/** A script that reports each import as running forever. */
const NEVER_DONE = `{ const ask = fetch; window.fetch = (where, how) => /imports\\/./.test(where)
  ? Promise.resolve(Response.json({ task: "t", state: "running", phase: "reading", dry_run: true, rows: 1000, sections: 0, refused: 2, bytes: 500000, bytes_total: 1000000 })) : ask(where, how); }`;

/** Returns the states of the staff page. */
function staffStates(hub, { term, soon, items, week, full }) {
  const staff = { user: "staff" };
  const choose = async (page, id = term) => {
    await until(page, (id) => document.querySelector(`#which-term option[value="${id}"]`), id);
    await page.selectOption("#which-term", id);
    await live(page);
  };
  const check = (bad) => async (page) => {
    await choose(page);
    await page.setInputFiles("#import-form [name=file]", csvFile(schedule(items, bad), "spring-changes.csv"));
    await page.locator("#import-form summary").click();
    await page.fill("#import-form [name=term]", term);
    await page.getByRole("button", { name: "Check file" }).click();
  };
  const emergency = async (page) => {
    await choose(page);
    await page.fill("#alert-form [name=title]", "Leave the Science building now");
    await page.fill("#alert-form [name=message]", "A gas leak was found. Leave by the nearest exit and go to the parking area on 5th Street.");
    await page.selectOption("#alert-form [name=category]", "emergency");
    await says("#reach", /Reaches/)(page);
  };
  const section = async (page, crn) => {
    await choose(page);
    await page.fill("#section-search [name=q]", crn);
    await until(page, (crn) => document.querySelectorAll(".srow").length === 1 && document.querySelector(".srow").textContent.includes(crn), crn);
  };
  const file = async (page, user) => {
    await choose(page);
    await page.fill("#student-search [name=q]", user);
    await page.locator("#student-results button").first().click();
    await until(page, () => document.querySelector(".student-file h5"));
  };
  /** Adds and drops sections, slowly enough for each change to appear separately. */
  const busy = async () => {
    for (const { id } of items.filter(({ open }) => open > 0).slice(20, 32)) {
      for (const verb of ["PUT", "DELETE"]) {
        await hub.ask("student2", verb, `/api/v1/me/registrations/${id}`);
        await new Promise((resolve) => setTimeout(resolve, 60));
      }
    }
  };
  return [
    { name: "staff-sign-in", where: "/staff", how: {}, ready: seen("#sign-in [name=username]") },
    { name: "staff-no-access", where: "/staff", how: { user: "student" }, ready: says("#no-access", /\S/) },
    { name: "staff", where: "/staff#now", how: staff, before: busy, readme: [1280, "light"], ready: async (page) => { await choose(page); await until(page, () => document.querySelectorAll("#map i").length > 100 && document.querySelectorAll("#hottest li").length > 5); } },
    { name: "staff-map-detail", where: "/staff#now", how: staff, ready: async (page) => { await choose(page); await until(page, () => document.querySelectorAll("#map i").length > 100); await page.focus("#map [tabindex]"); await page.keyboard.press("ArrowRight"); await says("#map-detail", /\S/)(page); } },
    { name: "staff-no-sections", where: "/staff#now", how: staff, ready: async (page) => { await choose(page, "empty"); await until(page, () => !document.querySelector("#map i")); } },
    { name: "staff-sections", where: "/staff#sections", how: staff, ready: async (page) => { await choose(page); await page.selectOption("#section-search [name=order]", "full"); await until(page, () => document.querySelector(".srow") && !document.querySelector("#sort-again").hidden); } },
    { name: "staff-roster", where: "/staff#sections", how: staff, ready: async (page) => { await section(page, week[0].crn); await page.click(".srow .name"); await seen(".roster table")(page); } },
    { name: "staff-history", where: "/staff#sections", how: staff, ready: async (page) => { await section(page, full.crn); await page.click(".srow .name"); await page.locator(".srow .history summary").click(); await until(page, () => document.querySelectorAll(".srow .history li").length > 0); } },
    { name: "staff-cancel", where: "/staff#sections", how: staff, ready: async (page) => {
      await section(page, full.crn);
      await page.selectOption(".srow [name=status]", "cancelled");
      await page.getByRole("button", { name: "Save" }).click();
      await says(".srow .question", /cancels/)(page);
    } },
    { name: "staff-students", where: "/staff#students", how: staff, ready: async (page) => { await choose(page); await page.fill("#student-search [name=q]", "st"); await seen("#student-results button")(page); } },
    { name: "staff-student", where: "/staff#students", how: staff, ready: (page) => file(page, "guide") },
    { name: "staff-student-held", where: "/staff#students", how: staff, ready: async (page) => {
      await file(page, "held");
      await page.fill(".picker input", week[0].crn);
      await page.locator(".picker li").getByRole("button", { name: /Register/ }).first().click();
      await says("#student-file", /hold on the account/)(page);
    } },
    { name: "staff-demand", where: "/staff#demand", how: staff, ready: async (page) => { await choose(page, soon); await until(page, () => document.querySelectorAll("#demand tbody tr").length > 1 && !/\d{6}-/.test(document.querySelector("#demand").textContent)); } },
    { name: "staff-rehearsal", where: "/staff#demand", how: staff, ready: async (page) => { await choose(page, soon); await page.getByRole("button", { name: "Start rehearsal" }).click(); await seen("#rehearsal .good")(page); } },
    { name: "staff-import", where: "/staff#import", how: staff, ready: choose },
    { name: "staff-import-running", where: "/staff#import", how: { ...staff, script: NEVER_DONE }, ready: async (page) => { await check(false)(page); await until(page, () => document.querySelector("#task progress")?.value > 0); } },
    { name: "staff-import-columns", where: "/staff#import", how: staff, ready: async (page) => {
      await choose(page);
      const unknown = schedule(items, false).replace("crn,course,title", "Nr,Kurs,Name").replace(",capacity,", ",Plätze,");
      await page.setInputFiles("#import-form [name=file]", csvFile(unknown, "spring-changes.csv"));
      await page.getByRole("button", { name: "Check file" }).click();
      await seen("#task .columns li")(page);
    } },
    { name: "staff-import-review", where: "/staff#import", how: staff, ready: async (page) => { await check(false)(page); await seen("#task .next")(page); } },
    { name: "staff-import-refused", where: "/staff#import", how: staff, ready: async (page) => { await check(true)(page); await seen("#task .next")(page); } },
    { name: "staff-alerts", where: "/staff#alerts", how: staff, ready: emergency },
    { name: "staff-alert-people", where: "/staff#alerts", how: staff, ready: async (page) => { await choose(page); await page.check("[name=to][value=some]"); await page.fill("[name=sections]", "nowhere-1"); await page.selectOption("[name=when]", "at"); await seen("[aria-invalid=true]")(page); } },
    { name: "staff-alert-confirm", where: "/staff#alerts", how: staff, ready: async (page) => { await emergency(page); await page.click("#send-button"); await seen("#confirm-send .danger:enabled")(page); } },
    { name: "staff-receipts", where: "/staff#alerts", how: staff, before: async () => {
      const { id } = await hub.ask("staff", "POST", "/api/v1/alerts", { title: "Leave the Science building now", message: "A gas leak was found. Leave by the nearest exit.", category: "emergency", requires_ack: true, audience: { roles: ["student"] } });
      await hub.ask("student", "POST", `/api/v1/alerts/${id}/ack`);
      await alert(hub, "Closing early", "All buildings close at 3 PM.", "medium", "schedule", { starts_at: new Date(Date.now() + 86_400_000).toISOString() });
    }, ready: async (page) => {
      await choose(page);
      await says("#sent-list", /1 (of|de) \d/)(page);
      await page.locator("#sent-list summary").first().click();
      await seen(".names li")(page);
    }, after: () => withdrawAll(hub) },
    { name: "staff-terms", where: "/staff#terms", how: staff, ready: async (page) => { await choose(page); await page.locator("#terms .term-card").first().getByRole("button").last().click(); } },
    { name: "staff-term-closes", where: "/staff#terms", how: staff, ready: async (page) => { await choose(page); await page.locator("#terms").getByRole("button", { name: "Close now" }).first().click(); await seen("#terms .danger, #terms .question")(page); } },
  ];
}

const PLONE = {
  configured: true, ok: false, url: "https://plone.college.example/Plone", circuit: { state: "open", opened_at: "2026-01-05T13:00:00Z" }, pool: { in_use: 1, size: 4, waiting: 2 },
  sync: { last_at: "2026-01-05T12:58:00Z", error: "Plone did not respond", missing_fields: ["waitlist_capacity"], problems: [{ path: "/courses/mathematics/math-151-a-very-long-name-of-an-item", reason: "It has no number of seats." }], problems_total: 1 },
  outbox: { depth: 3, oldest_age_s: 420, in_flight: 0, aside: [{ section: "open-1", at: "2026-01-05T12:57:00Z", reason: "400: the field seats is not a number" }], aside_total: 2 },
  announcements: { count: 4, age_s: 600 }, roster: { state: "readable", by: "visitor" },
};

/** Returns the states of the administration page and of the links that it creates. */
function adminStates(hub, chrome) {
  const admin = { user: "admin" };
  const run = async (page, users, seconds) => {
    await until(page, () => document.querySelector("#demo-result .result") && !document.querySelector("#demo > form").hidden);
    await page.fill("#demo [name=users]", String(users));
    await page.fill("#demo [name=seconds]", String(seconds));
    await page.click("#demo .primary");
  };
  return [
    { name: "admin-no-access", where: "/admin", how: { user: "staff" }, ready: says("#no-access", /\S/) },
    { name: "admin", where: "/admin", how: admin, readme: [1280, "light"], ready: async (page) => { await says("#health", /normal/)(page); await until(page, () => document.querySelector(".line")?.getAttribute("d")); } },
    { name: "admin-metrics", where: "/admin", how: admin, ready: async (page) => { await page.click("#all-metrics summary"); await seen("#metrics tr")(page); } },
    { name: "admin-sessions", where: "/admin#sessions", how: admin, ready: seen("#session-rows tr") },
    { name: "admin-plone", where: "/admin#plone", how: { ...admin, script: answering("/\\/admin\\/plone$/", PLONE) }, ready: says("#plone-rejected", /Resend all/) },
    { name: "admin-people", where: "/admin#people", how: admin, ready: async (page) => { await seen("#people tbody tr")(page); await page.locator("#people tbody tr", { hasText: "Kim Staff" }).getByRole("button").first().click(); } },
    { name: "admin-people-add", where: "/admin#people", how: admin, ready: async (page) => { await seen("#people tbody tr")(page); await page.getByRole("button", { name: "Add account" }).click(); } },
    { name: "admin-audit", where: "/admin#audit", how: admin, ready: seen("#audit-rows tr") },
    { name: "admin-demo-before", where: "/admin#demo", how: { ...admin, script: answering("/\\/admin\\/demo$/", { task: null }) }, ready: says("#demo-result", /Is every confirmed seat/) },
    { name: "admin-demo-running", where: "/admin#demo", how: admin, ready: async (page) => { await run(page, 200, 12); await until(page, () => Number(document.querySelector(".target.hub svg")?.dataset.end) > 1); } },
    { name: "admin-demo", needs: "admin-demo-running", where: "/admin#demo", how: admin, readme: [1280, "light"], picture: "demo", ready: async (page) => { await seen("#demo-result .final")(page); await until(page, () => document.querySelector("#demo-progress").hidden); } },
    { name: "demonstration", needs: "admin-demo-running", ready: seen(".result.final"), page: async (how) => {
      const first = await open(chrome, hub, "/admin#demo", admin);
      await first.getByRole("button", { name: "Create a link to this result" }).click();
      const { pathname, hash } = new URL(await first.locator("#demo-link a").getAttribute("href"));
      return open(chrome, hub, pathname + hash, how);
    } },
    { name: "demonstration-gone", where: "/demonstration#nothing", how: {}, ready: says("#demo", /\S{4}/) },
  ];
}

/** Returns the code of a time step (RFC 6238) for a secret in base 32. */
export function totp(secret, step) {
  const bits = [...secret].map((c) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(c).toString(2).padStart(5, "0")).join("");
  const time = Buffer.alloc(8);
  time.writeBigUInt64BE(BigInt(step));
  const hash = createHmac("sha1", Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)))).update(time).digest();
  return String((hash.readUInt32BE(hash.at(-1) & 15) & 0x7fffffff) % 1_000_000).padStart(6, "0");
}

/** Returns the states of the other pages: accounts, instructors, guardians, documentation, error, no JavaScript. */
function otherStates(hub, chrome) {
  const signIn = async (page, user) => {
    await page.fill("#sign-in [name=username]", user);
    await page.fill("#sign-in [name=password]", PASSWORD);
    await page.press("#sign-in [name=password]", "Enter");
    await seen("#sign-ins li")(page);
    await page.waitForLoadState("networkidle");
  };
  const beginFactor = async (page) => {
    await signIn(page, "sol");
    await page.fill("#factor [name=password]", PASSWORD);
    await page.press("#factor [name=password]", "Enter");
    await seen("#factor .qr path")(page);
  };
  return [
    { name: "account-sign-in", where: "/account", how: {}, ready: seen("#sign-in [name=username]") },
    { name: "account", where: "/account", how: {}, ready: (page) => signIn(page, "guide") },
    { name: "account-factor", where: "/account", how: {}, ready: beginFactor },
    { name: "account-recovery", where: "/account", how: {}, ready: async (page) => {
      await beginFactor(page);
      await page.fill("#factor [name=code]", totp(await page.textContent("#factor code"), Math.floor(Date.now() / 30_000)));
      await page.press("#factor [name=code]", "Enter");
      await seen("#factor .codes li")(page);
    } },
    { name: "teaching", where: "/teaching", how: { user: "Curie" }, ready: async (page) => { await page.locator("#sections summary").first().click(); await until(page, () => document.querySelector("#sections table, #sections li")); } },
    { name: "shared", ready: (page) => until(page, () => document.querySelectorAll("#schedule tbody tr").length > 1), page: async (how) => {
      const first = await open(chrome, hub, "/account", {});
      await signIn(first, "guide");
      await first.fill("#guardian [name=label]", "Mom");
      await first.press("#guardian [name=label]", "Enter");
      await says("#guardian", /\/shared#/)(first);
      const { pathname, hash } = new URL(await first.textContent("#guardian code"));
      return open(chrome, hub, pathname + hash, how);
    } },
    { name: "api", where: "/docs", how: { user: "student" }, ready: seen("#operations-identity-me") },
    { name: "problems", where: "/docs/problems", how: {}, ready: async () => {} },
    { name: "not-found", where: "/nothing", how: {}, ready: seen("main h1") },
    { name: "no-script", where: "/", how: { javaScriptEnabled: false }, ready: async () => {} },
  ];
}

/** Returns the states of a hub without terms. */
export const emptyStates = () => [
  { name: "first-run", where: "/admin", how: { user: "admin" }, ready: (page) => until(page, () => document.querySelectorAll("#first-steps-list > li").length > 0) },
  { name: "first-run-student", where: "/", how: {}, ready: (page) => until(page, () => /No terms/.test(document.querySelector("main").innerText)) },
];

/** Returns the states of a hub with a provider of single sign-on. */
export const providerStates = () => [
  { name: "providers", where: "/#term", how: {}, ready: (page) => until(page, () => document.querySelector("#sign-in a")) },
  { name: "provider-refused", where: "/#term", how: {}, ready: async (page) => { await page.getByRole("link", { name: /College account/ }).first().click(); await page.getByRole("button", { name: "guest", exact: true }).click(); await page.waitForURL(/callback/); } },
];

/** Returns all states of a hub with the demonstration college, in order: the earlier ones prepare the later ones. */
export const states = (hub, chrome, data) => [...studentStates(hub, data), ...staffStates(hub, data), ...adminStates(hub, chrome), ...otherStates(hub, chrome)];
