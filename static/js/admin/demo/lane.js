// One lane of the demonstration: what one target was pressed to, and what became of it.

import { h, put } from "../../dom.js";
import { icon } from "../../icons.js";
import { count } from "../../words.js";
import { Course } from "./charts.js";
import { errors, NAME, seatsInWords } from "./words.js";

/** The most squares of a field of seats; a run with more seats draws several as one, and says so. */
const SQUARES_MAX = 200;

export class Lane {
  #squares = [];
  #said = "";

  constructor(lane) {
    this.lane = lane;
    this.about = h("p", { class: "none about" });
    this.field = h("div", { class: "squares", "aria-hidden": "true" });
    this.words = h("ul", { class: "became" });
    this.each = h("p", { class: "none" });
    this.rate = h("strong", null, "0");
    this.unit = h("span");
    this.faults = h("p", { class: "faults" });
    this.course = new Course();
    this.el = h("section", { class: `lane ${lane}`, "aria-labelledby": `lane-${lane}` },
      h("div", null, h("h3", { id: `lane-${lane}` }, NAME[lane]), this.about),
      h("div", null, this.field, this.words, this.each),
      h("div", { class: "pace" }, h("p", null, this.rate, " ", this.unit), this.faults),
      this.course.el);
  }

  /** `row` is what the hub tells; `turn` is whether it is pressed now; `scale` is the same for all lanes. */
  draw({ row, turn, task, points, scale }) {
    const about = row?.recorded ? `${count(row.users, "student")}. Not pressed now, but ${row.recorded.replace(/(\d) (?=s\b)/g, "$1\u00a0").replace(/(\d)-(?=\d)/g, "$1\u2011")}.`
      : row ? `${count(row.users, "student")}, each on a connection of their own.`
        : task.state !== "running" ? "It was not pressed." : turn ? "The first answers are awaited." : task.phase === "preparing" ? "Not pressed yet." : "Its turn comes next.";
    if (this.about.textContent !== about) this.about.textContent = about;
    this.el.classList.toggle("idle", !row);
    this.#seats(row, task, scale.square);
    const now = turn && points.length ? points.at(-1)[1] : row?.per_s ?? 0;
    put(this.rate, row ? Math.round(now).toLocaleString() : "");
    put(this.unit, row ? `answers a second${turn && points.length ? "" : " on average"}` : "");
    const fault = row ? errors(row) : { text: "", tone: "" };
    this.faults.className = `faults ${fault.tone}`;
    if (this.faults.textContent !== fault.text) this.faults.textContent = fault.text;
    this.course.draw({ points, level: row?.per_s, ...scale });
  }

  #seats(row, task, square) {
    const kinds = row ? squares(row, square) : [];
    while (this.#squares.length > kinds.length) this.#squares.pop().remove();
    while (this.#squares.length < kinds.length) this.#squares.push(this.field.appendChild(h("i")));
    kinds.forEach((kind, at) => { if (this.#squares[at].className !== kind) this.#squares[at].className = kind; });
    const said = row ? seatsInWords(row, task.state === "running") : [];
    const text = `${square} ${said.map((one) => one.text)}`;
    if (text === this.#said) return;
    this.#said = text;
    put(this.words, said.map(({ kind, tone, text }) => h("li", { class: tone }, kind ? h("i", { class: kind, "aria-hidden": "true" }) : tone === "good" && icon("check"), text)));
    put(this.each, square > 1 && row ? `Each square is ${square} seats.` : "");
  }
}

/** How many seats a square stands for, so that the longest field still fits: the same in all lanes. */
export const seatsOfSquare = (rows) => Math.ceil(Math.max(1, ...rows.map((row) => Math.max(row.told, (row.held ?? 0) + (row.lost ?? 0)))) / SQUARES_MAX);

/** A kind for each square: first what was kept, then what was lost; the last of all are above what there is. */
function squares({ told, held, lost, oversold }, square) {
  const part = (n) => n > 0 ? Math.max(1, Math.round(n / square)) : 0;
  if (held === null) return Array(part(told)).fill("told");
  const [kept, gone] = [part(held), part(lost)];
  const there = kept + gone - Math.min(part(oversold), kept + gone);
  return Array.from({ length: kept + gone }, (_, at) => `${at < kept ? "kept" : "lost"}${at >= there ? " over" : ""}`);
}
