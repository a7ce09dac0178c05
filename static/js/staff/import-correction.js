// Correcting a line of an imported file where its error is listed: the cells of the line in fields, the check of the
// file with the changed line, and the corrections so far.

import { button, field, h, markInvalid, put } from "../dom.js";
import { codedText } from "../coded-text.js";
import { number, t } from "../i18n.js";
import { joinList } from "../words.js";
import { columnLabel } from "./import-map.js";
import { inUtf8, Row } from "./text-lines.js";

/** How many corrections can be undone. They are stored in the browser with their lines. */
const CORRECTIONS_MAX = 100;
/** How many corrected lines the page names. */
const LINES_SHOWN_MAX = 10;
/** How long the browser has to begin a download. */
const DOWNLOAD_MS = 60_000;
/** A line with more cells is not shown in fields. */
const CELLS_MAX = 300;
/** A line with more cells shows those that are wrong, and the others on request. */
const CELLS_SHOWN_MAX = 8;
/** The fields that show which section a line is about. */
const NAMING_FIELDS = ["crn", "subject", "number", "course", "section", "title"];
/** Errors that name a line but concern the rest of the file. */
const OF_FILE = new Set(["open_quote", "row_too_long", "too_many_errors", "nul_bytes"]);

const cellName = (columns, at) => columns[at]?.name ? columnLabel(columns, columns[at].name) : t("columns.no_name", { n: at + 1 });

/** Returns whether the lines of a checked file can be changed: it is text, and this browser has it. */
export const isEditable = (state, file) => Boolean(file && state.encoding && state.delimiter);

/**
 * Returns whether a finding concerns a row that can be corrected: an error in it, or a warning about one of its cells.
 */
const isOfRow = (state, { line, column, code }, isError) => line > (state.header_line ?? 0) && (isError ? !OF_FILE.has(code) : Boolean(column));

/** Returns the row that starts at a line of a checked file. */
const rowAt = async ({ delimiter, encoding }, file, line) => Row.read(await inUtf8(file, encoding), line, delimiter);

/** The fields of one line. They close when the file has been checked with the changed line. */
class LineForm {
  /** `check(file, correction, place)` checks the changed file; `onclose()` is called for Cancel. */
  constructor(row, line, state, { check, onclose }) {
    Object.assign(this, { row, line, state, check });
    this.cells = row.cells;
    this.fields = h("fieldset");
    this.status = h("p", { role: "status" });
    this.progress = h("div");
    this.el = h("form", {
      class: "correction", "aria-label": t("correction.title", { line }), novalidate: true,
      onsubmit: (event) => { event.preventDefault(); this.#submit(); },
      onkeydown: (event) => event.key === "Escape" && !this.fields.disabled && onclose(),
    }, this.fields, this.status, this.progress);
    this.onclose = onclose;
    this.#draw();
  }

  /** Returns the problems of the line: by column, and those of the whole line under "". */
  #messages() {
    const messages = new Map();
    for (const one of [...this.state.errors, ...this.state.warnings].filter(({ line }) => line === this.line)) {
      const name = one.column ?? "";
      messages.set(name, [...messages.get(name) ?? [], codedText("finding", one, one.message)]);
    }
    return messages;
  }

  #draw() {
    const [messages, { columns }] = [this.#messages(), this.state];
    const width = Math.max(this.cells.length, columns.length);
    const isLonger = this.cells.length > columns.length;
    this.controls = [];
    const fields = Array.from({ length: width }, (_, at) => {
      const cell = this.cells[at] ?? "";
      // A single-line field would remove the line breaks of a cell.
      const control = h(/[\r\n]/.test(cell) ? "textarea" : "input", { autocomplete: "off", spellcheck: "false", dir: "auto", value: cell });
      this.controls.push({ control, shown: control.value });
      const name = columns[at]?.name;
      const wrong = messages.get(name) && h("small", { class: "stop" }, messages.get(name).join(" "));
      messages.delete(name);
      if (wrong) markInvalid(control, wrong);
      const canJoin = isLonger && at + 1 < this.cells.length;
      const el = h("div", null, field(cellName(columns, at), control), wrong, canJoin && button(t("correction.join"), () => this.#join(at), { class: "quiet", "aria-label": t("correction.join.of", { name: cellName(columns, at) }) }));
      return { el, isWrong: Boolean(wrong) };
    });
    const others = [...messages.values()].flat();
    put(this.fields, h("legend", null, t("correction.title", { line: this.line })),
      others.map((text) => h("p", { class: "stop" }, text)),
      isLonger && h("p", { class: "careful" }, t("correction.more_cells", { n: this.cells.length, header: columns.length })),
      this.#arranged(fields, isLonger || this.state.errors.some(({ line, column }) => line === this.line && !column)),
      h("p", { class: "next" }, h("button", null, t("correction.check")), " ", button(t("correction.cancel"), () => this.onclose(), { class: "quiet" })));
  }

  /**
   * Arranges the fields in a grid. Correct fields of a long line are folded, unless `showAll`: the error may be in any
   * of them.
   */
  #arranged(fields, showAll) {
    const grid = (some) => h("div", { class: "cells-of-line" }, some.map(({ el }) => el));
    const [wrong, right] = [true, false].map((isWrong) => fields.filter((one) => one.isWrong === isWrong));
    if (showAll || !wrong.length || fields.length <= CELLS_SHOWN_MAX) return grid(fields);
    const naming = this.state.columns.map(({ field: name }, at) => NAMING_FIELDS.includes(name) && this.cells[at]).filter(Boolean);
    return [naming.length > 0 && h("p", { class: "none", dir: "auto" }, naming.join(", ")), grid(wrong),
      h("details", { class: "right-cells" }, h("summary", null, t("correction.others", { n: right.length })), grid(right))];
  }

  /** Moves the focus to the first cell that is wrong, or to the first one; those that are folded come last. */
  focus() {
    (this.fields.querySelector("[aria-invalid]") ?? this.fields.querySelector("input, textarea"))?.focus();
  }

  /** Returns the cells as they were, except those that were changed. */
  #read() {
    const read = this.controls.map(({ control, shown }, at) => control.value === shown ? this.cells[at] ?? "" : control.value);
    // Fields beyond the cells of the line are columns that it does not have.
    while (read.length > this.cells.length && read.at(-1) === "") read.pop();
    return read;
  }

  /** Joins a cell with the next one, because a delimiter outside of quotation marks has divided it. */
  #join(at) {
    const read = this.#read();
    this.cells = [...read.slice(0, at), read.slice(at, at + 2).join(this.row.delimiter), ...read.slice(at + 2)];
    this.#draw();
    this.controls[at].control.focus();
  }

  #submit() {
    if (this.fields.disabled) return;
    const text = this.row.with(this.#read());
    if (text === this.row.text) return this.#show(t("correction.same"), "careful");
    this.#show("");
    this.fields.disabled = true;
    this.check(this.row.replaced(text), { line: this.line, before: this.row.text },
      { line: this.line, root: this.progress, release: (why) => this.#release(why) });
  }

  /** Shows why the check has ended without a result. */
  #release(why) {
    this.fields.disabled = false;
    put(this.progress);
    this.#show(why, "stop");
    this.focus();
  }

  #show(text, tone = "") {
    this.status.className = tone;
    put(this.status, text);
  }
}

/**
 * Returns a function that returns the button beside a finding, or false if its line cannot be corrected. The button
 * opens the fields of the line below the row of the table. `check(file, corrections, place)` checks a changed file.
 */
export function corrector(state, { file, corrections = [] }, check) {
  if (!isEditable(state, file)) return () => false;
  let open = null;
  const close = (opener) => { open?.remove(); open = null; opener.setAttribute("aria-expanded", "false"); };
  const show = async (line, opener) => {
    if (opener.getAttribute("aria-expanded") === "true") return close(opener);
    opener.disabled = true;
    let content;
    try {
      const row = await rowAt(state, file, line);
      const canShow = row && row.cells.length <= CELLS_MAX;
      content = canShow ? new LineForm(row, line, state, {
        check: (changed, correction, place) => check(changed, [...corrections, correction].slice(-CORRECTIONS_MAX), place),
        onclose: () => { close(opener); opener.focus(); },
      }) : t("correction.no_row");
    } catch {
      content = t("correction.unreadable");
    }
    opener.disabled = false;
    if (!opener.isConnected) return;
    document.querySelectorAll("#task [data-correct][aria-expanded=true]").forEach(close);
    const row = opener.closest("tr");
    const message = typeof content === "string" && h("p", { class: "stop", role: "status", tabindex: "-1" }, content);
    open = h("tr", null, h("td", { colspan: row.cells.length }, message || content.el));
    row.after(open);
    opener.setAttribute("aria-expanded", "true");
    (message || content).focus();
  };
  return (finding, isError) => isOfRow(state, finding, isError) && button(t("correction.open"), ({ currentTarget }) => show(finding.line, currentTarget),
    { "aria-expanded": "false", "aria-label": t("correction.open.of", { line: finding.line }), "data-correct": finding.line });
}

/** Opens the fields of a line in the list of errors. Returns whether the list has the line. */
export const reopen = (root, line) => {
  const opener = root.querySelector(`[data-part=errors] [data-correct="${Number(line)}"]`);
  opener?.click();
  return Boolean(opener);
};

/**
 * Returns the list of corrections, with Undo and the corrected file; false if there are none. `just` is the correction
 * that was just made or undone: `{line, undone}`. `check` is as for `corrector`, or false if the lines can no longer be
 * changed.
 */
export function correctionsNote(state, { file, name, corrections = [] }, just, check) {
  const isStillWrong = just && state.errors?.some(({ line }) => line === just.line);
  const message = just && t(just.undone ? "correction.undone" : isStillWrong ? "correction.wrong" : "correction.right", { line: just.line });
  if (!message && corrections.length === 0) return false;
  const [status, progress] = [h("p", { role: "status" }), h("div")];
  const undo = async ({ line, before }) => {
    const release = (why) => { undoButton.disabled = false; put(progress); status.className = "stop"; put(status, why); };
    undoButton.disabled = true;
    try {
      const row = await rowAt(state, file, line);
      check(row.replaced(before), corrections.slice(0, -1), { line, undone: true, root: progress, release });
    } catch {
      release(t("correction.unreadable"));
    }
  };
  const last = corrections.at(-1);
  const undoButton = check && last && button(t("correction.undo", { line: last.line }), () => undo(last));
  const lines = [...new Set(corrections.map(({ line }) => line))];
  const listed = joinList([...lines.slice(0, LINES_SHOWN_MAX).map((line) => number(line)), lines.length > LINES_SHOWN_MAX && "…"].filter(Boolean));
  return h("div", { class: "corrected", tabindex: "-1", "data-corrected": "" },
    message && h("p", { class: just.undone || isStillWrong ? "careful" : "good" }, message),
    last && h("p", null, t("correction.lines", { n: lines.length, lines: listed }), " ", t("correction.own_file")),
    last && h("p", { class: "next" }, undoButton, " ", file && download(file, name)), status, progress);
}

/** Returns the button that downloads the corrected file. */
const download = (file, name) => button(t("correction.download"), () => {
  const address = URL.createObjectURL(file);
  h("a", { href: address, download: name.replace(/(\.\w+)?$/, `-${t("correction.file")}$1`) }).click();
  setTimeout(() => URL.revokeObjectURL(address), DOWNLOAD_MS);
}, { class: "quiet" });
