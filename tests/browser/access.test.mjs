// Accessibility: axe-core finds no violation of WCAG 2.2 A and AA in these states of the pages, and these views fit a
// width of 320 pixels.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, csvFile, Hub, open, until, violations } from "./support.mjs";

let hub, chrome;
before(async () => {
  [hub, chrome] = await Promise.all([Hub.start(), browser()]);
  await hub.term("open", ["1,MATH 151,Calculus I,A01,lecture,5,2,3,MWF,09:00-09:50,Lee", "2,PHYS 101,Physics,A01,lecture,4,1,3,MWF,09:30-10:20,Curie",
    "3,CHEM 101,Chemistry,A01,lecture,4,0,2,TR,09:00-10:20,Franklin", "4,CHEM 101,Chemistry,A02,lecture,4,9,2,TR,13:00-14:20,Franklin", "5,ARTS 105,Drawing,S01,studio,3,0,1,F,18:00-20:50,Goya"]);
  hub.mint("Goya", "instructor");
  await hub.term("soon", ["1,MATH 151,Calculus I,A01,lecture,5,2,3,MWF,09:00-09:50,Lee"], { opensIn: 86_400 });
  await hub.ask("staff", "PUT", "/api/v1/terms/empty", { title: "Empty" });
  await hub.ask("student", "PUT", "/api/v1/me/plan", { sections: ["open-1", "open-2", "open-3"] });
  await hub.ask("student2", "PUT", "/api/v1/me/registrations/open-1");
  await hub.ask("student2", "PUT", "/api/v1/me/registrations/open-5?waitlist=true");
  await hub.ask("staff", "POST", "/api/v1/alerts", { title: "Parking is free today", message: "Until noon.", priority: "low", audience: { all: true }, expires_at: new Date(Date.now() + 1500).toISOString() });
});
after(async () => { await chrome?.close(); await hub?.end(); });

const listed = (page) => until(page, () => document.querySelectorAll(".row").length > 0);
const student = { user: "student" };
const NO_SECTIONS = "const ask = fetch; window.fetch = (where, how) => String(where).includes('/sections?') ? Promise.reject(new TypeError()) : ask(where, how);";

const NO_DEMO = "const ask = fetch; window.fetch = (where, how) => String(where).endsWith('/demo') && how?.method !== 'POST' ? Promise.resolve(Response.json({ task: null })) : ask(where, how);";
/** Starts a demonstration once none is running. */
const demonstrate = async (page) => {
  await until(page, () => document.querySelector("#demo-result .result") && !document.querySelector("#demo > form").hidden);
  await page.fill("#demo [name=users]", "20");
  await page.fill("#demo [name=seconds]", "4");
  await page.click("#demo .primary");
  await until(page, () => Number(document.querySelector(".target.hub svg")?.dataset.end) > 0 && !document.querySelector("#demo-progress").hidden);
};
const PHONE = { width: 390, height: 844 };
/** A script that reports each import as running forever, without a WebSocket. */
const NEVER_DONE = `const ask = fetch; window.fetch = (where, how) => /imports\\/./.test(where)
  ? Promise.resolve(Response.json({ task: "t", state: "running", phase: "reading", dry_run: true, rows: 1000, sections: 0, refused: 2, bytes: 500000, bytes_total: 1000000 })) : ask(where, how);
  window.WebSocket = class { send() {} close() {} };`;
const roster = async (page) => {
  await page.selectOption("#which-term", "open");
  await page.fill("#section-search [name=q]", "chemistry");
  await until(page, () => document.querySelectorAll(".srow").length === 2);
  await page.locator(".srow .name").first().click();
  await until(page, () => document.querySelector(".roster h4, .roster table"));
};
const checkFile = async (page, ...lines) => {
  await until(page, () => document.querySelector("#which-term option"));
  await page.setInputFiles("#import-form [name=file]", csvFile(["crn,course,title,capacity", ...lines, ""].join("\n")));
  await page.locator("#import-form summary").click();
  await page.fill("#import-form [name=term]", "open");
  await page.getByRole("button", { name: "Check file" }).click();
};
const emergency = async (page) => {
  await page.fill("#alert-form [name=title]", "Leave now");
  await page.fill("#alert-form [name=message]", "Gas in the Science building.");
  await page.selectOption("#alert-form [name=category]", "emergency");
  await page.getByRole("button", { name: "Send alert" }).click();
};

/** Returns a script that makes requests to matching addresses fail with a 503. */
const failing = (part) => `{ const ask = fetch; window.fetch = (where, how) => ${part}.test(String(where)) ? Promise.resolve(Response.json({ title: "Unavailable", status: 503, code: "unavailable", detail: "The store does not respond." },
  { status: 503, headers: { "Content-Type": "application/problem+json" } })) : ask(where, how); }`;
/** Returns a script that answers requests to an address with a fixed body. */
const answering = (where, body) => `{ const ask = fetch; window.fetch = (what, how) => String(what).endsWith("${where}") ? Promise.resolve(Response.json(${JSON.stringify(body)})) : ask(what, how); }`;
const FAILED_DEMO = { task: "01a20ba0-12fa-7499-a87a-147dd1f3df17", state: "failed", phase: "finished", message: "Plone rejected the hub's user", users: 20, seconds: 3, target: "both", results: [], background: null };
/** The state of a Plone that is unreachable and has rejected a write. */
const PLONE = {
  configured: true, ok: false, url: "https://plone.college.example/Plone", circuit: { state: "open", opened_at: "2026-01-05T13:00:00Z" }, pool: { in_use: 1, size: 4, waiting: 2 },
  sync: { last_at: "2026-01-05T12:58:00Z", error: "Plone did not respond", missing_fields: ["waitlist_capacity"], problems: [{ path: "/courses/mathematics/math-151-a-very-long-name-of-an-item", reason: "It has no number of seats." }], problems_total: 1 },
  outbox: { depth: 3, oldest_age_s: 420, in_flight: 0, aside: [{ section: "open-1", at: "2026-01-05T12:57:00Z", reason: "400: the field seats is not a number" }], aside_total: 2 },
  announcements: { count: 4, age_s: 600 }, roster: { state: "readable", by: "visitor" },
};
const refusedSignIn = async (page) => {
  await page.fill("#sign-in [name=username]", "admin");
  await page.fill("#sign-in [name=password]", "not this");
  await page.keyboard.press("Enter");
  await until(page, () => /Incorrect username or password/.test(document.querySelector("#sign-in").textContent));
};
const says = (selector, pattern) => (page) => until(page, ([selector, source]) => new RegExp(source).test(document.querySelector(selector)?.textContent), [selector, pattern.source]);
const noTerm = answering("/api/v1/terms", { items: [], college: { name: "Riverside College", timezone: "America/New_York" } });

/** Name, address, options of `open`, and what happens before the check. */
const STATES = [
  ["results for a visitor", "/?term=open", {}, listed],
  ["planned sections that overlap, details open", "/?term=open", student, async (page) => { await listed(page); await page.locator(".row .name").first().click(); await until(page, () => document.querySelector("#conflicts li")); }],
  ["a countdown", "/?term=soon", student, listed],
  ["no results", "/?term=open&q=zzz", student, (page) => until(page, () => document.querySelector("#none button"))],
  ["a term without sections", "/?term=empty", student, (page) => until(page, () => document.querySelector("#none p"))],
  ["sections that fail to load", "/?term=open", { script: NO_SECTIONS }, (page) => until(page, () => document.querySelector("#none button"))],
  ["filters on a phone", "/?term=open", { ...student, width: 390, height: 844 }, async (page) => { await listed(page); await page.click("#filters-toggle"); }],
  ["my schedule on a phone", "/?term=open#term", { ...student, width: 390, height: 844 }, (page) => until(page, () => document.querySelector("#schedule-rows li"))],
  ["alerts on a phone", "/?term=open#alerts", { ...student, width: 390, height: 844 }, (page) => until(page, () => document.querySelector("#alert-list article"))],
  ["a failed sign-in", "/?term=open", {}, async (page) => {
    await listed(page);
    await page.locator(".row").first().getByRole("button", { name: /^Add to plan/ }).click();
    await page.fill("[name=username]", "student");
    await page.fill("[name=password]", "not this");
    await page.keyboard.press("Enter");
    await until(page, () => /Incorrect username or password/.test(document.querySelector("#sign-in").textContent));
  }],
  ["an offered swap", "/?term=open", { user: "student2" }, async (page) => {
    await listed(page);
    await page.locator(".row", { hasText: "Physics" }).getByRole("button", { name: /^Register/ }).click();
    await until(page, () => [...document.querySelectorAll(".row .result button")].some((one) => /Swap with MATH 151/.test(one.textContent)));
  }],
  ["a full waitlist", "/?term=open&q=draw", student, (page) => until(page, () => /Waitlist full/.test(document.querySelector(".row .act")?.textContent))],
  ["offline", "/?term=open", student, async (page) => {
    await listed(page);
    await page.context().setOffline(true);
    await until(page, () => /Offline/.test(document.querySelector("#live").textContent) && document.querySelectorAll(".row").length > 0);
  }],
  ["earlier alerts", "/?term=open#alerts", student, async (page) => {
    await page.locator("#archive summary").click();
    await until(page, () => /Parking is free/.test(document.querySelector("#archive-list").textContent));
  }],
  ["a week with an overlap in forced colors", "/?term=open", student, async (page) => {
    await page.emulateMedia({ forcedColors: "active" });
    await listed(page);
    await until(page, () => document.querySelector("#conflicts li"));
  }],
  // Chromium prints in light colors.
  ["the printed schedule", "/?term=open", { ...student, colorSchemes: ["light"] }, async (page) => {
    await listed(page);
    await until(page, () => document.querySelector("#schedule-rows li"));
    await page.emulateMedia({ media: "print" });
  }],
  ["Spanish", "/?term=open", { ...student, locale: "es" }, listed],
  ["staff: now", "/staff#now", { user: "staff" }, (page) => until(page, () => document.querySelector("#map i"))],
  ["staff: sections", "/staff#sections", { user: "staff" }, async (page) => { await until(page, () => document.querySelector(".srow")); await page.locator("[name=capacity]").first().fill("99"); }],
  ["staff: now, a focused square of the seat map", "/staff#now", { user: "staff" }, async (page) => { await until(page, () => document.querySelector("#map i")); await page.focus("#map [tabindex]"); }],
  ["staff: now on a phone", "/staff#now", { user: "staff", ...PHONE }, (page) => until(page, () => document.querySelector("#map i"))],
  ["staff: a roster", "/staff#sections", { user: "staff" }, roster],
  ["staff: a roster on a phone", "/staff#sections", { user: "staff", ...PHONE }, roster],
  ["the page of a section", "/?term=open&section=open-1", student, (page) => until(page, () => document.querySelector("#section-page .act button"))],
  ["staff: a student", "/staff#students", { user: "staff" }, async (page) => {
    await page.fill("#student-search [name=q]", "student");
    await page.locator("#student-results button").first().click();
    await until(page, () => document.querySelector(".student-file dl div") && document.querySelector(".student-file h5"));
  }],
  ["staff: import", "/staff#import", { user: "staff" }, (page) => until(page, () => document.querySelector("#which-term option"))],
  ["staff: a running import", "/staff#import", { user: "staff", script: NEVER_DONE }, async (page) => { await checkFile(page, "1,MATH 1,One,10"); await until(page, () => document.querySelector("#task progress")?.value > 0); }],
  ["staff: the changes of an import", "/staff#import", { user: "staff" }, async (page) => { await checkFile(page, "1,MATH 151,Calculus,9", "9,BIOL 1,Cells,3"); await until(page, () => document.querySelector("#task [data-part=changes]")); }],
  ["staff: the changes of an import, on a phone", "/staff#import", { user: "staff", ...PHONE }, async (page) => { await checkFile(page, "1,MATH 151,Calculus,9", "9,BIOL 1,Cells,3"); await until(page, () => document.querySelector("#task [data-part=changes]")); }],
  ["staff: rejected lines", "/staff#import", { user: "staff" }, async (page) => { await checkFile(page, "1,MATH 151,Calculus,many"); await until(page, () => document.querySelector("#task [data-part=errors]")); }],
  ["staff: an emergency before it is confirmed", "/staff#alerts", { user: "staff" }, async (page) => { await emergency(page); await until(page, () => document.querySelector("#confirm-send .danger:enabled")); }],
  ["staff: an alert to an unknown section", "/staff#alerts", { user: "staff" }, async (page) => { await page.check("[name=to][value=some]"); await page.fill("[name=sections]", "nowhere-1"); await until(page, () => document.querySelector("[aria-invalid]")); }],
  ["staff: alerts", "/staff#alerts", { user: "staff" }, (page) => until(page, () => /Reaches/.test(document.querySelector("#reach").textContent))],
  ["staff: terms", "/staff#terms", { user: "staff" }, (page) => until(page, () => document.querySelector("#terms .term-card"))],
  ["staff: a failed sign-in", "/staff", {}, refusedSignIn],
  ["staff: a user without access", "/staff", { user: "student" }, says("#no-access", /\S/)],
  ["staff: now, in a term without sections", "/staff#now", { user: "staff" }, async (page) => { await until(page, () => document.querySelector("#which-term option")); await page.selectOption("#which-term", "empty"); await until(page, () => !document.querySelector("#map i")); }],
  ["staff: no matching section", "/staff#sections", { user: "staff" }, async (page) => { await page.fill("#section-search [name=q]", "zzz"); await until(page, () => !document.querySelector("#no-sections").hidden); }],
  ["staff: no term yet", "/staff#terms", { user: "staff", script: noTerm }, (page) => until(page, () => document.querySelector("#no-terms").checkVisibility())],
  ["staff: activity that fails to load", "/staff#now", { user: "staff", script: failing("/staff\\/activity|\\/sections/") }, says("#activity-failed", /Couldn't load/)],
  ["staff: sections that fail to load", "/staff#sections", { user: "staff", script: failing("/\\/sections/") }, (page) => until(page, () => /store does not respond|Couldn't load|Try again/.test(document.querySelector("main").innerText))],
  ["staff: alerts that fail to load", "/staff#alerts", { user: "staff", script: failing("/\\/alerts\\?/") }, says("#sent-failed", /\S/)],
  ["administration: a failed sign-in", "/admin", {}, refusedSignIn],
  ["administration: a user without access", "/admin", { user: "staff" }, says("#no-access", /for administrators/)],
  ["administration: a hub that is not ready", "/admin", { user: "admin", script: failing("/readyz|metrics/") }, async (page) => { await page.click("#all-metrics summary"); await says("#metrics", /Couldn't load/)(page); await says("#health", /Not ready/)(page); await says("#charts-status", /Couldn't load/)(page); await page.evaluate(() => scrollTo(0, 0)); }],
  ["administration: sessions that fail to load", "/admin#sessions", { user: "admin", script: failing("/admin\\/sessions/") }, says("#session-count", /does not respond/)],
  ["administration: people that fail to load", "/admin#people", { user: "admin", script: failing("/admin\\/users/") }, says("#people", /Couldn't load/)],
  ["administration: an audit trail that fails to load", "/admin#audit", { user: "admin", script: failing("/admin\\/audit/") }, says("#audit-summary", /does not respond/)],
  ["administration: no matching audit entry", "/admin#audit", { user: "admin" }, async (page) => { await page.getByLabel("Since").fill("2200-01-01T00:00"); await page.getByRole("button", { name: "Search" }).click(); await says("#audit-summary", /No entries match/)(page); }],
  ["administration: a failed demonstration", "/admin#demo", { user: "admin", script: answering("/admin/demo", FAILED_DEMO) }, says("#demo-result", /did not finish/)],
  ["administration: an unreachable Plone", "/admin#plone", { user: "admin", script: answering("/admin/plone", PLONE) }, says("#plone-rejected", /Resend all/)],
  ["administration: an unreachable Plone, on a phone", "/admin#plone", { user: "admin", ...PHONE, script: answering("/admin/plone", PLONE) }, says("#plone-rejected", /Resend all/)],
  ["administration: now", "/admin", { user: "admin" }, (page) => until(page, () => document.querySelector(".line")?.getAttribute("d"))],
  ["administration: all metrics", "/admin", { user: "admin" }, async (page) => { await page.click("#all-metrics summary"); await until(page, () => document.querySelector("#metrics tr")); }],
  ["administration: sessions", "/admin#sessions", { user: "admin" }, (page) => until(page, () => document.querySelector("#session-rows tr"))],
  ["administration: before a demonstration", "/admin#demo", { user: "admin", script: NO_DEMO }, (page) => until(page, () => /Is every confirmed seat/.test(document.querySelector("#demo-result")?.textContent))],
  ["administration: a running demonstration", "/admin#demo", { user: "admin" }, demonstrate],
  ["administration: a finished demonstration", "/admin#demo", { user: "admin" }, async (page) => { await until(page, () => document.querySelector("#demo-result .final")); await page.click("#demo-numbers summary"); }],
  ["administration: people, one being edited", "/admin#people", { user: "admin" }, async (page) => { await page.getByRole("button", { name: "Edit student", exact: true }).click(); await page.getByRole("button", { name: "Remove account" }).click(); await page.getByRole("button", { name: "Add account" }).click(); }],
  ["administration: no matching person, on a phone", "/admin#people", { user: "admin", width: 390, height: 844 }, async (page) => { await page.fill("#people [type=search]", "zzz"); await until(page, () => /No one matches/.test(document.querySelector("#people").textContent)); }],
  ["administration: sessions on a phone", "/admin#sessions", { user: "admin", width: 390, height: 844 }, (page) => until(page, () => document.querySelector("#session-rows tr"))],
  ["administration: audit on a phone", "/admin#audit", { user: "admin", width: 390, height: 844 }, (page) => until(page, () => document.querySelector("#audit-rows tr"))],
  ["an address that does not exist", "/nothing", {}, (page) => until(page, () => document.documentElement.lang === "en" && document.querySelector("main h1"))],
  ["an address that does not exist, in Spanish, on a phone", "/nothing", { locale: "es-MX", ...PHONE }, (page) => until(page, () => document.documentElement.lang === "es" && document.querySelector("main h1"))],
  ["administration: audit", "/admin#audit", { user: "admin" }, (page) => until(page, () => document.querySelector("#audit-rows tr"))],
];

/** Asserts that axe-core finds nothing on the page in light and in dark colors. */
const accessible = async (page, colorSchemes = ["light", "dark"]) => {
  for (const colorScheme of colorSchemes) {
    await page.emulateMedia({ colorScheme });
    assert.deepEqual(await violations(page), [], `in ${colorScheme} colors`);
  }
};

for (const [name, where, { colorSchemes, ...how }, ready] of STATES) {
  test(`accessible: ${name}`, async () => {
    const page = await open(chrome, hub, where, { ...how, bypassCSP: true });
    await ready(page);
    await accessible(page, colorSchemes);
    assert.deepEqual(page.wrong, []);
  });
}

test("accessible: staff: sent and scheduled alerts with receipts", async () => {
  const page = await open(chrome, hub, "/staff#alerts", { user: "staff", bypassCSP: true });
  await hub.ask("staff", "POST", "/api/v1/alerts", { title: "Later", message: "Soon.", audience: { all: true }, starts_at: "2099-01-01T00:00:00Z" });
  await emergency(page);
  await page.locator("#confirm-send .danger:enabled").click();
  await until(page, () => document.querySelector("#sent-list .critical") && document.querySelector("#scheduled-list article"));
  await page.locator("#sent-list summary").first().click();
  await until(page, () => document.querySelector(".names li"));
  await accessible(page);
  assert.deepEqual(page.wrong, []);
  await page.context().close();
  for (const state of ["sent", "scheduled"]) {
    for (const { id, priority } of (await hub.ask("staff", "GET", `/api/v1/alerts?state=${state}`)).items) if (priority !== "low") await hub.ask("staff", "DELETE", `/api/v1/alerts/${id}`);
  }
});

test("accessible: an emergency on the staff and administration pages", async () => {
  const { id } = await hub.ask("staff", "POST", "/api/v1/alerts", { title: "Leave now", message: "Gas in the Science building.", category: "emergency", audience: { all: true } });
  for (const user of ["staff", "admin"]) {
    const page = await open(chrome, hub, `/${user}`, { user, bypassCSP: true });
    await until(page, () => document.querySelector("#urgent article"));
    await accessible(page);
    assert.deepEqual(page.wrong, []);
    await page.context().close();
  }
  await hub.ask("staff", "DELETE", `/api/v1/alerts/${id}`);
});

test("accessible: results, a delayed drop, a banner and an emergency", async () => {
  for (const [title, priority, category] of [["Payment is due", "high", "workflow"], ["Leave now", "critical", "emergency"]]) {
    await hub.ask("staff", "POST", "/api/v1/alerts", { title, message: "At once.", priority, category, audience: { all: true } });
  }
  const page = await open(chrome, hub, "/?term=open", { ...student, bypassCSP: true });
  await page.click("#register-all");
  await until(page, () => document.querySelector("#schedule-rows .result button"));
  await page.locator("#schedule-rows").getByRole("button", { name: /^Drop/ }).first().click();
  await until(page, () => /Undo keeps/.test(document.querySelector("#schedule-rows").textContent) && document.querySelector("#urgent article") && document.querySelector("#banners article"));
  await accessible(page);
  assert.deepEqual(page.wrong, []);
  for (const { id } of (await hub.ask("staff", "GET", "/api/v1/alerts?active=true")).items) await hub.ask("staff", "DELETE", `/api/v1/alerts/${id}`);
  await hub.ask("staff", "POST", "/api/v1/alerts", { title: "Library hours", message: "Until ten.", priority: "low", audience: { all: true } });
});

/** Returns the elements that are wider than the page, except those in containers that scroll sideways. */
const overflow = (page) => page.evaluate(() => {
  const inside = (el) => el.closest(".scroll, #views, .unseen, svg");
  const over = [...document.body.querySelectorAll("*")].filter((el) => !inside(el) && el.checkVisibility() && el.getBoundingClientRect().right > innerWidth + 1);
  return { by: document.documentElement.scrollWidth - innerWidth, over: over.slice(0, 5).map((el) => el.outerHTML.slice(0, 120)) };
});
const NARROW = { width: 320, height: 640 };
/** Views of the pages: address, options of `open`, and what to wait for. */
const VIEWS = [
  ...["", "#term", "#alerts"].map((hash) => [`/?term=open${hash}`, { user: "student" }, listed]),
  ["/?term=open&section=open-1", { user: "student" }, (page) => until(page, () => document.querySelector("#section-page dl"))],
  ["/staff", {}, (page) => until(page, () => document.querySelector("#sign-in form"))],
  ...["now", "sections", "students", "demand", "import", "alerts", "terms"].map((part) => [`/staff#${part}`, { user: "staff" }, (page) => until(page, () => document.querySelector("#terms .term-card") && document.querySelector("#map i"))]),
  ["/admin#now", { user: "admin" }, (page) => until(page, () => document.querySelector(".line")?.getAttribute("d"))],
  ["/admin#sessions", { user: "admin" }, (page) => until(page, () => document.querySelector("#session-rows tr"))],
  ["/admin#demo", { user: "admin" }, (page) => until(page, () => document.querySelector("#demo-result .result"))],
  ["/admin#plone", { user: "admin", script: answering("/admin/plone", PLONE) }, says("#plone-rejected", /Resend all/)],
  ["/admin#people", { user: "admin" }, (page) => until(page, () => document.querySelector("#people tbody tr"))],
  ["/admin#audit", { user: "admin" }, (page) => until(page, () => document.querySelector("#audit-rows td"))],
  ["/account", { user: "student" }, (page) => until(page, () => document.querySelector("main form")?.checkVisibility())],
  ["/teaching", { user: "Goya" }, async (page) => {
    await page.locator("#sections summary").first().click();
    await until(page, () => document.querySelector("#sections table, #sections li"));
  }],
  ["/nothing", {}, (page) => until(page, () => document.querySelector("main h1"))],
];
for (const [where, how, ready] of VIEWS) {
  test(`${where} fits a width of 320 pixels`, async () => {
    const page = await open(chrome, hub, where, { ...how, ...NARROW });
    await ready(page);
    assert.deepEqual(await overflow(page), { by: 0, over: [] });
    await page.context().close();
  });
}

test("a hint in an empty field is as readable as other soft text, in light and dark colors", async () => {
  const page = await open(chrome, hub, "/?term=open", {});
  await listed(page);
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    const [hint, soft] = await page.evaluate(() => [getComputedStyle(document.querySelector("[name=q]"), "::placeholder").color, getComputedStyle(document.querySelector("#college")).color]);
    assert.equal(hint, soft, colorScheme);
  }
});

test("the tab of the current view has the text color, with or without a hash in the address", async () => {
  for (const hash of ["", "#term", "#alerts"]) {
    const page = await open(chrome, hub, `/?term=open${hash}`, student);
    await listed(page);
    const tab = await page.locator(`#views [href="${hash || "#term"}"]`).evaluate((el) => getComputedStyle(el).color);
    assert.equal(tab, await page.evaluate(() => getComputedStyle(document.body).color), hash);
  }
});
