// The report of a checked or applied import: the result, the next steps, the rejected lines, and each change.

import { button, h, put, table } from "../dom.js";
import { codedText } from "../coded-text.js";
import { clockChoice, sheetChoice } from "./import-choices.js";
import { columnLabel } from "./import-map.js";
import { has, i18n, number, t } from "../i18n.js";
import { meetingText, dateTime, prerequisiteText, sectionName } from "../words.js";

/** Rows of a list shown at first, and added by each "Show more". */
const FIRST_ROWS = 25;
const MORE_ROWS = 100;
/** The maximum number of sections that an alert can name. A list of the report has no more. */
const ALERT_SECTIONS_MAX = 1_000;

/** Returns the name of a field; the header of a column that is not a field. */
const label = (name) => has(`field.${name}`) ? t(`field.${name}`) : name;
/** The fields that describe a new section, besides its name. */
const NEW_SECTION_FIELDS = ["section", "title", "meetings", "instructor", "capacity"];

/** Returns a field's value as text. */
function valueText(name, value) {
  if (value === null || value === undefined || value === "" || value.length === 0) return t("value.none");
  if (name === "prerequisites") return prerequisiteText(value) || t("value.none");
  if (name === "cross_listed") return value.capacity === null ? value.group : t("value.pool", {group: value.group, n: value.capacity});
  if (name === "reserved") return value.map((one) => `${one.group}: ${one.seats}`).join("; ");
  if (name === "restrictions") {
    return value.map((one) => t(one.exclude ? "value.excluded" : "value.required", {by: t(`restriction.${one.by}`), values: one.values.join(", ")})).join("; ");
  }
  if (name === "meetings") return value.map((one) => meetingText(one)).join("; ");
  if (Array.isArray(value)) return value.map((one) => typeof one === "object" ? valueText("", one) : one).join(", ");
  if (typeof value === "object") {
    return Object.entries(value).map(([key, one]) => `${label(key).toLowerCase()} ${valueText(key, one)}`).join(", ");
  }
  if (["status", "component"].includes(name) && has(`${name === "status" ? "section.status" : "kind"}.${value}`)) return t(`${name === "status" ? "section.status" : "kind"}.${value}`);
  return typeof value === "number" ? number(value) : String(value);
}

/** Returns the length of a list. The hub returns at most 1,000 entries of each list, and the total beside it. */
export const total = (state, name) => state[`${name}_total`] ?? state[name]?.length ?? 0;

/** Returns a table of the first rows, with a button that shows more. */
function longTable(caption, heads, items, rows) {
  const first = table(caption, heads, items.slice(0, FIRST_ROWS).flatMap(rows));
  const rest = h("div");
  // The rows that are shown stay as they are: one may have fields with typed text.
  const add = (shown) => {
    const added = table("", heads, items.slice(shown, shown + MORE_ROWS).flatMap(rows));
    first.querySelector("tbody").append(...added.querySelectorAll("tbody > tr"));
    draw(shown + MORE_ROWS);
  };
  const draw = (shown) => put(rest, items.length > shown && h("p", null,
    button(t("report.more", { n: Math.min(MORE_ROWS, items.length - shown) }), () => add(shown))));
  draw(FIRST_ROWS);
  return [first, rest];
}

/** Returns a collapsible list of the report, or false if the list is empty. */
const part = (state, name, title, open, content) => total(state, name) > 0
  && h("details", { open, "data-part": name }, h("summary", null, title.endsWith(")") ? title : `${title} (${number(total(state, name))})`), content());

/** Returns the caption of a list that the hub has shortened. */
const caption = (state, name) => total(state, name) > (state[name]?.length ?? 0)
  ? t("report.first", { n: state[name].length, total: total(state, name) }) : "";

/** Returns the caption of the conflicts. One item of the list may stand for several of them. */
function conflictsCaption({ conflicts, conflicts_total }) {
  const shown = conflicts.reduce((sum, { pairs }) => sum + (pairs ?? 1), 0);
  return shown < conflicts_total ? t("report.shown", { n: shown, total: conflicts_total }) : "";
}

/** Returns the result as a list of sentences. */
function summary({ created, updated, unchanged, refused, events, students, enrollments, dry_run, state, message, reason }) {
  if (state === "cancelled") return [t("report.cancelled.text")];
  const rejected = refused ? ` ${t("report.rejected", { n: refused })}` : "";
  if (state === "failed") return [message ? codedText("finding", reason ?? {}, message) : t("report.fix"), rejected];
  const kind = students !== undefined ? "students" : events ? "events" : "sections";
  const registered = enrollments && ` ${t(`report.${dry_run ? "planned" : "applied"}.enrollments`, { n: enrollments.created, unchanged: enrollments.unchanged })}`;
  if (!created && !updated) return [t(`report.same.${kind}`, { n: unchanged }), registered, rejected];
  return [t(`report.${dry_run ? "planned" : "applied"}.${kind}`, { n: created, updated, unchanged }), registered, rejected];
}

/** Returns the result's tone and heading. */
function heading({ state, dry_run }) {
  if (state === "cancelled") return ["careful", t("import.cancelled")];
  if (state !== "done") {
    return ["stop", t(dry_run ? "report.not_yet" : "report.not_imported")];
  }
  return ["good", t(dry_run ? "report.checked" : "report.imported")];
}

/** Returns the title of the list of errors: the number of rejected lines, and that of their errors if it differs. */
function rejectedTitle(state) {
  const errors = total(state, "errors");
  if (!state.refused) return t("report.errors.only");
  return `${t("report.errors")} (${errors === state.refused ? number(errors) : t("report.errors.of", { lines: state.refused, n: errors })})`;
}

/**
 * Returns the elements of the report. `page` is `{nameOf(id), termTitle(id), show(id), compose(audience)}`;
 * `nextSteps` are elements; `again`, if the file can be checked again, is `{clock, check(options)}`: the current
 * clock, and a function that checks it with other options. `correct(finding, isError)` returns the button that
 * corrects a line, or false; null if no line of the file can be corrected.
 */
export function report(state, page, nextSteps, again, correct) {
  const { nameOf, termTitle } = page;
  const [tone, title] = heading(state);
  const messages = (items, title, isError) => {
    // A line has one button, beside its first finding.
    const buttons = new Map();
    for (const one of correct ? items : []) if (!buttons.get(one.line)) buttons.set(one.line, correct(one, isError));
    const hasButtons = [...buttons.values()].some(Boolean);
    const take = (line) => { const found = buttons.get(line); buttons.delete(line); return found || ""; };
    return longTable(caption(state, isError ? "errors" : "warnings"), [t("columns.line"), t("report.column"), t("report.value"), title, ...(hasButtons ? [""] : [])], items,
      (one) => [[one.line, one.column && columnLabel(state.columns, one.column), one.value, codedText("finding", one, one.message), ...(hasButtons ? [take(one.line)] : [])]]);
  };
  const errorsCsv = `/api/v1/imports/${encodeURIComponent(state.task)}/errors.csv?lang=${i18n.language}`;
  const details = [
    state.name, state.sheet && t("report.sheet", { name: state.sheet }), state.term && t("report.term", { term: termTitle(state.term) }),
    t("report.rows", { n: state.rows }), t("report.by", { user: state.started_by }),
    dateTime(state.finished_at),
  ].filter(Boolean).join(", ");
  const applied = state.state === "done" && !state.dry_run;
  const onsheet = again && ((sheet) => again.check({ sheet, map: "" }));
  const clock = clockChoice(state, again?.clock, again && ((value) => again.check({ clock: value })));
  return [
    h("div", { role: "status" }, h("h3", { class: tone, tabindex: "-1" }, title), h("p", null, summary(state))),
    h("p", { class: "none" }, `${details}.`), nextSteps, sheetChoice(state, onsheet),
    part(state, "errors", rejectedTitle(state), true, () => [
      h("p", null, h("a", { href: errorsCsv, download: "", class: "button" }, t("report.errors.download", { n: total(state, "errors") }))),
      !correct && state.dry_run && h("p", { class: "none" }, t("correction.elsewhere")),
      messages(state.errors, t("report.problem"), true)]),
    part(state, "changes", t(applied ? "report.changes.made" : "report.changes"), true, () => longTable(caption(state, "changes"),
      [t("field.section"), t("report.field"), ...(applied ? [t("report.before"), t("report.after")] : [t("report.current"), t("report.new")])], state.changes, (one) => changeRows(one, nameOf))),
    ...affectedParts(state.affected, page),
    part(state, "skipped", t("report.skipped"), false, () =>
      longTable(caption(state, "skipped"), [t("columns.line"), t("report.text"), t("now.reason")], state.skipped, (one) => [[one.line, one.text, codedText("finding", one, one.why)]])),
    part(state, "missing", t("report.missing"), false, () =>
      longTable(caption(state, "missing"), [t("field.section")], state.missing, (id) => [[nameOf(id)]])),
    part(state, "warnings", t("report.warnings"), Boolean(clock), () => [clock, messages(state.warnings, t("report.warning"), false)]),
    part(state, "conflicts", t("report.conflicts"), false, () =>
      longTable(conflictsCaption(state), [t("report.type"), t("report.lines"), t("report.conflict")], state.conflicts,
        (one) => [[has(`conflict.${one.kind}`) ? t(`conflict.${one.kind}`) : one.kind, one.lines?.join(", "), codedText("finding", one, one.message)]])),
  ];
}

/** Returns the effects of an applied import on students. */
function affectedParts(affected, { nameOf, show, compose }) {
  if (!affected) return [];
  const link = (id) => button(nameOf(id), () => show(id), { class: "quiet" });
  const alert = (id) => button(t("alert.send.button"), () => compose({ sections: [id] }), { "aria-label": t("alert.send.for", { section: nameOf(id) }) });
  const alertAll = (items) => items.length > 1 && h("p", null, button(
    t(items.length === ALERT_SECTIONS_MAX ? "report.alert.first" : "report.alert.these", { n: items.length }),
    () => compose({ sections: items.map(({ section }) => section) })));
  return [
    part(affected, "over_capacity", t("report.over"), true, () => [alertAll(affected.over_capacity),
      longTable(caption(affected, "over_capacity"), [t("field.section"), t("field.enrolled"), t("field.capacity"), ""], affected.over_capacity,
        ({ section, enrolled, capacity }) => [[link(section), enrolled, capacity, alert(section)]])]),
    part(affected, "overlaps", t("report.overlaps"), true, () => [alertAll(affected.overlaps),
      longTable(caption(affected, "overlaps"), [t("field.section"), t("report.students"), ""], affected.overlaps,
        ({ section, students }) => [[link(section), students, alert(section)]])]),
  ];
}

/** Returns the sections whose names the first rows of a report show. New ones are described by their fields. */
export function namedSections({ changes = [], missing = [], affected }) {
  const updated = changes.slice(0, FIRST_ROWS).filter(({ change }) => change !== "create");
  const students = [...(affected?.over_capacity ?? []), ...(affected?.overlaps ?? [])].slice(0, 2 * FIRST_ROWS);
  return [...[...updated, ...students].map(({ section }) => section), ...missing.slice(0, FIRST_ROWS)];
}

/** Returns the name of a section that does not exist yet: `MATH 151 lecture (10001)`. */
function newSectionName(id, { course, component }) {
  const crn = id.slice(id.lastIndexOf("-") + 1);
  return course?.[1] ? sectionName({ course: course[1], component: component?.[1], crn }, id) : id;
}

/** Returns one row for each changed field, or a single row for a new section. */
function changeRows({ section, change, fields }, nameOf) {
  if (change === "create") {
    const facts = NEW_SECTION_FIELDS.map((name) => [name, fields[name]?.[1]])
      .filter(([, value]) => value !== undefined && value !== null)
      .map(([name, value]) => name === "capacity" ? t("n.seats", { n: value }) : valueText(name, value));
    const pool = fields.cross_listed?.[1];
    if (pool) facts.push(`${label("cross_listed")}: ${valueText("cross_listed", pool)}`);
    return [[h("strong", null, newSectionName(section, fields)), h("span", { class: "good" }, t("report.created")), "", facts.join(", ")]];
  }
  return Object.entries(fields).map(([name, [before, after]], i) =>
    [i === 0 && h("strong", null, nameOf(section)), label(name), valueText(name, before), valueText(name, after)]);
}
