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
    put(this.list, [page.term(), ...others].map((term) => this.#termPart(term, this.#items.filter((one) => termOf(one) === term))));
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
    const labelled = (verb) => ({ class: "quiet", "aria-label": t("action.for", { verb, section: name }) });
    const actions = isShown && page.mayEdit(id) && h("p", { class: "inline no-print" },
      button(t("student.drop"), () => this.#drop(id), labelled(t("student.drop"))), button(t("student.move"), () => this.#move(id), labelled(t("student.move"))));
    return h("li", { class: "choice" }, h("div", null, h("strong", { dir: "auto" }, name), " ", section?.title && h("span", { dir: "auto" }, section.title),
      section && h("small", null, [meetingTexts(section, true).join("; "), section.instructor ?? t("section.no_instructor"), t("n.credits", { n: section.credits ?? 0 })].join("; ")),
      h("small", { class: status === "enrolled" ? "good" : "careful" }, t("student.since", { what: state, at: dateTime(at) }))), actions);
  }

  #drawPicker(from) {
    const { page } = this.file;
    put(this.picker, from
      ? sectionPicker(page, { label: t("student.move.label", { section: page.nameOf(from) }), verb: t("student.move.here"), choose: (to) => this.#moveTo(from, to), without: (id) => id === from })
      : sectionPicker(page, { label: t("student.add"), verb: t("student.register"), choose: (id) => this.#register(id) }));
    if (from) this.picker.querySelector("input").focus();
  }

  /** Starts a change; `given` are the options of `Change`. */
  #start(given) {
    const { file } = this;
    const el = h("div");
    put(this.change, el);
    return new Change(el, {
      nameOf: file.page.nameOf,
      onclose: () => { this.#end(); this.picker.querySelector("input").focus(); },
      ...given,
      // A refusal is an attempt, too.
      send: (how) => given.send(how).catch((problem) => { file.loadHistory(); throw problem; }),
      ondone: (result) => { this.#end(); file.changed(given.done(result)); },
    });
  }

  #end() {
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
    }).confirm(t("student.drop.text", { name, section }));
  }

  #move(from) {
    put(this.change);
    this.#drawPicker(from);
    put(this.change, h("p", { class: "inline" }, button(t("sent.cancel"), () => { this.#end(); this.picker.querySelector("input").focus(); }, { class: "quiet" })));
  }

  #moveTo(from, to) {
    const { page, path } = this.file;
    this.#start({
      verb: t("student.move.here"), permit: this.#permit(to),
      send: ({ override, reason }) => api.post(`${path}/move`, { from, to, override, reason }),
      done: () => t("student.done.moved", { from: page.nameOf(from), to: page.nameOf(to) }),
    }).run();
  }
}
