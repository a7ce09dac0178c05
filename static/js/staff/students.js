// The view "Students": finds a student, and opens the student's file with the actions that staff can take.

import { $, button, debounce, h, put } from "../dom.js";
import { api, query } from "../api.js";
import { t } from "../i18n.js";
import { problemText } from "../words.js";
import { personName, StudentFile } from "./student-file.js";

/** The pause after a keystroke before the search runs: each search reads all students. */
const TYPING_MS = 300;
/** The fewest characters that the hub searches for. */
const CHARS_MIN = 2;

export class StudentsView {
  #requests = 0;

  /** `page`: see staff.js. */
  constructor(page) {
    this.page = page;
    this.form = $("student-search");
    const search = debounce(TYPING_MS, () => this.search());
    this.form.addEventListener("input", search);
    this.form.addEventListener("submit", (event) => { event.preventDefault(); this.search({ openOnly: true }); });
  }

  /** Draws the view again after the term or its sections have changed. */
  redraw() {
    this.file?.redraw();
  }

  /** Closes everything, for another user. */
  clear() {
    this.#requests += 1;
    this.form.reset();
    this.#close();
    put($("student-results"));
    put($("students-found"));
  }

  /** Searches for the text in the field. With `openOnly`, the only student found is opened. */
  async search({ openOnly = false } = {}) {
    const q = this.form.elements.q.value.trim();
    const request = ++this.#requests;
    // The next student is often searched for while the file of the last one is still open.
    $("student-results").hidden = false;
    if (q.length < CHARS_MIN) {
      put($("student-results"));
      return put($("students-found"), q && t("students.short", { n: CHARS_MIN }));
    }
    put($("students-found"), t("students.searching"));
    try {
      const { items, next } = await api.get(`/api/v1/students${query({ q })}`);
      if (request !== this.#requests) return;
      put($("students-found"), next ? t("students.more", { n: items.length }) : t("students.n", { n: items.length }));
      const exact = !/\s/.test(q) && !items.some(({ user }) => user === q);
      put($("student-results"), items.map((one) => h("li", null, button(h("span", { dir: "auto" }, personName(one)), () => this.open(one), { class: "plain" }))),
        !items.length && exact && h("li", null, t("students.unknown"), " ", button(t("students.exact", { user: q }), () => this.open({ user: q }), { class: "plain" })));
      if (openOnly && items.length === 1) this.open(items[0]);
    } catch (problem) {
      if (request === this.#requests) put($("students-found"), problemText(problem), " ", button(t("find.retry"), () => this.search(), { class: "plain" }));
    }
  }

  /** Opens a student; from a roster, `toRoster()` goes back to it. */
  open(person, toRoster) {
    this.#close();
    this.file = new StudentFile(person, this.page, t(toRoster ? "student.back.roster" : "student.back"), () => toRoster ? (this.#close(), toRoster()) : this.#back());
    put($("student-file"), this.file.el);
    $("student-results").hidden = true;
    document.body.classList.add("student-open");
    this.file.heading.focus();
    this.file.load();
  }

  /** Goes back to the search. What is typed next replaces the last name. */
  #back() {
    this.#close();
    this.form.elements.q.focus();
    this.form.elements.q.select();
  }

  #close() {
    this.file?.end();
    this.file = null;
    put($("student-file"));
    $("student-results").hidden = false;
    document.body.classList.remove("student-open");
  }
}
