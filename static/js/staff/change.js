// A change that staff make for a student. It is confirmed in place, and a refusal offers to override its rules.

import { button, field, h, markInvalid, put, SETTLE_MS } from "../dom.js";
import { t } from "../i18n.js";
import { LIFTABLE, staffRefusal } from "./refusal-text.js";

const REASON_CHARS_MAX = 500;

/** Returns a field for the reason for a change. */
export const reasonField = (required) => h("textarea", { name: "reason", rows: 2, maxlength: REASON_CHARS_MAX, required });

/** Returns checkboxes for the codes of refusals. */
export function codeBoxes(codes, checked = codes) {
  return h("fieldset", null, h("legend", null, t("student.override.codes")), codes.map((code) =>
    h("label", { class: "check" }, h("input", { type: "checkbox", name: "override", value: code, checked: checked.includes(code) }), " ", t(`reason.${code}`))));
}

/** Returns the codes that are checked in a form. */
export const checkedCodes = (form) => [...form.querySelectorAll("[name=override]:checked")].map(({ value }) => value);

/** Returns the reason in a form, or null after marking the empty field. */
export function givenReason(form, status) {
  const input = form.elements.reason;
  const reason = input.value.trim();
  if (reason) return reason;
  put(status, t("student.reason.missing"));
  markInvalid(input, status);
  input.focus();
  return null;
}

export class Change {
  /** The codes of the refusals of this change so far. */
  #met = [];

  /**
   * `el` shows the change. `send({override, reason, waitlist})` makes it, `ondone(result)` is called after it, and
   * `onclose()` when it is abandoned. `permit(codes)`, if it is given, offers a permit instead.
   */
  constructor(el, { send, ondone, onclose, permit, nameOf, verb }) {
    Object.assign(this, { el, send, ondone, onclose, permit, nameOf, verb });
    this.status = h("p", { role: "status", tabindex: "-1" });
    this.body = h("div");
    el.classList.add("change");
    put(el, this.status, this.body);
  }

  /** Says what the change will do; a second press makes it. */
  confirm(text) {
    this.status.className = "";
    put(this.status, text);
    const yes = button(this.verb, () => this.run(), { class: "danger", disabled: true });
    setTimeout(() => { yes.disabled = false; }, SETTLE_MS);
    put(this.body, h("p", { class: "inline" }, yes, this.#closeButton()));
    this.status.focus();
  }

  async run(how = {}) {
    this.status.className = "";
    put(this.status, t("save.pending"));
    put(this.body);
    this.status.focus();
    try {
      this.ondone(await this.send(how));
    } catch (problem) {
      this.#refused(problem, how);
    }
  }

  #closeButton() {
    return button(t("sent.cancel"), () => this.onclose(), { class: "quiet" });
  }

  #refused(problem, { reason = "" }) {
    this.status.className = "stop";
    put(this.status, staffRefusal(problem, this.nameOf));
    this.status.focus();
    if (!LIFTABLE.includes(problem.code)) {
      return put(this.body, h("p", { class: "inline" }, button(t("find.retry"), () => this.run(), { class: "strong" }), this.#closeButton()));
    }
    if (!this.#met.includes(problem.code)) this.#met.push(problem.code);
    const input = reasonField(true);
    input.value = reason;
    const wrong = h("span", { class: "stop", role: "status" });
    const onsubmit = (event) => {
      event.preventDefault();
      const given = givenReason(event.target, wrong);
      if (given) this.run({ override: checkedCodes(event.target), reason: given });
    };
    const wait = problem.code === "section_full" && problem.waitlist_open
      && button(t("student.wait"), () => this.run({ waitlist: true }));
    const permit = this.permit && button(t("student.permit.instead"), () => this.permit([...this.#met]), { class: "quiet" });
    put(this.body, h("form", { class: "narrow", novalidate: true, onsubmit }, codeBoxes(this.#met), field(t("student.reason"), input, t("student.reason.hint")),
      h("p", { class: "inline" }, h("button", { class: "strong" }, t("student.override")), wait, permit, this.#closeButton()), wrong));
  }
}
