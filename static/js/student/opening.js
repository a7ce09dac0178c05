// When registration opens, and the one button that it becomes.

import { $, button, h, put } from "../dom.js";
import { hubNow } from "../hub-clock.js";
import { now, t } from "../i18n.js";
import { moment, span } from "../words.js";

export class Opening {
  #key = "";

  /** `page`: see main.js. */
  constructor(page) {
    this.page = page;
  }

  /** Each second: only the digits change. */
  tick() {
    const { terms } = this.page;
    const left = $("left");
    if (left && terms.current) {
      const text = span(Date.parse(terms.window(terms.current).opens) - hubNow());
      if (left.textContent !== text) left.textContent = text;
    }
  }

  /** What stands here now: a countdown, the button, or why there is none. */
  draw() {
    const { terms, own, mine, plan } = this.page;
    const term = terms.current;
    const student = Boolean(own);
    const wanted = own?.wanted() ?? [];
    const busy = own?.week().filter((id) => mine.doing(id)).length ?? 0;
    const phase = term ? terms.phase(term) : terms.loaded ? "none" : "loading";
    const window = term ? terms.window(term) : {};
    const planned = student && term ? plan.inTerm(term.id).length : 0;
    const doubt = phase === "open" && wanted.length ? this.page.actions.doubtful(wanted) : 0;
    const key = JSON.stringify([phase, term?.id, term?.title, window, wanted, busy, planned, doubt, student, now.language]);
    if (this.#key === key) return;
    this.#key = key;
    const at = $("opening");
    at.dataset.state = phase === "open" && (wanted.length || busy) ? "go" : phase;
    if (!term) return put(at, h("p", { class: "state" }, h("strong", null, t(`term.${phase}`))), phase === "none" && h("p", { class: "none" }, t("term.none.do")));
    put(at, this[phase]({ term, window, wanted, busy, planned, doubt, student }));
    this.tick();
  }

  soon({ term, window, planned, student }) {
    return [
      h("p", { class: "state" }, t(term.mine ? "term.opens_in.me" : "term.opens_in", { term: term.title || term.id })),
      h("p", { class: "left" }, h("strong", { id: "left", role: "timer" })),
      h("p", { class: "none by-itself" }, t("term.by_itself")),
      h("p", { class: "none when-long" }, t("term.soon", { at: moment(window.opens) }), " ", student && (planned ? t("term.ready", { n: planned }) : t("term.plan_now"))),
    ];
  }

  open({ window, wanted, busy, planned, doubt, student }) {
    const until = window.closes && h("p", { class: "none when-long" }, t("term.until", { at: moment(window.closes) }));
    const state = h("p", { class: "state" }, h("strong", { class: "good" }, t("term.open")));
    if (busy > 1) return [button(t("term.going", { n: busy }), () => {}, { class: "primary wide", disabled: true }), until];
    if (wanted.length) {
      // What cannot be had as it stands may be asked for, for its answer and its next step: it is not what the page is about.
      const none = doubt === wanted.length;
      return [button(t("term.go", { n: wanted.length }), () => this.page.own.go(wanted), { class: none ? "wide" : "primary wide", id: "go" }),
        doubt > 0 && h("p", { class: "careful" }, t(none ? "term.doubt.all" : "term.doubt", { n: doubt })),
        h("p", { class: "none when-long" }, t("term.open"), ". ", window.closes && t("term.until", { at: moment(window.closes) }))];
    }
    return [state, until, student && h("p", { class: "none when-long" }, t(planned ? "term.done" : "term.nothing"))];
  }

  over({ window }) {
    return [h("p", { class: "state" }, h("strong", null, t("term.over"))), h("p", { class: "none when-long" }, t("term.since", { at: moment(window.closes) }))];
  }

  unset() {
    return [h("p", { class: "state" }, h("strong", null, t("term.unset"))), h("p", { class: "none when-long" }, t("term.unset.do"))];
  }
}
