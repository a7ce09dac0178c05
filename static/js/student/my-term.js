// "My term": the week, what clashes in it, the credits, and one line for each section that is planned or held.

import { $, h, put } from "../dom.js";
import { now, onLanguage, t } from "../i18n.js";
import { icon } from "../icons.js";
import { drawSeats } from "../seat-cell.js";
import { kind, listed, meetings } from "../words.js";
import { clashWords, drawWeek } from "./week.js";

export class MyTerm {
  #lines = new Map();
  #order = [];
  #week = "";

  /** `page`: see main.js. */
  constructor(page) {
    this.page = page;
    $("print").addEventListener("click", () => print());
    onLanguage(() => { this.#lines.clear(); this.#week = ""; });
  }

  /** Another student, or another term. */
  forget() {
    this.#order = [];
    this.#lines.clear();
  }

  draw() {
    const { page } = this;
    const term = page.terms.current;
    $("mine").hidden = !term;
    if ($("mine").hidden) return;
    const ids = this.#shown(term.id);
    fill($("lines"), ids.map((id) => this.#line(id)));
    $("mine-none").hidden = ids.length > 0;
    $("print").hidden = ids.length === 0;
    this.#drawWeek();
    this.#drawCredits(term);
    put($("print-title"), t("mine.schedule_of", { name: page.user().name || page.user().username, term: term.title || term.id }));
  }

  /** Lines keep their places while the page is open; what was just answered stays until its answer is settled. */
  #shown(term) {
    const { page } = this;
    const now = page.own.week();
    const kept = this.#order.filter((id) => now.includes(id) || page.mine.answer(id)?.news === "drop.done");
    this.#order = [...kept.filter((id) => id.startsWith(`${term}-`)), ...now.filter((id) => !kept.includes(id))];
    return this.#order;
  }

  #drawWeek() {
    const { catalogue, mine, own } = this.page;
    const sections = own.week().map((id) => catalogue.get(id)).filter((one) => one && one.status !== "cancelled");
    const key = `${sections.map(({ id }) => `${id} ${mine.get(id)?.status}`)} ${now.language}`;
    if (this.#week === key) return;
    this.#week = key;
    const clashes = drawWeek($("week"), sections, (id) => mine.get(id));
    put($("clashes"), clashWords(clashes, catalogue.name).map((text) => h("li", { class: "careful" }, icon("warn"), h("span", null, text))));
    const untimed = sections.filter((one) => !one.meetings?.some((meeting) => meeting.start));
    put($("untimed"), untimed.length > 0 && t("mine.untimed", { n: untimed.length, list: listed(untimed.map((one) => `${one.course} ${kind(one)}`.trim())) }));
  }

  #drawCredits(term) {
    const { catalogue, mine } = this.page;
    const limit = term.mine?.credit_limit;
    const own = mine.credits(term.id);
    const all = own + this.page.own.wanted().reduce((sum, id) => sum + (catalogue.get(id)?.credits ?? 0), 0);
    const text = limit ? t("mine.credits", { n: own, limit }) : t("mine.credits.free", { n: own });
    const over = limit && all > limit;
    put($("credits"), text, all !== own && h("span", { class: over ? "careful" : null }, `, ${t("mine.credits.plan", { n: all })}`));
    put($("credits-over"), over && [icon("warn"), h("span", null, t("mine.credits.over", { limit }))]);
  }

  #line(id) {
    const { catalogue, actions, numbers } = this.page;
    const section = catalogue.get(id);
    let it = this.#lines.get(id);
    if (!it || it.section !== section) {
      const parts = { seats: h("div", { class: "seats" }), act: h("div", { class: "act" }), answer: h("div", { class: "answers" }) };
      const el = h("li", { class: "mine-line" },
        h("div", { class: "what" }, h("strong", null, section?.course ?? id), " ", h("span", { class: "kind" }, section && [section.section, kind(section)].filter(Boolean).join(" ")),
          h("span", { class: "on-paper" }, `, ${t("week.planned")}`)),
        h("div", { class: "title" }, section?.title ?? ""), h("div", { class: "when" }, section ? meetings(section, true).map((text) => h("div", null, text)) : ""),
        parts.seats, parts.act, parts.answer);
      this.#lines.set(id, it = { ...parts, el, section });
    }
    if (section) drawSeats(it.seats, numbers(id), section.status);
    const held = this.page.mine.get(id);
    it.el.dataset.kind = held?.status ?? (this.page.plan.has(id) ? "planned" : "dropped");
    actions.draw(it.act, id, "term");
    actions.drawAnswer(it.answer, id, "term");
    return it.el;
  }
}

/** Puts `items` into `el` in their order; what stays is not moved. */
function fill(el, items) {
  for (const child of [...el.children]) if (!items.includes(child)) child.remove();
  items.forEach((item, i) => el.children[i] !== item && el.insertBefore(item, el.children[i] ?? null));
}
