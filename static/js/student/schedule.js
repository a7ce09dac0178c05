// "My schedule": the week, its conflicts, the credits, and a row for each section that is planned or registered.

import { $, h, put } from "../dom.js";
import { i18n, onLanguage, t } from "../i18n.js";
import { icon } from "../icons.js";
import { drawSeats } from "../seat-cell.js";
import { componentName, joinList, meetingTexts } from "../words.js";
import { CalendarLinks } from "./calendar.js";
import { Choices } from "./choices.js";
import { sameComponent } from "./conflicts.js";
import { orderTexts, waitTexts } from "./wait-choices.js";
import { conflictTexts, drawWeek } from "./week.js";

export class Schedule {
  #rows = new Map();
  #order = [];
  #week = "";

  /** `page`: see main.js. */
  constructor(page) {
    this.page = page;
    $("print").addEventListener("click", () => print());
    this.calendar = new CalendarLinks();
    onLanguage(() => { this.#rows.clear(); this.#week = ""; });
  }

  /** Removes the rows, for another student or term. */
  clear() {
    this.#order = [];
    this.calendar.close();
    this.#rows.clear();
  }

  draw() {
    const { page } = this;
    const term = page.terms.current;
    $("schedule").hidden = !term;
    if ($("schedule").hidden) return;
    const ids = this.#shown(term.id);
    fill($("schedule-rows"), ids.map((id) => this.#row(id)));
    $("schedule-loading").hidden = ids.length > 0 || page.workspace.isLoaded;
    $("schedule-empty").hidden = ids.length > 0 || !page.workspace.isLoaded;
    // The text names the button that the rows have now.
    if (!ids.length) put($("schedule-empty").lastChild, page.terms.phase() !== "over" && t(page.terms.open ? "schedule.none.open" : "schedule.none.hint"));
    $("print").hidden = ids.length === 0;
    $("calendar").hidden = ids.length === 0;
    this.#drawWeek();
    this.#drawCredits(term);
    put($("print-title"), t("schedule.of", { name: page.user().name || page.user().username, term: term.title || term.id }));
  }

  /**
   * Returns the ids to show. Rows keep their order while the page is open, and a dropped section stays until its result
   * is removed.
   */
  #shown(term) {
    const { page } = this;
    const current = page.workspace.week();
    // The frame about a drop may arrive before the response that has its result.
    const kept = this.#order.filter((id) => current.includes(id) || page.registrations.pending(id) || ["drop.done", "change.lapsed", "change.replaced"].includes(page.registrations.result(id)?.message));
    this.#order = [...kept.filter((id) => id.startsWith(`${term}-`)), ...current.filter((id) => !kept.includes(id))];
    return this.#order;
  }

  #drawWeek() {
    const { catalogue, registrations, workspace } = this.page;
    const sections = workspace.week().map((id) => catalogue.get(id)).filter((one) => one && one.status !== "cancelled");
    // The choices of a waitlist position decide which sections conflict. They can arrive after its status.
    const state = ({ id }) => { const one = registrations.get(id); return [id, one?.status, one?.any_of, one?.drop].join(" "); };
    const key = `${sections.map(state)} ${i18n.language}`;
    if (this.#week === key) return;
    this.#week = key;
    const conflicts = drawWeek($("week"), sections, (id) => registrations.get(id));
    put($("conflicts"), conflictTexts(conflicts, catalogue.name).map((text) => h("li", { class: "careful" }, icon("warn"), h("span", null, text))));
    const untimed = sections.filter((one) => !one.meetings?.some((meeting) => meeting.start));
    put($("untimed"), untimed.length > 0 && t("schedule.untimed", { list: joinList(untimed.map((one) => `${one.course} ${componentName(one)}`.trim())) }));
  }

  #drawCredits(term) {
    const { catalogue, registrations, workspace } = this.page;
    const limit = term.mine?.credit_limit;
    const enrolled = registrations.credits(term.id);
    const all = enrolled + workspace.planned().reduce((sum, id) => sum + (catalogue.get(id)?.credits ?? 0), 0);
    const text = limit ? t("schedule.credits", { n: enrolled, limit }) : t("schedule.credits.free", { n: enrolled });
    const over = limit && all > limit;
    put($("credits"), registrations.isLoaded && [text, all !== enrolled && h("span", { class: over ? "careful" : null }, `, ${t("schedule.credits.plan", { n: all })}`)]);
    put($("credits-over"), over && [icon("warn"), h("span", null, t("schedule.credits.over", { limit }))]);
  }

  /** Names the sections of the same class that the student has, beside a planned one without another result. */
  #drawHave({ have, result, check }, section) {
    const { catalogue, plan, registrations, workspace } = this.page;
    const isOpen = section && plan.has(section.id) && !registrations.get(section.id) && !result.childElementCount && !check.childElementCount;
    const others = isOpen ? workspace.week().filter((id) => registrations.get(id)).map((id) => catalogue.get(id)) : [];
    const same = others.filter((other) => other && other.status !== "cancelled" && sameComponent(section, other));
    const text = same.length ? t("section.have", { sections: joinList(same.map((other) => catalogue.name(other.id))) }) : "";
    if (have.dataset.key === text) return;
    have.dataset.key = text;
    put(have, text ? h("p", { class: "careful" }, icon("warn"), text) : null);
  }

  #row(id) {
    const { page } = this;
    const { catalogue, actions, numbers } = page;
    const section = catalogue.get(id);
    let row = this.#rows.get(id);
    if (!row || row.section !== section) {
      const parts = { seats: h("div", { class: "seats" }), act: h("div", { class: "act" }), chosen: h("div", { class: "result chosen" }), result: h("div", { class: "result" }), have: h("div", { class: "result have" }), check: h("div", { class: "result judged" }), choices: new Choices(page, id) };
      const el = h("li", { class: "schedule-row" },
        h("div", { class: "what" }, h("strong", null, section?.course ?? id), " ", h("span", { class: "kind" }, section && [section.section, componentName(section)].filter(Boolean).join(" ")),
          h("span", { class: "print-inline" }, `, ${t("week.planned")}`)),
        h("div", { class: "title", dir: "auto" }, section?.title ?? ""), h("div", { class: "when" }, section ? meetingTexts(section, true).map((text) => h("div", null, text)) : ""),
        section && h("div", { class: "print-line" }, printedDetails(section)), parts.seats, parts.act, parts.chosen, parts.have, parts.result, parts.check, parts.choices.el);
      this.#rows.set(id, row = { ...parts, el, section });
    }
    if (section) drawSeats(row.seats, numbers(id), section.status);
    const registration = this.page.registrations.get(id);
    row.el.dataset.kind = registration?.status ?? (this.page.plan.has(id) ? "planned" : "dropped");
    actions.draw(row.act, id, "schedule");
    actions.drawResult(row.result, id, "schedule");
    const chosen = orderTexts(registration, page.terms.current).concat(waitTexts(registration, catalogue.name));
    if (row.chosen.dataset.key !== chosen.join()) {
      row.chosen.dataset.key = chosen.join();
      put(row.chosen, chosen.map((text) => h("p", null, text)));
    }
    page.planCheck.drawResult(row.check, id);
    this.#drawHave(row, section);
    row.choices.draw();
    return row.el;
  }
}

/** Returns what a printed schedule needs besides times: CRN, instructor and credits. */
function printedDetails({ crn, instructor, credits }) {
  return [`${t("section.crn")} ${crn}`, instructor ?? t("section.no_instructor"), t("schedule.credits.free", { n: credits ?? 0 })].join(", ");
}

/** Makes `items` the children of `el`, in order. Elements that are in place are not moved. */
function fill(el, items) {
  for (const child of [...el.children]) if (!items.includes(child)) child.remove();
  items.forEach((item, i) => el.children[i] !== item && el.insertBefore(item, el.children[i] ?? null));
}
