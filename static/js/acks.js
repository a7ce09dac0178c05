// "I have read this", said to the hub: what it has not heard yet is kept, and said again until it has.

import { api } from "./api.js";

const KEY = "eduhub.acks";
/** How long to wait before saying it again. */
const AGAIN_MS = 5_000;

export class Acks {
  #user = null;
  #given = new Set();
  #waiting = new Set();
  #timer = 0;

  /** `live`: a connection that is back is tried at once. */
  constructor(live) {
    live.on("live", () => this.#say());
  }

  /** Who reads from now on, by user name; null is a visitor, who is nobody to the hub. */
  become(user) {
    this.#user = user;
    this.#given = new Set(kept()[user] ?? []);
    this.#waiting = new Set(this.#given);
    this.#say();
  }

  /** Whether there is somebody who can be asked. */
  get asks() {
    return this.#user !== null;
  }

  has(id) {
    return this.#given.has(id);
  }

  give(id) {
    if (!this.asks || this.has(id)) return;
    this.#given.add(id);
    this.#waiting.add(id);
    this.#keep();
    this.#say();
  }

  async #say() {
    clearTimeout(this.#timer);
    const user = this.#user;
    for (const id of [...this.#waiting]) {
      try {
        await api.post(`/api/v1/alerts/${encodeURIComponent(id)}/ack`);
      } catch ({ status }) {
        // Nothing was heard, or the hub was busy: it is said again. An alert that is gone needs no answer any more.
        const again = !status || status === 401 || status === 429 || status >= 500;
        if (again && user === this.#user) this.#timer = setTimeout(() => this.#say(), AGAIN_MS);
        if (again) return;
      }
      if (user !== this.#user) return;
      this.#waiting.delete(id);
      this.#keep();
    }
  }

  #keep() {
    const all = kept();
    if (this.#waiting.size) all[this.#user] = [...this.#waiting];
    else delete all[this.#user];
    try { localStorage.setItem(KEY, JSON.stringify(all)); } catch { /* Not kept. */ }
  }
}

function kept() {
  try { return JSON.parse(localStorage.getItem(KEY)) ?? {}; } catch { return {}; }
}
