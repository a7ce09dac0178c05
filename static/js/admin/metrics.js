// The "Now" view: the hub's metrics of each second, as charts under one time axis.

import { $, put } from "../dom.js";
import { api } from "../api.js";
import { count, problemText } from "../words.js";
import { TimeCharts } from "./time-charts.js";

const decimals = (n, digits) => n.toLocaleString(undefined, { maximumFractionDigits: digits });
const whole = (n) => Math.round(n).toLocaleString();
/** Rates below 10 have one decimal. */
const rate = (n) => decimals(n, n < 10 ? 1 : 0);
const duration = (ms) => ms >= 1000 ? `${decimals(ms / 1000, 1)} s` : `${decimals(ms, ms < 1 ? 2 : ms < 10 ? 1 : 0)} ms`;
const megabytes = (n) => `${whole(n / 1e6)} MB`;

/** Returns a chart of the percentiles of `latency_ms[kind]`, which are null while nothing happens. */
function latencyChart(name, kind) {
  const line = (tone, percentile, nullText = "") => ({
    tone, valueOf: ({ latency_ms }) => latency_ms[kind][percentile],
    text: (ms) => ms === null ? nullText : `${percentile} ${duration(ms)}`,
  });
  return { name, unit: duration, minScale: 1, lines: [line("ink", "p99", "No activity"), line("soft", "p95"), line("accent", "p50")] };
}

/** A text beside a chart that has no line: `text(sample)`. */
const remark = (text) => ({ tone: "none", valueOf: () => null, text: (_, sample) => text(sample) });
const demoRemark = (text) => remark(({ demonstration }) => demonstration ? text : "");

/**
 * The longest gap between polled samples that a line still joins: `poll.js` waits at most 6.5 s after the last response,
 * and a response may take some seconds.
 */
const POLLED_GAP_MS = 12_000;

const CHARTS = [
  { name: "Connected", unit: whole, minScale: 5, lines: [
    { tone: "accent", valueOf: ({ connections }) => connections.student, text: (n) => count(n, "student") },
    { tone: "soft", valueOf: ({ connections }) => connections.visitor, text: (n) => count(n, "visitor") },
    { tone: "accent fine", valueOf: ({ connections }) => connections.instructor, text: (n) => count(n, "instructor") },
    { tone: "ink", valueOf: ({ connections }) => connections.staff, text: (n) => `${whole(n)} staff` },
    { tone: "ink dotted", valueOf: ({ connections }) => connections.admin, text: (n) => count(n, "administrator") },
  ] },
  { name: "Requests", unit: whole, minScale: 10, lines: [
    { tone: "accent", valueOf: (sample) => sample.requests_per_s, text: (n) => `${rate(n)} per second` },
    demoRemark("Includes the running demonstration"),
  ] },
  { name: "Registrations", unit: whole, minScale: 5, lines: [
    { tone: "accent", valueOf: (sample) => sample.registrations_per_s, text: (n) => `${rate(n)} per second` },
    { tone: "careful", valueOf: (sample) => sample.refusals_per_s, text: (n) => `${rate(n)} refused` },
    demoRemark("Excludes the running demonstration"),
  ] },
  latencyChart("Registration time", "registration"),
  latencyChart("Response time", "request"),
  latencyChart("Save time", "commit"),
  latencyChart("Broadcast time", "fanout"),
  { name: "Queue", unit: whole, minScale: 10, lines: [
    { tone: "accent", valueOf: ({ queues }) => queues.registrar, text: (n) => count(n, "registration") },
    { tone: "soft", valueOf: ({ queues }) => queues.journal, text: (n) => `${whole(n)} to save` },
    { tone: "ink", valueOf: ({ queues }) => queues.relay, text: (n) => `${whole(n)} to broadcast` },
  ] },
  {
    name: "Plone queue", unit: whole, minScale: 10,
    isShown: ({ plone }) => plone.circuit !== null, isProblem: ({ plone }) => plone.circuit !== "closed",
    lines: [
      { tone: "accent", valueOf: ({ queues }) => queues.outbox, text: (n) => n ? `${count(n, "section")} to write` : "Plone is up to date" },
      remark(({ plone }) => plone.circuit === "closed" ? "Plone is responding" : "Plone is not responding"),
    ],
  },
  { name: "Memory", unit: megabytes, minScale: 5e7, lines: [
    { tone: "accent", valueOf: ({ memory_bytes }) => memory_bytes, text: (n) => n === null ? "Not available on this system" : megabytes(n) },
  ] },
];

export class Metrics {
  #charts = null;
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
    this.#charts ??= new TimeCharts($("charts"), CHARTS);
    this.live.subscribe("admin");
    this.#loadHistory();
  }

  async #loadHistory() {
    try {
      this.#charts.setSamples((await api.get("/api/v1/admin/metrics/history")).items);
      put($("charts-status"));
    } catch (problem) {
      put($("charts-status"), `Couldn't load the last 10 minutes. ${problemText(problem)}`);
    }
  }
}
