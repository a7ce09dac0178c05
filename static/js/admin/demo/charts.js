// The two drawings of a demonstration: answers a second over its time, and how long answers took. Lanes have the same
// scales, so that they can be compared by eye. Lines are drawn in a square of 100 that stretches; words are not in it.

import { h, put } from "../../dom.js";
import { time } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";

function svg(tag, attributes, ...children) {
  const el = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) el.setAttribute(name, value);
  el.append(...children);
  return el;
}

/** The next number up that people count by, and whose half is one, too. */
export function round(n) {
  const power = 10 ** Math.floor(Math.log10(Math.max(n, 1)));
  return [1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10].map((step) => step * power).find((one) => one >= n);
}

/** Answers a second over time. */
export class Course {
  constructor() {
    this.area = svg("path", { class: "area" });
    this.line = svg("path", { class: "line", "vector-effect": "non-scaling-stroke" });
    const grid = svg("path", { class: "grid", d: "M0,0H100M0,50H100", "vector-effect": "non-scaling-stroke" });
    this.drawing = svg("svg", { viewBox: "0 0 100 100", preserveAspectRatio: "none", "aria-hidden": "true" }, this.area, grid, this.line);
    this.marks = h("div", { "aria-hidden": "true" });
    this.el = h("div", { class: "course" }, this.drawing, this.marks);
  }

  /**
   * `points` are `[second, answers a second until then]`; `level` is the mean of a run whose course is not known. `most`
   * and `seconds` are where the scales end.
   */
  draw({ points, level, most, seconds }) {
    const x = (at) => (Math.min(at / seconds, 1) * 100).toFixed(2);
    const y = (rate) => (100 - Math.min(rate / most, 1) * 100).toFixed(2);
    let line = "", end = 0;
    for (const [at, rate] of points) {
      line += `${line ? "V" : "M0,"}${y(rate)}H${x(at)}`;
      end = at;
    }
    const steady = !line && level !== undefined;
    if (steady) line = `M0,${y(level)}H100`;
    this.line.setAttribute("d", line);
    this.line.classList.toggle("steady", steady);
    this.area.setAttribute("d", line && !steady ? `${line}V100H0Z` : "");
    this.drawing.dataset.end = end.toFixed(1);
    const scale = `${most} ${seconds}`;
    if (scale === this.scale) return;
    this.scale = scale;
    put(this.marks, [0, 0.5, 1].map((part) => {
      const mark = h("span", { class: "level" }, (most * part).toLocaleString());
      mark.style.bottom = `${part * 100}%`;
      return mark;
    }), h("span", { class: "to" }, `${seconds} seconds`));
  }
}

const FROM_MS = 1;
const SHARES = [["p50", "half"], ["p95", "95 of 100"], ["p99", "99 of 100"]];

/** How long answers took: a line for each target on one logarithmic axis. */
export class Waits {
  #lines = new Map();

  constructor(names) {
    this.axis = h("div", { class: "ticks", "aria-hidden": "true" });
    this.el = h("div", { class: "waits" }, names.map(([key, name]) => this.#add(key, name)), this.axis);
  }

  #add(key, name) {
    const words = h("p");
    const range = h("i", { class: "range" });
    const marks = SHARES.map(([share]) => h("i", { class: `mark ${share}` }));
    const track = h("div", { class: "track", "aria-hidden": "true" }, range, marks);
    this.#lines.set(key, { words, range, marks, track });
    return h("div", { class: "wait" }, h("h4", null, name), words, track);
  }

  /** `waits` are `[key, {p50, p95, p99}]`. */
  draw(waits) {
    const longest = Math.max(...waits.map(([, wait]) => wait?.p99 ?? 0));
    const decades = longest > 10_000 ? 5 : 4;
    const place = (ms) => `${Math.min(Math.max(Math.log10(ms / FROM_MS) / decades, 0), 1) * 100}%`;
    if (this.decades !== decades) {
      this.decades = decades;
      put(this.axis, Array.from({ length: decades + 1 }, (_, power) => {
        const tick = h("span", null, power < 3 ? `${10 ** power} ms` : `${10 ** (power - 3)} s`);
        tick.style.left = `${power / decades * 100}%`;
        return tick;
      }));
      this.el.style.setProperty("--decades", decades);
    }
    for (const [key, wait] of waits) {
      const { words, range, marks, track } = this.#lines.get(key);
      const known = wait?.p99 !== null && wait?.p99 !== undefined;
      track.classList.toggle("none-yet", !known);
      const said = known ? SHARES.map(([share, of]) => `${of} within ${time(wait[share])}`) : ["no answers yet"];
      const text = said.join(", ");
      if (words.dataset.text === text) continue;
      words.dataset.text = text;
      put(words, known ? said.map((part, at) => h("span", null, h("i", { class: `mark ${SHARES[at][0]}`, "aria-hidden": "true" }), part, at < 2 ? h("span", { class: "unseen" }, ", ") : null)) : text);
      if (!known) continue;
      marks.forEach((mark, at) => { mark.style.left = place(wait[SHARES[at][0]]); });
      range.style.left = place(wait.p50);
      range.style.right = `calc(100% - ${place(wait.p99)})`;
    }
  }
}
