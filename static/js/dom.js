// Helpers for DOM elements. Text is always inserted as text, never parsed as markup.

const PROPERTIES = new Set(["value", "checked", "disabled", "hidden", "selected", "open", "indeterminate"]);
/** A click within this time after a button has changed is meant for the earlier button. */
export const SETTLE_MS = 600;

/** Creates an element. `on…` props are listeners; the rest are attributes, or properties where only those work. */
export function h(tag, props, ...children) {
  const el = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) el.addEventListener(name.slice(2), value);
    else if (PROPERTIES.has(name)) el[name] = value;
    else el.setAttribute(name, value === true ? "" : value);
  }
  el.append(...present(children));
  return el;
}

/** Flattens nested lists of children and drops `null`, `undefined` and `false`. */
function present(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
}

/** Switches to the view of the fragment `hash`, and calls `then` once the view is shown. */
export function openView(hash, then) {
  if (location.hash === hash) return then();
  addEventListener("hashchange", then, { once: true });
  location.hash = hash;
}

/**
 * Replaces the children of `el`. Focus inside moves to `el` itself: the keyboard position is not lost, and a second
 * press of Enter does not activate a button that has just appeared.
 */
export function put(el, ...children) {
  const focused = el.contains(document.activeElement) && document.activeElement !== el;
  el.replaceChildren(...present(children));
  if (focused) {
    el.tabIndex = -1;
    el.focus({ preventScroll: true });
  }
}

/**
 * Replaces the children of `el`. Where the new ones have the same structure, the existing elements stay and only their
 * text and attributes change, so that a control does not disappear while it is being pressed or has the focus. The
 * listeners of these elements stay as well and must do the same as the new ones.
 */
export function update(el, ...children) {
  const fresh = h(el.tagName, null, children);
  const pairs = [[el, fresh]];
  for (const [old, now] of pairs) {
    const [before, after] = [[...old.childNodes], [...now.childNodes]];
    if (before.length !== after.length || before.some((node, i) => node.nodeName !== after[i].nodeName)) return put(el, ...fresh.childNodes);
    pairs.push(...before.map((node, i) => [node, after[i]]));
  }
  for (const [old, now] of pairs.slice(1)) {
    if (old.nodeType === Node.TEXT_NODE && old.data !== now.data) old.data = now.data;
    if (old.nodeType === Node.ELEMENT_NODE) copyAttributes(old, now);
  }
}

function copyAttributes(old, now) {
  for (const { name } of [...old.attributes]) if (!now.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of now.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
}

/** Returns the element with this id. */
export const $ = (id) => document.getElementById(id);

/**
 * Returns a button that ignores the second click of a double-click: by then another button may be in its place, such as
 * Drop where Register was.
 */
export const button = (label, onclick, props) =>
  h("button", { type: "button", onclick: (event) => event.detail > 1 || onclick(event), ...props }, label);

/** Returns a control with a label and an optional hint. */
export const field = (label, control, hint) =>
  h("label", { class: "field" }, h("span", null, label), control, hint && h("small", null, hint));

let errors = 0;

/** Marks a control as invalid, described by the text in `el`, until its value changes. */
export function markInvalid(control, el) {
  el.id ||= `error-${errors += 1}`;
  control.setAttribute("aria-invalid", "true");
  control.setAttribute("aria-describedby", el.id);
  control.addEventListener("input", () => ["aria-invalid", "aria-describedby"].forEach((name) => control.removeAttribute(name)), { once: true });
}

/** Returns a function that calls `fn` once, `ms` after its own last call. */
export function debounce(ms, fn) {
  let timer;
  return (...args) => {
    clearTimeout(timer);
    timer = setTimeout(() => fn(...args), ms);
  };
}

/**
 * Returns a table that scrolls sideways; each row is a list of cells. A table without links and buttons can take the
 * focus, so that the arrow keys scroll it.
 */
export function table(caption, heads, rows) {
  const el = h("div", { class: "scroll" }, h("table", null,
    caption && h("caption", null, caption),
    h("thead", null, h("tr", null, heads.map((head) => head ? h("th", { scope: "col" }, head) : h("td")))),
    h("tbody", null, rows.map((row) => h("tr", null, row.map((cell, i) => h("td", { dir: typeof cell === "string" && "auto", "data-label": heads[i] || null }, cell ?? "")))))));
  if (el.querySelector("a, button")) return el;
  for (const [name, value] of Object.entries({ tabindex: 0, role: "group", "aria-label": caption || heads.filter(Boolean).join(", ") })) el.setAttribute(name, value);
  return el;
}
