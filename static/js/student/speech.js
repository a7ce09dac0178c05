// What is read out, in batches, to those who do not see how their seats change.

import { t } from "../i18n.js";
import { listed, seats as seatWords } from "../words.js";

/** How often, at most, changes of seats are read out. */
const SPEAK_MS = 5_000;

export class Speech {
  #kinds = new Map();
  #turned = new Map();
  #due = 0;

  /** `page`: see main.js. */
  constructor(page) {
    this.page = page;
  }

  /** Reads out what became full or free of what is planned, held or waited for. */
  seats(ids) {
    const { catalogue, own, say, numbers } = this.page;
    for (const id of ids ?? []) {
      if (!own.has(id)) continue;
      const section = catalogue.get(id);
      const { kind, text } = seatWords(numbers(id), section?.status);
      // Before the first change it was what the list said.
      const before = this.#kinds.get(id) ?? (section && seatWords(section, section.status).kind);
      if (before && before !== kind) this.#turned.set(id, text);
      this.#kinds.set(id, kind);
    }
    if (!this.#turned.size || this.#due) return;
    this.#due = setTimeout(() => {
      say(t("said.now", { list: listed([...this.#turned].map(([id, text]) => t("said.waiting", { section: catalogue.name(id), text }))) }));
      this.#turned.clear();
      this.#due = 0;
    }, SPEAK_MS);
  }
}
