// Languages: which one is spoken, its catalogue of words, and dates as its readers write them.

const KEY = "eduhub.language";
/** The languages that this page has catalogues for; a page that names none speaks English. */
export const offered = (document.documentElement.dataset.languages ?? "en").split(" ");

let words = {};
let rules;
let zone;
const heard = [];

/** The language that is spoken, and the locale for dates and numbers. */
export const now = { language: "en", locale: "en" };

/** The sentence of this key, with what is in braces filled in. One with a `one` and an `other` form goes by `n`. */
export function t(key, args = {}) {
  let text = words[key];
  if (text === undefined) return key;
  if (typeof text === "object") text = text[args.n === 0 && text.zero ? "zero" : rules.select(args.n ?? 0)] ?? text.other;
  const filled = text.replace(/\{(\w+)\}/g, (_, name) => typeof args[name] === "number" ? number(args[name]) : args[name] ?? "");
  // What is filled in may end as the sentence does: `p.m.`
  return filled.replace(/([^.])\.\.(?!\.)/g, "$1.");
}

/** A number as its readers write it; small whole ones look the same everywhere, and are many. */
function number(n) {
  if (Number.isInteger(n) && n >= 0 && n < 1000) return String(n);
  const key = `number ${now.locale}`;
  if (!formats.has(key)) formats.set(key, new Intl.NumberFormat(now.locale));
  return formats.get(key).format(n);
}

/** Whether there is a sentence of this key. */
export const has = (key) => key in words;

/** Speaks another language from now on, and remembers it when it was `chosen`. */
export async function speak(language, { chosen = false } = {}) {
  words = (await import(`./words/${language}.js`)).default;
  rules = new Intl.PluralRules(language);
  now.language = language;
  now.locale = navigator.languages.find((one) => one.split("-")[0] === language) ?? language;
  document.documentElement.lang = language;
  if (chosen) try { localStorage.setItem(KEY, language); } catch { /* Not kept. */ }
  translate(document);
  for (const handler of heard) handler(language);
}

/** Calls `handler` whenever another language is spoken. */
export const onLanguage = (handler) => heard.push(handler);

/** Fills in what the page itself says: `data-t` is text, `data-t-label` and `data-t-hint` are attributes. */
export function translate(root) {
  for (const el of root.querySelectorAll("[data-t]")) el.textContent = t(el.dataset.t);
  for (const el of root.querySelectorAll("[data-t-label]")) el.setAttribute("aria-label", t(el.dataset.tLabel));
  for (const el of root.querySelectorAll("[data-t-hint]")) el.placeholder = t(el.dataset.tHint);
  const title = root.querySelector("title");
  if (title?.dataset.t) document.title = t(title.dataset.t);
}

/** Tells times in the college's zone (an IANA name) from now on. */
export function setZone(name) {
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    zone = name;
    formats.clear();
  } catch { /* A zone that this browser does not know: its own is better than none. */ }
}

const formats = new Map();

/** A formatter of moments in the college's zone; making one is slow, so each is kept. */
export function format(options, ofZone = zone) {
  const key = `${now.locale} ${ofZone} ${JSON.stringify(options)}`;
  if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat(now.locale, { timeZone: ofZone, ...options }));
  return formats.get(key);
}

function preferred() {
  let kept;
  try { kept = localStorage.getItem(KEY); } catch { /* Not kept. */ }
  const wanted = [kept, ...navigator.languages.map((one) => one.split("-")[0])];
  return wanted.find((one) => offered.includes(one)) ?? offered[0];
}

await speak(preferred());
