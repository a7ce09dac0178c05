// Changing a section: its capacity, its waitlist, whether it takes people.

import { $, field, h, put } from "./dom.js";
import { api, query } from "./api.js";
import { drawSeats } from "./seat-cell.js";
import { Seats } from "./seats.js";
import { count, meetings } from "./words.js";

/** How many of what was found are shown: enough to pick one. */
const SHOWN = 20;

export class SectionDesk {
  #rows = new Map();

  constructor(live) {
    this.form = $("section-search");
    this.seats = new Seats(live, () => this.#tick());
    this.form.addEventListener("submit", (event) => { event.preventDefault(); this.#search(); });
    this.form.elements.term.addEventListener("change", () => { this.#follow(); this.#search(); });
  }

  /** Offers these terms. */
  offer(terms) {
    const select = this.form.elements.term;
    const chosen = select.value;
    put(select, terms.map((term) => h("option", { value: term.id, selected: term.id === chosen }, term.title || term.id)));
    if (select.value !== this.followed) this.#follow();
  }

  #follow() {
    this.followed = this.form.elements.term.value;
    this.seats.follow(this.followed);
  }

  async #search() {
    const { term, q } = this.form.elements;
    put($("sections-found"), "Searching…");
    try {
      const { items, total } = await api.get(`/api/v1/sections${query({ term: term.value, q: q.value.trim(), limit: SHOWN })}`);
      this.#rows.clear();
      put($("section-rows"), items.map((section) => this.#row(section)));
      put($("sections-found"), `${count(total, "section")}${total > items.length ? `, the first ${items.length} shown. Add words to find fewer` : ""}.`);
    } catch (problem) {
      put($("sections-found"), problem.message);
    }
  }

  #tick() {
    for (const [id, { seats, section }] of this.#rows) drawSeats(seats, { ...section, ...this.seats.get(id) }, section.status);
  }

  #row(section) {
    const seats = h("div", { class: "seats" });
    const number = (name, value) => h("input", { name, type: "number", min: 0, max: 100000, required: true, value });
    const capacity = number("capacity", section.capacity);
    const waitlist = number("waitlist_capacity", section.waitlist_capacity);
    const status = h("select", { name: "status" }, ["open", "closed", "cancelled"].map((one) =>
      h("option", { value: one, selected: one === section.status }, one)));
    const answer = h("span", { role: "status" });
    const entry = { seats, section };
    const onsubmit = async (event) => {
      event.preventDefault();
      const body = { capacity: Number(capacity.value), waitlist_capacity: Number(waitlist.value), status: status.value };
      // Only what was changed here: another desk may have changed the rest meanwhile.
      for (const name of Object.keys(body)) if (body[name] === entry.section[name]) delete body[name];
      if (!Object.keys(body).length) return put(answer, "Nothing is changed.");
      if (body.status === "cancelled" && answer.dataset.sure !== "yes") {
        answer.dataset.sure = "yes";
        return put(answer, "Everyone enrolled will be told that it is cancelled. Press Save again to do it.");
      }
      answer.dataset.sure = "";
      put(answer, "Saving…");
      try {
        entry.section = await api.patch(`/api/v1/sections/${encodeURIComponent(section.id)}`, body);
        put(answer, "Saved.");
        this.#tick();
      } catch (problem) {
        put(answer, problem.message);
      }
    };
    this.#rows.set(section.id, entry);
    drawSeats(seats, { ...section, ...this.seats.get(section.id) }, section.status);
    return h("li", null, h("strong", null, section.course), ` ${section.title ?? ""}`,
      h("small", null, [section.component, section.section, section.id, section.instructor, ...meetings(section)].filter(Boolean).join(", ")),
      seats,
      h("form", { class: "inline", onsubmit }, field("Capacity", capacity), field("Waitlist", waitlist), field("Status", status), h("button", null, "Save"), answer));
  }
}
