// Announces seat changes to screen readers, in batches.

import { t } from "../i18n.js";
import { joinList, seatStatus } from "../words.js";

/** The shortest time between two announcements of seat changes. */
const ANNOUNCE_MS = 5_000;

export class ScreenReader {
  #kinds = new Map();
  #changed = new Map();
  #due = 0;

  /** `page`: see main.js. */
  constructor(page) {
    this.page = page;
  }

  /** Announces which of these sections became open, full or closed, if they are planned or registered. */
  seatsChanged(ids) {
    const { announce, catalogue, numbers, workspace } = this.page;
    for (const id of ids ?? []) {
      if (!workspace.has(id)) continue;
      const section = catalogue.get(id);
      const { kind, text } = seatStatus(numbers(id), section?.status);
      // Before the first change, the catalogue has the earlier counts.
      const before = this.#kinds.get(id) ?? (section && seatStatus(section, section.status).kind);
      if (before && before !== kind) this.#changed.set(id, text);
      this.#kinds.set(id, kind);
    }
    if (!this.#changed.size || this.#due) return;
    this.#due = setTimeout(() => {
      announce(t("spoken.seats", { list: joinList([...this.#changed].map(([id, text]) => t("spoken.section", { section: catalogue.name(id), text }))) }));
      this.#changed.clear();
      this.#due = 0;
    }, ANNOUNCE_MS);
  }
}
