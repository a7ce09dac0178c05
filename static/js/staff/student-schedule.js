// A student's registrations by term, and how staff register, drop and move the student.

import { button, h, put } from "../dom.js";
import { api } from "../api.js";
import { t } from "../i18n.js";
import { dateTime, meetingTexts, ordinal } from "../words.js";
import { Change } from "./change.js";
import { sectionPicker } from "./section-picker.js";

export class StudentSchedule {
  #items = [];
  #credits = {};
  /** The drop or move in progress, which stands below its registration: `{id, act, el}`, or null. */
  #atRow = null;

  /** `file`: the student's file. */
  constructor(file) {
    this.file = file;
    this.list = h("div", null, h("p", { class: "none" }, t("student.loading")));
    this.picker = h("div");
    this.change = h("div");
    this.el = h("section", null, h("h4", null, t("student.schedule")), this.list, h("div", { class: "no-print" }, this.picker, this.change));
    this.#drawPicker();
  }

  load() {
    const { file } = this;
    return file.show(this.list, `${file.path}/registrations`, async ({ items, credits }) => {
      await file.page.catalogue.ensure(items.map(({ section }) => section));
      [this.#items, this.#credits] = [items, credits];
      this.draw();
    });
  }

  draw() {
    const { page } = this.file;
    const termOf = ({ section }) => section.slice(0, section.lastIndexOf("-"));
    const others = [...new Set(this.#items.map(termOf))].filter((term) => term !== page.term()).sort().reverse();
    const focused = this.#atRow?.el.contains(document.activeElement) && document.activeElement;
    put(this.list, [page.term(), ...others].map((term) => this.#termPart(term, this.#items.filter((one) => termOf(one) === term))));
    if (focused) focused.focus({ preventScroll: true });
  }

  #termPart(term, items) {
    const { page } = this.file;
    const isShown = term === page.term();
    const credits = this.#credits[term];
    return h("div", null, h("h5", null, page.termTitle(term), credits !== undefined && `, ${t("n.credits", { n: credits })}`,
      !isShown && [" ", button(t("student.show_term"), () => page.selectTerm(term), { class: "plain no-print" })]),
    items.length ? h("ul", { class: "lines", role: "list" }, items.map((one) => this.#row(one, isShown))) : h("p", { class: "none" }, t("student.none")));
  }

  #row({ section: id, status, position, at }, isShown) {
    const { page } = this.file;
    const section = page.catalogue.get(id);
    const name = page.nameOf(id);
    const state = status === "waitlisted" ? t("student.waitlisted", { nth: ordinal(position) }) : t(`student.status.${status}`);
    const action = (act, start) => button(t(`student.${act}`), start, { class: "quiet", "aria-label": t("action.for", { verb: t(`student.${act}`), section: name }), "data-act": `${act} ${id}` });
    const actions = isShown && page.mayEdit(id) && h("p", { class: "inline no-print" }, action("drop", () => this.#drop(id)), action("move", () => this.#move(id)));
    return h("li", { class: "choice" }, h("div", null, h("strong", { dir: "auto" }, name), " ", section?.title && h("span", { dir: "auto" }, section.title),
      section && h("small", null, [meetingTexts(section, true).join("; "), section.instructor ?? t("section.no_instructor"), t("n.credits", { n: section.credits ?? 0 })].join("; ")),
      h("small", { class: status === "enrolled" ? "good" : "careful" }, t("student.since", { what: state, at: dateTime(at) }))), actions, this.#atRow?.id === id && this.#atRow.el);
  }

  #drawPicker() {
    const { page } = this.file;
    put(this.picker, sectionPicker(page, { label: t("student.add"), verb: t("student.register"), choose: (id) => this.#register(id) }));
  }

  /** Returns an empty element below a registration, in which `act` is confirmed or prepared. */
  #below(id, act) {
    this.#end();
    this.#atRow = { id, act, el: h("div", { class: "at-row no-print" }) };
    this.#opener().closest("li").append(this.#atRow.el);
    return this.#atRow.el;
  }

  #opener() {
    return this.list.querySelector(`[data-act="${CSS.escape(`${this.#atRow.act} ${this.#atRow.id}`)}"]`);
  }

  /** Abandons a change: the focus returns to where it began. */
  #close() {
    const opener = this.#atRow && this.#opener();
    this.#end();
    (opener ?? this.picker.querySelector("input")).focus();
  }

  /** Starts a change, which is shown in `at`; `given` are the options of `Change`. */
  #start(given, at = this.change) {
    const { file } = this;
    // The result of the last change would stand beside the question or the refusal of this one.
    put(file.done);
    const el = h("div");
    put(at, el);
    return new Change(el, {
      nameOf: file.page.nameOf,
      onclose: () => this.#close(),
      ...given,
      // A refusal is an attempt, too.
      send: (how) => given.send(how).catch((problem) => { file.loadHistory(); throw problem; }),
      ondone: (result) => { this.#end(); file.changed(given.done(result)); },
    });
  }

  #end() {
    this.#atRow?.el.remove();
    this.#atRow = null;
    put(this.change);
    this.#drawPicker();
  }

  #registration(id) {
    return `${this.file.path}/registrations/${encodeURIComponent(id)}`;
  }

  #permit(id) {
    const { facts } = this.file;
    return facts && ((codes) => { this.#end(); facts.permits.compose(id, codes); });
  }

  #register(id) {
    this.#atRow?.el.remove();
    this.#atRow = null;
    const name = this.file.page.nameOf(id);
    this.#start({
      verb: t("student.register"), permit: this.#permit(id),
      send: (body) => api.put(this.#registration(id), body),
      done: ({ status, position }) => status === "waitlisted" ? t("student.done.waitlisted", { section: name, nth: ordinal(position) }) : t("student.done.enrolled", { section: name }),
    }).run();
  }

  #drop(id) {
    const { page, name } = this.file;
    const section = page.nameOf(id);
    this.#start({
      verb: t("student.drop.yes"),
      send: (body) => api.delete(this.#registration(id), body),
      done: () => t("student.done.dropped", { section }),
    }, this.#below(id, "drop")).confirm(t("student.drop.text", { name, section }));
  }

  #move(from) {
    const { page } = this.file;
    const [at, progress] = [this.#below(from, "move"), h("div")];
    const picker = sectionPicker(page, { label: t("student.move.label", { section: page.nameOf(from) }), verb: t("student.move.here"), choose: (to) => this.#moveTo(from, to, progress), without: (id) => id === from,
      // Most moves are to another section of the course.
      first: page.catalogue.get(from)?.course });
    put(progress, h("p", { class: "inline" }, button(t("sent.cancel"), () => this.#close(), { class: "quiet" })));
    put(at, picker, progress);
    // Typed text replaces the initial search text.
    picker.querySelector("input").focus();
    picker.querySelector("input").select();
  }

  #moveTo(from, to, progress) {
    const { page, path } = this.file;
    this.#start({
      verb: t("student.move.here"), permit: this.#permit(to),
      send: ({ override, reason }) => api.post(`${path}/move`, { from, to, override, reason }),
      done: () => t("student.done.moved", { from: page.nameOf(from), to: page.nameOf(to) }),
    }, progress).run();
  }
}
