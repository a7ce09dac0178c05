// The step Columns of an import: the first rows of the file, a choice of the field above each column, and what is still
// wrong. Each change checks the file again.

import { codedText } from "../coded-text.js";
import { button, debounce, field as labelled, h, put } from "../dom.js";
import { has, i18n, t } from "../i18n.js";
import { richText } from "../rich-text.js";
import { joinList } from "../words.js";
import { putSheets } from "./import-choices.js";
import { withField } from "./import-map.js";
import { progressOf, ProgressText } from "./import-progress.js";
import { loadProfiles, rememberForm } from "./import-remember.js";

/** The fields of a schedule, by their names in the API, in the order of the choices. */
const FIELDS = [
  "term", "crn", "course", "subject", "number", "section", "title", "credits", "component", "status", "instructor", "first_name",
  "last_name", "capacity", "enrolled", "waitlist_capacity", "waitlisted", "days", "time", "start_time", "end_time", "date_range",
  "start", "end", "location", "building", "room", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday",
  "method", "campus", "linked", "prerequisites", "cross_listed", "cross_listed_capacity", "reserved", "restrictions", "repeat_limit",
];
const fieldName = (field) => has(`field.${field}`) ? t(`field.${field}`) : field;
/**
 * The pause between a choice and the check of the file: each press of an arrow key changes the choice, and only the
 * last one should start a check.
 */
const CHANGE_MS = 600;
/** A check that takes longer shows its progress. */
const SHORT_CHECK_MS = 1_000;
/** Errors and suggestions listed below the table. The review has all errors. */
const ERRORS_MAX = 5;
const SUGGESTIONS_MAX = 3;
/** The last line that can be the header. */
const HEADER_LINE_MAX = 1000;

const columnName = ({ index, name }) => name || t("columns.no_name", { n: index });
/** Returns whether the name of a column is a number or a time, as in a line of data. */
const isData = ({ name }) => /^\d[\d.,:\s-]*$/.test(name);
/** A header with at least this many such names is a line of data. */
const DATA_NAMES_MIN = 2;
/** The codes of errors about a missing column. Such errors are shown as missing fields. */
const MISSING_COLUMN_CODES = ["no_term_column", "no_section_columns", "no_course_column", "no_capacity_column", "no_user_column"];
const isAboutColumns = ({ code }) => MISSING_COLUMN_CODES.includes(code);
const required = (state) => state.missing_fields.filter((one) => one.required);

/** Returns the other missing fields that a column could be: each column once, and none that could be a required one. */
function optional(state) {
  const named = new Set(required(state).flatMap(({ candidates }) => candidates));
  return state.missing_fields.filter((one) => !one.required).map((one) => {
    const candidates = one.candidates.filter((index) => !named.has(index)).slice(0, 1);
    candidates.forEach((index) => named.add(index));
    return { ...one, candidates };
  }).filter(({ candidates }) => candidates.length > 0);
}

/** Returns whether a checked file needs other columns before it can be imported. */
export const needsColumns = (state) => state.columns.length > 0 && required(state).length > 0;

export class ColumnsStep {
  #state = null;
  #options = {};
  #profiles = [];
  #selects = new Map();
  #shape = "";
  /** Counts changes, so that a check does not undo a later choice. */
  #changes = 0;
  #checked = 0;
  /** When the last check began, by `performance.now()`. */
  #checkingSince = 0;

  /**
   * `root` is the element in which the step is drawn. `onchange(options)` checks the file with other options,
   * `oncontinue()` and `onrestart()` leave the step, `term()` and `termTitle(id)` return the term of the page and its
   * title, `mayRemember()` whether the user may save the mapping.
   */
  constructor(root, actions) {
    this.root = root;
    this.actions = actions;
    this.send = debounce(CHANGE_MS, () => this.isOpen && this.#check());
  }

  get isOpen() {
    return Boolean(this.el?.isConnected);
  }

  /** Opens the step for a checked file. `options` are those of the check, with the file's `name`. */
  open(state, options) {
    this.#build(options.name);
    put(this.root, this.el);
    this.update(state, options);
    this.title.focus();
    loadProfiles().then((profiles) => { this.#profiles = profiles; this.#drawProfiles(); });
  }

  #build(name) {
    [this.#state, this.#shape, this.#changes, this.#checked] = [null, "", 0, 0];
    this.title = h("h3", { tabindex: "-1" }, t("columns.title", { name }));
    this.status = h("p", { role: "status" });
    this.progress = new ProgressText();
    this.next = button(t("columns.continue"), () => this.actions.oncontinue(this.#state), { class: "primary" });
    this.profile = h("select", { onchange: ({ target }) => this.#change({ profile: target.value, map: "" }) });
    this.header = h("input", { type: "number", min: "1", max: String(HEADER_LINE_MAX), onchange: ({ target }) => target.reportValidity() && this.#change({ header_line: target.value }) });
    this.sheet = h("select", { onchange: ({ target }) => this.#change({ sheet: target.value, map: "", header_line: "" }) });
    this.sheetLabel = labelled(t("columns.sheet"), this.sheet);
    this.term = h("input", { maxlength: "24", list: "term-ids", autocomplete: "off", onchange: ({ target }) => this.#change({ term: target.value.trim() }) });
    [this.table, this.problems] = [h("div"), h("div")];
    this.remember = rememberForm(() => this.#current(), (saved) => this.#onsaved(saved));
    this.el = h("div", { class: "columns" }, this.title, this.status, this.progress.el,
      h("p", { class: "next" }, this.next, " ", button(t("columns.restart"), () => this.actions.onrestart(), { class: "quiet" })),
      h("div", { class: "inline" }, this.sheetLabel, labelled(t("columns.profile"), this.profile), labelled(t("columns.header_line"), this.header), labelled(t("columns.term"), this.term)),
      h("p", { class: "none" }, t("columns.hint")), this.table, h("h4", null, t("columns.problems")), this.problems, this.actions.mayRemember() && this.remember.el);
  }

  /** Shows the result of a check. A result without columns, such as for a wrong header line, keeps the table. */
  update(state, options) {
    const errors = state.errors ?? [];
    if (state.columns.length > 0 || !this.#state) this.#state = state;
    const isCurrent = this.#checked === this.#changes;
    if (isCurrent) this.#options = options;
    if (state.columns.length > 0) this.#drawTable(isCurrent);
    if (isCurrent && document.activeElement !== this.header) this.header.value = options.header_line || state.header_line || "";
    if (isCurrent && document.activeElement !== this.term) this.term.value = options.term ?? "";
    if (isCurrent) this.#drawSheets(state);
    this.#drawProfiles();
    this.#drawProblems(state, errors);
    const missing = required(state).map(({ field }) => fieldName(field));
    const isReady = state.columns.length > 0 && missing.length === 0;
    this.next.disabled = !isReady || !isCurrent;
    const rejected = isReady && state.refused > 0 ? t("columns.rejected", { n: state.refused }) : "";
    this.#show(isReady ? `${t("columns.ready")} ${rejected}`.trim() : state.columns.length ? t("columns.missing", { n: missing.length, fields: joinList(missing) }) : "",
      isReady && !rejected ? "good" : "careful");
  }

  /** Offers the sheets of a workbook that has several. */
  #drawSheets(state) {
    if (document.activeElement !== this.sheet) this.sheetLabel.hidden = !putSheets(this.sheet, state);
  }

  /** Shows that a check has begun. */
  checking() {
    this.next.disabled = true;
    this.#checkingSince = performance.now();
    this.#show(t("columns.checking"));
  }

  /** Shows the progress of a check, unless it has just begun. */
  progressed(state) {
    if (performance.now() - this.#checkingSince < SHORT_CHECK_MS) return;
    this.progress.show(progressOf(state));
  }

  /** Shows why a check could not start, with a button that starts it again. */
  failed(text) {
    this.#show(text, "stop");
    this.status.append(" ", button(t("columns.retry"), () => this.#change({}, true)));
  }

  /** Shows what the step is doing, or the result of a check, instead of the progress of one. */
  #show(text, tone = "") {
    this.progress.clear();
    this.status.className = tone;
    if (this.status.textContent !== text) put(this.status, text);
  }

  /** Checks the file with other options, after a pause in which more of them may change, or at once. */
  #change(changed, atOnce = false) {
    this.#changes += 1;
    this.#options = { ...this.#options, ...changed };
    this.checking();
    if (atOnce) this.#check();
    else this.send();
  }

  #check() {
    if (this.#checked === this.#changes) return;
    this.#checked = this.#changes;
    this.actions.onchange(this.#options);
  }

  #choose(column, field, atOnce = false) {
    // The field moves from the column that had it.
    for (const [index, select] of this.#selects) if (field && index !== column && select.value === field) select.value = "";
    this.#change({ map: withField(this.#options.map, column, field) }, atOnce);
  }

  /** Draws the table, or only its choices if the columns are the same, so that the focus stays. */
  #drawTable(isCurrent) {
    const { columns, first_rows: rows } = this.#state;
    const shape = JSON.stringify([columns.map(({ name }) => name), rows]);
    if (shape === this.#shape) {
      if (isCurrent) for (const { index, field } of columns) this.#select(index, field);
      return;
    }
    this.#shape = shape;
    this.#selects.clear();
    const choice = (column) => {
      const select = h("select", { "aria-label": t("columns.choice", { name: columnName(column) }) });
      select.addEventListener("change", () => this.#choose(column.index, select.value));
      this.#selects.set(column.index, select);
      this.#select(column.index, column.field);
      return select;
    };
    put(this.table, h("div", { class: "scroll" }, h("table", null, h("caption", null, t("columns.table")),
      h("thead", null,
        h("tr", null, h("td"), columns.map((column) => h("td", null, choice(column)))),
        h("tr", null, h("th", { scope: "col" }, t("columns.line")), columns.map((column) => h("th", { scope: "col" }, columnName(column))))),
      h("tbody", null, rows.map(({ line, cells }) =>
        h("tr", null, h("th", { scope: "row" }, line), columns.map(({ index }) => h("td", null, cells[index - 1] ?? ""))))))));
  }

  /** Chooses a field. A field that the list does not have is added to it. */
  #select(index, field) {
    const select = this.#selects.get(index);
    const known = field && !FIELDS.includes(field) ? [...FIELDS, field] : FIELDS;
    if (!select.options.length || (field && ![...select.options].some(({ value }) => value === field))) {
      put(select, h("option", { value: "" }, t("columns.ignore")), known.map((value) => h("option", { value }, fieldName(value))));
    }
    select.value = field ?? "";
    select.classList.toggle("unused", !field);
  }

  #drawProfiles() {
    const [all, { profile }] = [this.#profiles, this.#state];
    const group = (label, builtin) => {
      const options = all.filter((one) => one.builtin === builtin).map(({ name, title }) => h("option", { value: name, lang: builtin && i18n.language !== "en" ? "en" : null }, title));
      return options.length > 0 && h("optgroup", { label }, options);
    };
    const isKnown = !profile || all.some(({ name }) => name === profile);
    put(this.profile, h("option", { value: "none" }, t("columns.profile.none")), !isKnown && h("option", { value: profile }, profile),
      group(t("columns.profile.saved"), false), group(t("columns.profile.builtin"), true));
    this.profile.value = profile ?? "none";
    this.remember.draw();
  }

  #drawProblems(state, errors) {
    const names = new Map(state.columns.map((column) => [column.index, columnName(column)]));
    const suggestions = ({ field, candidates }) => candidates.slice(0, SUGGESTIONS_MAX).map((index) => [" ", button(
      t("columns.use", { name: names.get(index) }), () => this.#use(index, field),
      { "aria-label": t("columns.use.for", { name: names.get(index), field: fieldName(field) }) })]);
    const term = this.actions.term();
    const text = ({ field, required: isRequired }) => isRequired
      ? t(["crn", "term"].includes(field) ? `columns.field.${field}` : "columns.field.missing", { field: fieldName(field) })
      : t("columns.field.maybe", { field: fieldName(field) });
    const missing = required(state).map((one) => h("li", { class: "stop" }, text(one), suggestions(one),
      one.field === "term" && term && [" ", button(t("columns.use.term", { term: this.actions.termTitle(term) }), () => this.#useTerm(term))]));
    const others = errors.filter((one) => !isAboutColumns(one));
    const rejected = others.slice(0, ERRORS_MAX).map(({ line, column, value, message, ...coded }) => h("li", { class: "stop" },
      richText("columns.error.line", { text: [[column, value && `“${value}”`].filter(Boolean).map((one) => `${one}, `), codedText("finding", coded, message)] }, { line })));
    const total = Math.max(others.length, (state.errors_total ?? 0) - (errors.length - others.length));
    const more = total > ERRORS_MAX && h("li", null, t("columns.error.more", { n: total - ERRORS_MAX }));
    const maybe = optional(state).map((one) => h("li", { class: "careful" }, text(one), suggestions(one)));
    const all = [this.#hint(state), ...missing, ...rejected, more, ...maybe].filter(Boolean);
    put(this.problems, all.length ? h("ul", null, all) : h("p", { class: "none" }, t("columns.none")));
  }

  /** Returns a likely reason for missing columns, if any: other separators, or a header line that is a line of data. */
  #hint(state) {
    if (!required(state).length) return null;
    if (state.columns.length === 1) return h("li", { class: "stop" }, t("columns.one"));
    const isWithoutHeader = state.columns.filter(isData).length >= DATA_NAMES_MIN;
    return isWithoutHeader && h("li", { class: "stop" }, t("columns.no_header", { line: String(state.header_line || 1) }));
  }

  /** Uses a suggested column. The button disappears, so the focus moves to the choice that it made. */
  #use(index, field) {
    const select = this.#selects.get(index);
    this.#choose(index, field, true);
    this.#select(index, field);
    select.focus();
  }

  #useTerm(term) {
    this.term.value = term;
    this.term.focus();
    this.#change({ term }, true);
  }

  #current() {
    const { profile } = this.#state;
    const known = this.#profiles.find(({ name }) => name === profile);
    const title = known && !known.builtin ? known.title : (this.#options.name ?? "").replace(/\.\w+$/, "");
    return { state: this.#state, options: this.#options, profile: known, title };
  }

  async #onsaved(name) {
    this.#profiles = await loadProfiles();
    // The choices are part of the saved profile now. Without it, the file is checked without a profile.
    this.#state = { ...this.#state, profile: name };
    if (name && this.#options.profile) this.#options = { ...this.#options, profile: name };
    this.#drawProfiles();
    if (!name) this.#change({ profile: "none" });
  }
}
