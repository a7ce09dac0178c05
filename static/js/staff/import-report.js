// The report of a checked or applied import: the result, the next steps, the rejected lines, and each change.

import { button, h, put, table } from "../dom.js";
import { clockChoice, sheetChoice } from "./import-choices.js";
import { count, meetingText, dateTime, prerequisiteText } from "../words.js";

/** Rows of a list shown at first, and added by each "Show more". */
const FIRST_ROWS = 25;
const MORE_ROWS = 100;
/** An alert can name as many sections; a list of the report has no more. */
const ALERT_SECTIONS_MAX = 1_000;

const LABELS = {
  crn: "CRN", course: "Course", component: "Component", section: "Section", title: "Title", credits: "Credits",
  instructor: "Instructor", method: "Method", campus: "Campus", meetings: "Meeting times", capacity: "Capacity",
  enrolled: "Enrolled", waitlist_capacity: "Waitlist capacity", waitlisted: "Waitlisted", status: "Status",
  linked: "Linked sections", prerequisites: "Prerequisites", outside_enrolled: "Enrolled outside EduHub",
  outside_waitlisted: "Waitlisted outside EduHub", file_totals: "Totals in the file",
  cross_listed: "Cross-listed sections", reserved: "Reserved seats", restrictions: "Restrictions", repeat_limit: "Repeat limit",
};
/** The fields that describe a new section. */
const NEW_SECTION_FIELDS = ["course", "section", "component", "title", "meetings", "instructor", "capacity"];

/** Returns a field's value as text. */
function valueText(name, value) {
  if (value === null || value === undefined || value === "" || value.length === 0) return "none";
  if (name === "prerequisites") return prerequisiteText(value) || "none";
  if (name === "cross_listed") return value.capacity === null ? value.group : `${value.group} (${value.capacity} seats)`;
  if (name === "reserved") return value.map((one) => `${one.group}: ${one.seats}`).join("; ");
  if (name === "restrictions") return value.map((one) => `${one.exclude ? "not " : ""}${one.by}: ${one.values.join(", ")}`).join("; ");
  if (name === "meetings") return value.map((one) => meetingText(one)).join("; ");
  if (Array.isArray(value)) return value.map((one) => typeof one === "object" ? valueText("", one) : one).join(", ");
  if (typeof value === "object") {
    return Object.entries(value).map(([key, one]) => `${(LABELS[key] ?? key).toLowerCase()} ${valueText(key, one)}`).join(", ");
  }
  return typeof value === "number" ? value.toLocaleString() : String(value);
}

/** The hub returns at most 1,000 entries of each list, and the total beside it. */
const total = (state, name) => state[`${name}_total`] ?? state[name]?.length ?? 0;

/** Returns a table of the first rows, with a button that shows more. */
function longTable(caption, heads, items, rows) {
  const el = h("div");
  const draw = (shown) => put(el, table(caption, heads, items.slice(0, shown).flatMap(rows)),
    items.length > shown && h("p", null, button(
      `Show ${Math.min(MORE_ROWS, items.length - shown).toLocaleString()} more`, () => draw(shown + MORE_ROWS))));
  draw(FIRST_ROWS);
  return el;
}

/** Returns a collapsible list of the report, or false if the list is empty. */
const part = (state, name, title, open, content) => total(state, name) > 0
  && h("details", { open, "data-part": name }, h("summary", null, `${title} (${total(state, name).toLocaleString()})`), content());

/** Returns the caption of a list that the hub has shortened. */
const caption = (state, name) => total(state, name) > (state[name]?.length ?? 0)
  ? `Showing the first ${state[name].length.toLocaleString()} of ${total(state, name).toLocaleString()}.` : "";

/** Returns the caption of the conflicts, of which an item may be several. */
function conflictsCaption({ conflicts, conflicts_total }) {
  const shown = conflicts.reduce((sum, { pairs }) => sum + (pairs ?? 1), 0);
  return shown < conflicts_total ? `Showing ${shown.toLocaleString()} of ${conflicts_total.toLocaleString()}.` : "";
}

/** Returns the result in one or two sentences. */
function summary({ created, updated, unchanged, refused, events, dry_run, state, message }) {
  const items = (n) => count(n, events ? "event" : "section");
  if (state === "cancelled") return "The import stopped before it changed anything.";
  const rejected = refused ? ` ${count(refused, "line")} rejected.` : "";
  if (state === "failed") return (message ?? "Fix the errors below, then check the file again.") + rejected;
  if (!created && !updated) {
    return `No changes: ${items(unchanged)} already ${unchanged === 1 ? "matches" : "match"} the file.${rejected}`;
  }
  const [toAdd, toChange] = dry_run ? ["to add", "to change"] : ["added", "changed"];
  return `${items(created)} ${toAdd}, ${updated.toLocaleString()} ${toChange}, ${unchanged.toLocaleString()} unchanged.${rejected}`;
}

/** Returns the result's tone and heading. */
function heading({ state, dry_run }) {
  if (state === "cancelled") return ["careful", "Cancelled. Nothing has changed."];
  if (state !== "done") {
    return ["stop", dry_run ? "This file can't be imported yet. Nothing has changed." : "Not imported. Nothing has changed."];
  }
  return ["good", dry_run ? "Checked. Nothing has changed yet." : "Imported."];
}

/**
 * Returns the elements of the report. `page` is `{nameOf(id), show(id), compose(audience)}`; `nextSteps` is an element;
 * `again`, if the file can be checked again, is `{clock, check(options)}`: the present clock, and what checks it with other options.
 */
export function report(state, page, nextSteps, again) {
  const { nameOf } = page;
  const [tone, title] = heading(state);
  const messageRow = (one) => [[one.line, LABELS[one.column] ?? one.column, one.value, one.message]];
  const errorsCsv = `/api/v1/imports/${encodeURIComponent(state.task)}/errors.csv`;
  const details = [
    state.name, state.sheet && `sheet ${state.sheet}`, state.term && `term ${state.term}`, count(state.rows, "row"), `started by ${state.started_by}`,
    dateTime(state.finished_at),
  ].filter(Boolean).join(", ");
  const applied = state.state === "done" && !state.dry_run;
  const onsheet = again && ((sheet) => again.check({ sheet, map: "" }));
  const clock = clockChoice(state, again?.clock, again && ((value) => again.check({ clock: value })));
  return [
    h("div", { role: "status" }, h("h3", { class: tone, tabindex: "-1" }, title), h("p", null, summary(state))),
    h("p", { class: "none" }, `${details}.`), nextSteps, sheetChoice(state, onsheet),
    part(state, "errors", "Rejected lines", true, () => [
      h("p", null, h("a", { href: errorsCsv, download: "", class: "button" }, `Download ${count(total(state, "errors"), "rejected line")}`)),
      longTable(caption(state, "errors"), ["Line", "Column", "Value", "Problem"], state.errors, messageRow)]),
    part(state, "changes", applied ? "Changes made" : "Changes to apply", true, () => longTable(caption(state, "changes"),
      ["Section", "Field", ...(applied ? ["Before", "After"] : ["Current", "New"])], state.changes, (one) => changeRows(one, nameOf))),
    ...affectedParts(state.affected, page),
    part(state, "skipped", "Skipped lines", false, () =>
      longTable(caption(state, "skipped"), ["Line", "Text", "Reason"], state.skipped, (one) => [[one.line, one.text, one.why]])),
    part(state, "missing", "In the term but not in this file, left unchanged", false, () =>
      longTable(caption(state, "missing"), ["Section"], state.missing, (id) => [[nameOf(id)]])),
    part(state, "warnings", "Warnings", Boolean(clock), () => [clock,
      longTable(caption(state, "warnings"), ["Line", "Column", "Value", "Warning"], state.warnings, messageRow)]),
    part(state, "conflicts", "Double-booked rooms and instructors", false, () =>
      longTable(conflictsCaption(state), ["Type", "Lines", "Conflict"], state.conflicts,
        (one) => [[one.kind, one.lines?.join(", "), one.message]])),
  ];
}

/** Returns what an applied import did to students. */
function affectedParts(affected, { nameOf, show, compose }) {
  if (!affected) return [];
  const link = (id) => button(nameOf(id), () => show(id), { class: "quiet" });
  const alert = (id) => button("Send alert", () => compose({ sections: [id] }), { "aria-label": `Send an alert to ${nameOf(id)}` });
  const alertAll = (items) => items.length > 1 && h("p", null, button(
    `Send an alert to the students of ${items.length === ALERT_SECTIONS_MAX ? `the first ${count(items.length, "section")}` : `these ${count(items.length, "section")}`}`,
    () => compose({ sections: items.map(({ section }) => section) })));
  return [
    part(affected, "over_capacity", "Sections with more students than seats", true, () => [alertAll(affected.over_capacity),
      longTable(caption(affected, "over_capacity"), ["Section", "Enrolled", "Capacity", ""], affected.over_capacity,
        ({ section, enrolled, capacity }) => [[link(section), enrolled, capacity, alert(section)]])]),
    part(affected, "overlaps", "Sections with students whose classes now overlap", true, () => [alertAll(affected.overlaps),
      longTable(caption(affected, "overlaps"), ["Section", "Students", ""], affected.overlaps,
        ({ section, students }) => [[link(section), students, alert(section)]])]),
  ];
}

/** Returns one row for each changed field, or a single row for a new section. */
function changeRows({ section, change, fields }, nameOf) {
  if (change === "create") {
    const facts = NEW_SECTION_FIELDS.map((name) => [name, fields[name]?.[1]])
      .filter(([, value]) => value !== undefined && value !== null)
      .map(([name, value]) => name === "capacity" ? count(value, "seat") : valueText(name, value));
    return [[h("strong", null, section), h("span", { class: "good" }, "New"), "", facts.join(", ")]];
  }
  return Object.entries(fields).map(([name, [before, after]], i) =>
    [i === 0 && h("strong", null, nameOf(section)), LABELS[name] ?? name, valueText(name, before), valueText(name, after)]);
}
