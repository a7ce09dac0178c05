// What is going on now: a square for each section, shaded by how full it is; what fills fastest; what is refused.

import { $, button, h, put } from "../dom.js";
import { api } from "../api.js";
import { drawSeats } from "../seat-cell.js";
import { FEW } from "../words.js";

/** How far back "now" goes. */
const NOW_MS = 60_000;
/** How often the hub is asked what was refused, and how often lists are drawn. */
const ASK_MS = 5_000;
const DRAW_MS = 1_000;
/** How many are called hottest. */
const HOTTEST = 10;

/** How full: 0 to 3 by quarters, 4 for few left, 5 for full, `off` for what takes nobody. */
export function level({ capacity, enrolled, waitlisted, open }, status) {
  if (status === "cancelled" || status === "closed" || (open <= 0 && enrolled + waitlisted < capacity)) return "off";
  if (open <= 0) return 5;
  if (open <= FEW && enrolled > 0) return 4;
  return enrolled === 0 ? 0 : Math.min(3, 1 + Math.floor(3 * enrolled / capacity));
}

export class Now {
  #cells = new Map();
  #moves = [];
  #refused = new Map();
  #activity = null;
  #due = 0;
  #asks = true;

  /** `page`: `{catalogue, seats, numbers(id), show(id)}`. */
  constructor(page) {
    this.page = page;
    const map = $("map");
    map.addEventListener("mouseover", ({ target }) => this.#point(target.dataset.id));
    map.addEventListener("click", ({ target }) => target.dataset.id && page.show(target.dataset.id));
    setInterval(() => this.#lists(), DRAW_MS);
    setInterval(() => this.#ask(), ASK_MS);
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
    put($("map"), [...subjects].sort(([a], [b]) => a.localeCompare(b)).map(([name, ids]) =>
      h("div", { class: "subject" }, h("span", { title: name }, name), h("div", { class: "cells", role: "img", "aria-label": `${name}: ${ids.length} sections` }, ids.map((id) => {
        const cell = h("i", { "data-id": id });
        this.#cells.set(id, cell);
        return cell;
      })))));
    this.redraw(null);
    this.#lists();
  }

  forget() {
    this.#moves = [];
    this.#activity = null;
  }

  /** Seats moved: `changes` are `[id, by]`, how many more are enrolled than before. */
  moved(changes) {
    const at = Date.now();
    for (const [id, by] of changes) if (by) this.#moves.push({ id, by, at });
    if (this.#moves.length > 20_000) this.#moves.splice(0, 10_000);
  }

  redraw(ids) {
    for (const id of ids ?? this.#cells.keys()) {
      const cell = this.#cells.get(id);
      if (!cell) continue;
      const is = String(level(this.page.numbers(id), this.page.catalogue.get(id)?.status));
      if (cell.dataset.level !== is) cell.dataset.level = is;
    }
  }

  #point(id) {
    const section = id && this.page.catalogue.get(id);
    if (!section) return;
    const { capacity, enrolled, waitlisted } = this.page.numbers(id);
    put($("pointed"), `${this.page.catalogue.name(id)} ${section.title ?? ""}: ${enrolled} of ${capacity} seats taken${waitlisted ? `, ${waitlisted} waiting` : ""}.`);
  }

  /** What the hub counts itself; a hub that does not is asked once. */
  async #ask() {
    if (!this.#asks || document.hidden || $("desk").hidden) return;
    try {
      const told = await api.get("/api/v1/staff/activity");
      this.#activity = told.minute ?? told;
    } catch (problem) {
      if (problem.status === 404) this.#asks = false;
    }
    const refused = new Map((this.#activity?.hottest ?? []).filter((one) => one.refused > 0).map((one) => [one.section, one.refused]));
    for (const id of new Set([...refused.keys(), ...this.#refused.keys()])) this.#cells.get(id)?.classList.toggle("ring", refused.has(id));
    this.#refused = refused;
    $("refused-key").hidden = !refused.size;
    const refusals = Object.entries(this.#activity?.refusals ?? {}).sort((a, b) => b[1] - a[1]);
    $("refusals").hidden = !refusals.length;
    put($("refusal-list"), refusals.map(([code, n]) => h("li", null, h("span", null, WHY[code] ?? code), h("strong", null, n.toLocaleString()))));
  }

  #lists() {
    if (document.hidden || $("desk").hidden) return;
    const { catalogue } = this.page;
    const since = Date.now() - NOW_MS;
    this.#moves = this.#moves.filter(({ at }) => at > since);
    const sums = { full: 0, few: 0, left: 0, taken: 0, waiting: 0, sections: catalogue.all.length };
    for (const id of catalogue.all) {
      const numbers = this.page.numbers(id);
      sums.left += Math.max(0, numbers.open);
      sums.taken += numbers.enrolled;
      sums.waiting += numbers.waitlisted;
      const is = level(numbers, catalogue.get(id).status);
      if (is === 5) sums.full += 1;
      if (is === 4) sums.few += 1;
    }
    const taken = this.#moves.filter(({ by }) => by > 0).reduce((sum, { by }) => sum + by, 0);
    const facts = [["Sections", sums.sections], ["Full", sums.full], ["Few seats left", sums.few], ["Seats taken", sums.taken], ["Seats left", sums.left], ["Waiting", sums.waiting], ["Taken in the last minute", taken]];
    const text = JSON.stringify(facts);
    if ($("sums").dataset.key !== text) {
      $("sums").dataset.key = text;
      put($("sums"), facts.map(([label, n]) => h("div", null, h("dt", null, label), h("dd", null, n.toLocaleString()))));
    }
    this.#hot();
  }

  #hot() {
    const by = new Map();
    for (const { id, by: n } of this.#moves) by.set(id, (by.get(id) ?? 0) + Math.abs(n));
    const own = [...by].sort((a, b) => b[1] - a[1]).slice(0, HOTTEST).map(([id, n]) => ({ id, words: `${n} ${n === 1 ? "change" : "changes"} in the last minute` }));
    const told = this.#activity?.hottest?.slice(0, HOTTEST).map((one) => ({ id: one.section, words: `${one.asked} asked, ${one.enrolled} enrolled, ${one.refused} refused` }));
    const list = told?.length ? told : own;
    $("no-hot").hidden = list.length > 0;
    const had = new Map([...$("hottest").children].map((el) => [el.dataset.id, el]));
    const rows = list.filter(({ id }) => this.page.catalogue.get(id)).map(({ id, words }) => {
      const el = had.get(id) ?? h("li", { "data-id": id }, button(this.page.catalogue.name(id), () => this.page.show(id), { class: "plain" }), h("small"), h("div", { class: "seats" }));
      if (el.children[1].textContent !== words) put(el.children[1], words);
      drawSeats(el.children[2], { id, ...this.page.numbers(id) }, this.page.catalogue.get(id).status);
      return el;
    });
    for (const el of had.values()) if (!rows.includes(el)) el.remove();
    rows.forEach((el, i) => $("hottest").children[i] !== el && $("hottest").insertBefore(el, $("hottest").children[i] ?? null));
  }
}

/** What a refusal is called on a list. */
const WHY = {
  registration_closed: "Registration is not open", hold: "A hold on the account", section_cancelled: "The section is cancelled",
  section_closed: "The section is closed", already_in_course: "Already in the course", prerequisite: "A prerequisite is missing",
  linked_section_required: "A linked section is missing", time_conflict: "The times overlap", credit_limit: "Over the credit limit",
  restricted: "Seats are kept for others", section_full: "The section is full", waitlist_full: "The waitlist is full",
};
