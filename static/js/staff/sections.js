// Every section of a term, with its seats as they are, and what staff change in place.

import { $, button, h, later, put } from "../dom.js";
import { api } from "../api.js";
import { VirtualList } from "../list.js";
import { drawSeats } from "../seat-cell.js";
import { kind, meetings, sentence } from "../words.js";

const TYPING_MS = 80;
const FIELDS = ["capacity", "waitlist_capacity", "status"];

export class Sections {
  /** What was typed and not saved, by section: it outlives being scrolled away. */
  edits = new Map();
  /** What came of the last save, by section. */
  answers = new Map();

  /** `page`: `{catalogue, numbers(id)}`. */
  constructor(page) {
    this.page = page;
    this.form = $("section-search");
    this.list = new VirtualList($("section-rows"), () => new SectionRow(this));
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.form.addEventListener("input", later(TYPING_MS, () => this.search()));
  }

  /** Looks for one section. */
  show(id) {
    this.form.elements.q.value = this.page.catalogue.get(id)?.crn ?? "";
    this.form.elements.which.value = "";
    this.search();
  }

  search() {
    const { catalogue, numbers } = this.page;
    const { q, which } = this.form.elements;
    const fits = {
      full: (id) => numbers(id).open <= 0 && numbers(id).enrolled >= numbers(id).capacity,
      waiting: (id) => numbers(id).waitlisted > 0,
      closed: (id) => catalogue.get(id).status !== "open",
    }[which.value] ?? (() => true);
    const ids = catalogue.state === "loading" ? [] : catalogue.search({ q: q.value, subject: "", days: [], open: false, order: "course" }).filter(fits);
    this.list.show(ids);
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

class SectionRow {
  constructor(desk) {
    this.desk = desk;
    this.course = h("strong");
    this.what = h("span", { class: "soft" });
    this.title = h("div", { class: "cut" });
    this.head = h("button", { class: "name cut", type: "button", onclick: () => this.#open() }, this.course, " ", this.what, this.title);
    this.when = h("div", { class: "cut" });
    this.who = h("div", { class: "cut soft" });
    this.seats = h("div", { class: "seats" });
    const number = (name) => h("input", { name, type: "number", min: 0, max: 100000, inputmode: "numeric" });
    this.inputs = { capacity: number("capacity"), waitlist_capacity: number("waitlist_capacity"),
      status: h("select", { name: "status" }, ["open", "closed", "cancelled"].map((one) => h("option", { value: one }, one))) };
    this.saving = h("div", { class: "saving", role: "status" });
    this.line = h("form", { class: "line", onsubmit: (event) => { event.preventDefault(); desk.save(this.bound); }, oninput: () => this.#typed() },
      this.head, h("div", { class: "heads" }, this.when, this.who), this.seats, this.inputs.capacity, this.inputs.waitlist_capacity, this.inputs.status, this.saving);
    this.more = h("div", { class: "more" });
    this.el = h("li", { class: "srow" }, this.line, this.more);
  }

  bind(id, index, total) {
    this.bound = id;
    this.isOpen = false;
    put(this.more);
    this.head.setAttribute("aria-expanded", "false");
    this.el.setAttribute("aria-posinset", index + 1);
    this.el.setAttribute("aria-setsize", total);
    this.key = "";
    const section = this.desk.page.catalogue.get(id);
    put(this.course, section.course);
    put(this.what, [section.section, kind(section), section.crn].filter(Boolean).join(" "));
    put(this.title, section.title ?? "");
    put(this.when, meetings(section, true).join("; "));
    put(this.who, section.instructor ?? "Instructor not named yet");
    for (const [name, label] of [["capacity", "Capacity"], ["waitlist_capacity", "Waitlist places"], ["status", "Status"]]) this.inputs[name].setAttribute("aria-label", `${label} of ${section.course} ${section.crn}`);
    this.draw();
  }

  draw() {
    const { page, edits, answers } = this.desk;
    const id = this.bound;
    const section = page.catalogue.get(id);
    const numbers = page.numbers(id);
    drawSeats(this.seats, { id, ...numbers }, section.status);
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

  async #open() {
    this.isOpen = !this.isOpen;
    this.head.setAttribute("aria-expanded", this.isOpen);
    const { catalogue, numbers } = this.desk.page;
    const id = this.bound;
    const section = catalogue.get(id);
    const { enrolled, capacity, waitlisted } = numbers(id);
    put(this.more, this.isOpen && [h("p", null, h("strong", null, section.title ?? ""), ` ${section.credits ?? 0} credits. ${enrolled} of ${capacity} seats taken, ${waitlisted} waiting.`), h("p", { class: "roster" }, "Asking for the roster…")]);
    if (!this.isOpen) return;
    let drawn;
    try {
      const { items } = await api.get(`/api/v1/sections/${encodeURIComponent(id)}/roster`);
      drawn = items.length ? h("ol", null, items.map((one) => h("li", null, `${one.name || one.user} (${one.user}), ${one.status}${one.position ? `, ${one.position} in line` : ""}`))) : "Nobody is enrolled or waiting.";
    } catch (problem) {
      drawn = problem.status === 404 ? "" : sentence(problem);
    }
    if (this.isOpen && this.bound === id && this.more.lastChild) put(this.more.lastChild, drawn);
  }
}
