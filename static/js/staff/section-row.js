// One row of the section list: seats, the fields that staff edit in place, and the roster when the row is open.

import { button, h, markInvalid, put, SETTLE_MS } from "../dom.js";
import { drawSeats } from "../seat-cell.js";
import { t } from "../i18n.js";
import { meetingTexts, sectionDetails } from "../words.js";
import { sectionHistory } from "./attempt-list.js";
import { MoveEveryone } from "./move-everyone.js";
import { Roster } from "./roster.js";

const FIELDS = ["capacity", "waitlist_capacity", "status"];
const STATUSES = ["open", "closed", "cancelled"];
/** Returns the value of a number field; an empty field is "", not 0. */
const numberOf = ({ value }) => value === "" ? "" : Number(value);

export class SectionRow {
  /** `list`: the section list, which holds edits, save results and open rows by section. */
  constructor(list) {
    this.list = list;
    this.course = h("strong", { dir: "auto" });
    this.details = h("span", { class: "soft" });
    this.title = h("div", { class: "cut", dir: "auto" });
    this.head = h("button", { class: "name cut", type: "button", onclick: () => this.toggle() },
      this.course, " ", this.details, this.title);
    this.times = h("div", { class: "cut" });
    this.instructor = h("div", { class: "cut soft", dir: "auto" });
    this.seats = h("div", { class: "seats" });
    const numberField = (name) => h("input", { name, type: "number", min: 0, max: 100000, inputmode: "numeric" });
    this.inputs = {
      capacity: numberField("capacity"), waitlist_capacity: numberField("waitlist_capacity"),
      status: h("select", { name: "status" }, STATUSES.map((value) => h("option", { value }, t(`section.status.${value}`)))),
    };
    this.actions = h("div", { class: "row-actions", role: "status" });
    const onsubmit = (event) => { event.preventDefault(); list.save(this.section); };
    this.line = h("form", { class: "line", onsubmit, oninput: () => this.#edit() },
      this.head, h("div", { class: "schedule" }, this.times, this.instructor), this.seats,
      FIELDS.map((name) => h("label", null, h("span", null, t(`field.${name}`)), this.inputs[name])), this.actions);
    this.question = h("div", { class: "question", role: "group", "aria-label": t("section.confirm") });
    this.body = h("div", { class: "body" });
    this.more = h("div", { class: "more" }, this.question, this.body);
    this.el = h("li", { class: "srow" }, this.line, this.more);
  }

  /** Shows another section in this row. */
  bind(id) {
    this.section = id;
    this.close();
    if (this.list.opened.has(id)) this.open();
    this.key = "";
    const section = this.list.page.catalogue.get(id);
    put(this.course, section.course);
    put(this.details, sectionDetails(section));
    put(this.title, section.title ?? "");
    put(this.times, meetingTexts(section, true).join("; "));
    put(this.instructor, section.instructor ?? t("section.no_instructor"));
    for (const name of FIELDS) this.inputs[name].setAttribute("aria-label", t("section.field.of", { field: t(`field.${name}`), section: `${section.course} ${section.crn}` }));
    const mayEdit = this.list.page.mayEdit(id);
    for (const name of FIELDS) this.inputs[name].disabled = !mayEdit;
    this.line.title = mayEdit ? "" : t("section.limited");
    this.draw();
  }

  draw() {
    const { page, edits, results } = this.list;
    const id = this.section;
    const section = page.catalogue.get(id);
    const numbers = page.numbers(id);
    drawSeats(this.seats, { ...section, ...numbers }, section.status);
    const seats = String(Object.values(numbers));
    if (this.roster && this.shownSeats !== seats) this.roster.refresh();
    this.shownSeats = seats;
    const edit = edits.get(id);
    const result = results.get(id);
    const key = JSON.stringify([edit, result, ...FIELDS.map((name) => section[name])]);
    if (this.key === key) return;
    if (this.key) this.roster?.clearStatus?.();
    this.key = key;
    for (const name of FIELDS) {
      const value = String(edit?.[name] ?? section[name]);
      if (this.inputs[name].value !== value) this.inputs[name].value = value;
      if (result?.field === name) markInvalid(this.inputs[name], this.actions);
      else for (const one of ["aria-invalid", "aria-describedby"]) this.inputs[name].removeAttribute(one);
    }
    put(this.actions, edit && !result?.saving && [!result?.confirm && this.#saveButton(), button(t("section.undo"), () => this.list.undo(id), { class: "quiet" })],
      result?.text && h("span", { class: result.tone }, result.text));
    const answered = this.question.contains(document.activeElement) && !result?.confirm;
    put(this.question, result?.confirm && this.#questionParts(id, result.confirm));
    if (answered) this.head.focus({ preventScroll: true });
    if (result?.confirm && this.line.contains(document.activeElement)) this.question.firstChild.focus({ preventScroll: true });
  }

  /** Returns the button that submits the row. */
  #saveButton() {
    // The second click of a double click must not submit again.
    return h("button", { class: "strong", onclick: (event) => event.detail > 1 && event.preventDefault() }, t("save"));
  }

  /** Returns the effect of a change as text, and the button that confirms it, below the row in its full width. */
  #questionParts(id, { text, label, tone }) {
    const confirm = button(label, () => this.list.save(id), { class: tone, disabled: true });
    setTimeout(() => { confirm.disabled = false; }, SETTLE_MS);
    return [h("p", { tabindex: "-1" }, text), h("p", { class: "inline" }, confirm, button(t("action.keep_editing"), () => this.list.abandon(id), { class: "quiet" }))];
  }

  #edit() {
    const { edits, results, page } = this.list;
    const section = page.catalogue.get(this.section);
    const { capacity, waitlist_capacity, status } = this.inputs;
    const values = { capacity: numberOf(capacity), waitlist_capacity: numberOf(waitlist_capacity), status: status.value };
    if (FIELDS.some((name) => values[name] !== section[name])) edits.set(this.section, values);
    else edits.delete(this.section);
    results.delete(this.section);
    this.draw();
  }

  toggle() {
    if (!this.roster) return this.open();
    this.list.opened.delete(this.section);
    this.close();
  }

  close() {
    this.roster = null;
    this.head.setAttribute("aria-expanded", "false");
    put(this.body);
  }

  #facts(section) {
    return [meetingTexts(section).join("; "), section.instructor ?? t("section.no_instructor"), t("n.credits", { n: section.credits ?? 0 })];
  }

  /** Opens the row: the section's details and its roster. */
  open() {
    const { catalogue, numbers, compose, mayEdit, openStudent, termTitle } = this.list.page;
    const id = this.section;
    const section = catalogue.get(id);
    this.list.opened.add(id);
    if (!mayEdit(id)) {
      this.roster = { refresh() {} };
      this.head.setAttribute("aria-expanded", "true");
      put(this.body, h("p", null, section.title && `${section.title}. `, t("section.no_roster")));
      return;
    }
    const everyone = new MoveEveryone(this.list.page, id, () => this.roster.load?.());
    this.roster = new Roster(id, catalogue.name(id), { facts: [termTitle(section.term), section.title, ...this.#facts(section)], oncompose: compose, everyone, onstudent: openStudent, mayMove: true });
    this.head.setAttribute("aria-expanded", "true");
    const { enrolled, capacity } = numbers(id);
    const facts = [
      enrolled > capacity && t("section.over", { n: enrolled, capacity }),
      ...this.#facts(section),
      section.outside_enrolled && t("section.outside", { n: section.outside_enrolled }),
    ].filter(Boolean);
    put(this.body, h("p", null, h("strong", { dir: "auto" }, section.title ?? ""), " ", facts.map((fact) => fact.endsWith(".") ? fact : `${fact}.`).join(" ")), this.roster.el, sectionHistory(id, catalogue.name(id)));
    this.roster.load();
  }
}
