// Rows, filters, the page of one section, and watches for seats on the student's page.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, Hub, open, row, rows, until, violations } from "./support.mjs";

const TERM = "finding";
const CSV = [
  "crn,course,title,section,component,credits,capacity,waitlist_capacity,days,time,instructor,method,campus",
  "1,MATH 151,Calculus I,A01,lecture,5,2,2,MWF,09:00-09:50,Ada Lee,In person,North", "2,MATH 152,Calculus II,A01,lecture,4,2,2,MWF,09:30-10:20,Bo Núñez,In person,South",
  "3,ART 2,Drawing,A01,lecture,3,1,0,F,18:00-20:50,Frida Kahlo,Hybrid,North", "4,ENGL 1,Essays,W01,lecture,3,5,0,,,Ada Lee,Online Asynchronous,Online", "",
].join("\n");
let hub, chrome;
before(async () => {
  [hub, chrome] = await Promise.all([Hub.start(), browser()]);
  await hub.term(TERM, []).catch(() => {});
  const { task } = await hub.ask("staff", "POST", `/api/v1/imports?term=${TERM}`, CSV, "text/csv");
  for (let state = "running"; state === "running";) ({ state } = await hub.ask("staff", "GET", `/api/v1/imports/${task}`));
});
after(async () => { await chrome?.close(); await hub?.end(); });

const shown = (page, expected) => until(page, (expected) => [...document.querySelectorAll(".row .title")].map((one) => one.textContent).join() === expected, expected.join());

test("rows show CRN, credits and whether a section is online; compact rows stay compact", async () => {
  const page = await open(chrome, hub, `/?term=${TERM}`);
  await rows(4)(page);
  assert.match(await row(page, "Calculus II").textContent(), /CRN 2, 4 cr\./);
  assert.match(await row(page, "Essays").textContent(), /Online, no set times.*CRN 4, 3 cr\./);
  assert.match(await row(page, "Drawing").textContent(), /Hybrid.*6:00/);
  const height = () => page.$eval(".row .line", (line) => line.offsetHeight);
  const before = await height();
  await page.check("#compact");
  await until(page, (before) => document.querySelector(".row .line").offsetHeight < before, before);
  await page.reload();
  await rows(4)(page);
  assert.ok(await height() < before);
  const [first, second] = await page.$$eval(".row", (all) => all.slice(0, 2).map((one) => one.getBoundingClientRect()));
  assert.ok(first.bottom <= second.top + 1, "rows do not overlap");
});

test("the details of a section say how many places of its waitlist are taken", async () => {
  await hub.term("places", ["1,MATH 151,Calculus I,A01,lecture,5,1,6,MWF,09:00-09:50,Lee", "2,ART 2,Drawing,A01,lecture,3,1,0,F,18:00-20:50,Kahlo"]);
  await hub.ask("student", "PUT", "/api/v1/me/registrations/places-1");
  const page = await open(chrome, hub, "/?term=places");
  for (const title of ["Calculus I", "Drawing"]) await row(page, title).locator(".name").click();
  const taken = row(page, "Calculus I").locator(".taken");
  await taken.getByText("1 of 1 seat taken. Waitlist: 0 of 6 places taken.").waitFor();
  await hub.ask("student2", "PUT", "/api/v1/me/registrations/places-1?waitlist=true");
  await taken.getByText("1 of 1 seat taken. Waitlist: 1 of 6 places taken.").waitFor();
  await row(page, "Drawing").getByText("0 of 1 seat taken. No waitlist.").waitFor();
  await page.getByRole("button", { name: "Español" }).click();
  await taken.getByText("1 de 1 cupo ocupado. Lista de espera: 1 de 6 lugares ocupados.").waitFor();
  assert.deepEqual(page.wrong, []);
});

test("in a wide window, a row that overlaps the schedule also shows its CRN", async () => {
  await hub.ask("student", "PUT", `/api/v1/me/plan`, { sections: [`${TERM}-1`] });
  const page = await open(chrome, hub, `/?term=${TERM}`, { user: "student", width: 1920, height: 1080 });
  const line = page.locator(".row:has(.who.careful)").first();
  await line.waitFor();
  assert.match(await line.locator(".who").innerText(), /(Overlaps|already planned) MATH 151\s+CRN \d+, \d cr\./);
  await page.check("#compact");
  await until(page, () => !/CRN/.test(document.querySelector(".who.careful").innerText));
  await hub.ask("student", "PUT", `/api/v1/me/plan`, { sections: [] });
});

test("a row that overlaps the schedule shows its instructor and CRN at every width", async () => {
  await hub.ask("student", "PUT", "/api/v1/me/plan", { sections: [`${TERM}-1`] });
  for (const width of [360, 390, 768, 1024, 1280, 1440, 1600, 1920]) {
    const page = await open(chrome, hub, `/?term=${TERM}`, { user: "student", width });
    const line = page.locator(".row:has(.who.careful)", { hasText: "Calculus II" });
    await line.waitFor();
    assert.match(await line.innerText(), /(Bo Núñez|CRN 2)[^]*(Bo Núñez|CRN 2)/, `${width}`);
    // Where the columns are narrowest, the title is cut, but not the CRN or the conflict.
    const cut = await line.evaluate((el) => [...el.querySelectorAll(".names, .also, .by, .kind, .who")].filter((one) => one.scrollWidth > one.clientWidth).map((one) => one.textContent));
    assert.deepEqual(cut, [], `${width}`);
    assert.ok((await line.locator(".title").boundingBox()).width >= 60, `${width}`);
    await page.close();
  }
  await hub.ask("student", "PUT", "/api/v1/me/plan", { sections: [] });
});

test("a conflict cuts neither the instructor nor the title to a few letters", async () => {
  await hub.term("cut", ["10001,ACCT 101,Financial Accounting,A01,lecture,4,36,9,TR,12:30-13:50,H. Lopez", "10002,ACCT 101,Financial Accounting,A02,lecture,4,36,9,TR,14:00-15:20,W. Quinn",
    "10003,ARTS 105,Drawing I,S02,studio,3,20,4,TR,12:30-13:50,C. Okafor"]);
  await hub.ask("student", "PUT", "/api/v1/me/plan", { sections: ["cut-10001"] });
  for (const width of [390, 768, 1180, 1280, 1920]) {
    const page = await open(chrome, hub, "/?term=cut", { user: "student", width });
    for (const compact of [false, true]) {
      await page.setChecked("#compact", compact);
      for (const title of ["Financial Accounting", "Drawing I"]) {
        const line = page.locator(".row:has(.who.careful)", { hasText: title });
        await line.waitFor();
        const { cut, shown, whole, half } = await line.evaluate((el) => {
          const box = (one) => one.getBoundingClientRect(), titles = box(el.querySelector(".titles"));
          const also = [...el.querySelectorAll(".also")].filter((one) => one.checkVisibility());
          const name = el.querySelector(".title");
          return { cut: also.filter((one) => one.scrollWidth > one.clientWidth).map((one) => one.textContent), shown: box(name).width, whole: name.scrollWidth,
            half: also.filter((one) => box(one).top < titles.bottom - 1 && (box(one).bottom > titles.bottom + 1 || box(one).right > titles.right + 1)).map((one) => one.textContent) };
        });
        assert.deepEqual([cut, half], [[], []], `${width} px, ${title}`);
        // On a phone and beside the schedule, the CRN is in the line above, so the title is whole.
        const least = [390, 1280].includes(width) ? whole : Math.min(whole, 64);
        assert.ok(Math.ceil(shown) >= least, `${width} px: ${shown} of ${whole} px of ${title} are shown`);
      }
    }
    await page.close();
  }
  await hub.ask("student", "PUT", "/api/v1/me/plan", { sections: [] });
});

test("the filters under More filters combine, are in the address, and are counted", async () => {
  const page = await open(chrome, hub, `/?term=${TERM}`, { bypassCSP: true });
  await rows(4)(page);
  await page.getByRole("button", { name: "More filters" }).click();
  await until(page, () => document.activeElement.name === "time");
  const table = [
    ["time", "evening", ["Drawing"]], ["mode", "online", ["Drawing", "Essays"]], ["mode", "person", ["Calculus I", "Calculus II"]],
    ["campus", "South", ["Calculus II"]], ["credits", "5", ["Calculus I"]], ["instructor", "nun", ["Calculus II"]],
  ];
  const set = (name, value) => name === "instructor" ? page.fill(`[name=${name}]`, value) : page.selectOption(`#filters-more [name=${name}]`, value);
  for (const [name, value, expected] of table) {
    await set(name, value);
    await shown(page, expected);
    await set(name, "");
    await rows(4)(page);
  }
  assert.deepEqual(await violations(page), []);
  await set("campus", "North");
  await set("time", "morning");
  await shown(page, ["Calculus I"]);
  await until(page, () => location.search.includes("campus=North") && location.search.includes("time=morning"));
  await page.reload();
  await shown(page, ["Calculus I"]);
  assert.equal(await page.isVisible("#filters-more"), true);
  await page.setViewportSize({ width: 390, height: 844 });
  await until(page, () => document.querySelector("#filters-toggle").textContent === "Filters (2)");
  assert.deepEqual(page.wrong, []);
});

test("the list can be limited to what fits the student's week", async () => {
  hub.mint("fay", "student");
  await hub.ask("fay", "PUT", `/api/v1/me/registrations/${TERM}-1`);
  const page = await open(chrome, hub, `/?term=${TERM}&fits=true`, { user: "fay" });
  await shown(page, ["Drawing", "Essays", "Calculus I"]);
  await page.getByLabel("Fits my schedule").uncheck();
  await rows(4)(page);
});

test("a section has a page with its own address, which can be shared, printed and left", async () => {
  const page = await open(chrome, hub, `/?term=${TERM}`, { user: "student", bypassCSP: true });
  await rows(4)(page);
  await row(page, "Calculus II").locator(".name").click();
  await page.getByRole("link", { name: "Section page" }).click();
  await until(page, () => document.activeElement.matches("#section-page h3"));
  assert.equal(new URL(page.url()).search, `?term=${TERM}&section=${TERM}-2`);
  assert.equal(await page.isVisible("#rows"), false);
  await page.reload();
  await until(page, () => /MATH 152/.test(document.querySelector("#section-page h3")?.textContent));
  const taken = (await page.textContent("#section-page dl")).match(/(\d+) of \d+ seats? taken/)[1];
  await page.locator("#section-page").getByRole("button", { name: /^Register/ }).click();
  await until(page, () => /Enrolled/.test(document.querySelector("#section-page").textContent));
  await until(page, (taken) => document.querySelector("#section-page dl").textContent.includes(`${taken} of `), Number(taken) + 1);
  assert.deepEqual(await violations(page), []);
  await page.emulateMedia({ media: "print" });
  assert.equal(await page.isVisible("#section-page dl"), true);
  assert.equal(await page.isVisible("aside"), false);
  await page.emulateMedia({ media: "screen" });
  await page.getByRole("button", { name: "Back to the list" }).click();
  await rows(4)(page);
  await until(page, () => !location.search.includes("section="));
  await page.goto(`${hub.url}/?term=${TERM}&section=${TERM}-99`);
  await until(page, () => /There is no section/.test(document.querySelector("#section-page").textContent));
});

test("the page of a section names the course in its heading, and its buttons have the same size", async () => {
  hub.mint("looker", "student");
  const page = await open(chrome, hub, `/?term=${TERM}&section=${TERM}-4`, { user: "looker" });
  await page.locator("#section-page").getByRole("button", { name: /^Register/ }).waitFor();
  assert.equal(await page.locator("#section-page h3 + p").textContent(), "Essays");
  assert.equal(await page.locator("#section-page").getByText("Essays").count(), 1);
  const sizes = await page.$$eval("#section-page button:not(.icon-only)", (all) => all.map((one) => `${getComputedStyle(one).fontSize} ${one.offsetHeight}`));
  assert.deepEqual([...new Set(sizes)], ["16px 40"]);
});

test("a visitor can plan a section on its page, after signing in", async () => {
  const page = await open(chrome, hub, `/?term=${TERM}&section=${TERM}-4`, { width: 390, height: 844 });
  await page.locator("#section-page").getByRole("button", { name: /^Add to plan: ENGL 1/ }).click();
  await page.locator("#sign-in .why", { hasText: "ENGL 1" }).waitFor();
  await page.fill("#sign-in [name=username]", "student");
  await page.fill("#sign-in [name=password]", "eduhub-demo");
  await page.keyboard.press("Enter");
  await page.locator("#schedule-rows li", { hasText: "Essays" }).waitFor();
  await hub.ask("student", "PUT", "/api/v1/me/plan", { sections: [] });
  await page.close();
});

test("on a phone, the Find tab leads from the page of a section to the list", async () => {
  const page = await open(chrome, hub, `/?term=${TERM}&section=${TERM}-2`, { user: "student", width: 390, height: 844 });
  await until(page, () => /MATH 152/.test(document.querySelector("#section-page h3")?.textContent));
  await page.locator("#views [href='#term']").click();
  await page.locator("#views [href='#find']").click();
  await until(page, () => document.querySelector("#section-page").hidden && document.querySelector("#rows").checkVisibility());
  await until(page, () => !location.search.includes("section="));
  await page.locator(".row .name").first().waitFor();
  assert.deepEqual(page.wrong, []);
});

test("a watch says when a seat opens, on the page and in a notification", async () => {
  hub.mint("wanda", "student");
  hub.mint("holder", "student");
  await hub.ask("holder", "PUT", `/api/v1/me/registrations/${TERM}-3`);
  const page = await open(chrome, hub, `/?term=${TERM}&section=${TERM}-3`, { user: "wanda",
    script: "window.notifications = []; window.Notification = class { static permission = 'default'; static requestPermission() { this.permission = 'granted'; return Promise.resolve('granted'); } constructor(text) { window.notifications.push(text); } close() {} };" });
  await page.getByRole("button", { name: "Notify me when a seat opens" }).click();
  await until(page, () => /You'll be notified when a seat opens in ART 2/.test(document.querySelector("#note").textContent));
  await until(page, () => document.querySelector("#live").dataset.state === "live");
  await page.getByRole("button", { name: "Back to the list" }).click();
  await hub.ask("holder", "DELETE", `/api/v1/me/registrations/${TERM}-3`);
  await until(page, () => /A seat opened in ART 2 lecture \(3\): 1 left\./.test(document.querySelector("#note").textContent));
  assert.deepEqual(await page.evaluate(() => window.notifications), ["A seat opened in ART 2 lecture (3): 1 left."]);
  await page.getByRole("button", { name: "Show section" }).click();
  await page.getByRole("button", { name: "Stop notifying me" }).click();
  assert.equal(await page.evaluate(() => localStorage.getItem("eduhub.watch")), null);
  assert.deepEqual(page.wrong, []);
});

test("a watch starts before permission is given, and the user's answer hides no message", async () => {
  hub.mint("wendy", "student");
  hub.mint("holder", "student");
  await hub.ask("holder", "PUT", `/api/v1/me/registrations/${TERM}-3`);
  const page = await open(chrome, hub, `/?term=${TERM}&section=${TERM}-3`, { user: "wendy",
    script: "window.Notification = class { static permission = 'default'; static requestPermission() { return new Promise((resolve) => { window.answer = () => { resolve('denied'); return new Promise((shown) => setTimeout(shown)); }; }); } };" });
  const note = (pattern) => until(page, (source) => new RegExp(source).test(document.querySelector("#note").textContent), pattern);
  await until(page, () => document.querySelector("#live").dataset.state === "live");
  await page.getByRole("button", { name: "Notify me when a seat opens" }).click();
  await note("This page will show a message when a seat opens in ART 2 lecture \\(3\\), as long as the page is open\\.");
  await hub.ask("holder", "DELETE", `/api/v1/me/registrations/${TERM}-3`);
  await note("A seat opened in ART 2");
  await page.evaluate(() => window.answer());
  assert.match(await page.textContent("#note"), /A seat opened in ART 2/);
  assert.deepEqual(page.wrong, []);
});

test("on a phone, the results bar has one line, and the search hint is not cut off", async () => {
  for (const locale of ["en-US", "es-MX"]) {
    const page = await open(chrome, hub, "/", { locale, width: 390, height: 844 });
    await until(page, () => document.querySelectorAll(".row").length > 5 && document.querySelectorAll("#subject option").length > 3);
    const { tops, hint, room } = await page.evaluate(() => {
      const q = document.querySelector("#q"), { font, paddingLeft, paddingRight } = getComputedStyle(q);
      const canvas = document.createElement("canvas").getContext("2d");
      canvas.font = font;
      const middle = (el) => { const { top, height } = el.getBoundingClientRect(); return top + height / 2; };
      return {
        tops: [...document.querySelectorAll(".results-bar > *")].map(middle),
        hint: canvas.measureText(q.placeholder).width, room: q.clientWidth - parseFloat(paddingLeft) - parseFloat(paddingRight),
      };
    });
    assert.equal(tops.length, 3);
    assert.ok(Math.max(...tops) - Math.min(...tops) < 4, `${locale}: the parts of the bar are at ${tops}`);
    assert.ok(hint < room, `${locale}: the hint takes ${hint} of ${room} px`);
  }
});

test("in a window of about 1024 px, the results bar has one line", async () => {
  for (const locale of ["en-US", "es-MX"]) {
    const page = await open(chrome, hub, "/", { locale, width: 1024, height: 768 });
    await until(page, () => document.querySelectorAll(".row").length > 5);
    for (const width of [960, 990, 1024, 1060, 1100]) {
      await page.setViewportSize({ width, height: 768 });
      const tops = await page.$$eval(".results-bar > *", (all) => all.map((el) => { const { top, height } = el.getBoundingClientRect(); return top + height / 2; }));
      assert.ok(Math.max(...tops) - Math.min(...tops) < 4, `${locale}, ${width} px: the parts of the bar are at ${tops}`);
    }
    await page.close();
  }
});

test("from 768 to 1,280 px, a conflict with two sections is not cut", async () => {
  await hub.term("tablet", ["1,ANTH 110,Cultures,A01,lecture,3,9,3,MWF,08:00-08:50,Lee", "2,BIOL 101,Principles of Biology,A04,lecture,4,9,3,MWF,08:00-08:50,Kim", "3,CHEM 120,Chemistry,A02,lecture,4,9,3,MWF,08:00-08:50,Fox", "4,ANTH 120,Biological Anthropology,B01,lab,0,9,3,W,11:30-14:20,Lee"]);
  await hub.ask("student", "PUT", "/api/v1/me/plan", { sections: ["tablet-1", "tablet-2"] });
  for (const [locale, text] of [["en-US", "Overlaps ANTH 110 and BIOL 101"], ["es-MX", "Choca con ANTH 110 y BIOL 101"]]) {
    const page = await open(chrome, hub, "/?term=tablet", { user: "student", locale, width: 1024, height: 768 });
    await until(page, (text) => [...document.querySelectorAll(".row .who")].some((one) => one.textContent.includes(text)), text);
    for (const width of [768, 1180, 1280, 1024]) {
      await page.setViewportSize({ width, height: 768 });
      assert.deepEqual(await page.$$eval(".row :is(.names, .who)", (all) => all.filter((one) => one.scrollWidth > one.clientWidth).map((one) => one.textContent)), [], `${width} px, ${locale}`);
    }
  }
  await hub.ask("student", "PUT", "/api/v1/me/plan", { sections: [] });
});

test("on a phone, the buttons of a full section do not cut off its course, title, times or conflict", async () => {
  await hub.term("narrow", ["1,BIOL 101,Principles of Biology,A01,lecture,4,1,5,MWF,10:00-10:50,Curie", "2,BIOL 101,Principles of Biology,A02,lecture,4,1,5,TR,09:00-09:50,Ray"]);
  await hub.ask("student2", "PUT", "/api/v1/me/registrations/narrow-1");
  await hub.ask("student", "PUT", "/api/v1/me/registrations/narrow-2");
  for (const width of [390, 320]) {
    for (const locale of ["en-US", "es-MX"]) {
      const page = await open(chrome, hub, "/?term=narrow", { user: "student", locale, width, height: 700 });
      await until(page, () => document.querySelectorAll(".row .act button").length >= 4 && document.querySelector(".who.careful"));
      // A CRN that does not fit beside the course is left out.
      const cut = await page.$$eval(`.row :is(.names, .names > :not(.crn), .when, .who.careful${width === 390 ? ", .title" : ""})`, (all) => all.filter((one) => one.scrollWidth > one.clientWidth || !one.closest(".names") && one.scrollHeight > one.clientHeight + 2).map((one) => one.textContent));
      assert.deepEqual(cut, [], `${width} px, ${locale}`);
      const bottoms = await page.$$eval(".row .line", (all) => all.map((line) => line.getBoundingClientRect().bottom - Math.max(...[...line.children].map((one) => one.getBoundingClientRect().bottom))));
      assert.ok(bottoms.every((one) => one >= 0), `${width} px, ${locale}: the parts of a row end within it`);
      await page.close();
    }
  }
});

test("a page without results is as high as the window, without a scroll bar", async () => {
  for (const [width, height] of [[1280, 800], [1024, 768]]) {
    const page = await open(chrome, hub, `/?term=${TERM}&q=zzz`, { width, height });
    await until(page, () => document.querySelector("#none button") && document.querySelector("#live").dataset.state === "live" && document.querySelector("#who").textContent);
    assert.equal(await page.evaluate(() => document.documentElement.scrollHeight), height);
    await page.close();
  }
});
