// The language of the page: its texts, and dates and numbers in the reader's format.

const KEY = "eduhub.language";
/**
 * The languages that this page has texts in, from `data-languages`; English alone by default. `data-words` names the
 * folders of texts that not all pages have.
 */
export const languages = (document.documentElement.dataset.languages ?? "en").split(" ");

/** The folders of texts besides those that all pages have. */
const folders = new Set(document.documentElement.dataset.words?.split(" "));

/** The name of each language, in that language. */
export const LANGUAGE_NAMES = { en: "English", es: "Español" };

/** A promise for each folder that `addTexts` has added. */
const added = new Map();

let texts = {};
/** The language that was chosen last; its texts may still be loading. */
let chosen;
let rules;
let zone;
const listeners = [];

/** The current language, and the locale for dates and numbers. */
export const i18n = { language: "en", locale: "en" };

/** Returns the text of `key` with its `{placeholders}` filled in. Where it has several forms, `n` chooses one. */
export function t(key, args = {}) {
  let text = texts[key];
  if (text === undefined) return key;
  if (typeof text === "object") text = text[args.n === 0 && text.zero ? "zero" : rules.select(args.n ?? 0)] ?? text.other;
  const filled = text.replace(/\{(\w+)\}/g, (_, name) => typeof args[name] === "number" ? number(args[name]) : args[name] ?? "");
  // A value such as `p.m.` may end with the period that the sentence ends with.
  return oneOClock(filled.replace(/([^.])\.\.(?!\.)/g, "$1."));
}

/**
 * Corrects the article before one o'clock in Spanish: `a las 2:05`, but `a la 1:05`. The hour is known only with the
 * values.
 */
const oneOClock = (text) => i18n.language === "es" ? text.replace(/\b([Ll])as (?=0?1:\d)/g, "$1a ") : text;

/** Formats a number. Whole numbers below 1,000 look the same in every locale and skip the slow formatter. */
export function number(n, options) {
  if (!options && Number.isInteger(n) && n >= 0 && n < 1000) return String(n);
  const key = `number ${i18n.locale} ${options ? JSON.stringify(options) : ""}`;
  if (!formats.has(key)) formats.set(key, new Intl.NumberFormat(i18n.locale, options));
  return formats.get(key).format(n);
}

/** Returns whether there is a text of this key. */
export const has = (key) => key in texts;

/** Loads the texts of `language` and fills in the page again. With `remember`, the next visit starts in it. */
export async function setLanguage(language, { remember = false } = {}) {
  chosen = language;
  const loading = loadTexts();
  // The first formatter of a page takes ten times as long as the others, so it is created while the texts load.
  setTimeout(() => new Intl.DateTimeFormat(localeFor(language), { weekday: "short", timeZone: "UTC" }));
  await loading;
  rules = new Intl.PluralRules(chosen);
  i18n.language = chosen;
  i18n.locale = localeFor(chosen);
  document.documentElement.lang = chosen;
  if (remember) rememberLanguage(chosen);
  translate(document);
  for (const listener of listeners) listener(chosen);
}

/**
 * Loads the texts of `folder` as well, now and in other languages. Until it resolves, these texts are missing. The
 * markup must not use them.
 */
export function addTexts(folder) {
  if (!added.has(folder)) {
    folders.add(folder);
    added.set(folder, loadTexts().catch((error) => {
      folders.delete(folder);
      added.delete(folder);
      throw error;
    }));
  }
  return added.get(folder);
}

/** Loads all texts of the chosen language; again if the language or the folders change in the meantime. */
async function loadTexts() {
  const [language, all] = [chosen, ["", ...folders]];
  const tables = await Promise.all(all.map((folder) => import(`./words/${folder && `${folder}/`}${language}.js`)));
  if (language !== chosen || all.length !== folders.size + 1) return loadTexts();
  texts = Object.assign({}, ...tables.map((table) => table.default));
}

/**
 * Returns the reader's own locale of `language`; else the language in the reader's region, such as `es-US` for `en-US`.
 */
function localeFor(language) {
  const region = navigator.languages.map((one) => new Intl.Locale(one).region).find(Boolean);
  return navigator.languages.find((one) => one.startsWith(`${language}-`)) ?? (region ? `${language}-${region}` : language);
}

/** Starts the next visit in `language`; without storage, only until this tab shows another page. */
export function rememberLanguage(language) {
  try { localStorage.setItem(KEY, language); } catch { history.replaceState({ language }, ""); }
}

/** Calls `listener` after each change of language. */
export const onLanguage = (listener) => listeners.push(listener);

/** Fills in the texts of the markup: `data-t` is an element's text, `data-t-label` and `data-t-hint` are attributes. */
export function translate(root) {
  for (const el of root.querySelectorAll("[data-t]")) el.textContent = t(el.dataset.t);
  for (const el of root.querySelectorAll("[data-t-label]")) el.setAttribute("aria-label", t(el.dataset.tLabel));
  for (const el of root.querySelectorAll("[data-t-hint]")) el.placeholder = t(el.dataset.tHint);
  const title = root.querySelector("title");
  if (title?.dataset.t) document.title = t(title.dataset.t);
}

/** Shows times in the college's zone (an IANA name) from now on. */
export function setZone(name) {
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    zone = name;
    formats.clear();
  } catch { /* This browser does not know the zone, so times stay in the browser's own. */ }
}

const formats = new Map();

/** Returns a date formatter for the college's zone. Creating one is slow, so formatters are cached. */
export function format(options, timeZone = zone) {
  const key = `${i18n.locale} ${timeZone} ${JSON.stringify(options)}`;
  if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat(i18n.locale, { timeZone, ...options }));
  return formats.get(key);
}

function preferred() {
  let remembered;
  try { remembered = localStorage.getItem(KEY); } catch { /* Storage is unavailable. */ }
  const candidates = [history.state?.language, remembered, ...navigator.languages.map((one) => one.split("-")[0])];
  return candidates.find((one) => languages.includes(one)) ?? languages[0];
}

await setLanguage(preferred());
