// Imports a schedule, or student records, in four steps: choose a file, choose the fields of its columns, review the
// changes, apply them. The second step is shown if a required field has no column, or on request. The browser
// remembers the current import, so that the page can be closed or reloaded at each step. Progress comes over the live
// connection, or by polling without one.

import { $, button, h, put } from "../dom.js";
import { api, query } from "../api.js";
import { addTexts, t } from "../i18n.js";
import { icon } from "../icons.js";
import { Poller } from "../poll.js";
import { problemText } from "../words.js";
import { deleteFile, loadFile, storeFile } from "./file-store.js";
import { fileProblem, fileSize } from "./import-file.js";
import { drawProgress } from "./import-progress.js";
import { ColumnsStep, needsColumns } from "./import-columns.js";
import { correctionsNote, corrector, isEditable, reopen } from "./import-correction.js";
import { namedSections, report, total } from "./import-report.js";
import { upload } from "./upload.js";

const TASK_KEY = "eduhub.import";
/** How often the page polls while the live connection reports nothing. */
const POLL_MS = 2_000;
/** The steps, in order. */
const [FILE, COLUMNS, REVIEW, APPLY] = [0, 1, 2, 3];

export class ImportView {
  #live;
  #task = null;
  /** Reads the whole task while the live connection reports nothing. */
  #poller = new Poller((signal) => this.#read(signal), { ms: POLL_MS, onerror: (problem) => this.#showStatus(problemText(problem), "stop") });
  /** The query parameters of the import, with its `file`, file `name`, and the `corrections` of its lines. */
  #options = {};
  /** Where the progress of the current check is shown if the report stays; see `#checkCorrected`. */
  #place = null;
  #uploading = null;
  #isRunning = false;
  /** Whether the term of the checked file does not exist yet. */
  #isNewTerm = false;
  /** Whether the term of the applied import has no opening time, so that its registration stays closed. */
  #neverOpens = false;

  /** `page`: see staff.js. `onapplied()` is called after an import was applied. */
  constructor(live, page, onapplied = () => {}) {
    this.#live = live;
    Object.assign(this, { page, onapplied });
    this.form = $("import-form");
    this.columns = new ColumnsStep($("task"), {
      onchange: (options) => this.#start({ ...options, dry_run: true }),
      oncontinue: (state) => this.#showReport(state),
      onrestart: () => this.#reset(),
      term: () => page.term(),
      termTitle: page.termTitle,
      mayRemember: () => !page.subjects,
    });
    this.#showStep(FILE);
    this.#listenForFiles();
    // A frame may arrive after a response that already had the end of the import.
    live.on("import", (frame) => frame.task === this.#task && this.#isRunning && this.#update(frame));
    this.form.addEventListener("submit", (event) => { event.preventDefault(); this.#check(); });
  }

  #listenForFiles() {
    const [zone, { file }] = [$("drop"), this.form.elements];
    const highlight = (event) => { event.preventDefault(); zone.classList.toggle("drag-over", event.type === "dragover"); };
    for (const type of ["dragover", "dragleave"]) zone.addEventListener(type, highlight);
    zone.addEventListener("drop", (event) => {
      highlight(event);
      if (!event.dataTransfer.files.length) return this.#showStatus(t("import.not_a_file"), "stop");
      file.files = event.dataTransfer.files;
      file.dispatchEvent(new Event("change"));
    });
    // A file dropped beside the zone would replace this page.
    for (const type of ["dragover", "drop"]) {
      addEventListener(type, (event) => event.dataTransfer?.types.includes("Files") && event.preventDefault());
    }
    file.addEventListener("change", () => {
      const [chosen, second] = file.files;
      put($("drop-label"), h("strong", null, chosen ? chosen.name : t("import.drop")), chosen ? `, ${fileSize(chosen.size)}` : t("import.drop.or"));
      this.#showStep(FILE);
      this.#showStatus(second ? t("import.several") : fileProblem(chosen), second ? "careful" : "stop");
    });
  }

  /** Marks the current step; one after the last marks all as done. The form is shown in the first step only. */
  #showStep(current) {
    this.form.hidden = current > 0;
    [...$("steps").children].forEach((el, i) => {
      el.className = i < current ? "done" : "";
      if (i === current) el.setAttribute("aria-current", "step");
      else el.removeAttribute("aria-current");
    });
  }

  #showStatus(text, tone = "") {
    const status = $("import-status");
    status.className = tone;
    put(status, text);
  }

  /** Shows the import that this browser remembers, if any. */
  async resume() {
    const { task, ...options } = rememberedImport();
    if (!task || this.#task) return;
    this.#options = { ...options, file: await loadFile(task) };
    this.#follow(task);
  }

  #check() {
    const { file, contents, term, partial, totals } = this.form.elements;
    const problem = fileProblem(file.files[0]);
    if (problem) return this.#showStatus(problem, "stop");
    if (contents.value === "students") return this.#start({ file: file.files[0], students: true, dry_run: true, partial: partial.checked });
    this.#start({
      file: file.files[0], term: term.value.trim(), dry_run: true, partial: partial.checked, totals: totals.checked,
    });
  }

  /** Uploads a file and checks or applies it. */
  async #start({ file, name, students, corrections, ...options }, place = null) {
    this.#uploading?.abort();
    this.#place = place;
    // The check of an earlier choice of columns would delay this one.
    if (this.#isRunning) this.#abandon();
    const inColumns = this.columns.isOpen && options.dry_run;
    const uploading = this.#uploading = new AbortController();
    this.#showStatus();
    const draw = (phase, bytes = 0) => drawProgress(place?.root ?? $("task"),
      { phase, bytes, name: file.name, bytes_total: file.size, dry_run: options.dry_run }, cancel);
    let [sent, cancelled] = [0, false];
    // After the last byte the hub may have started the import. It is then cancelled as soon as its id is known.
    const cancel = () => { cancelled = true; sent < file.size ? uploading.abort() : draw("stopping"); };
    this.#poller.stop();
    if (inColumns) this.columns.checking();
    else draw("sending").focus();
    if (!place) this.#showStep(inColumns ? COLUMNS : options.dry_run ? REVIEW : APPLY);
    try {
      const onprogress = (bytes) => {
        sent = bytes;
        if (inColumns) this.columns.progressed({ phase: "sending", bytes, name: file.name, bytes_total: file.size });
        else if (!cancelled) draw("sending", bytes);
      };
      const { task } = await upload(`/api/v1/${students ? "students/import" : "imports"}${query(options)}`, file, { signal: uploading.signal, onprogress });
      if (place) place.before = { task: this.#task, options: this.#options };
      this.#options = { file, name: file.name, students, corrections, ...options };
      if (cancelled) await this.#cancelTask(task);
      await storeFile(task, file);
      if (uploading !== this.#uploading) return this.#cancelTask(task);
      this.#follow(task);
    } catch (problem) {
      const { aborted } = uploading.signal;
      // Another check has started.
      if (uploading !== this.#uploading) return;
      if (place) return place.release(aborted ? t("import.cancelled") : problemText(problem));
      if (inColumns) return !aborted && this.columns.failed(problemText(problem));
      this.#showStep(FILE);
      put($("task"));
      this.#showStatus(aborted ? t("import.cancelled") : problemText(problem), aborted ? "careful" : "stop");
    }
  }

  /** Cancels the current check, whose result is no longer shown. */
  #abandon() {
    this.#poller.stop();
    this.#live.unsubscribe(`import:${this.#task}`);
    this.#cancelTask(this.#task);
    [this.#task, this.#isRunning] = [null, false];
  }

  #follow(task) {
    if (this.#task) this.#live.unsubscribe(`import:${this.#task}`);
    [this.#task, this.#isRunning] = [task, true];
    const { file, ...options } = this.#options;
    rememberImport({ task, ...options });
    this.#live.subscribe(`import:${task}`);
    this.#poller.start();
  }

  async #read(signal) {
    const task = this.#task;
    let state;
    try {
      const read = api.get(`/api/v1/imports/${encodeURIComponent(task)}`, { signal });
      // Without its texts, the report is in English.
      [state] = await Promise.all([read, addTexts("findings").catch(() => {})]);
      // Sections of a term that is not shown have no name yet.
      if (state.state !== "running") await this.page.ensure(namedSections(state));
      const { dry_run, term } = state;
      const isApplied = state.state === "done" && !dry_run;
      this.#isNewTerm = Boolean(dry_run && term) && !await this.page.hasTerm(term);
      this.#neverOpens = Boolean(isApplied && term) && !await this.page.hasOpening(term);
    } catch (problem) {
      if (problem.status !== 404) throw problem;
      return this.#reset(t("import.gone"));
    }
    // Another check may have started in the meantime.
    if (task === this.#task) this.#update(state, true);
  }

  /** Goes back to the first step, showing `text`. */
  #reset(text) {
    this.#uploading?.abort();
    this.#poller.stop();
    if (this.#task) this.#live.unsubscribe(`import:${this.#task}`);
    this.#task = null;
    this.#options = {};
    rememberImport(null);
    deleteFile();
    this.form.reset();
    this.form.elements.file.dispatchEvent(new Event("change"));
    put($("task"));
    this.#showStatus(text, "careful");
    this.form.elements.file.focus();
  }

  /** Draws the state of the task. Frames have no lists, so the whole task is read once it has ended. */
  #update(state, whole = false) {
    if (state.state === "running") {
      const inColumns = this.columns.isOpen && state.dry_run;
      if (!this.#place) this.#showStep(inColumns ? COLUMNS : state.dry_run ? REVIEW : APPLY);
      this.#showStatus();
      if (inColumns) this.columns.progressed({ ...state, name: this.#options.name });
      else drawProgress(this.#place?.root ?? $("task"), { ...state, name: this.#options.name }, () => this.#cancel());
      this.#poller.postpone();
    } else if (whole) {
      this.#poller.stop();
      this.#isRunning = false;
      const place = this.#place;
      this.#place = null;
      if (place && state.state === "cancelled") return this.#goBack(place);
      const canChange = state.dry_run && this.#options.file && state.state !== "cancelled";
      if (canChange && this.columns.isOpen) this.columns.update(state, this.#options);
      else if (canChange && needsColumns(state)) this.#openColumns(state);
      else this.#showReport(state, place);
    } else this.#poller.now();
  }

  /**
   * Checks the file with a changed line. The report stays until the result is there: `place` is
   * `{line, undone, root, release(text)}`.
   */
  #checkCorrected(file, corrections, place) {
    const problem = fileProblem(file);
    if (problem) return place.release(problem);
    this.#start({ ...this.#options, file, corrections, dry_run: true }, place);
  }

  /** Goes back after the check of a changed line was cancelled: the file and the report before it stay. */
  #goBack(place) {
    this.#live.unsubscribe(`import:${this.#task}`);
    ({ task: this.#task, options: this.#options } = place.before);
    const { file, ...options } = this.#options;
    rememberImport({ task: this.#task, ...options });
    storeFile(this.#task, file);
    place.release(t("import.cancelled"));
  }

  #openColumns(state) {
    this.#showStatus();
    this.#showStep(COLUMNS);
    this.columns.open(state, this.#options);
  }

  async #cancel() {
    await this.#cancelTask(this.#task);
    this.#poller.now();
  }

  async #cancelTask(task) {
    try {
      await api.delete(`/api/v1/imports/${encodeURIComponent(task)}`);
    } catch (problem) {
      this.#showStatus(problemText(problem), "stop");
    }
  }

  /** Draws the report. `corrected` is the correction that was just made or undone, if any. */
  #showReport(state, corrected = null) {
    const { dry_run } = state;
    const done = state.state === "done";
    this.#showStatus();
    this.#showStep(!done ? FILE : dry_run ? REVIEW : APPLY + 1);
    if (done && !dry_run) {
      deleteFile();
      this.onapplied();
    }
    const changes = state.created + state.updated + (state.enrollments?.created ?? 0);
    const isOfStudents = state.students !== undefined;
    const { file } = this.#options;
    const applicable = dry_run && done && changes > 0;
    if (applicable && !file) this.form.hidden = false;
    const canSkip = dry_run && file && !done && state.refused > 0 && (state.students ?? state.sections) > 0 && !this.#options.partial;
    const nextSteps = h("p", { class: "next" },
      canSkip && [button(t("import.skip", { n: state.refused }),
        () => this.#start({ ...this.#options, partial: true }), { class: "primary" }), " "],
      applicable && file && button(t("import.apply", { n: changes, name: file.name }),
        () => this.#start({ ...this.#options, dry_run: false }), { class: "primary" }),
      applicable && concerns(state),
      applicable && !file && h("span", null, `${t("import.choose_again")} `),
      !dry_run && done && state.term && button(t("import.view"), () => this.page.showTerm(state.term), { class: "primary" }),
      " ", dry_run && file && !isOfStudents && state.columns.length > 0 && [button(t("columns.change"), () => this.#openColumns(state)), " "],
      button(t(done && !dry_run ? "import.another" : "columns.restart"), () => this.#reset(), { class: "quiet" }));
    const again = dry_run && file && { clock: this.#options.clock, check: (changed) => this.#start({ ...this.#options, ...changed }) };
    const check = (...args) => this.#checkCorrected(...args);
    const note = correctionsNote(state, this.#options, corrected, dry_run && isEditable(state, file) && check);
    const correct = dry_run && isEditable(state, file) ? corrector(state, this.#options, check) : null;
    const opening = this.#neverOpens && this.#openingNote(state.term);
    const term = applicable && this.#termNote(state.term);
    put($("task"), report({ ...state, name: this.#options.name }, this.page, [note, term, nextSteps, opening], again, correct));
    if (!corrected) return;
    const isWrong = !corrected.undone && state.errors.some(({ line }) => line === corrected.line);
    if (!isWrong || !reopen($("task"), corrected.line)) note.focus();
  }

  /**
   * Returns a note that the file is for a new term, or for another one than the page shows; null for the term of the
   * page.
   */
  #termNote(term) {
    const { page } = this;
    const current = page.term();
    if (!term || term === current) return null;
    const text = this.#isNewTerm ? t("import.new_term", { term }) : t("import.other_term", { term: page.termTitle(term), current: page.termTitle(current) });
    return h("p", { class: "careful" }, text);
  }

  /** Returns a note that no student can register yet, with a link for those who may set the time. */
  #openingNote(term) {
    return h("p", { class: "careful" }, t("import.no_opening", { term: this.page.termTitle(term) }), " ",
      !this.page.subjects && h("a", { href: "#terms" }, t("import.set_opening")));
  }
}

/**
 * Returns the buttons that stand beside Apply: each says how many warnings or double bookings there are, and shows
 * them.
 */
function concerns(state) {
  const show = (part) => {
    const list = $("task").querySelector(`[data-part=${part}]`);
    list.open = true;
    list.querySelector("summary").focus();
  };
  return ["warnings", "conflicts"].filter((part) => total(state, part) > 0).map((part) =>
    button([icon("warn"), " ", t(`import.${part}`, { n: total(state, part) })], () => show(part), { class: "quiet careful" }));
}

function rememberedImport() {
  try { return JSON.parse(localStorage.getItem(TASK_KEY)) ?? {}; } catch { return {}; }
}

/** Remembers the import in this browser; null forgets it. */
function rememberImport(task) {
  try {
    if (task) localStorage.setItem(TASK_KEY, JSON.stringify(task));
    else localStorage.removeItem(TASK_KEY);
  } catch { /* Storage is off: a reload starts over. */ }
}
