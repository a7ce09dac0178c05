// Takes pictures of every state of every page, at five widths, light and dark, for review and for the README. With
// arguments, only of the states whose names begin with one of them; with `readme`, those of the README.

import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { IdentityProvider, settingsFor } from "./provider.mjs";
import { college, emptyStates, providerStates, states } from "./states.mjs";
import { browser, freePort, Hub, open } from "./support.mjs";

const ROOT = path.resolve(import.meta.dirname, "../..");
const ALL = path.join(ROOT, "target/pictures");
const README = path.join(ROOT, "docs/pictures");
const SIZES = [[390, 844], [768, 1024], [1024, 768], [1280, 800], [1920, 1080]];
/** A page that is taller than this, in pixels, is shown only as far as the window reaches. */
const HEIGHT_MAX = 6_000;
/** The states that are shown in Spanish, too. */
const SPANISH = ["visitor", "answers", "student", "alerts", "staff", "staff-roster", "staff-student", "staff-receipts", "staff-terms", "admin", "admin-people", "admin-demo", "account", "problems"];
const PREFIXES = process.argv.length > 2 ? process.argv.slice(2) : [""];
const isWanted = ({ name, readme }) => PREFIXES.some((prefix) => prefix === "readme" ? readme : name.startsWith(prefix));

mkdirSync(ALL, { recursive: true });
mkdirSync(README, { recursive: true });

/**
 * Takes the README's picture of a state: of the window, or of the whole page if `picture` of the state names the
 * picture.
 */
async function takeForReadme(page, { name, picture }, [width, height]) {
  const whole = page.viewportSize();
  if (!picture) await page.setViewportSize({ width, height });
  await page.screenshot({ path: path.join(README, `${picture ?? name}.png`) });
  await page.setViewportSize(whole);
}

async function shoot(page, state, name) {
  for (const [width, height] of SIZES) {
    await page.setViewportSize({ width, height });
    // The window of a picture is as high as the page, so that elements fixed to its edges cover nothing.
    const whole = Math.max(height, await page.evaluate(() => document.documentElement.scrollHeight));
    if (whole <= HEIGHT_MAX && !state.shown) await page.setViewportSize({ width, height: whole });
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      await state.shown?.(page, width);
      await page.mouse.move(0, 0);
      // After two frames, the page has drawn the parts that depend on its size.
      if (state.how?.javaScriptEnabled !== false) await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
      await page.screenshot({ path: path.join(ALL, `${name}-${width}-${colorScheme}.png`) });
      if (name === state.name && state.readme?.[0] === width && state.readme[1] === colorScheme) await takeForReadme(page, state, [width, height]);
    }
  }
}

/**
 * Opens a state in a language and calls `use(page)`. A state that cannot be reached is reported, and the run continues.
 */
async function reach(chrome, hub, state, locale, use) {
  const how = { ...state.how, locale, width: SIZES[0][0], height: SIZES[0][1] };
  const page = await (state.page ? state.page(how) : open(chrome, hub, state.where, how));
  try {
    await state.ready(page);
    await use(page);
  } catch (error) {
    process.exitCode = 1;
    console.error(`${state.name} (${locale}): ${error.message}`);
    await page.screenshot({ path: path.join(ALL, `failed-${state.name}.png`) });
  } finally {
    await page.context().close();
  }
}

/**
 * Takes the pictures of these states. The changes to the hub around a state are made even if it is not shown, and a
 * state that a shown one needs is reached.
 */
async function take(chrome, hub, list) {
  for (const state of list) {
    await state.before?.();
    if (isWanted(state)) {
      const locales = ["en-US", ...(SPANISH.includes(state.name) ? ["es-MX"] : [])];
      for (const locale of locales) await reach(chrome, hub, state, locale, (page) => shoot(page, state, locale === "en-US" ? state.name : `${state.name}-es`));
    } else if (list.some((other) => isWanted(other) && other.needs === state.name)) {
      await reach(chrome, hub, state, "en-US", () => {});
    }
    await state.after?.();
  }
}

/** Keeps the hub busy, which its charts show, until `signal` is aborted. */
async function work(hub, { items }, signal) {
  const some = items.filter(({ open }) => open > 0).slice(40, 58);
  for (let at = 0; !signal.aborted; at += 1) {
    const { id } = some[at % some.length];
    // On a busy machine a request may be sent just as its connection is closed. The next one uses a new connection.
    for (const verb of ["PUT", "DELETE"]) await hub.ask("student2", verb, `/api/v1/me/registrations/${id}`).catch(() => {});
    await wait(250 + 150 * (at % 4));
  }
}

/** The time that the charts show. For a picture of the administration page, the script waits this long. */
const CHARTS_MS = 10 * 60_000;

/** Takes the pictures of a hub with the demonstration college. Those of the charts wait until the charts are full. */
async function takeCollege(chrome, hub) {
  const data = await college(hub);
  const begun = Date.now(), stop = new AbortController();
  const working = work(hub, data, stop.signal);
  const viewers = await Promise.all([["student", "/"], ["student2", "/"], ["staff", "/staff"], [undefined, "/"]].map(([user, where]) => open(chrome, hub, where, { user })));
  const all = states(hub, chrome, data);
  const isLast = ({ name }) => /^admin|^demonstration/.test(name);
  await take(chrome, hub, all.filter((state) => !isLast(state)));
  if (all.some((state) => state.name === "admin" && isWanted(state))) await wait(Math.max(0, begun + CHARTS_MS - Date.now()));
  stop.abort();
  await working;
  await take(chrome, hub, all.filter(isLast));
  await Promise.all(viewers.map((page) => page.context().close()));
}

const chrome = await browser();
const hubs = [];
const started = async (starting) => {
  hubs.push(await starting);
  return hubs.at(-1);
};
let idp;
try {
  if (emptyStates().some(isWanted)) await take(chrome, await started(Hub.startEmpty()), emptyStates());
  if (providerStates().some(isWanted)) {
    const port = await freePort();
    idp = await IdentityProvider.start(`http://127.0.0.1:${port}`);
    await take(chrome, await started(Hub.start(settingsFor(idp), port)), providerStates());
  }
  await takeCollege(chrome, await started(Hub.start()));
} finally {
  await chrome.close();
  await idp?.stop();
  await Promise.all(hubs.map((hub) => hub.end()));
}

// The page that shows all pictures of a state side by side.
const names = [...new Set(readdirSync(ALL).filter((one) => one.endsWith(".png")).map((one) => one.replace(/-\d+-(light|dark)\.png$/, "")))];
const figures = (name) => ["light", "dark"].flatMap((scheme) => SIZES.map(([width]) => `<a href="${name}-${width}-${scheme}.png"><img loading="lazy" width="${width / 5}" src="${name}-${width}-${scheme}.png" alt="${width} px, ${scheme}"></a>`)).join(" ");
writeFileSync(path.join(ALL, "index.html"), `<!doctype html><meta charset="utf-8"><title>Pictures of all states</title>${names.map((name) => `<h2 id="${name}">${name}</h2>${figures(name)}`).join("\n")}\n`);
