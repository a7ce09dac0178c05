// The seat counts of a term: read once, then updated from the live connection.

import { api, query } from "./api.js";

const numbers = ([, capacity, enrolled, waitlisted, open]) => ({ capacity, enrolled, waitlisted, open });

export class Seats {
  #live;
  #all = new Map();
  #term = null;
  /** Every change up to this sequence number has arrived. */
  #seq;
  /** The sequence number of the newest frame, which may be the first of several parts of one snapshot. */
  #last;

  /** `onchange(ids)` gets the sections whose counts changed; null for all of them. */
  constructor(live, onchange) {
    this.#live = live;
    this.onchange = onchange;
    live.on("seats", (frame) => this.#apply(frame));
    live.on("subscribed", (frame) => frame.channel === `seats:${this.#term}` && this.#apply(frame));
  }

  /**
   * Follows another term. `seq` is the sequence number of counts that the caller has already; without it the counts are
   * read by HTTP first, so that the socket need not send a snapshot.
   */
  async follow(term, seq) {
    if (this.#term) this.#live.unsubscribe(`seats:${this.#term}`);
    this.#term = term;
    this.#all.clear();
    this.#seq = seq;
    this.#last = undefined;
    if (!term) return;
    if (seq === undefined) try {
      const read = await api.get(`/api/v1/seats${query({ term })}`);
      if (this.#term !== term) return;
      this.#seq = read.seq;
      for (const one of read.seats) this.#all.set(one[0], numbers(one));
    } catch { /* The subscription then sends a full snapshot. */ }
    if (this.#term !== term) return;
    this.#live.subscribe(`seats:${term}`, () => this.#seq === undefined ? {} : { seats_since: this.#seq });
    this.onchange(null);
  }

  /** Reads all counts once, for a page whose socket cannot connect. */
  async read() {
    const term = this.#term;
    if (!term) return;
    const { seq, seats } = await api.get(`/api/v1/seats${query({ term })}`);
    // The socket has reconnected, and its counts are newer.
    if (this.#term !== term || this.#live.state === "live") return;
    const changed = seats.filter(([id, ...rest]) => String(Object.values(this.#all.get(id) ?? {})) !== String(rest));
    this.#seq = this.#last = seq;
    for (const one of changed) this.#all.set(one[0], numbers(one));
    if (changed.length) this.onchange(changed.map(([id]) => id));
  }

  /** Returns the newest counts of a section, or undefined. */
  get(id) {
    return this.#all.get(id);
  }

  #apply({ type, seq, seats = [] }) {
    // Frames of the previous term may still arrive. A section's id begins with its term.
    const ours = seats.filter(([id]) => id.slice(0, id.lastIndexOf("-")) === this.#term);
    if (seats.length && !ours.length) return;
    // The parts of a snapshot have the same `seq`; it is complete when a frame with a later one arrives. If the
    // connection breaks before that, the next subscription resumes from the previous `seq`.
    if (type === "subscribed") this.#last = seq;
    else if (seq !== this.#last) [this.#seq, this.#last] = [this.#last, seq];
    if (!seats.length) this.#seq = seq;
    for (const one of ours) this.#all.set(one[0], numbers(one));
    if (ours.length) this.onchange(ours.map(([id]) => id));
  }
}
