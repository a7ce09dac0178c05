// The WebSocket: it comes back by itself, and misses nothing when it does.

import { heard } from "./hub-clock.js";

/** The shortest and the longest wait before coming back; between them the wait is drawn at random, so that a
 * thousand pages do not come back in the same moment. */
const RETRY_MS_MIN = 500;
const RETRY_MS_MAX = 20_000;
/** How long a socket may take until the hub has said welcome: some proxies let one hang for ever. */
const WELCOME_MS_MAX = 15_000;

/** The wait before try number `attempt` (0 is the first). */
export function backoff(attempt, random = Math.random()) {
  const cap = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** (attempt + 1));
  return RETRY_MS_MIN + random * (cap - RETRY_MS_MIN);
}

/** What to do after a close: `stay` away, `sign-in`, or come back after `ms` (undefined: by the backoff). */
export function afterClose(code, reason) {
  if (code === 4003) return { stay: true };
  if (code === 4001) return { signIn: true };
  if (code === 1012) {
    try {
      const ms = Number(JSON.parse(reason).retry_ms);
      if (ms >= 0) return { ms: Math.min(ms, 60_000) };
    } catch { /* A reason that cannot be read is no reason to stay away. */ }
  }
  return {};
}

export class Live {
  #socket = null;
  #timer = 0;
  #opened = 0;
  #watch = 0;
  #attempt = 0;
  #heard = 0;
  #ready = false;
  #following = false;
  #since = null;
  #fed = false;
  #channels = new Map();
  #handlers = new Map();

  /**
   * `onstate(state, heard)`: `live`, `polling` (see `fed`), `reconnecting`, `offline`, `ended` (do not come back) or
   * `signed-out`.
   */
  constructor({ onstate = () => {}, path = "/alerts/ws" } = {}) {
    this.onstate = onstate;
    this.path = path;
    this.state = "reconnecting";
    addEventListener("online", () => this.#retry(backoff(0)));
    addEventListener("offline", () => this.#isOver() || this.#lost({}));
  }

  /** Calls `handler(frame)` for each frame of this type. */
  on(type, handler) {
    this.#handlers.set(type, [...(this.#handlers.get(type) ?? []), handler]);
    return this;
  }

  /** Listens to a channel, now and after each reconnection; `extra()` adds fields such as `seats_since`. */
  subscribe(channel, extra = () => ({})) {
    this.#channels.set(channel, extra);
    if (this.#ready) this.#join(channel, extra);
  }

  unsubscribe(channel) {
    if (this.#channels.delete(channel) && this.#ready) this.#send({ type: "unsubscribe", channels: [channel] });
  }

  /** Failed tries since the last connection that was welcomed. */
  get failures() {
    return this.#attempt;
  }

  /** Where the alerts go on from, or null. */
  get position() {
    return this.#since;
  }

  /** Somebody asked over HTTP instead, while no socket gets through; `ok`: an answer came. */
  fed(ok) {
    if (this.#ready || !["reconnecting", "polling", "offline"].includes(this.state)) return;
    if (ok) this.#heard = Date.now();
    this.#fed = ok;
    this.#tell(ok ? "polling" : navigator.onLine ? "reconnecting" : "offline");
  }

  /** Connects anew as whoever is signed in now, and forgets the old position: it was somebody else's. */
  restart() {
    this.#since = null;
    this.#attempt = 0;
    this.#drop();
    this.#open();
  }

  #open() {
    clearTimeout(this.#timer);
    const url = new URL(this.path, location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    if (this.#since !== null) url.searchParams.set("since", this.#since);
    const socket = new WebSocket(url);
    this.#socket = socket;
    socket.onmessage = ({ data }) => this.#hear(JSON.parse(data));
    this.#opened = Date.now();
    this.#timer = setTimeout(() => this.#ready || this.#lost({}), WELCOME_MS_MAX);
    socket.onclose = ({ code, reason }) => this.#socket === socket && this.#lost(afterClose(code, reason));
  }

  #hear(frame) {
    this.#heard = Date.now();
    // A position comes only from `live` and from what follows it: `welcome.seq` may be ahead of what has arrived.
    if (frame.type === "welcome") this.#welcome(frame);
    for (const handler of this.#handlers.get(frame.type) ?? []) handler(frame);
    if (frame.type === "live") this.#following = true;
    if (this.#following && ["live", "alert", "alert_cancelled"].includes(frame.type)) this.#since = frame.seq;
  }

  #welcome({ heartbeat_s, now }) {
    clearTimeout(this.#timer);
    heard(now, this.#opened);
    this.#ready = true;
    this.#fed = false;
    this.#attempt = 0;
    for (const [channel, extra] of this.#channels) this.#join(channel, extra);
    const quiet = (heartbeat_s > 0 ? heartbeat_s : 30) * 1000;
    clearInterval(this.#watch);
    // A connection that died without a word: ask after one heartbeat of silence, give it up after two.
    this.#watch = setInterval(() => {
      const silence = Date.now() - this.#heard;
      if (silence > 2 * quiet) this.#lost({ ms: 0 });
      else if (silence > quiet) this.#send({ type: "ping" });
    }, quiet / 2);
    this.#tell("live");
  }

  #join(channel, extra) {
    this.#send({ type: "subscribe", channels: [channel], ...extra() });
  }

  #send(frame) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(frame));
  }

  #lost({ stay, signIn, ms }) {
    this.#drop();
    if (stay) return this.#tell("ended");
    if (signIn) return this.#tell("signed-out");
    this.#tell(!navigator.onLine ? "offline" : this.#fed ? "polling" : "reconnecting");
    this.#retry(ms ?? backoff(this.#attempt++));
  }

  #retry(ms) {
    if (this.#socket || this.#isOver()) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#open(), ms);
  }

  /** Whether the hub said not to come back. */
  #isOver() {
    return this.state === "ended" || this.state === "signed-out";
  }

  #drop() {
    const socket = this.#socket;
    this.#socket = null;
    this.#ready = this.#following = false;
    clearInterval(this.#watch);
    clearTimeout(this.#timer);
    socket?.close();
  }

  #tell(state) {
    this.state = state;
    this.onstate(state, this.#heard);
  }
}
