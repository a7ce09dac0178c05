// The countdown to the opening of registration, and the button that replaces it.

import { $, button, h, put, update } from "../dom.js";
import { hubNow } from "../hub-clock.js";
import { i18n, t } from "../i18n.js";
import { dateTime, duration } from "../words.js";

export class Opening {
  #key = "";

  /** `page`: see main.js. */
  constructor(page) {
    this.page = page;
  }

  /** Updates the countdown, each second. */
  tick() {
    const { terms } = this.page;
    const left = $("left");
    if (left && terms.current) {
      const text = duration(Date.parse(terms.window(terms.current).opens) - hubNow());
      if (left.textContent !== text) left.textContent = text;
    }
  }

  /** Draws the countdown, the button, or the reason why there is none. */
  draw() {
    const { terms, workspace, registrations, plan } = this.page;
    const term = terms.current;
    const isStudent = Boolean(workspace);
    const isLoaded = Boolean(workspace?.isLoaded);
    const planned = workspace?.planned() ?? [];
    const pending = workspace?.week().filter((id) => registrations.pending(id)).length ?? 0;
    const phase = term ? terms.phase(term) : terms.loaded ? "none" : "loading";
    const window = term ? terms.window(term) : {};
    const inPlan = isStudent && term ? plan.inTerm(term.id).length : 0;
    const doubtful = phase === "open" && planned.length ? this.page.actions.countDoubtful(planned) : 0;
    const isHeld = isStudent && terms.isHeld;
    const key = JSON.stringify([phase, term?.id, term?.title, window, planned, pending, inPlan, doubtful, isHeld, isStudent, isLoaded, i18n.language]);
    if (this.#key === key) return;
    this.#key = key;
    const at = $("opening");
    at.dataset.state = phase === "open" && (planned.length || pending) ? "go" : phase;
    if (!term) return put(at, h("p", { class: "state" }, h("strong", null, t(`term.${phase}`))));
    // Each seat that is taken may change the warning under the button. The button itself stays.
    update(at, this[phase]({ term, window, planned, pending, inPlan, doubtful, isHeld, isLoaded }));
    this.tick();
  }

  soon({ term, window, inPlan, isLoaded }) {
    const opens = t("term.opens", { at: dateTime(window.opens) });
    return [
      h("p", { class: "state" }, t(term.mine ? "term.opens_in.me" : "term.opens_in", { term: term.title || term.id })),
      h("p", { class: "left" }, h("strong", { id: "left", role: "timer" })),
      h("p", { class: "none auto-note" }, h("span", { class: "narrow-only" }, opens, " "), t("term.auto")),
      h("p", { class: "none wide-only" }, opens, " ", isLoaded && (inPlan ? t("term.ready", { n: inPlan }) : t("term.plan_now"))),
    ];
  }

  open({ window, planned, pending, inPlan, doubtful, isHeld, isLoaded }) {
    const closes = window.closes && t("term.closes", { at: dateTime(window.closes) });
    const closesLine = closes && h("p", { class: "none wide-only" }, closes);
    const state = h("p", { class: "state" }, h("strong", { class: "good" }, t("term.open")));
    if (pending > 1) return [button(t("term.registering", { n: pending }), () => {}, { class: "primary wide", disabled: true }), closesLine];
    if (planned.length) {
      // The button is not primary if every section will probably be refused. It still leads to the reasons and next
      // steps.
      const all = isHeld || doubtful === planned.length;
      const warning = isHeld ? "term.held" : all ? "term.doubtful.all" : "term.doubtful";
      return [button(t("term.register", { n: planned.length }), () => this.page.workspace.registerAll(this.page.workspace.planned()), { class: all ? "wide" : "primary wide", id: "register-all" }),
        h("p", { class: "careful", hidden: !isHeld && !doubtful }, t(warning, { n: doubtful })),
        h("p", { class: "none wide-only" }, t("term.open"), ". ", closes)];
    }
    // On a wide page, the holds are below it.
    const held = isHeld && h("p", { class: "careful narrow-only" }, t("term.held"));
    return [state, held, closesLine, isLoaded && !isHeld && h("p", { class: "none wide-only" }, t(inPlan ? "term.done" : "term.nothing"))];
  }

  over({ window }) {
    return [h("p", { class: "state" }, h("strong", null, t("term.over"))), h("p", { class: "none auto-note" }, t("term.closed", { at: dateTime(window.closes) }))];
  }

  unset() {
    return [h("p", { class: "state" }, h("strong", null, t("term.unset"))), h("p", { class: "none auto-note" }, t("term.unset.hint"))];
  }
}
