// The seat map: one square for each section, shaded by how full it is, and ringed if it turns students away. Only one
// square can have the focus (a roving tabindex): Tab passes the map in one step, and the arrow keys move within it.

import { $, h, put } from "../dom.js";
import { t } from "../i18n.js";
import { hasFewLeft, seatStatus } from "../words.js";

/**
 * Returns how full a section is: 0 for empty, 1 to 3 by thirds, 4 for few seats left, 5 for full; `off` for closed or
 * cancelled.
 */
export function fillLevel({ capacity, enrolled, waitlisted, open }, status) {
  if (status === "cancelled" || status === "closed" || (open <= 0 && enrolled + waitlisted < capacity)) return "off";
  if (open <= 0) return 5;
  if (hasFewLeft({ capacity, enrolled, open })) return 4;
  return enrolled === 0 ? 0 : Math.min(3, 1 + Math.floor(3 * enrolled / capacity));
}

export class SeatMap {
  /** The squares by section id. */
  #cells = new Map();
  /** The section ids in the order of the map. */
  #order = [];
  #subjects = [];
  /** Refusals in the last minute by section id. */
  #refused = new Map();
  /** The section whose square can have the focus. */
  #current = null;

  /** `page`: `{catalogue, numbers(id), show(id)}`. */
  constructor(page) {
    this.page = page;
    this.el = $("map");
    const showDetail = ({ target }) => target.dataset.id && put($("map-detail"), this.#describe(target.dataset.id));
    this.el.addEventListener("mouseover", showDetail);
    this.el.addEventListener("focusin", showDetail);
    this.el.addEventListener("click", ({ target }) => target.dataset.id && page.show(target.dataset.id));
    this.el.addEventListener("keydown", (event) => this.#onKey(event));
  }

  /** Builds the map from the sections of the catalogue. */
  build() {
    const { catalogue } = this.page;
    this.#cells.clear();
    const subjects = new Map();
    for (const id of catalogue.all) {
      const name = catalogue.get(id).subject;
      if (!subjects.has(name)) subjects.set(name, []);
      subjects.get(name).push(id);
    }
    this.#subjects = [...subjects].sort(([a], [b]) => a.localeCompare(b))
      .map(([name, ids]) => ({ name, ids, el: h("div", { class: "cells", role: "group" }) }));
    this.#order = this.#subjects.flatMap(({ ids }) => ids);
    for (const { ids, el } of this.#subjects) {
      el.append(...ids.map((id) => {
        const cell = h("i", { "data-id": id, "aria-hidden": "true" });
        this.#cells.set(id, cell);
        return cell;
      }));
    }
    put(this.el, this.#subjects.map(({ name, el }) =>
      h("div", { class: "subject" }, h("span", { title: name, "aria-hidden": "true" }, name), el)),
    catalogue.state === "ready" && !this.#order.length && h("p", null, t("find.empty")));
    this.#setCurrent(this.#cells.has(this.#current) ? this.#current : this.#order[0]);
    this.setRefused(this.#refused);
    this.redraw(null);
  }

  /** Redraws the squares of `ids`, or all of them if it is null. */
  redraw(ids) {
    for (const id of ids ?? this.#cells.keys()) {
      const cell = this.#cells.get(id);
      if (!cell) continue;
      const level = String(fillLevel(this.page.numbers(id), this.page.catalogue.get(id)?.status));
      if (cell.dataset.level !== level) cell.dataset.level = level;
    }
    if (this.#current && (!ids || [...ids].includes(this.#current))) this.#label(this.#current);
  }

  /** Updates the summary of each subject for screen readers. */
  updateLabels() {
    for (const { name, ids, el } of this.#subjects) {
      const levels = ids.map((id) => this.#cells.get(id).dataset.level);
      const n = (level) => levels.filter((one) => one === level).length;
      const text = [`${name}: ${t("n.sections", { n: ids.length })}`, n("5") && t("map.n.full", { n: n("5") }), n("4") && t("map.n.few", { n: n("4") })]
        .filter(Boolean).join(", ");
      if (el.getAttribute("aria-label") !== text) el.setAttribute("aria-label", text);
    }
  }

  /** Rings the sections of `refused`, a map from section id to the requests of the last minute that found it full. */
  setRefused(refused) {
    for (const id of new Set([...refused.keys(), ...this.#refused.keys()])) {
      this.#cells.get(id)?.classList.toggle("ring", refused.has(id));
    }
    this.#refused = refused;
  }

  #describe(id) {
    const section = this.page.catalogue.get(id);
    const { capacity, enrolled, waitlisted, open } = this.page.numbers(id);
    const status = seatStatus({ capacity, enrolled, waitlisted, open }, section.status).text;
    const refused = this.#refused.get(id);
    const facts = [t("section.taken", { n: capacity, taken: enrolled }), waitlisted && t("n.waiting", { n: waitlisted }), refused && t("map.n.refused", { n: refused })];
    return `${this.page.catalogue.name(id)} ${section.title ?? ""}: ${status}. ${facts.filter(Boolean).join(", ")}.`;
  }

  #label(id) {
    this.#cells.get(id)?.setAttribute("aria-label", this.#describe(id));
  }

  /** Makes one square reachable by Tab, and the one before it not. */
  #setCurrent(id) {
    const before = this.#cells.get(this.#current);
    for (const name of ["tabindex", "role", "aria-label"]) before?.removeAttribute(name);
    before?.setAttribute("aria-hidden", "true");
    this.#current = id ?? null;
    const cell = this.#cells.get(id);
    if (!cell) return;
    cell.removeAttribute("aria-hidden");
    cell.tabIndex = 0;
    cell.setAttribute("role", "button");
    this.#label(id);
  }

  #onKey(event) {
    const i = this.#order.indexOf(this.#current);
    const subject = this.#subjects.findIndex(({ ids }) => ids.includes(this.#current));
    const first = (n) => this.#subjects[n]?.ids[0];
    const target = {
      ArrowRight: () => this.#order[i + 1], ArrowLeft: () => this.#order[i - 1], ArrowDown: () => first(subject + 1),
      ArrowUp: () => first(this.#current === first(subject) ? subject - 1 : subject),
      Home: () => this.#order[0], End: () => this.#order.at(-1),
    }[event.key];
    if (event.key === "Enter" || event.key === " ") this.page.show(this.#current);
    else if (!target) return;
    event.preventDefault();
    const id = target?.();
    if (!id) return;
    this.#setCurrent(id);
    this.#cells.get(id).focus();
  }
}
