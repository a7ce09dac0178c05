// Moves everyone in a section to another one: the choice of the section, the reason, and who stays and why.

import { button, field, h, put, SETTLE_MS } from "../dom.js";
import { api } from "../api.js";
import { t } from "../i18n.js";
import { problemText } from "../words.js";
import { givenReason, reasonField } from "./change.js";
import { staffRefusal } from "./refusal-text.js";
import { sectionPicker } from "./section-picker.js";

/** The longest wait for the response, in ms. Hundreds of students are moved within seconds, or later while the hub is busy. */
const MOVE_MS_MAX = 120_000;

export class MoveEveryone {
  /** `page`: see staff.js. `ondone()` is called after students were moved. */
  constructor(page, from, ondone) {
    Object.assign(this, { page, from, ondone });
    this.el = h("div", { class: "at-row" });
    this.next = h("div");
  }

  /** Asks for the section to which the `n` students of this one go. */
  open(n) {
    const { page, from } = this;
    const picker = sectionPicker(page, {
      label: t("everyone.to", { section: page.nameOf(from) }), verb: t("student.move.here"), choose: (to) => this.#confirm(to, n),
      without: (id) => id === from, first: page.catalogue.get(from)?.course,
    });
    put(this.next, h("p", { class: "inline" }, this.#closeButton()));
    put(this.el, picker, this.next);
    picker.querySelector("input").focus();
    picker.querySelector("input").select();
  }

  #closeButton() {
    return button(t("sent.cancel"), () => put(this.el), { class: "quiet" });
  }

  /** Says what the move does, and asks for the reason. */
  #confirm(to, n) {
    const { from, page } = this;
    const wrong = h("span", { role: "status" });
    const yes = h("button", { class: "strong", disabled: true }, t("everyone.move", { n }));
    setTimeout(() => { yes.disabled = false; }, SETTLE_MS);
    const onsubmit = async (event) => {
      event.preventDefault();
      wrong.className = "stop";
      const reason = givenReason(event.target, wrong);
      if (!reason) return;
      yes.disabled = true;
      wrong.className = "";
      put(wrong, t("save.pending"));
      try {
        this.#done(to, await api.post(`/api/v1/sections/${encodeURIComponent(from)}/move-all`, { to, reason }, { ms: MOVE_MS_MAX }));
      } catch (problem) {
        yes.disabled = false;
        wrong.className = "stop";
        put(wrong, problemText(problem));
      }
    };
    const text = h("p", { tabindex: "-1" }, t("everyone.text", { n, from: page.nameOf(from), to: page.nameOf(to) }));
    put(this.next, h("form", { class: "narrow", novalidate: true, onsubmit }, text, field(t("student.reason"), reasonField(true), t("student.reason.hint")),
      h("p", { class: "inline" }, yes, this.#closeButton(), wrong)));
    text.focus();
  }

  /** Says how many were moved, and lists the students who stay. */
  #done(to, { moved, results }) {
    const { page } = this;
    const stayed = results.filter(({ problem }) => problem);
    const text = h("p", { class: stayed.length ? "careful" : "good", tabindex: "-1" }, t("everyone.done", { n: moved, to: page.nameOf(to) }),
      stayed.length > 0 && [" ", t("everyone.stayed", { n: stayed.length })]);
    put(this.el, text, h("ul", null, stayed.map(({ user, problem }) => h("li", null, h("span", { dir: "auto" }, user), ": ", staffRefusal(problem, page.nameOf)))),
      h("p", null, button(t("action.close"), () => put(this.el), { class: "quiet" })));
    text.focus();
    this.ondone();
  }
}
