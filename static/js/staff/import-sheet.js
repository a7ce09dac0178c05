// The choice of another sheet of a workbook, below the report of its check.

import { button, h } from "../dom.js";

/** Returns a choice of the sheets, or false if there is only one. `onsheet(name)` checks the file with another sheet. */
export function sheetChoice({ sheet, sheets }, onsheet) {
  if (!onsheet || !(sheets?.length > 1)) return false;
  const select = h("select", { id: "import-sheet" }, sheets.map((name) => h("option", { value: name, selected: name === sheet }, name)));
  return h("p", { class: "inline" }, h("label", { for: "import-sheet" }, "Sheet with the schedule"), " ", select, " ",
    button("Check this sheet", () => onsheet(select.value)));
}
