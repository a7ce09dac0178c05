// Finding a section: the search form and the rows, whose numbers tick.

import { $, button, h, later, put } from "./dom.js";
import { api, query } from "./api.js";
import { count, meetings, seats as seatWords } from "./words.js";

const PAGE = 100;

/** The cell with a section's seats: words, a tone and a thin bar; tints for a moment when they change. */
export function drawSeats(el, numbers, status) {
  const { text, tone } = seatWords(numbers, status);
  const full = numbers.capacity > 0 ? Math.min(1, numbers.enrolled / numbers.capacity) : 1;
  const key = `${text} ${numbers.enrolled}/${numbers.capacity}`;
  if (el.dataset.key === key) return;
  const first = el.dataset.key === undefined;
  el.dataset.key = key;
  el.title = `${numbers.enrolled} of ${count(numbers.capacity, "seat")} taken`;
  const bar = h("span", { class: `fill ${tone}` });
  bar.style.width = `${full * 100}%`;
  put(el, h("span", { class: tone }, text), h("span", { class: "bar", "aria-hidden": "true" }, bar));
  if (first) return;
  el.classList.remove("moved");
  requestAnimationFrame(() => el.classList.add("moved"));
}

export class Catalogue {
  #rows = new Map();
  #term = null;
  #next = null;
  #asking = null;

  /** `page`: see `Actions`; `actions` draws what can be done. */
  constructor(page, actions) {
    this.page = page;
    this.actions = actions;
    const form = $("search");
    form.addEventListener("submit", (event) => { event.preventDefault(); this.search(); });
    form.addEventListener("input", later(250, () => this.search()));
  }

  /** Shows another term's sections. */
  async show(term) {
    if (term === this.#term) return;
    this.#term = term;
    await this.search();
  }

  /** Looks for a course, as if it had been typed. */
  find(course) {
    $("q").value = course;
    $("subject").value = "";
    location.hash = "#find";
    $("q").focus();
    this.search();
  }

  async search(cursor) {
    if (!this.#term) return;
    this.#asking?.abort();
    const asking = this.#asking = new AbortController();
    put($("found"), "Searching…");
    const fields = { term: this.#term, q: $("q").value.trim(), subject: $("subject").value.trim().toUpperCase(), open: $("open").checked && "true", limit: PAGE, cursor };
    try {
      const { items, next, total } = await api.get(`/api/v1/sections${query(fields)}`, { signal: asking.signal });
      if (asking !== this.#asking) return;
      this.page.book.keep(items);
      if (!cursor) this.#clear();
      for (const section of items) this.#add(section);
      this.#next = next;
      const shown = this.#rows.size;
      put($("found"), total === 0 ? "No section fits. Try fewer words, or another subject."
        : `${count(total, "section")}${shown < total ? `, the first ${shown} shown` : ""}`);
      put($("more"), next && button(`Show more`, () => this.search(this.#next)));
    } catch (problem) {
      if (asking.signal.aborted) return;
      put($("found"), problem.message, " ", button("Search again", () => this.search(cursor)));
    }
  }

  /** Draws anew what may have changed; null for every row. */
  redraw(ids) {
    for (const id of ids ?? this.#rows.keys()) {
      const row = this.#rows.get(id);
      if (!row) continue;
      drawSeats(row.seats, this.actions.numbers(id), this.page.book.get(id)?.status);
      this.actions.draw(row.act, id);
    }
  }

  #clear() {
    this.#rows.clear();
    put($("rows"));
    put($("more"));
  }

  #add(section) {
    if (this.#rows.has(section.id)) return;
    const seats = h("div", { class: "seats" });
    const act = h("div", { class: "act" });
    $("rows").append(h("li", { class: "row" },
      h("div", { class: "what" }, h("strong", null, section.course), " ", section.title),
      h("div", { class: "kind" }, [section.component, section.section].filter(Boolean).join(" "), h("small", null, ` ${section.crn}`)),
      h("div", { class: "when" }, meetings(section).map((text) => h("div", null, text)), h("div", null, section.instructor ?? "Instructor not named yet")),
      seats, act));
    this.#rows.set(section.id, { seats, act });
    this.redraw([section.id]);
  }
}
