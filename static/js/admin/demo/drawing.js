// The drawing of one run: a panel for each target, the response times, and a table of figures.

import { h, put } from "../../dom.js";
import { t } from "../../i18n.js";
import { LatencyChart, roundUp } from "./charts.js";
import { seatsPerSquare, TargetPanel } from "./target-panel.js";
import { backgroundText, FIGURES, includesTarget, resultOf, secondsRun, TARGET_NAMES, TARGETS } from "./text.js";

/** Rates are measured over at least this long. The hub reports four times a second. */
const STEP_S = 0.2;

export class Drawing {
  /** The points of each target that this page has recorded: `[second, responses per second, responses so far]`. */
  #points = { hub: [], plone: [] };

  constructor(task) {
    const targets = TARGETS.filter((target) => includesTarget(task, target));
    this.panels = targets.map((target) => new TargetPanel(target));
    this.latencies = new LatencyChart(targets.map((target) => [target, TARGET_NAMES[target]]));
    this.background = h("p", { id: "demo-background", hidden: true });
    this.cells = FIGURES.map(() => targets.map(() => h("td")));
    const figures = h("table", null,
      h("thead", null, h("tr", null, h("td"), targets.map((target) => h("th", { scope: "col" }, TARGET_NAMES[target])))),
      h("tbody", null, FIGURES.map(([name], i) => h("tr", null, h("th", { scope: "row" }, name), this.cells[i]))));
    this.el = h("div", null, h("div", { class: "targets" }, this.panels.map(({ el }) => el)),
      h("h3", null, t("demo.times")), this.latencies.el, this.background,
      h("details", { id: "demo-numbers" }, h("summary", null, t("demo.table")), h("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": t("demo.table") }, figures)));
  }

  /**
   * Adds a point for each target under load: the responses since the last point, by the time that the hub has measured.
   */
  #sample(task) {
    for (const result of task.results.filter(({ recorded, target }) => !recorded && this.#points[target])) {
      const points = this.#points[result.target];
      // If a run ended before this page opened, only its mean is known.
      if (!points.length && task.state !== "running") continue;
      const [at, , before] = points.at(-1) ?? [0, 0, 0];
      const now = secondsRun(result);
      if (now - at >= STEP_S) points.push([now, Math.max(0, result.requests - before) / (now - at), result.requests]);
    }
  }

  draw(task) {
    this.#sample(task);
    const results = this.panels.map(({ target }) => resultOf(task, target));
    const points = Object.values(this.#points).flat();
    const last = Math.max(task.seconds, ...points.map(([at]) => at));
    const scale = {
      maxRate: roundUp(Math.max(10, ...points.map(([, rate]) => rate), ...results.map((result) => result?.per_s ?? 0))),
      seconds: last > task.seconds * 1.05 ? Math.ceil(last) : task.seconds,
      seatsPerSquare: seatsPerSquare(results.filter(Boolean)),
    };
    this.panels.forEach((panel, i) => {
      const active = task.phase === panel.target && task.state === "running";
      panel.draw({ result: results[i], active, task, points: this.#points[panel.target], scale });
      this.cells.forEach((cells, row) => {
        const text = (results[i] && FIGURES[row][1](results[i])) || t("demo.not_counted");
        if (cells[i].textContent !== text) cells[i].textContent = text;
      });
    });
    this.latencies.draw(this.panels.map(({ target }, i) => [target, results[i]?.latency_ms]));
    this.#drawBackground(task);
  }

  #drawBackground(task) {
    const background = backgroundText(task);
    this.background.hidden = !background;
    const key = background ? `${background.verdict ?? ""} ${background.text}` : "";
    if (this.background.dataset.key === key) return;
    this.background.dataset.key = key;
    const tone = background?.slowed ? "careful" : "good";
    put(this.background, background?.verdict && [h("strong", { class: tone }, background.verdict), " "], background?.text);
  }
}
