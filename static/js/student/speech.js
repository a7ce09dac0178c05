// What is read out to those who do not see the page: answers at once, changes of seats in batches.

import { $, put } from "../dom.js";
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

  /** An answer, or another thing that somebody waits for. */
  say(text) {
    put($("spoken"), text);
  }

  /** Reads out what became full or free of what is planned, held or waited for. */
  seats(ids) {
    const { catalogue, actions, plan, mine } = this.page;
    for (const id of ids ?? []) {
      if (!plan.has(id) && !mine.get(id)) continue;
      const { kind, text } = seatWords(actions.numbers(id), catalogue.get(id)?.status);
      if (this.#kinds.has(id) && this.#kinds.get(id) !== kind) this.#turned.set(id, text);
      this.#kinds.set(id, kind);
    }
    if (!this.#turned.size || this.#due) return;
    this.#due = setTimeout(() => {
      this.say(t("said.now", { list: listed([...this.#turned].map(([id, text]) => t("said.waiting", { section: catalogue.name(id), text }))) }));
      this.#turned.clear();
      this.#due = 0;
    }, SPEAK_MS);
  }
}
