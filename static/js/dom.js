// Elements without a template language: text is always text, never markup.

const PROPERTIES = new Set(["value", "checked", "disabled", "hidden", "selected", "open", "indeterminate"]);
/** For so long a press on a button that has just become another one is not meant for it: a double-click is one press. */
export const SETTLE_MS = 600;

/** Makes an element: `on…` are listeners, the rest are attributes (or properties where only those work). */
export function h(tag, props, ...children) {
  const el = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) el.addEventListener(name.slice(2), value);
    else if (PROPERTIES.has(name)) el[name] = value;
    else el.setAttribute(name, value === true ? "" : value);
  }
  el.append(...solid(children));
  return el;
}

function solid(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
}

/**
 * Replaces what is in `el`. Focus that was inside goes to `el` itself, so that a keyboard stays where it was and a
 * second press of Enter does not hit a button that has just appeared.
 */
export function put(el, ...children) {
  const focused = el.contains(document.activeElement) && document.activeElement !== el;
  el.replaceChildren(...solid(children));
  if (focused) {
    el.tabIndex = -1;
    el.focus({ preventScroll: true });
  }
}

/**
 * Makes `el` say what `fresh`, a list of new children, says. Where only words differ, the elements that are there stay: a
 * button that is being pressed does not go away under the finger. What the buttons do must be the same.
 */
export function reword(el, fresh) {
  const wanted = h(el.tagName, null, fresh);
  const pairs = [[el, wanted]];
  for (const [old, now] of pairs) {
    if (old.childNodes.length !== now.childNodes.length) return put(el, fresh);
    for (const [i, node] of [...old.childNodes].entries()) {
      if (node.nodeName !== now.childNodes[i].nodeName) return put(el, fresh);
      pairs.push([node, now.childNodes[i]]);
    }
  }
  for (const [old, now] of pairs) if (old.nodeType === Node.TEXT_NODE && old.data !== now.data) old.data = now.data;
}

/** The element with this id. */
export const $ = (id) => document.getElementById(id);

/**
 * A button that says what it does. The second half of a double click is no press of its own: what stands there by then
 * may be another button, such as Drop where Register was.
 */
export const button = (label, onclick, props) =>
  h("button", { type: "button", onclick: (event) => event.detail > 1 || onclick(event), ...props }, label);

/** A labelled control. */
export const field = (label, control, hint) =>
  h("label", { class: "field" }, h("span", null, label), control, hint && h("small", null, hint));

/** Calls `fn` once, `ms` after the last call. */
export function later(ms, fn) {
  let timer;
  return (...args) => {
    clearTimeout(timer);
    timer = setTimeout(() => fn(...args), ms);
  };
}

/** A table with a caption; each row is a list of cells. */
export function table(caption, heads, rows) {
  return h("div", { class: "scroll" }, h("table", null,
    caption && h("caption", null, caption),
    h("thead", null, h("tr", null, heads.map((head) => head ? h("th", { scope: "col" }, head) : h("td")))),
    h("tbody", null, rows.map((row) => h("tr", null, row.map((cell) => h("td", null, cell ?? "")))))));
}
