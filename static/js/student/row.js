// One search result: a section's course, time, instructor, seats and actions, and its details when open.

import { button, h, put } from "../dom.js";
import { i18n, t } from "../i18n.js";
import { icon } from "../icons.js";
import { drawSeats } from "../seat-cell.js";
import { componentName, date, isRemote, joinList, meetingTexts, prerequisiteText, seatsTaken, waitlistTaken } from "../words.js";

/** The ids of the rows whose details are open. */
const opened = new Set();

export class Row {
  constructor(page) {
    this.page = page;
    this.course = h("strong", { class: "course" });
    this.kind = h("span", { class: "kind" });
    this.title = h("span", { class: "title", dir: "auto" });
    this.facts = h("span", { class: "kind" });
    this.crn = h("span", { class: "kind crn" });
    this.also = h("span", { class: "also by", dir: "auto" });
    this.head = h("button", { class: "name", type: "button", onclick: () => this.#toggle() },
      h("span", { class: "names" }, this.course, " ", this.kind, " ", this.crn), h("span", { class: "titles" }, this.title, " ", this.also));
    this.when = h("div", { class: "when" });
    this.by = h("span", { class: "by", dir: "auto" });
    this.who = h("div", { class: "who" }, this.by, " ", this.facts);
    this.seats = h("div", { class: "seats" });
    this.act = h("div", { class: "act" });
    this.result = h("div", { class: "result" });
    this.details = h("div", { class: "details" });
    this.line = h("div", { class: "line" }, this.head, this.when, this.who, this.seats, this.act);
    this.more = h("div", { class: "more" }, this.result, this.details);
    this.el = h("li", { class: "row" }, this.line, this.more);
  }

  /** Shows another section. */
  bind(id) {
    this.bound = id;
    this.drawn = undefined;
    this.act.dataset.key = this.result.dataset.key = this.result.dataset.layout = "";
    this.draw();
  }

  draw() {
    const { catalogue, numbers, workspace, actions } = this.page;
    const id = this.bound;
    const section = catalogue.get(id);
    if (!section) return;
    const key = `${id} ${i18n.language}`;
    if (this.drawn !== key) {
      this.drawn = key;
      this.whoKey = undefined;
      this.#drawFixed(section);
    }
    drawSeats(this.seats, numbers(id), section.status);
    drawTaken(this.details, numbers(id));
    const conflict = workspace && actions.conflict(id);
    this.#drawWho(section, conflict);
    if (!workspace) {
      if (drawForVisitor(this.act, section, this.page)) this.#clearResult();
      return;
    }
    actions.draw(this.act, id, "row", Boolean(conflict));
    actions.drawResult(this.result, id, "row", opened.has(id));
  }

  /** Draws what does not change while the row shows this section. */
  #drawFixed(section) {
    this.course.textContent = section.course;
    // If a section has no times, the text in their place says that it is online.
    const method = isRemote(section) && section.meetings?.some((one) => one.start) && section.method;
    this.kind.textContent = [[section.section, componentName(section)].filter(Boolean).join(" "), method].filter(Boolean).join(", ");
    this.facts.textContent = t("row.facts", { crn: section.crn, n: section.credits ?? 0 });
    this.title.textContent = section.title ?? "";
    this.title.title = section.title ?? "";
    const [first] = meetingTexts(section, false);
    const more = (section.meetings?.length ?? 0) - 1;
    this.when.textContent = more > 0 ? t("section.more_times", { first, n: more }) : first;
    this.when.title = meetingTexts(section).join("; ");
    this.#drawDetails(section);
  }

  /**
   * Draws the instructor and the CRN. A conflict with the student's week takes their place, and they move beside the
   * title and the course.
   */
  #drawWho(section, conflict) {
    const isPlanned = conflict?.kind === "same" && !conflict.with.some((id) => this.page.registrations.get(id));
    const key = conflict ? `${conflict.kind} ${isPlanned} ${conflict.with}` : section.instructor ?? "";
    if (this.whoKey === key) return;
    this.whoKey = key;
    this.who.classList.toggle("careful", Boolean(conflict));
    const text = conflict && t(conflict.kind === "time" ? "section.overlaps" : isPlanned ? "section.have.planned" : "section.have", {
      sections: joinList(conflict.with.map((id) => this.page.catalogue.get(id)?.course ?? id)),
    });
    this.who.title = text ?? section.instructor ?? "";
    this.crn.textContent = conflict ? `${t("section.crn")} ${section.crn}` : "";
    this.also.textContent = conflict ? section.instructor ?? t("section.no_instructor") : "";
    put(this.by, conflict ? [icon("warn"), text] : section.instructor ?? t("section.no_instructor"));
  }

  #clearResult() {
    this.result.dataset.key = this.result.dataset.layout = this.act.dataset.layout = "";
    put(this.result);
  }

  #toggle() {
    if (!opened.delete(this.bound)) opened.add(this.bound);
    this.#drawDetails(this.page.catalogue.get(this.bound));
    if (this.page.workspace) this.page.actions.drawResult(this.result, this.bound, "row", opened.has(this.bound));
  }

  #drawDetails(section) {
    const isOpen = opened.has(section.id);
    this.head.setAttribute("aria-expanded", isOpen);
    put(this.details, isOpen && details(section, this.page));
    // Drawn again once the module with the other actions has loaded.
    if (isOpen && !this.page.more) this.page.loadMore().then((more) => more && this.bound === section.id && this.#drawDetails(section));
  }
}

/**
 * Draws into `act` a plan button that leads a visitor to the sign-in form. Signed-in users get no button. Returns
 * whether something changed.
 */
export function drawForVisitor(act, { id, status }, { user, catalogue, signInToPlan }) {
  const canPlan = user() === null && status !== "cancelled";
  const key = `visitor ${id} ${canPlan} ${i18n.language}`;
  if (act.dataset.key === key) return false;
  act.dataset.key = key;
  put(act, canPlan && button([icon("keep"), t("action.plan")], () => signInToPlan(id), { "aria-label": t("action.for", { verb: t("action.plan"), section: catalogue.name(id) }) }));
  return true;
}

const takenText = (numbers) => `${seatsTaken(numbers)}. ${waitlistTaken(numbers)}.`;

/** Draws the current seats in the details of a section, if `el` has them. */
export function drawTaken(el, numbers) {
  const at = el.querySelector(".taken");
  const text = at && takenText(numbers);
  if (at && at.textContent !== text) at.textContent = text;
}

/** Returns all details of a section. The first is its title, or nothing. */
export function details(section, { catalogue, finder, more }) {
  const dates = (one) => one.starts_on && one.ends_on ? `, ${t("section.dates", { from: date(one.starts_on), to: date(one.ends_on) })}` : "";
  const meetings = section.meetings ?? [];
  const times = meetingTexts(section).map((text, i) => h("div", null, text, meetings[i] && dates(meetings[i])));
  const pair = (label, value) => value !== null && value !== undefined && value !== "" && value?.length !== 0 && h("div", null, h("dt", null, t(label)), h("dd", null, value));
  return [
    section.title && h("p", { dir: "auto" }, h("strong", null, section.title)),
    h("dl", null,
      pair("section.meets", times),
      pair("section.instructor", h("span", { dir: "auto" }, section.instructor ?? t("section.no_instructor"))),
      pair("section.crn", section.crn),
      pair("section.credits.label", String(section.credits ?? 0)),
      pair("section.format", [section.method, section.campus].filter(Boolean).join(", ")),
      pair("section.prerequisites", section.prerequisites && prerequisiteText(section.prerequisites)),
      pair("section.linked", section.linked?.length ? joinList(section.linked.map((id) => catalogue.name(id))) : null),
      pair("section.seats", h("span", { class: "taken" }, takenText(catalogue.numbers(section.id))))),
    h("p", { class: "inline no-print" }, button(t("find.course", { course: section.course }), () => finder.find(section.course), { class: "quiet" }), more?.actions(section)),
  ];
}
