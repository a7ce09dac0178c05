// The file of one student, for staff who help: registrations, plan, facts with holds and permits, history, and the
// actions that staff can take.

import { button, h, put } from "../dom.js";
import { api } from "../api.js";
import { t } from "../i18n.js";
import { icon } from "../icons.js";
import { hubNow } from "../hub-clock.js";
import { dateTime, joinList, problemText } from "../words.js";
import { studentHistory } from "./attempt-list.js";
import { StudentFacts } from "./student-facts.js";
import { StudentSchedule } from "./student-schedule.js";

/** Returns the name and the username of a student. */
export const personName = ({ user, name }) => name ? t("student.person", { name, user }) : user;

export class StudentFile {
  #ended = false;

  /** `person`: `{user, name?}`; `page`: see staff.js; `back` is the label of the button that calls `onclose()`. */
  constructor(person, page, back, onclose) {
    Object.assign(this, { page, person, name: personName(person) });
    this.path = `/api/v1/students/${encodeURIComponent(person.user)}`;
    this.term = page.term();
    this.heading = h("h3", { tabindex: "-1", dir: "auto" }, this.name);
    this.asOf = h("p", { class: "paper-only" });
    this.done = h("p", { class: "good", role: "status", tabindex: "-1" });
    this.schedule = new StudentSchedule(this);
    this.facts = page.subjects ? null : new StudentFacts(this);
    this.planned = h("div");
    this.history = h("div");
    const section = (title, el) => h("section", null, h("h4", null, t(title)), el);
    this.el = h("article", { class: "student-file" },
      h("div", { class: "inline no-print" }, button(back, onclose, { class: "quiet" }), button(t("student.reload"), () => this.load(), { class: "quiet" }),
        button([icon("print"), " ", t("student.print")], () => print(), { class: "quiet" })),
      this.heading, this.asOf, this.done,
      page.subjects && h("p", { class: "careful" }, t("student.limited", { subjects: joinList(page.subjects) })),
      this.schedule.el,
      this.facts?.el,
      !page.subjects && section("student.plan", this.planned),
      !page.subjects && section("student.history", this.history));
  }

  /** Makes sure that nothing is drawn from now on. */
  end() {
    this.#ended = true;
  }

  /** Draws the file again after the term or its sections have changed. */
  redraw() {
    if (this.term === this.page.term()) return this.schedule.draw();
    this.term = this.page.term();
    this.load();
  }

  /** Reads everything again. */
  async load() {
    put(this.asOf, t("sheet.as_of", { at: dateTime(new Date(hubNow()).toISOString()) }));
    const parts = [this.schedule.load()];
    if (!this.page.subjects) parts.push(this.facts.load(), this.#loadPlan(), this.loadHistory());
    await Promise.all(parts);
  }

  /** Confirms a change with `text`, and reads again what it affects. */
  changed(text) {
    put(this.done, text);
    this.done.focus();
    this.load();
  }

  /** Calls `draw` with the response to a request, or shows in `el` why the request failed. */
  async show(el, path, draw) {
    try {
      const found = await api.get(path);
      if (!this.#ended) await draw(found);
    } catch (problem) {
      if (!this.#ended) put(el, h("p", { class: "stop", role: "status" }, problemText(problem), " ", button(t("find.retry"), () => this.show(el, path, draw), { class: "plain" })));
    }
  }

  #loadPlan() {
    return this.show(this.planned, `${this.path}/plan`, async ({ sections: entries }) => {
      // Without choices, an entry is only the id.
      const all = entries.map((one) => one.section ? one : { section: one });
      await this.page.catalogue.ensure(all.flatMap(({ section, alternates = [] }) => [section, ...alternates]));
      const choices = ({ alternates = [], waitlist }) => [alternates.length && t("student.plan.alternates", { sections: joinList(alternates.map(this.page.nameOf), "disjunction") }), waitlist && t("student.plan.waitlist")];
      put(this.planned, all.length ? h("ul", { class: "lines", role: "list" }, all.map((one) => h("li", null, this.page.nameOf(one.section), h("small", null, choices(one).filter(Boolean).join(" ")))))
        : h("p", { class: "none" }, t("student.plan.none")));
    });
  }

  /** Reads the attempts again. Limited staff see none. */
  async loadHistory() {
    if (this.page.subjects) return;
    const history = this.newest = studentHistory(`${this.path}/attempts`, this.term, this.page);
    await history.load();
    // A later read has started; its result is shown instead.
    if (this.#ended || history !== this.newest) return;
    put(this.history, history.el);
  }
}
