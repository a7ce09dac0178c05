// What came of an import, or would: one sentence, the next step, what is refused, and each change with old and new.

import { button, h, put, table } from "../dom.js";
import { count, meeting, moment } from "../words.js";

/** How many entries of a list are drawn at first, and with each press for more. */
const FIRST = 25;
const MORE = 100;

const NAMES = {
  course: "Course", component: "Kind", section: "Section", title: "Title", credits: "Credits", instructor: "Instructor", method: "Method", campus: "Campus",
  meetings: "Meets", capacity: "Capacity", enrolled: "Enrolled", waitlist_capacity: "Waitlist places", waitlisted: "Waiting", status: "Status",
  linked: "Taken together with", prerequisites: "Complete first", outside_enrolled: "Seats held outside the hub", outside_waitlisted: "Waiting outside the hub",
  file_totals: "The file's totals",
};
/** What says which section is new: the rest follows from opening it. */
const NEW = ["course", "section", "component", "title", "meetings", "instructor", "capacity"];

/** A value for people: lists as lists, meetings as times, nothing as a word. */
function told(name, value) {
  if (value === null || value === undefined || value === "" || value.length === 0) return "none";
  if (name === "meetings") return value.map((one) => meeting(one)).join("; ");
  if (Array.isArray(value)) return value.map((one) => typeof one === "object" ? told("", one) : one).join(", ");
  if (typeof value === "object") return Object.entries(value).map(([key, one]) => `${(NAMES[key] ?? key).toLowerCase()} ${told(key, one)}`).join(", ");
  return typeof value === "number" ? value.toLocaleString() : String(value);
}

const total = (state, name) => state[`${name}_total`] ?? state[name]?.length ?? 0;

/** A table of which the first lines are drawn, and more when they are asked for. */
function long(caption, heads, items, row) {
  const at = h("div");
  const draw = (n) => put(at, table(caption, heads, items.slice(0, n).flatMap(row)),
    items.length > n && h("p", null, button(`Show ${Math.min(MORE, items.length - n).toLocaleString()} more`, () => draw(n + MORE))));
  draw(FIRST);
  return at;
}

const part = (state, name, title, open, body) => total(state, name) > 0 && h("details", { open, "data-part": name }, h("summary", null, `${title} (${total(state, name).toLocaleString()})`), body());
const short = (state, name) => total(state, name) > (state[name]?.length ?? 0) ? `The first ${state[name].length.toLocaleString()} of ${total(state, name).toLocaleString()}.` : "";

/** What it comes to, in a sentence. */
function sum({ created, updated, unchanged, refused, events, dry_run, state, message }) {
  const what = (n) => count(n, events ? "event" : "section");
  if (state === "cancelled") return "It was stopped before it changed anything.";
  const lines = refused ? ` ${count(refused, "line is", "lines are")} refused.` : "";
  if (state === "failed") return (message ?? "Correct what is named here, and check the file again.") + lines;
  const [add, change, leave] = dry_run ? ["would add", "change", "leave"] : ["added", "changed", "left"];
  if (!created && !updated) return `Everything in the file is so already: ${what(unchanged)}.${lines}`;
  return `The file ${add} ${what(created)}, ${change} ${updated.toLocaleString()} and ${leave} ${unchanged.toLocaleString()} as they are.${lines}`;
}

function verdict({ state, dry_run }) {
  if (state === "cancelled") return ["careful", "Cancelled. Nothing has changed."];
  if (state !== "done") return ["stop", dry_run ? "It cannot be applied like this. Nothing has changed." : "Not imported. Nothing has changed."];
  return ["good", dry_run ? "Checked. Nothing has changed yet." : "Imported."];
}

/** All of it; `next` is what to do now. `nameOf(id)` is what people call a section. */
export function report(state, nameOf, next) {
  const [tone, said] = verdict(state);
  const lines = (one) => [[one.line, NAMES[one.column] ?? one.column, one.value, one.message]];
  const heads = ["Line", "Column", "Value", "What is wrong"];
  const errors = `/api/v1/imports/${encodeURIComponent(state.task)}/errors.csv`;
  const about = [state.name, state.term && `term ${state.term}`, count(state.rows, "row"), `by ${state.started_by}`, moment(state.finished_at)].filter(Boolean).join(", ");
  const ready = state.state === "done";
  return [
    h("div", { role: "status" }, h("h3", { class: tone, tabindex: "-1" }, said), h("p", null, sum(state))),
    h("p", { class: "none" }, `${about}.`), next,
    part(state, "errors", "Refused lines", true, () => [
      h("p", null, h("a", { href: errors, download: "", class: "button" }, `Download ${count(total(state, "errors"), "refused line")}`)),
      long(short(state, "errors"), heads, state.errors, lines)]),
    part(state, "changes", ready && !state.dry_run ? "What has changed" : "What would change", true, () => long(short(state, "changes"), ["Section", "Field", "Now", "Then"].map((head) => !state.dry_run && ready ? { Now: "Before", Then: "Now" }[head] ?? head : head), state.changes, (one) => change(one, nameOf))),
    part(state, "missing", "In the term, but not in this file: they stay as they are", false, () => long(short(state, "missing"), ["Section"], state.missing, (id) => [[nameOf(id)]])),
    part(state, "warnings", "Warnings: taken as they are", false, () => long(short(state, "warnings"), ["Line", "Column", "Value", "What was noticed"], state.warnings, lines)),
    part(state, "conflicts", "Rooms and instructors used twice at a time", false, () => long(short(state, "conflicts"), ["Kind", "Lines", "What"], state.conflicts, (one) => [[one.kind, one.lines?.join(", "), one.message]])),
  ];
}

/** One line for each field that changes; a new section is one line. */
function change({ section, change: kind, fields }, nameOf) {
  if (kind === "create") {
    const has = (name) => fields[name]?.[1];
    const facts = NEW.map((name) => has(name) !== undefined && has(name) !== null && (name === "capacity" ? count(has(name), "seat") : told(name, has(name)))).filter(Boolean);
    return [[h("strong", null, section), h("span", { class: "good" }, "New"), "", facts.join(", ")]];
  }
  return Object.entries(fields).map(([name, [from, to]], i) => [i === 0 && h("strong", null, nameOf(section)), NAMES[name] ?? name, told(name, from), told(name, to)]);
}
