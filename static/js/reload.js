// Keeps what the user has entered in the forms of a page: while the page is loaded again in another language, and while
// the tab shows another page. The forms with `data-kept` are kept in both cases, other forms with an id in the first
// one.

import { contentsOf, fillIn } from "./forms.js";
import { rememberLanguage } from "./i18n.js";

const KEY = "eduhub.forms";
/** The user whose entries the forms contain; null before the first one. */
let owner = null;
let isReloading = false;

/** Returns the id of a form. A field named `id` hides the property. */
const idOf = (form) => form.getAttribute("id");

/** Returns the stored entries, by the path of their page: `{user, forms: {ID: CONTENTS}}`. */
function storedEntries() {
  try { return JSON.parse(sessionStorage.getItem(KEY)) ?? {}; } catch { return {}; }
}

function storeEntries(all) {
  try { sessionStorage.setItem(KEY, JSON.stringify(all)); } catch { /* Storage is unavailable: the forms are empty when the page is opened again. */ }
}

/** Shows the page in another language by loading it again. */
export function reloadIn(language) {
  rememberLanguage(language);
  isReloading = true;
  location.reload();
}

addEventListener("pagehide", () => {
  if (!owner) return;
  const forms = [...document.querySelectorAll(isReloading ? "form[id]" : "form[id][data-kept]")];
  storeEntries({ ...storedEntries(), [location.pathname]: { user: owner, forms: Object.fromEntries(forms.map((form) => [idOf(form), contentsOf(form)])) } });
});

/** Returns whether the form with this id was open when this user left the page. */
export const wasOpen = (id, { username }) => {
  const { user, forms } = storedEntries()[location.pathname] ?? {};
  return user === username && Boolean(forms[id]);
};

/** Fills in the entries that this user made before leaving the page. Those of another user are discarded. */
export function restoreForms({ username }) {
  if (owner && owner !== username) for (const form of document.querySelectorAll("form[data-kept]")) form.reset();
  owner = username;
  const { [location.pathname]: page, ...others } = storedEntries();
  storeEntries(others);
  if (page?.user !== username) return;
  for (const form of document.querySelectorAll("form[id]")) if (page.forms[idOf(form)]) fillIn(form, page.forms[idOf(form)]);
}
