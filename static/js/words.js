// What the pages say: numbers and times as sentences of the language that is spoken. Answers are in student/answers.js.

import { format, has, now, t } from "./i18n.js";

/** From this number of seats down, a section has few left. */
export const FEW = 5;

/** `1 seat`, `2 seats`, in English: for the pages that have no catalogue yet. */
export const count = (n, one, many = `${one}s`) => `${n.toLocaleString()} ${n === 1 ? one : many}`;

/** `1st`, `2nd`, `3rd`; `1.º` in Spanish. */
export const nth = (n) => t(`nth.${new Intl.PluralRules(now.language, { type: "ordinal" }).select(n)}`, { n });

/** A list for people: `a`, `a and b`, `a, b and c`. */
export function listed(items) {
  return new Intl.ListFormat(now.locale, { type: "conjunction" }).format([...items].map(String));
}

/** What a newcomer finds: words, a tone (`good`, `careful`, `stop`), and the kind of thing to do. */
export function seats({ capacity, enrolled, waitlisted, open }, status = "open") {
  if (status === "cancelled") return { text: t("seats.cancelled"), tone: "stop", kind: "cancelled" };
  if (open > 0) return { text: t("seats.left", { n: open }), tone: open > FEW ? "good" : "careful", kind: "open" };
  // The live numbers carry no status: seats that are free and yet not open belong to a section that takes nobody.
  if (status === "closed" || enrolled + waitlisted < capacity) return { text: t("seats.closed"), tone: "stop", kind: "closed" };
  return { text: t("seats.full", { n: waitlisted }), tone: "stop", kind: "full" };
}

const NUMBER = { sun: 0, mon: 1, tue: 2, wed: 3, thu: 4, fri: 5, sat: 6 };

/** A weekday by its three letters, `short`, `long` or `narrow`. */
export const day = (name, width = "short") =>
  name in NUMBER ? format({ weekday: width }, "UTC").format(new Date(Date.UTC(2023, 0, 1 + NUMBER[name]))) : name;

const WEEK = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/** `Mon Wed Fri`; four or more in a row are `Mon–Fri`. */
function weekdays(days) {
  const at = days.map((one) => WEEK.indexOf(one));
  const inARow = days.length > 3 && at.every((n, i) => n >= 0 && n === at[0] + i);
  return inARow ? `${day(days[0])}–${day(days.at(-1))}` : days.map((one) => day(one)).join(" ");
}

/** `9:30 – 10:50 AM`, in the habit of the reader. */
export function hours(start, end) {
  const key = `${start} ${end} ${now.locale}`;
  if (!spans.has(key)) spans.set(key, timeSpan(start, end));
  return spans.get(key);
}

const spans = new Map();

function timeSpan(start, end) {
  const [from, to] = [start, end].map((text) => text && new Date(`2000-01-01T${text}:00Z`));
  if (!from) return "";
  const clock = format({ hour: "numeric", minute: "2-digit" }, "UTC");
  return to && to > from ? clock.formatRange(from, to) : clock.format(from);
}

/** `Mon Wed 9:30 – 10:50 AM`, with the room unless told otherwise. */
export function meeting({ days, start, end, location }, withRoom = true) {
  const when = [weekdays(days ?? []), hours(start, end)].filter(Boolean).join(" ");
  return [when || t("section.no_time"), withRoom && location].filter(Boolean).join(", ");
}

/** All meetings of a section. */
export const meetings = (section, withRoom) =>
  section.meetings?.length ? section.meetings.map((one) => meeting(one, withRoom)) : [t("section.no_time")];

/** A moment with its zone's name: `Tue, Jan 12, 8:00 AM EST`. */
export const moment = (at) => at ? format({
  weekday: "short", month: "short", day: "numeric", hour: "numeric", minute: "2-digit", timeZoneName: "short",
}).format(new Date(at)) : "";

/** A day without a time: `Jan 12`. */
export const date = (text) => text ? format({ month: "short", day: "numeric" }, "UTC").format(new Date(`${text}T00:00:00Z`)) : "";

/** A moment of today, to the second. */
export const clock = (at) => format({ hour: "numeric", minute: "2-digit", second: "2-digit" }).format(new Date(at));

/** `2 days 03:04:05`, `1:02:03`, `4:09`. */
export function span(ms) {
  const s = Math.max(0, Math.ceil(ms / 1000));
  const two = (n) => String(n).padStart(2, "0");
  const clock = s >= 3600 ? `${Math.floor(s % 86400 / 3600)}:${two(Math.floor(s % 3600 / 60))}:${two(s % 60)}` : `${Math.floor(s / 60)}:${two(s % 60)}`;
  return s >= 86400 ? `${t("time.days", { n: Math.floor(s / 86400) })} ${two(Math.floor(s % 86400 / 3600))}:${two(Math.floor(s % 3600 / 60))}:${two(s % 60)}` : clock;
}

/** The kind of class in the reader's language, where its usual name is known; else as the college writes it. */
export const kind = ({ component }) => has(`kind.${component}`) ? t(`kind.${component}`) : component ?? "";

/** `MATH 151 lecture (10001)`. */
export const name = (section, id) =>
  section ? [section.course, kind(section), `(${section.crn})`].filter(Boolean).join(" ") : id;

/** That the hub was too busy. */
export const busy = ({ retry_after }) => retry_after > 0 ? t("why.busy.wait", { n: Number(retry_after) }) : t("why.busy");

/** Any problem document as a sentence. */
export function sentence(problem) {
  switch (problem.code) {
    case "no_answer": return t("error.no_answer");
    case "bad_credentials": return t("error.bad_credentials");
    case "unauthenticated": return t("sign.ended");
    case "rate_limited":
    case "overloaded": return busy(problem);
  }
  // The hub's own words are English: another language has at least a sentence and the code.
  if (now.language !== "en") return t("error.other", { code: problem.code ?? problem.status });
  const text = problem.detail ?? problem.title ?? `The hub answered ${problem.status}`;
  const where = problem.field && !text.includes(problem.field) ? ` (${problem.field})` : "";
  return `${text.replace(/[.\s]+$/, "")}${where}.`;
}
