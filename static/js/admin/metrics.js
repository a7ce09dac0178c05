// The "Now" view: the hub's metrics of each second, as charts under one time axis.

import { $, put } from "../dom.js";
import { api } from "../api.js";
import { number, t } from "../i18n.js";
import { problemText } from "../words.js";
import { TimeCharts } from "./time-charts.js";

const decimals = (n, digits) => number(n, { maximumFractionDigits: digits });
const whole = (n) => number(Math.round(n));
/** Formats a rate. Rates below 10 have at most one decimal. */
export const rate = (n) => decimals(n, n < 10 ? 1 : 0);
export const latency = (ms) => ms >= 1000 ? `${decimals(ms / 1000, 1)} s` : `${decimals(ms, ms < 1 ? 2 : ms < 10 ? 1 : 0)} ms`;
const megabytes = (n) => `${whole(n / 1e6)} MB`;

/** Returns a chart of the percentiles of `latency_ms[kind]`, which are null while nothing happens. */
function latencyChart(name, kind) {
  const line = (tone, percentile, nullText = "") => ({
    tone, valueOf: ({ latency_ms }) => latency_ms[kind][percentile],
    text: (ms) => ms === null ? nullText : `${percentile} ${latency(ms)}`,
  });
  return { name, unit: latency, minScale: 1, lines: [line("ink", "p99", t("chart.idle")), line("soft", "p95"), line("accent", "p50")] };
}

/** Returns a text beside a chart, without a line: `text(sample)`. */
const remark = (text) => ({ tone: "none", valueOf: () => null, text: (_, sample) => text(sample) });
const demoRemark = (text) => remark(({ demonstration }) => demonstration ? text : "");

/**
 * The longest gap between polled samples that a line still joins: `poll.js` waits at most 6.5 s after the last
 * response, and a response may take a few seconds.
 */
const POLLED_GAP_MS = 12_000;
/** The pause between two requests for the last day: half of the time after which it has another sample. */
const DAY_PAUSE_MS = 30_000;

const CHARTS = [
  { name: t("chart.connected"), unit: whole, minScale: 5, lines: [
    { tone: "accent", valueOf: ({ connections }) => connections.student, text: (n) => t("n.students", { n }) },
    { tone: "soft", valueOf: ({ connections }) => connections.visitor, text: (n) => t("n.visitors", { n }) },
    { tone: "accent fine", valueOf: ({ connections }) => connections.instructor, text: (n) => t("n.instructors", { n }) },
    { tone: "ink", valueOf: ({ connections }) => connections.staff, text: (n) => t("n.staff", { n }) },
    { tone: "ink dotted", valueOf: ({ connections }) => connections.admin, text: (n) => t("n.admins", { n }) },
  ] },
  { name: t("chart.requests"), unit: whole, minScale: 10, lines: [
    { tone: "accent", valueOf: (sample) => sample.requests_per_s, text: (n) => t("chart.per_second", { n: rate(n) }) },
    demoRemark(t("chart.with_demo")),
  ] },
  { name: t("chart.registrations"), unit: whole, minScale: 5, lines: [
    { tone: "accent", valueOf: (sample) => sample.registrations_per_s, text: (n) => t("chart.per_second", { n: rate(n) }) },
    { tone: "careful", valueOf: (sample) => sample.refusals_per_s, text: (n) => t("chart.refused", { n: rate(n) }) },
    demoRemark(t("chart.without_demo")),
  ] },
  latencyChart(t("chart.time.registration"), "registration"),
  latencyChart(t("chart.time.request"), "request"),
  latencyChart(t("chart.time.commit"), "commit"),
  latencyChart(t("chart.time.fanout"), "fanout"),
  { name: t("chart.queue"), unit: whole, minScale: 10, lines: [
    { tone: "accent", valueOf: ({ queues }) => queues.registrar, text: (n) => t("n.registrations", { n }) },
    { tone: "soft", valueOf: ({ queues }) => queues.journal, text: (n) => t("chart.to_save", { n }) },
    { tone: "ink", valueOf: ({ queues }) => queues.relay, text: (n) => t("chart.to_broadcast", { n }) },
  ] },
  {
    name: t("chart.plone"), unit: whole, minScale: 10,
    isShown: ({ plone }) => plone.circuit !== null, isProblem: ({ plone }) => plone.circuit !== "closed",
    lines: [
      { tone: "accent", valueOf: ({ queues }) => queues.outbox, text: (n) => t("chart.to_write", { n }) },
      remark(({ plone }) => t(plone.circuit === "closed" ? "chart.plone.up" : "chart.plone.down")),
    ],
  },
  { name: t("chart.memory"), unit: megabytes, minScale: 5e7, lines: [
    { tone: "accent", valueOf: ({ memory_bytes }) => memory_bytes, text: (n) => n === null ? t("chart.memory.none") : megabytes(n) },
  ] },
];

export class Metrics {
  #charts = null;
  #loadingDay = null;
  #running = false;

  constructor(live) {
    this.live = live;
    live.on("metrics", (sample) => this.#running && this.#charts.add(sample));
    // After a reconnection the history fills the gap.
    live.on("live", () => this.#running && this.#loadHistory());
  }

  /** Reads one sample by HTTP, for a page whose socket cannot connect. */
  async poll() {
    if (this.#running) this.#charts.add(await api.get("/api/v1/admin/metrics"), POLLED_GAP_MS);
  }

  run(running) {
    this.#running = running;
    if (!running) return this.live.unsubscribe("admin");
    this.#charts ??= new TimeCharts($("charts"), CHARTS, () => this.#loadDay());
    this.live.subscribe("admin");
    this.#loadHistory();
  }

  /** Loads the last day. Calls during a request and the pause after it are ignored. */
  #loadDay() {
    this.#loadingDay ??= api.get("/api/v1/admin/metrics/history?step=60").then(({ items }) => {
      this.#charts.setMinutes(items);
      put($("charts-status"));
    }, (problem) => put($("charts-status"), t("chart.day.failed", { why: problemText(problem) })))
      .finally(() => setTimeout(() => { this.#loadingDay = null; }, DAY_PAUSE_MS));
  }

  async #loadHistory() {
    try {
      this.#charts.setSamples((await api.get("/api/v1/admin/metrics/history")).items);
      put($("charts-status"));
    } catch (problem) {
      put($("charts-status"), t("chart.failed", { why: problemText(problem) }));
    }
  }
}
