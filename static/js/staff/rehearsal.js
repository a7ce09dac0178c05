// A rehearsal of registration: a form, the progress, and the result.

import { $, button, h, put, table } from "../dom.js";
import { api } from "../api.js";
import { has, number, t } from "../i18n.js";
import { problemText } from "../words.js";

const PATH = "/api/v1/staff/rehearsals";
/** The pause between two reads of the progress. */
const PROGRESS_MS = 500;
/** The maximum number of sections in the result. */
const ROWS_MAX = 50;

export class Rehearsal {
  #term = null;
  #task = null;

  /** `page`: `{catalogue}`. */
  constructor(page) {
    this.page = page;
    $("rehearsal-form").addEventListener("submit", (event) => { event.preventDefault(); this.#start(); });
  }

  /** Forgets the result of another term. A running rehearsal continues in the hub. */
  setTerm(term) {
    this.#term = term;
    this.#task = null;
    put($("rehearsal"));
    $("rehearse").disabled = false;
  }

  async #start() {
    const { order, runs, waitlist } = $("rehearsal-form").elements;
    const term = this.#term;
    $("rehearse").disabled = true;
    put($("rehearsal"), h("p", null, t("rehearsal.starting")));
    try {
      const { task } = await api.post(PATH, { term, order: order.value, runs: Number(runs.value), waitlist: waitlist.checked });
      if (term !== this.#term) return;
      this.#task = task;
      await this.#follow(task);
    } catch (problem) {
      // The hub states the reason in English only.
      const text = problem.field === "order" ? t("rehearsal.no_opening") : problemText(problem);
      if (term === this.#term) put($("rehearsal"), h("p", { class: "stop" }, text));
    } finally {
      if (term === this.#term) $("rehearse").disabled = false;
    }
  }

  /** Reads the rehearsal until it has ended. */
  async #follow(task) {
    const bar = h("progress", { max: 100, value: 0, "aria-label": t("rehearsal.progress") });
    const text = h("p");
    const cancel = button(t("rehearsal.cancel"), async () => {
      cancel.disabled = true;
      await api.delete(`${PATH}/${task}`).catch((problem) => { cancel.disabled = false; put(text, problemText(problem)); });
    }, { class: "quiet" });
    put($("rehearsal"), h("div", { class: "progress" }, text, bar, cancel));
    for (;;) {
      const report = await api.get(`${PATH}/${task}`);
      if (task !== this.#task) return;
      if (report.state !== "running") return this.#show(report);
      bar.value = report.percent;
      put(text, t("rehearsal.running", { n: report.students }));
      await new Promise((resolve) => setTimeout(resolve, PROGRESS_MS));
    }
  }

  #show(report) {
    if (report.state === "cancelled") return put($("rehearsal"), h("p", { class: "careful" }, t("rehearsal.cancelled")));
    if (report.state === "failed") return put($("rehearsal"), h("p", { class: "stop" }, t("rehearsal.failed")));
    const { students, runs, nothing, complete, refusals, fills } = report;
    const name = (code) => has(`reason.${code}`) ? t(`reason.${code}`) : code;
    const byCount = Object.entries(refusals).sort((a, b) => b[1].mean - a[1].mean);
    const fill = (one) => [this.page.catalogue.name(one.section), number(one.plans), number(one.seats), one.arrived.max ? spread(one.arrived) : t("demand.full")];
    put($("rehearsal"),
      h("p", { class: "good" }, t("rehearsal.done", { n: students, runs })),
      h("dl", null, [["rehearsal.complete", complete], ["rehearsal.nothing", nothing]].map(([key, value]) => h("div", null, h("dt", null, t(key)), h("dd", null, spread(value))))),
      fills.length > 0 && table(t("rehearsal.fills"), [t("field.section"), t("demand.plans"), t("section.seats"), t("rehearsal.arrived")], fills.slice(0, ROWS_MAX).map(fill)),
      fills.length > ROWS_MAX && h("p", { class: "none" }, t("rehearsal.first", { n: ROWS_MAX, total: fills.length })),
      byCount.length > 0 && table(t("now.refusals"), [t("now.reason"), t("rehearsal.per_run")], byCount.map(([code, value]) => [name(code), spread(value)])));
  }
}

/** Returns a number of one run, or the average of several with its range. */
function spread({ min, mean, max }) {
  const average = number(Math.round(mean));
  return min === max ? average : t("rehearsal.range", { average, min, max });
}
