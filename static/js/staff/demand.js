// The "Demand" view: how many plans contain each section, compared with its seats.

import { $, button, h, put, table } from "../dom.js";
import { api, query } from "../api.js";
import { number, t } from "../i18n.js";
import { Poller } from "../poll.js";
import { problemText } from "../words.js";
import { Rehearsal } from "./rehearsal.js";

const DEMAND_MS = 15_000;
/** Rows at first. "Show more" adds four times as many. */
const ROWS = 50;

const ORDERS = {
  "": (a, b) => b.plans - a.plans,
  over: (a, b) => (b.plans - b.seats) - (a.plans - a.seats),
  seats: (a, b) => a.seats - b.seats,
};

export class Demand {
  #demand = null;
  #limit = ROWS;
  #drawn = "";
  #term = null;
  #poller = new Poller((signal) => this.#read(signal), {
    ms: DEMAND_MS,
    isNeeded: () => this.#term !== null && location.hash === "#demand",
    onerror: (problem) => put($("demand-failed"), t("demand.failed", { why: problemText(problem) })),
  });

  /** `page`: `{catalogue, show(id)}`. */
  constructor(page) {
    this.page = page;
    this.rehearsal = new Rehearsal(page);
    $("demand-order").addEventListener("change", () => this.#draw());
    $("demand-fills").addEventListener("change", () => this.#draw());
  }

  run(running) {
    if (running) this.#poller.start();
    else this.#poller.stop();
  }

  /** Shows the demand of another term. */
  setTerm(term) {
    this.#term = term;
    this.#demand = null;
    this.#limit = ROWS;
    put($("demand"));
    put($("demand-totals"));
    this.#drawn = "";
    this.#poller.now();
    this.rehearsal.setTerm(term);
  }

  /** Draws the names of sections that have loaded after the figures. */
  redraw() {
    this.#draw();
  }

  async #read(signal) {
    const term = this.#term;
    const demand = await api.get(`/api/v1/staff/demand${query({ term })}`, { signal });
    if (term !== this.#term) return;
    put($("demand-failed"));
    this.#demand = demand;
    this.#draw();
  }

  #draw() {
    if (!this.#demand) return;
    const { items, students, unplaced } = this.#demand;
    const onlyFull = $("demand-fills").checked;
    const order = $("demand-order").value;
    const shown = items.filter(({ fills }) => fills || !onlyFull).sort((a, b) => ORDERS[order](a, b) || a.section.localeCompare(b.section));
    const rows = shown.slice(0, this.#limit);
    const key = JSON.stringify([rows, students, unplaced, shown.length, rows.map(({ section }) => this.page.catalogue.name(section))]);
    // Unchanged content is not drawn again, so that the focus stays where it is.
    if (key === this.#drawn) return;
    this.#drawn = key;
    put($("demand-totals"), students ? `${t("demand.students", { n: students })} ${t("demand.unplaced", { n: unplaced })}` : t("demand.none"));
    const row = ({ section, plans, seats, fills }) => [
      button(this.page.catalogue.name(section), () => this.page.show(section), { class: "plain" }),
      number(plans), number(seats), fills ? t(seats ? "demand.fills" : "demand.full") : h("span", { class: "none" }, t("demand.enough")),
    ];
    put($("demand"), rows.length > 0 && table(t("demand.caption"), [t("field.section"), t("demand.plans"), t("section.seats"), t("demand.result")], rows.map(row)),
      shown.length > rows.length && button(t("demand.more", { n: shown.length - rows.length }), () => { this.#limit += ROWS * 4; this.#draw(); }, { class: "quiet" }));
  }
}
