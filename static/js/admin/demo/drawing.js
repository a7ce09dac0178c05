// All that is drawn of one run, and what was seen of its course.

import { h, put } from "../../dom.js";
import { round, Waits } from "./charts.js";
import { Lane, seatsOfSquare } from "./lane.js";
import { beside, laneIsIn, LANES, NAME, NUMBERS, pressedFor, rowOf } from "./words.js";

/** Answers are counted over at least this long, in seconds: the hub tells four times a second. */
const STEP_S = 0.2;

export class Drawing {
  #points = { hub: [], plone: [] };

  constructor(task) {
    const lanes = LANES.filter((lane) => laneIsIn(task, lane));
    this.lanes = lanes.map((lane) => new Lane(lane));
    this.waits = new Waits(lanes.map((lane) => [lane, NAME[lane]]));
    this.beside = h("p", { id: "demo-beside", hidden: true });
    this.cells = NUMBERS.map(() => lanes.map(() => h("td")));
    const numbers = h("table", null,
      h("thead", null, h("tr", null, h("td"), lanes.map((lane) => h("th", { scope: "col" }, NAME[lane])))),
      h("tbody", null, NUMBERS.map(([name], at) => h("tr", null, h("th", { scope: "row" }, name), this.cells[at]))));
    this.el = h("div", null, h("div", { class: "lanes" }, this.lanes.map(({ el }) => el)),
      h("h3", null, "How long an answer took"), this.waits.el, this.beside,
      h("details", { id: "demo-numbers" }, h("summary", null, "The same in numbers"), h("div", { class: "scroll" }, numbers)));
  }

  /** The course in time is what was seen of it: answers since the last look, by the hub's own measure of time. */
  #sample(task) {
    for (const row of task.results.filter(({ recorded, target }) => !recorded && this.#points[target])) {
      const points = this.#points[row.target];
      // A run that had ended before this page looked has no course, only a mean.
      if (!points.length && task.state !== "running") continue;
      const [at, , before] = points.at(-1) ?? [0, 0, 0];
      const now = pressedFor(row);
      if (now - at >= STEP_S) points.push([now, Math.max(0, row.requests - before) / (now - at), row.requests]);
    }
  }

  draw(task) {
    this.#sample(task);
    const rows = this.lanes.map(({ lane }) => rowOf(task, lane));
    const all = Object.values(this.#points).flat();
    const last = Math.max(task.seconds, ...all.map(([at]) => at));
    const scale = {
      most: round(Math.max(10, ...all.map(([, rate]) => rate), ...rows.map((row) => row?.per_s ?? 0))),
      seconds: last > task.seconds * 1.05 ? Math.ceil(last) : task.seconds,
      square: seatsOfSquare(rows.filter(Boolean)),
    };
    this.lanes.forEach((lane, at) => {
      lane.draw({ row: rows[at], turn: task.phase === lane.lane && task.state === "running", task, points: this.#points[lane.lane], scale });
      this.cells.forEach((cells, line) => {
        const text = (rows[at] && NUMBERS[line][1](rows[at])) || "not counted";
        if (cells[at].textContent !== text) cells[at].textContent = text;
      });
    });
    this.waits.draw(this.lanes.map(({ lane }, at) => [lane, rows[at]?.latency_ms]));
    const told = beside(task);
    this.beside.hidden = !told;
    const text = told ? `${told.verdict ?? ""} ${told.text}` : "";
    if (this.beside.dataset.text === text) return;
    this.beside.dataset.text = text;
    put(this.beside, told?.verdict && [h("strong", { class: told.slowed ? "careful" : "good" }, told.verdict), " "], told?.text);
  }
}
