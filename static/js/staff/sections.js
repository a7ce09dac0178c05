// Every section of a term, with its seats as they are, and what staff change in place.

import { $, button, h, later, put } from "../dom.js";
import { api } from "../api.js";
import { VirtualList } from "../list.js";
import { drawSeats } from "../seat-cell.js";
import { FEW, kind, meetings, sentence } from "../words.js";
import { Roster } from "./roster.js";

const TYPING_MS = 80;
/** Most of it first: full ones by how many wait, then by the part that is taken. */
const ORDERS = {
  full: ({ capacity, enrolled, waitlisted, open }) => open <= 0 ? 1 + waitlisted : capacity ? enrolled / capacity : 1,
  waiting: ({ waitlisted }) => waitlisted,
  left: ({ open }) => open,
};
const FIELDS = ["capacity", "waitlist_capacity", "status"];

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
    const { q, which, order } = this.form.elements;
    [q.value, which.value, order.value] = ["", "", "full"];
    this.search();
    q.focus();
  }

  search() {
    const { catalogue, numbers } = this.page;
    const { q, which, order } = this.form.elements;
    const fits = {
      few: (id) => numbers(id).open > 0 && numbers(id).open <= FEW,
      refused: (id) => this.page.refused().has(id),
      full: (id) => numbers(id).open <= 0 && numbers(id).enrolled >= numbers(id).capacity,
      waiting: (id) => numbers(id).waitlisted > 0,
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
    $("sections-none").hidden = ids.length > 0 || catalogue.state !== "ready";
  }

  redraw(ids) {
    this.list.redraw(ids);
  }

  /** Sends only what was changed here: another desk may have changed the rest meanwhile. */
  async save(id) {
    const { catalogue } = this.page;
    const section = catalogue.get(id);
    const body = Object.fromEntries(Object.entries(this.edits.get(id) ?? {}).filter(([name, value]) => value !== section[name]));
    if (!Object.keys(body).length) return this.undo(id);
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

const LABELS = [["capacity", "Capacity"], ["waitlist_capacity", "Waitlist"], ["status", "Status"]];

class SectionRow {
  constructor(desk) {
    this.desk = desk;
    this.course = h("strong");
    this.what = h("span", { class: "soft" });
    this.title = h("div", { class: "cut" });
    this.head = h("button", { class: "name cut", type: "button", onclick: () => this.toggle() }, this.course, " ", this.what, this.title);
    this.when = h("div", { class: "cut" });
    this.who = h("div", { class: "cut soft" });
    this.seats = h("div", { class: "seats" });
    const number = (name) => h("input", { name, type: "number", min: 0, max: 100000, inputmode: "numeric" });
    this.inputs = { capacity: number("capacity"), waitlist_capacity: number("waitlist_capacity"),
      status: h("select", { name: "status" }, ["open", "closed", "cancelled"].map((one) => h("option", { value: one }, one))) };
    this.saving = h("div", { class: "saving", role: "status" });
    this.line = h("form", { class: "line", onsubmit: (event) => { event.preventDefault(); desk.save(this.bound); }, oninput: () => this.#typed() },
      this.head, h("div", { class: "heads" }, this.when, this.who), this.seats, ...LABELS.map(([name, label]) => h("label", null, h("span", null, label), this.inputs[name])), this.saving);
    this.more = h("div", { class: "more" });
    this.el = h("li", { class: "srow" }, this.line, this.more);
  }

  bind(id, index, total) {
    this.bound = id;
    this.close();
    if (this.desk.opened.has(id)) this.open();
    this.el.setAttribute("aria-posinset", index + 1);
    this.el.setAttribute("aria-setsize", total);
    this.key = "";
    const section = this.desk.page.catalogue.get(id);
    put(this.course, section.course);
    put(this.what, [section.section, kind(section), section.crn].filter(Boolean).join(" "));
    put(this.title, section.title ?? "");
    put(this.when, meetings(section, true).join("; "));
    put(this.who, section.instructor ?? "Instructor not named yet");
    for (const [name, label] of LABELS) this.inputs[name].setAttribute("aria-label", `${label} of ${section.course} ${section.crn}`);
    this.draw();
  }

  draw() {
    const { page, edits, answers } = this.desk;
    const id = this.bound;
    const section = page.catalogue.get(id);
    const numbers = page.numbers(id);
    drawSeats(this.seats, { id, ...numbers }, section.status);
    const moved = String(Object.values(numbers));
    if (this.roster && this.moved !== moved) this.roster.again();
    this.moved = moved;
    const edit = edits.get(id);
    const answer = answers.get(id);
    const key = JSON.stringify([edit, answer, ...FIELDS.map((name) => section[name])]);
    if (this.key === key) return;
    this.key = key;
    for (const name of FIELDS) {
      const value = String(edit?.[name] ?? section[name]);
      if (this.inputs[name].value !== value) this.inputs[name].value = value;
    }
    put(this.saving, edit && answer?.text !== "Saving…" && [h("button", { class: "strong" }, "Save"), button("Undo", () => this.desk.undo(id), { class: "quiet" })],
      answer && h("span", { class: answer.tone }, answer.text));
  }

  #typed() {
    const { edits, answers, page } = this.desk;
    const section = page.catalogue.get(this.bound);
    const now = { capacity: Number(this.inputs.capacity.value), waitlist_capacity: Number(this.inputs.waitlist_capacity.value), status: this.inputs.status.value };
    if (FIELDS.some((name) => now[name] !== section[name])) edits.set(this.bound, now);
    else edits.delete(this.bound);
    answers.delete(this.bound);
    this.draw();
  }

  toggle() {
    if (!this.roster) return this.open();
    this.desk.opened.delete(this.bound);
    this.close();
  }

  close() {
    this.roster = null;
    this.head.setAttribute("aria-expanded", "false");
    put(this.more);
  }

  /** What is told of it, and its roster. */
  open() {
    const { catalogue, write } = this.desk.page;
    const id = this.bound;
    const section = catalogue.get(id);
    this.desk.opened.add(id);
    this.roster = new Roster(id, catalogue.name(id), () => write({ sections: [id] }));
    this.head.setAttribute("aria-expanded", "true");
    const facts = [meetings(section).join("; "), section.instructor ?? "Instructor not named yet", `${section.credits ?? 0} credits`,
      section.outside_enrolled && `${section.outside_enrolled} seats held outside the hub`].filter(Boolean);
    put(this.more, h("p", null, h("strong", null, section.title ?? ""), " ", facts.join(". "), "."), this.roster.el);
    this.roster.load();
  }
}
