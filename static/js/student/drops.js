// Drops that can still be undone: each is delayed before it is sent. A drop that is sent while the page closes is
// stored until the hub has responded, so that the next page can tell whether it arrived.

const KEY = "eduhub.drops";

/** How long a drop can be undone. */
export const GRACE_MS = 10_000;

export class Drops {
  #delayed = new Map();

  /** `drop(id, options)` sends a drop; `onchange(id)` is called when its countdown changes. */
  constructor(drop, onchange) {
    Object.assign(this, { drop, onchange });
    // A page that is hidden or closed may never run again, so its drops are sent now.
    addEventListener("pagehide", () => this.#sendAll());
    document.addEventListener("visibilitychange", () => document.hidden && this.#sendAll());
  }

  /**
   * Returns the seconds left to undo a drop; undefined when there is none, or when it was started in another `view`.
   */
  left(id, view) {
    const one = this.#delayed.get(id);
    if (!one || (view && one.view !== view)) return undefined;
    return Math.max(1, Math.ceil((one.until - Date.now()) / 1000));
  }

  start(id, view) {
    if (this.#delayed.has(id)) return;
    const one = { view, until: Date.now() + GRACE_MS };
    one.timer = setInterval(() => (Date.now() >= one.until ? this.#send(id) : this.onchange(id)), 1000);
    this.#delayed.set(id, one);
    this.onchange(id);
  }

  undo(id) {
    clearInterval(this.#delayed.get(id)?.timer);
    this.#delayed.delete(id);
    this.onchange(id);
  }

  /** Sends all delayed drops and waits for the responses. */
  flush() {
    return Promise.all([...this.#delayed.keys()].map((id) => this.#send(id)));
  }

  /** Cancels all delayed drops, when the student signs out. */
  clear() {
    for (const { timer } of this.#delayed.values()) clearInterval(timer);
    this.#delayed.clear();
  }

  #send(id) {
    const { view } = this.#delayed.get(id);
    this.undo(id);
    return this.drop(id, { view });
  }

  /**
   * Sends all delayed drops with `keepalive`. If the page continues, a failed one is sent again and its result shown.
   */
  #sendAll() {
    for (const [id, { view }] of [...this.#delayed]) {
      this.undo(id);
      updateUnconfirmed((ids) => [...ids, id]);
      this.drop(id, { keepalive: true })
        .then(({ status }) => { if (status >= 400) throw status; })
        .catch(() => this.drop(id, { view }))
        .finally(() => updateUnconfirmed((ids) => ids.filter((other) => other !== id)));
    }
  }
}

/** Returns the drops that an earlier page sent without receiving a response, and removes them from the store. */
export function takeUnconfirmed() {
  let ids = [];
  updateUnconfirmed((stored) => { ids = stored; return []; });
  return ids;
}

/** Changes the list of unconfirmed drops. Each tab has its own, since another tab may have another student. */
function updateUnconfirmed(change) {
  try { sessionStorage.setItem(KEY, JSON.stringify(change(JSON.parse(sessionStorage.getItem(KEY)) ?? []))); } catch { /* Storage is unavailable. */ }
}
