// The WebSocket connection. It reconnects automatically and resumes without missing a message.

import { syncClock } from "./hub-clock.js";

/** Bounds of the pause before a reconnection, which is random, so that pages do not all reconnect at once. */
const RETRY_MS_MIN = 500;
const RETRY_MS_MAX = 20_000;
/** How long a new socket may wait for `welcome`: some proxies leave a connection hanging forever. */
const WELCOME_MS_MAX = 15_000;

/** Returns the pause in milliseconds before attempt number `attempt` (0 is the first). */
export function backoff(attempt, random = Math.random()) {
  const cap = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** (attempt + 1));
  return RETRY_MS_MIN + random * (cap - RETRY_MS_MIN);
}

/**
 * Returns the reaction to a close code: `end`, `signIn`, or a reconnection after `ms` (undefined: after the backoff).
 */
export function afterClose(code, reason) {
  if (code === 4003) return { end: true };
  if (code === 4001) return { signIn: true };
  if (code === 1012) {
    try {
      const ms = Number(JSON.parse(reason).retry_ms);
      if (ms >= 0) return { ms: Math.min(ms, 60_000) };
    } catch { /* An unreadable reason: use the backoff. */ }
  }
  return {};
}

export class Live {
  #socket = null;
  #timer = 0;
  #openedAt = 0;
  #watchdog = 0;
  #attempt = 0;
  #lastAt = 0;
  #ready = false;
  #following = false;
  #since = null;
  #polled = false;
  #channels = new Map();
  #handlers = new Map();

  /**
   * `onstate(state, lastAt)`: the state is `live`, `polling` (see `polled`), `reconnecting`, `offline`, `ended` (by an
   * administrator) or `signed-out`; `lastAt` is when the last data arrived, 0 for never.
   */
  constructor({ onstate = () => {}, path = "/alerts/ws" } = {}) {
    this.onstate = onstate;
    this.path = path;
    this.state = "reconnecting";
    addEventListener("online", () => this.#retry(backoff(0)));
    addEventListener("offline", () => this.#isOver() || this.#disconnected({}));
  }

  /** Calls `handler(frame)` for each frame of this type. */
  on(type, handler) {
    this.#handlers.set(type, [...(this.#handlers.get(type) ?? []), handler]);
    return this;
  }

  /** Subscribes to a channel, now and after each reconnection; `extra()` adds fields such as `seats_since`. */
  subscribe(channel, extra = () => ({})) {
    this.#channels.set(channel, extra);
    if (this.#ready) this.#join(channel, extra);
  }

  unsubscribe(channel) {
    if (this.#channels.delete(channel) && this.#ready) this.#send({ type: "unsubscribe", channels: [channel] });
  }

  /** Failed attempts since the last successful connection. */
  get failures() {
    return this.#attempt;
  }

  /** The sequence number from which alerts resume, or null. */
  get position() {
    return this.#since;
  }

  /** Records a poll over HTTP while no socket can connect. `ok` is whether it succeeded. */
  polled(ok) {
    if (this.#ready || !["reconnecting", "polling", "offline"].includes(this.state)) return;
    if (ok) this.#lastAt = Date.now();
    this.#polled = ok;
    this.#setState(ok ? "polling" : navigator.onLine ? "reconnecting" : "offline");
  }

  /** Reconnects as the user who is signed in now, without the previous user's position. */
  restart() {
    this.#since = null;
    this.#attempt = 0;
    this.#close();
    this.#open();
  }

  #open() {
    clearTimeout(this.#timer);
    const url = new URL(this.path, location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    if (this.#since !== null) url.searchParams.set("since", this.#since);
    const socket = new WebSocket(url);
    this.#socket = socket;
    socket.onmessage = ({ data }) => this.#receive(JSON.parse(data));
    this.#openedAt = Date.now();
    this.#timer = setTimeout(() => this.#ready || this.#disconnected({}), WELCOME_MS_MAX);
    socket.onclose = ({ code, reason }) => this.#socket === socket && this.#disconnected(afterClose(code, reason));
  }

  #receive(frame) {
    this.#lastAt = Date.now();
    // Only `live` and the frames after it give a position: `welcome.seq` may be ahead of the alerts that have arrived.
    if (frame.type === "welcome") this.#welcome(frame);
    for (const handler of this.#handlers.get(frame.type) ?? []) handler(frame);
    if (frame.type === "live") this.#following = true;
    if (this.#following && ["live", "alert", "alert_cancelled"].includes(frame.type)) this.#since = frame.seq;
  }

  #welcome({ heartbeat_s, now }) {
    clearTimeout(this.#timer);
    syncClock(now, this.#openedAt);
    this.#ready = true;
    this.#polled = false;
    this.#attempt = 0;
    for (const [channel, extra] of this.#channels) this.#join(channel, extra);
    const heartbeatMs = (heartbeat_s > 0 ? heartbeat_s : 30) * 1000;
    clearInterval(this.#watchdog);
    // Detects a dead connection: ping after one heartbeat of silence, reconnect after two.
    this.#watchdog = setInterval(() => {
      const silence = Date.now() - this.#lastAt;
      if (silence > 2 * heartbeatMs) this.#disconnected({ ms: 0 });
      else if (silence > heartbeatMs) this.#send({ type: "ping" });
    }, heartbeatMs / 2);
    this.#setState("live");
  }

  #join(channel, extra) {
    this.#send({ type: "subscribe", channels: [channel], ...extra() });
  }

  #send(frame) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(frame));
  }

  #disconnected({ end, signIn, ms }) {
    this.#close();
    if (end) return this.#setState("ended");
    if (signIn) return this.#setState("signed-out");
    this.#setState(!navigator.onLine ? "offline" : this.#polled ? "polling" : "reconnecting");
    this.#retry(ms ?? backoff(this.#attempt++));
  }

  #retry(ms) {
    if (this.#socket || this.#isOver()) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#open(), ms);
  }

  /** Returns whether the hub ended the connection, so that the page must not reconnect. */
  #isOver() {
    return this.state === "ended" || this.state === "signed-out";
  }

  #close() {
    const socket = this.#socket;
    this.#socket = null;
    this.#ready = this.#following = false;
    clearInterval(this.#watchdog);
    clearTimeout(this.#timer);
    socket?.close();
  }

  #setState(state) {
    this.state = state;
    this.onstate(state, this.#lastAt);
  }
}
