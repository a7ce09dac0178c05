// What is going on now: the sums, what is asked for most, what is refused, and the map of all sections.

import { $, button, h, put } from "../dom.js";
import { api } from "../api.js";
import { drawSeats } from "../seat-cell.js";
import { sentence } from "../words.js";
import { level, SeatMap } from "./map.js";

/** How far back "now" goes. */
const NOW_MS = 60_000;
/** How often the hub is asked what was refused, and how often lists are drawn. */
const ASK_MS = 5_000;
const DRAW_MS = 1_000;
/** How many are called hottest. */
const HOTTEST = 10;

/** Where the map stands under the lists, nothing that grows may move it from under a finger. */
const stacked = matchMedia("(max-width: 1099px)");
const aimed = () => stacked.matches && $("map").matches(":hover");

export class Now {
  #moves = [];
  #activity = null;
  #since = Date.now();
  /** What people were refused in the last minute, by section. */
  refused = new Map();

  /** `page`: `{catalogue, seats, numbers(id), show(id)}`. */
  constructor(page) {
    this.page = page;
    this.map = new SeatMap(page);
    setInterval(() => this.#lists(), DRAW_MS);
    setInterval(() => this.ask(), ASK_MS);
  }

  lay() {
    this.map.lay();
    this.map.sum();
    this.#lists();
  }

  forget() {
    this.#moves = [];
    this.#activity = null;
    this.#since = Date.now();
    this.refused = new Map();
    this.map.refused(this.refused);
  }

  /** Seats moved: `changes` are `[id, by]`, how many more are enrolled than before. */
  moved(changes) {
    const at = Date.now();
    for (const [id, by] of changes) if (by) this.#moves.push({ id, by, at });
    if (this.#moves.length > 20_000) this.#moves.splice(0, 10_000);
  }

  redraw(ids) {
    this.map.redraw(ids);
  }

  /** What the hub counts itself. */
  async ask() {
    if (document.hidden || $("desk").hidden) return;
    try {
      this.#activity = await api.get("/api/v1/staff/activity");
      put($("activity-failed"));
    } catch (problem) {
      put($("activity-failed"), `What is asked for and refused did not arrive. ${sentence(problem)}`);
      return;
    }
    this.refused = new Map(this.#activity.hottest.filter((one) => one.refused > 0).map((one) => [one.section, one.refused]));
    this.map.refused(this.refused);
    this.map.sum();
    $("refused-key").hidden = !this.refused.size;
    this.#refusals();
    this.#hot();
  }

  /** Two columns: what is refused now, and what the morning was like. */
  #refusals() {
    if (aimed()) return;
    const { refusals: minute, hour } = this.#activity;
    const codes = Object.entries(hour.refusals).sort((a, b) => (minute[b[0]] ?? 0) - (minute[a[0]] ?? 0) || b[1] - a[1]);
    $("refusals").hidden = !codes.length;
    $("no-refusals").hidden = codes.length > 0;
    put($("refusal-list"), codes.map(([code, n]) => h("tr", null, h("th", { scope: "row" }, WHY[code] ?? code), h("td", null, (minute[code] ?? 0).toLocaleString()), h("td", null, n.toLocaleString()))));
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
    const facts = [["Sections", sums.sections], ["Full", sums.full], ["Few seats left", sums.few], ["Seats taken", sums.taken], ["Seats left", sums.left], ["Waiting", sums.waiting], [Date.now() - this.#since < NOW_MS ? "Taken since you came" : "Taken in the last minute", taken]];
    const text = JSON.stringify(facts);
    if ($("sums").dataset.key !== text) {
      $("sums").dataset.key = text;
      put($("sums"), facts.map(([label, n]) => h("div", null, h("dt", null, label), h("dd", null, n.toLocaleString()))));
    }
    this.#hot();
  }

  /** This term's, from the hub's count of the last minute; else of the hour; else what moved before one's eyes. */
  #hottest() {
    const known = (list) => list?.filter((one) => this.page.catalogue.get(one.section)).slice(0, HOTTEST) ?? [];
    for (const [list, when] of [[this.#activity?.hottest, "minute"], [this.#activity?.hour.hottest, "hour"]]) {
      const told = known(list);
      if (told.length) return { when, list: told.map(({ section: id, asked, enrolled, waitlisted, refused }) => ({ id, words: [`${asked.toLocaleString()} asked`, `${enrolled.toLocaleString()} enrolled`, waitlisted && `${waitlisted.toLocaleString()} waiting`, refused && `${refused.toLocaleString()} refused`].filter(Boolean).join(", ") })) };
    }
    const by = new Map();
    for (const { id, by: n } of this.#moves) by.set(id, (by.get(id) ?? 0) + Math.abs(n));
    return { when: "minute", list: [...by].sort((a, b) => b[1] - a[1]).slice(0, HOTTEST).filter(([id]) => this.page.catalogue.get(id)).map(([id, n]) => ({ id, words: `${n} ${n === 1 ? "change" : "changes"}` })) };
  }

  /** What is looked at, or about to be pressed, stays where it is until it is left. */
  #hot() {
    const { when, list } = this.#hottest();
    if (aimed() || ($("hottest").children.length && $("hottest").matches(":hover, :focus-within"))) return this.#draw([...$("hottest").children].map((el) => ({ id: el.dataset.id, words: list.find(({ id }) => id === el.dataset.id)?.words })));
    $("no-hot").hidden = list.length > 0;
    const title = `Asked for most in the last ${when}`;
    if ($("hot-title").textContent !== title) put($("hot-title"), title);
    const had = new Map([...$("hottest").children].map((el) => [el.dataset.id, el]));
    const rows = list.map(({ id }) => had.get(id) ?? h("li", { "data-id": id }, button(this.page.catalogue.name(id), () => this.page.show(id), { class: "plain" }), h("small"), h("div", { class: "seats" })));
    for (const el of had.values()) if (!rows.includes(el)) el.remove();
    rows.forEach((el, i) => $("hottest").children[i] !== el && $("hottest").insertBefore(el, $("hottest").children[i] ?? null));
    this.#draw(list);
  }

  #draw(list) {
    list.forEach(({ id, words }, i) => {
      const el = $("hottest").children[i];
      if (words && el.children[1].textContent !== words) put(el.children[1], words);
      if (this.page.catalogue.get(id)) drawSeats(el.children[2], { id, ...this.page.numbers(id) }, this.page.catalogue.get(id).status);
    });
  }
}

/** What a refusal is called on a list. */
const WHY = {
  registration_closed: "Registration is not open", hold: "A hold on the account", section_cancelled: "The section is cancelled",
  section_closed: "The section is closed", already_in_course: "Already in the course", prerequisite: "A prerequisite is missing",
  linked_section_required: "A linked section is missing", time_conflict: "The times overlap", credit_limit: "Over the credit limit",
  restricted: "Seats are kept for others", section_full: "The section is full", waitlist_full: "The waitlist is full",
};
