// The layout of the states of the pages at five widths: nothing is wider than the window, cut off, covered by another
// text or control, or broken within a word; and no line of text is too long to read.
//
// Of a hub with a college, `make test` checks the principal states, and `make layout` checks every state. Both check
// every state of the other hubs.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { IdentityProvider, settingsFor } from "./provider.mjs";
import { college, emptyStates, providerStates, states } from "./states.mjs";
import { browser, freePort, Hub, open } from "./support.mjs";

const SIZES = [[390, 844], [768, 1024], [1024, 768], [1280, 800], [1920, 1080]];
const CHECKS_ALL = process.env.LAYOUT === "all";
/** The states of a hub with a college that `make test` checks: also in Spanish, whose texts are longer. */
const PRINCIPAL = ["visitor", "filters", "answers", "student", "alerts", "staff", "staff-roster", "staff-student", "staff-receipts", "staff-terms", "admin", "admin-people", "account"];
/** States of pages whose layout comes from another project. */
const FOREIGN = ["api"];

/** Returns the faults of the page's layout, as texts. Runs in the page. */
function faults() {
  const CHARACTERS_MAX = 130, TOLERANCE = 2;
  /** Elements that are fixed to the window or stick to an edge. They cover the content that scrolls behind them. */
  const LAYERS = "header, #urgent, #banners, #note, #opening, #views, #tools, .tools, #map-detail, aside";
  const found = [];
  const name = (el) => el.outerHTML.replace(/\s+/g, " ").slice(0, 110);
  // `#views` and tables scroll sideways. `#clear` lies in the search field.
  const isExempt = (el) => el.closest(".scroll, #views, .unseen, svg, noscript, .squares, [aria-hidden='true'], .skip, #clear");
  const isForScreenReaders = (el) => getComputedStyle(el).clipPath !== "none";
  const all = [...document.body.querySelectorAll("*")].filter((el) => !isExempt(el) && !isForScreenReaders(el) && el.checkVisibility({ opacityProperty: true, visibilityProperty: true }));
  /** Returns the part of a rectangle of `el` that its ancestors show. */
  const shownPart = (el, { left, top, right, bottom }) => {
    for (let one = el; one && one !== document.body; one = one.parentElement) {
      if (getComputedStyle(one).overflowX === "visible") continue;
      const box = one.getBoundingClientRect();
      [left, top, right, bottom] = [Math.max(left, box.left), Math.max(top, box.top), Math.min(right, box.right), Math.min(bottom, box.bottom)];
    }
    return { left, top, right, bottom };
  };
  if (document.documentElement.scrollWidth > innerWidth) found.push(`the page is ${document.documentElement.scrollWidth} px wide`);
  for (const el of all) {
    const { overflowX, textOverflow, display } = getComputedStyle(el);
    if (el.getBoundingClientRect().right > innerWidth + 1) found.push(`outside the window: ${name(el)}`);
    const hides = ["hidden", "clip"].includes(overflowX) && textOverflow !== "ellipsis";
    const isControl = el.matches("button, a.button, th, label > span") && display !== "inline" && textOverflow !== "ellipsis";
    if ((hides || isControl) && el.scrollWidth > el.clientWidth + 1) found.push(`cut off: ${name(el)}`);
  }
  for (const el of document.querySelectorAll(".block strong > *")) {
    const [text, box] = [el, el.closest(".block")].map((one) => one.getBoundingClientRect());
    if (text.height && (text.bottom > box.bottom + TOLERANCE || text.right > box.right + TOLERANCE)) found.push(`not all of the name is shown: ${el.closest(".block").title}`);
  }

  const texts = [];
  for (const el of all) {
    for (const node of el.childNodes) {
      if (node.nodeType !== Node.TEXT_NODE || !node.data.trim() || el.matches("option, select, textarea, script, style")) continue;
      const range = document.createRange();
      range.selectNodeContents(node);
      const rects = [...range.getClientRects()].filter(({ width, height }) => width > 1 && height > 1);
      const lines = new Set(rects.map(({ top }) => Math.round(top))).size;
      const length = node.data.trim().replace(/\s+/g, " ").length;
      if (length / Math.max(1, lines) > CHARACTERS_MAX) found.push(`${Math.round(length / lines)} characters in a line: ${name(el)}`);
      if (el.closest("button, .button, th, label, h1, h2, h3, h4, dt")) {
        for (const { 0: word, index } of node.data.matchAll(/[\p{L}\p{M}]{2,}/gu)) {
          range.setStart(node, index);
          range.setEnd(node, index + word.length);
          if (new Set([...range.getClientRects()].map(({ top }) => Math.round(top))).size > 1) found.push(`broken within “${word}”: ${name(el)}`);
        }
      }
      const layer = el.closest(LAYERS);
      texts.push(...rects.map((rect) => ({ el, rect: shownPart(el, rect), layer })));
    }
  }
  const controls = all.filter((el) => el.matches("button, a.button, input:not([type=file]), select, textarea") && !el.closest(".chip, .drop"));
  const boxes = controls.map((el) => ({ el, rect: el.getBoundingClientRect(), layer: el.closest(LAYERS) }));
  const covers = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > TOLERANCE && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > TOLERANCE + 2;
  const compare = (one, other) => {
    if (one.layer !== other.layer || one.el === other.el || one.el.contains(other.el) || other.el.contains(one.el) || one.el.closest(".block") || other.el.closest(".block")) return;
    if (covers(one.rect, other.rect)) found.push(`overlapping: ${name(one.el)} and ${name(other.el)}`);
  };
  for (const list of [texts, boxes]) list.forEach((one, i) => list.slice(i + 1).forEach((other) => compare(one, other)));
  for (const text of texts) for (const box of boxes) compare(text, box);
  for (const bar of document.querySelectorAll(".line .bar")) {
    const [a, row] = [bar.getBoundingClientRect(), bar.closest(".line")];
    for (const { el, rect: b } of boxes) {
      if (row.contains(el) && b.left < a.right - TOLERANCE && a.left < b.right && b.top < a.bottom && a.top < b.bottom) found.push(`overlapping: a bar and ${name(el)}`);
    }
  }
  return [...new Set(found)].slice(0, 6);
}

let hub, chrome;
before(async () => { [hub, chrome] = await Promise.all([Hub.start(), browser()]); });
after(async () => { await chrome?.close(); await hub?.end(); });

/** Checks a state at all widths in English, and a principal one in Spanish, too. */
async function check(hub, state, { script = true } = {}) {
  for (const locale of ["en-US", ...(PRINCIPAL.includes(state.name) ? ["es-MX"] : [])]) {
    const how = { ...state.how, locale, width: SIZES[0][0], height: SIZES[0][1] };
    const page = await (state.page ? state.page(how) : open(chrome, hub, state.where, how));
    await state.ready(page);
    const found = [];
    for (const [width, height] of SIZES) {
      await page.setViewportSize({ width, height });
      if (script) await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
      found.push(...(await page.evaluate(faults)).map((one) => `${width} px, ${locale}: ${one}`));
    }
    assert.deepEqual(found, []);
    assert.deepEqual(page.wrong, []);
    await page.context().close();
  }
}

/** Runs a subtest for each of these states, in their order, since the earlier ones prepare the later ones. */
async function checkAll(t, hub, list, isChecked = () => true) {
  for (const state of list) {
    await state.before?.();
    if (!FOREIGN.includes(state.name) && isChecked(state.name)) await t.test(state.name, () => check(hub, state, { script: state.how?.javaScriptEnabled !== false }));
    await state.after?.();
  }
}

test("the states of a hub with a college have no layout faults", async (t) =>
  checkAll(t, hub, states(hub, chrome, await college(hub)), (name) => CHECKS_ALL || PRINCIPAL.includes(name)));

test("the states of a hub without terms have no layout faults", async (t) => {
  const empty = await Hub.startEmpty();
  try {
    await checkAll(t, empty, emptyStates());
  } finally {
    await empty.end();
  }
});

test("the states of a hub with single sign-on have no layout faults", async (t) => {
  const port = await freePort();
  const idp = await IdentityProvider.start(`http://127.0.0.1:${port}`);
  const other = await Hub.start(settingsFor(idp), port);
  try {
    await checkAll(t, other, providerStates());
  } finally {
    await other.end();
    await idp.stop();
  }
});
