// Prints a list on a separate sheet, with all of its rows: the page shows only a part of a long list.

import { h, put, table } from "./dom.js";
import { hubNow } from "./hub-clock.js";
import { t } from "./i18n.js";
import { dateTime } from "./words.js";

/**
 * A part of the document that is empty except during printing. `desk.css` hides it on the screen, and the rest on
 * paper.
 */
const sheet = h("div", { id: "sheet" });
/** The parts of the sheet that a button prints; empty if the browser's own command is used. */
let chosen = [];

/** Returns the parts of a sheet: its title, facts about it, and its tables `{title, heads, rows}`. */
export const sheetParts = (title, facts, tables) => [
  h("h2", { dir: "auto" }, title),
  h("p", null, [...facts, t("sheet.as_of", { at: dateTime(new Date(hubNow()).toISOString()) })].filter(Boolean).join(". "), "."),
  tables.map(({ title, heads, rows }) => table(title, heads, rows)),
];

/** Prints these parts instead of the page. */
export function printSheet(parts) {
  chosen = parts;
  print();
}

/**
 * Makes the browser print a sheet from now on. `partsOf()` returns the parts for the current view, or an empty list to
 * print the page.
 */
export function setUpSheet(partsOf = () => []) {
  document.body.append(sheet);
  addEventListener("beforeprint", () => put(sheet, chosen.length ? chosen : partsOf()));
  addEventListener("afterprint", () => {
    chosen = [];
    put(sheet);
  });
}
