// The numbers of a term: read once, then kept by what the live connection says.

import { api, query } from "./api.js";

const numbers = ([, capacity, enrolled, waitlisted, open]) => ({ capacity, enrolled, waitlisted, open });

export class Seats {
  #live;
  #all = new Map();
  #term = null;
  /** Everything up to here has arrived. */
  #seq;
  /** The position of the newest frame, which may be the first of several pieces. */
  #last;

  /** `onchange(ids)`: the sections whose numbers are new; null for all of them. */
  constructor(live, onchange) {
    this.#live = live;
    this.onchange = onchange;
    live.on("seats", (frame) => this.#take(frame));
    live.on("subscribed", (frame) => frame.channel === `seats:${this.#term}` && this.#take(frame));
  }

  /**
   * Follows another term from `seq` on, where the numbers are known up to there. Without it they are read first:
   * subscribing from what was read keeps the snapshot out of the socket.
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
    } catch { /* Without it the subscription brings all of them. */ }
    if (this.#term !== term) return;
    this.#live.subscribe(`seats:${term}`, () => this.#seq === undefined ? {} : { seats_since: this.#seq });
    this.onchange(null);
  }

  /** Reads all of them once: what a page does that no socket reaches. */
  async read() {
    const term = this.#term;
    if (!term) return;
    const { seq, seats } = await api.get(`/api/v1/seats${query({ term })}`);
    // The socket is back: what it brings is newer.
    if (this.#term !== term || this.#live.state === "live") return;
    const news = seats.filter(([id, ...rest]) => String(Object.values(this.#all.get(id) ?? {})) !== String(rest));
    this.#seq = this.#last = seq;
    for (const one of news) this.#all.set(one[0], numbers(one));
    if (news.length) this.onchange(news.map(([id]) => id));
  }

  /** The newest numbers of a section, or undefined. */
  get(id) {
    return this.#all.get(id);
  }

  #take({ type, seq, seats = [] }) {
    // A section's id says its term: what is still on its way for a term that was left does not count.
    const ours = seats.filter(([id]) => id.slice(0, id.lastIndexOf("-")) === this.#term);
    if (seats.length && !ours.length) return;
    // A snapshot comes in pieces that say the same position: it is complete when a later one arrives. A connection that
    // breaks in between asks again from the position before.
    if (type === "subscribed") this.#last = seq;
    else if (seq !== this.#last) [this.#seq, this.#last] = [this.#last, seq];
    if (!seats.length) this.#seq = seq;
    for (const one of ours) this.#all.set(one[0], numbers(one));
    if (ours.length) this.onchange(ours.map(([id]) => id));
  }
}
