// Numbers in time: strips under each other, with one time axis and one cross-hair for all of them.

import { button, h } from "../dom.js";
import { clock } from "../words.js";

const SVG = "http://www.w3.org/2000/svg";
/** How much of the past can be looked at, in seconds; the first is shown at the start. */
export const SPANS_S = [120, 600];
/** A second more or less between two samples that are told is the machine's; a longer time without one is a gap in the line. */
const GAP_MS = 3_500;
/** The height of a strip's drawing, in CSS pixels. */
const HEIGHT = 44;

const svg = (tag, attributes) => {
  const el = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) el.setAttribute(name, value);
  return el;
};

/** The least of 1, 2 and 5 times a power of ten that is not below `n`. */
export function ceiling(n) {
  if (!(n > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(n));
  return [1, 2, 5, 10].map((step) => step * power).find((one) => one >= n * (1 - 1e-9)) ?? 10 * power;
}

/**
 * The line through these points, `[ms, value, reach]` in the order of time: of a value that is null, and to a point that
 * is further away than its reach, there is none. `x` and `y` turn them into pixels.
 */
export function path(points, x, y) {
  let d = "", last = null;
  for (const [at, value, reach = GAP_MS] of points) {
    if (value === null || value === undefined) { last = null; continue; }
    d += `${last !== null && at - last <= reach ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
    last = at;
  }
  return d;
}

export class Strips {
  #samples = [];
  #span = SPANS_S[0] * 1000;
  #pointed = null;
  #width = 600;
  #due = 0;

  /**
   * `strips`: `{name, unit(n), least, lines: [{of(sample), tone, words(n, sample)}], trouble?(sample), shown?(sample)}`; a
   * sample is what the hub tells each second, `tone` one or more of the drawing's classes, `least` the least that the scale
   * reaches to, `trouble` marks the time in which something was wrong.
   */
  constructor(at, strips) {
    this.rows = strips.map((strip) => this.#row(strip));
    this.ticks = svg("svg", { class: "ticks", "aria-hidden": "true", height: 20 });
    this.axis = h("div", { class: "axis", role: "slider", tabindex: 0, "aria-label": "Moment that the numbers are of", "aria-valuemin": 0, "aria-valuemax": 1, "aria-valuenow": 1 });
    this.axis.append(this.ticks);
    this.when = h("p", { class: "when" });
    this.choices = SPANS_S.map((s) => button(`${s / 60} minutes`, () => this.#show(s * 1000), { class: "quiet", "aria-pressed": String(s === SPANS_S[0]) }));
    at.append(h("div", { class: "spans", role: "group", "aria-label": "How much of the past is shown" }, h("span", null, "The last"), this.choices),
      this.all = h("div", { class: "strips" }, this.rows.map(({ el }) => el), h("div", { class: "strip foot" }, h("span"), this.axis, this.when)));
    this.#listen();
  }

  #row(strip) {
    const drawing = svg("svg", { "aria-hidden": "true", height: HEIGHT });
    const troubles = svg("path", { class: "trouble" });
    const grid = svg("path", { class: "grid" });
    const lines = strip.lines.map(({ tone }) => svg("path", { class: `line ${tone}` }));
    const hair = svg("path", { class: "hair" });
    drawing.append(troubles, grid, ...lines, hair);
    const top = h("span", { class: "top", "aria-hidden": "true" });
    const values = strip.lines.map(() => h("span"));
    const said = h("ul", { class: "said" }, strip.lines.map(({ tone }, i) => h("li", null, h("i", { class: tone, "aria-hidden": "true" }), values[i])));
    const el = h("div", { class: "strip" }, h("h3", null, strip.name), h("div", { class: "drawing" }, drawing, top), said);
    return { ...strip, el, drawing, troubles, grid, paths: lines, hair, top, values };
  }

  #listen() {
    const over = (event) => {
      const box = this.axis.getBoundingClientRect();
      if (event.clientX < box.left || event.clientX > box.right || !this.#samples.length) return this.#point(null);
      this.#point(this.#from + (event.clientX - box.left) / box.width * this.#span);
    };
    this.all.addEventListener("pointermove", over);
    this.all.addEventListener("pointerdown", over);
    this.all.addEventListener("pointerleave", () => document.activeElement !== this.axis && this.#point(null));
    this.axis.addEventListener("blur", () => this.#point(null));
    this.axis.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10 }[event.key];
      if (!step && !["Home", "End", "Escape"].includes(event.key)) return;
      event.preventDefault();
      const at = this.#pointed ?? this.#to;
      const to = event.key === "Home" ? this.#from : step ? at + step * 1000 : this.#to;
      this.#point(to >= this.#to ? null : Math.max(this.#from, to));
    });
    new ResizeObserver(([{ contentRect }]) => { this.#width = Math.max(80, contentRect.width); this.#draw(); }).observe(this.axis);
  }

  get #to() { return this.#samples.at(-1)?.ms ?? 0; }
  get #from() { return this.#to - this.#span; }

  /** All that is known, the oldest first; what was there before is forgotten. */
  fill(samples) {
    this.#samples = [];
    for (const sample of samples) this.#take(sample);
    this.#draw();
  }

  /** One more; `reach` is how long before it another may be, and still be joined to it. */
  add(sample, reach = GAP_MS) {
    this.#take({ ...sample, reach });
    this.#due ||= requestAnimationFrame(() => this.#draw());
  }

  #take(sample) {
    const ms = Date.parse(sample.at);
    // The clock of another run of the hub, or the same sample twice.
    if (ms <= this.#to) return;
    this.#samples.push({ ...sample, ms });
    if (this.#samples.length > SPANS_S.at(-1) + 10) this.#samples.shift();
  }

  #show(ms) {
    this.#span = ms;
    this.choices.forEach((choice, i) => choice.setAttribute("aria-pressed", String(SPANS_S[i] * 1000 === ms)));
    this.#draw();
  }

  #point(ms) {
    this.#pointed = ms;
    this.#tell();
  }

  #draw() {
    this.#due = 0;
    const [from, width] = [this.#from, this.#width];
    const seen = this.#samples.filter(({ ms }) => ms >= from);
    const newest = seen.at(-1);
    const x = (ms) => (ms - from) / this.#span * width;
    for (const row of this.rows) {
      row.el.hidden = Boolean(row.shown && !(newest && row.shown(newest)));
      if (row.el.hidden) continue;
      const all = row.lines.map(({ of }) => seen.map((sample) => [sample.ms, of(sample), sample.reach]));
      const most = ceiling(Math.max(row.least, ...all.flat().map(([, value]) => value ?? 0)));
      const y = (value) => HEIGHT - 1 - value / most * (HEIGHT - 4);
      row.drawing.setAttribute("width", width);
      row.grid.setAttribute("d", `M0 ${HEIGHT - 1}H${width}M0 3H${width}`);
      row.paths.forEach((line, i) => line.setAttribute("d", path(all[i], x, y)));
      row.troubles.setAttribute("d", row.trouble ? troubled(seen, row.trouble, x) : "");
      row.top.textContent = row.unit(most);
    }
    this.#ticks(x);
    this.#tell();
  }

  #ticks(x) {
    this.ticks.setAttribute("width", this.#width);
    const step = this.#span / (this.#width < 400 ? 2 : 4);
    const marks = [];
    for (let at = Math.ceil(this.#from / step) * step; at <= this.#to; at += step) {
      if (x(at) < 32 || x(at) > this.#width - 32) continue;
      const text = svg("text", { x: x(at), y: 15, "text-anchor": "middle" });
      text.textContent = clock(at);
      marks.push(svg("path", { d: `M${x(at)} 0v3`, class: "grid" }), text);
    }
    this.ticks.replaceChildren(...marks);
  }

  /** The numbers at the right edge: of now, or of where the cross-hair is. */
  #tell() {
    const at = this.#pointed === null || this.#pointed < this.#from ? null : this.#pointed;
    const sample = at === null ? this.#samples.at(-1) : nearest(this.#samples, at);
    if (!sample) return;
    const d = at === null ? "" : `M${((sample.ms - this.#from) / this.#span * this.#width).toFixed(1)} 0v${HEIGHT}`;
    for (const row of this.rows) {
      row.hair.setAttribute("d", d);
      row.lines.forEach(({ of, words }, i) => {
        const text = words(of(sample), sample);
        row.values[i].parentElement.hidden = !text;
        if (row.values[i].textContent !== text) row.values[i].textContent = text;
      });
    }
    const when = at === null ? `Now, ${clock(sample.ms)}` : `At ${clock(sample.ms)}`;
    this.when.textContent = when;
    this.axis.setAttribute("aria-valuemax", Math.round(this.#span / 1000));
    this.axis.setAttribute("aria-valuenow", Math.round((sample.ms - this.#from) / 1000));
    this.axis.setAttribute("aria-valuetext", at === null ? when : `${when}: ${this.rows.filter(({ el }) => !el.hidden).map(({ name, values }) => `${name}: ${values.map((one) => one.textContent).filter(Boolean).join(", ")}`).join("; ")}`);
  }
}

/** The time in which something was wrong: from the sample before until the one that says so. */
function troubled(samples, trouble, x) {
  return samples.map((sample, at) => {
    if (!trouble(sample)) return "";
    const before = samples[at - 1]?.ms ?? 0;
    const from = sample.ms - before <= (sample.reach ?? GAP_MS) ? before : sample.ms - 1000;
    return `M${x(from).toFixed(1)} 0v${HEIGHT}H${x(sample.ms).toFixed(1)}v${-HEIGHT}z`;
  }).join("");
}

/** The sample that is nearest to a moment. */
function nearest(samples, at) {
  return samples.reduce((best, one) => Math.abs(one.ms - at) < Math.abs(best.ms - at) ? one : best);
}
