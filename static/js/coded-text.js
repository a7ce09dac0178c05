// Texts of the hub with a code: shown in the reader's language, or in the hub's English if this page does not know the
// code.

import { has, t } from "./i18n.js";
import { serverText } from "./rich-text.js";
import { dateTime, joinList, timeRange, weekday } from "./words.js";

/** Arguments whose values are words of the hub, such as the code of a refusal. Their texts are `AREA.value.WORD`. */
const WORDS = new Set(["codes", "refusal", "status"]);

/**
 * Returns the text of the hub's `{code, args}`. The texts of one area have a common prefix, such as `finding`.
 * `english` is the hub's own text.
 */
export const codedText = (area, coded, english) => textOf(area, coded) ?? serverText(english);

/** Returns the text; undefined if the code of the text or of a part of it is unknown. */
function textOf(area, { code, args = {} }) {
  const key = `${area}.${code}`;
  if (!code || !has(key)) return undefined;
  const values = Object.entries(args).map(([name, value]) => [name, valueOf(area, name, value)]);
  return values.some(([, value]) => value === undefined) ? undefined : t(key, Object.fromEntries(values));
}

function valueOf(area, name, value) {
  if (name === "days" && Array.isArray(value)) return value.map((day) => weekday(day)).join(", ");
  const times = name === "times" && /^(\d\d:\d\d)-(\d\d:\d\d)$/.exec(value);
  if (times && times[1] < times[2]) return timeRange(times[1], times[2]);
  if (WORDS.has(name)) return [value].flat().map((word) => wordText(area, word)).join(", ");
  if (name === "role") return has(`role.${value}`) ? t(`role.${value}`) : value;
  if (name === "subjects") return value === "no subject" ? t(`${area}.no_subjects`) : joinList(value.split(/, | and /));
  if (name === "at") return dateTime(value);
  if (Array.isArray(value)) return value.join(", ");
  // The number of a line is written as in the column beside the text, without separators of thousands.
  if (name === "line") return String(value);
  return typeof value === "object" ? textOf(area, value) : value;
}

/** Returns the text of a word of the hub; the word itself if it has none. */
export const wordText = (area, word) => has(`${area}.value.${word}`) ? t(`${area}.value.${word}`) : word;
