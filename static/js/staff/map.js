// The map: a square for each section, shaded by how full it is, ringed where people are refused. One square at a time can
// have the focus, so that Tab passes the map in one step and the arrow keys go through it.

import { $, h, put } from "../dom.js";
import { count, FEW, seats } from "../words.js";

/** How full: 0 to 3 by thirds, 4 for few left, 5 for full, `off` for what takes nobody. */
export function level({ capacity, enrolled, waitlisted, open }, status) {
  if (status === "cancelled" || status === "closed" || (open <= 0 && enrolled + waitlisted < capacity)) return "off";
  if (open <= 0) return 5;
  if (open <= FEW && enrolled > 0) return 4;
  return enrolled === 0 ? 0 : Math.min(3, 1 + Math.floor(3 * enrolled / capacity));
}

export class SeatMap {
  #cells = new Map();
  #order = [];
  #subjects = [];
  #refused = new Map();
  #at = null;

  /** `page`: `{catalogue, numbers(id), show(id)}`. */
  constructor(page) {
    this.page = page;
    this.el = $("map");
    this.el.addEventListener("mouseover", ({ target }) => target.dataset.id && put($("pointed"), this.#words(target.dataset.id)));
    this.el.addEventListener("focusin", ({ target }) => target.dataset.id && put($("pointed"), this.#words(target.dataset.id)));
    this.el.addEventListener("click", ({ target }) => target.dataset.id && page.show(target.dataset.id));
    this.el.addEventListener("keydown", (event) => this.#key(event));
  }

  /** Another term, or more of its sections are here. */
  lay() {
    const { catalogue } = this.page;
    this.#cells.clear();
    const subjects = new Map();
    for (const id of catalogue.all) {
      const name = catalogue.get(id).course.split(" ")[0];
      if (!subjects.has(name)) subjects.set(name, []);
      subjects.get(name).push(id);
    }
    this.#subjects = [...subjects].sort(([a], [b]) => a.localeCompare(b)).map(([name, ids]) => ({ name, ids, el: h("div", { class: "cells", role: "group" }) }));
    this.#order = this.#subjects.flatMap(({ ids }) => ids);
    for (const { ids, el } of this.#subjects) {
      el.append(...ids.map((id) => {
        const cell = h("i", { "data-id": id, "aria-hidden": "true" });
        this.#cells.set(id, cell);
        return cell;
      }));
    }
    put(this.el, this.#subjects.map(({ name, el }) => h("div", { class: "subject" }, h("span", { title: name, "aria-hidden": "true" }, name), el)));
    this.#choose(this.#cells.has(this.#at) ? this.#at : this.#order[0]);
    this.refused(this.#refused);
    this.redraw(null);
  }

  redraw(ids) {
    for (const id of ids ?? this.#cells.keys()) {
      const cell = this.#cells.get(id);
      if (!cell) continue;
      const is = String(level(this.page.numbers(id), this.page.catalogue.get(id)?.status));
      if (cell.dataset.level !== is) cell.dataset.level = is;
    }
    if (this.#at && (!ids || [...ids].includes(this.#at))) this.#name(this.#at);
  }

  /** What each subject comes to, for those who hear the map. Seldom: it is read, not watched. */
  sum() {
    for (const { name, ids, el } of this.#subjects) {
      const levels = ids.map((id) => this.#cells.get(id).dataset.level);
      const n = (is) => levels.filter((one) => one === is).length;
      const text = [`${name}: ${count(ids.length, "section")}`, n("5") && `${n("5")} full`, n("4") && `${n("4")} with few seats left`].filter(Boolean).join(", ");
      if (el.getAttribute("aria-label") !== text) el.setAttribute("aria-label", text);
    }
  }

  /** Where people are refused: how many, by section. */
  refused(refused) {
    for (const id of new Set([...refused.keys(), ...this.#refused.keys()])) this.#cells.get(id)?.classList.toggle("ring", refused.has(id));
    this.#refused = refused;
  }

  #words(id) {
    const section = this.page.catalogue.get(id);
    const { capacity, enrolled, waitlisted, open } = this.page.numbers(id);
    const free = seats({ capacity, enrolled, waitlisted, open }, section.status).text;
    const refused = this.#refused.get(id);
    return `${this.page.catalogue.name(id)} ${section.title ?? ""}: ${free}. ${enrolled} of ${capacity} seats taken${waitlisted ? `, ${waitlisted} waiting` : ""}${refused ? `, ${refused} refused in the last minute` : ""}.`;
  }

  #name(id) {
    this.#cells.get(id)?.setAttribute("aria-label", this.#words(id));
  }

  /** The one square that Tab comes to. */
  #choose(id) {
    const before = this.#cells.get(this.#at);
    for (const name of ["tabindex", "role", "aria-label"]) before?.removeAttribute(name);
    before?.setAttribute("aria-hidden", "true");
    this.#at = id ?? null;
    const cell = this.#cells.get(id);
    if (!cell) return;
    cell.removeAttribute("aria-hidden");
    cell.tabIndex = 0;
    cell.setAttribute("role", "button");
    this.#name(id);
  }

  #key(event) {
    const i = this.#order.indexOf(this.#at);
    const subject = this.#subjects.findIndex(({ ids }) => ids.includes(this.#at));
    const first = (n) => this.#subjects[n]?.ids[0];
    const to = {
      ArrowRight: () => this.#order[i + 1], ArrowLeft: () => this.#order[i - 1], ArrowDown: () => first(subject + 1),
      ArrowUp: () => first(this.#at === first(subject) ? subject - 1 : subject), Home: () => this.#order[0], End: () => this.#order.at(-1),
    }[event.key];
    if (event.key === "Enter" || event.key === " ") this.page.show(this.#at);
    else if (!to) return;
    event.preventDefault();
    const id = to?.();
    if (!id) return;
    this.#choose(id);
    this.#cells.get(id).focus();
  }
}
