// Choices with which the hub checks a file again: another sheet of a workbook, another clock.

import { button, h, put } from "../dom.js";
import { t } from "../i18n.js";

/** Puts the sheets of a workbook into a `select`. Returns whether there are several to choose from. */
export function putSheets(select, { sheet, sheets }) {
  const hasChoice = sheets?.length > 1;
  if (hasChoice) put(select, sheets.map((name) => h("option", { value: name, selected: name === sheet }, name)));
  return hasChoice;
}

/** Returns a labeled `select` with a button that calls `onchoose` with its value. */
function choice(id, label, select, action, onchoose) {
  select.id = id;
  return h("p", { class: "inline" }, h("label", { for: id }, label), " ", select, " ", button(action, () => onchoose(select.value)));
}

/**
 * Returns a choice of the sheets, or false if there is only one. `onsheet(name)` checks the file with another sheet.
 */
export function sheetChoice(state, onsheet) {
  const select = h("select");
  return Boolean(onsheet) && putSheets(select, state) && choice("import-sheet", t("columns.sheet"), select, t("columns.sheet.check"), onsheet);
}

/** The codes of warnings about times without am or pm. */
const CLOCK_CODES = ["afternoon", "afternoon_beside_marked", "early_as_written"];
const isAboutClock = ({ code }) => CLOCK_CODES.includes(code);

/**
 * Returns a choice of how times without am or pm are read, or false if the file has none that are doubtful. `clock` is
 * the present choice; `onclock(clock)` checks the file with another one.
 */
export function clockChoice({ warnings }, clock, onclock) {
  if (!onclock || !(clock || warnings.some(isAboutClock))) return false;
  const option = (value, text) => h("option", { value, selected: value === (clock ?? "") }, t(text));
  const select = h("select", null, option("", "clock.file"), option("12", "clock.12"), option("24", "clock.24"));
  return choice("import-clock", t("clock.label"), select, t("columns.retry"), onclock);
}
