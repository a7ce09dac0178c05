// One target of a demonstration: its seats, its rate and its throughput chart.

import { h, put } from "../../dom.js";
import { icon } from "../../icons.js";
import { number, t } from "../../i18n.js";
import { codedText } from "../../coded-text.js";
import { richText } from "../../rich-text.js";
import { ThroughputChart } from "./charts.js";
import { errorText, seatTexts, students, TARGET_NAMES } from "./text.js";

/** Maximum number of squares in a panel. A run with more seats draws several seats as one square. */
const SQUARES_MAX = 200;

export class TargetPanel {
  #squares = [];
  #shown = "";

  constructor(target) {
    this.target = target;
    this.about = h("p", { class: "none about" });
    this.field = h("div", { class: "squares", "aria-hidden": "true" });
    this.seats = h("ul", { class: "seat-summary" });
    this.squareNote = h("p", { class: "none" });
    this.rate = h("strong", null, "0");
    this.unit = h("span");
    this.errors = h("p");
    this.chart = new ThroughputChart();
    this.el = h("section", { class: `target ${target}`, "aria-labelledby": `target-${target}` },
      h("div", null, h("h3", { id: `target-${target}` }, TARGET_NAMES[target]), this.about),
      h("div", null, this.field, this.seats, this.squareNote),
      h("div", { class: "rate" }, h("p", null, this.rate, " ", this.unit), this.errors),
      this.chart.el);
  }

  /**
   * Draws the target. `result` is the measurement of the hub, or undefined; `active`: the target is under load now;
   * `scale` is the same for all panels.
   */
  draw({ result, active, task, points, scale }) {
    const about = aboutText(result, active, task);
    if (this.about.textContent !== textOf(about)) put(this.about, about);
    this.el.classList.toggle("idle", !result);
    this.#drawSeats(result, task, scale.seatsPerSquare);
    const isCurrent = active && points.length > 0;
    const rate = isCurrent ? points.at(-1)[1] : result?.per_s ?? 0;
    put(this.rate, result ? number(Math.round(rate)) : "");
    put(this.unit, result ? t(isCurrent ? "demo.rate" : "demo.rate.mean") : "");
    const { text, tone } = result ? errorText(result) : { text: "", tone: "" };
    this.errors.className = tone;
    if (this.errors.textContent !== text) this.errors.textContent = text;
    this.chart.draw({ points, mean: result?.per_s, ...scale });
  }

  #drawSeats(result, task, seatsPerSquare) {
    const kinds = result ? squareKinds(result, seatsPerSquare) : [];
    while (this.#squares.length > kinds.length) this.#squares.pop().remove();
    while (this.#squares.length < kinds.length) this.#squares.push(this.field.appendChild(h("i")));
    kinds.forEach((kind, i) => { if (this.#squares[i].className !== kind) this.#squares[i].className = kind; });
    const texts = result ? seatTexts(result, task.state === "running") : [];
    const key = `${seatsPerSquare} ${texts.map((one) => one.text)}`;
    if (key === this.#shown) return;
    this.#shown = key;
    put(this.seats, texts.map(({ kind, tone, text }) =>
      h("li", { class: tone }, kind ? h("i", { class: kind, "aria-hidden": "true" }) : tone === "good" && icon("check"), text)));
    put(this.squareNote, seatsPerSquare > 1 && result ? t("demo.squares", { n: seatsPerSquare }) : "");
  }
}

/** Returns the text of `parts`, which are children as `put` takes them. */
const textOf = (parts) => [parts].flat().map((part) => part.textContent ?? part).join("");

/** Returns a description of a target and its run, as children for `put`. */
function aboutText(result, active, task) {
  if (result?.recorded) {
    // Keeps a number with its unit, and a date, on one line.
    const keep = (text) => text.replace(/(\d) (?=s\b)/g, "$1\u00a0").replace(/(\d)-(?=\d)/g, "$1\u2011");
    const recorded = codedText("demo.text", result.measured ?? {}, keep(result.recorded));
    return richText("demo.recorded", { recorded: typeof recorded === "string" ? keep(recorded) : recorded }, { students: students(result.users) });
  }
  if (result) return t("demo.each", { students: students(result.users) });
  if (task.state !== "running") return t("demo.not_run");
  if (active) return t("demo.waiting");
  return t(task.phase === "preparing" ? "demo.not_started" : "demo.runs_next");
}

/** Returns how many seats each square stands for: the same in all panels, so that the largest result fits. */
export const seatsPerSquare = (results) =>
  Math.ceil(Math.max(1, ...results.map((one) => Math.max(one.told, (one.held ?? 0) + (one.lost ?? 0)))) / SQUARES_MAX);

/** Returns the CSS classes of each square: first stored, then lost seats; the last ones are above capacity. */
function squareKinds({ told, held, lost, oversold }, seatsPerSquare) {
  const squares = (seats) => seats > 0 ? Math.max(1, Math.round(seats / seatsPerSquare)) : 0;
  if (held === null) return Array(squares(told)).fill("confirmed");
  const [storedSquares, lostSquares] = [squares(held), squares(lost)];
  const total = storedSquares + lostSquares;
  const withinCapacity = total - Math.min(squares(oversold), total);
  return Array.from({ length: total }, (_, i) => `${i < storedSquares ? "stored" : "lost"}${i >= withinCapacity ? " oversold" : ""}`);
}
