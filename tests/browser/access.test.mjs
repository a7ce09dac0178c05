// Everybody can use it: axe-core finds nothing against WCAG 2.2 A and AA, on any page, in any of its states.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, csvFile, Hub, open, until, violations } from "./support.mjs";

let hub, chrome;
before(async () => {
  [hub, chrome] = await Promise.all([Hub.start(), browser()]);
  await hub.term("open", ["1,MATH 151,Calculus I,A01,lecture,5,2,3,MWF,09:00-09:50,Lee", "2,PHYS 101,Physics,A01,lecture,4,1,3,MWF,09:30-10:20,Curie",
    "3,CHEM 101,Chemistry,A01,lecture,4,0,2,TR,09:00-10:20,Franklin", "4,CHEM 101,Chemistry,A02,lecture,4,9,2,TR,13:00-14:20,Franklin", "5,ARTS 105,Drawing,S01,studio,3,0,1,F,18:00-20:50,Goya"]);
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
/** Starts a demonstration, once none is under way. */
const demonstrate = async (page) => {
  await until(page, () => document.querySelector("#demo-said .result") && !document.querySelector("#demo > form").hidden);
  await page.fill("#demo [name=users]", "20");
  await page.fill("#demo [name=seconds]", "4");
  await page.click("#demo .primary");
  await until(page, () => Number(document.querySelector(".lane.hub svg")?.dataset.end) > 0 && !document.querySelector("#demo-way").hidden);
};
const PHONE = { width: 390, height: 844 };
/** An import that is always half done. */
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
  await page.getByRole("button", { name: "Check the file" }).click();
};
const emergency = async (page) => {
  await page.fill("#alert-form [name=title]", "Leave now");
  await page.fill("#alert-form [name=message]", "Gas in the Science building.");
  await page.selectOption("#alert-form [name=category]", "emergency");
  await page.getByRole("button", { name: "Send the alert" }).click();
};

/** Questions to these addresses fail, as they do when the hub has trouble of its own. */
const failing = (part) => `{ const ask = fetch; window.fetch = (where, how) => ${part}.test(String(where)) ? Promise.resolve(Response.json({ title: "Unavailable", status: 503, code: "unavailable", detail: "The store does not answer." },
  { status: 503, headers: { "Content-Type": "application/problem+json" } })) : ask(where, how); }`;
/** A question to this address is answered so. */
const answering = (where, body) => `{ const ask = fetch; window.fetch = (what, how) => String(what).endsWith("${where}") ? Promise.resolve(Response.json(${JSON.stringify(body)})) : ask(what, how); }`;
const FAILED_DEMO = { task: "01a20ba0-12fa-7499-a87a-147dd1f3df17", state: "failed", phase: "finished", message: "Plone does not let the hub's user in", users: 20, seconds: 3, target: "both", results: [], background: null };
/** A Plone that has refused something, and is away. */
const PLONE = {
  configured: true, ok: false, url: "https://plone.college.example/Plone", circuit: { state: "open", opened_at: "2026-01-05T13:00:00Z" }, pool: { in_use: 1, size: 4, waiting: 2 },
  sync: { last_at: "2026-01-05T12:58:00Z", error: "Plone did not answer", missing_fields: ["waitlist_capacity"], problems: [{ path: "/courses/mathematics/math-151-a-very-long-name-of-an-item", reason: "It has no number of seats." }], problems_total: 1 },
  outbox: { depth: 3, oldest_age_s: 420, in_flight: 0, aside: [{ section: "open-1", at: "2026-01-05T12:57:00Z", reason: "400: the field seats is not a number" }], aside_total: 2 },
  announcements: { count: 4, age_s: 600 }, roster: { state: "readable", by: "visitor" },
};
const refusedSignIn = async (page) => {
  await page.fill("#sign-in [name=username]", "admin");
  await page.fill("#sign-in [name=password]", "not this");
  await page.keyboard.press("Enter");
  await until(page, () => /do not go together/.test(document.querySelector("#sign-in").textContent));
};
const says = (selector, pattern) => (page) => until(page, ([selector, source]) => new RegExp(source).test(document.querySelector(selector)?.textContent), [selector, pattern.source]);
const noTerm = answering("/api/v1/terms", { items: [], college: { name: "Riverside College", timezone: "America/New_York" } });

/** Name, address, how it is opened, and what is done before it is looked at. */
const STATES = [
  ["a visitor's list", "/?term=open", {}, listed],
  ["planned and clashing, one opened", "/?term=open", student, async (page) => { await listed(page); await page.locator(".row .name").first().click(); await until(page, () => document.querySelector("#clashes li")); }],
  ["a countdown", "/?term=soon", student, listed],
  ["nothing found", "/?term=open&q=zzz", student, (page) => until(page, () => document.querySelector("#none button"))],
  ["a term without sections", "/?term=empty", student, (page) => until(page, () => document.querySelector("#none p"))],
  ["sections that do not arrive", "/?term=open", { script: NO_SECTIONS }, (page) => until(page, () => document.querySelector("#none button"))],
  ["a phone, with its filters", "/?term=open", { ...student, width: 390, height: 844 }, async (page) => { await listed(page); await page.click("#filters-toggle"); }],
  ["a phone's My term", "/?term=open#term", { ...student, width: 390, height: 844 }, (page) => until(page, () => document.querySelector("#lines li"))],
  ["a phone's alerts", "/?term=open#alerts", { ...student, width: 390, height: 844 }, (page) => until(page, () => document.querySelector("#alert-list article"))],
  ["a sign-in that was refused", "/?term=open", {}, async (page) => {
    await listed(page);
    await page.locator(".row").first().getByRole("button", { name: /^Plan/ }).click();
    await page.fill("[name=username]", "student");
    await page.fill("[name=password]", "not this");
    await page.keyboard.press("Enter");
    await until(page, () => /do not go together/.test(document.querySelector("#sign-in").textContent));
  }],
  ["a swap that is offered", "/?term=open", { user: "student2" }, async (page) => {
    await listed(page);
    await page.locator(".row", { hasText: "Physics" }).getByRole("button", { name: /^Register/ }).click();
    await until(page, () => [...document.querySelectorAll(".row .answers button")].some((one) => /Swap with MATH 151/.test(one.textContent)));
  }],
  ["a waitlist that is full", "/?term=open&q=draw", student, (page) => until(page, () => /Waitlist full/.test(document.querySelector(".row .act")?.textContent))],
  ["offline", "/?term=open", student, async (page) => {
    await listed(page);
    await page.context().setOffline(true);
    await until(page, () => /Offline/.test(document.querySelector("#live").textContent) && document.querySelectorAll(".row").length > 0);
  }],
  ["earlier alerts", "/?term=open#alerts", student, async (page) => {
    await page.locator("#archive summary").click();
    await until(page, () => /Parking is free/.test(document.querySelector("#archive-list").textContent));
  }],
  ["forced colours, a week that clashes", "/?term=open", student, async (page) => {
    await page.emulateMedia({ forcedColors: "active" });
    await listed(page);
    await until(page, () => document.querySelector("#clashes li"));
  }],
  ["the schedule as it is printed", "/?term=open", student, async (page) => {
    await listed(page);
    await until(page, () => document.querySelector("#lines li"));
    await page.emulateMedia({ media: "print", colorScheme: "light" });
  }],
  ["Spanish", "/?term=open", { ...student, locale: "es" }, listed],
  ["staff: now", "/staff#now", { user: "staff" }, (page) => until(page, () => document.querySelector("#map i"))],
  ["staff: sections", "/staff#sections", { user: "staff" }, async (page) => { await until(page, () => document.querySelector(".srow")); await page.locator("[name=capacity]").first().fill("99"); }],
  ["staff: now, a square of the map in focus", "/staff#now", { user: "staff" }, async (page) => { await until(page, () => document.querySelector("#map i")); await page.focus("#map [tabindex]"); }],
  ["staff: now on a phone", "/staff#now", { user: "staff", ...PHONE }, (page) => until(page, () => document.querySelector("#map i"))],
  ["staff: a roster", "/staff#sections", { user: "staff" }, roster],
  ["staff: a roster on a phone", "/staff#sections", { user: "staff", ...PHONE }, roster],
  ["staff: import", "/staff#import", { user: "staff" }, (page) => until(page, () => document.querySelector("#which-term option"))],
  ["staff: an import under way", "/staff#import", { user: "staff", script: NEVER_DONE }, async (page) => { await checkFile(page, "1,MATH 1,One,10"); await until(page, () => document.querySelector("#task progress")?.value > 0); }],
  ["staff: what an import would change", "/staff#import", { user: "staff" }, async (page) => { await checkFile(page, "1,MATH 151,Calculus,9", "9,BIOL 1,Cells,3"); await until(page, () => document.querySelector("#task [data-part=changes]")); }],
  ["staff: what an import would change, on a phone", "/staff#import", { user: "staff", ...PHONE }, async (page) => { await checkFile(page, "1,MATH 151,Calculus,9", "9,BIOL 1,Cells,3"); await until(page, () => document.querySelector("#task [data-part=changes]")); }],
  ["staff: refused lines", "/staff#import", { user: "staff" }, async (page) => { await checkFile(page, "1,MATH 151,Calculus,many"); await until(page, () => document.querySelector("#task [data-part=errors]")); }],
  ["staff: an emergency before it goes out", "/staff#alerts", { user: "staff" }, async (page) => { await emergency(page); await until(page, () => document.querySelector("#sure .danger:enabled")); }],
  ["staff: an audience that cannot be", "/staff#alerts", { user: "staff" }, async (page) => { await page.check("[name=to][value=some]"); await page.fill("[name=sections]", "nowhere-1"); await until(page, () => document.querySelector("[aria-invalid]")); }],
  ["staff: alerts", "/staff#alerts", { user: "staff" }, (page) => until(page, () => /Reaches/.test(document.querySelector("#reach").textContent))],
  ["staff: terms", "/staff#terms", { user: "staff" }, (page) => until(page, () => document.querySelector("#terms table"))],
  ["staff: a sign-in that was refused", "/staff", {}, refusedSignIn],
  ["staff: somebody who is none", "/staff", { user: "student" }, says("#refused", /\S/)],
  ["staff: now, in a term without sections", "/staff#now", { user: "staff" }, async (page) => { await until(page, () => document.querySelector("#which-term option")); await page.selectOption("#which-term", "empty"); await until(page, () => !document.querySelector("#map i")); }],
  ["staff: no section fits", "/staff#sections", { user: "staff" }, async (page) => { await page.fill("#section-search [name=q]", "zzz"); await until(page, () => !document.querySelector("#sections-none").hidden); }],
  ["staff: no term yet", "/staff#terms", { user: "staff", script: noTerm }, says("#terms", /no term yet/)],
  ["staff: numbers that do not arrive", "/staff#now", { user: "staff", script: failing("/staff\\/activity|\\/sections/") }, says("#activity-failed", /did not arrive/)],
  ["staff: sections that do not arrive", "/staff#sections", { user: "staff", script: failing("/\\/sections/") }, (page) => until(page, () => /store does not answer|did not arrive|Try again/.test(document.querySelector("main").innerText))],
  ["staff: alerts that do not arrive", "/staff#alerts", { user: "staff", script: failing("/\\/alerts\\?/") }, says("#sent-failed", /\S/)],
  ["administration: a sign-in that was refused", "/admin", {}, refusedSignIn],
  ["administration: somebody who is none", "/admin", { user: "staff" }, says("#refused", /for administrators/)],
  ["administration: it is not well", "/admin", { user: "admin", script: failing("/readyz|metrics/") }, async (page) => { await page.click("#all-numbers summary"); await says("#metrics", /does not tell/)(page); await says("#health", /Not ready/)(page); await says("#charts-answer", /not shown/)(page); await page.evaluate(() => scrollTo(0, 0)); }],
  ["administration: sessions that do not arrive", "/admin#sessions", { user: "admin", script: failing("/admin\\/sessions/") }, says("#session-count", /does not answer/)],
  ["administration: people who do not arrive", "/admin#people", { user: "admin", script: failing("/admin\\/users/") }, says("#people", /did not arrive/)],
  ["administration: an audit trail that does not arrive", "/admin#audit", { user: "admin", script: failing("/admin\\/audit/") }, says("#audit-found", /does not answer/)],
  ["administration: nothing fits in the audit trail", "/admin#audit", { user: "admin" }, async (page) => { await page.getByLabel("Since").fill("2200-01-01T00:00"); await page.getByRole("button", { name: "Search" }).click(); await says("#audit-found", /Nothing fits/)(page); }],
  ["administration: a demonstration that failed", "/admin#demo", { user: "admin", script: answering("/admin/demo", FAILED_DEMO) }, says("#demo-said", /did not come to its end/)],
  ["administration: Plone, away", "/admin#plone", { user: "admin", script: answering("/admin/plone", PLONE) }, says("#plone-aside", /Send all again/)],
  ["administration: Plone, away, on a phone", "/admin#plone", { user: "admin", ...PHONE, script: answering("/admin/plone", PLONE) }, says("#plone-aside", /Send all again/)],
  ["administration: now", "/admin", { user: "admin" }, (page) => until(page, () => document.querySelector(".line")?.getAttribute("d"))],
  ["administration: all numbers", "/admin", { user: "admin" }, async (page) => { await page.click("#all-numbers summary"); await until(page, () => document.querySelector("#metrics tr")); }],
  ["administration: sessions", "/admin#sessions", { user: "admin" }, (page) => until(page, () => document.querySelector("#session-rows tr"))],
  ["administration: before a demonstration", "/admin#demo", { user: "admin", script: NO_DEMO }, (page) => until(page, () => /Who keeps/.test(document.querySelector("#demo-said")?.textContent))],
  ["administration: a demonstration runs", "/admin#demo", { user: "admin" }, demonstrate],
  ["administration: a demonstration has run", "/admin#demo", { user: "admin" }, async (page) => { await until(page, () => document.querySelector("#demo-said .whole")); await page.click("#demo-numbers summary"); }],
  ["administration: people, one changed", "/admin#people", { user: "admin" }, async (page) => { await page.getByRole("button", { name: "Change student", exact: true }).click(); await page.getByRole("button", { name: "Remove the account" }).click(); await page.getByRole("button", { name: "Add an account" }).click(); }],
  ["administration: nobody found, on a phone", "/admin#people", { user: "admin", width: 390, height: 844 }, async (page) => { await page.fill("#people [type=search]", "zzz"); await until(page, () => /Nobody's name/.test(document.querySelector("#people").textContent)); }],
  ["administration: sessions on a phone", "/admin#sessions", { user: "admin", width: 390, height: 844 }, (page) => until(page, () => document.querySelector("#session-rows tr"))],
  ["administration: audit on a phone", "/admin#audit", { user: "admin", width: 390, height: 844 }, (page) => until(page, () => document.querySelector("#audit-rows tr"))],
  ["administration: audit", "/admin#audit", { user: "admin" }, (page) => until(page, () => document.querySelector("#audit-rows tr"))],
];

for (const colorScheme of ["light", "dark"]) {
  for (const [name, where, how, ready] of STATES) {
    test(`${name}, ${colorScheme}`, async () => {
      const page = await open(chrome, hub, where, { ...how, colorScheme, bypassCSP: true });
      await ready(page);
      assert.deepEqual(await violations(page), []);
      assert.deepEqual(page.wrong, []);
      await page.context().close();
    });
  }

  test(`staff: what was sent, with who has read it, and what is still to go out, ${colorScheme}`, async () => {
    const page = await open(chrome, hub, "/staff#alerts", { user: "staff", colorScheme, bypassCSP: true });
    await hub.ask("staff", "POST", "/api/v1/alerts", { title: "Later", message: "Soon.", audience: { all: true }, starts_at: "2099-01-01T00:00:00Z" });
    await emergency(page);
    await page.locator("#sure .danger:enabled").click();
    await until(page, () => document.querySelector("#sent-list .critical") && document.querySelector("#scheduled-list article"));
    await page.locator("#sent-list summary").first().click();
    await until(page, () => document.querySelector(".names li"));
    assert.deepEqual(await violations(page), []);
    assert.deepEqual(page.wrong, []);
    await page.context().close();
    for (const state of ["sent", "scheduled"]) {
      for (const { id, priority } of (await hub.ask("staff", "GET", `/api/v1/alerts?state=${state}`)).items) if (priority !== "low") await hub.ask("staff", "DELETE", `/api/v1/alerts/${id}`);
    }
  });

  test(`an emergency on the pages of the staff and of administrators, ${colorScheme}`, async () => {
    const { id } = await hub.ask("staff", "POST", "/api/v1/alerts", { title: "Leave now", message: "Gas in the Science building.", category: "emergency", audience: { all: true } });
    for (const user of ["staff", "admin"]) {
      const page = await open(chrome, hub, `/${user}`, { user, colorScheme, bypassCSP: true });
      await until(page, () => document.querySelector("#urgent article"));
      assert.deepEqual(await violations(page), []);
      assert.deepEqual(page.wrong, []);
      await page.context().close();
    }
    await hub.ask("staff", "DELETE", `/api/v1/alerts/${id}`);
  });

  test(`answers, a drop that can be taken back, a banner and an emergency, ${colorScheme}`, async () => {
    for (const [title, priority, category] of [["Payment is due", "high", "workflow"], ["Leave now", "critical", "emergency"]]) {
      await hub.ask("staff", "POST", "/api/v1/alerts", { title, message: "At once.", priority, category, audience: { all: true } });
    }
    const page = await open(chrome, hub, "/?term=open", { ...student, colorScheme, bypassCSP: true });
    await page.click("#go");
    await until(page, () => document.querySelector("#lines .answers button"));
    await page.locator("#lines").getByRole("button", { name: /^Drop/ }).first().click();
    await until(page, () => /still yours/.test(document.querySelector("#lines").textContent) && document.querySelector("#urgent article") && document.querySelector("#banners article"));
    assert.deepEqual(await violations(page), []);
    await page.locator("#lines").getByRole("button", { name: /^Undo/ }).click();
    await page.context().close();
    for (const { id } of (await hub.ask("staff", "GET", "/api/v1/alerts?active=true")).items) await hub.ask("staff", "DELETE", `/api/v1/alerts/${id}`);
    await hub.ask("staff", "POST", "/api/v1/alerts", { title: "Library hours", message: "Until ten.", priority: "low", audience: { all: true } });
  });
}

/** What is as wide as its words, and may be moved to the side by itself, does not count: tables in `.scroll`, the parts of a page. */
const wide = (page) => page.evaluate(() => {
  const inside = (el) => el.closest(".scroll, #views, .unseen, svg");
  const over = [...document.body.querySelectorAll("*")].filter((el) => !inside(el) && el.checkVisibility() && el.getBoundingClientRect().right > innerWidth + 1);
  return { by: document.documentElement.scrollWidth - innerWidth, over: over.slice(0, 5).map((el) => el.outerHTML.slice(0, 120)) };
});
const NARROW = { width: 320, height: 640 };
/** Every page in every part of it: address, who, and what is awaited. */
const PARTS = [
  ...["", "#term", "#alerts"].map((hash) => [`/?term=open${hash}`, { user: "student" }, listed]),
  ["/staff", {}, (page) => until(page, () => document.querySelector("#sign-in form"))],
  ...["now", "sections", "import", "alerts", "terms"].map((part) => [`/staff#${part}`, { user: "staff" }, (page) => until(page, () => document.querySelector("#terms table") && document.querySelector("#map i"))]),
  ["/admin#now", { user: "admin" }, (page) => until(page, () => document.querySelector(".line")?.getAttribute("d"))],
  ["/admin#sessions", { user: "admin" }, (page) => until(page, () => document.querySelector("#session-rows tr"))],
  ["/admin#demo", { user: "admin" }, (page) => until(page, () => document.querySelector("#demo-said .result"))],
  ["/admin#plone", { user: "admin", script: answering("/admin/plone", PLONE) }, says("#plone-aside", /Send all again/)],
  ["/admin#people", { user: "admin" }, (page) => until(page, () => document.querySelector("#people tbody tr"))],
  ["/admin#audit", { user: "admin" }, (page) => until(page, () => document.querySelector("#audit-rows td"))],
];
for (const [where, how, ready] of PARTS) {
  test(`on 320 pixels nothing of ${where} is beside the screen`, async () => {
    const page = await open(chrome, hub, where, { ...how, ...NARROW });
    await ready(page);
    assert.deepEqual(await wide(page), { by: 0, over: [] });
    await page.context().close();
  });
}
