// Acknowledgements of alerts. Those that the hub has not confirmed are stored in the browser and sent again.

import { api } from "./api.js";

const KEY = "eduhub.acks";
/** The pause before a failed acknowledgement is sent again. */
const RETRY_MS = 5_000;

export class Acks {
  #user = null;
  #given = new Set();
  #unsent = new Set();
  #timer = 0;

  /** Unsent acknowledgements are also sent whenever `live` reconnects. */
  constructor(live) {
    live.on("live", () => this.#send());
  }

  /** Sets the reader by username; null is a visitor, who cannot acknowledge. */
  setUser(user) {
    this.#user = user;
    this.#given = new Set(stored()[user] ?? []);
    this.#unsent = new Set(this.#given);
    this.#send();
  }

  /** Whether the reader is signed in and can acknowledge alerts. */
  get isEnabled() {
    return this.#user !== null;
  }

  /** Forgets the acknowledgement of an alert whose text was corrected. */
  forget(id) {
    this.#given.delete(id);
    if (this.#unsent.delete(id)) this.#store();
  }

  has(id) {
    return this.#given.has(id);
  }

  add(id) {
    if (!this.isEnabled || this.has(id)) return;
    this.#given.add(id);
    this.#unsent.add(id);
    this.#store();
    this.#send();
  }

  async #send() {
    clearTimeout(this.#timer);
    const user = this.#user;
    for (const id of [...this.#unsent]) {
      try {
        await api.post(`/api/v1/alerts/${encodeURIComponent(id)}/ack`);
      } catch ({ status }) {
        // Other errors mean that the alert is gone and needs no acknowledgement.
        const retry = !status || status === 401 || status === 429 || status >= 500;
        if (retry && user === this.#user) this.#timer = setTimeout(() => this.#send(), RETRY_MS);
        if (retry) return;
      }
      if (user !== this.#user) return;
      this.#unsent.delete(id);
      this.#store();
    }
  }

  #store() {
    const all = stored();
    if (this.#unsent.size) all[this.#user] = [...this.#unsent];
    else delete all[this.#user];
    try { localStorage.setItem(KEY, JSON.stringify(all)); } catch { /* Storage is unavailable. */ }
  }
}

function stored() {
  try { return JSON.parse(localStorage.getItem(KEY)) ?? {}; } catch { return {}; }
}
