// Repeated requests: at most one in flight, none while the page is hidden, and longer pauses after failures.

import { Problem } from "./api.js";

/** Failures lengthen a pause to at most this, before `spread`, so that a page recovers soon after the hub does. */
const RETRY_MS_MAX = 20_000;
/** The longest `Retry-After` that is respected. */
const RETRY_AFTER_MS_MAX = 60_000;
/** How long a page may have no socket before it polls. */
const GRACE_MS = 4_000;
/** The pause between two polls of a page without a socket. */
const DISCONNECTED_MS = 5_000;
/** The pause between checks for a changed window or a lifted hold while the student cannot register. */
const TERMS_MS = 45_000;
/** The pause between checks for the first term: without a term, a page has no live channel that announces it. */
const NO_TERM_MS = 5_000;
/** Failed connection attempts before polling: a single failure is often transient. */
const FAILURES = 2;

/** Returns a time within 30% of `ms`, so that pages do not poll in step. */
const spread = (ms) => ms * (0.7 + 0.6 * Math.random());

/** Sends a request again and again, from `start()` until `stop()`. */
export class Poller {
  #isRunning = false;
  /** Aborts the request in flight; null when there is none. */
  #inFlight = null;
  #timer = 0;
  /** When the next request is due, by `performance.now()`. */
  #due = 0;
  #failures = 0;

  /**
   * `request(signal)` sends one request and draws the response; `onerror(problem)` draws a failure. `ms` is the pause
   * between two requests in milliseconds, or a function that returns it. While `isNeeded()` is false, only `now()`
   * sends a request.
   */
  constructor(request, { ms, isNeeded = () => true, onerror = () => {} }) {
    Object.assign(this, { request, ms, isNeeded, onerror });
    document.addEventListener("visibilitychange", () => this.#schedule());
    // Another view of the page may need the data.
    addEventListener("hashchange", () => this.#schedule());
  }

  /** Starts, or starts again; the first request is due after about `delay` milliseconds. */
  start(delay = 0) {
    this.stop();
    this.#isRunning = true;
    this.#failures = 0;
    this.#due = performance.now() + spread(delay);
    this.#schedule();
  }

  /** Stops, and aborts the request in flight. */
  stop() {
    this.#isRunning = false;
    clearTimeout(this.#timer);
    this.#inFlight?.abort();
    this.#inFlight = null;
  }

  /**
   * Sends a request at once, in place of one in flight, whose response could be out of date. Resolves when it is drawn.
   */
  async now() {
    if (!this.#isRunning) return;
    clearTimeout(this.#timer);
    this.#inFlight?.abort();
    const controller = this.#inFlight = new AbortController();
    let problem = null;
    try {
      await this.request(controller.signal);
    } catch (error) {
      problem = error;
    }
    if (controller !== this.#inFlight) return;
    this.#inFlight = null;
    // A fault of the page, which belongs in the console.
    if (problem && !(problem instanceof Problem)) reportError(problem);
    this.#failures = problem ? this.#failures + 1 : 0;
    if (problem) this.onerror(problem);
    this.postpone(problem?.retry_after);
  }

  /** Makes the next request due at once. A request in flight is not repeated. */
  soon() {
    this.#due = performance.now();
    this.#schedule();
  }

  /** Delays the next request by a full pause, or by `retryAfter` seconds if that is longer. */
  postpone(retryAfter) {
    this.#due = performance.now() + Math.max(this.#pause(), Math.min((Number(retryAfter) || 0) * 1000, RETRY_AFTER_MS_MAX));
    this.#schedule();
  }

  /** Returns the pause, doubled for each failure in a row. */
  #pause() {
    const ms = typeof this.ms === "function" ? this.ms() : this.ms;
    return spread(Math.min(ms * 2 ** this.#failures, Math.max(ms, RETRY_MS_MAX)));
  }

  #schedule(wait = this.#due - performance.now()) {
    clearTimeout(this.#timer);
    if (!this.#isRunning || this.#inFlight || document.hidden) return;
    this.#timer = setTimeout(() => this.isNeeded() ? this.now() : this.#schedule(this.#pause()), Math.max(0, wait));
  }
}

/** Calls `request()` repeatedly while `live` is disconnected. */
export function pollWhileDisconnected(live, request) {
  new Poller(async () => { await request(); live.polled(true); }, {
    ms: DISCONNECTED_MS,
    isNeeded: () => live.state !== "live" && live.failures >= FAILURES && navigator.onLine,
    onerror: () => live.polled(false),
  }).start(GRACE_MS);
}

/**
 * Reads the terms repeatedly while there is none, while the current one is not open, or while a hold blocks the
 * student: no frame says that a hold was lifted.
 */
export function pollTerms(terms) {
  for (const [ms, isNeeded] of [[TERMS_MS, () => terms.current && (!terms.open || terms.isHeld)], [NO_TERM_MS, () => terms.loaded && !terms.current]]) {
    new Poller((signal) => terms.load(signal), { ms, isNeeded }).start(ms);
  }
}
