// Importing a schedule: file, check, apply; progress comes by the live connection, or by asking where there is none.
// The page can be left at each step: what it is at is remembered in this browser.

import { $, button, h, put } from "../dom.js";
import { api, query } from "../api.js";
import { sentence } from "../words.js";
import { size, wrongWith } from "./import-file.js";
import { drawProgress } from "./import-progress.js";
import { report } from "./import-report.js";
import { forgetFile, keepFile, keptFile } from "./kept-file.js";
import { upload } from "./upload.js";

const TASK_KEY = "eduhub.import";
/** How often the page asks when the live connection is silent. */
const ASK_MS = 2_000;

export class ImportDesk {
  #live;
  #task = null;
  #timer = 0;
  #options = {};
  #sending = null;

  /** `page`: `{nameOf(id), showTerm(id)}`; `onapplied()`: an import was applied. */
  constructor(live, page, onapplied = () => {}) {
    this.#live = live;
    Object.assign(this, { page, onapplied });
    this.form = $("import-form");
    this.#step(0);
    this.#drops();
    live.on("import", (frame) => frame.task === this.#task && this.#hear(frame));
    this.form.addEventListener("submit", (event) => { event.preventDefault(); this.#check(); });
  }

  /** A file that is dropped is chosen. */
  #drops() {
    const [zone, { file }] = [$("drop"), this.form.elements];
    const over = (event) => { event.preventDefault(); zone.classList.toggle("over", event.type === "dragover"); };
    for (const type of ["dragover", "dragleave"]) zone.addEventListener(type, over);
    zone.addEventListener("drop", (event) => {
      over(event);
      if (!event.dataTransfer.files.length) return this.#answer("What was dropped is not a file. Drop the CSV file itself.", "stop");
      file.files = event.dataTransfer.files;
      file.dispatchEvent(new Event("change"));
    });
    // Beside the zone a file would be opened instead of this page.
    for (const type of ["dragover", "drop"]) addEventListener(type, (event) => event.dataTransfer?.types.includes("Files") && event.preventDefault());
    file.addEventListener("change", () => {
      const [chosen, second] = file.files;
      put($("drop-words"), h("strong", null, chosen ? chosen.name : "Drop a file here"), chosen ? `, ${size(chosen.size)}` : ", or choose one");
      this.#step(0);
      this.#answer(second ? "Several files were chosen: only the first is taken." : wrongWith(chosen), second ? "careful" : "stop");
    });
  }

  /** Which of the three steps it is at; 3 when all are done. The form is the first. */
  #step(at) {
    this.form.hidden = at > 0;
    [...$("steps").children].forEach((el, i) => {
      el.className = i < at ? "done" : "";
      if (i === at) el.setAttribute("aria-current", "step");
      else el.removeAttribute("aria-current");
    });
  }

  #answer(text, tone = "") {
    const answer = $("import-answer");
    answer.className = tone;
    put(answer, text);
  }

  /** Shows the import that this browser was left with. */
  async resume() {
    const { task, ...options } = kept();
    if (!task || this.#task) return;
    this.#options = { ...options, file: await keptFile(task) };
    this.#follow(task);
  }

  #check() {
    const { file, term, map, partial, totals } = this.form.elements;
    const wrong = wrongWith(file.files[0]);
    if (wrong) return this.#answer(wrong, "stop");
    this.#send({ file: file.files[0], term: term.value.trim(), dry_run: true, map: map.value.trim(), partial: partial.checked, totals: totals.checked });
  }

  async #send({ file, name, ...options }) {
    this.#sending?.abort();
    const sending = this.#sending = new AbortController();
    this.#answer();
    const draw = (phase, bytes = 0) => drawProgress($("task"), { phase, bytes, name: file.name, bytes_total: file.size, dry_run: options.dry_run }, stop);
    let [gone, stopped] = [0, false];
    // Once all of it has gone the hub may have begun: it is stopped there, as soon as it says which import it is.
    const stop = () => { stopped = true; gone < file.size ? sending.abort() : draw("stopping"); };
    draw("sending").focus();
    this.#step(options.dry_run ? 1 : 2);
    try {
      const onprogress = (bytes) => { gone = bytes; if (!stopped) draw("sending", bytes); };
      const { task } = await upload(`/api/v1/imports${query(options)}`, file, { signal: sending.signal, onprogress });
      this.#options = { file, name: file.name, ...options };
      if (stopped) await this.#end(task);
      await keepFile(task, file);
      this.#follow(task);
    } catch (problem) {
      this.#step(0);
      put($("task"));
      this.#answer(sending.signal.aborted ? "Cancelled. Nothing has changed." : sentence(problem), sending.signal.aborted ? "careful" : "stop");
    }
  }

  #follow(task) {
    if (this.#task) this.#live.unsubscribe(`import:${this.#task}`);
    this.#task = task;
    const { file, ...options } = this.#options;
    keep({ task, ...options });
    this.#live.subscribe(`import:${task}`);
    this.#ask();
  }

  /** Asks for the whole of it; again after a while as long as it runs and nothing is heard. */
  async #ask() {
    clearTimeout(this.#timer);
    const task = this.#task;
    try {
      const state = await api.get(`/api/v1/imports/${encodeURIComponent(task)}`);
      if (task === this.#task) this.#hear(state, true);
    } catch (problem) {
      if (task !== this.#task) return;
      if (problem.status === 404) return this.#forget("The hub no longer knows the import that was here. Choose the file again.");
      this.#answer(sentence(problem), "stop");
      this.#timer = setTimeout(() => this.#ask(), ASK_MS);
    }
  }

  /** Back to the first step. */
  #forget(said) {
    if (this.#task) this.#live.unsubscribe(`import:${this.#task}`);
    this.#task = null;
    this.#options = {};
    keep(null);
    forgetFile();
    this.form.reset();
    this.form.elements.file.dispatchEvent(new Event("change"));
    put($("task"));
    this.#answer(said, "careful");
    this.form.elements.file.focus();
  }

  /** A frame tells how far it is; the lists are asked for once it has ended. */
  #hear(state, whole = false) {
    clearTimeout(this.#timer);
    if (state.state === "running") {
      this.#step(state.dry_run ? 1 : 2);
      this.#answer();
      drawProgress($("task"), { ...state, name: this.#options.name }, () => this.#cancel());
      this.#timer = setTimeout(() => this.#ask(), ASK_MS);
    } else if (whole) this.#done(state);
    else this.#ask();
  }

  async #cancel() {
    await this.#end(this.#task);
    this.#ask();
  }

  async #end(task) {
    try {
      await api.delete(`/api/v1/imports/${encodeURIComponent(task)}`);
    } catch (problem) {
      this.#answer(sentence(problem), "stop");
    }
  }

  #done(state) {
    const { dry_run } = state;
    this.#answer();
    this.#step(state.state !== "done" ? 0 : dry_run ? 1 : 3);
    if (state.state === "done" && !dry_run) {
      forgetFile();
      this.onapplied();
    }
    const changes = state.created + state.updated;
    const { file } = this.#options;
    const again = button("Start over with another file", () => this.#forget(), { class: "quiet" });
    const apply = dry_run && state.state === "done" && changes > 0;
    if (apply && !file) this.form.hidden = false;
    put($("task"), report({ ...state, name: this.#options.name }, this.page.nameOf, h("p", { class: "next" },
      apply && file && button(`Apply ${changes.toLocaleString()} ${changes === 1 ? "change" : "changes"} from ${file.name}`, () => this.#send({ ...this.#options, dry_run: false }), { class: "primary" }),
      apply && !file && h("span", null, "To apply it, choose the file again: this browser did not keep it. "),
      !dry_run && state.state === "done" && state.term && button("Look at the sections", () => this.page.showTerm(state.term), { class: "primary" }),
      " ", again)));
  }
}

function kept() {
  try { return JSON.parse(localStorage.getItem(TASK_KEY)) ?? {}; } catch { return {}; }
}

function keep(task) {
  try { task ? localStorage.setItem(TASK_KEY, JSON.stringify(task)) : localStorage.removeItem(TASK_KEY); } catch { /* Not kept. */ }
}
