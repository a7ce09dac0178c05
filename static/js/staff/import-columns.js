// The columns of an imported file: what each is imported as, with a choice that corrects it.

import { button, h, table } from "../dom.js";

/** The fields of a schedule, by their names in the API, with their labels. */
const FIELDS = {
  term: "Term", crn: "CRN", subject: "Subject", number: "Course number", course: "Course", section: "Section", title: "Title",
  credits: "Credits", component: "Component", status: "Status", instructor: "Instructor", capacity: "Capacity",
  enrolled: "Enrolled", waitlist_capacity: "Waitlist capacity", waitlisted: "Waitlisted", days: "Days", time: "Time",
  start_time: "Start time", end_time: "End time", date_range: "Dates", start: "First date", end: "Last date",
  building: "Building", room: "Room", location: "Location", method: "Method", campus: "Campus", linked: "Linked sections",
  prerequisites: "Prerequisites",
};

/**
 * Returns a map of columns for the API with the entries of `later` in place of those of `earlier` for the same column or
 * field.
 */
export function mergeMaps(earlier, later) {
  const entries = (map) => (map ?? "").split(",").filter(Boolean).map((entry) => {
    const at = entry.lastIndexOf(":");
    return [entry.slice(0, at), entry.slice(at + 1)];
  });
  const changed = entries(later);
  const kept = entries(earlier).filter(([column, field]) => !changed.some(([one, other]) => one === column || other === field));
  return [...kept, ...changed].map(([column, field]) => `${column}:${field}`).join(",");
}

/**
 * Returns the table of columns. With `onchange(map)`, each column has a choice of fields, and a button passes the changed
 * ones as a map for the API, such as `#4:capacity`.
 */
export function columnsTable(columns, onchange) {
  const chosen = new Map();
  const again = button("Check again with these columns",
    () => onchange([...chosen].map(([index, field]) => `#${index}:${field}`).join(",")), { disabled: true });
  const choice = ({ index, name, field }) => {
    const known = field === null || field in FIELDS;
    const select = h("select", { "aria-label": `Import column ${name || index} as` },
      field === null && h("option", { value: "" }, "Not imported"),
      !known && h("option", { value: field }, field),
      Object.entries(FIELDS).map(([value, label]) => h("option", { value, selected: value === field }, label)));
    select.addEventListener("change", () => {
      if (select.value === (field ?? "")) chosen.delete(index);
      else chosen.set(index, select.value);
      again.disabled = chosen.size === 0;
    });
    return select;
  };
  const rows = columns.map((column) => [
    column.index, column.name, onchange ? choice(column) : FIELDS[column.field] ?? column.field ?? "Not imported", column.samples.join("; "),
  ]);
  return h("div", null, table("", ["Column", "Name in the file", "Imported as", "Examples"], rows), onchange && h("p", null, again));
}
