// The demonstration: starts a load test of Plone and EduHub, draws it while it runs, and shows the result in a
// sentence.

import { $, button, field, h, put } from "../dom.js";
import { api } from "../api.js";
import { Poller } from "../poll.js";
import { t } from "../i18n.js";
import { Drawing } from "./demo/drawing.js";
import { ReportLink } from "./demo/link.js";
import { resultOfTask } from "./demo/result.js";
import { failureText, phaseText, resultOf, runningTargets, runText, secondsRun } from "./demo/text.js";

const PATH = "/api/v1/admin/demo";
/** How often the page polls during a run, and otherwise: another administrator may have started one. */
const RUNNING_MS = 500;
const IDLE_MS = 3_000;
/** The hub's limits. */
const USERS_MAX = 10_000;
const SECONDS_MAX = 60;

export class Demo {
  #task = null;
  #drawing = null;
  /** When the current phase began. */
  #phaseSince = 0;
  #shown = "";
  /** Whether a start was refused because of a run that this page has not read yet. */
  #otherRun = false;
  // A run is drawn even while another view is shown. Without one, the page polls until it has a first response, and
  // then only in this view.
  #poller = new Poller((signal) => this.#read(signal), {
    ms: () => this.#isRunning || this.#otherRun ? RUNNING_MS : IDLE_MS,
    isNeeded: () => this.#isRunning || this.#isVisible || !this.#shown,
    onerror: (problem) => !this.#isRunning && !this.#otherRun && put(this.status, problem.message),
  });

  constructor() {
    this.result = h("div", { id: "demo-result", role: "status" });
    this.about = h("p", { class: "none" });
    this.print = h("p", { class: "screen-only gap", hidden: true }, button(t("demo.print"), () => print(), { class: "plain" }));
    this.link = new ReportLink();
    this.status = h("p", { id: "demo-status", role: "status", class: "stop" });
    this.bar = h("progress", { max: 1, value: 0, "aria-label": t("demo.progress") });
    this.timeLeft = h("p", { class: "time-left", "aria-hidden": "true" });
    this.progress = h("div", { id: "demo-progress", hidden: true }, this.bar, this.timeLeft);
    this.form = this.#buildForm();
    this.charts = h("div", { id: "demo-charts" });
    put($("demo"), this.result, this.about, this.print, this.link.el, this.progress, this.form, this.status, this.charts);
  }

  #buildForm() {
    const number = (name, value, max) => h("input", { name, type: "number", required: true, min: 1, max, step: 1, value, inputmode: "numeric" });
    this.start = h("button", { class: "primary" }, t("demo.run"));
    return h("form", { class: "inline", onsubmit: (event) => this.#start(event) },
      field(t("demo.users", { max: USERS_MAX }), number("users", 200, USERS_MAX)),
      field(t("demo.seconds", { max: SECONDS_MAX }), number("seconds", 10, SECONDS_MAX)),
      field(t("demo.target"), h("select", { name: "target" },
        h("option", { value: "both" }, t("demo.both")), h("option", { value: "hub" }, t("demo.hub")))),
      this.start);
  }

  get #isVisible() {
    return document.body.dataset.view === "demo";
  }

  get #isRunning() {
    return this.#task?.state === "running";
  }

  run(running) {
    if (running) this.#poller.start();
    else this.#poller.stop();
  }

  async #start(event) {
    event.preventDefault();
    const { users, seconds, target } = this.form.elements;
    this.start.disabled = true;
    put(this.status);
    try {
      await api.post(PATH, { users: Number(users.value), seconds: Number(seconds.value), target: target.value });
    } catch (problem) {
      this.#otherRun = problem.status === 429;
      put(this.status, !this.#otherRun ? problem.message
        : t("demo.busy", { n: Number(problem.retry_after ?? 10) }));
    }
    this.start.disabled = false;
    await this.#poller.now();
  }

  async #read(signal) {
    const newest = await api.get(PATH, { signal });
    if (newest.task === null) this.#showIntroduction();
    else this.#draw(newest);
  }

  /** Shows `content` unless `key` is shown already, so that a screen reader announces it once and not at each poll. */
  #show(key, ...content) {
    if (key === this.#shown) return;
    this.#shown = key;
    put(this.result, ...content);
  }

  #showIntroduction() {
    this.#task = null;
    this.#otherRun = false;
    this.progress.hidden = true;
    this.charts.hidden = true;
    this.form.hidden = false;
    this.print.hidden = true;
    this.link.show(null);
    this.#show("introduction", h("p", { class: "result" }, t("demo.question")));
    put(this.about, t("demo.about"));
    this.about.className = "";
  }

  #draw(task) {
    if (task.task !== this.#task?.task) {
      this.#drawing = new Drawing(task);
      put(this.charts, this.#drawing.el);
    }
    if (task.phase !== this.#task?.phase) this.#phaseSince = Date.now();
    this.#task = task;
    this.charts.hidden = false;
    const running = task.state === "running";
    this.#otherRun = false;
    if (running) put(this.status);
    if (running && this.form.contains(document.activeElement)) {
      this.result.tabIndex = -1;
      this.result.focus({ preventScroll: true });
    }
    this.progress.hidden = !running;
    this.form.hidden = running;
    this.print.hidden = task.state !== "done";
    this.link.show(task.state === "done" ? task.task : null);
    const text = runText(task);
    this.about.className = "none";
    if (this.about.textContent !== text) put(this.about, text);
    if (running) this.#showProgress(task);
    else if (task.state === "failed") this.#showFailure(failureText(task));
    else this.#showResult(task);
    this.#drawing.draw(task);
  }

  /**
   * Returns how many seconds the current target has been under load: by its responses, or by the clock before the
   * first.
   */
  #elapsed(task) {
    const result = resultOf(task, task.phase);
    if (task.phase === "preparing" || task.phase === "finished") return 0;
    return result && !result.recorded && result.requests ? secondsRun(result) : (Date.now() - this.#phaseSince) / 1000;
  }

  #showProgress(task) {
    const elapsed = this.#elapsed(task);
    const text = phaseText(task, elapsed);
    this.#show(`${task.task} ${text}`, h("p", { class: "result" }, text));
    const targets = runningTargets(task);
    const done = Math.max(targets.indexOf(task.phase), 0) * task.seconds + Math.min(elapsed, task.seconds);
    const total = Math.max(targets.length, 1) * task.seconds;
    this.bar.value = done / total;
    const left = Math.ceil(total - done);
    put(this.timeLeft, task.phase === "preparing" ? "" : left ? t("demo.left", { n: left }) : t("demo.counting"));
  }

  #showResult(task) {
    this.#show(`${task.task} done`, resultOfTask(task));
  }

  #showFailure({ why, next }) {
    this.#show(`${this.#task.task} failed`, h("p", { class: "result" }, t("demo.unfinished")),
      h("p", null, h("strong", { class: "stop" }, why), " ", next));
  }
}
