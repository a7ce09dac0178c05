// The texts and figures of a demonstration, from its task as the hub returns it.

import { timeOfDay, count, dateTime } from "../../words.js";

export const TARGET_NAMES = { plone: "Plone", hub: "EduHub" };
/** The targets in the order in which the page shows them. */
export const TARGETS = ["plone", "hub"];
/** The targets in the order in which the hub runs them. */
const RUN_ORDER = ["hub", "plone"];

/** An import slows students down if it raises the p99 by more than both of these. `eduhub rush` has the same limits. */
const SLOWED_PERCENT = 25;
const SLOWED_MS = 5;

export const resultOf = (task, target) => task?.results.find((result) => result.target === target);
export const includesTarget = (task, target) => task.target === "both" || task.target === target;
/** Returns the targets that this run puts load on; a recorded measurement is not one of them. */
export const runningTargets = (task) =>
  RUN_ORDER.filter((target) => includesTarget(task, target) && !resultOf(task, target)?.recorded);

/** Returns a latency as text: `0.6 ms`, `18 ms`, `8.9 seconds`. */
export function latencyText(ms) {
  if (ms === null || ms === undefined) return "";
  if (ms >= 999.5) return `${(ms / 1000).toFixed(ms < 9_950 ? 1 : 0)} seconds`;
  return `${ms < 9.95 ? Number(ms.toFixed(1)) : Math.round(ms)} ms`;
}

/** Returns how many seconds a target has been under load. The hub returns the number of requests and their rate. */
export const secondsRun = (result) => result?.per_s > 0 ? result.requests / result.per_s : 0;

/** Returns when the run started, in milliseconds: the first 48 bits of its UUIDv7. */
export const startedAt = (task) => parseInt(task.task.replaceAll("-", "").slice(0, 12), 16);

const numberOrNone = (n) => n ? n.toLocaleString() : "none";

/** Returns the parts of the result sentence for each target whose seats were counted. */
export function outcomes(task) {
  return TARGETS.map((target) => resultOf(task, target)).filter((result) => result && result.held !== null)
    .map(({ target, told, held, lost, oversold }) => ({
      target, confirmed: told, stored: held, isBad: lost > 0 || oversold > 0,
      harm: `${numberOrNone(lost)} lost, ${numberOrNone(oversold)} oversold`,
    }));
}

/** Returns the size and the start of the run. */
export function runText(task) {
  const at = startedAt(task);
  const started = Date.now() - at < 12 * 3_600_000 ? timeOfDay(at) : dateTime(at);
  return `${count(task.users, "student")} at once for ${count(task.seconds, "second")}, started at ${started}.`;
}

/** Returns what the run is doing now. `elapsed` is how many seconds the current target has been under load. */
export function phaseText(task, elapsed) {
  const result = resultOf(task, task.phase);
  if (task.phase === "preparing") return `Creating a sandbox and connecting ${count(task.users, "student")}.`;
  if (!result?.recorded && elapsed >= task.seconds) {
    return task.phase === "hub" ? "Time is up. Checking which seats each student has." : "Time is up. Counting the seats taken in Plone.";
  }
  const target = TARGET_NAMES[task.phase];
  return `${count(result?.users ?? task.users, "student")} registering${target ? ` in ${target}` : ""}.`;
}

/**
 * Returns what became of the confirmed seats, as `{kind, tone, text}`: their number, then its parts. Oversold seats are
 * also counted as stored or lost.
 */
export function seatTexts({ told, held, lost, oversold }, running) {
  if (held === null) {
    return [{ kind: "confirmed", tone: "", text: `${count(told, "seat")} confirmed${running ? " so far" : "; stored seats were not counted"}` }];
  }
  const stored = told - lost;
  const unconfirmed = held - stored;
  return [
    { kind: "", tone: "all", text: `${count(told, "seat")} confirmed:` },
    { kind: "stored", tone: "good", text: `${stored.toLocaleString()} stored` },
    lost ? { kind: "lost", tone: "stop", text: `${lost.toLocaleString()} lost` } : { tone: "good", text: "None lost" },
    unconfirmed > 0 && { kind: "stored", tone: "", text: `${unconfirmed.toLocaleString()} more stored, although their responses were lost` },
    oversold ? { kind: "oversold", tone: "stop", text: `${oversold.toLocaleString()} of these oversold (above capacity)` }
      : { tone: "good", text: "None oversold" },
  ].filter(Boolean);
}

export const errorText = ({ errors }) =>
  errors ? { tone: "stop", text: `${count(errors, "request")} failed` } : { tone: "", text: "No request failed" };

/** Returns whether imports in the background slowed students down, as `{slowed?, verdict?, text}`; null without imports. */
export function backgroundText(task) {
  const { background } = task;
  if (!background) return null;
  const { p99_with_ms: withImport, p99_without_ms: without, imports } = background;
  const running = task.state === "running";
  if (withImport === null || without === null) {
    return { text: running ? "Imports run in the background half of the time, to show whether they slow students down."
      : "No import ran long enough to show whether imports slow students down." };
  }
  const slowed = withImport - without > SLOWED_MS && withImport > without * (1 + SLOWED_PERCENT / 100);
  return {
    slowed,
    verdict: running ? null : slowed ? "Background imports slowed students down." : "Background imports did not slow students down.",
    text: `${count(imports, "import")} ran in the background${running ? " so far" : ""}. 99% of responses came within `
      + `${latencyText(without)} without an import and within ${latencyText(withImport)} during one.`,
  };
}

/** Returns why a run failed, and what to do next. */
export function failureText(task) {
  const why = (task.message ?? "The hub gave no reason").replace(/[.\s]+$/, "");
  const next = /plone/i.test(why) ? "Run the test against EduHub only, or check Plone first." : "Run the test again, or check the hub's log.";
  return { why: `${why[0].toUpperCase()}${why.slice(1)}.`, next: `Nothing from the run is left in EduHub. ${next}` };
}

/** The rows of the table of figures: `[name, text(result)]`. */
export const FIGURES = [
  ["Students", (result) => result.users.toLocaleString()],
  ["Responses", (result) => result.requests.toLocaleString()],
  ["Responses per second", (result) => result.per_s.toLocaleString(undefined, { maximumFractionDigits: 1 })],
  ["Response time, p50", (result) => latencyText(result.latency_ms.p50)],
  ["Response time, p95", (result) => latencyText(result.latency_ms.p95)],
  ["Response time, p99", (result) => latencyText(result.latency_ms.p99)],
  ["Failed requests", (result) => result.errors.toLocaleString()],
  ["Seats confirmed to students", (result) => result.told.toLocaleString()],
  ["Seats stored", (result) => result.held?.toLocaleString()],
  ["Oversold (above capacity)", (result) => result.oversold?.toLocaleString()],
  ["Lost (confirmed, not stored)", (result) => result.lost?.toLocaleString()],
];
