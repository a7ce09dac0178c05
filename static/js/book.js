// The definitions of sections that this page has seen; each is asked for once.

import { api } from "./api.js";
import { name } from "./words.js";

export class Book {
  #known = new Map();
  #asked = new Map();

  /** Keeps what a list brought. */
  keep(sections) {
    for (const section of sections) this.#known.set(section.id, section);
  }

  get(id) {
    return this.#known.get(id);
  }

  name = (id) => name(this.#known.get(id), id);

  /** Makes these known; one that does not exist any more stays unknown. */
  async need(ids) {
    await Promise.all(ids.filter((id) => !this.#known.has(id)).map((id) => {
      if (!this.#asked.has(id)) {
        const answer = api.get(`/api/v1/sections/${encodeURIComponent(id)}`).then(
          (section) => this.#known.set(id, section),
          (problem) => problem.status !== 404 && this.#asked.delete(id),
        );
        this.#asked.set(id, answer);
      }
      return this.#asked.get(id);
    }));
  }
}
