// One section on the staff's list: its seats, what staff change in place, and its roster when it is opened.

import { button, h, put } from "../dom.js";
import { drawSeats } from "../seat-cell.js";
import { kind, meetings } from "../words.js";
import { Roster } from "./roster.js";

const FIELDS = ["capacity", "waitlist_capacity", "status"];
/** What is typed into a field of numbers; an emptied one is no 0. */
const typed = ({ value }) => value === "" ? "" : Number(value);
const LABELS = [["capacity", "Capacity"], ["waitlist_capacity", "Waitlist"], ["status", "Status"]];

export class SectionRow {
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

  bind(id) {
    this.bound = id;
    this.close();
    if (this.desk.opened.has(id)) this.open();
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
      if (answer?.field === name) this.inputs[name].setAttribute("aria-invalid", "true");
      else this.inputs[name].removeAttribute("aria-invalid");
    }
    put(this.saving, edit && answer?.text !== "Saving…" && [h("button", { class: "strong", onclick: (event) => event.detail > 1 && event.preventDefault() }, "Save"), button("Undo", () => this.desk.undo(id), { class: "quiet" })],
      answer && h("span", { class: answer.tone }, answer.text));
  }

  #typed() {
    const { edits, answers, page } = this.desk;
    const section = page.catalogue.get(this.bound);
    const now = { capacity: typed(this.inputs.capacity), waitlist_capacity: typed(this.inputs.waitlist_capacity), status: this.inputs.status.value };
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
    const { enrolled, capacity } = this.desk.page.numbers(id);
    const facts = [enrolled > capacity && `${enrolled} are enrolled and there ${capacity === 1 ? "is 1 seat" : `are ${capacity} seats`}: everyone keeps theirs`, meetings(section).join("; "), section.instructor ?? "Instructor not named yet", `${section.credits ?? 0} credits`,
      section.outside_enrolled && `${section.outside_enrolled} seats held outside the hub`].filter(Boolean);
    put(this.more, h("p", null, h("strong", null, section.title ?? ""), " ", facts.join(". "), "."), this.roster.el);
    this.roster.load();
  }
}
