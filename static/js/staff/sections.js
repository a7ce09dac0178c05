// Every section of a term, with its seats as they are, and what staff change in place.

import { $, button, later, put } from "../dom.js";
import { api } from "../api.js";
import { VirtualList } from "../list.js";
import { count, FEW, sentence } from "../words.js";
import { SectionRow } from "./section-row.js";

const TYPING_MS = 80;
/** Most of it first: full ones by how many wait, then by the part that is taken. */
const ORDERS = {
  full: ({ capacity, enrolled, waitlisted, open }) => open <= 0 ? 1 + waitlisted : capacity ? enrolled / capacity : 1,
  waiting: ({ waitlisted }) => waitlisted,
  left: ({ open }) => open,
};
/** A field that was emptied says nothing: 0 has to be written. */
const EMPTY = { capacity: "Write the capacity as a number. Nothing was saved.", waitlist_capacity: "Write how many can wait, 0 for nobody. Nothing was saved." };

export class Sections {
  /** What was typed and not saved, by section: it outlives being scrolled away. */
  edits = new Map();
  /** What is opened: it stays so when the list is drawn anew. */
  opened = new Set();
  /** What came of the last save, by section. */
  answers = new Map();

  /** `page`: `{catalogue, numbers(id), refused(), write(audience)}`. */
  constructor(page) {
    this.page = page;
    this.form = $("section-search");
    this.list = new VirtualList($("section-rows"), () => new SectionRow(this));
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.form.addEventListener("input", later(TYPING_MS, () => this.search()));
    $("sort-again").addEventListener("click", () => this.search());
    $("over").querySelector("button").addEventListener("click", () => this.#choose("over", ""));
  }

  /** Looks for one section, and opens it. */
  show(id) {
    this.form.elements.q.value = this.page.catalogue.get(id)?.crn ?? "";
    this.form.elements.which.value = "";
    this.opened.clear();
    this.search();
    const row = this.list.row(id);
    if (!row?.roster) row?.open();
    row?.head.focus();
  }

  /** All of them, the fullest first. */
  fullest() {
    this.#choose("", "full");
    this.form.elements.q.focus();
  }

  #choose(some, by) {
    const { q, which, order } = this.form.elements;
    [q.value, which.value, order.value] = ["", some, by];
    this.search();
  }

  /** More enrolled than it has seats: as an import or a lower capacity left it. Nobody loses a seat by it. */
  #isOver(id) {
    const { enrolled, capacity } = this.page.numbers(id);
    return enrolled > capacity && this.page.catalogue.get(id).status !== "cancelled";
  }

  #drawOver() {
    const { all } = this.page.catalogue;
    const n = all.filter((id) => this.#isOver(id)).length;
    const text = n ? `${count(n, "section has", "sections have")} more enrolled than seats.` : "";
    const words = $("over").querySelector("span");
    if (words.textContent !== text) put(words, text);
    $("over").hidden = !n;
  }

  search() {
    const { catalogue, numbers } = this.page;
    const { q, which, order } = this.form.elements;
    const fits = {
      few: (id) => numbers(id).open > 0 && numbers(id).open <= FEW,
      refused: (id) => this.page.refused().has(id),
      full: (id) => numbers(id).open <= 0 && numbers(id).enrolled >= numbers(id).capacity,
      waiting: (id) => numbers(id).waitlisted > 0,
      over: (id) => this.#isOver(id),
      closed: (id) => catalogue.get(id).status !== "open",
    }[which.value] ?? (() => true);
    const ids = catalogue.state === "loading" ? [] : catalogue.search({ q: q.value, subject: "", days: [], open: false, order: "course" }).filter(fits);
    const by = ORDERS[order.value];
    if (by) {
      const key = new Map(ids.map((id) => [id, by(numbers(id))]));
      ids.sort((a, b) => key.get(b) - key.get(a));
    }
    // Rows do not move by themselves: the order is that of the last press.
    $("sort-again").hidden = !by;
    const held = document.activeElement?.closest(".srow");
    const focused = held && this.list.ids[held.dataset.index];
    this.list.show(ids);
    if (focused) this.list.row(focused)?.head.focus({ preventScroll: true });
    const n = ids.length.toLocaleString();
    put($("sections-found"), catalogue.state === "ready" ? `${n} section${ids.length === 1 ? "" : "s"}`
      : catalogue.state === "failed" ? [sentence(catalogue.problem), " ", button("Load again", () => catalogue.load(catalogue.term), { class: "plain" })] : "Loading the sections…");
    this.#drawOver();
    $("sections-none").hidden = ids.length > 0 || catalogue.state !== "ready";
  }

  redraw(ids) {
    this.#drawOver();
    this.list.redraw(ids);
  }

  /** Sends only what was changed here: another desk may have changed the rest meanwhile. */
  async save(id) {
    const { catalogue } = this.page;
    const section = catalogue.get(id);
    const body = Object.fromEntries(Object.entries(this.edits.get(id) ?? {}).filter(([name, value]) => value !== section[name]));
    if (!Object.keys(body).length) return this.undo(id);
    const empty = Object.keys(EMPTY).find((name) => body[name] === "");
    if (empty) {
      this.answers.set(id, { text: EMPTY[empty], tone: "stop", field: empty });
      return this.redraw([id]);
    }
    if (body.status === "cancelled" && this.answers.get(id)?.sure !== true) {
      this.answers.set(id, { text: "Everyone enrolled will be told. Press Save again.", tone: "careful", sure: true });
      return this.redraw([id]);
    }
    this.answers.set(id, { text: "Saving…" });
    this.redraw([id]);
    try {
      catalogue.put(await api.patch(`/api/v1/sections/${encodeURIComponent(id)}`, body));
      this.edits.delete(id);
      this.answers.set(id, { text: "Saved.", tone: "good" });
    } catch (problem) {
      this.answers.set(id, { text: sentence(problem), tone: "stop" });
    }
    this.redraw([id]);
  }

  undo(id) {
    this.edits.delete(id);
    this.answers.delete(id);
    this.redraw([id]);
  }
}
