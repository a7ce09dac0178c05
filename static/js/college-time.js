// Times in form fields are in the college's time zone, wherever the browser is.

import { format } from "./i18n.js";

const MINUTE_MS = 60_000;
const FIELDS = {
  year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric", second: "numeric",
  hourCycle: "h23", numberingSystem: "latn", calendar: "gregory",
};

/** Returns the college's wall-clock time at `ms`, encoded as if it were UTC. */
function wallClock(ms) {
  const parts = format(FIELDS).formatToParts(new Date(ms));
  const part = (type) => Number(parts.find((one) => one.type === type).value);
  return Date.UTC(part("year"), part("month") - 1, part("day"), part("hour"), part("minute"), part("second"));
}

/**
 * Parses a `datetime-local` value such as `2027-01-12T08:00` as college time. Returns a Date, or null if it is empty.
 */
export function fromCollegeTime(value) {
  const wall = Date.parse(`${value}Z`);
  if (Number.isNaN(wall)) return null;
  // Two passes: the first guess may be on the other side of a daylight-saving change.
  const guess = wall - (wallClock(wall) - wall);
  return new Date(wall - (wallClock(guess) - guess));
}

/** Formats a timestamp for a `datetime-local` field: `2027-01-12T08:00`, with seconds if they are not 0. */
export function toCollegeTime(timestamp) {
  if (!timestamp) return "";
  const wall = wallClock(Math.floor(Date.parse(timestamp) / 1000) * 1000);
  return new Date(wall).toISOString().slice(0, wall % MINUTE_MS ? 19 : 16);
}

/** Returns the name of the college's time zone without the season, such as `Eastern Time`. */
export const zoneName = () =>
  format({ timeZoneName: "longGeneric" }).formatToParts(new Date()).find(({ type }) => type === "timeZoneName").value;
