// Importing a schedule: file, check, apply; progress comes by the live connection, or by asking where there is none.

import { $, button, h, put, table } from "./dom.js";
import { api, query } from "./api.js";
import { count } from "./words.js";

const TASK_KEY = "eduhub.import";
/** How often the page asks when the live connection is silent. */
const ASK_MS = 2_000;
/** How many lines of a list are drawn; the file with all of them is beside it. */
const LINES_MAX = 200;

export class ImportDesk {
  #live;
  #task = null;
  #timer = 0;
  #options = null;

  /** `onapplied()`: an import was applied. */
  constructor(live, onapplied = () => {}) {
    this.#live = live;
    this.onapplied = onapplied;
    this.form = $("import-form");
    this.#step(0);
    this.#drops();
    live.on("import", (frame) => frame.task === this.#task && this.#hear(frame));
    this.form.addEventListener("submit", (event) => { event.preventDefault(); this.#send(this.#read()); });
  }

  /** A file that is dropped is chosen. */
  #drops() {
    const [zone, { file }] = [$("drop"), this.form.elements];
    const over = (event) => { event.preventDefault(); zone.classList.toggle("over", event.type === "dragover"); };
    for (const type of ["dragover", "dragleave"]) zone.addEventListener(type, over);
    zone.addEventListener("drop", (event) => {
      over(event);
      if (!event.dataTransfer.files.length) return;
      file.files = event.dataTransfer.files;
      file.dispatchEvent(new Event("change"));
    });
    file.addEventListener("change", () => {
      const [chosen] = file.files;
      put($("drop-words"), h("strong", null, chosen ? chosen.name : "Drop a file here"), chosen ? `, ${Math.max(1, Math.round(chosen.size / 1024)).toLocaleString()} kB` : ", or choose one");
      this.#step(0);
    });
  }

  /** Which of the three steps it is at; 3 when all are done. */
  #step(at) {
    // One filled button at a time: after the check it is the one that applies.
    this.form.querySelector("button").classList.toggle("primary", at === 0);
    [...$("steps").children].forEach((el, i) => {
      el.className = i < at ? "done" : "";
      if (i === at) el.setAttribute("aria-current", "step");
      else el.removeAttribute("aria-current");
    });
  }

  /** Shows the import that this page was left with. */
  resume() {
    const { task, dry_run } = kept();
    if (!task || this.#task) return;
    this.#options = { dry_run };
    this.#follow(task);
  }

  #read() {
    const { file, term, map, partial, totals } = this.form.elements;
    return { file: file.files[0], term: term.value.trim(), dry_run: true, map: map.value.trim(), partial: partial.checked, totals: totals.checked };
  }

  async #send({ file, ...options }) {
    const answer = this.form.querySelector("[role=status]");
    put(answer, `Sending ${file.name}…`);
    try {
      const { task } = await api.post(`/api/v1/imports${query(options)}`, file, { type: "text/csv", ms: 0 });
      put(answer);
      this.#options = { file, ...options };
      this.#follow(task);
    } catch (problem) {
      put(answer, problem.message);
    }
  }

  #follow(task) {
    if (this.#task) this.#live.unsubscribe(`import:${this.#task}`);
    this.#task = task;
    keep({ task, dry_run: this.#options.dry_run });
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
      if (problem.status === 404) return this.#forget();
      put($("task"), problem.message);
      this.#timer = setTimeout(() => this.#ask(), ASK_MS);
    }
  }

  #forget() {
    this.#live.unsubscribe(`import:${this.#task}`);
    this.#task = null;
    keep({});
    put($("task"));
  }

  /** A frame tells how far it is; the lists are asked for once it has ended. */
  #hear(state, whole = false) {
    clearTimeout(this.#timer);
    if (state.state === "running") {
      this.#running(state);
      this.#timer = setTimeout(() => this.#ask(), ASK_MS);
    } else if (whole) this.#done(state);
    else this.#ask();
  }

  #running(state) {
    this.#step(this.#options?.dry_run === false ? 2 : 1);
    let at = $("import-progress");
    if (!at) {
      put($("task"), h("h3", null, this.#options?.dry_run === false ? "Applying the file" : "Checking the file"), h("progress", { "aria-label": "Import" }), h("p", { id: "import-progress", role: "status" }),
        button("Cancel the import", () => this.#cancel()));
      at = $("import-progress");
    }
    put(at, `${count(state.rows ?? 0, "row")}, ${count(state.sections ?? 0, "section")} so far, ${count(state.refused ?? 0, "row")} refused.`);
  }

  async #cancel() {
    try {
      await api.delete(`/api/v1/imports/${encodeURIComponent(this.#task)}`);
    } catch (problem) {
      put($("import-progress"), problem.message);
    }
    this.#ask();
  }

  #done(state) {
    const dry = state.dry_run ?? this.#options?.dry_run;
    this.#step(state.state !== "done" ? 0 : dry ? 1 : 3);
    if (state.state === "done" && !dry) this.onapplied();
    const verdict = {
      done: dry ? ["good", "Checked. Nothing has changed yet."] : ["good", "Imported."],
      failed: ["stop", dry ? "It cannot be applied like this. Nothing has changed." : "Not imported. Nothing has changed."],
      cancelled: ["careful", "Cancelled. Nothing has changed."],
    }[state.state] ?? ["careful", state.state];
    const total = (name) => state[`${name}_total`] ?? state[name]?.length ?? 0;
    const list = (name, title, heads, row, open) => state[name]?.length ? h("details", { open },
      h("summary", null, `${title} (${total(name).toLocaleString()})`),
      table(total(name) > LINES_MAX ? `The first ${Math.min(LINES_MAX, state[name].length)} of ${total(name).toLocaleString()}` : "", heads, state[name].slice(0, LINES_MAX).map(row))) : null;
    const lines = [["Line", "Column", "Value", "What is wrong"], (one) => [one.line, one.column, one.value, one.message]];
    const numbers = [["Rows", state.rows], ["Sections", state.sections], [dry ? "New" : "Created", state.created],
      [dry ? "Would change" : "Changed", state.updated], ["Unchanged", state.unchanged], ["Refused rows", state.refused]];
    const errors = `/api/v1/imports/${encodeURIComponent(state.task)}/errors.csv`;
    put($("task"),
      h("div", { role: "status" }, h("h3", { class: verdict[0] }, verdict[1])),
      state.message && h("p", null, state.message),
      h("dl", null, numbers.map(([label, n]) => h("div", null, h("dt", null, label), h("dd", null, (n ?? 0).toLocaleString())))),
      this.#apply(state, dry),
      list("errors", "Refused lines", ...lines, true),
      (total("errors") > 0 || state.refused > 0) && h("p", null, h("a", { href: errors, download: "" }, "Download every refused line")),
      list("warnings", "Warnings", ...lines),
      list("conflicts", "Conflicts of rooms and instructors", ["Kind", "Lines", "What"], (one) => [one.kind, one.lines?.join(", "), one.message]),
      list("changes", dry ? "What would change" : "What has changed", ["Section", "Change", "From and to"], (one) => [one.section, { create: "new", update: "changed" }[one.change] ?? one.change, fields(one)], dry),
      state.missing?.length ? list("missing", "In the term, but not in this file", ["Section"], (id) => [id]) : null);
  }

  /** The third step: the same file again, this time for good. */
  #apply(state, dry) {
    const options = this.#options;
    if (!dry || state.state !== "done") return null;
    const changes = (state.created ?? 0) + (state.updated ?? 0);
    if (!changes) return h("p", null, "There is nothing to apply.");
    if (!options?.file) return h("p", null, "To apply it, choose the file again: a page that was left does not keep files.");
    return h("p", null, button(`Apply ${count(changes, "change")} from ${options.file.name}`, () => this.#send({ ...options, dry_run: false }), { class: "primary" }));
  }
}

/** Old and new of each field, as text. */
function fields({ fields = {} }) {
  const text = (value) => value === null || value === undefined || value === "" ? "nothing" : typeof value === "object" ? JSON.stringify(value) : String(value);
  return Object.entries(fields).map(([name, [from, to]]) => h("div", null, `${name}: ${text(from)} to ${text(to)}`));
}

function kept() {
  try { return JSON.parse(sessionStorage.getItem(TASK_KEY)) ?? {}; } catch { return {}; }
}

function keep(task) {
  try { sessionStorage.setItem(TASK_KEY, JSON.stringify(task)); } catch { /* Not kept. */ }
}
