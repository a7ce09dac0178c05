// Drops that can still be taken back: they wait here before the hub hears of them. One that was sent as the page went
// away is remembered until the hub has answered, so that a page that comes back knows whether it was heard.

const KEY = "eduhub.drops";

/** How long a drop can be taken back. */
export const GRACE_MS = 10_000;

export class Drops {
  #waiting = new Map();

  /** `drop(id, options)` sends it; `onchange(id)`: it waits, or does not any more. */
  constructor(drop, onchange) {
    Object.assign(this, { drop, onchange });
    // A page that is closed or put aside may never run again: what was asked for is done.
    addEventListener("pagehide", () => this.#leave());
    document.addEventListener("visibilitychange", () => document.hidden && this.#leave());
  }

  /** Seconds left to take it back, or undefined when none waits, or when it was asked for in another `place`. */
  left(id, place) {
    const one = this.#waiting.get(id);
    if (!one || (place && one.place !== place)) return undefined;
    return Math.max(1, Math.ceil((one.until - Date.now()) / 1000));
  }

  start(id, place) {
    if (this.#waiting.has(id)) return;
    const one = { place, until: Date.now() + GRACE_MS };
    one.timer = setInterval(() => (Date.now() >= one.until ? this.#send(id) : this.onchange(id)), 1000);
    this.#waiting.set(id, one);
    this.onchange(id);
  }

  undo(id) {
    clearInterval(this.#waiting.get(id)?.timer);
    this.#waiting.delete(id);
    this.onchange(id);
  }

  /** Sends all that wait, and comes back when they are answered. */
  flush() {
    return Promise.all([...this.#waiting.keys()].map((id) => this.#send(id)));
  }

  /** Forgets them unsent: somebody else is here. */
  forget() {
    for (const { timer } of this.#waiting.values()) clearInterval(timer);
    this.#waiting.clear();
  }

  #send(id) {
    const { place } = this.#waiting.get(id);
    this.undo(id);
    return this.drop(id, { place });
  }

  #leave() {
    for (const [id, { place }] of [...this.#waiting]) {
      this.undo(id);
      remember((ids) => [...ids, id]);
      // Where the page goes on, as after another tab was looked at, what was not heard is said again, and its answer told.
      this.drop(id, { keepalive: true })
        .then(({ status }) => { if (status >= 400) throw status; })
        .catch(() => this.drop(id, { place }))
        .finally(() => remember((ids) => ids.filter((other) => other !== id)));
    }
  }
}

/** What was sent as an earlier page went away, and not answered as far as that page lived. Asked for once. */
export function unheard() {
  let ids = [];
  remember((kept) => { ids = kept; return []; });
  return ids;
}

/** Changes the list of what was sent and not answered. It is of this tab: another student may be in another. */
function remember(change) {
  try { sessionStorage.setItem(KEY, JSON.stringify(change(JSON.parse(sessionStorage.getItem(KEY)) ?? []))); } catch { /* Not kept. */ }
}
