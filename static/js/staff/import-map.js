// The mapping of an imported file's columns, as the API takes it, and as a profile saves it.

import { has, t } from "../i18n.js";

/** The greatest number of characters of a column's name that a profile accepts. */
const NAME_CHARS_MAX = 200;
/** The greatest number of characters of a profile's name. */
const SLUG_CHARS_MAX = 60;

/** Returns the entries `[column number, field]` of a map such as `#4:capacity,#7:ignore`. */
const entries = (map) => [...(map ?? "").matchAll(/#(\d+):([^,]+)/g)].map(([, index, field]) => [Number(index), field]);

/**
 * Returns the map with another field for a column; an empty field means that the column is not imported. A field has
 * one column, so an earlier choice of the same field is removed.
 */
export function withField(map, column, field) {
  const kept = entries(map).filter(([index, other]) => index !== column && (other === "ignore" || other !== field));
  return [...kept, [column, field || "ignore"]].map(([index, value]) => `#${index}:${value}`).join(",");
}

/** Returns a column's name as the hub compares it. */
const comparable = (name) => name.toLowerCase().replace(/[^\p{L}\p{N}]/gu, "");

/**
 * Returns the name of a file's column for the reader: that of its field, with the header of the file if it is another
 * word; the header of a column that is not imported.
 */
export function columnLabel(columns, header) {
  const field = columns?.find(({ name }) => name === header)?.field ?? header;
  if (!has(`field.${field}`)) return header;
  const label = t(`field.${field}`);
  return [field, label].some((one) => comparable(one) === comparable(header)) ? label : t("columns.label", { field: label, header });
}

/** Returns the header and the map of a profile for the columns of a checked file. */
export function profileBody({ columns, header_line }, map) {
  const ignored = new Set(entries(map).filter(([, field]) => field === "ignore").map(([index]) => index));
  const names = columns.map(({ name }) => comparable(name));
  const key = ({ index, name }) => {
    const own = comparable(name);
    const isUnique = header_line > 0 && own && names.filter((one) => one === own).length === 1;
    return isUnique && name.length <= NAME_CHARS_MAX && !/^\s*#/.test(name) ? name : `#${index}`;
  };
  const mapped = columns.filter(({ index, field }) => field || ignored.has(index));
  return {
    // A file without a header has no names by which it could be recognized.
    header: header_line > 0 ? columns.map(({ name }) => name.slice(0, NAME_CHARS_MAX)) : [],
    map: Object.fromEntries(mapped.map((column) => [key(column), column.field ?? "ignore"])),
  };
}

/** Returns the name of a profile with this title: letters, digits, `-`, `.` and `_`. */
export const profileName = (title) =>
  title.normalize("NFKC").trim().toLowerCase().replace(/\s+/g, "-").replace(/[^\p{L}\p{N}._-]/gu, "").slice(0, SLUG_CHARS_MAX);
