// The texts and figures of a demonstration, from its task as the hub returns it.

import { number, t } from "../../i18n.js";
import { codedText } from "../../coded-text.js";
import { timeOfDay, dateTime } from "../../words.js";

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
  if (ms >= 999.5) return t("unit.seconds", { n: ms < 9_950 ? number(ms / 1000, { minimumFractionDigits: 1, maximumFractionDigits: 1 }) : number(Math.round(ms / 1000)) });
  return `${number(ms < 9.95 ? Number(ms.toFixed(1)) : Math.round(ms))} ms`;
}

/** Returns how many seconds a target has been under load. The hub returns the number of requests and their rate. */
export const secondsRun = (result) => result?.per_s > 0 ? result.requests / result.per_s : 0;

/** Returns when the run started, in milliseconds: the first 48 bits of its UUIDv7. */
export const startedAt = (task) => parseInt(task.task.replaceAll("-", "").slice(0, 12), 16);

/** Returns the parts of the result sentence for each target whose seats were counted. */
export function outcomes(task) {
  return TARGETS.map((target) => resultOf(task, target)).filter((result) => result && result.held !== null)
    .map(({ target, told, held, lost, oversold }) => ({
      target, confirmed: told, stored: held, isBad: lost > 0 || oversold > 0,
      harm: `${t("demo.lost", { n: lost })}, ${t("demo.oversold", { n: oversold })}`,
    }));
}

export const students = (n) => t("n.students", { n });

/** Returns the size and the start of the run, with its date once it has ended: a result is printed and kept. */
export const runText = (task) => task.state === "running" ? runTextAt(task, timeOfDay(startedAt(task))) : datedRunText(task);

/** Returns the size and the start of the run with its date. */
export const datedRunText = (task) => runTextAt(task, dateTime(startedAt(task)));

const runTextAt = (task, at) => t("demo.run.text", { students: students(task.users), seconds: t("n.seconds", { n: task.seconds }), at });

/** Returns what the run is doing now. `elapsed` is how many seconds the current target has been under load. */
export function phaseText(task, elapsed) {
  const result = resultOf(task, task.phase);
  if (task.phase === "preparing") return t("demo.preparing", { students: students(task.users) });
  if (!result?.recorded && elapsed >= task.seconds) {
    return t(task.phase === "hub" ? "demo.checking.hub" : "demo.checking.plone");
  }
  const target = TARGET_NAMES[task.phase];
  const who = students(result?.users ?? task.users);
  return target ? t("demo.registering.in", { students: who, target }) : t("demo.registering", { students: who });
}

/**
 * Returns what became of the confirmed seats, as `{kind, tone, text}`: their number, then its parts. Oversold seats are
 * also counted as stored or lost.
 */
export function seatTexts({ told, held, lost, oversold }, running) {
  if (held === null) {
    return [{ kind: "confirmed", tone: "", text: t(running ? "demo.confirmed.so_far" : "demo.confirmed.uncounted", { n: told }) }];
  }
  const stored = told - lost;
  const unconfirmed = held - stored;
  return [
    { kind: "", tone: "all", text: t("demo.confirmed", { n: told }) },
    { kind: "stored", tone: "good", text: t("demo.stored", { n: stored }) },
    lost ? { kind: "lost", tone: "stop", text: t("demo.lost", { n: lost }) } : { tone: "good", text: t("demo.none_lost") },
    unconfirmed > 0 && { kind: "stored", tone: "", text: t("demo.unconfirmed", { n: unconfirmed }) },
    oversold ? { kind: "oversold", tone: "stop", text: t("demo.of_these", { n: oversold }) }
      : { tone: "good", text: t("demo.none_oversold") },
  ].filter(Boolean);
}

export const errorText = ({ errors }) =>
  errors ? { tone: "stop", text: t("demo.errors", { n: errors }) } : { tone: "", text: t("demo.no_errors") };

/**
 * Returns whether imports in the background slowed students down, as `{slowed?, verdict?, text}`; null without
 * imports.
 */
export function backgroundText(task) {
  const { background } = task;
  if (!background) return null;
  const { p99_with_ms: withImport, p99_without_ms: without, imports } = background;
  const running = task.state === "running";
  if (withImport === null || without === null) {
    return { text: t(running ? "demo.imports.running" : "demo.imports.short") };
  }
  const slowed = withImport - without > SLOWED_MS && withImport > without * (1 + SLOWED_PERCENT / 100);
  return {
    slowed,
    verdict: running ? null : t(slowed ? "demo.imports.slowed" : "demo.imports.fine"),
    // Imports count when they end, so the first one has a p99 before it counts.
    text: `${t(!running ? "demo.imports.ran" : imports ? "demo.imports.so_far" : "demo.imports.first", { n: imports })} `
      + t("demo.imports.p99", { without: latencyText(without), with: latencyText(withImport) }),
  };
}

/** Returns why a run failed, and what to do next. */
export function failureText(task) {
  const english = task.message?.replace(/[.\s]+$/, "");
  const next = t(/plone/i.test(task.reason?.code ?? english ?? "") ? "demo.next.plone" : "demo.next");
  const why = english ? codedText("demo.text", task.reason ?? {}, `${english[0].toUpperCase()}${english.slice(1)}.`) : t("demo.no_reason");
  return { why, next: `${t("demo.clean")} ${next}` };
}

const numberIfKnown = (n) => n === null || n === undefined ? undefined : number(n);

/** The rows of the table of figures: `[name, text(result)]`. */
export const FIGURES = [
  ["students", (result) => number(result.users)],
  ["responses", (result) => number(result.requests)],
  ["rate", (result) => number(result.per_s, { maximumFractionDigits: 1 })],
  ["p50", (result) => latencyText(result.latency_ms.p50)],
  ["p95", (result) => latencyText(result.latency_ms.p95)],
  ["p99", (result) => latencyText(result.latency_ms.p99)],
  ["errors", (result) => number(result.errors)],
  ["told", (result) => number(result.told)],
  ["held", (result) => numberIfKnown(result.held)],
  ["oversold", (result) => numberIfKnown(result.oversold)],
  ["lost", (result) => numberIfKnown(result.lost)],
].map(([name, text]) => [t(`figure.${name}`), text]);
