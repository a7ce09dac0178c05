// The two charts of a demonstration: responses per second, and response times. The charts of all targets have the same
// scales. Lines are drawn in a square of 100 units that stretches with the page; texts are HTML beside it.

import { h, put } from "../../dom.js";
import { number, t } from "../../i18n.js";
import { latencyText } from "./text.js";

const SVG = "http://www.w3.org/2000/svg";

function svg(tag, attributes, ...children) {
  const el = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) el.setAttribute(name, value);
  el.append(...children);
  return el;
}

/** Returns the next round number that is at least `n`, and whose half is round as well. */
export function roundUp(n) {
  const power = 10 ** Math.floor(Math.log10(Math.max(n, 1)));
  return [1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10].map((step) => step * power).find((one) => one >= n);
}

/** Responses per second over the time of a run. */
export class ThroughputChart {
  constructor() {
    this.area = svg("path", { class: "area" });
    this.line = svg("path", { class: "line", "vector-effect": "non-scaling-stroke" });
    const grid = svg("path", { class: "grid", d: "M0,0H100M0,50H100", "vector-effect": "non-scaling-stroke" });
    this.drawing = svg("svg", { viewBox: "0 0 100 100", preserveAspectRatio: "none", "aria-hidden": "true" }, this.area, grid, this.line);
    this.labels = h("div", { "aria-hidden": "true" });
    this.el = h("div", { class: "throughput" }, this.drawing, this.labels);
  }

  /**
   * Draws a run. `points` are `[second, responses per second until then]`. Without points, `mean` is drawn as a dashed
   * line. `maxRate` and `seconds` are the ends of the scales.
   */
  draw({ points, mean, maxRate, seconds }) {
    const x = (at) => (Math.min(at / seconds, 1) * 100).toFixed(2);
    const y = (rate) => (100 - Math.min(rate / maxRate, 1) * 100).toFixed(2);
    let line = "", end = 0;
    for (const [at, rate] of points) {
      line += `${line ? "V" : "M0,"}${y(rate)}H${x(at)}`;
      end = at;
    }
    const isMean = !line && mean !== undefined;
    if (isMean) line = `M0,${y(mean)}H100`;
    this.line.setAttribute("d", line);
    this.line.classList.toggle("mean", isMean);
    this.area.setAttribute("d", line && !isMean ? `${line}V100H0Z` : "");
    this.drawing.dataset.end = end.toFixed(1);
    const scale = `${maxRate} ${seconds}`;
    if (scale === this.scale) return;
    this.scale = scale;
    put(this.labels, [0, 0.5, 1].map((part) => {
      const label = h("span", { class: "level" }, number(maxRate * part));
      label.style.bottom = `${part * 100}%`;
      return label;
    }), h("span", { class: "end" }, t("n.seconds", { n: seconds })));
  }
}

/** The left end of the response time axis. */
const FROM_MS = 1;
const PERCENTILES = [["p50", "50%"], ["p95", "95%"], ["p99", "99%"]];

/** Response times: one line for each target, on one logarithmic axis. */
export class LatencyChart {
  #lines = new Map();

  /** `targets`: `[target, name]`. */
  constructor(targets) {
    this.axis = h("div", { class: "ticks", "aria-hidden": "true" });
    this.el = h("div", { class: "latencies" }, targets.map(([target, name]) => this.#addLine(target, name)), this.axis);
  }

  #addLine(target, name) {
    const text = h("p");
    const range = h("i", { class: "range" });
    const marks = PERCENTILES.map(([percentile]) => h("i", { class: `mark ${percentile}` }));
    const track = h("div", { class: "track", "aria-hidden": "true" }, range, marks);
    this.#lines.set(target, { text, range, marks, track });
    return h("div", { class: "latency" }, h("h4", null, name), text, track);
  }

  /** Draws `latencies`, which are `[target, {p50, p95, p99}]` in milliseconds. */
  draw(latencies) {
    const longest = Math.max(...latencies.map(([, latency]) => latency?.p99 ?? 0));
    const decades = longest > 10_000 ? 5 : 4;
    const position = (ms) => `${Math.min(Math.max(Math.log10(ms / FROM_MS) / decades, 0), 1) * 100}%`;
    this.#drawAxis(decades);
    for (const [target, latency] of latencies) {
      const { text, range, marks, track } = this.#lines.get(target);
      const known = latency?.p99 !== null && latency?.p99 !== undefined;
      track.classList.toggle("no-data", !known);
      const parts = known ? PERCENTILES.map(([percentile, share]) => t("demo.within", { share, time: latencyText(latency[percentile]) })) : [t("demo.no_responses")];
      const key = parts.join(", ");
      if (text.dataset.key === key) continue;
      text.dataset.key = key;
      put(text, known ? parts.map((part, i) => h("span", null,
        h("i", { class: `mark ${PERCENTILES[i][0]}`, "aria-hidden": "true" }), part, i < 2 && h("span", { class: "unseen" }, ", "))) : key);
      if (!known) continue;
      marks.forEach((mark, i) => { mark.style.left = position(latency[PERCENTILES[i][0]]); });
      range.style.left = position(latency.p50);
      range.style.right = `calc(100% - ${position(latency.p99)})`;
    }
  }

  #drawAxis(decades) {
    if (this.decades === decades) return;
    this.decades = decades;
    put(this.axis, Array.from({ length: decades + 1 }, (_, power) => {
      const tick = h("span", null, power < 3 ? `${10 ** power} ms` : `${10 ** (power - 3)} s`);
      tick.style.left = `${power / decades * 100}%`;
      return tick;
    }));
    this.el.style.setProperty("--decades", decades);
  }
}
