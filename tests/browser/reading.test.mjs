// Reading and operating the pages in other ways: large text, wide spacing, the keyboard, small windows, forced colors,
// names in other scripts, no JavaScript.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, Hub, open, until } from "./support.mjs";

let hub, chrome;
before(async () => {
  [hub, chrome] = await Promise.all([Hub.start(), browser()]);
  await hub.term("read", [...Array.from({ length: 40 }, (_, i) => `${100 + i},MATH ${100 + i},Calculus with a rather long title ${i},A01,lecture,4,${i % 3 ? 20 : 0},3,MWF,09:30-10:50,Featherstonehaugh`),
    "1,ARAB 101,مقدمة في اللغة العربية,A01,lecture,4,20,3,TR,09:00-09:50,فاطمة الزهراء"]);
});
after(async () => { await chrome?.close(); await hub?.end(); });

/** The number of sections in the term `read`. */
const SECTIONS = 41;
const student = { user: "student" };
const listed = (page) => until(page, () => document.querySelectorAll(".row .act button").length > 5 && document.querySelector("#live").dataset.state === "live");
/** Returns the parts that the rows of a list cut off or cover, as texts. A cell may end in an ellipsis. */
const clipped = (page, rows) => page.evaluate((rows) => {
  const found = [];
  const all = [...document.querySelectorAll(rows)].map((el) => ({ el, line: el.querySelector(".line").getBoundingClientRect(), box: el.getBoundingClientRect() }));
  all.sort((a, b) => a.box.top - b.box.top);
  all.forEach(({ el, line, box }, i) => {
    if (all[i + 1] && all[i + 1].box.top < box.bottom - 1) found.push(`row ${i} is covered by the next`);
    for (const cell of el.querySelectorAll(".line > *")) {
      const { top, bottom, height } = cell.getBoundingClientRect();
      if (!height) continue;
      if (top < line.top - 1 || bottom > line.bottom + 1) found.push(`${cell.className} is outside its row: ${top} to ${bottom} in ${line.top} to ${line.bottom}`);
      if (cell.scrollHeight > cell.clientHeight + 2 && !cell.matches(".act, .row-actions, label")) found.push(`${cell.className} shows ${cell.clientHeight} of ${cell.scrollHeight} px: ${cell.textContent}`);
    }
  });
  if (document.documentElement.scrollWidth > innerWidth) {
    const wide = [...document.querySelectorAll("body *")].find((el) => el.checkVisibility() && !el.closest(".unseen") && el.getBoundingClientRect().right + scrollX > innerWidth + 1);
    found.push(`the page is ${document.documentElement.scrollWidth} px wide: ${wide?.outerHTML.slice(0, 120)}`);
  }
  return [...new Set(found)].slice(0, 5);
}, rows);

test("rows grow when text is twice as large", async () => {
  const large = await browser("--blink-settings=defaultFontSize=32");
  try {
    for (const [where, user, rows] of [["/?term=read", "student", ".row"], ["/staff#sections", "staff", ".srow"]]) {
      for (const width of [390, 768, 1280, 1920]) {
        const page = await open(large, hub, where, { user, width });
        await until(page, (rows) => document.querySelectorAll(rows).length > 5 && document.querySelector("#live").dataset.state === "live", rows);
        assert.equal(await page.evaluate(() => getComputedStyle(document.documentElement).fontSize), "32px");
        await until(page, (rows) => Number(document.querySelector(`${rows}[data-index="1"]`).style.transform.match(/\d+/)[0]) >= document.querySelector(`${rows} .line`).offsetHeight, rows);
        assert.deepEqual(await clipped(page, rows), [], `${where} at ${width} px`);
        const lines = await page.$$eval("header :is(button, .button)", (all) => all.map((one) => [one.textContent, one.getBoundingClientRect().height / 32]));
        assert.deepEqual(lines.filter(([, height]) => height > 3), [], `no button of the header breaks a word at ${width} px`);
        await page.context().close();
      }
    }
  } finally {
    await large.close();
  }
});

test("rows grow with the spacing of text", async () => {
  for (const [where, user, rows] of [["/?term=read", "student", ".row"], ["/staff#sections", "staff", ".srow"]]) {
    for (const width of [390, 1280, 1920]) {
      const page = await open(chrome, hub, where, { user, width, bypassCSP: true });
      await until(page, (rows) => document.querySelectorAll(rows).length > 5 && document.querySelector("#live").dataset.state === "live", rows);
      await page.addStyleTag({ content: "* { line-height: 1.5 !important; letter-spacing: .12em !important; word-spacing: .16em !important; } p { margin-bottom: 2em !important; }" });
      await until(page, (rows) => Number(document.querySelector(`${rows}[data-index="1"]`).style.transform.match(/\d+/)[0]) === document.querySelector(`${rows} .line`).offsetHeight, rows);
      assert.deepEqual(await clipped(page, rows), [], `${where} at ${width} px`);
      await page.context().close();
    }
  }
});

for (const width of [390, 1280]) {
  test(`skip links lead to the search, the schedule and Register at ${width} px`, async () => {
    await hub.ask("student", "PUT", "/api/v1/me/plan", { sections: ["read-101"] });
    const page = await open(chrome, hub, "/?term=read", { ...student, width });
    await listed(page);
    await page.locator("#register-all").waitFor();
    const skip = async (presses) => {
      await page.evaluate(() => document.activeElement.blur());
      // The next Tab starts at the beginning of the page.
      await page.evaluate(() => { document.body.tabIndex = -1; document.body.focus(); document.body.removeAttribute("tabindex"); });
      for (let i = 0; i < presses; i += 1) await page.keyboard.press("Tab");
      assert.equal(await page.evaluate(() => document.activeElement.className), "skip");
      await page.keyboard.press("Enter");
    };
    await skip(2);
    await until(page, () => document.activeElement.matches("[data-view-name=term]") && document.activeElement.checkVisibility());
    await skip(3);
    await until(page, () => document.activeElement.id === "register-all");
    await skip(1);
    await until(page, () => document.activeElement.id === "q" && document.activeElement.checkVisibility());
  });
}

test("the focus moves with the view on a phone", async () => {
  const page = await open(chrome, hub, "/?term=read", { ...student, width: 390 });
  await listed(page);
  await page.locator("#views a", { hasText: "My schedule" }).click();
  await until(page, () => document.body.dataset.view === "term");
  await page.locator("#my-data summary").focus();
  await page.goBack();
  await until(page, () => document.body.dataset.view === "find" && document.activeElement.matches("[data-view-name=find]"));
});

test("the link to the sign-in form keeps the view of a staff page", async () => {
  const page = await open(chrome, hub, "/staff#alerts");
  await page.locator("#who a").click();
  await until(page, () => document.activeElement.name === "username");
  assert.equal(await page.evaluate(() => location.hash), "#alerts");
});

test("rows of virtual lists state their position and the number of rows", async () => {
  for (const [where, user, rows, search] of [["/?term=read", "student", ".row", "#q"], ["/staff#sections", "staff", ".srow", "#section-search [name=q]"]]) {
    const page = await open(chrome, hub, where, { user });
    if (user === "staff") await page.selectOption("#which-term", "read");
    const stated = (n) => until(page, ([rows, n]) => {
      const all = [...document.querySelectorAll(rows)];
      return all.length > 0 && all.every((one) => one.getAttribute("aria-setsize") === String(n) && Number(one.getAttribute("aria-posinset")) === Number(one.dataset.index) + 1);
    }, [rows, n]);
    await stated(SECTIONS);
    await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
    await until(page, ([rows, n]) => document.querySelector(`${rows}[aria-posinset="${n}"]`), [rows, SECTIONS]);
    await page.fill(search, "arab");
    await stated(1);
    await page.context().close();
  }
});

test("results, seat changes and alerts are announced", async () => {
  await hub.term("spoken", ["1,MATH 1,Algebra,A01,lecture,3,1,3,M,09:00-09:50,Noether"]);
  hub.mint("ear", "student");
  await hub.ask("ear", "PUT", "/api/v1/me/plan", { sections: ["spoken-1"] });
  const page = await open(chrome, hub, "/?term=spoken", { user: "ear" });
  await until(page, () => document.querySelector("#live").dataset.state === "live" && document.querySelector("#schedule-rows li") && document.querySelector(".row .act button"));
  // What a screen reader reads: each new text of a live region.
  await page.evaluate(() => {
    window.announced = [];
    const regions = "[role=status], [role=alert], [aria-live]";
    new MutationObserver((changes) => changes.forEach(({ target }) => {
      const region = (target.nodeType === Node.TEXT_NODE ? target.parentElement : target)?.closest(regions);
      if (region) window.announced.push(region.textContent.trim());
    })).observe(document.body, { childList: true, subtree: true, characterData: true });
  });
  const announces = (text) => until(page, (text) => window.announced.some((one) => one.includes(text)), text);
  await hub.ask("student2", "PUT", "/api/v1/me/registrations/spoken-1");
  await announces("Seats changed: MATH 1 lecture (1)");
  await page.locator(".row").getByRole("button", { name: /^Join waitlist/ }).click();
  await announces("MATH 1 lecture (1): 1st on the waitlist.");
  await hub.ask("student2", "DELETE", "/api/v1/me/registrations/spoken-1");
  await announces("MATH 1 lecture (1): A seat opened up and you're enrolled.");
  const { id } = await hub.ask("staff", "POST", "/api/v1/alerts", { title: "Leave now", message: "Gas.", priority: "critical", category: "emergency", audience: { all: true } });
  await announces("Leave now");
  await hub.ask("staff", "DELETE", `/api/v1/alerts/${id}`);
});

test("errors are tied to their fields", async () => {
  const page = await open(chrome, hub, "/?term=read");
  await page.fill("[name=username]", "student");
  await page.fill("[name=password]", "not this");
  await page.keyboard.press("Enter");
  const described = (selector) => page.evaluate((selector) => {
    const el = document.querySelector(selector);
    return el.getAttribute("aria-invalid") && document.getElementById(el.getAttribute("aria-describedby"))?.textContent;
  }, selector);
  await until(page, () => document.querySelector("[name=password][aria-invalid]"));
  assert.equal(await described("[name=password]"), "Incorrect username or password.");
  await page.fill("[name=password]", "an");
  assert.equal(await described("[name=password]"), null);
  const desk = await open(chrome, hub, "/staff#sections", { user: "staff" });
  await until(desk, () => document.querySelectorAll(".srow").length > 5);
  await desk.locator(".srow [name=capacity]").first().fill("");
  await desk.keyboard.press("Enter");
  await until(desk, () => {
    const el = document.querySelector(".srow [name=capacity][aria-invalid]");
    return el && /Enter a capacity/.test(document.getElementById(el.getAttribute("aria-describedby")).textContent);
  });
});

test("lines of a chart differ without their colors", async () => {
  const page = await open(chrome, hub, "/admin#now", { user: "admin" });
  await page.emulateMedia({ forcedColors: "active" });
  await until(page, () => document.querySelectorAll(".chart .line").length > 5);
  const same = await page.evaluate(() => [...document.querySelectorAll(".chart")].flatMap((chart) => {
    const unlike = (all, name) => new Set(all).size === all.length ? [] : [`${chart.querySelector("h3")?.textContent}: ${name} ${all}`];
    const dashes = (selector) => [...chart.querySelectorAll(selector)].map((el) => getComputedStyle(el).strokeDasharray);
    const [lines, samples] = [dashes(".plot .line:not(.none)"), dashes(".values .sample:not(.none)")];
    const unequal = String(lines) === String(samples) ? [] : [`${chart.querySelector("h3")?.textContent}: lines ${lines}, samples ${samples}`];
    return [...unlike(dashes(".line[d]:not(.none, [d=''])"), "lines"), ...unlike(samples, "samples"), ...unequal];
  }));
  assert.deepEqual(same, []);
  // The button of the selected range looks different from the others.
  const colors = await page.$$eval(".time-ranges button", (all) => all.map((one) => getComputedStyle(one).backgroundColor));
  assert.equal(new Set(colors).size, 2);
});

test("names and titles are written in the direction of their script", async () => {
  const page = await open(chrome, hub, "/?term=read&q=arab", student);
  await until(page, () => document.querySelectorAll(".row").length === 1 && document.querySelector(".row .act button"));
  const directions = await page.evaluate(() => [".row .title", ".row .who .by", ".row .course"].map((at) => getComputedStyle(document.querySelector(at)).direction));
  assert.deepEqual(directions, ["rtl", "rtl", "ltr"]);
});

test("all content can be reached in a window of 320 by 256 pixels", async () => {
  const { id } = await hub.ask("staff", "POST", "/api/v1/alerts", { title: "Payment is due", message: "Pay before noon.", priority: "high", category: "workflow", audience: { all: true } });
  const page = await open(chrome, hub, "/?term=read", { ...student, width: 320, height: 256 });
  await listed(page);
  await until(page, () => document.querySelector("#banners article"));
  await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
  await until(page, () => document.querySelector('.row[data-index="40"]'));
  const reached = (selector) => page.evaluate((selector) => {
    const el = document.querySelector(selector);
    el.focus();
    const { left, top, width, height } = el.getBoundingClientRect();
    const hit = document.elementFromPoint(left + width / 2, top + height / 2);
    return el.contains(hit) || `${selector} at ${top} is below ${hit?.outerHTML.slice(0, 80)}`;
  }, selector);
  for (const selector of ['.row[data-index="40"] .act button', '.row[data-index="38"] .name', "#banners button"]) assert.equal(await reached(selector), true);
  await page.evaluate(() => scrollTo(0, 0));
  for (const selector of ["#q", "#filters-toggle", "#order", "#which-term"]) assert.equal(await reached(selector), true);
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 320);
  await hub.ask("staff", "DELETE", `/api/v1/alerts/${id}`);
});

for (const where of ["/", "/staff", "/admin", "/account", "/teaching"]) {
  test(`${where} says what to do without JavaScript`, async () => {
    const context = await chrome.newContext({ javaScriptEnabled: false, viewport: { width: 390, height: 844 } });
    try {
      const page = await context.newPage();
      await page.goto(hub.url + where);
      const text = await page.locator("body").innerText();
      assert.match(text, /This page needs JavaScript\. Turn it on in your browser's settings/);
      assert.doesNotMatch(text, /Loading|Connecting/);
    } finally {
      await context.close();
    }
  });
}

test("in dark colors, an emergency is deep red with white text", async () => {
  const { id } = await hub.ask("staff", "POST", "/api/v1/alerts", { title: "Leave now", message: "Gas.", priority: "critical", category: "emergency", audience: { all: true } });
  for (const [where, user] of [["/?term=read", "student"], ["/staff", "staff"]]) {
    const page = await open(chrome, hub, where, { user, colorScheme: "dark" });
    await until(page, () => document.querySelector("#urgent article"));
    const colors = await page.evaluate(() => ["#urgent article", "#urgent h2", "#urgent footer span"].map((at) => getComputedStyle(document.querySelector(at))).map(({ color, backgroundColor }) => [color, backgroundColor]));
    assert.deepEqual(colors[0], ["rgb(255, 255, 255)", "rgb(140, 29, 24)"]);
    assert.deepEqual(colors.slice(1).map(([color]) => color), ["rgb(255, 255, 255)", "rgb(255, 255, 255)"]);
  }
  await hub.ask("staff", "DELETE", `/api/v1/alerts/${id}`);
});

test("the hint in a field has enough contrast, in light and in dark colors", async () => {
  for (const colorScheme of ["light", "dark"]) {
    const page = await open(chrome, hub, "/?term=read", { colorScheme });
    await until(page, () => document.querySelectorAll(".row").length > 5);
    const contrast = await page.evaluate(() => {
      const light = (color) => {
        const [r, g, b] = color.match(/\d+/g).slice(0, 3).map((one) => one / 255).map((one) => one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
      };
      const field = document.querySelector("#q");
      const [text, back] = [getComputedStyle(field, "::placeholder").color, getComputedStyle(field).backgroundColor].map(light);
      return Math.max(text, back) / Math.min(text, back);
    });
    assert.ok(contrast >= 4.5, `${colorScheme}: ${contrast.toFixed(2)}`);
  }
});

test("in a wide window, the tab of the current view stands out", async () => {
  const page = await open(chrome, hub, "/?term=read", { width: 1280 });
  for (const [hash, current] of [["#find", "#term"], ["#term", "#term"], ["#alerts", "#alerts"]]) {
    await page.evaluate((hash) => { location.hash = hash; }, hash);
    await until(page, (hash) => `#${document.body.dataset.view}` === hash, hash);
    const [text, own, other] = await page.evaluate((current) => [document.body, ...["", ":not"].map((not) => document.querySelector(`#views a:is([href="#term"], [href="#alerts"])${not ? `:not([href="${current}"])` : `[href="${current}"]`}`))].map((one) => getComputedStyle(one).color), current);
    assert.equal(own, text, hash);
    assert.notEqual(other, text, hash);
  }
});

test("a printed schedule has CRN, instructor and credits", async () => {
  await hub.ask("student", "PUT", "/api/v1/me/plan", { sections: ["read-101"] });
  const page = await open(chrome, hub, "/?term=read#term", student);
  await until(page, () => document.querySelectorAll("#schedule-rows li").length === 1);
  assert.equal(await page.locator(".print-line").isVisible(), false);
  await page.emulateMedia({ media: "print" });
  assert.equal(await page.locator(".print-line").isVisible(), true);
  assert.equal(await page.locator(".print-line").textContent(), "CRN 101, Featherstonehaugh, 4 credits");
});
