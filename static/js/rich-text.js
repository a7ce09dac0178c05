// Texts that contain elements.

import { h } from "./dom.js";
import { i18n, t } from "./i18n.js";

/** The control character that marks the place of an element in a text. */
const MARK = "\u0001";

/** Returns the text of `key` as a list, with `elements` in the places of their names, and `args` as for `t`. */
export function richText(key, elements, args = {}) {
  const marked = Object.fromEntries(Object.keys(elements).map((name) => [name, `${MARK}${name}${MARK}`]));
  return t(key, { ...args, ...marked }).split(MARK).map((part, i) => i % 2 ? elements[part] : part);
}

/** Returns a text of the hub, which is English: marked as such on a page in another language. */
export const serverText = (text) => text && i18n.language !== "en" ? h("span", { lang: "en" }, text) : text;
