// The performance demonstration: two lanes with the same scales, drawn as it runs, with one sentence as its result.

import { $, field, h, put } from "../dom.js";
import { api } from "../api.js";
import { count } from "../words.js";
import { Drawing } from "./demo/drawing.js";
import { failed, NAME, outcome, phase, pressed, pressedFor, ran, rowOf } from "./demo/words.js";

const PATH = "/api/v1/admin/demo";
/** How often it is asked how a run goes, and whether somebody else has begun one. */
const RUNNING_MS = 500;
const IDLE_MS = 3_000;
/** The bounds of the hub. */
const USERS_MAX = 10_000;
const SECONDS_MAX = 60;

export class Demo {
  #timer = 0;
  #running = false;
  #task = null;
  #drawing = null;
  #since = 0;
  #said = "";
  /** Whether there is a run that this page has not seen yet: it was refused because of it. */
  #other = false;

  constructor() {
    this.said = h("div", { id: "demo-said", role: "status" });
    this.about = h("p", { class: "none" });
    this.answer = h("p", { id: "demo-answer", role: "status", class: "stop" });
    this.bar = h("progress", { max: 1, value: 0, "aria-label": "How far the run is" });
    this.left = h("p", { class: "left", "aria-hidden": "true" });
    this.way = h("div", { id: "demo-way", hidden: true }, this.bar, this.left);
    this.form = this.#form();
    this.drawn = h("div", { id: "demo-drawn" });
    put($("demo"), this.said, this.about, this.way, this.form, this.answer, this.drawn);
    addEventListener("hashchange", () => this.#running && this.#shown && this.#look());
  }

  #form() {
    const number = (name, value, max) => h("input", { name, type: "number", required: true, min: 1, max, step: 1, value, inputmode: "numeric" });
    this.press = h("button", { class: "primary" }, "Run it");
    return h("form", { class: "inline", onsubmit: (event) => this.#start(event) },
      field("Students, up to 10,000", number("users", 200, USERS_MAX)),
      field("Seconds, up to 60", number("seconds", 10, SECONDS_MAX)),
      field("Against", h("select", { name: "target" }, h("option", { value: "both" }, "EduHub and Plone"), h("option", { value: "hub" }, "EduHub only"))),
      this.press);
  }

  get #shown() {
    return document.body.dataset.view === "demo";
  }

  run(running) {
    this.#running = running;
    clearTimeout(this.#timer);
    if (running) this.#look();
  }

  async #start(event) {
    event.preventDefault();
    const { users, seconds, target } = this.form.elements;
    this.press.disabled = true;
    put(this.answer);
    try {
      await api.post(PATH, { users: Number(users.value), seconds: Number(seconds.value), target: target.value });
    } catch (problem) {
      this.#other = problem.status === 429;
      put(this.answer, !this.#other ? problem.message
        : `Another demonstration is under way, here or from a terminal, and one runs at a time. Ask again in ${count(Number(problem.retry_after ?? 10), "second")}.`);
    }
    this.press.disabled = false;
    await this.#look();
  }

  async #look() {
    clearTimeout(this.#timer);
    // A run goes on being drawn while another view is looked at; whether there is a new one is asked in this view.
    if (this.#task?.state === "running" || (this.#shown && !document.hidden) || !this.#said) {
      try {
        const newest = await api.get(PATH);
        if (newest.task === null) this.#intro();
        else this.#draw(newest);
      } catch (problem) {
        if (this.#task?.state !== "running" && !this.#other) put(this.answer, problem.message);
      }
    }
    clearTimeout(this.#timer);
    if (this.#running) this.#timer = setTimeout(() => this.#look(), this.#task?.state === "running" || this.#other ? RUNNING_MS : IDLE_MS);
  }

  /** Says something once: the status is read out when it changes, and not at each look. */
  #say(key, ...what) {
    if (key === this.#said) return;
    this.#said = key;
    put(this.said, ...what);
  }

  #intro() {
    this.#task = null;
    this.#other = false;
    this.way.hidden = true;
    this.drawn.hidden = true;
    this.form.hidden = false;
    this.#say("intro", h("p", { class: "result" }, "Everybody presses at once for far too few seats. Who keeps theirs?"));
    put(this.about, "Simulated students press over real connections, in a term that is made for it and removed after it; then each is asked which seats they hold. Nothing of it reaches students, alerts or Plone's real sections. Where Plone may not be pressed, an earlier measurement stands beside EduHub.");
    this.about.className = "";
  }

  #draw(task) {
    if (task.task !== this.#task?.task) {
      this.#drawing = new Drawing(task);
      put(this.drawn, this.#drawing.el);
    }
    if (task.phase !== this.#task?.phase) this.#since = Date.now();
    this.#task = task;
    this.drawn.hidden = false;
    const running = task.state === "running";
    this.#other = false;
    if (running) put(this.answer);
    if (running && this.form.contains(document.activeElement)) {
      this.said.tabIndex = -1;
      this.said.focus({ preventScroll: true });
    }
    this.way.hidden = !running;
    this.form.hidden = running;
    const text = ran(task);
    this.about.className = "none";
    if (this.about.textContent !== text) put(this.about, text);
    if (running) this.#progress(task);
    else if (task.state === "failed") this.#failed(failed(task));
    else this.#result(task);
    this.#drawing.draw(task);
  }

  /** How long the target of this phase is pressed: by its answers, and by the clock before there are any. */
  #elapsed(task) {
    const row = rowOf(task, task.phase);
    if (task.phase === "preparing" || task.phase === "finished") return 0;
    return row && !row.recorded && row.requests ? pressedFor(row) : (Date.now() - this.#since) / 1000;
  }

  #progress(task) {
    const elapsed = Math.min(this.#elapsed(task), task.seconds);
    const { text } = phase(task, this.#elapsed(task));
    this.#say(`${task.task} ${text}`, h("p", { class: "result" }, text));
    const turns = pressed(task);
    const done = Math.max(turns.indexOf(task.phase), 0) * task.seconds + elapsed;
    const all = Math.max(turns.length, 1) * task.seconds;
    this.bar.value = done / all;
    const left = Math.ceil(all - done);
    put(this.left, task.phase === "preparing" ? "" : left ? `${count(left, "second")} of pressing left` : "Counting seats");
  }

  #result(task) {
    const parts = outcome(task).map(({ lane, yes, kept, harm, harmed }) => h("span", null,
      `${NAME[lane]} said yes to `, h("strong", null, yes.toLocaleString()), ` ${yes === 1 ? "seat" : "seats"} and kept `, h("strong", { class: harmed ? "stop" : "good" }, kept.toLocaleString()), `: ${harm}. `));
    this.#say(`${task.task} done`, h("p", { class: "result whole" }, parts.length ? parts : "Nothing was measured."));
  }

  #failed({ why, next }) {
    this.#say(`${this.#task.task} failed`, h("p", { class: "result" }, "The run did not come to its end."), h("p", null, h("strong", { class: "stop" }, why), ` ${next}`));
  }
}
