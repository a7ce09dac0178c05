// Numbers, times, sections and problems as texts in the reader's language.

import { format, has, i18n, t } from "./i18n.js";

/** A section has few seats left if at most this share of its capacity, or at most this many seats, are open. */
const FEW_SHARE = 0.1;
const FEW_SEATS = 2;

/** Returns whether a section that is not empty has few of its seats left. */
export const hasFewLeft = ({ capacity, enrolled, open }) => open > 0 && enrolled > 0 && open <= Math.max(FEW_SEATS, capacity * FEW_SHARE);

/** Formats an ordinal number: `1st`, `2nd`, `3rd`; `1.º` in Spanish. */
export const ordinal = (n) => t(`nth.${new Intl.PluralRules(i18n.language, { type: "ordinal" }).select(n)}`, { n });

/** Joins texts into a list: `a`, `a and b`, `a, b, and c`; with the type `disjunction`, `a or b`. */
export function joinList(items, type = "conjunction") {
  return new Intl.ListFormat(i18n.locale, { type }).format([...items].map(String));
}

/**
 * Returns a prerequisite as text: `MATH 141 (grade of C or better) and (PHYS 101 or PHYS 111)`. `one` is a course, a
 * group `{text, all}` or `{text, any}`, or a list of which all are required. Without a group, `text` is shown as it is.
 */
export function prerequisiteText(one) {
  if (Array.isArray(one)) return prerequisiteText({ all: one });
  const { text = "", course, grade, concurrent, any, all = any ?? [] } = typeof one === "string" ? { course: one } : one;
  if (course) {
    const remarks = [grade && t("prerequisite.grade", { grade }), concurrent && t("prerequisite.concurrent")].filter(Boolean);
    return remarks.length ? `${course} (${remarks.join("; ")})` : course;
  }
  const isGroup = (part) => (part.all ?? part.any)?.length > 1;
  const parts = all.map((part) => all.length > 1 && isGroup(part) ? `(${prerequisiteText(part)})` : prerequisiteText(part));
  return parts.length ? joinList(parts, any ? "disjunction" : "conjunction") : text;
}

let smallCounts = 0;

/**
 * Hides small counts from now on: those from 1 up to `limit` - 1 are shown as "fewer than `limit`". 0 shows all counts.
 */
export function hideCountsBelow(limit = 0) {
  smallCounts = limit;
}

/** Returns whether a count of people is shown only as "fewer than". */
const isHidden = (n) => n > 0 && n < smallCounts;

/** Returns the seats taken in a section, as text. */
export const seatsTaken = ({ capacity, enrolled }) => t("section.taken", {
  n: capacity, taken: isHidden(enrolled) ? t("count.few", { n: smallCounts }) : enrolled,
});

/** Returns the places taken on the waitlist of a section, as text. */
export const waitlistTaken = ({ waitlist_capacity, waitlisted = 0 }) => t("section.waitlist", {
  n: waitlist_capacity, taken: isHidden(waitlisted) ? t("count.few", { n: smallCounts }) : waitlisted,
});

/**
 * Returns a section's availability to a new student: its text, a tone (`good`, `careful`, `stop`), and a kind (`open`,
 * `full`, `closed`, `cancelled`).
 */
export function seatStatus({ capacity, enrolled, waitlisted, open, reserved, cross_listed }, status = "open") {
  if (status === "cancelled") return { text: t("seats.cancelled"), tone: "stop", kind: "cancelled" };
  if (open > 0) return { text: t("seats.left", { n: open }), tone: hasFewLeft({ capacity, enrolled, open }) ? "careful" : "good", kind: "open" };
  // Live seat counts carry no status. Free seats that are not open mean that the section is closed to new students,
  // unless they are reserved, or other sections share them.
  const isFree = enrolled + waitlisted < capacity;
  if (status !== "closed" && isFree && reserved?.length) return { text: t("seats.reserved"), tone: "stop", kind: "full" };
  if (status === "closed" || (isFree && !cross_listed)) return { text: t("seats.closed"), tone: "stop", kind: "closed" };
  const text = isHidden(waitlisted) ? t("seats.full.few", { n: smallCounts }) : t("seats.full", { n: waitlisted });
  return { text, tone: "stop", kind: "full" };
}

const DAY_NUMBERS = { sun: 0, mon: 1, tue: 2, wed: 3, thu: 4, fri: 5, sat: 6 };

/** Returns a weekday's name by its three letters; `width` is `short`, `long` or `narrow`. */
export const weekday = (name, width = "short") =>
  name in DAY_NUMBERS ? format({ weekday: width }, "UTC").format(new Date(Date.UTC(2023, 0, 1 + DAY_NUMBERS[name]))) : name;

const WEEK = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/** Formats weekdays: `Mon Wed Fri`; four or more consecutive days are `Mon–Fri`. */
function weekdays(days) {
  const numbers = days.map((one) => WEEK.indexOf(one));
  const consecutive = days.length > 3 && numbers.every((n, i) => n >= 0 && n === numbers[0] + i);
  return consecutive ? `${weekday(days[0])}–${weekday(days.at(-1))}` : days.map((one) => weekday(one)).join(" ");
}

const timeRanges = new Map();

/** Formats a range of times: `9:30 – 10:50 AM`. */
export function timeRange(start, end) {
  const key = `${start} ${end} ${i18n.locale}`;
  if (!timeRanges.has(key)) timeRanges.set(key, formatTimeRange(start, end));
  return timeRanges.get(key);
}

function formatTimeRange(start, end) {
  const [from, to] = [start, end].map((text) => text && new Date(`2000-01-01T${text}:00Z`));
  if (!from) return "";
  const time = format({ hour: "numeric", minute: "2-digit" }, "UTC");
  // Across midnight, a range would show both dates.
  if (end === "24:00") return `${time.format(from)} – ${time.format(to)}`;
  return to && to > from ? time.formatRange(from, to) : time.format(from);
}

/** Formats a meeting: `Mon Wed 9:30 – 10:50 AM, Room 4`. `noTime` is shown if neither days nor times are set. */
export function meetingText({ days, start, end, location }, withRoom = true, noTime = t("section.no_time")) {
  const when = [weekdays(days ?? []), timeRange(start, end)].filter(Boolean).join(" ");
  return [when || noTime, withRoom && location].filter(Boolean).join(", ");
}

/** Returns whether a section is taught online, at least in part. */
export const isRemote = ({ method }) => /online|asynch|hybrid|blended|remote|distance|internet|\bweb/i.test(method ?? "");

/** Returns the meetings of a section as texts, of which there is at least one. */
export function meetingTexts({ meetings, method }, withRoom) {
  const noTime = t(isRemote({ method }) && !/hybrid|blended/i.test(method) ? "section.online" : "section.no_time");
  return meetings?.length ? meetings.map((one) => meetingText(one, withRoom, noTime)) : [noTime];
}

/** Keeps a zone such as `GMT-5` on one line: a line can end after a hyphen, but not after a minus sign. */
export const unbrokenZone = (text) => text.replace("GMT-", "GMT\u2212");

/**
 * Formats a moment with its time zone: `Tue, Jan 12, 8:00 AM EST`; in another year, `Tue, Jan 12, 2027, 8:00 AM EST`.
 */
export function dateTime(at) {
  if (!at) return "";
  const year = (moment) => format({ year: "numeric" }).format(moment);
  const moment = new Date(at);
  return unbrokenZone(format({
    weekday: "short", month: "short", day: "numeric", year: year(moment) === year(new Date()) ? undefined : "numeric",
    hour: "numeric", minute: "2-digit", timeZoneName: "short",
  }).format(moment));
}

/** Formats a calendar date: `Jan 12`. */
export const date = (text) => text ? format({ month: "short", day: "numeric" }, "UTC").format(new Date(`${text}T00:00:00Z`)) : "";

/** Formats a time of day to the second: `8:00:05 AM`. */
export const timeOfDay = (at) => format({ hour: "numeric", minute: "2-digit", second: "2-digit" }).format(new Date(at));

/** Formats a duration: `2 days 03:04:05`, `1:02:03`, `4:09`. */
export function duration(ms) {
  const s = Math.max(0, Math.ceil(ms / 1000));
  const two = (n) => String(n).padStart(2, "0");
  const text = s >= 3600 ? `${Math.floor(s % 86400 / 3600)}:${two(Math.floor(s % 3600 / 60))}:${two(s % 60)}` : `${Math.floor(s / 60)}:${two(s % 60)}`;
  return s >= 86400 ? `${t("time.days", { n: Math.floor(s / 86400) })} ${two(Math.floor(s % 86400 / 3600))}:${two(Math.floor(s % 3600 / 60))}:${two(s % 60)}` : text;
}

/** Returns a section's component, translated if possible. */
export const componentName = ({ component }) => has(`kind.${component}`) ? t(`kind.${component}`) : component ?? "";

/** Returns the name of a section: `MATH 151 lecture (10001)`; the id of a section that is not known. */
export const sectionName = (section, id) =>
  section ? [section.course, componentName(section), `(${section.crn})`].filter(Boolean).join(" ") : id;

/** Returns what identifies a section of a course: `A01 lecture CRN 10001`. */
export const sectionDetails = (section) => [section.section, componentName(section), `${t("section.crn")} ${section.crn}`].filter(Boolean).join(" ");

/** Returns the text of an `overloaded` or `rate_limited` problem. */
export const busyText = ({ retry_after }) => retry_after > 0 ? t("problem.busy.wait", { n: Number(retry_after) }) : t("problem.busy");

/** Returns the text of a problem by its code, and the field that it is about. */
function codeText({ code, status, reason, field = "" }) {
  const [name] = field.split(".").slice(-1).map((one) => one.replace(/\[.*/, ""));
  if (has(`error.${code}.${reason}`)) return t(`error.${code}.${reason}`);
  if (code === "invalid" && name && has("error.invalid.field")) return t("error.invalid.field", { field: has(`field.${name}`) ? t(`field.${name}`) : name });
  return has(`error.${code}`) ? t(`error.${code}`) : t("error.other", { code: code ?? status });
}

/** Returns the text of any problem document. */
export function problemText(problem) {
  switch (problem.code) {
    case "no_answer": return t("error.no_answer");
    case "bad_credentials": return t("error.bad_credentials");
    case "second_factor_required": return t(problem.field ? "error.code" : "sign.code.hint");
    case "unauthenticated": return t("sign.expired");
    case "rate_limited":
    case "overloaded": return busyText(problem);
  }
  // The hub's own `detail` is English. Other languages show the text of the code, or a general one.
  if (i18n.language !== "en") return codeText(problem);
  const text = problem.detail ?? problem.title ?? codeText(problem);
  // A reason makes plain which value is wrong.
  const where = problem.field && !problem.reason && !text.includes(problem.field) ? ` (${problem.field})` : "";
  return `${text.replace(/[.\s]+$/, "")}${where}.`;
}
