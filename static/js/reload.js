// Loads a page again in another language, with what the user has entered in its forms.

import { rememberLanguage } from "./i18n.js";

const KEY = "eduhub.forms";
/** What browsers do not let a page fill in, and what it must not store. */
const NOT_STORED = ["file", "password", "submit", "button", "reset"];

/** The named fields of the forms that have an id. */
const fields = () => [...document.querySelectorAll("form[id]")].flatMap((form) =>
  [...form.elements].filter(({ name, type }) => name && !NOT_STORED.includes(type)).map((el) => ({ form, el })));

const isChoice = ({ type }) => ["checkbox", "radio"].includes(type);

/** Stores the language and the fields, and loads the page again. */
export function reloadIn(language) {
  rememberLanguage(language);
  const values = fields().map(({ form, el }) => [form.id, el.name, isChoice(el) ? el.value : null, isChoice(el) ? el.checked : el.value]);
  try { sessionStorage.setItem(KEY, JSON.stringify({ path: location.pathname, values })); } catch { /* Storage is unavailable: the forms are empty after the reload. */ }
  location.reload();
}

/** Fills in what `reloadIn` has stored, once. Each changed form gets the event `input` of its fields. */
export function restoreForms() {
  let stored;
  try {
    stored = JSON.parse(sessionStorage.getItem(KEY));
    sessionStorage.removeItem(KEY);
  } catch { /* Storage is unavailable. */ }
  if (stored?.path !== location.pathname) return;
  for (const [id, name, option, value] of stored.values) {
    for (const { form, el } of fields()) {
      if (form.id !== id || el.name !== name || (isChoice(el) && el.value !== option)) continue;
      const property = isChoice(el) ? "checked" : "value";
      if (el[property] === value) continue;
      el[property] = value;
      el.dispatchEvent(new Event("input", { bubbles: true }));
    }
  }
}
