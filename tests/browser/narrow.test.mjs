// The small pages on a phone: none of them, and no part of them, scrolls sideways.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { college, states } from "./states.mjs";
import { browser, Hub, open } from "./support.mjs";

const WIDTHS = [390, 320];
/** The states of the small pages. `layout.test.mjs` checks the principal states of the three large pages. */
const SMALL = ["section", "section-visitor", "demonstration", "demonstration-gone", "shared", "teaching", "problems", "not-found", "no-script", "api"];
const PAGES = ["/", "/staff", "/admin", "/account", "/teaching", "/shared", "/demonstration", "/docs"];

let hub, chrome, all;
before(async () => {
  [hub, chrome] = await Promise.all([Hub.start(), browser()]);
  all = states(hub, chrome, await college(hub));
  // The run whose result the demonstration page shows.
  await hub.ask("admin", "POST", "/api/v1/admin/demo", { users: 20, seconds: 1, target: "both" });
});
after(async () => { await chrome?.close(); await hub?.end(); });

/** Returns the parts of the page that scroll sideways, as texts, and the page itself if it is wider than the window. */
const wide = (page) => page.evaluate(() => {
  const found = document.documentElement.scrollWidth > innerWidth ? [`the page is ${document.documentElement.scrollWidth} px wide`] : [];
  for (const el of document.querySelectorAll("body *")) {
    const { overflowX, clipPath } = getComputedStyle(el);
    // Swagger UI shows a schema as a tree in a box of its own.
    const scrolls = ["auto", "scroll"].includes(overflowX) && !el.matches("input, select, textarea, #views, .json-schema-2020-12");
    if (el.checkVisibility() && clipPath === "none" && scrolls && el.scrollWidth > el.clientWidth + 1) found.push(`scrolls sideways: ${el.outerHTML.slice(0, 110)}`);
  }
  return found;
});

async function fits(page, name) {
  for (const width of WIDTHS) {
    await page.setViewportSize({ width, height: 844 });
    assert.deepEqual(await wide(page), [], `${name} at ${width} px`);
  }
}

for (const name of SMALL) {
  test(`${name} fits a phone`, async () => {
    const state = all.find((one) => one.name === name);
    await state.before?.();
    const how = { ...state.how, width: WIDTHS[0], height: 844 };
    const page = await (state.page ? state.page(how) : open(chrome, hub, state.where, how));
    await state.ready(page);
    await fits(page, name);
    await state.after?.();
  });
}

for (const where of PAGES) {
  test(`${where} without JavaScript fits a phone`, async () => {
    await fits(await open(chrome, hub, where, { javaScriptEnabled: false, width: WIDTHS[0], height: 844 }), where);
  });
}

test("error pages fit a phone, in both languages", async () => {
  for (const locale of ["en-US", "es-MX"]) {
    for (const where of ["/nothing", `/${"x".repeat(300)}`, "/api/v1/schedule-feeds/0123.ics", "/docs/ui/nothing", "/static/nothing"]) {
      await fits(await open(chrome, hub, where, { locale, width: WIDTHS[0], height: 844 }), `${where} (${locale})`);
    }
  }
});
