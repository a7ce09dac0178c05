// Seats that are reserved for the student's groups. Lists and live counts have only the seats that everyone can take.

import { api } from "../api.js";

/**
 * The shortest pause between two reads of a section whose seats change, and a random addition that spreads the reads.
 */
const PAUSE_MS = 1_000;
const SPREAD_MS = 2_000;

export class OwnSeats {
  /** By section: the counts at the last read, and the seats that the student could take then. */
  #known = new Map();

  /** `page`: see main.js. `onchange(id)` is called when the student's seats in a section have changed. */
  constructor(page, onchange) {
    Object.assign(this, { page, onchange });
  }

  /** Forgets everything, for another student. */
  clear() {
    this.#known = new Map();
  }

  /** Returns `{open}` for a section in which the student can take reserved seats only; otherwise undefined. */
  get(id) {
    const { catalogue, seats } = this.page;
    const section = catalogue.get(id);
    const { capacity, enrolled, waitlisted, open } = seats.get(id) ?? section ?? {};
    if (!section?.reserved?.length || open > 0 || section.status !== "open") return undefined;
    const known = this.#known.get(id);
    const counts = String([capacity, enrolled, waitlisted]);
    if (known?.counts !== counts && !known?.isReading) this.#read(id, counts, known);
    return known?.open > 0 ? { open: known.open } : undefined;
  }

  async #read(id, counts, before) {
    const all = this.#known;
    all.set(id, { ...before, isReading: true });
    if (before) await new Promise((resolve) => setTimeout(resolve, PAUSE_MS + Math.random() * SPREAD_MS));
    // A failed read counts as a read: the next seat change starts another.
    const open = await api.get(`/api/v1/sections/${encodeURIComponent(id)}`).then(({ mine }) => mine?.open ?? 0, () => before?.open);
    all.set(id, { counts, open });
    if (all === this.#known) this.onchange(id);
  }
}
