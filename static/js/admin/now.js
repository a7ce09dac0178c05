// How the hub is now: what it counts each second, in strips under one time axis.

import { $, put } from "../dom.js";
import { api } from "../api.js";
import { count, sentence } from "../words.js";
import { Strips } from "./strips.js";

const whole = (n) => Math.round(n).toLocaleString();
/** A rate: small ones need their decimals. */
const rate = (n) => n.toLocaleString(undefined, { maximumFractionDigits: n < 10 ? 1 : 0 });
/** A time in milliseconds; none when nothing happened. */
const ms = (n) => n >= 1000 ? `${(n / 1000).toLocaleString(undefined, { maximumFractionDigits: 1 })} s` : `${n.toLocaleString(undefined, { maximumFractionDigits: n < 1 ? 2 : n < 10 ? 1 : 0 })} ms`;
const megabytes = (n) => `${whole(n / 1e6)} MB`;

const within = (share) => (n) => n === null ? "" : `${ms(n)} ${share}`;
const times = (name, kind) => ({
  name, unit: ms, least: 1,
  lines: [
    { tone: "ink", of: ({ latency_ms }) => latency_ms[kind].p99, words: (n) => n === null ? "Nothing to measure" : within("for 99%")(n) },
    { tone: "soft", of: ({ latency_ms }) => latency_ms[kind].p95, words: within("for 95%") },
    { tone: "accent", of: ({ latency_ms }) => latency_ms[kind].p50, words: within("for half") },
  ],
});

/** Words and no line: `words(sample)`. */
const besides = (words) => ({ tone: "none", of: () => null, words: (_, sample) => words(sample) });
/** The same, while a demonstration is under way. */
const demonstrated = (words) => besides(({ demonstration }) => demonstration ? words : "");

/**
 * How far apart samples may be that are asked for while there is no connection, and still be one line: `poll.js` asks
 * at most 6.5 s after the last answer, and an answer may take its time.
 */
const ASKED_MS = 12_000;

const STRIPS = [
  { name: "Connected", unit: whole, least: 5, lines: [
    { tone: "accent", of: ({ connections }) => connections.student, words: (n) => count(n, "student") },
    { tone: "soft", of: ({ connections }) => connections.visitor, words: (n) => count(n, "visitor") },
    { tone: "ink", of: ({ connections }) => connections.staff, words: (n) => `${whole(n)} staff` },
    { tone: "ink dotted", of: ({ connections }) => connections.admin, words: (n) => count(n, "administrator") },
  ] },
  { name: "Requests", unit: whole, least: 10, lines: [
    { tone: "accent", of: (now) => now.requests_per_s, words: (n) => `${rate(n)} a second` },
    demonstrated("A demonstration is under way, and counts here"),
  ] },
  { name: "Registrations", unit: whole, least: 5, lines: [
    { tone: "accent", of: (now) => now.registrations_per_s, words: (n) => `${rate(n)} a second` },
    { tone: "careful", of: (now) => now.refusals_per_s, words: (n) => `${rate(n)} refused` },
    demonstrated("Those of the demonstration are not among them"),
  ] },
  times("Time to register", "registration"),
  times("Time to answer anything", "request"),
  times("Time to save", "commit"),
  times("Time to tell everybody", "fanout"),
  { name: "Waiting in the hub", unit: whole, least: 10, lines: [
    { tone: "accent", of: ({ queues }) => queues.registrar, words: (n) => count(n, "registration") },
    { tone: "soft", of: ({ queues }) => queues.journal, words: (n) => `${whole(n)} to save` },
    { tone: "ink", of: ({ queues }) => queues.relay, words: (n) => `${whole(n)} to tell` },
  ] },
  { name: "Waiting for Plone", unit: whole, least: 10, shown: ({ plone }) => plone.circuit !== null, trouble: ({ plone }) => plone.circuit !== "closed", lines: [
    { tone: "accent", of: ({ queues }) => queues.outbox, words: (n) => n ? `${count(n, "section")} to write` : "Every change is in Plone" },
    besides(({ plone }) => plone.circuit === "closed" ? "Plone answers" : "Plone does not answer"),
  ] },
  { name: "Memory", unit: megabytes, least: 5e7, lines: [{ tone: "accent", of: ({ memory_bytes }) => memory_bytes, words: (n) => n === null ? "not told by this system" : megabytes(n) }] },
];

export class Now {
  #strips = null;
  #running = false;

  constructor(live) {
    this.live = live;
    live.on("metrics", (sample) => this.#running && this.#strips.add(sample));
    // What happened while there was no connection is in the hub's memory.
    live.on("live", () => this.#running && this.#past());
  }

  /** Asks for what the connection would have brought. */
  async read() {
    if (this.#running) this.#strips.add(await api.get("/api/v1/admin/metrics"), ASKED_MS);
  }

  run(running) {
    this.#running = running;
    if (!running) return this.live.unsubscribe("admin");
    this.#strips ??= new Strips($("charts"), STRIPS);
    this.live.subscribe("admin");
    this.#past();
  }

  async #past() {
    try {
      this.#strips.fill((await api.get("/api/v1/admin/metrics/history")).items);
      put($("charts-answer"));
    } catch (problem) {
      put($("charts-answer"), `The last minutes are not shown: ${sentence(problem)}`);
    }
  }
}
