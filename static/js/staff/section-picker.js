// A field that finds a section of the term that is shown, with a button beside each section found.

import { button, debounce, field, h, put } from "../dom.js";
import { t } from "../i18n.js";
import { meetingTexts, seatStatus, sectionDetails } from "../words.js";

const TYPING_MS = 80;
/** Sections shown; further words narrow the search down. */
const FOUND_MAX = 8;

/**
 * Returns the field. `page`: see staff.js. `choose(id)` is called for the section whose button, named `verb`, was
 * pressed. `first` is the initial search text, if it finds any section.
 */
export function sectionPicker(page, { label, verb, choose, without = () => false, first = "" }) {
  const input = h("input", { type: "text", inputmode: "search", autocomplete: "off", spellcheck: "false" });
  const list = h("ul", { class: "lines", role: "list" });
  const status = h("p", { class: "none", role: "status" });
  let drawn = "";
  const search = () => {
    const q = input.value.trim();
    // The search that follows Enter must not replace the button that Enter has focused.
    const key = `${q} ${page.term()} ${page.catalogue.size}`;
    if (drawn === key) return;
    drawn = key;
    if (!q) return put(list), put(status);
    const ids = page.catalogue.search({ q, subject: "", days: [], open: false, order: "course" }).filter((id) => !without(id));
    put(list, ids.slice(0, FOUND_MAX).map((id) => {
      const el = item(page, id, verb, () => {
        // The next step is shown below the chosen section. The next search shows the other sections again.
        drawn = "";
        put(status);
        for (const other of [...list.children]) if (other !== el) other.remove();
        choose(id);
      });
      return el;
    }));
    put(status, ids.length > FOUND_MAX ? t("student.sections.more", { n: FOUND_MAX }) : !ids.length && t("student.sections.none"));
  };
  input.addEventListener("input", debounce(TYPING_MS, search));
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    search();
    list.querySelector("button:not(:disabled)")?.focus();
  });
  input.value = first;
  search();
  if (!list.children.length) {
    input.value = "";
    search();
  }
  return h("div", { class: "picker narrow" }, field(label, input, t("student.sections.hint")), status, list);
}

function item(page, id, verb, choose) {
  const section = page.catalogue.get(id);
  const mayEdit = page.mayEdit(id);
  const seats = seatStatus({ ...section, ...page.numbers(id) }, section.status);
  const press = button(verb, () => choose(id), { disabled: !mayEdit, "aria-label": t("action.for", { verb, section: page.nameOf(id) }) });
  return h("li", { class: "choice" }, h("div", null, h("strong", { dir: "auto" }, section.course), " ", sectionDetails(section),
    h("small", null, meetingTexts(section, true).join("; ")), h("small", { class: seats.tone }, seats.text),
    !mayEdit && h("small", { class: "careful" }, t("section.limited"))), press);
}
