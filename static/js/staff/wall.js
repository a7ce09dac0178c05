// What is typed into a field for a time is the college's time, wherever the desk stands.

import { format } from "../i18n.js";

const MINUTE_MS = 60_000;

/** What the college's clocks show at a moment, as if that were UTC. */
function shown(ms) {
  const parts = format({ year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric", second: "numeric", hourCycle: "h23", numberingSystem: "latn", calendar: "gregory" }).formatToParts(new Date(ms));
  const part = (type) => Number(parts.find((one) => one.type === type).value);
  return Date.UTC(part("year"), part("month") - 1, part("day"), part("hour"), part("minute"), part("second"));
}

/** The moment of `2027-01-12T08:00`, as a Date; null for nothing. */
export function momentOf(wall) {
  const wanted = Date.parse(`${wall}Z`);
  if (Number.isNaN(wanted)) return null;
  // Twice: the first guess may lie on the other side of a change of the clocks.
  const first = wanted - (shown(wanted) - wanted);
  return new Date(wanted - (shown(first) - first));
}

/** A moment as a field shows it: `2027-01-12T08:00`, with seconds where there are any. */
export function wallOf(at) {
  if (!at) return "";
  const wall = shown(Math.floor(Date.parse(at) / 1000) * 1000);
  return new Date(wall).toISOString().slice(0, wall % MINUTE_MS ? 19 : 16);
}

/** The name of the college's zone at present, such as `EST`. */
export const zoneName = () => format({ timeZoneName: "long" }).formatToParts(new Date()).find(({ type }) => type === "timeZoneName").value;
