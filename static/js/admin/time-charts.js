// Line charts of the last minutes, one below the other, with one time axis and one crosshair for all of them.

import { button, h } from "../dom.js";
import { t } from "../i18n.js";
import { joinList, timeOfDay } from "../words.js";

const SVG = "http://www.w3.org/2000/svg";
/** The selectable time ranges in seconds; the first is shown initially. */
export const RANGES_S = [120, 600, 86_400];
/** The longest range that the samples of each second cover. Longer ones have a sample for each minute. */
const FINE_S_MAX = 600;
const COARSE_GAP_MS = 150_000;
/** The maximum number of samples for minutes: those of a day, and a few from before a restart of the hub. */
const COARSE_MAX = 1_500;
/** Samples arrive each second. A line joins two samples that are at most this far apart; a longer time is a gap. */
const GAP_MS = 3_500;
/** The height of a plot in CSS pixels. */
const HEIGHT = 44;

const svg = (tag, attributes) => {
  const el = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) el.setAttribute(name, value);
  return el;
};

/** Returns a piece of a line with this tone, long enough for its dashes to show, which stands beside its value. */
function sample(tone) {
  const el = svg("svg", { class: tone, width: 20, height: 4, "aria-hidden": "true" });
  el.append(svg("path", { class: `sample ${tone}`, d: "M0 2H20" }));
  return el;
}

/** Returns the smallest of 1, 2 and 5 times a power of ten that is at least `n`. */
export function scaleMax(n) {
  if (!(n > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(n));
  return [1, 2, 5, 10].map((step) => step * power).find((one) => one >= n * (1 - 1e-9)) ?? 10 * power;
}

/**
 * Returns the SVG path through `points`, which are `[ms, value, maxGap]`, oldest first. The line is interrupted at
 * a null value, and where the gap before a point exceeds its `maxGap`. `x` and `y` map to pixels.
 */
export function linePath(points, x, y) {
  let d = "", last = null;
  for (const [at, value, maxGap = GAP_MS] of points) {
    if (value === null || value === undefined) { last = null; continue; }
    d += `${last !== null && at - last <= maxGap ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
    last = at;
  }
  return d;
}

export class TimeCharts {
  /** The samples of each second, and of each minute. */
  #fine = [];
  #coarse = [];
  #range = RANGES_S[0] * 1000;
  /** The time under the crosshair, or null. */
  #pointed = null;
  #width = 600;
  #frame = 0;

  /**
   * `charts`: `{name, unit(n), minScale, lines: [{valueOf(sample), tone, text(value, sample)}], isProblem?(sample),
   * isShown?(sample)}`. A sample is a `metrics` frame of the hub. `minScale` is the smallest upper end of the scale,
   * `tone` one or more CSS classes of the line. Samples for which `isProblem` is true are marked, as are restarts of
   * the hub. `onday()` is called when the samples of each minute are needed.
   */
  constructor(el, charts, onday = () => {}) {
    this.onday = onday;
    this.charts = charts.map((chart) => this.#build(chart));
    this.ticks = svg("svg", { class: "ticks", "aria-hidden": "true", height: 20 });
    this.axis = h("div", {
      class: "axis", role: "slider", tabindex: 0, "aria-label": t("chart.axis"),
      "aria-valuemin": 0, "aria-valuemax": 1, "aria-valuenow": 1,
    });
    this.axis.append(this.ticks);
    this.sampleTime = h("p", { class: "sample-time" });
    this.rangeButtons = RANGES_S.map((s) => button(s > 3600 ? t("n.hours", { n: s / 3600 }) : t("n.minutes", { n: s / 60 }), () => this.#setRange(s * 1000),
      { class: "quiet", "aria-pressed": String(s === RANGES_S[0]) }));
    this.root = h("div", { class: "charts" }, this.charts.map((chart) => chart.el),
      h("div", { class: "chart footer" }, h("span"), this.axis, this.sampleTime));
    this.restartNote = h("p", { class: "none restarts" });
    el.append(h("div", { class: "time-ranges", role: "group", "aria-label": t("chart.range") }, h("span", null, t("chart.last")), this.rangeButtons), this.root, this.restartNote);
    this.#listen();
  }

  #build(chart) {
    const drawing = svg("svg", { "aria-hidden": "true", height: HEIGHT });
    const problems = svg("path", { class: "problem" });
    const grid = svg("path", { class: "grid" });
    const paths = chart.lines.map(({ tone }) => svg("path", { class: `line ${tone}` }));
    const crosshair = svg("path", { class: "crosshair" });
    const restarts = svg("path", { class: "restart" });
    drawing.append(problems, grid, ...paths, restarts, crosshair);
    const scaleTop = h("span", { class: "scale-top", "aria-hidden": "true" });
    const values = chart.lines.map(() => h("span"));
    const list = h("ul", { class: "values" }, chart.lines.map(({ tone }, i) => h("li", null, sample(tone), values[i])));
    const el = h("div", { class: "chart" }, h("h3", null, chart.name), h("div", { class: "plot" }, drawing, scaleTop), list);
    return { ...chart, el, drawing, problems, grid, paths, restarts, crosshair, scaleTop, values };
  }

  #listen() {
    const onpointer = (event) => {
      const box = this.axis.getBoundingClientRect();
      if (event.clientX < box.left || event.clientX > box.right || !this.#samples.length) return this.#point(null);
      this.#point(this.#from + (event.clientX - box.left) / box.width * this.#range);
    };
    this.root.addEventListener("pointermove", onpointer);
    this.root.addEventListener("pointerdown", onpointer);
    this.root.addEventListener("pointerleave", () => document.activeElement !== this.axis && this.#point(null));
    this.axis.addEventListener("blur", () => this.#point(null));
    this.axis.addEventListener("keydown", (event) => {
      const seconds = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10 }[event.key];
      if (!seconds && !["Home", "End", "Escape"].includes(event.key)) return;
      event.preventDefault();
      const at = this.#pointed ?? this.#to;
      const to = event.key === "Home" ? this.#from : seconds ? at + seconds * 1000 : this.#to;
      this.#point(to >= this.#to ? null : Math.max(this.#from, to));
    });
    new ResizeObserver(([{ contentRect }]) => { this.#width = Math.max(80, contentRect.width); this.#draw(); }).observe(this.axis);
  }

  /** The samples of the chosen range. */
  get #samples() { return this.#isFine ? this.#fine : this.#coarse; }
  get #isFine() { return this.#range <= FINE_S_MAX * 1000; }

  /** The ends of the time axis. */
  get #to() { return this.#samples.at(-1)?.ms ?? 0; }
  get #from() { return this.#to - this.#range; }

  /** Sets the samples of each second, oldest first. Those that are older stay: a restarted hub has lost them. */
  setSamples(samples) {
    this.#fine = merged(this.#fine, samples).slice(-FINE_S_MAX - 10);
    this.#draw();
  }

  /** Sets the samples of each minute, oldest first. */
  setMinutes(samples) {
    this.#coarse = merged(this.#coarse, samples.map((sample) => ({ ...sample, maxGap: COARSE_GAP_MS }))).slice(-COARSE_MAX);
    this.#draw();
  }

  /** Adds a sample. A line joins it to the previous one if that is at most `maxGap` milliseconds older. */
  add(sample, maxGap = GAP_MS) {
    this.#append({ ...sample, maxGap });
    this.#frame ||= requestAnimationFrame(() => this.#draw());
  }

  #append(sample) {
    const ms = Date.parse(sample.at);
    // A repeated sample, or one of a restarted hub whose clock was set back.
    if (ms <= (this.#fine.at(-1)?.ms ?? 0)) return;
    this.#fine.push({ ...sample, ms });
    if (this.#fine.length > FINE_S_MAX + 10) this.#fine.shift();
    const minute = this.#coarse.at(-1);
    if (!this.#isFine && ms - (minute?.ms ?? 0) > 60_000) this.onday();
  }

  #setRange(ms) {
    this.#range = ms;
    if (!this.#isFine) this.onday();
    this.rangeButtons.forEach((el, i) => el.setAttribute("aria-pressed", String(RANGES_S[i] * 1000 === ms)));
    this.#draw();
  }

  #point(ms) {
    this.#pointed = ms;
    this.#drawValues();
  }

  #draw() {
    this.#frame = 0;
    const [from, width] = [this.#from, this.#width];
    const visible = this.#samples.filter(({ ms }) => ms >= from);
    const newest = visible.at(-1);
    const x = (ms) => (ms - from) / this.#range * width;
    const restarts = restartsIn(visible);
    this.restartNote.textContent = restarts.length ? t("chart.restarts", { times: joinList(restarts.map(timeOfDay)) }) : "";
    for (const chart of this.charts) {
      chart.el.hidden = Boolean(chart.isShown && !(newest && chart.isShown(newest)));
      if (chart.el.hidden) continue;
      const lines = chart.lines.map(({ valueOf }) => visible.map((sample) => [sample.ms, valueOf(sample), sample.maxGap]));
      const max = scaleMax(Math.max(chart.minScale, ...lines.flat().map(([, value]) => value ?? 0)));
      const y = (value) => HEIGHT - 1 - value / max * (HEIGHT - 4);
      chart.drawing.setAttribute("width", width);
      chart.grid.setAttribute("d", `M0 ${HEIGHT - 1}H${width}M0 3H${width}`);
      chart.paths.forEach((path, i) => path.setAttribute("d", linePath(lines[i], x, y)));
      chart.restarts.setAttribute("d", restarts.map((ms) => `M${x(ms).toFixed(1)} 0v${HEIGHT}`).join(""));
      chart.problems.setAttribute("d", chart.isProblem ? problemPath(visible, chart.isProblem, x) : "");
      chart.scaleTop.textContent = chart.unit(max);
    }
    this.#drawTicks(x);
    this.#drawValues();
  }

  #drawTicks(x) {
    this.ticks.setAttribute("width", this.#width);
    const step = this.#range / (this.#width < 400 ? 2 : 4);
    const marks = [];
    for (let at = Math.ceil(this.#from / step) * step; at <= this.#to; at += step) {
      if (x(at) < 32 || x(at) > this.#width - 32) continue;
      const text = svg("text", { x: x(at), y: 15, "text-anchor": "middle" });
      text.textContent = timeOfDay(at);
      marks.push(svg("path", { d: `M${x(at)} 0v3`, class: "grid" }), text);
    }
    this.ticks.replaceChildren(...marks);
  }

  /** Shows the values at the crosshair, or the newest ones. */
  #drawValues() {
    const pointed = this.#pointed === null || this.#pointed < this.#from ? null : this.#pointed;
    const sample = pointed === null ? this.#samples.at(-1) : nearest(this.#samples, pointed);
    if (!sample) return;
    const d = pointed === null ? "" : `M${((sample.ms - this.#from) / this.#range * this.#width).toFixed(1)} 0v${HEIGHT}`;
    for (const chart of this.charts) {
      chart.crosshair.setAttribute("d", d);
      chart.lines.forEach(({ valueOf, text: textOf }, i) => {
        const text = textOf(valueOf(sample), sample);
        chart.values[i].parentElement.hidden = !text;
        if (chart.values[i].textContent !== text) chart.values[i].textContent = text;
      });
    }
    const time = t(pointed === null ? "chart.now" : "chart.at", { at: timeOfDay(sample.ms) });
    this.sampleTime.textContent = time;
    this.axis.setAttribute("aria-valuemax", Math.round(this.#range / 1000));
    this.axis.setAttribute("aria-valuenow", Math.round((sample.ms - this.#from) / 1000));
    this.axis.setAttribute("aria-valuetext", pointed === null ? time : `${time}: ${this.#valuesText()}`);
  }

  /** Returns all values as text, for screen readers. */
  #valuesText() {
    return this.charts.filter(({ el }) => !el.hidden)
      .map(({ name, values }) => `${name}: ${values.map((one) => one.textContent).filter(Boolean).join(", ")}`).join("; ");
  }
}

/** Returns samples and the newer ones `more`, each with its time in milliseconds. */
function merged(samples, more) {
  const timed = more.map((sample) => ({ ...sample, ms: Date.parse(sample.at) }));
  return [...samples.filter(({ ms }) => !timed.length || ms < timed[0].ms), ...timed];
}

/** Returns the times at which the hub started, in milliseconds, except those before the first sample. */
function restartsIn(samples) {
  const starts = new Set(samples.map(({ started_at }) => Date.parse(started_at)));
  return [...starts].filter((ms) => ms > samples[0].ms);
}

/**
 * Returns the path that marks problems: each from the previous sample, or for one second after a gap, to the sample
 * that reports it.
 */
function problemPath(samples, isProblem, x) {
  return samples.map((sample, i) => {
    if (!isProblem(sample)) return "";
    const before = samples[i - 1]?.ms ?? 0;
    const from = sample.ms - before <= (sample.maxGap ?? GAP_MS) ? before : sample.ms - 1000;
    return `M${x(from).toFixed(1)} 0v${HEIGHT}H${x(sample.ms).toFixed(1)}v${-HEIGHT}z`;
  }).join("");
}

/** Returns the sample nearest to a time. */
function nearest(samples, at) {
  return samples.reduce((best, one) => Math.abs(one.ms - at) < Math.abs(best.ms - at) ? one : best);
}
