// Moves everyone in a section to another one: the choice of the section, the reason, and who stays and why. Staff can
// override the rules for those who stay.

import { button, field, h, put, SETTLE_MS } from "../dom.js";
import { api } from "../api.js";
import { t } from "../i18n.js";
import { problemText } from "../words.js";
import { checkedCodes, codeBoxes, givenReason, reasonField } from "./change.js";
import { LIFTABLE, staffRefusal } from "./refusal-text.js";
import { sectionPicker } from "./section-picker.js";

/**
 * The longest wait for the response, in ms. Moving hundreds of students takes seconds, and longer while the hub is
 * busy.
 */
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
    put(this.next, h("p", { class: "inline" }, this.#closeButton(t("sent.cancel"))));
    put(this.el, picker, this.next);
    picker.querySelector("input").focus();
    picker.querySelector("input").select();
  }

  #closeButton(label) {
    return button(label, () => put(this.el), { class: "quiet" });
  }

  /** Says what the move does, and asks for the reason. */
  #confirm(to, n) {
    const { from, page } = this;
    const text = h("p", { tabindex: "-1" }, t("everyone.text", { n, from: page.nameOf(from), to: page.nameOf(to) }));
    put(this.next, this.#form(to, { text, verb: t("everyone.move", { n }) }));
    text.focus();
  }

  /**
   * Returns the form that asks for the reason and moves the students, with `codes` of refusals that can be overridden.
   */
  #form(to, { text, verb, codes = [], reason: before = "" }) {
    const wrong = h("span", { role: "status" });
    const yes = h("button", { class: "strong", disabled: true }, verb);
    setTimeout(() => { yes.disabled = false; }, SETTLE_MS);
    const input = reasonField(true);
    input.value = before;
    const onsubmit = async (event) => {
      event.preventDefault();
      wrong.className = "stop";
      const reason = givenReason(event.target, wrong);
      if (!reason) return;
      const override = codes.length ? checkedCodes(event.target) : undefined;
      yes.disabled = true;
      wrong.className = "";
      put(wrong, t("save.pending"));
      try {
        const response = await api.post(`/api/v1/sections/${encodeURIComponent(this.from)}/move-all`, { to, reason, override }, { ms: MOVE_MS_MAX });
        this.#done(to, reason, response);
      } catch (problem) {
        yes.disabled = false;
        wrong.className = "stop";
        put(wrong, problemText(problem));
      }
    };
    return h("form", { class: "narrow", novalidate: true, onsubmit }, text, codes.length > 0 && codeBoxes(codes), field(t("student.reason"), input, t("student.reason.hint")),
      h("p", { class: "inline" }, yes, this.#closeButton(codes.length ? t("action.close") : t("sent.cancel")), wrong));
  }

  /** Says how many were moved, lists the students who stay, and offers to override the rules that keep them. */
  #done(to, reason, { moved, results }) {
    const { page } = this;
    const stayed = results.filter(({ problem }) => problem);
    const text = h("p", { class: stayed.length ? "careful" : "good", tabindex: "-1" }, t("everyone.done", { n: moved, to: page.nameOf(to) }),
      stayed.length > 0 && [" ", t("everyone.stayed", { n: stayed.length })]);
    const codes = LIFTABLE.filter((code) => stayed.some(({ problem }) => problem.code === code));
    put(this.el, text, h("ul", null, stayed.map(({ user, problem }) => h("li", null, h("span", { dir: "auto" }, user), ": ", staffRefusal(problem, page.nameOf)))),
      codes.length ? this.#form(to, { codes, reason, verb: t("everyone.override", { n: stayed.length }) }) : h("p", null, this.#closeButton(t("action.close"))));
    text.focus();
    this.ondone();
  }
}
