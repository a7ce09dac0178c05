// What a demonstration says: its task (as the hub tells it) as numbers and sentences for people.

import { clock, count, moment } from "../../words.js";

export const NAME = { plone: "Plone", hub: "EduHub" };
/** In the order in which they are told: the older way first. */
export const LANES = ["plone", "hub"];

/** Beside an import that makes students wait this much longer, in per cent and in milliseconds, they were slowed. */
const SLOWED_PERCENT = 25;
const SLOWED_MS = 5;

export const rowOf = (task, lane) => task?.results.find(({ target }) => target === lane);
export const laneIsIn = (task, lane) => task.target === "both" || task.target === lane;
/** What is pressed in this run, in this order: an earlier measurement is not. */
export const pressed = (task) => ["hub", "plone"].filter((lane) => laneIsIn(task, lane) && !rowOf(task, lane)?.recorded);

/** `0.6 ms`, `18 ms`, `8.9 seconds`. */
export function time(ms) {
  if (ms === null || ms === undefined) return "";
  if (ms >= 999.5) return `${(ms / 1000).toFixed(ms < 9_950 ? 1 : 0)} seconds`;
  return `${ms < 9.95 ? Number(ms.toFixed(1)) : Math.round(ms)} ms`;
}

/** How long a target has been pressed, in seconds: the hub tells how many answers there were, and how many a second. */
export const pressedFor = (row) => row?.per_s > 0 ? row.requests / row.per_s : 0;

/** When it was started: its id begins with that moment. */
export const startedAt = (task) => parseInt(task.task.replaceAll("-", "").slice(0, 12), 16);

const none = (n) => n ? n.toLocaleString() : "none";

/** What it came to, in parts of a sentence: `{lane, yes, kept, harm}`, all of them in seats; none for what was not counted. */
export function outcome(task) {
  return LANES.map((lane) => rowOf(task, lane)).filter((row) => row && row.held !== null)
    .map(({ target, told, held, lost, oversold }) => ({ lane: target, yes: told, kept: held, harm: `${none(lost)} lost, ${none(oversold)} oversold`, harmed: lost > 0 || oversold > 0 }));
}

export function ran(task) {
  const at = startedAt(task);
  const when = Date.now() - at < 12 * 3_600_000 ? clock(at) : moment(at);
  return `${count(task.users, "student")} at once for ${count(task.seconds, "second")}, started at ${when}.`;
}

/** What it is doing now: `{text, left}`, where `left` is in seconds of pressing that are still to come. */
export function phase(task, elapsed) {
  const row = rowOf(task, task.phase);
  if (task.phase === "preparing") return { text: `Making a sandbox and connecting ${count(task.users, "student")}.` };
  if (!row?.recorded && elapsed >= task.seconds) return { text: task.phase === "hub" ? "Time is up. Each student is asked which seats they hold." : "Time is up. Plone is asked how many seats are taken." };
  return { text: `${count(row?.users ?? task.users, "student")} press ${NAME[task.phase] ?? "on"}.` };
}

/**
 * What became of the yeses, in words: `{text, tone}` of each. First how many there were, then what they add up to; those
 * above what there is are among them, and so are told as some of them.
 */
export function seatsInWords({ told, held, lost, oversold }, running) {
  if (held === null) {
    return [{ kind: "told", tone: "", text: running ? `${count(told, "seat")} promised so far` : `${count(told, "seat")} promised, and not counted` }];
  }
  const kept = told - lost;
  const besides = held - kept;
  return [
    { kind: "", tone: "all", text: `${count(told, "seat")} promised:` },
    { kind: "kept", tone: "good", text: `${kept.toLocaleString()} kept` },
    lost ? { kind: "lost", tone: "stop", text: `${lost.toLocaleString()} lost` } : { tone: "good", text: "None lost" },
    besides > 0 && { kind: "kept", tone: "", text: `${besides.toLocaleString()} kept besides, whose answer did not arrive` },
    oversold ? { kind: "over", tone: "stop", text: `${oversold.toLocaleString()} of these oversold: more than there are` } : { tone: "good", text: "None oversold" },
  ].filter(Boolean);
}

export const errors = ({ errors: n }) => n ? { tone: "stop", text: `${count(n, "request")} failed` } : { tone: "", text: "No request failed" };

/** Whether an import beside the students slowed them: by the same rule as in the terminal. */
export function beside(task) {
  const { background } = task;
  if (!background) return null;
  const { p99_with_ms: beside, p99_without_ms: alone, imports } = background;
  if (beside === null || alone === null) {
    return task.state === "running" ? { text: "Half of the time a file of sections is imported beside the students. Whether that slows them is told here." }
      : { text: "No import ran beside the students for long enough to tell whether it slows them." };
  }
  const slowed = beside - alone > SLOWED_MS && beside > alone * (1 + SLOWED_PERCENT / 100);
  const verdict = slowed ? "The imports beside them slowed students." : "The imports beside them slowed nobody.";
  return {
    slowed,
    verdict: task.state === "running" ? null : verdict,
    text: `${count(imports, "import")} ran beside the students${task.state === "running" ? " so far" : ""}. 99 of 100 answers came within ${time(alone)} without one, and within ${time(beside)} while one ran.`,
  };
}

/** What to do about a run that failed. */
export function failed(task) {
  const why = (task.message ?? "The hub does not say why").replace(/[.\s]+$/, "");
  const about = /plone/i.test(why) ? "Run it against EduHub only, or look at Plone first." : "Run it again; the hub's log says more.";
  return { why: `${why[0].toUpperCase()}${why.slice(1)}.`, next: `Nothing of it is left in the hub. ${about}` };
}

/** The same in numbers: a name and a number for each lane. */
export const NUMBERS = [
  ["Students", (row) => row.users.toLocaleString()],
  ["Answers", (row) => row.requests.toLocaleString()],
  ["Answers a second", (row) => row.per_s.toLocaleString(undefined, { maximumFractionDigits: 1 })],
  ["Half of the answers within", (row) => time(row.latency_ms.p50)],
  ["95 of 100 within", (row) => time(row.latency_ms.p95)],
  ["99 of 100 within", (row) => time(row.latency_ms.p99)],
  ["Requests that failed", (row) => row.errors.toLocaleString()],
  ["Seats that students were told they have", (row) => row.told.toLocaleString()],
  ["Seats that were kept", (row) => row.held?.toLocaleString()],
  ["Oversold: more than there are", (row) => row.oversold?.toLocaleString()],
  ["Lost: told, and not kept", (row) => row.lost?.toLocaleString()],
];
