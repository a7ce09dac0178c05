// What to do if a planned section is full: other sections to try, and its waitlist. One disclosure for each section.

import { button, h, put } from "../dom.js";
import { i18n, t } from "../i18n.js";
import { meetingTexts } from "../words.js";

/** The maximum number of alternates of a section that the hub accepts. */
const ALTERNATES_MAX = 5;

export class Choices {
  #key = "";

  constructor(page, id) {
    Object.assign(this, { page, id });
    this.box = h("input", { type: "checkbox", onchange: () => page.plan.setChoices(id, { waitlist: this.box.checked }) });
    this.summary = h("summary");
    this.list = h("ol");
    this.label = h("span");
    this.select = h("select");
    this.add = button(t("choices.add"), () => this.#add());
    this.adding = h("div", { class: "adding" }, this.select, this.add);
    this.title = h("p", { class: "none" });
    this.wait = h("label", { class: "check" }, this.box, this.label);
    this.el = h("details", { class: "choices" }, this.summary, this.title, this.list, this.adding, this.wait);
  }

  /** Updates the disclosure. Its elements stay, so that neither the focus nor a press is lost. */
  draw() {
    const { page, id } = this;
    const section = page.catalogue.get(id);
    this.el.hidden = !section || !page.plan.has(id) || Boolean(page.registrations.get(id)) || section.status === "cancelled";
    if (this.el.hidden) return;
    const { waitlist, alternates } = page.plan.choices(id);
    const others = page.catalogue.sameClass(id).filter((other) => !alternates.includes(other));
    const hasWaitlist = page.numbers(id).waitlist_capacity > 0;
    const key = [waitlist, alternates, others, hasWaitlist, i18n.language].join(";");
    if (this.#key === key) return;
    this.#key = key;
    const set = [alternates.length > 0 && t("choices.some", { n: alternates.length }), waitlist && t("choices.wait")].filter(Boolean);
    put(this.summary, t("choices.title"), " ", h("span", { class: "none" }, set.join(", ") || t("choices.none")));
    this.summary.setAttribute("aria-label", `${page.catalogue.name(id)}: ${this.summary.textContent}`);
    this.title.textContent = alternates.length || others.length ? t("choices.alternates") : "";
    put(this.list, alternates.map((other, at) => this.#item(other, at, alternates)));
    this.adding.hidden = !others.length || alternates.length >= ALTERNATES_MAX;
    const chosen = this.select.value;
    put(this.select, others.map((other) => h("option", { value: other }, this.#option(other))));
    if (others.includes(chosen)) this.select.value = chosen;
    this.select.setAttribute("aria-label", t("choices.add.for", { section: page.catalogue.name(id) }));
    this.add.textContent = t("choices.add");
    this.label.textContent = hasWaitlist || waitlist ? t(alternates.length ? "choices.waitlist.last" : "choices.waitlist") : t("waitlist.none");
    this.box.checked = waitlist;
    this.box.disabled = !hasWaitlist && !waitlist;
  }

  #option(other) {
    const section = this.page.catalogue.get(other);
    return [section.section ?? section.crn, meetingTexts(section, false)[0]].filter(Boolean).join(", ");
  }

  #item(other, at, alternates) {
    const name = this.page.catalogue.name(other);
    const set = (changed) => this.page.plan.setChoices(this.id, { alternates: changed });
    const up = [...alternates];
    if (at > 0) [up[at - 1], up[at]] = [up[at], up[at - 1]];
    return h("li", null, h("span", null, this.page.catalogue.get(other) ? `${name}, ${this.#option(other)}` : other),
      at > 0 && button(t("choices.up"), () => { set(up); this.summary.focus(); }, { class: "plain", "aria-label": t("action.for", { verb: t("choices.up"), section: name }) }),
      button(t("choices.remove"), () => { set(alternates.filter((one) => one !== other)); this.summary.focus(); }, { class: "plain", "aria-label": t("action.for", { verb: t("choices.remove"), section: name }) }));
  }

  #add() {
    const { alternates } = this.page.plan.choices(this.id);
    if (this.select.value) this.page.plan.setChoices(this.id, { alternates: [...alternates, this.select.value] });
  }
}
