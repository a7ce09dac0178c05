// Permits: overrides that staff give a student beforehand, with or without an end.

import { button, field, h, markInvalid, put } from "../dom.js";
import { api } from "../api.js";
import { fromCollegeTime, zoneName } from "../college-time.js";
import { t } from "../i18n.js";
import { dateTime, joinList, problemText } from "../words.js";
import { checkedCodes, codeBoxes, givenReason, reasonField } from "./change.js";
import { LIFTABLE } from "./refusal-text.js";

export class StudentPermits {
  /** `file`: the student's file. */
  constructor(file) {
    this.file = file;
    this.list = h("div");
    this.form = h("div", { class: "no-print" });
    this.el = h("section", null, h("h4", null, t("student.permits")), this.list, this.form);
    this.#showButton();
  }

  draw(permits) {
    put(this.list, permits.length ? h("ul", { class: "lines", role: "list" }, permits.map((one) => this.#permit(one))) : h("p", { class: "none" }, t("student.permits.none")));
  }

  #permit({ section, course, override, reason, expires_at, by }) {
    const what = course ?? this.file.page.nameOf(section);
    const codes = joinList(override.map((code) => t(`reason.${code}`)));
    return h("li", { class: "choice" }, h("div", null, h("strong", { dir: "auto" }, what), " ", codes,
      h("small", { dir: "auto" }, t("student.permit.by", { reason, by })), h("small", null, expires_at ? t("student.permit.until", { at: dateTime(expires_at) }) : t("student.permit.no_end"))),
    h("p", { class: "no-print" }, button(t("student.permit.end"), () => this.#compose({ target: section ?? course, codes: [], ending: what }), { class: "quiet", "aria-label": t("action.for", { verb: t("student.permit.end"), section: what }) })));
  }

  #showButton() {
    put(this.form, button(t("student.permit.give"), () => this.#compose({ codes: [] }), { class: "quiet" }));
  }

  /** Shows the form for a permit for this section with these codes. */
  compose(section, codes) {
    this.#compose({ target: section, codes });
  }

  #compose({ target = "", codes, ending }) {
    const of = h("input", { name: "of", required: true, autocomplete: "off", value: target, maxlength: 100 });
    const expires = h("input", { name: "expires_at", type: "datetime-local" });
    const status = h("p", { role: "status", class: "stop" });
    const close = () => { this.#showButton(); this.form.firstChild.focus(); };
    const onsubmit = (event) => { event.preventDefault(); this.#give(event.target, status, ending); };
    put(this.form, h("form", { class: "narrow change", novalidate: true, onsubmit },
      h("h5", { tabindex: "-1" }, ending ? t("student.permit.end.of", { what: ending }) : t("student.permit.give")),
      h("div", { hidden: Boolean(ending) }, field(t("student.permit.of"), of, t("student.permit.of.hint")), codeBoxes(LIFTABLE, codes),
        field(t("student.permit.expires"), expires, t("student.permit.expires.hint", { zone: zoneName() }))),
      field(t("student.reason"), reasonField(true), t("student.reason.hint")),
      h("p", { class: "inline" }, h("button", { class: "strong" }, ending ? t("student.permit.end") : t("student.permit.give")), button(t("sent.cancel"), close, { class: "quiet" })), status));
    this.form.querySelector("h5").focus();
  }

  /** Returns a section if the term has one with this id or CRN, otherwise a course. */
  #target(text) {
    const { catalogue, term } = this.file.page;
    const id = [text, `${term()}-${text}`].find((one) => catalogue.get(one));
    return id ? { section: id } : { course: text };
  }

  async #give(form, status, ending) {
    const { of, expires_at } = form.elements;
    const wrong = (control, text) => { put(status, text); markInvalid(control, status); control.focus(); };
    if (!of.value.trim()) return wrong(of, t("student.permit.of.missing"));
    const override = ending ? [] : checkedCodes(form);
    if (!ending && !override.length) return wrong(form.querySelector("[name=override]"), t("student.permit.codes.missing"));
    const reason = givenReason(form, status);
    if (!reason) return;
    const at = fromCollegeTime(expires_at.value);
    put(status, t("save.pending"));
    try {
      await api.post(`${this.file.path}/permits`, { ...this.#target(of.value.trim()), override, reason, expires_at: at?.toISOString() });
      this.#showButton();
      this.file.changed(ending ? t("student.done.permit_ended", { what: ending }) : t("student.done.permit"));
    } catch (problem) {
      const control = { section: of, course: of, expires_at, reason: form.elements.reason }[problem.field];
      if (control) wrong(control, problemText(problem));
      else put(status, problemText(problem));
    }
  }
}
